// The modules of the OpenID conformance suite's plan fapi2-security-profile-final-test-plan that are about pushed requests,
// each as a test of ours under the module's name. The suite itself is not run here.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { SignJWT } from 'jose'
import { authorizationApp } from '../support/authorization_app.ts'
import { type RunningExample, startExample } from '../support/example.ts'
import { ALICE, type ExampleClient, exampleClients, USERS } from '../support/example_clients.ts'
import { createFormBrowser } from '../support/form_browser.ts'
import { newPkce } from '../support/pkce.ts'

const REDIRECT_URI = 'https://app.example.com/callback'
const module = (name: string): string => `fapi2-security-profile-final-${name}`

type Form = Readonly<Record<string, string>>

describe('FAPI 2.0 modules about pushed requests', () => {
  let example: RunningExample
  let issuer = ''
  let one: ExampleClient
  let two: ExampleClient
  before(async () => {
    const { es256, eddsa } = await exampleClients({ redirect_uris: [REDIRECT_URI] })
    assert.ok(es256 && eddsa)
    one = es256
    two = { ...es256, record: { ...es256.record, client_id: 'two' } }
    example = await startExample({
      clients: [one.record, two.record],
      users: USERS,
      environment: { REQUIRE_PAR: 'on', ASSERTION_PROFILE: 'fapi2' },
    })
    const response = await fetch(`${example.url}/.well-known/oauth-authorization-server`)
    issuer = ((await response.json()) as { issuer: string }).issuer
  })
  after(() => example?.stop())

  async function assertion({ key, record }: ExampleClient, notBefore = 0): Promise<Form> {
    assert.ok(key)
    const now = Math.floor(Date.now() / 1000)
    const claims = { iss: record.client_id, sub: record.client_id, aud: issuer, jti: randomUUID() }
    const signed = new SignJWT({ ...claims, iat: now + notBefore, nbf: now + notBefore, exp: now + 60 })
    return {
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await signed.setProtectedHeader({ alg: 'ES256' }).sign(key),
    }
  }

  const requestOf = ({ record }: ExampleClient): Form => ({
    response_type: 'code',
    client_id: record.client_id,
    redirect_uri: REDIRECT_URI,
    scope: 'profile',
    state: 'state',
    code_challenge: newPkce().challenge,
    code_challenge_method: 'S256',
  })

  async function push(form: Form, client = one, notBefore?: number) {
    const body = new URLSearchParams({ ...form, ...(await assertion(client, notBefore)) })
    const response = await fetch(`${example.url}/par`, { method: 'POST', body })
    return { status: response.status, json: (await response.json()) as Readonly<Record<string, string>> }
  }

  const urlOf = (requestUri: string | undefined, client = one): string => {
    const query = new URLSearchParams({ client_id: client.record.client_id, request_uri: requestUri ?? '' })
    return `${example.url}/authorize?${query}`
  }
  const pushedUrl = async (form: Form = requestOf(one)) => urlOf((await push(form)).json['request_uri'])

  test(module('par-ensure-reused-request-uri-prior-to-auth-completion-succeeds'), async () => {
    const url = await pushedUrl()
    const browser = createFormBrowser(example.url)
    assert.equal((await browser.visit(url)).status, 200)
    assert.ok((await browser.authorize(url, ALICE)).searchParams.get('code'))
  })

  test(module('par-attempt-reuse-request_uri'), async () => {
    const url = await pushedUrl()
    const browser = createFormBrowser(example.url)
    await browser.authorize(url, ALICE)
    for (const other of [browser, createFormBrowser(example.url)]) {
      const { status, redirectedTo } = await other.visit(url)
      assert.deepEqual([status, redirectedTo], [400, undefined])
    }
  })

  test(module('par-attempt-to-use-expired-request_uri'), async () => {
    let now = 1_800_000_000
    const app = await authorizationApp({ now: () => now, pushed: {} })
    try {
      const request = { ...requestOf(one), client_id: 'native', redirect_uri: 'http://127.0.0.1/cb', scope: 'read' }
      const response = await fetch(`${app.base}/par`, { method: 'POST', body: new URLSearchParams(request) })
      const { request_uri, expires_in } = (await response.json()) as { request_uri: string; expires_in: number }
      assert.ok(expires_in >= 5 && expires_in < 600, 'FAPI 2.0 §5.3.2.2')
      now += expires_in
      assert.equal((await app.authorizeWith({ client_id: 'native', request_uri })).status, 400)
    } finally {
      await app.close()
    }
  })

  test(module('par-attempt-to-use-request_uri-for-different-client'), async () => {
    const { json } = await push(requestOf(one))
    const { status, redirectedTo } = await createFormBrowser(example.url).visit(urlOf(json['request_uri'], two))
    assert.deepEqual([status, redirectedTo], [400, undefined])
  })

  test(module('par-authorization-request-containing-request_uri-form-param'), async () => {
    const { status, json } = await push({ ...requestOf(one), request_uri: 'urn:ietf:params:oauth:request_uri:x' })
    assert.deepEqual([status, json['error']], [400, 'invalid_request'])
  })

  test(module('par-attempt-invalid-http-method'), async () => {
    for (const method of ['GET', 'PUT']) assert.equal((await fetch(`${example.url}/par`, { method })).status, 405)
  })

  test(module('par-ensure-pkce-required'), async () => {
    const { code_challenge: _, code_challenge_method: __, ...request } = requestOf(one)
    const { status, json } = await push(request)
    assert.deepEqual([status, json['error']], [400, 'invalid_request'])
  })

  test(module('par-without-duplicate-parameters'), async () => {
    const url = await pushedUrl()
    assert.deepEqual([...new URL(url).searchParams.keys()], ['client_id', 'request_uri'])
    assert.ok((await createFormBrowser(example.url).authorize(url, ALICE)).searchParams.get('code'))
  })

  test(module('ensure-unsigned-authorization-request-without-using-par-fails'), async () => {
    const url = `${example.url}/authorize?${new URLSearchParams(requestOf(one))}`
    const { redirectedTo } = await createFormBrowser(example.url).visit(url)
    assert.equal(redirectedTo?.searchParams.get('error'), 'invalid_request')
    assert.equal(redirectedTo?.searchParams.get('code'), null)
  })

  test(module('ensure-authorization-request-with-long-state'), async () => {
    const state = 's'.repeat(1000)
    const url = await pushedUrl({ ...requestOf(one), state })
    assert.equal((await createFormBrowser(example.url).authorize(url, ALICE)).searchParams.get('state'), state)
  })

  test(module('user-rejects-authentication'), async () => {
    const url = await pushedUrl({ ...requestOf(one), prompt: 'consent' })
    const { searchParams } = await createFormBrowser(example.url).authorize(url, ALICE, 'cancel')
    assert.deepEqual([searchParams.get('error'), searchParams.get('state')], ['access_denied', 'state'])
  })

  test('a client assertion whose iat and nbf are 8 seconds ahead is accepted at the endpoint', async () => {
    assert.equal((await push(requestOf(one), one, 8)).status, 201)
  })

  test('the PKCE method plain is refused at the endpoint', async () => {
    const { status, json } = await push({ ...requestOf(one), code_challenge_method: 'plain' })
    assert.deepEqual([status, json['error']], [400, 'invalid_request'])
  })
})
