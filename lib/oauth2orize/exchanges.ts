import {
  type AuthorizationCodeOptions,
  authorizationCode as authorizationCodeExchange,
} from '../exchanges/authorization_code.ts'
import {
  type ClientCredentialsOptions,
  clientCredentials as clientCredentialsExchange,
} from '../exchanges/client_credentials.ts'
import { type RefreshTokenOptions, refreshToken as refreshTokenExchange } from '../exchanges/refresh_token.ts'
import { type Oauth2orizeExchange, type ToOauth2orizeOptions, toOauth2orize } from './exchange.ts'

/**
 * The exchange for `grant_type=authorization_code` (RFC 6749 §4.1.3, RFC 7636 §4.5), for `server.exchange(…)` of
 * oauth2orize and for `createTokenEndpoint`.
 */
export const authorizationCode = (options: AuthorizationCodeOptions & ToOauth2orizeOptions): Oauth2orizeExchange =>
  toOauth2orize(authorizationCodeExchange(options), options)

/** The exchange for `grant_type=refresh_token` (RFC 6749 §6), for `server.exchange(…)` and for `createTokenEndpoint`. */
export const refreshToken = (options: RefreshTokenOptions & ToOauth2orizeOptions): Oauth2orizeExchange =>
  toOauth2orize(refreshTokenExchange(options), options)

/** The exchange for `grant_type=client_credentials` (RFC 6749 §4.4), for `server.exchange(…)` and for `createTokenEndpoint`. */
export const clientCredentials = (options: ClientCredentialsOptions & ToOauth2orizeOptions): Oauth2orizeExchange =>
  toOauth2orize(clientCredentialsExchange(options), options)
