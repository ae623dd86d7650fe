import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCodes } from '../../lib/code/codes.ts'
import { createConsents } from '../../lib/consent/consents.ts'
import { authorizationCode } from '../../lib/exchanges/authorization_code.ts'
import { refreshToken } from '../../lib/exchanges/refresh_token.ts'
import { createSessions } from '../../lib/session/sessions.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { createTokens } from '../../lib/token/token_set.ts'
import { pkcePair } from '../support/authorization_app.ts'

// Two issuers on the same stores and with the same secret: whatever one made, the other does not know.

const NOW = 1_800_000_000
const app = { client_id: 'app', scope: 'read', grant_types: ['authorization_code', 'refresh_token'] }
const permission = { subject: 'alice', clientId: 'app', scope: 'read' }
const [A, B] = ['https://a.example', 'https://b.example'] as const

function setUp(named = true) {
  const stores = createMemoryStores({ clock: () => NOW })
  return [A, B].map((issuer) => {
    const sessions = createSessions({ store: stores.sessionStore, clock: () => NOW, ...(named ? { issuer } : {}) })
    const tokens = createTokens({ issuer, baseSecret: 'b'.repeat(32), accessTokenAlgorithm: 'HS256' })
    const consents = createConsents({ store: stores.sessionStore, clock: () => NOW, issuer })
    const codes = createCodes({ store: stores.codeStore, issuer })
    const redeem = authorizationCode({ codes: stores.codeStore, sessions, tokens })
    const refresh = refreshToken({ sessions, tokens })
    const { verifier, challenge } = pkcePair()
    const ask = { client: app, now: NOW, context: {} }
    return {
      sessions,
      consents,
      tokens,
      stores,
      issue: () =>
        codes.issue(
          { ...permission, redirectUri: 'https://app.example', redirectUriWasSent: false, codeChallenge: challenge },
          NOW,
        ),
      redeem: (code: string, code_verifier = verifier) => redeem.run({ ...ask, parameters: { code, code_verifier } }),
      verifier,
      refresh: (refresh_token = '') => refresh.run({ ...ask, parameters: { refresh_token } }),
    }
  }) as unknown as [ReturnType<typeof one>, ReturnType<typeof one>]
  function one() {
    return undefined as never as {
      sessions: ReturnType<typeof createSessions>
      consents: ReturnType<typeof createConsents>
      tokens: ReturnType<typeof createTokens>
      stores: typeof stores
      issue(): Promise<string>
      redeem(code: string, verifier?: string): ReturnType<ReturnType<typeof authorizationCode>['run']>
      verifier: string
      refresh(token?: string): ReturnType<ReturnType<typeof refreshToken>['run']>
    }
  }
}

for (const named of [true, false]) {
  test(`S23: a code of one issuer is unknown to another on the same stores (createSessions ${named ? 'with' : 'without'} issuer)`, async () => {
    const [a, b] = setUp(named)
    const code = await a.issue()
    await assert.rejects(b.redeem(code, a.verifier), { code: 'invalid_grant', reason: 'code_unknown' })
    const answer = await a.redeem(code)
    await assert.rejects(b.redeem(code, a.verifier), { reason: 'code_unknown' })
    assert.ok(await a.refresh(answer.refresh_token), 'and a replay at the other issuer ends nothing')
    await assert.rejects(b.refresh(answer.refresh_token), { code: 'invalid_grant' })
  })
}

test('S23: a session of one issuer is unknown to another: get, list, touch, refresh, endAll', async () => {
  const [a, b] = setUp()
  const own = await a.sessions.open(permission)
  const others = await b.sessions.open(permission)
  assert.ok(own && others)
  assert.equal(await b.sessions.get(own.id), undefined)
  assert.equal(await b.sessions.touch(own.id), undefined)
  const forged = { client: app, scope: 'read', generation: 1, now: NOW, context: {} }
  const { refresh_token } = await b.tokens.issue(own, forged)
  await assert.rejects(b.refresh(refresh_token), { code: 'invalid_grant', reason: 'session_not_found' })
  assert.deepEqual(
    (await a.sessions.list('alice', 'oauth2')).map(({ id }) => id),
    [own.id],
  )
  assert.equal(await a.sessions.endAll('alice', 'oauth2'), 1)
  assert.equal(await a.sessions.get(own.id), undefined)
  assert.ok(await b.sessions.get(others.id))
  await assert.rejects(a.sessions.open(permission, { issuer: B }), { name: 'TypeError', message: /'issuer'/ })
})

test('S23: without issuer of createSessions the exchanges still tell the sessions of issuers apart', async () => {
  const [a, b] = setUp(false)
  const answer = await a.redeem(await a.issue())
  const [session] = await a.sessions.list('alice', 'oauth2')
  assert.equal(session?.issuer, A)
  const { refresh_token } = await b.tokens.issue(session, {
    client: app,
    scope: '',
    generation: 1,
    now: NOW,
    context: {},
  })
  await assert.rejects(b.refresh(refresh_token), { reason: 'session_not_found' })
  assert.ok(await a.refresh(answer.refresh_token))
})

test('S23: records of 0.1.0 have no issuer and stay valid', async () => {
  const [a, b] = setUp()
  const { stores } = a
  const code = await createCodes({ store: stores.codeStore }).issue(
    {
      ...permission,
      redirectUri: 'https://app.example',
      redirectUriWasSent: false,
      codeChallenge: undefined,
    },
    NOW,
  )
  const redeem = authorizationCode({ codes: stores.codeStore, sessions: b.sessions, tokens: b.tokens })
  assert.ok(await redeem.run({ client: app, parameters: { code }, now: NOW, context: {} }))
  const old = await createSessions({ store: stores.sessionStore, clock: () => NOW }).open(permission)
  assert.ok(old && old.issuer === undefined)
  for (const { sessions } of [a, b]) assert.ok(await sessions.get(old.id))
})

test('S23: consents of two issuers on one store are two', async () => {
  const [a, b] = setUp()
  await a.consents.remember(permission)
  assert.equal(await b.consents.allows(permission), false)
  assert.deepEqual(await b.consents.list('alice'), [])
  await b.consents.remember(permission)
  assert.equal(await a.consents.withdrawAll('alice'), 1)
  assert.equal(await b.consents.allows(permission), true)
})
