import { bindingOf } from '../binding.ts'
import type { Client } from '../client.ts'
import { type Clock, systemClock } from '../clock.ts'
import { demandsLogin, isSilent, maxAgeOf, promptsOf } from '../code/prompt.ts'
import type { Consents } from '../consent/consents.ts'
import { asError, refusal } from '../errors.ts'
import { askHook, returnedWrong, timeOf } from '../hooks.ts'
import { checkOptions, optionNames, requireFunction, requireVerbs } from '../options.ts'
import type { FormParameters } from '../parameters.ts'
import { askStore, requireOptionalFunctions, type TimeLimitOptions, timeLimitOf } from './application.ts'
import { type Oauth2orizeRequest, parametersOf } from './authorization_parameters.ts'
import { loginNeeded, type SubjectOf, subjectOfUser } from './user.ts'

/** The callback that oauth2orize passes to an immediate function. */
export type ImmediateDone = (error: Error | null, allow: boolean, info: unknown, locals: unknown) => void

/** Nobody was asked: there is nothing new to remember. oauth2orize passes it on as `req.oauth2.res`, and adds to it. */
const remembered = (): { remembered: true } => ({ remembered: true })

/**
 * The options of `checkRememberedConsent`.
 *
 * @inline
 */
export interface RememberedConsentOptions<User = unknown> extends TimeLimitOptions {
  /** What `createConsents` returned. */
  readonly consents: Pick<Consents, 'allows'>
  /** Returns the subject identifier of a user. Default: `user.sub`, or `user.id` if there is no `sub`. */
  readonly subjectOf?: SubjectOf<User> | undefined
  /**
   * Returns whether to ask users again although they allowed the request before, for clients that anyone can pose as
   * (RFC 8252 §8.6). Default: users are asked again only if the request has `prompt=consent`.
   */
  readonly askAgain?: ((client: Client, request: Oauth2orizeRequest) => boolean | Promise<boolean>) | undefined
  /**
   * Returns when the user last logged in, in epoch seconds, or `undefined` if that is not known. With this option, a
   * request with `max_age` requires a new login if the login is older. Default: `max_age` is ignored, unless it is 0.
   */
  readonly authenticatedAt?: ((user: User) => number | undefined | Promise<number | undefined>) | undefined
  /** Returns the current time in epoch seconds. Default: the system clock. */
  readonly clock?: Clock | undefined
}

/** The names of the options, for the constructors that have them all. */
export const CONSENT_OPTIONS = optionNames<RememberedConsentOptions>({
  consents: true,
  subjectOf: true,
  askAgain: true,
  authenticatedAt: true,
  clock: true,
  timeoutMilliseconds: true,
})

/**
 * Creates the immediate function for `server.authorization(validate, checkRememberedConsent({ … }))`. It skips the
 * consent page for users who have allowed this client all requested scopes before. It never throws; if a store fails,
 * the response is 503.
 *
 * It also supports `prompt` (OpenID Connect Core §3.1.2.1):
 *
 * - `consent` asks the user again.
 * - `login` and `select_account` end with the reason `user_not_logged_in`, although a user is logged in. Show your
 *   login form, and continue with the query of `getRetryQuery`.
 * - `none` never shows a page: the client receives `login_required` or `consent_required` instead.
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { checkRememberedConsent } from 'passport-client-assertion-jwt/oauth2orize'
 *
 * export const authorize = server.authorization(
 *   validateAuthorization({ findClient }),
 *   checkRememberedConsent({ consents }),
 * )
 * ```
 */
export function checkRememberedConsent<User = unknown>(options: RememberedConsentOptions<User>) {
  checkOptions('checkRememberedConsent', options, CONSENT_OPTIONS)
  return createImmediate(options)
}

/** `checkRememberedConsent` for options that may have more names. */
export function createImmediate<User>(options: RememberedConsentOptions<User>) {
  const { consents, subjectOf, askAgain, authenticatedAt, clock = systemClock } = options
  requireVerbs('consents', consents, ['allows'])
  requireOptionalFunctions({ subjectOf, askAgain, authenticatedAt })
  requireFunction('clock', clock)
  const milliseconds = timeLimitOf(options)

  async function checkLogin(user: User, values: FormParameters): Promise<void> {
    if (demandsLogin(values)) throw loginNeeded(values, 'You have to log in again.', 'the request demands a new login')
    const maxAge = maxAgeOf(values)
    if (maxAge === undefined || authenticatedAt === undefined) return
    const since: unknown = await askHook('authenticatedAt', milliseconds, () => authenticatedAt(user))
    if (since !== undefined && !Number.isFinite(since)) throw returnedWrong('authenticatedAt', 'epoch seconds')
    if (since === undefined || timeOf(clock) - (since as number) > maxAge)
      throw loginNeeded(values, 'You have to log in again.', 'the login is older than max_age')
  }

  async function isAllowed(client: Client, user: User, request: Oauth2orizeRequest): Promise<boolean> {
    const { values } = parametersOf(request)
    const subject = await subjectOfUser(user, { subjectOf }, values, milliseconds)
    await checkLogin(user, values)
    const allowed = (await mayBeRemembered(client, request)) && (await isRemembered(subject, client, request))
    if (!allowed && isSilent(values)) {
      const detail = 'the user has not allowed this request yet'
      throw refusal('silent_consent', { clientId: client.client_id, detail })
    }
    return allowed
  }

  async function mayBeRemembered(client: Client, request: Oauth2orizeRequest): Promise<boolean> {
    if (promptsOf(parametersOf(request).values).has('consent')) return false
    if (askAgain === undefined) return true
    const again: unknown = await askHook('askAgain', milliseconds, () => askAgain(client, request))
    if (typeof again !== 'boolean') throw returnedWrong('askAgain', 'true or false')
    return !again
  }

  async function isRemembered(subject: string, client: Client, request: Oauth2orizeRequest): Promise<boolean> {
    const scope = (request.scope ?? []).join(' ')
    const { resources } = request
    const permission = {
      subject,
      clientId: client.client_id,
      scope,
      ...bindingOf({ resources }),
    }
    const allowed: unknown = await askStore(milliseconds, () => consents.allows(permission, { client }))
    if (typeof allowed !== 'boolean') throw returnedWrong('consents.allows', 'true or false')
    return allowed
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
        (error: unknown) => done(asError(error) as Error, false, undefined, undefined),
      )
      .catch((error: unknown) => done(asError(error) as Error, false, undefined, undefined))
  }
}
