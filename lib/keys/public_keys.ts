import { KeyObject } from 'node:crypto'
import { importJWK, type JWK } from 'jose'
import { isAbsent } from '../optional.ts'
import { createBoundedCache } from '../remote/bounded_cache.ts'
import { decodeBase64url } from './base64url.ts'
import { findPointProblem } from './edwards.ts'
import type { Jwk } from './jwks.ts'

/** A key ready for use, or why it cannot be used. */
export type PublicKey = KeyObject | { readonly unusable: string }

/** The public keys of clients, imported once for each key and kept, in whatever record they are. */
export interface PublicKeys {
  /** Returns at once if the key was seen before, otherwise when it has been imported. Never rejects. */
  get(jwk: Jwk, alg: string): PublicKey | Promise<PublicKey>
}

const LEAST_RSA_BITS = 2048
const MOST_RSA_BITS = 8192
const LEAST_RSA_EXPONENT = 65_537n
/** OpenSSL accepts no longer exponent with a large modulus either; each further byte makes a check slower. */
const MOST_RSA_EXPONENT_BYTES = 8
/** The longest string of key material: an ML-DSA-87 key has 2592 bytes. */
const MOST_CHARACTERS = 4096
/** Members of private and symmetric keys (RFC 7518 §6.2.2, §6.3.2, §6.4.1; RFC 9881 for `priv`). */
export const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'] as const

interface Material {
  readonly all: readonly string[]
  /** The ones in base64url. */
  readonly bytes: readonly string[]
}

/** The members that are the public key, per key type (RFC 7518 §6, RFC 8037 §2, RFC 9881). */
const MATERIAL: ReadonlyMap<unknown, Material> = new Map([
  ['RSA', { all: ['n', 'e'], bytes: ['n', 'e'] }],
  ['EC', { all: ['crv', 'x', 'y'], bytes: ['x', 'y'] }],
  ['OKP', { all: ['crv', 'x'], bytes: ['x'] }],
  ['AKP', { all: ['alg', 'pub'], bytes: ['pub'] }],
])

const bitsOf = (bytes: Buffer): number => {
  const first = bytes.findIndex((byte) => byte !== 0)
  return first === -1 ? 0 : (bytes.length - first) * 8 - Math.clz32(bytes[first] ?? 0) + 24
}

/** Says what is wrong with an RSA key (RFC 7518 §3.3): a size or an exponent that is unsafe or slow. */
function findRsaProblem(n: Buffer, e: Buffer): string | undefined {
  const bits = bitsOf(n)
  if (bits < LEAST_RSA_BITS || bits > MOST_RSA_BITS)
    return `an RSA key must have ${LEAST_RSA_BITS} to ${MOST_RSA_BITS} bits, it has ${bits}`
  if (((n[n.length - 1] ?? 0) & 1) === 0) return 'the RSA modulus is even'
  if (e.length > MOST_RSA_EXPONENT_BYTES) return 'the RSA exponent is too long'
  const exponent = BigInt(`0x${e.toString('hex')}`)
  return exponent < LEAST_RSA_EXPONENT || exponent % 2n === 0n
    ? 'the RSA exponent must be odd and at least 65537'
    : undefined
}

async function importKey(jwk: Jwk, alg: string, { all, bytes }: Material): Promise<PublicKey> {
  // Only what the public key is made of: use, key_ops and ext were judged by the caller, or do not matter.
  const bare: Record<string, unknown> = { kty: jwk['kty'] }
  for (const name of all) bare[name] = jwk[name]
  const decoded: Buffer[] = []
  for (const name of bytes) {
    const value = decodeBase64url(jwk[name])
    if (value === undefined) return { unusable: `${bytes.join(' and ')} must be base64url` }
    decoded.push(value)
    bare[name] = value.toString('base64url')
  }
  const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = decoded
  const problem = jwk['kty'] === 'RSA' ? findRsaProblem(first, second) : findPointProblem(jwk['crv'], first)
  if (problem !== undefined) return { unusable: problem }
  try {
    const key = await importJWK(bare as JWK, alg)
    return key instanceof Uint8Array ? { unusable: 'not a public key' } : KeyObject.from(key)
  } catch {
    // jose, WebCrypto and OpenSSL each have errors of their own for a malformed key, and none is of interest
    return { unusable: 'the key is malformed' }
  }
}

const UNUSABLE_PRIVATE: PublicKey = {
  unusable: 'private key members do not belong in a key set (RFC 7517 section 9.2)',
}

/** A cache of `most` public keys, found by what they are made of. */
export function createPublicKeys(most: number): PublicKeys {
  const cache = createBoundedCache<PublicKey | Promise<PublicKey>>(most)
  return {
    get(jwk, alg) {
      for (const member of PRIVATE_MEMBERS) if (!isAbsent(jwk[member])) return UNUSABLE_PRIVATE
      const material = MATERIAL.get(jwk['kty'])
      if (material === undefined) return { unusable: 'the key type is unknown' }
      let identity = jwk['kty'] as string
      for (const member of material.all) {
        const value = jwk[member]
        if (typeof value !== 'string' || value.length > MOST_CHARACTERS)
          return { unusable: `the member ${member} is missing or malformed` }
        identity += `|${value}`
      }
      const known = cache.get(identity)
      if (known !== undefined) return known
      const pending = importKey(jwk, alg, material).then((key) => {
        cache.set(identity, key)
        return key
      })
      cache.set(identity, pending) // shared by all who ask before it is there
      return pending
    },
  }
}
