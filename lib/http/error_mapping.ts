import {
  asOAuthError,
  isErrorCode,
  isErrorStatus,
  isKnownErrorCode,
  OAuthError,
  refusal,
  unavailable,
} from '../errors.ts'
import { type ReadError, readError } from '../hosts/oauth2orize.ts'

/** What a body parser, Passport or oauth2orize throws, as far as it can be read. */
interface Foreign {
  readonly name?: unknown
  readonly status?: unknown
  readonly statusCode?: unknown
  readonly type?: unknown
  readonly expose?: unknown
}

/**
 * The `OAuthError` for any error. Ours are returned unchanged, also those of another copy of this package. The errors of
 * oauth2orize (`TokenError`, `AuthorizationError`, `OAuth2Error`) keep their code and the sentence that the application
 * wrote. The status of codes that this package knows is ours; any other well-formed code keeps its status, 400 without
 * one. Body parsers' errors become `invalid_request`, Passport's `AuthenticationError` becomes `invalid_client`.
 * Everything else is `server_error`, and none of its text leaves the process.
 */
export function toOAuthError(error: unknown): OAuthError {
  if (error instanceof OAuthError) return asOAuthError(error)
  if (typeof error !== 'object' || error === null) return refusal('unexpected', { cause: error })
  try {
    return fromForeign(error)
  } catch {
    return refusal('unexpected', { cause: error }) // a getter or a proxy that throws
  }
}

function fromForeign(error: object): OAuthError {
  const ofOauth2orize = readError(error)
  if (ofOauth2orize !== undefined) return fromOauth2orize(ofOauth2orize, error)
  const foreign: Foreign = error
  if (foreign.name === 'AuthenticationError') return refusal('client_authentication_missing', { cause: error })
  return fromBodyParser(foreign) ?? refusal('unexpected', { cause: error })
}

function fromOauth2orize(read: ReadError, cause: object): OAuthError {
  const { code, description, message, status, isGrantTypeMissing } = read
  if (isGrantTypeMissing) {
    return refusal('parameter_missing', { description: 'The parameter grant_type is missing.', cause })
  }
  if (code === 'temporarily_unavailable') return unavailable(cause)
  // the text of what stands for a server error stays inside
  if (code === 'server_error' || !isErrorCode(code)) return refusal('unexpected', { cause })
  return new OAuthError(code, {
    cause,
    detail: message,
    description,
    ...(isErrorStatus(status) && !isKnownErrorCode(code) ? { status } : {}),
  })
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
