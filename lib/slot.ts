/** FNV-1a, begun at a number that nobody outside knows. Texts follow each other: the result of one begins the next. */
export function mixIn(text: string, begun: number): number {
  let mixed = begun
  for (let at = 0; at < text.length; at += 1) mixed = Math.imul(mixed ^ text.charCodeAt(at), 0x01000193)
  return mixed
}

/** Of 31 bits: a small integer, which needs no extra memory. Two texts rarely share one. */
export const slotOf = (mixed: number): number => (mixed ^ (mixed >>> 16)) & 0x7fffffff
