import { hash } from 'node:crypto'

/** The hashes of HS256, HS384 and HS512. */
export type HmacHash = 'sha256' | 'sha384' | 'sha512'

/** Octets of the block that each hash works on (FIPS 180-4 §1), and of its digest. */
const BLOCK = { sha256: 64, sha384: 128, sha512: 128 } as const
const DIGEST = { sha256: 32, sha384: 48, sha512: 64 } as const

/** A secret made ready for `hmac`. It holds the secret: keep it as you keep that. */
export interface HmacKey {
  readonly hash: HmacHash
  /** The first block of the inner hash: the key with its bits flipped by 0x36. */
  readonly inner: Buffer
  /** The first block of the outer hash, by 0x5c, and behind it room for the inner digest. */
  readonly outer: Buffer
}

/** Makes a secret ready. Octets are taken as they are, text as UTF-8; a secret longer than a block counts as its hash. */
export function hmacKey(algorithm: HmacHash, secret: string | Uint8Array): HmacKey {
  const block = BLOCK[algorithm]
  const given = typeof secret === 'string' ? Buffer.from(secret, 'utf8') : secret
  const key = given.length > block ? hash(algorithm, given, 'buffer') : given
  const inner = Buffer.alloc(block, 0x36)
  const outer = Buffer.alloc(block + DIGEST[algorithm], 0x5c)
  for (let at = 0; at < key.length; at++) {
    const octet = key[at] ?? 0
    inner[at] = 0x36 ^ octet
    outer[at] = 0x5c ^ octet
  }
  return { hash: algorithm, inner, outer }
}

/**
 * HMAC (RFC 2104 §2) of a text, as UTF-8: by two one-shot hashes, which make no objects of their own. `createHmac` gives
 * the same octets for every text, at three times the price, and node:crypto has no one-shot MAC.
 */
export function hmac({ hash: algorithm, inner, outer }: HmacKey, text: string): Buffer {
  const message = Buffer.allocUnsafe(inner.length + Buffer.byteLength(text, 'utf8'))
  message.set(inner)
  message.write(text, inner.length, 'utf8')
  outer.set(hash(algorithm, message, 'buffer'), inner.length)
  return hash(algorithm, outer, 'buffer')
}
