import { createHash } from 'node:crypto'
import { CLOCK_DIFFERENCE_SECONDS } from '../clock.ts'
import type { CodeStore } from '../code/code_store.ts'
import { badOption, checkOptions, optionNames, requireFunction } from '../options.ts'
import type { ReplayRegister } from '../replay_register.ts'
import type { Session } from '../session/session.ts'
import type { SessionStore } from '../session/session_store.ts'
import { type BoundedCallsOptions, createBoundedCalls } from './bounded_calls.ts'
import {
  type CodeLimitOptions,
  codeLimitOf,
  codeOf,
  copyCode,
  endOf,
  listed,
  ownerOf,
  sessionOf,
  unspentUntil,
} from './records.ts'
import { replayKey } from './replay_key.ts'
import { createSeal } from './sealed.ts'

/**
 * Sends one command and returns its reply: strings, integers as numbers, and `null` for none. `key` is the only key of the
 * command; cluster clients use it for routing.
 *
 * | client | function |
 * | --- | --- |
 * | node-redis | `(args) => client.sendCommand(args)` |
 * | node-redis, cluster | `(args, key) => cluster.sendCommand(key, false, args)` |
 * | ioredis, iovalkey, single and cluster | `(args) => client.call(...args)` |
 * | valkey-glide, single and cluster | `(args) => client.customCommand(args)` |
 *
 * Replies must be strings, not Buffers: with ioredis and iovalkey use `call`, not `callBuffer`.
 */
export type RedisCommand = (args: [name: string, ...rest: string[]], key: string) => Promise<unknown>

/**
 * The options of `createRedisStores`.
 *
 * @inline
 */
interface RedisStoresOptions extends BoundedCallsOptions, CodeLimitOptions {
  /** Sends one command, see `RedisCommand`. */
  readonly command: RedisCommand
  /**
   * One secret or several, each with at least 32 bytes. The first signs the records of codes and sessions, all verify
   * them: a writer to Redis without one of these secrets cannot forge a code or a session.
   */
  readonly signingKeys: string | Uint8Array | readonly (string | Uint8Array)[]
  /** The prefix of all keys. Default `oauth`. */
  readonly prefix?: string | undefined
}

/** The three stores on Redis. */
export interface RedisStores {
  /** For the options named `replayRegister`. */
  readonly replayRegister: ReplayRegister
  /** For the options named `codes`. */
  readonly codeStore: CodeStore
  /** For the option `store` of `createSessions` and `createConsents`. */
  readonly sessionStore: SessionStore
}

const OPTIONS = optionNames<RedisStoresOptions>({
  command: true,
  signingKeys: true,
  prefix: true,
  maximumCodesPerUser: true,
  timeoutMilliseconds: true,
  maximumPending: true,
  reconnect: true,
})

/** Version of the values and scripts. It stands in every key, so that two versions never read each other's values. */
const FORMAT = '1'

/**
 * Creates the three stores on Redis 6.2 or newer, Valkey, or a compatible server, single or cluster. Each command uses one key.
 * Every key expires by the clock of Redis, at a time that this process computes: keep the two clocks within a minute of each other.
 * Records that Redis loses in a crash or a fail-over are lost. docs/scaling.md lists the settings.
 *
 * Round trips: 1 to remember an assertion; 2 to add a code; 1 to find a code, to spend it or to count a failure (spending sends one
 * more command without waiting for it); 1 to get and 1 to save a session; 2 to create a session (the index of its subject first, so
 * that `endAll` finds it at once); 3 to save a session that outlives the index, which happens once in an idle lifetime.
 *
 * @example
 * ```ts
 * import { createRedisStores } from 'passport-client-assertion-jwt/stores/redis'
 *
 * const stores = createRedisStores({
 *   command: (args) => client.sendCommand(args),
 *   reconnect: () => {
 *     client.destroy() // does not wait for a host that died silently
 *     return client.connect()
 *   },
 *   signingKeys: [process.env.RECORD_SECRET ?? '', process.env.FORMER_RECORD_SECRET ?? ''].filter((key) => key !== ''),
 * })
 * ```
 */
export function createRedisStores(options: RedisStoresOptions): RedisStores {
  checkOptions('createRedisStores', options, OPTIONS)
  requireFunction('command', options.command)
  const { command, prefix = 'oauth' } = options
  if (typeof prefix !== 'string' || !/^[^{}\s]+$/.test(prefix))
    throw badOption('prefix', 'a string without braces and spaces', prefix)
  const seal = createSeal(options.signingKeys)
  const bounded = createBoundedCalls('Redis', options)
  const mostCodes = codeLimitOf(options)

  const send = (key: string, name: string, ...rest: string[]): Promise<unknown> =>
    bounded(() => command([name, key, ...rest], key))
  const run = (script: string, key: string, ...values: (string | number)[]): Promise<unknown> =>
    bounded(() => command(['EVAL', script, '1', key, ...values.map(String)], key))

  // The braces make a cluster place a key by what stands between them, whatever else an id contains.
  const keyOf = (kind: 'j' | 'c' | 'l' | 's' | 'u', name: string): string => `${prefix}:${FORMAT}:${kind}:{${name}}`
  const indexOf = (subject: string, type: string): string =>
    keyOf('u', createHash('sha256').update(`${type.length}:${type}${subject}`).digest('base64url'))

  const replayRegister: ReplayRegister = {
    async remember(issuer, clientId, jti, expiresAt) {
      const key = keyOf('j', replayKey(issuer, clientId, jti, 'base64url'))
      const reply = await send(key, 'SET', '1', 'NX', 'EXAT', String(expiresAt + CLOCK_DIFFERENCE_SECONDS))
      // A function that forgets to return the reply must not turn off the protection.
      if (reply !== 'OK' && reply !== null)
        throw new TypeError(`option 'command' must return the reply of Redis, got ${typeof reply} for SET`)
      return reply === 'OK'
    },
  }

  const strikeLive = async (id: string, sealed: string): Promise<unknown> =>
    send(keyOf('l', ownerOf(codeOf(sealed.slice(sealed.indexOf('.') + 1), 0, true))), 'ZREM', id)

  const codeStore: CodeStore = {
    async add(code) {
      // The index of live codes first: what is not counted is not kept.
      const counted = await run(COUNT_LIVE, keyOf('l', ownerOf(code)), code.id, code.expiresAt, mostCodes - 1)
      if (outcomeOf(counted, ['added', 'too_many']) === 'too_many') return 'too_many'
      // The order of the members is that of copyCode: SPEND goes by it.
      const value = `0 0 ${seal.close('code', code.id, JSON.stringify(copyCode(code)))}`
      const reply = await send(keyOf('c', code.id), 'SET', value, 'NX', 'EXAT', String(unspentUntil(code)))
      if (reply === null) throw new Error('a code with this id was added before')
      if (reply !== 'OK')
        throw new TypeError(`option 'command' must return the reply of Redis, got ${typeof reply} for SET`)
      return 'added'
    },
    async find(id) {
      const value = await send(keyOf('c', id), 'GET')
      if (value === null) return undefined
      const [, failures, spent, sealed = ''] = CODE_VALUE.exec(String(value)) ?? []
      return codeOf(seal.open('code', id, sealed), Number(failures), spent === '1')
    },
    async countFailure(id) {
      return Number(await run(COUNT_FAILURE, keyOf('c', id)))
    },
    async spend(id) {
      const reply = await run(SPEND, keyOf('c', id))
      if (!Array.isArray(reply)) return outcomeOf(reply, ['already_spent', 'unknown'])
      // Nobody waits for it: until its score removes it, it only counts for longer than it is live.
      void strikeLive(id, String(reply[0])).catch(ignored)
      return 'spent'
    },
  }

  /** Items that are asked for at once: a few hundred, and half of the calls that may be made now, so that others find room. */
  function* turns<Item>(items: readonly Item[]): Generator<readonly Item[]> {
    for (let at = 0; at < items.length; ) {
      const turn = items.slice(at, at + Math.min(256, Math.max(1, bounded.room() >> 1)))
      yield turn
      at += turn.length
    }
  }

  const enlist = (session: Session): Promise<unknown> =>
    run(ENLIST, indexOf(session.subject, session.type), session.id, horizonOf(session))
  const strike = (session: Session): Promise<unknown> =>
    send(indexOf(session.subject, session.type), 'ZREM', session.id)

  /** The record in a value: `undefined` for a marker. */
  const recordIn = (id: string, value: string): Session | undefined => {
    if (MARKER.test(value)) return undefined
    const [, sealed = ''] = SESSION_VALUE.exec(value) ?? []
    return sessionOf(seal.open('session', id, sealed))
  }

  const sealedSession = (session: Session): string => seal.close('session', session.id, JSON.stringify(session))

  const sessionStore: SessionStore = {
    async create(session) {
      if (session.endedAt !== undefined) return 'gone'
      await enlist(session)
      const value = `${session.lockVersion} ${endOf(session)} ${horizonOf(session)} ${sealedSession(session)}`
      const reply = await run(CREATE, keyOf('s', session.id), endOf(session), value)
      return outcomeOf(reply, ['created', 'gone'])
    },
    async get(id) {
      const value = await send(keyOf('s', id), 'GET')
      return value === null ? undefined : recordIn(id, String(value))
    },
    async save(session) {
      const key = keyOf('s', session.id)
      const next = { ...session, lockVersion: session.lockVersion + 1 }
      const sealed = session.endedAt === undefined ? sealedSession(next) : ''
      const save = (horizon: number) =>
        run(SAVE, key, session.lockVersion, next.lockVersion, endOf(session), sealed, horizon)
      let outcome = outcomeOf(await save(0), ['saved', 'conflict', 'gone', 'outlived'])
      if (outcome === 'outlived') {
        // The index first, as in `create`: if it is not told, the session does not live beyond what it knows.
        await enlist(next)
        outcome = outcomeOf(await save(horizonOf(next)), ['saved', 'conflict', 'gone'])
      }
      if (outcome === 'saved' && session.endedAt !== undefined) await strike(session).catch(ignored)
      return outcome
    },
    async end(id, markerExpiresAt) {
      const value = await run(END, keyOf('s', id), markerExpiresAt)
      if (value === null) return 'unknown'
      const strikeEnded = async () => {
        const session = recordIn(id, String(value))
        if (session !== undefined) await strike(session)
      }
      await strikeEnded().catch(ignored)
      return 'ended'
    },
    async list(subject, type) {
      const index = indexOf(subject, type)
      const ids = entriesOf(await run(ENLISTED, index)).map(([id]) => id)
      const values: unknown[] = []
      for (const turn of turns(ids)) values.push(...(await Promise.all(turn.map((id) => send(keyOf('s', id), 'GET')))))
      const sessions: Session[] = []
      const ended: string[] = []
      for (const [at, id] of ids.entries()) {
        const value = values[at]
        if (value === null) continue // just being created, or expired: left for its score to remove
        if (MARKER.test(String(value))) {
          ended.push(id)
          continue
        }
        const session = listed(id, () => recordIn(id, String(value)))
        if (session?.subject === subject && session.type === type) sessions.push(session)
      }
      if (ended.length > 0) await send(index, 'ZREM', ...ended).catch(ignored)
      return sessions.sort((a, b) => a.createdAt - b.createdAt)
    },
    async endAll(subject, type) {
      const index = indexOf(subject, type)
      const entries = entriesOf(await run(ENLISTED, index))
      let count = 0
      for (const turn of turns(entries)) {
        const answers = await Promise.allSettled(turn.map(([id, horizon]) => run(END, keyOf('s', id), horizon)))
        const over = turn.flatMap(([id], at) => (answers[at]?.status === 'fulfilled' ? [id] : []))
        // Also where some could not be ended: the next call then has fewer to end.
        if (over.length > 0) await send(index, 'ZREM', ...over).catch(ignored)
        for (const answer of answers) {
          if (answer.status === 'rejected') throw answer.reason
          if (answer.value !== null) count += 1
        }
      }
      return count
    },
  }

  return { replayRegister, codeStore, sessionStore }
}

/** For tidying up after what counts has been done: it is done again by the next call, or by expiry. */
const ignored = (): void => undefined

const outcomeOf = <const T extends string>(reply: unknown, outcomes: readonly T[]): T => {
  const outcome = outcomes.find((each) => each === reply)
  if (outcome === undefined) throw new Error(`a script of the Redis store returned ${typeof reply}, not an outcome`)
  return outcome
}

const entriesOf = (reply: unknown): [id: string, horizon: string][] => {
  if (!Array.isArray(reply)) throw new Error(`a script of the Redis store returned ${typeof reply}, not an array`)
  return Array.from({ length: reply.length / 2 }, (_, at) => [String(reply[2 * at]), String(reply[2 * at + 1])])
}

/**
 * How long the index keeps a session: an idle lifetime beyond its idle end, so that only one save in an idle lifetime
 * has to touch the index; never beyond the absolute end.
 */
const horizonOf = (session: Session): number => {
  const horizon = session.refreshExpiresAt + Math.max(session.refreshExpiresAt - session.refreshedAt, 0)
  return Math.min(horizon, session.expiresAt ?? horizon)
}

// The values. A code: `failures spent(0|1) sealed`. A session: `lockVersion end horizon sealed`; the marker of an ended
// one: `- end`. What stands before the seal is what scripts count and compare; it is not signed.
const CODE_VALUE = /^(\d+) ([01]) (.*)$/s
const MARKER = /^- \d+$/
const SESSION_VALUE = /^\d+ \d+ \d+ (.*)$/s

// The scripts. Each declares its one key, uses no other, and answers with a text, an integer, a flat list or nothing.

const COUNT_FAILURE = `
local value = redis.call('GET', KEYS[1])
if not value then return 0 end
local failures, rest = string.match(value, '^(%d+)( .*)$')
failures = failures + 1
redis.call('SET', KEYS[1], string.format('%d', failures) .. rest, 'KEEPTTL')
return failures`

/**
 * Answers with the sealed record of a code that was spent now. From then on it is kept until its `keepUntil`: the first of
 * that name, because the members before it are strings, in which JSON escapes quotes.
 */
const SPEND = `
local value = redis.call('GET', KEYS[1])
if not value then return 'unknown' end
local failures, spent, sealed = string.match(value, '^(%d+) ([01]) (.*)$')
if spent == '1' then return 'already_spent' end
local spentValue = failures .. ' 1 ' .. sealed
local keep = string.match(sealed, '"keepUntil":(%d+)')
if keep then redis.call('SET', KEYS[1], spentValue, 'EXAT', keep) else redis.call('SET', KEYS[1], spentValue, 'KEEPTTL') end
return {sealed}`

/** ARGV: id, expiry, one less than the limit. Counts a code among the live ones of its user and client. */
const COUNT_LIVE = `
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', redis.call('TIME')[1])
if redis.call('ZRANGE', KEYS[1], ARGV[3], ARGV[3])[1] then return 'too_many' end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('EXPIREAT', KEYS[1], last[2])
return 'added'`

/**
 * ARGV: id, horizon. Drops what is beyond its horizon, and lets the index expire with the last one. Never shortens a horizon: a
 * slower node, or a `create` under an id in use, may come after one that was told more.
 */
const ENLIST = `
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('EXPIREAT', KEYS[1], last[2])
return 1`

/** Ids and horizons in turn. */
const ENLISTED = `return redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')`

/** ARGV: end, value. */
const CREATE = `
if tonumber(ARGV[1]) <= tonumber(redis.call('TIME')[1]) then return 'gone' end
if redis.call('SET', KEYS[1], ARGV[2], 'NX', 'EXAT', ARGV[1]) then return 'created' end
return 'gone'`

/**
 * ARGV: lock version, next lock version, end, sealed record ('' for a session that was ended), what the index was told just now
 * (0 for nothing). Saves nothing that would outlive what the index was told.
 */
const SAVE = `
local value = redis.call('GET', KEYS[1])
if not value then return 'gone' end
local lock, ends, horizon = string.match(value, '^(%d+) (%d+) (%d+) ')
if not lock then return 'gone' end
if lock ~= ARGV[1] then return 'conflict' end
if ARGV[4] == '' then
  if tonumber(ARGV[3]) > tonumber(ends) then ends = ARGV[3] end
  redis.call('SET', KEYS[1], '- ' .. ends, 'EXAT', ends)
  return 'saved'
end
if tonumber(ARGV[5]) > tonumber(horizon) then horizon = ARGV[5] end
if tonumber(ARGV[3]) > tonumber(horizon) then return 'outlived' end
redis.call('SET', KEYS[1], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. horizon .. ' ' .. ARGV[4], 'EXAT', ARGV[3])
return 'saved'`

/** ARGV: end of the marker. Answers with the value of the session that was ended, if there was one. */
const END = `
local value = redis.call('GET', KEYS[1])
local ends = ARGV[1]
if value then
  local present = string.match(value, '^%S+ (%d+)')
  if present and tonumber(present) > tonumber(ends) then ends = present end
end
redis.call('SET', KEYS[1], '- ' .. ends, 'EXAT', ends)
if value and string.sub(value, 1, 1) ~= '-' then return value end
return false`
