import pg from 'pg'
import { createClient } from 'redis'
import type { CodeStore } from '../lib/code/code_store.ts'
import type { ReplayRegister } from '../lib/replay_register.ts'
import type { SessionStore } from '../lib/session/session_store.ts'
import { createMemoryStores } from '../lib/stores/memory.ts'
import { createPostgresStores } from '../lib/stores/postgres.ts'
import { createRedisStores } from '../lib/stores/redis.ts'
import { startPostgres } from '../test/support/postgres_server.ts'
import { startRedis } from '../test/support/redis_server.ts'
import { roundTrips } from './round_trips.ts'

/** A database of the benchmark's own. */
export interface RunningStore {
  /** Empties it and answers its URL. */
  empty(): Promise<string>
  end(): Promise<void>
}

export interface Stores {
  readonly replayRegister: ReplayRegister
  readonly codeStore: CodeStore
  readonly sessionStore: SessionStore
}

async function redis(): Promise<RunningStore> {
  // not synced to disk: the figure is this process's, not the disk's
  const server = await startRedis(['--appendonly', 'no'])
  return {
    async empty() {
      const client = await createClient({ url: server.url }).connect()
      await client.flushAll()
      client.destroy()
      return server.url
    },
    end: () => server.stop(),
  }
}

async function postgres(): Promise<RunningStore> {
  const server = await startPostgres(['synchronous_commit=off'])
  return {
    async empty() {
      const client = new pg.Client({ connectionString: server.url })
      await client.connect()
      await createPostgresStores({ query: (text, values) => client.query(text, values as unknown[]) }).migrate()
      await client.query('truncate oauth_assertions, oauth_codes, oauth_sessions')
      await client.query('drop table if exists oidc_records')
      await client.end()
      return server.url
    },
    end: () => server.stop(),
  }
}

export async function startStore(kind: string): Promise<RunningStore> {
  if (kind === 'redis') return redis()
  if (kind === 'postgres') return postgres()
  return { empty: async () => 'memory:', end: async () => {} }
}

/** The stores behind a URL that `empty` answered. */
export async function openStores(url: string): Promise<Stores> {
  if (url.startsWith('redis:')) {
    const client = await createClient({ url }).connect()
    return createRedisStores({
      signingKeys: 'a signing key of the benchmark, 32 octets or more',
      command: (args) => {
        roundTrips.count++
        return client.sendCommand([...args])
      },
    })
  }
  if (url.startsWith('postgres:')) {
    const pool = new pg.Pool({ connectionString: url, max: 16 })
    return createPostgresStores({
      query: (text, values) => {
        roundTrips.count++
        return pool.query(text, values as unknown[])
      },
    })
  }
  return createMemoryStores({ maximumAssertionsPerClient: 2 ** 24 })
}
