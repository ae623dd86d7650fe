import { type Algorithm, algorithmNamed } from './algorithms.ts'
import { decodeBase64url } from './base64url.ts'
import { findMismatch, isUsableFor, type Jwk } from './jwks.ts'
import type { PublicKeys } from './public_keys.ts'

const named = (algorithms: readonly string[]): readonly (readonly [string, Algorithm])[] =>
  algorithms.flatMap((alg) => {
    const algorithm = algorithmNamed(alg)
    return algorithm === undefined ? [] : [[alg, algorithm] as const]
  })

/**
 * Says why a key cannot check assertions of any of these algorithms, as the verifier would judge it; `undefined` if it
 * can. MAC keys are judged by their length, public keys are imported.
 */
export async function findKeyProblem(
  jwk: Jwk,
  algorithms: readonly string[],
  edDsaAlias: boolean,
  publicKeys: PublicKeys,
): Promise<string | undefined> {
  const known = named(algorithms)
  const usable = known.filter(([alg, algorithm]) => isUsableFor(jwk, alg, algorithm, edDsaAlias))
  const first = usable[0]
  if (first === undefined) {
    // The algorithm that was probably meant: the key's own, one of its curve, one of its type, or the first.
    const meant =
      known.find(([alg]) => alg === jwk['alg']) ??
      known.find(([, { kty, curve }]) => kty === jwk['kty'] && curve === jwk['crv']) ??
      known.find(([, { kty }]) => kty === jwk['kty']) ??
      known[0]
    return meant === undefined ? 'no algorithm is accepted' : findMismatch(jwk, meant[0], meant[1], edDsaAlias)
  }
  if (first[1].kind === 'mac') {
    const bytes = decodeBase64url(jwk['k'])
    if (bytes === undefined) return 'k must be base64url'
    const least = Math.min(...usable.map(([, { leastBits }]) => leastBits)) / 8
    return bytes.length < least ? `k has ${bytes.length} bytes, ${first[0]} needs ${least}` : undefined
  }
  const key = await publicKeys.get(jwk, first[0])
  return 'unusable' in key ? key.unusable : undefined
}
