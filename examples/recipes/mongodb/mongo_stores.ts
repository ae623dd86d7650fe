// The three stores over MongoDB: what it takes to write one of your own. Held to the same suites as the stores that are
// shipped, in test/recipes/mongodb.test.ts.
//
//   // limits, so that a hung database becomes a 503 and not a hung request
//   const limits = { serverSelectionTimeoutMS: 3000, waitQueueTimeoutMS: 3000, socketTimeoutMS: 3000 }
//   const client = new MongoClient(url, limits)
//   const { replayRegister, codeStore, sessionStore, prepare } = mongoStores(client.db('oauth'))
//   await prepare() // once, at deployment: the indexes
//
// Use a replica set with majority writes and reads from the primary: what is lost in a fail-over can be used again.
import { createHash } from 'node:crypto'
import type { Db, Document } from 'mongodb'
import type { AuthorizationCode, CodeStore, ReplayRegister, Session, SessionStore } from 'passport-client-assertion-jwt'

/** A record, kept as JSON because its free members may have names that MongoDB does not take, beside what queries need. */
interface CodeDocument extends Document {
  readonly _id: string
  readonly record: string
  readonly failures: number
  readonly spent: boolean
  /** Until when it is kept: once it was spent, for as long as its record says. */
  readonly keepUntil: number
  readonly removeAt: Date
  /** Its subject and client, whose live codes are bounded. */
  readonly owner: string
  readonly expiresAt: number
}

interface SessionDocument extends Document {
  readonly _id: string
  readonly ended: boolean
  /** When MongoDB may remove it: not before it is over, nor before its marker is. */
  readonly removeAt: Date
  // Absent where a session was ended that was never opened.
  readonly record?: string
  readonly type?: string
  readonly subject?: string
  readonly createdAt?: number
  readonly lockVersion?: number
  /** The moment it is over: idle or absolute end, whichever comes first. */
  readonly overAt?: number
}

/** One per subject and type: how often all their sessions were ended. */
interface EpochDocument extends Document {
  readonly _id: string
  readonly count: number
}

/** Codes of one user for one client that may be neither spent nor expired. */
const MOST_CODES_PER_USER = 50
/** How far the clocks of the nodes may be apart. */
const CLOCK_DIFFERENCE_SECONDS = 60

const dateOf = (at: number): Date => new Date(at * 1000)
const digest = (...parts: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('base64url')

const isDuplicate = (error: unknown): boolean => (error as { readonly code?: unknown }).code === 11000

const overAtOf = (session: Session): number =>
  Math.min(session.refreshExpiresAt, session.expiresAt ?? Number.POSITIVE_INFINITY)

// JSON leaves out what is undefined.
type Stored<T, Optional extends keyof T> = Omit<T, Optional> & Partial<Pick<T, Optional>>

const codeOf = (document: CodeDocument): AuthorizationCode => ({
  codeChallenge: undefined,
  ...(JSON.parse(document.record) as Stored<AuthorizationCode, 'codeChallenge'>),
  failures: document.failures,
  spent: document.spent,
})

const sessionOf = (document: SessionDocument): Session => ({
  expiresAt: undefined,
  endedAt: undefined,
  ...(JSON.parse(document.record ?? '{}') as Stored<Session, 'expiresAt' | 'endedAt'>),
  lockVersion: document.lockVersion ?? 0,
})

/**
 * The three stores over one database. `now` tells the time in epoch seconds, with fractions; default: this machine's
 * clock, which all nodes must keep in step.
 */
export function mongoStores(db: Db, now: () => number = () => Date.now() / 1000) {
  const options = { writeConcern: { w: 'majority' }, readPreference: 'primary' } as const
  const assertions = db.collection<{ _id: string; removeAt: Date }>('assertions', options)
  const codes = db.collection<CodeDocument>('codes', options)
  const sessions = db.collection<SessionDocument>('sessions', options)
  const epochs = db.collection<EpochDocument>('session_epochs', options)

  const replayRegister: ReplayRegister = {
    // One insert decides: the second one with the same key fails. MongoDB forgets it some time after `expiresAt`.
    async remember(issuer, clientId, jti, expiresAt) {
      try {
        await assertions.insertOne({ _id: digest(issuer, clientId, jti), removeAt: dateOf(expiresAt) })
        return true
      } catch (error) {
        if (isDuplicate(error)) return false
        throw error
      }
    },
  }

  const keptCode = (id: string) => ({ _id: id, keepUntil: { $gt: now() } })

  const codeStore: CodeStore = {
    async add(code) {
      const { failures, spent, ...rest } = code
      const { expiresAt } = code
      const owner = digest(code.subject, code.clientId)
      const live = { owner, spent: false, expiresAt: { $gt: now() } }
      const found = await codes.find(live, { projection: { _id: 1 }, limit: MOST_CODES_PER_USER }).toArray()
      if (found.length >= MOST_CODES_PER_USER) return 'too_many'
      const record = JSON.stringify(rest)
      const keepUntil = expiresAt + CLOCK_DIFFERENCE_SECONDS
      const removeAt = dateOf(keepUntil)
      await codes.insertOne({ _id: code.id, record, failures, spent, keepUntil, removeAt, owner, expiresAt })
      return 'added'
    },
    async find(id) {
      const found = await codes.findOne(keptCode(id))
      return found === null ? undefined : codeOf(found)
    },
    async countFailure(id) {
      const after = await codes.findOneAndUpdate(keptCode(id), { $inc: { failures: 1 } }, { returnDocument: 'after' })
      return after?.failures ?? 0
    },
    async spend(id) {
      const found = await codes.findOne(keptCode(id))
      if (found === null) return 'unknown'
      const { keepUntil } = codeOf(found)
      const change = { $set: { spent: true, keepUntil, removeAt: dateOf(keepUntil) } }
      const before = await codes.findOneAndUpdate(keptCode(id), change, { returnDocument: 'before' })
      if (before === null) return 'unknown'
      return before.spent ? 'already_spent' : 'spent'
    },
  }

  const live = () => ({ ended: false, overAt: { $gt: now() } })
  const epochOf = async (id: string): Promise<number> => (await epochs.findOne({ _id: id }))?.count ?? 0

  const sessionStore: SessionStore = {
    async create(session) {
      const overAt = overAtOf(session)
      if (session.endedAt !== undefined || overAt <= now()) return 'gone'
      const { id, type, subject, createdAt, lockVersion } = session
      const epoch = digest(type, subject)
      const before = await epochOf(epoch)
      try {
        const record = JSON.stringify(session)
        const removeAt = dateOf(overAt)
        await sessions.insertOne({
          _id: id,
          ended: false,
          record,
          type,
          subject,
          createdAt,
          lockVersion,
          overAt,
          removeAt,
        })
      } catch (error) {
        if (isDuplicate(error)) return 'gone'
        throw error
      }
      // All were ended while this one was under way: then it is ended too, because endAll may have passed it by.
      if ((await epochOf(epoch)) === before) return 'created'
      await sessions.updateOne({ _id: id }, { $set: { ended: true } })
      return 'gone'
    },
    async get(id) {
      const found = await sessions.findOne({ _id: id, ...live() })
      return found === null ? undefined : sessionOf(found)
    },
    async save(session) {
      const { id, lockVersion } = session
      const overAt = overAtOf(session)
      const { matchedCount } = await sessions.updateOne(
        { _id: id, lockVersion, ...live() },
        {
          $set: {
            record: JSON.stringify(session),
            lockVersion: lockVersion + 1,
            overAt,
            ended: session.endedAt !== undefined,
          },
          $max: { removeAt: dateOf(overAt) },
        },
      )
      if (matchedCount === 1) return 'saved'
      return (await sessions.findOne({ _id: id, ...live() })) === null ? 'gone' : 'conflict'
    },
    async end(id, markerExpiresAt) {
      const marker = { $set: { ended: true }, $max: { removeAt: dateOf(markerExpiresAt) } }
      const mark = () => sessions.findOneAndUpdate({ _id: id }, marker, { upsert: true, returnDocument: 'before' })
      const before = await mark().catch((error: unknown) => {
        if (isDuplicate(error)) return mark() // two upserts met: the other one won, and this one now updates
        throw error
      })
      return before !== null && !before.ended && (before.overAt ?? 0) > now() ? 'ended' : 'unknown'
    },
    async list(subject, type) {
      const found = sessions.find({ subject, type, ...live() }).sort({ createdAt: 1, _id: 1 })
      return (await found.toArray()).map(sessionOf)
    },
    async endAll(subject, type) {
      await epochs.updateOne({ _id: digest(type, subject) }, { $inc: { count: 1 } }, { upsert: true })
      const { modifiedCount } = await sessions.updateMany({ subject, type, ...live() }, { $set: { ended: true } })
      return modifiedCount
    },
  }

  /** Makes the indexes. Expired documents are removed by MongoDB itself, within a minute or so. */
  async function prepare(): Promise<void> {
    for (const collection of [assertions, codes, sessions])
      await collection.createIndex({ removeAt: 1 }, { expireAfterSeconds: 0 })
    await sessions.createIndex({ subject: 1, type: 1, ended: 1 })
    await codes.createIndex({ owner: 1, spent: 1 })
  }

  return { replayRegister, codeStore, sessionStore, prepare }
}
