import { createHash } from 'node:crypto'
import { CLOCK_DIFFERENCE_SECONDS } from '../clock.ts'
import type { CodeStore } from '../code/code_store.ts'
import { badOption, checkOptions, optionNames, requireFunction, wholeNumber } from '../options.ts'
import type { ReplayRegister } from '../replay_register.ts'
import type { Session } from '../session/session.ts'
import type { SessionStore } from '../session/session_store.ts'
import { type BoundedCallsOptions, createBoundedCalls } from './bounded_calls.ts'
import { type PostgresTables, postgresSchema } from './postgres_schema.ts'
import {
  type CodeLimitOptions,
  codeLimitOf,
  codeOf,
  endOf,
  listed,
  ownerOf,
  sessionOf,
  unspentUntil,
} from './records.ts'
import { replayKey } from './replay_key.ts'

/**
 * Runs one statement with its parameters, `$1` to `$n`, and returns the rows as objects. Each call may use another
 * connection, so a pool and PgBouncer in transaction mode work.
 *
 * | client | function |
 * | --- | --- |
 * | pg (`Pool`) | `(text, values) => pool.query(text, values)` |
 * | postgres.js | `async (text, values) => ({ rows: await sql.unsafe(text, values) })` |
 * | PGlite | `(text, values) => database.query(text, values)` |
 *
 * Wrap the functions of ORMs that return bare rows like postgres.js. docs/scaling.md has examples.
 */
export type PostgresQuery = (
  text: string,
  values: (string | number)[],
) => Promise<{
  /** The rows as objects, keyed by column; empty if there are none. */
  readonly rows: readonly unknown[]
}>

/**
 * The options of `createPostgresStores`.
 *
 * @inline
 */
interface PostgresStoresOptions extends BoundedCallsOptions, CodeLimitOptions {
  /** Runs one statement, see `PostgresQuery`. */
  readonly query: PostgresQuery
  /** The schema of the tables. Default: the first one in the search path of the connection. */
  readonly schema?: string | undefined
  /** Names of the tables. Default `oauth_assertions`, `oauth_codes`, `oauth_sessions`. */
  readonly tables?: Partial<PostgresTables> | undefined
}

const OPTIONS = optionNames<PostgresStoresOptions>({
  query: true,
  schema: true,
  tables: true,
  maximumCodesPerUser: true,
  timeoutMilliseconds: true,
  maximumPending: true,
  reconnect: true,
})

/** The three stores on PostgreSQL, and the functions that maintain their tables. */
export interface PostgresStores {
  /** For the options named `replayRegister`. */
  readonly replayRegister: ReplayRegister
  /** For the options named `codes`. */
  readonly codeStore: CodeStore
  /** For the option `store` of `createSessions` and `createConsents`. */
  readonly sessionStore: SessionStore
  /**
   * Creates missing tables like `postgres.sql`, with the names in the options. You can call it again, and from several
   * processes at the same time. It needs the permission to create tables in the schema, and to create the schema if it does
   * not exist. The stores themselves need neither.
   */
  migrate(): Promise<void>
  /**
   * Deletes expired rows in batches and returns how many were deleted. Call it every minute or every hour, from one process
   * or from all. Expired rows are never returned, so this only frees space and session ids: while its row exists, the id of
   * an expired session cannot be opened again.
   */
  prune(options?: {
    /** Rows for each statement. Default 5000. */
    readonly batchSize?: number
  }): Promise<number>
}

/**
 * The three stores on PostgreSQL 12 or newer, or PGlite. One statement for each verb (two for `endAll`, and for an `end`
 * that meets a `create` of the same id), which decides by itself and needs no transaction around it. Moments are written by
 * the clock of the process and compared by the clock of the database: keep them within a minute of each other
 * (docs/scaling.md says what happens otherwise).
 *
 * @example
 * ```ts
 * import { createPostgresStores } from 'passport-client-assertion-jwt/stores/postgres'
 *
 * const stores = createPostgresStores({ query: (text, values) => pool.query(text, values) })
 * await stores.migrate() // or run postgres.sql once, as the owner of the schema
 * ```
 */
export function createPostgresStores(options: PostgresStoresOptions): PostgresStores {
  checkOptions('createPostgresStores', options, OPTIONS)
  requireFunction('query', options.query)
  const { query } = options
  const names = postgresSchema(options.schema, options.tables)
  const { assertions, codes, sessions } = names
  const bounded = createBoundedCalls('PostgreSQL', options)
  const mostCodes = codeLimitOf(options)

  const rows = async (text: string, ...values: (string | number)[]): Promise<readonly Row[]> => {
    const answer = await bounded(() => query(text, values))
    if (!Array.isArray(answer?.rows)) throw badOption('query', 'a function that returns { rows }', answer)
    return answer.rows as readonly Row[]
  }
  const outcome = async <T extends string>(text: string, ...values: (string | number)[]): Promise<T> =>
    (await rows(text, ...values))[0]?.['outcome'] as T
  const count = async (text: string, ...values: (string | number)[]): Promise<number> =>
    Number((await rows(text, ...values))[0]?.['count'])

  const replayRegister: ReplayRegister = {
    async remember(issuer, clientId, jti, expiresAt) {
      const key = replayKey(issuer, clientId, jti, 'base64url')
      return (await rows(remember, key, expiresAt + CLOCK_DIFFERENCE_SECONDS)).length > 0
    },
  }
  const remember = `
    insert into ${assertions} as known (id, expires_at) values ($1, to_timestamp($2::float8))
    on conflict (id) do update set expires_at = excluded.expires_at where known.expires_at <= now()
    returning 1`

  const codeStore: CodeStore = {
    add: (code) => outcome(addCode, code.id, JSON.stringify(code), unspentUntil(code), ownerOf(code), mostCodes),
    async find(id) {
      const [row] = await rows(findCode, id)
      return row === undefined
        ? undefined
        : codeOf(String(row['record']), Number(row['failures']), row['spent'] === true)
    },
    async countFailure(id) {
      const [row] = await rows(countFailure, id)
      return row === undefined ? 0 : Number(row['failures'])
    },
    spend: (id) => outcome(spendCode, id),
  }
  // Until it is spent a code is kept for as long as it can be redeemed. The limit is counted by the clock of the database.
  const addCode = `
    with live as materialized (
      select count(*) as codes from (
        select 1 from ${codes} where owner = $4 and spent_at is null
          and keep_until > now() + interval '${CLOCK_DIFFERENCE_SECONDS} seconds' limit $5::int4
      ) as found
    ),
    done as (
      insert into ${codes} (id, record, keep_until, owner)
      select $1, $2, to_timestamp($3::float8), $4 from live where codes < $5::int4
      returning 1
    )
    select case when exists (select from done) then 'added' else 'too_many' end as outcome`
  const findCode = `
    select record, failures, spent_at is not null as spent from ${codes} where id = $1 and keep_until > now()`
  const countFailure = `
    with done as (
      update ${codes} set failures = failures + 1 where id = $1 and keep_until > now() returning failures
    )
    select failures from done`
  const spendCode = `
    with done as (
      update ${codes} set spent_at = now(),
        keep_until = greatest(keep_until, to_timestamp((record::json ->> 'keepUntil')::float8))
      where id = $1 and spent_at is null and keep_until > now() returning 1
    )
    select case
      when exists (select from done) then 'spent'
      when exists (select from ${codes} where id = $1 and keep_until > now()) then 'already_spent'
      else 'unknown'
    end as outcome`

  const sessionStore: SessionStore = {
    async create(session) {
      if (session.endedAt !== undefined) return 'gone'
      const { id, type, subject, lockVersion } = session
      const lock = lockOf(subject, type)
      return outcome(createSession, id, type, subject, JSON.stringify(session), lockVersion, endOf(session), ...lock)
    },
    async get(id) {
      if (isImpossible(id)) return undefined
      const [row] = await rows(getSession, id)
      return row === undefined ? undefined : sessionOf(String(row['record']))
    },
    async save(session) {
      if (isImpossible(session.id)) return 'gone'
      const lockVersion = session.lockVersion + 1
      const record = session.endedAt === undefined ? JSON.stringify({ ...session, lockVersion }) : ''
      return outcome(saveSession, session.id, session.lockVersion, record, endOf(session))
    },
    async end(id, markerExpiresAt) {
      if (isImpossible(id)) return 'unknown' // no marker is needed: nothing can be created under it either
      for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt += 1) {
        const answer = await outcome<'ended' | 'unknown' | 'created'>(endSession, id, markerExpiresAt)
        if (answer !== 'created') return answer
      }
      throw new Error(`the session could not be ended: concurrent requests changed it ${MOST_ATTEMPTS} times`)
    },
    async list(subject, type) {
      if (isImpossible(subject) || isImpossible(type)) return []
      const found = (await rows(listSessions, subject, type)).flatMap(
        (row) => listed(String(row['id']), () => sessionOf(String(row['record']))) ?? [],
      )
      return found.sort((a: Session, b: Session) => a.createdAt - b.createdAt)
    },
    async endAll(subject, type) {
      if (isImpossible(subject) || isImpossible(type)) return 0
      // First let what is just being created be committed, so that the second statement sees it.
      await rows(awaitCreates, ...lockOf(subject, type))
      return count(endSessions, subject, type)
    },
  }
  const live = 'ended_at is null and expires_at > now()'
  const createSession = `
    with known as materialized (select pg_advisory_xact_lock_shared($7::int4, $8::int4)),
    done as (
      insert into ${sessions} (id, type, subject, record, lock_version, expires_at)
      select $1, $2, $3, $4, $5::int4, to_timestamp($6::float8) from known where to_timestamp($6::float8) > now()
      on conflict (id) do nothing
      returning 1
    )
    select case when exists (select from done) then 'created' else 'gone' end as outcome`
  const getSession = `select record from ${sessions} where id = $1 and ${live}`
  const saveSession = `
    with done as (
      update ${sessions} set lock_version = lock_version + 1, record = $3, ended_at = case when $3 = '' then now() end,
        expires_at = case when $3 = '' then greatest(expires_at, to_timestamp($4::float8)) else to_timestamp($4::float8) end
      where id = $1 and lock_version = $2::int4 and ${live}
      returning 1
    )
    select case
      when exists (select from done) then 'saved'
      when exists (select from ${sessions} where id = $1 and ${live}) then 'conflict'
      else 'gone'
    end as outcome`
  // An update answers with the row as it left it, so only a row that is not live may become a marker here. Where a session is
  // live that the first update did not see, it was created since the statement began: the next statement sees and ends it.
  const endSession = `
    with done as (
      update ${sessions} set record = '', ended_at = now(), expires_at = greatest(expires_at, to_timestamp($2::float8))
      where id = $1 and ${live}
      returning 1
    ),
    marker as (
      insert into ${sessions} as known (id, type, subject, record, lock_version, expires_at, ended_at)
      select $1, '', '', '', 0, to_timestamp($2::float8), now() where not exists (select from done)
      on conflict (id) do update set
        record = '', ended_at = now(), expires_at = greatest(known.expires_at, excluded.expires_at)
      where known.ended_at is not null or known.expires_at <= now()
      returning 1
    )
    select case
      when exists (select from done) then 'ended'
      when exists (select from marker) then 'unknown'
      else 'created'
    end as outcome`
  const listSessions = `select id, record from ${sessions} where subject = $1 and type = $2 and ${live}`
  const awaitCreates = `select 1 as one from (select pg_advisory_xact_lock($1::int4, $2::int4)) as waited`
  // An update alone locks rows as it comes upon them, which refreshes change: two at once would wait for each other.
  const endSessions = `
    with found as materialized (
      select id from ${sessions} where subject = $1 and type = $2 and ${live} order by id for update
    ),
    done as (
      update ${sessions} set record = '', ended_at = now() where id in (select id from found) and ${live} returning 1
    )
    select count(*)::int4 as count from done`

  return {
    replayRegister,
    codeStore,
    sessionStore,
    async migrate() {
      await rows(names.migration)
    },
    async prune(options = {}) {
      checkOptions('prune', options, ['batchSize'])
      const { batchSize } = options
      const most = wholeNumber('batchSize', batchSize, 5000, 1, 1_000_000)
      let total = 0
      for (const [table, moment] of [
        [assertions, 'expires_at'],
        [codes, 'keep_until'],
        [sessions, 'expires_at'],
      ] as const) {
        const statement = `
          with done as (
            delete from ${table} where id in (select id from ${table} where ${moment} <= now() limit $1::int4)
            and ${moment} <= now() returning 1
          )
          select count(*)::int4 as count from done`
        for (let gone = most; gone === most; total += gone) gone = await count(statement, most)
      }
      return total
    },
  }
}

type Row = Readonly<Record<string, unknown>>

/** The second attempt sees what the first one met. More are needed only where an id is used over and over. */
const MOST_ATTEMPTS = 5

/** Text columns hold no NUL, and a parameter that has one is an error. So nothing is there by such a name: not a fault. */
const isImpossible = (name: unknown): boolean => typeof name === 'string' && name.includes('\0')

/** The two halves of the number of an advisory lock for a subject and type. */
function lockOf(subject: string, type: string): [number, number] {
  const digest = createHash('sha256').update(`${type.length}:${type}${subject}`).digest()
  return [digest.readInt32BE(0), digest.readInt32BE(4)]
}
