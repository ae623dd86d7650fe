import { afterLogin, isSilent } from '../code/prompt.ts'
import { type OAuthError, refusal } from '../errors.ts'
import { askHook, returnedWrong } from '../hooks.ts'
import type { FormParameters } from '../parameters.ts'
import { restartOf, withRetry } from './retry.ts'

/**
 * Returns the subject identifier of a user of your application (`req.user`): a non-empty string, or a promise of it.
 */
export type SubjectOf<User = unknown> = (user: User) => string | Promise<string>

const defaultSubjectOf = (user: unknown): unknown => {
  const { sub, id } = Object(user) as { readonly sub?: unknown; readonly id?: unknown }
  const subject = sub ?? id
  return typeof subject === 'number' || typeof subject === 'bigint' ? String(subject) : subject
}

/**
 * The error for a request whose user has to log in. The person sees it, with the query to continue with after the login;
 * with `prompt=none` the client receives `login_required`.
 */
export function loginNeeded(values: FormParameters, description: string, detail: string): OAuthError {
  const clientId = values['client_id']
  if (isSilent(values)) return refusal('silent_login', { clientId, detail })
  const refused = refusal('user_not_logged_in', { clientId, status: 401, description, detail })
  return withRetry(refused, restartOf(values) ?? afterLogin(values))
}

/** How the user of a request is identified. */
export interface UserRules<User> {
  /** The user's subject identifier. Default: its `sub`, or else its `id`. */
  readonly subjectOf?: SubjectOf<User> | undefined
}

/**
 * The subject identifier of the user who is logged in. Throws `user_not_logged_in` (401, shown to the person) if nobody is.
 * `values` are the parameters of the request, to continue with after a login.
 */
export async function subjectOfUser(
  user: unknown,
  { subjectOf }: UserRules<never>,
  values: FormParameters,
  milliseconds: number,
): Promise<string> {
  if (user === undefined || user === null || user === false) {
    throw loginNeeded(values, 'You have to be logged in.', 'nobody is logged in: the request has no user')
  }
  const subject: unknown =
    subjectOf === undefined
      ? defaultSubjectOf(user)
      : await askHook<unknown>('subjectOf', milliseconds, () => subjectOf(user as never))
  if (typeof subject === 'string' && subject !== '') return subject
  throw subjectOf === undefined
    ? refusal('misconfigured', { detail: "the user has no subject: set the option 'subjectOf'" })
    : returnedWrong('subjectOf', 'a string that is not empty')
}
