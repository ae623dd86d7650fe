import {
  createECDH,
  createHash,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  hkdfSync,
  type JsonWebKey,
  KeyObject,
} from 'node:crypto'
import { badOption, badSecretOption, oneOf } from '../options.ts'

/** The algorithms tokens can be signed with. A key is bound to one of them; `none` is not among them. */
export const SIGNING_ALGORITHMS = [
  'ES256',
  'ES384',
  'EdDSA',
  'Ed25519',
  'PS256',
  'RS256',
  'HS256',
  'HS384',
  'HS512',
] as const
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number]

/** A public key as RFC 7517 spells it. */
export type PublicJwk = Readonly<Record<string, string>>

/** One key of a keyset. */
export interface Key {
  readonly kid: string
  readonly alg: SigningAlgorithm
  /** Absent: the key only verifies, because its private half is not here. */
  readonly privateKey: KeyObject | undefined
  /** What verifies: the public half, or for HMAC the secret itself. */
  readonly verifyingKey: KeyObject
  /** The public half for `jwks_uri`; HMAC keys have none. */
  readonly publicJwk: PublicJwk | undefined
}

/** Keys by `kid`, one of which signs. It never changes; rotation makes a new one. */
export interface Keyset {
  readonly signingKey: Key
  readonly keys: ReadonlyMap<string, Key>
}

/** A key as an application brings it. */
export interface KeyInput {
  /**
   * A private key as JWK, PEM text or `KeyObject`; a public one where it only verifies any more; for HMAC the secret, as
   * octets, secret `KeyObject` or JWK of the type `oct`.
   */
  readonly key: KeyObject | Readonly<Record<string, unknown>> | string | Uint8Array
  /** Default: the `kid` of a JWK, otherwise the thumbprint of the public key (RFC 7638). HMAC secrets need one. */
  readonly kid?: string | undefined
  /** Default: the `alg` of a JWK, otherwise ES256, ES384 or EdDSA by the curve. RSA and HMAC keys need one. */
  readonly alg?: SigningAlgorithm | undefined
}

/** What the algorithm asks of the key: its type, curve, least size in bits, and the key's curve name in node:crypto. */
const REQUIRED: Readonly<
  Record<SigningAlgorithm, { readonly type: string; readonly curve?: string; readonly leastBits?: number }>
> = {
  ES256: { type: 'ec', curve: 'prime256v1' },
  ES384: { type: 'ec', curve: 'secp384r1' },
  EdDSA: { type: 'ed25519' },
  Ed25519: { type: 'ed25519' },
  PS256: { type: 'rsa', leastBits: 2048 },
  RS256: { type: 'rsa', leastBits: 2048 },
  HS256: { type: 'secret', leastBits: 256 },
  HS384: { type: 'secret', leastBits: 384 },
  HS512: { type: 'secret', leastBits: 512 },
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
  if (key['kty'] === 'oct') return createSecretKey(Buffer.from(String(key['k'] ?? ''), 'base64url'))
  const input = { key: key as JsonWebKey, format: 'jwk' as const }
  return typeof key['d'] === 'string' ? createPrivateKey(input) : createPublicKey(input)
}

const typeOf = (key: KeyObject): string => (key.type === 'secret' ? 'secret' : (key.asymmetricKeyType ?? ''))

function defaultAlgorithm(key: KeyObject): SigningAlgorithm | undefined {
  const type = typeOf(key)
  if (type === 'ed25519') return 'EdDSA'
  if (type !== 'ec') return undefined
  const curve = key.asymmetricKeyDetails?.namedCurve
  return curve === 'prime256v1' ? 'ES256' : curve === 'secp384r1' ? 'ES384' : undefined
}

const fits = (key: KeyObject, alg: SigningAlgorithm): boolean => {
  const { type, curve, leastBits = 0 } = REQUIRED[alg]
  const details = key.asymmetricKeyDetails
  const bits = key.type === 'secret' ? (key.symmetricKeySize ?? 0) * 8 : (details?.modulusLength ?? 0)
  return typeOf(key) === type && (curve === undefined || details?.namedCurve === curve) && bits >= leastBits
}

function preparedKey(input: KeyInput, name: string): Key {
  const jwk =
    typeof input.key === 'object' && !(input.key instanceof KeyObject) && !(input.key instanceof Uint8Array)
      ? input.key
      : {}
  let imported: KeyObject
  try {
    imported = importedKey(input)
  } catch {
    throw badSecretOption(`${name}.key`, 'a key as JWK, PEM, KeyObject or octets', input.key)
  }
  const alg = input.alg ?? (jwk['alg'] as SigningAlgorithm | undefined) ?? defaultAlgorithm(imported)
  if (alg === undefined || !SIGNING_ALGORITHMS.includes(alg)) {
    throw badOption(`${name}.alg`, `one of ${SIGNING_ALGORITHMS.join(', ')}`, alg)
  }
  if (jwk['alg'] !== undefined && jwk['alg'] !== alg) throw badOption(`${name}.alg`, 'the alg of its JWK', alg)
  if (!fits(imported, alg)) {
    const { type, curve, leastBits } = REQUIRED[alg]
    const wanted = [type, curve, leastBits === undefined ? undefined : `${leastBits} bits or more`].filter(Boolean)
    throw badSecretOption(`${name}.key`, `a key for ${alg} (${wanted.join(', ')})`, input.key)
  }
  const given = input.kid ?? jwk['kid']
  if (imported.type === 'secret') {
    if (typeof given !== 'string' || given === '') throw badOption(`${name}.kid`, 'a non-empty string', given)
    return { kid: given, alg, privateKey: imported, verifyingKey: imported, publicJwk: undefined }
  }
  const verifyingKey = imported.type === 'private' ? createPublicKey(imported) : imported
  const members = publicMembers(verifyingKey)
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

/**
 * A keyset of the application's own keys. The first one signs, or the one named by `signWith`; every one verifies. To
 * rotate: add the new key, publish its public half for as long as resource servers cache it, let it sign, and drop the
 * old one when its tokens have expired. RSA keys need 2048 bits, HMAC secrets the length of their digest (RFC 7518).
 */
export function createKeyset(keys: readonly KeyInput[], options: { readonly signWith?: string } = {}): Keyset {
  if (!Array.isArray(keys) || keys.length === 0) throw badOption('keys', 'a list of one key or more', keys)
  return keysetOf(
    (keys as readonly KeyInput[]).map((key, at) => preparedKey(key, `keys[${at}]`)),
    options.signWith,
  )
}

function keysetOf(prepared: readonly Key[], signWith = prepared[0]?.kid): Keyset {
  const byKid = new Map<string, Key>()
  for (const key of prepared) {
    if (byKid.has(key.kid)) throw badOption('kid', 'different for each key', key.kid)
    byKid.set(key.kid, key)
  }
  const signingKey = byKid.get(signWith ?? '')
  if (signingKey === undefined) throw badOption('signWith', 'the kid of one of the keys', signWith)
  if (signingKey.privateKey === undefined) throw badOption('signWith', 'the kid of a private key', signWith)
  return { signingKey, keys: byKid }
}

/** What `jwks_uri` shows: the public halves of a keyset. HMAC keys have none and are left out. */
export const publicJwks = (keyset: Keyset): { keys: PublicJwk[] } => ({
  keys: [...keyset.keys.values()].flatMap(({ publicJwk }) => (publicJwk === undefined ? [] : [publicJwk])),
})

/** A secret to derive keys from: text counts as its UTF-8 octets. */
export type BaseSecret = string | Uint8Array
const LEAST_SECRET_OCTETS = 32

/** One base secret, or several: the first makes what signs, the others what still verifies. */
export const baseSecrets = (given: BaseSecret | readonly BaseSecret[]): readonly Uint8Array[] => {
  const list = typeof given === 'string' || given instanceof Uint8Array ? [given] : given
  if (!Array.isArray(list) || list.length === 0)
    throw badSecretOption('baseSecret', 'a secret, or a list of them', given)
  return (list as readonly BaseSecret[]).map((each) => {
    const octets = typeof each === 'string' ? Buffer.from(each) : each
    if (!(octets instanceof Uint8Array) || octets.length < LEAST_SECRET_OCTETS) {
      throw badSecretOption('baseSecret', `random, and of ${LEAST_SECRET_OCTETS} octets or more`, each)
    }
    return octets
  })
}

/** Octets for one purpose out of a base secret: HKDF-SHA-256 (RFC 5869), which wants a secret of high entropy. */
export const derived = (secret: Uint8Array, purpose: string, octets: number): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, '', `passport-client-assertion-jwt ${purpose}`, octets))

const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
/** The PKCS #8 frame of an Ed25519 private key (RFC 8410 §7); the 32 octets of the key follow. */
const ED25519_FRAME = Buffer.from('302e020100300506032b657004220420', 'hex')

/** 16 octets more than the order has, so that the remainder is even to 2^-128 (FIPS 186-5 A.2.1). */
function p256Key(octets: Buffer): KeyObject {
  const scalar = (BigInt(`0x${octets.toString('hex')}`) % (P256_ORDER - 1n)) + 1n
  const d = Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex')
  const pair = createECDH('prime256v1')
  pair.setPrivateKey(d)
  const point = pair.getPublicKey() // 04, x, y
  const text = (from: number): string => point.toString('base64url', from, from + 32)
  return createPrivateKey({
    key: { kty: 'EC', crv: 'P-256', d: d.toString('base64url'), x: text(1), y: text(33) },
    format: 'jwk',
  })
}

/**
 * A keyset derived from one base secret, the same on every node that has it. HS256, HS384, HS512: an HMAC secret;
 * ES256 (default) and EdDSA: a key pair whose public half `publicJwks` shows. Of several secrets the first signs.
 * `purpose` keeps keysets of one secret apart. The secret must be random and of 32 octets or more: HKDF does not make a
 * weak one strong.
 */
export function deriveKeyset(
  baseSecret: BaseSecret | readonly BaseSecret[],
  options: { readonly alg?: 'ES256' | 'EdDSA' | 'HS256' | 'HS384' | 'HS512'; readonly purpose?: string } = {},
): Keyset {
  const alg = oneOf('alg', options.alg, 'ES256', ['ES256', 'EdDSA', 'HS256', 'HS384', 'HS512'])
  const { purpose = 'access token' } = options
  const keys = baseSecrets(baseSecret).map((secret, at): Key => {
    const octets = (label: string, count: number): Buffer => derived(secret, `${purpose} ${alg}${label}`, count)
    const name = `keys[${at}]`
    if (alg === 'ES256') return preparedKey({ key: p256Key(octets('', 48)), alg }, name)
    if (alg === 'EdDSA') {
      const der = Buffer.concat([ED25519_FRAME, octets('', 32)])
      return preparedKey({ key: createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }), alg }, name)
    }
    const length = Number(alg.slice(2)) / 8
    return preparedKey({ key: octets('', length), alg, kid: octets(' kid', 9).toString('base64url') }, name)
  })
  return keysetOf(keys)
}
