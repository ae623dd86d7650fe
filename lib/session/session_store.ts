import type { Session } from './session.ts'

/**
 * Contract of the session store.
 *
 * - Must: hand out and take in copies; decide `create` and `save` in one atomic step for all processes that share it.
 *   A session whose `refreshExpiresAt` or `expiresAt` has passed, that was ended, or that was saved with `endedAt`, is not
 *   handed out by `get` or `list` any more and can be neither saved nor created again.
 * - Must: leave a marker behind when a session ends, so that nobody opens or saves it afterwards. The marker stays until
 *   `markerExpiresAt`, and at least until the ended session would have expired of itself.
 * - Must, in `endAll`: end all sessions of that subject and type whose `create` was answered before the call. One whose `create`
 *   is answered later is ended as well or lives on, whatever `create` answers; if it lives on, `list` has it and the next
 *   `endAll` ends it.
 * - May: forget a session, or a marker, from its expiry on.
 * - May assume: records are plain JSON of some hundred bytes, those of pushed authorization requests up to 40 KiB; ids of sessions that are created are text of the server's own
 *   making, what is asked for is any text; the `type` and the `subject` of a session never change; moments are whole seconds.
 * - May: keep records as JSON text, which loses members that are `undefined` (`expiresAt` and `endedAt`): absent says the same.
 * - Absence is `undefined`, an outcome is a value; a rejection is a fault and becomes a 503.
 */
export interface SessionStore {
  /** Atomic. `gone` when the id was ended before, or is already in use. */
  create(session: Session): Promise<'created' | 'gone'>
  /** The live session of this id. */
  get(id: string): Promise<Session | undefined>
  /**
   * Atomic compare-and-set: saved only where the stored `lockVersion` is the one of `session`, and stored with the next.
   * Never inserts: `gone` where the session is not there (any more).
   */
  save(session: Session): Promise<'saved' | 'conflict' | 'gone'>
  /**
   * Ends a session, whether it exists yet or not: `ended` where there was a live one. `markerExpiresAt`: epoch seconds, see
   * above; a later call never shortens it.
   */
  end(id: string, markerExpiresAt: number): Promise<'ended' | 'unknown'>
  /**
   * The live sessions of a subject that have this type, oldest first. A record that is damaged does not hide the others:
   * leave it out, and report it.
   */
  list(subject: string, type: string): Promise<readonly Session[]>
  /** Ends them all, and answers how many. What is just being created may live on, see above. */
  endAll(subject: string, type: string): Promise<number>
}
