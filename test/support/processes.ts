import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'

/** A server process that a test started, and that it ends by its own handle. */
export interface RunningProcess {
  readonly pid: number
  /** What it wrote so far, standard output and error together. */
  output(): string
  /** SIGTERM, then SIGKILL after ten seconds; resolves when it has ended. */
  stop(): Promise<void>
  /** SIGKILL, without warning. */
  kill(): Promise<void>
  /** SIGSTOP: it hangs, its connections stay open. */
  suspend(): void
  /** SIGCONT. */
  resume(): void
  /** Exit status once it ended; `undefined` while it runs, `null` where a signal ended it. */
  status(): number | null | undefined
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
    suspend: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    status: () => ended,
  }
}
