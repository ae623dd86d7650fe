// What must compile and what must not. The type checker is the test (`npm run types`): an expected error that does not occur is
// an error itself. Nothing here is run.
import type { IncomingMessage, ServerResponse } from 'node:http'
import express5, { type Application } from 'express'
import express4 from 'express4'
import oauth2orize from 'oauth2orize'
import passport from 'passport'
import {
  type AuthenticatedClient,
  type BasicVerify,
  type Client,
  type ClientAuthenticationMethod,
  type CodeStore,
  createAssertionVerifier,
  createAuthorizationCodeExchange,
  createClientCredentialsExchange,
  createExpressServer,
  createRefreshTokenExchange,
  createSessions,
  createTokenEndpoint,
  createTokens,
  type Events,
  type FindClient,
  type isPublicAddress,
  OAuthError,
  type OAuthErrorCode,
  onEvent,
  type Reason,
  type ReplayRegister,
  readFormBody,
  respondWithError,
  type SessionStore,
  Strategy,
  type TokenResponse,
} from 'passport-client-assertion-jwt'
import {
  guardExchange,
  type Oauth2orizeTransaction,
  type TransactionStore,
} from 'passport-client-assertion-jwt/oauth2orize'
import { createMemoryStores } from 'passport-client-assertion-jwt/stores/memory'
import { createPostgresStores } from 'passport-client-assertion-jwt/stores/postgres'
import { createTestClient } from 'passport-client-assertion-jwt/testing'

declare const replayRegister: ReplayRegister
declare const codeStore: CodeStore
declare const sessionStore: SessionStore
const issuer = 'https://op.example'

// --- the verifier ---------------------------------------------------------------------------------------------------

interface Tenant extends Client {
  readonly tenant: number
}
declare const findTenant: FindClient<Tenant>

const verify = createAssertionVerifier({ issuer, findClient: findTenant, replayRegister })
export const tenant: Promise<number> = verify({}).then(({ client }) => client.tenant)
export const authenticated: Promise<AuthenticatedClient<Tenant>> = verify({ client_assertion: 'x' }, { now: 1 })

// look-ups answer at once or later, with undefined or null for nobody
createAssertionVerifier({ issuer, replayRegister, findClient: () => undefined })
createAssertionVerifier({ issuer, replayRegister, findClient: async () => null })
createAssertionVerifier({ issuer, replayRegister: false, findClient: () => undefined })
createAssertionVerifier({ issuer: () => issuer, replayRegister, findClient: () => undefined, profile: 'fapi2' })

// @ts-expect-error without an issuer there is no audience to compare with
createAssertionVerifier({ findClient: findTenant, replayRegister })
// @ts-expect-error a verifier must be able to find clients
createAssertionVerifier({ issuer, replayRegister })
// @ts-expect-error no such profile
createAssertionVerifier({ issuer, findClient: findTenant, replayRegister, profile: 'fapi3' })
// @ts-expect-error a misspelt option
createAssertionVerifier({ issuer, findClient: findTenant, replayRegister, maxLifetime: 30 })
// @ts-expect-error `true` is no register
createAssertionVerifier({ issuer, findClient: findTenant, replayRegister: true })
// @ts-expect-error a look-up that gives something else than a client
createAssertionVerifier({ issuer, replayRegister, findClient: () => ({ id: 'x' }) })

// --- outcomes ---------------------------------------------------------------------------------------------------------

declare const error: OAuthError
export const reason: Reason | undefined = error.reason
export const status: number = error.status
// @ts-expect-error reasons are a closed union
export const invented: Reason = 'something_else'
// methods are open: an application may bring its own
export const method: ClientAuthenticationMethod = 'tls_client_auth'
// error codes are an open union: known ones are suggested, an application's own ones are accepted
export const made = new OAuthError('mfa_required')
export const known: OAuthErrorCode = 'invalid_grant'
// @ts-expect-error a code is a string
export const notACode = new OAuthError(404)
// so are token types
export const tokenResponse: TokenResponse = { access_token: 'a', token_type: 'N_A', issued_token_type: 'urn:x' }
// @ts-expect-error a response needs a token type
export const untyped: TokenResponse = { access_token: 'a' }

// an application's own kind of refusal stays what it is
class Locked extends OAuthError {
  readonly until = 1
}
declare const thrown: unknown
export const until: number = thrown instanceof Locked ? thrown.until : 0
export const code: string = thrown instanceof OAuthError ? thrown.code : ''

// what may be left out may be undefined, too
createAssertionVerifier({ issuer, replayRegister, findClient: () => undefined, clock: undefined, profile: undefined })
export const columns: Client = { client_id: 'x', client_secret: undefined, scope: undefined, grant_types: undefined }

// records are read, never written
declare const client: Client
// @ts-expect-error read-only
client.client_id = 'other'

onEvent('client.refused', ({ reason: why, clientId }) => [why, clientId])
// @ts-expect-error no such event
onEvent('client.denied', () => undefined)
// @ts-expect-error events carry no token
onEvent('session.refreshed', ({ token }) => token)

// --- Passport ---------------------------------------------------------------------------------------------------------

const strategy = new Strategy({ issuer, findClient: findTenant, replayRegister })
passport.use(strategy)
passport.use('other-name', new Strategy({ verifyAssertion: verify }))
new Strategy({ verifyAssertion: verify }, ({ tenant: number }, _authentication, done) => done(null, { number }))
new Strategy({ verifyAssertion: verify }, async ({ tenant: number }) => (number > 0 ? { number } : false))
new Strategy({ verifyAssertion: verify, passReqToCallback: true }, (request, { tenant: number }) => [
  request.body,
  number,
])
// @ts-expect-error either a verifier or the options of one
new Strategy({})
// @ts-expect-error the strategy without options
new Strategy()

// --- oauth2orize, Express 4 and 5, node:http ------------------------------------------------------------------------------

const tokens = createTokens({ issuer, baseSecret: 'x'.repeat(32) })
const sessions = createSessions({ store: sessionStore })
const server = oauth2orize.createServer()
server.exchange(createAuthorizationCodeExchange({ codes: codeStore, sessions, tokens }))
server.exchange(createRefreshTokenExchange({ sessions, tokens }))
server.exchange(createClientCredentialsExchange({ tokens }))
server.exchange('urn:example:grant', createClientCredentialsExchange({ tokens }))
server.exchange(
  'own',
  guardExchange((_request, _response, next) => next()),
)
server.exchange(guardExchange(createClientCredentialsExchange({ tokens })))
// @ts-expect-error codes are needed
createAuthorizationCodeExchange({ sessions, tokens })
// @ts-expect-error the store alone is not sessions
createRefreshTokenExchange({ sessions: sessionStore, tokens })
// @ts-expect-error an unknown option
createSessions({ store: sessionStore, overlap: 10 })

const endpoint = createTokenEndpoint({ server, passport, strategies: { assertion: strategy } })
const handler = createTokenEndpoint({
  exchanges: [createClientCredentialsExchange({ tokens })],
  findClient: findTenant,
})
for (const express of [express4, express5]) {
  const app = express()
  app.use('/token', endpoint)
  app.use('/fast', handler)
  app.post('/own', readFormBody(), passport.authenticate('client-assertion-jwt', { session: false }), server.token())
  app.use(respondWithError())
}
const annotated: Application = express5()
createExpressServer(annotated)
createExpressServer(express5())
createExpressServer(express4())
export const bare: (request: IncomingMessage, response: ServerResponse) => void = handler
// @ts-expect-error a token endpoint offers something
createTokenEndpoint({ findClient: findTenant })
// @ts-expect-error neither strategies nor a way to find clients
createTokenEndpoint({ server })

// --- stores of one's own ----------------------------------------------------------------------------------------------------

export const register: ReplayRegister = { remember: async (_issuer, _clientId, _jti, _expiresAt) => true }
// @ts-expect-error the outcome is a promise
export const hasty: ReplayRegister = { remember: () => true }
// @ts-expect-error the outcome is a boolean
export const vague: ReplayRegister = { remember: async () => undefined }
// @ts-expect-error every verb is required
export const partial: SessionStore = { get: async () => undefined }
export const outcome = async (): Promise<'spent' | 'already_spent' | 'unknown'> =>
  createMemoryStores().codeStore.spend('id')

// --- tests ----------------------------------------------------------------------------------------------------------------

export const assertion: Promise<string> = createTestClient({ issuer }).then((test) =>
  test.assertion({ claims: { exp: 'never' }, header: { kid: undefined }, audience: ['a', 'b'] }),
)
// @ts-expect-error an assertion needs somebody to be for
createTestClient({})

// --- no global types are augmented: what the application says of its users is all there is ------------------------------------

type Empty<T> = [keyof T] extends [never] ? true : false
export const untouched: readonly [Empty<Express.User>, Empty<Express.AuthInfo>] = [true, true]

// --- what is written outside of a call can be named ---------------------------------------------------------------------------

export const codeOptions: Parameters<typeof createAuthorizationCodeExchange>[0] = {
  ...{ codes: codeStore, sessions, tokens },
  scopeParameter: 'narrow',
  onSimultaneousRedemption: 'end',
}
server.exchange(createAuthorizationCodeExchange(codeOptions))
new Strategy({ verifyAssertion: verify, passReqToCallback: true }, (request, { tenant: number }, _how, done) =>
  done(null, request.headers?.['host'] === 'op.example' && { number }),
)
export const verifySecret: BasicVerify = (...given: unknown[]) =>
  (given.at(-1) as (error: unknown, client?: object | false) => void)(null, false)
export const tables: NonNullable<Parameters<typeof createPostgresStores>[0]['tables']> = { codes: 'codes' }
createPostgresStores({ query: async () => ({ rows: [] }), tables })
export const transactions: TransactionStore = {
  load: (request, done) => done(null, { user: request.user }),
  store: (_request, _transaction: Oauth2orizeTransaction, done) => done(null, 'id'),
  update: (_request, id, _transaction, done) => done(null, id),
  remove: (_request, _id, done) => done(null),
}
export const askAgain = (_client: Client, request: NonNullable<Oauth2orizeTransaction['req']>): boolean =>
  request.scope?.includes('all') ?? true
export const isAllowedAddress: typeof isPublicAddress = (address) => address === '10.0.0.1'
export const told = (event: Events['session.opened']): string => `${event.clientId} ${event.sessionId}`
onEvent('session.opened', told)
export const guard: ReturnType<typeof readFormBody> = (request, _response, next) =>
  next(request.user === undefined ? new OAuthError('access_denied') : undefined)
express5().use(guard)
express4().use(guard)
