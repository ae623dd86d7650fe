import type { RequestHandler } from './http/endpoint.ts'
import { createIntrospection } from './token/introspection.ts'
import { type ClientEndpointOptions, clientEndpoint, type EndpointFacts } from './token_handler.ts'

/**
 * The introspection endpoint (RFC 7662) as one function: for bare `node:http` or as an Express middleware, behind the
 * same client authentication as the token endpoint. Any confidential client may ask about any token.
 */
export const introspectionHandler = (
  options: Parameters<typeof createIntrospection>[0] & ClientEndpointOptions,
): RequestHandler & EndpointFacts => clientEndpoint(createIntrospection(options), options)
