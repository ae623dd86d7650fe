import type { Client, FindClient } from '../client.ts'
import { ClientDocumentUnreachable } from '../client_document.ts'
import { lookUpClient } from '../client_lookup.ts'
import {
  type AuthorizationParameters,
  type AuthorizationRules,
  asksForCode,
  grantRefusal,
  judgeAuthorizationRequest,
  type PkcePolicy,
  type RedirectTarget,
  redirectTarget,
  requestedClientId,
} from '../code/authorization_request.ts'
import { checkRedirectUriRules } from '../code/redirect_uri.ts'
import { asError, OAuthError, refusal } from '../errors.ts'
import { isInstance } from '../instance.ts'
import { isStrings } from '../optional.ts'
import { badOption, checkOptions, oneOf, optionNames, requireFunction, requireVerbs } from '../options.ts'
import type { PushedRequests } from '../pushed/pushed_requests.ts'
import type { Resources } from '../resource/resources.ts'
import { scopeRules } from '../scope.ts'
import { askStore, type TimeLimitOptions, timeLimitOf } from './application.ts'
import { type Oauth2orizeRequest, parametersOf } from './authorization_parameters.ts'
import { checkDpop } from './dpop_option.ts'
import { pkcePolicyFor, pkceRule } from './pkce_policy.ts'

/**
 * The options of `validateAuthorization`: how clients are found, and which requests are accepted.
 *
 * @inline
 */
export interface ValidateAuthorizationOptions<C extends Client = Client>
  extends Omit<AuthorizationRules, 'pkce'>,
    TimeLimitOptions {
  /** Looks up a client by its identifier. Returns `undefined` if the client is unknown. */
  readonly findClient: FindClient<C>
  /**
   * Which clients must use PKCE: `'all'`, `'public'` or `'optional'`. A function returns it for each client. Default
   * `'all'`.
   */
  readonly pkce?: PkcePolicy | ((client: Client) => PkcePolicy | Promise<PkcePolicy>) | undefined
  /**
   * The resources that requests may name (RFC 8707): what `createResources` returned. Pass the same value to all parts
   * of your server. Default: none, and the parameter `resource` has no effect.
   */
  readonly resources?: Resources | undefined
}

/** The names of the options, for the constructors that have them all. */
export const VALIDATE_OPTIONS = optionNames<ValidateAuthorizationOptions>({
  findClient: true,
  pkce: true,
  privateUseSchemes: true,
  commaSeparatesScope: true,
  scopesSupported: true,
  missingScope: true,
  excessScope: true,
  defaultScope: true,
  responseTypes: true,
  dpop: true,
  resources: true,
  timeoutMilliseconds: true,
})

/**
 * The callback that oauth2orize passes to a validate function. An error with a redirect URI is redirected to the
 * client.
 */
export type ValidateDone<C extends Client = Client> = (
  error: Error | null,
  client?: C | false,
  redirectURI?: string,
) => void

type KnownTarget = Exclude<RedirectTarget, { readonly refused: unknown }>

/**
 * A metadata document that does not exist is a page that says so: nobody has got tokens yet that the client could discard.
 * Rethrows every other error.
 */
function missingDocument(error: unknown): OAuthError {
  const cause: unknown = error instanceof OAuthError ? error.cause : undefined
  if (!(isInstance(cause, ClientDocumentUnreachable) && cause.isMissing)) throw error
  return refusal('client_document_refused', {
    detail: 'the host of the metadata document responds with 404',
    description: 'There is no metadata document at the client_id of the application.',
  })
}

/** Finds the client of a request; throws what is to be shown to the person when there is none. */
export async function findRequestedClient<C extends Client>(
  clientId: string,
  findClient: FindClient<C>,
  milliseconds: number,
): Promise<C> {
  const late = `the option 'findClient' did not settle within ${milliseconds} ms`
  const client = await askStore(milliseconds, () => lookUpClient(findClient, clientId, {}), late).catch(missingDocument)
  if (!(client instanceof OAuthError)) return client as C
  const { reason = 'client_unknown', detail, message } = client
  const description = reason === 'client_document_refused' ? message : 'The application is not registered here.'
  throw refusal(reason, { clientId, detail, description })
}

/** Throws a `TypeError` unless the rules are of the forms they are declared with. */
function checkAuthorizationRules(rules: Omit<AuthorizationRules, 'pkce'>): void {
  checkRedirectUriRules(rules)
  scopeRules(rules)
  checkDpop(rules.dpop)
  oneOf('missingScope', rules.missingScope, 'registered', ['registered', 'refuse'])
  oneOf('excessScope', rules.excessScope, 'refuse', ['refuse', 'narrow'])
  for (const name of ['scopesSupported', 'responseTypes'] as const) {
    const list: unknown = rules[name]
    if (list !== undefined && !isStrings(list)) throw badOption(name, 'an array of strings', list)
  }
}

/**
 * Creates the validate function for `server.authorization(validateAuthorization({ … }), immediate)`. It checks the
 * client, the redirect URI and all other parameters of the request (RFC 6749 §4.1.1, RFC 7636 §4.3). It does not check
 * the user.
 *
 * Until the redirect URI is known to belong to the client, errors are shown to the user. After that, errors are
 * redirected to the client. If an immediate function throws, the client receives `server_error`.
 *
 * The validate function never throws and always calls back, even if `findClient` fails. It sets `req.oauth2.req.scope`
 * to the scope that it accepted.
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { validateAuthorization } from 'passport-client-assertion-jwt/oauth2orize'
 *
 * export const authorize = server.authorization(
 *   validateAuthorization({ findClient }),
 *   checkRememberedConsent({ consents }),
 * )
 * ```
 */
export function validateAuthorization<C extends Client = Client>(
  options: ValidateAuthorizationOptions<C>,
): (request: Oauth2orizeRequest, done: ValidateDone<C>) => void {
  checkOptions('validateAuthorization', options, VALIDATE_OPTIONS)
  return createValidate(options)
}

/** Judges everything about a request but client id and redirect URI. */
function createJudge(options: ValidateAuthorizationOptions) {
  checkAuthorizationRules(options)
  const { resources } = options
  if (resources !== undefined) requireVerbs('resources', resources, ['request', 'confirm'])
  const rule = pkceRule(options.pkce)
  const milliseconds = timeLimitOf(options)
  return async (parameters: AuthorizationParameters, client: Client, target: KnownTarget) => {
    const pkce = asksForCode(parameters.values['response_type'])
      ? await pkcePolicyFor(rule, client, milliseconds)
      : undefined
    const judged = judgeAuthorizationRequest(parameters, client, target, { ...options, pkce })
    if (resources === undefined) return judged
    const sent = parameters.values['resource']
    const asked = await askStore(milliseconds, () => resources.request(sent, judged.scope, { client }))
    return asked.length === 0 ? judged : { ...judged, resources: asked }
  }
}

/**
 * The judgement of pushed requests: that of the authorization endpoint, and every refusal is thrown. Nothing is redirected
 * here, so the grants of the client are judged first.
 */
export function createPushedJudge(options: ValidateAuthorizationOptions) {
  const judge = createJudge(options)
  return async (parameters: AuthorizationParameters, client: Client): Promise<unknown> => {
    const refused = grantRefusal(client)
    if (refused !== undefined) throw refused
    const target = redirectTarget(parameters, client, options)
    if ('refused' in target) throw target.refused
    return judge(parameters, client, target)
  }
}

/** What the authorization side adds. */
interface ValidateSide {
  readonly pushed?: PushedRequests | undefined
}

function requirePushed(request: Oauth2orizeRequest, client: Client, pushed: PushedRequests | undefined): void {
  if (pushed === undefined || request.pushedRequest !== undefined || !pushed.isRequiredFor(client)) return
  throw refusal('pushed_request_required', {
    clientId: client.client_id,
    description: 'The authorization request must be pushed (RFC 9126).',
  })
}

/** `validateAuthorization` for options that may have more names. */
export function createValidate<C extends Client>(
  options: ValidateAuthorizationOptions<C> & ValidateSide,
): (request: Oauth2orizeRequest, done: ValidateDone<C>) => void {
  const { findClient, pushed } = options
  requireFunction('findClient', findClient)
  const judgeRequest = createJudge(options as ValidateAuthorizationOptions)
  const milliseconds = timeLimitOf(options)

  async function judge(request: Oauth2orizeRequest): Promise<Parameters<ValidateDone<C>>> {
    const parameters = parametersOf(request)
    const client = await findRequestedClient(requestedClientId(parameters), findClient, milliseconds)
    const target = redirectTarget(parameters, client, options)
    if ('refused' in target) return [target.refused]
    try {
      requirePushed(request, client, pushed)
      const judged = await judgeRequest(parameters, client, target)
      request.scope = judged.scope === '' ? [] : judged.scope.split(' ')
      if (judged.resources !== undefined) request.resources = judged.resources
      return [null, client, target.redirectUri]
    } catch (error) {
      return [asError(error) as Error, client, target.redirectUri]
    }
  }

  // Two parameters by name, none with a default: oauth2orize goes by their number.
  return function validate(request, done) {
    judge(request)
      .catch((error: unknown): Parameters<ValidateDone<C>> => [asError(error) as Error])
      .then((answer) => answered(answer, done))
  }
}

/**
 * Calls back, and again with what the callback throws: nobody else is there to catch it. It goes with client and redirect
 * URI, which oauth2orize would forget otherwise, so that the client receives the error.
 */
function answered<C extends Client>(answer: Parameters<ValidateDone<C>>, done: ValidateDone<C>): void {
  try {
    done(...answer)
  } catch (cause) {
    const [, client, redirectUri] = answer
    const error = isInstance(cause, Error) ? cause : new Error('thrown by the authorization chain', { cause })
    if (client && redirectUri !== undefined) done(error, client, redirectUri)
    else done(error)
  }
}
