import { badOption, checkOptions } from '../options.ts'

/** Names of the tables, without their schema: 1 to 48 bytes each. */
export interface PostgresTables {
  /** Which assertions were used. Default `oauth_assertions`. */
  readonly assertions: string
  /** Authorization codes. Default `oauth_codes`. */
  readonly codes: string
  /** Sessions, consent and revoked access tokens. Default `oauth_sessions`. */
  readonly sessions: string
}

const DEFAULT_TABLES: PostgresTables = {
  assertions: 'oauth_assertions',
  codes: 'oauth_codes',
  sessions: 'oauth_sessions',
}

/** PostgreSQL cuts longer names off, so that two of them could become one; index names are made longer than these. */
const MOST_OCTETS = 48

/** A name as PostgreSQL takes it whatever it contains. */
export function quoted(option: string, name: unknown): string {
  if (typeof name !== 'string' || name === '' || name.includes('\0') || Buffer.byteLength(name) > MOST_OCTETS)
    throw badOption(option, `a name of 1 to ${MOST_OCTETS} bytes`, name)
  return `"${name.replaceAll('"', '""')}"`
}

/** Text as a literal, whatever `standard_conforming_strings` is set to. */
const literal = (text: string): string => `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`

/**
 * Makes the schema where it is absent. `create schema if not exists` alone asks for the right to create schemas also where
 * there is nothing to create; here a role that owns its schema needs no right on the database.
 */
const schemaMaking = (schema: string): string => {
  const name = quoted('schema', schema)
  return `if to_regnamespace(${literal(name)}) is null then
  create schema if not exists ${name};
end if`
}

/** The names as they stand in statements, and the statements that make the tables. */
export interface PostgresSchema {
  readonly assertions: string
  readonly codes: string
  readonly sessions: string
  /** The statements that make the tables in their schema, one after the other. */
  readonly statements: readonly string[]
  /** All of them as one statement that several processes may run at once. */
  readonly migration: string
}

/** The tables under these names, quoted. */
export function postgresSchema(
  schema: string | undefined,
  tables: Partial<PostgresTables> | undefined,
): PostgresSchema {
  if (tables !== undefined) checkOptions('tables', tables, Object.keys(DEFAULT_TABLES))
  const names = { ...DEFAULT_TABLES, ...tables }
  const prefix = schema === undefined ? '' : `${quoted('schema', schema)}.`
  const nameOf = (kind: keyof PostgresTables) => prefix + quoted(`tables.${kind}`, names[kind])
  const indexOf = (kind: keyof PostgresTables, of: string) =>
    quoted(`tables.${kind}`, names[kind]).replace(/"$/, `_${of}"`)
  const [assertions, codes, sessions] = [nameOf('assertions'), nameOf('codes'), nameOf('sessions')]
  const statements = [
    `create table if not exists ${assertions} (
  id text primary key,
  expires_at timestamptz not null
)`,
    `create index if not exists ${indexOf('assertions', 'expires_at')} on ${assertions} (expires_at)`,
    `create table if not exists ${codes} (
  id text primary key,
  record text not null,
  failures integer not null default 0,
  spent_at timestamptz,
  keep_until timestamptz not null
)`,
    `create index if not exists ${indexOf('codes', 'keep_until')} on ${codes} (keep_until)`,
    `alter table ${codes} add column if not exists owner text`,
    `create index if not exists ${indexOf('codes', 'owner')} on ${codes} (owner) where spent_at is null`,
    `create table if not exists ${sessions} (
  id text primary key,
  type text not null,
  subject text not null,
  record text not null,
  lock_version integer not null,
  expires_at timestamptz not null,
  ended_at timestamptz
)`,
    `create index if not exists ${indexOf('sessions', 'subject')} on ${sessions} (subject, type) where ended_at is null`,
    `create index if not exists ${indexOf('sessions', 'expires_at')} on ${sessions} (expires_at)`,
  ]
  const steps = [...(schema === undefined ? [] : [schemaMaking(schema)]), ...statements]
  let tag = '$migrate$'
  while (steps.some((statement) => statement.includes(tag))) tag = `${tag.slice(0, -1)}_$`
  const body = steps.map((statement) => `  ${statement.replaceAll('\n', '\n  ')};`).join('\n')
  return {
    assertions,
    codes,
    sessions,
    statements,
    migration: `do ${tag}
begin
  perform pg_advisory_xact_lock(${MIGRATION_LOCK});
${body}
end ${tag}`,
  }
}

/** Number of the advisory lock under which tables are made: any number, the same in all processes. */
const MIGRATION_LOCK = 7_521_752_362
