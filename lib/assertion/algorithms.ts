import { constants } from 'node:crypto'
import { badOption } from '../options.ts'

/** The two methods a client authenticates by with an assertion (OpenID Connect Core §9). */
export type AssertionMethod = 'private_key_jwt' | 'client_secret_jwt'

/** What an algorithm of RFC 7518, RFC 8037 or RFC 9864 asks of its key, and how node:crypto is told to check it. */
export interface Algorithm {
  readonly method: AssertionMethod
  readonly kty: 'RSA' | 'EC' | 'OKP' | 'AKP' | 'oct'
  readonly crv?: string
  /** For `crypto.verify` and `createHmac`; `undefined` where the signature scheme brings its own. */
  readonly hash?: string
  readonly padding?: number
  /** A MAC key must have at least as many octets as the hash (RFC 7518 §3.2). */
  readonly leastSecretOctets?: number
}

const RSA = (hash: string): Algorithm => ({
  method: 'private_key_jwt',
  kty: 'RSA',
  hash,
  padding: constants.RSA_PKCS1_PADDING,
})
const PSS = (hash: string): Algorithm => ({
  method: 'private_key_jwt',
  kty: 'RSA',
  hash,
  padding: constants.RSA_PKCS1_PSS_PADDING,
})
const EC = (crv: string, hash: string): Algorithm => ({ method: 'private_key_jwt', kty: 'EC', crv, hash })
const MAC = (hash: string, leastSecretOctets: number): Algorithm => ({
  method: 'client_secret_jwt',
  kty: 'oct',
  hash,
  leastSecretOctets,
})
const ED25519: Algorithm = { method: 'private_key_jwt', kty: 'OKP', crv: 'Ed25519' }
const ML_DSA: Algorithm = { method: 'private_key_jwt', kty: 'AKP' }

const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map([
  ['RS256', RSA('sha256')],
  ['RS384', RSA('sha384')],
  ['RS512', RSA('sha512')],
  ['PS256', PSS('sha256')],
  ['PS384', PSS('sha384')],
  ['PS512', PSS('sha512')],
  ['ES256', EC('P-256', 'sha256')],
  ['ES384', EC('P-384', 'sha384')],
  ['ES512', EC('P-521', 'sha512')],
  ['Ed25519', ED25519],
  ['EdDSA', ED25519],
  ['HS256', MAC('sha256', 32)],
  ['HS384', MAC('sha384', 48)],
  ['HS512', MAC('sha512', 64)],
])

const POST_QUANTUM: ReadonlyMap<string, Algorithm> = new Map([
  ['ML-DSA-44', ML_DSA],
  ['ML-DSA-65', ML_DSA],
  ['ML-DSA-87', ML_DSA],
])

/** The algorithms that are taken where neither profile nor option says otherwise, in the order they are published. */
export const ALL_ALGORITHMS: readonly string[] = [...ALGORITHMS.keys()]

/** What an algorithm asks of its key; `undefined` for names this package does not know. */
export const algorithmNamed = (alg: string): Algorithm | undefined => ALGORITHMS.get(alg) ?? POST_QUANTUM.get(alg)

/** Whether this Node.js can check ML-DSA (24.7 and later). They are taken only where they are asked for by name. */
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
const isEd25519 = (alg: string): boolean => alg === 'Ed25519' || alg === 'EdDSA'

/** Whether an assertion with the header `alg` satisfies a registration (or list entry) that says `registered`. */
export const isSameAlgorithm = (alg: string, registered: string, edDsaAlias: boolean): boolean =>
  alg === registered || (edDsaAlias && isEd25519(alg) && isEd25519(registered))

/**
 * The algorithms a server takes: what it lists, less those of methods it does not offer. Throws `TypeError` for a name
 * that is unknown, `none`, or not to be had on this Node.js, and where nothing is left.
 */
export function allowedAlgorithms(list: readonly string[], methods: readonly AssertionMethod[]): readonly string[] {
  if (!Array.isArray(list) || list.length === 0) throw badOption('algorithms', 'a non-empty array of names', list)
  const allowed = list.filter((alg) => {
    const algorithm = typeof alg === 'string' ? algorithmNamed(alg) : undefined
    if (algorithm === undefined) throw badOption('algorithms', `names out of ${ALL_ALGORITHMS.join(', ')}`, alg)
    if (algorithm.kty === 'AKP' && !hasPostQuantum(alg))
      throw badOption('algorithms', 'names that this version of Node.js can check', alg)
    return methods.includes(algorithm.method)
  })
  if (allowed.length === 0) throw badOption('algorithms', `at least one that ${methods.join(' or ')} can use`, list)
  return Object.freeze([...new Set(allowed)])
}
