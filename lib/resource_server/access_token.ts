import type { Claims } from './source.ts'

/**
 * A verified access token. It has the members of the MCP SDK's `AuthInfo`, so the SDK's transports can read it from
 * `request.auth`. It contains the token itself: do not log it.
 */
export interface AccessToken {
  /** The token as the client sent it. */
  token: string
  /** The client that the token was issued to; `''` if the token of another issuer does not contain it. */
  clientId: string
  /** The user; for `client_credentials`, the client. `''` if the token of another issuer does not contain it. */
  subject: string
  /** The scope values of the token. */
  scopes: string[]
  /** The `exp` of the token, in epoch seconds. */
  expiresAt: number
  /** The option `resource` of the verifier: the API that the token is for. */
  resource: URL
  /** All claims of the token. With introspection: all members of the response. */
  claims: Readonly<Record<string, unknown>>
  /** The same claims again. The MCP SDK passes this member on to tools. */
  extra: Record<string, unknown>
}

const stringOf = (...values: readonly unknown[]): string =>
  values.find((value): value is string => typeof value === 'string') ?? ''

/** The values of `scope`: separated by spaces, or an array as some issuers write it. */
function scopesOf(scope: unknown): string[] {
  const values: readonly unknown[] = typeof scope === 'string' ? scope.split(' ') : Array.isArray(scope) ? scope : []
  return [...new Set(values)].filter((value): value is string => typeof value === 'string' && value !== '')
}

/** The public form of a token whose claims have passed all checks. */
export function toAccessToken(token: string, claims: Claims, resource: string): AccessToken {
  return {
    token,
    clientId: stringOf(claims['client_id'], claims['azp']),
    subject: stringOf(claims['sub']),
    scopes: scopesOf(claims['scope']),
    expiresAt: claims['exp'] as number,
    resource: new URL(resource),
    claims,
    extra: claims,
  }
}
