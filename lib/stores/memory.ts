import { randomInt } from 'node:crypto'
import { CLOCK_DIFFERENCE_SECONDS, type Clock, systemClock } from '../clock.ts'
import type { AuthorizationCode } from '../code/authorization_code.ts'
import type { CodeStore } from '../code/store.ts'
import { requireFunction, wholeNumber } from '../options.ts'
import type { ReplayRegister } from '../replay_register.ts'
import type { Session } from '../session/session.ts'
import type { SessionStore } from '../session/store.ts'
import { createExpiryBuckets } from './expiry_buckets.ts'
import { copyCode, copySession, endOf } from './records.ts'
import { replayKey } from './replay_key.ts'

/** The options of the memory stores: the clock, and how much they may hold. */
export interface MemoryStoresOptions {
  /** Tells the time; default: the clock of this machine. */
  readonly clock?: Clock | undefined
  /** Assertion ids remembered at once. Default 4,000,000 (at most 150 octets each). */
  readonly maximumAssertions?: number | undefined
  /** Assertion ids of one client remembered at once. Default 500,000. */
  readonly maximumAssertionsPerClient?: number | undefined
  /** Codes kept at once, spent ones included. Default 1,000,000. */
  readonly maximumCodes?: number | undefined
  /** Sessions and markers of ended ones kept at once. Default 4,000,000 (at most 1 KiB each). */
  readonly maximumSessions?: number | undefined
}

/** The three stores in the memory of this process. */
export interface MemoryStores {
  readonly replayRegister: ReplayRegister
  readonly codeStore: CodeStore
  readonly sessionStore: SessionStore
}

/** A `Map` holds at most 2^24 entries. */
const MOST = 2 ** 24

/** Expired entries cleared away by each call: more than it can add, and few enough not to be felt. */
const SWEEP = 32

const settings = (options: MemoryStoresOptions) => {
  if (options.clock !== undefined) requireFunction('clock', options.clock)
  return {
    clock: options.clock ?? systemClock,
    maximumAssertions: wholeNumber('maximumAssertions', options.maximumAssertions, 4_000_000, 1, MOST),
    maximumAssertionsPerClient: wholeNumber(
      'maximumAssertionsPerClient',
      options.maximumAssertionsPerClient,
      500_000,
      1,
      MOST,
    ),
    maximumCodes: wholeNumber('maximumCodes', options.maximumCodes, 1_000_000, 1, MOST),
    maximumSessions: wholeNumber('maximumSessions', options.maximumSessions, 4_000_000, 1, MOST),
  }
}

const full = (what: string, most: number): Error =>
  new Error(`the memory store is full: ${what} reached the limit of ${most}, and nothing unexpired is dropped`)

/** So many parts, that no single part is ever so large that its growth is felt as a pause. */
const SHARDS = 256
const CLIENT_SLOTS = 65_536

/**
 * A replay register in the memory of this process: for a server that is one process. What it remembers is lost with the
 * process: an assertion presented before a restart is accepted once more after it, until it expires. Each is remembered a
 * minute longer than it lives, in case the clock is set back.
 *
 * Bounded, and without ever dropping an entry that has not expired: a client at its limit is answered with a rejection,
 * hence 503, and cannot push out what others presented. Clients are counted in 65,536 slots under a random number of
 * this process, so two of them may share a limit.
 */
export function memoryReplayRegister(options: MemoryStoresOptions = {}): ReplayRegister {
  const { clock, maximumAssertions, maximumAssertionsPerClient } = settings(options)
  // digest to the slot of its client
  const shards = Array.from({ length: SHARDS }, () => new Map<string, number>())
  const counts = new Uint32Array(CLIENT_SLOTS)
  const seed = randomInt(2 ** 31)
  const expiring = createExpiryBuckets<string>(1)
  let size = 0

  const shardOf = (key: string) => shards[key.charCodeAt(0)] as Map<string, number>

  const sweep = (now: number): void => {
    for (let left = SWEEP; left > 0; left -= 1) {
      const key = expiring.take(now)
      if (key === undefined) return
      const shard = shardOf(key)
      const slot = shard.get(key) as number
      shard.delete(key)
      counts[slot] = (counts[slot] as number) - 1
      size -= 1
    }
  }

  return {
    async remember(issuer, clientId, jti, expiresAt) {
      sweep(clock())
      const key = replayKey(issuer, clientId, jti, 'binary')
      const shard = shardOf(key)
      if (shard.has(key)) return false
      const slot = slotOf(clientId, seed)
      const count = counts[slot] as number
      if (count >= maximumAssertionsPerClient) throw full('the assertions of one client', maximumAssertionsPerClient)
      if (size >= maximumAssertions) throw full('assertions', maximumAssertions)
      shard.set(key, slot)
      counts[slot] = count + 1
      size += 1
      expiring.add(key, expiresAt + CLOCK_DIFFERENCE_SECONDS)
      return true
    },
  }
}

/** FNV-1a, begun at a number that nobody outside knows. */
function slotOf(text: string, seed: number): number {
  let mixed = seed
  for (let at = 0; at < text.length; at += 1) mixed = Math.imul(mixed ^ text.charCodeAt(at), 0x01000193)
  return (mixed ^ (mixed >>> 16)) & (CLIENT_SLOTS - 1)
}

/**
 * How long spending a code takes: what a store across a network takes, on purpose. Copies of one request that a client sent
 * at once are all read in that time and meet the code unspent, so that they are told from a replay that comes later.
 */
const SPENDING_MILLISECONDS = 5

/** A code store in the memory of this process. Codes are lost with the process. */
export function memoryCodeStore(options: MemoryStoresOptions = {}): CodeStore {
  const { clock, maximumCodes } = settings(options)
  const codes = new Map<string, AuthorizationCode>()
  const expiring = createExpiryBuckets<string>(15)

  const kept = (id: string): AuthorizationCode | undefined => {
    const now = clock()
    for (let left = SWEEP; left > 0; left -= 1) {
      const due = expiring.take(now)
      if (due === undefined) break
      if ((codes.get(due)?.keepUntil ?? 0) <= now) codes.delete(due)
    }
    const code = codes.get(id)
    return code !== undefined && now < code.keepUntil ? code : undefined
  }

  return {
    async add(code) {
      if (kept(code.id) !== undefined) throw new Error('a code with this id was added before')
      if (codes.size >= maximumCodes) throw full('codes', maximumCodes)
      codes.set(code.id, copyCode(code))
      expiring.add(code.id, code.keepUntil)
    },
    async find(id) {
      const code = kept(id)
      return code === undefined ? undefined : copyCode(code)
    },
    async countFailure(id) {
      const code = kept(id)
      if (code === undefined) return 0
      const failures = code.failures + 1
      codes.set(id, { ...code, failures })
      return failures
    },
    async spend(id) {
      await new Promise((resolve) => setTimeout(resolve, SPENDING_MILLISECONDS))
      const code = kept(id)
      if (code === undefined) return 'unknown'
      if (code.spent) return 'already_spent'
      codes.set(id, { ...code, spent: true })
      return 'spent'
    },
  }
}

/** A session store in the memory of this process. Sessions are lost with the process. */
export function memorySessionStore(options: MemoryStoresOptions = {}): SessionStore {
  const { clock, maximumSessions } = settings(options)
  // A session, or for one that was ended the moment until which its marker stays.
  const entries = new Map<string, Session | number>()
  // type to subject to the id, or the ids, of that subject's sessions
  const index = new Map<string, Map<string, string | Set<string>>>()
  const expiring = createExpiryBuckets<string>(15)

  const enlist = ({ id, type, subject }: Session): void => {
    const subjects = index.get(type) ?? new Map<string, string | Set<string>>()
    if (subjects.size === 0) index.set(type, subjects)
    const ids = subjects.get(subject)
    if (ids === undefined) subjects.set(subject, id)
    else if (typeof ids === 'string') subjects.set(subject, new Set([ids, id]))
    else ids.add(id)
  }

  const strike = ({ id, type, subject }: Session): void => {
    const subjects = index.get(type)
    const ids = subjects?.get(subject)
    if (ids instanceof Set) ids.delete(id)
    if (ids instanceof Set ? ids.size > 0 : ids !== id) return
    subjects?.delete(subject)
    if (subjects?.size === 0) index.delete(type)
  }

  /** Forgets what is due. An entry is filed once, under its first expiry; one that was prolonged is filed again here. */
  const sweep = (now: number): void => {
    for (let left = SWEEP; left > 0; left -= 1) {
      const id = expiring.take(now)
      if (id === undefined) return
      const entry = entries.get(id) as Session | number
      const end = typeof entry === 'number' ? entry : endOf(entry)
      if (end > now) {
        expiring.add(id, end)
        continue
      }
      entries.delete(id)
      if (typeof entry !== 'number') strike(entry)
    }
  }

  const live = (id: string, now: number): Session | undefined => {
    const entry = entries.get(id)
    return entry !== undefined && typeof entry !== 'number' && now < endOf(entry) ? entry : undefined
  }

  const mark = (session: Session, until: number): void => {
    strike(session)
    entries.set(session.id, Math.max(until, endOf(session)))
  }

  const idsOf = (subject: string, type: string): readonly string[] => {
    const ids = index.get(type)?.get(subject)
    return ids === undefined ? [] : typeof ids === 'string' ? [ids] : [...ids]
  }

  return {
    async create(session) {
      const now = clock()
      sweep(now)
      if (entries.has(session.id) || session.endedAt !== undefined || endOf(session) <= now) return 'gone'
      if (entries.size >= maximumSessions) throw full('sessions', maximumSessions)
      const copy = copySession(session)
      entries.set(copy.id, copy)
      enlist(copy)
      expiring.add(copy.id, endOf(copy))
      return 'created'
    },
    async get(id) {
      const session = live(id, clock())
      return session === undefined ? undefined : copySession(session)
    },
    async save(session) {
      const now = clock()
      sweep(now)
      const stored = live(session.id, now)
      if (stored === undefined) return 'gone'
      if (stored.lockVersion !== session.lockVersion) return 'conflict'
      if (session.endedAt !== undefined) {
        mark(stored, endOf(session))
        return 'saved'
      }
      // What the index goes by stays as it was created.
      const { type, subject } = stored
      entries.set(stored.id, { ...copySession(session, session.lockVersion + 1), type, subject })
      return 'saved'
    },
    async end(id, markerExpiresAt) {
      const now = clock()
      sweep(now)
      const entry = entries.get(id)
      if (entry === undefined) {
        if (markerExpiresAt <= now) return 'unknown'
        if (entries.size >= maximumSessions) throw full('sessions', maximumSessions)
        entries.set(id, markerExpiresAt)
        expiring.add(id, markerExpiresAt)
        return 'unknown'
      }
      if (typeof entry === 'number') {
        entries.set(id, Math.max(entry, markerExpiresAt))
        return 'unknown'
      }
      const ended = now < endOf(entry)
      mark(entry, markerExpiresAt)
      return ended ? 'ended' : 'unknown'
    },
    async list(subject, type) {
      const now = clock()
      return idsOf(subject, type)
        .flatMap((id) => live(id, now) ?? [])
        .sort((a, b) => a.createdAt - b.createdAt)
        .map((session) => copySession(session))
    },
    async endAll(subject, type) {
      const now = clock()
      sweep(now)
      let count = 0
      for (const id of idsOf(subject, type)) {
        const session = live(id, now)
        if (session === undefined) continue
        mark(session, 0)
        count += 1
      }
      return count
    },
  }
}

/** The three stores in the memory of this process: for a server that is one process, for development and for tests. */
export const memoryStores = (options: MemoryStoresOptions = {}): MemoryStores => ({
  replayRegister: memoryReplayRegister(options),
  codeStore: memoryCodeStore(options),
  sessionStore: memorySessionStore(options),
})
