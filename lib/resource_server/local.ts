import { answerOf, type OAuthError, refusal } from '../errors.ts'
import { isJwsProblem, readCompactJws } from '../keys/compact_jws.ts'
import { requireVerbs } from '../options.ts'
import type { Sessions } from '../session/sessions.ts'
import type { Tokens } from '../token/token_set.ts'
import { isAccessTokenType } from './header_checks.ts'
import { shown, type TokenSource } from './source.ts'

/** Verifies tokens in the process that issues them, or in a process that shares its keys. */
export interface LocalKeys {
  /** What `createTokens` returned. */
  readonly tokens: Pick<Tokens, 'issuer' | 'readAccessToken'>
  /**
   * What `createSessions` returned. With it, revoked tokens and tokens of ended sessions are refused at once. Default:
   * revocation is not checked.
   */
  readonly sessions?: Pick<Sessions, 'get' | 'isAccessTokenRevoked'> | undefined
}

/** Why `tokens` does not know a token, as far as can be seen from outside. */
function explain(token: string, issuer: string): OAuthError {
  const jws = readCompactJws(token)
  const unknown = (detail: string): OAuthError => refusal('token_signature_wrong', { detail })
  if (isJwsProblem(jws)) {
    return token.includes('.')
      ? refusal('token_malformed', { detail: jws.problem })
      : unknown('this server did not issue the token')
  }
  const { header, claims } = jws
  if ('crit' in header || 'b64' in header)
    return refusal('token_malformed', { detail: 'expected no crit and no b64 in the header' })
  if (!isAccessTokenType(header['typ']))
    return refusal('token_typ_not_allowed', { detail: `expected typ at+jwt, got ${shown(header['typ'])}` })
  if (claims['iss'] !== issuer)
    return refusal('token_issuer_mismatch', { detail: `expected iss ${shown(issuer)}, got ${shown(claims['iss'])}` })
  return unknown(`no key of this server verifies the signature (${shown(header['alg'])}, kid ${shown(header['kid'])})`)
}

/** Tokens of this server. With `sessions`, revoked tokens and those of ended sessions are refused. */
export function createLocalSource({ tokens, sessions }: LocalKeys): TokenSource {
  requireVerbs('keys.tokens', tokens, ['readAccessToken'])
  if (sessions !== undefined) requireVerbs('keys.sessions', sessions, ['get', 'isAccessTokenRevoked'])
  return async (attempt) => {
    const { token, now } = attempt
    const claims = await answerOf(() => tokens.readAccessToken(token))
    if (claims === undefined) throw explain(token, tokens.issuer)
    attempt.authentic = claims
    attempt.checkClaims(claims)
    if (sessions === undefined) return claims
    const { jti, sid } = claims
    const [isRevoked, session] = await answerOf(() =>
      Promise.all([sessions.isAccessTokenRevoked(jti, now), sid === undefined ? undefined : sessions.get(sid, now)]),
    )
    if (isRevoked) throw refusal('token_revoked', { detail: 'the token was revoked' })
    if (sid !== undefined && session === undefined) throw refusal('token_revoked', { detail: 'its session ended' })
    return claims
  }
}
