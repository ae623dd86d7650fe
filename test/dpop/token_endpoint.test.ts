import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, type TestContext, test } from 'node:test'
import { decodeJwt, exportJWK, generateKeyPair, generateSecret } from 'jose'
import type { Reason } from '../../lib/errors.ts'
import { createProver, type DpopServer, type ProofOverrides, startDpopServer } from '../support/dpop.ts'

const CREDENTIALS = { grant_type: 'client_credentials' }

const reasonOf = (body: Readonly<Record<string, unknown>>): string =>
  /^.*?\. (\w+)/.exec(String(body['error_description']))?.[1] ?? ''

/** A request with each proof is refused for its reason, and spends neither code nor assertion; the next request gets tokens. */
async function refuses(
  context: TestContext,
  rows: Readonly<Record<string, readonly [ProofOverrides, Reason, error?: string]>>,
): Promise<void> {
  const server = await startDpopServer(context)
  const prover = await createProver(server.clock)
  const assertion = await server.keyed.assertion()
  const code = await server.code('keyed')
  for (const [name, [overrides, reason, error = 'invalid_dpop_proof']] of Object.entries(rows)) {
    const { status, headers, body } = await server.token({ assertion }, code, await prover.proof(overrides))
    assert.deepEqual([status, body['error'], reasonOf(body)], [400, error, reason], name)
    assert.equal(headers.get('cache-control'), 'no-store', name)
  }
  const { status, body } = await server.token({ assertion }, code, await prover.proof())
  assert.deepEqual([status, body['token_type']], [200, 'DPoP'], 'nothing was spent')
}

describe('the proof of a token request', () => {
  test('DP1: one DPoP header with one compact JWS of at most 8 KiB', async (context) => {
    const cut = (from: number) => (jwt: string) => jwt.split('.').slice(from).join('.')
    await refuses(context, {
      'no JWS': [{ change: () => 'proof' }, 'dpop_proof_malformed'],
      empty: [{ change: () => '' }, 'dpop_proof_malformed'],
      'two parts': [{ change: cut(1) }, 'dpop_proof_malformed'],
      'two proofs in one header': [{ change: (jwt) => `${jwt}, ${jwt}` }, 'dpop_proof_malformed'],
      padded: [{ change: (jwt) => `${jwt}==` }, 'dpop_proof_malformed'],
      'an encrypted token': [{ change: (jwt) => `${jwt}.a.b` }, 'dpop_proof_malformed'],
      'more than 8 KiB': [{ claims: { filling: 'x'.repeat(7000) } }, 'dpop_proof_malformed'],
    })
    const server = await startDpopServer(context)
    const prover = await createProver(server.clock)
    const two = await server.token('secret', CREDENTIALS, [await prover.proof(), await prover.proof()])
    assert.deepEqual([two.status, two.body['error']], [400, 'invalid_dpop_proof'])
  })

  test('DP2: typ dpop+jwt, an asymmetric algorithm of the list, a public key that fits it, no extension', async (context) => {
    const other = await exportJWK((await generateKeyPair('ES384', { extractable: true })).publicKey)
    const own = await exportJWK((await generateKeyPair('ES256', { extractable: true })).privateKey)
    const secret = await exportJWK(await generateSecret('HS256', { extractable: true }))
    await refuses(context, {
      'no typ': [{ header: { typ: undefined } }, 'dpop_proof_malformed'],
      'another typ': [{ header: { typ: 'JWT' } }, 'dpop_proof_malformed'],
      crit: [{ header: { crit: ['foreign'], foreign: 1 } }, 'dpop_proof_malformed'],
      'no key': [{ header: { jwk: undefined } }, 'dpop_key_unusable'],
      'a key that is a string': [{ header: { jwk: 'key' } }, 'dpop_key_unusable'],
      'a key of another curve': [{ header: { jwk: other } }, 'dpop_key_unusable'],
      'a private key': [{ header: { jwk: own } }, 'dpop_key_unusable'],
      'a symmetric key': [{ header: { jwk: secret } }, 'dpop_key_unusable'],
      'a key for encryption': [{ header: { jwk: { ...other, use: 'enc' } } }, 'dpop_key_unusable'],
    })
    const server = await startDpopServer(context)
    const sent = (header: object, key = 'k'.repeat(32)) => {
      const claims = { jti: 'a', htm: 'POST', htu: 'https://as.example/token', iat: server.clock() }
      const input = [header, claims].map((each) => Buffer.from(JSON.stringify(each)).toString('base64url')).join('.')
      const mac = createHmac('sha256', key).update(input).digest('base64url')
      return server.token('secret', CREDENTIALS, `${input}.${mac}`)
    }
    for (const alg of ['none', 'HS256', 'ES384', 'ML-DSA-44', 7, undefined]) {
      const { body } = await sent({ typ: 'dpop+jwt', alg, jwk: { kty: 'oct', k: 'azazaza' } })
      assert.equal(reasonOf(body), 'dpop_algorithm_not_allowed', String(alg))
    }
    const { n, e } = await exportJWK(
      (await generateKeyPair('RS256', { modulusLength: 2048, extractable: true })).publicKey,
    )
    const short = { kty: 'RSA', e, n: String(n).slice(0, 170) }
    assert.equal(reasonOf((await sent({ typ: 'dpop+jwt', alg: 'RS256', jwk: short })).body), 'dpop_key_unusable')
    const wrong = await createProver(server.clock)
    const jwk = await exportJWK((await generateKeyPair('ES256', { extractable: true })).publicKey)
    const { body } = await server.token('secret', CREDENTIALS, await wrong.proof({ header: { jwk } }))
    assert.equal(reasonOf(body), 'dpop_signature_wrong')
    for (const alg of ['ES256', 'PS256', 'RS256', 'EdDSA', 'Ed25519']) {
      const prover = await createProver(server.clock, alg)
      const answer = await server.token('secret', CREDENTIALS, await prover.proof())
      assert.deepEqual([answer.status, answer.body['token_type']], [200, 'DPoP'], alg)
    }
  })

  test('DP3: htm and htu are those of the configured URL, normalized; the Host header changes nothing', async (context) => {
    const host = (url: string): readonly [ProofOverrides, Reason] => [{ claims: { htu: url } }, 'dpop_url_mismatch']
    await refuses(context, {
      'another method': [{ claims: { htm: 'GET' } }, 'dpop_method_mismatch'],
      'a method in lower case': [{ claims: { htm: 'post' } }, 'dpop_method_mismatch'],
      'no method': [{ claims: { htm: undefined } }, 'dpop_method_mismatch'],
      'no URL': [{ claims: { htu: undefined } }, 'dpop_url_mismatch'],
      'another host': host('https://evil.example/token'),
      'another scheme': host('http://as.example/token'),
      'another port': host('https://as.example:8443/token'),
      'the port of another scheme': host('https://as.example:80/token'),
      'another path': host('https://as.example/token/'),
      'another case of the path': host('https://as.example/TOKEN'),
      credentials: host('https://a@as.example/token'),
      'white space': host('https://as.example/token\n'),
      backslashes: host('https:\\\\as.example/token'),
      'an array': [{ claims: { htu: ['https://as.example/token'] } }, 'dpop_url_mismatch'],
    })
    const server = await startDpopServer(context)
    const prover = await createProver(server.clock)
    for (const htu of [
      'HTTPS://AS.EXAMPLE:443/token',
      'https://as.example/token?a=b#c',
      'https://as.example/a/../%74oken',
    ]) {
      const { status } = await server.token('secret', CREDENTIALS, await prover.proof({ claims: { htu } }))
      assert.equal(status, 200, htu)
    }
    const asked = await server.token(
      'secret',
      CREDENTIALS,
      await prover.proof({ claims: { htu: 'https://evil.example/token' } }),
      {
        'X-Forwarded-Host': 'evil.example',
        Forwarded: 'host=evil.example',
      },
    )
    assert.equal(reasonOf(asked.body), 'dpop_url_mismatch')
  })

  test('DP4: iat from 60 seconds past to 15 seconds ahead, jti a string of at most 256 characters', async (context) => {
    const server = await startDpopServer(context)
    const { clock } = server
    const prover = await createProver(clock)
    const at = (seconds: number): ProofOverrides => ({ claims: { iat: clock() + seconds } })
    await refuses(context, {
      'too old': [at(-70), 'dpop_proof_expired'],
      'too far ahead': [at(25), 'dpop_proof_issued_in_future'],
      'no iat': [{ claims: { iat: undefined } }, 'dpop_proof_malformed'],
      'iat as text': [{ claims: { iat: String(clock()) } }, 'dpop_proof_malformed'],
      'no jti': [{ claims: { jti: undefined } }, 'dpop_proof_malformed'],
      'an empty jti': [{ claims: { jti: '' } }, 'dpop_proof_malformed'],
      'a jti that is a number': [{ claims: { jti: 7 } }, 'dpop_proof_malformed'],
      'a long jti': [{ claims: { jti: 'x'.repeat(257) } }, 'dpop_proof_malformed'],
    })
    for (const [seconds, status] of [
      [-61, 400],
      [-60, 200],
      [-10, 200],
      [10, 200],
      [15, 200],
      [16, 400],
    ] as const)
      assert.equal(
        (await server.token('secret', CREDENTIALS, await prover.proof(at(seconds)))).status,
        status,
        `${seconds}`,
      )
    const long = await prover.proof({ claims: { jti: 'x'.repeat(256) } })
    assert.equal((await server.token('secret', CREDENTIALS, long)).status, 200)
  })

  test('DP5: a proof is used once, as its last step; no node accepts it again as long as it lives', async (context) => {
    const server = await startDpopServer(context)
    const other = await startDpopServer(context, { stores: server.stores, clock: server.clock })
    const prover = await createProver(server.clock)
    const proof = await prover.proof()
    const wrongSecret = { ...CREDENTIALS, client_id: 'secret', client_secret: 'wrong' }
    const failed = await server.token('public', wrongSecret, proof)
    assert.equal(failed.body['error'], 'invalid_client')
    assert.equal((await server.token('secret', CREDENTIALS, proof)).status, 200, 'a failed client spends no proof')
    server.clock.advance(60)
    for (const each of [server, other]) {
      const code = await each.code('secret')
      const again = await each.token('secret', code, proof)
      assert.deepEqual(
        [again.status, again.body['error'], reasonOf(again.body)],
        [400, 'invalid_dpop_proof', 'dpop_proof_replayed'],
      )
      assert.equal((await each.token('secret', code, await prover.proof())).status, 200, 'the code was not spent')
    }
    const jti = { claims: { jti: 'one' } }
    const key = await createProver(server.clock)
    const both = await Promise.all(
      [prover, key].map(async (each) => server.token('secret', CREDENTIALS, await each.proof(jti))),
    )
    assert.deepEqual(
      both.map(({ status }) => status),
      [200, 200],
      'the jti of another key is another one',
    )
    const same = await prover.proof()
    const race = await Promise.all([server, other].map((each) => each.token('secret', CREDENTIALS, same)))
    assert.deepEqual(race.map(({ status }) => status).sort(), [200, 400])
  })

  test('DP5: a replay register that fails is a 503, and the code still works', async (context) => {
    let isDown = true
    const server = await startDpopServer(context, {
      replayRegister: {
        async remember() {
          if (isDown) throw new Error('the register is down')
          return true
        },
      },
    })
    const prover = await createProver(server.clock)
    const code = await server.code('secret')
    const down = await server.token('secret', code, await prover.proof())
    assert.deepEqual([down.status, down.body['error']], [503, 'temporarily_unavailable'])
    isDown = false
    assert.equal((await server.token('secret', code, await prover.proof())).status, 200)
    for (const answer of [undefined, 'yes', 1]) {
      const odd = await startDpopServer(context, { replayRegister: { remember: async () => answer as never } })
      assert.equal((await odd.token('secret', CREDENTIALS, await prover.proof())).status, 503)
    }
  })

  test('DP6: the nonce is asked for before the client is authenticated, which would spend its assertion', async (context) => {
    const server = await startDpopServer(context, { nonceSecret: 'n'.repeat(32) })
    const prover = await createProver(server.clock)
    const wrong = { ...CREDENTIALS, client_id: 'secret', client_secret: 'wrong' }
    const asked = await server.token('public', wrong, await prover.proof())
    assert.deepEqual([asked.status, asked.body['error']], [400, 'use_dpop_nonce'])
    const nonce = asked.headers.get('dpop-nonce')
    const proof = await prover.proof({ claims: { nonce } })
    assert.equal((await server.token('public', wrong, proof)).body['error'], 'invalid_client')
    const assertion = await server.keyed.assertion()
    assert.equal((await server.token({ assertion }, CREDENTIALS, await prover.proof())).body['error'], 'use_dpop_nonce')
    assert.equal(
      (await server.token({ assertion }, CREDENTIALS, proof)).status,
      200,
      'neither proof nor assertion was spent',
    )
  })

  test('DP6: a nonce of the server, without a store; the window before is still good, and two nodes share the secret', async (context) => {
    const nonceSecret = 'n'.repeat(32)
    const server = await startDpopServer(context, { nonceSecret })
    const { clock } = server
    const other = await startDpopServer(context, { nonceSecret: ['m'.repeat(32), nonceSecret], clock })
    const prover = await createProver(clock)
    const assertion = await server.keyed.assertion()
    const code = await server.code('keyed')
    const asked = await server.token({ assertion }, code, await prover.proof())
    assert.deepEqual(
      [asked.status, asked.body['error'], reasonOf(asked.body)],
      [400, 'use_dpop_nonce', 'dpop_nonce_required'],
    )
    assert.equal(asked.headers.get('cache-control'), 'no-store')
    assert.match(asked.headers.get('access-control-expose-headers') ?? '', /\bDPoP-Nonce\b/)
    const nonce = asked.headers.get('dpop-nonce') ?? ''
    const good = await server.token({ assertion }, code, await prover.proof({ claims: { nonce } }))
    assert.equal(good.status, 200, 'neither code nor assertion was spent')
    assert.equal(good.headers.get('dpop-nonce'), nonce, 'the nonce to use next')
    const use = async (node: DpopServer, value: unknown) =>
      node.token('secret', CREDENTIALS, await prover.proof({ claims: { nonce: value } }))
    for (const wrong of ['', 'x', `${nonce}x`, 7, [nonce]])
      assert.equal((await use(server, wrong)).body['error'], 'use_dpop_nonce', JSON.stringify(wrong))
    assert.equal((await use(other, nonce)).status, 200, 'a node that has the secret among others')
    const theirs = (await use(other, 'x')).headers.get('dpop-nonce') ?? ''
    assert.equal((await use(server, theirs)).status, 400, 'that node makes nonces with its first secret')
    clock.advance(120)
    const late = await use(server, nonce)
    assert.equal(late.status, 200, 'the window before')
    assert.notEqual(late.headers.get('dpop-nonce'), nonce)
    clock.advance(-120)
    assert.equal((await use(server, late.headers.get('dpop-nonce'))).status, 200, 'a node whose clock is ahead')
    clock.advance(240)
    assert.equal((await use(server, nonce)).body['error'], 'use_dpop_nonce', 'two windows past')
  })
})

describe('tokens for a proof', () => {
  test('DP7: token_type DPoP and cnf.jkt in the token and in introspection, for every grant', async (context) => {
    const server = await startDpopServer(context)
    const prover = await createProver(server.clock)
    const code = await server.token('secret', await server.code('secret'), await prover.proof())
    const refresh = await server.token(
      'secret',
      { grant_type: 'refresh_token', refresh_token: String(code.body['refresh_token']) },
      await prover.proof(),
    )
    const credentials = await server.token('secret', CREDENTIALS, await prover.proof())
    for (const { status, body } of [code, refresh, credentials]) {
      assert.deepEqual([status, body['token_type']], [200, 'DPoP'])
      const token = String(body['access_token'])
      assert.deepEqual(decodeJwt(token)['cnf'], { jkt: prover.thumbprint })
      const seen = await server.introspect(token)
      assert.deepEqual([seen['active'], seen['token_type'], seen['cnf']], [true, 'DPoP', { jkt: prover.thumbprint }])
    }
    const plain = await server.token('secret', CREDENTIALS)
    assert.equal(decodeJwt(String(plain.body['access_token']))['cnf'], undefined)
    assert.equal((await server.introspect(String(plain.body['access_token'])))['token_type'], 'Bearer')
  })

  test('DP8: a record that does not say false requires a proof, also with the 1 of a database', async (context) => {
    for (const [value, status] of [
      [1, 400],
      ['true', 400],
      [false, 200],
      [null, 200],
    ] as const) {
      const server = await startDpopServer(context, { bound: value })
      assert.equal((await server.token('bound', CREDENTIALS)).status, status, String(value))
    }
  })

  test('DP8: without a proof Bearer, unless the server or the client requires one', async (context) => {
    const server = await startDpopServer(context)
    assert.equal((await server.token('secret', CREDENTIALS)).body['token_type'], 'Bearer')
    const code = await server.code('bound')
    const missing = await server.token('bound', code)
    assert.deepEqual(
      [missing.status, missing.body['error'], reasonOf(missing.body)],
      [400, 'invalid_request', 'dpop_proof_missing'],
    )
    const prover = await createProver(server.clock)
    assert.equal((await server.token('bound', code, await prover.proof())).body['token_type'], 'DPoP')

    const strict = await startDpopServer(context, { required: true, nonceSecret: 'n'.repeat(32), clock: server.clock })
    const assertion = await strict.keyed.assertion()
    const refused = await strict.token({ assertion }, CREDENTIALS)
    assert.deepEqual([refused.status, refused.body['error']], [400, 'invalid_request'])
    const nonce = refused.headers.get('dpop-nonce')
    const good = await strict.token({ assertion }, CREDENTIALS, await prover.proof({ claims: { nonce } }))
    assert.equal(good.body['token_type'], 'DPoP', 'the assertion was not spent')
  })

  test('DP9: a code that is bound by dpop_jkt is redeemed with that key only, and another one does not spend it', async (context) => {
    const server = await startDpopServer(context)
    const [right, wrong] = await Promise.all([createProver(server.clock), createProver(server.clock)])
    for (const client of ['public', 'secret'] as const) {
      const code = await server.code(client, right.thumbprint)
      for (const proof of [await wrong.proof(), undefined]) {
        const { status, body } = await server.token(client, code, proof)
        assert.deepEqual([status, body['error'], reasonOf(body)], [400, 'invalid_grant', 'dpop_key_mismatch'])
      }
      assert.equal((await server.token(client, code, await right.proof())).status, 200)
      const replay = await server.token(client, code, await wrong.proof())
      assert.equal(replay.body['error'], 'invalid_grant')
      assert.equal(
        (await server.sessions.list('alice', 'oauth2', server.clock())).length,
        1,
        'a replay with another key ends nothing',
      )
      await server.token(client, code, await right.proof())
      assert.equal((await server.sessions.list('alice', 'oauth2', server.clock())).length, 0, 'one with the key does')
    }
  })

  test('DP10: the refresh token of a public client is bound to its key; nobody without it can move or end the session', async (context) => {
    const server = await startDpopServer(context)
    const { clock } = server
    const [right, wrong] = await Promise.all([createProver(clock), createProver(clock)])
    const first = await server.token('public', await server.code('public'), await right.proof())
    const refresh = (token: unknown, proof?: string) =>
      server.token('public', { grant_type: 'refresh_token', refresh_token: String(token) }, proof)
    clock.advance(20)
    const second = await refresh(first.body['refresh_token'], await right.proof())
    assert.equal(second.body['token_type'], 'DPoP')
    const before = await server.sessions.list('alice', 'oauth2', clock())
    clock.advance(20)
    for (const token of [first.body['refresh_token'], second.body['refresh_token']]) {
      for (const proof of [await wrong.proof(), undefined]) {
        const { status, body } = await refresh(token, proof)
        assert.deepEqual([status, body['error'], reasonOf(body)], [400, 'invalid_grant', 'dpop_key_mismatch'])
      }
    }
    assert.deepEqual(await server.sessions.list('alice', 'oauth2', clock()), before)
    const retried = await refresh(first.body['refresh_token'], await right.proof())
    assert.equal(retried.status, 200, 'a retry with the right key')
    assert.equal((await server.introspect(String(retried.body['access_token'])))['active'], true)
  })

  test('DP10: a session of a public client that has no key yet is bound by the first proof; a confidential one is never', async (context) => {
    const server = await startDpopServer(context)
    const { clock } = server
    const [one, two] = await Promise.all([createProver(clock), createProver(clock)])
    const refresh = (client: 'public' | 'secret', token: unknown, proof?: string) =>
      server.token(client, { grant_type: 'refresh_token', refresh_token: String(token) }, proof)
    const bearer = await server.token('public', await server.code('public'))
    // within the join window, where a refresh without a proof writes nothing
    const bound = await refresh('public', bearer.body['refresh_token'], await one.proof())
    assert.equal(bound.body['token_type'], 'DPoP')
    assert.equal((await refresh('public', bound.body['refresh_token'])).body['error'], 'invalid_grant')
    assert.equal(
      (await refresh('public', bound.body['refresh_token'], await two.proof())).body['error'],
      'invalid_grant',
    )
    assert.equal((await refresh('public', bound.body['refresh_token'], await one.proof())).status, 200)

    let tokens = await server.token('secret', await server.code('secret'), await one.proof())
    for (const [proof, type] of [
      [await two.proof(), 'DPoP'],
      [undefined, 'Bearer'],
      [await one.proof(), 'DPoP'],
    ] as const) {
      clock.advance(20)
      tokens = await refresh('secret', tokens.body['refresh_token'], proof && (await two.proof()))
      assert.deepEqual([tokens.status, tokens.body['token_type']], [200, type])
    }
  })

  test('DP10: a session is never bound to two keys: of two requests with one code and two keys one gets tokens', async (context) => {
    const server = await startDpopServer(context)
    const provers = await Promise.all([createProver(server.clock), createProver(server.clock)])
    for (let round = 0; round < 10; round += 1) {
      const code = await server.code('public')
      const proofs = await Promise.all(provers.map((each) => each.proof()))
      const answers = await Promise.all(proofs.map((proof) => server.token('public', code, proof)))
      const won = answers.findIndex(({ status }) => status === 200)
      assert.equal(answers.filter(({ status }) => status === 200).length, 1)
      server.clock.advance(20)
      const refresh_token = String(answers[won]?.body['refresh_token'])
      const proof = await provers[won]?.proof()
      const refreshed = await server.token('public', { grant_type: 'refresh_token', refresh_token }, proof)
      assert.equal(refreshed.status, 200, JSON.stringify(refreshed.body))
    }
  })

  test('DP12: browsers may send DPoP and read DPoP-Nonce and WWW-Authenticate', async (context) => {
    const server = await startDpopServer(context)
    const { headers } = await server.token('secret', CREDENTIALS)
    assert.match(headers.get('access-control-allow-headers') ?? '', /\bdpop\b/i)
    const exposed = (headers.get('access-control-expose-headers') ?? '').split(', ')
    assert.ok(exposed.includes('DPoP-Nonce') && exposed.includes('WWW-Authenticate'))
  })
})
