import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import { after, before, test } from 'node:test'
import * as oauth from 'oauth4webapi'
import {
  type Client,
  createClientAuthenticator,
  createIntrospectionEndpoint,
  createRefreshTokenExchange,
  createRevocationEndpoint,
  createSessions,
  createTokenEndpoint,
  createTokens,
  type Sessions,
  type Tokens,
} from '../../lib/index.ts'
import { createMemorySessionStore } from '../../lib/stores/memory.ts'
import { createFakeClock } from '../../lib/testing/fake_clock.ts'

const ISSUER = 'https://as.example'
const clients: Client[] = [
  { client_id: 'app', client_secret: 'the secret of app', grant_types: ['refresh_token'], scope: 'read write' },
  { client_id: 'api', client_secret: 'the secret of api' },
  { client_id: 'spa', token_endpoint_auth_method: 'none', grant_types: ['refresh_token'], scope: 'read write' },
]

const clock = createFakeClock()
let server: Server
let origin: string
let sessions: Sessions
let tokens: Tokens

before(async () => {
  sessions = createSessions({ store: createMemorySessionStore({ clock }), clock })
  tokens = createTokens({ issuer: ISSUER, baseSecret: 'a base secret of more than thirty-two octets' })
  const authenticateClient = createClientAuthenticator({
    findClient: async (clientId) => clients.find((client) => client.client_id === clientId),
  })
  const doors = new Map([
    [
      '/token',
      createTokenEndpoint({ exchanges: [createRefreshTokenExchange({ sessions, tokens })], authenticateClient, clock }),
    ],
    ['/introspect', createIntrospectionEndpoint({ sessions, tokens, authenticateClient, clock })],
    ['/revoke', createRevocationEndpoint({ sessions, tokens, authenticateClient, clock })],
  ])
  server = createServer((request, response) => doors.get(request.url ?? '')?.(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  origin = `http://127.0.0.1:${address.port}`
})
after(() => {
  server.closeAllConnections()
  server.close()
})

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly json: Record<string, unknown>
}

async function post(path: string, clientId: string, parameters: Record<string, string>): Promise<Answer> {
  const headers: Record<string, string> = {}
  const body = new URLSearchParams(parameters)
  if (clientId === 'spa') body.set('client_id', 'spa')
  else headers['authorization'] = `Basic ${Buffer.from(`${clientId}:the secret of ${clientId}`).toString('base64')}`
  const response = await fetch(origin + path, { method: 'POST', body, headers })
  return {
    status: response.status,
    headers: response.headers,
    json: (await response.json()) as Record<string, unknown>,
  }
}

const refresh = (refresh_token: string, clientId = 'app', more: Record<string, string> = {}) =>
  post('/token', clientId, { grant_type: 'refresh_token', refresh_token, ...more })

async function connected(clientId = 'app'): Promise<{ access: string; refresh: string; session: string }> {
  const client = clients.find((each) => each.client_id === clientId)
  assert.ok(client !== undefined)
  const session = await sessions.open({ subject: 'alice', clientId, scope: 'read write' }, { client })
  assert.ok(session !== undefined)
  const options = { client, scope: 'read write', generation: 1, now: clock(), context: {} }
  const { access_token, refresh_token = '' } = await tokens.issue(session, options)
  return { access: access_token, refresh: refresh_token, session: session.id }
}

test('T18, T77: a refresh over HTTP is 200 JSON, never cached, with the members of RFC 6749 §5.1', async () => {
  const { refresh: token } = await connected()
  const { status, headers, json } = await refresh(token)
  assert.equal(status, 200)
  assert.match(headers.get('content-type') ?? '', /^application\/json/)
  assert.equal(headers.get('cache-control'), 'no-store')
  assert.deepEqual(Object.keys(json).sort(), [
    'access_token',
    'expires_in',
    'refresh_expires_in',
    'refresh_token',
    'scope',
    'token_type',
  ])
})

test('T63: 50 refreshes of one token at once over HTTP: all 200, and the session lives', async () => {
  const { refresh: token, session } = await connected()
  clock.advance(100)
  const answers = await Promise.all(Array.from({ length: 50 }, () => refresh(token)))
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  assert.ok(await sessions.get(session))
  clock.advance(100)
  const next = await Promise.all(answers.map(({ json }) => refresh(String(json['refresh_token']))))
  assert.deepEqual(new Set(next.map(({ status }) => status)), new Set([200]))
})

test('T56, T57: every refusal of a token is 400 invalid_grant with one body, byte for byte', async () => {
  const { refresh: token, access } = await connected()
  clock.advance(100)
  const second = String((await refresh(token)).json['refresh_token'])
  clock.advance(100)
  await refresh(second)
  clock.advance(100)
  const bodies = new Set<string>()
  for (const presented of ['x', access, `${second}x`, token, second]) {
    const { status, json } = await refresh(presented)
    assert.equal(status, 400)
    assert.equal(json['error'], 'invalid_grant')
    bodies.add(JSON.stringify(json))
  }
  assert.equal(bodies.size, 1)
})

test('T86, RFC 8707: an empty scope is absent, and resource is let through', async () => {
  const { refresh: token } = await connected()
  const { status, json } = await refresh(token, 'app', { scope: '', resource: 'https://api.example' })
  assert.deepEqual([status, json['scope']], [200, 'read write'])
})

test('another library refreshes, introspects and revokes', async () => {
  const mine = await connected()
  const as: oauth.AuthorizationServer = {
    issuer: ISSUER,
    token_endpoint: `${origin}/token`,
    introspection_endpoint: `${origin}/introspect`,
    revocation_endpoint: `${origin}/revoke`,
  }
  const client = { client_id: 'app' }
  const authentication = oauth.ClientSecretBasic('the secret of app')
  const insecure = { [oauth.allowInsecureRequests]: true }
  const response = await oauth.refreshTokenGrantRequest(as, client, authentication, mine.refresh, insecure)
  const set = await oauth.processRefreshTokenResponse(as, client, response)
  assert.equal(set.token_type, 'bearer')

  const introspect = async (token: string) => {
    const answer = await oauth.introspectionRequest(as, client, authentication, token, insecure)
    return oauth.processIntrospectionResponse(as, client, answer)
  }
  assert.equal((await introspect(set.access_token)).active, true)
  const revoked = await oauth.revocationRequest(as, client, authentication, set.refresh_token ?? '', insecure)
  await oauth.processRevocationResponse(revoked)
  assert.equal((await introspect(set.access_token)).active, false)
})

test('RFC 7662: a resource server is told of an access token of another client; what is unknown is only inactive', async () => {
  const { access } = await connected()
  const known = await post('/introspect', 'api', { token: access, token_type_hint: 'refresh_token' })
  assert.equal(known.status, 200)
  assert.equal(known.headers.get('cache-control'), 'no-store')
  for (const member of ['active', 'scope', 'client_id', 'sub', 'exp', 'iat', 'iss', 'token_type']) {
    assert.ok(member in known.json, member)
  }
  const unknown = await post('/introspect', 'api', { token: 'x' })
  assert.deepEqual([unknown.status, unknown.json], [200, { active: false }])
})

test('RFC 7662: who is not a confidential client learns nothing', async () => {
  const { access } = await connected()
  const spa = await post('/introspect', 'spa', { token: access })
  assert.deepEqual([spa.status, spa.json['error']], [400, 'invalid_client'])
  const response = await fetch(`${origin}/introspect`, { method: 'POST', body: new URLSearchParams({ token: access }) })
  assert.equal(((await response.json()) as Record<string, unknown>)['error'], 'invalid_client')
})

test('the introspection endpoint does not name the method none among those it takes', () => {
  const authenticateClient = createClientAuthenticator({ findClient: () => undefined })
  assert.ok(createRevocationEndpoint({ sessions, tokens, authenticateClient }).methods.includes('none'))
  assert.ok(!createIntrospectionEndpoint({ sessions, tokens, authenticateClient }).methods.includes('none'))
})

test('RFC 7009: 200 {} for own, unknown and foreign tokens; only the own one is revoked', async () => {
  const { access, refresh: token } = await connected()
  for (const [clientId, revoked] of [
    ['app', 'x'],
    ['api', token],
    ['spa', access],
  ] as const) {
    const { status, json } = await post('/revoke', clientId, { token: revoked })
    assert.deepEqual([status, json], [200, {}])
  }
  assert.equal((await post('/introspect', 'api', { token: access })).json['active'], true)
  await post('/revoke', 'app', { token })
  assert.equal((await post('/introspect', 'api', { token: access })).json['active'], false)
  assert.deepEqual((await refresh(token)).json['error'], 'invalid_grant')
})

test('RFC 7009: a public client revokes its token', async () => {
  const { refresh: token, session } = await connected('spa')
  assert.equal((await post('/revoke', 'spa', { token })).status, 200)
  assert.equal(await sessions.get(session), undefined)
})

test('without a token, or with an empty one, both endpoints answer 400 invalid_request', async () => {
  for (const path of ['/introspect', '/revoke']) {
    for (const parameters of [{}, { token: '' }]) {
      const { status, json } = await post(path, 'app', parameters as Record<string, string>)
      assert.deepEqual([status, json['error']], [400, 'invalid_request'])
    }
  }
})
