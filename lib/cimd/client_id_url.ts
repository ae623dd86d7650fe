import { isIP } from 'node:net'
import { isLoopbackAddress } from '../remote/address.ts'
import { hostOf } from '../remote/url.ts'

/** Which URLs a client may name. */
export interface ClientUrlRules {
  readonly allowQuery: boolean
  /** Ports that may be named; 443 needs no naming. */
  readonly ports: readonly number[] | 'any'
  /** Whether `http:` and hosts on the loopback interface are accepted, on any port. */
  readonly allowLoopback: boolean
}

const MOST_CHARACTERS = 1024
const VISIBLE_ASCII = /^https?:\/\/[\x21-\x7e]+$/
const DOTTED_NAME = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)+$/

/** Whether the host of a URL is the loopback interface, by name or by address. */
export const isLoopbackHost = (url: URL): boolean => url.hostname === 'localhost' || isLoopbackAddress(hostOf(url))

const isAllowedPort = ({ port }: URL, { ports }: ClientUrlRules): boolean =>
  ports === 'any' || ports.includes(port === '' ? 443 : Number(port))

/**
 * Parses a URL that identifies a client or its keys (draft-ietf-oauth-client-id-metadata-document-03,
 * "Client Identifier URL"): https, spelled as the URL parser would spell it, a path other than `/`, no query, fragment and
 * user information, a dotted host name. URLs are compared as strings, so only one spelling of each is accepted. Returns
 * `undefined` for anything else.
 */
export function readClientUrl(text: string, rules: ClientUrlRules): URL | undefined {
  if (text.length > MOST_CHARACTERS || !VISIBLE_ASCII.test(text) || !URL.canParse(text)) return undefined
  const url = new URL(text)
  if (url.href !== text || url.pathname === '/' || url.username !== '' || url.password !== '') return undefined
  if (text.includes('#') || (text.includes('?') && !rules.allowQuery)) return undefined
  if (isLoopbackHost(url)) return rules.allowLoopback ? url : undefined
  if (url.protocol !== 'https:' || isIP(hostOf(url)) !== 0 || !DOTTED_NAME.test(url.hostname)) return undefined
  return isAllowedPort(url, rules) ? url : undefined
}
