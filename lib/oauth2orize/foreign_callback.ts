import { asError, refusal } from '../errors.ts'
import { isPromise } from '../maybe_promise.ts'

/** The callback that oauth2orize passes to a function of the application as its last argument. */
type Done = (error: unknown, ...answer: unknown[]) => void

/**
 * Wraps a function of the application that oauth2orize calls with a callback: what it throws after it returned, what its
 * promise rejects with, and no call of the callback within the time limit become an error for the callback, which works
 * once. The number of parameters stays, because oauth2orize goes by it.
 */
export function guardCallback<Callee extends (...parameters: never[]) => unknown>(
  callee: Callee,
  milliseconds: number,
): Callee {
  const call = callee as unknown as (...parameters: readonly unknown[]) => unknown
  const guarded = (...given: unknown[]): void => {
    const done = callOnce(given[given.length - 1] as Done, milliseconds)
    try {
      const pending = call(...given.slice(0, -1), done)
      if (isPromise(pending)) pending.then(undefined, (error: unknown) => done(asError(error)))
    } catch (error) {
      done(asError(error))
    }
  }
  return Object.defineProperty(guarded, 'length', { value: callee.length }) as unknown as Callee
}

/** A callback that works once, reports what the first call throws, and is called with an error when the time is over. */
function callOnce(done: Done, milliseconds: number): Done {
  let settled = false
  const once: Done = (...answer) => {
    if (settled) return
    settled = true
    clearTimeout(timer)
    try {
      done(...answer)
    } catch (error) {
      done(asError(error)) // nobody else is there to catch it
    }
  }
  const timer = setTimeout(() => {
    const detail = `a function of the application did not call back within ${milliseconds} ms`
    once(refusal('unexpected', { detail }))
  }, milliseconds)
  return once
}
