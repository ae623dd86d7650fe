const HTTP_URL = /^https?:\/\/[^\s\\]+$/i
const MOST_CHARACTERS = 4096
const UNRESERVED = /[A-Za-z0-9._~-]/

/** A percent sequence as RFC 3986 §6.2.2 writes it: unreserved characters as they are, other bytes in upper case. */
function normalizedSequence(sequence: string): string {
  const character = String.fromCharCode(Number.parseInt(sequence.slice(1), 16))
  return UNRESERVED.test(character) ? character : sequence.toUpperCase()
}

/**
 * An HTTP URL without query and fragment, normalized (RFC 3986 §6.2.2 and §6.2.3): case of scheme and host, default port,
 * dot segments, percent sequences. `undefined` if it is not an HTTP URL, has credentials, or is longer than 4096 characters.
 */
export function normalizeUrl(text: string): string | undefined {
  if (text.length > MOST_CHARACTERS || !HTTP_URL.test(text) || !URL.canParse(text)) return undefined
  const { protocol, host, pathname, username, password } = new URL(text)
  if (username !== '' || password !== '') return undefined
  return `${protocol}//${host}${pathname.replace(/%[0-9a-f]{2}/gi, normalizedSequence)}`
}
