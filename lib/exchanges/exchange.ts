import { type Client, type ClientAuthentication, grantTypesOf, isPublicClient, type RequestContext } from '../client.ts'
import { type OAuthError, refusal } from '../errors.ts'
import type { FormParameters } from '../parameters.ts'

/** The body of a successful token response, as RFC 6749 §5.1 spells it. */
export interface TokenResponse {
  /** The access token. */
  readonly access_token: string
  /** `Bearer`, `DPoP`, or the type of tokens that an exchange of the application issues. */
  readonly token_type: 'Bearer' | 'DPoP' | (string & {})
  /** Seconds. */
  readonly expires_in?: number
  /** The refresh token. Absent: none is issued. */
  readonly refresh_token?: string
  /** The granted scope, separated by spaces. Absent: it is empty, or the one that was asked for. */
  readonly scope?: string
  readonly [extension: string]: unknown
}

/** The key that a client proved to hold, by a DPoP proof (RFC 9449). */
export interface KeyProof {
  /** The SHA-256 thumbprint of the key (RFC 7638), base64url. */
  readonly thumbprint: string
}

/** A token request whose client is authenticated and whose parameters are sound. */
export interface ExchangeRequest {
  /** The authenticated client. */
  readonly client: Client
  /** How the client was authenticated; absent if the application authenticated it in another way. */
  readonly authentication?: ClientAuthentication | undefined
  /** The form parameters of the request. Each was sent once; repeated ones are refused before. */
  readonly parameters: FormParameters
  /** The one reading of the clock for this request, epoch seconds. */
  readonly now: number
  /** The request and the endpoint, and what your `context` option adds. Hooks receive it. */
  readonly context: RequestContext
  /** The key to which the tokens are to be bound. Absent without a DPoP proof. */
  readonly proof?: KeyProof | undefined
}

/**
 * What serves one `grant_type`. It refuses by rejecting with an `OAuthError`; anything else it rejects with is a fault.
 * It knows no framework: `oauth2orize/exchange` makes an oauth2orize exchange of it.
 */
export interface Exchange {
  /** The `grant_type` that it serves. */
  readonly grantType: string
  /** Serves one request of an authenticated client. */
  run(request: ExchangeRequest): Promise<TokenResponse>
}

/** RFC 6749 §4.4: a client that proves nothing must not get a token for itself. */
export const isForPublicClients = (grantType: string): boolean => grantType !== 'client_credentials'

/** Of a public client and a grant that is not for public clients, whatever its record says. */
export const publicClientRefusal = (clientId: string | undefined, grantType: string): OAuthError =>
  refusal('grant_type_not_registered', { clientId, detail: `a public client may not use ${grantType}` })

/** Throws unless the client is registered for the grant type. A grant that is not for public clients refuses each of them. */
export function requireGrant(client: Client, grantType: string, isForAll = isForPublicClients(grantType)): void {
  if (!isForAll && isPublicClient(client)) throw publicClientRefusal(client.client_id, grantType)
  if (grantTypesOf(client).includes(grantType)) return
  throw refusal('grant_type_not_registered', {
    clientId: client.client_id,
    detail: `${grantType} is not among the client's grant_types`,
  })
}
