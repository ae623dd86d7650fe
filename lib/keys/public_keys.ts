import { KeyObject } from 'node:crypto'
import { importJWK, type JWK } from 'jose'
import { createBoundedCache } from '../remote/bounded_cache.ts'
import { base64urlOctets } from './base64url.ts'
import type { Jwk } from './jwks.ts'

/** A key ready for use, or why it can not be used. */
export type PublicKey = KeyObject | { readonly unusable: string }

/** The public keys of clients, made ready once for each key and kept, whoever brings it and in whatever record. */
export interface PublicKeys {
  /** At once when the key was seen before; otherwise when it has been imported. Never rejects. */
  get(jwk: Jwk, alg: string): PublicKey | Promise<PublicKey>
}

const LEAST_RSA_BITS = 2048
const MOST_RSA_BITS = 8192
const LEAST_RSA_EXPONENT = 65_537n
/** OpenSSL takes no longer exponent with a large modulus either; each further octet makes a check slower. */
const MOST_RSA_EXPONENT_OCTETS = 8
/** Longest text of key material there can be: an ML-DSA-87 key has 2592 octets. */
const MOST_CHARACTERS = 4096
/** Members of private and symmetric keys (RFC 7518 §6.2.2, §6.3.2, §6.4.1; RFC 9881 for `priv`). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'] as const

/** The members that are the public key, per key type (RFC 7518 §6, RFC 8037 §2, RFC 9881). */
const MATERIAL: Readonly<Record<string, readonly string[]>> = {
  RSA: ['n', 'e'],
  EC: ['crv', 'x', 'y'],
  OKP: ['crv', 'x'],
  AKP: ['alg', 'pub'],
}

const bitsOf = (octets: Buffer): number => {
  const first = octets.findIndex((octet) => octet !== 0)
  return first === -1 ? 0 : (octets.length - first) * 8 - Math.clz32(octets[first] ?? 0) + 24
}

/** What speaks against an RSA key (RFC 7518 §3.3): a size or an exponent that is unsafe or slow. */
function rsaProblem(jwk: Jwk): string | undefined {
  const n = base64urlOctets(jwk.n)
  const e = base64urlOctets(jwk.e)
  if (n === undefined || e === undefined) return 'n and e must be base64url'
  const bits = bitsOf(n)
  if (bits < LEAST_RSA_BITS || bits > MOST_RSA_BITS)
    return `an RSA key must have ${LEAST_RSA_BITS} to ${MOST_RSA_BITS} bits, it has ${bits}`
  if (e.length > MOST_RSA_EXPONENT_OCTETS) return 'the RSA exponent is too long'
  const exponent = BigInt(`0x${e.toString('hex')}`)
  if (exponent < LEAST_RSA_EXPONENT || exponent % 2n === 0n) return 'the RSA exponent must be odd and at least 65537'
  return undefined
}

async function imported(jwk: Jwk, members: readonly string[], alg: string): Promise<PublicKey> {
  if (jwk.kty === 'RSA') {
    const problem = rsaProblem(jwk)
    if (problem !== undefined) return { unusable: problem }
  }
  try {
    // Only what the public key is made of: use, key_ops and ext were judged by the caller, or do not matter.
    const bare: Record<string, unknown> = { kty: jwk.kty }
    for (const member of members) bare[member] = jwk[member]
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
      for (const member of PRIVATE_MEMBERS) if (jwk[member] !== undefined) return UNUSABLE_PRIVATE
      const members = MATERIAL[jwk.kty as string]
      if (members === undefined) return { unusable: 'the key type is unknown' }
      let identity = jwk.kty as string
      for (const member of members) {
        const value = jwk[member]
        if (typeof value !== 'string' || value.length > MOST_CHARACTERS)
          return { unusable: `the member ${member} is missing or malformed` }
        identity += `|${value}`
      }
      const known = cache.get(identity)
      if (known !== undefined) return known
      const pending = imported(jwk, members, alg).then((key) => {
        cache.set(identity, key)
        return key
      })
      cache.set(identity, pending) // shared by all who ask before it is there
      return pending
    },
  }
}
