import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeJwt, decodeProtectedHeader, importJWK, jwtVerify } from 'jose'
import { createAssertionVerifier } from '../../lib/assertion/verify.ts'
import { createFakeClock } from '../../lib/testing/fake_clock.ts'
import { createTestClient } from '../../lib/testing/test_client.ts'

const issuer = 'https://op.example'

for (const alg of ['ES256', 'ES384', 'ES512', 'RS256', 'PS256', 'PS384', 'Ed25519', 'EdDSA']) {
  test(`a test client signs with ${alg} what its registered public key verifies`, async () => {
    const client = await createTestClient({ issuer, alg })
    const [jwk] = client.jwks.keys
    assert.ok(jwk)
    assert.equal('d' in jwk, false)
    const { payload } = await jwtVerify(await client.assertion(), await importJWK({ ...jwk }, alg), {
      audience: issuer,
    })
    assert.equal(payload.iss, 'test-client')
    assert.equal(client.client.token_endpoint_auth_method, 'private_key_jwt')
    assert.equal(client.client.jwks, client.jwks)
  })
}

for (const alg of ['HS256', 'HS384', 'HS512']) {
  test(`a test client with ${alg} has a secret that verifies its assertions, and no keys`, async () => {
    const { client, jwks, privateJwk, assertion } = await createTestClient({ issuer, alg })
    assert.equal(typeof client.client_secret, 'string')
    await jwtVerify(await assertion(), Buffer.from(String(client.client_secret)))
    assert.deepEqual(jwks, { keys: [] })
    assert.equal(privateJwk, undefined)
    assert.equal(client.token_endpoint_auth_method, 'client_secret_jwt')
  })
}

test('overrides replace claims and header members, and undefined leaves them out', async () => {
  const clock = createFakeClock(1000)
  const client = await createTestClient({ issuer, clientId: 'c', clock })
  const sound = decodeJwt(await client.assertion())
  assert.deepEqual([sound.iss, sound.sub, sound.aud, sound.iat, sound.exp], ['c', 'c', issuer, 1000, 1060])
  clock.advance(5)
  const jwt = await client.assertion({
    audience: [issuer, 'https://other.example'],
    lifetimeSeconds: 7,
    claims: { jti: undefined, sub: 5 },
    header: { kid: undefined, alg: 'none', crit: ['b64'] },
  })
  const claims = decodeJwt(jwt)
  assert.deepEqual(claims, { iss: 'c', sub: 5, aud: [issuer, 'https://other.example'], iat: 1005, exp: 1012 })
  const header = JSON.parse(Buffer.from(jwt.split('.')[0] ?? '', 'base64url').toString())
  assert.deepEqual(header, { alg: 'none', typ: 'client-authentication+jwt', crit: ['b64'] })
})

test('every assertion has a jti of its own', async () => {
  const client = await createTestClient({ issuer })
  assert.notEqual(decodeJwt(await client.assertion()).jti, decodeJwt(await client.assertion()).jti)
})

test('a foreign key is one that the record does not have', async () => {
  const client = await createTestClient({ issuer })
  const jwt = await client.assertion({ foreignKey: true })
  assert.equal(decodeProtectedHeader(jwt).kid, client.jwks.keys[0]?.['kid'])
  await assert.rejects(jwtVerify(jwt, await importJWK({ ...client.jwks.keys[0] }, 'ES256')))
})

test('a test client finds itself and nobody else', async () => {
  const client = await createTestClient({ issuer, client: { scope: 'read' } })
  assert.equal(await client.findClient('test-client', {}), client.client)
  assert.equal(await client.findClient('other', {}), undefined)
  assert.equal(client.client.scope, 'read')
})

test('parameters are the two that RFC 7521 §4.2 names', async () => {
  const { parameters } = await createTestClient({ issuer })
  const { client_assertion_type, client_assertion, ...rest } = await parameters()
  assert.equal(client_assertion_type, 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
  assert.equal(client_assertion.split('.').length, 3)
  assert.deepEqual(rest, {})
})

test('without an issuer there is no test client', async () => {
  await assert.rejects(createTestClient({ issuer: '' }), TypeError)
})

test('a fake clock stands still until it is moved', () => {
  const clock = createFakeClock(10)
  assert.equal(clock(), 10)
  assert.equal(clock.advance(5), 15)
  assert.equal(clock(), 15)
  assert.equal(clock.set(3), 3)
  assert.equal(clock(), 3)
  assert.equal(createFakeClock()(), 1_800_000_000)
})

test('the record, the assertions and the look-up name one client, wherever its id is given', async () => {
  for (const options of [
    { client: { client_id: 'x' } },
    { clientId: 'x' },
    { clientId: 'x', client: { client_id: 'x', scope: 'read' } },
    { clientId: 'x', client: { client_id: undefined } },
  ]) {
    const made = await createTestClient({ issuer: 'https://as.example', ...options } as never)
    const { sub, iss } = JSON.parse(Buffer.from((await made.assertion()).split('.')[1] ?? '', 'base64url').toString())
    assert.deepEqual([made.client_id, made.client.client_id, sub, iss], ['x', 'x', 'x', 'x'])
    assert.equal(await made.findClient('x', {}), made.client)
    const verify = createAssertionVerifier({
      issuer: 'https://as.example',
      findClient: made.findClient,
      replayRegister: false,
    })
    assert.equal((await verify({ ...(await made.parameters()) })).client.client_id, 'x')
  }
  await assert.rejects(
    createTestClient({ issuer: 'https://as.example', clientId: 'x', client: { client_id: 'y' } }),
    /option 'client\.client_id' must be the clientId "x", or absent, got "y"/,
  )
  await assert.rejects(
    createTestClient({ issuer: 'https://as.example', clientID: 'x' } as never),
    /Did you mean "clientId"/,
  )
  await assert.rejects((createTestClient as unknown as () => Promise<void>)(), /createTestClient needs an object/)
})

test('an unknown override is refused, so that no test passes with an assertion that it did not change', async () => {
  const client = await createTestClient({ issuer })
  for (const make of [client.assertion, client.parameters])
    await assert.rejects(make({ exp: 0 } as never), { name: 'TypeError', message: /Unknown option "exp"/ })
})
