// The public names, grouped by task. What is not listed here or in a subpath is private, wherever it is declared.

// Client assertions
export type { AssertionCheck } from './assertion/application_checks.ts'
export { type AssertionProfile, PROFILES } from './assertion/profiles.ts'
export type { ClientRules } from './assertion/rules.ts'
export { type AssertionVerifier, type AssertionVerifierOptions, createAssertionVerifier } from './assertion/verify.ts'
// Clients, and how they authenticate
export type {
  AuthenticatedClient,
  Client,
  ClientAuthentication,
  ClientAuthenticationMethod,
  FindClient,
  RequestContext,
} from './client.ts'
export {
  type AuthenticateClient,
  type ClientAuthenticatorOptions,
  createClientAuthenticator,
} from './client_authentication/authenticator.ts'
export { builtInMethods } from './client_authentication/built_in.ts'
export type { AuthenticationMethod } from './client_authentication/method.ts'
export { type ClientProblem, findClientProblems } from './client_problems.ts'
export { generateClientSecret, hashClientSecret } from './client_secret.ts'
// Errors, events and the server
export { type Clock, systemClock } from './clock.ts'
// Sessions, codes and consent
export type { AuthorizationCode } from './code/code_record.ts'
export type { CodeStore } from './code/code_store.ts'
export { type Consent, type Consents, createConsents } from './consent/consents.ts'
// Endpoints
export { type Answer, createClientEndpoint } from './endpoints/client_endpoint.ts'
export {
  createIntrospection,
  createIntrospectionEndpoint,
  type Introspect,
  type IntrospectionResponse,
} from './endpoints/introspection.ts'
export {
  type AuthorizationServerMetadata,
  createDocumentEndpoint,
  createMetadata,
  getWellKnownPaths,
  type MetadataOptions,
} from './endpoints/metadata.ts'
export {
  createPushedAuthorizationEndpoint,
  type PushedAuthorizationEndpoint,
} from './endpoints/pushed_authorization_request.ts'
export { createRevocation, createRevocationEndpoint, type Revoke } from './endpoints/revocation.ts'
export type { EndpointOptions, RequestHandler } from './endpoints/shell.ts'
export { createTokenEndpoint, type TokenEndpoint, type TokenEndpointOptions } from './endpoints/token.ts'
export type { EndpointFacts } from './endpoints/turn.ts'
export { OAuthError, type OAuthErrorCode, REASONS, type Reason } from './errors.ts'
export { type Events, onEvent } from './events.ts'
// Exchanges, one for each grant type
export type { Exchange, ExchangeRequest, TokenResponse } from './exchanges/exchange.ts'
export { createExpressServer, getServerClasses } from './hosts/express.ts'
// The parts of an endpoint, as middlewares
export { authenticateClients } from './http/client_authentication.ts'
export { allowCors, type CorsOptions } from './http/cors.ts'
export { type ErrorResponseOptions, respondWithError } from './http/error_response.ts'
export { readFormBody } from './http/form_body.ts'
export { setNoStore } from './http/no_store.ts'
export {
  createAuthorizationCodeExchange,
  createClientCredentialsExchange,
  createRefreshTokenExchange,
} from './oauth2orize/exchanges.ts'
export type { Oauth2orizeExchange } from './oauth2orize/to_oauth2orize.ts'
export type { FormParameters } from './parameters.ts'
// Passport
export {
  type AssertionStrategyOptions,
  ClientAssertionStrategy as Strategy,
  type VerifyClient,
} from './passport/assertion_strategy.ts'
export { type BasicVerify, createBasicVerify } from './passport/basic.ts'
export { type ClientPasswordVerify, createClientPasswordVerify } from './passport/client_password.ts'
export { PublicClientStrategy } from './passport/public_client_strategy.ts'
export { createPushedRequests, type PushedRequests } from './pushed/pushed_requests.ts'
export { isPublicAddress } from './remote/address.ts'
export type { ReplayRegister } from './replay_register.ts'
// Resource indicators
export type { Resource } from './resource/resource.ts'
export { createResources, type Resources } from './resource/resources.ts'
export type { Permits } from './session/permits.ts'
export type { Permission, Session } from './session/session.ts'
export type { SessionStore } from './session/session_store.ts'
export { createSessions, type Sessions } from './session/sessions.ts'
export type { SessionSettings } from './session/settings.ts'
export type { Adopt, AdoptedPermission } from './token/adopted_token.ts'
export { deriveKeyset } from './token/derived_keys.ts'
export { createTokenFactory, type TokenFactory } from './token/factory.ts'
export type { Key, KeyInput, PublicJwk } from './token/key.ts'
export { createKeyset, exportPublicJwks, type Keyset } from './token/keyset.ts'
// Tokens and keys
export type { AccessTokenClaims, ClaimsContext, RefreshTokenClaims } from './token/token_claims.ts'
export { createTokens, type TokenSet, type Tokens, type TokensOptions } from './token/token_set.ts'
