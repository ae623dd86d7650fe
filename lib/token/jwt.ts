import type { KeyObject } from 'node:crypto'
import { isSameOctets } from '../constant_time.ts'
import { signingAlgorithm } from '../keys/algorithms.ts'
import { isSignedBy, macTextOf, signatureOf, signatureOfInPool } from '../keys/signature.ts'
import type { Key } from './key.ts'
import type { Keyset } from './keyset.ts'

// Signing and verifying our own tokens with node:crypto and keys that are prepared once: half the time of a general
// JOSE library, and a twentieth for HMAC (docs/decisions/0004-tokens.md).

/** The claims of a token, by their names. */
export type Claims = Readonly<Record<string, unknown>>

/** Longer tokens than this are not even looked at. */
const MOST_CHARACTERS = 16_384

function signature(key: Key, privateKey: KeyObject, input: string): string | Promise<string> {
  const algorithm = signingAlgorithm(key.alg)
  if (algorithm.kind === 'mac') return macTextOf(input, algorithm, key.verifyingKey)
  // An RSA signature takes eight times as long as the others: off the main thread.
  if (algorithm.kty === 'RSA')
    return signatureOfInPool(input, algorithm, privateKey).then((bytes) => bytes.toString('base64url'))
  return signatureOf(input, algorithm, privateKey).toString('base64url')
}

/** Accepts one spelling of a signature only: the canonical base64url one. */
function isSignedWith(key: Key, signingInput: string, text: string): boolean {
  const algorithm = signingAlgorithm(key.alg)
  if (algorithm.kind === 'mac') {
    return isSameOctets(Buffer.from(text), Buffer.from(macTextOf(signingInput, algorithm, key.verifyingKey)))
  }
  const signature = Buffer.from(text, 'base64url')
  return (
    signature.toString('base64url') === text && isSignedBy({ signingInput, signature }, algorithm, key.verifyingKey)
  )
}

const objectOf = (segment: string): Claims | undefined => {
  try {
    const value: unknown = JSON.parse(Buffer.from(segment, 'base64url').toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Claims) : undefined
  } catch {
    return undefined
  }
}

/** Signs and verifies the tokens of one kind. */
export interface JwtCodec {
  sign(claims: Claims): string | Promise<string>
  /** The claims, when a key of the set signed them as a token of this kind. Judges no claim. */
  verify(token: string): Claims | undefined
}

/**
 * Tokens of the kind `typ` (RFC 8725 §3.11) under a keyset. The key is found by `kid`, and the algorithm is the key's
 * own: the header's must be the same and never decides. A header without `kid` names the key `kid_not_set.<alg>`, if
 * the keyset has one. `alsoAccepted` are further values of `typ` that `verify` accepts.
 */
export function jwtCodec(typ: string, keyset: Keyset, alsoAccepted: readonly string[] = []): JwtCodec {
  const headerOf = ({ alg, kid }: Key): string => Buffer.from(JSON.stringify({ alg, typ, kid })).toString('base64url')
  const types: readonly unknown[] = [typ, ...alsoAccepted]
  // Our own headers have one spelling for each key: to recognise it is to have read it.
  const keysByHeader = new Map<string, Key>()
  for (const key of keyset.keys.values()) keysByHeader.set(headerOf(key), key)
  const { signingKey } = keyset
  const { privateKey } = signingKey
  if (privateKey === undefined) throw new TypeError('the signing key of a keyset must be a private key')
  const prefix = `${headerOf(signingKey)}.`

  /** The same header spelt by somebody else who holds the key: an older version, another library. */
  const keyOfOther = (segment: string): Key | undefined => {
    const header = objectOf(segment)
    if (header === undefined || !types.includes(header['typ']) || 'crit' in header || 'b64' in header) return undefined
    const { alg, kid = `kid_not_set.${alg}` } = header
    const key = typeof kid === 'string' ? keyset.keys.get(kid) : undefined
    return key !== undefined && key.alg === alg ? key : undefined
  }

  return {
    sign(claims) {
      const input = prefix + Buffer.from(JSON.stringify(claims)).toString('base64url')
      const signed = signature(signingKey, privateKey, input)
      return typeof signed === 'string' ? `${input}.${signed}` : signed.then((text) => `${input}.${text}`)
    },
    verify(token) {
      if (token.length > MOST_CHARACTERS) return undefined
      const first = token.indexOf('.')
      const last = token.lastIndexOf('.')
      if (first <= 0 || last === first || token.indexOf('.', first + 1) !== last) return undefined
      const header = token.slice(0, first)
      const key = keysByHeader.get(header) ?? keyOfOther(header)
      if (key === undefined || !isSignedWith(key, token.slice(0, last), token.slice(last + 1))) return undefined
      return objectOf(token.slice(first + 1, last))
    },
  }
}
