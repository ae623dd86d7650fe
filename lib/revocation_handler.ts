import type { RequestHandler } from './http/endpoint.ts'
import { createRevocation } from './token/revocation.ts'
import { type ClientEndpointOptions, clientEndpoint, type EndpointFacts } from './token_handler.ts'

/**
 * The revocation endpoint (RFC 7009) as one function: for bare `node:http` or as an Express middleware, behind the same
 * client authentication as the token endpoint. It answers 200 with `{}`, also for tokens that are unknown or another
 * client's.
 */
export const revocationHandler = (
  options: Parameters<typeof createRevocation>[0] & ClientEndpointOptions,
): RequestHandler & EndpointFacts => clientEndpoint(createRevocation(options), options)
