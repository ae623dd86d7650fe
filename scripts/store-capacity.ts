// Prints what a session, a code and a remembered assertion cost in each store, as docs/scaling.md shows it:
//
//   node --expose-gc --import tsx scripts/store-capacity.ts
//
// It starts a Redis and a PostgreSQL of its own, and needs both installed.
import pg from 'pg'
import { createClient } from 'redis'
import { createMemoryStores, type MemoryStores } from '../lib/stores/memory.ts'
import { createPostgresStores } from '../lib/stores/postgres.ts'
import { createRedisStores } from '../lib/stores/redis.ts'
import { startPostgres } from '../test/support/postgres_server.ts'
import { newCode, newSession } from '../test/support/records.ts'
import { startRedis } from '../test/support/redis_server.ts'

const collect = (globalThis as { readonly gc?: () => void }).gc
if (collect === undefined) throw new Error('run with --expose-gc')

const FILLS = {
  'remembered assertion': ({ replayRegister }: MemoryStores, at: number) =>
    replayRegister.remember('https://auth.example.com', 'client-of-usual-length', `jti-${at}`, soon() + (at % 300)),
  'authorization code': ({ codeStore }: MemoryStores) => codeStore.add(newCode()),
  session: ({ sessionStore }: MemoryStores) =>
    sessionStore.create(newSession({ refreshExpiresAt: soon() + 5_184_000, extra: { nonce: 'n-0S6_WzA2Mj' } })),
} as const
const soon = () => Math.floor(Date.now() / 1000) + 3600

async function measure(
  name: string,
  count: number,
  stores: MemoryStores,
  octets: () => Promise<number>,
): Promise<void> {
  for (const [kind, fill] of Object.entries(FILLS)) {
    const before = await octets()
    for (let at = 0; at < count; at += 100)
      await Promise.all(Array.from({ length: 100 }, (_, one) => fill(stores, at + one)))
    const each = ((await octets()) - before) / count
    console.log(`${name.padEnd(12)} ${kind.padEnd(22)} ${each.toFixed(0).padStart(6)} octets each, of ${count}`)
  }
}

const heap = async () => {
  collect()
  collect()
  return process.memoryUsage().heapUsed
}
await measure('memory', 1_000_000, createMemoryStores({ maximumAssertionsPerClient: 2_000_000 }), heap)

const redis = await startRedis(['--appendonly', 'no'])
const client = createClient({ url: redis.url })
await client.connect()
await measure(
  'Redis',
  50_000,
  createRedisStores({
    command: (args) => client.sendCommand(args),
    signingKeys: 'a secret for measuring only, 32 octets',
  }),
  async () => Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]),
)
client.destroy()
await redis.stop()

const server = await startPostgres(['fsync=off'])
const pool = new pg.Pool({ connectionString: server.url })
const stores = createPostgresStores({ query: (text, values) => pool.query(text, values) })
await stores.migrate()
await measure('PostgreSQL', 50_000, stores, async () => {
  const { rows } = await pool.query(
    `select sum(pg_total_relation_size(quote_ident(tablename)::regclass)) as octets from pg_tables where tablename like 'oauth_%'`,
  )
  return Number(rows[0].octets)
})
await pool.end()
await server.stop()
