import { createHash, createPrivateKey, createPublicKey, createSecretKey, type JsonWebKey, KeyObject } from 'node:crypto'
import { type Algorithm, SIGNING_ALGORITHMS, type SigningAlgorithm, signingAlgorithm } from '../keys/algorithms.ts'
import { decodeBase64url } from '../keys/base64url.ts'
import { findPointProblem } from '../keys/edwards.ts'
import { isAbsent, readOptional } from '../optional.ts'
import { badOption, badSecretOption } from '../options.ts'

/** A public key as RFC 7517 spells it. */
export type PublicJwk = Readonly<Record<string, string>>

/** One key of a keyset. */
export interface Key {
  /** The key id: the `kid` in the header of tokens. */
  readonly kid: string
  /** The JOSE algorithm that the key is used with. No other is accepted. */
  readonly alg: SigningAlgorithm
  /** Absent: the key only verifies, because its private half is not here. */
  readonly privateKey: KeyObject | undefined
  /** What verifies: the public half, or for HMAC the secret itself. */
  readonly verifyingKey: KeyObject
  /** The public half for `jwks_uri`; HMAC keys have none. */
  readonly publicJwk: PublicJwk | undefined
}

/** A key as an application brings it. */
export interface KeyInput {
  /**
   * A private key as JWK, PEM text or `KeyObject`; a public one where it only verifies any more; for HMAC the secret, as
   * bytes, secret `KeyObject` or JWK of the type `oct`.
   */
  readonly key: KeyObject | Readonly<Record<string, unknown>> | string | Uint8Array
  /** Default: the `kid` of a JWK, otherwise the thumbprint of the public key (RFC 7638). HMAC secrets need one. */
  readonly kid?: string | undefined
  /**
   * Default: the `alg` of a JWK, otherwise ES256, ES384 or EdDSA (for Ed25519 and Ed448) by the curve. RSA and HMAC keys
   * need one. Of the libraries resource servers use, few verify Ed448.
   */
  readonly alg?: SigningAlgorithm | undefined
}

/** The members a thumbprint covers, in its order (RFC 7638 §3.2, RFC 8037 §2). */
const THUMBPRINT_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
  RSA: ['e', 'kty', 'n'],
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url')

/** The public members of a key, and nothing else. */
function publicMembers(key: KeyObject): Record<string, string> {
  const jwk = key.export({ format: 'jwk' }) as Record<string, string>
  const members = THUMBPRINT_MEMBERS[jwk['kty'] ?? ''] ?? []
  return Object.fromEntries(members.map((member) => [member, jwk[member] ?? '']))
}

function importedKey({ key }: KeyInput): KeyObject {
  if (key instanceof KeyObject) return key
  if (key instanceof Uint8Array) return createSecretKey(key)
  if (typeof key === 'string') return key.includes('PUBLIC KEY') ? createPublicKey(key) : createPrivateKey(key)
  if (key['kty'] === 'oct') return createSecretKey(decodeBase64url(key['k']) ?? Buffer.alloc(0))
  const members = Object.fromEntries(Object.entries(key).filter(([, value]) => !isAbsent(value)))
  const input = { key: members as JsonWebKey, format: 'jwk' as const }
  return !isAbsent(key['d']) ? createPrivateKey(input) : createPublicKey(input)
}

const typeOf = (key: KeyObject): string => (key.type === 'secret' ? 'secret' : (key.asymmetricKeyType ?? ''))

/** The algorithm of a key whose type leaves no choice. */
function defaultAlgorithm(key: KeyObject): SigningAlgorithm | undefined {
  if (isOf(key, 'EdDSA')) return 'EdDSA'
  return key.asymmetricKeyType === 'ec' ? SIGNING_ALGORITHMS.find((alg) => isOf(key, alg)) : undefined
}

/** What the algorithm allows its keys to be. `EdDSA` leaves the curve to the key (RFC 8037). */
const kindsOf = (alg: SigningAlgorithm): readonly Algorithm[] =>
  alg === 'EdDSA' ? [signingAlgorithm('EdDSA'), signingAlgorithm('Ed448')] : [signingAlgorithm(alg)]

const isOf = (key: KeyObject, alg: SigningAlgorithm): boolean =>
  kindsOf(alg).some(({ keyType, namedCurve }) => {
    const curve = key.asymmetricKeyDetails?.namedCurve
    return keyType === typeOf(key) && (namedCurve === undefined || namedCurve === curve)
  })

const isLongEnough = (key: KeyObject, alg: SigningAlgorithm): boolean => {
  const bits = key.type === 'secret' ? (key.symmetricKeySize ?? 0) * 8 : (key.asymmetricKeyDetails?.modulusLength ?? 0)
  return bits >= signingAlgorithm(alg).leastBits
}

/** What a key for the algorithm is, in the words of node:crypto. */
function describeKeyFor(alg: SigningAlgorithm): string {
  const { namedCurve, leastBits } = signingAlgorithm(alg)
  const types = kindsOf(alg).map(({ keyType }) => keyType)
  const size = leastBits === 0 ? undefined : `${leastBits} bits or more`
  return [types.join(' or '), namedCurve, size].filter(Boolean).join(', ')
}

/** Imports and checks a key. `name` is what a `TypeError` calls it; no error shows the key. */
export function preparedKey(input: KeyInput, name: string): Key {
  const jwk =
    typeof input.key === 'object' && !(input.key instanceof KeyObject) && !(input.key instanceof Uint8Array)
      ? input.key
      : {}
  let imported: KeyObject
  try {
    imported = importedKey(input)
  } catch {
    throw badSecretOption(`${name}.key`, 'a key as JWK, PEM, KeyObject or bytes', input.key)
  }
  const ownAlg = readOptional(jwk['alg'])
  const alg = input.alg ?? (ownAlg as SigningAlgorithm | undefined) ?? defaultAlgorithm(imported)
  if (alg === undefined || !SIGNING_ALGORITHMS.includes(alg)) {
    throw badOption(`${name}.alg`, `one of ${SIGNING_ALGORITHMS.join(', ')}`, alg)
  }
  if (ownAlg !== undefined && ownAlg !== alg) throw badOption(`${name}.alg`, 'the alg of its JWK', alg)
  if (!isOf(imported, alg) || !isLongEnough(imported, alg))
    throw badSecretOption(`${name}.key`, `a key for ${alg} (${describeKeyFor(alg)})`, input.key)
  const given = input.kid ?? readOptional(jwk['kid'])
  if (imported.type === 'secret') {
    if (typeof given !== 'string' || given === '') throw badOption(`${name}.kid`, 'a non-empty string', given)
    return { kid: given, alg, privateKey: imported, verifyingKey: imported, publicJwk: undefined }
  }
  const verifyingKey = imported.type === 'private' ? createPublicKey(imported) : imported
  const members = publicMembers(verifyingKey)
  const problem = findPointProblem(members['crv'], Buffer.from(members['x'] ?? '', 'base64url'))
  if (problem !== undefined) throw badSecretOption(`${name}.key`, `a sound public key (${problem})`, input.key)
  const kid = given ?? sha256(JSON.stringify(members))
  if (typeof kid !== 'string' || kid === '') throw badOption(`${name}.kid`, 'a non-empty string', kid)
  return {
    kid,
    alg,
    privateKey: imported.type === 'private' ? imported : undefined,
    verifyingKey,
    publicJwk: { ...members, kid, alg, use: 'sig' },
  }
}
