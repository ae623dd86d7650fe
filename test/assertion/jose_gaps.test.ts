import assert from 'node:assert/strict'
import { test } from 'node:test'
import { importJWK, jwtVerify } from 'jose'
import {
  assertionBy,
  assertionWith,
  base64url,
  CLIENT_ID,
  claimsOf,
  formWith,
  ISSUER,
  jws,
  macScene,
  NOW,
  newKey,
  outcomeOf,
  scene,
  signatureOver,
} from '../support/assertions.ts'

// What jose accepts, or throws something other than its own errors for, by measure; and what comes of it here.

test('the gaps are real: jose takes an expiry of 1e400, a jti that is a number and a short secret', async () => {
  const { key } = await scene()
  const imported = await importJWK({ ...key.jwk, alg: 'ES256' })
  const odd = JSON.stringify(claimsOf({ jti: 5 })).replace(/"exp":\d+/, '"exp":1e400')
  const { payload } = await jwtVerify(jws('{"alg":"ES256"}', odd, 'ES256', key.privateKey), imported, {
    issuer: CLIENT_ID,
    audience: ISSUER,
    requiredClaims: ['jti', 'exp'],
    currentDate: new Date(NOW * 1000),
  })
  assert.equal(payload.exp, Number.POSITIVE_INFINITY)
  await jwtVerify(assertionWith('short!'), Buffer.from('short!'), { currentDate: new Date(NOW * 1000) })
})

test('MAC secrets: six octets, none at all', async () => {
  assert.equal(await (await macScene({}, { client_secret: 'short!' })).outcome('short!'), 'client_secret_too_short')
  assert.equal(await (await macScene({}, { client_secret: '' })).outcome(''), 'client_secret_missing')
})

test('keys that make other libraries throw are a refusal here', async () => {
  const rsa = await newKey('RS256')
  const { key } = await scene()
  const n = Buffer.from(String(rsa.jwk['n']), 'base64url')
  for (const [alg, jwk] of [
    ['RS256', { ...rsa.jwk, n: n.subarray(0, 128).toString('base64url') }],
    ['RS256', { ...rsa.jwk, n: '*' }],
    ['RS256', { ...rsa.jwk, e: 'Aw' }],
    ['ES256', { ...key.jwk, y: key.jwk['x'] }],
  ] as const) {
    const { verify } = await scene({}, { jwks: { keys: [jwk] } })
    assert.equal(await outcomeOf(verify(formWith(assertionBy(alg === 'RS256' ? rsa : key)))), 'key_unusable')
  }
})

test('moments: infinite, in a thousand years, in milliseconds, absent, issued ahead', async () => {
  const { outcome, outcomeOfText, key } = await scene()
  for (const text of ['1e400', '-1e400'])
    assert.equal(
      await outcomeOfText(
        jws(
          '{"alg":"ES256"}',
          JSON.stringify(claimsOf()).replace(/"exp":\d+/, `"exp":${text}`),
          'ES256',
          key.privateKey,
        ),
      ),
      'assertion_expiry_malformed',
    )
  assert.equal(await outcome({ exp: 1e15 }), 'assertion_lifetime_too_long')
  assert.equal(await outcome({ exp: NOW * 1000 }), 'assertion_lifetime_too_long')
  assert.equal(await outcome({ exp: undefined }), 'assertion_expiry_malformed')
  assert.equal(await outcome({ iat: NOW + 3600, exp: NOW + 3660 }), 'assertion_issued_in_future')
})

test('jti and aud of odd kinds', async () => {
  const { outcome } = await scene()
  for (const jti of ['', null, 5, {}]) assert.equal(await outcome({ jti }), 'assertion_id_malformed')
  for (const aud of [
    [ISSUER, null],
    [ISSUER, 'evil'],
    [ISSUER, ISSUER],
  ])
    assert.equal(await outcome({ aud }), 'assertion_audience_mismatch')
})

test('second spellings of one token', async () => {
  const { outcomeOfText, key } = await scene()
  const good = assertionBy(key)
  const last = good.at(-1) ?? ''
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const stray = good.slice(0, -1) + alphabet[alphabet.indexOf(last) + 1]
  for (const text of [`${good}=`, `${good}==`, `${good} `, `${good}\n`, `${good}\r\n`, stray])
    assert.equal(await outcomeOfText(text), 'assertion_malformed')
})

test('repeated members and byte order marks', async () => {
  const { outcomeOfText, key } = await scene()
  const claims = JSON.stringify(claimsOf())
  const sign = (header: string, payload: string) => jws(header, payload, 'ES256', key.privateKey)
  for (const text of [
    sign('{"alg":"ES256","alg":"ES256"}', claims),
    sign('{"alg":"ES256"}', claims.replace('{', '{"aud":"x",')),
    sign('\ufeff{"alg":"ES256"}', claims),
    sign('{"alg":"ES256"}', `\ufeff${claims}`),
  ])
    assert.equal(await outcomeOfText(text), 'assertion_malformed')
})

test('b64 and crit in every combination', async () => {
  const { outcome } = await scene()
  for (const header of [
    { b64: false },
    { b64: true },
    { crit: ['b64'], b64: true },
    { crit: ['b64', 'b64'], b64: true },
  ])
    assert.equal(await outcome({}, header), 'assertion_header_not_allowed')
  const { outcomeOfText, key } = await scene()
  const header = base64url('{"alg":"ES256","crit":["b64"],"b64":false}')
  const input = `${header}.${JSON.stringify(claimsOf())}`
  const unencoded = `${input}.${signatureOver(input, 'ES256', key.privateKey).toString('base64url')}`
  assert.equal(await outcomeOfText(unencoded), 'assertion_malformed')
})

test('several keys that fit, and the two names of Ed25519', async () => {
  const ed = await newKey('Ed25519')
  const other = await newKey('Ed25519')
  const { verify } = await scene({ algorithms: ['EdDSA'] }, { jwks: { keys: [other.jwk, ed.jwk] } })
  for (const alg of ['EdDSA', 'Ed25519'])
    assert.equal(await outcomeOf(verify(formWith(assertionBy(ed, {}, { alg })))), 'accepted')
})

test('key objects of the application are left as they came: not frozen, not written to', async () => {
  const { outcome, client } = await scene()
  const before = JSON.stringify(client)
  assert.equal(await outcome(), 'accepted')
  assert.equal(JSON.stringify(client), before)
  const { keys } = client.jwks as { keys: object[] }
  assert.ok(keys.every((key) => !Object.isFrozen(key)))
})
