/** Which part of everything one client may use. */
const PART_OF_ONE = 8

/** Counts what clients use of a bounded whole within a period. */
export interface Shares {
  /** Counts `amount` for the client, unless that exceeds its share or the whole. */
  take(clientId: string, amount: number, now: number): boolean
}

interface Period {
  readonly number: number
  readonly amounts: Map<string, number>
  total: number
}

/**
 * Counts in periods of `seconds`, together with the period before: what was counted is given back after one period at the
 * earliest, and after two at the latest. Each call that counts costs a part of the whole, so the memory is bounded too.
 */
export function createShares(most: number, seconds: number): Shares {
  const empty = (number: number): Period => ({ number, amounts: new Map(), total: 0 })
  let current = empty(0)
  let before = empty(-1)

  function moveOn(now: number): void {
    const number = Math.floor(now / seconds)
    // a request that began just before the period did may be counted after one that began in it
    if (number === current.number || number === current.number - 1) return
    before = number === current.number + 1 ? current : empty(number - 1)
    current = empty(number)
  }

  return {
    take(clientId, amount, now) {
      moveOn(now)
      const own = current.amounts.get(clientId) ?? 0
      const ofClient = own + (before.amounts.get(clientId) ?? 0) + amount
      if (ofClient > most / PART_OF_ONE || current.total + before.total + amount > most) return false
      current.amounts.set(clientId, own + amount)
      current.total += amount
      return true
    },
  }
}
