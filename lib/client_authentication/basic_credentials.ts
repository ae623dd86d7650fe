import { isUtf8 } from 'node:buffer'
import { refusal } from '../errors.ts'
import { formDecoded } from '../parameters.ts'

/** A client identifier and a secret as presented. Neither is empty. */
export interface Credentials {
  readonly clientId: string
  readonly clientSecret: string
}

/**
 * How Basic credentials are read. RFC 6749 §2.3.1 wants both halves form-encoded; many clients send them as they are.
 * `tolerant` takes the form-decoded pair first and, where decoding changed the text or is impossible, the raw pair
 * second. `strict` takes the form-decoded pair alone.
 */
export type BasicDecoding = 'tolerant' | 'strict'

const STRICT_BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const ENCODED = /[%+]/

const malformed = (detail: string) =>
  refusal('authorization_header_malformed', { detail: `expected HTTP Basic credentials, got ${detail}` })

/**
 * Reads an `Authorization` header of the Basic scheme (RFC 7617 §2): scheme in any case, one space, Base64 with its
 * padding, UTF-8 (`tolerant` also takes ISO-8859-1), parted at the first colon. Returns the pairs to be tried in order,
 * at least one. Rejects any other scheme and anything malformed with `authorization_header_malformed`.
 */
export function parseBasic(header: string, decoding: BasicDecoding): readonly Credentials[] {
  const space = header.indexOf(' ')
  if ((space === -1 ? header : header.slice(0, space)).toLowerCase() !== 'basic') throw malformed('another scheme')
  if (space === -1) throw malformed('no credentials')
  const token = header.slice(space + 1)
  if (token === '' || !STRICT_BASE64.test(token)) throw malformed('what is not Base64')
  const octets = Buffer.from(token, 'base64')
  if (octets.toString('base64') !== token) throw malformed('what is not canonical Base64')
  const utf8 = isUtf8(octets)
  if (!utf8 && decoding === 'strict') throw malformed('what is not UTF-8')
  // requests (Python) sends the octets of ISO-8859-1, as RFC 2617 was read before RFC 7617
  const text = octets.toString(utf8 ? 'utf8' : 'latin1')
  const colon = text.indexOf(':')
  if (colon === -1) throw malformed('no colon')
  const raw: Credentials = { clientId: text.slice(0, colon), clientSecret: text.slice(colon + 1) }
  if (raw.clientId === '' || raw.clientSecret === '') throw malformed('an empty half')
  if (!ENCODED.test(text)) return [raw]
  const clientId = formDecoded(raw.clientId)
  const clientSecret = formDecoded(raw.clientSecret)
  const decoded = clientId && clientSecret ? [{ clientId, clientSecret }] : []
  if (decoding === 'strict') {
    if (decoded.length === 0) throw malformed('a percent sequence that is none')
    return decoded
  }
  return [...decoded, raw]
}
