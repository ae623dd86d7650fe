/**
 * Tells the time in seconds since the Unix epoch (RFC 7519 NumericDate). A fraction is cut off.
 * Every moment that belongs to one request comes from one reading of it.
 */
export type Clock = () => number

/** The clock of this machine. */
export const systemClock: Clock = () => Math.floor(Date.now() / 1000)

/**
 * Seconds for which what must not be forgotten is kept beyond its moment. A process judges by its own clock, which may be set
 * back, and a store goes by the database's: as long as they differ by less, nothing is forgotten too early.
 */
export const CLOCK_DIFFERENCE_SECONDS = 60
