/** Items filed by the moment they expire, so that what is due is found without looking at what is not. */
export interface ExpiryBuckets<T> {
  /** Files `item` under `expiresAt` (epoch seconds). It stays filed until it is taken, whatever becomes of it meanwhile. */
  add(item: T, expiresAt: number): void
  /** Takes out one item whose moment has come; `undefined` where none is due. Constant time for each item. */
  take(now: number): T | undefined
}

/**
 * Buckets of `widthSeconds`: an item is due at the first multiple of the width that is not before its moment. The
 * bucket numbers are kept in a binary heap, so a store that lay idle for months has nothing to step through.
 */
export function createExpiryBuckets<T>(widthSeconds: number): ExpiryBuckets<T> {
  const buckets = new Map<number, T[]>()
  const heap: number[] = []

  const push = (bucket: number): void => {
    let at = heap.length
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent] as number
      if (above <= bucket) break
      heap[at] = above
      at = parent
    }
    heap[at] = bucket
  }

  const pop = (): void => {
    const last = heap.pop() as number
    const size = heap.length
    if (size === 0) return
    let at = 0
    for (let child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && (heap[child + 1] as number) < (heap[child] as number)) child += 1
      if ((heap[child] as number) >= last) break
      heap[at] = heap[child] as number
      at = child
    }
    heap[at] = last
  }

  return {
    add(item, expiresAt) {
      const number = Math.ceil(expiresAt / widthSeconds)
      const bucket = buckets.get(number)
      if (bucket !== undefined) {
        bucket.push(item)
        return
      }
      buckets.set(number, [item])
      push(number)
    },
    take(now) {
      const first = heap[0]
      if (first === undefined || first * widthSeconds > now) return undefined
      const bucket = buckets.get(first) as T[]
      const item = bucket.pop()
      if (bucket.length === 0) {
        buckets.delete(first)
        pop()
      }
      return item
    },
  }
}
