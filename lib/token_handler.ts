import { grantTypesOf } from './client.ts'
import {
  type AuthenticateClient,
  type ClientAuthenticatorOptions,
  createClientAuthenticator,
} from './client_authentication/authenticator.ts'
import { refusal } from './errors.ts'
import type { Exchange } from './exchanges/exchange.ts'
import { type Answer, createEndpoint, type EndpointOptions, type RequestHandler } from './http/endpoint.ts'
import { badOption } from './options.ts'
import { requiredParameter } from './parameters.ts'

/** What an endpoint tells about itself, for the metadata document. */
export interface EndpointFacts {
  /** The client authentication methods it takes. */
  readonly methods: readonly string[]
  /** The JOSE algorithms it takes for assertions. */
  readonly signingAlgorithms: readonly string[]
}

/** How clients are authenticated: by a function that does it, or by the options of one. */
export type AuthenticationOptions = ClientAuthenticatorOptions | { readonly authenticateClient: AuthenticateClient }

/** The options of `clientEndpoint`, and of the handlers that are made with it. */
export type ClientEndpointOptions = AuthenticationOptions & EndpointOptions

/** The function that authenticates clients, made from options where it is not given. */
export function authenticatorOf(options: AuthenticationOptions): AuthenticateClient {
  return 'authenticateClient' in options && options.authenticateClient !== undefined
    ? options.authenticateClient
    : createClientAuthenticator(options as ClientAuthenticatorOptions)
}

/** The handler of an endpoint of the application's own for authenticated clients: pushed authorization requests, say. */
export function clientEndpoint(answer: Answer, options: ClientEndpointOptions): RequestHandler & EndpointFacts {
  const authenticateClient = authenticatorOf(options)
  const { methods, signingAlgorithms } = authenticateClient
  return Object.assign(createEndpoint(authenticateClient, answer, options), { methods, signingAlgorithms })
}

/** An exchange, plain or in the shape of oauth2orize. */
export type AnyExchange = Exchange | { readonly exchange: Exchange }

/** The options of `tokenHandler`. */
export type TokenHandlerOptions = ClientEndpointOptions & {
  /** One for each grant type that is offered. */
  readonly exchanges: readonly AnyExchange[]
}

/** The token endpoint and what it offers. */
export type TokenHandler = RequestHandler & EndpointFacts & { readonly grantTypes: readonly string[] }

/**
 * The whole token endpoint (RFC 6749 §3.2) as one function: for bare `node:http`, in front of an application, or as one
 * Express middleware. It needs neither Passport nor oauth2orize. It answers every request that is its own, errors
 * included, and refuses grant types that the client is not registered for.
 */
export function tokenHandler(options: TokenHandlerOptions): TokenHandler {
  const exchanges = new Map<string, Exchange>()
  if (!Array.isArray(options.exchanges)) throw badOption('exchanges', 'a list of exchanges', options.exchanges)
  for (const each of options.exchanges as readonly AnyExchange[]) {
    const exchange = 'exchange' in each ? each.exchange : each
    if (typeof exchange?.run !== 'function') throw badOption('exchanges', 'a list of exchanges', exchange)
    if (exchanges.has(exchange.grantType)) {
      throw badOption('exchanges', 'a list with one exchange for each grant type', exchange.grantType)
    }
    exchanges.set(exchange.grantType, exchange)
  }

  const handler = clientEndpoint(async (request) => {
    const { client, parameters } = request
    const clientId = client.client_id
    const grantType = requiredParameter(parameters, 'grant_type')
    const exchange = exchanges.get(grantType)
    if (exchange === undefined) throw refusal('grant_type_unsupported', { clientId })
    if (!grantTypesOf(client).includes(grantType)) throw refusal('grant_type_not_registered', { clientId })
    return exchange.run(request)
  }, options)
  return Object.assign(handler, { grantTypes: [...exchanges.keys()] })
}
