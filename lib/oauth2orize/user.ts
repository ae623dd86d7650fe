import { OAuthError, refusal, unavailable } from '../errors.ts'

/** The subject identifier of a user of the application (`req.user`): text, not empty. */
export type SubjectOf<User = unknown> = (user: User) => string

const defaultSubjectOf = (user: unknown): unknown => {
  const { sub, id } = Object(user) as { readonly sub?: unknown; readonly id?: unknown }
  const subject = sub ?? id
  return typeof subject === 'number' || typeof subject === 'bigint' ? String(subject) : subject
}

/**
 * Who is logged in. Throws `user_not_logged_in` (401, shown to the person) where nobody is. Without `subjectOf` it is the
 * user's `sub`, or else its `id`.
 */
export function subjectOfUser(user: unknown, subjectOf: SubjectOf<never> | undefined): string {
  if (user === undefined || user === null || user === false) {
    throw refusal('user_not_logged_in', {
      status: 401,
      description: 'You have to be logged in.',
      detail: 'req.user is not set: the login must come before the authorization endpoint and the decision',
    })
  }
  const subject: unknown = (subjectOf ?? defaultSubjectOf)(user as never)
  if (typeof subject !== 'string' || subject === '') {
    throw refusal('misconfigured', { detail: "the user has no subject: set the option 'subjectOf'" })
  }
  return subject
}

/** What consents answer. They may be the application's own: a rejection that is none of ours is a fault, and becomes a 503. */
export const answerOfConsents = <T>(answer: Promise<T>): Promise<T> =>
  answer.catch((cause: unknown) => {
    throw cause instanceof OAuthError ? cause : unavailable(cause)
  })
