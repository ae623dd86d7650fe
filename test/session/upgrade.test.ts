import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OAuthError } from '../../lib/errors.ts'
import { openedSession, SESSION_VERSION, type Session } from '../../lib/session/session.ts'
import { createSessions } from '../../lib/session/sessions.ts'
import { upgradeSession } from '../../lib/session/upgrade.ts'
import { createMemorySessionStore } from '../../lib/stores/memory.ts'

const client = { client_id: 'app' }
const NOW = 1_800_000_000

const current = openedSession(
  { subject: 'alice', clientId: 'app', scope: 'read' },
  { id: 's', type: 'oauth2', now: NOW, lifetimes: { idleSeconds: 1000, absoluteSeconds: undefined }, extra: {} },
)

/** As it was before there were generations, and before records had a version. */
const old = {
  id: 's',
  type: 'oauth2',
  subject: 'alice',
  clientId: 'app',
  scope: 'read',
  createdAt: NOW - 500,
  refreshedAt: NOW - 400,
  refreshExpiresAt: NOW + 1000,
  lockVersion: 3,
} as unknown as Session

test('S20: a record of the current version is left as it is', () => {
  assert.equal(upgradeSession(current), current)
  assert.equal(current.version, SESSION_VERSION)
})

test('S20, G15: a record without generations gets the state of a new session, and keeps the rest', () => {
  assert.deepEqual(upgradeSession(old), {
    ...old,
    newest: 1,
    confirmed: 0,
    firstChild: 1,
    previous: 1,
    newestAt: NOW - 400,
    confirmedAt: NOW - 400,
    endedAt: undefined,
    extra: {},
    version: SESSION_VERSION,
  })
})

test('S20: a record goes up one step at a time, beginning at its own version', () => {
  const steps = ['a', 'b', 'c'].map((name, at) => (record: Readonly<Record<string, unknown>>) => {
    assert.equal(record['version'] ?? 0, at)
    return { ...record, trail: `${record['trail'] ?? ''}${name}`, version: at + 1 }
  })
  const trail = (record: object): unknown =>
    (upgradeSession(record as Session, steps) as unknown as { trail: string }).trail
  assert.equal(trail({}), 'abc')
  assert.equal(trail({ version: 1 }), 'bc')
  assert.equal(trail({ version: 2 }), 'c')
})

test('a record of a later version is not guessed at', () => {
  assert.throws(() => upgradeSession({ ...current, version: 3 }), /version 3/)
})

test('S20: an old record can be refreshed, and is stored in the current format from then on', async () => {
  const inner = createMemorySessionStore({ clock: () => NOW })
  let saved: Session | undefined
  const store = {
    ...inner,
    get: async () => old,
    save: async (session: Session) => {
      saved = session
      return 'saved' as const
    },
  }
  const sessions = createSessions({ store })
  const { outcome } = await sessions.refresh({ sessionId: 's', generation: 1 }, { client, now: NOW })
  assert.equal(outcome, 'confirm')
  assert.deepEqual([saved?.version, saved?.lockVersion, saved?.newest], [1, 3, 2])
})

test('a record of a later version is a fault: 503, not a lost session', async () => {
  const store = { ...createMemorySessionStore(), get: async () => ({ ...current, version: 3 }) }
  await assert.rejects(createSessions({ store }).get('s', NOW), (error: unknown) => {
    assert.ok(error instanceof OAuthError)
    return error.status === 503
  })
})

test('RI17: a session that is bound to nothing is version 1, one that is bound to a resource or a key is version 2', async () => {
  const store = createMemorySessionStore({ clock: () => NOW })
  const sessions = createSessions({ store, clock: () => NOW })
  const permission = { subject: 'alice', clientId: 'app', scope: 'read' }
  const opened = [
    await sessions.open(permission),
    await sessions.open({ ...permission, resources: [] }),
    await sessions.open({ ...permission, resources: ['https://a.example', 'https://b.example', 'https://a.example'] }),
    await sessions.open(permission, { keyThumbprint: 'thumbprint' }),
  ]
  const stored = await Promise.all(opened.map((session) => store.get(session?.id ?? '')))
  assert.deepEqual(
    stored.map((session) => [session?.version, session?.resources, session?.keyThumbprint]),
    [
      [1, undefined, undefined],
      [1, undefined, undefined],
      [2, ['https://a.example', 'https://b.example'], undefined],
      [2, undefined, 'thumbprint'],
    ],
  )
  for (const resources of ['https://a.example', [1], [''], {}])
    await assert.rejects(sessions.open({ ...permission, resources } as never), /resources/)
  await assert.rejects(sessions.open(permission, { keyThumbprint: 1 as never }), /keyThumbprint/)
})

test('RI17: a refresh and a touch keep what the session is bound to, and its version', async () => {
  const store = createMemorySessionStore({ clock: () => NOW })
  const sessions = createSessions({ store, clock: () => NOW })
  const session = await sessions.open(
    { subject: 'alice', clientId: 'app', scope: 'read', resources: ['https://a.example'] },
    { keyThumbprint: 'thumbprint' },
  )
  assert.ok(session)
  await sessions.refresh(
    { sessionId: session.id, generation: 1 },
    { client, now: NOW + 60, keyThumbprint: 'thumbprint' },
  )
  await sessions.touch(session.id, { now: NOW + 61, extra: { a: 1 } })
  const { resources, keyThumbprint, version, newest } = (await store.get(session.id)) as Session
  assert.deepEqual([resources, keyThumbprint, version, newest], [['https://a.example'], 'thumbprint', 2, 2])
})

test('RI17: code that knows only version 1 refuses a version 2 record', async () => {
  const bound = { ...current, version: 2, resources: ['https://a.example'] }
  assert.equal(upgradeSession(bound), bound)
  assert.throws(() => upgradeSession(bound, undefined, 1), /version 2.*supports 1/)
})

test('RI17: a binding that cannot be read is a fault: 503, and never an unbound session', async () => {
  for (const binding of [{ resources: 'https://a.example' }, { resources: [1] }, { keyThumbprint: 7 }]) {
    const store = { ...createMemorySessionStore(), get: async () => ({ ...current, version: 2, ...binding }) }
    await assert.rejects(
      createSessions({ store: store as never }).get('s', NOW),
      (error: unknown) => error instanceof OAuthError && error.status === 503,
    )
  }
})
