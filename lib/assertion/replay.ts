import { answerOf, refusal, unavailable } from '../errors.ts'
import type { Check } from './attempt.ts'

/**
 * Contract of the replay register: it remembers which assertion ids were used (RFC 7523 §3 point 7).
 *
 * - Must: decide in one atomic step, for all processes that share it. Keep `issuer`, `clientId` and `jti` apart:
 *   ("ab", "c") is not ("a", "bc"). Remember until `expiresAt` has passed.
 * - May: forget from `expiresAt` on.
 * - May assume: `expiresAt` is in whole epoch seconds and not in the past; the three texts are at most a few KiB.
 * - A rejection is a fault: the request is refused with 503, never accepted.
 */
export interface ReplayRegister {
  /** True the first time, false ever after until `expiresAt` (epoch seconds). Atomic. */
  remember(issuer: string, clientId: string, jti: string, expiresAt: number): Promise<boolean>
}

/** Takes note of the assertion, once. Everything that could be refused without this has been. */
async function spend(
  register: ReplayRegister,
  issuer: string,
  clientId: string,
  jti: string,
  expiresAt: number,
): Promise<void> {
  const isFirst: unknown = await answerOf(() => register.remember(issuer, clientId, jti, expiresAt))
  if (isFirst === true) return
  if (isFirst === false)
    throw refusal('assertion_replayed', { clientId, detail: 'an assertion with this jti was used before' })
  throw unavailable(new TypeError(`replayRegister.remember must resolve with a boolean, got ${typeof isFirst}`))
}

export const REPLAY_CHECK: Check = {
  name: 'replay',
  title: 'Not used before',
  needs: ['names', 'clientId', 'expiresAt'],
  run({ parts: { replayRegister }, rules, names, clientId, jti, expiresAt }) {
    if (jti === undefined || replayRegister === false || rules.allowReuse) return
    const forgetAt = Math.ceil(expiresAt + rules.clockToleranceSeconds) + 1
    return spend(replayRegister, names.issuer, clientId, jti, forgetAt)
  },
  online: true,
}
