// The verifier alone, imported: no framework, no database.
import assert from 'node:assert/strict'
import { createAssertionVerifier, OAuthError } from 'passport-client-assertion-jwt'
import { createMemoryReplayRegister } from 'passport-client-assertion-jwt/stores/memory'
import { createTestClient } from 'passport-client-assertion-jwt/testing'

const issuer = 'https://op.example'
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
