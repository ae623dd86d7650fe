import type { ClientAuthenticationMethod } from '../client.ts'
import type { AuthenticateClient } from '../client_authentication/authenticator.ts'
import { type Credentials, parseBasic } from '../client_authentication/basic.ts'
import { namesTwoClients, type Presented, presentedMethod } from '../client_authentication/presented.ts'
import { type Clock, systemClock } from '../clock.ts'
import { asError, OAuthError, refusal, unavailable } from '../errors.ts'
import { publishFailure } from '../events.ts'
import { isPromise } from '../maybe_promise.ts'
import { badOption, booleanOption, requireFunction } from '../options.ts'
import type { FormParameters } from '../parameters.ts'
import { parsedForm } from './form.ts'
import type { Middleware, Next, Request, Response } from './message.ts'

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

/** For each way of authenticating a client the strategy that serves it: a name registered with Passport, or a strategy. */
export interface ClientStrategies {
  /** `private_key_jwt` and `client_secret_jwt`. */
  readonly assertion?: string | StrategyLike | undefined
  /** `client_secret_basic`: whatever has an `Authorization` header. */
  readonly basic?: string | StrategyLike | undefined
  /** `client_secret_post`. */
  readonly clientPassword?: string | StrategyLike | undefined
  /** `none`: a `client_id` alone. */
  readonly publicClient?: string | StrategyLike | undefined
}

/** Client authentication by Passport strategies, one for each method. */
export interface StrategyAuthenticationOptions {
  /** The application's Passport; needed for strategies given by name. */
  readonly passport?: PassportLike | undefined
  readonly strategies: ClientStrategies
  /** See `createClientAuthenticator`. Default false. */
  readonly strict?: boolean | undefined
  readonly endpoint?: string | undefined
}

/** The options of `clientAuthentication`: a function that authenticates clients, or Passport strategies that do. */
export type ClientAuthenticationOptions = (
  | { readonly authenticateClient: AuthenticateClient }
  | StrategyAuthenticationOptions
) & {
  /** The advertised URL of the endpoint, where it is not the token endpoint. */
  readonly endpoint?: string | undefined
  readonly clock?: Clock | undefined
}

/** What a strategy is told: no login session, and which endpoint is called. */
type RouteOptions = { session: boolean; endpoint?: string }
type Outcome = (error: unknown, user?: unknown, info?: unknown) => void
type Run = (request: Request, response: Response, outcome: Outcome) => void

/** Which entry of `ClientStrategies` serves what a request presents, and the method if the strategy names none. */
const SERVED_BY = {
  authorization_header: ['basic', 'client_secret_basic'],
  client_assertion: ['assertion', undefined],
  client_secret: ['clientPassword', 'client_secret_post'],
  client_id: ['publicClient', 'none'],
} as const satisfies Record<Presented['by'], readonly [keyof ClientStrategies, ClientAuthenticationMethod | undefined]>

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
function runStrategy(strategy: StrategyLike, route: RouteOptions, request: Request, outcome: Outcome): void {
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

function runner(name: keyof ClientStrategies, options: StrategyAuthenticationOptions): Run | undefined {
  const { endpoint } = options
  const route: RouteOptions = endpoint === undefined ? { session: false } : { session: false, endpoint }
  const strategy = options.strategies[name]
  if (strategy === undefined) return undefined
  if (typeof strategy === 'object' && typeof strategy?.authenticate === 'function') {
    return (request, _response, outcome) => runStrategy(strategy, route, request, outcome)
  }
  if (typeof strategy !== 'string') throw badOption(`strategies.${name}`, 'a name or a strategy', strategy)
  const { passport } = options
  if (passport === undefined) throw badOption('passport', 'given where strategies are named', passport)
  requireFunction('passport.authenticate', passport.authenticate)
  return (request, response, outcome) => {
    // A strategy found by its name is run here. Passport's own way makes a middleware for each request, and what that
    // leaves behind outlives young garbage collections: it costs half as much again (docs/performance.md).
    const shown = passport as { _strategy?: (name: string) => StrategyLike | undefined }
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

/**
 * The request as passport-http can read it. It takes a secret that begins with a colon for an empty one: there it gets a
 * request with the same credentials in the encoding of RFC 6749 §2.3.1.
 */
function readable(request: Request, pairs: readonly Credentials[]): Request {
  const credentials = pairs.at(-1)
  if (!credentials?.clientSecret.startsWith(':')) return request
  const { clientId, clientSecret } = credentials
  const encoded = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`).toString('base64')
  return Object.create(request, { headers: { value: { ...request.headers, authorization: `Basic ${encoded}` } } })
}

/** Authenticates by the application's strategies: the request is looked at first, then one of them runs. */
function byStrategies(options: StrategyAuthenticationOptions): Run {
  const strict = booleanOption('strict', options.strict, false)
  const given = Object.keys(Object(options.strategies))
  const known = Object.values(SERVED_BY).map(([name]): string => name)
  if (given.length === 0 || !given.every((name) => known.includes(name))) {
    throw badOption('strategies', `an object with some of ${known.join(', ')}`, given.join(', ') || options.strategies)
  }
  const runners = {
    assertion: runner('assertion', options),
    basic: runner('basic', options),
    clientPassword: runner('clientPassword', options),
    publicClient: runner('publicClient', options),
  }
  return (request, response, outcome) => {
    const parameters = request.body as FormParameters
    const presented = presentedMethod(request, parameters, strict)
    const [name, method] = SERVED_BY[presented.by]
    const serving = runners[name]
    let seen = request
    if (presented.by === 'authorization_header') {
      const pairs = parseBasic(presented.header, 'tolerant')
      const named = parameters['client_id']
      if (strict && named !== undefined && !pairs.some(({ clientId }) => clientId === named)) throw namesTwoClients()
      seen = readable(request, pairs)
    }
    if (serving === undefined)
      throw refusal('client_method_mismatch', { detail: `${presented.by} is not offered here` })
    serving(seen, response, (error, user, info) => {
      const named = typeof info === 'object' && info !== null && 'method' in info
      outcome(error, user, named || method === undefined ? info : { method })
    })
  }
}

/** Authenticates by the function of the core. */
const byFunction =
  (authenticateClient: AuthenticateClient, endpoint: string | undefined, clock: Clock): Run =>
  (request, _response, outcome) => {
    const context = endpoint === undefined ? { request, now: clock() } : { request, now: clock(), endpoint }
    authenticateClient(request, request.body as FormParameters, context).then(
      ({ client, authentication }) => outcome(undefined, client, authentication),
      (error) => outcome(asError(error)),
    )
  }

/**
 * A middleware that authenticates the client of a request whose form `formBody` has read, by exactly one method, chosen
 * from the request (RFC 6749 §2.3): by the function of `createClientAuthenticator`, or by one of the application's
 * Passport strategies. It sets `req.user` to the client and `req.authInfo` to how it was authenticated, keeps no session
 * and never takes the user of one for a client. Refusals and faults go to `next` as `OAuthError`s.
 */
export function clientAuthentication(options: ClientAuthenticationOptions): Middleware {
  const { clock = systemClock, endpoint } = options
  const run =
    'authenticateClient' in options
      ? byFunction(checked(options.authenticateClient), endpoint, clock)
      : byStrategies(options)

  return (request, response, next) => {
    let settled = false
    const outcome: Outcome = (error, user, info) => {
      if (settled) return
      settled = true
      finish(request, next, error, user, info)
    }
    try {
      request.user = undefined
      request.body = parsedForm(typeof request.body === 'object' && request.body !== null ? request.body : {})
      run(request, response, outcome)
    } catch (error) {
      outcome(asError(publishFailure(error)))
    }
  }
}

function finish(request: Request, next: Next, error: unknown, user: unknown, info: unknown): void {
  if (error === undefined && typeof user === 'object' && user !== null) {
    request.user = user
    request.authInfo = info
    next()
  } else {
    next(error ?? refused(undefined))
  }
}

function checked(authenticateClient: AuthenticateClient): AuthenticateClient {
  requireFunction('authenticateClient', authenticateClient)
  return authenticateClient
}
