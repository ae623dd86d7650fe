// The application before MCP: notes of users, with a login by express-session and passport-local.
// mcp.ts adds the rest. Proved in test/recipes/mcp_users.test.ts.
import { randomBytes, scryptSync, timingSafeEqual } from 'node:crypto'
import express, { type Express, type RequestHandler, type Response } from 'express'
import session from 'express-session'
import { Passport } from 'passport'
import { Strategy as LocalStrategy } from 'passport-local'

declare module 'express-session' {
  interface SessionData {
    /** Where to go on after the login: a path of this application. */
    returnTo?: string
  }
}

export interface User {
  readonly id: string
  readonly username: string
  readonly name: string
  readonly passwordHash: Buffer
  readonly salt: Buffer
  readonly notes: string[]
}

export interface Application {
  readonly app: Express
  /** Continues if a user is logged in. Otherwise the user logs in first, and comes back to the same page. */
  readonly requireLogin: RequestHandler
  findUser(id: string): User | undefined
}

const hash = (password: string, salt: Buffer): Buffer => scryptSync(password, salt, 32)

function createUser(id: string, username: string, name: string, password: string, notes: string[]): User {
  const salt = randomBytes(16)
  return { id, username, name, salt, passwordHash: hash(password, salt), notes }
}

const SIGNS: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Makes text safe to be put into HTML. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (sign) => SIGNS[sign] ?? sign)

const STYLE = `body { font: 1rem/1.5 system-ui, sans-serif; max-width: 30rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere }
label, input { display: block; width: 100%; box-sizing: border-box; font: inherit } input { padding: .5rem; margin-bottom: 1rem }
button { font: inherit; padding: .5rem 1.5rem; margin-right: .5rem } .warning { border-left: .3rem solid #b45309; padding-left: .8rem }`

/** Responds with a page of the application. `body` is HTML. */
export function sendPage(response: Response, title: string, body: string): void {
  response.setHeader('Cache-Control', 'no-store')
  response.setHeader(
    'Content-Security-Policy',
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
  )
  response.send(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
<h1>${escapeHtml(title)}</h1>
${body}
</html>`)
}

export function createApplication({ sessionSecret }: { readonly sessionSecret: string }): Application {
  const users = [
    createUser('1', 'alice', 'Alice Liddell', 'wonderland', ['Ask the caterpillar']),
    createUser('2', 'bob', 'Bob Smith', 'builder', ['Buy nails']),
  ]
  const findUser = (id: string): User | undefined => users.find((user) => user.id === id)

  const passport = new Passport()
  passport.use(
    new LocalStrategy((username, password, done) => {
      const user = users.find((each) => each.username === username)
      const isRight = user !== undefined && timingSafeEqual(hash(password, user.salt), user.passwordHash)
      done(null, isRight ? user : false)
    }),
  )
  passport.serializeUser((user, done) => done(null, (user as User).id))
  passport.deserializeUser((id: string, done) => done(null, findUser(id) ?? false))

  const requireLogin: RequestHandler = (request, response, next) => {
    if (request.isAuthenticated()) return next()
    if (request.method === 'GET') request.session.returnTo = request.originalUrl
    response.redirect(303, '/login')
  }

  const app = express()
  app.disable('x-powered-by')
  app.use(express.urlencoded({ extended: false }))
  app.use(
    session({
      secret: sessionSecret,
      resave: false,
      saveUninitialized: false,
      cookie: { sameSite: 'lax', secure: 'auto' },
    }),
  )
  app.use(passport.session())

  app.get('/login', (request, response) => {
    const failed =
      request.query['failed'] === undefined ? '' : '<p role="alert">The user name or password is wrong.</p>'
    sendPage(
      response,
      'Log in',
      `${failed}<form method="post" action="/login">
<label>User name <input name="username" autocomplete="username" autocapitalize="none" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button>
</form>`,
    )
  })
  app.post(
    '/login',
    passport.authenticate('local', { failureRedirect: '/login?failed', keepSessionInfo: true }),
    (request, response) => {
      const { returnTo = '/' } = request.session
      delete request.session.returnTo
      response.redirect(303, returnTo)
    },
  )
  app.get('/', requireLogin, (request, response) => {
    const { name, notes } = request.user as User
    const items = notes.map((note) => `<li>${escapeHtml(note)}</li>`)
    sendPage(response, `Notes of ${name}`, `<ul>${items.join('')}</ul>`)
  })
  return { app, requireLogin, findUser }
}
