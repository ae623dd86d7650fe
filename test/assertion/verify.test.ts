import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAssertionVerifier } from '../../lib/assertion/verify.ts'
import {
  assertionBy,
  assertionWith,
  CLIENT_ID,
  formWith,
  ISSUER,
  NOW,
  sharedKey,
  TOKEN_ENDPOINT,
  testRegister,
} from '../support/assertions.ts'

test('every algorithm of the default list authenticates its client', async () => {
  for (const alg of [
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
    'ES256',
    'ES384',
    'ES512',
    'EdDSA',
    'Ed25519',
  ]) {
    const key = await sharedKey(alg)
    const client = {
      client_id: CLIENT_ID,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [{ ...key.jwk, kid: 'k1' }] },
    }
    const verify = createAssertionVerifier({
      issuer: ISSUER,
      tokenEndpoint: TOKEN_ENDPOINT,
      findClient: () => client,
      replayRegister: testRegister(),
      clock: () => NOW,
    })
    const { client: found, authentication } = await verify(formWith(assertionBy(key, {}, { kid: 'k1' })))
    assert.equal(found, client)
    assert.equal(authentication.method, 'private_key_jwt')
    assert.equal(authentication.alg, alg)
    assert.equal(authentication.kid, 'k1')
  }
  for (const alg of ['HS256', 'HS384', 'HS512']) {
    const secret = 's'.repeat(64)
    const client = { client_id: CLIENT_ID, token_endpoint_auth_method: 'client_secret_jwt', client_secret: secret }
    const verify = createAssertionVerifier({
      issuer: ISSUER,
      findClient: async () => client,
      replayRegister: testRegister(),
      clock: () => NOW,
    })
    const { authentication } = await verify(formWith(assertionWith(secret, {}, { alg })))
    assert.equal(authentication.method, 'client_secret_jwt')
    assert.equal(authentication.alg, alg)
  }
})
