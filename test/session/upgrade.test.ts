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
  assert.throws(() => upgradeSession({ ...current, version: 2 }), /version 2/)
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
  const store = { ...createMemorySessionStore(), get: async () => ({ ...current, version: 2 }) }
  await assert.rejects(createSessions({ store }).get('s', NOW), (error: unknown) => {
    assert.ok(error instanceof OAuthError)
    return error.status === 503
  })
})
