import { after, describe, it } from 'node:test'
import { PGlite } from '@electric-sql/pglite'
import pg from 'pg'
import postgres from 'postgres'
import { type PostgresQuery, type PostgresStores, postgresStores } from '../../lib/stores/postgres.ts'
import { codeStoreContract } from '../../lib/testing/code_store_contract.ts'
import type { OpenedStore } from '../../lib/testing/contract.ts'
import { replayRegisterContract } from '../../lib/testing/replay_register_contract.ts'
import { sessionStoreContract } from '../../lib/testing/session_store_contract.ts'
import { startPgBouncer, startPostgres } from '../support/postgres_server.ts'
import { pgBouncer, postgresServer, without } from '../support/programs.ts'

interface Connection {
  readonly query: PostgresQuery
  close(): Promise<void>
}
type Connect = () => Promise<Connection>

// Two connections are shared by all tests of a client; a test that breaks its connection does so with one of its own.
const hold = (name: string, connect: Connect) => {
  const shared: Promise<Connection>[] = []
  const opened =
    <Store>(pick: (stores: PostgresStores) => Store) =>
    async (): Promise<OpenedStore<Store>> => {
      if (shared.length === 0) shared.push(connect(), connect())
      const [one, two] = (await Promise.all(shared)) as [Connection, Connection]
      let mine = one
      return {
        store: pick(postgresStores({ query: (text, values) => mine.query(text, values) })),
        other: pick(postgresStores({ query: two.query })),
        disconnect: async () => {
          mine = await connect()
          await mine.query('select 1', [])
          await mine.close()
        },
      }
    }
  after(async () => {
    for (const connection of shared) await (await connection).close()
  })
  describe(name, { concurrency: 3 }, () => {
    replayRegisterContract(
      { describe, it },
      name,
      opened((stores) => stores.replayRegister),
    )
    codeStoreContract(
      { describe, it },
      name,
      opened((stores) => stores.codeStore),
    )
    sessionStoreContract(
      { describe, it },
      name,
      opened((stores) => stores.sessionStore),
    )
  })
}

const migrated = async ({ query }: Connection) => postgresStores({ query }).migrate()

const pool = (url: string): Connection => {
  const connections = new pg.Pool({ connectionString: url, max: 2 })
  connections.on('error', () => undefined)
  return { query: (text, values) => connections.query(text, values), close: () => connections.end() }
}

describe('PostgreSQL', { skip: without(postgresServer), concurrency: 2 }, async () => {
  const server = without(postgresServer) ? undefined : await startPostgres(['fsync=off', 'max_connections=300'])
  if (server !== undefined) await migrateAt(server.url)
  const bouncer = server === undefined || without(pgBouncer) ? undefined : await startPgBouncer(server)
  after(async () => {
    await bouncer?.stop()
    await server?.stop()
  })
  const url = server?.url ?? ''
  hold('pg', async () => pool(url))
  hold('postgres.js', async () => {
    const sql = postgres(url, { max: 2, onnotice: () => undefined })
    return {
      query: async (text, values) => ({ rows: await sql.unsafe(text, values) }),
      close: () => sql.end({ timeout: 1 }),
    }
  })
  describe('PgBouncer in transaction mode', { skip: without(pgBouncer), concurrency: true }, () => {
    hold('pg through PgBouncer', async () => pool(bouncer?.url ?? ''))
    hold('postgres.js through PgBouncer', async () => {
      const sql = postgres(bouncer?.url ?? '', { max: 2, prepare: false, onnotice: () => undefined })
      return {
        query: async (text, values) => ({ rows: await sql.unsafe(text, values) }),
        close: () => sql.end({ timeout: 1 }),
      }
    })
  })
})

async function migrateAt(url: string): Promise<void> {
  const connection = pool(url)
  await migrated(connection)
  await connection.close()
}

describe('PGlite', { concurrency: true }, () => {
  // One database in this process, which all connections share.
  const database = PGlite.create()
  let prepared: Promise<void> | undefined
  after(async () => (await database).close())
  hold('PGlite', async () => {
    let open = true
    const connection: Connection = {
      query: async (text, values) => {
        if (!open) throw new Error('closed')
        return (await database).query(text, values)
      },
      close: async () => {
        open = false
      },
    }
    prepared ??= migrated(connection)
    await prepared
    return connection
  })
})
