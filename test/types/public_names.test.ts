import assert from 'node:assert/strict'
import { test } from 'node:test'

/** What each entry exports at run time. A name gets here on purpose, and stays until a major release. */
const NAMES: Readonly<Record<string, string>> = {
  'index.ts': `
    ClientAssertionStrategy OAuthError PROFILES PublicClientStrategy REASONS Strategy applicationClasses
    authorizationCode authorizationErrors authorizationServerMetadata authorizationSide basicVerify
    clientAuthentication clientCredentials clientEndpoint clientPasswordVerify codeGrant cors
    createAssertionVerifier createClientAuthenticator createConsents createIntrospection createKeyset
    createRevocation createServer createSessions createTokenFactory createTokens deriveKeyset errorResponse
    formBody hashClientSecret introspectionHandler metadataHandler noStore onEvent pkceRequestParser
    publicJwks refreshToken rememberedConsent retryOf revocationHandler safeExchange safeIssue
    sealedTransactions systemClock toOauth2orize tokenEndpoint tokenHandler validateAuthorization
    wellKnownPaths
  `,
  'strategy.ts': 'ClientAssertionStrategy PublicClientStrategy Strategy basicVerify clientPasswordVerify default',
  'oauth2orize/index.ts': `
    authorizationCode authorizationErrors authorizationSide clientCredentials codeGrant pkceRequestParser
    refreshToken rememberedConsent retryOf safeExchange safeIssue sealedTransactions toOauth2orize
    validateAuthorization
  `,
  'stores/memory.ts': 'memoryCodeStore memoryReplayRegister memorySessionStore memoryStores',
  'stores/redis.ts': 'redisStores',
  'stores/postgres.ts': 'postgresStores',
  'testing/index.ts': 'codeStoreContract createFakeClock createTestClient replayRegisterContract sessionStoreContract',
}

for (const [entry, names] of Object.entries(NAMES)) {
  test(`${entry} exports what is meant to be public, and nothing else`, async () => {
    const exported = Object.keys(await import(`../../lib/${entry}`)).sort()
    assert.deepEqual(exported, names.trim().split(/\s+/).sort())
  })
}
