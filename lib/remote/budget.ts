import { RemoteFailure } from './failure.ts'

/** How many requests may be under way at once. */
export interface BudgetOptions {
  readonly maxRequests: number
  readonly maxRequestsPerHost: number
  /** How long a request may wait for its turn. */
  readonly waitMilliseconds: number
}

/** Bounds the requests that are under way, in all and for each host. */
export interface RequestBudget {
  /** Runs `request` when it is its turn. Rejects with a `RemoteFailure` `busy` if that takes too long. */
  run<T>(host: string, request: () => Promise<T>): Promise<T>
}

interface Host {
  running: number
  readonly waiting: (() => void)[]
}

/** The most requests that wait; more fail at once. */
const MOST_WAITING = 1000

const busy = (): RemoteFailure => new RemoteFailure('busy', 'too many requests for remote documents are under way')

/** Makes a `RequestBudget`. Hosts take turns, so that one with many requests does not hold up the others. */
export function createRequestBudget({
  maxRequests,
  maxRequestsPerHost,
  waitMilliseconds,
}: BudgetOptions): RequestBudget {
  const hosts = new Map<string, Host>()
  let running = 0
  let waiting = 0

  const startNext = (): void => {
    if (waiting === 0 || running >= maxRequests) return
    for (const [name, host] of hosts) {
      if (host.running >= maxRequestsPerHost) continue
      const start = host.waiting.shift()
      if (start === undefined) continue
      hosts.delete(name) // to the end: the other hosts are next
      hosts.set(name, host)
      start()
      return
    }
  }

  /** Waits for a turn that is counted in `running` and `host.running`. */
  const waitForTurn = (host: Host): Promise<void> =>
    new Promise((resolve, reject) => {
      const settle = (): void => {
        waiting -= 1
        clearTimeout(timer)
      }
      const start = (): void => {
        settle()
        running += 1
        host.running += 1
        resolve()
      }
      const timer = setTimeout(() => {
        host.waiting.splice(host.waiting.indexOf(start), 1)
        settle()
        reject(busy())
      }, waitMilliseconds)
      waiting += 1
      host.waiting.push(start)
      startNext()
    })

  return {
    async run(name, request) {
      if (waiting >= MOST_WAITING) throw busy()
      const host = hosts.get(name) ?? { running: 0, waiting: [] }
      hosts.set(name, host)
      try {
        await waitForTurn(host)
        try {
          return await request()
        } finally {
          running -= 1
          host.running -= 1
          startNext()
        }
      } finally {
        if (host.running === 0 && host.waiting.length === 0) hosts.delete(name)
      }
    },
  }
}
