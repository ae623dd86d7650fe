import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createDpop, type DpopOptions } from '../../lib/dpop/dpop.ts'
import { createAccessTokenVerifier, requireAccessToken } from '../../lib/resource_server/index.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { createTokens } from '../../lib/token/token_set.ts'
import { createProver, ISSUER, type ProofOverrides, type Prover, TOKEN_ENDPOINT } from '../support/dpop.ts'

const RESOURCE = 'https://api.example'
const clock = () => Math.floor(Date.now() / 1000)
const tokens = createTokens({ issuer: ISSUER, baseSecret: 'b'.repeat(32), audience: RESOURCE })

const tokenFor = async (thumbprint?: string): Promise<string> => {
  const proof = thumbprint === undefined ? undefined : { thumbprint }
  const options = { scope: 'read', now: clock(), context: {}, proof }
  return (await tokens.issueForClient({ client_id: 'machine' }, options)).access_token
}

async function startApi(context: TestContext, options: Partial<DpopOptions> | false = {}) {
  const { replayRegister } = createMemoryStores()
  const dpop = options === false ? undefined : createDpop({ tokenEndpoint: TOKEN_ENDPOINT, replayRegister, ...options })
  const verifier = createAccessTokenVerifier({ issuer: ISSUER, resource: RESOURCE, keys: { tokens }, dpop })
  const guard = requireAccessToken(verifier)
  const server = createServer((request, response) => guard(request, response, () => response.end('{}')))
  server.listen(0, '127.0.0.1')
  context.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await new Promise((resolve) => server.once('listening', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/things/1?a=b`
  return async (authorization: string | undefined, ...proofs: readonly string[]) => {
    const headers = new Headers(authorization === undefined ? {} : { authorization })
    for (const proof of proofs) headers.append('DPoP', proof)
    const response = await fetch(url, { headers })
    await response.text()
    return {
      status: response.status,
      challenge: response.headers.get('www-authenticate') ?? '',
      headers: response.headers,
    }
  }
}

const proofOf = (prover: Prover, token: string, claims: object = {}, more: ProofOverrides = {}) => {
  const ath = createHash('sha256').update(token).digest('base64url')
  return prover.proof({ ...more, claims: { htm: 'GET', htu: `${RESOURCE}/things/1`, ath, ...claims } })
}

const ALGS = /\balgs="ES256 EdDSA PS256 RS256"/

test('DP11: a bound token is accepted with one new proof of its key, for this request and this token', async (context) => {
  const send = await startApi(context)
  const [prover, other] = await Promise.all([createProver(clock), createProver(clock)])
  const token = await tokenFor(prover.thumbprint)
  assert.equal((await send(`DPoP ${token}`, await proofOf(prover, token))).status, 200)
  assert.equal(
    (await send(`dpop ${token}`, await proofOf(prover, token, { htu: `${RESOURCE}/things/1?x` }))).status,
    200,
  )
  const used = await proofOf(prover, token)
  assert.equal((await send(`DPoP ${token}`, used)).status, 200)
  const rows: Readonly<Record<string, readonly [error: string, proofs: readonly string[]]>> = {
    'used before': ['invalid_dpop_proof', [used]],
    'no proof': ['invalid_dpop_proof', []],
    'two proofs': ['invalid_dpop_proof', [await proofOf(prover, token), await proofOf(prover, token)]],
    'no ath': ['invalid_dpop_proof', [await proofOf(prover, token, { ath: undefined })]],
    'ath of another token': ['invalid_dpop_proof', [await proofOf(prover, await tokenFor(prover.thumbprint))]],
    'another method': ['invalid_dpop_proof', [await proofOf(prover, token, { htm: 'POST' })]],
    'another path': ['invalid_dpop_proof', [await proofOf(prover, token, { htu: `${RESOURCE}/things/2` })]],
    'another host': ['invalid_dpop_proof', [await proofOf(prover, token, { htu: 'https://evil.example/things/1' })]],
    'another key': ['invalid_token', [await proofOf(other, token)]],
  }
  for (const [name, [error, proofs]] of Object.entries(rows)) {
    const { status, challenge } = await send(`DPoP ${token}`, ...proofs)
    assert.equal(status, 401, name)
    assert.match(challenge, new RegExp(`^DPoP error="${error}"`), name)
    assert.match(challenge, ALGS, name)
  }
})

test('DP11: a bound token as Bearer and a Bearer token as DPoP are refused; Bearer tokens still pass', async (context) => {
  const send = await startApi(context)
  const prover = await createProver(clock)
  const [bound, plain] = [await tokenFor(prover.thumbprint), await tokenFor()]
  const downgraded = await send(`Bearer ${bound}`, await proofOf(prover, bound))
  assert.equal(downgraded.status, 401)
  assert.match(downgraded.challenge, /^DPoP error="invalid_token"/)
  const upgraded = await send(`DPoP ${plain}`, await proofOf(prover, plain))
  assert.equal(upgraded.status, 401)
  assert.match(upgraded.challenge, /^DPoP error="invalid_token"/)
  assert.equal((await send(`Bearer ${plain}`)).status, 200)
  const none = await send(undefined)
  assert.deepEqual([none.status, none.challenge.includes('error=')], [401, false])
  assert.match(none.challenge, /^Bearer .*, DPoP algs="ES256/)
})

test('DP11: required refuses every Bearer token; without the option the scheme counts as no token', async (context) => {
  const prover = await createProver(clock)
  const [bound, plain] = [await tokenFor(prover.thumbprint), await tokenFor()]
  const strict = await startApi(context, { required: true })
  const refused = await strict(`Bearer ${plain}`)
  assert.equal(refused.status, 401)
  assert.match(refused.challenge, /^DPoP error="invalid_token"/)
  assert.equal((await strict(`DPoP ${bound}`, await proofOf(prover, bound))).status, 200)
  const off = await startApi(context, false)
  const ignored = await off(`DPoP ${bound}`, await proofOf(prover, bound))
  assert.equal(ignored.status, 401)
  assert.match(ignored.challenge, /^Bearer/)
})

test('DP6 DP11 DP12: a nonce is asked for with 401 use_dpop_nonce, and scripts can read it', async (context) => {
  const send = await startApi(context, { nonceSecret: 'n'.repeat(32) })
  const prover = await createProver(clock)
  const token = await tokenFor(prover.thumbprint)
  const asked = await send(`DPoP ${token}`, await proofOf(prover, token))
  assert.equal(asked.status, 401)
  assert.match(asked.challenge, /^DPoP error="use_dpop_nonce"/)
  assert.match(asked.headers.get('cache-control') ?? '', /no-store/)
  assert.match(asked.headers.get('access-control-expose-headers') ?? '', /DPoP-Nonce/)
  const nonce = asked.headers.get('dpop-nonce')
  const good = await send(`DPoP ${token}`, await proofOf(prover, token, { nonce }))
  assert.deepEqual([good.status, good.headers.get('dpop-nonce')], [200, nonce])
})
