/** How many requests may be made in a minute. */
export interface RateOptions {
  readonly maxRequestsPerMinute: number
  readonly maxRequestsPerHostPerMinute: number
}

/** Counts requests. Returns whether another one may be made now, and counts it if so. `now` is in epoch seconds. */
export type AdmitRequest = (host: string, now: number) => boolean

const WINDOW_SECONDS = 60

/**
 * Makes the function that limits requests, for each host and in all: a domain with a wildcard has as many hosts as its owner
 * likes. It remembers no more hosts than requests of one minute.
 */
export function createRateLimit({ maxRequestsPerMinute, maxRequestsPerHostPerMinute }: RateOptions): AdmitRequest {
  let windowStart = Number.NEGATIVE_INFINITY
  let total = 0
  let hosts = new Map<string, number>()
  return (host, now) => {
    // also when the clock was set back
    if (now >= windowStart + WINDOW_SECONDS || now < windowStart) {
      windowStart = now
      total = 0
      hosts = new Map()
    }
    const ofHost = hosts.get(host) ?? 0
    if (total >= maxRequestsPerMinute || ofHost >= maxRequestsPerHostPerMinute) return false
    total += 1
    hosts.set(host, ofHost + 1)
    return true
  }
}
