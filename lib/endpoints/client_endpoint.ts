import { refusal } from '../errors.ts'
import type { ExchangeRequest } from '../exchanges/exchange.ts'
import { requireFunction } from '../options.ts'
import { type AuthenticationOptions, checkEndpointOptions, createAuthentication } from './authentication.ts'
import { createShell, type EndpointOptions, type Reply, type RequestHandler } from './shell.ts'
import type { Authenticated, EndpointFacts, Turn } from './turn.ts'

/**
 * The options of `createClientEndpoint`, which all endpoints have.
 *
 * @inline
 */
export type ClientEndpointOptions = AuthenticationOptions & EndpointOptions

/** What an endpoint may set on its response before it returns the body. */
export interface EndpointReply {
  /** Default 200. */
  status: number
  /** More headers, or others instead of those of the endpoint. */
  headers: Readonly<Record<string, string>>
}

/**
 * What an endpoint of the application does for an authenticated client. It returns the JSON of the response, or rejects
 * with an `OAuthError`. The response is a 200 unless it sets `reply.status`.
 */
export type Answer = (request: ExchangeRequest, reply: EndpointReply) => object | Promise<object>

/** The request of an authenticated client, for an exchange or an endpoint. */
export function exchangeRequest(
  { request, parameters, now, proof }: Turn,
  { client, authentication }: Authenticated,
  endpoint: string | undefined,
): ExchangeRequest {
  if (client === undefined) {
    throw refusal('client_authentication_missing', {
      detail: "expected a client in req.user: set the option 'toClient'",
    })
  }
  const known = { request, parameters, now }
  const context = endpoint === undefined ? known : { ...known, endpoint }
  return proof === undefined
    ? { client, authentication, parameters, now, context }
    : { client, authentication, parameters, now, context, proof }
}

/** Makes an endpoint from options that are checked already. */
export function clientEndpoint(
  answer: Answer,
  options: ClientEndpointOptions,
  authentication = createAuthentication(options),
): RequestHandler & EndpointFacts {
  const { methods, signingAlgorithms } = authentication
  const handler = createShell(options, { ...authentication, setsHeaders: true }, async (turn, authenticated) => {
    const reply: EndpointReply = { status: 200, headers: NONE }
    const body = await answer(exchangeRequest(turn, authenticated, options.endpoint), reply)
    return replyOf(body, reply)
  })
  return Object.assign(handler, { methods, signingAlgorithms })
}

const NONE: Readonly<Record<string, string>> = Object.freeze({})

function replyOf(body: unknown, { status, headers }: EndpointReply): Reply {
  if (typeof body !== 'object' || body === null) {
    throw refusal('misconfigured', {
      detail: `the endpoint returned ${body === null ? 'null' : typeof body}, not an object`,
    })
  }
  if (!Number.isInteger(status) || status < 200 || status > 299) {
    throw refusal('misconfigured', { detail: 'the endpoint set a status outside 200 to 299' })
  }
  if (headers === NONE) return { body, status, headers: undefined }
  if (typeof headers !== 'object' || headers === null) {
    throw refusal('misconfigured', { detail: 'the endpoint set headers that are not an object' })
  }
  return { body, status, headers }
}

/**
 * Makes an endpoint of the application for authenticated clients, with everything that the token endpoint has: path,
 * method, form, CORS, client authentication, time limit, errors. It is for bare `node:http`, or a middleware of
 * Express 4 and 5.
 *
 * ```ts
 * const register = createClientEndpoint(async ({ client, parameters }, reply) => {
 *   reply.status = 201
 *   return { owner: client.client_id, name: parameters['name'] }
 * }, { findClient, path: '/things' })
 * ```
 *
 * @example
 * ```ts
 * import { createClientEndpoint } from 'passport-client-assertion-jwt'
 *
 * const endpoint = createClientEndpoint(async ({ authentication }) => ({ method: authentication?.method }), {
 *   findClient: (clientId) => clients.find((client) => client.client_id === clientId),
 *   methods: ['client_secret_basic', 'client_secret_post', 'none', tlsClientAuth],
 *   path: '/who',
 * })
 * ```
 */
export function createClientEndpoint(answer: Answer, options: ClientEndpointOptions): RequestHandler & EndpointFacts {
  requireFunction('answer', answer)
  checkEndpointOptions('createClientEndpoint', options)
  return clientEndpoint(answer, options)
}
