import type { ErrorRequestHandler, Express, RequestHandler } from 'express'
import {
  type ClientAuthenticationMethod,
  createAssertionVerifier,
  createClientAuthenticator,
  createConsents,
  createDocumentEndpoint,
  createIntrospectionEndpoint,
  createMetadata,
  createPushedAuthorizationEndpoint,
  createPushedRequests,
  createResources,
  createRevocationEndpoint,
  createSessions,
  createTokens,
  type FindClient,
  OAuthError,
  readFormBody,
} from 'passport-client-assertion-jwt'
import { createClientDocuments } from 'passport-client-assertion-jwt/cimd'
import { createDpop } from 'passport-client-assertion-jwt/dpop'
import { createJwtBearerExchange, createTrustedIssuers } from 'passport-client-assertion-jwt/federated'
import { accountRoutes } from './account.ts'
import { apiRoutes } from './api.ts'
import { authorizationRoutes } from './authorization.ts'
import { createCookie } from './cookies.ts'
import { createFormGuards } from './form_guard.ts'
import { createLogin } from './login.ts'
import { createLogins } from './logins.ts'
import { isHttpLoopback } from './loopback.ts'
import { onlyMethods } from './methods.ts'
import { messagePage, sendPage } from './pages.ts'
import type { Settings } from './settings.ts'
import type { Stores } from './stores.ts'
import { tokenRoute } from './token-route.ts'
import { issuersFor } from './trusted_issuers.ts'

/** Adds the authorization server to an Express application. */
export function authorizationServer(
  app: Express,
  options: Omit<Settings, 'baseSecret'> &
    Omit<Stores, 'close'> & { readonly issuer: string; readonly baseSecret: Uint8Array },
): void {
  const { issuer, clients, users, baseSecret, replayRegister, codeStore, sessionStore } = options
  const verbosity = options.errorVerbosity
  const origin = issuer.replace(/\/$/, '')
  const base = new URL(issuer).pathname.replace(/\/$/, '')

  // The parts.
  const findRegistered: FindClient = (clientId) => clients.find(clientId)
  const documents = options.clientDocuments
    ? createClientDocuments({
        scope: clients.scopes.join(' '),
        enforces: ['require_pushed_authorization_requests', 'dpop_bound_access_tokens'],
        allowLoopback: isHttpLoopback(issuer),
        issuer,
      })
    : undefined
  const findClient = documents?.findClient(findRegistered) ?? findRegistered
  const isUser = (subject: string): boolean => users.find(subject) !== undefined
  const assertionIssuers = issuersFor(options.trustedIssuers, 'client_assertion')
  const verifyAssertion = createAssertionVerifier({
    issuer,
    tokenEndpoint: `${origin}/token`,
    pushedAuthorizationRequestEndpoint: `${origin}/par`,
    profile: options.assertionProfile,
    findClient,
    replayRegister,
    keySets: { allowHttpLoopback: isHttpLoopback(issuer) },
    misconfiguredClient: 'refuse', // a warning at start named the record
    ...(assertionIssuers.length === 0 ? {} : { trustedIssuers: createTrustedIssuers(assertionIssuers) }),
  })
  const sessions = createSessions({
    store: sessionStore,
    idleLifetimeSeconds: options.refreshTokenIdleLifetimeSeconds,
  })
  const tokens = createTokens({
    issuer,
    baseSecret,
    accessTokenLifetimeSeconds: options.accessTokenLifetimeSeconds,
  })
  const consents = createConsents({ store: sessionStore })

  const dpop = createDpop({
    tokenEndpoint: `${origin}/token`,
    replayRegister,
    required: options.requireDpop,
    ...(options.dpopNonce ? { nonceSecret: baseSecret } : {}),
  })

  const api = { uri: `${origin}/api` }
  const listed = options.resources
  const resources =
    listed === undefined
      ? createResources([api], { default: [], unknown: 'ignore' }) // tokens without `resource` are as before
      : createResources([
          listed.find(({ uri }) => uri === api.uri) ?? api,
          ...listed.filter(({ uri }) => uri !== api.uri),
        ])

  // The endpoints that clients call.
  const identityIssuers = issuersFor(options.trustedIssuers, 'jwt_bearer')
  const jwtBearer =
    identityIssuers.length === 0
      ? []
      : [
          createJwtBearerExchange({
            tokens,
            replayRegister,
            trustedIssuers: createTrustedIssuers(identityIssuers),
            subjectOf: ({ issuer: identityIssuer, sub }) => users.findByIdentity(identityIssuer, sub)?.sub,
            resources,
          }),
        ]
  const token = tokenRoute({
    moreExchanges: jwtBearer,
    findClient,
    verifyAssertion,
    codes: codeStore,
    sessions,
    tokens,
    consents,
    isUser,
    dpop,
    resources,
    verbosity,
  })
  const introspection = createIntrospectionEndpoint({
    authenticateClient: createClientAuthenticator({ findClient, verifyAssertion, methods: CONFIDENTIAL }),
    sessions,
    tokens,
    findClient,
    permits: ({ subject }) => isUser(subject),
    resources,
    verbosity,
    endpoint: `${origin}/introspect`,
  })
  const revocation = createRevocationEndpoint({
    authenticateClient: createClientAuthenticator({ findClient, verifyAssertion }),
    sessions,
    tokens,
    verbosity,
    endpoint: `${origin}/revoke`,
  })

  const pushed = createPushedRequests({
    store: sessionStore,
    required: options.requirePushedRequests,
    requireRedirectUri: options.assertionProfile === 'fapi2', // FAPI 2.0 §5.3.2.2
  })
  const pushedAuthorization = createPushedAuthorizationEndpoint(pushed, {
    authenticateClient: createClientAuthenticator({ findClient, verifyAssertion }),
    dpop,
    verbosity,
    endpoint: `${origin}/par`,
  })

  const metadata = createMetadata({
    issuer,
    authorizationEndpoint: '/authorize',
    jwksUri: '/jwks.json',
    token: { url: '/token', endpoint: token },
    introspection: { url: '/introspect', endpoint: introspection },
    revocation: { url: '/revoke', endpoint: revocation },
    pushed: { url: '/par', endpoint: pushedAuthorization },
    scopes: clients.scopes,
    resources,
    extra: {
      ...documents?.metadata,
      ...(jwtBearer.length > 0 && {
        authorization_grant_profiles_supported: ['urn:ietf:params:oauth:grant-profile:id-jag'],
      }),
    },
  })

  // The pages that people see.
  const loginCookie = createCookie('login', issuer)
  const logins = createLogins({ store: sessionStore, users, cookie: loginCookie })
  const guards = createFormGuards({ issuer, baseSecret, loginCookie })
  const login = createLogin({ base, users, clients, logins, guards, formFields: readFormBody() })

  app.disable('x-powered-by')
  app.set('etag', false)
  app.use(withoutIssuerPath(base), securityHeaders)
  app.use('/token', token)
  app.use('/introspect', introspection)
  app.use('/revoke', revocation)
  app.use('/par', pushedAuthorization)
  app.use(
    apiRoutes({ issuer, tokens, sessions, dpop, scopes: clients.scopes, acceptsIssuerAudience: listed === undefined }),
  )
  app.all('/jwks.json', createDocumentEndpoint(tokens.jwks()))
  app.all(METADATA_PATHS, createDocumentEndpoint(metadata))
  app.use(
    authorizationRoutes({
      issuer,
      base,
      findClient,
      codes: codeStore,
      consents,
      replayRegister,
      secret: baseSecret,
      verbosity,
      codeLifetimeSeconds: options.authorizationCodeLifetimeSeconds,
      pushed,
      dpop,
      resources,
      isSeveralResources: (listed ?? []).some(({ uri }) => uri !== api.uri),
      logins,
      login,
    }),
  )
  app.get('/login', (req, res) => login.show(req, res, '')) // a reload after a failed login leads here
  app.post('/login', ...login.submit)
  app.all('/login', onlyMethods('GET', 'POST'))
  app.use(accountRoutes({ base, sessions, consents, logins, clients, login }))
  app.get('/', (_req, res) => {
    const link = { href: `${base}/account`, text: 'Your account' }
    sendPage(res, 200, messagePage('An authorization server', 'It lets apps act for you, if you allow it.', link))
  })
  app.use(notFound, pageErrors)
}

/** The methods of clients that may introspect: confidential ones. */
const CONFIDENTIAL: readonly ClientAuthenticationMethod[] = [
  'private_key_jwt',
  'client_secret_jwt',
  'client_secret_basic',
  'client_secret_post',
]

const METADATA_PATHS = ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration']

/**
 * Removes the path of the issuer from the URL of the request, so that routes match whether or not a proxy in front removes
 * it. RFC 8414 §3.1 puts the path after the name of the document, OpenID Connect Discovery before it.
 */
function withoutIssuerPath(base: string): RequestHandler {
  const documents = new Map(METADATA_PATHS.map((path) => [path + base, path]))
  return (req, _res, next) => {
    if (/^https?:\/\//i.test(req.url)) req.url = req.url.replace(/^[^/]*\/\/[^/?]*\/?/, '/') // RFC 9112 §3.2.2
    const end = req.url.indexOf('?')
    const path = end < 0 ? req.url : req.url.slice(0, end)
    const rest = req.url.slice(path.length)
    const document = documents.get(path)
    if (document !== undefined) req.url = document + rest
    else if (path === base || path.startsWith(`${base}/`)) req.url = (path.slice(base.length) || '/') + rest
    next()
  }
}

/** For every response, redirects included. Documents that may be stored say so themselves. */
const securityHeaders: RequestHandler = (_req, res, next) => {
  res.setHeader('Cache-Control', 'no-store')
  res.setHeader('X-Content-Type-Options', 'nosniff')
  res.setHeader('Referrer-Policy', 'no-referrer')
  next()
}

const notFound: RequestHandler = (_req, res) => {
  res.status(404).type('text/plain').send('Not found')
}

/** Shows errors to the person, without details from inside the server. */
const pageErrors: ErrorRequestHandler = (error, _req, res, next) => {
  if (res.headersSent) return next(error)
  const { status = 500, headers = {} } = error instanceof OAuthError ? error : { status: statusOf(error) }
  res.set(headers)
  const [title, message] = WORDS[status] ?? (status < 500 ? BAD_REQUEST : FAULT)
  if (status >= 500) console.error(`${status}: ${error instanceof Error ? (error.cause ?? error) : error}`)
  return sendPage(res, status, messagePage(title, message))
}

type Words = readonly [title: string, message: string]
const BAD_REQUEST: Words = ['This request cannot be read', 'Go back and try again.']
const FAULT: Words = ['Something went wrong', 'The server has a problem. Try again later.']
const WORDS: Readonly<Record<number, Words>> = {
  413: ['This request is too large', 'Go back and enter less.'],
  503: ['The server is not available right now', 'Try again in a few seconds.'],
}

/** Express sets a status on errors of the request itself, such as a path that cannot be decoded. */
const statusOf = (error: unknown): number => {
  const { status } = Object(error) as { readonly status?: unknown }
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500
}
