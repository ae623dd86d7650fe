import { askHook, callHook, MOST_HOOK_MILLISECONDS, returnedWrong } from '../hooks.ts'
import { badOption, checkOptions, oneOf, optionNames, refuseIneffective } from '../options.ts'
import { type BaseSecret, deriveKeyset } from './derived_keys.ts'
import { type Claims, type JwtCodec, jwtCodec } from './jwt.ts'
import type { PublicJwk } from './key.ts'
import { exportPublicJwks, type Keyset } from './keyset.ts'
import { opaqueCodec } from './opaque.ts'

/** The two kinds of token. One is never taken for the other. */
export type TokenKind = 'access_token' | 'refresh_token'

/**
 * Makes tokens of claims and claims of tokens. Applications may bring their own.
 *
 * - Must: answer `verify` with the claims only of tokens it made itself as that very kind, and with `undefined` for
 *   anything else, whatever it looks like. Must not touch a store for a token it did not make.
 * - May assume: claims are plain JSON. Expiry, issuer and client are judged by the caller.
 * - A rejection is a fault.
 */
export interface TokenFactory {
  /** Makes a token of these claims. Its kind must be told from the token when it is verified. */
  sign(kind: TokenKind, claims: Claims): string | Promise<string>
  /** The claims of a token of this kind that this factory made, expired or not; `undefined` for any other text. */
  verify(kind: TokenKind, token: string): Claims | undefined | Promise<Claims | undefined>
  /** The public keys for `jwks_uri`; without it the server has none to show. */
  jwks?(): {
    /** The public keys as JWKs. */
    keys: readonly PublicJwk[]
  }
}

/** A keyset, or a function that gives the one in force, for rotation while the server runs. */
export type KeysetSource = Keyset | (() => Keyset)

/**
 * The options of `createTokenFactory`.
 *
 * @inline
 */
export interface TokenFactoryOptions {
  /**
   * The secret every key that is not given is derived from; the same on every node. Of several the first signs and the
   * others still verify.
   */
  readonly baseSecret?: BaseSecret | readonly BaseSecret[] | undefined
  /**
   * `jwt` (RFC 9068, the default), or `opaque`, which only introspection resolves. With `opaque`, `keyset`,
   * `accessTokenAlgorithm` and `accessTokenType` are refused, because nothing is signed with them.
   */
  readonly accessTokenFormat?: 'jwt' | 'opaque' | undefined
  /** The algorithm of the access token key that is derived from `baseSecret`. Default `ES256`. Not with `keyset`. */
  readonly accessTokenAlgorithm?: 'ES256' | 'EdDSA' | 'HS256' | undefined
  /**
   * The `typ` header of JWT access tokens. Default `at+jwt` (RFC 9068 §2.1). `JWT` is for resource servers that refuse
   * `at+jwt`; tokens of both types are then accepted here. With `JWT`, sign nothing else with the same key.
   */
  readonly accessTokenType?: 'at+jwt' | 'JWT' | undefined
  /** Signs access tokens, instead of the keys derived from `baseSecret`. */
  readonly keyset?: KeysetSource | undefined
  /**
   * Signs refresh tokens. Default: HS256 derived from `baseSecret`; without one, the `keyset`, whose kinds of token are
   * then told apart by `typ` alone, so that resource servers must check it (RFC 9068 §4).
   */
  readonly refreshTokenKeyset?: KeysetSource | undefined
}

/** RFC 9068 §2.1. */
const ACCESS_TOKEN_TYPE = 'at+jwt'
/** Of this package. */
const REFRESH_TOKEN_TYPE = 'rt+jwt'

const isKeyset = (value: unknown): boolean => {
  const { signingKey, keys } = Object(value) as Partial<Keyset>
  return typeof signingKey?.kid === 'string' && typeof keys?.get === 'function'
}

/** The keyset in force, of a function of the application. */
const currentKeyset = (option: string, source: () => Keyset): Keyset =>
  callHook(option, source, isKeyset, 'a keyset at once, as createKeyset makes it')

/** The codec of the keyset in force, made once for each keyset. */
function codecs(
  option: string,
  typ: string,
  source: KeysetSource,
  alsoAccepted: readonly string[] = [],
): () => JwtCodec {
  if (typeof source !== 'function') {
    if (!isKeyset(source)) throw badOption(option, 'a keyset, as createKeyset makes it, or a function', source)
    const codec = jwtCodec(typ, source, alsoAccepted)
    return () => codec
  }
  let last: { readonly keyset: Keyset; readonly codec: JwtCodec } | undefined
  return () => {
    const keyset = currentKeyset(option, source)
    if (last?.keyset !== keyset) last = { keyset, codec: jwtCodec(typ, keyset, alsoAccepted) }
    return last.codec
  }
}

/** The names of the options, for `createTokens`, which has more. */
export const FACTORY_OPTION_NAMES = {
  baseSecret: true,
  accessTokenFormat: true,
  accessTokenAlgorithm: true,
  accessTokenType: true,
  keyset: true,
  refreshTokenKeyset: true,
} as const
export const FACTORY_OPTIONS = optionNames<TokenFactoryOptions>(FACTORY_OPTION_NAMES)

/**
 * The token factory of this package: access tokens as JWTs under ES256 (or as `accessTokenFormat` and the keysets say),
 * refresh tokens as JWTs under a separate HMAC key. `typ` is pinned for each kind and the algorithm for each key.
 *
 * @example
 * ```ts
 * import { createTokenFactory } from 'passport-client-assertion-jwt'
 *
 * const factory = createTokenFactory({
 *   baseSecret,
 *   keyset: deriveKeyset(baseSecret, { alg: 'EdDSA', purpose: 'invitations' }),
 * })
 * const invitation = await factory.sign('access_token', { iss: 'https://as.example.com', sub: 'alice' })
 * console.log(await factory.verify('access_token', invitation))
 * ```
 */
export function createTokenFactory(options: TokenFactoryOptions): TokenFactory {
  checkOptions('createTokenFactory', options, FACTORY_OPTIONS)
  return makeTokenFactory('createTokenFactory', options)
}

/** The factory of options that may have more members, which the caller has checked. */
export function makeTokenFactory(caller: string, options: TokenFactoryOptions): TokenFactory {
  const { baseSecret } = options
  const format = oneOf('accessTokenFormat', options.accessTokenFormat, 'jwt', ['jwt', 'opaque'])
  const alg = oneOf('accessTokenAlgorithm', options.accessTokenAlgorithm, 'ES256', ['ES256', 'EdDSA', 'HS256'])
  const type = oneOf('accessTokenType', options.accessTokenType, ACCESS_TOKEN_TYPE, [ACCESS_TOKEN_TYPE, 'JWT'])
  if (baseSecret === undefined && (options.keyset === undefined || format === 'opaque')) {
    throw badOption('baseSecret', format === 'opaque' ? 'given for opaque tokens' : "given, or 'keyset'", undefined)
  }
  if (format === 'opaque')
    refuseIneffective(
      caller,
      options,
      ['accessTokenAlgorithm', 'accessTokenType', 'keyset'],
      "accessTokenFormat: 'opaque'",
    )
  if (options.keyset !== undefined) refuseIneffective(caller, options, ['accessTokenAlgorithm'], "'keyset'")
  const keyset = options.keyset ?? (format === 'jwt' ? deriveKeyset(baseSecret ?? '', { alg }) : undefined)
  const refreshKeyset =
    options.refreshTokenKeyset ??
    (baseSecret === undefined ? keyset : deriveKeyset(baseSecret, { alg: 'HS256', purpose: 'refresh token' }))
  if (refreshKeyset === undefined) throw badOption('refreshTokenKeyset', 'given', undefined)
  const refreshTokens = codecs(
    options.refreshTokenKeyset === undefined ? 'keyset' : 'refreshTokenKeyset',
    REFRESH_TOKEN_TYPE,
    refreshKeyset,
  )

  if (format === 'opaque' || keyset === undefined) {
    const opaque = opaqueCodec(baseSecret ?? '')
    return {
      sign: (kind, claims) => (kind === 'access_token' ? opaque.seal(claims) : refreshTokens().sign(claims)),
      verify: (kind, token) => (kind === 'access_token' ? opaque.open(token) : refreshTokens().verify(token)),
      jwks: () => ({ keys: [] }),
    }
  }
  const accessTokens = codecs('keyset', type, keyset, type === ACCESS_TOKEN_TYPE ? [] : [ACCESS_TOKEN_TYPE])
  const codecOf = (kind: TokenKind): JwtCodec => (kind === 'access_token' ? accessTokens() : refreshTokens())
  return {
    sign: (kind, claims) => codecOf(kind).sign(claims),
    verify: (kind, token) => codecOf(kind).verify(token),
    jwks: () => exportPublicJwks(typeof keyset === 'function' ? currentKeyset('keyset', keyset) : keyset),
  }
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)

/** A factory of the application: its functions are waited for, but not for ever, and what they return is judged. */
export function checkedFactory(factory: TokenFactory): TokenFactory {
  const ask = (name: 'sign' | 'verify', call: () => unknown): Promise<unknown> =>
    askHook(`factory.${name}`, MOST_HOOK_MILLISECONDS, call)
  return {
    async sign(kind, claims) {
      const token = await ask('sign', () => factory.sign(kind, claims))
      if (typeof token !== 'string' || token === '') throw returnedWrong('factory.sign', 'a non-empty string')
      return token
    },
    async verify(kind, token) {
      const claims = await ask('verify', () => factory.verify(kind, token))
      if (claims === undefined || claims === null) return undefined
      if (!isObject(claims)) throw returnedWrong('factory.verify', 'an object with the claims, or undefined')
      return claims as Claims
    },
    jwks: () =>
      callHook(
        'factory.jwks',
        () => (factory.jwks === undefined ? { keys: [] } : factory.jwks()),
        (value) => isObject(value) && Array.isArray((value as { readonly keys?: unknown }).keys),
        'a key set at once: an object with an array of keys',
      ),
  }
}
