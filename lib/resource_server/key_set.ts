import { refusal, unavailable } from '../errors.ts'
import { type Algorithm, algorithmNamed, allowedAlgorithms, isSameAlgorithm } from '../keys/algorithms.ts'
import { type CompactJws, isJwsProblem, readCompactJws } from '../keys/compact_jws.ts'
import { candidatesIn, type Jwk, MOST_CHECKS, readInlineKeys } from '../keys/jwks.ts'
import { createKeySets, type KeySetOptions, type RemoteKeySet, renewOrThrow } from '../keys/key_sets.ts'
import { createPublicKeys } from '../keys/public_keys.ts'
import { isSignedBy } from '../keys/signature.ts'
import { badOption } from '../options.ts'
import { documentUrl } from '../remote/url.ts'
import { checkHeader, readKeyId } from './header_checks.ts'
import { shown, type TokenSource } from './source.ts'

const DEFAULT_ALGORITHMS = ['ES256', 'EdDSA', 'RS256', 'PS256'] as const
/** Imported public keys that are kept. An issuer has few. */
const MOST_KEYS = 128

/** How tokens that only a public key proves are read. */
export interface KeySetRules {
  readonly issuer: string
  readonly algorithms: readonly string[] | undefined
  readonly isTypeOptional: boolean
  readonly keySets: KeySetOptions | undefined
}

/** A token with a sound header, and what its signature is to be checked with. */
interface Presented {
  readonly jws: CompactJws
  readonly alg: string
  readonly algorithm: Algorithm
  readonly kid: string | undefined
}

function readAlgorithms(algorithms: readonly string[] = DEFAULT_ALGORITHMS): readonly string[] {
  const allowed = allowedAlgorithms(algorithms, ['private_key_jwt'])
  if (allowed.length !== new Set(algorithms).size)
    throw badOption('algorithms', 'names of public-key algorithms', algorithms.join(', '))
  return allowed
}

function present(token: string, algorithms: readonly string[], isTypeOptional: boolean): Presented {
  const jws = readCompactJws(token)
  if (isJwsProblem(jws)) throw refusal('token_malformed', { detail: jws.problem })
  checkHeader(jws.header, isTypeOptional)
  const { alg } = jws.header
  const algorithm = typeof alg === 'string' ? algorithmNamed(alg) : undefined
  if (typeof alg !== 'string' || !algorithm || !algorithms.some((each) => isSameAlgorithm(alg, each, true)))
    throw refusal('token_signature_wrong', {
      detail: `expected alg to be one of ${algorithms.join(', ')}, got ${shown(alg)}`,
    })
  return { jws, alg, algorithm, kid: readKeyId(jws.header) }
}

/** What was found in a key set: a key that verified the signature, keys that did not, or no key to try. */
type Found = 'verified' | 'wrong' | 'no_key'

/** Checks the signature with the keys of a set that fit. */
async function tryKeys(
  { jws, alg, algorithm, kid }: Presented,
  keys: readonly Jwk[],
  publicKeys: ReturnType<typeof createPublicKeys>,
): Promise<Found> {
  let checks = 0
  for (const jwk of candidatesIn(keys, alg, algorithm, kid, true)) {
    const key = await publicKeys.get(jwk, alg)
    if ('unusable' in key) continue
    if (isSignedBy(jws, algorithm, key)) return 'verified'
    if (++checks === MOST_CHECKS) break
  }
  return checks === 0 ? 'no_key' : 'wrong'
}

const notVerified = ({ alg, kid }: Presented, found: Found) =>
  refusal('token_signature_wrong', {
    detail: `${found === 'no_key' ? 'the issuer has no key' : 'no key of the issuer verifies the signature'} for ${alg} with kid ${shown(kid)}`,
  })

/** Whether another version of the key set may have the key: the `kid` is unknown, or none says which key it is. */
const mayBeNew = ({ kid }: Presented, found: Found): boolean => found === 'no_key' || kid === undefined

/** Tokens that a key of this set signed. Nobody can say whether they were revoked: they are good until they expire. */
export function createInlineSource(jwks: unknown, rules: KeySetRules): TokenSource {
  const algorithms = readAlgorithms(rules.algorithms)
  const { maxKeys } = createKeySets(rules.keySets)
  const keys = readInlineKeys(jwks, maxKeys)
  if (typeof keys === 'string') throw badOption('keys.jwks', `a key set: ${keys}`, jwks)
  const publicKeys = createPublicKeys(MOST_KEYS)
  return async (attempt) => {
    const presented = present(attempt.token, algorithms, rules.isTypeOptional)
    const { claims } = presented.jws
    attempt.checkClaims(claims)
    const found = await tryKeys(presented, keys, publicKeys)
    if (found !== 'verified') throw notVerified(presented, found)
    attempt.authentic = claims
    return claims
  }
}

/**
 * Tokens that a key at `jwksUri` signed. An unknown key id leads to one request in each cool-down. Nobody can say whether
 * they were revoked: they are good until they expire. If the key set cannot be fetched, that is a server error.
 */
export function createRemoteSource(uri: string, rules: KeySetRules): TokenSource {
  const algorithms = readAlgorithms(rules.algorithms)
  const { issuer, keySets: options = {} } = rules
  const keySets = createKeySets(options)
  if (typeof uri !== 'string' || documentUrl(uri, options.allowHttpLoopback === true) === undefined)
    throw badOption('keys.jwksUri', 'an https URL without user information', uri)
  const publicKeys = createPublicKeys(MOST_KEYS)

  const keysOf = async (now: number): Promise<RemoteKeySet> => {
    try {
      return await keySets.get(uri, now, issuer)
    } catch (cause) {
      throw unavailable(cause) // the key set, not the token, is at fault
    }
  }

  async function verify(presented: Presented, now: number): Promise<void> {
    const set = await keysOf(now)
    let found = await tryKeys(presented, set.keys, publicKeys)
    if (found !== 'verified' && mayBeNew(presented, found)) {
      const toError = (problem: string) => unavailable(new Error(`the key set cannot be fetched: ${problem}`))
      const renewed = await renewOrThrow(keySets, uri, set, now, issuer, toError)
      if (renewed !== undefined) found = await tryKeys(presented, renewed.keys, publicKeys)
    }
    if (found !== 'verified') throw notVerified(presented, found)
    keySets.confirm(uri)
  }

  return async (attempt) => {
    const presented = present(attempt.token, algorithms, rules.isTypeOptional)
    const { claims } = presented.jws
    attempt.checkClaims(claims) // nothing is fetched for a token that is no good anyway
    await verify(presented, attempt.now)
    attempt.authentic = claims
    return claims
  }
}
