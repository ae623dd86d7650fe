import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { createDpop, type DpopOptions } from '../../lib/dpop/dpop.ts'
import { createPushedAuthorizationEndpoint } from '../../lib/endpoints/pushed_authorization_request.ts'
import { createTokenEndpoint } from '../../lib/endpoints/token.ts'
import { createCodeGrant } from '../../lib/oauth2orize/code_grant.ts'
import { createPushedRequests } from '../../lib/pushed/pushed_requests.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import {
  type AuthorizationApp,
  authorizationApp,
  ISSUER,
  pkcePair,
  redirected,
  rightRequest,
} from '../support/authorization_app.ts'
import { createProver, TOKEN_ENDPOINT } from '../support/dpop.ts'

const clock = () => Math.floor(Date.now() / 1000)
const { replayRegister, codeStore: codes, sessionStore } = createMemoryStores()
const dpop = createDpop({ tokenEndpoint: TOKEN_ENDPOINT, replayRegister })
const PAR = `${ISSUER}/par`
const BASIC = `Basic ${Buffer.from(`web:${'x'.repeat(40)}`).toString('base64')}`

async function withApp(options: Parameters<typeof authorizationApp>[0], use: (app: AuthorizationApp) => Promise<void>) {
  const app = await authorizationApp(options)
  try {
    await use(app)
  } finally {
    await app.close()
  }
}

async function push(app: AuthorizationApp, form: Readonly<Record<string, string>>, proof?: string) {
  const headers = { authorization: BASIC, ...(proof === undefined ? {} : { dpop: proof }) }
  const response = await fetch(`${app.base}/par`, { method: 'POST', headers, body: new URLSearchParams(form) })
  return { status: response.status, body: (await response.json()) as Readonly<Record<string, string>> }
}

/** Redeems the code of a redirect with each of the keys; the last one must be the right one. */
async function redeemWith(
  app: AuthorizationApp,
  response: Response,
  verifier: string,
  keys: readonly (string | undefined)[],
) {
  const code = redirected(response).searchParams.get('code') ?? ''
  const parameters = { code, code_verifier: verifier, redirect_uri: 'https://client.example/cb' }
  for (const wrong of keys.slice(0, -1))
    await assert.rejects(app.redeem('web', parameters, wrong), { code: 'invalid_grant', reason: 'dpop_key_mismatch' })
  return app.redeem('web', parameters, keys.at(-1))
}

test('DP9: dpop_jkt of the authorization request binds the code; one that is no thumbprint is redirected as invalid_request', () =>
  withApp({ options: { dpop } }, async (app) => {
    const { verifier, challenge } = pkcePair()
    const { thumbprint } = await createProver(clock)
    const bound = await app.decide(rightRequest(challenge, { dpop_jkt: thumbprint }))
    const tokens = await redeemWith(app, bound, verifier, [undefined, 'x'.repeat(43), thumbprint])
    assert.equal(tokens.token_type, 'DPoP')
    for (const bad of ['short', `${thumbprint}x`, `${thumbprint.slice(1)}+`]) {
      const refused = await app.authorizeWith(rightRequest(challenge, { dpop_jkt: bad }))
      assert.equal(redirected(refused).searchParams.get('error'), 'invalid_request', bad)
    }
    const twice = `${new URLSearchParams(rightRequest(challenge))}&dpop_jkt=${thumbprint}&dpop_jkt=${thumbprint}`
    assert.equal(redirected(await app.authorizeWith(twice)).searchParams.get('error'), 'invalid_request')
    const free = await app.decide(rightRequest(challenge))
    assert.equal((await redeemWith(app, free, verifier, [undefined])).token_type, 'Bearer')
  }))

test('DP9: without the option the parameter is ignored, as it was', () =>
  withApp({}, async (app) => {
    const { verifier, challenge } = pkcePair()
    const response = await app.decide(rightRequest(challenge, { dpop_jkt: 'anything' }))
    assert.equal((await redeemWith(app, response, verifier, [undefined])).token_type, 'Bearer')
  }))

test('DP9: the proof of a pushed request binds the code; it and dpop_jkt must agree', () =>
  withApp({ options: { dpop }, pushed: {} }, async (app) => {
    const { verifier, challenge } = pkcePair()
    const [prover, other] = await Promise.all([createProver(clock), createProver(clock)])
    const proof = (claims: object = {}) => prover.proof({ claims: { htu: PAR, ...claims } })
    const request = rightRequest(challenge)
    for (const each of [request, { ...request, dpop_jkt: prover.thumbprint }]) {
      const { status, body } = await push(app, each, await proof())
      assert.equal(status, 201)
      const response = await app.decide({ client_id: 'web', request_uri: body['request_uri'] ?? '' })
      assert.equal(
        (await redeemWith(app, response, verifier, [undefined, other.thumbprint, prover.thumbprint])).token_type,
        'DPoP',
      )
    }
    const disagreed = await push(app, { ...request, dpop_jkt: other.thumbprint }, await proof())
    assert.deepEqual([disagreed.status, disagreed.body['error']], [400, 'invalid_request'])
    const elsewhere = await push(app, request, await proof({ htu: TOKEN_ENDPOINT }))
    assert.deepEqual([elsewhere.status, elsewhere.body['error']], [400, 'invalid_dpop_proof'])
    const used = await proof()
    assert.equal((await push(app, request, used)).status, 201)
    assert.equal((await push(app, request, used)).body['error'], 'invalid_dpop_proof')
    assert.equal((await push(app, request)).status, 201, 'no proof is needed here')
  }))

test('options of createDpop that cannot be used are a TypeError that names them', () => {
  const sound = { tokenEndpoint: TOKEN_ENDPOINT, replayRegister }
  const wrong: readonly [string, Record<string, unknown>][] = [
    ['tokenEndpoint', { tokenEndpoint: undefined }],
    ['tokenEndpoint', { tokenEndpoint: '/token' }],
    ['tokenEndpoint', { tokenEndpoint: 'ftp://as.example/token' }],
    ['replayRegister', { replayRegister: {} }],
    ['required', { required: 'yes' }],
    ['algorithms', { algorithms: [] }],
    ['algorithms', { algorithms: ['HS256'] }],
    ['algorithms', { algorithms: ['none'] }],
    ['algorithms', { algorithms: 'ES256' }],
    ['proofLifetimeSeconds', { proofLifetimeSeconds: 9 }],
    ['proofLifetimeSeconds', { proofLifetimeSeconds: Number.NaN }],
    ['nonceSecret', { nonceSecret: 'short' }],
    ['nonceSecret', { nonceSecret: [] }],
  ]
  for (const [name, options] of wrong)
    assert.throws(
      () => createDpop({ ...sound, ...options } as DpopOptions),
      (error: Error) => error instanceof TypeError && error.message.includes(name),
      JSON.stringify(options),
    )
  const findClient = () => undefined
  const not = {} as typeof dpop
  assert.throws(() => createTokenEndpoint({ findClient, exchanges: [], dpop: not }), /option 'dpop'/)
  assert.throws(() => createCodeGrant({ issuer: ISSUER, codes, dpop: not }), /option 'dpop'/)
  const pushed = createPushedRequests({ store: sessionStore })
  assert.throws(() => createPushedAuthorizationEndpoint(pushed, { findClient, dpop: not }), /option 'dpop'/)
  assert.throws(() => createPushedAuthorizationEndpoint(pushed, { findClient, dpop }), /option 'endpoint'/)
})

test('DP12: an endpoint that lists the headers of scripts adds DPoP to them, with the option dpop only', async (context) => {
  const findClient = () => undefined
  const allowedBy = async (options: { readonly dpop?: typeof dpop }) => {
    const endpoint = createTokenEndpoint({ findClient, exchanges: [], cors: { headers: ['X-Own'] }, ...options })
    const server = createServer((request, response) => endpoint(request, response)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    context.after(() => server.close())
    const headers = {
      origin: 'https://app.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'dpop',
    }
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const response = await fetch(url, { method: 'OPTIONS', headers })
    return (response.headers.get('access-control-allow-headers') ?? '').split(/, ?/)
  }
  assert.ok((await allowedBy({ dpop })).includes('DPoP'))
  assert.ok((await allowedBy({ dpop })).includes('X-Own'))
  assert.ok(!(await allowedBy({})).some((name) => /dpop/i.test(name)))
})
