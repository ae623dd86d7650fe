import { checkOptions, optionNames, requireFunction, requireVerbs } from '../options.ts'
import { requiredParameter } from '../parameters.ts'
import type { Sessions } from '../session/sessions.ts'
import { type Adopt, adoptedSessionId, askAdopt, oldSessionOf, rememberedUntil } from '../token/adopted_token.ts'
import type { Tokens } from '../token/token_set.ts'
import { checkEndpointOptions } from './authentication.ts'
import { type ClientEndpointOptions, clientEndpoint } from './client_endpoint.ts'
import type { TokenRequest } from './introspection.ts'
import type { RequestHandler } from './shell.ts'
import type { EndpointFacts } from './turn.ts'

/** Answers `revocation_endpoint` requests; see `createRevocation`. */
export type Revoke = (request: TokenRequest) => Promise<Record<string, never>>

/**
 * The options of `createRevocation`.
 *
 * @inline
 */
interface RevocationOptions {
  /** What `createSessions` returned. Revoking a refresh token ends its session. */
  readonly sessions: Pick<Sessions, 'get' | 'end' | 'revokeAccessToken'>
  /** What `createTokens` returned. It verifies the tokens. */
  readonly tokens: Pick<Tokens, 'readAccessToken' | 'readRefreshToken'>
  /** The hook of `createRefreshTokenExchange`, where it is used: such a token can be given up as well, adopted already or not. */
  readonly adopt?: Adopt | undefined
}

const NAMES = optionNames<RevocationOptions>({ sessions: true, tokens: true, adopt: true })

/**
 * Makes the function that revokes tokens (RFC 7009). A client can revoke the tokens that were issued to it, public clients
 * included. Revoking a refresh token, also a superseded one, ends its session, and with it its access tokens where resource servers
 * introspect. Revoking an access token ends only that token. Unknown tokens and other clients' tokens are not changed. The response
 * is `{}` in every case. `token_type_hint` is ignored: the token shows its kind.
 *
 * @example
 * ```ts
 * import { createRevocation } from 'passport-client-assertion-jwt'
 *
 * const revoke = createRevocation({ sessions, tokens })
 * const introspect = createIntrospection({ sessions, tokens })
 * export const both = createClientEndpoint(
 *   (request) => (request.parameters['action'] === 'revoke' ? revoke(request) : introspect(request)),
 *   { authenticateClient, path: '/token-state' },
 * )
 * ```
 */
export function createRevocation(options: RevocationOptions): Revoke {
  checkOptions('createRevocation', options, NAMES)
  return revocation(options)
}

/** Revocation with options that are checked already. */
function revocation(options: RevocationOptions): Revoke {
  const { sessions, tokens, adopt } = options
  requireVerbs('sessions', sessions, ['get', 'end', 'revokeAccessToken'])
  requireVerbs('tokens', tokens, ['readAccessToken', 'readRefreshToken'])
  if (adopt !== undefined) requireFunction('adopt', adopt)

  /** Ends the session that the token opened, or sees to it that it opens none. */
  async function giveUpAdopted(token: string, recognise: Adopt, { client, now, context }: TokenRequest): Promise<void> {
    const id = adoptedSessionId(token)
    const session = await sessions.get(id, now)
    if (session !== undefined) {
      if (session.clientId === client.client_id) await sessions.end(id, now)
      return
    }
    const old = await askAdopt(recognise, token, { ...context, client, now })
    if (old?.clientId !== client.client_id) return
    await sessions.end(oldSessionOf(old)?.id ?? id, now, { markerExpiresAt: rememberedUntil(old, now) })
  }

  return async (request) => {
    const { client, parameters, now } = request
    const token = requiredParameter(parameters, 'token')
    const refresh = await tokens.readRefreshToken(token) // whatever its exp: its session may have slid on
    if (refresh !== undefined) {
      if (refresh.client_id === client.client_id) await sessions.end(refresh.sid, now, { markerExpiresAt: refresh.exp })
      return {}
    }
    const access = await tokens.readAccessToken(token) // also one that is not in force yet
    if (access !== undefined) {
      if (access.client_id === client.client_id) await sessions.revokeAccessToken(access, now)
      return {}
    }
    if (adopt !== undefined) await giveUpAdopted(token, adopt, request)
    return {}
  }
}

/**
 * Makes the revocation endpoint (RFC 7009), with the client authentication of the token endpoint: for bare `node:http`, or
 * a middleware of Express 4 and 5. It responds with 200 and `{}`, also for tokens that are unknown or another client's.
 *
 * @example
 * ```ts
 * import { createRevocationEndpoint } from 'passport-client-assertion-jwt'
 *
 * export const revocation = createRevocationEndpoint({ authenticateClient, sessions, tokens, path: '/revoke' })
 * ```
 */
export function createRevocationEndpoint(
  options: RevocationOptions & ClientEndpointOptions,
): RequestHandler & EndpointFacts {
  checkEndpointOptions('createRevocationEndpoint', options, NAMES)
  return clientEndpoint(revocation(options), options)
}
