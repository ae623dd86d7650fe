import { type Client, grantTypesOf, type RequestContext } from '../client.ts'
import { publish } from '../events.ts'
import { askHook, MOST_HOOK_MILLISECONDS } from '../hooks.ts'
import { newIdentifier } from '../identifier.ts'
import { requireIssuer } from '../issuer.ts'
import { isStrings } from '../optional.ts'
import {
  badOption,
  checkOptions,
  optionNames,
  refuseIneffective,
  requireFunction,
  requireVerbs,
  wholeNumber,
} from '../options.ts'
import type { Session } from '../session/session.ts'
import {
  checkedFactory,
  FACTORY_OPTION_NAMES,
  FACTORY_OPTIONS,
  makeTokenFactory,
  type TokenFactory,
  type TokenFactoryOptions,
  type TokenKind,
} from './factory.ts'
import type { Claims } from './jwt.ts'
import type { PublicJwk } from './key.ts'
import {
  type AccessTokenClaims,
  areStrings,
  type ClaimsContext,
  type RefreshTokenClaims,
  withAdded,
  withKey,
} from './token_claims.ts'

const isAudience = (aud: unknown): boolean => (typeof aud === 'string' ? aud !== '' : isStrings(aud) && aud.length > 0)

const DEFAULT_ACCESS_TOKEN_SECONDS = 900
const LONGEST_ACCESS_TOKEN_SECONDS = 86_400 * 365
/** The id of a token has 16 random bytes (22 characters). */
const TOKEN_ID_OCTETS = 16

/** A token response (RFC 6749 §5.1). */
export interface TokenSet {
  /** The access token. */
  readonly access_token: string
  /** `DPoP` if the access token is bound to a key (RFC 9449 §5), otherwise `Bearer`. */
  readonly token_type: 'Bearer' | 'DPoP'
  /** Seconds. */
  readonly expires_in: number
  /** The refresh token. Absent: the client may not use the grant, or keeps the token it has. */
  readonly refresh_token?: string
  /** Seconds for which the refresh token may stay unused. Not part of RFC 6749; CharonOauth2 has it. */
  readonly refresh_expires_in?: number
  /** Absent if the scope is empty. */
  readonly scope?: string
  readonly [extension: string]: unknown
}

/** The options of `createTokens`. */
export interface TokensOptions extends TokenFactoryOptions {
  /** The issuer identifier of this server, exactly as in its metadata. */
  readonly issuer: string
  /** A factory to use instead of the options that describe one, which are then refused: `baseSecret`, `keyset`, … */
  readonly factory?: TokenFactory | undefined
  /** Lifetime of access tokens in seconds, never longer than their session. Default 900; 1 to 31 536 000. */
  readonly accessTokenLifetimeSeconds?: number | undefined
  /** The `aud` of access tokens: the resource servers they are for. Default: the issuer. */
  readonly audience?: string | readonly string[] | undefined
  /**
   * Claims to add to an access token. They may replace `aud`, `scope` and `nbf`. The protected ones (`iss`, `sub`,
   * `client_id`, `sid`, `styp`, `jti`, `iat`, `exp`, `g`) do not change. The function runs after
   * the session is saved. If it throws, the request fails and the presented refresh token stays valid.
   */
  readonly claims?:
    | ((context: ClaimsContext) => Readonly<Record<string, unknown>> | undefined | Promise<Claims | undefined>)
    | undefined
}

/** What an access token is issued for. */
interface AccessTokenRequest {
  /** The scope of the access token; '' for none. Not checked. */
  readonly scope: string
  /** The time in epoch seconds: the `iat` of the token. */
  readonly now: number
  /** The request, for the `claims` hook. */
  readonly context: RequestContext
  /** The `aud` of this access token. Default: the option `audience` of `createTokens`. The `claims` hook may replace it. */
  readonly audience?: string | readonly string[] | undefined
  /** For the event and the `claims` hook. */
  readonly grantType?: string | undefined
  /** The key to bind the access token to, from the request. */
  readonly proof?:
    | {
        /** The SHA-256 thumbprint of the key (RFC 7638): `cnf.jkt` of the token. */
        readonly thumbprint: string
      }
    | undefined
}

/** Issues and verifies the tokens of this server. Publishes `token.issued` for each response. */
export interface Tokens {
  /** The issuer identifier: the `iss` of every token. */
  readonly issuer: string
  /** Seconds an access token is valid, unless its session ends earlier. */
  readonly accessTokenLifetimeSeconds: number
  /**
   * Issues an access token, and a refresh token if the client may use the grant. The access token does not outlive the
   * session. The `exp` of the refresh token is informational: the session decides how long it is valid.
   */
  issue(
    session: Session,
    options: AccessTokenRequest & {
      /** The authenticated client. */
      readonly client: Client
      /** The generation of the refresh token. `undefined` issues none, because the client keeps its refresh token. */
      readonly generation: number | undefined
    },
  ): Promise<TokenSet>
  /** Issues an access token without a session or refresh token, for the client itself (RFC 6749 §4.4) or for `subject`. */
  issueForClient(
    client: Client,
    options: AccessTokenRequest & {
      /** Default: the client. */
      readonly subject?: string | undefined
      /** Default: the option `accessTokenLifetimeSeconds`. */
      readonly lifetimeSeconds?: number | undefined
    },
  ): Promise<TokenSet>
  /**
   * Returns the claims of a refresh token of this server, even if its `exp` has passed. It checks signature, kind and issuer,
   * and does not use the store. You check the client and the session; the session decides how long the token is valid.
   */
  readRefreshToken(token: string): Promise<RefreshTokenClaims | undefined>
  /** Like `readRefreshToken`, but also requires that `exp` is after `now`. The session decides whether the token is valid. */
  verifyRefreshToken(token: string, now: number): Promise<RefreshTokenClaims | undefined>
  /** Like `verifyAccessToken`, but does not check `exp` and `nbf`. */
  readAccessToken(token: string): Promise<AccessTokenClaims | undefined>
  /**
   * Returns the claims of an access token of this server if it is not expired and not before its `nbf` at `now`, or
   * `undefined`. It does not check whether the session is active or the token was revoked, as introspection does, nor
   * audience and scope, as the resource server does.
   */
  verifyAccessToken(token: string, now: number): Promise<AccessTokenClaims | undefined>
  /** The public keys, for `jwks_uri`. */
  jwks(): {
    /** Public keys as JWKs; empty if tokens are signed with HMAC. */
    keys: readonly PublicJwk[]
  }
}

type KeyProof = { readonly thumbprint: string } | undefined

const typeOf = (proof: KeyProof): 'Bearer' | 'DPoP' => (proof === undefined ? 'Bearer' : 'DPoP')

const tokenSet = (access_token: string, expires_in: number, scope: string, proof: KeyProof): TokenSet =>
  scope === ''
    ? { access_token, token_type: typeOf(proof), expires_in }
    : { access_token, token_type: typeOf(proof), expires_in, scope }

/** What an operator may know of the tokens of an answer: whose they are and the name of the access token, not the token. */
const publishIssued = (claims: Claims, scope: string, grantType: string | undefined): void =>
  publish('token.issued', () => {
    const { client_id, sub, sid, jti, exp } = claims as unknown as AccessTokenClaims
    return { clientId: client_id, subject: sub, sessionId: sid, grantType, scope, tokenId: jti, expiresAt: exp }
  })

const TOKENS_OPTIONS = optionNames<TokensOptions>({
  ...FACTORY_OPTION_NAMES,
  issuer: true,
  factory: true,
  accessTokenLifetimeSeconds: true,
  audience: true,
  claims: true,
})

/**
 * Creates the functions that issue and verify the tokens of `issuer`.
 *
 * @example
 * ```ts
 * import * as oauth from 'passport-client-assertion-jwt'
 *
 * const tokens = oauth.createTokens({ issuer, baseSecret: process.env.BASE_SECRET ?? '' }) // 32 bytes or more
 * ```
 */
export function createTokens(options: TokensOptions): Tokens {
  checkOptions('createTokens', options, TOKENS_OPTIONS)
  const { issuer, claims: hook } = options
  requireIssuer(issuer)
  if (hook !== undefined) requireFunction('claims', hook)
  if (options.factory !== undefined) {
    requireVerbs('factory', options.factory, ['sign', 'verify'])
    refuseIneffective('createTokens', options, FACTORY_OPTIONS, "'factory'")
  }
  const factory =
    options.factory === undefined ? makeTokenFactory('createTokens', options) : checkedFactory(options.factory)
  const lifetime = wholeNumber(
    'accessTokenLifetimeSeconds',
    options.accessTokenLifetimeSeconds,
    DEFAULT_ACCESS_TOKEN_SECONDS,
    1,
    LONGEST_ACCESS_TOKEN_SECONDS,
  )
  const aud = Array.isArray(options.audience) ? [...options.audience] : (options.audience ?? issuer)
  if (!isAudience(aud)) {
    throw badOption('audience', 'a string or an array of strings', options.audience)
  }

  const added = (claims: NonNullable<typeof hook>, contextOf: () => ClaimsContext) =>
    askHook('claims', MOST_HOOK_MILLISECONDS, () => claims(contextOf()))

  /** `contextOf` is called only where there is a hook to be told. */
  const signedAccessToken = (
    claims: Claims,
    contextOf: () => ClaimsContext,
    proof: KeyProof,
  ): string | Promise<string> => {
    const sign = (all: Claims): string | Promise<string> =>
      factory.sign('access_token', proof === undefined ? all : withKey(all, proof.thumbprint))
    return hook === undefined ? sign(claims) : added(hook, contextOf).then((more) => sign(withAdded(claims, more)))
  }

  /** The claims of a token of this server and kind, whose expiry is a moment and whose other claims named here are texts. */
  const read = async (kind: TokenKind, token: string, texts: readonly string[]): Promise<Claims | undefined> => {
    const claims = await factory.verify(kind, token)
    if (claims === undefined || claims['iss'] !== issuer) return undefined
    return areStrings(claims, texts) && typeof claims['exp'] === 'number' ? claims : undefined
  }

  const readRefreshToken = async (token: string): Promise<RefreshTokenClaims | undefined> => {
    const claims = await read('refresh_token', token, ['client_id', 'sid', 'styp', 'jti'])
    return Number.isSafeInteger(claims?.['g']) ? (claims as unknown as RefreshTokenClaims) : undefined
  }

  const readAccessToken = async (token: string): Promise<AccessTokenClaims | undefined> =>
    (await read('access_token', token, ['sub', 'client_id', 'jti'])) as unknown as AccessTokenClaims | undefined

  return {
    issuer,
    accessTokenLifetimeSeconds: lifetime,
    async issue(session, { client, scope, generation, now, context, grantType, proof, audience = aud }) {
      const { id: sid, type: styp, subject, refreshExpiresAt } = session
      const client_id = client.client_id
      const exp = Math.min(now + lifetime, refreshExpiresAt)
      // Objects are built without spreads: these lines run for every answer.
      const claims: Record<string, unknown> = {
        iss: issuer,
        sub: subject,
        aud: audience,
        client_id,
        jti: newIdentifier(TOKEN_ID_OCTETS),
        iat: now,
        exp,
        sid,
        styp,
      }
      if (scope !== '') claims['scope'] = scope
      const contextOf = () => ({ ...context, client, subject, scope, session, grantType, now })
      const access_token = await signedAccessToken(claims, contextOf, proof)
      const mayRefresh = grantTypesOf(client).includes('refresh_token')
      const refresh_token =
        mayRefresh && generation !== undefined
          ? await factory.sign('refresh_token', {
              iss: issuer,
              client_id,
              sid,
              styp,
              g: generation,
              jti: newIdentifier(TOKEN_ID_OCTETS),
              iat: now,
              exp: refreshExpiresAt,
            })
          : undefined
      publishIssued(claims, scope, grantType)
      const expires_in = exp - now
      if (!mayRefresh) return tokenSet(access_token, expires_in, scope, proof)
      const refresh_expires_in = refreshExpiresAt - now
      if (refresh_token === undefined)
        return { ...tokenSet(access_token, expires_in, scope, proof), refresh_expires_in }
      return scope === ''
        ? { access_token, token_type: typeOf(proof), expires_in, refresh_token, refresh_expires_in }
        : { access_token, token_type: typeOf(proof), expires_in, refresh_token, refresh_expires_in, scope }
    },
    async issueForClient(client, options) {
      const { client_id } = client
      const { scope, now, context, grantType, proof } = options
      const { subject = client_id, audience = aud, lifetimeSeconds = lifetime } = options
      const claims: Record<string, unknown> = {
        iss: issuer,
        sub: subject,
        aud: audience,
        client_id,
        jti: newIdentifier(TOKEN_ID_OCTETS),
        iat: now,
        exp: now + lifetimeSeconds,
      }
      if (scope !== '') claims['scope'] = scope
      const contextOf = () => ({ ...context, client, subject, scope, grantType, now })
      const access_token = await signedAccessToken(claims, contextOf, proof)
      publishIssued(claims, scope, grantType)
      return tokenSet(access_token, lifetimeSeconds, scope, proof)
    },
    readRefreshToken,
    async verifyRefreshToken(token, now) {
      const claims = await readRefreshToken(token)
      return claims !== undefined && now < claims.exp ? claims : undefined
    },
    readAccessToken,
    async verifyAccessToken(token, now) {
      const claims = await readAccessToken(token)
      if (claims === undefined || !(now < claims.exp)) return undefined // no moment at all is past it, too
      const { nbf } = claims
      return typeof nbf === 'number' && !(now >= nbf) ? undefined : claims
    },
    jwks: () => factory.jwks?.() ?? { keys: [] },
  }
}
