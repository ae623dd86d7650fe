import type { IncomingMessage, ServerResponse } from 'node:http'
import { withResponseParameters } from '../code/redirect_uri.ts'
import { isKnownErrorCode, OAuthError, type OAuthErrorCode, type Reason, refusal } from '../errors.ts'
import { publish } from '../events.ts'
import { toOAuthError } from '../http/error_mapping.ts'
import type { Verbosity } from '../http/error_response.ts'
import { callWriter } from '../http/writer.ts'
import { isInstance } from '../instance.ts'
import { requireIssuer } from '../issuer.ts'
import { badOption, checkOptions, oneOf, optionNames } from '../options.ts'
import { requireOptionalFunctions, type TimeLimitOptions, timeLimitOf } from './application.ts'
import { parametersOf } from './authorization_parameters.ts'
import { getRetryQuery, pathOf, retryPathOf } from './retry.ts'
import type { Oauth2orizeTransaction } from './transactions.ts'

export const VERBOSITIES: readonly Verbosity[] = ['minimal', 'normal', 'debug']

/** A response that has its request as `req`, as responses of Node.js do. */
export type AuthorizationResponse = ServerResponse & {
  /** The request that is responded to. */
  readonly req?: Pick<IncomingMessage, 'method'>
}

/** Errors that are about the person at the browser, not about the client: never redirected. */
const FOR_THE_PERSON: ReadonlySet<Reason | undefined> = new Set<Reason>([
  'user_not_logged_in',
  'transaction_missing',
  'transaction_unknown',
  'transaction_expired',
  'transaction_spent',
  'transaction_of_another_user',
  'request_uri_invalid',
])

/** The codes of this package that clients receive: RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6, RFC 8707 §2. */
const REDIRECTABLE: ReadonlySet<string> = new Set<OAuthErrorCode>([
  'invalid_request',
  'unauthorized_client',
  'access_denied',
  'unsupported_response_type',
  'invalid_scope',
  'server_error',
  'temporarily_unavailable',
  'login_required',
  'consent_required',
  'interaction_required',
  'account_selection_required',
  'invalid_target',
  'request_not_supported',
  'request_uri_not_supported',
  'registration_not_supported',
])

/** Codes of the token endpoint are not for this one. A code that an application made up is its own business. */
const isRedirectable = (code: OAuthErrorCode): boolean => REDIRECTABLE.has(code) || !isKnownErrorCode(code)

/** Redirects the browser to the client with the parameters. After a POST by 303 (RFC 9700 §4.12). */
export function sendToClient(
  response: AuthorizationResponse,
  redirectUri: string,
  parameters: Readonly<Record<string, string | undefined>>,
  component: 'query' | 'fragment' = 'query',
): void {
  response.statusCode = response.req?.method === 'POST' ? 303 : 302
  response.setHeader('Location', withResponseParameters(redirectUri, parameters, component))
  noStore(response)
  response.end()
}

/** Tokens are never put into a query, and errors go where the tokens would (OAuth 2.0 Multiple Response Types §5). */
const componentOf = (type: string | undefined): 'query' | 'fragment' =>
  (type ?? '').split(' ').some((each) => each === 'token' || each === 'id_token') ? 'fragment' : 'query'

function noStore(response: ServerResponse): void {
  response.setHeader('Cache-Control', 'no-store')
  response.setHeader('Pragma', 'no-cache')
}

/** Sets the headers of an error. One that an application made may have headers that Node refuses: they are left out. */
function setHeaders(response: ServerResponse, headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) {
    try {
      response.setHeader(name, value)
    } catch {
      // The error is more important than its header.
    }
  }
}

/** Any error as one of ours; what some middleware refused with a 4xx status keeps that status, and nothing else of it. */
function refusalOf(error: unknown): OAuthError {
  const mapped = toOAuthError(error)
  const status = mapped.reason === 'unexpected' ? statusOf(error) : undefined
  return typeof status === 'number' && status >= 400 && status < 500
    ? new OAuthError('invalid_request', { status, cause: error })
    : mapped
}

function statusOf(error: unknown): unknown {
  try {
    return (Object(error) as { readonly status?: unknown }).status
  } catch {
    return undefined // a getter or a proxy that throws
  }
}

// RFC 6749 §4.1.2.1 allows these characters in error_description.
const descriptionOf = (error: OAuthError, verbosity: Verbosity): string | undefined => {
  if (verbosity === 'minimal') return undefined
  const { reason, detail } = error
  const text =
    verbosity === 'debug' && reason !== undefined
      ? `${error.message} (${reason}${detail === undefined ? '' : `: ${detail}`})`
      : error.message
  return text.replaceAll(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, "'")
}

function report(error: OAuthError): void {
  const { code, status, reason, detail, clientId, cause } = error
  publish('request.refused', () => ({
    code,
    status,
    reason,
    detail,
    clientId,
    ...(cause === undefined ? {} : { cause }),
  }))
}

/**
 * Tells the client of an error by redirect, where that is safe: the client is known, the redirect URI is its own, and the
 * error is not about the person. Otherwise does nothing and answers false.
 */
export function redirectError(
  error: unknown,
  transaction: Oauth2orizeTransaction | undefined,
  response: AuthorizationResponse,
  { issuer, verbosity }: { readonly issuer: string; readonly verbosity: Verbosity },
): boolean {
  const redirectUri = transaction?.redirectURI
  const refused = refusalOf(error)
  if (!transaction?.client || typeof redirectUri !== 'string' || response.headersSent) return false
  if (FOR_THE_PERSON.has(refused.reason) || !isRedirectable(refused.code)) return false
  report(refused)
  const { response_type: type, state } = parametersOf(transaction.req ?? {}).values
  const description = descriptionOf(refused, verbosity)
  const parameters = { error: refused.code, error_description: description, state, iss: issuer }
  // A type that is not offered is reported in the query, whatever it would have used.
  const component = refused.code === 'unsupported_response_type' ? 'query' : componentOf(type)
  sendToClient(response, redirectUri, parameters, component)
  return true
}

/** An error as a page may show it. It contains nothing about causes inside the server. */
export interface ShownError {
  /** The HTTP status. */
  readonly status: number
  /** The error code (RFC 6749 §4.1.2.1). */
  readonly code: OAuthErrorCode
  /** One sentence for the user. Empty at verbosity `minimal`. */
  readonly message: string
  /**
   * The query (`?…`) that starts the request again: append it to the URL of the authorization endpoint. `undefined` if
   * the request is not known.
   */
  readonly retry: string | undefined
}

/** Shows an error to the user instead of the built-in page. Status and `Cache-Control` are already set. */
type ShowError = (error: ShownError, request: IncomingMessage, response: ServerResponse) => unknown

/**
 * The options of `respondWithAuthorizationError`.
 *
 * @inline
 */
export interface AuthorizationErrorsOptions extends TimeLimitOptions {
  /** The issuer identifier of this server, for the `iss` response parameter (RFC 9207). */
  readonly issuer: string
  /** How much detail error responses contain: `minimal`, `normal` (a fixed sentence) or `debug`. Default `normal`. */
  readonly verbosity?: Verbosity | undefined
  /**
   * The path of the authorization endpoint, for the retry link of the built-in page. Set it if a proxy in front removes
   * part of the path. Default: the path that the request was sent to.
   */
  readonly authorizationPath?: string | undefined
  /**
   * Shows an error to the user instead of the built-in page. Status and `Cache-Control` are already set. If the function
   * throws, rejects, or does not end the response within `timeoutMilliseconds`, the built-in page is sent.
   */
  readonly showError?: ShowError | undefined
}

/** The names of the options, for the constructors that have them all. */
export const ERRORS_OPTIONS = optionNames<AuthorizationErrorsOptions>({
  issuer: true,
  verbosity: true,
  authorizationPath: true,
  showError: true,
  timeoutMilliseconds: true,
})

type ErrorRequest = IncomingMessage & { readonly oauth2?: unknown; readonly originalUrl?: unknown }

/**
 * Creates error middleware for the routes of `server.authorization()` and `server.decision()`. If it is safe, the
 * middleware redirects the error to the client, with `state` and `iss`. Otherwise it shows an error page to the user.
 *
 * If an error comes from neither this package nor oauth2orize, the page says only that something went wrong. The
 * middleware never redirects to a URI that was not validated.
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { respondWithAuthorizationError } from 'passport-client-assertion-jwt/oauth2orize'
 *
 * export const errors = respondWithAuthorizationError({ issuer })
 * ```
 */
export function respondWithAuthorizationError(options: AuthorizationErrorsOptions) {
  checkOptions('respondWithAuthorizationError', options, ERRORS_OPTIONS)
  return createErrorMiddleware(options)
}

/** `respondWithAuthorizationError` for options that may have more names. */
export function createErrorMiddleware(options: AuthorizationErrorsOptions) {
  const { issuer, showError, authorizationPath } = options
  requireIssuer(issuer)
  const verbosity = oneOf('verbosity', options.verbosity, 'normal', VERBOSITIES)
  requireOptionalFunctions({ showError })
  if (authorizationPath !== undefined && (typeof authorizationPath !== 'string' || authorizationPath === ''))
    throw badOption('authorizationPath', 'a path', authorizationPath)
  const milliseconds = timeLimitOf(options)

  function show(shown: ShownError, refused: OAuthError, request: ErrorRequest, response: ServerResponse): void {
    const showBuiltIn = (): void => {
      sendPage(shown, authorizationPath ?? retryPathOf(refused) ?? pathOf(request) ?? '', response)
    }
    if (showError === undefined) {
      showBuiltIn()
      return
    }
    const onFault = (cause: unknown): void => {
      const detail = `the option 'showError' threw, rejected, or did not end the response within ${milliseconds} ms`
      report(isInstance(cause, OAuthError) ? cause : refusal('unexpected', { detail, cause }))
    }
    callWriter(() => showError(shown, request, response), response, { milliseconds, onFault, send: showBuiltIn })
  }

  // Four parameters: that is how Express knows error middleware.
  return function onAuthorizationError(
    error: unknown,
    request: ErrorRequest,
    response: ServerResponse,
    next: (error?: unknown) => void,
  ): void {
    if (response.headersSent) {
      next(error)
      return
    }
    const transaction = request.oauth2 as Oauth2orizeTransaction | undefined
    if (redirectError(error, transaction, response, { issuer, verbosity })) return
    const refused = refusalOf(error)
    report(refused)
    // 400 is for clients, where the code says what is wrong; the person is forbidden something
    const status = refused.code === 'access_denied' && refused.status === 400 ? 403 : refused.status
    response.statusCode = status
    setHeaders(response, refused.headers)
    noStore(response)
    const message = descriptionOf(refused, verbosity) ?? ''
    show({ status, code: refused.code, message, retry: getRetryQuery(refused) }, refused, request, response)
  }
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '')

function sendPage({ code, message, retry }: ShownError, path: string, response: ServerResponse): void {
  const sentence = message === '' ? '' : `<p>${escaped(message)}</p>` // there is none at verbosity `minimal`
  const link = retry === undefined ? '' : `<p><a href="${escaped(path + retry)}">Try again</a></p>`
  response.setHeader('Content-Type', 'text/html; charset=utf-8')
  response.setHeader('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
  response.end(
    `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Error</title><h1>This did not work</h1>${sentence}<p><code>${escaped(code)}</code></p>${link}</html>`,
  )
}
