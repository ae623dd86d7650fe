import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { PGlite } from '@electric-sql/pglite'
import { createClient } from 'redis'
import type { AuthorizationCode } from '../../lib/code/code_record.ts'
import type { Session } from '../../lib/session/session.ts'
import { upgradeSession } from '../../lib/session/upgrade.ts'
import type { MemoryStores } from '../../lib/stores/memory.ts'
import { createPostgresStores } from '../../lib/stores/postgres.ts'
import { createRedisStores } from '../../lib/stores/redis.ts'
import { redisServer, without } from '../support/programs.ts'
import { startRedis } from '../support/redis_server.ts'

// What the stores wrote in their first released format. The file is never changed: an upgrade of the package must find
// its codes, sessions, markers and remembered assertions again, or it would log everybody out and accept replays.

interface Fixture {
  readonly signingKey: string
  readonly sessions: readonly Session[]
  readonly codes: readonly AuthorizationCode[]
  readonly redis: readonly { key: string; value?: string; members?: { value: string; score: number }[] }[]
  readonly postgres: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>
}

const fixture = JSON.parse(readFileSync('test/fixtures/stores_format_1.json', 'utf8')) as Fixture
const FAR = 4_102_444_800
const whole = (session: Session): Session => Object.assign({ expiresAt: undefined, endedAt: undefined }, session)

async function isAllThere({ replayRegister, codeStore, sessionStore }: MemoryStores): Promise<void> {
  assert.equal(await replayRegister.remember('https://issuer.example', 'notes', 'jti-1', FAR), false)

  const [fresh, spent] = fixture.codes.map((code) => Object.assign({ codeChallenge: undefined }, code)) as [
    AuthorizationCode,
    AuthorizationCode,
  ]
  assert.deepEqual(await codeStore.find(fresh.id), fresh)
  assert.deepEqual(await codeStore.find(spent.id), { ...spent, failures: 1, spent: true })
  assert.equal(await codeStore.spend(spent.id), 'already_spent')
  assert.equal(await codeStore.spend(fresh.id), 'spent')
  assert.equal(await codeStore.countFailure(spent.id), 2)

  const [first, second, login] = fixture.sessions.map(whole) as [Session, Session, Session]
  for (const session of [first, second, login]) {
    const stored = await sessionStore.get(session.id)
    assert.deepEqual(stored, session)
    assert.deepEqual(upgradeSession(session).id, session.id)
  }
  assert.deepEqual(await sessionStore.list('alice', 'oauth2'), [first, second])
  for (const id of ['session-4', 'session-5']) assert.equal(await sessionStore.create({ ...first, id }), 'gone')
  assert.equal(await sessionStore.save({ ...first, lockVersion: 1 }), 'conflict')
  assert.equal(await sessionStore.save({ ...first, newest: 4 }), 'saved')
  assert.deepEqual(await sessionStore.get(first.id), { ...first, newest: 4, lockVersion: 3 })
  assert.equal(await sessionStore.endAll('alice', 'oauth2'), 2)
  assert.deepEqual(await sessionStore.get(login.id), login)
}

describe('the first released format', () => {
  test('in Redis', { skip: without(redisServer) }, async () => {
    const server = await startRedis()
    const client = createClient({ url: server.url })
    try {
      await client.connect()
      for (const { key, value, members } of fixture.redis) {
        if (value !== undefined) await client.set(key, value)
        else await client.zAdd(key, members ?? [])
        await client.expireAt(key, FAR)
      }
      await isAllThere(
        createRedisStores({ command: (args) => client.sendCommand(args), signingKeys: fixture.signingKey }),
      )
    } finally {
      client.destroy()
      await server.stop()
    }
  })

  test('in PostgreSQL', async () => {
    const database = await PGlite.create()
    const stores = createPostgresStores({ query: (text, values) => database.query(text, values) })
    await stores.migrate()
    for (const [table, rows] of Object.entries(fixture.postgres))
      for (const row of rows)
        await database.query(`insert into ${table} select * from json_populate_record(null::${table}, $1)`, [
          JSON.stringify(row),
        ])
    await isAllThere(stores)
    await database.close()
  })
})
