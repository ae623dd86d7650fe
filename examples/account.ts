import { type RequestHandler, Router } from 'express'
import type { Consents, Sessions } from 'passport-client-assertion-jwt'
import { type ClientRegistry, displayName } from './clients.ts'
import type { LoginHandlers } from './login.ts'
import type { Logins } from './logins.ts'
import { onlyMethods } from './methods.ts'
import { accountPage, sendPage } from './pages.ts'

const APP_SESSION = 'oauth2'

/** The form of our session ids. Databases reject some other strings: PostgreSQL does not accept NUL. */
const SESSION_ID = /^[A-Za-z0-9_-]{1,100}$/

/** Creates the account page: the connected apps, and the forms that end them and the user's logins. */
export function accountRoutes(options: {
  /** Path of the issuer, or '': forms and redirects use the paths that are visible from outside. */
  readonly base: string
  readonly sessions: Sessions
  readonly consents: Consents
  readonly logins: Logins
  readonly clients: ClientRegistry
  readonly login: LoginHandlers
}): Router {
  const { base, sessions, consents, logins, clients, login } = options
  const toAccount: RequestHandler = (_req, res) => res.redirect(303, `${base}/account`)
  const routes = Router()

  routes.get('/account', async (req, res) => {
    const user = await logins.current(req)
    if (user === undefined) return login.show(req, res, '')
    sendPage(
      res,
      200,
      accountPage({
        paths: {
          disconnect: `${base}/account/disconnect`,
          disconnectAll: `${base}/account/disconnect-all`,
          logout: `${base}/logout`,
          logoutEverywhere: `${base}/account/logout-everywhere`,
        },
        guard: login.guards.forForm(req, res),
        userName: user.name,
        sessions: await sessions.list(user.sub, APP_SESSION),
        clientName: (clientId) => displayName(clients.find(clientId) ?? { client_id: clientId }),
      }),
    )
  })

  routes.post(
    '/account/disconnect',
    login.guardedForm,
    login.required,
    async (req, res, next) => {
      const { sub } = login.userOf(res)
      const id: string = req.body.session ?? ''
      const session = SESSION_ID.test(id) ? await sessions.get(id) : undefined
      // Users can only end their own sessions, and cannot find out whether others exist.
      if (session?.type === APP_SESSION && session.subject === sub) {
        await consents.withdraw(sub, session.clientId) // first: if the other step fails, the row is still there to try again
        await sessions.end(session.id)
      }
      next()
    },
    toAccount,
  )

  routes.post(
    '/account/disconnect-all',
    login.guardedForm,
    login.required,
    async (_req, res, next) => {
      const { sub } = login.userOf(res)
      await consents.withdrawAll(sub)
      await sessions.endAll(sub, APP_SESSION)
      next()
    },
    toAccount,
  )

  routes.post('/account/logout-everywhere', login.guardedForm, login.required, async (_req, res) => {
    await logins.endAll(res, login.userOf(res))
    login.showLoggedOut(res, 'You are logged out on all your devices. Your apps stay connected.')
  })

  routes.post('/logout', login.guardedForm, async (req, res) => {
    await logins.end(req, res)
    login.showLoggedOut(res, 'You are logged out on this device. Your apps stay connected.')
  })

  routes.all('/account', onlyMethods('GET'))
  for (const path of ['disconnect', 'disconnect-all', 'logout-everywhere']) {
    routes.all(`/account/${path}`, onlyMethods('POST'))
  }
  routes.all('/logout', onlyMethods('POST'))
  return routes
}
