import { type Client, grantTypesOf } from './client.ts'
import type { AssertionVerification } from './client_authentication/authenticator.ts'
import { isServedBy } from './client_authentication/registered.ts'
import { type Clock, systemClock } from './clock.ts'
import { refusal } from './errors.ts'
import { type ClientStrategies, clientAuthentication, type PassportLike } from './http/client_authentication.ts'
import { type CorsOptions, createCors } from './http/cors.ts'
import { ALLOWED, isBelowMount, methodNotAllowed } from './http/endpoint.ts'
import { createErrorWriter, type ErrorResponseOptions } from './http/error_response.ts'
import { marked } from './http/form.ts'
import { createFormReader, type FormBodyOptions } from './http/form_body.ts'
import { prepare, setPrepared } from './http/json_response.ts'
import type { Middleware, Next, Request, Response } from './http/message.ts'
import { NO_STORE } from './http/no_store.ts'
import { type ExchangeLayer, type ExchangeStep, safeExchange, timedExchange } from './oauth2orize/foreign_exchange.ts'
import { booleanOption, requireFunction, wholeNumber } from './options.ts'
import { requiredParameter } from './parameters.ts'
import { type AuthenticationOptions, authenticatorOf, type EndpointFacts } from './token_handler.ts'

/** What of an oauth2orize server is used. */
export interface ServerLike {
  /** The middleware that runs the exchange. `never` lets a server be typed for the options of its own. */
  token(options?: never): unknown
}

/** Passport strategies in place of `findClient` and `verifyAssertion`. */
export interface PassportAuthentication {
  readonly passport?: PassportLike | undefined
  readonly strategies: ClientStrategies
  readonly strict?: boolean | undefined
}

/** The options of `tokenEndpoint`. */
export type TokenEndpointOptions = (AuthenticationOptions | PassportAuthentication) &
  ErrorResponseOptions &
  FormBodyOptions & {
    /** The application's oauth2orize server, with its exchanges: ours and any others. */
    readonly server: ServerLike
    /**
     * Makes a client of what the application's strategies put into `req.user`, for the check of its `grant_types`.
     * Default: `req.user` itself, if it has a `client_id`; what has none is not checked.
     */
    readonly toClient?: ((user: unknown) => Client | undefined) | undefined
    /**
     * Refuses grant types a client is not registered for, whoever's exchange it is. Default true. `false` is for exchanges
     * of your own: those of this package check it always.
     */
    readonly enforceGrantTypes?: boolean | undefined
    /** After this time an exchange that has not answered is answered for with `server_error`. Default 30000. */
    readonly exchangeTimeoutMilliseconds?: number | undefined
    /** `false`: no CORS headers. */
    readonly cors?: CorsOptions | false | undefined
    readonly clock?: Clock | undefined
  }

/** The token endpoint around an oauth2orize server, and what it offers. */
export type TokenEndpoint = ((request: Request, response: Response, next: Next) => void) &
  EndpointFacts & { readonly grantTypes: readonly string[] }

/**
 * The token endpoint (RFC 6749 §3.2) around `server.token()` of oauth2orize, as one middleware of Express 4 or 5: CORS,
 * method, form, client authentication, grant type, exchange, errors. It answers every request itself. Mount it with
 * `app.use('/token', tokenEndpoint({ … }))`. Exchanges that the application brings are kept from leaving a request
 * without an answer, from answering twice, and from telling what went wrong inside; the server is not changed.
 */
export function tokenEndpoint(options: TokenEndpointOptions): TokenEndpoint {
  const { server, toClient = asClient, clock = systemClock } = options
  requireFunction('server.token', server?.token)
  requireFunction('toClient', toClient)
  const enforced = booleanOption('enforceGrantTypes', options.enforceGrantTypes, true)
  const timeout = wholeNumber('exchangeTimeoutMilliseconds', options.exchangeTimeoutMilliseconds, 30_000, 1, 600_000)
  const cors = createCors(options.cors)
  const read = createFormReader(options)
  const writeError = createErrorWriter(options)
  const { authenticate, ...facts } = authentication(options, clock)
  const layers = guardedLayers(server, timeout)
  const token = guardedServer(server, layers).token() as Middleware

  function requireGrantType(request: Request): void {
    const grantType = requiredParameter(request.body as never, 'grant_type')
    const client = toClient(request.user)
    const clientId = client?.client_id
    const known = layers()
    if (known !== undefined && !known.some(({ type }) => type === null || type === grantType)) {
      throw refusal('grant_type_unsupported', { clientId })
    }
    if (enforced && client !== undefined && !grantTypesOf(client).includes(grantType)) {
      throw refusal('grant_type_not_registered', { clientId })
    }
  }

  function exchange(request: Request, response: Response, fail: Next): void {
    read(request, (unreadable, parameters) => {
      if (unreadable !== undefined) {
        fail(unreadable)
        return
      }
      request.body = marked(parameters)
      authenticate(request, response, (refused) => {
        try {
          if (refused !== undefined) throw refused
          requireGrantType(request)
          token(request, response, fail)
        } catch (error) {
          fail(error)
        }
      })
    })
  }

  const endpoint = (request: Request, response: Response, next: Next): void => {
    if (isBelowMount(request)) {
      next()
      return
    }
    const preflight = request.method === 'OPTIONS'
    const headers = cors.of(request, preflight)
    const fail = (error: unknown): void => writeError(error, request, response)
    if (request.method === 'POST') {
      prepare(response, headers)
      exchange(request, response, fail)
      return
    }
    request.resume()
    if (preflight) {
      response.writeHead(204, { Allow: ALLOWED, ...headers })
      response.end()
    } else {
      prepare(response, headers)
      fail(methodNotAllowed())
    }
  }
  return Object.defineProperty(Object.assign(endpoint, facts), 'grantTypes', {
    get: () => [...new Set((layers() ?? []).flatMap(({ type }) => (type === null ? [] : [type])))],
    enumerable: true,
  }) as TokenEndpoint
}

const asClient = (user: unknown): Client | undefined =>
  typeof (user as Client | undefined)?.client_id === 'string' ? (user as Client) : undefined

function authentication(options: TokenEndpointOptions, clock: Clock): EndpointFacts & { authenticate: Middleware } {
  if (!('strategies' in options)) {
    const authenticateClient = authenticatorOf(options)
    const { methods, signingAlgorithms } = authenticateClient
    return { authenticate: clientAuthentication({ authenticateClient, clock }), methods, signingAlgorithms }
  }
  const { assertion, basic, clientPassword, publicClient } = options.strategies
  const offered: readonly (readonly [string, unknown])[] = [
    ['private_key_jwt', assertion],
    ['client_secret_jwt', assertion],
    ['client_secret_basic', basic],
    ['client_secret_post', clientPassword],
    ['none', publicClient],
  ]
  const algorithms = algorithmsOf(options)
  return {
    authenticate: clientAuthentication({ ...options, clock }),
    methods: offered.flatMap(([method, strategy]) =>
      strategy === undefined || !isServedBy(method, algorithms) ? [] : [method],
    ),
    signingAlgorithms: algorithms ?? [],
  }
}

/** The algorithms of a strategy of this package, given or registered with Passport. */
function algorithmsOf(options: PassportAuthentication): readonly string[] | undefined {
  const { assertion } = options.strategies
  const registered = options.passport as { _strategy?: (name: string) => unknown } | undefined
  const strategy = typeof assertion === 'string' ? registered?._strategy?.(assertion) : assertion
  return (strategy as { verifyAssertion?: AssertionVerification } | undefined)?.verifyAssertion?.algorithms
}

/**
 * oauth2orize runs exchanges of one name in the order of their registration, the next one only if the first passes the
 * request on. Where one of the two is of `toOauth2orize`, it was mostly meant to take the other's place.
 */
function warnOfDoubles(layers: readonly ExchangeLayer[], warned: Set<string>): void {
  const first = new Map<string, ExchangeLayer>()
  for (const layer of layers) {
    const { type } = layer
    if (type === null) continue
    const before = first.get(type)
    if (before === undefined) first.set(type, layer)
    else if (!warned.has(type) && ('exchange' in layer.handle || 'exchange' in before.handle)) {
      warned.add(type)
      const code = 'PASSPORT_CLIENT_ASSERTION_JWT_DOUBLE_EXCHANGE'
      process.emitWarning(`of the exchanges for ${type} the one that was registered first answers`, { code })
    }
  }
}

/** The exchanges registered with the server at this moment, the application's own ones guarded. Keeps what it made. */
function guardedLayers(server: ServerLike, timeoutMilliseconds: number): () => readonly ExchangeLayer[] | undefined {
  const made = new WeakMap<ExchangeLayer, ExchangeLayer>()
  const warned = new Set<string>()
  let known: readonly ExchangeLayer[] = []
  /** An exchange that answers by itself. */
  const answering = (handle: ExchangeStep): ExchangeStep => {
    const safe = safeExchange(handle, timeoutMilliseconds) as ExchangeStep
    return (request, response, next) => {
      for (const [name, value] of Object.entries(NO_STORE)) response.setHeader(name, value)
      setPrepared(response)
      return safe(request, response, next)
    }
  }
  const guarded = (layer: ExchangeLayer): ExchangeLayer => {
    const before = made.get(layer)
    if (before !== undefined) return before
    const { type, handle } = layer
    const own = 'exchange' in handle
    const guard = { type, handle: own ? timedExchange(handle, timeoutMilliseconds) : answering(handle) }
    made.set(layer, guard)
    return guard
  }
  return () => {
    const { _exchanges: layers } = server as { _exchanges?: readonly ExchangeLayer[] }
    if (!Array.isArray(layers)) return undefined
    if (layers.length !== known.length) {
      known = layers.map(guarded)
      warnOfDoubles(layers, warned)
    }
    return known
  }
}

/** The server, but with guarded exchanges: an object derived from it, so that the server itself stays as it is. */
function guardedServer(server: ServerLike, layers: () => readonly ExchangeLayer[] | undefined): ServerLike {
  return layers() === undefined ? server : Object.create(server, { _exchanges: { get: layers } })
}
