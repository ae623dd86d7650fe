import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startTestExample } from '../support/example_tokens.ts'

for (const path of ['', '/tenant/one'])
  describe(`the demo API of the example${path === '' ? '' : ' behind an issuer with a path'}`, () => {
    let example: Awaited<ReturnType<typeof startTestExample>>
    before(async () => {
      example = await startTestExample({ path, shared: { scope: 'profile email notes.read' } })
    })
    after(() => example?.stop())

    const get = async (route: string, token?: string, init: RequestInit = {}) => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
      const response = await fetch(example.url + route, { headers, ...init })
      const challenge = response.headers.get('www-authenticate') ?? ''
      return { response, status: response.status, challenge, body: (await response.json()) as Record<string, unknown> }
    }
    const document = () => `${example.url}/.well-known/oauth-protected-resource${path}/api`

    test('RS17: the document is at the path-inserted well-known location and leads to the metadata', async () => {
      const response = await fetch(document())
      assert.equal(response.status, 200)
      assert.equal(response.headers.get('access-control-allow-origin'), '*')
      const body = (await response.json()) as Record<string, unknown>
      assert.equal(body['resource'], `${example.issuer}/api`)
      assert.deepEqual(body['authorization_servers'], [example.issuer])
      assert.deepEqual(body['bearer_methods_supported'], ['header'])
      assert.deepEqual(body['scopes_supported'], ['email', 'notes.read', 'profile'])
    })

    test('whoami tells what a token says; the issuer is the audience of tokens without resource', async () => {
      const token = await example.clientToken('profile')
      const { status, body, response } = await get(`${path}/api/whoami`, token)
      assert.equal(status, 200)
      assert.deepEqual(body, { sub: 'post', client_id: 'post', scope: 'profile', aud: example.issuer })
      assert.equal(response.headers.get('cache-control'), 'no-store')
    })

    test('without a token, with a made-up one, and RS2 with one in the query: 401 that names the document', async () => {
      const token = await example.clientToken('profile')
      for (const { status, challenge } of [
        await get(`${path}/api/whoami`),
        await get(`${path}/api/whoami?access_token=${token}`),
      ])
        assert.deepEqual(
          [status, challenge],
          [
            401,
            `Bearer resource_metadata="${document()}", DPoP algs="ES256 EdDSA PS256 RS256"`.replace(
              example.url,
              example.origin,
            ),
          ],
        )
      const refused = await get(`${path}/api/whoami`, `${token}x`)
      assert.deepEqual([refused.status, refused.body['error']], [401, 'invalid_token'])
      assert.match(refused.challenge, /^Bearer error="invalid_token", .*resource_metadata="http/)
    })

    test('RS12: a scope that the token lacks is 403, and names the one that is needed', async () => {
      const token = await example.clientToken('profile')
      assert.equal((await get(`${path}/api/scope/profile`, token)).status, 200)
      const { status, challenge, body } = await get(`${path}/api/scope/notes.read`, token)
      assert.deepEqual([status, body['error']], [403, 'insufficient_scope'])
      assert.match(challenge, /scope="notes\.read", resource_metadata="http/)
      assert.match(
        (await get(`${path}/api/scope/notes.read`)).challenge,
        /^Bearer scope="notes\.read", resource_metadata=/,
      )
    })

    test('a name that no scope can have: 404 as JSON with a token, and without one the challenge of the API', async () => {
      const token = await example.clientToken('profile')
      for (const name of ['%22', '%20', 'a%22b', 'x'.repeat(200), '%ff', '%', '%zz', '%C3']) {
        const known = await get(`${path}/api/scope/${name}`, token)
        assert.deepEqual([known.status, known.body], [404, { error: 'not_found' }], name)
        for (const sent of [undefined, `${token}x`]) {
          const refused = await get(`${path}/api/scope/${name}`, sent)
          assert.equal(refused.status, 401, name)
          assert.match(refused.challenge, /^Bearer .*resource_metadata="http/, name)
        }
      }
    })

    test('RS14: a revoked token and those of an ended session are refused at once', async () => {
      const token = await example.clientToken('profile')
      await example.call('/revoke', { token, ...example.asPost })
      const revoked = await get(`${path}/api/whoami`, token)
      assert.deepEqual([revoked.status, revoked.body['error']], [401, 'invalid_token'])
      const { access_token, refresh_token } = await example.userTokens()
      const alive = await get(`${path}/api/whoami`, access_token)
      assert.deepEqual([alive.status, alive.body['sub']], [200, 'u1'])
      assert.equal((await get(`${path}/api/whoami`, refresh_token)).status, 401, 'a refresh token is no access token')
      await example.call('/revoke', { token: refresh_token, client_id: 'none' })
      assert.equal((await get(`${path}/api/whoami`, access_token)).status, 401)
    })

    test('other methods are 405 with a token and 401 without; preflights pass', async () => {
      const token = await example.clientToken('profile')
      const post = await fetch(`${example.url}${path}/api/whoami`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
      })
      assert.deepEqual([post.status, post.headers.get('allow')], [405, 'GET, HEAD, OPTIONS'])
      assert.equal((await fetch(`${example.url}${path}/api/whoami`, { method: 'POST' })).status, 401)
      const preflight = { origin: 'https://app.example', 'access-control-request-method': 'GET' }
      const { status } = await fetch(`${example.url}${path}/api/whoami`, { method: 'OPTIONS', headers: preflight })
      assert.equal(status, 204)
    })
  })
