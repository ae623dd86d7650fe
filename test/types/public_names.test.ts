import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import ts from 'typescript'
import { isType, type PublicName, placeOf, publicSurface } from '../support/public_surface.ts'

/** All that can be imported from the package: a name gets here on purpose, and stays until a major release. */
const VALUES: Readonly<Record<string, string>> = {
  'index.ts': `
    OAuthError PROFILES PublicClientStrategy REASONS Strategy allowCors authenticateClients builtInMethods
    createAssertionVerifier createAuthorizationCodeExchange createBasicVerify createClientAuthenticator
    createClientCredentialsExchange createClientEndpoint createClientPasswordVerify createConsents
    createDocumentEndpoint createExpressServer createIntrospection createIntrospectionEndpoint createKeyset
    createMetadata createPushedAuthorizationEndpoint createPushedRequests createRefreshTokenExchange createResources createRevocation createRevocationEndpoint createSessions
    createTokenEndpoint createTokenFactory createTokens deriveKeyset exportPublicJwks findClientProblems
    generateClientSecret getServerClasses getWellKnownPaths hashClientSecret isPublicAddress onEvent readFormBody
    respondWithError setNoStore systemClock
  `,
  'oauth2orize/index.ts': `
    checkRememberedConsent createAuthorizationSide createCodeGrant createRequestParser createSealedTransactions
    getRetryQuery guardExchange guardIssue respondWithAuthorizationError toOauth2orize validateAuthorization
  `,
  'resource_server/index.ts': `
    createAccessTokenVerifier createBearerVerify createChallenge createProtectedResource requireAccessToken toMcpVerifier
  `,
  'cimd/index.ts': `
    askAgainForDocuments createClientDocuments describeClient isClientDocument readClientMetadata
  `,
  'dpop/index.ts': `
    createDpop
  `,
  'stores/memory.ts': `
    createMemoryCodeStore createMemoryReplayRegister createMemorySessionStore createMemoryStores
  `,
  'stores/redis.ts': `
    createRedisStores
  `,
  'stores/postgres.ts': `
    createPostgresStores
  `,
  'federated/index.ts': `
    createJwtBearerExchange createTrustedIssuers entra githubActions gitlab google kubernetes spiffe
  `,
  'smart/index.ts': `
    createSmartConfiguration
  `,
  'testing/index.ts': `
    createFakeClock createTestClient testCodeStore testReplayRegister testSessionStore
  `,
}

/** The types: what an application must name to write a callback, a store, or a function of its own around ours. */
const TYPES: Readonly<Record<string, string>> = {
  'index.ts': `
    AccessTokenClaims Adopt AdoptedPermission Answer AssertionCheck AssertionProfile AssertionStrategyOptions
    AssertionVerifier AssertionVerifierOptions AuthenticateClient AuthenticatedClient AuthenticationMethod
    AuthorizationCode AuthorizationServerMetadata BasicVerify ClaimsContext Client ClientAuthentication
    ClientAuthenticationMethod ClientAuthenticatorOptions ClientPasswordVerify ClientProblem ClientRules Clock
    CodeStore Consent Consents CorsOptions EndpointFacts EndpointOptions ErrorResponseOptions Events Exchange
    ExchangeRequest FindClient FormParameters Introspect IntrospectionResponse Key KeyInput Keyset MetadataOptions
    OAuthErrorCode Oauth2orizeExchange Permission Permits PublicJwk PushedAuthorizationEndpoint PushedRequests Reason RefreshTokenClaims ReplayRegister
    RequestContext RequestHandler Resource Resources Revoke Session SessionSettings SessionStore Sessions TokenEndpoint
    TokenEndpointOptions TokenFactory TokenResponse TokenSet Tokens TokensOptions VerifyClient
  `,
  'oauth2orize/index.ts': `
    AuthorizationOptions GuardedExchange Oauth2orizeGrant Oauth2orizeRequest Oauth2orizeTransaction ShownError
    SubjectOf TransactionStore
  `,
  'resource_server/index.ts': `
    AccessToken AccessTokenRequirements AccessTokenVerifier AccessTokenVerifierOptions BearerVerify
    ProtectedResource
  `,
  'cimd/index.ts': `
    ClientDescription ClientDocumentOptions ClientDocuments ClientMetadata ClientMetadataOptions
  `,
  'dpop/index.ts': `
    Dpop DpopOptions DpopProof DpopRequest
  `,
  'stores/memory.ts': `
    MemoryStores
  `,
  'stores/redis.ts': `
    RedisCommand RedisStores
  `,
  'stores/postgres.ts': `
    PostgresQuery PostgresStores
  `,
  'federated/index.ts': `
    TrustedIssuer TrustedIssuers
  `,
  'smart/index.ts': `
    SmartConfiguration
  `,
  'testing/index.ts': `
    AssertionOverrides FakeClock OpenStore TestClient TestClientOptions
  `,
}

const filesBelow = (folder: string): string[] =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? filesBelow(path) : [path]
  })

const surface = publicSurface()
const isTypeName = ({ declarations }: PublicName): boolean => declarations.every(isType)
const namesOf = (text = ''): string[] => text.trim().split(/\s+/).sort()

for (const [entry, names] of surface) {
  test(`${entry} exports the values that are meant to be public, and nothing else`, async () => {
    assert.deepEqual(Object.keys(await import(`../../lib/${entry}`)).sort(), namesOf(VALUES[entry]))
  })

  test(`${entry} exports the types that are meant to be public, and nothing else`, () => {
    const types = names.filter(isTypeName).map(({ name }) => name)
    assert.deepEqual(types.sort(), namesOf(TYPES[entry]))
  })
}

// 150 of the package as it was redesigned, and what each later feature added, at most 12.
const MOST_NAMES = 150 + 4 + 12 + 10 + 10 + 5 + 3 + 2 // pushed requests, resource-server, client documents, federated, dpop, resources, smart

test('all entries together export no more names than are meant to be public, each from one entry', () => {
  const names = [...surface.values()].flat().map(({ name }) => name)
  assert.deepEqual(
    names.filter((name, at) => names.indexOf(name) !== at),
    [],
  )
  assert.ok(names.length <= MOST_NAMES, `${names.length} names`)
})

/** The names of the types that a function of the package is declared to return, as far as they are of the package. */
function returned(declaration: ts.Declaration): string[] {
  const isFunction = ts.isFunctionDeclaration(declaration) || ts.isVariableDeclaration(declaration)
  if (!isFunction) return []
  const type = ts.isFunctionDeclaration(declaration)
    ? declaration.type
    : declaration.initializer !== undefined && ts.isArrowFunction(declaration.initializer)
      ? declaration.initializer.type
      : undefined
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isTypeReferenceNode(node) && ts.isIdentifier(node.typeName)) found.push(node.typeName.text)
    ts.forEachChild(node, visit)
  }
  if (type !== undefined) visit(type)
  return found
}

// Otherwise an application that emits declarations cannot name the type of what it exports (TS2742). The type checker writes
// out an alias; an interface or a class it has to import.
test('the interfaces that a public function returns can be imported', () => {
  const known = new Set([...surface.values()].flat().map(({ name }) => name))
  const interfaces = new Set(
    filesBelow('lib').flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/^export (?:interface|class) (\w+)/gm)].map(([, name = '']) => name),
    ),
  )
  const unnamed = [...surface.values()].flat().flatMap(({ name, declarations }) =>
    declarations.flatMap((declaration) =>
      returned(declaration)
        .filter((type) => interfaces.has(type) && !known.has(type))
        .map((type) => `${name} (${placeOf(declaration)}): ${type}`),
    ),
  )
  assert.deepEqual(unnamed, [])
})
