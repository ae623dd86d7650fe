// One turn: one server process, started, warmed up, measured, ended.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Fired, LoadJob } from './load.ts'
import type { FromServer, Setting, Usage } from './setting.ts'

/** A server of the comparison: a module of servers/ and the variant it is started with. */
export interface Contestant {
  readonly name: string
  readonly module: string
  readonly variant: string
  /** Another checkout whose server it is, with its benchmark built; absent for this one. */
  readonly checkout?: string
}

export interface Measured {
  /** CPU of the server process per request, all threads, microseconds. */
  readonly cpuMicroseconds: number
  readonly requestsPerSecond: number
  readonly p50Milliseconds: number
  readonly p99Milliseconds: number
  readonly rssMebibytes: number
  readonly heapMebibytes: number
  /** Round trips to the store's server per request. */
  readonly roundTrips: number
  /** Share of the machine's processors that other processes used meanwhile, 0 to 1. */
  readonly others: number
}

/** CPU that everything on this machine has used so far, and what there was to use, microseconds. */
function machineUsage(): { readonly used: number; readonly all: number } {
  let used = 0
  let all = 0
  for (const { times } of cpus()) {
    const busy = times.user + times.nice + times.sys + times.irq
    used += busy * 1000
    all += (busy + times.idle) * 1000
  }
  return { used, all }
}

const pathOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

async function answer<T>(child: ChildProcess): Promise<T> {
  const ended = new AbortController()
  try {
    return await Promise.race([
      once(child, 'message', { signal: ended.signal }).then(([message]) => message as T),
      once(child, 'exit', { signal: ended.signal }).then(([code]) => {
        throw new Error(`the process ended with status ${code}`)
      }),
    ])
  } finally {
    ended.abort()
  }
}

export class Load {
  readonly #child = fork(pathOf('./load.js'), { serialization: 'advanced' })

  async run(job: LoadJob): Promise<Fired | undefined> {
    this.#child.send(job)
    const { done, failed } = await answer<{ done?: Fired; failed?: string }>(this.#child)
    if (failed !== undefined) throw new Error(failed)
    return done
  }

  end(): void {
    this.#child.disconnect()
  }
}

export interface TurnOptions {
  readonly load: Load
  readonly contestant: Contestant
  readonly setting: Setting
  readonly concurrency: number
  readonly warmUp: number
  readonly requests: number
  /** Flags for the server's Node, such as `--cpu-prof`. */
  readonly execArgv?: readonly string[]
}

export async function turn(options: TurnOptions): Promise<Measured> {
  const { load, contestant, setting, concurrency, warmUp, requests } = options
  const { checkout, module } = contestant
  const script =
    checkout === undefined
      ? pathOf(`./servers/${module}.js`)
      : join(checkout, 'bench/.build/bench/servers', `${module}.js`)
  const child = fork(script, [contestant.variant, JSON.stringify(setting)], {
    execArgv: [...(options.execArgv ?? [])],
    serialization: 'advanced',
  })
  try {
    const ready = await answer<FromServer>(child)
    if (ready.kind !== 'ready') throw new Error('the server did not say that it is ready')
    const usage = async (): Promise<Usage> => {
      child.send('usage')
      return (await answer<FromServer>(child)) as unknown as Usage
    }
    const common = { kind: 'fire', port: ready.port, concurrency } as const
    // The requests of seeded scenarios are made before anything is measured, by a job that fires nothing.
    if (ready.seeds.length > 0) await load.run({ ...common, from: 0, to: 0, seeds: ready.seeds })
    await load.run({ ...common, from: 0, to: warmUp })
    const machineBefore = machineUsage()
    const before = await usage()
    const fired = await load.run({ ...common, from: warmUp, to: warmUp + requests })
    const after = await usage()
    const machineAfter = machineUsage()
    if (fired === undefined) throw new Error('nothing was measured')
    const own = after.cpuMicroseconds - before.cpuMicroseconds + fired.cpuMicroseconds
    const others = (machineAfter.used - machineBefore.used - own) / (machineAfter.all - machineBefore.all)
    return {
      others: Math.max(0, others),
      cpuMicroseconds: (after.cpuMicroseconds - before.cpuMicroseconds) / requests,
      requestsPerSecond: requests / fired.seconds,
      p50Milliseconds: fired.p50Milliseconds,
      p99Milliseconds: fired.p99Milliseconds,
      roundTrips: (after.roundTrips - before.roundTrips) / requests,
      rssMebibytes: after.rssBytes / 1048576,
      heapMebibytes: after.heapBytes / 1048576,
    }
  } finally {
    const exited = child.exitCode === null ? once(child, 'exit') : undefined
    if (child.connected) child.send('stop')
    await exited
  }
}
