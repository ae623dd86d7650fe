import type { Clock } from '../clock.ts'

/** A clock that stands still until you move it. Call it to get the time, and pass it as any option `clock`. */
export interface FakeClock extends Clock {
  /** Moves the clock by `seconds`, which may be negative, and returns the new time. */
  advance(seconds: number): number
  /** Sets the clock to a time in epoch seconds, and returns it. */
  set(at: number): number
}

/**
 * Creates a clock for tests. It accepts any number: fractions and steps backwards are useful in tests.
 *
 * @param startAt epoch seconds at which it stands; default 1800000000 (2027-01-15)
 *
 * @example
 * ```ts
 * import { createFakeClock } from 'passport-client-assertion-jwt/testing'
 *
 * const clock = createFakeClock()
 * const client = await createTestClient({ issuer, clock, alg: 'PS256', client: { scope: 'read' } })
 * ```
 */
export function createFakeClock(startAt = 1_800_000_000): FakeClock {
  let now = startAt
  return Object.assign(() => now, {
    advance: (seconds: number): number => {
      now += seconds
      return now
    },
    set: (at: number): number => {
      now = at
      return now
    },
  })
}
