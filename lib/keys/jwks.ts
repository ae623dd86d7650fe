import { isAbsent, readOptional } from '../optional.ts'
import { type BoundedCache, createBoundedCache } from '../remote/bounded_cache.ts'
import { parseJsonObject, skipByteOrderMark } from '../remote/strict_json.ts'
import { type Algorithm, isSameAlgorithm } from './algorithms.ts'

/** One key of a set. No member of it is trusted to be of any type. */
export type Jwk = Readonly<Record<string, unknown>>

/** The most signatures or MACs that are checked for one assertion. Keys that cannot be used do not count. */
export const MOST_CHECKS = 8

/** The longest `jwks` that is accepted as a string: as large as a remote set can be. */
const MOST_CHARACTERS = 1_048_576
/** Parsed strings are kept: many of usual length, few long ones. */
const USUAL_CHARACTERS = 65_536
const usualTexts: BoundedCache<readonly Jwk[] | string> = createBoundedCache(512)
const longTexts: BoundedCache<readonly Jwk[] | string> = createBoundedCache(32)

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Reads a key set that may be anything (RFC 7517 §5). Members of `keys` that are not objects are skipped. Returns the
 * keys, or a string that says why there are none.
 */
function readKeySet(set: unknown): readonly Jwk[] | string {
  if (!isObject(set)) return 'it is not an object'
  const { keys } = set
  if (!Array.isArray(keys)) return 'it has no array in keys'
  return keys.every(isObject) ? keys : keys.filter(isObject)
}

/** Parses a key set. RFC 8259 §8.1 allows parsers to skip a byte order mark. */
export function parseKeySet(json: Buffer): readonly Jwk[] | string {
  try {
    return readKeySet(parseJsonObject(skipByteOrderMark(json)))
  } catch (problem) {
    return `it ${(problem as Error).message}`
  }
}

function readText(text: string): readonly Jwk[] | string {
  if (text.length > MOST_CHARACTERS) return `it is longer than ${MOST_CHARACTERS} characters`
  const texts = text.length > USUAL_CHARACTERS ? longTexts : usualTexts
  const known = texts.get(text)
  if (known !== undefined) return known
  const keys = parseKeySet(Buffer.from(text, 'utf8'))
  texts.set(text, keys)
  return keys
}

/** Says that a set has too many keys; `undefined` if it does not. */
export const countProblem = (keys: readonly Jwk[], maxKeys: number): string | undefined =>
  keys.length > maxKeys ? `it has ${keys.length} keys, at most ${maxKeys} are accepted` : undefined

/**
 * Reads the `jwks` of a client record: an object, or the same as a JSON string, as databases keep it. Returns the keys,
 * or a string that says why there are none.
 */
export function readInlineKeys(jwks: unknown, maxKeys: number): readonly Jwk[] | string {
  const keys = typeof jwks === 'string' ? readText(jwks) : readKeySet(jwks)
  return typeof keys === 'string' ? keys : (countProblem(keys, maxKeys) ?? keys)
}

/** A value of an untrusted key, in one short line. */
const shown = (value: unknown): string =>
  typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : isAbsent(value) ? 'nothing' : `a ${typeof value}`

/** What a key has to say of itself to be one for an algorithm (RFC 7517 §4.1 to §4.4). */
const RULES: readonly {
  readonly fits: (jwk: Jwk, alg: string, algorithm: Algorithm, edDsaAlias: boolean) => boolean
  readonly mismatch: (jwk: Jwk, alg: string, algorithm: Algorithm) => string
}[] = [
  {
    fits: (jwk, _alg, { kty }) => jwk['kty'] === kty,
    mismatch: (jwk, alg, { kty }) => `its kty is ${shown(jwk['kty'])}, ${alg} needs "${kty}"`,
  },
  {
    fits: (jwk, alg, { kty, curve }) =>
      kty === 'AKP' ? jwk['alg'] === alg : curve === undefined || jwk['crv'] === curve,
    mismatch: (jwk, alg, { kty, curve }) =>
      kty === 'AKP'
        ? `its alg is ${shown(jwk['alg'])}, the assertion's is ${alg}`
        : `its crv is ${shown(jwk['crv'])}, ${alg} needs "${curve}"`,
  },
  {
    fits: ({ use }) => use === 'sig' || isAbsent(use),
    mismatch: ({ use }) => `its use is ${shown(use)}, not "sig"`,
  },
  {
    fits: ({ key_ops: operations }) =>
      isAbsent(operations) || (Array.isArray(operations) && operations.includes('verify')),
    mismatch: () => 'its key_ops do not include "verify"',
  },
  {
    fits: ({ alg: own }, alg, _algorithm, edDsaAlias) =>
      isAbsent(own) || (typeof own === 'string' && isSameAlgorithm(alg, own, edDsaAlias)),
    mismatch: ({ alg: own }, alg) => `its alg is ${shown(own)}, not ${alg}`,
  },
]

/**
 * Whether a key is one for checking signatures of this algorithm, by what it says of itself: type and curve, and `use`,
 * `key_ops` and `alg` if it has them. Does not look at the key material.
 */
export function isUsableFor(jwk: Jwk, alg: string, algorithm: Algorithm, edDsaAlias: boolean): boolean {
  for (const { fits } of RULES) if (!fits(jwk, alg, algorithm, edDsaAlias)) return false
  return true
}

/** Says why `isUsableFor` is false: what the key says that does not fit. */
export const findMismatch = (jwk: Jwk, alg: string, algorithm: Algorithm, edDsaAlias: boolean): string | undefined =>
  RULES.find(({ fits }) => !fits(jwk, alg, algorithm, edDsaAlias))?.mismatch(jwk, alg, algorithm)

/** The `kid` of a key, if it has one. */
export const keyIdOf = (jwk: Jwk): string | undefined => {
  const kid = readOptional(jwk['kid'])
  return typeof kid === 'string' ? kid : undefined
}

/**
 * The keys of a set that an assertion may be signed with: those of its algorithm, and of its `kid` if it has one. Keys
 * that share a `kid` are distinguished by their other members (RFC 7517 §4.5).
 */
export function candidatesIn(
  keys: readonly Jwk[],
  alg: string,
  algorithm: Algorithm,
  kid: string | undefined,
  edDsaAlias: boolean,
): readonly Jwk[] {
  return keys.filter((jwk) => (kid === undefined || jwk['kid'] === kid) && isUsableFor(jwk, alg, algorithm, edDsaAlias))
}

/** Says why there are no candidates although keys have the right `kid`, or no `kid` was named: the reasons, at most three. */
export function explainNoCandidates(
  keys: readonly Jwk[],
  alg: string,
  algorithm: Algorithm,
  kid: string | undefined,
  edDsaAlias: boolean,
): string | undefined {
  const reasons = new Set<string>()
  for (const jwk of keys) {
    if (kid !== undefined && jwk['kid'] !== kid) continue
    const mismatch = findMismatch(jwk, alg, algorithm, edDsaAlias)
    if (mismatch !== undefined) reasons.add(mismatch)
    if (reasons.size === 3) break
  }
  return reasons.size === 0 ? undefined : [...reasons].join('; ')
}
