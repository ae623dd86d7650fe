import { authorizationCode as authorizationCodeExchange } from '../exchanges/authorization_code.ts'
import { clientCredentials as clientCredentialsExchange } from '../exchanges/client_credentials.ts'
import { refreshToken as refreshTokenExchange } from '../exchanges/refresh_token.ts'
import { type Oauth2orizeExchange, type ToOauth2orizeOptions, toOauth2orize } from './exchange.ts'

/**
 * The exchange for `grant_type=authorization_code` (RFC 6749 §4.1.3, RFC 7636 §4.5), for `server.exchange(…)` of
 * oauth2orize and for `tokenHandler`.
 */
export const authorizationCode = (
  options: Parameters<typeof authorizationCodeExchange>[0] & ToOauth2orizeOptions,
): Oauth2orizeExchange => toOauth2orize(authorizationCodeExchange(options), options)

/** The exchange for `grant_type=refresh_token` (RFC 6749 §6), for `server.exchange(…)` and for `tokenHandler`. */
export const refreshToken = (
  options: Parameters<typeof refreshTokenExchange>[0] & ToOauth2orizeOptions,
): Oauth2orizeExchange => toOauth2orize(refreshTokenExchange(options), options)

/** The exchange for `grant_type=client_credentials` (RFC 6749 §4.4), for `server.exchange(…)` and for `tokenHandler`. */
export const clientCredentials = (
  options: Parameters<typeof clientCredentialsExchange>[0] & ToOauth2orizeOptions,
): Oauth2orizeExchange => toOauth2orize(clientCredentialsExchange(options), options)
