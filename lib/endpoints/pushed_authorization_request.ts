import type { Dpop } from '../dpop/dpop.ts'
import { refusal } from '../errors.ts'
import { checkDpop } from '../oauth2orize/dpop_option.ts'
import { badOption, requireVerbs } from '../options.ts'
import type { FormParameters } from '../parameters.ts'
import type { PushedRequests } from '../pushed/pushed_requests.ts'
import { checkEndpointOptions, createAuthentication } from './authentication.ts'
import { type ClientEndpointOptions, clientEndpoint } from './client_endpoint.ts'
import { withProofHeader, withProofs } from './proofs.ts'
import type { RequestHandler } from './shell.ts'
import type { EndpointFacts } from './turn.ts'

/** The endpoint for pushed requests, and whether it is the only way to ask for authorization. */
export type PushedAuthorizationEndpoint = RequestHandler &
  EndpointFacts & {
    /** Whether every client must push its requests. */
    readonly isRequired: boolean
  }

/**
 * Makes the pushed authorization request endpoint (RFC 9126), with the client authentication of the token endpoint: for
 * bare `node:http`, or a middleware of Express 4 and 5. It responds with 201, `request_uri` and `expires_in`, or with the
 * error that the authorization endpoint would have redirected, as JSON.
 *
 * @example
 * ```ts
 * import { createPushedAuthorizationEndpoint } from 'passport-client-assertion-jwt'
 *
 * export const endpoint = createPushedAuthorizationEndpoint(pushed, {
 *   authenticateClient: createClientAuthenticator({ findClient, verifyAssertion }),
 *   endpoint: `${issuer}/par`,
 * })
 * ```
 */
export function createPushedAuthorizationEndpoint(
  pushed: PushedRequests,
  options: ClientEndpointOptions & {
    /**
     * Binds the code to the key of the DPoP proof of a pushed request (RFC 9449 §10.1): what `createDpop` returned. It needs
     * the option `endpoint`, and `createAuthorizationSide` needs the same option. Default: proofs are ignored here.
     */
    readonly dpop?: Dpop | undefined
  },
): PushedAuthorizationEndpoint {
  requireVerbs('pushed', pushed, ['connect', 'push', 'load', 'spend', 'isRequiredFor'])
  checkEndpointOptions('createPushedAuthorizationEndpoint', options, ['dpop'])
  const { dpop, endpoint } = options
  checkDpop(dpop)
  if (dpop !== undefined && endpoint === undefined) throw badOption('endpoint', "given with 'dpop'", endpoint)
  const plain = createAuthentication(options)
  const handler = clientEndpoint(
    ({ client, parameters, now, proof }, reply) => {
      reply.status = 201
      const bound = proof === undefined ? parameters : withThumbprint(parameters, proof.thumbprint, client.client_id)
      return pushed.push(client, bound, now)
    },
    dpop === undefined ? options : { ...options, cors: withProofHeader(options.cors) },
    dpop === undefined ? plain : withProofs(plain, dpop, { url: endpoint ?? '', mayRequire: false }),
  )
  return Object.assign(handler, { isRequired: pushed.isRequired })
}

/** The parameters with the key of the proof in `dpop_jkt`, which must not name another one (RFC 9449 §10.1). */
function withThumbprint(parameters: FormParameters, thumbprint: string, clientId: string): FormParameters {
  const named = parameters['dpop_jkt']
  if (named === undefined) return Object.assign(Object.create(null), parameters, { dpop_jkt: thumbprint })
  if (named === thumbprint) return parameters
  throw refusal('parameter_malformed', {
    clientId,
    description: 'The parameter dpop_jkt is not the thumbprint of the key of the DPoP proof.',
    detail: 'dpop_jkt and the proof have different keys',
  })
}
