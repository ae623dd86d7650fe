import { type Clock, systemClock } from '../clock.ts'
import type { Dpop } from '../dpop/dpop.ts'
import { OAuthError, refusal } from '../errors.ts'
import { publish } from '../events.ts'
import { timeOf } from '../hooks.ts'
import { requireIssuer } from '../issuer.ts'
import type { KeySetOptions } from '../keys/key_sets.ts'
import { badOption, checkOptions, oneOf, optionNames, requireFunction, requireVerbs, wholeNumber } from '../options.ts'
import { requireResourceUri } from '../resource_uri.ts'
import { type AccessToken, toAccessToken } from './access_token.ts'
import { type ClaimRules, checkTokenClaims, keyOf } from './claim_checks.ts'
import { createIntrospectionSource, type IntrospectionKeys } from './introspection_source.ts'
import { createInlineSource, createRemoteSource } from './key_set.ts'
import { createLocalSource, type LocalKeys } from './local.ts'
import type { Attempt, Claims, TokenSource } from './source.ts'

/** Where the trust in a token comes from: exactly one of these. */
export type AccessTokenKeys =
  | {
      /** The key set of the issuer. It is fetched when it is needed, and kept. Revocation is not seen. */
      readonly jwksUri: string
    }
  | {
      /** The key set itself, as an object or JSON. Revocation is not seen. */
      readonly jwks: object | string
    }
  | LocalKeys
  | IntrospectionKeys

/** The options of `createAccessTokenVerifier`. */
export interface AccessTokenVerifierOptions {
  /** The issuer identifier of the authorization server; compared exactly with `iss`. */
  readonly issuer: string
  /** The URI of this API, without a slash at its end: what clients send as `resource`, and what `aud` must contain. */
  readonly resource: string
  /** What `aud` may contain instead of `resource`, for issuers that write something else. Default: `resource` alone. */
  readonly audience?: string | readonly string[] | undefined
  /** How tokens are proven: `{ jwksUri }`, `{ jwks }`, `{ tokens, sessions }` or `{ introspect }`. */
  readonly keys: AccessTokenKeys
  /** The algorithms of remote keys. Default ES256, EdDSA, RS256 and PS256. Never HMAC and never `none`. */
  readonly algorithms?: readonly string[] | undefined
  /**
   * `required` (default): `typ` must be `at+jwt`, and `sub`, `client_id`, `jti` and `iat` must be there (RFC 9068).
   * `optional` is for issuers that do not follow RFC 9068: `typ` may be `JWT` or absent, and so may these claims. Then the
   * audience alone keeps an ID token from being accepted.
   */
  readonly typ?: 'required' | 'optional' | undefined
  /** Seconds by which the clock of the issuer may differ, 0 to 300. Default 15; with `tokens` 0. */
  readonly clockToleranceSeconds?: number | undefined
  /** How `jwksUri` is fetched and kept: the options that `createAssertionVerifier` has under the same name. */
  readonly keySets?: KeySetOptions | undefined
  /**
   * Accepts tokens that are bound to a key, with a DPoP proof (RFC 9449 §7): what `createDpop` returned. With its option
   * `required` no other tokens are accepted. Default: bound tokens are refused.
   */
  readonly dpop?: Dpop | undefined
  /** Default: the clock of this machine. */
  readonly clock?: Clock | undefined
}

/** The DPoP proof of a request, and the request that it must be for. */
interface PresentedProof {
  /** The value of the header `DPoP`. */
  readonly proof: unknown
  /** The HTTP method of the request. */
  readonly method: string
  /** The URL of the request as clients know it, from configuration. */
  readonly url: string
}

/** Verifies access tokens for one resource. */
export interface AccessTokenVerifier {
  /** The issuer identifier of the authorization server: the option `issuer`. */
  readonly issuer: string
  /** The URI of this API: the option `resource`. */
  readonly resource: string
  /** The option `dpop`. */
  readonly dpop?: Dpop | undefined
  /**
   * Resolves with what the token says. Rejects with an `OAuthError`: `invalid_token` (401) if the token is not good here,
   * `temporarily_unavailable` (503) if that cannot be decided now. Publishes `access_token.refused` for both. With `proof`
   * the token must be bound to the key of the proof: rejects with `invalid_dpop_proof` or `use_dpop_nonce` for a wrong one.
   */
  verify(
    token: string,
    context?: {
      /** The time in epoch seconds. Default: the clock. */
      readonly now?: number | undefined
      /** The DPoP proof of the request. Absent: tokens that are bound to a key are refused. */
      readonly proof?: PresentedProof | undefined
    },
  ): Promise<AccessToken>
}

const NAMES = optionNames<AccessTokenVerifierOptions>({
  issuer: true,
  resource: true,
  audience: true,
  keys: true,
  algorithms: true,
  typ: true,
  clockToleranceSeconds: true,
  keySets: true,
  dpop: true,
  clock: true,
})
const KINDS = ['jwksUri', 'jwks', 'tokens', 'introspect'] as const

/** The longest token that is looked at. */
const MOST_CHARACTERS = 16_384
/** `b64token` of RFC 6750 §2.1. One class after the other, so that the time is linear. */
const B64TOKEN = /^[A-Za-z0-9._~+/-]+=*$/
/** The clocks of nodes that share keys differ a little: a token may be a few seconds older on the next one. */
const ISSUED_AT_TOLERANCE_SECONDS = 15

/** Which kind of keys was given: exactly one. */
function kindOf(keys: unknown): (typeof KINDS)[number] {
  checkOptions('keys', keys, [...KINDS, 'sessions', 'cacheSeconds'])
  const given = keys as Readonly<Record<string, unknown>>
  const kinds = KINDS.filter((kind) => given[kind] !== undefined)
  const [kind] = kinds
  if (kind === undefined || kinds.length > 1)
    throw badOption('keys', `an object with one of ${KINDS.join(', ')}`, kinds.join(' and ') || 'none')
  for (const [name, owner] of [
    ['sessions', 'tokens'],
    ['cacheSeconds', 'introspect'],
  ] as const)
    if (given[name] !== undefined && kind !== owner) throw badOption(`keys.${name}`, `absent without ${owner}`, kind)
  return kind
}

function readAudiences(audience: unknown, resource: string): readonly string[] {
  if (audience === undefined) return [resource]
  const all: readonly unknown[] = Array.isArray(audience) ? audience : [audience]
  if (all.length === 0 || !all.every((each): each is string => typeof each === 'string' && each !== ''))
    throw badOption('audience', 'a string or a non-empty array of strings', audience)
  return all
}

/** What an operator may know of a token that was not accepted: why, and its name if the issuer wrote it. Never the token. */
function publishRefusal(error: OAuthError, authentic: Claims | undefined): void {
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
  publish('access_token.refused', () => ({
    reason: error.reason,
    detail: error.detail,
    tokenId: text(authentic?.['jti']),
    clientId: text(authentic?.['client_id']),
    ...(error.cause === undefined ? {} : { cause: error.cause }),
  }))
}

/** Publishes that a verified token was not enough for a request, and returns the error. */
export function publishInsufficient(error: OAuthError, { claims }: AccessToken): OAuthError {
  publishRefusal(error, claims)
  return error
}

/**
 * Makes the function that verifies access tokens for one API (RFC 9068 §4). It accepts an access token of the issuer that is for this
 * resource and has not expired. A token that is bound to a key is accepted only with the option `dpop` and its proof.
 *
 * - With `{ tokens, sessions }` revoked tokens and those of ended sessions are refused at once; with `introspect` after
 *   `cacheSeconds`. With `jwksUri` and `jwks`, and with `tokens` alone, a token is accepted until it expires.
 * - Not checked: scope and authentication of the user (`requireAccessToken` does), whether the client or the user still
 *   exists, and what the user may do. Check these in your application.
 *
 * @example
 * ```ts
 * import { createAccessTokenVerifier } from 'passport-client-assertion-jwt/resource-server'
 *
 * export const verifier = createAccessTokenVerifier({
 *   issuer: 'https://as.example',
 *   resource: 'https://api.example',
 *   keys: { introspect, cacheSeconds: 10 },
 * })
 * ```
 */
export function createAccessTokenVerifier(options: AccessTokenVerifierOptions): AccessTokenVerifier {
  checkOptions('createAccessTokenVerifier', options, NAMES)
  const { keys, algorithms, keySets, dpop, clock = systemClock } = options
  if (dpop !== undefined) requireVerbs('dpop', dpop, ['checkProof', 'spendProof', 'getNonce'])
  const issuer = requireIssuer(options.issuer)
  const resource = requireResourceUri(options.resource)
  requireFunction('clock', clock)
  const isTypeOptional = oneOf('typ', options.typ, 'required', ['required', 'optional']) === 'optional'
  const kind = kindOf(keys)
  const isLocal = kind === 'tokens'
  if (isLocal && (keys as LocalKeys).tokens.issuer !== issuer)
    throw badOption('issuer', `the one of keys.tokens, '${(keys as LocalKeys).tokens.issuer}'`, issuer)
  const tolerance = wholeNumber('clockToleranceSeconds', options.clockToleranceSeconds, isLocal ? 0 : 15, 0, 300)
  const isIntrospected = kind === 'introspect'
  const rules: ClaimRules = {
    issuer,
    audiences: readAudiences(options.audience, resource),
    isStrict: !isTypeOptional && !isIntrospected,
    tolerance,
    issuedAtTolerance: Math.max(tolerance, ISSUED_AT_TOLERANCE_SECONDS),
  }
  const keySetRules = { issuer, algorithms, isTypeOptional, keySets }
  const given = keys as Readonly<Record<string, unknown>>
  const source: TokenSource =
    kind === 'tokens'
      ? createLocalSource(keys as LocalKeys)
      : kind === 'introspect'
        ? createIntrospectionSource(keys as IntrospectionKeys)
        : kind === 'jwks'
          ? createInlineSource(given['jwks'], keySetRules)
          : createRemoteSource(given['jwksUri'] as string, keySetRules)

  function checkSize(token: unknown): void {
    if (typeof token !== 'string' || token === '') throw refusal('token_missing', { detail: 'no token was passed' })
    if (token.length > MOST_CHARACTERS)
      throw refusal('token_malformed', { detail: `the token is longer than ${MOST_CHARACTERS} characters` })
    if (!B64TOKEN.test(token)) throw refusal('token_malformed', { detail: 'expected the characters of RFC 6750' })
  }

  /** The last step for a bound token (RFC 9449 §7.1): the proof is of the token's key, for this request, and new. */
  async function checkProof({ proof, method, url }: PresentedProof, token: string, claims: Claims, now: number) {
    if (dpop === undefined) throw refusal('misconfigured', { detail: "a proof was passed without the option 'dpop'" })
    const proven = await dpop.checkProof(proof, { method, url, now, accessToken: token })
    if (proven.thumbprint !== keyOf(claims))
      throw refusal('token_key_mismatch', { detail: 'the token is bound to a key other than that of the proof' })
    await dpop.spendProof(proven)
  }

  return {
    issuer,
    resource,
    ...(dpop === undefined ? undefined : { dpop }),
    async verify(token, context = {}) {
      let attempt: Attempt | undefined
      try {
        const now = context.now ?? timeOf(clock)
        if (!Number.isFinite(now)) throw refusal('misconfigured', { detail: 'the time must be a number' }) // nothing expires
        checkSize(token)
        if (dpop?.isRequired && context.proof === undefined)
          throw refusal('token_bound', { detail: 'the token was sent without a DPoP proof, and one is required' })
        const checkClaims = (claims: Claims): void =>
          checkTokenClaims(claims, rules, now, isIntrospected, context.proof !== undefined)
        attempt = { token, now, checkClaims, authentic: undefined }
        const claims = await source(attempt)
        if (context.proof !== undefined) await checkProof(context.proof, token, claims, now)
        return toAccessToken(token, claims, resource)
      } catch (cause) {
        const error = cause instanceof OAuthError ? cause : refusal('unexpected', { cause })
        publishRefusal(error, attempt?.authentic)
        throw error
      }
    },
  }
}
