import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createSessions, type Session, type SessionStore } from 'passport-client-assertion-jwt'
import type { Cookie } from './cookies.ts'
import type { User, Users } from './users.ts'

/** The type of the sessions that are logins. Apps have the type `oauth2`, in the same store. */
export const LOGIN_SESSION = 'full'

const LIFETIME_SECONDS = 7 * 24 * 3600

/** The logins of users: sessions of type `full` in the session store. */
export interface Logins {
  /** Returns the user who is logged in with this browser. */
  current(request: IncomingMessage): Promise<User | undefined>
  /**
   * Logs the user in with this browser. A login of the same user goes on, because forms in other tabs depend on it; a login
   * of another user ends.
   */
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
  /** The store has a digest only: somebody who reads the store cannot log in with it. */
  const idOf = (secret: string): string => `login:${createHash('sha256').update(secret).digest('base64url')}`

  /** The login that the cookie of the request stands for. */
  const presented = async (request: IncomingMessage): Promise<Session | undefined> => {
    const secret = cookie.read(request)
    const session = secret === undefined ? undefined : await sessions.get(idOf(secret))
    return session?.type === LOGIN_SESSION ? session : undefined
  }

  return {
    async current(request) {
      const session = await presented(request)
      return session === undefined ? undefined : users.find(session.subject)
    },
    async begin(request, response, user) {
      const before = await presented(request)
      if (before?.subject === user.sub) return
      if (before !== undefined) await sessions.end(before.id)
      const secret = randomBytes(32).toString('base64url')
      await sessions.open({ subject: user.sub, clientId: '', scope: '' }, { id: idOf(secret), type: LOGIN_SESSION })
      cookie.write(response, secret, LIFETIME_SECONDS)
    },
    async end(request, response) {
      const session = await presented(request)
      if (session !== undefined) await sessions.end(session.id)
      cookie.clear(response)
    },
    async endAll(response, user) {
      await sessions.endAll(user.sub, LOGIN_SESSION)
      cookie.clear(response)
    },
  }
}
