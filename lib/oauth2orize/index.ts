// `passport-client-assertion-jwt/oauth2orize`: the authorization side, and what existing exchanges need.

// The authorization side
export { type AuthorizationOptions, createAuthorizationSide } from './authorization.ts'
export type { Oauth2orizeRequest } from './authorization_parameters.ts'
export { respondWithAuthorizationError, type ShownError } from './authorization_response.ts'
export { validateAuthorization } from './authorize.ts'
export { createCodeGrant, type Oauth2orizeGrant } from './code_grant.ts'
export { type GuardedExchange, guardExchange, guardIssue } from './foreign_exchange.ts'
export { createRequestParser } from './pkce_extension.ts'
export { checkRememberedConsent } from './remembered_consent.ts'
// Transactions
export { getRetryQuery } from './retry.ts'
// Exchanges of your own
export { toOauth2orize } from './to_oauth2orize.ts'
export { createSealedTransactions, type Oauth2orizeTransaction, type TransactionStore } from './transactions.ts'
export type { SubjectOf } from './user.ts'
