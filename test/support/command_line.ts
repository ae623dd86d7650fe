import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../../lib/cli/run.ts'

/** What a command did. */
export interface Outcome {
  readonly status: number
  readonly out: string
  readonly err: string
}

/** Runs the command line inside this process. */
export async function command(
  args: readonly string[],
  {
    input = '',
    isTerminal = false,
    environment = {},
  }: { input?: string; isTerminal?: boolean; environment?: Record<string, string> } = {},
): Promise<Outcome> {
  let out = ''
  let err = ''
  const io = {
    out: (text: string): void => {
      out += text
    },
    err: (text: string): void => {
      err += text
    },
    readInput: async (): Promise<string> => input,
    readDocument: (name: string): string => readFileSync(join('docs', name), 'utf8'),
    environment,
    isTerminal,
  }
  return { status: await run(args, io, '1.2.3'), out, err }
}

/** A folder for one test, with what to put in it as JSON. */
export function folderWith(files: Readonly<Record<string, unknown>> = {}): {
  path: (name: string) => string
  remove: () => void
} {
  const folder = mkdtempSync(join(tmpdir(), 'command-line-'))
  const path = (name: string): string => join(folder, name)
  for (const [name, value] of Object.entries(files))
    writeFileSync(path(name), typeof value === 'string' ? value : JSON.stringify(value))
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) }
}
