// Modules about the token endpoint and about client authentication; see authorization_requests.test.ts.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { authorizationApp, pkcePair, redirected, rightRequest } from '../support/authorization_app.ts'
import {
  type AssertionOverrides,
  type FapiServer,
  moduleName,
  type Reply,
  startFapiServer,
} from '../support/fapi_server.ts'

let server: FapiServer
before(async () => {
  server = await startFapiServer()
})
after(() => server?.close())

const proof = async () => server.proof(await server.prover())
const now = () => Math.floor(Date.now() / 1000)

function assertRefused({ status, body }: Reply, ...errors: readonly string[]) {
  assert.ok(status === 400 || (status === 401 && body['error'] === 'invalid_client'), String(status))
  assert.ok(errors.includes(String(body['error'])), JSON.stringify(body))
  assert.equal(body['access_token'], undefined)
}

test(moduleName('ensure-client-id-in-token-endpoint'), async () => {
  const grant = await server.authorize()
  const refused = await server.token(
    { grant_type: 'authorization_code', code: grant.code, code_verifier: grant.verifier },
    { client: server.two, proof: await proof(), assertion: { keyOf: server.one } },
  )
  assertRefused(refused, 'invalid_client', 'invalid_grant')
  assert.equal((await server.redeem(grant, { proof: await proof() })).status, 200, 'the code was not spent')
})

test(moduleName('ensure-holder-of-key-required'), async () => {
  const grant = await server.authorize()
  assertRefused(await server.redeem(grant), 'invalid_request')
  assert.equal((await server.redeem(grant, { proof: await proof() })).status, 200, 'the code was not spent')
})

test(moduleName('ensure-authorization-code-is-bound-to-client'), async () => {
  const grant = await server.authorize()
  assertRefused(await server.redeem(grant, { client: server.two, proof: await proof() }), 'invalid_grant')
  assert.equal((await server.redeem(grant, { proof: await proof() })).status, 200, 'the code was not spent')
})

test(moduleName('attempt-reuse-authorization-code-after-one-second'), async () => {
  const prover = await server.prover()
  const grant = await server.authorize()
  const { body } = await server.redeem(grant, { proof: await server.proof(prover) })
  const call = async () =>
    server.api(`DPoP ${body['access_token']}`, [await server.apiProof(prover, body['access_token'])])
  assert.equal((await call()).status, 200)
  await setTimeout(1000)
  assertRefused(await server.redeem(grant, { proof: await server.proof(prover) }), 'invalid_grant')
  assert.equal((await call()).status, 401, 'the access token of the first redemption was revoked (RFC 6749 §4.1.2)')
})

test(moduleName('ensure-token-endpoint-fails-with-expired-auth-code'), async () => {
  let time = 1_800_000_000
  const app = await authorizationApp({ now: () => time })
  try {
    const { challenge, verifier } = pkcePair()
    const redirect_uri = 'https://client.example/cb'
    const codeOf = async () => redirected(await app.decide(rightRequest(challenge))).searchParams.get('code') ?? ''
    const [late, inTime] = [await codeOf(), await codeOf()]
    time += 60
    await app.redeem('web', { code: inTime, code_verifier: verifier, redirect_uri })
    time += 1
    const expired = app.redeem('web', { code: late, code_verifier: verifier, redirect_uri })
    await assert.rejects(expired, { code: 'invalid_grant', reason: 'code_expired' })
  } finally {
    await app.close()
  }
})

test(moduleName('ensure-pkce-code-verifier-required'), async () => {
  const grant = await server.authorize()
  const refused = await server.redeem(grant, { proof: await proof(), more: { code_verifier: undefined } })
  assertRefused(refused, 'invalid_grant', 'invalid_request')
})

test(moduleName('incorrect-pkce-code-verifier-rejected'), async () => {
  const grant = await server.authorize()
  const refused = await server.redeem(grant, { proof: await proof(), more: { code_verifier: 'v'.repeat(43) } })
  assertRefused(refused, 'invalid_grant')
})

test(moduleName('access-token-type-header-case-sensitivity'), async () => {
  const prover = await server.prover()
  const { body } = await server.redeem(await server.authorize(), { proof: await server.proof(prover) })
  const token = body['access_token']
  for (const scheme of ['DPoP', 'dpop', 'DPOP', 'dPoP'])
    assert.equal((await server.api(`${scheme} ${token}`, [await server.apiProof(prover, token)])).status, 200, scheme)
})

test(moduleName('refresh-token'), async () => {
  const prover = await server.prover()
  const refresh = async (token: unknown, more: object = {}) =>
    server.token({ grant_type: 'refresh_token', refresh_token: String(token) }, more)
  const [own, others] = [await server.authorize(), await server.authorize(server.two)]
  const first = await server.redeem(own, { proof: await server.proof(prover) })
  const token = first.body['refresh_token']
  assert.match(String(token), /^[\x20-\x7e]+$/)
  for (let round = 0; round < 2; round += 1) {
    const refreshed = await refresh(token, { proof: await server.proof(prover) })
    assert.deepEqual([refreshed.status, refreshed.body['token_type']], [200, 'DPoP'])
    assert.equal(refreshed.body['refresh_token'], undefined, 'it does not rotate (§5.3.2.1)')
    assert.equal(refreshed.body['id_token'], undefined)
    const access = refreshed.body['access_token']
    assert.equal((await server.api(`DPoP ${access}`, [await server.apiProof(prover, access)])).status, 200)
  }
  assertRefused(await refresh(token), 'invalid_request', 'invalid_grant', 'invalid_client')
  const foreign = await server.redeem(others, { client: server.two, proof: await server.proof(prover) })
  assertRefused(await refresh(foreign.body['refresh_token'], { proof: await server.proof(prover) }), 'invalid_grant')
  const still = await refresh(foreign.body['refresh_token'], { client: server.two, proof: await server.proof(prover) })
  assert.equal(still.status, 200, 'the attempt of another client ended nothing')
})

/** An assertion with this is refused at an endpoint, and the code is not spent. */
async function refusesAssertion(path: 'par' | 'token', assertion: AssertionOverrides) {
  if (path === 'par') {
    assertRefused(await server.push(server.request().form, { assertion }), 'invalid_client', 'invalid_request')
    return
  }
  const grant = await server.authorize()
  const form = { grant_type: 'authorization_code', code: grant.code, code_verifier: grant.verifier }
  assertRefused(await server.token(form, { proof: await proof(), assertion }), 'invalid_client', 'invalid_request')
  assert.equal((await server.redeem(grant, { proof: await proof() })).status, 200, 'the code was not spent')
}

test(moduleName('ensure-signed-client-assertion-with-RS256-fails'), () => refusesAssertion('token', { alg: 'RS256' }))

test(moduleName('ensure-client-assertion-in-token-endpoint'), async () => {
  const grant = await server.authorize()
  const form = { grant_type: 'authorization_code', code: grant.code, code_verifier: grant.verifier, client_id: 'one' }
  assertRefused(await server.post('/token', form, await proof()), 'invalid_client', 'invalid_request')
  assert.equal((await server.redeem(grant, { proof: await proof() })).status, 200, 'the code was not spent')
})

test(moduleName('ensure-client-assertion-with-exp-is-5-minutes-in-past-fails'), () =>
  refusesAssertion('token', { claims: { exp: now() - 300, iat: now() - 360, nbf: now() - 360 } }),
)

test(moduleName('ensure-client-assertion-with-wrong-aud-fails'), () =>
  refusesAssertion('token', { claims: { aud: 'https://other.example' } }),
)

test(moduleName('ensure-client-assertion-with-no-sub-fails'), () =>
  refusesAssertion('token', { claims: { sub: undefined } }),
)

test(moduleName('ensure-invalid-client-assertions-fail'), async () => {
  for (const claims of [{ iss: undefined }, { iss: 'two' }, { sub: 'two' }, { exp: undefined }, { jti: undefined }])
    await refusesAssertion('par', { claims })
  await refusesAssertion('par', { keyOf: server.two })
})

test(moduleName('par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted'), async () => {
  const claims = { iat: now() + 8, nbf: now() + 8 }
  assert.equal((await server.push(server.request().form, { assertion: { claims } })).status, 201)
})

test(moduleName('par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails'), () =>
  refusesAssertion('par', { claims: { iat: now() + 65, nbf: now() + 65, exp: now() + 120 } }),
)

test(moduleName('par-test-array-as-audience-fails'), () =>
  refusesAssertion('par', { claims: { aud: [server.issuer, 'https://other.example'] } }),
)

test(moduleName('par-test-par-endpoint-url-as-audience-fails'), () =>
  refusesAssertion('par', { claims: { aud: `${server.issuer}/par` } }),
)

test(moduleName('par-test-token-endpoint-url-as-audience-fails'), () =>
  refusesAssertion('par', { claims: { aud: `${server.issuer}/token` } }),
)

test('the client credentials grant of the profile: a token that is bound to the key, and none without a proof', async () => {
  const prover = await server.prover()
  const form = { grant_type: 'client_credentials', scope: 'accounts' }
  assertRefused(await server.token(form), 'invalid_request')
  const { body } = await server.token(form, { proof: await server.proof(prover) })
  assert.deepEqual([body['token_type'], body['refresh_token']], ['DPoP', undefined])
  const token = body['access_token']
  assert.equal((await server.api(`DPoP ${token}`, [await server.apiProof(prover, token)])).status, 200)
})
