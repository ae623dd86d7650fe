import { badOption } from '../options.ts'

/** Which redirect URIs may be used at all, beyond `https:` and `http:` on a loopback address. */
export interface RedirectUriRules {
  /**
   * Private-use schemes (RFC 8252 §7.1). `true`: every scheme that holds a period (`com.example.app:/callback`).
   * A list: these schemes as well, without the colon (`['cursor', 'vscode']`). Default: none.
   */
  readonly privateUseSchemes?: boolean | readonly string[] | undefined
}

// RFC 3986 §3.1. What a browser runs or shows by itself is never a scheme of an application.
const SCHEME = /^([a-z][a-z0-9+.-]*):/i
const NEVER = new Set(['javascript', 'data', 'vbscript', 'about', 'blob', 'file', 'http', 'https', 'ws', 'wss', 'ftp'])

// Visible ASCII without what ends an URI or is read in two ways: a fragment, a backslash, quotes, angle brackets.
const PLAIN = /^[\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7e]+$/

const LOOPBACK_HOSTS = new Set(['127.0.0.1', '[::1]', 'localhost'])

/** Throws a `TypeError` unless the option is one of the forms above. */
export function checkRedirectUriRules(rules: RedirectUriRules): void {
  const schemes: unknown = rules.privateUseSchemes
  if (schemes === undefined || typeof schemes === 'boolean') return
  const fine =
    Array.isArray(schemes) &&
    schemes.every((each) => typeof each === 'string' && /^[a-z][a-z0-9+.-]*$/.test(each) && !NEVER.has(each))
  if (!fine) throw badOption('privateUseSchemes', 'a boolean or an array of lower-case schemes', schemes)
}

/**
 * Whether a URI may be redirected to at all: `https:`, `http:` on `127.0.0.1`, `[::1]` or `localhost`, and private-use
 * schemes where the rules allow them; without a fragment (RFC 6749 §3.1.2) or user information. Says nothing about
 * whether a client has registered it.
 */
export function isUsableRedirectUri(uri: string, rules: RedirectUriRules = {}): boolean {
  if (!PLAIN.test(uri)) return false
  const scheme = SCHEME.exec(uri)?.[1]?.toLowerCase()
  if (scheme === 'https' || scheme === 'http') {
    // What the parser would repair ("https:/host", "https:host") is not the URI that was registered.
    if (!/^https?:\/\/[^/?]/i.test(uri) || !URL.canParse(uri)) return false
    const { hostname, username, password } = new URL(uri)
    return username === '' && password === '' && (scheme === 'https' || LOOPBACK_HOSTS.has(hostname))
  }
  if (scheme === undefined || NEVER.has(scheme)) return false
  const { privateUseSchemes = false } = rules
  return typeof privateUseSchemes === 'boolean'
    ? privateUseSchemes && scheme.includes('.')
    : privateUseSchemes.includes(scheme)
}

// Scheme and host, an optional port, and the rest.
const LOOPBACK = /^(http:\/\/(?:127\.0\.0\.1|\[::1\]|(localhost)))(?::([1-9][0-9]{0,4}))?([/?].*)?$/

interface LoopbackUri {
  readonly origin: string
  /** What follows the port. */
  readonly rest: string | undefined
}

/**
 * Returns whether the redirect URI of a request is a registered one: the same string (RFC 9700 §2.1), except that the port
 * of `http://127.0.0.1` and `http://[::1]` is free (RFC 8252 §7.3). For a native client the port of `http://localhost` is
 * free too; for others it is not, because the name may resolve to another machine (§8.3). The three hosts are never equal
 * to each other. Does not check that either URI is usable.
 */
export function isSameRedirectUri(sent: string, registered: string, isNative = false): boolean {
  if (sent === registered) return true
  const one = loopbackUri(sent, isNative)
  const other = loopbackUri(registered, isNative)
  return one !== undefined && other !== undefined && one.origin === other.origin && one.rest === other.rest
}

function loopbackUri(uri: string, isNative: boolean): LoopbackUri | undefined {
  const [, origin, localhost, port = '80', rest] = LOOPBACK.exec(uri) ?? []
  if (origin === undefined || Number(port) > 65_535 || (localhost !== undefined && !isNative)) return undefined
  return { origin, rest }
}

// Whatever is no Unicode (a lone surrogate) becomes U+FFFD; encodeURIComponent alone would throw.
const encoded = (text: string): string => encodeURIComponent(Buffer.from(text).toString())

/**
 * The URI with parameters appended to its query, form-encoded (RFC 6749 §4.1.2), or as its fragment (§4.2.2). What stands
 * in the URI stays as it is, also a parameter of the same name. Parameters that are `undefined` are left out.
 */
export function withResponseParameters(
  uri: string,
  parameters: Readonly<Record<string, string | undefined>>,
  component: 'query' | 'fragment' = 'query',
): string {
  const pairs: string[] = []
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) pairs.push(`${encoded(name)}=${encoded(value)}`)
  }
  if (pairs.length === 0) return uri
  if (component === 'fragment') return `${uri}#${pairs.join('&')}` // no URI that may be redirected to has one
  const separator = !uri.includes('?') ? '?' : uri.endsWith('?') || uri.endsWith('&') ? '' : '&'
  return uri + separator + pairs.join('&')
}
