// The verifier alone, required: no framework, no database.
const assert = require('node:assert/strict')
const { createAssertionVerifier, OAuthError, Strategy } = require('passport-client-assertion-jwt')
const { createMemoryReplayRegister } = require('passport-client-assertion-jwt/stores/memory')
const strategy = require('passport-client-assertion-jwt')
const { createTestClient } = require('passport-client-assertion-jwt/testing')

async function main() {
  const issuer = 'https://op.example'
  assert.equal(strategy.Strategy, Strategy, 'one class, whichever entry it comes from')
  assert.equal(OAuthError.name, 'OAuthError', 'logs show the name of the class')
  for (const alg of ['ES256', 'RS256', 'PS256', 'Ed25519', 'HS256']) {
    const client = await createTestClient({ issuer, alg })
    const verify = createAssertionVerifier({
      issuer,
      findClient: client.findClient,
      replayRegister: createMemoryReplayRegister(),
    })
    const parameters = await client.parameters()
    assert.equal((await verify(parameters)).client.client_id, 'test-client')
    const refused = await verify(parameters).catch((error) => error)
    assert.ok(refused instanceof OAuthError, 'one class, whichever entry it comes from')
    assert.equal(refused.reason, 'assertion_replayed')
  }
  console.log('verified')
}

main()
