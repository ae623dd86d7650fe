import type { ServerResponse } from 'node:http'
import { type ErrorRequestHandler, type Request, type RequestHandler, Router, urlencoded } from 'express'
import oauth2orize from 'oauth2orize'
import {
  type CodeStore,
  type Consents,
  type FindClient,
  OAuthError,
  type PushedRequests,
  type ReplayRegister,
  type Resources,
} from 'passport-client-assertion-jwt'
import { askAgainForDocuments, describeClient } from 'passport-client-assertion-jwt/cimd'
import type { Dpop } from 'passport-client-assertion-jwt/dpop'
import {
  createAuthorizationSide,
  getRetryQuery,
  type Oauth2orizeTransaction,
} from 'passport-client-assertion-jwt/oauth2orize'
import { displayName, homeOf } from './clients.ts'
import { type LoginHandlers, requestOf } from './login.ts'
import type { Logins } from './logins.ts'
import { onlyMethods } from './methods.ts'
import { consentPage, messagePage, sendPage } from './pages.ts'
import { scopeValues } from './scopes.ts'
import type { User } from './users.ts'

/**
 * Creates the authorization endpoint, by oauth2orize: `GET` and `POST /authorize`, and `POST /authorize/decision` for the
 * consent form. The request is checked before the user is asked for a password.
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
  readonly pushed: PushedRequests
  readonly dpop: Dpop
  readonly resources: Resources
  /** Whether the consent page says what the tokens are for: there is more than one possibility. */
  readonly isSeveralResources: boolean
  readonly logins: Logins
  readonly login: LoginHandlers
}): Router {
  const { base, logins, login, isSeveralResources, ...parts } = options
  const { consents } = parts
  const authorization = createAuthorizationSide<User>({
    ...parts,
    askAgain: askAgainForDocuments,
    showError: ({ status, code, message, retry }, request, response) => {
      if (code === 'invalid_request_uri') return showUsedUp(status, message, request as Request, response)
      const query = retry?.slice(1) ?? requestOf(request as Request)
      const [text, link] =
        query === ''
          ? [`${message} Go back to the app that sent you here.`]
          : [message, { href: `${base}/authorize?${query}`, text: 'Start again' }]
      return sendPage(response, status, messagePage('This did not work', text, link))
    },
  })
  /** A pushed request can only be pushed again: the way on leads through the app. */
  async function showUsedUp(status: number, message: string, req: Request, response: ServerResponse): Promise<void> {
    const clientId = new URLSearchParams(requestOf(req) || queryOf(req)).get('client_id')
    const client = clientId === null ? undefined : await parts.findClient(clientId, {})
    const href = client ? homeOf(client) : undefined
    const link = client && href !== undefined ? { href, text: `Go to ${displayName(client)}` } : undefined
    sendPage(response, status, messagePage('This did not work', message, link))
  }

  const server = oauth2orize.createServer({ store: authorization.transactions })
  server.grant(authorization.grant)

  const whoIsThere: RequestHandler = async (req, res, next) => {
    const user = await logins.current(req)
    if (user !== undefined && !isForOtherUser(req)) req.user = user
    // Browsers send no cookie with a form of another site, but they do with the GET that a redirect leads to.
    const query = user === undefined && isFormOfAnotherSite(req) ? queryOf(req) : undefined
    if (query === undefined || query.length > MOST_QUERY_LENGTH) return next()
    return res.redirect(303, `${base}/authorize?${query}`)
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
        authorizationRequest: queryOf(req),
        otherUser: `${base}/authorize?${withParameters(queryOf(req), isPushed(req) ? OTHER_USER : { prompt: 'login' })}`,
        transactionId: transactionID,
        userName: name,
        clientName: displayName(client),
        client: describeClient(client, redirectURI),
        scope: request.scope ?? [],
        resources: isSeveralResources ? (request.resources ?? []) : [],
        allowedBefore: before && scopeValues(before.scope),
      }),
    )
  }

  const showForms: ErrorRequestHandler = (error, req, res, next) => {
    const isDecision = req.path !== '/'
    if (error?.reason === 'user_not_logged_in')
      return login.show(req, res, isDecision ? requestOf(req) : afterLogin(queryOf(req), getRetryQuery(error)))
    // Somebody clicked twice, and the browser dropped the response to the first click. The consent is remembered.
    if (error?.reason === 'transaction_spent' && isAllowed(req)) {
      const link = { href: `${base}/authorize?${requestOf(req)}`, text: 'Continue to the app' }
      return sendPage(res, 400, {
        ...messagePage('You have already allowed this', 'The app opens.', link),
        next: link.href,
      })
    }
    return next(error)
  }

  const endpoint = [whoIsThere, server.authorization(authorization.validate, authorization.immediate), askForConsent]
  const routes = Router()
  routes.get('/authorize', endpoint)
  routes.post('/authorize', notTooLarge, urlencoded({ extended: false, limit: MOST_BODY_BYTES }), endpoint)
  routes.all('/authorize', onlyMethods('GET', 'POST'))
  routes.post('/authorize/decision', login.guardedForm, whoIsThere, server.decision(authorization.decision))
  routes.all('/authorize/decision', onlyMethods('POST'))
  routes.use('/authorize', showForms, authorization.errors)
  return routes
}

const MOST_BODY_BYTES = 65_536
/** Leaves room for the other headers of a request that brings the query in its target. */
const MOST_QUERY_LENGTH = 32_768

const isFormOfAnotherSite = (req: Request): boolean =>
  req.method === 'POST' && req.headers['sec-fetch-site'] === 'cross-site'

/** Only the value of the allow button allows. */
const isAllowed = ({ body }: Request): boolean => body?.allow === 'allow' && body?.cancel === undefined

/** Rejects bodies that are too large, also those that the parser would not read. */
const notTooLarge: RequestHandler = (req, _res, next) => {
  const tooLarge = Number(req.headers['content-length']) > MOST_BODY_BYTES
  next(tooLarge ? new OAuthError('invalid_request', { status: 413 }) : undefined)
}

/** The authorization request, as oauth2orize has checked it. */
const transactionOf = (req: Request): Required<Oauth2orizeTransaction> =>
  (req as Request & { readonly oauth2: Required<Oauth2orizeTransaction> }).oauth2

/** The parameters of an authorization request as one query, also where they came in a body. */
function queryOf(req: Request): string {
  const start = req.url.indexOf('?') // the first one: values may contain others
  const parameters = new URLSearchParams(start < 0 ? '' : req.url.slice(start))
  for (const [name, value] of Object.entries(req.body ?? {}))
    for (const each of [value].flat()) parameters.append(name, String(each))
  return parameters.toString()
}

/** Whether the client has pushed the request: then the URL refers to it, and its other parameters are ignored. */
const isPushed = (req: Request): boolean => new URLSearchParams(queryOf(req)).has('request_uri')

/** Asks for the login form although somebody is logged in, where `prompt` would be ignored. */
const OTHER_USER = { other_user: 'yes' }
const isForOtherUser = (req: Request): boolean =>
  isPushed(req) && new URLSearchParams(queryOf(req)).get('other_user') === OTHER_USER.other_user

/** The query of a request once the user has logged in: `retry` no longer has what the login fulfils (`prompt=login`). */
function afterLogin(query: string, retry = ''): string {
  if (new URLSearchParams(query).has('request_uri')) return retry.slice(1)
  const after = new URLSearchParams(retry)
  return withParameters(query, { prompt: after.get('prompt'), max_age: after.get('max_age') })
}

/** The query with other values of some parameters; `null` leaves a parameter out. */
function withParameters(query: string, changes: Readonly<Record<string, string | null>>): string {
  const parameters = new URLSearchParams(query)
  for (const [name, value] of Object.entries(changes))
    if (value === null) parameters.delete(name)
    else parameters.set(name, value)
  return parameters.toString()
}
