import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import {
  createClientAuthenticator,
  createDocumentEndpoint,
  createIntrospectionEndpoint,
  createSessions,
  createTokens,
} from '../../lib/index.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { type ApacheServer, startApache } from '../support/apache.ts'
import { apacheOauth2, without } from '../support/programs.ts'

const RESOURCE = 'https://api.example/notes'
const CLIENT = { client_id: 'api', client_secret: 'the-secret-of-the-api-which-is-long-enough' }
const app = { client_id: 'app', grant_types: ['authorization_code', 'refresh_token'] }
const now = () => Math.floor(Date.now() / 1000)

describe('mod_oauth2 of Apache', { skip: without(apacheOauth2) }, () => {
  let apache: ApacheServer
  let issuer = ''
  const sessions = createSessions({ store: createMemoryStores().sessionStore })
  const tokensFor = (audience: string, more: object = {}) =>
    createTokens({ issuer, baseSecret: 's'.repeat(32), audience, ...more })
  let serve: Parameters<typeof createServer>[1] = () => undefined
  const server = createServer((request, response) => serve?.(request, response as never))

  before(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening')
    issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const tokens = tokensFor(RESOURCE)
    const authenticateClient = createClientAuthenticator({
      findClient: (id) => (id === CLIENT.client_id ? CLIENT : undefined),
    })
    const introspection = createIntrospectionEndpoint({ authenticateClient, sessions, tokens })
    const jwks = createDocumentEndpoint(tokens.jwks())
    serve = (request, response) =>
      request.url === '/introspect' ? introspection(request, response) : jwks(request, response)
    const aud = `Require oauth2_claim aud:${RESOURCE}`
    const checks = `${aud}\nOAuth2TargetPass headers=off`
    const onlyBearer = `<RequireAll>\n${aud}\nRequire oauth2_claim token_type:Bearer\n</RequireAll>\nOAuth2TargetPass headers=off`
    const { client_id, client_secret } = CLIENT
    const introspect = `introspect.ssl_verify=false&introspect.auth=client_secret_basic&client_id=${client_id}&client_secret=${client_secret}&expiry=0`
    apache = await startApache({
      '/keys': `AuthType oauth2\nOAuth2TokenVerify jwks_uri ${issuer}/jwks jwks_uri.ssl_verify=false&verify.exp=required\n${checks}`,
      '/asked': `AuthType oauth2\nOAuth2TokenVerify introspect ${issuer}/introspect ${introspect}\n${onlyBearer}`,
    })
  })
  after(async () => {
    await apache?.stop()
    server.close()
    server.closeAllConnections()
  })

  async function issue(from = tokensFor(RESOURCE), at = now()) {
    const session = await sessions.open({ subject: 'alice', clientId: 'app', scope: 'read' }, { client: app, now: at })
    assert.ok(session)
    const options = { client: app, scope: 'read', generation: 1, now: at, context: {} }
    return { session, token: (await from.issue(session, options)).access_token }
  }
  const call = async (path: string, token?: string) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const response = await fetch(apache.url + path, { headers })
    return [response.status, (await response.text()) === 'in'] as const
  }

  for (const path of ['/keys', '/asked']) {
    const way = path === '/keys' ? 'jwks_uri' : 'introspection'

    test(`by ${way} it accepts our token, and refuses none, made-up, expired ones and those of another API`, async () => {
      const { token } = await issue()
      assert.deepEqual(await call(path, token), [200, true])
      assert.equal((await call(path))[0], 401)
      assert.equal((await call(path, 'made-up'))[0], 401)
      assert.equal((await call(path, `${token.slice(0, -4)}AAAA`))[0], 401)
      assert.equal((await call(path, (await issue(undefined, now() - 1000)).token))[0], 401)
      assert.equal((await call(path, (await issue(tokensFor('https://other.example'))).token))[0], 401)
    })
  }

  test('DP11: by introspection, with token_type:Bearer, it refuses a token that is bound to a key', async () => {
    const { token } = await issue(tokensFor(RESOURCE, { claims: () => ({ cnf: { jkt: 'x'.repeat(43) } }) }))
    assert.equal((await call('/asked', token))[0], 401)
    // Its JWT verification does not look at cnf: docs/resource-server.md says so. If this changes, change the page.
    assert.deepEqual(await call('/keys', token), [200, true])
  })

  test('by introspection it refuses a token that was revoked, and one of an ended session', async () => {
    const { token, session } = await issue()
    const other = await issue()
    assert.deepEqual(await call('/asked', token), [200, true])
    await sessions.end(session.id)
    assert.equal((await call('/asked', token))[0], 401)
    const claims = await tokensFor(RESOURCE).readAccessToken(other.token)
    assert.ok(claims)
    await sessions.revokeAccessToken(claims, now())
    assert.equal((await call('/asked', other.token))[0], 401)
  })
})
