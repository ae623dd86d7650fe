import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from '../../lib/client.ts'
import type { CodeStore } from '../../lib/code/code_store.ts'
import { createCodes } from '../../lib/code/codes.ts'
import { type Events, onEvent } from '../../lib/events.ts'
import { type AuthorizationCodeOptions, authorizationCode } from '../../lib/exchanges/authorization_code.ts'
import { clientCredentials } from '../../lib/exchanges/client_credentials.ts'
import type { TokenResponse } from '../../lib/exchanges/exchange.ts'
import { refreshToken } from '../../lib/exchanges/refresh_token.ts'
import type { SessionStore } from '../../lib/session/session_store.ts'
import { createSessions } from '../../lib/session/sessions.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { createTokens, type Tokens } from '../../lib/token/token_set.ts'
import { pkcePair } from '../support/authorization_app.ts'

const NOW = 1_800_000_000
const REDIRECT = 'https://client.example/cb'
const web: Client = {
  client_id: 'web',
  client_secret: 'x'.repeat(40),
  redirect_uris: [REDIRECT],
  grant_types: ['authorization_code', 'refresh_token'],
  scope: 'read write',
}

interface Setup {
  readonly options?: Partial<AuthorizationCodeOptions>
  readonly sessionStore?: (store: SessionStore) => SessionStore
  readonly codeStore?: (store: CodeStore) => CodeStore
  readonly tokens?: (tokens: Tokens) => Tokens
  readonly granted?: string
}

/** An issued code, and nodes that redeem it: all share the stores. */
async function setup({
  options = {},
  sessionStore = (same) => same,
  codeStore = (same) => same,
  tokens: wrap,
  granted = 'read',
}: Setup = {}) {
  const clock = () => NOW
  const stores = createMemoryStores({ clock })
  const tokens = createTokens({
    issuer: 'https://as.example',
    baseSecret: 'b'.repeat(32),
    accessTokenAlgorithm: 'HS256',
  })
  const { verifier, challenge } = pkcePair()
  const code = await createCodes({ store: stores.codeStore }).issue(
    {
      subject: 'alice',
      clientId: 'web',
      scope: granted,
      redirectUri: REDIRECT,
      redirectUriWasSent: true,
      codeChallenge: challenge,
      extra: { nonce: 'n' },
    },
    NOW,
  )
  const node = (wrapped = true) => {
    const sessions = createSessions({
      store: wrapped ? sessionStore(stores.sessionStore) : stores.sessionStore,
      clock,
    })
    const exchange = authorizationCode({
      codes: wrapped ? codeStore(stores.codeStore) : stores.codeStore,
      sessions,
      tokens: wrapped && wrap ? wrap(tokens) : tokens,
      ...options,
    })
    return (parameters: Readonly<Record<string, string | undefined>> = {}, client: Client = web) => {
      const all = { code, redirect_uri: REDIRECT, code_verifier: verifier, ...parameters }
      const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
      return exchange.run({ client, parameters: given as Record<string, string>, now: NOW, context: {} })
    }
  }
  const live = () => stores.sessionStore.list('alice', 'oauth2')
  const refresh = refreshToken({ sessions: createSessions({ store: stores.sessionStore, clock }), tokens })
  const refreshWith = (answer: TokenResponse) =>
    refresh.run({ client: web, parameters: { refresh_token: answer.refresh_token ?? '' }, now: NOW, context: {} })
  return { redeem: node(), node, live, tokens, stores, code, verifier, refreshWith }
}
const wrong = 'w'.repeat(43)

test('T52 a code becomes a session of type oauth2 for its user, with what the grant put into extra', async () => {
  const { redeem, live, tokens } = await setup()
  const answer = await redeem()
  assert.equal(answer.token_type, 'Bearer')
  const [session, ...others] = await live()
  assert.equal(others.length, 0)
  assert.equal(session?.subject, 'alice')
  assert.equal(session.clientId, 'web')
  assert.deepEqual(session.extra, { nonce: 'n' })
  const claims = await tokens.verifyAccessToken(answer.access_token, NOW)
  assert.equal(claims?.sub, 'alice')
  assert.equal(claims.sid, session.id)
})

test('T47 T48 the tokens have the scope of the authorization request, whatever scope the token request names', async () => {
  for (const scope of [undefined, 'read', 'read write admin', 'wr"ong']) {
    const { redeem, live } = await setup()
    assert.equal((await redeem({ scope })).scope, 'read')
    assert.equal((await live())[0]?.scope, 'read')
  }
})

test('T48 with scopeParameter narrow, scope narrows this access token and not the session', async () => {
  const { redeem, live, tokens, refreshWith } = await setup({
    granted: 'admin read write',
    options: { scopeParameter: 'narrow' },
  })
  const answer = await redeem({ scope: 'write  read' })
  assert.equal(answer.scope, 'read write')
  assert.equal((await tokens.verifyAccessToken(answer.access_token, NOW))?.scope, 'read write')
  assert.equal((await live())[0]?.scope, 'admin read write')
  assert.equal((await refreshWith(answer)).scope, 'read write', 'all that the client is registered for')
})

test('T48 with scopeParameter narrow, more than was granted is invalid_scope, and the code stays good', async () => {
  const { redeem, live } = await setup({ granted: 'read', options: { scopeParameter: 'narrow' } })
  for (const scope of ['read write', 'write', 'read,read'])
    await assert.rejects(redeem({ scope }), { reason: 'scope_exceeded', code: 'invalid_scope' }, scope)
  await assert.rejects(redeem({ scope: 'wr"ong' }), { reason: 'scope_malformed', code: 'invalid_scope' })
  assert.deepEqual(await live(), [], 'no session was opened for these')
  assert.equal((await redeem({ scope: ' ' })).scope, 'read')

  const commas = await setup({
    granted: 'read write',
    options: { scopeParameter: 'narrow', commaSeparatesScope: true },
  })
  assert.equal((await commas.redeem({ scope: 'read,write' })).scope, 'read write')
  await assert.rejects(setup({ options: { scopeParameter: 'widen' as 'narrow' } }), /'scopeParameter'.*widen/)
})

test('an answer with tokens is an event that names them and holds none', async (t) => {
  const heard: Events['token.issued'][] = []
  t.after(onEvent('token.issued', (event) => heard.push(event)))
  const { redeem, refreshWith, tokens, live } = await setup()
  const first = await redeem()
  const second = await refreshWith(first)
  const [session] = await live()
  const machine: Client = { ...web, client_id: 'machine', grant_types: ['client_credentials'] }
  const third = await clientCredentials({ tokens }).run({ client: machine, parameters: {}, now: NOW, context: {} })
  const user = { clientId: 'web', subject: 'alice', sessionId: session?.id, scope: 'read' }
  const expected = [
    [first, { ...user, grantType: 'authorization_code' }],
    [second, { ...user, grantType: 'refresh_token' }],
    [
      third,
      {
        clientId: 'machine',
        subject: 'machine',
        sessionId: undefined,
        scope: 'read write',
        grantType: 'client_credentials',
      },
    ],
  ] as const
  assert.equal(heard.length, expected.length)
  for (const [index, [answer, facts]] of expected.entries()) {
    const claims = await tokens.verifyAccessToken(answer.access_token, NOW)
    assert.deepEqual(heard[index], { ...facts, tokenId: claims?.jti, expiresAt: claims?.exp })
  }
  const text = JSON.stringify(heard)
  for (const { access_token, refresh_token } of [first, second, third])
    assert.ok(!text.includes(access_token) && !text.includes(refresh_token ?? access_token))
})

test('T53 there is a refresh token only for a client that may use it', async () => {
  const may = await setup()
  assert.equal(typeof (await may.redeem()).refresh_token, 'string')
  const mayNot = await setup()
  const { refresh_token } = await mayNot.redeem({}, { ...web, grant_types: ['authorization_code'] })
  assert.equal(refresh_token, undefined)
})

test('T39 without code, and T45 with a malformed verifier, the request is invalid_request, and the code stays good', async () => {
  const { redeem } = await setup()
  await assert.rejects(redeem({ code: undefined }), { reason: 'parameter_missing', code: 'invalid_request' })
  for (const code_verifier of [
    'short',
    'a'.repeat(129),
    `${'a'.repeat(43)}+`,
    'a'.repeat(10_000),
    `${'a'.repeat(43)}\u0000`,
  ])
    for (let count = 0; count < 6; count += 1)
      await assert.rejects(redeem({ code_verifier }), { reason: 'code_verifier_malformed', code: 'invalid_request' })
  assert.equal((await redeem()).scope, 'read')
})

test('T42 a client that is not registered for the grant is an unauthorized_client, with any code', async () => {
  const { redeem, live } = await setup()
  const machine = { ...web, grant_types: ['client_credentials'] }
  for (const code of ['nonsense', undefined])
    await assert.rejects(redeem({ code }, machine), {
      reason: 'grant_type_not_registered',
      code: 'unauthorized_client',
    })
  await assert.rejects(redeem({}, machine), { code: 'unauthorized_client' })
  await redeem()
  assert.equal((await live()).length, 1)
})

test('T46 everything refusable is refused before the code is spent: after every kind of bad request the right one succeeds', async () => {
  const { redeem } = await setup()
  for (const [parameters, client] of [
    [{ code: 'A'.repeat(43) }],
    [{ code: 'x'.repeat(10_000) }],
    [{ code: '\u0000' }],
    [{}, { ...web, client_id: 'other' }],
    [{}, { ...web, grant_types: ['refresh_token'] }],
    [{ redirect_uri: undefined, code_verifier: wrong }],
    [{ redirect_uri: `${REDIRECT}?` }],
    [{ redirect_uri: 'x'.repeat(10_000) }],
    [{ redirect_uri: `${REDIRECT}\n` }],
    [{ code_verifier: undefined }],
    [{ code_verifier: wrong }],
    [{ code_verifier: 'x' }],
  ] as const)
    await assert.rejects(redeem(parameters, client), { name: 'OAuthError' })
  assert.equal((await redeem({ resource: 'https://api.example/', nonce: 'x', unknown: '1' })).token_type, 'Bearer')
})

test('T51 D4 a replay with all proofs ends the session: its tokens are refused from then on', async () => {
  const { redeem, live, refreshWith } = await setup()
  const answer = await redeem()
  await assert.rejects(redeem(), { reason: 'code_spent', code: 'invalid_grant' })
  assert.equal((await live()).length, 0)
  await assert.rejects(refreshWith(answer), { code: 'invalid_grant' })
  await assert.rejects(redeem(), { reason: 'code_spent' })
})

test('D4 a replay without all proofs leaves the session as it is', async () => {
  const { redeem, live, refreshWith } = await setup()
  const answer = await redeem()
  await assert.rejects(redeem({ code_verifier: wrong }), { reason: 'code_spent' })
  await assert.rejects(redeem({ code_verifier: undefined }), { reason: 'code_spent' })
  await assert.rejects(redeem({ redirect_uri: 'https://x.example/' }), { reason: 'code_spent' })
  await assert.rejects(redeem({}, { ...web, client_id: 'other' }), { reason: 'code_of_another_client' })
  assert.equal((await live()).length, 1)
  assert.equal((await refreshWith(answer)).token_type, 'Bearer')
})

const settled = async (runs: readonly Promise<TokenResponse>[]) => {
  const all = await Promise.allSettled(runs)
  const successes = all.filter((each) => each.status === 'fulfilled').length
  const reasons = new Set(all.flatMap((each) => (each.status === 'rejected' ? [each.reason.reason] : [])))
  const codes = new Set(all.flatMap((each) => (each.status === 'rejected' ? [each.reason.code] : [])))
  return { successes, reasons: [...reasons], codes: [...codes] }
}

test('T50 X5 30 redemptions at once: one success, one live session', async () => {
  const { node, live } = await setup()
  const nodes = [node(), node(), node()]
  const got = await settled(Array.from({ length: 30 }, (_, index) => (nodes[index % 3] ?? node())()))
  assert.deepEqual(got, { successes: 1, reasons: ['code_spent'], codes: ['invalid_grant'] })
  assert.equal((await live()).length, 1)
})

test("T50 X5 D4 30 redemptions at once under onSimultaneousRedemption 'end': one success, and as all others are replays, no session lives on", async () => {
  const { node, live } = await setup({ options: { onSimultaneousRedemption: 'end' } })
  const nodes = [node(), node(), node()]
  const got = await settled(Array.from({ length: 30 }, (_, index) => (nodes[index % 3] ?? node())()))
  assert.deepEqual(got, { successes: 1, reasons: ['code_spent'], codes: ['invalid_grant'] })
  assert.equal((await live()).length, 0)
})

test('T50 30 redemptions at once of which one has the verifier: it succeeds, and its session lives', async () => {
  const { node, live, verifier } = await setup()
  const redeem = node()
  const got = await settled(
    Array.from({ length: 30 }, (_, index) => redeem({ code_verifier: index === 3 ? verifier : undefined })),
  )
  assert.equal(got.successes, 1)
  assert.equal((await live()).length, 1)
})

test('X6 a request that stalls while it opens the session, and one on another node: one gets tokens, and its session lives', async () => {
  let openGate = () => {}
  let reached = () => {}
  const gate = new Promise<void>((resolve) => {
    openGate = resolve
  })
  const waiting = new Promise<void>((resolve) => {
    reached = resolve
  })
  const { node, live } = await setup({
    sessionStore: (store) => ({
      ...store,
      create: async (session) => {
        reached()
        await gate
        return store.create(session)
      },
    }),
  })
  const first = node()()
  await waiting
  assert.equal((await node(false)()).token_type, 'Bearer')
  assert.equal((await live()).length, 1)
  openGate()
  await assert.rejects(first, { reason: 'code_spent', code: 'invalid_grant' })
  assert.equal((await live()).length, 1)
})

test("T50 requests at once, however their steps interleave: exactly one gets tokens, and under 'end' no session lives on", async () => {
  const pause = () => new Promise<void>((resolve) => setTimeout(resolve, Math.floor(4 * Math.random())))
  const slowly = <Store extends object>(store: Store): Store =>
    new Proxy(store, {
      get:
        (target, verb) =>
        async (...given: unknown[]) => {
          await pause()
          const answer = await (target as Record<string | symbol, (...all: unknown[]) => unknown>)[verb]?.(...given)
          await pause()
          return answer
        },
    })
  for (let round = 0; round < 40; round += 1) {
    const { node, live } = await setup({
      sessionStore: slowly,
      codeStore: slowly,
      options: { onSimultaneousRedemption: 'end' },
    })
    const { successes } = await settled([node()(), node()(), node()(), node()()])
    assert.equal(successes, 1)
    assert.equal((await live()).length, 0)
  }
})

test('a session store that fails leaves the code as it was: the next request redeems it', async () => {
  let failing = true
  const { redeem, live } = await setup({
    sessionStore: (store) => ({
      ...store,
      create: (session) => (failing ? Promise.reject(new Error('connect ECONNREFUSED')) : store.create(session)),
    }),
  })
  await assert.rejects(redeem(), { status: 503 })
  failing = false
  assert.equal((await redeem()).token_type, 'Bearer')
  assert.equal((await live()).length, 1)
})

test('a code store that fails to spend leaves a session that the next request with the code takes over', async () => {
  let failing = true
  const { redeem, live } = await setup({
    codeStore: (store) => ({
      ...store,
      spend: (id) => (failing ? Promise.reject(new Error('connect ECONNREFUSED')) : store.spend(id)),
    }),
  })
  await assert.rejects(redeem(), { status: 503 })
  failing = false
  assert.equal((await redeem()).token_type, 'Bearer')
  assert.equal((await live()).length, 1)
})

test('X6 without the proofs such a replay changes nothing: the first request gets its tokens', async () => {
  let openGate = () => {}
  const gate = new Promise<void>((resolve) => {
    openGate = resolve
  })
  const { node, live } = await setup({
    sessionStore: (store) => ({ ...store, create: (session) => gate.then(() => store.create(session)) }),
  })
  const first = node()()
  await new Promise((resolve) => setImmediate(resolve))
  await assert.rejects(node(false)({ code_verifier: wrong }), { code: 'invalid_grant' })
  openGate()
  assert.equal((await first).token_type, 'Bearer')
  assert.equal((await live()).length, 1)
})

test('D11 a permission that was withdrawn since is refused, and a hook that fails is 503', async () => {
  const withdrawn = await setup({
    options: {
      permits: ({ subject, clientId, scope }, { client }) => {
        assert.deepEqual([subject, clientId, scope, client], ['alice', 'web', 'read', web])
        return false
      },
    },
  })
  await assert.rejects(withdrawn.redeem(), { reason: 'permission_withdrawn', code: 'invalid_grant' })
  const broken = await setup({
    options: {
      permits: () => {
        throw new Error('no database')
      },
    },
  })
  await assert.rejects(broken.redeem(), { status: 503 })
})

test('D11 who takes the permission back and then ends all sessions leaves none behind, whatever is under way', async () => {
  let permitted = true
  let isUnderWay = (): void => {}
  let mayGoOn = (): void => {}
  const underWay = new Promise<void>((resolve) => (isUnderWay = resolve))
  const goOn = new Promise<void>((resolve) => (mayGoOn = resolve))
  const { redeem, live, stores } = await setup({
    options: { permits: () => permitted },
    sessionStore: (store) => ({
      ...store,
      async create(session) {
        isUnderWay()
        await goOn
        return store.create(session)
      },
    }),
  })
  const redeeming = redeem()
  await underWay
  permitted = false
  assert.equal(await stores.sessionStore.endAll('alice', 'oauth2'), 0)
  mayGoOn()
  await assert.rejects(redeeming, { reason: 'permission_withdrawn' })
  assert.deepEqual(await live(), [])
  permitted = true
  await assert.rejects(redeem(), { code: 'invalid_grant' })
})

test('a failing code store or session store is 503', async () => {
  const down = () => Promise.reject(new Error('connect ECONNREFUSED'))
  for (const verb of ['find', 'spend'] as const) {
    const { redeem } = await setup({ codeStore: (store) => ({ ...store, [verb]: down }) })
    await assert.rejects(redeem(), { status: 503, code: 'temporarily_unavailable' })
  }
  const { redeem, live } = await setup({ sessionStore: (store) => ({ ...store, create: down }) })
  await assert.rejects(redeem(), { status: 503 })
  assert.equal((await live()).length, 0)
})

test('T49 when signing fails the session nobody has tokens for is ended again', async () => {
  const { redeem, live } = await setup({
    tokens: (tokens) => ({ ...tokens, issue: () => Promise.reject(new Error('HSM is gone')) }),
  })
  await assert.rejects(redeem(), /HSM is gone/)
  assert.equal((await live()).length, 0)
})

test('options are checked when the exchange is made', () => {
  const { codeStore, sessionStore } = createMemoryStores()
  const sessions = createSessions({ store: sessionStore })
  const tokens = createTokens({ issuer: 'https://as.example', baseSecret: 'b'.repeat(32) })
  const make = (options: object) => () => authorizationCode({ codes: codeStore, sessions, tokens, ...options })
  assert.equal(make({})().grantType, 'authorization_code')
  assert.throws(make({ codes: {} }), /option 'codes' must/)
  assert.throws(make({ sessions: {} }), /option 'sessions' must/)
  assert.throws(make({ tokens: 1 }), /option 'tokens' must/)
  assert.throws(make({ permits: true }), /option 'permits' must/)
  assert.throws(make({ onSimultaneousRedemption: 'no' }), /option 'onSimultaneousRedemption' must/)
})

test('S24: a new grant ends the older sessions of this user and client where that is wanted, and no others', async () => {
  for (const [onNewGrant, left] of [
    ['keep', 4],
    ['end_older', 3],
  ] as const) {
    const { redeem, live, stores } = await setup({ options: { onNewGrant } })
    const sessions = createSessions({ store: stores.sessionStore, clock: () => NOW })
    const permission = { subject: 'alice', clientId: 'web', scope: 'read' }
    const older = await sessions.open(permission, { now: NOW - 100 })
    const login = await sessions.open(permission, { now: NOW - 100, type: 'full' })
    const others = [
      await sessions.open({ ...permission, clientId: 'other' }, { now: NOW - 100 }),
      await sessions.open(permission, { now: NOW + 1 }),
    ]
    const answer = await redeem()
    assert.ok(answer.refresh_token)
    assert.equal((await live()).length, left, onNewGrant)
    assert.equal((await sessions.get(older?.id ?? '')) === undefined, onNewGrant === 'end_older')
    for (const kept of [login, ...others]) assert.ok(await sessions.get(kept?.id ?? ''))
    await assert.rejects(redeem({ redirect_uri: 'https://x.example' }), { code: 'invalid_grant' })
  }
  await assert.rejects(setup({ options: { onNewGrant: 'end' as never } }), /onNewGrant/)
})

test('S24: of grants at once one session is left, the latest', async () => {
  const { stores, tokens, live } = await setup()
  const codes = createCodes({ store: stores.codeStore })
  const { verifier, challenge } = pkcePair()
  const permission = {
    subject: 'alice',
    clientId: 'web',
    scope: 'read',
    redirectUri: REDIRECT,
    redirectUriWasSent: true,
  }
  const exchange = authorizationCode({
    codes: stores.codeStore,
    sessions: createSessions({ store: stores.sessionStore, clock: () => NOW }),
    tokens,
    onNewGrant: 'end_older',
  })
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      const code = await codes.issue({ ...permission, codeChallenge: challenge }, NOW)
      const parameters = { code, code_verifier: verifier }
      await exchange.run({ client: web, parameters, now: NOW, context: {} })
    }),
  )
  assert.equal((await live()).length, 1)
})
