import type { Client, FindClient } from '../client.ts'
import type { AuthorizationRules } from '../code/authorization_request.ts'
import type { Consents } from '../consent/consents.ts'
import { checkOptions, requireVerbs } from '../options.ts'
import type { PushedRequests } from '../pushed/pushed_requests.ts'
import type { ReplayRegister } from '../replay_register.ts'
import { type AuthorizationErrorsOptions, createErrorMiddleware, ERRORS_OPTIONS } from './authorization_response.ts'
import { createPushedJudge, createValidate, VALIDATE_OPTIONS } from './authorize.ts'
import { type CodeGrantOptions, createGrant, GRANT_OPTIONS } from './code_grant.ts'
import { readDecision } from './decision.ts'
import { CONSENT_OPTIONS, createImmediate, type RememberedConsentOptions } from './remembered_consent.ts'
import { createRepeatedForms, type RepeatedForms } from './repeated_forms.ts'
import {
  createTransactionStore,
  type SealedTransactionsOptions,
  TRANSACTION_OPTIONS,
  transactionLifetimeOf,
} from './transactions.ts'

type ErrorMiddleware = ReturnType<typeof createErrorMiddleware>

/** The error middleware, after forms that were sent twice got the response of the first time. */
function withRepeatedForms(errors: ErrorMiddleware, forms: RepeatedForms | undefined): ErrorMiddleware {
  if (forms === undefined) return errors
  // Four parameters: that is how Express knows error middleware.
  return function onRepeatedForm(error, request, response, next) {
    forms
      .repeat(error, request, response)
      .then(
        (isSent) => (isSent ? undefined : errors(error, request, response, next)),
        (fault: unknown) => errors(fault, request, response, next),
      )
      .catch(next)
  }
}

/** The options of `createAuthorizationSide`: everything that the parts of the authorization side need. */
export interface AuthorizationOptions<User = unknown, C extends Client = Client>
  extends Omit<AuthorizationRules, 'pkce'>,
    Omit<CodeGrantOptions<User>, 'consents'>,
    Pick<AuthorizationErrorsOptions, 'authorizationPath' | 'showError'>,
    Pick<RememberedConsentOptions<User>, 'askAgain' | 'authenticatedAt'>,
    Pick<
      SealedTransactionsOptions<User>,
      'secret' | 'transactionLifetimeSeconds' | 'transactionField' | 'userProperty'
    > {
  /** Looks up a client by its identifier. Returns `undefined` if the client is unknown. */
  readonly findClient: FindClient<C>
  /** Remembers which transactions the user has decided on, so that a form cannot be used twice. */
  readonly replayRegister: ReplayRegister
  /**
   * What `createConsents` returned. It remembers consent, so users are not asked again for what they allowed before.
   */
  readonly consents: Pick<Consents, 'allows' | 'remember'>
  /**
   * Accepts pushed authorization requests (RFC 9126): what `createPushedRequests` returned. With it, requests with the
   * parameter `request` or with any other `request_uri` are refused. Default: requests cannot be pushed, and both
   * parameters are ignored.
   */
  readonly pushed?: PushedRequests | undefined
}

const NAMES: readonly string[] = [
  ...new Set([VALIDATE_OPTIONS, CONSENT_OPTIONS, GRANT_OPTIONS, TRANSACTION_OPTIONS, ERRORS_OPTIONS, 'pushed'].flat()),
]

/**
 * Creates all parts of the authorization side from one set of options, so that they agree:
 *
 * ```ts
 * const authorization = createAuthorizationSide({ issuer, findClient, codes, consents, replayRegister, secret })
 * const server = oauth2orize.createServer({ store: authorization.transactions })
 * server.grant(authorization.grant)
 * app.get('/authorize', login, server.authorization(authorization.validate, authorization.immediate), dialog)
 * app.post('/authorize/decision', login, server.decision(authorization.decision))
 * app.use(authorization.errors)
 * ```
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { createAuthorizationSide } from 'passport-client-assertion-jwt/oauth2orize'
 *
 * const authorization = createAuthorizationSide<User>({
 *   issuer,
 *   findClient: (clientId) => (clientId === client.client_id ? client : undefined),
 *   codes: codeStore,
 *   consents: createConsents({ store: sessionStore }),
 *   replayRegister,
 *   secret: process.env['BASE_SECRET'] ?? '', // at least 32 random bytes, the same in all processes
 *   authenticatedAt: (user) => user.loggedInAt,
 * })
 * const server = oauth2orize.createServer({ store: authorization.transactions })
 * server.grant(authorization.grant)
 * ```
 */
export function createAuthorizationSide<User = unknown, C extends Client = Client>(
  options: AuthorizationOptions<User, C>,
) {
  checkOptions('createAuthorizationSide', options, NAMES)
  const { pushed } = options
  if (pushed !== undefined) requireVerbs('pushed', pushed, ['connect', 'push', 'load', 'spend', 'isRequiredFor'])
  const repeatedForms = pushed === undefined ? undefined : createRepeatedForms(options)
  const side = {
    /** For `oauth2orize.createServer({ store })`. */
    transactions: createTransactionStore<User>(options),
    /** For `server.grant(…)`. */
    grant: createGrant<User>({ ...options, repeatedForms }),
    /** For `server.authorization(validate, …)`. */
    validate: createValidate<C>(options),
    /** For `server.authorization(…, immediate)`. */
    immediate: createImmediate<User>(options),
    /**
     * For `server.decision(decision)`: the request is allowed only if the form has `allow=allow` and no `cancel`. Without
     * this function, oauth2orize treats every form without `cancel` as consent.
     */
    decision: readDecision,
    /** Error middleware for the authorization and decision routes. */
    errors: withRepeatedForms(createErrorMiddleware(options), repeatedForms),
  }
  // last: options that cannot be used must not occupy it
  pushed?.connect({
    issuer: options.issuer,
    replayRegister: options.replayRegister,
    transactionLifetimeSeconds: transactionLifetimeOf(options),
    judge: createPushedJudge(options),
  })
  return side
}
