import { badOption } from './options.ts'

// Printable ASCII without ?, # and \. The URL parser would drop blanks and line breaks, and read \ as /.
const ISSUER = /^https?:\/\/[\x21\x22\x24-\x3e\x40-\x5b\x5d-\x7e]+$/i
const LOOPBACK = /^(?:(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

/**
 * Whether a value can be an issuer identifier (RFC 8414 §2): an absolute http(s) URL without query, fragment, user
 * information and surrounding blanks. `http:` is allowed because development and tests need it.
 */
export const isIssuer = (value: unknown): value is string =>
  typeof value === 'string' && ISSUER.test(value) && URL.canParse(value) && !/^https?:\/\/[^/]*@/i.test(value)

let hasWarned = false

/** Emits one process warning if an issuer uses `http:` outside the loopback interface and `NODE_ENV` is `production`. */
export function warnOfInsecureIssuer(issuer: string): void {
  if (hasWarned || process.env['NODE_ENV'] !== 'production') return
  const { protocol, hostname } = new URL(issuer)
  if (protocol !== 'http:' || LOOPBACK.test(hostname)) return
  hasWarned = true
  process.emitWarning(
    `The issuer ${issuer} uses http:. Tokens and client credentials are sent unencrypted. Use https:.`,
    {
      code: 'CLIENT_ASSERTION_JWT_HTTP_ISSUER',
    },
  )
}

/** Returns `value`. Throws a `TypeError` that names the option unless `value` can be an issuer identifier. */
export function requireIssuer(value: unknown, option = 'issuer'): string {
  if (!isIssuer(value))
    throw badOption(option, 'an absolute http(s) URL without query, fragment or surrounding spaces', value)
  warnOfInsecureIssuer(value)
  return value
}
