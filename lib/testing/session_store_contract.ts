import assert from 'node:assert/strict'
import type { Session } from '../session/session.ts'
import type { SessionStore } from '../session/session_store.ts'
import {
  AWKWARD,
  alike,
  allAtOnce,
  asJson,
  type ContractOptions,
  type ContractRunner,
  contractOptions,
  type OpenStore,
  occurrences,
  unique,
  withBrokenStore,
  withStore,
} from './contract.ts'

const sessionAt = (moment: number, changes: Partial<Session> = {}): Session => {
  const now = Math.floor(moment)
  return {
    id: unique('session'),
    type: 'oauth2',
    subject: unique('subject'),
    clientId: 'client',
    scope: 'openid profile',
    createdAt: now,
    expiresAt: undefined,
    refreshedAt: now,
    refreshExpiresAt: now + 600,
    newest: 1,
    confirmed: 0,
    firstChild: 1,
    previous: 1,
    newestAt: now,
    confirmedAt: now,
    endedAt: undefined,
    extra: {},
    lockVersion: 0,
    version: 1,
    ...changes,
  }
}

/**
 * Adds tests that check whether your session store fulfils its contract, including concurrent calls: one test for each
 * sentence of the contract. Pass `describe` and `it` of any test runner. If the clock of the store cannot be moved, the
 * tests take about four seconds.
 *
 * @example
 * ```ts
 * import { testSessionStore } from 'passport-client-assertion-jwt/testing'
 *
 * testSessionStore({ describe, it }, 'mine', () => {
 *   const { stores, ...rest } = open()
 *   return { store: stores.sessionStore, ...rest }
 * }, inMemory)
 * ```
 */
export function testSessionStore(
  { describe, it }: ContractRunner,
  title: string,
  open: OpenStore<SessionStore>,
  options: ContractOptions = {},
): void {
  const { connection } = contractOptions('testSessionStore', options)
  const ids = (sessions: readonly Session[]) => sessions.map(({ id }) => id)

  describe(`${title}: session store`, () => {
    it(
      'returns a session as it was created, with all members',
      withStore(open, async ({ store, other, now }) => {
        for (const session of [
          sessionAt(now()),
          sessionAt(now(), { issuer: 'https://as.example', adoptedRank: 1_700_000_000.5 }),
          sessionAt(now(), { expiresAt: Math.floor(now()) + 4000, clientId: '', scope: '', newest: 2 ** 31 + 5 }),
          sessionAt(now(), {
            version: 2,
            resources: ['https://api.example/a', 'urn:b?"c"'],
            keyThumbprint: 'thumb"print',
          }),
          sessionAt(now(), { version: 2, keyThumbprint: 'thumbprint' }),
          sessionAt(now(), { lockVersion: 7, extra: { auth_time: 0.5, nested: { list: [1, null, true, 'x', {}] } } }),
          sessionAt(now(), { type: 'pushed_request', extra: { parameters: { state: 's'.repeat(40_000) } } }),
          ...AWKWARD.map((text) =>
            sessionAt(now(), {
              id: unique(text),
              subject: unique(text),
              type: unique(text),
              clientId: text,
              extra: { [`k${text}`]: text },
            }),
          ),
        ]) {
          assert.equal(await store.create(session), 'created')
          alike(await store.get(session.id), session)
          alike(await other.get(session.id), session)
          alike(await other.list(session.subject, session.type), [session])
        }
      }),
    )

    it(
      'reports a session that it does not have as unknown or gone',
      withStore(open, async ({ store, now }) => {
        const session = sessionAt(now())
        assert.equal(await store.get(session.id), undefined)
        assert.equal(await store.save(session), 'gone')
        assert.equal(await store.get(session.id), undefined, 'a save never inserts')
        alike(await store.list(session.subject, session.type), [])
        assert.equal(await store.endAll(session.subject, session.type), 0)
        assert.equal(await store.end(session.id, Math.floor(now()) + 60), 'unknown')
      }),
    )

    it(
      'finds no session for an impossible id, and does not fail',
      withStore(open, async ({ store, now }) => {
        for (const text of ['\0', 'a\0b', ...AWKWARD]) {
          const session = sessionAt(now(), { id: unique(text), subject: unique(text) })
          assert.equal(await store.get(session.id), undefined)
          assert.equal(await store.save(session), 'gone')
          assert.equal(await store.end(session.id, Math.floor(now()) + 60), 'unknown')
          alike(await store.list(session.subject, 'oauth2'), [])
          alike(await store.list('subject', session.subject), [])
          assert.equal(await store.endAll(session.subject, 'oauth2'), 0)
          assert.equal(await store.endAll('subject', session.subject), 0)
        }
      }),
    )

    it(
      'stores and returns copies',
      withStore(open, async ({ store, now }) => {
        const inner = { a: 1 }
        const created = sessionAt(now(), { extra: { inner } })
        const before = asJson(created)
        const spoil = (session: Session | undefined) => {
          Object.assign(session?.extra['inner'] ?? {}, { a: 2 })
          Object.assign(session ?? {}, { scope: 'all', endedAt: 1 })
        }
        await store.create(created)
        spoil(created)
        const got = await store.get(before.id)
        alike(got, before)
        spoil(got)
        const [listed] = await store.list(before.subject, before.type)
        alike(listed, before)
        spoil(listed)
        const saved = { ...asJson(before), refreshedAt: before.refreshedAt + 1 }
        assert.equal(await store.save(saved), 'saved')
        assert.equal(saved.lockVersion, 0, 'the record handed in is not written to')
        spoil(saved)
        alike(await store.get(before.id), {
          ...before,
          refreshedAt: before.refreshedAt + 1,
          lockVersion: 1,
        })
      }),
    )

    it(
      'creates an id once, even with concurrent calls on two connections',
      withStore(open, async (subject) => {
        for (let round = 0; round < 5; round += 1) {
          const session = sessionAt(subject.now())
          const answers = await allAtOnce(subject, (store, caller) =>
            store.create({ ...session, clientId: `client-${caller}` }),
          )
          assert.equal(occurrences(answers, 'created'), 1)
          assert.equal(occurrences(answers, 'gone'), answers.length - 1)
          const winner = `client-${answers.indexOf('created')}`
          alike(await subject.store.get(session.id), { ...session, clientId: winner })
        }
      }),
    )

    it(
      'saves by compare-and-set on lockVersion',
      withStore(open, async ({ store, other, now }) => {
        const session = sessionAt(now())
        await store.create(session)
        const bound = { version: 2, resources: ['https://api.example/'], keyThumbprint: 'thumbprint' }
        const first = {
          ...session,
          ...bound,
          newest: 2,
          extra: { a: 'b' },
          refreshExpiresAt: session.refreshExpiresAt + 60,
        }
        assert.equal(await store.save(first), 'saved')
        alike(await other.get(session.id), { ...first, lockVersion: 1 })
        assert.equal(await other.save({ ...session, newest: 3 }), 'conflict')
        assert.equal(await other.save({ ...session, newest: 3, lockVersion: 2 }), 'conflict')
        alike(await store.get(session.id), { ...first, lockVersion: 1 })
        assert.equal(await other.save({ ...first, newest: 3, lockVersion: 1 }), 'saved')
        alike(await store.list(session.subject, session.type), [{ ...first, newest: 3, lockVersion: 2 }])
      }),
    )

    it(
      'lets exactly one of several concurrent saves on two connections win',
      withStore(open, async (subject) => {
        const session = sessionAt(subject.now())
        await subject.store.create(session)
        for (let round = 0; round < 5; round += 1) {
          const answers = await allAtOnce(subject, (store, caller) =>
            store.save({ ...session, lockVersion: round, newest: caller }),
          )
          assert.equal(occurrences(answers, 'saved'), 1)
          assert.equal(occurrences(answers, 'conflict'), answers.length - 1)
          const newest = answers.indexOf('saved')
          alike(await subject.store.get(session.id), { ...session, newest, lockVersion: round + 1 })
        }
      }),
    )

    it(
      'ends a session permanently',
      withStore(open, async ({ store, other, now }) => {
        const [session, untouched] = [sessionAt(now()), sessionAt(now())]
        await store.create(session)
        await store.create({ ...untouched, subject: session.subject })
        assert.equal(await other.end(session.id, session.refreshExpiresAt), 'ended')
        assert.equal(await store.end(session.id, session.refreshExpiresAt), 'unknown')
        assert.equal(await store.get(session.id), undefined)
        assert.equal(await store.save(session), 'gone')
        assert.equal(await store.create(session), 'gone')
        assert.equal(await store.get(session.id), undefined)
        alike(ids(await store.list(session.subject, session.type)), [untouched.id])
      }),
    )

    it(
      'ends a session that is saved with endedAt',
      withStore(open, async ({ store, now }) => {
        const session = sessionAt(now())
        await store.create(session)
        assert.equal(await store.save({ ...session, endedAt: session.createdAt, lockVersion: 4 }), 'conflict')
        alike(await store.get(session.id), session)
        assert.equal(await store.save({ ...session, endedAt: session.createdAt }), 'saved')
        assert.equal(await store.get(session.id), undefined)
        alike(await store.list(session.subject, session.type), [])
        assert.equal(await store.save({ ...session, lockVersion: 1 }), 'gone')
        assert.equal(await store.create(session), 'gone')
        assert.equal(await store.end(session.id, session.refreshExpiresAt), 'unknown')
        assert.equal(await store.endAll(session.subject, session.type), 0)
      }),
    )

    it(
      'does not create a session that was ended, has expired, or has endedAt',
      withStore(open, async ({ store, other, now }) => {
        const past = Math.floor(now()) - 1
        const session = sessionAt(now())
        await store.end(session.id, session.refreshExpiresAt)
        assert.equal(await other.create(session), 'gone')
        for (const over of [
          sessionAt(now(), { refreshExpiresAt: past }),
          sessionAt(now(), { expiresAt: past }),
          sessionAt(now(), { endedAt: past }),
        ]) {
          assert.equal(await store.create(over), 'gone')
          assert.equal(await store.get(over.id), undefined)
          alike(await store.list(over.subject, over.type), [])
        }
      }),
    )

    it(
      'keeps no session that is ended while it is created or saved',
      withStore(open, async ({ store, other, now }) => {
        for (let round = 0; round < 20; round += 1) {
          const session = sessionAt(now())
          if (round % 2) await store.create(session)
          const change = () => (round % 2 ? store.save({ ...session, newest: 2 }) : store.create(session))
          const end = () => other.end(session.id, session.refreshExpiresAt)
          await Promise.all(round % 4 < 2 ? [change(), end()] : [end(), change()])
          assert.equal(await store.get(session.id), undefined)
          assert.equal(await store.save({ ...session, lockVersion: 1 }), 'gone')
          assert.equal(await store.create(session), 'gone')
        }
      }),
    )

    it(
      'lists and ends by subject and type, oldest first',
      withStore(open, async ({ store, other, now }) => {
        const subject = unique('subject')
        const at = Math.floor(now())
        const make = (changes: Partial<Session>) => sessionAt(now(), { subject, ...changes })
        const [second, third, first] = [
          make({ createdAt: at - 20 }),
          make({ createdAt: at - 10 }),
          make({ createdAt: at - 30 }),
        ]
        const login = make({ type: 'full' })
        const others = [make({ subject: `${subject}x` }), make({ subject: `o${subject}` }), make({ type: 'OAuth2' })]
        for (const session of [second, third, first, login, ...others])
          assert.equal(await store.create(session), 'created')
        alike(await other.list(subject, 'oauth2'), [first, second, third])
        alike(await store.list(subject, 'full'), [login])

        await store.end(second.id, second.refreshExpiresAt)
        assert.equal(await other.endAll(subject, 'oauth2'), 2)
        alike(await store.list(subject, 'oauth2'), [])
        assert.equal(await store.endAll(subject, 'oauth2'), 0)
        for (const session of [first, second, third]) {
          assert.equal(await store.get(session.id), undefined)
          assert.equal(await store.save(session), 'gone')
          assert.equal(await store.create(session), 'gone')
        }
        for (const session of [login, ...others]) alike(await store.get(session.id), session)
        const next = make({})
        assert.equal(await store.create(next), 'created', 'what is opened later is not concerned')
        alike(await store.list(subject, 'oauth2'), [next])
      }),
    )

    it(
      'keeps subject and type apart',
      withStore(open, async ({ store, now }) => {
        const tail = unique('')
        const pairs = [
          ['ab', `c${tail}`],
          ['a', `bc${tail}`],
          ['a:b', `c${tail}`],
          ['a', `b:c${tail}`],
          ['', `abc${tail}`],
        ] as const
        const sessions = pairs.map(([type, subject]) => sessionAt(now(), { type, subject }))
        for (const session of sessions) await store.create(session)
        for (const session of sessions) alike(ids(await store.list(session.subject, session.type)), [session.id])
        assert.equal(await store.endAll(`bc${tail}`, 'a'), 1)
        for (const [at, session] of sessions.entries())
          alike(await store.get(session.id), at === 1 ? undefined : session)
      }),
    )

    it(
      'lists every session that survives a race with endAll, and the next endAll ends it',
      withStore(open, async ({ store, other, now }) => {
        for (let round = 0; round < 5; round += 1) {
          const subject = unique('subject')
          const [settled, racing] = [0, 1].map(() =>
            Array.from({ length: 8 }, () => sessionAt(now(), { subject })),
          ) as [Session[], Session[]]
          await Promise.all(settled.map((session) => store.create(session)))
          const creates = racing.map((session, at) => (at % 2 ? other : store).create(session))
          const saves = settled.map((session) => store.save({ ...session, newest: 2 }))
          const count = await other.endAll(subject, 'oauth2')
          const answers = await Promise.all(creates)
          await Promise.all(saves)

          assert.ok(count >= settled.length, `${count} were ended`)
          for (const { id } of settled) assert.equal(await store.get(id), undefined)
          const listed = ids(await store.list(subject, 'oauth2'))
          for (const [at, { id }] of racing.entries()) {
            const survived = (await store.get(id)) !== undefined
            assert.equal(listed.includes(id), survived, 'listed, if alive')
            assert.ok(!survived || answers[at] === 'created', 'alive only if the caller was told so')
          }
          await other.endAll(subject, 'oauth2')
          for (const { id } of racing) assert.equal(await store.get(id), undefined)
          alike(await store.list(subject, 'oauth2'), [])
        }
      }),
    )

    it(
      'expires sessions at the second of their idle or absolute end, and remembers ended ones long enough',
      withStore(open, async ({ store, now, waitUntil }) => {
        const subject = unique('subject')
        const end = Math.ceil(now()) + 5 // a slow machine has 4 seconds for what comes before it
        const make = (changes: Partial<Session>) => sessionAt(now(), { subject, ...changes })
        const idle = make({ refreshExpiresAt: end })
        const absolute = make({ expiresAt: end })
        const prolonged = make({ refreshExpiresAt: end })
        const shortened = make({})
        const marked = make({})
        for (const session of [idle, absolute, prolonged, shortened, marked])
          assert.equal(await store.create(session), 'created')
        assert.equal(await store.save({ ...prolonged, refreshExpiresAt: end + 600 }), 'saved')
        assert.equal(await store.save({ ...shortened, refreshExpiresAt: end }), 'saved')
        await store.end(marked.id, end) // it would have lived longer of itself
        const never = make({})
        await store.end(never.id, end + 600)
        await store.end(never.id, end)

        await waitUntil(end - 1)
        for (const session of [idle, absolute]) alike(await store.get(session.id), session)
        await waitUntil(end + 0.3)
        for (const session of [idle, absolute, shortened]) {
          assert.equal(await store.get(session.id), undefined)
          assert.equal(await store.save(session), 'gone')
        }
        for (const session of [idle, absolute]) assert.equal(await store.create(session), 'gone')
        const kept = { ...prolonged, refreshExpiresAt: end + 600, lockVersion: 1 }
        alike(await store.list(subject, 'oauth2'), [kept])
        assert.equal(await store.create(marked), 'gone', 'the marker outlives what it marks')
        assert.equal(await store.create(never), 'gone', 'a second end does not shorten the marker')
        assert.equal(await store.end(idle.id, end + 600), 'unknown')
        assert.equal(await store.endAll(subject, 'oauth2'), 1)
        assert.equal(await store.get(prolonged.id), undefined)
      }),
    )

    if (!connection) return
    it(
      'rejects when its connection is closed',
      withBrokenStore(open, async (store) => {
        const session = sessionAt(Date.now() / 1000)
        await assert.rejects(store.create(session), 'create')
        await assert.rejects(store.get(session.id), 'get')
        await assert.rejects(store.save(session), 'save')
        await assert.rejects(store.end(session.id, session.refreshExpiresAt), 'end')
        await assert.rejects(store.list(session.subject, session.type), 'list')
        await assert.rejects(store.endAll(session.subject, session.type), 'endAll')
      }),
    )
  })
}
