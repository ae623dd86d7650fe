// One turn: server processes that are started, warmed up, measured in slices that alternate, and ended.
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

/** A server to measure, and what it is started with. */
export interface Entrant {
  readonly contestant: Contestant
  readonly setting: Setting
  /** Flags for the server's Node, such as `--cpu-prof`. */
  readonly execArgv?: readonly string[]
}

export interface TurnOptions {
  readonly load: Load
  readonly entrants: readonly Entrant[]
  readonly concurrency: number
  readonly warmUp: number
  readonly requests: number
}

/** So many requests a server answers before the next one is measured: what else the machine does then affects them all. */
const SLICE_REQUESTS = 500

interface Running {
  usage(): Promise<Usage>
  /** Fires the prepared requests from one up to another (exclusive). */
  fire(from: number, to: number): Promise<Fired>
  end(): Promise<void>
}

async function start(
  { contestant, setting, execArgv = [] }: Entrant,
  load: Load,
  concurrency: number,
): Promise<Running> {
  const { checkout, module, name, variant } = contestant
  const script =
    checkout === undefined
      ? pathOf(`./servers/${module}.js`)
      : join(checkout, 'bench/.build/bench/servers', `${module}.js`)
  const child = fork(script, [variant, JSON.stringify(setting)], {
    execArgv: [...execArgv],
    serialization: 'advanced',
  })
  const end = async (): Promise<void> => {
    const exited = child.exitCode === null ? once(child, 'exit') : undefined
    if (child.connected) child.send('stop')
    await exited
  }
  try {
    const ready = await answer<FromServer>(child)
    if (ready.kind !== 'ready') throw new Error('the server did not say that it is ready')
    // The requests of seeded scenarios are made before anything is measured.
    if (ready.seeds.length > 0) await load.run({ kind: 'seed', server: name, seeds: ready.seeds })
    return {
      async usage() {
        child.send('usage')
        return (await answer<FromServer>(child)) as unknown as Usage
      },
      async fire(from, to) {
        const fired = await load.run({ kind: 'fire', server: name, port: ready.port, concurrency, from, to })
        if (fired === undefined) throw new Error('nothing was measured')
        return fired
      },
      end,
    }
  } catch (cause) {
    await end()
    throw cause
  }
}

/** What the slices of a server add up to. */
function createSum(server: Running, requests: number) {
  const latencies: number[] = []
  let [cpuMicroseconds, seconds, roundTrips, othersMicroseconds, allMicroseconds] = [0, 0, 0, 0, 0]
  return {
    async measure(from: number, to: number): Promise<void> {
      const machineBefore = machineUsage()
      const before = await server.usage()
      const fired = await server.fire(from, to)
      const after = await server.usage()
      const machineAfter = machineUsage()
      const own = after.cpuMicroseconds - before.cpuMicroseconds
      cpuMicroseconds += own
      seconds += fired.seconds
      roundTrips += after.roundTrips - before.roundTrips
      othersMicroseconds += machineAfter.used - machineBefore.used - own - fired.cpuMicroseconds
      allMicroseconds += machineAfter.all - machineBefore.all
      for (const latency of fired.latenciesMilliseconds) latencies.push(latency)
    },
    async result(): Promise<Measured> {
      const { rssBytes, heapBytes } = await server.usage()
      latencies.sort((a, b) => a - b)
      const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? Number.NaN
      return {
        others: Math.max(0, othersMicroseconds / allMicroseconds),
        cpuMicroseconds: cpuMicroseconds / requests,
        requestsPerSecond: requests / seconds,
        p50Milliseconds: at(0.5),
        p99Milliseconds: at(0.99),
        roundTrips: roundTrips / requests,
        rssMebibytes: rssBytes / 1048576,
        heapMebibytes: heapBytes / 1048576,
      }
    },
  }
}

/**
 * Slices of some requests, one server after the other, each time beginning with the next one: so each is as often the first as
 * the others, and waits as long. There and back would not do: the servers at both ends have two slices in a row, with warm caches.
 */
async function inSlices<T>(
  those: readonly T[],
  from: number,
  to: number,
  each: (one: T, from: number, to: number) => Promise<unknown>,
): Promise<void> {
  for (let at = from, first = 0; at < to; at += SLICE_REQUESTS, first += 1)
    for (let index = 0; index < those.length; index += 1)
      await each(those[(first + index) % those.length] as T, at, Math.min(at + SLICE_REQUESTS, to))
}

/** Measures servers beside each other: all run, and one at a time has work, also while they warm up. */
export async function turn({ load, entrants, concurrency, warmUp, requests }: TurnOptions): Promise<Measured[]> {
  const servers: Running[] = []
  try {
    for (const entrant of entrants) servers.push(await start(entrant, load, concurrency))
    await inSlices(servers, 0, warmUp, (server, from, to) => server.fire(from, to))
    const sums = servers.map((server) => createSum(server, requests))
    await inSlices(sums, warmUp, warmUp + requests, (sum, from, to) => sum.measure(from, to))
    return await Promise.all(sums.map((sum) => sum.result()))
  } finally {
    await Promise.all(servers.map((server) => server.end()))
  }
}
