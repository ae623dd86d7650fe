import { OAuthError, type OAuthErrorCode, refusal, unavailable } from '../errors.ts'

/** Codes that a foreign error may bring. What stands for a fault of ours is not among them: its text stays inside. */
const FOREIGN_CODES: ReadonlySet<string> = new Set<OAuthErrorCode>([
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
  'access_denied',
  'unsupported_response_type',
  'authorization_pending',
  'slow_down',
  'expired_token',
  'invalid_target',
  'unsupported_token_type',
])

/** What a body parser, Passport or oauth2orize throws, as far as it can be read. */
interface Foreign {
  readonly name?: unknown
  readonly message?: unknown
  readonly code?: unknown
  readonly status?: unknown
  readonly statusCode?: unknown
  readonly type?: unknown
  readonly expose?: unknown
}

/** Sentences of oauth2orize that only repeat the code, or the request. */
const BOILERPLATE =
  /^(Unsupported grant type:|Invalid (authorization code|refresh token|client credentials|resource owner credentials)$)/

/** What oauth2orize says of a request without `grant_type`. */
const NO_GRANT_TYPE = 'Unsupported grant type: undefined'

/**
 * Whether oauth2orize made an error, or a class derived from one of its own did. Known by its names and its members: this
 * imports nothing.
 */
function isOauth2orizeError(error: object): boolean {
  const { name, status } = error as Foreign
  if (name === 'TokenError' || name === 'AuthorizationError') return true
  if (!Object.hasOwn(error, 'uri') || typeof status !== 'number') return false
  for (let type = Object.getPrototypeOf(error); type !== null; type = Object.getPrototypeOf(type)) {
    if (type.constructor?.name === 'OAuth2Error') return true
  }
  return false
}

/**
 * The `OAuthError` that stands for any error. Ours are taken as they are, also from another copy of this package. The
 * errors of oauth2orize (`TokenError`, `AuthorizationError`, `OAuth2Error`) keep a code of the protocol and the sentence
 * that the application wrote; their status is ours. Body parsers' errors become `invalid_request`, Passport's
 * `AuthenticationError` becomes `invalid_client`. Everything else is `server_error`, and none of its text leaves the
 * process.
 */
export function toOAuthError(error: unknown): OAuthError {
  if (error instanceof OAuthError) return error
  if (typeof error !== 'object' || error === null) return refusal('unexpected', { cause: error })
  const foreign: Foreign = error
  const { name, code, message } = foreign
  if (typeof code === 'string' && isOauth2orizeError(error)) {
    if (code === 'temporarily_unavailable') return unavailable(error)
    if (message === NO_GRANT_TYPE) {
      return refusal('parameter_missing', { description: 'The parameter grant_type is missing.', cause: error })
    }
    if (!FOREIGN_CODES.has(code)) return refusal('unexpected', { cause: error })
    const text = typeof message === 'string' && message !== '' ? message : undefined
    return new OAuthError(code as OAuthErrorCode, {
      cause: error,
      ...(text === undefined ? {} : { detail: text }),
      ...(text === undefined || BOILERPLATE.test(text) ? {} : { description: text }),
    })
  }
  if (name === 'AuthenticationError') return refusal('client_authentication_missing', { cause: error })
  return fromBodyParser(foreign) ?? refusal('unexpected', { cause: error })
}

/**
 * body-parser marks its errors with `type`; what it only passes on, such as a broken compression, is a 400 that may be
 * shown (`expose`). Express reports a broken path as a `URIError`.
 */
function fromBodyParser(error: Foreign): OAuthError | undefined {
  const status = error.status ?? error.statusCode
  if (typeof status !== 'number' || status < 400 || status > 499) return undefined
  const type = typeof error.type === 'string' && PARSER_ERROR.test(error.type) ? error.type : undefined
  const badRequest = status === 400 && (error.expose === true || error instanceof URIError)
  if (type === undefined && !badRequest) return undefined
  const detail = `a parser before the endpoint reported ${type ?? 'a bad request'}`
  if (status === 413) {
    return refusal('body_too_large', { status, description: 'The request body is too large.', detail, cause: error })
  }
  if (status === 415) {
    const description = 'The request body must be application/x-www-form-urlencoded in UTF-8.'
    return refusal('content_type_unsupported', { status, description, detail, cause: error })
  }
  return refusal('body_malformed', { description: 'The request body is malformed.', detail, cause: error })
}

const PARSER_ERROR = /^(entity|encoding|charset|request|parameters|querystring)\./
