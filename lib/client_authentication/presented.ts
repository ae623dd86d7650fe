import { type OAuthError, refusal } from '../errors.ts'
import type { FormParameters } from '../parameters.ts'

/** What the choice of a method looks at. `rawHeaders` is Node's list; without it a repeated header cannot be seen. */
export interface RequestHead {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly rawHeaders?: readonly string[]
}

/** The method a request presents, chosen by looking at it, not by trying. */
export type Presented =
  | { readonly by: 'authorization_header'; readonly header: string }
  | { readonly by: 'client_assertion' }
  | { readonly by: 'client_secret'; readonly clientId: string; readonly clientSecret: string }
  | { readonly by: 'client_id'; readonly clientId: string }

const BY_ASSERTION = { by: 'client_assertion' } as const

function isRepeated(rawHeaders: readonly string[]): boolean {
  let seen = false
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]
    if (name?.length !== 13 || name.toLowerCase() !== 'authorization') continue
    if (seen) return true
    seen = true
  }
  return false
}

/**
 * The one client authentication method a request presents (RFC 6749 §2.3). An `Authorization` header is final: what it
 * holds is judged later, and `client_id` and `client_secret` in the body are ignored beside it, unless `strict`. A client
 * assertion beside the header or beside a secret is `invalid_request`, always. Nothing presented is `invalid_client`.
 * Checks neither the client nor anything it sent.
 */
export function presentedMethod(request: RequestHead, parameters: FormParameters, strict: boolean): Presented {
  const { client_id: clientId, client_secret: clientSecret } = parameters
  const asserted = parameters['client_assertion'] !== undefined || parameters['client_assertion_type'] !== undefined
  const { authorization } = request.headers
  if (authorization !== undefined) {
    if (asserted) throw twoMethods('a client assertion beside an Authorization header', clientId)
    if (typeof authorization !== 'string' || (request.rawHeaders !== undefined && isRepeated(request.rawHeaders))) {
      throw refusal('authorization_header_malformed', { detail: 'expected one Authorization header, got several' })
    }
    if (strict && clientSecret !== undefined)
      throw twoMethods('a client_secret beside an Authorization header', clientId)
    return { by: 'authorization_header', header: authorization }
  }
  if (asserted) {
    if (clientSecret !== undefined) throw twoMethods('a client assertion beside a client_secret', clientId)
    return BY_ASSERTION
  }
  if (clientId === undefined) {
    throw clientSecret === undefined
      ? refusal('client_authentication_missing', { detail: 'expected client authentication, got none' })
      : refusal('client_authentication_missing', { detail: 'expected a client_id beside the client_secret' })
  }
  return clientSecret === undefined ? { by: 'client_id', clientId } : { by: 'client_secret', clientId, clientSecret }
}

const twoMethods = (got: string, clientId: string | undefined) =>
  refusal('client_authentication_repeated', {
    description: 'The request uses more than one client authentication method.',
    detail: `expected one client authentication method, got ${got}`,
    clientId,
  })

/** The refusal of a header and a body that name different clients, for servers that are strict. */
export const namesTwoClients = (clientId?: string): OAuthError =>
  refusal('client_authentication_repeated', {
    description: 'The request names two clients.',
    detail: 'expected the client_id of the Authorization header in the body, or none',
    clientId,
  })
