import { createHmac, type KeyObject, sign, verify } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { isSameOctets } from '../constant_time.ts'
import { POOL_THREADS } from '../thread_pool.ts'
import type { Algorithm } from './algorithms.ts'

/** Where a public-key signature is checked: on this thread, or in the thread pool of Node.js while it has a thread to spare. */
export type VerificationPlace = 'sync' | 'pool'

/** What was signed, and the signature over it. */
export interface Signed {
  /** The signing input of RFC 7515 §5.1, which is ASCII. */
  readonly signingInput: string
  readonly signature: Uint8Array
}

const bytesOf = (signingInput: string): Buffer => Buffer.from(signingInput, 'latin1')

/** The key with the parameters of the algorithm, as `crypto.sign` and `crypto.verify` take them. */
const withParameters = (algorithm: Algorithm, key: KeyObject) => ({ key, ...algorithm.parameters })

/**
 * Whether the signature is this key's (RFC 7515 §5.2). An error of the crypto library counts as no. The caller has
 * checked that key and algorithm fit.
 */
export function isSignedBy(signed: Signed, algorithm: Algorithm, key: KeyObject): boolean {
  try {
    return verify(algorithm.hash, bytesOf(signed.signingInput), withParameters(algorithm, key), signed.signature)
  } catch {
    return false
  }
}

/**
 * How many signatures are checked in the thread pool at once. A processor is needed for this thread, and a thread of the
 * pool for look-ups of names and files.
 */
const MOST_IN_POOL = Math.min(availableParallelism(), POOL_THREADS) - 1

let inPool = 0

function isSignedByInPool(signed: Signed, algorithm: Algorithm, key: KeyObject): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (isSigned: boolean): void => {
      inPool -= 1
      resolve(isSigned)
    }
    inPool += 1
    try {
      const data = bytesOf(signed.signingInput)
      verify(algorithm.hash, data, withParameters(algorithm, key), signed.signature, (fault, outcome) =>
        settle(fault === null && outcome),
      )
    } catch {
      settle(false)
    }
  })
}

/**
 * Whether the signature is this key's, checked at this place. A thread of the pool costs more CPU in total and leaves this
 * thread free. A queue for the pool only costs more: what finds no thread to spare is checked here.
 */
export const checkSignature = (
  place: VerificationPlace,
  signed: Signed,
  algorithm: Algorithm,
  key: KeyObject,
): boolean | Promise<boolean> =>
  place === 'pool' && inPool < MOST_IN_POOL
    ? isSignedByInPool(signed, algorithm, key)
    : isSignedBy(signed, algorithm, key)

/**
 * The MAC over a signing input (RFC 7518 §3.2). A secret that is a string counts as its UTF-8 bytes. By way of a string, which
 * costs less than bytes of the crypto library.
 */
export const macOf = (signingInput: string, algorithm: Algorithm, secret: string | Uint8Array | KeyObject): Buffer =>
  Buffer.from(
    createHmac(algorithm.hash ?? '', secret)
      .update(signingInput, 'latin1')
      .digest('binary'),
    'latin1',
  )

/** `macOf` in base64url: cheaper than to encode its bytes afterwards. */
export const macTextOf = (signingInput: string, algorithm: Algorithm, secret: KeyObject): string =>
  createHmac(algorithm.hash ?? '', secret)
    .update(signingInput, 'latin1')
    .digest('base64url')

/** Whether the MAC was made with this secret. Constant time. */
export const isMacOf = (
  { signingInput, signature }: Signed,
  algorithm: Algorithm,
  secret: string | Uint8Array | KeyObject,
): boolean => isSameOctets(signature, macOf(signingInput, algorithm, secret))

/** Signs with a private key, on this thread. */
export const signatureOf = (signingInput: string, algorithm: Algorithm, key: KeyObject): Buffer =>
  sign(algorithm.hash, bytesOf(signingInput), withParameters(algorithm, key))

/** Signs with a private key in the thread pool: for RSA, whose signatures take eight times as long as others. */
export const signatureOfInPool = (signingInput: string, algorithm: Algorithm, key: KeyObject): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    sign(algorithm.hash, bytesOf(signingInput), withParameters(algorithm, key), (error, bytes) => {
      if (error) reject(error)
      else resolve(bytes)
    })
  })
