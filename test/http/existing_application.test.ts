import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { after as afterAll, before as beforeAll, describe, test } from 'node:test'
import { app as adopted } from '../../examples/existing-application/after.ts'
import { app as usual } from '../../examples/existing-application/before.ts'
import { type ClientRecord, db } from '../../examples/existing-application/database.ts'
import { createTestClient } from '../../lib/testing/index.ts'
import { basicHeader, listen, post, type Route } from '../support/token_route.ts'

const REDIRECT_URI = 'https://shop.example/callback'
const SHOP = { Authorization: basicHeader('shop', 'open sesame') }

const codeRequest = async (clientId = 1, userId = 1) => ({
  grant_type: 'authorization_code',
  code: await db.createCode({ clientId, userId, redirectURI: REDIRECT_URI }),
  redirect_uri: REDIRECT_URI,
})

describe('an existing application', () => {
  let old: Route
  let now: Route
  const at = (route: Route) => route.url.replace('/token', '/oauth/token')
  beforeAll(async () => {
    old = await listen(createServer(usual))
    now = await listen(createServer(adopted))
  })
  afterAll(() => Promise.all([old.close(), now.close()]))

  test('what worked before works after: the secret in the header, the secret in the body', async () => {
    for (const route of [old, now]) {
      const basic = await post(at(route), await codeRequest(), SHOP)
      assert.deepEqual([basic.status, basic.json.token_type], [200, 'Bearer'], basic.text)
      const secret = { client_id: 'shop', client_secret: 'open sesame' }
      assert.equal((await post(at(route), { ...(await codeRequest()), ...secret })).status, 200)
    }
  })

  test('what was answered wrongly is answered as the RFC says', async () => {
    const wrong = { Authorization: basicHeader('shop', 'wrong') }
    const good = { client_id: 'shop', client_secret: 'open sesame' }
    const cases: readonly (readonly [string, object, Record<string, string>, number, number, string])[] = [
      ['a wrong secret', {}, wrong, 401, 401, 'invalid_client'],
      ['a wrong secret in the header, a right one in the body (O28)', good, wrong, 200, 401, 'invalid_client'],
      ['an unknown grant type', { grant_type: 'x' }, SHOP, 501, 400, 'unsupported_grant_type'],
      ['a missing grant type', { grant_type: '' }, SHOP, 501, 400, 'invalid_request'],
      ['a code that is wrong', { code: 'x' }, SHOP, 403, 400, 'invalid_grant'],
      ['a parameter that is an object', { code: '', 'code[$ne]': 'x' }, SHOP, 403, 400, 'invalid_request'],
    ]
    for (const [what, more, headers, before, after, error] of cases) {
      const body = { ...(await codeRequest()), ...more } as Record<string, string>
      const form = Object.fromEntries(Object.entries(body).filter(([name]) => !(name in more) || body[name] !== ''))
      assert.equal((await post(at(old), form, headers)).status, before, what)
      const answer = await post(at(now), { ...form, code: form['code'] ?? '' }, headers)
      assert.deepEqual([answer.status, answer.json.error], [after, error], what)
      assert.equal(answer.headers.get('cache-control'), 'no-store', what)
    }
  })

  test('what a database says goes out before, and not after (O12)', async () => {
    assert.match((await post(at(old), await codeRequest(1, 0), SHOP)).text, /access_tokens/)
    const answer = await post(at(now), await codeRequest(1, 0), SHOP)
    assert.deepEqual([answer.status, answer.json.error], [500, 'server_error'])
    assert.doesNotMatch(answer.text, /access_tokens/)
  })

  test('a public client can use it after, and only that one (O35)', async () => {
    const phone = { client_id: 'phone' }
    assert.equal((await post(at(old), { ...(await codeRequest(2)), ...phone })).status, 401)
    assert.equal((await post(at(now), { ...(await codeRequest(2)), ...phone })).status, 200)
    assert.equal((await post(at(now), { ...(await codeRequest(1)), client_id: 'shop' })).json.error, 'invalid_client')
  })

  test('a client with a key can use it after', async () => {
    const client = await createTestClient({ clientId: 'robot', issuer: 'https://auth.example.com' })
    const record: ClientRecord = {
      id: 3,
      clientId: 'robot',
      clientSecret: null,
      name: 'A robot',
      jwks: JSON.stringify(client.jwks),
    }
    db.clients.push(record)
    const answer = await post(at(now), { ...(await codeRequest(3)), ...(await client.parameters()) })
    assert.equal(answer.status, 200, answer.text)
  })

  test('the difference is what the guide shows, and small', () => {
    const lines = (name: string) => readFileSync(`examples/existing-application/${name}.ts`, 'utf8').split('\n')
    const before = new Set(lines('before'))
    const added = lines('after').filter((line) => !before.has(line))
    assert.ok(added.length < 50, `${added.length} lines`)
  })
})
