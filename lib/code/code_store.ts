import type { AuthorizationCode } from './code_record.ts'

/**
 * Contract of the code store.
 *
 * - Must: hand out and take in copies; decide `spend` and `countFailure` in one atomic step for all processes that share
 *   it; keep a spent code until its `keepUntil` (epoch seconds) has passed, because a replay is recognised by the record.
 * - Must: bound how many codes of one subject and client are live, that is neither spent nor expired, so that one user
 *   cannot fill the store. Codes that are added at the same time may exceed the bound by their number.
 * - May: forget an unspent code once `expiresAt` has passed, by its own clock a minute later; a spent one from `keepUntil` on.
 * - May assume: ids are SHA-256 digests in base64url (43 characters); an id is added once.
 * - May: keep records as JSON text, which loses members that are `undefined` (`codeChallenge`): absent says the same.
 * - Absence is `undefined`, an outcome is a value; a rejection is a fault and becomes a 503.
 */
export interface CodeStore {
  /** Keeps a new code. `too_many`: it was not kept, because its subject has too many live codes for its client. */
  add(code: AuthorizationCode): Promise<'added' | 'too_many'>
  /** Reads without spending, so that a wrong verifier does not burn the code. Has `spent` and `failures` as they stand. */
  find(id: string): Promise<AuthorizationCode | undefined>
  /** Adds one to the failures of the code. Atomic. Answers with their number, this one included; 0 for an unknown id. */
  countFailure(id: string): Promise<number>
  /** Atomic: one caller receives `spent`, every later one `already_spent`. It checks nothing else, not even expiry. */
  spend(id: string): Promise<'spent' | 'already_spent' | 'unknown'>
}
