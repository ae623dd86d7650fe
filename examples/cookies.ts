import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** A cookie of this server: random text that no script can read and no other site's forms carry along. */
export interface Cookie {
  /** What the browser sent, if it looks like something of ours. */
  read(request: IncomingMessage): string | undefined
  write(response: ServerResponse, value: string, lifetimeSeconds?: number): void
  clear(response: ServerResponse): void
}

/**
 * Blanks and tabs alone: `trim` would also take off a no-break space, and with it a name that begins with one would pass
 * for `__Host-…`, which browsers do not guard then.
 */
const withoutBlanks = (text: string): string => text.replace(/^[ \t]+|[ \t]+$/g, '')

/**
 * The cookie `name` of this issuer. Browsers do not keep the ports of one host apart, so that two servers on one
 * machine need two names; all nodes of one issuer have the same. Over https it is also bound to this very host.
 */
export function createCookie(name: string, issuer: string): Cookie {
  const secure = new URL(issuer).protocol === 'https:'
  const tag = createHash('sha256').update(issuer).digest('hex').slice(0, 8)
  const fullName = `${secure ? '__Host-' : ''}${name}_${tag}`
  const attributes = `; Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`
  return {
    read(request) {
      for (const pair of (request.headers.cookie ?? '').split(';')) {
        const [key = '', value = ''] = pair.split('=', 2).map(withoutBlanks)
        if (key === fullName && /^[A-Za-z0-9_-]{43}$/.test(value)) return value
      }
      return undefined
    },
    write(response, value, lifetimeSeconds) {
      const age = lifetimeSeconds === undefined ? '' : `; Max-Age=${lifetimeSeconds}`
      response.appendHeader('Set-Cookie', `${fullName}=${value}${attributes}${age}`)
    },
    clear(response) {
      response.appendHeader('Set-Cookie', `${fullName}=${attributes}; Max-Age=0`)
    },
  }
}
