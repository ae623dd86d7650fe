import { type BoundedCache, createBoundedCache } from '../remote/bounded_cache.ts'
import { parseJsonObject } from '../remote/strict_json.ts'
import { type Algorithm, isSameAlgorithm } from './algorithms.ts'

/** One key of a set. No member of it is trusted to be of any type. */
export type Jwk = Readonly<Record<string, unknown>>

/** Signatures or MACs that are checked for one assertion, at most. Keys that can not be used do not count. */
export const MOST_CHECKS = 8

/** Longest `jwks` text that is kept parsed; a longer one is parsed each time. */
const MOST_CACHED_CHARACTERS = 65_536
const parsedTexts: BoundedCache<readonly Jwk[] | 'malformed'> = createBoundedCache(512)

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The keys of a set that may be anything: an object with an array of objects in `keys`. Else `undefined`. */
export const keysOf = (set: unknown): readonly Jwk[] | undefined =>
  isObject(set) && Array.isArray(set.keys) && set.keys.every(isObject) ? set.keys : undefined

function parsed(text: string): readonly Jwk[] | undefined {
  try {
    return keysOf(parseJsonObject(Buffer.from(text, 'utf8')))
  } catch {
    return undefined
  }
}

/** The keys of a client's `jwks`: an object, or the same as JSON text, as databases keep it. */
export function jwksOf(jwks: unknown): readonly Jwk[] | undefined {
  if (typeof jwks !== 'string') return keysOf(jwks)
  const known = parsedTexts.get(jwks)
  if (known !== undefined) return known === 'malformed' ? undefined : known
  const keys = parsed(jwks)
  if (jwks.length <= MOST_CACHED_CHARACTERS) parsedTexts.set(jwks, keys ?? 'malformed')
  return keys
}

/** The curve or parameter set that an algorithm takes, for key types that have one. */
const fitsCurve = (jwk: Jwk, alg: string, algorithm: Algorithm): boolean =>
  algorithm.kty === 'AKP' ? jwk.alg === alg : algorithm.curve === undefined || jwk.crv === algorithm.curve

/**
 * Whether a key is one for checking signatures of this algorithm, as far as it says (RFC 7517 §4.1 to §4.4): type and
 * curve, and where present `use`, `key_ops` and `alg`. Does not look at the key material.
 */
export const isUsableFor = (jwk: Jwk, alg: string, algorithm: Algorithm, edDsaAlias: boolean): boolean =>
  jwk.kty === algorithm.kty &&
  fitsCurve(jwk, alg, algorithm) &&
  (jwk.use === undefined || jwk.use === 'sig') &&
  (jwk.key_ops === undefined || (Array.isArray(jwk.key_ops) && jwk.key_ops.includes('verify'))) &&
  (jwk.alg === undefined || (typeof jwk.alg === 'string' && isSameAlgorithm(alg, jwk.alg, edDsaAlias)))

/**
 * The keys of a set that an assertion may be signed with: those of its algorithm, and of its `kid` where it names one.
 * Keys that share a `kid` are told apart by the rest (RFC 7517 §4.5).
 */
export function candidatesIn(
  keys: readonly Jwk[],
  alg: string,
  algorithm: Algorithm,
  kid: string | undefined,
  edDsaAlias: boolean,
): readonly Jwk[] {
  return keys.filter((jwk) => (kid === undefined || jwk.kid === kid) && isUsableFor(jwk, alg, algorithm, edDsaAlias))
}
