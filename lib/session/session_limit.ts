import { randomInt } from 'node:crypto'
import { publish } from '../events.ts'
import { wholeNumber } from '../options.ts'
import { mixIn, slotOf } from '../slot.ts'
import type { Session } from './session.ts'
import type { SessionStore } from './session_store.ts'

/** Sessions of one user and type that may be active at once, unless the options say otherwise. */
const MOST_SESSIONS_PER_USER = 5000
/** A process asks the store how many sessions a user has after as many openings of this user: most openings ask nothing. */
const OPENINGS_PER_CHECK = 32
/** Users who share a counter are looked at more often, and nothing else. */
const COUNTERS = 4096
/** A check ends no more than this; those that remain are for the next. */
const MOST_ENDED = 2 * OPENINGS_PER_CHECK

/** Ends sessions of the user who opened this one, if there are too many of its type. Never rejects. */
export type LimitSessions = (opened: Session) => Promise<void>

/**
 * Makes the function that keeps one user from filling the store: those beyond `maximumSessionsPerUser` are ended, of the same
 * client first, the oldest first, and never the one that was opened just now. Only sessions that are active here are counted.
 */
export function createSessionLimit(
  store: SessionStore,
  option: number | undefined,
  isActive: (session: Session, now: number) => boolean,
): LimitSessions {
  const most = wholeNumber('maximumSessionsPerUser', option, MOST_SESSIONS_PER_USER, 1, 1_000_000)
  const seed = randomInt(2 ** 31)
  const openings = new Uint8Array(COUNTERS)
  const perCheck = Math.min(OPENINGS_PER_CHECK, most)

  async function endOldest({ id, subject, type, clientId, createdAt }: Session): Promise<void> {
    const others = (await store.list(subject, type)).filter((each) => each.id !== id && isActive(each, createdAt))
    const over = Math.min(others.length + 1 - most, MOST_ENDED)
    if (over <= 0) return
    const same = others.filter((each) => each.clientId === clientId)
    const rest = others.filter((each) => each.clientId !== clientId)
    await Promise.all(
      [...same, ...rest].slice(0, over).map(async (each) => {
        const outcome = await store.end(each.id, each.refreshExpiresAt)
        if (outcome === 'ended') publish('session.ended', () => ({ sessionId: each.id, because: 'too_many_sessions' }))
      }),
    )
  }

  return async (opened) => {
    const counter = slotOf(mixIn(opened.type, mixIn(opened.subject, seed))) % COUNTERS
    const count = (openings[counter] as number) + 1
    openings[counter] = count % perCheck
    if (count < perCheck) return
    try {
      await endOldest(opened)
    } catch {
      // The session is open, and the next check tries again.
    }
  }
}
