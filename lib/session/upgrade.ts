import { hasSoundBinding } from '../binding.ts'
import { WrongAnswer } from '../errors.ts'
import { publish } from '../events.ts'
import { shown } from '../options.ts'
import { BOUND_SESSION_VERSION, type Session } from './session.ts'

/** A record as some version of this package, or the application before it, wrote it. */
export type StoredRecord = Readonly<Record<string, unknown>>

/** Step `n` makes a record of version `n + 1` of one of version `n`. Steps are never changed. */
export type UpgradeStep = (record: StoredRecord) => StoredRecord

/**
 * 0 to 1: a record that knows nothing of generations, such as an application wrote before it had this package. All of
 * its refresh tokens become generation 1, of which none is confirmed.
 */
const addGenerations: UpgradeStep = (record) => ({
  ...record,
  newest: 1,
  confirmed: 0,
  firstChild: 1,
  previous: 1,
  newestAt: record['refreshedAt'],
  confirmedAt: record['refreshedAt'],
  endedAt: undefined,
  extra: record['extra'] ?? {},
  lockVersion: record['lockVersion'] ?? 0,
  version: 1,
})

const STEPS: readonly UpgradeStep[] = [addGenerations]

/**
 * The record in a format of this version, one step at a time; a record without `version` counts as version 0. Versions
 * that no step leads to, up to `newest`, add members to the version before and are read as they are. The upgraded record
 * is not written back before its next save. Throws on a record of a later version than `newest`: an older node must not
 * guess what a newer one meant, and a node that ignored a binding would widen it.
 */
export function upgradeSession(
  stored: Session,
  steps: readonly UpgradeStep[] = STEPS,
  newest = Math.max(steps.length, BOUND_SESSION_VERSION),
): Session {
  if (stored.version === steps.length) return stored
  let record = stored as unknown as StoredRecord
  const from = (record['version'] ?? 0) as number
  if (!Number.isInteger(from) || from < 0 || from > newest) {
    throw new WrongAnswer(
      'a session record has a version that this version of the package does not support',
      `: version ${shown(from)}, and it supports ${newest}`,
    )
  }
  for (const step of steps.slice(from)) record = step(record)
  return record as unknown as Session
}

const isSession = ({ id, type, subject, clientId, scope, refreshExpiresAt }: Session): boolean =>
  typeof id === 'string' &&
  typeof type === 'string' &&
  typeof subject === 'string' &&
  typeof clientId === 'string' &&
  typeof scope === 'string' &&
  typeof refreshExpiresAt === 'number'

/**
 * What a store returned for an id: the session in the format of this version, or `undefined` for none. Throws on anything
 * that is not a session, which is a server error (fault) and never a client's mistake.
 */
export function readSession(stored: Session | undefined | null): Session | undefined {
  if (stored === undefined || stored === null) return undefined
  const session = upgradeSession(stored)
  if (!isSession(session) || !hasSoundBinding(session))
    throw new WrongAnswer('the session store returned something that is not a session')
  return session
}

/** The records of a list that can be read. Each of the others is left out and reported by the event `record.unreadable`. */
export function readSessions(stored: readonly Session[]): readonly Session[] {
  if (!Array.isArray(stored)) throw new WrongAnswer('list of the session store must return an array')
  return (stored as readonly Session[]).flatMap((each) => {
    try {
      return readSession(each) ?? []
    } catch (cause) {
      const id: unknown = each?.id
      publish('record.unreadable', () => ({ kind: 'session', id: typeof id === 'string' ? id : undefined, cause }))
      return []
    }
  })
}
