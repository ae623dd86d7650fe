import type { Client, FindClient } from '../client.ts'
import { lookUpClient } from '../client_lookup.ts'
import {
  type AuthorizationRules,
  judgeAuthorizationRequest,
  redirectTarget,
  requestedClientId,
} from '../code/authorization_request.ts'
import { checkRedirectUriRules } from '../code/redirect_uri.ts'
import { OAuthError, refusal } from '../errors.ts'
import { badOption, oneOf, requireFunction } from '../options.ts'
import { parseScope, scopeRules } from '../scope.ts'
import { askStore, type TimeLimitOptions, timeLimitOf } from './application.ts'
import { type Oauth2orizeRequest, parametersOf } from './authorization_parameters.ts'

/** The options of `validateAuthorization`: who clients are, and the rules that requests are judged by. */
export interface ValidateAuthorizationOptions<C extends Client = Client> extends AuthorizationRules, TimeLimitOptions {
  readonly findClient: FindClient<C>
}

/** The callback oauth2orize hands to a validate function. An error with a redirect URI is told to the client. */
export type ValidateDone<C extends Client = Client> = (
  error: Error | null,
  client?: C | false,
  redirectURI?: string,
) => void

/** Finds the client of a request; throws what is to be shown to the person when there is none. */
export async function findRequestedClient<C extends Client>(
  clientId: string,
  findClient: FindClient<C>,
  milliseconds: number,
): Promise<C> {
  const client = await askStore(milliseconds, () => lookUpClient(findClient, clientId, {}))
  if (!(client instanceof OAuthError)) return client as C
  const { reason = 'client_unknown', detail } = client
  throw refusal(reason, { clientId, detail, description: 'The application is not registered here.' })
}

/** Throws a `TypeError` unless the rules are of the forms they are declared with. */
function checkAuthorizationRules(rules: AuthorizationRules): void {
  checkRedirectUriRules(rules)
  oneOf('pkce', rules.pkce, 'all', ['all', 'public', 'optional'])
  scopeRules(rules)
  oneOf('missingScope', rules.missingScope, 'registered', ['registered', 'refuse'])
  oneOf('excessScope', rules.excessScope, 'refuse', ['refuse', 'narrow'])
  const { defaultScope = '' }: { readonly defaultScope?: unknown } = rules
  if (typeof defaultScope !== 'string' || parseScope(defaultScope) === undefined)
    throw badOption('defaultScope', 'scope values separated by spaces', defaultScope)
  for (const name of ['scopesSupported', 'responseTypes'] as const) {
    const list: unknown = rules[name]
    if (list !== undefined && !(Array.isArray(list) && list.every((each) => typeof each === 'string'))) {
      throw badOption(name, 'an array of strings', list)
    }
  }
}

/**
 * The validate function for `server.authorization(validateAuthorization({ … }), immediate)`. Judges client, redirect URI
 * and everything else of the request (RFC 6749 §4.1.1, RFC 7636 §4.3): until client and redirect URI are known to belong
 * together, errors are for the person only; from then on they are redirected. It never throws and never leaves the
 * request unanswered, whatever `findClient` does, and what goes wrong further down its chain comes back as an error.
 *
 * It puts the judged scope into `req.oauth2.req.scope`. Does not look at the user.
 */
export function validateAuthorization<C extends Client = Client>(
  options: ValidateAuthorizationOptions<C>,
): (request: Oauth2orizeRequest, done: ValidateDone<C>) => void {
  const { findClient } = options
  requireFunction('findClient', findClient)
  checkAuthorizationRules(options)
  const milliseconds = timeLimitOf(options)

  async function judge(request: Oauth2orizeRequest): Promise<Parameters<ValidateDone<C>>> {
    const parameters = parametersOf(request)
    const client = await findRequestedClient(requestedClientId(parameters), findClient, milliseconds)
    const target = redirectTarget(parameters, client, options)
    if ('refused' in target) return [target.refused]
    try {
      const judged = judgeAuthorizationRequest(parameters, client, target, options)
      request.scope = judged.scope === '' ? [] : judged.scope.split(' ')
      return [null, client, target.redirectUri]
    } catch (error) {
      return [error as Error, client, target.redirectUri]
    }
  }

  // Two parameters by name, none with a default: oauth2orize goes by their number.
  return function validate(request, done) {
    judge(request)
      .catch((error: Error): Parameters<ValidateDone<C>> => [error])
      .then((answer) => answered(answer, done))
  }
}

/** Calls back, and once more with what the callback throws: nobody else is there to catch it. */
function answered<C extends Client>(answer: Parameters<ValidateDone<C>>, done: ValidateDone<C>): void {
  try {
    done(...answer)
  } catch (cause) {
    done(cause instanceof Error ? cause : new Error('thrown by the authorization chain', { cause }))
  }
}
