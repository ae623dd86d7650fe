import { randomFillSync } from 'node:crypto'

// A pool, because asking the system for 32 bytes at a time costs twenty times as much as 4096 at once.
const pool = Buffer.alloc(4096)
let used = pool.length

/** Random bytes from the system's generator in base64url without padding. Default 32 bytes (43 characters). */
export function newIdentifier(bytes = 32): string {
  if (bytes > pool.length - used) {
    randomFillSync(pool)
    used = 0
  }
  const end = used + bytes
  const identifier = pool.toString('base64url', used, end)
  pool.fill(0, used, end) // what was handed out stays nowhere else
  used = end
  return identifier
}
