import type { OAuthError } from '../errors.ts'
import type { FormParameters } from '../parameters.ts'

const retries = new WeakMap<OAuthError, string>()

/**
 * The query string (`?response_type=code&…`) that starts the authorization request of an error again, if it is known. Use
 * it for the link on an error page, and for where to continue after a login: it leaves out what the login fulfils
 * (`prompt=login`). It is built from the parameters of the request, so it is the same for GET and POST.
 */
export const retryOf = (error: OAuthError): string | undefined => retries.get(error)

/** The error, with the parameters that start its request again. */
export function withRetry(error: OAuthError, values: FormParameters): OAuthError {
  retries.set(error, `?${new URLSearchParams({ ...values }).toString()}`)
  return error
}
