import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { createCodes } from '../../lib/code/codes.ts'
import {
  type Client,
  createAuthorizationCodeExchange,
  createClientCredentialsExchange,
  createRefreshTokenExchange,
  createSessions,
  createTokenEndpoint,
  createTokens,
  type SessionStore,
} from '../../lib/index.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { pkcePair } from '../support/authorization_app.ts'
import { basicHeader, listen, post, type Route } from '../support/token_route.ts'

const REDIRECT_URI = 'https://client.example/cb'
const secret = 'x'.repeat(40)
const record = (client_id: string, grant_types: readonly string[]): Client => ({
  client_id,
  client_secret: secret,
  redirect_uris: [REDIRECT_URI],
  grant_types,
  scope: 'read write',
})
const CLIENTS = [
  record('web', ['authorization_code', 'refresh_token', 'client_credentials']),
  record('other', ['authorization_code', 'refresh_token']),
  record('machine', ['client_credentials']),
]

describe('the error table of the token endpoint, with the exchanges of this package', () => {
  const { codeStore, sessionStore } = createMemoryStores()
  const trouble = { conflicts: false, down: false }
  /** A store that can lose every race, or be gone. */
  const store: SessionStore = {
    ...sessionStore,
    save: async (session) => (trouble.conflicts ? 'conflict' : sessionStore.save(session)),
    get: async (id) => {
      if (trouble.down) throw new Error('connect ECONNREFUSED 10.0.0.3:6379')
      return sessionStore.get(id)
    },
  }
  const sessions = createSessions({ store })
  const tokens = createTokens({ issuer: 'https://as.example', baseSecret: secret })
  const codes = createCodes({ store: codeStore })
  const withdrawn = new Set<string>()
  const permits = ({ subject }: { subject: string }) => !withdrawn.has(subject)
  let now = Math.floor(Date.now() / 1000)
  let route: Route

  before(async () => {
    const exchanges = [
      createAuthorizationCodeExchange({ codes: codeStore, sessions, tokens, permits }),
      createRefreshTokenExchange({ sessions, tokens, permits }),
      createClientCredentialsExchange({ tokens }),
    ]
    const findClient = (id: string) => CLIENTS.find((client) => client.client_id === id)
    route = await listen(createServer(createTokenEndpoint({ findClient, exchanges, clock: () => now })))
  })
  after(() => route.close())

  const send = (body: Record<string, string>, client = 'web') =>
    post(route.url, body, { Authorization: basicHeader(client, secret) })

  async function issued(subject = 'alice') {
    const { verifier, challenge } = pkcePair()
    const permission = {
      subject,
      clientId: 'web',
      scope: 'read',
      redirectUri: REDIRECT_URI,
      redirectUriWasSent: true,
      codeChallenge: challenge,
    }
    const code = await codes.issue(permission, now)
    return { grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI, code_verifier: verifier }
  }
  const refreshable = async (subject?: string): Promise<string> =>
    (await send(await issued(subject))).json.refresh_token
  const without = (body: Record<string, string>, name: string) => ({ ...body, [name]: '' })

  async function refused(body: Record<string, string>, status: number, error: string, client?: string) {
    const answer = await send(body, client)
    assert.deepEqual([answer.status, answer.json.error], [status, error], answer.text)
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    return answer
  }

  test('a code that is missing (E10)', async () => {
    await refused(without(await issued(), 'code'), 400, 'invalid_request')
  })

  test('a code that is unknown, used, expired or another client’s (E11)', async () => {
    const body = await issued()
    await refused({ ...body, code: 'unknown' }, 400, 'invalid_grant')
    await refused(body, 400, 'invalid_grant', 'other')
    assert.equal((await send(body)).status, 200)
    await refused(body, 400, 'invalid_grant')
    const late = await issued()
    now += 3600
    await refused(late, 400, 'invalid_grant')
  })

  test('T43: a redirect_uri that is missing where the code has a challenge, or another one (E13)', async () => {
    const { status, json } = await send(without(await issued(), 'redirect_uri'))
    assert.deepEqual([status, json.token_type], [200, 'Bearer'])
    await refused({ ...(await issued()), redirect_uri: `${REDIRECT_URI}/x` }, 400, 'invalid_grant')
  })

  test('a code_verifier that is missing, or wrong (E14)', async () => {
    await refused(without(await issued(), 'code_verifier'), 400, 'invalid_request')
    await refused({ ...(await issued()), code_verifier: pkcePair().verifier }, 400, 'invalid_grant')
  })

  test('a grant the client does not have (E15)', async () => {
    await refused(await issued(), 400, 'unauthorized_client', 'machine')
  })

  test('a scope that is wider than allowed (E16)', async () => {
    const token = { grant_type: 'refresh_token', refresh_token: await refreshable() }
    await refused({ ...token, scope: 'read write' }, 400, 'invalid_scope')
    await refused({ grant_type: 'client_credentials', scope: 'admin' }, 400, 'invalid_scope', 'machine')
    assert.equal((await send(token)).status, 200, 'the refusal changed nothing')
  })

  test('a refresh token that is missing (E17), no token of ours (E18), or another client’s (E19)', async () => {
    await refused({ grant_type: 'refresh_token' }, 400, 'invalid_request')
    await refused({ grant_type: 'refresh_token', refresh_token: 'x.y.z' }, 400, 'invalid_grant')
    const token = { grant_type: 'refresh_token', refresh_token: await refreshable() }
    await refused(token, 400, 'invalid_grant', 'other')
    assert.equal((await send(token)).status, 200)
  })

  test('a permission that was withdrawn (E20)', async () => {
    const token = { grant_type: 'refresh_token', refresh_token: await refreshable('bob') }
    withdrawn.add('bob')
    await refused(token, 400, 'invalid_grant')
  })

  test('races that never end are 503, never 409 or invalid_grant; the token still works (E21, T63)', async () => {
    const token = { grant_type: 'refresh_token', refresh_token: await refreshable('carol') }
    now += 60 // past the join window, where nothing is saved
    trouble.conflicts = true
    const answer = await refused(token, 503, 'temporarily_unavailable')
    assert.match(answer.headers.get('retry-after') ?? '', /^\d+$/)
    trouble.conflicts = false
    assert.equal((await send(token)).status, 200)
  })

  test('a store that is gone is 503, and the token still works (E22)', async () => {
    const token = { grant_type: 'refresh_token', refresh_token: await refreshable('dave') }
    trouble.down = true
    const answer = await refused(token, 503, 'temporarily_unavailable')
    assert.doesNotMatch(answer.text, /ECONNREFUSED/)
    trouble.down = false
    assert.equal((await send(token)).status, 200)
  })
})
