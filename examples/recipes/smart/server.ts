// SMART on FHIR: an authorization server with standalone launches and backend services, and a FHIR server with two patients.
// docs/smart.md explains each part. Replace the login, the patients and the memory stores by yours.
import { randomBytes } from 'node:crypto'
import { parseCookie } from 'cookie'
import express, { type ErrorRequestHandler, type Express, type Request, type RequestHandler } from 'express'
import oauth2orize from 'oauth2orize'
import {
  type Client,
  createAssertionVerifier,
  createAuthorizationCodeExchange,
  createClientAuthenticator,
  createClientCredentialsExchange,
  createConsents,
  createDocumentEndpoint,
  createIntrospectionEndpoint,
  createMetadata,
  createRefreshTokenExchange,
  createRevocationEndpoint,
  createSessions,
  createTokenEndpoint,
  createTokens,
  OAuthError,
} from 'passport-client-assertion-jwt'
import {
  createAuthorizationSide,
  getRetryQuery,
  type Oauth2orizeTransaction,
} from 'passport-client-assertion-jwt/oauth2orize'
import { createAccessTokenVerifier, requireAccessToken } from 'passport-client-assertion-jwt/resource-server'
import { createSmartConfiguration } from 'passport-client-assertion-jwt/smart'
import { createMemoryStores } from 'passport-client-assertion-jwt/stores/memory'

const SCOPES = ['launch/patient', 'offline_access', 'patient/Patient.rs', 'system/Patient.rs']
const PATIENTS: Readonly<Record<string, string>> = { p1: 'Ada Example', p2: 'Ben Example' }

interface User {
  readonly sub: string
  /** The patients that this user may see. */
  readonly patients: readonly string[]
  /** The one that was chosen on the consent page. */
  readonly patient?: string
}

export interface SmartOptions {
  /** The origin of this server, such as `https://ehr.example.com`. */
  readonly origin: string
  /** At least 32 random bytes, the same on every process. */
  readonly baseSecret: string
  readonly clients: readonly Client[]
  /** How the key sets of clients are fetched. */
  readonly keySets?: Parameters<typeof createAssertionVerifier>[0]['keySets']
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
const page = (body: string): string => `<!doctype html><meta name="viewport" content="width=device-width">${body}`

export function createSmartServer({ origin, baseSecret, clients, keySets }: SmartOptions): Express {
  const issuer = `${origin}/auth`
  const fhir = `${origin}/fhir`
  const findClient = (clientId: string) => clients.find(({ client_id }) => client_id === clientId)
  const { replayRegister, codeStore: codes, sessionStore: store } = createMemoryStores() // one process: docs/scaling.md
  const sessions = createSessions({ store })

  // The launch context: the client reads it from the token response, the FHIR server from the access token.
  const launchOf = ({ session }: { readonly session?: { readonly extra: Readonly<Record<string, unknown>> } }) => {
    const patient = session?.extra['patient']
    return patient === undefined ? undefined : { patient }
  }
  const context = launchOf
  const tokens = createTokens({ issuer, baseSecret, audience: fhir, accessTokenLifetimeSeconds: 300, claims: launchOf })

  // The endpoints that clients call.
  const tokenEndpoint = `${issuer}/token`
  const verifyAssertion = createAssertionVerifier({
    ...{ issuer, tokenEndpoint, findClient, replayRegister, keySets },
    profile: 'smart',
  })
  const authenticateClient = createClientAuthenticator({ findClient, verifyAssertion, methods: ['private_key_jwt'] })
  const token = createTokenEndpoint({
    authenticateClient,
    exchanges: [
      createAuthorizationCodeExchange({ codes, sessions, tokens, context }),
      createRefreshTokenExchange({ sessions, tokens, context }),
      createClientCredentialsExchange({ tokens }),
    ],
  })
  const introspection = createIntrospectionEndpoint({ authenticateClient, findClient, sessions, tokens })
  const revocation = createRevocationEndpoint({ authenticateClient, sessions, tokens })

  const metadata = createMetadata({
    issuer,
    authorizationEndpoint: '/authorize',
    jwksUri: '/jwks',
    token: { url: '/token', endpoint: token },
    introspection: { url: '/introspect', endpoint: introspection },
    revocation: { url: '/revoke', endpoint: revocation },
    scopes: SCOPES,
  })
  const smartConfiguration = createSmartConfiguration({
    metadata,
    capabilities: [
      ...['launch-standalone', 'context-standalone-patient', 'client-confidential-asymmetric'],
      ...['permission-patient', 'permission-offline', 'permission-v2'],
    ],
  })

  // The pages that people see.
  const authorization = createAuthorizationSide<User>({
    ...{ issuer, findClient, codes, replayRegister, secret: baseSecret },
    consents: createConsents({ store }),
    askAgain: (_client, request) => request.scope?.includes('launch/patient') ?? false, // a patient has to be chosen
    extra: ({ request, user }) => {
      if (!request.scope?.includes('launch/patient')) return {}
      if (user.patient !== undefined && user.patients.includes(user.patient)) return { patient: user.patient }
      throw new OAuthError('access_denied', { description: 'No patient was chosen.' })
    },
  })
  const server = oauth2orize.createServer({ store: authorization.transactions })
  server.grant(authorization.grant)

  const logins = new Map<string, User>() // yours: logins that end
  const findUser: RequestHandler = (request, _response, next) => {
    const user = logins.get(parseCookie(request.headers.cookie ?? '')['login'] ?? '')
    if (user !== undefined) Object.assign(request, { user })
    next()
  }
  const choosePatient: RequestHandler = (request, _response, next) => {
    const { user } = request as Request & { user?: User }
    if (user !== undefined) Object.assign(request, { user: { ...user, patient: String(request.body.patient ?? '') } })
    next()
  }
  /** Accepts forms from pages of this server only. */
  const ownForms: RequestHandler = (request, response, next) => {
    if (request.headers['sec-fetch-site'] === 'same-origin') next()
    else response.status(403).send('This form came from another site.')
  }
  /** The client names the FHIR server whose data it wants. Another one is a counterfeit that sent the user here. */
  const checkAudience: RequestHandler = (request, response, next) => {
    if (request.query['aud'] === fhir) next()
    else response.status(400).send(page('<p>This app was made for another server.</p>'))
  }
  const askForConsent: RequestHandler = (request, response) => {
    const { oauth2, user } = request as Request & { oauth2: Required<Oauth2orizeTransaction>; user: User }
    const scope = oauth2.req.scope ?? []
    const patients = user.patients.map(
      (id) => `<label><input type="radio" name="patient" value="${id}"> ${escapeHtml(PATIENTS[id] ?? id)}</label>`,
    )
    response.set('Cache-Control', 'no-store')
    response.set('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
    response.send(
      page(`<p>${escapeHtml(oauth2.client.client_name ?? oauth2.client.client_id)} asks for: ${escapeHtml(scope.join(', '))}
<form method="post" action="/auth/authorize/decision">
<input type="hidden" name="transaction_id" value="${escapeHtml(oauth2.transactionID)}">
${scope.includes('launch/patient') ? patients.join('') : ''}
<button name="allow" value="allow">Allow</button> <button name="cancel" value="cancel">Cancel</button>
</form>`),
    )
  }
  const askToLogIn: ErrorRequestHandler = (error, _request, response, next) => {
    if (error?.reason !== 'user_not_logged_in') return next(error)
    return response
      .status(401)
      .set('Cache-Control', 'no-store')
      .send(
        page(`<form method="post" action="/auth/login">
<input type="hidden" name="next" value="${escapeHtml(getRetryQuery(error) ?? '')}">
<input name="username"> <input name="password" type="password"> <button>Log in</button>
</form>`),
      )
  }

  const app = express()
  const form = express.urlencoded({ extended: false, limit: '64kb' })
  app.get(
    '/auth/authorize',
    checkAudience,
    findUser,
    server.authorization(authorization.validate, authorization.immediate),
    askForConsent,
  )
  app.post('/auth/authorize/decision', ownForms, form, findUser, choosePatient, server.decision(authorization.decision))
  app.post('/auth/login', ownForms, form, (request, response) => {
    // Check the password here, and limit the attempts.
    const login = randomBytes(32).toString('base64url')
    logins.set(login, { sub: 'parent', patients: Object.keys(PATIENTS) })
    response.cookie('login', login, { httpOnly: true, sameSite: 'lax', secure: origin.startsWith('https:') })
    response.redirect(303, `/auth/authorize?${new URLSearchParams(String(request.body.next))}`)
  })
  app.use(['/auth/authorize', '/auth/login'], askToLogIn, authorization.errors)
  app.use('/auth/token', token)
  app.use('/auth/introspect', introspection)
  app.use('/auth/revoke', revocation)
  app.all('/auth/jwks', createDocumentEndpoint(tokens.jwks()))
  app.all('/.well-known/oauth-authorization-server/auth', createDocumentEndpoint(metadata))

  // The FHIR server.
  app.all('/fhir/.well-known/smart-configuration', createDocumentEndpoint(smartConfiguration))
  const verifier = createAccessTokenVerifier({ issuer, resource: fhir, keys: { tokens, sessions } })
  app.get('/fhir/Patient/:id', requireAccessToken(verifier) as RequestHandler, (request, response) => {
    const { auth } = request as Request & { auth: { scopes: string[]; claims: Readonly<Record<string, unknown>> } }
    const id = String(request.params['id'])
    const isAllowed =
      auth.scopes.includes('system/Patient.rs') ||
      (auth.scopes.includes('patient/Patient.rs') && auth.claims['patient'] === id)
    response.type('application/fhir+json')
    if (!isAllowed) response.status(403).json({ resourceType: 'OperationOutcome', issue: [{ severity: 'error' }] })
    else response.json({ resourceType: 'Patient', id, name: [{ text: PATIENTS[id] }] })
  })
  return app
}
