import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { PGlite } from '@electric-sql/pglite'
import pg from 'pg'
import { CLOCK_DIFFERENCE_SECONDS } from '../../lib/clock.ts'
import { onEvent } from '../../lib/events.ts'
import type { Session } from '../../lib/session/session.ts'
import { createPostgresStores, type PostgresQuery } from '../../lib/stores/postgres.ts'
import { postgresSchema } from '../../lib/stores/postgres_schema.ts'
import { type PostgresServer, startPostgres } from '../support/postgres_server.ts'
import { postgresServer, without } from '../support/programs.ts'
import { newCode, newSession } from '../support/records.ts'
import { useAll } from './use_all.ts'

const now = () => Math.floor(Date.now() / 1000)

test('postgres.sql is what migrate() runs under the default names', () => {
  const statements = readFileSync('lib/stores/postgres.sql', 'utf8')
    .replace(/^--.*\n/gm, '')
    .split(';')
    .map((each) => each.trim())
    .filter((each) => each !== '')
  assert.deepEqual(statements, postgresSchema(undefined, undefined).statements)
})

describe('PGlite', () => {
  let database: PGlite
  let query: PostgresQuery
  before(async () => {
    database = await PGlite.create()
    query = (text, values) => database.query(text, values)
  })
  after(() => database.close())

  test('schema and table names are quoted, whatever they contain', async () => {
    const tables = { assertions: 'Select', codes: `a"; drop table x; --`, sessions: `it's $migrate$ {} ü` }
    const schema = `My "Schema"; -- it's \\' $migrate$`
    const stores = createPostgresStores({ query, schema, tables })
    await stores.migrate()
    await stores.migrate()
    const [code, session] = [newCode(), newSession()]
    await stores.codeStore.add(code)
    assert.equal(await stores.codeStore.spend(code.id), 'spent')
    assert.equal(await stores.sessionStore.create(session), 'created')
    assert.equal(await stores.replayRegister.remember('i', 'c', 'j', now() + 60), true)
    const { rows } = await database.query<{ tablename: string }>(
      `select tablename from pg_tables where schemaname = $1 order by 1`,
      [schema],
    )
    assert.deepEqual(rows.map(({ tablename }) => tablename).sort(), Object.values(tables).sort())
  })

  test('S25: one damaged record hides no other session of its user, is reported, and is ended with them', async () => {
    const stores = createPostgresStores({ query, schema: 'damaged' })
    await stores.migrate()
    const { sessionStore } = stores
    const [kept, damaged] = [newSession(), newSession()].map((session) => ({ ...session, subject: 'F12' }))
    assert.ok(kept && damaged)
    for (const session of [kept, damaged]) await sessionStore.create(session)
    for (const broken of ['', '{', 'null', '[]', '7', '{"id":"another"}']) {
      await query('update damaged.oauth_sessions set record = $1 where id = $2', [broken, damaged.id])
      const seen: unknown[] = []
      const stop = onEvent('record.unreadable', ({ id }) => seen.push(id))
      assert.deepEqual(await sessionStore.list('F12', 'oauth2'), [kept], broken)
      stop()
      assert.deepEqual(seen, [damaged.id], broken)
      await assert.rejects(sessionStore.get(damaged.id), Error, `${broken}: alone it is a fault`)
    }
    assert.equal(await sessionStore.endAll('F12', 'oauth2'), 2)
  })

  test('prune deletes what has expired, in batches, and nothing else', async () => {
    const stores = createPostgresStores({ query, schema: 'pruned' })
    await stores.migrate()
    const { replayRegister, codeStore, sessionStore } = stores
    const end = now() + 4
    for (let at = 0; at < 7; at += 1) {
      await replayRegister.remember('i', 'c', `${at}`, end - CLOCK_DIFFERENCE_SECONDS)
      await codeStore.add(newCode({ expiresAt: end - CLOCK_DIFFERENCE_SECONDS }))
      await sessionStore.create(newSession({ refreshExpiresAt: end }))
      await sessionStore.end(`never-${at}`, end)
    }
    const [code, session] = [newCode(), newSession()]
    await replayRegister.remember('i', 'c', 'lasting', now() + 60)
    await codeStore.add(code)
    await sessionStore.create(session)
    await sessionStore.end('lasting', now() + 60)
    assert.equal(await stores.prune(), 0)
    await new Promise((resolve) => setTimeout(resolve, end * 1000 - Date.now() + 50))
    assert.equal(await stores.prune({ batchSize: 5 }), 28)
    assert.equal(await stores.prune(), 0)
    assert.equal(await replayRegister.remember('i', 'c', 'lasting', now() + 60), false)
    assert.deepEqual(await codeStore.find(code.id), code)
    assert.deepEqual(await sessionStore.get(session.id), session)
    assert.equal(await sessionStore.create(newSession({ id: 'lasting' })), 'gone')
  })

  test('an assertion id whose row has expired but was not pruned is new again', async () => {
    const { replayRegister, migrate } = createPostgresStores({ query, schema: 'again' })
    await migrate()
    assert.equal(await replayRegister.remember('i', 'c', 'j', now() - CLOCK_DIFFERENCE_SECONDS - 5), true)
    assert.equal(await replayRegister.remember('i', 'c', 'j', now() + 60), true)
    assert.equal(await replayRegister.remember('i', 'c', 'j', now() + 60), false)
  })

  test('a database whose clock is ahead by more than a session lasts opens none, by more than a minute forgets assertions', async () => {
    const { sessionStore, replayRegister, migrate } = createPostgresStores({ query, schema: 'ahead' })
    await migrate()
    const slow = now() - 1900 // what a process writes whose clock is behind the database's
    assert.equal(await sessionStore.create(newSession({ refreshExpiresAt: slow + 1800 }, slow)), 'gone')
    assert.equal(await sessionStore.create(newSession({ refreshExpiresAt: slow + 2000 }, slow)), 'created')
    const within = now() - CLOCK_DIFFERENCE_SECONDS + 30
    assert.equal(await replayRegister.remember('i', 'c', 'within', within), true)
    assert.equal(await replayRegister.remember('i', 'c', 'within', within), false)
    assert.equal(await replayRegister.remember('i', 'c', 'beyond', slow + 60), true)
    assert.equal(await replayRegister.remember('i', 'c', 'beyond', slow + 60), true)
  })

  test('the id of an expired session is free again when its row is pruned, not before', async () => {
    const { sessionStore, migrate, prune } = createPostgresStores({ query, schema: 'ids' })
    await migrate()
    const session = newSession({ refreshExpiresAt: now() + 1 })
    assert.equal(await sessionStore.create(session), 'created')
    await new Promise((resolve) => setTimeout(resolve, session.refreshExpiresAt * 1000 - Date.now() + 50))
    const again = newSession({ id: session.id })
    assert.equal(await sessionStore.get(session.id), undefined)
    assert.equal(await sessionStore.create(again), 'gone')
    assert.equal(await prune(), 1)
    assert.equal(await sessionStore.create(again), 'created')
  })

  test('one statement to remember, one to spend, two for a refresh, one to open a session', async () => {
    let count = 0
    const stores = createPostgresStores({
      query: (text, values) => {
        count += 1
        return query(text, values)
      },
    })
    const statements = async (act: () => Promise<unknown>) => {
      count = 0
      await act()
      return count
    }
    assert.equal(await statements(() => stores.migrate()), 1)
    const [code, session] = [newCode(), newSession()]
    assert.equal(await statements(() => stores.replayRegister.remember('i', 'c', 'j', now() + 60)), 1)
    assert.equal(await statements(() => stores.codeStore.add(code)), 1)
    assert.equal(await statements(() => stores.codeStore.find(code.id)), 1)
    assert.equal(await statements(() => stores.codeStore.spend(code.id)), 1)
    assert.equal(await statements(() => stores.codeStore.countFailure(code.id)), 1)
    assert.equal(await statements(() => stores.sessionStore.create(session)), 1)
    assert.equal(
      await statements(async () => {
        const stored = await stores.sessionStore.get(session.id)
        assert.ok(stored)
        assert.equal(await stores.sessionStore.save({ ...stored, newest: 2 }), 'saved')
      }),
      2,
    )
    assert.equal(await statements(() => stores.sessionStore.end(session.id, now() + 60)), 1)
    assert.equal(await statements(() => stores.sessionStore.end(session.id, now() + 90)), 1)
    assert.equal(await statements(() => stores.sessionStore.end('never', now() + 60)), 1)
    assert.equal(await statements(() => stores.sessionStore.list('s', 't')), 1)
    assert.equal(await statements(() => stores.sessionStore.endAll('s', 't')), 2)
  })
})

describe('PostgreSQL', { skip: without(postgresServer) }, () => {
  let server: PostgresServer
  let pool: pg.Pool
  before(async () => {
    server = await startPostgres(['fsync=off'])
    pool = new pg.Pool({ connectionString: server.url, max: 8 })
  })
  after(async () => {
    await pool?.end()
    await server?.stop()
  })

  test('several processes may migrate at once', async () => {
    const stores = createPostgresStores({ query: (text, values) => pool.query(text, values), schema: 'together' })
    await Promise.all(Array.from({ length: 8 }, () => stores.migrate()))
    assert.equal(await stores.sessionStore.create(newSession()), 'created')
  })

  test('a role that owns the schema needs no right on the database to migrate; where it is absent, it does', async () => {
    await pool.query('create role tenant login')
    await pool.query('create schema "its own" authorization tenant')
    const tenant = new pg.Pool({ connectionString: server.url.replace('test@', 'tenant@') })
    const inSchema = (schema: string) =>
      createPostgresStores({ query: (text, values) => tenant.query(text, values), schema })
    const stores = inSchema('its own')
    await Promise.all(Array.from({ length: 4 }, () => stores.migrate()))
    assert.equal(await stores.sessionStore.create(newSession()), 'created')
    await assert.rejects(inSchema('absent').migrate(), /permission denied for database/)
    await tenant.end()
  })

  /** A session store whose statements are not committed until it is told: inside a transaction that is held open. */
  const inTransaction = async (schema?: string) => {
    const connection = await pool.connect()
    await connection.query('begin')
    const { sessionStore } = createPostgresStores({ query: (text, values) => connection.query(text, values), schema })
    const commit = async (): Promise<void> => {
      await connection.query('commit')
      connection.release()
    }
    return { sessionStore, commit }
  }

  test('endAll also stops a session whose create is under way', async () => {
    const stores = createPostgresStores({
      query: (text, values) => pool.query(text, values),
      timeoutMilliseconds: 20_000,
    })
    await stores.migrate()
    const session = newSession()
    const stalled = await inTransaction()
    assert.equal(await stalled.sessionStore.create(session), 'created')
    let ended: number | undefined
    const ending = stores.sessionStore.endAll(session.subject, session.type).then((count) => {
      ended = count
    })
    const others = await stores.sessionStore.endAll(session.subject, 'full')
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.equal(others, 0, 'other types do not wait')
    assert.equal(ended, undefined, 'it waits for the create')
    await stalled.commit()
    await ending
    assert.equal(ended, 1)
    assert.equal(await stores.sessionStore.get(session.id), undefined)
    assert.equal(await stores.sessionStore.save(session), 'gone')
  })

  test('two endAll for one subject do not wait for each other in a circle while its sessions are refreshed', async () => {
    const stores = createPostgresStores({ query: (text, values) => pool.query(text, values), schema: 'circle' })
    await stores.migrate()
    const pause = () => new Promise((resolve) => setTimeout(resolve, 60))
    const later = (session: Session, lockVersion: number): Session => ({
      ...session,
      lockVersion,
      refreshExpiresAt: session.refreshExpiresAt + 1 + lockVersion,
    })
    for (let round = 0; round < 5; round += 1) {
      const { subject, type } = newSession()
      const [first, second, third] = [
        newSession({ subject, id: 'a' }),
        newSession({ subject, id: 'b' }),
        newSession({ subject, id: 'c' }),
      ] as const
      await pool.query('truncate circle.oauth_sessions')
      for (const session of [first, second, third]) await stores.sessionStore.create(session)
      const one = await inTransaction('circle')
      assert.equal(await one.sessionStore.save(later(first, 0)), 'saved')
      const ending = stores.sessionStore.endAll(subject, type)
      await pause()
      // Refreshed after that endAll began: the other one, which begins later, comes upon it in another place.
      assert.equal(await stores.sessionStore.save(later(second, 0)), 'saved')
      const two = await inTransaction('circle')
      assert.equal(await two.sessionStore.save(later(second, 1)), 'saved')
      await one.commit()
      await pause()
      const endingToo = stores.sessionStore.endAll(subject, type)
      await pause()
      await two.commit()
      const counts = await Promise.all([ending, endingToo])
      assert.equal(counts[0] + counts[1], 3)
      assert.deepEqual(await stores.sessionStore.list(subject, type), [])
    }
  })

  test('an end that meets a create which is not committed yet waits for it, ends the session and says so', async () => {
    const stores = createPostgresStores({
      query: (text, values) => pool.query(text, values),
      timeoutMilliseconds: 20_000,
    })
    await stores.migrate()
    const session = newSession()
    const stalled = await inTransaction()
    assert.equal(await stalled.sessionStore.create(session), 'created')
    const ending = stores.sessionStore.end(session.id, now() + 900)
    await new Promise((resolve) => setTimeout(resolve, 100))
    await stalled.commit()
    assert.equal(await ending, 'ended')
    assert.equal(await stores.sessionStore.get(session.id), undefined)
    assert.equal(await stores.sessionStore.end(session.id, now() + 900), 'unknown')
    const { rows } = await pool.query(
      'select expires_at > now() + interval $$800 s$$ as kept from oauth_sessions where id = $1',
      [session.id],
    )
    assert.deepEqual(rows, [{ kept: true }], 'the marker stays as long as it was told')
  })

  test('of ends that race creates, as many answer ended as sessions were created and are dead', async () => {
    const { sessionStore, migrate } = createPostgresStores({ query: (text, values) => pool.query(text, values) })
    await migrate()
    const tally = { created: 0, ended: 0, live: 0 }
    for (let round = 0; round < 300; round += 1) {
      const session = newSession()
      const [created, ...ended] = await Promise.all([
        sessionStore.create(session),
        sessionStore.end(session.id, now() + 900),
        sessionStore.end(session.id, now() + 900),
      ])
      if (created === 'created') tally.created += 1
      tally.ended += ended.filter((answer) => answer === 'ended').length
      if ((await sessionStore.get(session.id)) !== undefined) tally.live += 1
    }
    assert.equal(tally.live, 0)
    assert.equal(tally.ended, tally.created)
  })

  test('a create that begins while endAll is under way may live on: it is listed, and the next endAll ends it', async () => {
    const session = newSession()
    const connection = await pool.connect()
    const late = createPostgresStores({ query: (text, values) => connection.query(text, values) })
    let statements = 0
    const stores = createPostgresStores({
      query: async (text, values) => {
        statements += 1
        if (statements === 2) {
          await connection.query('begin')
          assert.equal(await late.sessionStore.create(session), 'created')
        }
        return pool.query(text, values)
      },
    })
    await createPostgresStores({ query: (text, values) => pool.query(text, values) }).migrate()
    assert.equal(await stores.sessionStore.endAll(session.subject, session.type), 0)
    await connection.query('commit')
    connection.release()
    assert.deepEqual(await stores.sessionStore.list(session.subject, session.type), [session])
    assert.equal(await stores.sessionStore.endAll(session.subject, session.type), 1)
    assert.equal(await stores.sessionStore.get(session.id), undefined)
  })

  test('no statement answers as an update or a delete does: ORMs hand those rows out in another shape', async () => {
    const commands = new Set<string>()
    const stores = createPostgresStores({
      query: async (text, values) => {
        const answer = await pool.query(text, values)
        commands.add(answer.command)
        return answer
      },
      schema: 'shapes',
    })
    await stores.migrate()
    await useAll(stores)
    const over = newSession({ refreshExpiresAt: now() - 5 })
    await stores.sessionStore.end(over.id, now() - 5)
    assert.equal(await stores.prune(), 1)
    assert.deepEqual([...commands].sort(), ['DO', 'INSERT', 'SELECT'])
  })

  test('the rights to select, insert, update and delete are enough once the tables are there', async () => {
    const owner = createPostgresStores({ query: (text, values) => pool.query(text, values), schema: 'owned' })
    await owner.migrate()
    await pool.query(`create role web login`)
    await pool.query('grant usage on schema owned to web')
    await pool.query('grant select, insert, update, delete on all tables in schema owned to web')
    const web = new pg.Pool({ connectionString: server.url.replace('test@', 'web@') })
    const stores = createPostgresStores({ query: (text, values) => web.query(text, values), schema: 'owned' })
    const session = newSession()
    assert.equal(await stores.sessionStore.create(session), 'created')
    assert.equal(await stores.sessionStore.save(session), 'saved')
    assert.equal(await stores.sessionStore.endAll(session.subject, session.type), 1)
    assert.equal(await stores.replayRegister.remember('i', 'c', 'j', now() + 60), true)
    const code = newCode()
    await stores.codeStore.add(code)
    assert.equal(await stores.codeStore.spend(code.id), 'spent')
    assert.equal(await stores.prune(), 0)
    await web.end()
  })
})

test('options are checked by name', () => {
  const query = async () => ({ rows: [] })
  assert.throws(() => createPostgresStores({ query: 1 as never }), /option 'query'/)
  assert.throws(() => createPostgresStores({ query, schema: '' }), /option 'schema'/)
  assert.throws(() => createPostgresStores({ query, schema: 'a\0b' }), /option 'schema'/)
  assert.throws(() => createPostgresStores({ query, tables: { codes: 'x'.repeat(60) } }), /option 'tables.codes'/)
  assert.throws(() => createPostgresStores({ query, timeoutMilliseconds: -1 }), /timeoutMilliseconds/)
})

test('an answer without rows is a fault', async () => {
  const stores = createPostgresStores({ query: async () => [] as never })
  await assert.rejects(stores.sessionStore.get('x'), /\{ rows \}/)
  await assert.rejects(stores.codeStore.spend('x'), /\{ rows \}/)
})
