import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { openedSession, type Session } from '../../lib/session/session.ts'
import type { TokenFactory } from '../../lib/token/factory.ts'
import type { Claims } from '../../lib/token/jwt.ts'
import { createTokens, type TokensOptions } from '../../lib/token/token_set.ts'

const ISSUER = 'https://as.example'
const BASE_SECRET = 'a base secret of more than thirty-two octets'
const NOW = 1_800_000_000
const DAY = 86_400
const client = { client_id: 'app', grant_types: ['authorization_code', 'refresh_token', 'client_credentials'] }
const context = {}

const tokensWith = (options: Partial<TokensOptions> = {}) =>
  createTokens({ issuer: ISSUER, baseSecret: BASE_SECRET, ...options })

const session = (lifetimes = { idleSeconds: 60 * DAY, absoluteSeconds: undefined as number | undefined }): Session =>
  openedSession(
    { subject: 'alice', clientId: 'app', scope: 'read write' },
    { id: 'sid-1', type: 'oauth2', now: NOW, lifetimes, extra: { tenant: 'blue' } },
  )

const issue = (options: Partial<TokensOptions> = {}, of = session(), scope = 'read write', now = NOW) =>
  tokensWith(options).issue(of, { client, scope, generation: 7, now, context })

test('T77, T78, T80: the reply: Bearer, whole seconds from one reading of the clock, the scope', async () => {
  const { access_token, refresh_token, ...rest } = await issue()
  assert.deepEqual(rest, { token_type: 'Bearer', expires_in: 900, refresh_expires_in: 5_184_000, scope: 'read write' })
  assert.equal(typeof access_token, 'string')
  assert.equal(typeof refresh_token, 'string')
})

test('T79: scope is left out where it is empty, of the reply and of the token', async () => {
  const tokens = tokensWith()
  const set = await tokens.issue(session(), { client, scope: '', generation: 1, now: NOW, context })
  assert.ok(!('scope' in set))
  const claims = await tokens.verifyAccessToken(set.access_token, NOW)
  assert.ok(claims !== undefined && !('scope' in claims))
})

test('S13, S16, T83: access tokens are those of RFC 9068, with sid and styp', async () => {
  const tokens = tokensWith()
  const { access_token } = await tokens.issue(session(), { client, scope: 'read', generation: 7, now: NOW, context })
  const jwks = createLocalJWKSet(tokens.jwks() as unknown as JSONWebKeySet)
  const { payload, protectedHeader } = await jwtVerify(access_token, jwks, {
    issuer: ISSUER,
    audience: ISSUER,
    typ: 'at+jwt',
    currentDate: new Date(NOW * 1000),
  })
  const { jti, ...claims } = payload
  assert.match(String(jti), /^[\w-]{22}$/)
  assert.deepEqual(claims, {
    iss: ISSUER,
    sub: 'alice',
    aud: ISSUER,
    client_id: 'app',
    scope: 'read',
    iat: NOW,
    exp: NOW + 900,
    sid: 'sid-1',
    styp: 'oauth2',
  })
  assert.equal(protectedHeader.alg, 'ES256')
})

test('S14, G14: refresh tokens carry session, type, generation, client and an id of their own, and nothing of the user', async () => {
  const tokens = tokensWith()
  const { refresh_token = '' } = await issue()
  const { jti, ...claims } = (await tokens.verifyRefreshToken(refresh_token, NOW)) ?? {}
  assert.match(String(jti), /^[\w-]{22}$/)
  assert.deepEqual(claims, {
    iss: ISSUER,
    client_id: 'app',
    sid: 'sid-1',
    styp: 'oauth2',
    g: 7,
    iat: NOW,
    exp: NOW + 60 * DAY,
  })
})

test('J3: every token has an id of its own', async () => {
  const tokens = tokensWith()
  const sets = await Promise.all(Array.from({ length: 20 }, () => issue()))
  assert.equal(new Set(sets.flatMap(({ access_token, refresh_token }) => [access_token, refresh_token])).size, 40)
  const ids = await Promise.all(sets.map(async (set) => (await tokens.verifyAccessToken(set.access_token, NOW))?.jti))
  assert.equal(new Set(ids).size, 20)
})

test('S3, S4: no token outlives its session, idle or absolute', async () => {
  const idle = await issue({}, session({ idleSeconds: 100, absoluteSeconds: undefined }))
  assert.deepEqual([idle.expires_in, idle.refresh_expires_in], [100, 100])
  const absolute = await issue({}, session({ idleSeconds: 60 * DAY, absoluteSeconds: 300 }))
  assert.deepEqual([absolute.expires_in, absolute.refresh_expires_in], [300, 300])
  const late = await issue({}, session({ idleSeconds: 1000, absoluteSeconds: undefined }), 'read', NOW + 990)
  assert.deepEqual([late.expires_in, late.refresh_expires_in], [10, 10])
})

test('T53: a refresh token only for a client that may use it', async () => {
  for (const grant_types of [undefined, ['authorization_code']]) {
    const other = grant_types === undefined ? { client_id: 'app' } : { client_id: 'app', grant_types }
    const options = { client: other, scope: 'read', generation: 1, now: NOW, context }
    const set = await tokensWith().issue(session(), options)
    assert.deepEqual(Object.keys(set).sort(), ['access_token', 'expires_in', 'scope', 'token_type'])
  }
})

test('T72, T74, T75, T76: a token for the client itself: sub and client_id are the client, no session, no refresh token', async () => {
  const tokens = tokensWith()
  const set = await tokens.issueForClient(client, { scope: 'read', now: NOW, context })
  const { access_token, ...rest } = set
  assert.deepEqual(rest, { token_type: 'Bearer', expires_in: 900, scope: 'read' })
  const { jti, ...claims } = (await tokens.verifyAccessToken(access_token, NOW)) ?? {}
  assert.ok(jti)
  assert.deepEqual(claims, {
    iss: ISSUER,
    sub: 'app',
    aud: ISSUER,
    client_id: 'app',
    scope: 'read',
    iat: NOW,
    exp: NOW + 900,
  })
  assert.ok(!('scope' in (await tokens.issueForClient(client, { scope: '', now: NOW, context }))))
})

test('the audience may be another, or several', async () => {
  for (const audience of ['https://api.example', ['https://api.example', 'https://other.example']]) {
    const { access_token } = await issue({ audience })
    assert.deepEqual((await tokensWith().verifyAccessToken(access_token, NOW))?.aud, audience)
  }
})

test('S3: access tokens live as long as is set', async () => {
  assert.equal((await issue({ accessTokenLifetimeSeconds: 60 })).expires_in, 60)
})

for (const accessTokenFormat of ['jwt', 'opaque'] as const) {
  test(`J13: an access token (${accessTokenFormat}) is good until the second before its exp, and not before its nbf`, async () => {
    const tokens = tokensWith({ accessTokenFormat, claims: () => ({ nbf: NOW + 10 }) })
    const { access_token } = await tokens.issue(session(), { client, scope: '', generation: 1, now: NOW, context })
    assert.equal(await tokens.verifyAccessToken(access_token, NOW + 9), undefined)
    assert.ok(await tokens.verifyAccessToken(access_token, NOW + 10))
    assert.ok(await tokens.verifyAccessToken(access_token, NOW + 899))
    assert.equal(await tokens.verifyAccessToken(access_token, NOW + 900), undefined)
  })
}

test('T55: an expired refresh token is read, with its claims, but not verified', async () => {
  const tokens = tokensWith()
  const { refresh_token = '' } = await issue({}, session({ idleSeconds: 100, absoluteSeconds: undefined }))
  assert.ok(await tokens.verifyRefreshToken(refresh_token, NOW + 99))
  assert.equal(await tokens.verifyRefreshToken(refresh_token, NOW + 100), undefined)
  assert.equal((await tokens.readRefreshToken(refresh_token))?.exp, NOW + 100)
})

test('T57: no moment at all is past every expiry: nothing is verified at it', async () => {
  const tokens = createTokens({ issuer: ISSUER, baseSecret: BASE_SECRET, claims: () => ({ nbf: 1 }) })
  const given = { scope: 'read', now: 1_800_000_000, context: {} }
  const { access_token } = await tokens.issueForClient({ client_id: 'app' }, given)
  assert.ok(await tokens.verifyAccessToken(access_token, given.now))
  for (const now of [Number.NaN, undefined, Number.POSITIVE_INFINITY])
    assert.equal(await tokens.verifyAccessToken(access_token, now as number), undefined)
})

test('T57: tokens of another issuer with the same keys are refused', async () => {
  const { access_token, refresh_token = '' } = await issue({ issuer: 'https://other.example' })
  assert.equal(await tokensWith().verifyAccessToken(access_token, NOW), undefined)
  assert.equal(await tokensWith().verifyRefreshToken(refresh_token, NOW), undefined)
})

test('J4: access and refresh tokens are not interchangeable', async () => {
  const { access_token, refresh_token = '' } = await issue()
  assert.equal(await tokensWith().verifyAccessToken(refresh_token, NOW), undefined)
  assert.equal(await tokensWith().verifyRefreshToken(access_token, NOW), undefined)
})

test('T82: the claims hook adds claims, and may replace aud, scope and nbf; it is told who, what and from where', async () => {
  const request = { headers: { 'x-tenant': 'blue' } }
  const seen: unknown[] = []
  const tokens = tokensWith({
    claims: async (told) => {
      seen.push(told)
      return { roles: ['admin'], aud: 'https://api.example', scope: ['read', 'write'], cid: told.client.client_id }
    },
  })
  const of = session()
  const { access_token } = await tokens.issue(of, {
    client,
    scope: 'read',
    generation: 1,
    now: NOW,
    context: { request },
    grantType: 'refresh_token',
  })
  const claims = await tokens.verifyAccessToken(access_token, NOW)
  assert.deepEqual(claims?.['roles'], ['admin'])
  assert.deepEqual(claims?.aud, 'https://api.example')
  assert.deepEqual(claims?.scope, ['read', 'write'])
  assert.deepEqual(claims?.['cid'], 'app')
  const grantType = 'refresh_token'
  assert.deepEqual(seen, [{ client, subject: 'alice', scope: 'read', session: of, grantType, now: NOW, request }])

  await tokens.issueForClient(client, { scope: '', now: NOW, context })
  assert.deepEqual(seen[1], { client, subject: 'app', scope: '', grantType: undefined, now: NOW })
})

test('S13: no hook reaches the protected claims, of either grant', async () => {
  const evil = {
    iss: 'x',
    sub: 'root',
    client_id: 'x',
    sid: 'x',
    styp: 'full',
    jti: 'x',
    iat: 1,
    exp: 9e9,
    g: 1,
    ok: true,
  }
  const tokens = tokensWith({ claims: () => evil })
  const options = { scope: 'read', now: NOW, context }
  const mine = await tokens.issue(session(), { client, generation: 1, ...options })
  const { jti, ...claims } = (await tokens.verifyAccessToken(mine.access_token, NOW)) ?? {}
  assert.notEqual(jti, 'x')
  assert.deepEqual(claims, {
    iss: ISSUER,
    sub: 'alice',
    aud: ISSUER,
    client_id: 'app',
    scope: 'read',
    iat: NOW,
    exp: NOW + 900,
    sid: 'sid-1',
    styp: 'oauth2',
    ok: true,
  })
  const own = await tokens.issueForClient(client, options)
  const { jti: _jti, ...ownClaims } = (await tokens.verifyAccessToken(own.access_token, NOW)) ?? {}
  assert.deepEqual(ownClaims, {
    iss: ISSUER,
    sub: 'app',
    aud: ISSUER,
    client_id: 'app',
    scope: 'read',
    iat: NOW,
    exp: NOW + 900,
    ok: true,
  })
})

test('a hook that adds nothing changes nothing', async () => {
  const { access_token } = await issue({ claims: () => undefined })
  assert.equal((await tokensWith().verifyAccessToken(access_token, NOW))?.sub, 'alice')
})

test('T67: an application may bring its own factory, and what it verifies is still judged', async () => {
  const kept = new Map<string, Claims>()
  const factory: TokenFactory = {
    sign: async (kind, claims) => {
      kept.set(`${kind} ${kept.size}`, claims)
      return `${kind} ${kept.size - 1}`
    },
    verify: async (kind, token) => (token.startsWith(kind) ? kept.get(token) : undefined),
  }
  const tokens = createTokens({ issuer: ISSUER, factory })
  const set = await tokens.issue(session(), { client, scope: 'read', generation: 3, now: NOW, context })
  assert.equal(set.access_token, 'access_token 0')
  assert.equal((await tokens.verifyAccessToken(set.access_token, NOW))?.sub, 'alice')
  assert.equal((await tokens.verifyRefreshToken(set.refresh_token ?? '', NOW))?.g, 3)
  assert.deepEqual(tokens.jwks(), { keys: [] })
  for (const broken of [{ sid: 5 }, { g: '3' }, { g: 1.5 }, { exp: 'never' }, { iss: 'x' }, { client_id: undefined }]) {
    kept.set('refresh_token x', { ...kept.get(set.refresh_token ?? ''), ...broken })
    assert.equal(await tokens.verifyRefreshToken('refresh_token x', NOW), undefined, JSON.stringify(broken))
  }
  for (const broken of [{ sub: 5 }, { jti: undefined }, { exp: undefined }, { iss: undefined }]) {
    kept.set('access_token x', { ...kept.get(set.access_token), ...broken })
    assert.equal(await tokens.verifyAccessToken('access_token x', NOW), undefined, JSON.stringify(broken))
  }
})

for (const [options, name] of [
  [{ issuer: '' }, 'issuer'],
  [{ issuer: undefined }, 'issuer'],
  [{ accessTokenLifetimeSeconds: 0 }, 'accessTokenLifetimeSeconds'],
  [{ accessTokenLifetimeSeconds: '900' }, 'accessTokenLifetimeSeconds'],
  [{ audience: [] }, 'audience'],
  [{ audience: [5] }, 'audience'],
  [{ audience: '' }, 'audience'],
  [{ claims: {} }, 'claims'],
  [{ factory: {} }, 'factory'],
] as const) {
  test(`createTokens refuses ${JSON.stringify(options)} and names the option`, () => {
    assert.throws(() => tokensWith(options as unknown as Partial<TokensOptions>), {
      name: 'TypeError',
      message: new RegExp(`'${name}'`),
    })
  })
}
