import { createHash, hkdfSync } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, realpathSync, rmSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { CodeStore, ReplayRegister, SessionStore } from 'passport-client-assertion-jwt'
import { createMemoryStores } from 'passport-client-assertion-jwt/stores/memory'
import {
  createPostgresStores,
  type PostgresQuery,
  type PostgresStores,
} from 'passport-client-assertion-jwt/stores/postgres'
import { createRedisStores } from 'passport-client-assertion-jwt/stores/redis'

/** The three stores of the server, on one backend. */
export interface Stores {
  readonly replayRegister: ReplayRegister
  readonly codeStore: CodeStore
  readonly sessionStore: SessionStore
  close(): Promise<void>
}

/** How long a store may take. After that the server responds with 503. */
const TIMEOUT_MILLISECONDS = 2500
const PRUNE_MILLISECONDS = 60_000

/**
 * Opens the stores that `STORE_URL` names. Only the client of that database is loaded.
 *
 * @param baseSecret The same on all nodes: the key that signs the records in Redis is derived from it.
 */
export async function openStores(url: string, baseSecret: Uint8Array): Promise<Stores> {
  if (url.startsWith('redis:') || url.startsWith('rediss:')) return openRedis(url, baseSecret)
  if (url.startsWith('postgres:') || url.startsWith('postgresql:')) return openPostgres(url)
  if (url.startsWith('pglite:')) return openPglite(url.slice('pglite:'.length))
  return { ...createMemoryStores(), close: async () => undefined }
}

async function openRedis(url: string, baseSecret: Uint8Array): Promise<Stores> {
  const { createClient } = await import('redis')
  let wasConnected = false
  const client = createClient({
    url,
    // Without a connection commands fail at once; otherwise they would pile up in memory.
    disableOfflineQueue: true,
    // These two detect a server that hangs without closing its connections.
    pingInterval: 3000,
    socket: {
      socketTimeout: 10_000,
      connectTimeout: TIMEOUT_MILLISECONDS,
      reconnectStrategy: (retries, cause) => (wasConnected ? Math.min(50 * 2 ** retries, 1000) : cause),
    },
  })
  const report = reporter('Redis')
  client.on('error', (cause) => {
    if (wasConnected) report(cause) // before that, connect() rejects
  })
  await client.connect().catch((cause: unknown) => {
    throw unreachable(url, cause)
  })
  wasConnected = true
  const derived = (purpose: string, bytes: number) => Buffer.from(hkdfSync('sha256', baseSecret, '', purpose, bytes))
  const options = {
    command: (args: string[]) => client.sendCommand(args),
    signingKeys: derived('records in Redis', 32),
    timeoutMilliseconds: TIMEOUT_MILLISECONDS,
  }
  const { replayRegister } = createRedisStores(options)
  // Records that were signed with another secret cannot be read, so each secret has its own keys in Redis, below
  // `oauth:1:`, to which docs/scaling.md grants access.
  const { codeStore, sessionStore } = createRedisStores({
    ...options,
    prefix: `oauth:1:${derived('keys in Redis', 6).toString('hex')}`,
  })
  return { replayRegister, codeStore, sessionStore, close: async () => client.destroy() }
}

async function openPostgres(url: string): Promise<Stores> {
  const { default: pg } = await import('pg')
  const pool = new pg.Pool({
    connectionString: url,
    max: 10,
    keepAlive: true,
    connectionTimeoutMillis: TIMEOUT_MILLISECONDS,
    // A connection is closed if its query takes longer, so that a server that hangs does not use up the pool.
    query_timeout: TIMEOUT_MILLISECONDS + 500,
  })
  pool.on('error', reporter('PostgreSQL'))
  return openTables(
    (text, values) => pool.query(text, values),
    () => pool.end(),
  ).catch(async (cause: unknown) => {
    await pool.end()
    throw unreachable(url, cause)
  })
}

async function openPglite(folder: string): Promise<Stores> {
  if (folder === '') throw new Error('pglite: needs the name of a folder, as in pglite:./data')
  const path = resolve(folder)
  mkdirSync(dirname(path), { recursive: true })
  const unlock = await lock(path)
  const { PGlite } = await import('@electric-sql/pglite')
  const database = await PGlite.create(path).catch((cause: unknown) => {
    unlock()
    throw new Error(`cannot open a database in ${path} (${messageOf(cause)})`)
  })
  return openTables(
    (text, values) => database.query(text, values),
    async () => {
      await database.close()
      unlock()
    },
  )
}

/** Opens the stores over SQL: creates missing tables, and removes expired rows every minute. */
async function openTables(query: PostgresQuery, close: () => Promise<void>): Promise<Stores> {
  const stores: PostgresStores = createPostgresStores({ query, timeoutMilliseconds: TIMEOUT_MILLISECONDS })
  await stores.migrate()
  const pruning = setInterval(() => void stores.prune().catch(() => undefined), PRUNE_MILLISECONDS).unref()
  return {
    replayRegister: stores.replayRegister,
    codeStore: stores.codeStore,
    sessionStore: stores.sessionStore,
    close: async () => {
      clearInterval(pruning)
      await close()
    },
  }
}

/**
 * Locks the folder: PGlite is a database inside a process, and a second process on the same files would destroy them. The
 * lock is a socket, because it ends with its process, however that ends.
 */
async function lock(path: string): Promise<() => void> {
  const name = existsSync(path) ? realpathSync(path) : path
  const socket = join(tmpdir(), `pglite-${createHash('sha256').update(name).digest('hex').slice(0, 16)}.sock`)
  const taken = await new Promise<boolean>((answer) => {
    const connection = createConnection(socket)
    connection.once('connect', () => answer(true)).once('error', () => answer(false))
    connection.once('connect', () => connection.destroy())
  })
  if (taken) throw new Error(`the folder ${path} is in use by another process`)
  rmSync(socket, { force: true }) // left behind by a process that was killed
  const holder = createServer((connection) => connection.destroy()).listen(socket)
  await once(holder, 'listening')
  return () => void holder.close()
}

const messageOf = (cause: unknown): string => {
  const { message, code, name } = Object(cause) as Readonly<Record<'message' | 'code' | 'name', string | undefined>>
  return message || code || name || 'unknown error'
}

/** Names the address that could not be reached, without the password that it may contain. */
function unreachable(url: string, cause: unknown): Error {
  // If it is not a URL, or a sign of the password ended the host, any part of it may be a secret.
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || parsed.hash !== '' || (parsed.pathname + parsed.search).includes('@'))
    return new Error('is not a URL: a password must be percent-encoded in it')
  const { protocol, host, pathname } = parsed
  return new Error(`cannot use ${protocol}//${host}${pathname} (${messageOf(cause)})`)
}

/** Reports a lost connection every ten seconds at most, not at each attempt to reconnect. */
function reporter(name: string): (cause: unknown) => void {
  let silentUntil = 0
  return (cause) => {
    if (Date.now() < silentUntil) return
    silentUntil = Date.now() + 10_000
    console.error(`${name}: ${messageOf(cause)}`)
  }
}
