import { answerOf, WrongAnswer } from './errors.ts'

/**
 * The interface of a replay register, which stores the ids of used assertions (RFC 7523 §3 point 7).
 *
 * - Must: decide in one atomic step, for all processes that share it. Treat `issuer`, `clientId` and `jti` as separate fields:
 *   ("ab", "c") is not ("a", "bc"). Keep each id until `expiresAt` has passed.
 * - May: remove an id from `expiresAt` on.
 * - May assume: `expiresAt` is in whole epoch seconds and not in the past; the three strings have at most a few KiB.
 * - If it rejects, the response is a server error (503); the assertion is never accepted.
 */
export interface ReplayRegister {
  /** Resolves with `true` the first time, and with `false` after that until `expiresAt` (epoch seconds). Atomic. */
  remember(issuer: string, clientId: string, jti: string, expiresAt: number): Promise<boolean>
}

/**
 * Notes the use of an id, and returns whether it is the first one. Rejects with a 503 if the register fails, or resolves with
 * anything but a boolean. Everything of this package that is used once is used with this function.
 */
export const isFirstUse = (
  register: ReplayRegister,
  issuer: string,
  clientId: string,
  jti: string,
  expiresAt: number,
): Promise<boolean> => answerOf(() => register.remember(issuer, clientId, jti, expiresAt), readAnswer)

function readAnswer(isFirst: unknown): boolean {
  if (typeof isFirst === 'boolean') return isFirst
  throw new WrongAnswer('replayRegister.remember must resolve with a boolean', `, got ${typeof isFirst}`)
}
