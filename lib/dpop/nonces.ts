import { createHmac, hkdfSync } from 'node:crypto'
import { isSameOctets } from '../constant_time.ts'

/** Seconds for which one nonce is given out. It is accepted for one such time longer. */
const WINDOW_SECONDS = 120
const PURPOSE = 'passport-client-assertion-jwt dpop nonce'

/** Server-provided nonces that need no store (RFC 9449 §8): a MAC over the time, the same on every node with the secret. */
export interface Nonces {
  /** The nonce that is given out at `now`. */
  current(now: number): string
  /**
   * Whether a nonce is accepted at `now`: that of this window, of the one before, or of the next one, which a node gave out
   * whose clock is a little ahead.
   */
  isAccepted(nonce: string, now: number): boolean
}

/** Makes the nonces. With several secrets the first makes nonces, and those of all are accepted (rotation). */
export function createNonces([first, ...others]: readonly [Uint8Array, ...Uint8Array[]]): Nonces {
  const keyOf = (secret: Uint8Array): Buffer => Buffer.from(hkdfSync('sha256', secret, '', PURPOSE, 32))
  const key = keyOf(first)
  const keys = [key, ...others.map(keyOf)]
  const windowOf = (now: number): number => Math.floor(now / WINDOW_SECONDS)
  const nonceOf = (by: Buffer, window: number): string =>
    createHmac('sha256', by).update(String(window)).digest('base64url')

  // computed once for each window
  let window = Number.NaN
  let given = ''
  let accepted: readonly Buffer[] = []
  const turnTo = (now: number): void => {
    if (windowOf(now) === window) return
    window = windowOf(now)
    given = nonceOf(key, window)
    accepted = [window, window - 1, window + 1].flatMap((each) => keys.map((by) => Buffer.from(nonceOf(by, each))))
  }

  return {
    current(now) {
      turnTo(now)
      return given
    },
    isAccepted(nonce, now) {
      turnTo(now)
      const bytes = Buffer.from(nonce)
      return accepted.some((each) => isSameOctets(bytes, each))
    },
  }
}
