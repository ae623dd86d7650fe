import { createECDH, createPrivateKey, hkdfSync, type KeyObject } from 'node:crypto'
import { signingAlgorithm } from '../keys/algorithms.ts'
import { badOption, checkOptions, oneOf } from '../options.ts'
import { readServerSecrets } from '../server_secrets.ts'
import { type Key, preparedKey } from './key.ts'
import { type Keyset, keysetOf } from './keyset.ts'

/** A secret to derive keys from. A string is encoded as UTF-8. */
export type BaseSecret = string | Uint8Array

/** Derives bytes for one purpose from a base secret with HKDF-SHA-256 (RFC 5869), which needs a secret of high entropy. */
export const derived = (secret: Uint8Array, purpose: string, octets: number): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, '', `passport-client-assertion-jwt ${purpose}`, octets))

const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
/** The PKCS #8 frame of an Ed25519 private key (RFC 8410 §7); the 32 bytes of the key follow. */
const ED25519_FRAME = Buffer.from('302e020100300506032b657004220420', 'hex')

/** 16 bytes more than the order has, so that the remainder is even to 2^-128 (FIPS 186-5 A.2.1). */
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
 * ES256 (default) and EdDSA: a key pair whose public half `exportPublicJwks` shows. Of several secrets the first signs.
 * `purpose` keeps keysets of one secret apart. The secret must be random and have 32 bytes or more: HKDF does not make a
 * weak one strong.
 *
 * @example
 * ```ts
 * import { deriveKeyset } from 'passport-client-assertion-jwt'
 *
 * const factory = createTokenFactory({
 *   baseSecret,
 *   keyset: deriveKeyset(baseSecret, { alg: 'EdDSA', purpose: 'invitations' }),
 * })
 * const invitation = await factory.sign('access_token', { iss: 'https://as.example.com', sub: 'alice' })
 * console.log(await factory.verify('access_token', invitation))
 * ```
 */
export function deriveKeyset(
  baseSecret: BaseSecret | readonly BaseSecret[],
  options: { readonly alg?: 'ES256' | 'EdDSA' | 'HS256' | 'HS384' | 'HS512'; readonly purpose?: string } = {},
): Keyset {
  checkOptions('deriveKeyset', options, ['alg', 'purpose'])
  const alg = oneOf('alg', options.alg, 'ES256', ['ES256', 'EdDSA', 'HS256', 'HS384', 'HS512'])
  const { purpose = 'access token' } = options
  if (typeof purpose !== 'string') throw badOption('purpose', 'a string', purpose)
  const keys = readServerSecrets('baseSecret', baseSecret).map((secret, at): Key => {
    const octets = (label: string, count: number): Buffer => derived(secret, `${purpose} ${alg}${label}`, count)
    const name = `keys[${at}]`
    if (alg === 'ES256') return preparedKey({ key: p256Key(octets('', 48)), alg }, name)
    if (alg === 'EdDSA') {
      const der = Buffer.concat([ED25519_FRAME, octets('', 32)])
      return preparedKey({ key: createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }), alg }, name)
    }
    const length = signingAlgorithm(alg).leastBits / 8
    return preparedKey({ key: octets('', length), alg, kid: octets(' kid', 9).toString('base64url') }, name)
  })
  return keysetOf(keys)
}
