import { isLoopbackAddress } from './address.ts'

/** Longest URL that is looked at. */
export const MOST_URL_CHARACTERS = 2048

/** The host of a URL, without the brackets of an IPv6 address. */
export const hostOf = ({ hostname }: URL): string => (hostname.startsWith('[') ? hostname.slice(1, -1) : hostname)

/**
 * Parses a URL that a document may be fetched from: https, with a host, without user information. `http:` is accepted
 * only for the loopback interface, and only if `allowHttpLoopback` is set. Returns `undefined` for anything else.
 */
export function documentUrl(text: string, allowHttpLoopback: boolean): URL | undefined {
  if (text.length > MOST_URL_CHARACTERS || !URL.canParse(text)) return undefined
  const url = new URL(text)
  if (url.hostname === '' || url.username !== '' || url.password !== '') return undefined
  if (url.protocol === 'https:') return url
  const isLoopback = url.hostname === 'localhost' || isLoopbackAddress(hostOf(url))
  return allowHttpLoopback && url.protocol === 'http:' && isLoopback ? url : undefined
}
