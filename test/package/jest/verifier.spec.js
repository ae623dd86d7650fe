const { createAssertionVerifier, OAuthError, Strategy } = require('passport-client-assertion-jwt')
const { createMemoryReplayRegister } = require('passport-client-assertion-jwt/stores/memory')
const { createFakeClock, createTestClient } = require('passport-client-assertion-jwt/testing')

const issuer = 'https://op.example'

test.each(['ES256', 'RS256', 'PS256', 'Ed25519', 'HS256'])('verifies %s once', async (alg) => {
  const clock = createFakeClock()
  const client = await createTestClient({ issuer, alg, clock })
  const replayRegister = createMemoryReplayRegister({ clock })
  const verify = createAssertionVerifier({ issuer, clock, findClient: client.findClient, replayRegister })
  const parameters = await client.parameters()
  await expect(verify(parameters)).resolves.toMatchObject({ client: { client_id: 'test-client' } })
  await expect(verify(parameters)).rejects.toBeInstanceOf(OAuthError)
  clock.advance(120)
  await expect(verify(parameters)).rejects.toMatchObject({ code: 'invalid_client', reason: 'assertion_expired' })
})

test('has the strategy', () => {
  const strategy = new Strategy({ issuer, findClient: () => undefined, replayRegister: createMemoryReplayRegister() })
  expect(strategy.name).toBe('client-assertion-jwt')
})
