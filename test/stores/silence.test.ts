import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { GlideClient, Logger } from '@valkey/valkey-glide'
import { Redis as IoRedis } from 'ioredis'
import { Redis as IoValkey } from 'iovalkey'
import pg from 'pg'
import postgres from 'postgres'
import { createClient } from 'redis'
import type { SessionStore } from '../../lib/session/session_store.ts'
import { createPostgresStores } from '../../lib/stores/postgres.ts'
import { createRedisStores } from '../../lib/stores/redis.ts'
import { type PostgresServer, startPostgres } from '../support/postgres_server.ts'
import { postgresServer, redisServer, without } from '../support/programs.ts'
import { newSession } from '../support/records.ts'
import { type RedisServer, startRedis } from '../support/redis_server.ts'
import { startSilentProxy } from '../support/silent_proxy.ts'

// The settings of docs/scaling.md, against a host that dies without a word while requests go on.

Logger.setLoggerConfig('off')
const signingKeys = 's'.repeat(32)
const timeoutMilliseconds = 1500
const quiet = () => undefined

interface Opened {
  readonly store: SessionStore
  close(): unknown
}

const ioSettings = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  lazyConnect: true,
  connectTimeout: 3000,
  retryStrategy: () => 500,
} as const

/** Both clients have one interface, and the same types under two names. */
async function ioStore(client: IoRedis | IoValkey): Promise<Opened> {
  client.on('error', quiet)
  await client.connect()
  const { sessionStore: store } = createRedisStores({
    command: (args) => (client as IoRedis).call(...args),
    signingKeys,
    timeoutMilliseconds,
    reconnect: () => client.disconnect(true),
  })
  return { store, close: () => client.disconnect() }
}

const redisClients: Readonly<Record<string, (port: number) => Promise<Opened>>> = {
  'node-redis': async (port) => {
    const client = createClient({
      url: `redis://127.0.0.1:${port}`,
      disableOfflineQueue: true,
      pingInterval: 3000,
      socket: { socketTimeout: 5000, connectTimeout: 3000, reconnectStrategy: 500 },
    })
    client.on('error', quiet)
    await client.connect()
    const reconnect = () => {
      client.destroy()
      return client.connect()
    }
    const { sessionStore: store } = createRedisStores({
      command: (args) => client.sendCommand(args),
      signingKeys,
      timeoutMilliseconds,
      reconnect,
    })
    return { store, close: () => client.destroy() }
  },
  ioredis: async (port) => ioStore(new IoRedis(port, '127.0.0.1', { ...ioSettings, socketTimeout: 3000 })),
  iovalkey: async (port) => ioStore(new IoValkey(port, '127.0.0.1', ioSettings)),
  'valkey-glide': async (port) => {
    const create = () => GlideClient.createClient({ addresses: [{ host: '127.0.0.1', port }], requestTimeout: 1500 })
    let client = await create()
    const { sessionStore: store } = createRedisStores({
      command: (args) => client.customCommand(args),
      signingKeys,
      timeoutMilliseconds,
      reconnect: async () => {
        const fresh = await create()
        client.close()
        client = fresh
      },
    })
    return { store, close: () => client.close() }
  },
}

// Without fetch_types: postgres.js leaves the rejection of that query unhandled if the connection ends during it.
const POSTGRES_JS = { connect_timeout: 3, fetch_types: false }

const postgresClients: Readonly<Record<string, (port: number) => Promise<Opened>>> = {
  pg: async (port) => {
    const pool = new pg.Pool({
      connectionString: `postgres://test@127.0.0.1:${port}/postgres`,
      max: 4,
      connectionTimeoutMillis: 3000,
      query_timeout: 3500,
    })
    pool.on('error', quiet)
    const { sessionStore: store } = createPostgresStores({
      query: (text, values) => pool.query(text, values),
      timeoutMilliseconds,
    })
    return { store, close: quiet }
  },
  'postgres.js': async (port) => {
    const create = () => postgres(`postgres://test@127.0.0.1:${port}/postgres`, { ...POSTGRES_JS, max: 4 })
    let sql = create()
    const { sessionStore: store } = createPostgresStores({
      query: async (text, values) => ({ rows: await sql.unsafe(text, values) }),
      timeoutMilliseconds,
      reconnect: () => {
        const former = sql
        sql = create()
        return former.end({ timeout: 0 })
      },
    })
    return { store, close: () => sql.end({ timeout: 0 }) }
  },
}

async function isWellAgain(target: number, open: (port: number) => Promise<Opened>): Promise<number> {
  const proxy = await startSilentProxy(target)
  const { store, close } = await open(proxy.port)
  const session = newSession()
  assert.equal(await store.create(session), 'created')
  // Requests go on all the time, so our own writes keep the socket busy.
  const answers: ('answered' | 'rejected')[] = []
  const timer = setInterval(() => {
    store.get(session.id).then(
      () => answers.push('answered'),
      () => answers.push('rejected'),
    )
  }, 50)
  try {
    proxy.swallow()
    await new Promise((resolve) => setTimeout(resolve, 8000))
    assert.ok(answers.includes('rejected'))
    proxy.heal()
    const healed = performance.now()
    for (;;) {
      const found = await store.get(session.id).catch(() => undefined)
      if (found !== undefined) return (performance.now() - healed) / 1000
      assert.ok(performance.now() - healed < 10_000, 'not well again within 10 s')
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  } finally {
    clearInterval(timer)
    await close()
    proxy.close()
  }
}

describe('Redis dies without a word', { skip: without(redisServer), concurrency: true }, () => {
  let server: RedisServer
  before(async () => {
    server = await startRedis()
  })
  after(() => server?.stop())
  for (const [name, open] of Object.entries(redisClients))
    test(`${name} is well again within 10 s of it`, { timeout: 60_000 }, async (t) => {
      t.diagnostic(`${(await isWellAgain(server.port, open)).toFixed(1)} s`)
    })
})

describe('PostgreSQL dies without a word', { skip: without(postgresServer), concurrency: true }, () => {
  let server: PostgresServer
  before(async () => {
    server = await startPostgres()
    const pool = new pg.Pool({ connectionString: server.url })
    await createPostgresStores({ query: (text, values) => pool.query(text, values) }).migrate()
    await pool.end()
  })
  after(() => server?.stop())
  for (const [name, open] of Object.entries(postgresClients))
    test(`${name} is well again within 10 s of it`, { timeout: 60_000 }, async (t) => {
      t.diagnostic(`${(await isWellAgain(server.port, open)).toFixed(1)} s`)
    })
})
