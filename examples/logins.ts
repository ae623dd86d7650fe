import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createSessions, type SessionStore } from 'passport-client-assertion-jwt'
import type { Cookie } from './cookies.ts'
import type { User, Users } from './users.ts'

/** The type of the sessions that are logins. Apps have the type `oauth2`, in the same store. */
export const LOGIN_SESSION = 'full'

const LIFETIME_SECONDS = 7 * 24 * 3600

/** The logins of users, kept as sessions of type `full` in the session store. */
export interface Logins {
  /** Who is logged in with this browser. */
  current(request: IncomingMessage): Promise<User | undefined>
  /** Logs the user in with this browser. A login that this browser had before ends. */
  begin(request: IncomingMessage, response: ServerResponse, user: User): Promise<void>
  end(request: IncomingMessage, response: ServerResponse): Promise<void>
  endAll(response: ServerResponse, user: User): Promise<void>
}

export function createLogins(options: {
  readonly store: SessionStore
  readonly users: Users
  readonly cookie: Cookie
}): Logins {
  const { users, cookie } = options
  const sessions = createSessions({
    store: options.store,
    idleLifetimeSeconds: LIFETIME_SECONDS,
    absoluteLifetimeSeconds: LIFETIME_SECONDS,
  })
  /** Who can read the store can not log in with what stands there: the cookie can not be told from its digest. */
  const idOf = (secret: string): string => `login:${createHash('sha256').update(secret).digest('base64url')}`

  const endPresented = async (request: IncomingMessage): Promise<void> => {
    const secret = cookie.read(request)
    // Looked up first: to end what was never open would leave a marker for each cookie that somebody makes up.
    if (secret !== undefined && (await sessions.get(idOf(secret)))) await sessions.end(idOf(secret))
  }

  return {
    async current(request) {
      const secret = cookie.read(request)
      if (secret === undefined) return undefined
      const session = await sessions.get(idOf(secret))
      return session?.type === LOGIN_SESSION ? users.find(session.subject) : undefined
    },
    async begin(request, response, user) {
      await endPresented(request)
      const secret = randomBytes(32).toString('base64url')
      await sessions.open({ subject: user.sub, clientId: '', scope: '' }, { id: idOf(secret), type: LOGIN_SESSION })
      cookie.write(response, secret, LIFETIME_SECONDS)
    },
    async end(request, response) {
      await endPresented(request)
      cookie.clear(response)
    },
    async endAll(response, user) {
      await sessions.endAll(user.sub, LOGIN_SESSION)
      cookie.clear(response)
    },
  }
}
