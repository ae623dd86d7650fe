import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { eventually } from './temporary.ts'

/** A server process that a test started, and that it ends by its own handle. */
export interface RunningProcess {
  readonly pid: number
  /** What it wrote so far, standard output and error together. */
  output(): string
  /** SIGTERM, then SIGKILL after ten seconds; resolves when it has ended. */
  stop(): Promise<void>
  /** SIGKILL, without warning. */
  kill(): Promise<void>
  /** SIGSTOP, to it and its children: it hangs, its connections stay open. */
  suspend(): void
  /** SIGCONT. */
  resume(): void
  /** Exit status once it ended; `undefined` while it runs, `null` where a signal ended it. */
  status(): number | null | undefined
}

/** The children of a process (PostgreSQL has one for each connection), by what Linux tells of them. */
export function childrenOf(pid: number): number[] {
  const parentOf = (process: string): number => {
    try {
      return Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${process}/stat`, 'utf8'))?.[1])
    } catch {
      return 0 // it has just ended
    }
  }
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return all.filter((process) => parentOf(process) === pid).map(Number)
}

const withChildren = ({ pid }: ChildProcess): number[] => (pid === undefined ? [] : [pid, ...childrenOf(pid)])

function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name)
    } catch {
      // it has just ended
    }
  }
}

const started = new Set<ChildProcess>()

// A test run that ends early leaves nothing behind.
process.once('exit', () => {
  for (const child of started) child.kill('SIGKILL')
})

export function startProcess(program: string, parameters: string[], options: SpawnOptions = {}): RunningProcess {
  const child = spawn(program, parameters, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  started.add(child)
  let text = ''
  const keep = (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-100_000)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  let ended: number | null | undefined
  const exit = new Promise<void>((resolve) => {
    child.once('error', (cause) => {
      text += String(cause)
      ended = null
      resolve()
    })
    child.once('exit', (code) => {
      started.delete(child)
      ended = code
      resolve()
    })
  })
  return {
    pid: child.pid ?? 0,
    output: () => text,
    async stop() {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
      await exit
      clearTimeout(timer)
    },
    async kill() {
      child.kill('SIGKILL')
      await exit
    },
    suspend: () => signal(withChildren(child), 'SIGSTOP'),
    resume: () => signal(withChildren(child), 'SIGCONT'),
    status: () => ended,
  }
}

/**
 * Starts a server and waits until it answers. One that ended by itself is started again: after a SIGKILL the children
 * of PostgreSQL hold on to its memory for a moment, and until they have gone a new one ends at once.
 */
export async function startUntilReady(
  start: () => RunningProcess,
  what: string,
  answers: () => Promise<boolean>,
): Promise<RunningProcess> {
  let running = start()
  const ask = () => {
    if (running.status() !== undefined) running = start()
    return answers()
  }
  try {
    await eventually(what, ask, 60)
  } catch (cause) {
    await running.kill()
    throw new Error(`${what} did not start: ${running.output()}`, { cause })
  }
  return running
}
