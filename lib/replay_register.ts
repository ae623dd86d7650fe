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
