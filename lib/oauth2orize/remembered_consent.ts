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
  /** The user's subject identifier. Default: its `sub`, or else its `id`. */
  readonly subjectOf?: SubjectOf<User> | undefined
  /**
   * Whether to ask although the user has allowed it before: for clients that anyone can pose as (RFC 8252 §8.6). Default:
   * only if the request has `prompt=consent`.
   */
  readonly askAgain?: ((client: Client, request: Oauth2orizeRequest) => boolean | Promise<boolean>) | undefined
  /**
   * When the user last logged in, in epoch seconds; `undefined` if that is not known. With it the parameter `max_age` is
   * honoured: a user whose login is older has to log in again. Default: `max_age` is ignored, unless it is 0.
   */
  readonly authenticatedAt?: ((user: User) => number | undefined | Promise<number | undefined>) | undefined
  /** The source of the time. Default: the clock of this machine. */
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
 * The immediate function for `server.authorization(validate, checkRememberedConsent({ … }))`: a user who has allowed this
 * client all requested scopes before is not asked again. It never throws; a failing store ends the request with 503.
 *
 * It also honours `prompt` (OpenID Connect Core §3.1.2.1). `consent` asks again. `login` and `select_account` end in
 * `user_not_logged_in` although somebody is logged in: show your login form and continue with the query of `getRetryQuery`.
 * With `none` the client receives `login_required` or `consent_required` instead of the user seeing a page.
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
