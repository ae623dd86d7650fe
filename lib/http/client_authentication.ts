import type { AuthenticatedClient, FindClient } from '../client.ts'
import type { AuthenticateClient } from '../client_authentication/authenticator.ts'
import { publishAuthenticated } from '../client_authentication/authenticator.ts'
import { BUILT_IN, isServedBy } from '../client_authentication/built_in.ts'
import { type Choice, createMethodChoice } from '../client_authentication/choice.ts'
import { basicCredentials, requireOneClient } from '../client_authentication/client_secret_basic.ts'
import type { BuiltInMethod, PresentedRequest, StrategyDoor } from '../client_authentication/method.ts'
import {
  authenticateByOwn,
  findRegistered,
  type MethodsOption,
  readMethods,
} from '../client_authentication/own_method.ts'
import { type Clock, systemClock } from '../clock.ts'
import { asError, OAuthError, refusal, unavailable, withChallenge } from '../errors.ts'
import { publishFailure } from '../events.ts'
import { timeOf } from '../hooks.ts'
import {
  callHost,
  createStrategyRunner,
  type PassportLike,
  parserFault,
  type RunStrategy,
  readUserProperty,
  requestForBasicStrategy,
  type StrategyLike,
  type StrategyOutcome,
  setUser,
  strategyAlgorithms,
} from '../hosts/passport.ts'
import {
  badOption,
  booleanOption,
  checkEndpoint,
  checkOptions,
  refuseIneffective,
  requireFunction,
  requireVerbs,
} from '../options.ts'
import type { FormParameters } from '../parameters.ts'
import { soundForm } from './form.ts'
import type { Middleware, Next, Request } from './message.ts'

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
  /** For a method of your own, under its name in `methods`: the strategy that serves it instead of its `authenticate`. */
  readonly [method: string]: string | StrategyLike | undefined
}

/**
 * Client authentication by Passport strategies, one for each method.
 *
 * @inline
 */
export interface StrategyAuthenticationOptions {
  /** The application's Passport; needed for strategies given by name. */
  readonly passport?: PassportLike | undefined
  /** The strategy of each method: its name in Passport, or the strategy itself. */
  readonly strategies: ClientStrategies
  /**
   * The methods of your own. Names of methods of this package say nothing here: those that have a strategy are offered. See
   * `createClientAuthenticator`.
   */
  readonly methods?: MethodsOption | undefined
  /** Looks up the clients that methods of your own may serve; needed with those. */
  readonly findClient?: FindClient | undefined
  /** See `createClientAuthenticator`. Default false. */
  readonly strict?: boolean | undefined
  /** The advertised URL of the endpoint, which assertions may have as `aud`. Default: the token endpoint. */
  readonly endpoint?: string | undefined
}

/**
 * The options of `authenticateClients`: a function that authenticates clients, or Passport strategies that do.
 *
 * @inline
 */
export type ClientAuthenticationOptions = (
  | {
      /** Authenticates the client of a request: what `createClientAuthenticator` returned, or your own function. */
      readonly authenticateClient: AuthenticateClient
    }
  | StrategyAuthenticationOptions
) & {
  /** The advertised URL of the endpoint, where it is not the token endpoint. */
  readonly endpoint?: string | undefined
  /**
   * The property of the request in which exchanges look for the client, set in addition to `user`. Default: the one of
   * `passport.initialize({ userProperty })`.
   */
  readonly userProperty?: string | undefined
  /** The source of the time. Default: the clock of this machine. */
  readonly clock?: Clock | undefined
}

/** What runs for a method that a request presents. */
interface Door {
  readonly run: RunStrategy
  readonly methods: readonly string[]
  readonly signingAlgorithms: readonly string[]
}

/** Tells which method it was where the strategy does not. */
const naming =
  (method: string | undefined, outcome: StrategyOutcome): StrategyOutcome =>
  (error, user, info) => {
    const isNamed = typeof info === 'object' && info !== null && 'method' in info
    outcome(error, user, isNamed || method === undefined ? info : { method })
  }

/** The methods that a credential stands for: an assertion itself says which one it is. */
const methodOf = ({ method, presents }: BuiltInMethod): string | undefined =>
  presents === 'client_assertion' ? undefined : method

/** Authenticates by the application's strategies: the request is looked at first, then one of them runs. */
function byStrategies(options: StrategyAuthenticationOptions, clock: Clock): Door {
  const { strategies, passport, endpoint, findClient } = options
  const strict = booleanOption('strict', options.strict, false)
  const { own } = readMethods(options.methods)
  const doors = new Set<string>(BUILT_IN.map(({ strategy }) => strategy))
  const known = [...doors, ...own.map(({ method }) => method)]
  const given = Object.keys(Object(strategies))
  if (given.length === 0 || !given.every((name) => known.includes(name))) {
    throw badOption('strategies', `an object with some of ${known.join(', ')}`, given.join(', ') || strategies)
  }
  const runners = new Map<string, RunStrategy>()
  for (const [name, strategy] of Object.entries(strategies)) {
    if (strategy !== undefined)
      runners.set(name, createStrategyRunner(`strategies.${name}`, strategy, passport, endpoint))
  }
  for (const { method, authenticate } of own) {
    if (!runners.has(method)) requireFunction(`methods.${method}.authenticate`, authenticate)
  }
  if (own.length > 0 || findClient !== undefined) requireFunction('findClient', findClient)
  if (passport !== undefined) requireVerbs('passport', passport, ['authenticate'])
  const choose = createMethodChoice(own, strict)

  function runBuiltIn(method: BuiltInMethod, ...[request, response, outcome]: Parameters<RunStrategy>): void {
    const run = runners.get(method.strategy satisfies StrategyDoor)
    let seen = request
    if (method.presents === 'authorization_header') {
      const pairs = basicCredentials(request, 'tolerant')
      if (strict) requireOneClient(pairs, request.body as FormParameters)
      const { clientId, clientSecret } = pairs[pairs.length - 1] as (typeof pairs)[number]
      seen = requestForBasicStrategy(request, clientId, clientSecret)
    }
    if (run === undefined)
      throw refusal('client_method_mismatch', { detail: `this endpoint does not support ${method.presents}` })
    run(seen, response, naming(methodOf(method), outcome))
  }

  async function byRegistration(
    choice: Choice,
    presented: PresentedRequest,
    ...[request, response, outcome]: Parameters<RunStrategy>
  ): Promise<void> {
    const { own: mine, client } = await findRegistered(choice, presented, findClient as FindClient)
    if (mine === undefined || client === undefined) {
      runBuiltIn(choice.builtIn as BuiltInMethod, request, response, outcome)
      return
    }
    const { method } = mine
    const run = runners.get(method)
    if (run === undefined) {
      const authenticated = await authenticateByOwn(mine, client, presented)
      publishAuthenticated(authenticated)
      outcome(undefined, authenticated.client, authenticated.authentication)
      return
    }
    const ofMethod = naming(method, outcome)
    run(request, response, (error, user, info) => {
      if (error === undefined && typeof user === 'object' && user !== null)
        publishAuthenticated({ client, authentication: { method } })
      ofMethod(error, user, info)
    })
  }

  const algorithms = strategyAlgorithms(strategies.assertion, passport)
  const offered = BUILT_IN.filter((method) => runners.has(method.strategy) && isServedBy(method, algorithms))
  return {
    run(request, response, outcome) {
      const parameters = request.body as FormParameters
      const choice = choose(request, parameters)
      if (choice.own.length === 0 && choice.builtIn !== undefined) {
        runBuiltIn(choice.builtIn, request, response, outcome)
        return
      }
      const now = timeOf(clock)
      const context = endpoint === undefined ? { request, now } : { request, now, endpoint }
      byRegistration(choice, { request, parameters, context }, request, response, outcome).catch((error: unknown) =>
        outcome(asError(publishFailure(error))),
      )
    },
    methods: [...offered, ...own].map(({ method }) => method),
    signingAlgorithms: [...new Set([...(algorithms ?? []), ...own.flatMap((each) => each.signingAlgorithms ?? [])])],
  }
}

/** Authenticates by the function of the core. */
function byFunction(authenticateClient: AuthenticateClient, endpoint: string | undefined, clock: Clock): Door {
  requireFunction('authenticateClient', authenticateClient)
  return {
    run(request, _response, outcome) {
      const now = timeOf(clock)
      const context = endpoint === undefined ? { request, now } : { request, now, endpoint }
      new Promise((resolve) => resolve(authenticateClient(request, request.body as FormParameters, context))).then(
        (answer: unknown) => {
          const { client, authentication } = Object(answer) as Partial<AuthenticatedClient>
          const detail = 'authenticateClient must resolve with { client, authentication }'
          if (typeof client?.client_id === 'string') outcome(undefined, client, authentication)
          else outcome(asError(publishFailure(refusal('misconfigured', { detail }))))
        },
        (cause: unknown) => {
          const detail = "the option 'authenticateClient' threw or rejected"
          outcome(
            cause instanceof OAuthError ? cause : asError(publishFailure(refusal('unexpected', { cause, detail }))),
          )
        },
      )
    },
    methods: authenticateClient.methods,
    signingAlgorithms: authenticateClient.signingAlgorithms,
  }
}

/** How long a strategy, or a function of the application, is waited for. */
const MOST_SECONDS = 30

/** What only strategies need: the function has its own. */
const OF_STRATEGIES = ['passport', 'strategies', 'methods', 'findClient', 'strict']
const OPTIONS = ['authenticateClient', ...OF_STRATEGIES, 'endpoint', 'userProperty', 'clock']

/**
 * A middleware that authenticates the client of a request whose form `readFormBody` has read, by exactly one method, chosen
 * from the request (RFC 6749 §2.3): by the function of `createClientAuthenticator`, or by one of the application's
 * Passport strategies. It sets `req.user` to the client and `req.authInfo` to how it was authenticated, keeps no session
 * and never takes the user of one for a client. Refusals and faults go to `next` as `OAuthError`s.
 *
 * @example
 * ```ts
 * import { authenticateClients } from 'passport-client-assertion-jwt'
 *
 * app.use('/device_authorization', allowCors(), setNoStore(), readFormBody(), authenticateClients({ authenticateClient }))
 * app.post('/device_authorization', (req, res) => {
 *   res.json({ for: req.user, authenticatedBy: req.authInfo })
 * })
 * app.use('/device_authorization', respondWithError())
 * ```
 */
export function authenticateClients(options: ClientAuthenticationOptions): Middleware {
  checkOptions('authenticateClients', options, OPTIONS)
  const { authenticateClient } = options as { readonly authenticateClient?: unknown }
  if (authenticateClient !== undefined)
    refuseIneffective('authenticateClients', options, OF_STRATEGIES, "'authenticateClient'")
  const { authenticate } = authenticationBy(options)
  return (request, response, next) => {
    let isOver = false
    const timer = setTimeout(() => {
      isOver = true
      next(publishFailure(unavailable(new Error(`client authentication did not end within ${MOST_SECONDS} seconds`))))
    }, MOST_SECONDS * 1000).unref()
    authenticate(request, response, (error) => {
      clearTimeout(timer)
      if (!isOver) next(error)
    })
  }
}

/** The same from options that the caller has checked, and what it offers, for the metadata document. */
export function authenticationBy(options: ClientAuthenticationOptions): {
  readonly authenticate: Middleware
  readonly methods: readonly string[]
  readonly signingAlgorithms: readonly string[]
} {
  const { clock = systemClock, endpoint } = options
  requireFunction('clock', clock)
  checkEndpoint(endpoint)
  const propertyOf = readUserProperty(options.userProperty)
  const { run, methods, signingAlgorithms } =
    'authenticateClient' in options && options.authenticateClient !== undefined
      ? byFunction(options.authenticateClient, endpoint, clock)
      : byStrategies(options as StrategyAuthenticationOptions, clock)

  const authenticate: Middleware = (request, response, next) => {
    let settled = false
    const outcome: StrategyOutcome = (error, user, info) => {
      if (settled) return
      settled = true
      finish(request, propertyOf(request), next, error, user, info)
    }
    try {
      setUser(request, undefined, propertyOf(request))
      const fault = request.headers.authorization ? undefined : parserFault(request) // Basic needs no body
      if (fault !== undefined) throw fault
      // not remembered as ours: an application may still change in place what its own parser left
      const { body } = request
      request.body = soundForm(request, typeof body === 'object' && body !== null ? body : {})
      run(request, response, outcome)
    } catch (error) {
      outcome(asError(publishFailure(error)))
    }
  }
  return { authenticate, methods, signingAlgorithms }
}

function finish(request: Request, property: string, next: Next, error: unknown, user: unknown, info: unknown): void {
  if (error === undefined && typeof user === 'object' && user !== null) {
    setUser(request, user, property)
    request.authInfo = info
    callHost(request, () => next(), next)
  } else {
    const failure = error ?? noClient()
    const told = request.headers.authorization ? withChallenge(failure) : failure
    callHost(request, () => next(told), next)
  }
}

/** What is no client was authenticated by a strategy of the application. */
const noClient = (): unknown =>
  publishFailure(refusal('strategy_refused', { detail: 'the Passport strategy refused the client' }))
