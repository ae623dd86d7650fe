// What is known of Passport beyond its documented interface. Seen in passport 0.6.0 and 0.7.0, passport-http 0.3.0 and
// passport-oauth2-client-password 0.1.2:
//
// - `passport._strategy(name)` is the registered strategy, or undefined (lib/authenticator.js).
// - A strategy runs on an object derived from it that has the functions success, fail, error, pass and redirect
//   (lib/middleware/authenticate.js, "BEGIN STRATEGY AUGMENTATION").
// - passport-http takes a secret that begins with a colon for an empty one (lib/passport-http/strategies/basic.js).

import { OAuthError, refusal, unavailable } from '../errors.ts'
import { publishFailure } from '../events.ts'
import type { Middleware, Request, Response } from '../http/message.ts'
import { isPromise } from '../maybe_promise.ts'
import { badOption, requireFunction } from '../options.ts'

/** A strategy as Passport knows it. */
export interface StrategyLike {
  /** `never`, because strategies are typed for the request of their own framework. */
  authenticate(request: never, options?: never): unknown
}

/** What of Passport is used: the form of `authenticate` that calls back. */
export interface PassportLike {
  /** Makes the middleware that runs a strategy. */
  authenticate(
    strategy: string,
    options: { session: boolean; endpoint?: string },
    callback: (error: unknown, user?: unknown, info?: unknown) => void,
  ): unknown
}

/** What a strategy is told: no login session, and which endpoint is called. */
type RouteOptions = { session: boolean; endpoint?: string }

/** The outcome of a strategy: an error, or the user and more about it. */
export type StrategyOutcome = (error: unknown, user?: unknown, info?: unknown) => void

/** Runs a strategy on a request, as Passport does. Calls back, perhaps before it returns. */
export type RunStrategy = (request: Request, response: Response, outcome: StrategyOutcome) => void

interface ShownPassport {
  _strategy?(name: string): StrategyLike | undefined
}

const refused = (why: unknown): unknown => {
  const cause = (why as { cause?: unknown } | undefined)?.cause
  if (cause instanceof OAuthError) return cause
  return why instanceof OAuthError
    ? why
    : publishFailure(refusal('strategy_refused', { detail: 'the Passport strategy refused the client' }))
}

/** What a strategy reports as an error is the server's fault, unless it is an error of the protocol. */
const broken = (error: unknown): unknown => (error instanceof OAuthError ? error : publishFailure(unavailable(error)))

/** Runs a strategy as Passport does: on an object of its own for each request. */
function runStrategy(strategy: StrategyLike, route: RouteOptions, request: Request, outcome: StrategyOutcome): void {
  const running = Object.assign(Object.create(strategy), {
    success: (user: unknown, info?: unknown) => outcome(undefined, user, info),
    fail: (challenge?: unknown) => outcome(refused(challenge)),
    error: (error: unknown) => outcome(broken(error)),
    pass: () => outcome(refused(undefined)),
    redirect: () => outcome(refused(undefined)),
  })
  try {
    const pending: unknown = running.authenticate(request, route)
    if (isPromise(pending)) pending.then(undefined, (error: unknown) => outcome(broken(error)))
  } catch (error) {
    outcome(broken(error))
  }
}

/**
 * Makes the function that runs a strategy, given itself or by the name it is registered under. `option` names it in the
 * `TypeError` for what is neither.
 */
export function createStrategyRunner(
  option: string,
  strategy: unknown,
  passport: PassportLike | undefined,
  endpoint: string | undefined,
): RunStrategy {
  const route: RouteOptions = endpoint === undefined ? { session: false } : { session: false, endpoint }
  if (typeof strategy === 'object' && typeof (strategy as StrategyLike | null)?.authenticate === 'function') {
    return (request, _response, outcome) => runStrategy(strategy as StrategyLike, route, request, outcome)
  }
  if (typeof strategy !== 'string') throw badOption(option, 'a name or a strategy', strategy)
  if (passport === undefined) throw badOption('passport', 'given where strategies are named', passport)
  requireFunction('passport.authenticate', passport.authenticate)
  return (request, response, outcome) => {
    // A strategy found by its name is run here. Passport's own way makes a middleware for each request, and what that
    // leaves behind outlives young garbage collections: it costs half as much again (docs/performance.md).
    const shown = passport as ShownPassport
    const registered = shown._strategy?.(strategy)
    if (registered === undefined && typeof shown._strategy === 'function') {
      outcome(publishFailure(refusal('misconfigured', { detail: `Passport has no strategy named '${strategy}'` })))
      return
    }
    if (typeof registered?.authenticate === 'function') {
      runStrategy(registered, route, request, outcome)
      return
    }
    const answered = (error: unknown, user?: unknown, info?: unknown): void => {
      if (error) outcome(broken(error))
      else if (user) outcome(undefined, user, info)
      else outcome(refused(info))
    }
    const middleware = passport.authenticate(strategy, route, answered) as Middleware
    middleware(request, response, (error?: unknown) => outcome(error ? broken(error) : refused(undefined)))
  }
}

/** The JOSE algorithms of an assertion strategy of this package, given or registered; `undefined` of any other one. */
export function strategyAlgorithms(
  strategy: string | StrategyLike | undefined,
  passport: PassportLike | undefined,
): readonly string[] | undefined {
  const found = typeof strategy === 'string' ? (passport as ShownPassport | undefined)?._strategy?.(strategy) : strategy
  type Own = { readonly verifyAssertion?: { readonly algorithms?: readonly string[] } }
  return (found as Own | undefined)?.verifyAssertion?.algorithms
}

/**
 * The request as passport-http can read it. It takes a secret that begins with a colon for an empty one: there it gets a
 * request with the same credentials in the encoding of RFC 6749 §2.3.1.
 */
export function requestForBasicStrategy(request: Request, clientId: string, clientSecret: string): Request {
  if (!clientSecret.startsWith(':')) return request
  const encoded = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`).toString('base64')
  return Object.create(request, { headers: { value: { ...request.headers, authorization: `Basic ${encoded}` } } })
}
