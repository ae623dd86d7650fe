import {
  type AuthorizationCodeOptions,
  authorizationCode as authorizationCodeExchange,
} from '../exchanges/authorization_code.ts'
import {
  type ClientCredentialsOptions,
  clientCredentials as clientCredentialsExchange,
} from '../exchanges/client_credentials.ts'
import { type RefreshTokenOptions, refreshToken as refreshTokenExchange } from '../exchanges/refresh_token.ts'
import { checkOptions, optionNames } from '../options.ts'
import { type Oauth2orizeExchange, type ToOauth2orizeOptions, wrapExchange } from './to_oauth2orize.ts'

const OF_WRAPPER = { toClient: true, userProperty: true, clock: true } as const
const OF_SCOPE = { commaSeparatesScope: true, defaultScope: true } as const
const OF_AUTHORIZATION_CODE = optionNames<AuthorizationCodeOptions & ToOauth2orizeOptions>({
  codes: true,
  sessions: true,
  tokens: true,
  permits: true,
  onSimultaneousRedemption: true,
  scopeParameter: true,
  onNewGrant: true,
  resources: true,
  context: true,
  ...OF_SCOPE,
  ...OF_WRAPPER,
})
const OF_REFRESH_TOKEN = optionNames<RefreshTokenOptions & ToOauth2orizeOptions>({
  sessions: true,
  tokens: true,
  permits: true,
  adopt: true,
  resources: true,
  context: true,
  ...OF_SCOPE,
  ...OF_WRAPPER,
})
const OF_CLIENT_CREDENTIALS = optionNames<ClientCredentialsOptions & ToOauth2orizeOptions>({
  tokens: true,
  resources: true,
  context: true,
  ...OF_SCOPE,
  ...OF_WRAPPER,
})

/**
 * Creates the exchange for `grant_type=authorization_code` (RFC 6749 §4.1.3, RFC 7636 §4.5). Pass it to
 * `server.exchange(…)` of oauth2orize or to `createTokenEndpoint`. Throws a `TypeError` if an option is unknown or
 * invalid.
 *
 * @example
 * ```ts
 * import * as oauth from 'passport-client-assertion-jwt'
 *
 * server.exchange(oauth.createAuthorizationCodeExchange({ codes: codeStore, sessions, tokens }))
 * server.exchange(oauth.createRefreshTokenExchange({ sessions, tokens }))
 * server.exchange(oauth.createClientCredentialsExchange({ tokens }))
 * ```
 */
export function createAuthorizationCodeExchange(
  options: AuthorizationCodeOptions & ToOauth2orizeOptions,
): Oauth2orizeExchange {
  checkOptions('createAuthorizationCodeExchange', options, OF_AUTHORIZATION_CODE)
  return wrapExchange(authorizationCodeExchange(options), options)
}

/**
 * Creates the exchange for `grant_type=refresh_token` (RFC 6749 §6). Pass it to `server.exchange(…)` of oauth2orize or
 * to `createTokenEndpoint`. Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import * as oauth from 'passport-client-assertion-jwt'
 *
 * server.exchange(oauth.createAuthorizationCodeExchange({ codes: codeStore, sessions, tokens }))
 * server.exchange(oauth.createRefreshTokenExchange({ sessions, tokens }))
 * server.exchange(oauth.createClientCredentialsExchange({ tokens }))
 * ```
 */
export function createRefreshTokenExchange(options: RefreshTokenOptions & ToOauth2orizeOptions): Oauth2orizeExchange {
  checkOptions('createRefreshTokenExchange', options, OF_REFRESH_TOKEN)
  return wrapExchange(refreshTokenExchange(options), options)
}

/**
 * Creates the exchange for `grant_type=client_credentials` (RFC 6749 §4.4). Pass it to `server.exchange(…)` of
 * oauth2orize or to `createTokenEndpoint`. Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { createClientCredentialsExchange } from 'passport-client-assertion-jwt'
 *
 * const token = createTokenEndpoint({ authenticateClient, exchanges: [createClientCredentialsExchange({ tokens })], path: '/oauth/token' })
 * ```
 */
export function createClientCredentialsExchange(
  options: ClientCredentialsOptions & ToOauth2orizeOptions,
): Oauth2orizeExchange {
  checkOptions('createClientCredentialsExchange', options, OF_CLIENT_CREDENTIALS)
  return wrapExchange(clientCredentialsExchange(options), options)
}
