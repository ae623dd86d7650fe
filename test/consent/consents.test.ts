import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createConsents } from '../../lib/consent/consents.ts'
import type { SessionStore } from '../../lib/session/store.ts'
import { memorySessionStore } from '../../lib/stores/memory.ts'

function setup(wrap: (store: SessionStore) => SessionStore = (same) => same) {
  let now = 1_800_000_000
  const clock = () => now
  const store = memorySessionStore({ clock })
  const consents = createConsents({ store: wrap(store), clock })
  const of = (scope: string, clientId = 'web', subject = 'alice') => ({ subject, clientId, scope })
  return { store, consents, of, clock, pass: (seconds: number) => (now += seconds) }
}

test('M11 nothing is allowed before the user has said so, not even the empty scope', async () => {
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
