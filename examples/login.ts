import type { Request, RequestHandler, Response } from 'express'
import { Passport } from 'passport'
import { Strategy as LocalStrategy } from 'passport-local'
import type { ClientRegistry } from './clients.ts'
import type { FormGuards } from './form_guard.ts'
import type { Logins } from './logins.ts'
import { isLoopbackHost } from './loopback.ts'
import { loginPage, messagePage, sendPage } from './pages.ts'
import type { User, Users } from './users.ts'

export interface LoginHandlers {
  readonly guards: FormGuards
  /** Answers with the login form. `authorizationRequest`: the query to go on with; '' goes on to the account page. */
  show(req: Request, res: Response, authorizationRequest: string, failedName?: string): void
  showLoggedOut(res: Response, message: string): void
  /** `POST /login`. */
  readonly submit: readonly RequestHandler[]
  /** Lets a form pass that a page of ours sent. Its fields are in `req.body`, each once, none empty. */
  readonly guardedForm: RequestHandler
  /** Lets a logged-in user pass; others are sent to the login form. */
  readonly required: RequestHandler
  /** The user whom `required` let pass. */
  userOf(res: Response): User
}

/** Logging in, by passport-local, and the two gates that our forms pass. */
export function createLogin(options: {
  /** Path of the issuer, '' where it has none. */
  readonly base: string
  readonly users: Users
  readonly clients: ClientRegistry
  readonly logins: Logins
  readonly guards: FormGuards
  /** Reads the fields of a form into `req.body`. */
  readonly formFields: RequestHandler
}): LoginHandlers {
  const { base, users, clients, logins, guards, formFields } = options
  const passport = new Passport()
  passport.use(
    new LocalStrategy((username, password, done) => done(null, users.authenticate(username, password) ?? false)),
  )

  const show: LoginHandlers['show'] = (req, res, authorizationRequest, failedName) =>
    sendPage(
      res,
      200,
      loginPage({
        action: `${base}/login`,
        guard: guards.forForm(req, res),
        authorizationRequest,
        failedName,
        ...cameFrom(authorizationRequest, clients),
      }),
    )

  const guard: RequestHandler = (req, res, next) => {
    const refusal = guards.refuse(req, req.body ?? {})
    if (refusal === undefined) return next()
    const link = { href: `${base}/account`, text: 'Go to your account and start again' }
    return sendPage(res, 403, messagePage('This form was not accepted', `${refusal} Cookies must be allowed.`, link))
  }
  const guardedForm: RequestHandler = (req, res, next) =>
    formFields(req, res, (error?: unknown) => (error === undefined ? guard(req, res, next) : next(error)))

  const authenticate: RequestHandler = (req, res, next) => {
    const { username, password, authorization_request: request = '' } = req.body
    const done = (error: unknown, user: User | false | null | undefined): void => {
      if (user) res.locals['user'] = user
      if (error || user) next(error ?? undefined)
      else show(req, res, asQuery(request), username ?? '')
    }
    // passport-local would also read the two out of the URL, where they end up in logs.
    if (username === undefined || password === undefined) return done(undefined, false)
    return passport.authenticate('local', { session: false }, done)(req, res, next)
  }

  return {
    guards,
    show,
    showLoggedOut: (res, message) =>
      sendPage(res, 200, messagePage('You are logged out', message, { href: `${base}/account`, text: 'Log in again' })),
    submit: [
      guardedForm,
      authenticate,
      async (req, res) => {
        await logins.begin(req, res, res.locals['user'])
        const request = asQuery(req.body.authorization_request ?? '')
        res.redirect(303, request === '' ? `${base}/account` : `${base}/authorize?${request}`)
      },
    ],
    guardedForm,
    async required(req, res, next) {
      const user = await logins.current(req)
      if (user === undefined) return res.redirect(303, `${base}/account`)
      res.locals['user'] = user
      return next()
    },
    userOf: (res) => res.locals['user'],
  }
}

/** Form-encoded anew: whatever came in, nothing but a query goes out. */
const asQuery = (text: string): string => new URLSearchParams(text).toString()

/** Who sent the user to the login page, and where the browser may be sent on to from it. */
function cameFrom(
  authorizationRequest: string,
  clients: ClientRegistry,
): { readonly clientName?: string; readonly redirectUri?: string } {
  const parameters = new URLSearchParams(authorizationRequest)
  const client = clients.find(parameters.get('client_id') ?? '')
  if (client === undefined) return {}
  const clientName = client.client_name ?? client.client_id
  const registered = client.redirect_uris ?? []
  const redirectUri = parameters.get('redirect_uri') || registered[0]
  if (redirectUri === undefined || !URL.canParse(redirectUri)) return { clientName }
  const { origin, hostname } = new URL(redirectUri)
  const known = registered.some(
    (uri) => URL.canParse(uri) && (new URL(uri).origin === origin || isLoopbackHost(hostname)),
  )
  return known ? { clientName, redirectUri } : { clientName }
}
