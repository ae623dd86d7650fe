/** A map of bounded size that forgets what was used longest ago. */
export interface BoundedCache<V> {
  get(key: string): V | undefined
  set(key: string, value: V): void
}

/**
 * Holds at most `most` entries. Two generations of plain maps: an entry that is used moves to the young one, and when
 * that is half full the old one is dropped whole. So a hit in the young map costs one look-up and no reordering.
 */
export function createBoundedCache<V>(most: number): BoundedCache<V> {
  const half = Math.max(1, Math.floor(most / 2))
  let young = new Map<string, V>()
  let old = new Map<string, V>()
  const put = (key: string, value: V): void => {
    if (young.size >= half && !young.has(key)) {
      old = young
      young = new Map()
    }
    young.set(key, value)
  }
  return {
    get(key) {
      const value = young.get(key)
      if (value !== undefined) return value
      const aged = old.get(key)
      if (aged === undefined) return undefined
      old.delete(key)
      put(key, aged)
      return aged
    },
    set(key, value) {
      old.delete(key)
      put(key, value)
    },
  }
}
