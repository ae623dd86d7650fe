// Sound options for every public constructor, with what comes before them.
import * as cimd from '../../lib/cimd/index.ts'
import * as dpopEntry from '../../lib/dpop/index.ts'
import * as federated from '../../lib/federated/index.ts'
import * as main from '../../lib/index.ts'
import * as authorization from '../../lib/oauth2orize/index.ts'
import * as resourceServer from '../../lib/resource_server/index.ts'
import * as smart from '../../lib/smart/index.ts'
import * as memory from '../../lib/stores/memory.ts'
import * as postgres from '../../lib/stores/postgres.ts'
import * as redis from '../../lib/stores/redis.ts'
import * as testing from '../../lib/testing/index.ts'
import { echo } from './token_route.ts'

const issuer = 'https://as.example'
const secret = 's'.repeat(32)
const resource = 'https://api.example'
const tokenEndpoint = `${issuer}/token`
const stores = memory.createMemoryStores()
const { codeStore: codes, sessionStore: store, replayRegister } = stores
const sessions = main.createSessions({ store })
const tokens = main.createTokens({ issuer, baseSecret: secret })
const consents = main.createConsents({ store })
const findClient = () => undefined
const call = async () => undefined
const runner = { describe: call, it: call }
const trustedIssuers = federated.createTrustedIssuers([
  { issuer: 'https://idp.example', jwksUri: 'https://idp.example/keys' },
])
const keys = { jwks: { keys: [] } }
const authenticate = () => undefined
const strategies = { clientPassword: { authenticate } }
const token = main.createTokenEndpoint({ findClient, exchanges: [echo] })
const verifier = resourceServer.createAccessTokenVerifier({ issuer, resource, keys: { tokens } })
const pushed = { isRequired: false, connect: call, push: call, load: call, spend: call, isRequiredFor: call }
const keyInput = { key: Buffer.alloc(32, 1), kid: 'k', alg: 'HS256' }

/** The entries of the package with what they export. */
const EXPORTED: Readonly<Record<string, unknown>> = {
  ...main,
  ...authorization,
  ...resourceServer,
  ...cimd,
  ...dpopEntry,
  ...federated,
  ...smart,
  ...memory,
  ...redis,
  ...postgres,
  ...testing,
}

/** Sound options of each. */
export const BASES: Readonly<Record<string, object>> = {
  createAssertionVerifier: { issuer, tokenEndpoint, findClient, replayRegister },
  createClientAuthenticator: { findClient },
  findClientProblems: {},
  createConsents: { store },
  createClientEndpoint: { findClient },
  createIntrospection: { sessions, tokens },
  createIntrospectionEndpoint: { sessions, tokens, findClient },
  createDocumentEndpoint: {},
  createMetadata: {
    issuer,
    token: { url: tokenEndpoint, endpoint: token },
    authorizationEndpoint: `${issuer}/authorize`,
  },
  createPushedAuthorizationEndpoint: { findClient },
  createRevocation: { sessions, tokens },
  createRevocationEndpoint: { sessions, tokens, findClient },
  createTokenEndpoint: { findClient, exchanges: [echo] },
  authenticateClients: { authenticateClient: call },
  allowCors: {},
  respondWithError: {},
  readFormBody: {},
  createAuthorizationCodeExchange: { codes, sessions, tokens },
  createClientCredentialsExchange: { tokens },
  createRefreshTokenExchange: { sessions, tokens },
  Strategy: { issuer, tokenEndpoint, findClient, replayRegister },
  createBasicVerify: { findClient },
  createClientPasswordVerify: { findClient },
  PublicClientStrategy: { findClient },
  createPushedRequests: { store },
  createResources: {},
  createSessions: { store },
  deriveKeyset: {},
  createTokenFactory: { baseSecret: secret },
  createKeyset: {},
  createTokens: { issuer, baseSecret: secret },
  createAuthorizationSide: { issuer, findClient, codes, consents, replayRegister, secret },
  respondWithAuthorizationError: { issuer },
  validateAuthorization: { findClient },
  createCodeGrant: { issuer, codes },
  checkRememberedConsent: { consents },
  toOauth2orize: {},
  createSealedTransactions: { issuer, secret, findClient, replayRegister },
  createBearerVerify: {},
  toMcpVerifier: { createError: () => new Error('x') },
  requireAccessToken: {},
  createProtectedResource: { issuer, resource },
  createAccessTokenVerifier: { issuer, resource, keys },
  readClientMetadata: { clientId: 'c', scope: '' },
  createClientDocuments: { scope: '' },
  createDpop: { tokenEndpoint, replayRegister },
  createMemoryReplayRegister: {},
  createMemoryCodeStore: {},
  createMemorySessionStore: {},
  createMemoryStores: {},
  createRedisStores: { command: call, signingKeys: secret },
  createPostgresStores: { query: call },
  createJwtBearerExchange: { tokens, trustedIssuers, replayRegister, subjectOf: call },
  createSmartConfiguration: {
    metadata: main.createMetadata({ issuer, token: { url: tokenEndpoint, endpoint: token } }),
    capabilities: ['permission-v2'],
  },
  testCodeStore: {},
  testReplayRegister: {},
  testSessionStore: {},
  createTestClient: { issuer },
}

/** What comes before the options. */
const BEFORE: Readonly<Record<string, readonly unknown[]>> = {
  findClientProblems: [{ client_id: 'c' }],
  createClientEndpoint: [() => ({})],
  createDocumentEndpoint: [{}],
  createPushedAuthorizationEndpoint: [pushed],
  createResources: [[{ uri: resource }]],
  deriveKeyset: [secret],
  createKeyset: [[keyInput]],
  toOauth2orize: [echo],
  createBearerVerify: [verifier],
  toMcpVerifier: [verifier],
  requireAccessToken: [verifier],
  readClientMetadata: ['{"redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"none"}'],
  testCodeStore: [runner, 'mine', () => ({})],
  testReplayRegister: [runner, 'mine', () => ({})],
  testSessionStore: [runner, 'mine', () => ({})],
}

/** Calls a public function, or constructs a class, with these options. */
export async function callWith(name: string, options: readonly unknown[]): Promise<void> {
  const value = EXPORTED[name] as (...given: unknown[]) => unknown
  const given = [...(BEFORE[name] ?? []), ...options]
  await (/^[A-Z]/.test(name) ? Reflect.construct(value, given) : Reflect.apply(value, undefined, given))
}

/** Sound options among which this one has an effect: some exclude each other. */
export function baseFor(name: string, option: string): object {
  const base = BASES[name] as { readonly findClient?: unknown }
  const { findClient: _, ...withoutLookUp } = base
  if (name === 'Strategy' && option === 'verifyAssertion') return {}
  if (option === 'server') return { findClient }
  if (name === 'authenticateClients' && !['authenticateClient', 'clock', 'endpoint'].includes(option))
    return { strategies }
  if (option === 'authenticateClient' || option === 'strategies') return withoutLookUp
  if (name.endsWith('Endpoint') && ['passport', 'toClient'].includes(option)) return { ...withoutLookUp, strategies }
  return base
}
