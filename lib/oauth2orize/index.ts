// What an existing oauth2orize server takes in: './oauth2orize' of the package.

export type { AuthorizationParameters } from '../code/authorization_request.ts'
export type { AuthorizationCodeOptions } from '../exchanges/authorization_code.ts'
export type { ClientCredentialsOptions } from '../exchanges/client_credentials.ts'
export type { RefreshTokenOptions } from '../exchanges/refresh_token.ts'
export { type AuthorizationOptions, authorizationSide } from './authorization.ts'
export type { Oauth2orizeRequest, ParametersRequest } from './authorization_parameters.ts'
export {
  type AuthorizationErrorsOptions,
  type AuthorizationResponse,
  authorizationErrors,
  type ShownError,
} from './authorization_response.ts'
export {
  type ValidateAuthorizationOptions,
  type ValidateDone,
  validateAuthorization,
} from './authorize.ts'
export { type CodeGrantOptions, codeGrant, type Oauth2orizeGrant } from './code_grant.ts'
export { type Oauth2orizeExchange, type ToOauth2orizeOptions, toOauth2orize } from './exchange.ts'
export { authorizationCode, clientCredentials, refreshToken } from './exchanges.ts'
export { type ExchangeStep, type SafeExchange, safeExchange, safeIssue } from './foreign_exchange.ts'
export { pkceRequestParser } from './pkce_extension.ts'
export {
  type ImmediateDone,
  type RememberedConsentOptions,
  rememberedConsent,
} from './remembered_consent.ts'
export { retryOf } from './retry.ts'
export {
  type Oauth2orizeTransaction,
  type SealedTransactionsOptions,
  sealedTransactions,
  type TransactionRequest,
  type TransactionStore,
} from './transactions.ts'
export type { SubjectOf } from './user.ts'
