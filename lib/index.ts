// The public names. What is not listed here is private, wherever it stands.

export type { ReplayRegister } from './assertion/replay.ts'
export type {
  AuthenticatedClient,
  Client,
  ClientAuthentication,
  ClientAuthenticationMethod,
  ClientSecret,
  FindClient,
  JwkSet,
  RequestContext,
} from './client.ts'
export { type Clock, systemClock } from './clock.ts'
export type { AuthorizationCode } from './code/authorization_code.ts'
export type { CodeStore } from './code/store.ts'
export { OAuthError, type OAuthErrorCode, type OAuthErrorOptions, REASONS, type Reason } from './errors.ts'
export { type Events, onEvent } from './events.ts'
export type { Exchange, ExchangeRequest, TokenResponse } from './exchanges/exchange.ts'
export type { FormParameters } from './parameters.ts'
export type { Session } from './session/session.ts'
export type { SessionStore } from './session/store.ts'
