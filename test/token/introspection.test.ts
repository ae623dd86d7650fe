import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from '../../lib/client.ts'
import { createIntrospection } from '../../lib/endpoints/introspection.ts'
import { createRevocation } from '../../lib/endpoints/revocation.ts'
import { OAuthError } from '../../lib/errors.ts'
import { refreshToken } from '../../lib/exchanges/refresh_token.ts'
import type { Session } from '../../lib/session/session.ts'
import { createSessions, type SessionsOptions } from '../../lib/session/sessions.ts'
import { createMemorySessionStore } from '../../lib/stores/memory.ts'
import { createFakeClock } from '../../lib/testing/fake_clock.ts'
import { createTokens, type TokensOptions } from '../../lib/token/token_set.ts'

const ISSUER = 'https://as.example'
const app: Client = { client_id: 'app', grant_types: ['refresh_token', 'client_credentials'], scope: 'read write' }
const api: Client = { client_id: 'api' }
const spa: Client = { client_id: 'spa', token_endpoint_auth_method: 'none', grant_types: ['refresh_token'] }
const INACTIVE = { active: false }
const BASE_SECRET = 'a base secret of more than thirty-two octets'

function setUp(options: Partial<TokensOptions> & Partial<SessionsOptions> = {}) {
  const clock = createFakeClock()
  const store = createMemorySessionStore({ clock })
  const { perClient, idleLifetimeSeconds, absoluteLifetimeSeconds, onReuse, rotate, ...forTokens } = options
  const settings = { perClient, idleLifetimeSeconds, absoluteLifetimeSeconds, onReuse, rotate }
  const sessions = createSessions({ store, clock, ...settings })
  const tokens = createTokens({
    issuer: ISSUER,
    baseSecret: BASE_SECRET,
    ...forTokens,
  })
  const introspection = createIntrospection({ sessions, tokens, mayAsk: () => true })
  const revocation = createRevocation({ sessions, tokens })
  const exchange = refreshToken({ sessions, tokens })
  const request = (client: Client, parameters: Record<string, string>) => ({
    client,
    parameters,
    now: clock(),
    context: {},
  })
  return {
    clock,
    sessions,
    tokens,
    introspect: (token: string, client = api, more: Record<string, string> = {}) =>
      introspection(request(client, { token, ...more })),
    revoke: (token: string, client = app, more: Record<string, string> = {}) =>
      revocation(request(client, { token, ...more })),
    refresh: (refresh_token: string, client = app) => exchange.run(request(client, { refresh_token })),
    introspection,
    revocation,
    request,
    async connect(client = app): Promise<{ session: Session; access: string; refresh: string }> {
      const permission = { subject: 'alice', clientId: client.client_id, scope: 'read write' }
      const session = await sessions.open(permission, { client })
      assert.ok(session !== undefined)
      const given = { client, scope: 'read', generation: 1, now: clock(), context: {} }
      const { access_token, refresh_token = '' } = await tokens.issue(session, given)
      return { session, access: access_token, refresh: refresh_token }
    },
  }
}

for (const accessTokenFormat of ['jwt', 'opaque'] as const) {
  test(`T65: any confidential client learns of an access token (${accessTokenFormat}) what it says`, async () => {
    const { connect, introspect, clock } = setUp({ accessTokenFormat, claims: () => ({ tenant: 'blue' }) })
    const { access, session } = await connect()
    const { jti, ...answer } = (await introspect(access)) as Record<string, unknown>
    assert.equal(typeof jti, 'string')
    assert.deepEqual(answer, {
      active: true,
      scope: 'read',
      client_id: 'app',
      sub: 'alice',
      exp: clock() + 900,
      iat: clock(),
      iss: ISSUER,
      aud: ISSUER,
      sid: session.id,
      styp: 'oauth2',
      tenant: 'blue',
      token_type: 'Bearer',
    })
    clock.advance(900)
    assert.deepEqual(await introspect(access), INACTIVE)
  })
}

test('a token of the client itself introspects without a session', async () => {
  const { tokens, introspect, clock } = setUp()
  const { access_token } = await tokens.issueForClient(app, { scope: '', now: clock(), context: {} })
  const answer = (await introspect(access_token)) as Record<string, unknown>
  assert.deepEqual([answer['active'], answer['sub'], answer['scope']], [true, 'app', ''])
  assert.ok(!('sid' in answer))
})

test('a scope that the application made a list is answered as text', async () => {
  const { connect, introspect } = setUp({ claims: () => ({ scope: ['read', 'write'] }) })
  assert.equal(((await introspect((await connect()).access)) as Record<string, unknown>)['scope'], 'read write')
})

test('no claim the application adds can say that a token is active, or of another type', async () => {
  const { connect, introspect, sessions } = setUp({ claims: () => ({ active: true, token_type: 'N_A' }) })
  const { access, session } = await connect()
  assert.equal(((await introspect(access)) as Record<string, unknown>)['token_type'], 'Bearer')
  await sessions.end(session.id)
  assert.deepEqual(await introspect(access), INACTIVE)
})

test('a refresh token introspects as its session stands, with the type refresh_token', async () => {
  const { connect, introspect, clock } = setUp()
  const { refresh, session } = await connect()
  const { jti, ...answer } = (await introspect(refresh)) as Record<string, unknown>
  assert.equal(typeof jti, 'string')
  assert.deepEqual(answer, {
    active: true,
    scope: 'read write',
    client_id: 'app',
    sub: 'alice',
    exp: clock() + 5_184_000,
    iat: clock(),
    iss: ISSUER,
    sid: session.id,
    styp: 'oauth2',
    token_type: 'refresh_token',
  })
})

test('a superseded refresh token is inactive, a retryable one active, and asking changes neither', async () => {
  const { connect, introspect, refresh, clock, sessions } = setUp()
  const first = await connect()
  clock.advance(100)
  const second = await refresh(first.refresh)
  clock.advance(100)
  const active = async (token: string | undefined) => (await introspect(token ?? '')).active
  assert.deepEqual([await active(first.refresh), await active(second.refresh_token)], [true, true])
  const third = await refresh(second.refresh_token ?? '')
  clock.advance(100)
  const before = await sessions.get(first.session.id)
  assert.deepEqual(
    [await active(first.refresh), await active(second.refresh_token), await active(third.refresh_token)],
    [false, true, true],
  )
  assert.deepEqual(await sessions.get(first.session.id), before)
})

test("the settings of the refresh token's own client decide, where its record can be found", async () => {
  const { connect, refresh, clock, sessions, tokens, request } = setUp({
    perClient: (client) => (client.client_name === 'patient' ? { overlapSeconds: 3600 } : undefined),
  })
  const patient = { ...app, client_name: 'patient' }
  const first = await connect(patient)
  clock.advance(3601)
  const second = await refresh(first.refresh, patient)
  clock.advance(3601)
  await refresh(second.refresh_token ?? '', patient)
  clock.advance(3600)
  const ask = (introspect: ReturnType<typeof createIntrospection>) => introspect(request(api, { token: first.refresh }))
  assert.equal((await ask(createIntrospection({ sessions, tokens, mayAsk: () => true }))).active, false)
  assert.equal(
    (await ask(createIntrospection({ sessions, tokens, mayAsk: () => true, findClient: async () => patient }))).active,
    true,
  )
})

test('a refresh token that its client or the application no longer permits is inactive', async () => {
  const { connect, sessions, tokens, request } = setUp()
  const { refresh } = await connect()
  let client: Client | undefined | null = app
  let permitted = true
  const seen: unknown[] = []
  const introspect = createIntrospection({
    sessions,
    tokens,
    mayAsk: () => true,
    findClient: () => client as Client,
    permits: ({ subject, clientId, scope }, { session }) => {
      seen.push([subject, clientId, scope, session?.subject])
      return permitted
    },
  })
  const isActive = async () => (await introspect(request(api, { token: refresh }))).active
  assert.equal(await isActive(), true)
  assert.deepEqual(seen, [['alice', 'app', 'read write', 'alice']])
  permitted = false
  assert.equal(await isActive(), false)
  for (const wrong of ['yes', undefined] as never[]) {
    permitted = wrong
    await assert.rejects(isActive(), { reason: 'misconfigured', detail: /'permits'/ })
  }
  permitted = true
  for (const gone of [undefined, null, { ...app, grant_types: ['client_credentials'] }]) {
    client = gone
    assert.equal(await isActive(), false)
  }
  client = app
  assert.equal(await isActive(), true)
  const failing = createIntrospection({ sessions, tokens, permits: () => Promise.reject(new Error('no database')) })
  await assert.rejects(failing(request(api, { token: refresh })), { status: 503 })
  for (const name of ['findClient', 'permits', 'mayAsk', 'adopt'] as const) {
    const make = name === 'adopt' ? createRevocation : createIntrospection
    assert.throws(() => make({ sessions, tokens, [name]: {} as never }), new RegExp(`'${name}'`))
  }
})

test('T66: ending a session makes its access and refresh tokens inactive', async () => {
  for (const end of ['end', 'endAll'] as const) {
    const { connect, introspect, sessions } = setUp()
    const { access, refresh, session } = await connect()
    await (end === 'end' ? sessions.end(session.id) : sessions.endAll('alice', 'oauth2'))
    assert.deepEqual([await introspect(access), await introspect(refresh)], [INACTIVE, INACTIVE])
  }
})

test('unknown, foreign, empty-looking and oversized tokens are inactive', async () => {
  const { introspect } = setUp()
  const theirs = setUp({ baseSecret: 'another base secret of thirty-two octets' })
  const { access, refresh } = await theirs.connect()
  for (const token of [access, refresh, 'x', '.', 'a.b.c', 'A'.repeat(60_000)]) {
    assert.deepEqual(await introspect(token), INACTIVE)
  }
})

test('a hint, right, wrong or unknown, changes no answer', async () => {
  const { connect, introspect, revoke } = setUp()
  const { access, refresh } = await connect()
  for (const token_type_hint of ['access_token', 'refresh_token', 'saml']) {
    assert.equal((await introspect(access, api, { token_type_hint })).active, true)
    assert.equal((await introspect(refresh, api, { token_type_hint })).active, true)
  }
  await revoke(refresh, app, { token_type_hint: 'access_token' })
  assert.equal((await introspect(refresh)).active, false)
})

test('a public client may not introspect, and without a token nobody may', async () => {
  const { introspection, revocation, request, connect } = setUp()
  const { access } = await connect()
  const code = (error: unknown) => (error instanceof OAuthError ? [error.code, error.reason] : error)
  await assert.rejects(introspection(request(spa, { token: access })), (error) => {
    assert.deepEqual(code(error), ['invalid_client', 'client_not_confidential'])
    return true
  })
  for (const door of [introspection, revocation]) {
    await assert.rejects(door(request(app, {})), (error) => {
      assert.deepEqual(code(error), ['invalid_request', 'parameter_missing'])
      return true
    })
  }
})

test('RFC 7009: a refresh token revoked by its client ends the session and its access tokens', async () => {
  const { connect, introspect, revoke, refresh, sessions } = setUp()
  const mine = await connect()
  const other = await connect()
  assert.deepEqual(await revoke(mine.refresh), {})
  assert.deepEqual([await introspect(mine.access), await introspect(mine.refresh)], [INACTIVE, INACTIVE])
  assert.equal(await sessions.get(mine.session.id), undefined)
  await assert.rejects(refresh(mine.refresh), { code: 'invalid_grant' })
  assert.equal((await introspect(other.access)).active, true)
  assert.deepEqual(await revoke(mine.refresh), {}, 'and again')
})

test('RFC 7009: so does one that is superseded', async () => {
  const { connect, revoke, refresh, sessions, clock } = setUp()
  const { session, refresh: first } = await connect()
  clock.advance(100)
  const { refresh_token = '' } = await refresh(first)
  clock.advance(100)
  await refresh(refresh_token)
  assert.deepEqual(await revoke(first), {})
  assert.equal(await sessions.get(session.id), undefined)
})

test('RFC 7009: an access token revoked is inactive itself, and its session goes on', async () => {
  for (const accessTokenFormat of ['jwt', 'opaque'] as const) {
    const { connect, introspect, revoke, refresh, clock } = setUp({ accessTokenFormat })
    const { access, refresh: token } = await connect()
    assert.deepEqual(await revoke(access), {})
    assert.deepEqual(await introspect(access), INACTIVE)
    clock.advance(100)
    const next = await refresh(token)
    assert.equal((await introspect(next.access_token)).active, true)
    assert.deepEqual(await introspect(access), INACTIVE)
    assert.deepEqual(await revoke(access), {}, 'and again')
  }
})

test('RFC 7009: an access token can be revoked before it is in force, and does not come into it', async () => {
  const { connect, introspect, revoke, clock } = setUp({ claims: ({ now }) => ({ nbf: now + 100 }) })
  const { access } = await connect()
  await revoke(access)
  clock.advance(200)
  assert.deepEqual(await introspect(access), INACTIVE)
})

test('RFC 7009: a token that adopt knows can be given up by its client, adopted already or not', async () => {
  const { sessions, tokens, request } = setUp()
  const adopt = (token: string) => (token === 'old' ? { subject: 'bob', clientId: 'app', scope: 'read' } : undefined)
  const exchange = refreshToken({ sessions, tokens, adopt })
  const revoke = createRevocation({ sessions, tokens, adopt })
  const refresh = () => exchange.run(request(app, { refresh_token: 'old' }))
  const gone = { code: 'invalid_grant', reason: 'session_not_found' }
  await revoke(request(spa, { token: 'old' })) // not its own
  const { refresh_token = '' } = await refresh()
  await revoke(request(spa, { token: 'old' }))
  assert.equal((await sessions.list('bob', 'oauth2')).length, 1)
  assert.deepEqual(await revoke(request(app, { token: 'old' })), {})
  assert.deepEqual(await sessions.list('bob', 'oauth2'), [])
  await assert.rejects(refresh(), gone)
  await assert.rejects(exchange.run(request(app, { refresh_token })), gone)

  const untouched = setUp()
  const parts = { sessions: untouched.sessions, tokens: untouched.tokens, adopt }
  await createRevocation(parts)(untouched.request(app, { token: 'unknown' }))
  await createRevocation(parts)(untouched.request(app, { token: 'old' }))
  untouched.clock.advance(100 * 86_400)
  await assert.rejects(refreshToken(parts).run(untouched.request(app, { refresh_token: 'old' })), gone)
})

test('a revoked token of the client itself is inactive', async () => {
  const { tokens, introspect, revoke, clock } = setUp()
  const { access_token } = await tokens.issueForClient(app, { scope: 'read', now: clock(), context: {} })
  await revoke(access_token)
  assert.deepEqual(await introspect(access_token), INACTIVE)
})

test("a refresh token that names another client's session, or one of another type, is inactive", async () => {
  const { connect, tokens, introspect, clock } = setUp()
  const { session } = await connect()
  const given = { scope: '', generation: 1, now: clock(), context: {} }
  const foreign = await tokens.issue(session, { client: { ...app, client_id: 'other' }, ...given })
  assert.deepEqual(await introspect(foreign.refresh_token ?? ''), INACTIVE)
  const retyped = await tokens.issue({ ...session, type: 'full' }, { client: app, ...given })
  assert.deepEqual(await introspect(retyped.refresh_token ?? ''), INACTIVE)
})

test("another client's tokens are left alone, and the answer is the same", async () => {
  const { connect, introspect, revoke } = setUp()
  const { access, refresh } = await connect()
  for (const token of [access, refresh, 'unknown', 'a.b.c']) assert.deepEqual(await revoke(token, api), {})
  assert.equal((await introspect(access)).active, true)
  assert.equal((await introspect(refresh)).active, true)
})

test('a public client revokes its own tokens', async () => {
  const { connect, introspect, revoke } = setUp()
  const { refresh } = await connect(spa)
  assert.deepEqual(await revoke(refresh, spa), {})
  assert.deepEqual(await introspect(refresh), INACTIVE)
})

test('a store that fails is a 503 at both, never an inactive token or a silent success', async () => {
  const { connect, tokens, request, clock } = setUp()
  const { access, refresh } = await connect()
  const down = async (): Promise<never> => Promise.reject(new Error('ECONNRESET'))
  const store = { create: down, get: down, save: down, end: down, list: down, endAll: down }
  const sessions = createSessions({ store, clock })
  for (const token of [access, refresh]) {
    for (const door of [createIntrospection({ sessions, tokens }), createRevocation({ sessions, tokens })]) {
      await assert.rejects(door(request(app, { token })) as Promise<unknown>, { status: 503 })
    }
  }
})

test('T97: a refresh token is active for its own client only, an access token for every confidential client', async () => {
  const { connect, sessions, tokens, request } = setUp()
  const { access, refresh } = await connect()
  const introspect = createIntrospection({ sessions, tokens })
  const isActive = async (client: Client, token: string) => (await introspect(request(client, { token }))).active
  assert.deepEqual([await isActive(app, refresh), await isActive(api, refresh)], [true, false])
  assert.deepEqual([await isActive(app, access), await isActive(api, access)], [true, true])
  const byItself = await tokens.issueForClient(app, { scope: '', now: request(app, {}).now, context: {} })
  assert.equal(await isActive(api, byItself.access_token), true)
})

test('T98: mayAsk decides who may introspect which token, access and refresh tokens alike', async () => {
  const { connect, sessions, tokens, request } = setUp()
  const { access, refresh } = await connect()
  const seen: unknown[] = []
  let allowed: unknown = true
  const introspect = createIntrospection({
    sessions,
    tokens,
    mayAsk(client, token) {
      seen.push([client.client_id, token.token_type, token.client_id, token.sub, token.active])
      return allowed as boolean
    },
  })
  const ask = (token: string) => introspect(request(api, { token }))
  assert.deepEqual([(await ask(access)).active, (await ask(refresh)).active], [true, true])
  assert.deepEqual(seen, [
    ['api', 'Bearer', 'app', 'alice', true],
    ['api', 'refresh_token', 'app', 'alice', true],
  ])
  allowed = false
  assert.deepEqual([await ask(access), await ask(refresh)], [INACTIVE, INACTIVE])
  for (const wrong of [undefined, null, 1, 'yes', Promise.resolve('yes')]) {
    allowed = wrong
    await assert.rejects(ask(access), { reason: 'misconfigured', detail: /'mayAsk'/ }, String(wrong))
  }
  allowed = Promise.resolve(true)
  assert.equal((await ask(access)).active, true)
  const length = seen.length
  assert.deepEqual(await ask('unknown'), INACTIVE)
  assert.equal(seen.length, length, 'it is not asked about what is no active token')
  for (const failing of [() => Promise.reject(new Error('no database')), () => assert.fail('no database')]) {
    const broken = createIntrospection({ sessions, tokens, mayAsk: failing })
    await assert.rejects(broken(request(api, { token: access })), { status: 503 })
  }
})

test('T99: findClient and permits are asked for access tokens too', async () => {
  const { connect, sessions, tokens, request } = setUp()
  const { access, session } = await connect()
  const now = request(app, {}).now
  const own = (await tokens.issueForClient(app, { scope: '', now, context: {} })).access_token
  let client: Client | undefined = app
  let permitted = true
  const seen: unknown[] = []
  const introspect = createIntrospection({
    sessions,
    tokens,
    findClient: async () => client,
    permits: async ({ subject, clientId, scope }, context) => {
      seen.push([subject, clientId, scope, context.client, context.session?.id])
      return permitted
    },
  })
  const isActive = async (token: string) => (await introspect(request(api, { token }))).active
  assert.deepEqual([await isActive(access), await isActive(own)], [true, true])
  assert.deepEqual(seen, [['alice', 'app', 'read write', app, session.id]], 'the client itself is no user')
  permitted = false
  assert.deepEqual([await isActive(access), await isActive(own)], [false, true], 'the user is gone')
  permitted = true
  client = undefined
  assert.deepEqual([await isActive(access), await isActive(own)], [false, false], 'the client is gone')
  client = { client_id: 'app', grant_types: [] }
  assert.equal(await isActive(access), true, 'an access token needs no refresh grant')
  const failing = createIntrospection({ sessions, tokens, findClient: () => Promise.reject(new Error('no database')) })
  await assert.rejects(failing(request(api, { token: access })), { status: 503 })
})
