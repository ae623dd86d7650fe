import { refusal } from '../errors.ts'
import type { Check } from './attempt.ts'
import { shown } from './header.ts'
import type { AssertionRules } from './rules.ts'

type Claims = Readonly<Record<string, unknown>>

/** Longest client id: they may be URLs. */
export const MOST_CLIENT_ID_CHARACTERS = 1024
const MOST_JTI_CHARACTERS = 256
const DAY_SECONDS = 86_400
// RFC 6749 appendix A.1: client-id = *VSCHAR
const PRINTABLE_ASCII = /^[\x20-\x7e]+$/

/** A number that can be a moment: JSON spells infinity as 1e400. */
const isMoment = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)

/** `sub` can be a client id. It is what the client is looked up by (RFC 7523 §3 point 2). */
function checkSubject(claims: Claims): string {
  const { sub } = claims
  if (typeof sub === 'string' && sub.length <= MOST_CLIENT_ID_CHARACTERS && PRINTABLE_ASCII.test(sub)) return sub
  throw refusal('assertion_subject_malformed', {
    detail: `expected sub to be the client id, up to ${MOST_CLIENT_ID_CHARACTERS} printable ASCII characters, got ${shown(sub)}`,
  })
}

/** `iss` is there and, unless the rules say otherwise, the client itself (OpenID Connect Core §9). */
function checkIssuer(claims: Claims, subject: string, rules: AssertionRules): void {
  const { iss } = claims
  if (rules.requireIssuerIsSubject ? iss === subject : typeof iss === 'string' && iss !== '') return
  const expected = rules.requireIssuerIsSubject
    ? `iss to equal sub (${shown(subject)})`
    : 'iss to be a non-empty string'
  throw refusal('assertion_issuer_mismatch', { detail: `expected ${expected}, got ${shown(iss)}` })
}

/**
 * The assertion is in its time (RFC 7523 §3 points 4 to 6). Returns the moment, in epoch seconds and without the
 * tolerance, from which on it is not: `exp`, or the end of the longest age if that is sooner.
 */
function checkTimes(claims: Claims, now: number, rules: AssertionRules): number {
  const { exp, iat, nbf } = claims
  const tolerance = rules.clockToleranceSeconds
  const longest = rules.maxLifetimeSeconds
  if (!isMoment(exp) || exp <= 0)
    throw refusal('assertion_expiry_malformed', { detail: `expected exp to be a number above 0, got ${shown(exp)}` })
  if (now >= exp + tolerance)
    throw refusal('assertion_expired', { detail: `expected exp later than ${now - tolerance}, got ${exp}` })
  if (exp > now + DAY_SECONDS)
    throw refusal('assertion_lifetime_too_long', {
      detail: `expected exp (epoch seconds) within a day of ${now}, got ${exp}`,
    })
  if (iat === undefined ? rules.requireIat : !isMoment(iat))
    throw refusal('assertion_issued_at_malformed', { detail: `expected iat to be a number, got ${shown(iat)}` })
  if (nbf !== undefined && !isMoment(nbf))
    throw refusal('assertion_not_yet_valid', { detail: `expected nbf to be a number, got ${shown(nbf)}` })
  if (nbf !== undefined && nbf > now + tolerance)
    throw refusal('assertion_not_yet_valid', { detail: `expected nbf at most ${now + tolerance}, got ${nbf}` })
  if (!isMoment(iat) || rules.longLifetime === 'refused') {
    if (exp - now > longest + tolerance || (isMoment(iat) && exp - iat > longest))
      throw refusal('assertion_lifetime_too_long', {
        detail: `expected exp at most ${longest} s ${isMoment(iat) ? 'after iat' : 'in the future'}, got ${exp} (now ${now})`,
      })
  }
  if (!isMoment(iat)) return exp
  if (iat > now + tolerance)
    throw refusal('assertion_issued_in_future', { detail: `expected iat at most ${now + tolerance}, got ${iat}` })
  if (now >= iat + longest + tolerance)
    throw refusal('assertion_too_old', {
      detail: `expected iat later than ${now - longest - tolerance} (at most ${longest} s old), got ${iat}`,
    })
  return Math.min(exp, iat + longest)
}

/** `jti` is a usable id, or is absent where it may be (RFC 7523 §3 point 7, OpenID Connect Core §9). */
function checkId(claims: Claims, rules: AssertionRules): string | undefined {
  const { jti } = claims
  if (jti === undefined && rules.jti === 'optional') return undefined
  if (typeof jti === 'string' && jti !== '' && jti.length <= MOST_JTI_CHARACTERS) return jti
  throw refusal('assertion_id_malformed', {
    detail: `expected jti to be a string of 1 to ${MOST_JTI_CHARACTERS} characters, got ${shown(jti)}`,
  })
}

const dateOf = (seconds: number): string =>
  Math.abs(seconds) < 8e12 ? new Date(seconds * 1000).toISOString() : `second ${seconds}`

/** Whom the assertion speaks for, as far as that is clear before the client is known. */
export const IDENTITY_CHECKS: readonly Check[] = [
  {
    name: 'sub',
    title: 'sub has the form of a client id',
    needs: ['envelope'],
    run(attempt) {
      attempt.clientId = checkSubject(attempt.envelope.claims)
    },
    report: ({ clientId }) => clientId,
  },
  {
    name: 'client_id',
    title: 'The parameter client_id, if present, equals sub',
    needs: ['clientId'],
    run({ parameter, clientId }) {
      if (parameter !== undefined && parameter !== clientId)
        throw refusal('client_id_mismatch', {
          detail: `expected the parameter client_id to equal sub (${JSON.stringify(clientId)}), got ${JSON.stringify(parameter)}`,
        })
    },
    online: true,
  },
]

/** `perClient` may change its rule. */
export const ISSUER_CHECK: Check = {
  name: 'iss',
  title: ({ requireIssuerIsSubject }) => (requireIssuerIsSubject ? 'iss equals sub' : 'iss is present'),
  needs: ['envelope', 'clientId'],
  run: ({ envelope, clientId, rules }) => checkIssuer(envelope.claims, clientId, rules),
  report: ({ envelope }) => String(envelope.claims['iss']),
}

export const CLAIM_CHECKS: readonly Check[] = [
  {
    name: 'time',
    title: 'Not expired, not too old, not in the future (exp, iat, nbf)',
    needs: ['envelope'],
    run(attempt) {
      attempt.expiresAt = checkTimes(attempt.envelope.claims, attempt.now, attempt.rules)
    },
    report: ({ expiresAt, now }) => `valid for another ${Math.round(expiresAt - now)} s, until ${dateOf(expiresAt)}`,
  },
  {
    name: 'jti',
    title: ({ jti }) => (jti === 'required' ? 'jti is present and valid' : 'jti, if present, is valid'),
    needs: ['envelope'],
    run(attempt) {
      attempt.jti = checkId(attempt.envelope.claims, attempt.rules)
    },
    report: ({ jti }) => (jti === undefined ? 'none: it can be replayed' : undefined),
  },
]

/**
 * A slow look-up, key set or check of the application may have outlasted the assertion, and the replay register forgets
 * what has expired.
 */
export const TIME_LEFT_CHECK: Check = {
  name: 'time_left',
  title: 'Not expired in the meantime',
  needs: ['envelope'],
  run({ envelope, now, startedAt, rules }) {
    const waitedSeconds = Math.floor((performance.now() - startedAt) / 1000)
    if (waitedSeconds > 0) checkTimes(envelope.claims, now + waitedSeconds, rules)
  },
  online: true,
}
