import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The lines of Node that are supported. The first is the oldest release that `engines` allows. */
export const LINES = ['20.19', '22', '24', '26']

/** A Node of this line, out of the registry's own packages of Node, kept in .tmp/nodes between runs. */
export function binaryOf(line: string): string {
  const name = `node-${process.platform}-${process.arch}`
  const folder = join(root, '.tmp/nodes', line)
  const binary = join(folder, 'node_modules', name, 'bin/node')
  if (existsSync(binary)) return binary
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  const install = [
    'install',
    '--no-save',
    '--ignore-scripts',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    '--silent',
  ]
  const { status } = spawnSync('npm', [...install, `${name}@${line}`], { cwd: folder, stdio: 'inherit' })
  if (status !== 0 || !existsSync(binary)) throw new Error(`cannot install ${name}@${line}`)
  return binary
}

/** This Node if it is 22 or later, or one of the registry: for programs that need it. `undefined` if there is none; with CI set it throws. */
export function findNode22(): string | undefined {
  if (Number(process.versions.node.split('.')[0]) >= 22) return process.execPath
  try {
    return binaryOf('22')
  } catch (error) {
    if (process.env['CI']) throw error
    return undefined
  }
}
