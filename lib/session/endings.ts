import { createHash } from 'node:crypto'
import { CLOCK_DIFFERENCE_SECONDS } from '../clock.ts'
import { refusal } from '../errors.ts'
import { openedSession, type Session } from './session.ts'
import type { SessionStore } from './session_store.ts'

/** How long it is remembered that all sessions of a subject were ended. */
const YEAR = 31_536_000
/** A record of this type says when `endAll` was last called for a subject. Its id and its subject are a digest. */
const ALL_ENDED = 'all_ended'
const MOST_ATTEMPTS = 6
/** The member of `extra` for a server whose sessions name no issuer. */
const EVERY_ISSUER = ''

/**
 * The records of a subject, one for each year. A store may keep what has expired, and then creates nothing under its id; a
 * record of a year never expires within that year, so that it can always be created or changed.
 */
const idOf = (subject: string, year: number): string =>
  `all_ended:${createHash('sha256').update(subject).digest('base64url')}:${year}`

const yearOf = (now: number): number => Math.floor(now / YEAR)

/** When a record says that all sessions were ended, for one issuer or for all of them. */
const endedAt = (record: Session | undefined, issuer: string): number | undefined => {
  const at: unknown = record?.extra[issuer]
  return typeof at === 'number' ? at : undefined
}

/** Remembers when all sessions of a subject were ended, also those that an older server opened and that are not here yet. */
export interface Endings {
  /** Remembers that all sessions of `subject` end at `now`: of one issuer, or of all. */
  remember(subject: string, issuer: string | undefined, now: number): Promise<void>
  /** Whether all sessions of `subject` were ended at `openedAt` or later. */
  hasEnded(subject: string, issuer: string | undefined, openedAt: number, now: number): Promise<boolean>
}

export function createEndings(store: SessionStore): Endings {
  return {
    async remember(subject, issuer = EVERY_ISSUER, now) {
      const id = idOf(subject, yearOf(now))
      for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt += 1) {
        const record = await store.get(id)
        if (record === undefined) {
          const lifetimes = { idleSeconds: YEAR, absoluteSeconds: undefined }
          const permission = { subject: id, clientId: '', scope: '' }
          const opened = openedSession(permission, { id, type: ALL_ENDED, now, lifetimes, extra: { [issuer]: now } })
          if ((await store.create(opened)) === 'created') return
          continue
        }
        const refreshExpiresAt = Math.max(record.refreshExpiresAt, now + YEAR)
        const extra = { ...record.extra, [issuer]: Math.max(now, endedAt(record, issuer) ?? now) }
        if ((await store.save({ ...record, refreshedAt: now, refreshExpiresAt, extra })) === 'saved') return
      }
      throw refusal('contention', {
        detail: 'the end of all sessions of a user could not be saved: other processes changed the record',
        headers: { 'Retry-After': '1' },
      })
    },
    async hasEnded(subject, issuer = EVERY_ISSUER, openedAt, now) {
      const year = yearOf(now + CLOCK_DIFFERENCE_SECONDS)
      for (const each of [year, year - 1]) {
        const record = await store.get(idOf(subject, each))
        const isEnded = [EVERY_ISSUER, issuer].some((name) => (endedAt(record, name) ?? Number.NaN) >= openedAt)
        if (isEnded) return true
      }
      return false
    },
  }
}
