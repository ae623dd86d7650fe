import type { Client, ClientSecret } from '../client.ts'
import { refusal } from '../errors.ts'
import type { Algorithm } from './algorithms.ts'
import { base64urlOctets } from './base64url.ts'
import { isUsableFor, jwksOf, MOST_CANDIDATES } from './jwks.ts'
import type { AssertionRules } from './rules.ts'

/** A secret the MAC of an assertion may be checked with. */
export interface MacKey {
  readonly secret: string | Uint8Array
  /** Of an `oct` key; a client secret has none. */
  readonly kid?: string | undefined
  /** Shorter than RFC 7518 §3.2 demands, and taken by exception. */
  readonly isShort: boolean
}

/** The client's secrets, whatever their age. Octets are taken as they are, text as UTF-8 (OpenID Connect Core §10.1). */
function secretsOf(client: Client): readonly { value: string | Uint8Array; expiresAt: unknown }[] {
  const secret: unknown = client.client_secret
  if (typeof secret === 'string' || secret instanceof Uint8Array)
    return [{ value: secret, expiresAt: client.client_secret_expires_at }]
  if (!Array.isArray(secret)) return []
  return (secret as readonly (ClientSecret | null | undefined)[]).flatMap((each) =>
    typeof each?.value === 'string' ? [{ value: each.value, expiresAt: each.expires_at }] : [],
  )
}

/** Whether a secret has ended (RFC 7591 §3.2.1: 0 means never). What is no number of seconds counts as ended. */
const isExpired = (expiresAt: unknown, now: number): boolean =>
  !(
    expiresAt === undefined ||
    expiresAt === null ||
    expiresAt === 0 ||
    (typeof expiresAt === 'number' && now < expiresAt)
  )

/**
 * The secrets a client may make MACs with at this moment: its `client_secret`s, then the `oct` keys of the `jwks` in
 * its own record, never of a `jwks_uri`. `kid` selects among `oct` keys only. Ended ones and those shorter than the
 * hash (RFC 7518 §3.2) are left out. Throws a refusal where nothing is left, saying why.
 */
export function macKeys(
  client: Client,
  alg: string,
  algorithm: Algorithm,
  kid: string | undefined,
  now: number,
  rules: AssertionRules,
): readonly MacKey[] {
  const least = algorithm.leastSecretOctets ?? 0
  const found: MacKey[] = []
  let expired = 0
  let shortest = Number.POSITIVE_INFINITY
  const offer = (secret: string | Uint8Array, ofKey?: string): void => {
    const octets = typeof secret === 'string' ? Buffer.byteLength(secret, 'utf8') : secret.byteLength
    const isShort = octets < least
    if (octets > 0 && (!isShort || rules.allowShortSecrets)) found.push({ secret, kid: ofKey, isShort })
    else shortest = Math.min(shortest, octets)
  }
  for (const { value, expiresAt } of secretsOf(client)) {
    if (isExpired(expiresAt, now)) expired++
    else offer(value)
  }
  if (client.jwks !== undefined && client.jwks !== null) {
    for (const jwk of jwksOf(client.jwks) ?? []) {
      if (!isUsableFor(jwk, alg, algorithm, rules.edDsaAlias) || (kid !== undefined && jwk.kid !== kid)) continue
      const octets = base64urlOctets(jwk.k)
      if (octets !== undefined) offer(octets, typeof jwk.kid === 'string' ? jwk.kid : undefined)
    }
  }
  if (found.length > 0) return found.length > MOST_CANDIDATES ? found.slice(0, MOST_CANDIDATES) : found
  const clientId = client.client_id
  if (shortest !== Number.POSITIVE_INFINITY)
    throw refusal('client_secret_too_short', {
      clientId,
      detail: `${alg} needs a secret of at least ${least} octets (RFC 7518 section 3.2), the client's has ${shortest}`,
    })
  if (expired > 0) throw refusal('client_secret_expired', { clientId, detail: `every secret of the client has ended` })
  throw refusal('client_secret_missing', { clientId, detail: `the client has no secret or oct key for ${alg}` })
}
