import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { requireBearerAuth as requireBearerAuth2 } from '@modelcontextprotocol/express'
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js'
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js'
import { OAuthError as McpOAuthError, OAuthErrorCode } from '@modelcontextprotocol/server'
import express, { type ErrorRequestHandler, type RequestHandler } from 'express'
import { createLocalJWKSet, jwtVerify } from 'jose'
import passport from 'passport'
import { Strategy as BearerStrategy } from 'passport-http-bearer'
import { createSessions, createTokens, OAuthError } from '../../lib/index.ts'
import {
  type AccessToken,
  createAccessTokenVerifier,
  createBearerVerify,
  toMcpVerifier,
} from '../../lib/resource_server/index.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'

const ISSUER = 'https://as.example'
const RESOURCE = 'https://api.example/mcp'
const client = { client_id: 'app', grant_types: ['authorization_code', 'refresh_token'] }
const baseSecret = 's'.repeat(32)
const nowSeconds = () => Math.floor(Date.now() / 1000)

const { sessionStore } = createMemoryStores()
const store = { isDown: false }
const sessions = createSessions({
  store: {
    ...sessionStore,
    get: async (id) => {
      if (store.isDown) throw new Error('ECONNREFUSED')
      return sessionStore.get(id)
    },
  },
})
const tokensFor = (audience: string, more: object = {}) =>
  createTokens({ issuer: ISSUER, baseSecret, audience, ...more })
const tokens = tokensFor(RESOURCE)
const verifier = createAccessTokenVerifier({ issuer: ISSUER, resource: RESOURCE, keys: { tokens, sessions } })

async function issue(from = tokens, now = nowSeconds()) {
  const session = await sessions.open({ subject: 'alice', clientId: 'app', scope: 'read' }, { client, now })
  assert.ok(session)
  const { access_token, refresh_token } = await from.issue(session, {
    ...{ client, scope: 'read', generation: 1, now, context: {} },
  })
  return { access: access_token, refresh: refresh_token ?? '', session }
}

/** Tokens that must be refused, and why. */
async function badTokens(): Promise<Readonly<Record<string, string>>> {
  const revoked = await issue()
  const claims = await tokens.readAccessToken(revoked.access)
  assert.ok(claims)
  await sessions.revokeAccessToken(claims, nowSeconds())
  const ended = await issue()
  await sessions.end(ended.session.id)
  return {
    'another API': (await issue(tokensFor('https://other.example'))).access,
    expired: (await issue(tokens, nowSeconds() - 1000)).access,
    revoked: revoked.access,
    'of an ended session': ended.access,
    'bound to a key': (await issue(tokensFor(RESOURCE, { claims: () => ({ cnf: { jkt: 'x' } }) }))).access,
    'a refresh token': ended.refresh,
    'made up': 'made-up',
  }
}

async function serve(t: { after(fn: () => void): void }, ...handlers: RequestHandler[]): Promise<string> {
  const onError: ErrorRequestHandler = (error, _req, res, _next) => {
    res.status(error instanceof OAuthError ? error.status : 500).end('error')
  }
  const server = createServer(express().use(express.urlencoded(), ...handlers, onError))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

async function call(url: string, token?: string, init: RequestInit = {}) {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const response = await fetch(url, { headers, ...init })
  return { status: response.status, challenge: response.headers.get('www-authenticate'), body: await response.text() }
}

describe('passport-http-bearer 1.0.1 on Passport 0.7', () => {
  const start = (
    t: { after(fn: () => void): void },
    withRequest: boolean,
    userOf?: (token: AccessToken) => unknown,
  ) => {
    const authenticator = new passport.Passport()
    const verify = createBearerVerify(verifier, { userOf })
    authenticator.use(
      withRequest ? new BearerStrategy({ passReqToCallback: true }, verify) : new BearerStrategy(verify),
    )
    const guard = authenticator.authenticate('bearer', { session: false }) as RequestHandler
    return serve(t, guard, (req, res) => void res.json({ user: req.user, info: req.authInfo }))
  }

  for (const withRequest of [true, false])
    test(`good tokens pass and bad ones are 401 invalid_token, ${withRequest ? 'with' : 'without'} the request`, async (t) => {
      const url = await start(t, withRequest, ({ subject }) => ({ name: subject }))
      const { access } = await issue()
      const { status, body } = await call(url, access)
      assert.equal(status, 200, body)
      const { user, info } = JSON.parse(body)
      assert.deepEqual([user, info.scope, info.claims.sub], [{ name: 'alice' }, 'read', 'alice'])
      for (const [name, token] of Object.entries(await badTokens())) {
        const refused = await call(url, token)
        assert.equal(refused.status, 401, name)
        assert.match(
          refused.challenge ?? '',
          /^Bearer realm="Users", error="invalid_token", error_description="[^"]+"$/,
        )
      }
      const { challenge } = await call(url)
      assert.equal(challenge, 'Bearer realm="Users"')
    })

  test('RS2: with the request, a token in the query or the body is refused', async (t) => {
    const url = await start(t, true)
    const { access } = await issue()
    assert.equal((await call(`${url}?access_token=${access}`)).status, 401)
    const body = new URLSearchParams({ access_token: access })
    assert.equal((await call(url, undefined, { method: 'POST', body })).status, 401)
    assert.equal((await call(url, access)).status, 200)
  })

  test('without userOf the user is the token; a user that is gone is 401; a look-up that fails is 503', async (t) => {
    const { access } = await issue()
    const plain = JSON.parse((await call(await start(t, true), access)).body)
    assert.deepEqual([plain.user.subject, plain.user.clientId], ['alice', 'app'])
    for (const gone of [() => undefined, async () => false, () => null])
      assert.equal((await call(await start(t, true, gone), access)).status, 401)
    const fail = async (): Promise<never> => {
      throw new Error('no database')
    }
    assert.equal((await call(await start(t, true, fail), access)).status, 503)
    assert.equal((await call(await start(t, true, () => fail()), access)).status, 503)
  })

  test('RS15: a store that fails is an error of 503, not a refusal', async (t) => {
    const url = await start(t, true)
    const { access } = await issue()
    store.isDown = true
    t.after(() => {
      store.isDown = false
    })
    const { status, challenge } = await call(url, access)
    assert.deepEqual([status, challenge], [503, null])
  })
})

for (const [name, guard] of Object.entries({
  '@modelcontextprotocol/sdk 1.32': requireBearerAuth({
    verifier: toMcpVerifier(verifier, { createError: (message) => new InvalidTokenError(message) }),
    requiredScopes: ['read'],
    resourceMetadataUrl: 'https://api.example/.well-known/oauth-protected-resource/mcp',
    expectedResource: new URL(RESOURCE),
  }),
  '@modelcontextprotocol/server and express 2': requireBearerAuth2({
    verifier: toMcpVerifier(verifier, {
      createError: (message) => new McpOAuthError(OAuthErrorCode.InvalidToken, message),
    }),
    requiredScopes: ['read'],
    resourceMetadataUrl: 'https://api.example/.well-known/oauth-protected-resource/mcp',
    expectedResource: new URL(RESOURCE),
  }) as RequestHandler,
}))
  describe(`requireBearerAuth of ${name}`, () => {
    const start = (t: { after(fn: () => void): void }) =>
      serve(t, guard as RequestHandler, (req, res) => void res.json((req as unknown as { auth: object }).auth))

    test('a good token becomes AuthInfo, with the claims in extra', async (t) => {
      const { access } = await issue()
      const { status, body } = await call(await start(t), access)
      assert.equal(status, 200, body)
      const { token, clientId, scopes, expiresAt, resource, extra } = JSON.parse(body)
      assert.deepEqual([token, clientId, scopes, resource], [access, 'app', ['read'], RESOURCE])
      assert.equal(typeof expiresAt, 'number')
      assert.equal(extra.sub, 'alice')
    })

    test('a token for another API, expired, revoked, of an ended session, or bound is 401 with the document', async (t) => {
      const url = await start(t)
      for (const [why, token] of Object.entries(await badTokens())) {
        const { status, challenge } = await call(url, token)
        assert.equal(status, 401, why)
        assert.match(
          challenge ?? '',
          /^Bearer error="invalid_token", error_description="[^"]+", .*resource_metadata="https:/,
        )
      }
    })

    test('RS15: a store that fails is no refusal', async (t) => {
      const url = await start(t)
      const { access } = await issue()
      store.isDown = true
      t.after(() => {
        store.isDown = false
      })
      const { status, challenge } = await call(url, access)
      assert.deepEqual([status, challenge], [500, null])
    })
  })

test('toMcpVerifier and createBearerVerify name what is missing', () => {
  assert.throws(() => toMcpVerifier(verifier, {} as never), { name: 'TypeError', message: /'createError'/ })
  assert.throws(() => toMcpVerifier(verifier, undefined as never), /toMcpVerifier needs an object/)
  assert.throws(() => toMcpVerifier({} as never, { createError: () => new Error() }), /'verifier'/)
  assert.throws(() => createBearerVerify({} as never), /'verifier'/)
  assert.throws(() => createBearerVerify(verifier, { userof: () => ({}) } as never), /Did you mean "userOf"/)
  assert.throws(() => createBearerVerify(verifier)('token', undefined as never), TypeError)
})

test('jose verifies our tokens with typ and audience, and refuses them for another API', async () => {
  const { access } = await issue()
  const keys = createLocalJWKSet(tokens.jwks() as never)
  const options = { issuer: ISSUER, audience: RESOURCE, typ: 'at+jwt' }
  const { payload } = await jwtVerify(access, keys, options)
  assert.equal(payload.sub, 'alice')
  await assert.rejects(jwtVerify(access, keys, { ...options, audience: 'https://other.example' }), /aud/)
  const { refresh } = await issue()
  await assert.rejects(jwtVerify(refresh, keys, options))
})
