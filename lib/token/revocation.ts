import { requireVerbs } from '../options.ts'
import { requiredParameter } from '../parameters.ts'
import type { Sessions } from '../session/sessions.ts'
import type { TokenRequest } from './introspection.ts'
import type { Tokens } from './token_set.ts'

/** Answers `revocation_endpoint` requests; see `createRevocation`. */
export type Revoke = (request: TokenRequest) => Promise<Record<string, never>>

/**
 * RFC 7009: a client gives up a token of its own. A refresh token, also one that is superseded, ends its session, and with
 * it its access tokens, where resource servers introspect; an access token ends alone and its session goes on.
 * Unknown, expired and other clients' tokens are left alone, and all are answered alike: `{}`. `token_type_hint` is
 * not needed: tokens tell their kind themselves. Public clients may revoke too.
 */
export function createRevocation(options: {
  readonly sessions: Pick<Sessions, 'end' | 'revokeAccessToken'>
  readonly tokens: Pick<Tokens, 'verifyAccessToken' | 'verifyRefreshToken'>
}): Revoke {
  const { sessions, tokens } = options
  requireVerbs('sessions', sessions, ['end', 'revokeAccessToken'])
  requireVerbs('tokens', tokens, ['verifyAccessToken', 'verifyRefreshToken'])

  return async ({ client, parameters, now }) => {
    const token = requiredParameter(parameters, 'token')
    const refresh = await tokens.verifyRefreshToken(token, now)
    if (refresh !== undefined) {
      if (refresh.client_id === client.client_id) await sessions.end(refresh.sid, now, { markerExpiresAt: refresh.exp })
      return {}
    }
    const access = await tokens.verifyAccessToken(token, now)
    if (access !== undefined && access.client_id === client.client_id) await sessions.revokeAccessToken(access, now)
    return {}
  }
}
