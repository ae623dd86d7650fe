/** Value of the last character of a base64url text; the text holds only characters of that alphabet. */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const VALUE = new Uint8Array(128)
for (let value = 0; value < ALPHABET.length; value++) VALUE[ALPHABET.charCodeAt(value)] = value

/**
 * Whether a text of base64url characters is the one encoding of its octets (RFC 4648 §3.5): a possible length, and no
 * bits set beyond the last octet. Anything else has a second spelling that decodes alike.
 */
export function isCanonical(text: string): boolean {
  const rest = text.length % 4
  if (rest === 0) return true
  if (rest === 1) return false
  const last = VALUE[text.charCodeAt(text.length - 1)] ?? 0
  return (last & (rest === 2 ? 0b1111 : 0b11)) === 0
}

const BASE64URL = /^[A-Za-z0-9_-]+$/

/** The octets of a base64url text without padding; `undefined` where it is empty, malformed or not canonical. */
export const base64urlOctets = (text: unknown): Buffer | undefined =>
  typeof text === 'string' && BASE64URL.test(text) && isCanonical(text) ? Buffer.from(text, 'base64url') : undefined
