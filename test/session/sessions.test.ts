import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OAuthError } from '../../lib/errors.ts'
import { type Events, onEvent } from '../../lib/events.ts'
import type { Session } from '../../lib/session/session.ts'
import type { SessionStore } from '../../lib/session/session_store.ts'
import { createSessions, type SessionsOptions } from '../../lib/session/sessions.ts'
import { createMemorySessionStore } from '../../lib/stores/memory.ts'
import { createFakeClock } from '../../lib/testing/fake_clock.ts'

const DAY = 86_400
const confidential = { client_id: 'app' }
const spa = { client_id: 'spa', token_endpoint_auth_method: 'none' }
const permission = { subject: 'alice', clientId: 'app', scope: 'read write' }

/** Sessions over a memory store, both on one clock that stands at `clock()`. */
function setUp(options: Omit<SessionsOptions, 'store'> & { store?: (store: SessionStore) => SessionStore } = {}) {
  const clock = createFakeClock()
  const inner = createMemorySessionStore({ clock })
  const calls: string[] = []
  const counted = Object.fromEntries(
    Object.entries(inner).map(([name, verb]) => [
      name,
      (...given: unknown[]) => {
        calls.push(name)
        return (verb as (...given: unknown[]) => unknown)(...given)
      },
    ]),
  ) as unknown as SessionStore
  const store = options.store?.(counted) ?? counted
  return { clock, calls, inner, sessions: createSessions({ clock, ...options, store }) }
}

const opened = async (promise: Promise<Session | undefined>): Promise<Session> => {
  const session = await promise
  assert.ok(session !== undefined)
  return session
}

const refusedWith =
  (reason: string, code = 'invalid_grant') =>
  (error: unknown): boolean => {
    assert.ok(error instanceof OAuthError, String(error))
    assert.equal(error.reason, reason)
    assert.equal(error.code, code)
    return true
  }

const recorded = <Name extends keyof Events>(name: Name): { events: Events[Name][]; stop: () => void } => {
  const events: Events[Name][] = []
  return { events, stop: onEvent(name, (event) => events.push(event)) }
}

test('S1, S2: a session has the fields of the design, all of its moments from one reading of the clock', async () => {
  const { sessions, clock } = setUp()
  const now = clock()
  const { id, ...session } = await opened(sessions.open(permission, { client: confidential, extra: { nonce: 'n' } }))
  assert.match(id, /^[\w-]{43}$/)
  assert.deepEqual(session, {
    type: 'oauth2',
    ...permission,
    createdAt: now,
    expiresAt: undefined,
    refreshedAt: now,
    refreshExpiresAt: now + 60 * DAY,
    newest: 1,
    confirmed: 0,
    firstChild: 1,
    previous: 1,
    newestAt: now,
    confirmedAt: now,
    endedAt: undefined,
    extra: { nonce: 'n' },
    lockVersion: 0,
    version: 1,
  })
})

test('S5, G13: idle 60 days and no absolute lifetime for confidential clients, 365 days for public ones', async () => {
  const { sessions, clock } = setUp()
  const now = clock()
  const ours = await opened(sessions.open(permission, { client: confidential }))
  const theirs = await opened(sessions.open({ ...permission, clientId: 'spa' }, { client: spa }))
  assert.equal(ours.expiresAt, undefined)
  assert.equal(theirs.expiresAt, now + 365 * DAY)
  assert.equal(theirs.refreshExpiresAt, now + 60 * DAY)
})

test('lifetimes, overlap and onReuse are settable for all clients and for each', async () => {
  const { sessions, clock } = setUp({
    idleLifetimeSeconds: 100,
    absoluteLifetimeSeconds: 1000,
    perClient: ({ client_id }) =>
      client_id === 'spa' ? { idleLifetimeSeconds: 50, absoluteLifetimeSeconds: 'never' } : undefined,
  })
  const now = clock()
  const general = await opened(sessions.open(permission, { client: confidential }))
  assert.deepEqual([general.refreshExpiresAt - now, (general.expiresAt ?? 0) - now], [100, 1000])
  const own = await opened(sessions.open({ ...permission, clientId: 'spa' }, { client: spa }))
  assert.deepEqual([own.refreshExpiresAt - now, own.expiresAt], [50, undefined])
  const once = await opened(sessions.open(permission, { client: confidential, idleLifetimeSeconds: 7 }))
  assert.equal(once.refreshExpiresAt - now, 7)
})

test('the absolute lifetime caps the idle one', async () => {
  const { sessions, clock } = setUp({ absoluteLifetimeSeconds: 30 })
  const session = await opened(sessions.open(permission, { client: confidential }))
  assert.equal(session.refreshExpiresAt, clock() + 30)
})

test('S3, S4: a refresh slides the idle end to at most the absolute end, which never moves', async () => {
  const { sessions, clock } = setUp({ idleLifetimeSeconds: 100, absoluteLifetimeSeconds: 150 })
  const start = clock()
  const { id } = await opened(sessions.open(permission, { client: confidential }))
  clock.advance(40)
  const first = await sessions.refresh({ sessionId: id, generation: 1 }, { client: confidential, now: clock() })
  assert.deepEqual(
    [first.outcome, first.session.refreshExpiresAt, first.session.refreshedAt],
    ['confirm', start + 140, start + 40],
  )
  clock.advance(40)
  const second = await sessions.refresh({ sessionId: id, generation: 2 }, { client: confidential, now: clock() })
  assert.equal(second.session.refreshExpiresAt, start + 150)
  assert.equal(second.session.expiresAt, start + 150)
  assert.equal(second.session.createdAt, start)
})

test('G3: a join writes nothing and prolongs nothing', async () => {
  const { sessions, clock, calls } = setUp()
  const start = clock()
  const { id } = await opened(sessions.open(permission, { client: confidential }))
  clock.advance(5)
  calls.length = 0
  const joined = await sessions.refresh({ sessionId: id, generation: 1 }, { client: confidential, now: clock() })
  assert.deepEqual([joined.outcome, joined.generation, joined.session.lockVersion], ['join', 1, 0])
  assert.equal(joined.session.refreshExpiresAt, start + 60 * DAY)
  assert.deepEqual(calls, ['get'])
})

test('G5: a join with a generation the store forgot is saved, and does not slide the idle end', async () => {
  const { sessions, clock, inner } = setUp()
  const start = clock()
  const { id } = await opened(sessions.open(permission, { client: confidential }))
  clock.advance(5)
  const joined = await sessions.refresh({ sessionId: id, generation: 4 }, { client: confidential, now: clock() })
  assert.deepEqual([joined.outcome, joined.generation, joined.session.newest], ['join', 4, 4])
  assert.equal((await inner.get(id))?.newest, 4)
  assert.equal(joined.session.refreshExpiresAt, start + 60 * DAY)
})

test('S10: a refresh answers with the session as it is stored now', async () => {
  const { sessions, clock, inner } = setUp()
  const { id } = await opened(sessions.open(permission, { client: confidential }))
  clock.advance(20)
  const { session } = await sessions.refresh({ sessionId: id, generation: 1 }, { client: confidential, now: clock() })
  assert.deepEqual(await inner.get(id), session)
})

test('a refresh of a session that was just read costs one more trip to the store', async () => {
  const { sessions, clock, calls } = setUp()
  const { id } = await opened(sessions.open(permission, { client: confidential }))
  clock.advance(20)
  const session = await sessions.get(id)
  calls.length = 0
  await sessions.refresh({ sessionId: id, generation: 1, session }, { client: confidential, now: clock() })
  assert.deepEqual(calls, ['save'])
})

test('S6: extra is kept by a refresh', async () => {
  const { sessions, clock } = setUp()
  const { id } = await opened(sessions.open(permission, { client: confidential, extra: { device: 'phone' } }))
  clock.advance(20)
  const { session } = await sessions.refresh({ sessionId: id, generation: 1 }, { client: confidential, now: clock() })
  assert.deepEqual(session.extra, { device: 'phone' })
})

test('G16: reuse ends the session and is told with its generations', async () => {
  const { sessions, clock } = setUp()
  const reuse = recorded('refresh_token.reused')
  const ends = recorded('session.ended')
  const { id } = await opened(sessions.open(permission, { client: confidential }))
  for (const generation of [1, 2]) {
    clock.advance(100)
    await sessions.refresh({ sessionId: id, generation }, { client: confidential, now: clock() })
  }
  clock.advance(100)
  await assert.rejects(
    sessions.refresh({ sessionId: id, generation: 1 }, { client: confidential, now: clock() }),
    refusedWith('refresh_token_reused'),
  )
  reuse.stop()
  ends.stop()
  assert.equal(await sessions.get(id), undefined)
  assert.deepEqual(reuse.events, [
    {
      sessionId: id,
      type: 'oauth2',
      subject: 'alice',
      clientId: 'app',
      generation: 1,
      newest: 3,
      confirmed: 2,
      ended: true,
    },
  ])
  assert.deepEqual(ends.events, [{ sessionId: id }])
  await assert.rejects(
    sessions.refresh({ sessionId: id, generation: 3 }, { client: confidential, now: clock() }),
    refusedWith('session_not_found'),
  )
})

test('G6: reuse leaves the other sessions of the user alone', async () => {
  const { sessions, clock } = setUp({ overlapSeconds: 0 })
  const stolen = await opened(sessions.open(permission, { client: confidential }))
  const other = await opened(sessions.open(permission, { client: confidential }))
  for (const generation of [1, 2]) {
    clock.advance(100)
    await sessions.refresh({ sessionId: stolen.id, generation }, { client: confidential, now: clock() })
  }
  clock.advance(100)
  await assert.rejects(
    sessions.refresh({ sessionId: stolen.id, generation: 1 }, { client: confidential, now: clock() }),
  )
  assert.deepEqual(
    (await sessions.list('alice', 'oauth2')).map(({ id }) => id),
    [other.id],
  )
})

test("G7: onReuse 'refuse', for one client, refuses and lets the session live", async () => {
  const { sessions, clock, calls } = setUp({
    perClient: ({ client_id }) => (client_id === 'app' ? { onReuse: 'refuse' } : undefined),
  })
  const reuse = recorded('refresh_token.reused')
  const { id } = await opened(sessions.open(permission, { client: confidential }))
  for (const generation of [1, 2]) {
    clock.advance(100)
    await sessions.refresh({ sessionId: id, generation }, { client: confidential, now: clock() })
  }
  clock.advance(100)
  calls.length = 0
  const presented = { sessionId: id, generation: 1 }
  await assert.rejects(
    sessions.refresh(presented, { client: confidential, now: clock() }),
    refusedWith('refresh_token_reused'),
  )
  reuse.stop()
  assert.equal(reuse.events[0]?.ended, false)
  assert.deepEqual(calls, ['get'])
  const { outcome } = await sessions.refresh({ sessionId: id, generation: 3 }, { client: confidential, now: clock() })
  assert.equal(outcome, 'confirm')
})

test('the join window of one client may differ', async () => {
  const { sessions, clock } = setUp({
    perClient: ({ client_id }) => (client_id === 'app' ? { overlapSeconds: 3600 } : {}),
  })
  const { id } = await opened(sessions.open(permission, { client: confidential }))
  clock.advance(3600)
  const { outcome } = await sessions.refresh({ sessionId: id, generation: 1 }, { client: confidential, now: clock() })
  assert.equal(outcome, 'join')
})

test('the join window is a quarter of the idle lifetime at most, unless it is set, and half of it at the very most', async () => {
  const outcomeAfter = async (seconds: number, options: Omit<SessionsOptions, 'store'>) => {
    const { sessions, clock } = setUp(options)
    const { id } = await opened(sessions.open(permission, { client: confidential }))
    clock.advance(seconds)
    return (await sessions.refresh({ sessionId: id, generation: 1 }, { client: confidential, now: clock() })).outcome
  }
  assert.equal(await outcomeAfter(5, { idleLifetimeSeconds: 20 }), 'join')
  assert.equal(await outcomeAfter(6, { idleLifetimeSeconds: 20 }), 'confirm')
  assert.equal(await outcomeAfter(10, { idleLifetimeSeconds: 20, overlapSeconds: 10 }), 'join')
  assert.equal(await outcomeAfter(6, { perClient: () => ({ idleLifetimeSeconds: 20 }) }), 'confirm')
  for (const options of [{ overlapSeconds: 11 }, { perClient: () => ({ overlapSeconds: 11 }) }])
    await assert.rejects(
      async () => outcomeAfter(1, { idleLifetimeSeconds: 20, ...options }),
      (error: Error) => {
        assert.match(`${error.message} ${(error as OAuthError).detail}`, /'overlapSeconds'/)
        return true
      },
    )
})

test('a perClient that promises its settings is refused: they would be none', async () => {
  const { sessions } = setUp({ perClient: (async () => ({ overlapSeconds: 0 })) as never })
  await assert.rejects(sessions.open(permission, { client: confidential }), {
    reason: 'misconfigured',
    detail: /'perClient'.*at once/,
  })
})

test('G16: reuse is told also where nobody knows whether the session was ended', async () => {
  let isLost = false
  const { sessions, clock } = setUp({
    store: (inner) => ({
      ...inner,
      async save(session) {
        const answer = await inner.save(session)
        if (isLost) throw new Error('the answer was lost')
        return answer
      },
    }),
  })
  const { id } = await opened(sessions.open(permission, { client: confidential }))
  for (const generation of [1, 2]) {
    clock.advance(100)
    await sessions.refresh({ sessionId: id, generation }, { client: confidential, now: clock() })
  }
  clock.advance(100)
  isLost = true
  const reuse = recorded('refresh_token.reused')
  await assert.rejects(sessions.refresh({ sessionId: id, generation: 1 }, { client: confidential, now: clock() }), {
    status: 503,
  })
  reuse.stop()
  assert.deepEqual(
    reuse.events.map(({ sessionId, generation, ended }) => [sessionId, generation, ended]),
    [[id, 1, false]],
  )
})

test('50 refreshes of one token at once all succeed, one of them confirms, and the session lives', async () => {
  const { sessions, clock } = setUp()
  const { id } = await opened(sessions.open(permission, { client: confidential }))
  clock.advance(100)
  const answers = await Promise.all(
    Array.from({ length: 50 }, () =>
      sessions.refresh({ sessionId: id, generation: 1 }, { client: confidential, now: clock() }),
    ),
  )
  assert.equal(answers.filter(({ outcome }) => outcome === 'confirm').length, 1)
  assert.equal(answers.filter(({ outcome }) => outcome === 'join').length, 49)
  assert.deepEqual(new Set(answers.map(({ generation }) => generation)), new Set([2]))
  assert.ok(await sessions.get(id))
})

test('a client that loses five answers in a row goes on', async () => {
  const { sessions, clock } = setUp()
  const { id } = await opened(sessions.open(permission, { client: confidential }))
  let held = 1
  for (let lost = 0; lost < 5; lost += 1) {
    clock.advance(3600)
    const answer = await sessions.refresh({ sessionId: id, generation: held }, { client: confidential, now: clock() })
    assert.match(answer.outcome, /^(confirm|retry)$/)
  }
  for (let round = 0; round < 3; round += 1) {
    clock.advance(3600)
    const answer = await sessions.refresh({ sessionId: id, generation: held }, { client: confidential, now: clock() })
    held = answer.generation
  }
  assert.ok(await sessions.get(id))
})

test('X1: six conflicts in a row are a 503 with Retry-After, told one by one, and never a 409', async () => {
  const { sessions, clock, calls } = setUp({ store: (store) => ({ ...store, save: async () => 'conflict' }) })
  const conflicts = recorded('session.conflict')
  const { id } = await opened(sessions.open(permission, { client: confidential }))
  clock.advance(100)
  calls.length = 0
  await assert.rejects(
    sessions.refresh({ sessionId: id, generation: 1 }, { client: confidential, now: clock() }),
    (error: unknown) => {
      assert.ok(error instanceof OAuthError)
      assert.deepEqual([error.status, error.code, error.reason], [503, 'temporarily_unavailable', 'contention'])
      assert.equal(error.headers['Retry-After'], '1')
      return true
    },
  )
  conflicts.stop()
  assert.deepEqual(
    conflicts.events.map(({ attempt }) => attempt),
    [1, 2, 3, 4, 5, 6],
  )
  assert.equal(calls.filter((name) => name === 'get').length, 6, 'read once, and again after each of five conflicts')
})

test('X1: a conflict is decided anew: the loser joins', async () => {
  let races = 1
  const { sessions, clock } = setUp({
    store: (store) => ({
      ...store,
      async save(session) {
        if (races-- > 0) await store.save(session) // another node is faster, with the same change
        return store.save(session)
      },
    }),
  })
  const { id } = await opened(sessions.open(permission, { client: confidential }))
  clock.advance(100)
  const answer = await sessions.refresh({ sessionId: id, generation: 1 }, { client: confidential, now: clock() })
  assert.deepEqual([answer.outcome, answer.generation], ['join', 2])
})

test('X3: gone is invalid_grant', async () => {
  const { sessions, clock } = setUp({ store: (store) => ({ ...store, save: async () => 'gone' }) })
  const { id } = await opened(sessions.open(permission, { client: confidential }))
  clock.advance(100)
  await assert.rejects(
    sessions.refresh({ sessionId: id, generation: 1 }, { client: confidential, now: clock() }),
    refusedWith('session_not_found'),
  )
})

for (const verb of ['create', 'get', 'save', 'end', 'list', 'endAll'] as const) {
  test(`E22: a store whose ${verb} fails is a 503 that says nothing of the cause`, async () => {
    const cause = new Error('connect ECONNREFUSED 10.0.0.3:5432')
    const { sessions, clock } = setUp({ store: (store) => ({ ...store, [verb]: async () => Promise.reject(cause) }) })
    const act = async (): Promise<unknown> => {
      const { id } = await opened(sessions.open(permission, { client: confidential }))
      clock.advance(100)
      await sessions.refresh({ sessionId: id, generation: 1 }, { client: confidential, now: clock() })
      await sessions.list('alice', 'oauth2')
      await sessions.endAll('alice', 'oauth2')
      return sessions.end(id)
    }
    await assert.rejects(act(), (error: unknown) => {
      assert.ok(error instanceof OAuthError)
      assert.deepEqual([error.status, error.reason, error.cause], [503, 'store_unavailable', cause])
      assert.ok(!error.message.includes('ECONN'))
      return true
    })
  })
}

test('S21: sessions are listed and ended by type: logins and connected apps leave each other alone', async () => {
  const { sessions, clock } = setUp()
  const app = await opened(sessions.open(permission, { client: confidential }))
  clock.advance(1)
  const second = await opened(sessions.open(permission, { client: confidential }))
  const login = await opened(
    sessions.open({ subject: 'alice', clientId: '', scope: '' }, { type: 'full', extra: { agent: 'Firefox' } }),
  )
  await sessions.open({ ...permission, subject: 'bob' }, { client: confidential })
  assert.deepEqual(
    (await sessions.list('alice', 'oauth2')).map(({ id }) => id),
    [app.id, second.id],
  )
  assert.deepEqual(
    (await sessions.list('alice', 'full')).map(({ extra }) => extra),
    [{ agent: 'Firefox' }],
  )

  const ended = recorded('sessions.ended')
  assert.equal(await sessions.endAll('alice', 'full'), 1)
  assert.equal((await sessions.list('alice', 'oauth2')).length, 2)
  assert.equal(await sessions.get(login.id), undefined)

  await opened(sessions.open({ subject: 'alice', clientId: '', scope: '' }, { type: 'full' }))
  assert.equal(await sessions.endAll('alice', 'oauth2'), 2)
  assert.equal((await sessions.list('alice', 'full')).length, 1)
  assert.equal((await sessions.list('bob', 'oauth2')).length, 1)
  ended.stop()
  assert.deepEqual(ended.events, [
    { subject: 'alice', type: 'full', count: 1 },
    { subject: 'alice', type: 'oauth2', count: 2 },
  ])
})

test('an ended session is gone, is told once, and its id can not be opened again', async () => {
  const { sessions } = setUp()
  const ends = recorded('session.ended')
  const { id } = await opened(sessions.open(permission, { id: 'chosen', client: confidential }))
  assert.equal(await sessions.end(id), true)
  assert.equal(await sessions.end(id), false)
  assert.equal(await sessions.get(id), undefined)
  assert.equal(await sessions.open(permission, { id, client: confidential }), undefined)
  ends.stop()
  assert.deepEqual(ends.events, [{ sessionId: id }])
})

test('X6: an id that is ended before it is opened is never opened, for as long as its code could be', async () => {
  const { sessions, clock } = setUp({ idleLifetimeSeconds: 60 })
  assert.equal(await sessions.end('promised'), false)
  clock.advance(DAY - 1)
  assert.equal(await sessions.open(permission, { id: 'promised', client: confidential }), undefined)
})

test('the marker of an id without a session lasts as long as it is told', async () => {
  const { sessions, clock } = setUp()
  await sessions.end('promised', clock(), { markerExpiresAt: clock() + 600 })
  clock.advance(599)
  assert.equal(await sessions.open(permission, { id: 'promised', client: confidential }), undefined)
})

test('an expired session is not handed out, not even by a store that still has it', async () => {
  const { sessions, clock, inner } = setUp({ idleLifetimeSeconds: 100 })
  const { id } = await opened(sessions.open(permission, { client: confidential }))
  const lax: SessionStore = { ...inner, get: async () => kept, list: async () => (kept === undefined ? [] : [kept]) }
  const kept = await inner.get(id)
  const late = createSessions({ store: lax, clock })
  assert.ok(await late.get(id, clock() + 99))
  assert.equal(await late.get(id, clock() + 100), undefined)
  assert.deepEqual(await late.list('alice', 'oauth2', clock() + 100), [])
})

test("touch slides an application's own session by the idle lifetime it was opened with, at most once a minute", async () => {
  const { sessions, clock, calls } = setUp()
  const start = clock()
  const login = { type: 'full', idleLifetimeSeconds: 1000, absoluteLifetimeSeconds: 1900 }
  const { id } = await opened(sessions.open({ subject: 'alice', clientId: '', scope: '' }, login))
  clock.advance(59)
  calls.length = 0
  assert.equal((await sessions.touch(id))?.refreshExpiresAt, start + 1000)
  assert.deepEqual(calls, ['get'])
  clock.advance(1)
  assert.equal((await sessions.touch(id))?.refreshExpiresAt, start + 1060)
  clock.advance(940)
  assert.equal((await sessions.touch(id))?.refreshExpiresAt, start + 1900, 'never past the absolute end')
  clock.advance(800)
  assert.equal((await sessions.touch(id))?.refreshExpiresAt, start + 1900)
  clock.advance(100)
  assert.equal(await sessions.touch(id), undefined)
})

test('touch keeps a session alive whose idle lifetime is shorter than a minute', async () => {
  const { sessions, clock } = setUp()
  const { id } = await opened(sessions.open(permission, { type: 'full', idleLifetimeSeconds: 20 }))
  for (let use = 0; use < 10; use += 1) {
    clock.advance(5)
    assert.ok(await sessions.touch(id))
  }
})

test('S15: a subject that is a number is refused by name, before it becomes a number in a token', async () => {
  const { sessions } = setUp()
  const numeric = { ...permission, subject: 42 as unknown as string }
  await assert.rejects(sessions.open(numeric), { name: 'TypeError', message: /'subject'.*42/ })
})

test('a moment that is not in whole seconds is refused by name, on every store and before it is asked', async () => {
  const { sessions, clock, calls } = setUp()
  const { id } = await opened(sessions.open(permission, { client: confidential }))
  calls.length = 0
  for (const now of [clock() + 0.5, Number.NaN, Number.POSITIVE_INFINITY, '1800000000' as unknown as number]) {
    const refusal = {
      name: 'TypeError',
      message: new RegExp(`option 'now' must be .*whole epoch seconds, got "?${now}`),
    }
    await assert.rejects(sessions.open(permission, { now }), refusal)
    await assert.rejects(sessions.touch(id, { now }), refusal)
    await assert.rejects(sessions.end(id, now), refusal)
    await assert.rejects(sessions.refresh({ sessionId: id, generation: 1 }, { client: confidential, now }), refusal)
    await assert.rejects(sessions.end(id, clock(), { markerExpiresAt: now }), { message: /option 'markerExpiresAt'/ })
  }
  assert.deepEqual(calls, [])
  assert.ok(await sessions.get(id))
})

test('a clock that tells fractions of seconds counts whole seconds', async () => {
  const { sessions } = setUp({ clock: () => 1_800_000_000.5 })
  const numbers = Object.values((await sessions.open(permission)) ?? {}).filter((value) => typeof value === 'number')
  assert.ok(numbers.includes(1_800_000_000), String(numbers))
  assert.ok(numbers.every(Number.isInteger), String(numbers))
})

test('G8: without rotation a token stays good, nothing supersedes it, and the idle end slides', async () => {
  const { sessions, clock, calls } = setUp({ perClient: ({ client_id }) => ({ rotate: client_id === 'spa' }) })
  const { id } = await opened(sessions.open(permission, { client: confidential }))
  for (let use = 0; use < 5; use += 1) {
    clock.advance(1000)
    const answer = await sessions.refresh({ sessionId: id, generation: 1 }, { client: confidential, now: clock() })
    assert.deepEqual([answer.outcome, answer.generation, answer.session.newest], ['slide', 1, 1])
    assert.equal(answer.session.refreshExpiresAt, clock() + 60 * DAY)
  }
  clock.advance(1000)
  calls.length = 0
  const answers = await Promise.all(
    Array.from({ length: 50 }, () =>
      sessions.refresh({ sessionId: id, generation: 1 }, { client: confidential, now: clock() }),
    ),
  )
  assert.equal(answers.filter(({ outcome }) => outcome === 'slide').length, 1)
  assert.ok(answers.every(({ generation }) => generation === 1))
})

test('G8: a public client rotates whatever is set', async () => {
  const { sessions, clock } = setUp({ rotate: false })
  const { id } = await opened(sessions.open({ ...permission, clientId: 'spa' }, { client: spa }))
  clock.advance(1000)
  const answer = await sessions.refresh({ sessionId: id, generation: 1 }, { client: spa, now: clock() })
  assert.deepEqual([answer.outcome, answer.generation], ['confirm', 2])
})

test('touch replaces extra where it is given, and a conflict makes it try again', async () => {
  let races = 1
  const { sessions } = setUp({
    store: (store) => ({
      ...store,
      async save(session) {
        if (races-- > 0) await store.save({ ...session, extra: { from: 'another node' } })
        return store.save(session)
      },
    }),
  })
  const { id } = await opened(sessions.open(permission, { type: 'full' }))
  const touched = await sessions.touch(id, { extra: { from: 'this node' } })
  assert.deepEqual(touched?.extra, { from: 'this node' })
  assert.deepEqual(await sessions.get(id), touched)
  assert.equal(touched?.lockVersion, 2)
})

test('touch of a session that ended in between does not bring it back', async () => {
  const { sessions } = setUp({
    store: (store) => ({
      ...store,
      async save(session) {
        await store.end(session.id, session.refreshExpiresAt)
        return store.save(session)
      },
    }),
  })
  const { id } = await opened(sessions.open(permission, { type: 'full' }))
  assert.equal(await sessions.touch(id, { extra: {} }), undefined)
  assert.equal(await sessions.get(id), undefined)
})

test("a revoked access token is remembered until it expires, and is none of the subject's sessions", async () => {
  const { sessions, clock } = setUp()
  const token = { jti: 'j1', sub: 'alice', client_id: 'app', exp: clock() + 900 }
  assert.equal(await sessions.isAccessTokenRevoked('j1', clock()), false)
  await sessions.revokeAccessToken(token, clock())
  await sessions.revokeAccessToken(token, clock())
  assert.equal(await sessions.isAccessTokenRevoked('j1', clock()), true)
  assert.equal(await sessions.isAccessTokenRevoked('j2', clock()), false)
  assert.deepEqual(await sessions.list('alice', 'oauth2'), [])
  assert.deepEqual(await sessions.list('alice', 'full'), [])
  clock.advance(900)
  assert.equal(await sessions.isAccessTokenRevoked('j1', clock()), false)
})

test('a revoked access token and an id opened once stay known to the last second in a store whose clock is a minute ahead', async () => {
  const clock = createFakeClock()
  const sessions = createSessions({ clock, store: createMemorySessionStore({ clock: () => clock() + 59 }) })
  const end = clock() + 900
  const open = () => sessions.open(permission, { id: 'one', idleLifetimeSeconds: 100, rememberUntil: end })
  await opened(open())
  await sessions.revokeAccessToken({ jti: 'late', sub: 'alice', client_id: 'app', exp: clock() + 50 }, clock())
  await sessions.revokeAccessToken({ jti: 'j1', sub: 'alice', client_id: 'app', exp: end }, clock())
  clock.advance(49)
  assert.equal(await sessions.isAccessTokenRevoked('late', clock()), true)
  clock.advance(850)
  assert.equal(await sessions.isAccessTokenRevoked('j1', clock()), true)
  assert.equal(await open(), undefined)
  clock.advance(1)
  assert.equal(await sessions.isAccessTokenRevoked('j1', clock()), false)
  await opened(open())
})

test('accepts says what a refresh would, and changes nothing', async () => {
  const { sessions, clock, calls } = setUp()
  const { id } = await opened(sessions.open(permission, { client: confidential }))
  for (const generation of [1, 2]) {
    clock.advance(100)
    await sessions.refresh({ sessionId: id, generation }, { client: confidential, now: clock() })
  }
  clock.advance(100)
  const session = await opened(sessions.get(id))
  calls.length = 0
  const accepted = [0, 1, 2, 3].map((g) => sessions.accepts(session, g, { client: confidential, now: clock() }))
  assert.deepEqual(accepted, [false, false, true, true])
  assert.deepEqual(calls, [])
})

test('G12: each refresh is told with its outcome and generations', async () => {
  const { sessions, clock } = setUp()
  const opens = recorded('session.opened')
  const refreshes = recorded('session.refreshed')
  const { id } = await opened(sessions.open(permission, { client: confidential }))
  for (const [generation, pause] of [
    [1, 5],
    [1, 100],
    [1, 100],
  ] as const) {
    clock.advance(pause)
    await sessions.refresh({ sessionId: id, generation }, { client: confidential, now: clock() })
  }
  opens.stop()
  refreshes.stop()
  const named = { sessionId: id, type: 'oauth2', subject: 'alice', clientId: 'app' }
  assert.deepEqual(opens.events, [named])
  assert.deepEqual(refreshes.events, [
    { ...named, outcome: 'join', generation: 1, newest: 1, confirmed: 0 },
    { ...named, outcome: 'confirm', generation: 2, newest: 2, confirmed: 1 },
    { ...named, outcome: 'retry', generation: 3, newest: 3, confirmed: 1 },
  ])
})

for (const [options, name] of [
  [{ store: {} }, 'store'],
  [{ idleLifetimeSeconds: 0 }, 'idleLifetimeSeconds'],
  [{ idleLifetimeSeconds: 1.5 }, 'idleLifetimeSeconds'],
  [{ absoluteLifetimeSeconds: 'forever' }, 'absoluteLifetimeSeconds'],
  [{ overlapSeconds: 3601 }, 'overlapSeconds'],
  [{ overlapSeconds: -1 }, 'overlapSeconds'],
  [{ onReuse: 'revoke' }, 'onReuse'],
  [{ rotate: 'no' }, 'rotate'],
  [{ perClient: {} }, 'perClient'],
  [{ clock: 5 }, 'clock'],
] as const) {
  test(`createSessions refuses ${JSON.stringify(options)} and names the option`, () => {
    const store = createMemorySessionStore()
    assert.throws(() => createSessions({ store, ...options } as unknown as SessionsOptions), {
      name: 'TypeError',
      message: new RegExp(`'${name}'`),
    })
  })
}

test('S20: a session or a marker of a later version is a fault, 503', async () => {
  const { sessions, inner } = setUp()
  const { id } = await opened(sessions.open(permission))
  await sessions.revokeAccessToken({ jti: 'j', sub: 'alice', client_id: 'app', exp: 1_900_000_000 }, 1_800_000_000)
  for (const each of [id, 'at:j']) {
    const stored = await inner.get(each)
    assert.ok(stored)
    await inner.save({ ...stored, version: 3 })
  }
  await assert.rejects(sessions.get(id), { status: 503 })
  await assert.rejects(sessions.isAccessTokenRevoked('j', 1_800_000_000), { status: 503 })
})

test('S25: a record that cannot be read does not hide the other sessions: it is left out and reported', async () => {
  const { sessions, inner } = setUp()
  const kept = await opened(sessions.open(permission))
  const later = await opened(sessions.open(permission))
  const stored = await inner.get(later.id)
  assert.ok(stored)
  await inner.save({ ...stored, version: 3 })
  const seen: unknown[] = []
  const stop = onEvent('record.unreadable', ({ kind, id }) => seen.push([kind, id]))
  const listed = await sessions.list(permission.subject, 'oauth2')
  stop()
  assert.deepEqual(
    listed.map(({ id }) => id),
    [kept.id],
  )
  assert.deepEqual(seen, [['session', later.id]])
  assert.equal(await sessions.endAll(permission.subject, 'oauth2'), 2, 'endAll ends it all the same')
})
