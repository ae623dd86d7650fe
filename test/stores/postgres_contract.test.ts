import { after, describe } from 'node:test'
import pg from 'pg'
import postgres from 'postgres'
import { startPgBouncer, startPostgres } from '../support/postgres_server.ts'
import { pgBouncer, postgresServer, without } from '../support/programs.ts'
import { type Connection, hold, migrated } from './postgres_contracts.ts'

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
