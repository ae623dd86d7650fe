import type { Client, FindClient } from '../client.ts'
import { lookUpClient } from '../client_lookup.ts'
import {
  type AuthorizationRules,
  judgeAuthorizationRequest,
  redirectTarget,
  requestedClientId,
} from '../code/authorization_request.ts'
import { checkRedirectUriRules } from '../code/redirect_uri.ts'
import type { Consents } from '../consent/consents.ts'
import { OAuthError, refusal } from '../errors.ts'
import { badOption, oneOf, requireFunction, requireVerbs } from '../options.ts'
import { scopeRules } from '../scope.ts'
import { type Oauth2orizeRequest, parametersOf } from './authorization_parameters.ts'
import { answerOfConsents, type SubjectOf, subjectOfUser } from './user.ts'

/** The options of `validateAuthorization`: who clients are, and the rules that requests are judged by. */
export interface ValidateAuthorizationOptions<C extends Client = Client> extends AuthorizationRules {
  readonly findClient: FindClient<C>
}

/** The callback oauth2orize hands to a validate function. An error with a redirect URI is told to the client. */
export type ValidateDone<C extends Client = Client> = (
  error: Error | null,
  client?: C | false,
  redirectURI?: string,
) => void

/** Finds the client of a request; throws what is to be shown to the person when there is none. */
export async function findRequestedClient<C extends Client>(clientId: string, findClient: FindClient<C>): Promise<C> {
  const client = await lookUpClient(findClient, clientId, {})
  if (!(client instanceof OAuthError)) return client
  const { reason = 'client_unknown', detail } = client
  throw refusal(reason, { clientId, detail, description: 'The application is not registered here.' })
}

/** Throws a `TypeError` unless the rules are of the forms they are declared with. */
function checkAuthorizationRules(rules: AuthorizationRules): void {
  checkRedirectUriRules(rules)
  oneOf('pkce', rules.pkce, 'all', ['all', 'public', 'optional'])
  scopeRules(rules)
  oneOf('missingScope', rules.missingScope, 'registered', ['registered', 'refuse'])
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

  async function judge(request: Oauth2orizeRequest): Promise<Parameters<ValidateDone<C>>> {
    const parameters = parametersOf(request)
    const client = await findRequestedClient(requestedClientId(parameters), findClient)
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

/** The callback oauth2orize hands to an immediate function. */
export type ImmediateDone = (error: Error | null, allow: boolean, info: unknown, locals: unknown) => void

/** Nobody was asked: there is nothing new to remember. oauth2orize hands it on as `req.oauth2.res`, and adds to it. */
const remembered = (): { remembered: true } => ({ remembered: true })

/** The options of `rememberedConsent`. */
export interface RememberedConsentOptions<User = unknown> {
  readonly consents: Pick<Consents, 'allows'>
  /** The user's subject identifier. Default: its `sub`, or else its `id`. */
  readonly subjectOf?: SubjectOf<User> | undefined
  /**
   * Whether to ask although the user has allowed it before: for clients that anyone can pose as (RFC 8252 §8.6). Default:
   * only where the request has `prompt=consent`.
   */
  readonly askAgain?: ((client: Client, request: Oauth2orizeRequest) => boolean) | undefined
}

/**
 * The immediate function for `server.authorization(validate, rememberedConsent({ … }))`: a user who has allowed this
 * client all requested scopes before is not asked again. Never throws; a failing store ends the request with 503.
 */
export function rememberedConsent<User = unknown>(options: RememberedConsentOptions<User>) {
  const { consents, subjectOf, askAgain } = options
  requireVerbs('consents', consents, ['allows'])
  if (subjectOf !== undefined) requireFunction('subjectOf', subjectOf)
  if (askAgain !== undefined) requireFunction('askAgain', askAgain)

  async function isAllowed(client: Client, user: User, request: Oauth2orizeRequest): Promise<boolean> {
    const subject = subjectOfUser(user, subjectOf)
    if (parametersOf(request).values['prompt']?.split(' ').includes('consent')) return false
    if (askAgain?.(client, request)) return false
    return answerOfConsents(
      consents.allows({ subject, clientId: client.client_id, scope: (request.scope ?? []).join(' ') }),
    )
  }

  // Six parameters: one of the numbers oauth2orize knows, and the one its type declarations have.
  return function immediate(
    client: Client,
    user: User,
    _scope: string[],
    _type: string,
    request: Oauth2orizeRequest,
    done: ImmediateDone,
  ): void {
    isAllowed(client, user, request)
      .then(
        (allow) => done(null, allow, allow ? remembered() : undefined, undefined),
        (error: Error) => done(error, false, undefined, undefined),
      )
      .catch((error: Error) => done(error, false, undefined, undefined))
  }
}
