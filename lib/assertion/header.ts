import { refusal } from '../errors.ts'
import { algorithmNamed, isSameAlgorithm } from '../keys/algorithms.ts'
import type { AssertionRules } from './rules.ts'

type Header = Readonly<Record<string, unknown>>

/** A value out of an unverified assertion, for operators: short, in one line. */
export const shown = (value: unknown): string =>
  value === undefined ? 'none' : (JSON.stringify(value) ?? 'none').slice(0, 120)

/** `alg` is one the server takes (RFC 8725 §3.1). The name is returned. */
export function checkAlgorithm(header: Header, rules: AssertionRules): string {
  const { alg } = header
  if (typeof alg === 'string') {
    if (rules.algorithms.includes(alg)) return alg
    if (algorithmNamed(alg) && rules.algorithms.some((each) => isSameAlgorithm(alg, each, rules.edDsaAlias))) return alg
  }
  throw refusal('assertion_algorithm_not_allowed', {
    detail: `expected alg out of ${rules.algorithms.join(', ')}, got ${shown(alg)}`,
  })
}

const TYPED = 'client-authentication+jwt'

/** A media type in the short form of RFC 7515 §4.1.9, for comparison. */
const shortType = (typ: string): string => {
  const lower = typ.toLowerCase()
  return lower.startsWith('application/') ? lower.slice(12) : lower
}

/** Whether the assertion says that it is one by RFC 10070 §4. */
export const isTyped = (header: Header): boolean =>
  header.typ !== undefined && typeof header.typ === 'string' && shortType(header.typ) === TYPED

/** `typ` does not say that this JWT is something else: an access token, a DPoP proof, a logout token (RFC 8725 §3.11). */
export function checkTyp(header: Header, rules: AssertionRules): void {
  if (rules.typ === 'ignored') return
  const { typ } = header
  if (typ === undefined && rules.typ === 'checked') return
  if (typeof typ === 'string') {
    const short = shortType(typ)
    if (short === TYPED || (short === 'jwt' && rules.typ === 'checked')) return
  }
  const expected = rules.typ === 'required' ? TYPED : `absent, JWT or ${TYPED}`
  throw refusal('assertion_typ_not_allowed', { detail: `expected typ ${expected}, got ${shown(typ)}` })
}

/**
 * No header member that changes how the token is to be read: `crit` (no extension is understood here, RFC 7515
 * §4.1.11), `b64` (RFC 7797 §7), or a content type of a nested token. `jwk`, `jku`, `x5u`, `x5c` and `x5t` may be there
 * and are never looked at (RFC 8725 §3.10).
 */
export function checkExtensions(header: Header): void {
  for (const name of ['crit', 'b64'])
    if (Object.hasOwn(header, name))
      throw refusal('assertion_header_not_allowed', { detail: `expected no ${name} in the header, got one` })
  if (Object.hasOwn(header, 'zip') || Object.hasOwn(header, 'enc'))
    throw refusal('assertion_encrypted', { detail: 'expected a signed JWT, the header is one of an encrypted JWT' })
  const { cty } = header
  if (cty !== undefined && (typeof cty !== 'string' || shortType(cty) === 'jwt'))
    throw refusal('assertion_encrypted', { detail: 'expected claims, the header announces a nested token (cty)' })
}

/** `kid`, where there is one, is a string (RFC 7515 §4.1.4). */
export function checkKeyId(header: Header): string | undefined {
  const { kid } = header
  if (kid === undefined || typeof kid === 'string') return kid
  throw refusal('assertion_key_id_malformed', { detail: `expected kid to be a string, got ${shown(kid)}` })
}

/** There is a `kid`, where the rules demand one. */
export function checkKeyIdPresent(kid: unknown, rules: AssertionRules): void {
  if (rules.requireKeyId && kid === undefined)
    throw refusal('assertion_key_id_missing', { detail: 'expected a kid in the header, got none' })
}
