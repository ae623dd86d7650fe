import { timingSafeEqual } from 'node:crypto'

/**
 * Whether two byte strings are equal, in a time that depends on what was presented alone: where the lengths differ, that
 * is compared with itself.
 */
export function isSameOctets(presented: Uint8Array, expected: Uint8Array): boolean {
  const comparable = presented.length === expected.length
  return timingSafeEqual(presented, comparable ? expected : presented) && comparable
}
