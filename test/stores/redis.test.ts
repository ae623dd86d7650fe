import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createClient } from 'redis'
import { onEvent } from '../../lib/events.ts'
import { createRedisStores, type RedisCommand } from '../../lib/stores/redis.ts'
import { redisServer, without } from '../support/programs.ts'
import { newCode, newSession } from '../support/records.ts'
import { type RedisServer, startRedis } from '../support/redis_server.ts'
import { useAll } from './use_all.ts'

const secret = 'the first secret of these tests, long enough'
const second = 'the second secret of these tests, long enough'

async function connect(url: string) {
  const connection = createClient({ url, disableOfflineQueue: true })
  connection.on('error', () => undefined)
  await connection.connect()
  return connection
}

/** What waits for `passed` goes on once it is opened. */
function gate() {
  let open = () => {}
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { passed, open }
}

describe('Redis', { skip: without(redisServer) }, () => {
  let server: RedisServer
  let client: Awaited<ReturnType<typeof connect>>
  const command: RedisCommand = (args) => client.sendCommand(args)

  before(async () => {
    server = await startRedis()
    client = await connect(server.url)
  })
  after(async () => {
    client?.destroy()
    await server?.stop()
  })

  test('every command names its key, and no script touches another: a cluster is satisfied', async () => {
    const seen = new Set<string>()
    const stores = createRedisStores({
      signingKeys: secret,
      command: (args, key) => {
        seen.add(args[0] ?? '')
        assert.ok(args.includes(key), `${args[0]} without its key`)
        return command(args, key)
      },
    })
    await useAll(stores)
    assert.deepEqual([...seen].sort(), ['EVAL', 'GET', 'SET', 'ZREM'])
  })

  test('a create whose commands come after endAll lives on: it is listed, and the next endAll ends it', async () => {
    const arrival = gate()
    const { sessionStore } = createRedisStores({ command, signingKeys: secret })
    const slow = createRedisStores({
      command: (args, key) => arrival.passed.then(() => command(args, key)),
      signingKeys: secret,
    })
    const session = newSession()
    const creating = slow.sessionStore.create(session)
    assert.equal(await sessionStore.endAll(session.subject, session.type), 0)
    arrival.open()
    assert.equal(await creating, 'created')
    assert.deepEqual(await sessionStore.list(session.subject, session.type), [session])
    assert.equal(await sessionStore.endAll(session.subject, session.type), 1)
    assert.equal(await sessionStore.get(session.id), undefined)
  })

  test('a create that has reached the index is stopped by endAll, also where its record comes later', async () => {
    const [indexed, ended] = [gate(), gate()]
    const { sessionStore } = createRedisStores({ command, signingKeys: secret })
    let commands = 0
    const slow = createRedisStores({
      command: async (args, key) => {
        commands += 1
        if (commands === 2) {
          indexed.open()
          await ended.passed
        }
        return command(args, key)
      },
      signingKeys: secret,
    })
    const session = newSession()
    const creating = slow.sessionStore.create(session)
    await indexed.passed
    await sessionStore.endAll(session.subject, session.type)
    ended.open()
    assert.equal(await creating, 'gone')
    assert.equal(await sessionStore.get(session.id), undefined)
  })

  test('every key expires', async () => {
    await useAll(createRedisStores({ command, signingKeys: secret, prefix: 'expiring' }))
    const keys = (await client.sendCommand(['KEYS', 'expiring:*'])) as unknown as string[]
    assert.ok(keys.length >= 6, `${keys.length} keys`)
    for (const key of keys) assert.ok(Number(await client.sendCommand(['PTTL', key])) > 0, key)
  })

  test('one round trip to remember, two to add a code, one to spend it and one nobody waits for, two for a refresh, two to open a session', async () => {
    const counted: string[] = []
    const stores = createRedisStores({
      signingKeys: secret,
      command: (args, key) => {
        counted.push(args[0] ?? '')
        return command(args, key)
      },
    })
    const trips = async (act: () => Promise<unknown>) => {
      counted.length = 0
      await act()
      return counted.length
    }
    const [code, session] = [newCode(), newSession()]
    const now = Math.floor(Date.now() / 1000)
    assert.equal(await trips(() => stores.replayRegister.remember('i', 'c', code.id, now + 60)), 1)
    assert.equal(await trips(() => stores.codeStore.add(code)), 2)
    assert.equal(await trips(() => stores.codeStore.find(code.id)), 1)
    assert.equal(await trips(() => stores.codeStore.spend(code.id)), 2)
    assert.equal(await trips(() => stores.codeStore.countFailure(code.id)), 1)
    assert.equal(await trips(() => stores.sessionStore.create(session)), 2)
    assert.equal(
      await trips(async () => {
        const stored = await stores.sessionStore.get(session.id)
        assert.ok(stored)
        assert.equal(await stores.sessionStore.save({ ...stored, newest: 2, refreshExpiresAt: now + 700 }), 'saved')
      }),
      2,
    )
  })

  test('a record that Redis made up, moved or changed is not believed', async () => {
    const { sessionStore, codeStore } = createRedisStores({ command, signingKeys: secret })
    const [session, other] = [newSession(), newSession()]
    const [code, otherCode] = [newCode(), newCode()]
    await Promise.all([session, other].map((each) => sessionStore.create(each)))
    await Promise.all([code, otherCode].map((each) => codeStore.add(each)))
    const key = `oauth:1:s:{${session.id}}`
    const codeKey = `oauth:1:c:{${code.id}}`
    const value = String(await client.get(key))
    const codeValue = String(await client.get(codeKey))
    assert.ok(value.includes(session.subject))

    for (const forged of [
      value.replace(session.subject, 'administrator'),
      value.replace('"type":"oauth2"', '"type":"full"'),
      String(await client.get(`oauth:1:s:{${other.id}}`)), // another session's record
      value.replace(/ [\w-]{43}\./, ' .'),
      value.replace(/ [\w-]{43}\./, ' '),
      value.replace(/ [\w-]{43}\./, ` ${'A'.repeat(43)}.`),
      codeValue,
      `0 9999999999 9999999999 ${JSON.stringify(session)}`,
    ]) {
      assert.notEqual(forged, value)
      await client.set(key, forged)
      const got = await sessionStore.get(session.id).catch(() => undefined)
      assert.equal(got, undefined, forged)
      const listed = await sessionStore.list(session.subject, 'oauth2').catch(() => [])
      assert.deepEqual(listed, [], forged)
    }
    assert.equal(await sessionStore.endAll(session.subject, 'oauth2'), 1, 'it can be ended all the same')

    for (const forged of [
      codeValue.replace(code.subject, 'administrator'),
      codeValue.replace(code.codeChallenge ?? '', 'A'.repeat(43)),
      String(await client.get(`oauth:1:c:{${otherCode.id}}`)),
      '0 0 ',
      'nonsense',
    ]) {
      await client.set(codeKey, forged)
      assert.equal(await codeStore.find(code.id).catch(() => undefined), undefined, forged)
    }
  })

  test('records signed with a key that is still in the list are read, others are a fault', async () => {
    const session = newSession()
    await createRedisStores({ command, signingKeys: second }).sessionStore.create(session)
    const rotated = createRedisStores({ command, signingKeys: [secret, Buffer.from(second)] }).sessionStore
    assert.deepEqual(await rotated.get(session.id), session)
    await assert.rejects(
      createRedisStores({ command, signingKeys: secret }).sessionStore.get(session.id),
      /none of the signing keys verifies/,
    )
    assert.equal(await rotated.save({ ...session, newest: 2 }), 'saved')
    const now = createRedisStores({ command, signingKeys: secret }).sessionStore
    assert.equal((await now.get(session.id))?.newest, 2, 'saved with the first key')
  })

  test('S25: one damaged record hides no other session of its user, is reported, and is ended with them', async () => {
    const { sessionStore } = createRedisStores({ command, signingKeys: secret })
    const [first, damaged, last] = [newSession(), newSession(), newSession()].map((session) => ({
      ...session,
      subject: 'F12',
    }))
    assert.ok(first && damaged && last)
    for (const session of [first, damaged, last]) await sessionStore.create(session)
    const key = `oauth:1:s:{${damaged.id}}`
    const value = String(await client.get(key))
    for (const broken of [value.replace('"scope":"', '"scope":"admin '), 'nonsense', value.slice(0, -1)]) {
      await client.set(key, broken)
      const seen: unknown[] = []
      const stop = onEvent('record.unreadable', ({ id, cause }) => seen.push([id, cause instanceof Error]))
      const ids = (await sessionStore.list('F12', 'oauth2')).map(({ id }) => id)
      stop()
      assert.deepEqual(ids.sort(), [first.id, last.id].sort())
      assert.deepEqual(seen, [[damaged.id, true]])
      await assert.rejects(sessionStore.get(damaged.id), 'alone it is a fault')
    }
    assert.equal(await sessionStore.endAll('F12', 'oauth2'), 3)
    assert.equal(await sessionStore.get(damaged.id), undefined)
  })

  test('endAll also stops a session whose create is under way', async () => {
    // The create is held between its two steps, as if its process had stalled there.
    let held: (() => void) | undefined
    const stalled = createRedisStores({
      signingKeys: secret,
      timeoutMilliseconds: 10_000,
      command: async (args, key) => {
        if (key.includes(':s:')) await new Promise<void>((resolve) => (held = resolve))
        return command(args, key)
      },
    }).sessionStore
    const { sessionStore } = createRedisStores({ command, signingKeys: secret })
    const session = newSession()
    const creating = stalled.create(session)
    while (held === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.equal(await sessionStore.endAll(session.subject, 'oauth2'), 0)
    held()
    assert.equal(await creating, 'gone')
    assert.equal(await sessionStore.get(session.id), undefined)
  })

  test('a session that is refreshed for ever stays listed for ever, with a touch of the index once in a lifetime', async () => {
    const { sessionStore } = createRedisStores({ command, signingKeys: secret, prefix: 'sliding' })
    const now = Math.floor(Date.now() / 1000)
    let session = newSession({ refreshExpiresAt: now + 100 })
    await sessionStore.create(session)
    const index = ((await client.sendCommand(['KEYS', 'sliding:1:u:*'])) as unknown as string[])[0] ?? ''
    const horizon = async () => Number(await client.zScore(index, session.id)) - now
    assert.equal(await horizon(), 200)
    const save = async (refreshExpiresAt: number) => {
      assert.equal(
        await sessionStore.save({ ...session, refreshedAt: refreshExpiresAt - 100, refreshExpiresAt }),
        'saved',
      )
      session = (await sessionStore.get(session.id)) ?? session
    }
    await save(now + 150)
    assert.equal(await horizon(), 200, 'not touched')
    await save(now + 201)
    assert.equal(await horizon(), 301)
    await save(now + 300)
    assert.equal(await horizon(), 301, 'the session knows what its index was told')
    await save(now + 302)
    assert.equal(await horizon(), 402)
    assert.ok(Number(await client.ttl(index)) > 390)
  })

  test('a session never lives longer than its index knows, though a save lost its way to the index', async () => {
    const now = Math.floor(Date.now() / 1000)
    for (const lose of [() => Promise.reject(new Error('connection lost')), () => new Promise<never>(() => {})]) {
      let losing = false
      const prefix = `lost-${newSession().id}`
      const { sessionStore } = createRedisStores({
        signingKeys: secret,
        prefix,
        timeoutMilliseconds: 1000,
        command: (args, key) => (losing && args[1]?.includes('ZADD') ? lose() : command(args, key)),
      })
      const session = newSession({ refreshExpiresAt: now + 100 })
      await sessionStore.create(session)
      losing = true
      const longer = { ...session, newest: 2, refreshedAt: now + 150, refreshExpiresAt: now + 250 }
      await sessionStore.save(longer).catch(() => undefined)
      const index = ((await client.sendCommand(['KEYS', `${prefix}:1:u:*`])) as unknown as string[])[0] ?? ''
      const known = async () => Number(await client.zScore(index, session.id))
      const end = async () => Number(String(await client.get(`${prefix}:1:s:{${session.id}}`)).split(' ')[1])
      assert.ok((await end()) <= (await known()), `lives until ${await end()}, listed until ${await known()}`)
      assert.deepEqual(await sessionStore.get(session.id), session, 'what failed was not saved')

      losing = false
      assert.equal(await sessionStore.save(longer), 'saved')
      assert.equal(await end(), now + 250)
      assert.equal(await known(), now + 350)
      assert.equal(await sessionStore.save({ ...longer, newest: 3 }), 'conflict')
      assert.deepEqual(await sessionStore.list(session.subject, 'oauth2'), [{ ...longer, lockVersion: 1 }])
      assert.equal(await sessionStore.endAll(session.subject, 'oauth2'), 1)
      assert.equal(await sessionStore.save({ ...longer, lockVersion: 1, refreshExpiresAt: now + 900 }), 'gone')
    }
  })

  test('a node that comes later with less does not shorten what the index was told', async () => {
    const { sessionStore } = createRedisStores({ command, signingKeys: secret, prefix: 'slower' })
    const session = newSession()
    await sessionStore.create(session)
    const index = ((await client.sendCommand(['KEYS', 'slower:1:u:*'])) as unknown as string[])[0] ?? ''
    const known = await client.zScore(index, session.id)
    assert.equal(await sessionStore.create({ ...session, refreshExpiresAt: session.refreshExpiresAt - 300 }), 'gone')
    assert.equal(await client.zScore(index, session.id), known)
  })

  test('what was ended leaves the index when it is listed, what is being created does not', async () => {
    const { sessionStore } = createRedisStores({ command, signingKeys: secret, prefix: 'pruned' })
    const [one, two] = [newSession(), newSession()]
    await sessionStore.create(one)
    const index = ((await client.sendCommand(['KEYS', 'pruned:1:u:*'])) as unknown as string[])[0] ?? ''
    await client.zAdd(index, { score: two.refreshExpiresAt, value: two.id })
    await client.set(`pruned:1:s:{${one.id}}`, `- ${one.refreshExpiresAt}`, { KEEPTTL: true })
    assert.deepEqual(await sessionStore.list(one.subject, 'oauth2'), [])
    assert.deepEqual(await client.zRange(index, 0, -1), [two.id])
  })

  test('subjects with thousands of sessions are listed and ended', async () => {
    const { sessionStore } = createRedisStores({ command, signingKeys: secret })
    const sessions = Array.from({ length: 1500 }, () => newSession({ subject: 'busy' }))
    await Promise.all(sessions.map((session) => sessionStore.create(session)))
    assert.equal((await sessionStore.list('busy', 'oauth2')).length, 1500)
    assert.equal(await sessionStore.endAll('busy', 'oauth2'), 1500)
    assert.deepEqual(await sessionStore.list('busy', 'oauth2'), [])
  })

  test('a subject with more sessions than calls may be under way is listed and ended, and others find room meanwhile', async () => {
    const all = createRedisStores({ command, signingKeys: secret }).sessionStore
    for (const maximumPending of [1, 2, 7, 100]) {
      const few = createRedisStores({ command, signingKeys: secret, maximumPending }).sessionStore
      const subject = newSession().subject
      const sessions = Array.from({ length: 150 }, () => newSession({ subject }))
      await Promise.all(sessions.map((session) => all.create(session)))
      const meanwhile = async () => {
        if (maximumPending === 1) return
        await new Promise((resolve) => setTimeout(resolve, 1))
        assert.equal(await few.get('unknown'), undefined)
      }
      const [listed] = await Promise.all([few.list(subject, 'oauth2'), meanwhile()])
      assert.equal(listed.length, 150)
      const [count] = await Promise.all([few.endAll(subject, 'oauth2'), meanwhile()])
      assert.equal(count, 150)
      assert.deepEqual(await all.list(subject, 'oauth2'), [])
    }
  })

  test('an endAll of which some commands fail ends the others, and leaves less to do for the next', async () => {
    let ends = 0
    const { sessionStore } = createRedisStores({
      signingKeys: secret,
      command: (args, key) => {
        if (key.includes(':s:') && ++ends > 10) return Promise.reject(new Error('connection lost'))
        return command(args, key)
      },
    })
    const all = createRedisStores({ command, signingKeys: secret }).sessionStore
    const { subject } = newSession()
    await Promise.all(Array.from({ length: 50 }, () => all.create(newSession({ subject }))))
    for (const asked of [50, 40, 30]) {
      ends = 0
      await assert.rejects(sessionStore.endAll(subject, 'oauth2'), /connection lost/)
      assert.equal(ends, asked)
    }
    assert.equal((await all.list(subject, 'oauth2')).length, 20)
  })
})

test('options are checked by name', () => {
  const command = async () => null
  assert.throws(() => createRedisStores({ command: 1 as never, signingKeys: secret }), /option 'command'/)
  assert.throws(() => createRedisStores({ command, signingKeys: 'short' }), /option 'signingKeys'/)
  assert.throws(() => createRedisStores({ command, signingKeys: [] }), /option 'signingKeys'/)
  assert.throws(() => createRedisStores({ command, signingKeys: secret, prefix: 'a{b}' }), /option 'prefix'/)
  assert.throws(
    () => createRedisStores({ command, signingKeys: secret, timeoutMilliseconds: 0 }),
    /timeoutMilliseconds/,
  )
})

test('an answer that is none is a fault, not an outcome', async () => {
  const stores = createRedisStores({ command: async () => 'OK?', signingKeys: secret })
  await assert.rejects(stores.codeStore.spend('x'))
  await assert.rejects(stores.sessionStore.save(newSession()))
  await assert.rejects(stores.sessionStore.list('s', 't'))
  await assert.rejects(stores.sessionStore.get('x'))
  await assert.rejects(stores.codeStore.find('x'))
})
