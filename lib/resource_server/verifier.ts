import { type Clock, systemClock } from '../clock.ts'
import type { Dpop } from '../dpop/dpop.ts'
import { asOAuthError, type OAuthError, refusal } from '../errors.ts'
import { publish } from '../events.ts'
import { timeOf } from '../hooks.ts'
import { requireIssuer } from '../issuer.ts'
import type { KeySetOptions } from '../keys/key_sets.ts'
import {
  badOption,
  checkOptions,
  oneOf,
  optionNames,
  refuseIneffective,
  requireFunction,
  requireVerbs,
  wholeNumber,
} from '../options.ts'
import { requireResourceUri } from '../resource_uri.ts'
import { type AccessToken, toAccessToken } from './access_token.ts'
import { type ClaimRules, checkTokenClaims, keyOf } from './claim_checks.ts'
import { createIntrospectionSource, type IntrospectionKeys } from './introspection_source.ts'
import { createInlineSource, createRemoteSource } from './key_set.ts'
import { createLocalSource, type LocalKeys } from './local.ts'
import type { Attempt, Claims, TokenSource } from './source.ts'

/** How tokens are verified. Use exactly one of these forms. */
export type AccessTokenKeys =
  | {
      /** The URL of the issuer's key set. It is fetched when a key is needed, and cached. Revocation is not checked. */
      readonly jwksUri: string
    }
  | {
      /** The issuer's key set itself, as an object or a JSON string. Revocation is not checked. */
      readonly jwks: object | string
    }
  | LocalKeys
  | IntrospectionKeys

/** The options of `createAccessTokenVerifier`. */
export interface AccessTokenVerifierOptions {
  /** The issuer identifier of the authorization server. It must be equal to `iss`. */
  readonly issuer: string
  /**
   * The URI of this API, without a slash at its end. Clients send it as `resource`, and `aud` of the token must contain
   * it.
   */
  readonly resource: string
  /**
   * The audiences that `aud` may contain instead of `resource`, for issuers that use other values. Default: only
   * `resource`.
   */
  readonly audience?: string | readonly string[] | undefined
  /** How tokens are verified: `{ jwksUri }`, `{ jwks }`, `{ tokens, sessions }` or `{ introspect }`. */
  readonly keys: AccessTokenKeys
  /**
   * The JOSE algorithms that are accepted with `jwksUri` and `jwks`. Default `['ES256', 'EdDSA', 'RS256', 'PS256']`.
   * HMAC and `none` are never accepted. Refused with `tokens` and `introspect`.
   */
  readonly algorithms?: readonly string[] | undefined
  /**
   * `required`: `typ` must be `at+jwt`, and the token must contain `sub`, `client_id`, `jti` and `iat` (RFC 9068).
   * `optional`: for issuers that do not follow RFC 9068; `typ` may be `JWT` or absent, and these claims may be absent.
   * Then only the audience check prevents that an ID token is accepted. Default `required`. Refused with `introspect`:
   * the authorization server knows its access tokens.
   */
  readonly typ?: 'required' | 'optional' | undefined
  /** Seconds by which the clock of the issuer may differ, 0 to 300. Default 15, or 0 with `tokens`. */
  readonly clockToleranceSeconds?: number | undefined
  /**
   * How the key set at `jwksUri` is fetched and cached. Takes the same members as the option `keySets` of
   * `createAssertionVerifier`. Refused with `tokens` and `introspect`.
   */
  readonly keySets?: KeySetOptions | undefined
  /**
   * Accepts tokens that are bound to a key, with a DPoP proof (RFC 9449 §7): what `createDpop` returned. With its
   * option `required`, tokens without a proof are refused. Default: bound tokens are refused.
   */
  readonly dpop?: Dpop | undefined
  /** Returns the current time in epoch seconds. Default: the system clock. */
  readonly clock?: Clock | undefined
}

/** The DPoP proof of a request, and the request that the proof must match. */
interface PresentedProof {
  /** The value of the `DPoP` header. */
  readonly proof: unknown
  /** The HTTP method of the request. */
  readonly method: string
  /** The URL of the request as clients see it, from configuration. */
  readonly url: string
}

/** Verifies access tokens for one API. */
export interface AccessTokenVerifier {
  /** The issuer identifier of the authorization server: the option `issuer`. */
  readonly issuer: string
  /** The URI of this API: the option `resource`. */
  readonly resource: string
  /** The option `dpop`. */
  readonly dpop?: Dpop | undefined
  /**
   * Verifies a token, and resolves with its contents. Rejects with an `OAuthError`: `invalid_token` (401) if the token
   * is not valid for this API, or `temporarily_unavailable` (503) if it cannot be verified now. Both cases publish the
   * event `access_token.refused`.
   *
   * With `proof`, the token must be bound to the key of the proof. If the proof is wrong, the error is
   * `invalid_dpop_proof` or `use_dpop_nonce`.
   */
  verify(
    token: string,
    context?: {
      /** The current time in epoch seconds. Default: the option `clock`. */
      readonly now?: number | undefined
      /** The DPoP proof of the request. If it is absent, tokens that are bound to a key are refused. */
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

/** The options without effect where this server, or the authorization server, verifies its own tokens. */
const INEFFECTIVE = {
  jwksUri: [],
  jwks: [],
  tokens: ['algorithms', 'keySets'],
  introspect: ['algorithms', 'keySets', 'typ'],
} as const

/** The longest token that is looked at. */
const MOST_CHARACTERS = 16_384
/** `b64token` of RFC 6750 §2.1. One class after the other, so that the time is linear. */
const B64TOKEN = /^[A-Za-z0-9._~+/-]+=*$/
/** The clocks of nodes that share keys differ a little: a token may be a few seconds older on the next one. */
const ISSUED_AT_TOLERANCE_SECONDS = 15

/** Which kind of keys was given: exactly one. */
function kindOf(keys: unknown): (typeof KINDS)[number] {
  if (Object(keys) !== keys) throw badOption('keys', `an object with one of ${KINDS.join(', ')}`, keys)
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
 * Creates a verifier of access tokens for one API (RFC 9068 §4). It accepts access tokens of the issuer that are for
 * this API and have not expired. A token that is bound to a key is accepted only with the option `dpop` and a valid
 * proof.
 *
 * - With `{ tokens, sessions }`, revoked tokens and tokens of ended sessions are refused at once.
 * - With `introspect`, they are refused after `cacheSeconds` at the latest.
 * - With `jwksUri`, with `jwks`, and with `tokens` alone, a token is accepted until it expires.
 *
 * The verifier does not check the scope or the user's authentication; `requireAccessToken` does. It does not check
 * either whether the client or the user still exists, or what the user may do. Check these in your application.
 *
 * Throws a `TypeError` if an option is unknown or invalid.
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
  refuseIneffective('createAccessTokenVerifier', options, INEFFECTIVE[kind], `keys.${kind}`)
  const isLocal = kind === 'tokens'
  if (isLocal) requireVerbs('keys.tokens', (keys as LocalKeys).tokens, ['readAccessToken'])
  if (isLocal && (keys as LocalKeys).tokens.issuer !== issuer)
    throw badOption('issuer', `the issuer of keys.tokens, '${(keys as LocalKeys).tokens.issuer}'`, issuer)
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
        const error = asOAuthError(cause)
        publishRefusal(error, attempt?.authentic)
        throw error
      }
    },
  }
}
