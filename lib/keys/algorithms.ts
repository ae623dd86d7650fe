import { constants } from 'node:crypto'
import { badOption } from '../options.ts'

/** The two methods by which a client authenticates with an assertion (OpenID Connect Core §9). */
export type AssertionMethod = 'private_key_jwt' | 'client_secret_jwt'

/**
 * The facts about a JOSE algorithm (RFC 7518, RFC 8037, RFC 9864, RFC 9881): which keys it takes, and the parameters
 * `node:crypto` needs. Nothing else in this package derives a fact from the name of an algorithm.
 */
export interface Algorithm {
  readonly kind: 'signature' | 'mac'
  /** The client authentication method whose assertions use this algorithm. */
  readonly method: AssertionMethod
  readonly kty: 'RSA' | 'EC' | 'OKP' | 'AKP' | 'oct'
  /** The `crv` of its JWKs. */
  readonly curve?: string
  /** The `asymmetricKeyType` of its `KeyObject`s, or `secret`. */
  readonly keyType: string
  /** The `namedCurve` of its `KeyObject`s. */
  readonly namedCurve?: string
  /** Least key size: modulus of RSA, and the MAC key, which must not be shorter than the hash (RFC 7518 §3.2). */
  readonly leastBits: number
  /** `null` if the signature scheme includes the hash. */
  readonly hash: string | null
  /** What `crypto.sign` and `crypto.verify` need in addition to the key. */
  readonly parameters: Readonly<{ dsaEncoding?: 'ieee-p1363'; padding?: number; saltLength?: number }>
  /** Whether assertions may use it: unless options say otherwise, only if it is listed by name, or never. */
  readonly inAssertions: 'default' | 'listed' | 'never'
  /** Whether the tokens of this package may be signed with it. */
  readonly inTokens: boolean
}

type Uses = Pick<Algorithm, 'inAssertions' | 'inTokens'>
const BOTH = { inAssertions: 'default', inTokens: true } as const satisfies Uses
const ASSERTIONS = { inAssertions: 'default', inTokens: false } as const satisfies Uses

const SIGNATURE = { kind: 'signature', method: 'private_key_jwt', leastBits: 0 } as const
const RSA = { ...SIGNATURE, kty: 'RSA', keyType: 'rsa', leastBits: 2048 } as const
const PKCS1 = { padding: constants.RSA_PKCS1_PADDING }
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
const EC = { ...SIGNATURE, kty: 'EC', keyType: 'ec', parameters: { dsaEncoding: 'ieee-p1363' } } as const
const MAC = { kind: 'mac', method: 'client_secret_jwt', kty: 'oct', keyType: 'secret', parameters: {} } as const
const OKP = { ...SIGNATURE, kty: 'OKP', hash: null, parameters: {} } as const
const ED25519 = { ...OKP, ...BOTH, curve: 'Ed25519', keyType: 'ed25519' } as const
const ML_DSA = {
  ...SIGNATURE,
  kty: 'AKP',
  hash: null,
  parameters: {},
  inAssertions: 'listed',
  inTokens: false,
} as const

/** In the order in which metadata documents list them. */
const ALGORITHMS = {
  RS256: { ...RSA, ...BOTH, hash: 'sha256', parameters: PKCS1 },
  RS384: { ...RSA, ...ASSERTIONS, hash: 'sha384', parameters: PKCS1 },
  RS512: { ...RSA, ...ASSERTIONS, hash: 'sha512', parameters: PKCS1 },
  PS256: { ...RSA, ...BOTH, hash: 'sha256', parameters: PSS },
  PS384: { ...RSA, ...ASSERTIONS, hash: 'sha384', parameters: PSS },
  PS512: { ...RSA, ...ASSERTIONS, hash: 'sha512', parameters: PSS },
  ES256: { ...EC, ...BOTH, curve: 'P-256', namedCurve: 'prime256v1', hash: 'sha256' },
  ES384: { ...EC, ...BOTH, curve: 'P-384', namedCurve: 'secp384r1', hash: 'sha384' },
  ES512: { ...EC, ...ASSERTIONS, curve: 'P-521', namedCurve: 'secp521r1', hash: 'sha512' },
  Ed25519: ED25519,
  EdDSA: ED25519, // in assertions; a key of the tokens may also be one on Ed448 (RFC 8037: the key says which)
  Ed448: { ...OKP, curve: 'Ed448', keyType: 'ed448', inAssertions: 'never', inTokens: true },
  HS256: { ...MAC, ...BOTH, hash: 'sha256', leastBits: 256 },
  HS384: { ...MAC, ...BOTH, hash: 'sha384', leastBits: 384 },
  HS512: { ...MAC, ...BOTH, hash: 'sha512', leastBits: 512 },
  'ML-DSA-44': { ...ML_DSA, keyType: 'ml-dsa-44' },
  'ML-DSA-65': { ...ML_DSA, keyType: 'ml-dsa-65' },
  'ML-DSA-87': { ...ML_DSA, keyType: 'ml-dsa-87' },
} as const satisfies Readonly<Record<string, Algorithm>>

const BY_NAME: ReadonlyMap<string, Algorithm> = new Map(Object.entries(ALGORITHMS))

const namesWhere = (is: (algorithm: Algorithm) => boolean): readonly string[] =>
  [...BY_NAME].filter(([, algorithm]) => is(algorithm)).map(([name]) => name)

/** The algorithms that assertions may use if neither profile nor option says otherwise, in the order of the metadata. */
export const ALL_ALGORITHMS: readonly string[] = namesWhere(({ inAssertions }) => inAssertions === 'default')

/** The JOSE algorithms that tokens of this package may be signed with. A key is bound to one of them; never `none`. */
export type SigningAlgorithm =
  | 'ES256'
  | 'ES384'
  | 'EdDSA'
  | 'Ed25519'
  | 'Ed448'
  | 'PS256'
  | 'RS256'
  | 'HS256'
  | 'HS384'
  | 'HS512'

/** The algorithms of tokens, by name. */
export const SIGNING_ALGORITHMS = namesWhere(({ inTokens }) => inTokens) as readonly SigningAlgorithm[]

/** The algorithms for which a key pair can be made: the ones that clients sign assertions with. */
export const KEY_PAIR_ALGORITHMS: readonly string[] = ALL_ALGORITHMS.filter(
  (alg) => algorithmNamed(alg)?.kind === 'signature',
)

/** The facts about an algorithm; `undefined` for names this package does not know. */
export function algorithmNamed(alg: string): Algorithm | undefined {
  return BY_NAME.get(alg)
}

/** The facts about an algorithm of tokens. */
export const signingAlgorithm = (alg: SigningAlgorithm): Algorithm & { readonly inTokens: true } => ALGORITHMS[alg]

/** Whether this Node.js can check ML-DSA (24.7 and later), which is accepted only if it is listed by name. */
function hasPostQuantum(alg: string): boolean {
  const subtle: unknown = globalThis.crypto?.subtle?.constructor
  const supports: unknown = (subtle as { readonly supports?: unknown } | undefined)?.supports
  if (typeof supports !== 'function') return false
  try {
    return supports.call(subtle, 'verify', alg) === true
  } catch {
    return false
  }
}

/** The two names of one algorithm (RFC 9864 §3.2): `Ed25519`, and `EdDSA` with a key on that curve. */
const isEd25519 = (alg: string): boolean => BY_NAME.get(alg) === ED25519

/** Whether an assertion with the header `alg` satisfies a registration (or list entry) that says `registered`. */
export const isSameAlgorithm = (alg: string, registered: string, edDsaAlias: boolean): boolean =>
  alg === registered || (edDsaAlias && isEd25519(alg) && isEd25519(registered))

/**
 * Returns the algorithms a server accepts in assertions: the ones it lists, without those of methods it does not offer.
 * Throws `TypeError` for a name that is unknown, `none`, or not available on this Node.js, and if nothing is left.
 */
export function allowedAlgorithms(list: readonly string[], methods: readonly AssertionMethod[]): readonly string[] {
  if (!Array.isArray(list) || list.length === 0) throw badOption('algorithms', 'a non-empty array of names', list)
  const allowed = list.filter((alg) => {
    const algorithm = typeof alg === 'string' ? algorithmNamed(alg) : undefined
    if (algorithm === undefined || algorithm.inAssertions === 'never')
      throw badOption('algorithms', `names from ${ALL_ALGORITHMS.join(', ')}`, alg)
    if (algorithm.kty === 'AKP' && !hasPostQuantum(alg))
      throw badOption('algorithms', 'names that this version of Node.js supports', alg)
    return methods.includes(algorithm.method)
  })
  if (allowed.length === 0) throw badOption('algorithms', `at least one that ${methods.join(' or ')} can use`, list)
  return Object.freeze([...new Set(allowed)])
}
