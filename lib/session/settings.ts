import { type Client, isPublicClient } from '../client.ts'
import { badOption, booleanOption, oneOf, wholeNumber } from '../options.ts'
import type { SessionLifetimes } from './session.ts'

const DAY = 86_400
const PUBLIC_ABSOLUTE_SECONDS = 365 * DAY
const LONGEST_SECONDS = 100 * 365 * DAY
const LONGEST_OVERLAP_SECONDS = 3600

/** The settings of sessions, for all clients or for one. */
export interface SessionSettings {
  /** Seconds after which an unused session ends. Default 5 184 000 (60 days); 1 to 3 153 600 000. */
  readonly idleLifetimeSeconds?: number | undefined
  /**
   * Seconds after which a session ends even if it is used, or `'never'`. Default: never for confidential clients,
   * 31 536 000 (365 days) for public ones. A change applies to sessions that are opened afterwards.
   */
  readonly absoluteLifetimeSeconds?: number | 'never' | undefined
  /**
   * Requests within this time, in seconds, are treated as parallel requests of one holder. 0 to 3600, and at most half of
   * the idle lifetime. Default: 10, or a quarter of the idle lifetime if that is less.
   */
  readonly overlapSeconds?: number | undefined
  /** Whether a reused refresh token ends its session (`'end'`, the default) or is only refused (`'refuse'`). */
  readonly onReuse?: 'end' | 'refuse' | undefined
  /**
   * With `false`, a confidential client keeps its refresh token (FAPI 2.0 §5.3.2.1): a refresh extends the session, and the
   * response has no `refresh_token`. Refresh tokens of public clients always rotate (RFC 9700 §4.14.2). Default `true`.
   */
  readonly rotate?: boolean | undefined
}

/** Settings that are checked and complete. */
export interface CheckedSettings {
  readonly idleSeconds: number
  /** `undefined`: by the kind of client. */
  readonly absolute: number | 'never' | undefined
  readonly overlapSeconds: number
  readonly onReuse: 'end' | 'refuse'
  readonly rotate: boolean
}

export const DEFAULT_SETTINGS: CheckedSettings = {
  idleSeconds: 60 * DAY,
  absolute: undefined,
  overlapSeconds: 10,
  onReuse: 'end',
  rotate: true,
}

function checkedAbsolute(value: unknown, fallback: number | 'never' | undefined): number | 'never' | undefined {
  if (value === undefined) return fallback
  if (value === 'never') return value
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= LONGEST_SECONDS) return value
  throw badOption('absoluteLifetimeSeconds', `a whole number from 1 to ${LONGEST_SECONDS}, or 'never'`, value)
}

/** `given`, completed by `general`. A `TypeError` names the setting that cannot be used. */
export function checkedSettings(given: SessionSettings, general: CheckedSettings): CheckedSettings {
  const idleSeconds = wholeNumber(
    'idleLifetimeSeconds',
    given.idleLifetimeSeconds,
    general.idleSeconds,
    1,
    LONGEST_SECONDS,
  )
  const usualOverlap = Math.min(general.overlapSeconds, Math.floor(idleSeconds / 4))
  const longestOverlap = Math.min(LONGEST_OVERLAP_SECONDS, Math.floor(idleSeconds / 2))
  return {
    idleSeconds,
    absolute: checkedAbsolute(given.absoluteLifetimeSeconds, general.absolute),
    overlapSeconds: wholeNumber('overlapSeconds', given.overlapSeconds, usualOverlap, 0, longestOverlap),
    onReuse: oneOf('onReuse', given.onReuse, general.onReuse, ['end', 'refuse']),
    rotate: booleanOption('rotate', given.rotate, general.rotate),
  }
}

/** How long a session lives that opens for `client`, or for none. */
export function lifetimesOf({ idleSeconds, absolute }: CheckedSettings, client: Client | undefined): SessionLifetimes {
  const seconds = absolute ?? (client !== undefined && isPublicClient(client) ? PUBLIC_ABSOLUTE_SECONDS : 'never')
  return { idleSeconds, absoluteSeconds: seconds === 'never' ? undefined : seconds }
}
