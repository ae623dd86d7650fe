import { randomInt } from 'node:crypto'
import { CLOCK_DIFFERENCE_SECONDS, type Clock, systemClock } from '../clock.ts'
import type { AuthorizationCode } from '../code/code_record.ts'
import type { CodeStore } from '../code/code_store.ts'
import { timeOf } from '../hooks.ts'
import { checkOptions, optionNames, requireFunction, wholeNumber } from '../options.ts'
import type { ReplayRegister } from '../replay_register.ts'
import type { Session } from '../session/session.ts'
import type { SessionStore } from '../session/session_store.ts'
import { mixIn, slotOf } from '../slot.ts'
import { createExpiryBuckets } from './expiry_buckets.ts'
import { type CodeLimitOptions, codeLimitOf, copyCode, copySession, endOf, ownerOf, unspentUntil } from './records.ts'
import { replayKey } from './replay_key.ts'

/**
 * The options of the memory stores: the clock, and how much they may hold.
 *
 * @inline
 */
interface MemoryStoresOptions extends CodeLimitOptions {
  /** Returns the time in epoch seconds. Default: the system clock. */
  readonly clock?: Clock | undefined
  /** Maximum number of stored assertion ids. Default 4,000,000 (at most 150 bytes each). */
  readonly maximumAssertions?: number | undefined
  /** Maximum number of stored assertion ids of one client. Default 500,000. */
  readonly maximumAssertionsPerClient?: number | undefined
  /** Maximum number of stored codes: valid ones, and redeemed ones until their `keepUntil`. Default 1,000,000. */
  readonly maximumCodes?: number | undefined
  /**
   * Maximum number of stored sessions, including markers of ended ones. Default 4,000,000 (at most 1 KiB each). One user may
   * take a tenth of it, and at least 1000.
   */
  readonly maximumSessions?: number | undefined
}

/** The three stores in the memory of this process. */
export interface MemoryStores {
  /** For the options named `replayRegister`. */
  readonly replayRegister: ReplayRegister
  /** For the options named `codes`. */
  readonly codeStore: CodeStore
  /** For the option `store` of `createSessions` and `createConsents`. */
  readonly sessionStore: SessionStore
}

/** A `Map` holds at most 2^24 entries. */
const MOST = 2 ** 24

/** Expired entries cleared away by each call: more than it can add, and few enough not to be felt. */
const SWEEP = 32

const OPTIONS = optionNames<MemoryStoresOptions>({
  clock: true,
  maximumAssertions: true,
  maximumAssertionsPerClient: true,
  maximumCodes: true,
  maximumCodesPerUser: true,
  maximumSessions: true,
})

const settings = (caller: string, options: MemoryStoresOptions) => {
  checkOptions(caller, options, OPTIONS)
  const { clock } = options
  if (clock !== undefined) requireFunction('clock', clock)
  return {
    clock: clock === undefined ? systemClock : () => timeOf(clock),
    maximumAssertions: wholeNumber('maximumAssertions', options.maximumAssertions, 4_000_000, 1, MOST),
    maximumAssertionsPerClient: wholeNumber(
      'maximumAssertionsPerClient',
      options.maximumAssertionsPerClient,
      500_000,
      1,
      MOST,
    ),
    maximumCodes: wholeNumber('maximumCodes', options.maximumCodes, 1_000_000, 1, MOST),
    maximumCodesPerUser: codeLimitOf(options),
    maximumSessions: wholeNumber('maximumSessions', options.maximumSessions, 4_000_000, 1, MOST),
  }
}

const full = (what: string, most: number): Error =>
  new Error(`the memory store is full: ${what} reached the limit of ${most}, and nothing unexpired is dropped`)

/** Adds to the number of a key. Nothing is kept for a number of 0. */
function addTo<Key>(counts: Map<Key, number>, key: Key, change: 1 | -1): void {
  const count = (counts.get(key) ?? 0) + change
  if (count === 0) counts.delete(key)
  else counts.set(key, count)
}

/** So many parts, that no single part is ever so large that its growth is felt as a pause. */
const SHARDS = 256

/**
 * What is not an assertion, such as the answered forms of users, has a part of the room: a half of the whole, and a tenth for each
 * subject. So users cannot use up what clients need.
 */
const PART_OF_ALL = 2
const PART_OF_ONE = 10

/** The entries of one kind: how many there are, and how many of each slot. */
interface Share {
  readonly counts: Map<number, number>
  readonly most: number
  readonly mostOfOne: number
  size: number
}

/** What an entry counts against. */
interface Counted {
  readonly share: Share
  readonly slot: number
}

/** What the entries of one issuer count against, and the number that their slots begin with. */
interface IssuerShare {
  readonly issuer: string
  readonly share: Share
  readonly mixed: number
}

/**
 * Creates a replay register in the memory of this process. Use it for a server with one process. A restart loses its
 * entries: an assertion that was used before the restart is accepted again until it expires. Each entry is kept for a
 * minute after the expiry, in case the clock is set back.
 *
 * Its size is limited, and unexpired entries are never removed: if a client reaches its limit, the call rejects and the
 * response is 503. Entries of other clients are not removed. Entries whose issuer has a fragment (`https://as.example#transaction`)
 * are counted separately, with limits per user: there `clientId` is the user. The register tells clients and users apart by a
 * hash of 31 bits with a random seed, so two of them rarely share a limit.
 *
 * @example
 * ```ts
 * import { createMemoryReplayRegister } from 'passport-client-assertion-jwt/stores/memory'
 *
 * const codes = createMemoryCodeStore()
 * const consents = createConsents({ store: createMemorySessionStore() })
 * const replayRegister = createMemoryReplayRegister()
 * ```
 */
export function createMemoryReplayRegister(options: MemoryStoresOptions = {}): ReplayRegister {
  const { clock, maximumAssertions, maximumAssertionsPerClient } = settings('createMemoryReplayRegister', options)
  const shards = Array.from({ length: SHARDS }, () => new Map<string, number>()) // digest to slot
  const seed = randomInt(2 ** 31)
  const expiring = createExpiryBuckets<string>(1)
  const assertions: Share = {
    counts: new Map(),
    most: maximumAssertions,
    mostOfOne: maximumAssertionsPerClient,
    size: 0,
  }
  const others: Share = {
    counts: new Map(),
    most: Math.ceil(maximumAssertions / PART_OF_ALL),
    mostOfOne: Math.ceil(maximumAssertionsPerClient / PART_OF_ONE),
    size: 0,
  }

  const shardOf = (key: string) => shards[key.charCodeAt(0)] as Map<string, number>

  // One call after another names the same issuer.
  let last: IssuerShare | undefined
  const shareOf = (issuer: string): IssuerShare => {
    if (last?.issuer !== issuer)
      last = {
        issuer,
        share: issuer.includes('#') ? others : assertions,
        mixed: mixIn(`${issuer.length}:${issuer}`, seed),
      }
    return last
  }

  // The sign of what is kept with a digest says which share it is.
  const kept = (share: Share, slot: number): number => (share === assertions ? slot : -1 - slot)
  const countedAs = (value: number): Counted =>
    value >= 0 ? { share: assertions, slot: value } : { share: others, slot: -1 - value }

  const forget = ({ share, slot }: Counted): void => {
    addTo(share.counts, slot, -1)
    share.size -= 1
  }

  const sweep = (now: number): void => {
    for (let left = SWEEP; left > 0; left -= 1) {
      const key = expiring.take(now)
      if (key === undefined) return
      const shard = shardOf(key)
      forget(countedAs(shard.get(key) as number))
      shard.delete(key)
    }
  }

  return {
    async remember(issuer, clientId, jti, expiresAt) {
      sweep(clock())
      const key = replayKey(issuer, clientId, jti, 'binary')
      const shard = shardOf(key)
      if (shard.has(key)) return false
      const { share, mixed } = shareOf(issuer)
      const slot = slotOf(mixIn(clientId, mixed))
      const count = share.counts.get(slot) ?? 0
      if (count >= share.mostOfOne)
        throw full(`the entries of one ${share === others ? 'user' : 'client'}`, share.mostOfOne)
      if (share.size >= share.most) throw full(share === others ? 'the entries of users' : 'assertions', share.most)
      shard.set(key, kept(share, slot))
      share.counts.set(slot, count + 1)
      share.size += 1
      expiring.add(key, expiresAt + CLOCK_DIFFERENCE_SECONDS)
      return true
    },
  }
}

/**
 * Spending a code takes two of these, on purpose: as long as in a store across a network. Copies of one request that a client
 * sent at once are all read in that time and meet the code unspent, so they differ from a later replay.
 */
const SPAN_MILLISECONDS = 3

/** A code as the memory keeps it. */
interface KeptCode {
  readonly code: AuthorizationCode
  /** Whose live codes it is counted among; `undefined` once it was spent or has expired. */
  readonly liveOf: string | undefined
}

/**
 * Creates a code store in the memory of this process. A restart loses the codes.
 *
 * @example
 * ```ts
 * import { createMemoryCodeStore } from 'passport-client-assertion-jwt/stores/memory'
 *
 * const codes = createMemoryCodeStore()
 * const consents = createConsents({ store: createMemorySessionStore() })
 * const replayRegister = createMemoryReplayRegister()
 * ```
 */
export function createMemoryCodeStore(options: MemoryStoresOptions = {}): CodeStore {
  const { clock, maximumCodes, maximumCodesPerUser } = settings('createMemoryCodeStore', options)
  const codes = new Map<string, KeptCode>()
  const live = new Map<string, number>()
  const expiring = createExpiryBuckets<string>(1)

  const count = (owner: string | undefined, change: 1 | -1): void => {
    if (owner !== undefined) addTo(live, owner, change)
  }

  // All codes wait for one timer: a process that wakes for each of them uses a tenth more CPU.
  let span: Promise<void> | undefined
  const endOfSpan = (): Promise<void> => {
    span ??= new Promise<void>((resolve) => {
      setTimeout(() => {
        span = undefined
        resolve()
      }, SPAN_MILLISECONDS)
    })
    return span
  }

  const endOfCode = (code: AuthorizationCode): number => (code.spent ? code.keepUntil : unspentUntil(code))

  /** Clears away what is due. A code is filed under its expiry, then under the moment from which it is not kept. */
  const sweep = (now: number): void => {
    for (let left = SWEEP; left > 0; left -= 1) {
      const due = expiring.take(now)
      if (due === undefined) return
      const kept = codes.get(due)
      if (kept === undefined) continue
      const { code, liveOf } = kept
      count(liveOf, -1)
      if (endOfCode(code) <= now) codes.delete(due)
      else {
        codes.set(due, { code, liveOf: undefined })
        expiring.add(due, endOfCode(code))
      }
    }
  }

  const kept = (id: string, now = clock()): KeptCode | undefined => {
    sweep(now)
    const found = codes.get(id)
    return found !== undefined && now < endOfCode(found.code) ? found : undefined
  }

  return {
    async add(code) {
      const now = clock()
      if (kept(code.id, now) !== undefined) throw new Error('a code with this id was added before')
      const owner = ownerOf(code)
      if ((live.get(owner) ?? 0) >= maximumCodesPerUser) return 'too_many'
      if (codes.size >= maximumCodes) throw full('codes', maximumCodes)
      const liveOf = now <= code.expiresAt ? owner : undefined
      codes.set(code.id, { code: copyCode(code), liveOf })
      count(liveOf, 1)
      expiring.add(code.id, code.expiresAt + 1)
      return 'added'
    },
    async find(id) {
      const found = kept(id)
      return found === undefined ? undefined : copyCode(found.code)
    },
    async countFailure(id) {
      const found = kept(id)
      if (found === undefined) return 0
      const failures = found.code.failures + 1
      codes.set(id, { ...found, code: { ...found.code, failures } })
      return failures
    },
    async spend(id) {
      await endOfSpan() // one that has begun already
      await endOfSpan()
      const found = kept(id)
      if (found === undefined) return 'unknown'
      if (found.code.spent) return 'already_spent'
      count(found.liveOf, -1)
      codes.set(id, { code: { ...found.code, spent: true }, liveOf: undefined })
      return 'spent'
    },
  }
}

/** What stays of a session that was ended, or of an id that was ended before it had one. */
interface Marker {
  until: number
  /** Whose share it takes; `undefined` where that is unknown. */
  readonly slot: number | undefined
}

const isMarker = (entry: Session | Marker): entry is Marker => 'until' in entry

/** So many sessions each user may have in any case: a small store has no users to protect from each other. */
const LEAST_OF_ONE = 1000

/**
 * Creates a session store in the memory of this process. A restart loses the sessions.
 *
 * @example
 * ```ts
 * import { createMemorySessionStore } from 'passport-client-assertion-jwt/stores/memory'
 *
 * const codes = createMemoryCodeStore()
 * const consents = createConsents({ store: createMemorySessionStore() })
 * const replayRegister = createMemoryReplayRegister()
 * ```
 */
export function createMemorySessionStore(options: MemoryStoresOptions = {}): SessionStore {
  const { clock, maximumSessions } = settings('createMemorySessionStore', options)
  const maximumOfOne = Math.max(Math.ceil(maximumSessions / PART_OF_ONE), LEAST_OF_ONE)
  const seed = randomInt(2 ** 31)
  const entries = new Map<string, Session | Marker>()
  // slot of a subject to the number of its entries, markers included
  const counts = new Map<number, number>()
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

  const slotFor = (subject: string): number => slotOf(mixIn(subject, seed))

  /** Forgets what is due. An entry is filed once, under its first expiry; one that was prolonged is filed again here. */
  const sweep = (now: number): void => {
    for (let left = SWEEP; left > 0; left -= 1) {
      const id = expiring.take(now)
      if (id === undefined) return
      const entry = entries.get(id) as Session | Marker
      const end = isMarker(entry) ? entry.until : endOf(entry)
      if (end > now) {
        expiring.add(id, end)
        continue
      }
      entries.delete(id)
      const slot = isMarker(entry) ? entry.slot : slotFor(entry.subject)
      if (slot !== undefined) addTo(counts, slot, -1)
      if (!isMarker(entry)) strike(entry)
    }
  }

  const live = (id: string, now: number): Session | undefined => {
    const entry = entries.get(id)
    return entry !== undefined && !isMarker(entry) && now < endOf(entry) ? entry : undefined
  }

  const mark = (session: Session, until: number): void => {
    strike(session)
    entries.set(session.id, { until: Math.max(until, endOf(session)), slot: slotFor(session.subject) })
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
      const slot = slotFor(session.subject)
      const count = counts.get(slot) ?? 0
      if (count >= maximumOfOne) throw full('the sessions of one user', maximumOfOne)
      const copy = copySession(session)
      entries.set(copy.id, copy)
      counts.set(slot, count + 1)
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
      const copy = copySession(session, session.lockVersion + 1)
      const isIndexed = copy.type === type && copy.subject === subject
      entries.set(stored.id, isIndexed ? copy : { ...copy, type, subject })
      return 'saved'
    },
    async end(id, markerExpiresAt) {
      const now = clock()
      sweep(now)
      const entry = entries.get(id)
      if (entry === undefined) {
        if (markerExpiresAt <= now) return 'unknown'
        if (entries.size >= maximumSessions) throw full('sessions', maximumSessions)
        entries.set(id, { until: markerExpiresAt, slot: undefined })
        expiring.add(id, markerExpiresAt)
        return 'unknown'
      }
      if (isMarker(entry)) {
        entry.until = Math.max(entry.until, markerExpiresAt)
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

/**
 * Creates the three stores in the memory of this process, for a server with one process, for development and for tests.
 *
 * @example
 * ```ts
 * import { createMemoryStores } from 'passport-client-assertion-jwt/stores/memory'
 *
 * const { replayRegister, codeStore, sessionStore } = createMemoryStores() // or Redis, or PostgreSQL
 * ```
 */
export function createMemoryStores(options: MemoryStoresOptions = {}): MemoryStores {
  checkOptions('createMemoryStores', options, OPTIONS)
  return {
    replayRegister: createMemoryReplayRegister(options),
    codeStore: createMemoryCodeStore(options),
    sessionStore: createMemorySessionStore(options),
  }
}
