import type { OAuthError } from '../errors.ts'
import type { FormParameters } from '../parameters.ts'

interface Retry {
  readonly query: string
  /** The path of the authorization request, if it is known. */
  readonly path: string | undefined
}

const retries = new WeakMap<OAuthError, Retry>()

/**
 * Returns the query string (`?response_type=code&…`) that starts the authorization request of an error again, or
 * `undefined` if the request is not known. Use it for the link on an error page, and to continue after a login. It
 * leaves out what the login fulfils, such as `prompt=login`. It is built from the parameters, so it is the same for GET
 * and POST.
 */
export const getRetryQuery = (error: OAuthError): string | undefined => retries.get(error)?.query

/** The path of the authorization request that an error belongs to, if it was seen under another URL. */
export const retryPathOf = (error: OAuthError): string | undefined => retries.get(error)?.path

const restarts = new WeakMap<FormParameters, FormParameters>()

/** Remembers that other parameters start the request of `values` again: those that refer to a pushed request. */
export function setRestart(values: FormParameters, restart: FormParameters): void {
  restarts.set(values, restart)
}

/** The parameters that start the request of `values` again, if those are not `values` themselves. */
export const restartOf = (values: FormParameters): FormParameters | undefined => restarts.get(values)

/** The error, with the parameters that start its request again. */
export function withRetry(error: OAuthError, values: FormParameters, path?: string): OAuthError {
  const pairs = Object.entries(values).flatMap(([name, value]): [string, string][] =>
    name === 'resource' ? value.split(' ').map((each): [string, string] => [name, each]) : [[name, value]],
  )
  retries.set(error, { query: `?${new URLSearchParams(pairs).toString()}`, path })
  return error
}

/**
 * The path that a request was sent to, as the browser sees it; `undefined` if it cannot stand in a link. One that begins
 * with two slashes would lead to another host.
 */
export function pathOf(request: {
  readonly originalUrl?: unknown
  readonly url?: string | undefined
}): string | undefined {
  const { originalUrl, url = '' } = request
  const full = typeof originalUrl === 'string' ? originalUrl : url
  const target = /^https?:\/\//i.test(full) && URL.canParse(full) ? new URL(full).pathname : full // RFC 9112 §3.2.2
  const path = target.split(/[?#]/, 1)[0] ?? ''
  return path.length <= 2048 && /^\/(?![/\\])/.test(path) ? path : undefined
}
