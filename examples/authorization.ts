import { type ErrorRequestHandler, type Request, type RequestHandler, Router, urlencoded } from 'express'
import oauth2orize from 'oauth2orize'
import {
  authorizationSide,
  type CodeStore,
  type Consents,
  type FindClient,
  OAuthError,
  type Oauth2orizeTransaction,
  type ReplayRegister,
} from 'passport-client-assertion-jwt'
import type { LoginHandlers } from './login.ts'
import type { Logins } from './logins.ts'
import { onlyMethods } from './methods.ts'
import { consentPage, messagePage, sendPage } from './pages.ts'
import { scopeValues } from './scopes.ts'
import type { User } from './users.ts'

/**
 * The authorization endpoint, by oauth2orize: `GET` and `POST /authorize`, and `POST /authorize/decision` for the
 * consent form. The request is judged before anybody is asked for a password.
 */
export function authorizationRoutes(options: {
  readonly issuer: string
  /** Path of the issuer, '' where it has none. */
  readonly base: string
  readonly findClient: FindClient
  readonly codes: CodeStore
  readonly consents: Consents
  readonly replayRegister: ReplayRegister
  readonly secret: Uint8Array
  readonly verbosity: 'debug' | 'normal' | 'minimal'
  readonly codeLifetimeSeconds: number
  readonly logins: Logins
  readonly login: LoginHandlers
}): Router {
  const { base, consents, logins, login } = options
  const authorization = authorizationSide<User>({
    ...options,
    showError: ({ status, message, retry }, _request, response) => {
      const link = retry === undefined ? undefined : { href: `${base}/authorize${retry}`, text: 'Try again' }
      sendPage(response, status, messagePage('This did not work', message, link))
    },
  })
  const server = oauth2orize.createServer({ store: authorization.transactions })
  server.grant(authorization.grant)

  const whoIsThere: RequestHandler = async (req, _res, next) => {
    const user = await logins.current(req)
    if (user !== undefined) req.user = user
    next()
  }

  const askForConsent: RequestHandler = async (req, res) => {
    const { client, redirectURI, transactionID, req: request } = transactionOf(req)
    const { sub, name } = req.user as User
    const before = (await consents.list(sub)).find(({ clientId }) => clientId === client.client_id)
    sendPage(
      res,
      200,
      consentPage({
        action: `${base}/authorize/decision`,
        guard: login.guards.forForm(req, res),
        transactionId: transactionID,
        userName: name,
        clientName: client.client_name ?? client.client_id,
        redirectUri: redirectURI,
        scope: request.scope ?? [],
        allowedBefore: before === undefined ? [] : scopeValues(before.scope),
      }),
    )
  }

  const askToLogIn: ErrorRequestHandler = (error, req, res, next) => {
    if (error?.reason !== 'user_not_logged_in') return next(error)
    if (req.path !== '/') {
      const link = { href: `${base}/account`, text: 'Log in' }
      return sendPage(res, 401, messagePage('You are logged out', 'Log in, and start again from the app.', link))
    }
    const query = queryOf(req)
    // A form of another site brings no cookie along, a link does.
    if (req.method === 'POST' && req.headers['sec-fetch-site'] === 'cross-site')
      return res.redirect(303, `${base}/authorize?${query}`)
    return login.show(req, res, query)
  }

  const endpoint = [whoIsThere, server.authorization(authorization.validate, authorization.immediate), askForConsent]
  const routes = Router()
  routes.get('/authorize', endpoint)
  routes.post('/authorize', notTooLarge, urlencoded({ extended: false, limit: MOST_BODY_BYTES }), endpoint)
  routes.all('/authorize', onlyMethods('GET', 'POST'))
  routes.post('/authorize/decision', login.guardedForm, whoIsThere, server.decision())
  routes.all('/authorize/decision', onlyMethods('POST'))
  routes.use('/authorize', askToLogIn, authorization.errors)
  return routes
}

const MOST_BODY_BYTES = 65_536

/** Too large is too large, also where the parser would not read it. */
const notTooLarge: RequestHandler = (req, _res, next) => {
  const tooLarge = Number(req.headers['content-length']) > MOST_BODY_BYTES
  next(tooLarge ? new OAuthError('invalid_request', { status: 413 }) : undefined)
}

/** The authorization request that oauth2orize has judged. */
const transactionOf = (req: Request): Required<Oauth2orizeTransaction> =>
  (req as Request & { readonly oauth2: Required<Oauth2orizeTransaction> }).oauth2

/** The parameters of an authorization request as one query, also where they came in a body. */
function queryOf(req: Request): string {
  const start = req.url.indexOf('?') // the first one: others may stand in values
  const parameters = new URLSearchParams(start < 0 ? '' : req.url.slice(start))
  for (const [name, value] of Object.entries(req.body ?? {})) parameters.append(name, String(value))
  return parameters.toString()
}
