import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import { CLOCK_DIFFERENCE_SECONDS } from '../../lib/clock.ts'
import { createCodes } from '../../lib/code/codes.ts'
import { createExpiryBuckets } from '../../lib/stores/expiry_buckets.ts'
import {
  createMemoryCodeStore,
  createMemoryReplayRegister,
  createMemorySessionStore,
  createMemoryStores,
} from '../../lib/stores/memory.ts'
import { testCodeStore } from '../../lib/testing/code_store_contract.ts'
import { testReplayRegister } from '../../lib/testing/replay_register_contract.ts'
import { testSessionStore } from '../../lib/testing/session_store_contract.ts'

const opened = <Store>(make: (options: { clock: () => number }) => Store) => {
  let now = 1_790_000_000
  return {
    store: make({ clock: () => now }),
    now: () => now,
    waitUntil: async (moment: number) => {
      now = Math.floor(moment)
    },
  }
}

testReplayRegister({ describe, it }, 'memory', () => opened(createMemoryReplayRegister), { connection: false })
testCodeStore(
  { describe, it },
  'memory',
  () => opened((options) => createMemoryCodeStore({ ...options, maximumCodesPerUser: 5 })),
  { connection: false, maximumCodesPerUser: 5 },
)
testSessionStore({ describe, it }, 'memory', () => opened(createMemorySessionStore), { connection: false })

const NOW = 1_790_000_000
const session = (id: string, changes = {}) => ({
  id,
  type: 'oauth2',
  subject: 'subject',
  clientId: 'client',
  scope: '',
  createdAt: NOW,
  expiresAt: undefined,
  refreshedAt: NOW,
  refreshExpiresAt: NOW + 600,
  newest: 1,
  confirmed: 0,
  firstChild: 1,
  previous: 1,
  newestAt: NOW,
  confirmedAt: NOW,
  endedAt: undefined,
  extra: {},
  lockVersion: 0,
  version: 1,
  ...changes,
})

test('a client at its limit is rejected and pushes nobody out', async () => {
  let now = NOW
  const register = createMemoryReplayRegister({ clock: () => now, maximumAssertionsPerClient: 3 })
  assert.equal(await register.remember('i', 'quiet', 'q', NOW + 60), true)
  for (const jti of ['a', 'b', 'c']) assert.equal(await register.remember('i', 'busy', jti, NOW + 10), true)
  await assert.rejects(register.remember('i', 'busy', 'd', NOW + 10), /limit of 3/)
  assert.equal(await register.remember('i', 'busy', 'a', NOW + 10), false, 'a replay is still told as one')
  assert.equal(await register.remember('i', 'quiet', 'q', NOW + 60), false)
  assert.equal(await register.remember('i', 'quiet', 'r', NOW + 60), true)
  now += 10 + CLOCK_DIFFERENCE_SECONDS
  assert.equal(await register.remember('i', 'busy', 'd', now + 60), true, 'room again once the old ones are forgotten')
})

test('each store is bounded, and rejects beyond its bound', async () => {
  let now = NOW
  const stores = createMemoryStores({ clock: () => now, maximumAssertions: 2, maximumCodes: 2, maximumSessions: 2 })
  const code = (id: string) => ({
    id,
    clientId: 'c',
    subject: 's',
    scope: '',
    redirectUri: 'https://c/',
    redirectUriWasSent: true,
    codeChallenge: undefined,
    sessionId: 'sid',
    issuedAt: NOW,
    expiresAt: NOW + 60,
    keepUntil: NOW + 60,
    failures: 0,
    spent: false,
    extra: {},
    version: 1,
  })
  for (const id of ['1', '2']) {
    await stores.replayRegister.remember('i', id, id, NOW + 60)
    await stores.codeStore.add(code(id))
    await stores.sessionStore.create(session(id, { refreshExpiresAt: NOW + 60 }))
  }
  await assert.rejects(stores.replayRegister.remember('i', '3', '3', NOW + 60), /full/)
  await assert.rejects(stores.codeStore.add(code('3')), /full/)
  await assert.rejects(stores.sessionStore.create(session('3')), /full/)
  await assert.rejects(stores.sessionStore.end('3', NOW + 60), /full/)
  assert.equal(await stores.sessionStore.end('1', NOW + 60), 'ended', 'what is there can always be ended')
  now += 61 + CLOCK_DIFFERENCE_SECONDS
  await stores.codeStore.add({ ...code('3'), keepUntil: now + 60 })
  assert.equal(await stores.sessionStore.create(session('3')), 'created')
  assert.equal(await stores.replayRegister.remember('i', '3', '3', now + 60), true)
})

test('a user takes a tenth of the session store at most, ended sessions included, and at least 1000; others are not touched', async () => {
  let now = NOW
  const store = createMemorySessionStore({ clock: () => now, maximumSessions: 12_000 })
  const mine = (id: number) => session(`a${id}`, { subject: 'alice', refreshExpiresAt: NOW + 600 })
  for (let id = 0; id < 1200; id += 1) {
    assert.equal(await store.create(mine(id)), 'created')
    if (id % 2) assert.equal(await store.end(`a${id}`, NOW + 600), 'ended')
  }
  await assert.rejects(store.create(mine(1200)), /the sessions of one user reached the limit of 1200/)
  assert.equal(await store.create(session('b', { subject: 'bob' })), 'created')
  assert.equal(await store.end('a0', NOW + 600), 'ended', 'what is there can always be ended')
  now += 600 + 15 + CLOCK_DIFFERENCE_SECONDS
  await store.end('unknown', now + 1) // each call forgets some of what has expired
  for (let id = 0; id < 1200; id += 1)
    assert.equal(await store.create({ ...mine(2000 + id), refreshExpiresAt: now + 600 }), 'created')
  const small = createMemorySessionStore({ clock: () => now, maximumSessions: 1500 })
  for (let id = 0; id < 1000; id += 1)
    assert.equal(await small.create({ ...mine(id), refreshExpiresAt: now + 600 }), 'created')
  await assert.rejects(small.create({ ...mine(1000), refreshExpiresAt: now + 600 }), /limit of 1000/)
})

test('expired entries leave the memory by themselves, whatever lives beside them', async () => {
  let now = NOW
  const store = createMemorySessionStore({ clock: () => now, maximumSessions: 1850 })
  for (let round = 0; round < 20; round += 1) {
    for (let at = 0; at < 450; at += 1)
      assert.equal(
        await store.create(session(`${round}-${at}`, { subject: `s${at}`, refreshExpiresAt: now + 30 })),
        'created',
      )
    now += 16
  }
})

test('a session that is prolonged again and again is filed once, and found again when its time comes', async () => {
  let now = NOW
  const store = createMemorySessionStore({ clock: () => now, maximumSessions: 2 })
  await store.create(session('long', { refreshExpiresAt: now + 20 }))
  for (let lockVersion = 0; lockVersion < 50; lockVersion += 1) {
    now += 19
    assert.equal(await store.save(session('long', { refreshExpiresAt: now + 20, lockVersion })), 'saved')
  }
  now += 35
  await store.create(session('b'))
  assert.equal(await store.create(session('c', { refreshExpiresAt: now + 600 })), 'created')
})

test('expiry touches what is due and nothing else', () => {
  const due: number[] = []
  const buckets = createExpiryBuckets<number>(10)
  const moments = Array.from({ length: 5000 }, (_, at) => (at * 7919) % 100_003)
  for (const moment of moments) buckets.add(moment, moment)
  for (let now = 0; now <= 100_100; now += 97) {
    for (let item = buckets.take(now); item !== undefined; item = buckets.take(now)) {
      assert.ok(item <= now, 'never early')
      due.push(item)
    }
    assert.ok(
      due.length >= moments.filter((moment) => Math.ceil(moment / 10) * 10 <= now).length,
      'at most one width late',
    )
  }
  assert.equal(due.length, moments.length)
})

test('the work of a call does not grow with what is stored: the same number of look-ups at 1,000 and at 100,000', async () => {
  let counting = false
  let count = 0
  const original = {
    get: Map.prototype.get,
    set: Map.prototype.set,
    has: Map.prototype.has,
    delete: Map.prototype.delete,
  }
  for (const [verb, method] of Object.entries(original))
    Object.defineProperty(Map.prototype, verb, {
      configurable: true,
      writable: true,
      value(this: Map<unknown, unknown>, ...given: [unknown, unknown]) {
        if (counting) count += 1
        return (method as (...all: unknown[]) => unknown).apply(this, given)
      },
    })
  try {
    const workAt = async (size: number): Promise<number[]> => {
      let now = NOW
      const stores = createMemoryStores({ clock: () => now })
      const fill = async (at: number) => {
        await stores.replayRegister.remember('i', `c-${at}`, `j-${at}`, now + 60 + (at % 60))
        await stores.sessionStore.create(
          session(`s-${at}`, { subject: `u-${at}`, refreshExpiresAt: now + 60 + (at % 60) }),
        )
      }
      for (let at = 0; at < size; at += 1) await fill(at)
      now += 30
      const counts: number[] = []
      const counted = async (act: () => Promise<unknown>) => {
        count = 0
        counting = true
        await act()
        counting = false
        counts.push(count)
      }
      await counted(() => stores.replayRegister.remember('i', 'c-1', 'new', now + 60))
      await counted(() => stores.replayRegister.remember('i', 'c-1', 'j-1', now + 60))
      await counted(() => stores.sessionStore.get('s-7'))
      await counted(() => stores.sessionStore.save(session('s-7', { subject: 'u-7', refreshExpiresAt: now + 60 })))
      await counted(() => stores.sessionStore.create(session('new', { subject: 'u-8' })))
      await counted(() => stores.sessionStore.list('u-8', 'oauth2'))
      await counted(() => stores.sessionStore.endAll('u-8', 'oauth2'))
      now += 1000 // everything is due at once, and cleared away a little at a time
      await counted(() => stores.replayRegister.remember('i', 'c-1', 'newer', now + 60))
      return counts
    }
    const [small, large] = [await workAt(1000), await workAt(100_000)]
    assert.deepEqual(large.slice(0, -1), small.slice(0, -1))
    for (const each of small.slice(0, -1)) assert.ok(each > 0 && each < 20, small.join(' '))
    for (const clearing of [small, large]) assert.ok((clearing.at(-1) ?? 0) < 200, `${clearing.at(-1)}`)
  } finally {
    counting = false
    for (const [verb, value] of Object.entries(original))
      Object.defineProperty(Map.prototype, verb, { configurable: true, writable: true, value })
  }
})

test('codes that are spent in one span share its timers, each waits for a whole span, and one of two copies wins', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const timers = t.mock.method(globalThis, 'setTimeout')
  const store = createMemoryCodeStore({ clock: () => NOW })
  const settled: string[] = []
  const spend = async (id: string) => settled.push(`${id} ${await store.spend(id)}`)
  const later = async () => {
    t.mock.timers.tick(3)
    await new Promise((resolve) => setImmediate(resolve))
  }
  for (const id of ['a', 'b', 'c']) {
    const code = { id, clientId: 'client', subject: 'subject', scope: '', redirectUri: 'https://app.example/cb' }
    const rest = { redirectUriWasSent: true, codeChallenge: undefined, sessionId: id, issuedAt: NOW, extra: {} }
    await store.add({
      ...code,
      ...rest,
      expiresAt: NOW + 60,
      keepUntil: NOW + 60,
      failures: 0,
      spent: false,
      version: 1,
    })
  }
  const first = Promise.all(['a', 'a', 'b'].map(spend))
  await later()
  const second = spend('c')
  assert.equal((await store.find('a'))?.spent, false)
  assert.equal(timers.mock.callCount(), 2)
  await later()
  await first
  assert.deepEqual(settled, ['a spent', 'a already_spent', 'b spent'])
  await later()
  await second
  assert.equal(settled.at(-1), 'c spent')
  assert.equal(timers.mock.callCount(), 3)
})

test('options are checked by name', () => {
  assert.throws(() => createMemoryStores({ maximumCodes: 0 }), /option 'maximumCodes'/)
  assert.throws(() => createMemoryStores({ clock: 3 as never }), /option 'clock'/)
})

test('R26 the register outlasts the expiry by a minute, so that a clock that is set back lets no assertion in again', async () => {
  const start = 1_800_000_000
  let time = start
  const { replayRegister } = createMemoryStores({ clock: () => time, maximumAssertionsPerClient: 2 })
  assert.equal(await replayRegister.remember('i', 'c', 'j', start + 10), true)
  time = start + 69
  assert.equal(await replayRegister.remember('i', 'c', 'other', start + 80), true)
  time = start + 9
  assert.equal(await replayRegister.remember('i', 'c', 'j', start + 10), false)
  await assert.rejects(replayRegister.remember('i', 'c', 'third', start + 80), /full/)
  time = start + 70
  assert.equal(await replayRegister.remember('i', 'c', 'third', start + 80), true)
})

test('D10: answered forms are counted apart from assertions, and each user has a share', async () => {
  const register = createMemoryReplayRegister({
    clock: () => NOW,
    maximumAssertions: 40,
    maximumAssertionsPerClient: 30,
  })
  const answer = (user: string, at: number) =>
    register.remember('https://as#transaction', user, `${user}${at}`, NOW + 60)
  for (let at = 0; at < 3; at += 1) assert.equal(await answer('mallory', at), true)
  await assert.rejects(answer('mallory', 3), /one user reached the limit of 3/)
  assert.equal(await answer('alice', 0), true, 'another user is not concerned')
  for (let at = 0; at < 16; at += 1) await answer(`user${at}`, 0)
  await assert.rejects(answer('late', 0), /the entries of users reached the limit of 20/)
  for (const client of ['mallory', 'app'])
    for (let at = 0; at < 20; at += 1)
      assert.equal(await register.remember('https://as', client, `j${at}`, NOW + 60), true)
  await assert.rejects(register.remember('https://as', 'app', 'j20', NOW + 60), /assertions reached the limit of 40/)
})

test('D10: the shares are free again when their entries have expired', async () => {
  let now = NOW
  const register = createMemoryReplayRegister({ clock: () => now, maximumAssertionsPerClient: 20 })
  for (let round = 0; round < 3; round += 1) {
    for (let at = 0; at < 2; at += 1)
      assert.equal(await register.remember('https://as#transaction', 'alice', `${round}.${at}`, now + 10), true)
    await assert.rejects(register.remember('https://as#transaction', 'alice', 'x', now + 10), /limit of 2/)
    now += 10 + CLOCK_DIFFERENCE_SECONDS
  }
})

test('D10: a user who requests codes in a loop is stopped at a thousand, and all are forgotten two minutes later', async () => {
  let now = NOW
  const store = createMemoryCodeStore({ clock: () => now, maximumCodes: 1500 })
  const codes = createCodes({ store })
  const permission = {
    subject: 'mallory',
    clientId: 'app',
    scope: '',
    redirectUri: 'https://app.example/cb',
    redirectUriWasSent: true,
    codeChallenge: undefined,
  }
  for (let at = 0; at < 1000; at += 1) await codes.issue(permission, now)
  await assert.rejects(codes.issue(permission, now), { status: 503, reason: 'too_many_codes' })
  for (const others of [{ subject: 'alice' }, { clientId: 'other' }])
    assert.ok(await codes.issue({ ...permission, ...others }, now))
  now += 121
  for (let at = 0; at < 1000; at += 1) await codes.issue({ ...permission, subject: `user${at}` }, now)
  assert.ok(await codes.issue(permission, now))
})
