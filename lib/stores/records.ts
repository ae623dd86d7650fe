import { hash } from 'node:crypto'
import { bindingOf } from '../binding.ts'
import { CLOCK_DIFFERENCE_SECONDS } from '../clock.ts'
import type { AuthorizationCode } from '../code/code_record.ts'
import { publish } from '../events.ts'
import { wholeNumber } from '../options.ts'
import type { Session } from '../session/session.ts'

/** A copy of plain JSON, as it would come back from a database: what JSON cannot say is dropped. */
const copyExtra = (extra: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => {
  for (const _ in extra) return JSON.parse(JSON.stringify(extra))
  return {}
}

/** A copy of the record that shares nothing with it. Members are named, so that all records have one shape. */
export const copySession = (
  session: Session,
  lockVersion = session.lockVersion,
  extra = copyExtra(session.extra),
): Session => ({
  id: session.id,
  type: session.type,
  subject: session.subject,
  clientId: session.clientId,
  scope: session.scope,
  createdAt: session.createdAt,
  expiresAt: session.expiresAt,
  refreshedAt: session.refreshedAt,
  refreshExpiresAt: session.refreshExpiresAt,
  newest: session.newest,
  confirmed: session.confirmed,
  firstChild: session.firstChild,
  previous: session.previous,
  newestAt: session.newestAt,
  confirmedAt: session.confirmedAt,
  endedAt: session.endedAt,
  extra,
  lockVersion,
  version: session.version,
  ...(session.issuer === undefined ? undefined : { issuer: session.issuer }),
  ...(session.adoptedRank === undefined ? undefined : { adoptedRank: session.adoptedRank }),
  ...bindingOf(session),
})

export const copyCode = (code: AuthorizationCode, extra = copyExtra(code.extra)): AuthorizationCode => ({
  id: code.id,
  clientId: code.clientId,
  subject: code.subject,
  scope: code.scope,
  redirectUri: code.redirectUri,
  redirectUriWasSent: code.redirectUriWasSent,
  codeChallenge: code.codeChallenge,
  sessionId: code.sessionId,
  issuedAt: code.issuedAt,
  expiresAt: code.expiresAt,
  keepUntil: code.keepUntil,
  failures: code.failures,
  spent: code.spent,
  extra,
  version: code.version,
  ...(code.issuer === undefined ? undefined : { issuer: code.issuer }),
  ...bindingOf(code),
})

/** The moment from which a session is over of itself: its idle or its absolute end, whichever comes first. */
export const endOf = (session: Session): number =>
  session.expiresAt === undefined ? session.refreshExpiresAt : Math.min(session.refreshExpiresAt, session.expiresAt)

/** The record of a list; `undefined`, and the event `record.unreadable`, if it is damaged: it must not hide the others. */
export function listed(id: string, read: () => Session | undefined): Session | undefined {
  try {
    return read()
  } catch (cause) {
    publish('record.unreadable', () => ({ kind: 'session', id, cause }))
    return undefined
  }
}

/** Until when a code that was not redeemed is kept: a clock may be behind the one that wrote its expiry. */
export const unspentUntil = ({ expiresAt }: AuthorizationCode): number => expiresAt + CLOCK_DIFFERENCE_SECONDS

/** Codes of one user for one client that may be live at once, unless the options of the store say otherwise. */
const MOST_CODES_PER_USER = 1000

/**
 * The option that bounds the live codes of one user for one client.
 *
 * @inline
 */
export interface CodeLimitOptions {
  /** Authorization codes of one user for one client that are neither redeemed nor expired. Default 1000. */
  readonly maximumCodesPerUser?: number | undefined
}

/** The bound among the options, checked. */
export const codeLimitOf = ({ maximumCodesPerUser }: CodeLimitOptions): number =>
  wholeNumber('maximumCodesPerUser', maximumCodesPerUser, MOST_CODES_PER_USER, 1, 1_000_000)

/** Whose share of the live codes a code counts against: a digest of subject and client. */
export const ownerOf = ({ subject, clientId }: Pick<AuthorizationCode, 'subject' | 'clientId'>): string =>
  hash('sha256', `${subject.length}:${subject}${clientId}`, 'base64url')

/** The object that was written as JSON. Throws on anything that is no record of ours. */
const recordOf = <T extends { readonly id: string; readonly subject: string }>(json: string): T => {
  const record = JSON.parse(json) as T | null
  if (typeof record?.id !== 'string' || typeof record.subject !== 'string')
    throw new TypeError('the stored record is damaged')
  return record
}

/** The record that was written as JSON: members that JSON left out are there again, as `undefined`. */
export const sessionOf = (json: string): Session => {
  const record = recordOf<Session>(json)
  return copySession(record, record.lockVersion, record.extra)
}

/** The record that was written as JSON, with what the store counts beside it. */
export const codeOf = (json: string, failures: number, spent: boolean): AuthorizationCode => {
  const record = recordOf<AuthorizationCode>(json)
  return copyCode({ ...record, failures, spent }, record.extra)
}
