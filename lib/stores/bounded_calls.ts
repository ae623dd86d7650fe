import { requireFunction, wholeNumber } from '../options.ts'

/**
 * How calls to a remote store are bounded.
 *
 * @inline
 */
export interface BoundedCallsOptions {
  /** Milliseconds after which a call that was not answered is rejected. Default 3000, from 1 to 600000. */
  readonly timeoutMilliseconds?: number | undefined
  /** Calls under way at once; one more is rejected at once, so that nothing piles up before a store that hangs. Default 4096. */
  readonly maximumPending?: number | undefined
  /**
   * Called if calls have failed, and none has succeeded, for `timeoutMilliseconds`. End the connection there and make a new
   * one: a client may otherwise wait for a host that died silently until the kernel gives up. Called at most once in twice
   * that time; what it throws or rejects with is ignored. docs/scaling.md says which clients need it.
   */
  readonly reconnect?: (() => unknown) | undefined
}

/** A call that nobody answers is written off after this time: some clients drop what they were asked when a connection breaks. */
const WRITE_OFF_MILLISECONDS = 60_000

/**
 * Bounds calls to a remote store in time and in number. A call that timed out may still reach the store and be carried
 * out: the rejection means that the outcome is not known. `room` is how many more calls may be made at this moment.
 */
export function createBoundedCalls(what: string, options: BoundedCallsOptions) {
  const timeoutMilliseconds = wholeNumber('timeoutMilliseconds', options.timeoutMilliseconds, 3000, 1, 600_000)
  const maximumPending = wholeNumber('maximumPending', options.maximumPending, 4096, 1, 1_000_000)
  const { reconnect } = options
  if (reconnect !== undefined) requireFunction('reconnect', reconnect)
  let pending = 0
  let failingSince: number | undefined
  let reconnectedAt = Number.NEGATIVE_INFINITY

  /** A call that began then has failed. Ends the connection where none succeeded for as long as a call may take. */
  const failed = (began: number): void => {
    const now = performance.now()
    failingSince ??= began
    if (reconnect === undefined || now - failingSince < timeoutMilliseconds) return
    if (now - reconnectedAt < 2 * timeoutMilliseconds) return
    reconnectedAt = now
    new Promise((done) => done(reconnect())).catch(() => undefined)
  }

  const bounded = <T>(ask: () => T | Promise<T>): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (pending >= maximumPending) {
        reject(new Error(`${what} has not answered ${maximumPending} calls: no more are made until it does`))
        return
      }
      pending += 1
      const began = performance.now()
      let counted = true
      const release = (): void => {
        if (counted) pending -= 1
        counted = false
      }
      let timer = setTimeout(() => {
        timer = setTimeout(release, WRITE_OFF_MILLISECONDS).unref()
        // After a look at the sockets: where this process itself was held up, the answer may be there already.
        setImmediate(() => {
          failed(began)
          reject(new Error(`${what} did not answer within ${timeoutMilliseconds} ms`))
        })
      }, timeoutMilliseconds)
      const settled = (): void => {
        clearTimeout(timer)
        release()
      }
      new Promise<T>((answer) => answer(ask())).then(
        (answer) => {
          failingSince = undefined
          settled()
          resolve(answer)
        },
        (cause) => {
          failed(began)
          settled()
          reject(cause)
        },
      )
    })
  return Object.assign(bounded, { room: () => maximumPending - pending })
}
