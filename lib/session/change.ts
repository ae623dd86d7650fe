import { refusal } from '../errors.ts'
import { publish } from '../events.ts'
import type { Session } from './session.ts'
import type { SessionStore } from './session_store.ts'

/** How often one request reads and decides again because another node was faster. */
const MOST_RETRIES = 5

/** What is to become of a session as it stands, and what that means once it is so. */
export interface Change<Result> {
  /** To save; `undefined` leaves the session as it is. */
  readonly next: Session | undefined
  /** Told the session as it is stored then. May throw a refusal. */
  conclude(stored: Session): Result
  /** Told when nobody knows whether `next` was stored. */
  inDoubt?(): void
}

/** What names a session in events. */
export const named = ({ id, type, subject, clientId }: Session) => ({ sessionId: id, type, subject, clientId })

/**
 * Reads, decides, compares and sets; on a conflict reads and decides again, at most 5 times, then rejects with 503
 * (`contention`). `undefined` when the session is over, before or meanwhile: saving never brings it back. `first` is the
 * session if it was just read; `decide` may throw a refusal.
 */
export async function changeSession<Result>(
  store: SessionStore,
  first: Session | undefined,
  read: () => Promise<Session | undefined>,
  decide: (session: Session) => Change<Result>,
): Promise<Result | undefined> {
  let session = first ?? (await read())
  for (let attempt = 1; session !== undefined; attempt += 1) {
    const found: Session = session
    const { next, conclude, inDoubt } = decide(found)
    if (next === undefined) return conclude(found)
    const answer = await store.save(next).catch((fault: unknown) => {
      inDoubt?.()
      throw fault
    })
    if (answer === 'saved') return conclude({ ...next, lockVersion: next.lockVersion + 1 })
    if (answer === 'gone') return undefined
    publish('session.conflict', () => ({ ...named(found), attempt }))
    if (attempt > MOST_RETRIES) {
      throw refusal('contention', {
        clientId: found.clientId,
        detail: `concurrent requests changed the session ${attempt} times`,
        headers: { 'Retry-After': '1' },
      })
    }
    session = await read()
  }
  return undefined
}
