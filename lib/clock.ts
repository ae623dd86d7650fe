/**
 * Tells the time in whole seconds since the Unix epoch (RFC 7519 NumericDate).
 * Every moment that belongs to one request comes from one reading of it.
 */
export type Clock = () => number

/** The clock of this machine. */
export const systemClock: Clock = () => Math.floor(Date.now() / 1000)
