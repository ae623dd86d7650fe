import { asError, refusal } from '../errors.ts'
import type { Next, Request, Response } from '../http/message.ts'
import { requireFunction, wholeNumber } from '../options.ts'
import { guardCallback } from './foreign_callback.ts'

/** An exchange as oauth2orize calls it. If it is `async`, it returns a promise that oauth2orize ignores. */
export type ExchangeStep = (request: Request, response: Response, next: Next) => unknown

/** An exchange for `server.exchange(…)`. Its type fits however your version declares `next`. */
export type GuardedExchange = (request: Request, response: Response, next: (error?: never) => void) => void

/** Runs `next` at most once, and when the time is over. `settle`: never from now on; `stop`: not for the time. */
function onceInTime(milliseconds: number | undefined, next: (error?: unknown) => void) {
  let settled = false
  const stop = (): void => clearTimeout(timer)
  const settle = (): void => {
    stop()
    settled = true
  }
  const once = (error?: unknown): void => {
    const isFirst = !settled
    settle()
    if (isFirst) next(error)
  }
  const timer =
    milliseconds === undefined
      ? undefined
      : setTimeout(() => {
          once(refusal('unexpected', { detail: `the exchange did not respond within ${milliseconds} milliseconds` }))
        }, milliseconds)
  return { once, settle, stop }
}

/**
 * Wraps your own exchange so that it responds exactly once. If it rejects, or does not respond within
 * `timeoutMilliseconds` (1 to 600000, default 30000), the error goes to `next`. A second response and a second call of
 * `next` are ignored.
 *
 * The wrapper cannot see a promise inside the exchange: for an `async` issue callback, use `guardIssue`.
 *
 * @example
 * ```ts
 * import { guardExchange } from 'passport-client-assertion-jwt/oauth2orize'
 *
 * const exchange = guardExchange(async (_request, response) => {
 *   response.setHeader('Content-Type', 'application/json')
 *   response.end(JSON.stringify({ access_token: 'a token', token_type: 'Bearer' }))
 * }, 10_000) // milliseconds
 * server.exchange('urn:example:params:oauth:grant-type:voucher', exchange)
 * ```
 */
export function guardExchange(step: ExchangeStep, timeoutMilliseconds?: number): GuardedExchange {
  requireFunction('step', step)
  return guardedExchange(step, wholeNumber('timeoutMilliseconds', timeoutMilliseconds, 30_000, 1, 600_000))
}

/** As `guardExchange`; without a time limit where the caller has one. */
export function guardedExchange(step: ExchangeStep, timeoutMilliseconds?: number): GuardedExchange {
  const guarded: ExchangeStep = (request, response, next) => {
    const { once, settle, stop } = onceInTime(timeoutMilliseconds, (error) => {
      if (!response.headersSent) next(error)
    })
    answerOnce(response, settle)
    if (timeoutMilliseconds !== undefined) response.once('close', stop)
    try {
      Promise.resolve(step(request, response, once)).catch((error: unknown) => once(asError(error)))
    } catch (error) {
      once(asError(error))
    }
  }
  return Object.defineProperty(guarded, 'name', { value: step.name }) as GuardedExchange
}

/**
 * Lets the first `end` through and drops what comes after it: Node would throw, outside of any handler. Headers can be
 * set until they are sent: session middlewares put off the end of an answer to add theirs.
 */
function answerOnce(response: Response, ended: () => void): void {
  const { end, setHeader, removeHeader, writeHead, write } = response
  const unlessSent =
    (method: (...given: never[]) => unknown) =>
    (...given: unknown[]): unknown =>
      response.headersSent ? response : Reflect.apply(method, response, given)
  let answered = false
  response.end = ((...given: unknown[]) => {
    if (answered) return response
    answered = true
    ended()
    Object.assign(response, {
      setHeader: unlessSent(setHeader),
      removeHeader: unlessSent(removeHeader),
      writeHead: unlessSent(writeHead),
      write: (...more: unknown[]) => (response.writableEnded ? false : Reflect.apply(write, response, more)),
    })
    return Reflect.apply(end, response, given)
  }) as Response['end']
}

/**
 * Wraps a function that oauth2orize calls with a callback: an `async` issue function of oauth2orize's own exchanges
 * (`oauth2orize.exchange.code(issue)`), an immediate function, or a `complete` function. oauth2orize ignores their
 * promises, so a rejection would end the process and leave the client without a response.
 *
 * With the wrapper, a rejection is passed to the callback as an error. So is a timeout, if the callback is not called
 * within `timeoutMilliseconds` (1 to 3600000, default 30000). The callback is called only once. The wrapper keeps the
 * number of parameters, because oauth2orize depends on it.
 *
 * @typeParam Issue the function, which keeps its type
 *
 * @example
 * ```ts
 * import { guardIssue } from 'passport-client-assertion-jwt/oauth2orize'
 *
 * server.exchange(
 *   oauth2orize.exchange.code(
 *     guardIssue(async (_client: object, code: string, _redirectURI: string, done: oauth2orize.ExchangeDoneFunction) => {
 *       done(null, await redeem(code)) // a rejection becomes server_error
 *     }),
 *   ),
 * )
 * ```
 */
export function guardIssue<Issue extends (...parameters: never[]) => unknown>(
  issue: Issue,
  timeoutMilliseconds = 30_000,
): Issue {
  requireFunction('issue', issue)
  return guardCallback(issue, wholeNumber('timeoutMilliseconds', timeoutMilliseconds, 30_000, 1, 3_600_000))
}
