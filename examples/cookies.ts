import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseCookie, stringifySetCookie } from 'cookie'

/** A cookie of this server: a random string that scripts cannot read and that forms of other sites do not send. */
export interface Cookie {
  /** Returns what the browser sent, if it looks like a value of ours. */
  read(request: IncomingMessage): string | undefined
  write(response: ServerResponse, value: string, lifetimeSeconds?: number): void
  clear(response: ServerResponse): void
}

/**
 * Creates the cookie `name` of this issuer. Browsers do not separate the ports of one host, so two servers on one
 * machine need two names; all nodes of one issuer use the same. With an `https:` issuer it is also bound to its host.
 */
export function createCookie(name: string, issuer: string): Cookie {
  const secure = new URL(issuer).protocol === 'https:'
  const tag = createHash('sha256').update(issuer).digest('hex').slice(0, 8)
  const fullName = `${secure ? '__Host-' : ''}${name}_${tag}`
  const attributes = { path: '/', httpOnly: true, sameSite: 'lax', secure } as const
  const send = (response: ServerResponse, value: string, maxAge?: number): void => {
    const age = maxAge === undefined ? {} : { maxAge }
    response.appendHeader('Set-Cookie', stringifySetCookie({ name: fullName, value, ...attributes, ...age }))
  }
  return {
    read(request) {
      const value = parseCookie(request.headers.cookie ?? '')[fullName] ?? ''
      return /^[A-Za-z0-9_-]{43}$/.test(value) ? value : undefined
    },
    write: send,
    clear: (response) => send(response, '', 0),
  }
}
