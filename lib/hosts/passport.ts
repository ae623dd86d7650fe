// What is known of Passport beyond its documented interface. Seen in passport 0.4.1, 0.5.3, 0.6.0 and 0.7.0, passport-http 0.3.0 and
// passport-oauth2-client-password 0.1.2:
//
// - `passport._strategy(name)` is the registered strategy, or undefined (lib/authenticator.js).
// - A strategy runs on an object derived from it that has the functions success, fail, error, pass and redirect
//   (lib/middleware/authenticate.js, "BEGIN STRATEGY AUGMENTATION"). They call the callback of `passport.authenticate`, whose
//   exceptions come back out of them.
// - `passport.authenticate(name)` logs the user of a strategy in, and puts it into the session of express-session, unless it
//   has `session: false`, `assignProperty` or a callback. The strategy gets these options, but not the callback. `success` calls
//   `request.logIn(user, options, done)` before it returns.
// - `passport.initialize({ userProperty })` puts the user into another property than `user`: its name is then in
//   `request._userProperty` (0.4: in the instance of Passport, `request._passport.instance._userProperty`).
// - Express has the `next` of the router that handles a request in `request.next`.
// - passport-http takes a secret that begins with a colon for an empty one (lib/passport-http/strategies/basic.js).

import type { Client } from '../client.ts'
import { asError, OAuthError, refusal, unavailable } from '../errors.ts'
import { lineOf, publishFailure } from '../events.ts'
import { callHook } from '../hooks.ts'
import type { Middleware, Request, Response } from '../http/message.ts'
import { isPromise } from '../maybe_promise.ts'
import { badOption, requireFunction } from '../options.ts'

/** A strategy as Passport knows it. */
export interface StrategyLike {
  /** `never`, because strategies are typed for their framework's request. */
  authenticate(request: never, options?: never): unknown
}

/** What of Passport is used: the form of `authenticate` that calls back. */
export interface PassportLike {
  /** Makes the middleware that runs a strategy. */
  authenticate(
    strategy: string,
    options: {
      /** Always `false`: clients have no login session. */
      session: boolean
      /** The advertised URL of the endpoint, for the assertion strategy. Absent: the token endpoint. */
      endpoint?: string
    },
    callback: (error: unknown, user?: unknown, info?: unknown) => void,
  ): unknown
}

/** The options passed to a strategy: no login session, and the endpoint of the request. */
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

/**
 * Calls back into the host, from where nobody catches what it throws. What it throws goes to `fail`, as a new error;
 * if that throws too, to Express's `next`, and if there is none, a warning of the process says so.
 */
export function callHost(request: unknown, call: () => void, fail: (error: object) => void): void {
  try {
    call()
    return
  } catch (thrown) {
    const error = asError(thrown)
    try {
      fail(error)
    } catch {
      giveToExpress(request, error)
    }
  }
}

function giveToExpress(request: unknown, error: object): void {
  const { next } = Object(request) as { readonly next?: unknown }
  try {
    if (typeof next === 'function') {
      next(error)
      return
    }
  } catch {
    // told below
  }
  process.emitWarning(`A callback of passport.authenticate threw, and nothing could respond: ${lineOf(error)}`, {
    code: 'CLIENT_ASSERTION_JWT_CALLBACK_THREW',
  })
}

/**
 * The fault of a route where Passport would log the client in as a user (`passport.authenticate` without `session: false`
 * beside a session middleware); `undefined` where it would not.
 */
export function loginFault(strategy: string, request: unknown, route: unknown): OAuthError | undefined {
  const { session: stored } = Object(request) as { readonly session?: unknown }
  return typeof stored === 'object' && stored !== null && mayLogIn(route) ? loggedIn(strategy) : undefined
}

/** Whether a route with these options logs users in, unless it has a callback. */
function mayLogIn(route: unknown): boolean {
  if (typeof route !== 'object' || route === null) return false
  const { session, assignProperty } = route as { readonly session?: unknown; readonly assignProperty?: unknown }
  return session !== false && assignProperty === undefined
}

const loggedIn = (strategy: string): OAuthError =>
  refusal('misconfigured', {
    detail: `passport.authenticate('${strategy}') needs { session: false }: it would log the client in as a user`,
  })

type LogIn = (user: unknown, options: unknown, done?: (error: unknown) => void) => unknown

/**
 * Calls `accept`, in which a strategy tells Passport that `client` is authenticated. Passport then calls the `logIn` of the
 * request with the options of the route, unless the route has a callback: where that would log the client in as a user, or fail
 * because there are no sessions, it reports the fault.
 */
export function withoutLogin(strategy: string, request: object | undefined, client: object, accept: () => void): void {
  const host = Object(request) as { logIn?: LogIn }
  const { logIn } = host
  if (typeof logIn !== 'function') {
    accept()
    return
  }
  const before = Object.getOwnPropertyDescriptor(host, 'logIn')
  const guarded: LogIn = (user, options, done) => {
    const isLogin = user === client && done !== undefined && mayLogIn(options)
    return isLogin ? done(publishFailure(loggedIn(strategy))) : logIn.call(host, user, options, done)
  }
  Object.defineProperty(host, 'logIn', { value: guarded, configurable: true, enumerable: true, writable: true })
  try {
    accept()
  } finally {
    if (before === undefined) delete host.logIn
    else Object.defineProperty(host, 'logIn', before)
  }
}

/** The property of the request in which Passport keeps the user: `user`, unless `passport.initialize` was given another. */
function userPropertyOf(request: unknown): string {
  const { _userProperty: own, _passport: known } = Object(request) as {
    readonly _userProperty?: unknown
    readonly _passport?: { readonly instance?: { readonly _userProperty?: unknown } }
  }
  const name = own ?? known?.instance?._userProperty
  return typeof name === 'string' && name !== '' ? name : 'user'
}

/** Checks the option `userProperty`. Absent: the property in which Passport keeps the user of the request. */
export function readUserProperty(name: unknown): (request: unknown) => string {
  if (name === undefined) return userPropertyOf
  if (typeof name !== 'string' || name === '') throw badOption('userProperty', 'a non-empty string', name)
  return () => name
}

/** What a strategy put into `req.user` if it is a client by its looks: somebody's browser session is none. */
export const asClient = (user: unknown): Client | undefined =>
  typeof user === 'object' && user !== null && typeof (user as Client).client_id === 'string'
    ? (user as Client)
    : undefined

const isClientOrNone = (value: unknown): boolean =>
  value === undefined || value === null || asClient(value) !== undefined

/** Checks the option `toClient`. What it returns is judged at each call. Absent: `asClient`. */
export function readToClient(
  toClient: ((user: unknown) => Client | undefined) | undefined = asClient,
): (user: unknown) => Client | undefined {
  requireFunction('toClient', toClient)
  return (user) =>
    callHook<Client | undefined | null>(
      'toClient',
      () => toClient(user),
      isClientOrNone,
      'a client at once, or undefined',
    ) ?? undefined
}

/** Sets the client of a request where oauth2orize looks for it by default, and in the property of another name. */
export function setUser(request: Request, user: unknown, property: string): void {
  request.user = user
  if (property !== 'user') Object.assign(request, { [property]: user })
}

/** The fault of a form whose body no middleware has read; `undefined` of any other request. */
export function parserFault(request: unknown): OAuthError | undefined {
  const { method, headers, body, httpVersion } = Object(request) as {
    method?: unknown
    headers?: Record<string, unknown>
    body?: unknown
    httpVersion?: unknown
  }
  if (body !== undefined || (method !== undefined && method !== 'POST')) return undefined
  // where a client sent no body, a parser leaves none (not every host shows the headers that tell)
  const hasBody = headers?.['content-length'] !== undefined || headers?.['transfer-encoding'] !== undefined
  if (httpVersion !== undefined && !hasBody) return undefined
  const type = headers?.['content-type']
  if (typeof type !== 'string' || !/^application\/x-www-form-urlencoded\s*(;|$)/i.test(type)) return undefined
  const detail = 'req.body is undefined: a body parser such as express.urlencoded() or readFormBody() must come before'
  return refusal('misconfigured', { detail })
}

let isChosen = false

/**
 * Whether a strategy is running now that was chosen by the credentials of its request, and whose time is limited by what chose it.
 * Strategies call verify at once.
 */
export const isChosenStrategy = (): boolean => isChosen

const warned = new Set<string>()

/**
 * Warns once for each function `name` of this package that a strategy calls without the request: in a chain of Passport it
 * cannot see a second credential. Not for strategies that are chosen by the request: there is one credential then.
 */
export function warnWithoutRequest(name: string): void {
  if (isChosen || warned.has(name)) return
  warned.add(name)
  process.emitWarning(
    `The verify function of ${name} is called without the request, so it cannot refuse a request that presents two credentials. Pass { passReqToCallback: true } to the strategy.`,
    { code: 'CLIENT_ASSERTION_JWT_NO_REQUEST' },
  )
}

/** Runs a strategy as Passport does: on an object of its own for each request. */
function runStrategy(strategy: StrategyLike, route: RouteOptions, request: Request, outcome: StrategyOutcome): void {
  const running = Object.assign(Object.create(strategy), {
    success: (user: unknown, info?: unknown) => outcome(undefined, user, info),
    fail: (challenge?: unknown) => outcome(refused(challenge)),
    error: (error: unknown) => outcome(broken(error)),
    pass: () => outcome(refused(undefined)),
    redirect: () => outcome(refused(undefined)),
  })
  const before = isChosen
  isChosen = true
  try {
    const pending: unknown = running.authenticate(request, route)
    if (isPromise(pending)) pending.then(undefined, (error: unknown) => outcome(broken(error)))
  } catch (error) {
    outcome(broken(error))
  } finally {
    isChosen = before
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
  if (passport === undefined) throw badOption('passport', 'given if strategies are passed by name', passport)
  requireFunction('passport.authenticate', passport.authenticate)
  return (request, response, outcome) => {
    // A strategy found by its name is run here. Passport's own way makes a middleware for each request, and what that
    // leaves behind outlives young garbage collections: it costs half as much again (bench/README.md).
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
