import { createHash } from 'node:crypto'
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'

/** Attempts that an account allows from one address before the first pause, and again after each pause. */
const MOST_ATTEMPTS = 10
/** Seconds after which attempts are forgotten. */
const WINDOW_SECONDS = 60
/** Seconds of the first pause. Each further pause within an hour is twice as long, up to the longest. */
const FIRST_PAUSE_SECONDS = 30
const LONGEST_PAUSE_SECONDS = 900

/** Limits failed logins per account and address. Unknown accounts are limited like others, so the limit tells nothing. */
export interface LoginLimit {
  /** Counts an attempt, before the password is checked. Returns the seconds to wait, or 0 if the password may be checked. */
  attempt(username: string, address: string): Promise<number>
  /** Forgets the attempts: the password was right. */
  succeeded(username: string, address: string): Promise<void>
}

/** Creates the limit, in the memory of this process. With several nodes use the package's Redis or PostgreSQL limiter. */
export function createLoginLimit(): LoginLimit {
  const attempts = new RateLimiterMemory({ points: MOST_ATTEMPTS, duration: WINDOW_SECONDS })
  const pauses = new RateLimiterMemory({ points: 1, duration: 3600 })
  // Three characters of the digest: made-up user names cannot fill the memory, with 262,144 counters per address at most.
  const keyOf = (username: string, address: string): string =>
    `${address} ${createHash('sha256').update(username).digest('base64url').slice(0, 3)}`

  return {
    async attempt(username, address) {
      const key = keyOf(username, address)
      const { consumedPoints, msBeforeNext } = await attempts.consume(key).catch((reached: unknown) => {
        if (reached instanceof RateLimiterRes) return reached
        throw reached
      })
      if (consumedPoints <= MOST_ATTEMPTS) return 0
      if (consumedPoints > MOST_ATTEMPTS + 1) return Math.ceil(msBeforeNext / 1000) // a pause that has begun
      const { consumedPoints: count } = await pauses.penalty(key)
      const seconds = Math.min(FIRST_PAUSE_SECONDS * 2 ** (count - 1), LONGEST_PAUSE_SECONDS)
      await attempts.block(key, seconds)
      return seconds
    },
    async succeeded(username, address) {
      await attempts.delete(keyOf(username, address))
    },
  }
}
