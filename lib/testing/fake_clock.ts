import type { Clock } from '../clock.ts'

/** A clock that stands still until it is moved. Call it for the time; hand it in wherever a `Clock` is taken. */
export interface FakeClock extends Clock {
  /** Moves the clock by `seconds`, which may be negative. Answers with the new time. */
  advance(seconds: number): number
  /** Sets the clock to a moment, epoch seconds. Answers with it. */
  set(at: number): number
}

/**
 * A clock for tests. It checks nothing: fractions and steps backwards are what tests are for.
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
