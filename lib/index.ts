// The public names. What is not listed here is private, wherever it stands.

export { type AssertionProfile, type AudienceForm, PROFILES, type ProfileRules } from './assertion/profiles.ts'
export type { ClientRules, PerClient, RuleOptions, ServerName, TypRule } from './assertion/rules.ts'
export {
  type AssertionCheck,
  type AssertionContext,
  type AssertionVerifier,
  type AssertionVerifierOptions,
  createAssertionVerifier,
  type VerifyAssertion,
} from './assertion/verify.ts'
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
export {
  type AuthenticateClient,
  type ClientAuthenticatorOptions,
  createClientAuthenticator,
} from './client_authentication/authenticator.ts'
export type { BasicDecoding } from './client_authentication/basic_credentials.ts'
export { builtInMethods } from './client_authentication/built_in.ts'
export type {
  AssertionVerification,
  AuthenticationContext,
  AuthenticationMethod,
  RequestHead,
} from './client_authentication/method.ts'
export { type ClientProblem, type ClientProblemOptions, findClientProblems } from './client_problems.ts'
export { generateClientSecret, hashClientSecret } from './client_secret.ts'
export { type Clock, systemClock } from './clock.ts'
export type { AuthorizationCode } from './code/authorization_code.ts'
export type { AuthorizationParameters, AuthorizationRules, PkcePolicy } from './code/authorization_request.ts'
export type { RedirectUriRules } from './code/redirect_uri.ts'
export type { CodeStore } from './code/store.ts'
export { type Consent, type Consents, type ConsentsOptions, createConsents } from './consent/consents.ts'
export type { AuthenticationOptions } from './endpoints/authentication.ts'
export { type Answer, type ClientEndpointOptions, createClientEndpoint } from './endpoints/client_endpoint.ts'
export {
  createIntrospection,
  createIntrospectionEndpoint,
  type Introspect,
  type IntrospectionResponse,
  type TokenRequest,
} from './endpoints/introspection.ts'
export {
  type AuthorizationServerMetadata,
  createDocumentEndpoint,
  createMetadata,
  getWellKnownPaths,
  type MetadataOptions,
} from './endpoints/metadata.ts'
export { createRevocation, createRevocationEndpoint, type Revoke } from './endpoints/revocation.ts'
export type { EndpointOptions, RequestHandler } from './endpoints/shell.ts'
export { createTokenEndpoint, type TokenEndpoint, type TokenEndpointOptions } from './endpoints/token.ts'
export type { EndpointFacts } from './endpoints/turn.ts'
export { OAuthError, type OAuthErrorCode, type OAuthErrorOptions, REASONS, type Reason } from './errors.ts'
export { type Events, onEvent, type SessionEvent } from './events.ts'
export type { AuthorizationCodeOptions } from './exchanges/authorization_code.ts'
export type { ClientCredentialsOptions } from './exchanges/client_credentials.ts'
export type { Exchange, ExchangeRequest, TokenResponse } from './exchanges/exchange.ts'
export type { RefreshTokenOptions } from './exchanges/refresh_token.ts'
export { createExpressServer, getServerClasses } from './hosts/express.ts'
export type { PassportLike, StrategyLike } from './hosts/passport.ts'
export {
  type ClientAuthenticationOptions,
  type ClientStrategies,
  clientAuthentication,
  type StrategyAuthenticationOptions,
} from './http/client_authentication.ts'
export { type CorsOptions, cors } from './http/cors.ts'
export {
  type ErrorMiddlewareOptions,
  type ErrorResponseOptions,
  errorResponse,
  type Verbosity,
} from './http/error_response.ts'
export { type FormBodyOptions, formBody } from './http/form_body.ts'
export type {
  ErrorMiddleware,
  Middleware,
  Next as MiddlewareNext,
  Request as MiddlewareRequest,
  Response as MiddlewareResponse,
} from './http/message.ts'
export { noStore } from './http/no_store.ts'
export type { AssertionMethod, SigningAlgorithm } from './keys/algorithms.ts'
export type { KeySetOptions } from './keys/key_sets.ts'
export type { VerificationPlace } from './keys/signature.ts'
export { type AuthorizationOptions, authorizationSide } from './oauth2orize/authorization.ts'
export type { Oauth2orizeRequest, ParametersRequest } from './oauth2orize/authorization_parameters.ts'
export {
  type AuthorizationErrorsOptions,
  type AuthorizationResponse,
  authorizationErrors,
  type ShownError,
} from './oauth2orize/authorization_response.ts'
export {
  type ValidateAuthorizationOptions,
  type ValidateDone,
  validateAuthorization,
} from './oauth2orize/authorize.ts'
export { type CodeGrantOptions, codeGrant, type Oauth2orizeGrant } from './oauth2orize/code_grant.ts'
export { type Oauth2orizeExchange, type ToOauth2orizeOptions, toOauth2orize } from './oauth2orize/exchange.ts'
export { authorizationCode, clientCredentials, refreshToken } from './oauth2orize/exchanges.ts'
export { type ExchangeStep, type SafeExchange, safeExchange, safeIssue } from './oauth2orize/foreign_exchange.ts'
export { pkceRequestParser } from './oauth2orize/pkce_extension.ts'
export {
  type ImmediateDone,
  type RememberedConsentOptions,
  rememberedConsent,
} from './oauth2orize/remembered_consent.ts'
export { retryOf } from './oauth2orize/retry.ts'
export {
  type Oauth2orizeTransaction,
  type SealedTransactionsOptions,
  sealedTransactions,
  type TransactionRequest,
  type TransactionStore,
} from './oauth2orize/transactions.ts'
export type { SubjectOf } from './oauth2orize/user.ts'
export type { FormParameters } from './parameters.ts'
export {
  type AssertionRouteOptions,
  type AssertionStrategyBehaviour,
  type AssertionStrategyOptions,
  ClientAssertionStrategy,
  ClientAssertionStrategy as Strategy,
  type StrategyRequest,
  type VerifyClient,
  type VerifyClientWithRequest,
  type VerifyDone,
} from './passport/assertion_strategy.ts'
export { type BasicVerify, type BasicVerifyOptions, basicVerify } from './passport/basic.ts'
export {
  type ClientPasswordVerify,
  type ClientPasswordVerifyOptions,
  clientPasswordVerify,
} from './passport/client_password.ts'
export type { ClientDone } from './passport/done.ts'
export { PublicClientStrategy, type PublicClientStrategyOptions } from './passport/public_client_strategy.ts'
export { type IsAllowedAddress, isPublicAddress } from './remote/address.ts'
export type { ReplayRegister } from './replay_register.ts'
export type { ScopeRules } from './scope.ts'
export type { Permits } from './session/permits.ts'
export type { RefreshedSession } from './session/refresh.ts'
export type { Permission, Session } from './session/session.ts'
export { createSessions, type OpenSessionOptions, type Sessions, type SessionsOptions } from './session/sessions.ts'
export type { SessionSettings } from './session/settings.ts'
export type { SessionStore } from './session/store.ts'
export type { Adopt, AdoptedPermission } from './token/adopted_token.ts'
export type { AccessTokenClaims, ClaimsContext, RefreshTokenClaims } from './token/claims.ts'
export { type BaseSecret, deriveKeyset } from './token/derived_keys.ts'
export {
  createTokenFactory,
  type KeysetSource,
  type TokenFactory,
  type TokenFactoryOptions,
  type TokenKind,
} from './token/factory.ts'
export type { Claims } from './token/jwt.ts'
export type { Key, KeyInput, PublicJwk } from './token/key.ts'
export { createKeyset, type Keyset, publicJwks } from './token/keyset.ts'
export { createTokens, type TokenSet, type Tokens, type TokensOptions } from './token/token_set.ts'
