import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundledExample } from './example_bundle.ts'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** How `npm run example` starts it, without npm in between. Tests start the same sources in one file, which is faster. */
export const FROM_SOURCES: readonly [string, ...string[]] = [process.execPath, '--import', 'tsx', 'examples/server.ts']

export interface ExampleOptions {
  readonly environment?: Readonly<Record<string, string>>
  /** Written to a file for `CLIENTS_FILE`. */
  readonly clients?: unknown
  /** Written to a file for `USERS_FILE`. */
  readonly users?: unknown
  readonly command?: readonly [string, ...string[]]
}

/** The example, running in a process of its own. */
export interface RunningExample {
  /** Where it listens, without a slash at the end. */
  readonly url: string
  readonly process: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  /** Sends SIGTERM and waits. The exit status, and the signal where it did not exit by itself. */
  stop(): Promise<{ readonly status: number | null; readonly signal: NodeJS.Signals | null }>
}

/** What a process that ended by itself left behind. */
export interface EndedProcess {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

interface Started {
  readonly child: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  readonly ended: Promise<{ readonly status: number | null; readonly signal: NodeJS.Signals | null }>
}

async function start(options: ExampleOptions): Promise<Started> {
  const folder = await mkdtemp(join(tmpdir(), 'example-'))
  const files: Record<string, string> = {}
  for (const [variable, content] of [
    ['CLIENTS_FILE', options.clients],
    ['USERS_FILE', options.users],
  ] as const) {
    if (content === undefined) continue
    const path = join(folder, `${variable}.json`)
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
    files[variable] = path
  }
  const [program, ...parameters] = options.command ?? [process.execPath, await bundledExample()]
  const child = spawn(program, parameters, {
    cwd: ROOT,
    env: { ...cleanEnvironment(), PORT: '0', ...files, ...options.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = once(child, 'close').then(async ([status, signal]) => {
    await rm(folder, { recursive: true, force: true })
    return { status, signal }
  })
  return { child, stdout: () => stdout, stderr: () => stderr, ended }
}

/** The variables of the example are set by tests only; test runners' own variables are not handed on. */
const cleanEnvironment = (): NodeJS.ProcessEnv => {
  const { PATH, HOME, TMPDIR, npm_config_cache } = process.env
  return { PATH, HOME, TMPDIR, npm_config_cache }
}

/** Starts the example on a free port and waits until it says that it is ready. */
export async function startExample(options: ExampleOptions = {}): Promise<RunningExample> {
  const { child, stdout, stderr, ended } = await start(options)
  const url = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`the example is not ready after 90 s:\n${stdout()}\n${stderr()}`))
    }, 90_000)
    child.stdout?.on('data', () => {
      const found = /^.*?(http:\/\/[^\s/]+).*\n/m.exec(stdout())?.[1]
      if (found === undefined) return
      clearTimeout(timer)
      resolve(found)
    })
    ended.then(({ status }) => {
      clearTimeout(timer)
      reject(new Error(`the example ended with status ${status}:\n${stderr()}`))
    })
  })
  return {
    url,
    process: child,
    stdout,
    stderr,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 20_000)
      try {
        return await ended
      } finally {
        clearTimeout(timer)
      }
    },
  }
}

/** Starts the example where it is expected to end by itself. */
export async function runExample(options: ExampleOptions = {}): Promise<EndedProcess> {
  const { child, stdout, stderr, ended } = await start(options)
  const timer = setTimeout(() => child.kill('SIGKILL'), 90_000)
  const { status } = await ended
  clearTimeout(timer)
  return { status, stdout: stdout(), stderr: stderr() }
}
