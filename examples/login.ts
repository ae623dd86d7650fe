import type { Request, RequestHandler, Response } from 'express'
import { Passport } from 'passport'
import { Strategy as LocalStrategy } from 'passport-local'
import { type ClientRegistry, displayName } from './clients.ts'
import type { FormGuards } from './form_guard.ts'
import { createLoginLimit } from './login_limit.ts'
import type { Logins } from './logins.ts'
import { type FailedLogin, loginPage, messagePage, sendPage } from './pages.ts'
import type { User, Users } from './users.ts'

export interface LoginHandlers {
  readonly guards: FormGuards
  /** Responds with the login form. `authorizationRequest`: the query to continue with; '' continues to the account page. */
  show(req: Request, res: Response, authorizationRequest: string): void
  showLoggedOut(res: Response, message: string): void
  /** `POST /login`. */
  readonly submit: readonly RequestHandler[]
  /**
   * Lets a form pass that a page of ours sent. Its fields are in `req.body`, each once, none empty. A refused form offers to
   * start again with the authorization request it belongs to.
   */
  readonly guardedForm: RequestHandler
  /** Lets a logged-in user pass. Others are redirected to the login form. */
  readonly required: RequestHandler
  /** The user that `required` let pass. */
  userOf(res: Response): User
}

/** Creates the handlers of the login form, by passport-local, and the two checks that other forms pass through. */
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
  const limit = createLoginLimit()
  const passport = new Passport()
  passport.use(
    new LocalStrategy((username, password, done) => done(null, users.authenticate(username, password) ?? false)),
  )

  const showForm = (req: Request, res: Response, authorizationRequest: string, failed?: FailedLogin): void => {
    const clientId = new URLSearchParams(authorizationRequest).get('client_id') ?? ''
    const client = clients.find(clientId)
    // a client with a metadata document: its host, because its name is self-given
    const host = URL.canParse(clientId) ? new URL(clientId).host : undefined
    const page = loginPage({
      action: `${base}/login`,
      guard: guards.forForm(req, res),
      authorizationRequest,
      clientName: client === undefined ? host || undefined : displayName(client),
      failed,
    })
    if (failed?.waitSeconds) res.setHeader('Retry-After', failed.waitSeconds)
    sendPage(res, failed?.waitSeconds ? 429 : 200, page)
  }

  const guard: RequestHandler = (req, res, next) => {
    const refusal = guards.refuse(req, req.body ?? {})
    if (refusal === undefined) return next()
    const request = requestOf(req)
    const link =
      request === ''
        ? { href: `${base}/account`, text: 'Go to your account' }
        : { href: `${base}/authorize?${request}`, text: 'Start again' }
    return sendPage(res, 403, messagePage('This form was not accepted', refusal, link))
  }
  const guardedForm: RequestHandler = (req, res, next) =>
    formFields(req, res, (error?: unknown) => (error === undefined ? guard(req, res, next) : next(error)))

  const authenticate: RequestHandler = async (req, res, next) => {
    const { username, password } = req.body
    // passport-local would also read the two from the URL, where they end up in logs.
    if (username === undefined || password === undefined)
      return showForm(req, res, requestOf(req), { username: username ?? '' })
    // The address of the connection. Behind a proxy that is the proxy's, unless Express trusts it (`trust proxy`).
    const address = req.ip ?? ''
    const waitSeconds = await limit.attempt(username, address)
    if (waitSeconds > 0) return showForm(req, res, requestOf(req), { username, waitSeconds })
    const user = await new Promise<User | false | null | undefined>((resolve, reject) => {
      const done = (error: unknown, found?: User | false | null): void => (error ? reject(error) : resolve(found))
      passport.authenticate('local', { session: false }, done)(req, res, next)
    })
    if (!user) return showForm(req, res, requestOf(req), { username })
    await limit.succeeded(username, address)
    res.locals['user'] = user
    return next()
  }

  return {
    guards,
    show: showForm,
    showLoggedOut: (res, message) =>
      sendPage(res, 200, messagePage('You are logged out', message, { href: `${base}/account`, text: 'Log in again' })),
    submit: [
      guardedForm,
      authenticate,
      async (req, res) => {
        await logins.begin(req, res, res.locals['user'])
        const request = requestOf(req)
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

/** The authorization request that a form belongs to. It is encoded again, so the result is a query whatever came in. */
export const requestOf = (req: Request): string => new URLSearchParams(req.body?.authorization_request ?? '').toString()
