import { randomFillSync } from 'node:crypto'

// A pool, because asking the system for 32 octets at a time costs twenty times as much as 4096 at once.
const pool = Buffer.alloc(4096)
let used = pool.length

/** `octets` random octets from the system's generator, base64url without padding. Default 32 (43 characters). */
export function newIdentifier(octets = 32): string {
  if (octets > pool.length - used) {
    randomFillSync(pool)
    used = 0
  }
  const end = used + octets
  const identifier = pool.toString('base64url', used, end)
  pool.fill(0, used, end) // what was handed out stays nowhere else
  used = end
  return identifier
}
