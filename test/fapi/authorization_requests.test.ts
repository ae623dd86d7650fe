// Modules of the OpenID Foundation's plan fapi2-security-profile-final-test-plan (private_key_jwt, DPoP, plain OAuth), each as a
// test of ours under the module's name. The suite itself is not run here.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { authorizationApp } from '../support/authorization_app.ts'
import { ALICE, type FapiServer, moduleName, REDIRECT_URI, startFapiServer } from '../support/fapi_server.ts'

let server: FapiServer
before(async () => {
  server = await startFapiServer()
})
after(() => server?.close())

const pushedUrl = async (more: Readonly<Record<string, string | undefined>> = {}): Promise<string> => {
  const { status, body } = await server.push(server.request(server.one, more).form)
  assert.equal(status, 201, JSON.stringify(body))
  return server.urlOf(body['request_uri'])
}

/** Pushing this request is refused. */
async function refuses(more: Readonly<Record<string, string | undefined>>, error = 'invalid_request') {
  const { status, body } = await server.push(server.request(server.one, more).form)
  assert.deepEqual([status, body['error'], body['request_uri']], [400, error, undefined])
}

/** A page, and no redirect. */
async function showsPage(url: string) {
  const { status, redirectedTo } = await server.browser().visit(url)
  assert.deepEqual([status, redirectedTo], [400, undefined])
}

test(moduleName('discovery-end-point-verification'), async () => {
  const response = await fetch(`${server.issuer}/.well-known/oauth-authorization-server`)
  assert.equal(response.status, 200)
  assert.match(response.headers.get('content-type') ?? '', /^application\/json(;|$)/)
  const metadata = (await response.json()) as Record<string, unknown>
  const has = (name: string, ...values: readonly string[]) =>
    assert.ok(
      values.some((value) => (metadata[name] as readonly string[]).includes(value)),
      name,
    )
  assert.equal(metadata['issuer'], server.issuer)
  for (const name of ['authorization', 'token', 'pushed_authorization_request'])
    assert.ok(URL.canParse(String(metadata[`${name}_endpoint`])), name)
  assert.equal(metadata['authorization_response_iss_parameter_supported'], true)
  assert.equal(metadata['require_pushed_authorization_requests'], true)
  has('response_types_supported', 'code')
  has('code_challenge_methods_supported', 'S256')
  has('dpop_signing_alg_values_supported', 'PS256', 'ES256', 'EdDSA')
  assert.deepEqual(metadata['token_endpoint_auth_methods_supported'], ['private_key_jwt'])
  assert.deepEqual(
    [...(metadata['token_endpoint_auth_signing_alg_values_supported'] as string[])].sort(),
    ['ES256', 'Ed25519', 'PS256'].sort(),
  )
})

test(moduleName('happy-flow'), async () => {
  for (const alg of ['ES256', 'PS256', 'EdDSA']) {
    const prover = await server.prover(alg)
    const grant = await server.authorize()
    assert.equal(grant.arrival.searchParams.get('state'), 'a state')
    assert.equal(grant.arrival.searchParams.get('iss'), server.issuer)
    const { status, headers, body } = await server.redeem(grant, { proof: await server.proof(prover) })
    assert.deepEqual([status, body['token_type'], body['scope']], [200, 'DPoP', 'accounts'], alg)
    assert.match(headers.get('cache-control') ?? '', /no-store/)
    const token = String(body['access_token'])
    const called = await server.api(`DPoP ${token}`, [await server.apiProof(prover, token)])
    assert.deepEqual(await called.json(), { owner: '1', client: 'one', accounts: ['current'] })
  }
})

test(moduleName('user-rejects-authentication'), async () => {
  const url = await pushedUrl({ prompt: 'consent' })
  const { searchParams } = await server.browser().authorize(url, ALICE, 'cancel')
  assert.deepEqual(
    [searchParams.get('error'), searchParams.get('state'), searchParams.get('iss'), searchParams.get('code')],
    ['access_denied', 'a state', server.issuer, null],
  )
})

test(moduleName('ensure-authorization-request-without-state-success'), async () => {
  const { searchParams } = await server.browser().authorize(await pushedUrl({ state: undefined }), ALICE)
  assert.ok(searchParams.get('code'))
  assert.equal(searchParams.get('state'), null)
})

test(moduleName('ensure-authorization-request-with-long-state'), async () => {
  const state = 's'.repeat(1000)
  const { searchParams } = await server.browser().authorize(await pushedUrl({ state }), ALICE)
  assert.equal(searchParams.get('state'), state)
})

test(moduleName('ensure-different-state-inside-and-outside-request-object'), async () => {
  const url = `${await pushedUrl()}&state=another`
  assert.equal((await server.browser().authorize(url, ALICE)).searchParams.get('state'), 'a state')
})

test(moduleName('state-only-outside-request-object-not-used'), async () => {
  const url = `${await pushedUrl({ state: undefined })}&state=outside`
  const { searchParams } = await server.browser().authorize(url, ALICE)
  assert.deepEqual([searchParams.get('state'), searchParams.has('code')], [null, true])
})

test(moduleName('ensure-redirect-uri-in-authorization-request'), () => refuses({ redirect_uri: undefined }))

test(moduleName('ensure-request-object-without-redirect-uri-fails'), async () => {
  // the redirect URI is in the URL only
  await refuses({ redirect_uri: undefined })
  const { form } = server.request()
  await showsPage(`${server.urlOf('urn:ietf:params:oauth:request_uri:x')}&redirect_uri=${form['redirect_uri']}`)
})

for (const name of ['ensure-registered-redirect-uri', 'plain-fapi-tolerate-unregistered-redirect-uri'])
  test(moduleName(name), async () => {
    for (const bad of [`${REDIRECT_URI}/more`, 'https://evil.example/callback', `${REDIRECT_URI}?a=b`])
      await refuses({ redirect_uri: bad })
  })

test(moduleName('ensure-unsigned-authorization-request-without-using-par-fails'), async () => {
  const url = `${server.issuer}/authorize?${new URLSearchParams(server.request().form)}`
  const { redirectedTo } = await server.browser().visit(url)
  assert.equal(redirectedTo?.searchParams.get('error'), 'invalid_request')
  assert.equal(redirectedTo?.searchParams.get('code'), null)
})

test(moduleName('ensure-response-type-code-idtoken-fails'), () =>
  refuses({ response_type: 'code id_token' }, 'unsupported_response_type'),
)

test(moduleName('ensure-response-type-token-fails'), () =>
  refuses({ response_type: 'token' }, 'unsupported_response_type'),
)

test(moduleName('par-ensure-reused-request-uri-prior-to-auth-completion-succeeds'), async () => {
  const url = await pushedUrl()
  const browser = server.browser()
  assert.equal((await browser.visit(url)).status, 200)
  assert.ok((await browser.authorize(url, ALICE)).searchParams.get('code'))
})

test(moduleName('par-attempt-reuse-request_uri'), async () => {
  const prover = await server.prover()
  const { form, verifier } = server.request()
  const url = server.urlOf((await server.push(form)).body['request_uri'])
  const browser = server.browser()
  const arrival = await browser.authorize(url, ALICE)
  const code = arrival.searchParams.get('code') ?? ''
  const grant = { arrival, code, verifier }
  assert.equal((await server.redeem(grant, { proof: await server.proof(prover) })).status, 200)
  const { status, redirectedTo, text } = await browser.visit(url)
  assert.deepEqual([status, redirectedTo], [400, undefined])
  assert.match(text, /invalid_request_uri/)
  await showsPage(url)
})

test(moduleName('par-attempt-to-use-expired-request_uri'), async () => {
  let now = 1_800_000_000
  const app = await authorizationApp({ now: () => now, pushed: { required: true } })
  try {
    const more = { client_id: 'native', redirect_uri: 'http://127.0.0.1/cb', scope: 'read' }
    const { form } = server.request(server.one, more)
    const response = await fetch(`${app.base}/par`, { method: 'POST', body: new URLSearchParams(form) })
    const { request_uri, expires_in } = (await response.json()) as { request_uri: string; expires_in: number }
    assert.ok(expires_in >= 5 && expires_in < 600, 'FAPI 2.0 §5.3.2.2')
    now += expires_in
    assert.equal((await app.authorizeWith({ client_id: 'native', request_uri })).status, 400)
  } finally {
    await app.close()
  }
})

test(moduleName('par-attempt-to-use-request_uri-for-different-client'), async () => {
  const { body } = await server.push(server.request().form)
  await showsPage(server.urlOf(body['request_uri'], server.two))
})

test(moduleName('par-authorization-request-containing-request_uri-form-param'), async () => {
  const { body } = await server.push(server.request().form)
  for (const request_uri of ['urn:ietf:params:oauth:request_uri:x', String(body['request_uri'])])
    await refuses({ request_uri })
})

test(moduleName('par-attempt-invalid-http-method'), async () => {
  for (const method of ['GET', 'PUT']) assert.equal((await fetch(`${server.issuer}/par`, { method })).status, 405)
})

test(moduleName('par-ensure-pkce-required'), () =>
  refuses({ code_challenge: undefined, code_challenge_method: undefined }),
)

test(moduleName('par-plain-pkce-rejected'), () => refuses({ code_challenge_method: 'plain' }))

test(moduleName('par-without-duplicate-parameters'), async () => {
  const url = await pushedUrl()
  assert.deepEqual([...new URL(url).searchParams.keys()], ['client_id', 'request_uri'])
  assert.ok((await server.browser().authorize(url, ALICE)).searchParams.get('code'))
})
