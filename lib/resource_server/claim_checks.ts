import { refusal } from '../errors.ts'
import { isSameResource } from '../resource_uri.ts'
import { type Claims, shown } from './source.ts'

/** What the claims of a token are held to. */
export interface ClaimRules {
  readonly issuer: string
  /** What `aud` may be. */
  readonly audiences: readonly string[]
  /** Whether the claims of RFC 9068 §2.2 must be there. */
  readonly isStrict: boolean
  /** Seconds by which the clock of the issuer may differ. */
  readonly tolerance: number
  /** The same for `iat`, which this server's other nodes may have written. */
  readonly issuedAtTolerance: number
}

const malformed = (detail: string): Error => refusal('token_malformed', { detail })

/** `iss` is exactly the issuer (RFC 9068 §4). Introspection may leave it out (RFC 7662 §2.2). */
function checkIssuer({ iss }: Claims, { issuer }: ClaimRules, isOptional: boolean): void {
  if (iss === issuer || (iss === undefined && isOptional)) return
  throw refusal('token_issuer_mismatch', { detail: `expected iss ${shown(issuer)}, got ${shown(iss)}` })
}

/** `aud` is, or contains, this resource (RFC 9068 §4). */
function checkAudience({ aud }: Claims, { audiences }: ClaimRules): void {
  const named: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  const isNamed = (one: unknown): boolean =>
    typeof one === 'string' && audiences.some((audience) => isSameResource(one, audience))
  if (named.some(isNamed)) return
  throw refusal('token_audience_mismatch', { detail: `expected aud ${audiences.join(' or ')}, got ${shown(aud)}` })
}

/** The token is in force: `exp` is there, and `nbf` and `iat` are not in the future. */
function checkTimes({ exp, nbf, iat }: Claims, rules: ClaimRules, now: number): void {
  for (const [name, value] of Object.entries({ exp, nbf, iat }))
    if (value !== undefined && !Number.isFinite(value)) throw malformed(`expected ${name} to be a number`)
  if (exp === undefined) throw malformed('expected exp, got none')
  const past = now - rules.tolerance
  if ((exp as number) <= past) throw refusal('token_expired', { detail: `expired at ${shown(exp)}, it is ${now}` })
  const future = now + rules.tolerance
  if (nbf !== undefined && (nbf as number) > future)
    throw refusal('token_expired', { detail: `not valid before ${shown(nbf)}, it is ${now}` })
  if (iat !== undefined && (iat as number) > now + rules.issuedAtTolerance)
    throw refusal('token_expired', { detail: `issued in the future, at ${shown(iat)}, it is ${now}` })
}

const REQUIRED = ['sub', 'client_id', 'jti'] as const

/** The claims that RFC 9068 §2.2 requires are there, as strings and a number. */
function checkRequired(claims: Claims): void {
  for (const name of REQUIRED)
    if (typeof claims[name] !== 'string' || claims[name] === '')
      throw malformed(`expected ${name} to be a string, got ${shown(claims[name])}`)
  if (typeof claims['iat'] !== 'number') throw malformed(`expected iat to be a number, got ${shown(claims['iat'])}`)
}

/** The token is not bound to a key: it would have to come with a proof (RFC 9449 §7.2, RFC 8705 §3). */
function checkUnbound({ cnf }: Claims): void {
  if (cnf === undefined || cnf === null) return
  throw refusal('token_bound', { detail: 'the token is bound to a key (cnf) and was sent as a bearer token' })
}

/** The thumbprint of the key that a token is bound to (RFC 9449 §6.1). It is a bearer token if it has none. */
export function keyOf({ cnf }: Claims): string {
  const { jkt } = Object(cnf) as { readonly jkt?: unknown }
  if (typeof jkt === 'string') return jkt
  throw refusal('token_key_mismatch', { detail: 'the token is not bound to a key but was sent with the scheme DPoP' })
}

/** Checks the claims of a token that is or may be the issuer's, in the order in which operators want to learn of problems. */
export function checkTokenClaims(
  claims: Claims,
  rules: ClaimRules,
  now: number,
  isIntrospected = false,
  hasProof = false,
): void {
  checkIssuer(claims, rules, isIntrospected)
  checkAudience(claims, rules)
  checkTimes(claims, rules, now)
  if (rules.isStrict) checkRequired(claims)
  if (hasProof) keyOf(claims)
  else checkUnbound(claims)
}
