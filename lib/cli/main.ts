#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { run } from './run.ts'

const root = new URL('../../', import.meta.url)
const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
  version: string
}

const io = {
  out: (text: string): void => void process.stdout.write(text),
  err: (text: string): void => void process.stderr.write(text),
  async readInput(): Promise<string> {
    const chunks: Buffer[] = []
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString('utf8')
  },
  readDocument(name: string): string | undefined {
    try {
      return readFileSync(new URL(`docs/${name}`, root), 'utf8')
    } catch {
      return undefined
    }
  },
  environment: process.env,
  isTerminal: process.stdout.isTTY === true,
}

process.exitCode = await run(process.argv.slice(2), io, version)
