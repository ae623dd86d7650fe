// Makes an application with users an authorization server for the FAPI 2.0 Security Profile: pushed requests, private_key_jwt
// and DPoP, and nothing else. docs/fapi.md goes through it option by option. Proved in test/fapi.
import type { ErrorRequestHandler, Request, RequestHandler } from 'express'
import oauth2orize from 'oauth2orize'
import {
  createAssertionVerifier,
  createAuthorizationCodeExchange,
  createClientAuthenticator,
  createClientCredentialsExchange,
  createConsents,
  createDocumentEndpoint,
  createIntrospectionEndpoint,
  createMetadata,
  createPushedAuthorizationEndpoint,
  createPushedRequests,
  createRefreshTokenExchange,
  createRevocationEndpoint,
  createSessions,
  createTokenEndpoint,
  createTokens,
  type FindClient,
  getWellKnownPaths,
} from 'passport-client-assertion-jwt'
import { createDpop } from 'passport-client-assertion-jwt/dpop'
import {
  createAuthorizationSide,
  getRetryQuery,
  type Oauth2orizeTransaction,
} from 'passport-client-assertion-jwt/oauth2orize'
import {
  type AccessToken,
  createAccessTokenVerifier,
  createProtectedResource,
  requireAccessToken,
} from 'passport-client-assertion-jwt/resource-server'
import { createMemoryStores } from 'passport-client-assertion-jwt/stores/memory'
import { type Application, escapeHtml, sendPage, type User } from '../mcp-users/application.ts'

const SCOPES = ['accounts', 'payments']

export interface FapiOptions {
  /** The origin of the application, such as `https://bank.example`. */
  readonly issuer: string
  /** At least 32 random bytes, the same on every process. */
  readonly baseSecret: string
  /** Client records: `token_endpoint_auth_method` is `private_key_jwt`, and no redirect URI is `http:`. */
  readonly findClient: FindClient
  /** Whether proofs need a nonce. The profile allows it and does not require it. */
  readonly nonces?: boolean
  /** Several processes need the stores of Redis or PostgreSQL: docs/scaling.md. */
  readonly stores?: Pick<ReturnType<typeof createMemoryStores>, 'codeStore' | 'sessionStore' | 'replayRegister'>
}

export function addFapi({ app, requireLogin }: Application, options: FapiOptions): void {
  const { issuer, baseSecret, findClient, stores = createMemoryStores() } = options
  const { replayRegister, codeStore: codes, sessionStore: store } = stores
  const tokenEndpoint = `${issuer}/token`

  // Clients: private_key_jwt, signed by PS256, ES256 or Ed25519, with the issuer as the only audience.
  const verifyAssertion = createAssertionVerifier({
    issuer,
    tokenEndpoint,
    profile: 'fapi2',
    findClient,
    replayRegister,
  })
  const authenticateClient = createClientAuthenticator({ findClient, verifyAssertion, methods: ['private_key_jwt'] })

  // Tokens: bound to a key, refresh tokens that do not rotate.
  const dpop = createDpop({
    tokenEndpoint,
    replayRegister,
    required: true,
    algorithms: ['ES256', 'EdDSA', 'PS256'],
    ...(options.nonces && { nonceSecret: baseSecret }),
  })
  const sessions = createSessions({ store, rotate: false })
  const tokens = createTokens({ issuer, baseSecret, accessTokenLifetimeSeconds: 300 })
  const token = createTokenEndpoint({
    authenticateClient,
    exchanges: [
      createAuthorizationCodeExchange({ codes, sessions, tokens }),
      createRefreshTokenExchange({ sessions, tokens }),
      createClientCredentialsExchange({ tokens }),
    ],
    dpop,
  })
  const introspection = createIntrospectionEndpoint({
    authenticateClient,
    sessions,
    tokens,
    findClient,
    endpoint: `${issuer}/introspect`,
  })
  const revocation = createRevocationEndpoint({ authenticateClient, sessions, tokens, endpoint: `${issuer}/revoke` })

  // Authorization requests: pushed ones only, each with its redirect URI. Codes live 60 seconds by default.
  const pushed = createPushedRequests({ store, required: true, requireRedirectUri: true })
  const par = createPushedAuthorizationEndpoint(pushed, { authenticateClient, dpop, endpoint: `${issuer}/par` })
  const consents = createConsents({ store })
  const authorization = createAuthorizationSide({
    issuer,
    findClient,
    codes,
    consents,
    replayRegister,
    secret: baseSecret,
    scopesSupported: SCOPES,
    pushed,
    dpop,
  })
  const server = oauth2orize.createServer({ store: authorization.transactions })
  server.grant(authorization.grant)

  const askForConsent: RequestHandler = (request, response) => {
    const { client, transactionID, req } = transactionOf(request)
    const scopes = (req.scope ?? []).map((scope) => `<li>${escapeHtml(scope)}</li>`)
    const body = `<p>${escapeHtml(client.client_name ?? client.client_id)} asks for access to the accounts of ${escapeHtml((request.user as User).name)}:</p>
<ul>${scopes.join('')}</ul>
<form method="post" action="/authorize/decision">
<input type="hidden" name="transaction_id" value="${escapeHtml(transactionID)}">
<button name="allow" value="allow">Allow</button><button name="cancel" value="cancel">Cancel</button>
</form>`
    sendPage(response, 'Allow access?', body)
  }
  /** Nobody is logged in, or the client asked for a new login. Afterwards the request goes on. */
  const logInFirst: ErrorRequestHandler = (error, request, response, next) => {
    if (error?.reason !== 'user_not_logged_in') return next(error)
    request.session.returnTo = `/authorize${getRetryQuery(error)}`
    response.redirect(303, '/login')
  }

  app.get('/authorize', server.authorization(authorization.validate, authorization.immediate), askForConsent)
  app.post('/authorize/decision', requireLogin, server.decision(authorization.decision))
  app.use('/authorize', logInFirst, authorization.errors)
  app.use('/par', par)
  app.use('/token', token)
  app.use('/introspect', introspection)
  app.use('/revoke', revocation)
  app.all('/jwks', createDocumentEndpoint(tokens.jwks()))
  const metadata = createMetadata({
    issuer,
    authorizationEndpoint: '/authorize',
    jwksUri: '/jwks',
    token: { url: '/token', endpoint: token },
    introspection: { url: '/introspect', endpoint: introspection },
    revocation: { url: '/revoke', endpoint: revocation },
    pushed: { url: '/par', endpoint: par },
    scopes: SCOPES,
  })
  app.all(getWellKnownPaths(issuer).all, createDocumentEndpoint(metadata))

  // The API: a token of the scheme DPoP, and a new proof of its key for each request.
  const resource = `${issuer}/accounts`
  const verifier = createAccessTokenVerifier({
    issuer,
    resource,
    audience: [resource, issuer],
    keys: { tokens, sessions },
    dpop,
  })
  const document = createProtectedResource({ resource, issuer, scopes: SCOPES, dpop })
  app.all(document.path, document.handler)
  app.get('/accounts', requireAccessToken(verifier, { scope: 'accounts' }), (request, response) => {
    const { subject, clientId } = (request as Request & { auth: AccessToken }).auth
    response.json({ owner: subject, client: clientId, accounts: ['current'] })
  })
}

const transactionOf = (request: Request): Required<Oauth2orizeTransaction> =>
  (request as Request & { oauth2: Required<Oauth2orizeTransaction> }).oauth2
