import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Client } from '../../lib/client.ts'
import { createCodes } from '../../lib/code/codes.ts'
import { createConsents } from '../../lib/consent/consents.ts'
import type { OAuthError } from '../../lib/errors.ts'
import type { SessionStore } from '../../lib/session/session_store.ts'
import { createSessions } from '../../lib/session/sessions.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'

const NOW = 1_800_000_000
const clock = () => NOW
const client: Client = { client_id: 'web', client_secret: 'x'.repeat(40), scope: 'read' }
const permission = { subject: 'alice', clientId: 'web', scope: 'read' }

/** A 503 that tells operators what the store must return, or what it did. */
const isWrongAnswer = ({ status, reason, detail, cause }: OAuthError): true => {
  assert.deepEqual({ status, reason }, { status: 503, reason: 'store_unavailable' })
  assert.match(detail ?? '', /^\w+ of the (session )?store must return [\w, ]+$|^the session store returned something/)
  assert.match(String(cause), /^.{1,200}$/)
  return true
}

/** None of these is an outcome, a session, a list of sessions or a number. */
const JUNK: readonly unknown[] = [null, true, 'junk', {}, 5.5, () => 'created', Symbol('created')]

type Store = Record<keyof SessionStore, (...given: unknown[]) => Promise<unknown>>

/** A store with a session and a consent in it; one of its verbs can be replaced afterwards. */
async function stored() {
  const store = { ...createMemoryStores({ clock }).sessionStore } as unknown as Store
  const sessions = createSessions({ store: store as never, clock })
  const consents = createConsents({ store: store as never, clock })
  const opened = await sessions.open(permission, { id: 'known', client, now: NOW })
  assert.ok(opened)
  await consents.remember(permission)
  return { store, sessions, consents }
}
type Stored = Awaited<ReturnType<typeof stored>>

/** Every function that asks a session store, with the verb that it asks. */
const CALLS: readonly (readonly [name: string, verb: keyof SessionStore, call: (made: Stored) => Promise<unknown>])[] =
  [
    ['sessions.open', 'create', ({ sessions }) => sessions.open(permission, { client, now: NOW })],
    [
      'sessions.open with adopted',
      'get',
      ({ sessions }) => sessions.open(permission, { id: 'old', now: NOW, adopted: { openedAt: NOW } }),
    ],
    [
      'sessions.revokeAccessToken',
      'create',
      ({ sessions }) => sessions.revokeAccessToken({ jti: 'one', sub: 'alice', client_id: 'web', exp: NOW + 60 }, NOW),
    ],
    ['sessions.isAccessTokenRevoked', 'get', ({ sessions }) => sessions.isAccessTokenRevoked('one', NOW)],
    ['sessions.get', 'get', ({ sessions }) => sessions.get('known')],
    [
      'sessions.refresh',
      'save',
      ({ sessions }) => sessions.refresh({ sessionId: 'known', generation: 1 }, { client, now: NOW + 60 }),
    ],
    ['sessions.touch', 'save', ({ sessions }) => sessions.touch('known', { extra: { seen: 1 } })],
    ['sessions.end', 'end', ({ sessions }) => sessions.end('known')],
    ['sessions.list', 'list', ({ sessions }) => sessions.list('alice', 'oauth2')],
    ['sessions.endAll', 'endAll', ({ sessions }) => sessions.endAll('alice', 'full')],
    ['sessions.endAll, which remembers the call', 'create', ({ sessions }) => sessions.endAll('alice', 'oauth2')],
    ['consents.allows', 'get', ({ consents }) => consents.allows(permission)],
    ['consents.remember', 'save', ({ consents }) => consents.remember({ ...permission, scope: 'write' })],
    [
      'consents.remember for the first time',
      'create',
      ({ consents }) => consents.remember({ ...permission, clientId: 'new' }),
    ],
    ['consents.withdraw', 'save', ({ consents }) => consents.withdraw('alice', 'web')],
    ['consents.list', 'list', ({ consents }) => consents.list('alice')],
  ]

describe('what a session store returns outside its contract is a fault, 503, whose detail says so, whichever function asked', () => {
  for (const [name, verb, call] of CALLS)
    test(`${name}: ${verb}`, async () => {
      // a store may return null for nothing
      for (const junk of JUNK.filter((each) => each !== null || verb !== 'get')) {
        const made = await stored()
        made.store[verb] = async () => junk
        const what = `${typeof junk} ${String(junk)}`
        await assert.rejects(call(made), isWrongAnswer, what)
      }
    })
})

describe('what a code store returns outside its contract is a fault, 503, whose detail says so', () => {
  const issue = (add: () => Promise<unknown>): Promise<string> => {
    const { codeStore } = createMemoryStores({ clock })
    const given = { ...permission, redirectUri: 'https://app.example/cb', redirectUriWasSent: true }
    const codes = createCodes({ store: { ...codeStore, add: add as never } })
    return codes.issue({ ...given, codeChallenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM' }, NOW)
  }

  test('no code leaves the server if add returned something else than added or too_many', async () => {
    for (const junk of JUNK)
      await assert.rejects(
        issue(async () => junk),
        isWrongAnswer,
        String(junk),
      )
  })

  test('nothing counts as added: stores for version 0.1.0 returned nothing', async () => {
    assert.match(await issue(async () => undefined), /^[\w-]{43}$/)
    await assert.rejects(
      issue(async () => 'too_many'),
      { reason: 'too_many_codes' },
    )
  })
})
