// What an attacker would try, and that nothing is spent by it.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { exportJWK, generateKeyPair } from 'jose'
import { createDpop } from '../../lib/dpop/dpop.ts'
import { createAccessTokenVerifier } from '../../lib/resource_server/index.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { createTokens } from '../../lib/token/token_set.ts'
import { authorizationApp, pkcePair, redirected, rightRequest } from '../support/authorization_app.ts'
import { createProver, type Prover, startDpopServer, TOKEN_ENDPOINT } from '../support/dpop.ts'
import { ALICE, type FapiServer, type Form, startFapiServer } from '../support/fapi_server.ts'

const clock = () => Math.floor(Date.now() / 1000)
const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A proof that is signed with a MAC whose key is the public key, or not at all. */
async function unsigned(prover: Prover, alg: string, now: number): Promise<string> {
  const [header = ''] = (await prover.proof()).split('.')
  const { jwk } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { jwk: object }
  const claims = { jti: crypto.randomUUID(), htm: 'POST', htu: TOKEN_ENDPOINT, iat: now }
  const input = `${base64url({ typ: 'dpop+jwt', alg, jwk })}.${base64url(claims)}`
  return alg === 'none'
    ? `${input}.`
    : `${input}.${createHmac('sha256', JSON.stringify(jwk)).update(input).digest('base64url')}`
}

/** Proofs that are wrong in one way each. */
async function wrongProofs(prover: Prover, now: number): Promise<Readonly<Record<string, string>>> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const own = await exportJWK(privateKey)
  const { d: _, ...stranger } = own
  const claims = (more: object) => prover.proof({ claims: more as Readonly<Record<string, unknown>> })
  return {
    'no JWT': 'proof',
    'alg none': await unsigned(prover, 'none', now),
    'alg HS256': await unsigned(prover, 'HS256', now),
    'a private key': await prover.proof({ header: { jwk: own } }),
    'a public key with a symmetric member': await prover.proof({ header: { jwk: { ...stranger, k: 'AA' } } }),
    'the public key of somebody else': await prover.proof({ header: { jwk: stranger } }),
    'another path': await claims({ htu: 'https://as.example/other' }),
    'another host': await claims({ htu: 'https://evil.example/token' }),
    'another port': await claims({ htu: 'https://as.example:8443/token' }),
    'the port of another scheme': await claims({ htu: 'https://as.example:80/token' }),
    'another case of the path': await claims({ htu: 'https://as.example/Token' }),
    'a longer path': await claims({ htu: 'https://as.example/token/x' }),
    'an encoded slash': await claims({ htu: 'https://as.example/%2Ftoken' }),
    'another method': await claims({ htm: 'GET' }),
    'iat far ahead': await claims({ iat: now + 3600 }),
    'iat long ago': await claims({ iat: now - 3600 }),
    'iat infinite': await prover.proof({
      change: (jwt) =>
        jwt.replace(
          /\.[^.]+\./,
          `.${Buffer.from('{"jti":"a","htm":"POST","htu":"https://as.example/token","iat":1e999}').toString('base64url')}.`,
        ),
    }),
    'a signature of other claims': await prover.proof({
      change: (jwt) =>
        jwt.replace(/\.[^.]+\./, `.${base64url({ jti: 'b', htm: 'POST', htu: TOKEN_ENDPOINT, iat: now })}.`),
    }),
  }
}

test('DP1 DP2 DP3 DP4 DP10: no wrong proof moves or ends a session, and the refresh token and the assertion still work', async (context) => {
  const server = await startDpopServer(context)
  const prover = await createProver(server.clock)
  for (const client of ['public', 'keyed'] as const) {
    const opened = await server.token(client, await server.code(client), await prover.proof())
    const refresh = { grant_type: 'refresh_token', refresh_token: String(opened.body['refresh_token']) }
    const { assertion } = { assertion: await server.keyed.assertion() }
    const sender = client === 'keyed' ? { assertion } : client
    const before = await server.sessions.list('alice', 'oauth2', server.clock())
    assert.ok(before.length > 0)
    for (const [name, proof] of Object.entries(await wrongProofs(prover, server.clock()))) {
      const { status, body } = await server.token(sender, refresh, proof)
      assert.deepEqual([status, body['error']], [400, 'invalid_dpop_proof'], `${client}: ${name}`)
    }
    assert.deepEqual(await server.sessions.list('alice', 'oauth2', server.clock()), before)
    const good = await server.token(sender, refresh, await prover.proof())
    assert.deepEqual([good.status, good.body['token_type']], [200, 'DPoP'], client)
  }
})

test('DP5: a proof that was replayed spends neither the code nor the refresh generation', async (context) => {
  const server = await startDpopServer(context)
  const prover = await createProver(server.clock)
  const used = await prover.proof()
  const opened = await server.token('public', await server.code('public'), used)
  const code = await server.code('public')
  const refresh = { grant_type: 'refresh_token', refresh_token: String(opened.body['refresh_token']) }
  const before = await server.sessions.list('alice', 'oauth2', server.clock())
  for (const form of [code, refresh])
    assert.equal((await server.token('public', form, used)).body['error'], 'invalid_dpop_proof')
  assert.deepEqual(await server.sessions.list('alice', 'oauth2', server.clock()), before)
  for (const form of [code, refresh])
    assert.equal((await server.token('public', form, await prover.proof())).status, 200)
})

test('DP11: without the option dpop a resource server refuses a bound token as Bearer', async () => {
  const issuer = 'https://as.example'
  const resource = 'https://api.example'
  const tokens = createTokens({ issuer, baseSecret: 'b'.repeat(32), audience: resource })
  const { thumbprint } = await createProver(clock)
  const options = { scope: 'read', now: clock(), context: {} }
  const issue = async (proof?: { thumbprint: string }) =>
    (await tokens.issueForClient({ client_id: 'machine' }, { ...options, proof })).access_token
  for (const keys of [{ tokens }, { jwks: tokens.jwks() }]) {
    const plain = createAccessTokenVerifier({ issuer, resource, keys })
    await assert.rejects(plain.verify(await issue({ thumbprint })), { code: 'invalid_token', reason: 'token_bound' })
    assert.ok(await plain.verify(await issue()))
  }
})

test('DP9: dpop_jkt in the URL of a pushed request is ignored: it binds the code neither to that key nor to none', async () => {
  const { replayRegister } = createMemoryStores()
  const app = await authorizationApp({
    options: { dpop: createDpop({ tokenEndpoint: TOKEN_ENDPOINT, replayRegister }) },
    pushed: {},
  })
  try {
    const { verifier, challenge } = pkcePair()
    const [owner, attacker] = await Promise.all([createProver(clock), createProver(clock)])
    const headers = { authorization: `Basic ${Buffer.from(`web:${'x'.repeat(40)}`).toString('base64')}` }
    for (const own of [{ dpop_jkt: owner.thumbprint }, {}] as readonly Form[]) {
      const body = new URLSearchParams(rightRequest(challenge, own))
      const pushed = await fetch(`${app.base}/par`, { method: 'POST', headers, body })
      const { request_uri } = (await pushed.json()) as { request_uri: string }
      const decided = await app.decide({ client_id: 'web', request_uri, dpop_jkt: attacker.thumbprint })
      const code = redirected(decided).searchParams.get('code') ?? ''
      const parameters = { code, code_verifier: verifier, redirect_uri: 'https://client.example/cb' }
      if (own['dpop_jkt'] !== undefined)
        await assert.rejects(app.redeem('web', parameters, attacker.thumbprint), { reason: 'dpop_key_mismatch' })
      assert.equal((await app.redeem('web', parameters, owner.thumbprint)).token_type, 'DPoP')
    }
  } finally {
    await app.close()
  }
})

describe('at a server that requires pushed requests and proofs', () => {
  let server: FapiServer
  before(async () => {
    server = await startFapiServer()
  })
  after(() => server?.close())

  test('PA1 DP5: a wrong proof of a pushed request spends no assertion', async () => {
    const prover = await server.prover()
    const form = { ...server.request().form, ...(await server.one.authentication()) }
    const at = (claims: object) => server.proof(prover, { htu: `${server.issuer}/par`, ...claims })
    const wrong = {
      'for the token endpoint': await server.proof(prover),
      'too old': await at({ iat: clock() - 3600 }),
      'no JWT': 'proof',
      'of another method': await at({ htm: 'GET' }),
    }
    for (const [name, proof] of Object.entries(wrong)) {
      const { status, body } = await server.post('/par', form, proof)
      assert.deepEqual([status, body['error']], [400, 'invalid_dpop_proof'], name)
    }
    assert.equal((await server.post('/par', form, await at({}))).status, 201)
  })

  test('PA1 PA3: a client_id that is not that of the assertion pushes nothing, for itself or for the other client', async () => {
    const { form } = server.request(server.two)
    for (const assertion of [{}, { keyOf: server.two }]) {
      const authentication = await server.one.authentication(assertion)
      const mixed = await server.post('/par', { ...authentication, ...form })
      assert.equal(mixed.status, 400)
      assert.ok(['invalid_client', 'invalid_request'].includes(String(mixed.body['error'])))
    }
  })

  test('PA2 PA6: a pushed reference cannot be pushed again, or used with the parameters of another client', async () => {
    const { body } = await server.push(server.request().form)
    const request_uri = String(body['request_uri'])
    const again = await server.push({ ...server.request(server.two).form, request_uri }, { client: server.two })
    assert.deepEqual([again.status, again.body['error']], [400, 'invalid_request'])
    const url = `${server.urlOf(request_uri, server.two)}&${new URLSearchParams(server.request(server.two).form)}`
    const visit = await server.browser().visit(url)
    assert.deepEqual([visit.status, visit.redirectedTo], [400, undefined])
    const arrival = await server.browser().authorize(server.urlOf(request_uri), ALICE)
    assert.ok(arrival.searchParams.get('code'), 'its own client can still use it')
  })

  test('DP7 DP8 DP11: no request of a bound session is downgraded to Bearer', async () => {
    const prover = await server.prover()
    const grant = await server.authorize()
    assert.equal((await server.redeem(grant)).body['error'], 'invalid_request')
    const { body } = await server.redeem(grant, { proof: await server.proof(prover) })
    const refresh = { grant_type: 'refresh_token', refresh_token: String(body['refresh_token']) }
    assert.equal((await server.token(refresh)).body['error'], 'invalid_request')
    for (const authorization of [`Bearer ${body['access_token']}`, `bearer ${body['access_token']}`])
      assert.equal((await server.api(authorization, [await server.apiProof(prover, body['access_token'])])).status, 401)
  })
})
