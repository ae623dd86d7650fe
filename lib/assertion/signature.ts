import { constants, createHmac, type KeyObject, verify } from 'node:crypto'
import { isSameOctets } from '../constant_time.ts'
import type { Algorithm } from './algorithms.ts'
import type { Envelope } from './envelope.ts'

/** Where a public-key signature is checked: on this thread, or in the thread pool of Node.js. */
export type VerificationPlace = 'sync' | 'pool'

const parametersOf = (algorithm: Algorithm, key: KeyObject) =>
  algorithm.kty === 'EC'
    ? ({ key, dsaEncoding: 'ieee-p1363' } as const)
    : algorithm.padding === undefined
      ? { key }
      : algorithm.padding === constants.RSA_PKCS1_PSS_PADDING
        ? { key, padding: algorithm.padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
        : { key, padding: algorithm.padding }

/**
 * Whether the signature is this key's (RFC 7515 §5.2). A fault of the crypto library means no. The caller has made
 * sure that key and algorithm fit.
 */
export function isSignedBy(envelope: Envelope, algorithm: Algorithm, key: KeyObject): boolean {
  try {
    const data = Buffer.from(envelope.signingInput, 'latin1')
    return verify(algorithm.hash ?? null, data, parametersOf(algorithm, key), envelope.signature)
  } catch {
    return false
  }
}

/** `isSignedBy` in the thread pool: costs more CPU in all, and leaves this thread to others meanwhile. */
export function isSignedByInPool(envelope: Envelope, algorithm: Algorithm, key: KeyObject): Promise<boolean> {
  return new Promise((resolve) => {
    try {
      const data = Buffer.from(envelope.signingInput, 'latin1')
      verify(algorithm.hash ?? null, data, parametersOf(algorithm, key), envelope.signature, (fault, outcome) =>
        resolve(fault === null && outcome),
      )
    } catch {
      resolve(false)
    }
  })
}

/** Whether the MAC was made with this secret (RFC 7518 §3.2). Text counts as its UTF-8 octets. Constant time. */
export function isMacOf(envelope: Envelope, algorithm: Algorithm, secret: string | Uint8Array): boolean {
  const expected = createHmac(algorithm.hash ?? 'sha256', secret)
    .update(envelope.signingInput, 'latin1')
    .digest()
  return isSameOctets(envelope.signature, expected)
}
