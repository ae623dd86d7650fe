import type { Client, RequestContext } from '../client.ts'
import { refusal } from '../errors.ts'
import type { Session } from '../session/session.ts'
import type { Claims } from './jwt.ts'

/** What an access token says (RFC 9068 §2.2); claims of the application beside these. */
export interface AccessTokenClaims {
  /** The issuer identifier of the server that issued the token. */
  readonly iss: string
  /** The user, or for `client_credentials` the client. */
  readonly sub: string
  /** The client that the token was issued to. */
  readonly client_id: string
  /** The id of the token. */
  readonly jti: string
  /** When the token was issued, epoch seconds. */
  readonly iat: number
  /** When the token expires, epoch seconds. */
  readonly exp: number
  /** The audience (RFC 7519 §4.1.3): a string, or an array of strings. */
  readonly aud?: unknown
  /** The scope values, separated by spaces. Absent: none. */
  readonly scope?: unknown
  /** The session it belongs to, and that session's type; absent for `client_credentials`. */
  readonly sid?: string
  /** The type of that session. */
  readonly styp?: string
  readonly [claim: string]: unknown
}

/** What a refresh token says. */
export interface RefreshTokenClaims {
  /** The issuer identifier of the server that issued the token. */
  readonly iss: string
  /** The client that the token was issued to. */
  readonly client_id: string
  /** The session, its type, and the generation of this token. */
  readonly sid: string
  /** The type of the session: `oauth2` for sessions of this package. */
  readonly styp: string
  /** The generation: it counts the refresh tokens of the session. */
  readonly g: number
  /** The id of the token. */
  readonly jti: string
  /** When the token was issued, epoch seconds. */
  readonly iat: number
  /** When the token expires, epoch seconds. Informational: the session decides. */
  readonly exp: number
}

/** What the `claims` hook may know. */
export interface ClaimsContext extends RequestContext {
  /** The client that the token is issued to. */
  readonly client: Client
  /** The user, or for `client_credentials` the client. */
  readonly subject: string
  /** The scope of this access token, which may be narrower than the session's. */
  readonly scope: string
  /** Absent for `client_credentials`. */
  readonly session?: Session
  /** The `grant_type` of the request, where it is known. */
  readonly grantType?: string | undefined
  /** Epoch seconds. */
  readonly now: number
}

/** What no hook of the application may change: what a token stands for, and how long. */
const PROTECTED = ['iss', 'sub', 'client_id', 'sid', 'styp', 'jti', 'iat', 'exp', 'g'] as const

/** `claims` with the claims that the application adds or replaces, except for the protected ones. */
export function withAdded(claims: Claims, added: Claims | undefined | null): Claims {
  if (added === undefined || added === null) return claims
  if (typeof added !== 'object' || Array.isArray(added))
    throw refusal('misconfigured', { detail: "the option 'claims' must return an object, or undefined" })
  const all: Record<string, unknown> = { ...claims, ...added }
  for (const name of PROTECTED) {
    if (name in claims) all[name] = claims[name]
    else delete all[name]
  }
  return all
}

/** The claims of a token that is bound to the key of a DPoP proof (RFC 9449 §6.1), whatever else the application confirms. */
export function withKey(claims: Claims, thumbprint: string): Claims {
  const { cnf } = claims
  return { ...claims, cnf: { ...(typeof cnf === 'object' ? cnf : undefined), jkt: thumbprint } }
}

/** Whether an access token is bound to a key by a DPoP proof. */
export function isBoundToKey({ cnf }: Readonly<Record<string, unknown>>): boolean {
  return typeof (cnf as { readonly jkt?: unknown } | undefined | null)?.jkt === 'string'
}

export const areStrings = (claims: Claims, names: readonly string[]): boolean =>
  names.every((name) => typeof claims[name] === 'string')
