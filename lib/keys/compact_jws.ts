import { parseJsonObject } from '../remote/strict_json.ts'
import { isCanonical } from './base64url.ts'
import type { Signed } from './signature.ts'

/** What a JWS says of itself. Nothing in it is to be believed before its signature was checked. */
export interface CompactJws extends Signed {
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
  readonly signature: Buffer
}

/** Why a string is not a JWS, and whether it is an encrypted token instead. */
export interface JwsProblem {
  readonly problem: string
  readonly isEncrypted: boolean
}

// Each class excludes the dot, so that there is one way to match and the time is linear.
const COMPACT_JWS = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/
const COMPACT_JWE = /^[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){4}$/

const not = (problem: string, isEncrypted = false): JwsProblem => ({ problem, isEncrypted })

/** The object, or what is wrong with it. */
function parsed(text: string): Readonly<Record<string, unknown>> | string {
  try {
    return parseJsonObject(Buffer.from(text, 'base64url'))
  } catch (problem) {
    return (problem as Error).message
  }
}

/** Whether `readCompactJws` found a problem. */
export const isJwsProblem = (jws: CompactJws | JwsProblem): jws is JwsProblem => 'problem' in jws

/**
 * Takes a token apart: JWS compact serialization (RFC 7515 §3.1) in the strict sense, so that one token has one
 * spelling. Only base64url characters, no padding, no white space, canonical last characters, UTF-8, JSON objects
 * without repeated names. The caller checks the length before. Checks no member of either object and no signature.
 */
export function readCompactJws(token: string): CompactJws | JwsProblem {
  if (!COMPACT_JWS.test(token)) {
    if (COMPACT_JWE.test(token)) return not('expected a signed JWT, got the five parts of an encrypted one', true)
    return not('expected three non-empty parts of base64url characters, without padding or white space')
  }
  const first = token.indexOf('.')
  const second = token.indexOf('.', first + 1)
  const headerPart = token.slice(0, first)
  const payload = token.slice(first + 1, second)
  const signature = token.slice(second + 1)
  if (!isCanonical(headerPart)) return not('the header is not canonical base64url')
  if (!isCanonical(payload)) return not('the payload is not canonical base64url')
  if (!isCanonical(signature)) return not('the signature is not canonical base64url')
  const header = parsed(headerPart)
  if (typeof header === 'string') return not(`the header ${header}`)
  const claims = parsed(payload)
  if (typeof claims === 'string') return not(`the payload ${claims}`)
  return {
    header,
    claims,
    signingInput: token.slice(0, second),
    signature: Buffer.from(signature, 'base64url'),
  }
}
