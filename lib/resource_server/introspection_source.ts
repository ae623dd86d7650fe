import { createHash } from 'node:crypto'
import { answerOf, refusal, unavailable } from '../errors.ts'
import { requireFunction, wholeNumber } from '../options.ts'
import { createBoundedCache } from '../remote/bounded_cache.ts'
import { type Claims, shown, type TokenSource } from './source.ts'

/** Verifies tokens by introspection at the issuer (RFC 7662). */
export interface IntrospectionKeys {
  /**
   * Sends the token to the introspection endpoint and returns its JSON response. If there is no response, throw or
   * reject: the client then gets a 503.
   */
  readonly introspect: (token: string) => object | Promise<object>
  /**
   * Seconds for which an active response is cached, 0 to 60. Default 0. A revoked token may be accepted for that long.
   */
  readonly cacheSeconds?: number | undefined
}

interface Kept {
  /** As JSON: the application gets a copy, because it may change what it gets. */
  readonly claims: string
  readonly at: number
}

const MOST_KEPT = 10_000
const ACCESS_TOKEN_TYPES = ['bearer', 'dpop', 'access_token', 'at+jwt']

const isAccessTokenType = (type: unknown): boolean =>
  type === undefined || type === null || (typeof type === 'string' && ACCESS_TOKEN_TYPES.includes(type.toLowerCase()))

/** The claims of an active token; throws for any other response. */
function readResponse(response: unknown): Claims {
  const { active, ...claims } = Object(response) as Claims
  if (typeof active !== 'boolean')
    throw unavailable(new TypeError('introspect must return the response of RFC 7662, with active'))
  if (!active) throw refusal('token_revoked', { detail: 'introspection reports that the token is not active' })
  const { token_type: type } = claims
  if (!isAccessTokenType(type))
    throw refusal('token_typ_not_allowed', { detail: `expected an access token, got token_type ${shown(type)}` })
  if (typeof type === 'string' && type.toLowerCase() === 'dpop' && claims['cnf'] === undefined)
    throw refusal('token_bound', { detail: 'the token has token_type DPoP and was sent as a bearer token' })
  return claims
}

function jsonOf(claims: Claims): string | undefined {
  try {
    return JSON.stringify(claims)
  } catch {
    return undefined // no JSON: nothing is kept
  }
}

/** Tokens that the issuer says are active. */
export function createIntrospectionSource({ introspect, cacheSeconds }: IntrospectionKeys): TokenSource {
  requireFunction('keys.introspect', introspect)
  const lifetime = wholeNumber('keys.cacheSeconds', cacheSeconds, 0, 0, 60)
  const kept = createBoundedCache<Kept>(MOST_KEPT)

  async function claimsOf(token: string, now: number): Promise<Claims> {
    if (lifetime === 0) return readResponse(await answerOf(() => introspect(token)))
    const digest = createHash('sha256').update(token).digest('base64url')
    const found = kept.get(digest)
    if (found !== undefined && now >= found.at && now < found.at + lifetime) return JSON.parse(found.claims)
    const claims = readResponse(await answerOf(() => introspect(token)))
    const json = jsonOf(claims)
    if (json !== undefined) kept.set(digest, { claims: json, at: now })
    return claims
  }

  return async (attempt) => {
    const claims = await claimsOf(attempt.token, attempt.now)
    attempt.authentic = claims
    attempt.checkClaims(claims)
    return claims
  }
}
