// What an existing oauth2orize server takes in: './oauth2orize' of the package.

export { type AuthorizationOptions, authorizationSide } from './authorization.ts'
export { type AuthorizationErrorsOptions, authorizationErrors, type ShownError } from './authorization_response.ts'
export {
  type RememberedConsentOptions,
  rememberedConsent,
  type ValidateAuthorizationOptions,
  validateAuthorization,
} from './authorize.ts'
export { type CodeGrantOptions, codeGrant } from './code_grant.ts'
export { type Oauth2orizeExchange, type ToOauth2orizeOptions, toOauth2orize } from './exchange.ts'
export { authorizationCode, clientCredentials, refreshToken } from './exchanges.ts'
export { type ExchangeStep, safeExchange, safeIssue } from './foreign_exchange.ts'
export { pkceRequestParser } from './pkce_extension.ts'
export {
  type Oauth2orizeTransaction,
  retryOf,
  type SealedTransactionsOptions,
  sealedTransactions,
  type TransactionStore,
} from './transactions.ts'
export type { SubjectOf } from './user.ts'
