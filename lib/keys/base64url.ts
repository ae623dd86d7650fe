/** Value of the last character of a base64url string, which has only characters of that alphabet. */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const VALUE = new Uint8Array(128)
for (let value = 0; value < ALPHABET.length; value++) VALUE[ALPHABET.charCodeAt(value)] = value

/**
 * Whether a string of base64url characters is the one encoding of its bytes (RFC 4648 §3.5): a possible length, and no
 * bits set beyond the last byte. Anything else has a second spelling that decodes to the same bytes.
 */
export function isCanonical(text: string): boolean {
  const rest = text.length % 4
  if (rest === 0) return true
  if (rest === 1) return false
  const last = VALUE[text.charCodeAt(text.length - 1)] ?? 0
  return (last & (rest === 2 ? 0b1111 : 0b11)) === 0
}

const BASE64URL = /^[A-Za-z0-9_-]+$/

/** The string without the padding of RFC 4648 §3.2, if that is complete; otherwise unchanged. */
const withoutPadding = (text: string): string =>
  text.length % 4 === 0 && text.endsWith('=') ? text.slice(0, text.endsWith('==') ? -2 : -1) : text

/**
 * Decodes a base64url member of a JWK. RFC 7515 §2 has no padding, but some tools write it: complete padding is
 * accepted for every key type. Returns `undefined` if the value is empty, malformed or not canonical.
 */
export function decodeBase64url(value: unknown): Buffer | undefined {
  if (typeof value !== 'string') return undefined
  const text = withoutPadding(value)
  return BASE64URL.test(text) && isCanonical(text) ? Buffer.from(text, 'base64url') : undefined
}
