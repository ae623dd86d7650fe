import { refusal } from '../errors.ts'
import { isCanonical } from '../keys/base64url.ts'
import { parseJsonObject } from '../remote/strict_json.ts'

/** What an assertion says of itself. Nothing in it is to be believed before its signature was checked. */
export interface Envelope {
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
  /** The bytes that are signed, as the ASCII string that was sent. */
  readonly signingInput: string
  readonly signature: Buffer
}

// Each class excludes the dot, so that there is one way to match and the time is linear.
const COMPACT_JWS = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/
const COMPACT_JWE = /^[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){4}$/

const malformed = (detail: string): Error => refusal('assertion_malformed', { detail })

function parsed(name: string, text: string): Readonly<Record<string, unknown>> {
  try {
    return parseJsonObject(Buffer.from(text, 'base64url'))
  } catch (problem) {
    throw malformed(`the ${name} ${(problem as Error).message}`)
  }
}

/**
 * Takes an assertion apart: JWS compact serialization (RFC 7515 §3.1) in the strict sense, so that one token has one
 * spelling. Only base64url characters, no padding, no white space, canonical last characters, UTF-8, JSON objects
 * without repeated names. The length was checked before. Checks no member of either object and no signature.
 */
export function openEnvelope(assertion: string): Envelope {
  if (!COMPACT_JWS.test(assertion)) {
    if (COMPACT_JWE.test(assertion))
      throw refusal('assertion_encrypted', { detail: 'expected a signed JWT, got the five parts of an encrypted one' })
    throw malformed('expected three non-empty parts of base64url characters, without padding or white space')
  }
  const first = assertion.indexOf('.')
  const second = assertion.indexOf('.', first + 1)
  const header = assertion.slice(0, first)
  const payload = assertion.slice(first + 1, second)
  const signature = assertion.slice(second + 1)
  if (!isCanonical(header)) throw malformed('the header is not canonical base64url')
  if (!isCanonical(payload)) throw malformed('the payload is not canonical base64url')
  if (!isCanonical(signature)) throw malformed('the signature is not canonical base64url')
  return {
    header: parsed('header', header),
    claims: parsed('payload', payload),
    signingInput: assertion.slice(0, second),
    signature: Buffer.from(signature, 'base64url'),
  }
}
