import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createConsents } from '../../lib/consent/consents.ts'
import { onEvent } from '../../lib/events.ts'
import type { SessionStore } from '../../lib/session/session_store.ts'
import { createSessions } from '../../lib/session/sessions.ts'
import { createMemorySessionStore } from '../../lib/stores/memory.ts'

function setup(wrap: (store: SessionStore) => SessionStore = (same) => same) {
  let now = 1_800_000_000
  const clock = () => now
  const store = createMemorySessionStore({ clock })
  const consents = createConsents({ store: wrap(store), clock })
  const of = (scope: string, clientId = 'web', subject = 'alice') => ({ subject, clientId, scope })
  return { store, consents, of, clock, pass: (seconds: number) => (now += seconds) }
}

test('A18 nothing is allowed before the user has said so, not even the empty scope', async () => {
  const { consents, of } = setup()
  assert.equal(await consents.allows(of('')), false)
  assert.equal(await consents.allows(of('read')), false)
  assert.deepEqual(await consents.list('alice'), [])
})

test('A18 consent is remembered per user and client, extended by new scopes, and asked again only for those not yet allowed', async () => {
  const { consents, of } = setup()
  await consents.remember(of('read'))
  assert.equal(await consents.allows(of('read')), true)
  assert.equal(await consents.allows(of('')), true)
  assert.equal(await consents.allows(of('read write')), false)
  await consents.remember(of('write'))
  assert.equal(await consents.allows(of('read write')), true)
  assert.equal(await consents.allows(of('read', 'other')), false)
  assert.equal(await consents.allows(of('read', 'web', 'bob')), false)
})

test('A18 a narrower request takes nothing away', async () => {
  const { consents, of } = setup()
  await consents.remember(of('read write'))
  await consents.remember(of('read'))
  await consents.remember(of(''))
  assert.equal(await consents.allows(of('read write')), true)
})

test('consent that is withdrawn is asked again, and can be given anew, as often as one likes', async () => {
  const { consents, of } = setup()
  assert.equal(await consents.withdraw('alice', 'web'), false)
  for (let round = 0; round < 3; round += 1) {
    await consents.remember(of('read write'))
    assert.equal(await consents.withdraw('alice', 'web'), true)
    assert.equal(await consents.withdraw('alice', 'web'), false)
    assert.equal(await consents.allows(of('')), false)
    await consents.remember(of('read'))
    assert.equal(await consents.allows(of('read')), true)
    assert.equal(await consents.allows(of('write')), false)
    await consents.withdraw('alice', 'web')
  }
})

test('the account page lists what was allowed; withdrawing all forgets all of this user, and nobody else', async () => {
  const { consents, of, pass, clock } = setup()
  const since = clock()
  await consents.remember(of('read'))
  pass(10)
  await consents.remember(of('x', 'other'))
  await consents.remember(of('write'))
  await consents.remember(of('read', 'web', 'bob'))
  assert.deepEqual(await consents.list('alice'), [
    { clientId: 'web', scope: 'read write', since, extendedAt: since + 10 },
    { clientId: 'other', scope: 'x', since: since + 10, extendedAt: since + 10 },
  ])
  assert.equal(await consents.withdrawAll('alice'), 2)
  assert.deepEqual(await consents.list('alice'), [])
  assert.equal((await consents.list('bob')).length, 1)
})

test('X8 A19 twenty consents at once for one user and client all count', async () => {
  const { consents, of } = setup((store) => ({
    ...store,
    // Every read is stale by the time it is answered.
    get: async (id) => {
      const got = await store.get(id)
      await new Promise((resolve) => setImmediate(resolve))
      return got
    },
  }))
  const scopes = ['a', 'b', 'c', 'd']
  await Promise.all(scopes.map((scope) => consents.remember(of(scope))))
  assert.equal(await consents.allows(of('a b c d')), true)
})

test('consent is kept apart from sessions: logging out everywhere or disconnecting apps forgets none of it', async () => {
  const { store, consents, of } = setup()
  await consents.remember(of('read'))
  await store.endAll('alice', 'oauth2')
  await store.endAll('alice', 'full')
  assert.equal(await consents.allows(of('read')), true)
  assert.equal((await store.list('alice', 'oauth2')).length, 0)
})

test('user and client are separate: ("ab", "c") is not ("a", "bc")', async () => {
  const { consents, of } = setup()
  await consents.remember(of('read', 'c', 'ab'))
  assert.equal(await consents.allows(of('read', 'bc', 'a')), false)
})

test('consent that was not extended ends with its lifetime, as a whole, and can be given again at any moment', async () => {
  for (const wait of [60, 61, 74, 75, 1_000_000]) {
    const { store, of, clock, pass } = setup()
    const consents = createConsents({ store, clock, consentLifetimeSeconds: 60 })
    pass(1) // the memory store forgets in steps of 15 seconds
    await consents.remember(of('read write'))
    pass(59)
    assert.equal(await consents.allows(of('read')), true)
    pass(wait - 59)
    assert.equal(await consents.allows(of('read')), false)
    assert.deepEqual(await consents.list('alice'), [])
    assert.equal(await consents.withdraw('alice', 'web'), false)
    assert.equal(await consents.withdrawAll('alice'), 0)
    await consents.remember(of('read'))
    assert.equal(await consents.allows(of('read')), true)
    assert.equal(await consents.allows(of('write')), false)
    assert.deepEqual(await consents.list('alice'), [
      { clientId: 'web', scope: 'read', since: clock(), extendedAt: clock() },
    ])
  }
})

test('consent that is extended lasts its lifetime from then on', async () => {
  const { store, of, clock, pass } = setup()
  const consents = createConsents({ store, clock, consentLifetimeSeconds: 60 })
  await consents.remember(of('read'))
  pass(40)
  await consents.remember(of('write'))
  pass(59)
  assert.equal(await consents.allows(of('read write')), true)
  pass(1)
  assert.equal(await consents.allows(of('read')), false)
})

test('a store that fails, or never lets go, is 503', async () => {
  const down = () => Promise.reject(new Error('down'))
  const failing = setup((store) => ({ ...store, get: down, list: down }))
  await assert.rejects(failing.consents.allows(failing.of('read')), { status: 503 })
  await assert.rejects(failing.consents.list('alice'), { status: 503 })
  const busy = setup((store) => ({ ...store, save: async () => 'conflict' }))
  await busy.consents.remember(busy.of('read'))
  await assert.rejects(busy.consents.remember(busy.of('write')), { reason: 'contention', status: 503 })
})

test('A36: a subject, client or scope that is not a string is a TypeError that says what to write, as for sessions.open', async () => {
  const { consents, of, store } = setup()
  const sessions = createSessions({ store })
  for (const [changes, message] of [
    [{ subject: 42 }, /'subject' must be a string \(write String\(id\)\), got 42/],
    [{ subject: 42n }, /'subject'.*String\(id\)/],
    [{ subject: undefined }, /'subject'/],
    [{ clientId: 7 }, /'clientId'/],
    [{ scope: ['read', 'write'] }, /'scope' must be a string \(write scope\.join\(' '\)\)/],
    [{ scope: undefined }, /'scope'/],
    [{ scope: 'a"b' }, /'scope'/],
  ] as const) {
    const wrong = { ...of('read'), ...changes } as never
    for (const ask of [() => consents.remember(wrong), () => consents.allows(wrong), () => sessions.open(wrong)])
      await assert.rejects(ask, { name: 'TypeError', message })
  }
  for (const ask of [
    () => consents.list(42 as never),
    () => consents.withdraw(42 as never, 'web'),
    () => consents.withdrawAll(42 as never),
    () => sessions.list(42 as never, 'oauth2'),
    () => sessions.endAll(42 as never, 'oauth2'),
  ])
    await assert.rejects(ask, { name: 'TypeError', message: /'subject'/ })
  assert.deepEqual(await consents.list('alice'), [])
})

test('A36: a scope in any order, with repeats and runs of spaces, is one scope', async () => {
  const { consents, of, store } = setup()
  await consents.remember(of(' write  read read '))
  assert.equal((await consents.list('alice'))[0]?.scope, 'read write')
  assert.equal(await consents.allows(of('write read')), true)
  assert.equal((await createSessions({ store }).open(of('b  a b')))?.scope, 'a b')
})

test('A35: what a client lost is stripped from the consent, when it is asked for or extended, and must be allowed anew', async () => {
  for (const notice of ['allows', 'remember'] as const) {
    const { consents, of } = setup()
    const client = (scope: string) => ({ client: { client_id: 'web', scope } })
    await consents.remember(of('read write'))
    await consents[notice](of('read'), client('read'))
    assert.equal((await consents.list('alice'))[0]?.scope, 'read', notice)
    assert.equal(await consents.allows(of('read write'), client('read write')), false)
    await consents.remember(of('write'), client('read write'))
    assert.equal(await consents.allows(of('read write'), client('read write')), true)
  }
})

test('A35: a record without scope strips nothing: that is more likely a mistake than a loss', async () => {
  const { consents, of } = setup()
  await consents.remember(of('read write'))
  for (const scope of [undefined, null, ''] as never[])
    await consents.allows(of('read'), { client: { client_id: 'web', scope } })
  assert.equal(await consents.allows(of('read write')), true)
})

test('S20: a consent record of a later version is a fault for allows, and is left out of the list with an event', async () => {
  const { consents, of, store } = setup()
  await consents.remember(of('read'))
  await consents.remember(of('read', 'other'))
  const [record] = await store.list('alice', 'consent')
  assert.ok(record)
  await store.save({ ...record, version: 3 })
  const unreadable: unknown[] = []
  const stop = onEvent('record.unreadable', ({ id }) => unreadable.push(id))
  await assert.rejects(consents.allows(of('read', record.clientId)), { status: 503 })
  await assert.rejects(consents.remember(of('read', record.clientId)), { status: 503 })
  assert.equal((await consents.list('alice')).length, 1)
  assert.equal(await consents.withdrawAll('alice'), 1)
  stop()
  assert.deepEqual(unreadable, [record.id, record.id])
})
