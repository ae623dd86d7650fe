import { wholeNumber } from '../options.ts'

/** How calls to a remote store are bounded. */
export interface BoundedCallsOptions {
  /** Milliseconds after which a call that was not answered is rejected. Default 3000, from 1 to 600000. */
  readonly timeoutMilliseconds?: number | undefined
  /** Calls under way at once; one more is rejected at once, so that nothing piles up before a store that hangs. Default 4096. */
  readonly maximumPending?: number | undefined
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
  let pending = 0

  const bounded = <T>(ask: () => T | Promise<T>): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (pending >= maximumPending) {
        reject(new Error(`${what} has not answered ${maximumPending} calls: no more are made until it does`))
        return
      }
      pending += 1
      let counted = true
      const release = (): void => {
        if (counted) pending -= 1
        counted = false
      }
      let timer = setTimeout(() => {
        timer = setTimeout(release, WRITE_OFF_MILLISECONDS).unref()
        // After a look at the sockets: where this process itself was held up, the answer may be there already.
        setImmediate(() => reject(new Error(`${what} did not answer within ${timeoutMilliseconds} ms`)))
      }, timeoutMilliseconds)
      const settled = (): void => {
        clearTimeout(timer)
        release()
      }
      new Promise<T>((answer) => answer(ask())).then(
        (answer) => {
          settled()
          resolve(answer)
        },
        (cause) => {
          settled()
          reject(cause)
        },
      )
    })
  return Object.assign(bounded, { room: () => maximumPending - pending })
}
