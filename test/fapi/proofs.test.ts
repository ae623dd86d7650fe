// Modules about DPoP proofs; see authorization_requests.test.ts.
import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { exportJWK, generateKeyPair } from 'jose'
import { type FapiServer, moduleName, type Reply, startFapiServer } from '../support/fapi_server.ts'

for (const nonces of [false, true]) {
  describe(nonces ? 'with nonces' : 'without nonces', () => {
    let server: FapiServer
    before(async () => {
      server = await startFapiServer({ nonces })
    })
    after(() => server?.close())

    /** Sends a token request with a proof, and repeats it with the nonce that the server asks for. */
    async function withNonce(send: (nonce: { readonly nonce?: string }) => Promise<Reply>): Promise<Reply> {
      const first = await send({})
      if (first.body['error'] !== 'use_dpop_nonce') return first
      assert.equal(nonces, true)
      return send({ nonce: first.headers.get('dpop-nonce') ?? '' })
    }
    const now = () => Math.floor(Date.now() / 1000)

    async function tokensWith(claims: () => object) {
      const prover = await server.prover()
      const grant = await server.authorize()
      const reply = await withNonce(async (nonce) =>
        server.redeem(grant, { proof: await server.proof(prover, { ...claims(), ...nonce }) }),
      )
      assert.equal(reply.body['token_type'], 'DPoP', JSON.stringify(reply.body))
      const token = String(reply.body['access_token'])
      const nonce = reply.headers.get('dpop-nonce')
      const more = nonce === null ? {} : { nonce }
      const called = await server.api(`DPoP ${token}`, [await server.apiProof(prover, token, { ...claims(), ...more })])
      assert.equal(called.status, 200)
      return { prover, token, more }
    }

    test(moduleName('check-dpop-proof-nbf-exp'), async () => {
      await tokensWith(() => ({ nbf: now(), exp: now() + 300 }))
    })

    test(moduleName('ensure-dpopproof-with-iat-10seconds-before-succeeds'), async () => {
      await tokensWith(() => ({ iat: now() - 10 }))
    })

    test(moduleName('ensure-dpopproof-with-iat-10seconds-after-succeeds'), async () => {
      await tokensWith(() => ({ iat: now() + 10 }))
    })

    test(moduleName('ensure-mismatched-dpop-jkt-fails'), async () => {
      const [prover, other] = await Promise.all([server.prover(), server.prover()])
      const { form } = server.request(server.one, { dpop_jkt: other.thumbprint })
      const { status, body } = await withNonce(async (nonce) =>
        server.push(form, { proof: await server.proof(prover, { htu: `${server.issuer}/par`, ...nonce }) }),
      )
      assert.deepEqual([status, body['error']], [400, 'invalid_request'])
    })

    /** The code of a request that is bound to a key is redeemed with that key, and not with another one. */
    async function isBound(how: 'dpop_jkt' | 'proof', isRight: boolean) {
      const [prover, other] = await Promise.all([server.prover(), server.prover()])
      const first = await withNonce(async (nonce) =>
        server.push(server.request().form, {
          proof: await server.proof(prover, { htu: `${server.issuer}/par`, ...nonce }),
        }),
      )
      const nonce = first.headers.get('dpop-nonce')
      const more = nonce === null ? {} : { nonce }
      const grant =
        how === 'dpop_jkt'
          ? await server.authorize(server.one, { dpop_jkt: prover.thumbprint })
          : await server.authorize(server.one, {}, await server.proof(prover, { htu: `${server.issuer}/par`, ...more }))
      if (!isRight) {
        const refused = await server.redeem(grant, { proof: await server.proof(other, more) })
        assert.ok(['invalid_grant', 'invalid_dpop_proof'].includes(String(refused.body['error'])))
        assert.equal(refused.status, 400)
      }
      const good = await server.redeem(grant, { proof: await server.proof(prover, more) })
      assert.equal(good.status, 200, 'the code was not spent')
    }

    test(moduleName('ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt'), () => isBound('proof', false))

    test(moduleName('ensure-token-endpoint-fails-with-mismatched-dpop-jkt'), () => isBound('dpop_jkt', false))

    test(moduleName('ensure-dpopproof-at-par-endpoint-binding-success'), () => isBound('proof', true))

    test(moduleName('ensure-dpop-auth-code-binding-success'), () => isBound('dpop_jkt', true))

    test(moduleName('dpop-negative-tests'), async () => {
      const { prover, token, more } = await tokensWith(() => ({}))
      const other = await server.prover()
      const url = `${server.issuer}/accounts`
      const call = async (...proofs: readonly string[]) => (await server.api(`DPoP ${token}`, proofs)).status
      const proof = (claims: object = {}, header: Readonly<Record<string, unknown>> = {}, of = prover) =>
        server.apiProof(of, token, { ...more, ...claims }, { header })
      const changed = async (change: (jwt: string) => string) => server.apiProof(prover, token, more, { change })
      const withHeader = (jwt: string, header: object): string =>
        [Buffer.from(JSON.stringify(header)).toString('base64url'), ...jwt.split('.').slice(1)].join('.')
      const headerOf = (jwt: string) =>
        JSON.parse(Buffer.from(jwt.split('.')[0] ?? '', 'base64url').toString()) as Record<string, unknown>
      const { privateKey } = await generateKeyPair('ES256', { extractable: true })

      const accepted: Readonly<Record<string, string>> = {
        'htu with query and fragment': await proof({ htu: `${url}?a=b#c` }),
        'scheme and host in upper case': await proof({ htu: url.replace(/^http/, 'HTTP') }),
        'unknown members': await proof({ unknown: true }, { unknown: 'a' }),
      }
      for (const [name, good] of Object.entries(accepted)) assert.equal(await call(good), 200, name)

      const refused: Readonly<Record<string, readonly string[]>> = {
        'two proofs': [await proof(), await proof()],
        'no JWT': [await changed(() => 'proof')],
        'no typ': [await proof({}, { typ: undefined })],
        'no alg': [await changed((jwt) => withHeader(jwt, { ...headerOf(jwt), alg: undefined }))],
        'no jwk': [await proof({}, { jwk: undefined })],
        'no jti': [await proof({ jti: undefined })],
        'no htm': [await proof({ htm: undefined })],
        'no htu': [await proof({ htu: undefined })],
        'no iat': [await proof({ iat: undefined })],
        'no ath': [await proof({ ath: undefined })],
        'another typ': [await proof({}, { typ: 'jwt' })],
        'alg none': [
          await changed(
            (jwt) =>
              `${withHeader(jwt, { ...headerOf(jwt), alg: 'none' })
                .split('.')
                .slice(0, 2)
                .join('.')}.`,
          ),
        ],
        'a wrong signature': [await changed((jwt) => `${jwt.slice(0, -4)}AAAA`)],
        'a private key in jwk': [await proof({}, { jwk: await exportJWK(privateKey) })],
        'another method': [await proof({ htm: 'PUT' })],
        'another URL': [await proof({ htu: `${server.issuer}/token` })],
        'iat an hour ahead': [await proof({ iat: now() + 3600 })],
        'iat an hour past': [await proof({ iat: now() - 3600 })],
        'another ath': [await proof({ ath: 'A'.repeat(43) })],
        'another key': [await proof({}, {}, other)],
        'no proof': [],
      }
      for (const [name, proofs] of Object.entries(refused)) assert.equal(await call(...proofs), 401, name)
      const once = await proof()
      assert.deepEqual([await call(once), await call(once)], [200, 401], 'a jti is used once')
      assert.equal((await server.api(`Bearer ${token}`)).status, 401)
      assert.equal((await server.api(`Bearer ${token}`, [await proof()])).status, 401)
      assert.equal(await upperCaseHeader(url, token, await proof()), 200, 'header names have no case')
      assert.equal(await call(await proof()), 200, 'the token still works')
    })
  })
}

/** A request whose header is sent as `DPOP`. `fetch` would send it in lower case. */
const upperCaseHeader = (url: string, token: string, proof: string): Promise<number> =>
  new Promise((resolve, reject) => {
    httpRequest(url, { headers: { AUTHORIZATION: `DPoP ${token}`, DPOP: proof } }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
      .on('error', reject)
      .end()
  })
