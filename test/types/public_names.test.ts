import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isType, publicSurface } from '../support/public_surface.ts'

/** What each entry exports at run time. A name gets here on purpose, and stays until a major release. */
const NAMES: Readonly<Record<string, string>> = {
  'index.ts': `
    ClientAssertionStrategy OAuthError PROFILES PublicClientStrategy REASONS Strategy authorizationCode
    authorizationErrors authorizationSide basicVerify builtInMethods clientAuthentication clientCredentials clientPasswordVerify
    codeGrant cors createAssertionVerifier createClientAuthenticator createClientEndpoint createConsents
    createDocumentEndpoint createExpressServer createIntrospection createIntrospectionEndpoint createKeyset
    createMetadata createRevocation createRevocationEndpoint createSessions createTokenEndpoint createTokenFactory
    createTokens deriveKeyset errorResponse findClientProblems formBody generateClientSecret getServerClasses getWellKnownPaths hashClientSecret
    isPublicAddress noStore onEvent pkceRequestParser publicJwks refreshToken rememberedConsent retryOf
    safeExchange safeIssue sealedTransactions systemClock toOauth2orize validateAuthorization
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

/** The types each entry exports: what somebody must name to write a callback, a store or the options of a call. */
const TYPES: Readonly<Record<string, string>> = {
  'index.ts': `
    AccessTokenClaims Adopt AdoptedPermission Answer AssertionCheck AssertionContext AssertionMethod AssertionProfile
    AssertionRouteOptions AssertionStrategyBehaviour AssertionStrategyOptions AssertionVerification
    AssertionVerifier AssertionVerifierOptions AudienceForm AuthenticateClient AuthenticatedClient
    AuthenticationContext AuthenticationMethod AuthenticationOptions AuthorizationCode AuthorizationCodeOptions
    AuthorizationErrorsOptions AuthorizationOptions AuthorizationParameters AuthorizationResponse
    AuthorizationRules AuthorizationServerMetadata BaseSecret BasicDecoding BasicVerify BasicVerifyOptions Claims
    ClaimsContext Client ClientAuthentication ClientAuthenticationMethod ClientAuthenticationOptions
    ClientAuthenticatorOptions ClientCredentialsOptions ClientDone ClientEndpointOptions ClientPasswordVerify
    ClientPasswordVerifyOptions ClientProblem ClientProblemOptions ClientRules ClientSecret ClientStrategies Clock CodeGrantOptions CodeStore Consent
    Consents ConsentsOptions CorsOptions EndpointFacts EndpointOptions ErrorMiddleware ErrorMiddlewareOptions
    ErrorResponseOptions Events Exchange ExchangeRequest ExchangeStep FindClient FormBodyOptions FormParameters
    ImmediateDone Introspect IntrospectionResponse IsAllowedAddress JwkSet Key KeyInput KeySetOptions Keyset
    KeysetSource MetadataOptions Middleware MiddlewareNext MiddlewareRequest MiddlewareResponse OAuthErrorCode
    OAuthErrorOptions Oauth2orizeExchange Oauth2orizeGrant Oauth2orizeRequest Oauth2orizeTransaction
    OpenSessionOptions ParametersRequest PassportLike PerClient Permission Permits PkcePolicy ProfileRules
    PublicClientStrategyOptions PublicJwk Reason RedirectUriRules RefreshTokenClaims RefreshTokenOptions
    RefreshedSession RememberedConsentOptions ReplayRegister RequestContext RequestHandler RequestHead Revoke
    RuleOptions SafeExchange ScopeRules SealedTransactionsOptions ServerName Session SessionEvent SessionSettings
    SessionStore Sessions SessionsOptions ShownError SigningAlgorithm StrategyAuthenticationOptions StrategyLike
    StrategyRequest SubjectOf ToOauth2orizeOptions TokenEndpoint TokenEndpointOptions TokenFactory
    TokenFactoryOptions TokenKind TokenRequest TokenResponse TokenSet Tokens TokensOptions TransactionRequest
    TransactionStore TypRule ValidateAuthorizationOptions ValidateDone Verbosity VerificationPlace VerifyAssertion
    VerifyClient VerifyClientWithRequest VerifyDone
  `,
  'strategy.ts': `
    AssertionRouteOptions AssertionStrategyBehaviour AssertionStrategyOptions BasicVerify BasicVerifyOptions
    ClientDone ClientPasswordVerify ClientPasswordVerifyOptions PublicClientStrategyOptions StrategyRequest
    VerifyClient VerifyClientWithRequest VerifyDone
  `,
  'oauth2orize/index.ts': `
    AuthorizationCodeOptions AuthorizationErrorsOptions AuthorizationOptions AuthorizationParameters
    AuthorizationResponse ClientCredentialsOptions CodeGrantOptions ExchangeStep ImmediateDone Oauth2orizeExchange
    Oauth2orizeGrant Oauth2orizeRequest Oauth2orizeTransaction ParametersRequest RefreshTokenOptions
    RememberedConsentOptions SafeExchange SealedTransactionsOptions ShownError SubjectOf ToOauth2orizeOptions TransactionRequest
    TransactionStore ValidateAuthorizationOptions ValidateDone
  `,
  'stores/memory.ts': 'MemoryStores MemoryStoresOptions',
  'stores/redis.ts': 'BoundedCallsOptions RedisCommand RedisStores RedisStoresOptions',
  'stores/postgres.ts': 'BoundedCallsOptions PostgresQuery PostgresStores PostgresStoresOptions PostgresTables',
  'testing/index.ts': `
    AssertionOverrides AssertionParameters ContractOptions ContractRunner FakeClock OpenStore OpenedStore TestClient
    TestClientOptions
  `,
}

for (const [entry, names] of publicSurface()) {
  test(`${entry} exports the types that are meant to be public, and no others`, () => {
    const types = names.filter(({ declarations }) => declarations.every(isType)).map(({ name }) => name)
    assert.deepEqual(types.sort(), (TYPES[entry] ?? '').trim().split(/\s+/).sort())
  })
}
