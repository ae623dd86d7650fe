import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PGlite } from '@electric-sql/pglite'
import pg from 'pg'
import { createConsents } from '../../lib/consent/consents.ts'
import type { SessionStore } from '../../lib/session/session_store.ts'
import { createPostgresStores } from '../../lib/stores/postgres.ts'
import { createRedisStores } from '../../lib/stores/redis.ts'
import { startPostgres } from '../support/postgres_server.ts'
import { postgresServer, redisServer, without } from '../support/programs.ts'
import { redisClients } from '../support/redis_clients.ts'
import { startRedis } from '../support/redis_server.ts'

interface Opened {
  readonly store: SessionStore
  close(): Promise<void>
}

const stores: Readonly<Record<string, { readonly skip: string | false; open(): Promise<Opened> }>> = {
  Redis: {
    skip: without(redisServer),
    async open() {
      const server = await startRedis()
      const connection = await redisClients['node-redis']?.([server.port])
      assert.ok(connection)
      const { sessionStore } = createRedisStores({ command: connection.command, signingKeys: 's'.repeat(32) })
      return {
        store: sessionStore,
        async close() {
          await connection.close()
          await server.stop()
        },
      }
    },
  },
  PGlite: {
    skip: false,
    async open() {
      const database = await PGlite.create()
      const { sessionStore, migrate } = createPostgresStores({ query: (text, values) => database.query(text, values) })
      await migrate()
      return { store: sessionStore, close: () => database.close() }
    },
  },
  PostgreSQL: {
    skip: without(postgresServer),
    async open() {
      const server = await startPostgres(['fsync=off'])
      const pool = new pg.Pool({ connectionString: server.url })
      const { sessionStore, migrate } = createPostgresStores({ query: (text, values) => pool.query(text, values) })
      await migrate()
      return {
        store: sessionStore,
        async close() {
          await pool.end()
          await server.stop()
        },
      }
    },
  },
}

for (const [name, { skip, open }] of Object.entries(stores)) {
  test(`${name}: consent that has lapsed can be given again, and is then no more than was given`, {
    skip,
  }, async () => {
    const { store, close } = await open()
    try {
      let now = Math.floor(Date.now() / 1000)
      const consents = createConsents({ store, clock: () => now, consentLifetimeSeconds: 60 })
      const of = (scope: string) => ({ subject: 'alice', clientId: 'web', scope })
      for (const scope of ['read write', 'read', 'write']) {
        await consents.remember(of(scope))
        assert.equal(await consents.allows(of(scope)), true)
        assert.deepEqual(await consents.list('alice'), [{ clientId: 'web', scope, since: now, extendedAt: now }])
        now += 60
        assert.equal(await consents.allows(of('')), false)
        assert.deepEqual(await consents.list('alice'), [])
      }
    } finally {
      await close()
    }
  })
}
