import { requireVerbs } from '../options.ts'
import type { PushedRequests } from '../pushed/pushed_requests.ts'
import { checkEndpointOptions } from './authentication.ts'
import { type ClientEndpointOptions, clientEndpoint } from './client_endpoint.ts'
import type { RequestHandler } from './shell.ts'
import type { EndpointFacts } from './turn.ts'

/** The endpoint for pushed requests, and whether it is the only way to ask for authorization. */
export type PushedAuthorizationEndpoint = RequestHandler & EndpointFacts & { readonly isRequired: boolean }

/**
 * Makes the pushed authorization request endpoint (RFC 9126), with the client authentication of the token endpoint: for
 * bare `node:http`, or a middleware of Express 4 and 5. It responds with 201, `request_uri` and `expires_in`, or with the
 * error that the authorization endpoint would have redirected, as JSON.
 */
export function createPushedAuthorizationEndpoint(
  pushed: PushedRequests,
  options: ClientEndpointOptions,
): PushedAuthorizationEndpoint {
  requireVerbs('pushed', pushed, ['connect', 'push', 'load', 'spend', 'isRequiredFor'])
  checkEndpointOptions('createPushedAuthorizationEndpoint', options)
  const handler = clientEndpoint(({ client, parameters, now }, reply) => {
    reply.status = 201
    return pushed.push(client, parameters, now)
  }, options)
  return Object.assign(handler, { isRequired: pushed.isRequired })
}
