import assert from 'node:assert/strict'
import { test } from 'node:test'
import { onEvent } from '../../lib/events.ts'
import { createSessions } from '../../lib/session/sessions.ts'
import { createMemorySessionStore } from '../../lib/stores/memory.ts'

const NOW = 1_800_000_000
/** A process looks at every 32nd session that a user opens. */
const BETWEEN_CHECKS = 32

/** One store, as many processes as wanted, and a clock that moves on a second with each opening. */
function world(options: object = {}) {
  let now = NOW
  const clock = () => now
  const store = createMemorySessionStore({ clock })
  const start = (more: object = {}) => createSessions({ store, clock, ...options, ...more })
  const sessions = start()
  const open = async (subject: string, clientId: string, count: number, by = sessions, type = 'oauth2') => {
    const ids: string[] = []
    for (let at = 0; at < count; at += 1) {
      now += 1
      const opened = await by.open({ subject, clientId, scope: 'read' }, { type })
      assert.ok(opened)
      ids.push(opened.id)
    }
    return ids
  }
  const idsOf = async (subject: string, type = 'oauth2') => (await sessions.list(subject, type)).map(({ id }) => id)
  return { store, start, open, idsOf, sessions }
}

test('a user who opens sessions in a loop keeps the newest ones, at most maximumSessionsPerUser and 32 more', async () => {
  const { open, idsOf } = world({ maximumSessionsPerUser: 50 })
  for (let round = 0; round < 20; round += 1) {
    const ids = await open('alice', 'web', 25)
    const kept = await idsOf('alice')
    assert.ok(kept.length <= 50 + BETWEEN_CHECKS, `${kept.length}`)
    assert.deepEqual(kept.slice(-25), ids, 'the newest are there')
  }
  assert.ok((await idsOf('alice')).length >= 50)
})

test('the limit is 5000 unless it is set', async () => {
  const { open, idsOf } = world()
  await open('alice', 'web', 5000)
  assert.equal((await idsOf('alice')).length, 5000)
  await open('alice', 'web', 500)
  assert.ok((await idsOf('alice')).length <= 5000 + BETWEEN_CHECKS)
})

test('a limit below 32 is looked at as often as it is high: with 1, a new session ends the one before', async () => {
  const { open, idsOf } = world({ maximumSessionsPerUser: 1 })
  for (let at = 0; at < 3; at += 1) {
    const [id] = await open('alice', 'web', 1)
    assert.deepEqual(await idsOf('alice'), [id])
  }
})

test('sessions of the client that opens too many end first, and those of others only after them', async () => {
  const { open, idsOf } = world({ maximumSessionsPerUser: 40 })
  const [quiet] = await open('alice', 'quiet', 1)
  await open('alice', 'busy', 400)
  assert.ok((await idsOf('alice')).includes(String(quiet)))
  // many clients, each with one session: then the oldest of all
  for (let at = 0; at < 200; at += 1) await open('alice', `client-${at}`, 1)
  const kept = await idsOf('alice')
  assert.ok(kept.length <= 40 + BETWEEN_CHECKS)
  assert.ok(!kept.includes(String(quiet)))
})

test('other users, other types and the sessions of other issuers are not counted and not ended', async () => {
  const { open, idsOf, start, sessions } = world({ maximumSessionsPerUser: 10 })
  const bob = await open('bob', 'web', 9)
  const logins = await open('alice', 'web', 9, sessions, 'full')
  const other = start({ issuer: 'https://other.example', maximumSessionsPerUser: 1000 })
  const theirs = await open('alice', 'web', 9, other)
  const mine = start({ issuer: 'https://as.example' })
  await open('alice', 'web', 300, mine)
  assert.deepEqual(await idsOf('bob'), bob)
  assert.deepEqual(await idsOf('alice', 'full'), logins)
  assert.deepEqual(
    (await other.list('alice', 'oauth2')).map(({ id }) => id),
    theirs,
  )
  assert.ok((await mine.list('alice', 'oauth2')).length <= 20)
})

test('several processes on one store exceed the limit by 32 each at most', async () => {
  const { open, idsOf, start } = world({ maximumSessionsPerUser: 20 })
  const processes = [start(), start(), start()]
  for (let round = 0; round < 100; round += 1) for (const by of processes) await open('alice', 'web', 1, by)
  assert.ok((await idsOf('alice')).length <= 20 + 3 * BETWEEN_CHECKS)
})

test('a limit that was lowered is reached by and by: no opening ends more than 64 sessions', async () => {
  const { open, idsOf, start } = world({ maximumSessionsPerUser: 1_000_000 })
  await open('alice', 'web', 300)
  const lowered = start({ maximumSessionsPerUser: 10 })
  await open('alice', 'web', 10, lowered) // with a limit of 10, every tenth opening is a check
  assert.equal((await idsOf('alice')).length, 310 - 64)
  await open('alice', 'web', 100, lowered)
  assert.ok((await idsOf('alice')).length <= 20)
})

test('an ended session cannot be refreshed, and the event says why it ended', async (t) => {
  const { open, sessions } = world({ maximumSessionsPerUser: 1 })
  const ended: object[] = []
  t.after(onEvent('session.ended', (event) => ended.push(event)))
  const [first = ''] = await open('alice', 'web', 1)
  await open('alice', 'web', 1)
  assert.deepEqual(ended, [{ sessionId: first, because: 'too_many_sessions' }])
  await assert.rejects(
    sessions.refresh({ sessionId: first, generation: 1 }, { client: { client_id: 'web' }, now: NOW + 10 }),
    { reason: 'session_not_found' },
  )
})

test('a store that fails at the check fails no login, and the next check makes up for it', async () => {
  const { store, start, open, idsOf } = world({ maximumSessionsPerUser: 5 })
  const { list, end } = store
  const broken = async () => Promise.reject(new Error('connect ECONNREFUSED'))
  for (const verbs of [{ list: broken }, { end: broken }, { list: async () => 'junk' }]) {
    Object.assign(store, verbs)
    await open('alice', 'web', 10, start())
    Object.assign(store, { list, end })
  }
  assert.equal((await idsOf('alice')).length, 30)
  await open('alice', 'web', 5, start())
  assert.equal((await idsOf('alice')).length, 5)
})

test('31 of 32 openings ask the store nothing more', async () => {
  const { store, open } = world()
  const { list } = store
  let asked = 0
  store.list = (...given) => {
    asked += 1
    return list(...given)
  }
  await open('alice', 'web', 31)
  assert.equal(asked, 0)
  await open('alice', 'web', 1)
  assert.equal(asked, 1)
  await open('alice', 'web', 320)
  assert.equal(asked, 11)
})
