import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from '../../lib/client.ts'
import { CLOCK_DIFFERENCE_SECONDS } from '../../lib/clock.ts'
import { createConsents } from '../../lib/consent/consents.ts'
import { createIntrospection } from '../../lib/endpoints/introspection.ts'
import { createRevocation } from '../../lib/endpoints/revocation.ts'
import { OAuthError } from '../../lib/errors.ts'
import { clientCredentials } from '../../lib/exchanges/client_credentials.ts'
import { type RefreshTokenOptions, refreshToken } from '../../lib/exchanges/refresh_token.ts'
import type { Session } from '../../lib/session/session.ts'
import type { SessionStore } from '../../lib/session/session_store.ts'
import { createSessions, type SessionsOptions } from '../../lib/session/sessions.ts'
import { createMemorySessionStore } from '../../lib/stores/memory.ts'
import { createFakeClock } from '../../lib/testing/fake_clock.ts'
import { createTokens, type TokensOptions } from '../../lib/token/token_set.ts'

const BASE_SECRET = 'a base secret of more than thirty-two octets'
const ISSUER = 'https://as.example'
const app: Client = {
  client_id: 'app',
  grant_types: ['authorization_code', 'refresh_token'],
  scope: 'admin read write',
}
const other: Client = { ...app, client_id: 'other' }
const spa: Client = { ...app, client_id: 'spa', token_endpoint_auth_method: 'none' }

function setUp(options: Partial<TokensOptions> & Partial<SessionsOptions> & Partial<RefreshTokenOptions> = {}) {
  const clock = createFakeClock()
  const inner = createMemorySessionStore({ clock })
  const calls: string[] = []
  const store = Object.fromEntries(
    Object.entries(inner).map(([name, verb]) => [
      name,
      (...given: unknown[]) => {
        calls.push(name)
        return (verb as (...given: unknown[]) => unknown)(...given)
      },
    ]),
  ) as unknown as SessionStore
  const { permits, adopt, commaSeparatesScope, defaultScope, ...others } = options
  const {
    store: given = store,
    clock: _,
    idleLifetimeSeconds,
    absoluteLifetimeSeconds,
    overlapSeconds,
    ...rest
  } = others
  const { onReuse, rotate, perClient, ...forTokens } = rest
  const lifetimes = { idleLifetimeSeconds, absoluteLifetimeSeconds, overlapSeconds }
  const sessions = createSessions({ store: given, clock, ...lifetimes, onReuse, rotate, perClient })
  const tokens = createTokens({ issuer: ISSUER, baseSecret: BASE_SECRET, ...forTokens })
  const exchange = refreshToken({ sessions, tokens, permits, adopt, commaSeparatesScope, defaultScope })
  return {
    clock,
    inner,
    calls,
    sessions,
    tokens,
    refresh: (
      refresh_token: string | undefined,
      parameters: Record<string, string> = {},
      client = app,
      request?: unknown,
    ) =>
      exchange.run({
        client,
        parameters: refresh_token === undefined ? parameters : { refresh_token, ...parameters },
        now: clock(),
        context: request === undefined ? {} : { request },
      }),
    async connect(client = app, scope = 'read write', type?: string): Promise<{ session: Session; token: string }> {
      const permission = { subject: 'alice', clientId: client.client_id, scope }
      const session = await sessions.open(permission, { client, type, extra: { device: 'phone' } })
      assert.ok(session !== undefined)
      const given = { client, scope, generation: 1, now: clock(), context: {} }
      const { refresh_token = '' } = await tokens.issue(session, given)
      calls.length = 0
      return { session, token: refresh_token }
    },
  }
}

const refused = (code: string, reason: string) => (error: unknown) => {
  assert.ok(error instanceof OAuthError, String(error))
  assert.deepEqual([error.code, error.reason], [code, reason])
  return true
}

test('T64: every refresh gives a new access token and a new refresh token', async () => {
  const { connect, refresh, clock, tokens } = setUp()
  const { token, session } = await connect()
  clock.advance(100)
  const { access_token, refresh_token = '', ...rest } = await refresh(token)
  assert.deepEqual(rest, { token_type: 'Bearer', expires_in: 900, refresh_expires_in: 5_184_000, scope: 'read write' })
  assert.notEqual(refresh_token, token)
  const access = await tokens.verifyAccessToken(access_token, clock())
  assert.deepEqual([access?.sub, access?.sid, access?.client_id], ['alice', session.id, 'app'])
  assert.equal((await tokens.verifyRefreshToken(refresh_token, clock()))?.g, 2)
})

test('two trips to the store for a refresh, one for a join', async () => {
  const { connect, refresh, clock, calls } = setUp()
  const { token } = await connect()
  clock.advance(100)
  await refresh(token)
  assert.deepEqual(calls.splice(0), ['get', 'save'])
  await refresh(token)
  assert.deepEqual(calls, ['get'])
})

test('T54: without the grant unauthorized_client, also when the token is missing and the scope malformed', async () => {
  const { refresh, connect, calls } = setUp()
  const { token } = await connect()
  const without = { ...app, grant_types: ['authorization_code'] }
  await assert.rejects(refresh(token, {}, without), refused('unauthorized_client', 'grant_type_not_registered'))
  await assert.rejects(
    refresh(undefined, { scope: '"' }, without),
    refused('unauthorized_client', 'grant_type_not_registered'),
  )
  await assert.rejects(
    refresh(token, {}, { client_id: 'app' }),
    refused('unauthorized_client', 'grant_type_not_registered'),
  )
  assert.deepEqual(calls, [])
})

test('T54: without refresh_token invalid_request', async () => {
  await assert.rejects(setUp().refresh(undefined), refused('invalid_request', 'parameter_missing'))
})

test('T55, T57: a forged, foreign or malformed token is invalid_grant without touching the store', async () => {
  const { connect, refresh, calls, tokens, clock } = setUp()
  const { token, session } = await connect()
  const theirs = setUp({ baseSecret: 'another base secret of thirty-two octets' })
  const foreign = await theirs.connect()
  const given = { client: app, scope: '', generation: 1, now: clock(), context: {} }
  const { access_token } = await tokens.issue(session, given)
  for (const text of [
    foreign.token,
    `${token.slice(0, -1)}${token.endsWith('A') ? 'E' : 'A'}`,
    token.slice(0, -1),
    access_token,
    'x',
    'a.b.c',
    `${token}é`,
  ]) {
    await assert.rejects(refresh(text), refused('invalid_grant', 'refresh_token_malformed'))
  }
  assert.deepEqual(calls, [])
})

test('T55, S22: a token of a session that lay unused too long is invalid_grant', async () => {
  const { connect, refresh, clock } = setUp({ idleLifetimeSeconds: 100 })
  const { token } = await connect()
  clock.advance(100)
  await assert.rejects(refresh(token), refused('invalid_grant', 'session_not_found'))
})

const DAY = 86_400

test('S22: a client that keeps its refresh token and uses it daily is served as long as its session lives', async () => {
  for (const [title, options] of [
    ['rotate: false', { rotate: false }],
    ['each refresh is a retry', {}],
  ] as const) {
    const { connect, refresh, clock, sessions } = setUp({ ...options, absoluteLifetimeSeconds: 400 * DAY })
    const { token, session } = await connect()
    for (let day = 1; day < 400; day += 1) {
      clock.advance(DAY)
      await refresh(token).catch((cause: unknown) => assert.fail(`${title}, day ${day}: ${cause}`))
    }
    assert.ok(await sessions.get(session.id))
    clock.advance(DAY)
    await assert.rejects(refresh(token), refused('invalid_grant', 'session_not_found'), 'the absolute end')
  }
})

test('S22: a token past its exp is judged by its session: revoked, idle for too long, or reused', async () => {
  const { connect, refresh, clock, sessions, tokens, inner } = setUp()
  const revoke = createRevocation({ sessions, tokens })
  const introspect = createIntrospection({ sessions, tokens })
  const ask = (token: string) => ({ client: app, parameters: { token }, now: clock(), context: {} })

  const { token, session } = await connect()
  for (let use = 0; use < 3; use += 1) {
    clock.advance(50 * DAY)
    await refresh(token)
  }
  assert.equal(await tokens.verifyRefreshToken(token, clock()), undefined, 'it is past its exp')
  const answer = await introspect(ask(token))
  assert.equal(answer.active, true)
  assert.equal(answer.active && answer.exp, clock() + 60 * DAY, 'the exp of a refresh token is the end of its session')
  await revoke(ask(token))
  assert.equal(await sessions.get(session.id), undefined, 'revocation ends the session')
  assert.equal((await introspect(ask(token))).active, false)
  await assert.rejects(refresh(token), refused('invalid_grant', 'session_not_found'))
  await inner.create({ ...session, createdAt: clock(), refreshExpiresAt: clock() + 60 })
  assert.equal(await inner.get(session.id), undefined, 'a marker is left behind, although the token was past its exp')

  const forgotten = await connect()
  clock.advance(200 * DAY)
  await assert.rejects(refresh(forgotten.token), refused('invalid_grant', 'session_not_found'))
  assert.deepEqual(
    await revoke(ask(forgotten.token)),
    {},
    'a token of a session that is gone is revoked without a fault',
  )

  const stolen = await connect()
  let newest = stolen.token
  for (let use = 0; use < 4; use += 1) {
    clock.advance(50 * DAY)
    newest = (await refresh(newest)).refresh_token ?? ''
  }
  await assert.rejects(refresh(stolen.token), refused('invalid_grant', 'refresh_token_reused'))
  await assert.rejects(refresh(newest), refused('invalid_grant', 'session_not_found'))
})

test('G8: with rotate: false a refresh responds without refresh_token, and the client keeps the one it has', async () => {
  const { connect, refresh, clock } = setUp({ rotate: false })
  const { token } = await connect()
  clock.advance(100)
  const slid = await refresh(token)
  assert.deepEqual(Object.keys(slid).sort(), [
    'access_token',
    'expires_in',
    'refresh_expires_in',
    'scope',
    'token_type',
  ])
  assert.equal(slid.refresh_expires_in, 60 * DAY)
  const joined = await refresh(token)
  assert.equal(joined.refresh_token, undefined, 'also for a request that only joins')
  const { refresh_token } = await refresh((await connect(spa)).token, {}, spa)
  assert.ok(refresh_token, 'a public client gets a new one')
})

test('G8: with rotate: false an adopted token is replaced by one of this server, which then stays', async () => {
  const { refresh, clock } = setUp({ rotate: false, adopt: (token) => OLD.get(token) })
  const { refresh_token = '' } = await refresh('old-1')
  assert.notEqual(refresh_token, '')
  clock.advance(1000)
  assert.equal((await refresh(refresh_token)).refresh_token, undefined)
  assert.ok((await refresh('old-1')).refresh_token, 'a lost response can be retried')
})

test('T57: all refusals of a token go out in the same words', async () => {
  const { connect, refresh, clock, sessions } = setUp()
  const { token, session } = await connect()
  const said = async (promise: Promise<unknown>): Promise<string> => {
    const error = await promise.catch((cause: unknown) => cause)
    assert.ok(error instanceof OAuthError)
    return `${error.status} ${error.code} ${error.message}`
  }
  const all = [await said(refresh('x')), await said(refresh(token, {}, other))]
  clock.advance(100)
  const { refresh_token: second = '' } = await refresh(token)
  clock.advance(100)
  await refresh(second)
  clock.advance(100)
  all.push(await said(refresh(token))) // reuse
  all.push(await said(refresh(second))) // ended
  await sessions.end(session.id)
  all.push(await said(refresh(second)))
  assert.equal(new Set(all).size, 1, all.join('\n'))
})

test('T58, G1: another client with a stolen token neither moves nor ends the session', async () => {
  const { connect, refresh, clock, inner, calls } = setUp()
  const { token, session } = await connect()
  clock.advance(100)
  const { refresh_token: second = '' } = await refresh(token)
  clock.advance(100)
  await refresh(second)
  clock.advance(100)
  const before = await inner.get(session.id)
  calls.length = 0
  for (const stolen of [token, second]) {
    await assert.rejects(refresh(stolen, {}, other), refused('invalid_grant', 'refresh_token_client_mismatch'))
  }
  assert.deepEqual(calls, [])
  assert.deepEqual(await inner.get(session.id), before)
})

test("T59: a session that is not the client's is refused, whatever the token says", async () => {
  const { connect, refresh, tokens, clock } = setUp()
  const { session } = await connect()
  const given = { client: other, scope: '', generation: 1, now: clock(), context: {} }
  const { refresh_token = '' } = await tokens.issue(session, given)
  await assert.rejects(refresh(refresh_token, {}, other), refused('invalid_grant', 'refresh_token_client_mismatch'))
})

test('T55, S21: only sessions of the type oauth2 can be refreshed', async () => {
  const { connect, refresh, tokens, calls, clock } = setUp()
  const { token, session } = await connect(app, 'read', 'full')
  await assert.rejects(refresh(token), refused('invalid_grant', 'session_type_mismatch'))
  assert.deepEqual(calls, [], 'the token says so itself')
  const given = { client: app, scope: '', generation: 1, now: clock(), context: {} }
  const { refresh_token } = await tokens.issue({ ...session, type: 'oauth2' }, given)
  await assert.rejects(refresh(refresh_token), refused('invalid_grant', 'session_type_mismatch'))
})

test('T65: an ended session is invalid_grant', async () => {
  const { connect, refresh, sessions } = setUp()
  const { token, session } = await connect()
  await sessions.end(session.id)
  await assert.rejects(refresh(token), refused('invalid_grant', 'session_not_found'))
})

test('T60: what the application no longer permits is invalid_grant, and asking changes nothing', async () => {
  const told: unknown[] = []
  let allowed = true
  const { connect, refresh, clock, inner, calls } = setUp({
    permits: async (permission, { client, session, request }) => {
      told.push([permission, client.client_id, session?.extra, request])
      return allowed
    },
  })
  const { token, session } = await connect()
  clock.advance(100)
  const request = { url: '/token' }
  const { refresh_token: second = '' } = await refresh(token, {}, app, request)
  assert.deepEqual(told, [
    [{ subject: 'alice', clientId: 'app', scope: 'read write' }, 'app', { device: 'phone' }, request],
  ])
  allowed = false
  clock.advance(100)
  const before = await inner.get(session.id)
  calls.length = 0
  await assert.rejects(refresh(second), refused('invalid_grant', 'permission_withdrawn'))
  assert.deepEqual(calls, ['get'])
  assert.deepEqual(await inner.get(session.id), before)
})

test('T60: permits that fails is a 503, and the token still works', async () => {
  let broken = true
  const { connect, refresh } = setUp({
    permits: () => {
      if (broken) throw new Error('connect ECONNREFUSED')
      return true
    },
  })
  const { token } = await connect()
  await assert.rejects(refresh(token), { status: 503, reason: 'store_unavailable' })
  broken = false
  assert.ok(await refresh(token))
})

test('T84, T85: with commaSeparatesScope a comma separates values, and commas alone ask for nothing', async () => {
  const lenient = setUp({ commaSeparatesScope: true })
  const connected = await lenient.connect()
  const given = async (scope: string) => (await lenient.refresh(connected.token, { scope })).scope
  assert.equal(await given('write,read'), 'read write')
  assert.equal(await given('read, ,read'), 'read')
  assert.equal(await given(','), 'read write')
  await assert.rejects(given('read,admin'), refused('invalid_scope', 'scope_exceeded'))
  assert.throws(() => setUp({ commaSeparatesScope: 'yes' as unknown as boolean }), /'commaSeparatesScope'/)
})

test('T61: scope may narrow, never widen; it is within what the session has and the client is still registered for', async () => {
  const { connect, refresh, calls } = setUp()
  const { token } = await connect()
  assert.equal((await refresh(token, { scope: 'read' })).scope, 'read')
  assert.equal((await refresh(token, { scope: 'write  read read' })).scope, 'read write')
  calls.length = 0
  await assert.rejects(refresh(token, { scope: 'read admin' }), refused('invalid_scope', 'scope_exceeded'))
  await assert.rejects(refresh(token, { scope: 'unknown' }), refused('invalid_scope', 'scope_exceeded'))
  const less = { ...app, scope: 'admin read' }
  assert.equal((await refresh(token, {}, less)).scope, 'read')
  await assert.rejects(refresh(token, { scope: 'write' }, less), refused('invalid_scope', 'scope_exceeded'))
  const { scope: _, ...silent } = app
  assert.equal(
    (await refresh(token, {}, silent)).scope,
    undefined,
    'T101: no scope is registered, and there is no default',
  )
})

test('T84, T85, T86, T87, T88: the grammar of scope', async () => {
  const { connect, refresh } = setUp()
  const { token } = await connect()
  assert.equal((await refresh(token, { scope: '   ' })).scope, 'read write', 'spaces ask for nothing in particular')
  for (const scope of ['read,write', ',']) {
    await assert.rejects(refresh(token, { scope }), refused('invalid_scope', 'scope_exceeded'), scope)
  }
  for (const scope of ['re"ad', 're\\ad', 'read\n', 'read\twrite', 'read é', '\u0000', 'read\u00a0write']) {
    await assert.rejects(refresh(token, { scope }), refused('invalid_scope', 'scope_malformed'), JSON.stringify(scope))
  }
})

test('T79: a session without scope refreshes to tokens without scope', async () => {
  const { connect, refresh } = setUp()
  const { token } = await connect(app, '')
  assert.ok(!('scope' in (await refresh(token))))
  await assert.rejects(refresh(token, { scope: 'read' }), refused('invalid_scope', 'scope_exceeded'))
})

test('T62: narrowing is not remembered', async () => {
  const { connect, refresh, clock } = setUp()
  const { token } = await connect()
  clock.advance(100)
  const narrow = await refresh(token, { scope: 'read' })
  assert.equal(narrow.scope, 'read')
  clock.advance(100)
  assert.equal((await refresh(narrow.refresh_token ?? '')).scope, 'read write')
})

test('G2: a request refused for its scope changes nothing, not even for a token that would be reuse', async () => {
  const { connect, refresh, clock, inner } = setUp()
  const { token, session } = await connect()
  clock.advance(100)
  const { refresh_token: second = '' } = await refresh(token)
  clock.advance(100)
  await refresh(second)
  clock.advance(100)
  const before = await inner.get(session.id)
  for (const presented of [token, second]) {
    await assert.rejects(refresh(presented, { scope: 'admin' }), refused('invalid_scope', 'scope_exceeded'))
    await assert.rejects(refresh(presented, { scope: '"' }), refused('invalid_scope', 'scope_malformed'))
  }
  assert.deepEqual(await inner.get(session.id), before)
})

test('G16: a token that was superseded ends the session when it comes again', async () => {
  const { connect, refresh, clock, sessions } = setUp()
  const { token, session } = await connect()
  clock.advance(100)
  const { refresh_token: second = '' } = await refresh(token)
  clock.advance(100)
  const { refresh_token: third = '' } = await refresh(second)
  clock.advance(100)
  await assert.rejects(refresh(token), refused('invalid_grant', 'refresh_token_reused'))
  assert.equal(await sessions.get(session.id), undefined)
  await assert.rejects(refresh(third), refused('invalid_grant', 'session_not_found'))
})

test('G9: a client that loses five answers in a row goes on with the token it has', async () => {
  const { connect, refresh, clock } = setUp()
  let { token } = await connect()
  for (let lost = 0; lost < 5; lost += 1) {
    clock.advance(11)
    await refresh(token)
  }
  for (let round = 0; round < 3; round += 1) {
    clock.advance(11)
    token = (await refresh(token)).refresh_token ?? ''
  }
})

test('T63: 50 refreshes of one token at once all succeed, every answer can be used on, and the session lives', async () => {
  const { connect, refresh, clock, sessions } = setUp()
  const { token, session } = await connect()
  clock.advance(100)
  const answers = await Promise.all(Array.from({ length: 50 }, () => refresh(token)))
  assert.equal(new Set(answers.map(({ refresh_token }) => refresh_token)).size, 50)
  clock.advance(100)
  const next = await Promise.all(answers.map(({ refresh_token = '' }) => refresh(refresh_token)))
  assert.equal(next.length, 50)
  assert.ok(await sessions.get(session.id))
})

test('S9, G9: when signing fails after the session was saved, the presented token still works', async () => {
  let broken = true
  const { connect, refresh, clock } = setUp({
    claims: () => {
      if (broken) throw new Error('the directory is down')
      return {}
    },
  })
  broken = false
  const { token } = await connect()
  broken = true
  clock.advance(100)
  await assert.rejects(refresh(token), { status: 500, cause: new Error('the directory is down') })
  broken = false
  clock.advance(100)
  assert.ok((await refresh(token)).access_token)
})

test('G13: a public client refreshes, until its absolute lifetime ends', async () => {
  const { connect, refresh, clock } = setUp()
  let { token } = await connect(spa)
  for (let month = 1; month <= 12; month += 1) {
    clock.advance(30 * 86_400)
    const set = await refresh(token, {}, spa)
    token = set.refresh_token ?? ''
    assert.equal(set.refresh_expires_in, Math.min(60, 365 - month * 30) * 86_400)
  }
  clock.advance(5 * 86_400)
  await assert.rejects(refresh(token, {}, spa), refused('invalid_grant', 'session_not_found'))
})

test('T82: the claims hook gets the HTTP request of the refresh', async () => {
  const requests: unknown[] = []
  const { connect, refresh } = setUp({
    claims: ({ request }) => {
      requests.push(request)
      return {}
    },
  })
  const { token } = await connect()
  const request = { url: '/token' }
  await refresh(token, {}, app, request)
  assert.equal(requests.at(-1), request)
})

// Tokens of the application's own, from before it had this package.
const OLD = new Map([
  ['old-1', { subject: 'bob', clientId: 'app', scope: 'write read', extra: { since: 2019 } }],
  ['old-2', { subject: 'bob', clientId: 'other', scope: 'read' }],
])

const adopting = () => {
  const asked: string[] = []
  return {
    asked,
    ...setUp({
      adopt: async (token) => {
        asked.push(token)
        return OLD.get(token)
      },
    }),
  }
}

test("adopt: an application's old token opens a session and is answered with tokens of ours", async () => {
  const { refresh, sessions, clock } = adopting()
  const set = await refresh('old-1')
  assert.equal(set.scope, 'read write')
  const [session] = await sessions.list('bob', 'oauth2')
  assert.deepEqual([session?.clientId, session?.scope, session?.extra], ['app', 'read write', { since: 2019 }])
  clock.advance(100)
  assert.ok((await refresh(set.refresh_token ?? '')).refresh_token)
})

test('adopt: the application is asked once for each token; the session never says which token opened it', async () => {
  const { refresh, asked, clock, sessions } = adopting()
  await refresh('old-1')
  clock.advance(100)
  await refresh('old-1')
  assert.deepEqual(asked, ['old-1'])
  const listed = await sessions.list('bob', 'oauth2')
  assert.equal(listed.length, 1)
  assert.ok(!JSON.stringify(listed).includes('old-1'))
})

test('adopt: a lost answer can be retried for ever with the old token, and 20 requests at once open one session', async () => {
  const { refresh, clock, sessions } = adopting()
  const answers = await Promise.all(Array.from({ length: 20 }, () => refresh('old-1')))
  assert.equal((await sessions.list('bob', 'oauth2')).length, 1)
  for (let lost = 0; lost < 5; lost += 1) {
    clock.advance(3600)
    await refresh('old-1')
  }
  clock.advance(3600)
  assert.ok(await refresh(answers[7]?.refresh_token ?? ''))
})

test('adopt: once a new token was used, the old one is reuse like any other, and is not adopted again', async () => {
  const { refresh, clock, sessions, asked } = adopting()
  const first = await refresh('old-1')
  clock.advance(100)
  const second = await refresh(first.refresh_token ?? '')
  clock.advance(100)
  await refresh(second.refresh_token ?? '')
  clock.advance(100)
  await assert.rejects(refresh('old-1'), refused('invalid_grant', 'refresh_token_reused'))
  assert.deepEqual(await sessions.list('bob', 'oauth2'), [])
  await assert.rejects(refresh('old-1'), refused('invalid_grant', 'session_not_found'))
  assert.deepEqual(asked, ['old-1', 'old-1'], 'asked again, but the id of its session stays ended')
})

test("adopt: a token the application does not know, or another client's, is invalid_grant and opens nothing", async () => {
  const { refresh, sessions } = adopting()
  await assert.rejects(refresh('never-issued'), refused('invalid_grant', 'refresh_token_malformed'))
  await assert.rejects(refresh('old-2'), refused('invalid_grant', 'refresh_token_client_mismatch'))
  assert.deepEqual(await sessions.list('bob', 'oauth2'), [])
  await refresh('old-1')
  await assert.rejects(refresh('old-1', {}, other), refused('invalid_grant', 'refresh_token_client_mismatch'))
  assert.equal((await sessions.list('bob', 'oauth2')).length, 1)
})

test('adopt: a hook that fails is a 503, and the token is not lost', async () => {
  let broken = true
  const { refresh } = setUp({
    adopt: () => {
      if (broken) throw new Error('no database')
      return OLD.get('old-1')
    },
  })
  await assert.rejects(refresh('old-1'), { status: 503 })
  broken = false
  assert.ok(await refresh('old-1'))
})

test('G10: without expiresAt a token opens one session in a year: not a second one when the first is ended, idle or forgotten', async () => {
  for (const end of ['ended', 'idle', 'reused'] as const) {
    const { refresh, clock, sessions } = adopting()
    const first = await refresh('old-1')
    const [session] = await sessions.list('bob', 'oauth2')
    if (end === 'ended') await sessions.end(session?.id ?? '')
    if (end === 'reused') {
      for (let count = 0, token = first.refresh_token ?? ''; count < 2; count += 1) {
        clock.advance(100)
        token = (await refresh(token)).refresh_token ?? ''
      }
      clock.advance(100)
      await assert.rejects(refresh('old-1'), refused('invalid_grant', 'refresh_token_reused'))
    }
    for (const days of [1, 61, 302]) {
      clock.advance(days * 86_400)
      if (end === 'idle' && days === 1) continue
      await assert.rejects(refresh('old-1'), refused('invalid_grant', 'session_not_found'), `${end}, ${days} days`)
    }
    clock.advance(2 * 86_400)
    assert.ok(await refresh('old-1'), 'after a year the hook alone decides: no record stays for ever')
  }
})

test('adopt: a token is remembered though the store failed right after the session was opened', async () => {
  const { refresh, clock, sessions, inner } = adopting()
  const { create } = inner
  let failing = true
  inner.create = async (record) => {
    if (failing && record.type === 'opened_once') throw new Error('no database')
    return create(record)
  }
  const broken = setUp({ adopt: (token) => OLD.get(token), store: inner })
  await assert.rejects(broken.refresh('old-1'), { status: 503 })
  failing = false
  await broken.refresh('old-1')
  for (const { id } of await broken.sessions.list('bob', 'oauth2')) await broken.sessions.end(id)
  broken.clock.advance(61 * 86_400)
  clock.advance(61 * 86_400)
  await assert.rejects(broken.refresh('old-1'), refused('invalid_grant', 'session_not_found'))
  await assert.rejects(refresh('never-issued'), refused('invalid_grant', 'refresh_token_malformed'))
  assert.deepEqual(await sessions.list('bob', 'oauth2'), [])
})

test('adopt: the expiry of the old token is how long it is remembered, and one in the past opens nothing', async () => {
  const end = createFakeClock()() + 1000
  const { refresh, clock, sessions, inner } = setUp({ adopt: () => ({ ...OLD.get('old-1'), expiresAt: end }) as never })
  await refresh('old-1')
  const remembered = await inner.list('bob', 'opened_once')
  assert.deepEqual(
    remembered.map(({ expiresAt }) => expiresAt),
    [end + CLOCK_DIFFERENCE_SECONDS],
  )
  for (const { id } of await sessions.list('bob', 'oauth2')) await sessions.end(id)
  clock.advance(1000)
  await assert.rejects(refresh('old-2'), refused('invalid_grant', 'refresh_token_expired'))
  for (const expiresAt of [Number.NaN, new Date(), '2030'] as never[]) {
    const broken = setUp({ adopt: () => ({ ...OLD.get('old-1'), expiresAt }) as never })
    await assert.rejects(broken.refresh('old-1'), { status: 500, reason: 'misconfigured' })
  }
  const fraction = setUp({ adopt: () => ({ ...OLD.get('old-1'), expiresAt: end + 0.5 }) as never })
  assert.ok(await fraction.refresh('old-1'))
})

test('adopt: a session that may be opened once is not remembered for less than it lives, and 20 openings are one', async () => {
  const { sessions, clock } = setUp()
  const permission = { subject: 'bob', clientId: 'app', scope: '' }
  const open = () => sessions.open(permission, { id: 'one', idleLifetimeSeconds: 60, rememberUntil: clock() + 1000 })
  const opened = await Promise.all(Array.from({ length: 20 }, open))
  assert.equal(opened.filter((session) => session !== undefined).length, 1)
  clock.advance(999)
  assert.equal(await open(), undefined)
  clock.advance(1)
  assert.ok(await open())
})

test('adopt: what is refused for scope or permission opens no session', async () => {
  let allowed = false
  const { refresh, sessions } = setUp({ adopt: (token) => OLD.get(token), permits: () => allowed })
  await assert.rejects(refresh('old-1'), refused('invalid_grant', 'permission_withdrawn'))
  allowed = 'yes' as never
  await assert.rejects(refresh('old-1'), { status: 500, reason: 'misconfigured', detail: /'permits'/ })
  allowed = true
  await assert.rejects(refresh('old-1', { scope: 'admin' }), refused('invalid_scope', 'scope_exceeded'))
  assert.deepEqual(await sessions.list('bob', 'oauth2'), [])
  assert.equal((await refresh('old-1', { scope: 'read' })).scope, 'read')
})

test('T101: a client record without scope has the default scope of the server, at refresh as everywhere', async () => {
  for (const scope of [undefined, null, ''] as const) {
    const client = { ...app, scope } as unknown as Client
    const none = setUp()
    const { token } = await none.connect()
    none.clock.advance(100)
    assert.equal((await none.refresh(token, {}, client)).scope, undefined)
    await assert.rejects(none.refresh(token, { scope: 'read' }, client), refused('invalid_scope', 'scope_exceeded'))
    none.clock.advance(100)
    assert.equal((await none.refresh(token)).scope, 'read write', 'the session lost nothing by that mistake')
    const some = setUp({ defaultScope: 'read profile' })
    assert.equal((await some.refresh((await some.connect()).token, {}, client)).scope, 'read')
    const machine = { ...client, grant_types: ['client_credentials'] }
    const { tokens, clock } = some
    const ask = (options: { defaultScope?: string }) =>
      clientCredentials({ tokens, ...options }).run({ client: machine, parameters: {}, now: clock(), context: {} })
    assert.equal((await ask({})).scope, undefined)
    assert.equal((await ask({ defaultScope: 'read profile' })).scope, 'profile read')
  }
  for (const defaultScope of ['a"b', 7, ['read']] as never[])
    assert.throws(() => setUp({ defaultScope }), /defaultScope/)
})

test('A35: a scope that the client lost and got back is not in the session again', async () => {
  const { refresh, connect, clock, sessions } = setUp()
  const { token, session } = await connect()
  clock.advance(100)
  const reader = { ...app, scope: 'read' }
  const narrowed = await refresh(token, {}, reader)
  assert.equal(narrowed.scope, 'read')
  assert.equal((await sessions.get(session.id))?.scope, 'read')
  clock.advance(100)
  assert.equal((await refresh(narrowed.refresh_token)).scope, 'read')
})

test('A35: with consents as permits, a client that lost a scope goes on with the rest, and asks again for what it gets back', async () => {
  const clock = createFakeClock()
  const store = createMemorySessionStore({ clock })
  const consents = createConsents({ store, clock })
  const { refresh, connect } = setUp({ store, clock, permits: consents.allows })
  const permission = { subject: 'alice', clientId: 'app', scope: 'read write' }
  await consents.remember(permission)
  const { token } = await connect()
  assert.equal((await refresh(token, {}, { ...app, scope: 'read' })).scope, 'read')
  assert.equal(await consents.allows(permission, { client: app }), false)
  assert.equal(await consents.allows({ ...permission, scope: 'read' }, { client: app }), true)
})

test('the exchange refuses parts it cannot work with when it is made', () => {
  const { sessions, tokens } = setUp()
  assert.throws(() => refreshToken({ sessions: {} as typeof sessions, tokens }), /'sessions'/)
  assert.throws(() => refreshToken({ sessions, tokens: {} as typeof tokens }), /'tokens'/)
  assert.throws(() => refreshToken({ sessions, tokens, permits: true as unknown as () => boolean }), /'permits'/)
  assert.throws(() => refreshToken({ sessions, tokens, adopt: {} as () => undefined }), /'adopt'/)
})
