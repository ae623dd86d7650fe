import type { ReplayRegister } from '../assertion/replay.ts'
import type { Client, FindClient } from '../client.ts'
import type { AuthorizationRules } from '../code/authorization_request.ts'
import type { Consents } from '../consent/consents.ts'
import { type AuthorizationErrorsOptions, authorizationErrors } from './authorization_response.ts'
import { validateAuthorization } from './authorize.ts'
import { type CodeGrantOptions, codeGrant } from './code_grant.ts'
import { type RememberedConsentOptions, rememberedConsent } from './remembered_consent.ts'
import { type SealedTransactionsOptions, sealedTransactions } from './transactions.ts'

/** Everything the authorization side needs, said once. Each option is explained where the part that uses it declares it. */
export interface AuthorizationOptions<User = unknown, C extends Client = Client>
  extends Omit<AuthorizationRules, 'pkce'>,
    Omit<CodeGrantOptions<User>, 'consents'>,
    Pick<AuthorizationErrorsOptions, 'authorizationPath' | 'showError'>,
    Pick<RememberedConsentOptions<User>, 'askAgain' | 'authenticatedAt'>,
    Pick<SealedTransactionsOptions<User>, 'secret' | 'transactionLifetimeSeconds' | 'transactionField'> {
  readonly findClient: FindClient<C>
  readonly replayRegister: ReplayRegister
  /** Consent is remembered here, and who has given it is not asked again. */
  readonly consents: Pick<Consents, 'allows' | 'remember'>
}

/**
 * The parts of the authorization side, made from one set of options so that they agree:
 *
 * ```ts
 * const authorization = authorizationSide({ issuer, findClient, codes, consents, replayRegister, secret })
 * const server = oauth2orize.createServer({ store: authorization.transactions })
 * server.grant(authorization.grant)
 * app.get('/authorize', login, server.authorization(authorization.validate, authorization.immediate), dialog)
 * app.post('/authorize/decision', login, server.decision())
 * app.use(authorization.errors)
 * ```
 */
export function authorizationSide<User = unknown, C extends Client = Client>(options: AuthorizationOptions<User, C>) {
  const { pkce = 'all' } = options
  const all = { ...options, pkce }
  return {
    /** For `oauth2orize.createServer({ store })`. */
    transactions: sealedTransactions<User>(all),
    /** For `server.grant(…)`. */
    grant: codeGrant<User>(all),
    /** For `server.authorization(validate, …)`. */
    validate: validateAuthorization<C>(all),
    /** For `server.authorization(…, immediate)`. */
    immediate: rememberedConsent<User>(all),
    /** Error middleware for the authorization and decision routes. */
    errors: authorizationErrors(all),
  }
}
