import { createHash } from 'node:crypto'
import { type OAuthError, refusal } from '../errors.ts'
import { type Algorithm, algorithmNamed, isSameAlgorithm } from '../keys/algorithms.ts'
import { isJwsProblem, readCompactJws } from '../keys/compact_jws.ts'
import { findMismatch, isUsableFor, type Jwk } from '../keys/jwks.ts'
import type { PublicKeys } from '../keys/public_keys.ts'
import { isSignedBy } from '../keys/signature.ts'
import { normalizeUrl } from './htu.ts'

/** A DPoP proof (RFC 9449 §4.2) that passed all checks, except for whether it was used before. */
export interface DpopProof {
  /** The SHA-256 thumbprint of the key (RFC 7638). Tokens contain it as `jkt`. */
  readonly thumbprint: string
  /** The `jti` of the proof. Each proof is accepted once. */
  readonly jti: string
  /** The `iat` of the proof, in epoch seconds. */
  readonly issuedAt: number
  /** The normalized URL that the proof is for. */
  readonly url: string
}

/** The request that a proof must match. */
export interface DpopRequest {
  /** The method of the HTTP request. */
  readonly method: string
  /** The URL of the HTTP request, from configuration. Its query and fragment are ignored. */
  readonly url: string
  /** The current time in epoch seconds. */
  readonly now: number
  /** The access token of the request, at a resource server. The `ath` of the proof must be its hash. */
  readonly accessToken?: string | undefined
}

/** What a proof is judged by. */
export interface ProofRules {
  readonly algorithms: readonly string[]
  readonly lifetimeSeconds: number
  readonly publicKeys: PublicKeys
  /** Throws `use_dpop_nonce` if the proof must have a nonce and has none that is accepted. Absent: no nonce is needed. */
  readonly checkNonce?: ((nonce: unknown, now: number) => void) | undefined
}

/** The longest proof that is read, in characters. */
const MOST_CHARACTERS = 8192
const MOST_JTI_CHARACTERS = 256
/** How far ahead of this server the clock of a client may be (FAPI 2.0 wants 10 seconds at least). */
const AHEAD_SECONDS = 15
const EDDSA_ALIAS = true

const shown = (value: unknown): string =>
  value === undefined ? 'none' : (JSON.stringify(value) ?? 'none').slice(0, 120)

const malformed = (detail: string): OAuthError => refusal('dpop_proof_malformed', { detail })

/** `typ`, `alg`, `jwk` and no extension (RFC 9449 §4.3, RFC 7515 §4.1.11). */
function readHeader(
  { typ, alg, jwk, ...header }: Readonly<Record<string, unknown>>,
  algorithms: readonly string[],
): { readonly alg: string; readonly algorithm: Algorithm; readonly jwk: Jwk } {
  if (typeof typ !== 'string' || !/^(?:application\/)?dpop\+jwt$/i.test(typ))
    throw malformed(`expected typ dpop+jwt, got ${shown(typ)}`)
  for (const name of ['crit', 'b64'])
    if (Object.hasOwn(header, name)) throw malformed(`expected no ${name} in the header, got one`)
  const algorithm = typeof alg === 'string' ? algorithmNamed(alg) : undefined
  if (
    typeof alg !== 'string' ||
    algorithm === undefined ||
    !algorithms.some((each) => isSameAlgorithm(alg, each, EDDSA_ALIAS))
  )
    throw refusal('dpop_algorithm_not_allowed', {
      detail: `expected alg to be one of ${algorithms.join(', ')}, got ${shown(alg)}`,
    })
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk))
    throw refusal('dpop_key_unusable', { detail: 'expected a public key in jwk of the header' })
  if (!isUsableFor(jwk as Jwk, alg, algorithm, EDDSA_ALIAS))
    throw refusal('dpop_key_unusable', { detail: findMismatch(jwk as Jwk, alg, algorithm, EDDSA_ALIAS) })
  return { alg, algorithm, jwk: jwk as Jwk }
}

/** The members that RFC 7638 §3.2 hashes, in its order. */
const HASHED: ReadonlyMap<unknown, readonly string[]> = new Map([
  ['EC', ['crv', 'kty', 'x', 'y']],
  ['OKP', ['crv', 'kty', 'x']],
  ['RSA', ['e', 'kty', 'n']],
])

/** The thumbprint of a key that was found usable. */
function thumbprintOf(jwk: Jwk): string {
  const members = (HASHED.get(jwk['kty']) ?? []).map((name) => [name, jwk[name]])
  return createHash('sha256')
    .update(JSON.stringify(Object.fromEntries(members)))
    .digest('base64url')
}

/** `iat` is a time from `lifetimeSeconds` past to 15 seconds ahead. */
function checkIssuedAt(iat: unknown, now: number, lifetimeSeconds: number): number {
  if (typeof iat !== 'number' || !Number.isFinite(iat))
    throw malformed(`expected iat to be a number, got ${shown(iat)}`)
  if (iat > now + AHEAD_SECONDS)
    throw refusal('dpop_proof_issued_in_future', { detail: `iat is ${Math.ceil(iat - now)} s ahead of this server` })
  if (iat < now - lifetimeSeconds)
    throw refusal('dpop_proof_expired', {
      detail: `iat is ${Math.floor(now - iat)} s old, at most ${lifetimeSeconds} s are accepted`,
    })
  return iat
}

function checkUrl(htu: unknown, url: string): string {
  const expected = normalizeUrl(url)
  if (expected === undefined) throw refusal('misconfigured', { detail: 'the URL of the endpoint is not an HTTP URL' })
  // the case of nearly all proofs, and the cheaper one
  if (typeof htu !== 'string' || (htu !== expected && normalizeUrl(htu) !== expected))
    throw refusal('dpop_url_mismatch', { detail: `expected htu ${expected}, got ${shown(htu)}` })
  return expected
}

const hashOf = (accessToken: string): string => createHash('sha256').update(accessToken).digest('base64url')

/**
 * Checks a proof (RFC 9449 §4.3) for a request. Rejects with `invalid_dpop_proof`, or with `use_dpop_nonce` where only the
 * nonce is missing or too old. It uses no store: whether the proof was used before is for the caller to find out. The
 * checks go from cheap to expensive; the signature, one, is the last.
 */
export async function checkProof(
  jwt: unknown,
  { method, url, now, accessToken }: DpopRequest,
  { algorithms, lifetimeSeconds, publicKeys, checkNonce }: ProofRules,
): Promise<DpopProof> {
  // Node.js joins repeated headers by a comma, which no JWS has
  if (typeof jwt !== 'string') throw malformed('expected one DPoP header')
  if (jwt.length > MOST_CHARACTERS)
    throw malformed(`the proof has ${jwt.length} characters, at most ${MOST_CHARACTERS} are read`)
  const jws = readCompactJws(jwt)
  if (isJwsProblem(jws)) throw malformed(jws.problem)
  const { alg, algorithm, jwk } = readHeader(jws.header, algorithms)
  const { htm, htu, iat, jti, nonce, ath } = jws.claims
  if (htm !== method) throw refusal('dpop_method_mismatch', { detail: `expected htm ${method}, got ${shown(htm)}` })
  const expected = checkUrl(htu, url)
  const issuedAt = checkIssuedAt(iat, now, lifetimeSeconds)
  if (typeof jti !== 'string' || jti === '' || jti.length > MOST_JTI_CHARACTERS)
    throw malformed(`expected jti to be a string of 1 to ${MOST_JTI_CHARACTERS} characters`)
  if (accessToken !== undefined && ath !== hashOf(accessToken))
    throw refusal('dpop_token_hash_mismatch', { detail: 'expected ath to be the SHA-256 of the access token' })
  const found = publicKeys.get(jwk, alg)
  const key = found instanceof Promise ? await found : found
  if ('unusable' in key) throw refusal('dpop_key_unusable', { detail: key.unusable })
  if (!isSignedBy(jws, algorithm, key))
    throw refusal('dpop_signature_wrong', { detail: 'the key in jwk does not verify the signature' })
  checkNonce?.(nonce, now)
  return { thumbprint: thumbprintOf(jwk), jti, issuedAt, url: expected }
}
