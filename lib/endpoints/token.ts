import type { Dpop } from '../dpop/dpop.ts'
import { refusal } from '../errors.ts'
import { type Exchange, isForPublicClients, publicClientRefusal, requireGrant } from '../exchanges/exchange.ts'
import { type ExchangeLayer, readExchanges, type ServerLike, withExchanges } from '../hosts/oauth2orize.ts'
import { readUserProperty, setUser } from '../hosts/passport.ts'
import { prepare, setPrepared } from '../http/json_response.ts'
import { setProof } from '../http/key_proof.ts'
import type { Middleware } from '../http/message.ts'
import { NO_STORE } from '../http/no_store.ts'
import { checkDpop } from '../oauth2orize/dpop_option.ts'
import { type ExchangeStep, guardedExchange } from '../oauth2orize/foreign_exchange.ts'
import { badOption, booleanOption, requireFunction } from '../options.ts'
import { type FormParameters, requiredParameter, setForm } from '../parameters.ts'
import { checkEndpointOptions, createAuthentication } from './authentication.ts'
import { type ClientEndpointOptions, exchangeRequest } from './client_endpoint.ts'
import { withProofHeader, withProofs } from './proofs.ts'
import { createShell, type RequestHandler } from './shell.ts'
import type { Authenticated, EndpointFacts } from './turn.ts'

/** An exchange, plain or in the shape of oauth2orize. */
type AnyExchange =
  | Exchange
  | {
      /** The exchange without oauth2orize. */
      readonly exchange: Exchange
    }

/** The options of `createTokenEndpoint`: either `exchanges` or `server`. */
export type TokenEndpointOptions = ClientEndpointOptions & {
  /**
   * Whether the endpoint refuses grant types that a client is not registered for, and `client_credentials` of a public
   * client (RFC 6749 §4.4). Default `true`. With `false`, your own exchanges must check both; those of this package always
   * do.
   */
  readonly enforceGrantTypes?: boolean | undefined
  /**
   * Accepts DPoP proofs and binds tokens to their keys (RFC 9449). Pass the result of `createDpop` of `./dpop`. Default:
   * proofs are ignored. Your own exchanges receive the key in `proof`.
   */
  readonly dpop?: Dpop | undefined
} & (
    | {
        /** One exchange for each supported grant type. */
        readonly exchanges: readonly AnyExchange[]
        /** Absent: the option `exchanges` is set. */
        readonly server?: undefined
      }
    | {
        /** Your oauth2orize server, with exchanges of this package and others. */
        readonly server: ServerLike
        /** Absent: the option `server` is set. */
        readonly exchanges?: undefined
        /**
         * The property of the request from which the server's exchanges read the client. Default: `user`, or the one of
         * `passport.initialize({ userProperty })`.
         */
        readonly userProperty?: string | undefined
      }
  )

/** The token endpoint, and what it offers. */
export type TokenEndpoint = RequestHandler &
  EndpointFacts & {
    /** The grant types of its exchanges. */
    readonly grantTypes: readonly string[]
    /** The JOSE algorithms of DPoP proofs; absent without the option `dpop`. */
    readonly dpopAlgorithms?: readonly string[] | undefined
  }

const OWN = ['server', 'exchanges', 'enforceGrantTypes', 'userProperty', 'dpop']

/**
 * Creates the token endpoint (RFC 6749 §3.2): path, method, form, CORS, client authentication, grant type, exchange, errors.
 * It responds to every request itself. Use it with plain `node:http`, in front of an application, or as a middleware in
 * Express 4 and 5.
 *
 * With `exchanges` it needs neither Passport nor oauth2orize. With `server` it runs the exchanges of an oauth2orize server
 * without changing the server. It ensures that your exchanges send exactly one response, and no internal errors.
 *
 * @example
 * ```ts
 * import * as oauth from 'passport-client-assertion-jwt'
 *
 * export const tokenRoute = oauth.createTokenEndpoint({
 *   passport,
 *   strategies: { assertion: 'assertion', basic: 'basic', clientPassword: 'secret', publicClient: 'public' },
 *   server,
 * })
 * ```
 */
export function createTokenEndpoint(options: TokenEndpointOptions): TokenEndpoint {
  checkEndpointOptions('createTokenEndpoint', options, OWN)
  const { server, exchanges } = options
  if (server !== undefined && exchanges !== undefined) {
    throw new TypeError("createTokenEndpoint: pass either 'server' or 'exchanges', not both")
  }
  const { userProperty } = options as { readonly userProperty?: unknown }
  const propertyOf = readUserProperty(userProperty)
  if (server === undefined && userProperty !== undefined) {
    throw new TypeError("createTokenEndpoint: option 'userProperty' has no effect without 'server'")
  }
  if (server === undefined && exchanges === undefined) {
    throw new TypeError("createTokenEndpoint needs one of the options 'exchanges' and 'server'")
  }
  const isEnforced = booleanOption('enforceGrantTypes', options.enforceGrantTypes, true)
  return server === undefined
    ? withPlainExchanges(options, exchanges, isEnforced)
    : withServer(options, server, isEnforced, propertyOf)
}

type OptionsWithDpop = ClientEndpointOptions & { readonly dpop?: Dpop | undefined }

/** What both kinds of token endpoint are made of. */
function partsOf(options: OptionsWithDpop) {
  const { dpop } = options
  const plain = createAuthentication(options)
  const { methods, signingAlgorithms } = plain
  if (dpop === undefined) return { authentication: plain, shell: options, facts: { methods, signingAlgorithms } }
  checkDpop(dpop)
  return {
    authentication: withProofs(plain, dpop, { url: dpop.tokenEndpoint, mayRequire: true }),
    shell: { ...options, cors: withProofHeader(options.cors) },
    facts: { methods, signingAlgorithms, dpopAlgorithms: dpop.algorithms },
  }
}

/** The grant type of a request. Throws an `OAuthError` if it is not offered, or the client is not registered for it. */
function requireGrantType(
  parameters: FormParameters,
  { client, authentication }: Authenticated,
  isOffered: (grantType: string) => boolean,
  isEnforced: boolean,
): string {
  const grantType = requiredParameter(parameters, 'grant_type')
  if (!isOffered(grantType)) throw refusal('grant_type_unsupported', { clientId: client?.client_id })
  if (!isEnforced) return grantType
  // also of a strategy's own kind of record, which says nothing of grant types
  if (authentication?.method === 'none' && !isForPublicClients(grantType))
    throw publicClientRefusal(client?.client_id, grantType)
  if (client !== undefined) requireGrant(client, grantType)
  return grantType
}

function withPlainExchanges(options: OptionsWithDpop, given: unknown, isEnforced: boolean): TokenEndpoint {
  const exchanges = exchangeMap(given)
  const isOffered = (grantType: string): boolean => exchanges.has(grantType)
  const { authentication, shell, facts } = partsOf(options)
  const handler = createShell(shell, authentication, async (turn, authenticated) => {
    const request = exchangeRequest(turn, authenticated, options.endpoint)
    const grantType = requireGrantType(turn.parameters, authenticated, isOffered, isEnforced)
    const body = await exchanges.get(grantType)?.run(request)
    if (typeof body !== 'object' || body === null) {
      throw refusal('misconfigured', { detail: `the exchange for ${grantType} did not return a token response` })
    }
    return { body, status: 200, headers: undefined }
  })
  return Object.assign(handler, { ...facts, grantTypes: [...exchanges.keys()] })
}

function exchangeMap(given: unknown): ReadonlyMap<string, Exchange> {
  const exchanges = new Map<string, Exchange>()
  if (!Array.isArray(given)) throw badOption('exchanges', 'an array of exchanges', given)
  for (const each of given as readonly AnyExchange[]) {
    const exchange = Object(each) === each && 'exchange' in each ? each.exchange : (each as Exchange)
    if (typeof exchange?.run !== 'function' || typeof exchange.grantType !== 'string') {
      throw badOption('exchanges', 'an array of exchanges', exchange)
    }
    if (exchanges.has(exchange.grantType)) {
      throw badOption('exchanges', 'an array with one exchange for each grant type', exchange.grantType)
    }
    exchanges.set(exchange.grantType, exchange)
  }
  return exchanges
}

function withServer(
  options: OptionsWithDpop,
  server: ServerLike,
  isEnforced: boolean,
  propertyOf: (request: unknown) => string,
): TokenEndpoint {
  requireFunction('server.token', server?.token)
  const layers = guardedLayers(server)
  const token = (layers() === undefined ? server : withExchanges(server, layers)).token() as Middleware
  const isOffered = (grantType: string): boolean => {
    const known = layers()
    return known === undefined || known.some(({ type }) => type === null || type === grantType)
  }
  const { authentication, shell, facts } = partsOf(options)
  const hasStrategies = 'strategies' in options && options.strategies !== undefined

  const handler = createShell(shell, authentication, (turn, authenticated) => {
    const { client, authentication: how } = authenticated
    const { request, response, parameters, cors, plainCors, proof } = turn
    requireGrantType(parameters, authenticated, isOffered, isEnforced)
    // what exchanges for oauth2orize read; strategies have set it already, perhaps to another kind of record
    if (!hasStrategies) {
      setForm(request, parameters)
      request.user = client
      request.authInfo = how
    }
    setUser(request, request.user, propertyOf(request))
    if (proof !== undefined) setProof(request, proof)
    return new Promise((resolve, reject) => {
      prepare(response, { ours: plainCors, foreign: cors })
      response.on('close', () => resolve(undefined)) // the exchange has responded, or nobody listens any more
      token(request, response, reject)
    })
  })
  const endpoint = Object.assign(handler, facts)
  return Object.defineProperty(endpoint, 'grantTypes', {
    get: () => [...new Set((layers() ?? []).flatMap(({ type }) => (type === null ? [] : [type])))],
    enumerable: true,
  }) as TokenEndpoint
}

type Layer = ExchangeLayer<ExchangeStep>

/**
 * oauth2orize runs exchanges of one grant type in the order of their registration, the next one only if the first passes
 * the request on. If one of the two is of `toOauth2orize`, it was mostly meant to replace the other.
 */
function warnOfDoubles(layers: readonly Layer[], warned: Set<string>): void {
  const first = new Map<string, Layer>()
  for (const layer of layers) {
    const { type } = layer
    if (type === null) continue
    const before = first.get(type)
    if (before === undefined) first.set(type, layer)
    else if (!warned.has(type) && ('exchange' in layer.handle || 'exchange' in before.handle)) {
      warned.add(type)
      const code = 'CLIENT_ASSERTION_JWT_DOUBLE_EXCHANGE'
      process.emitWarning(
        `More than one exchange is registered for "${type}"; only the first one is used. Remove the other.`,
        { code },
      )
    }
  }
}

/** Makes an exchange of the application safe: headers are set before it, and it responds once at most. */
function guarded(handle: ExchangeStep): ExchangeStep {
  const safe = guardedExchange(handle) as ExchangeStep
  return (request, response, next) => {
    for (const [name, value] of Object.entries(NO_STORE)) response.setHeader(name, value)
    setPrepared(response)
    return safe(request, response, next)
  }
}

/** The exchanges that the server has now, those of the application guarded. Keeps what it made. */
function guardedLayers(server: ServerLike): () => readonly Layer[] | undefined {
  const made = new WeakMap<Layer, Layer>()
  const warned = new Set<string>()
  let known: readonly Layer[] = []
  const guard = (layer: Layer): Layer => {
    if ('exchange' in layer.handle) return layer
    const before = made.get(layer)
    if (before !== undefined) return before
    const safe = { type: layer.type, handle: guarded(layer.handle) }
    made.set(layer, safe)
    return safe
  }
  return () => {
    const layers = readExchanges<ExchangeStep>(server)
    if (layers === undefined) return undefined
    if (layers.length !== known.length) {
      known = layers.map(guard)
      warnOfDoubles(layers, warned)
    }
    return known
  }
}
