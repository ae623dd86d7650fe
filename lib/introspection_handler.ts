import type { RequestHandler } from './http/endpoint.ts'
import { createIntrospection } from './token/introspection.ts'
import { type ClientEndpointOptions, clientEndpoint, type EndpointFacts } from './token_handler.ts'

/**
 * The introspection endpoint (RFC 7662) as one function: for bare `node:http` or as an Express middleware, behind the
 * same client authentication as the token endpoint. Any confidential client may ask about any token.
 */
export function introspectionHandler(
  options: Parameters<typeof createIntrospection>[0] & ClientEndpointOptions,
): RequestHandler & EndpointFacts {
  const handler = clientEndpoint(createIntrospection(options), options)
  // Public clients may not ask, so the metadata document must not say that they may.
  return Object.assign(handler, { methods: handler.methods.filter((method) => method !== 'none') })
}
