import { answerOf, unavailable } from './errors.ts'

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

/**
 * Notes the use of an id, and returns whether it is the first one. Rejects with a 503 if the register fails, or resolves with
 * anything but a boolean. Everything of this package that is used once is used with this function.
 */
export async function isFirstUse(
  register: ReplayRegister,
  issuer: string,
  clientId: string,
  jti: string,
  expiresAt: number,
): Promise<boolean> {
  const isFirst: unknown = await answerOf(() => register.remember(issuer, clientId, jti, expiresAt))
  if (typeof isFirst === 'boolean') return isFirst
  const detail = `replayRegister.remember must resolve with a boolean, got ${typeof isFirst}`
  throw unavailable(new TypeError(detail), detail)
}
