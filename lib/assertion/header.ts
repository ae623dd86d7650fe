import { refusal } from '../errors.ts'
import { type Algorithm, algorithmNamed, isSameAlgorithm } from '../keys/algorithms.ts'
import type { Check } from './attempt.ts'
import type { AssertionRules } from './rules.ts'

type Header = Readonly<Record<string, unknown>>

/** A value out of an unverified assertion, for operators: short, in one line. */
export const shown = (value: unknown): string =>
  value === undefined ? 'none' : (JSON.stringify(value) ?? 'none').slice(0, 120)

/** `alg` is one the server takes (RFC 8725 §3.1). The name is returned. */
function checkAlgorithm(header: Header, allowed: readonly string[], edDsaAlias: boolean): string {
  const { alg } = header
  if (typeof alg === 'string') {
    if (allowed.includes(alg)) return alg
    if (algorithmNamed(alg) && allowed.some((each) => isSameAlgorithm(alg, each, edDsaAlias))) return alg
  }
  throw refusal('assertion_algorithm_not_allowed', {
    detail: `expected alg to be one of ${allowed.join(', ')}, got ${shown(alg)}`,
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
function checkTyp(header: Header, rules: AssertionRules): void {
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
function checkExtensions(header: Header): void {
  for (const name of ['crit', 'b64'])
    if (Object.hasOwn(header, name))
      throw refusal('assertion_header_not_allowed', { detail: `expected no ${name} in the header, got one` })
  if (Object.hasOwn(header, 'zip') || Object.hasOwn(header, 'enc'))
    throw refusal('assertion_encrypted', { detail: 'expected a signed JWT, got the header of an encrypted JWT' })
  const { cty } = header
  if (cty !== undefined && (typeof cty !== 'string' || shortType(cty) === 'jwt'))
    throw refusal('assertion_encrypted', { detail: 'expected claims, got a nested token (cty)' })
}

/** `kid`, where there is one, is a string (RFC 7515 §4.1.4). */
function checkKeyId(header: Header): string | undefined {
  const { kid } = header
  if (kid === undefined || typeof kid === 'string') return kid
  throw refusal('assertion_key_id_malformed', { detail: `expected kid to be a string, got ${shown(kid)}` })
}

/** There is a `kid`, where the rules demand one. */
function checkKeyIdPresent(kid: unknown, rules: AssertionRules): void {
  if (rules.requireKeyId && kid === undefined)
    throw refusal('assertion_key_id_missing', { detail: 'expected a kid in the header, got none' })
}

export const HEADER_CHECKS: readonly Check[] = [
  {
    name: 'alg',
    title: 'The server accepts the algorithm',
    needs: ['envelope'],
    run(attempt) {
      const { rules, context } = attempt
      attempt.alg = checkAlgorithm(attempt.envelope.header, rules.algorithmsFor(context), rules.edDsaAlias)
      attempt.algorithm = algorithmNamed(attempt.alg) as Algorithm
    },
    report: ({ alg }) => alg,
  },
  {
    name: 'header',
    title: 'Nothing in the header changes how the token is read (crit, b64, nesting)',
    needs: ['envelope'],
    run: ({ envelope }) => checkExtensions(envelope.header),
  },
  {
    name: 'kid',
    title: 'The key id, if present, is a string',
    needs: ['envelope'],
    run(attempt) {
      attempt.kid = checkKeyId(attempt.envelope.header)
    },
    report: ({ kid }) => kid ?? 'none',
  },
]

/** `perClient` may change the rules of these. */
export const OWN_HEADER_CHECKS: readonly Check[] = [
  {
    name: 'typ',
    title: 'The type (typ) is allowed for a client assertion',
    needs: ['envelope'],
    run: ({ envelope, rules }) => checkTyp(envelope.header, rules),
    report: ({ envelope }) => String(envelope.header['typ'] ?? 'none'),
  },
  {
    name: 'kid_present',
    title: 'The key id (kid) is present, as the profile requires',
    needs: ['envelope'],
    run: ({ envelope, rules }) => checkKeyIdPresent(envelope.header['kid'], rules),
    applies: ({ requireKeyId }) => requireKeyId,
  },
]
