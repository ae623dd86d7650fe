import type { Client } from '../client.ts'
import { isHashedSecret, isSecretExpired, secretsOf } from '../client_secret.ts'
import { refusal } from '../errors.ts'
import type { Algorithm } from '../keys/algorithms.ts'
import { decodeBase64url } from '../keys/base64url.ts'
import { explainNoCandidates, isUsableFor, type Jwk, keyIdOf, MOST_CHECKS, readInlineKeys } from '../keys/jwks.ts'
import { isAbsent } from '../optional.ts'
import type { AssertionRules } from './rules.ts'

/** A secret the MAC of an assertion may be checked with. */
export interface MacKey {
  readonly secret: string | Uint8Array
  /** Of an `oct` key; a client secret has none. */
  readonly kid?: string | undefined
  /** Shorter than RFC 7518 §3.2 demands, and taken by exception. */
  readonly isShort: boolean
}

/**
 * The secrets a client may make MACs with at this moment: its `client_secret`s, then the `oct` keys of the `jwks` in
 * its own record, never of a `jwks_uri`. `kid` selects among `oct` keys only. Left out are ended ones, those shorter than
 * the hash (RFC 7518 §3.2), and hashes, which are no secrets. Throws a refusal where nothing is left, saying why.
 */
export function macKeys(
  client: Client,
  alg: string,
  algorithm: Algorithm,
  kid: string | undefined,
  now: number,
  rules: AssertionRules,
  maxKeys: number,
): readonly MacKey[] {
  const least = algorithm.leastBits / 8
  const found: MacKey[] = []
  let expired = 0
  let hashed = 0
  let shortest = Number.POSITIVE_INFINITY
  const offer = (secret: string | Uint8Array, ofKey?: string): void => {
    const bytes = typeof secret === 'string' ? Buffer.byteLength(secret, 'utf8') : secret.byteLength
    const isShort = bytes < least
    if (bytes > 0 && (!isShort || rules.allowShortSecrets)) found.push({ secret, kid: ofKey, isShort })
    else shortest = Math.min(shortest, bytes)
  }
  for (const { value, expiresAt } of secretsOf(client)) {
    if (isHashedSecret(value)) hashed++
    else if (isSecretExpired(expiresAt, now)) expired++
    else offer(value)
  }
  const inline = isAbsent(client.jwks) ? [] : readInlineKeys(client.jwks, maxKeys)
  const keys: readonly Jwk[] = typeof inline === 'string' ? [] : inline
  for (const jwk of keys) {
    if (!isUsableFor(jwk, alg, algorithm, rules.edDsaAlias) || (kid !== undefined && jwk['kid'] !== kid)) continue
    const bytes = decodeBase64url(jwk['k'])
    if (bytes !== undefined) offer(bytes, keyIdOf(jwk))
  }
  if (found.length > 0) return found.length > MOST_CHECKS ? found.slice(0, MOST_CHECKS) : found
  const clientId = client.client_id
  if (shortest !== Number.POSITIVE_INFINITY)
    throw refusal('client_secret_too_short', {
      clientId,
      detail: `${alg} needs a secret of at least ${least} bytes (RFC 7518 section 3.2), the client's has ${shortest}`,
    })
  if (expired > 0)
    throw refusal('client_secret_expired', { clientId, detail: `every secret of the client has expired` })
  if (hashed > 0)
    throw refusal('client_misconfigured', { clientId, detail: 'a secret that is stored as a hash cannot verify a MAC' })
  const why =
    typeof inline === 'string'
      ? `its jwks cannot be read: ${inline}`
      : explainNoCandidates(keys, alg, algorithm, kid, rules.edDsaAlias)
  const detail = `the client has no secret or oct key for ${alg}${why === undefined ? '' : `: ${why}`}`
  throw refusal('client_secret_missing', { clientId, detail })
}
