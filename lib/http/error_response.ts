import { validateHeaderName, validateHeaderValue } from 'node:http'
import { OAuthError, type OAuthErrorCode, refusal } from '../errors.ts'
import { publish } from '../events.ts'
import { isInstance, messageOf } from '../instance.ts'
import { badOption, booleanOption, checkOptions, oneOf, optionNames, requireFunction } from '../options.ts'
import { type CorsOptions, createCors } from './cors.ts'
import { toOAuthError } from './error_mapping.ts'
import { answerJson, setPrepared } from './json_response.ts'
import type { ErrorMiddleware, Request, Response } from './message.ts'
import { NO_STORE } from './no_store.ts'
import { callWriter } from './writer.ts'

/**
 * How much detail an error response contains. `minimal`: the code. `normal`: the code and one fixed sentence, which is the
 * same for every failed client authentication. `debug`: also the reason and what was expected; not for production.
 */
export type Verbosity = 'minimal' | 'normal' | 'debug'

/** The options of error responses. */
export interface ErrorResponseOptions {
  /** How much detail responses contain. Default `'normal'`. */
  readonly verbosity?: Verbosity | undefined
  /** Allows `verbosity: 'debug'` if `NODE_ENV` is `production`. Default `false`: construction throws a `TypeError`. */
  readonly forceDebug?: boolean | undefined
  /** The realm of the Basic challenge (RFC 7617 §2). Default `'OAuth'`. */
  readonly realm?: string | undefined
  /**
   * The status of `invalid_client` if the request has no `Authorization` header. Default 400. With the header the status is
   * always 401, with a challenge (RFC 6749 §5.2).
   */
  readonly invalidClientStatus?: 400 | 401 | undefined
  /**
   * Sends the response instead of this package: your own format, a template. `response.statusCode` and the headers (CORS,
   * `Cache-Control`, the challenge) are set already, and `body` is what this package would send. If it throws, rejects, or
   * does not end the response within 30 seconds, this package sends `body`.
   */
  readonly writeError?:
    | ((error: OAuthError, request: Request, response: Response, body: ErrorBody) => unknown)
    | undefined
}

/** The body of an error response (RFC 6749 §5.2). */
interface ErrorBody {
  /** The error code (RFC 6749 §5.2). */
  readonly error: OAuthErrorCode
  /** One sentence for developers, by the option `verbosity`. Absent at verbosity `minimal`. */
  readonly error_description?: string
}

type Headers = Readonly<Record<string, string>>

/** Answers a request with an error, unless an answer has begun. */
export type WriteError = (error: unknown, request: Request, response: Response, extra?: Headers) => void

/** RFC 6749 §5.2: %x20-21 / %x23-5B / %x5D-7E. */
const NOT_DESCRIPTION = /[^\x20\x21\x23-\x5b\x5d-\x7e]/g

const describable = (text: string): string =>
  text.replaceAll('"', "'").replaceAll('\\', '/').replace(NOT_DESCRIPTION, '?').slice(0, 500)

const FIXED_INVALID_CLIENT = new OAuthError('invalid_client').message

/** The error, if it can be answered as it is: an application may have given it a header that is none. */
function answerable(error: OAuthError): OAuthError {
  try {
    for (const [name, value] of Object.entries(error.headers)) {
      validateHeaderName(name)
      validateHeaderValue(name, value)
    }
    return error
  } catch (cause) {
    return refusal('unexpected', { cause })
  }
}

/** Quotes a parameter of a challenge (RFC 9110 §5.6.4). */
const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`

/** Makes the one function that decides what an error answer says. */
export function createErrorWriter(options: ErrorResponseOptions = {}): WriteError {
  const verbosity = oneOf('verbosity', options.verbosity, 'normal', ['minimal', 'normal', 'debug'])
  const forced = booleanOption('forceDebug', options.forceDebug, false)
  if (verbosity === 'debug' && !forced && process.env['NODE_ENV'] === 'production') {
    throw new TypeError(
      "option 'verbosity' must not be 'debug' if NODE_ENV is 'production', unless 'forceDebug' is set",
    )
  }
  const { realm = 'OAuth', invalidClientStatus = 400 } = options
  if (typeof realm !== 'string' || !/^[\x20-\x7e]*$/.test(realm)) {
    throw badOption('realm', 'a string of printable ASCII characters', realm)
  }
  if (invalidClientStatus !== 400 && invalidClientStatus !== 401) {
    throw badOption('invalidClientStatus', '400 or 401', invalidClientStatus)
  }
  const { writeError } = options
  if (writeError !== undefined) requireFunction('writeError', writeError)
  const challenge: Headers = { 'WWW-Authenticate': `Basic realm=${quoted(realm)}` }

  function describe(error: OAuthError): string | undefined {
    if (verbosity === 'minimal') return undefined
    const sentence = error.code === 'invalid_client' ? FIXED_INVALID_CLIENT : error.message
    if (verbosity === 'normal') return describable(sentence)
    const { reason, detail } = error
    return describable(`${sentence} ${reason ?? 'no reason'}${detail === undefined ? '' : `: ${detail}`}`)
  }

  return (thrown, request, response, extra) => {
    const error = answerable(toOAuthError(thrown))
    const authorized = Boolean(request.headers.authorization)
    const failed = error.code === 'invalid_client'
    const status = failed ? (authorized ? 401 : invalidClientStatus) : error.status
    publish('request.refused', () => ({
      code: error.code,
      status,
      reason: error.reason,
      detail: error.detail,
      clientId: error.clientId,
      ...(error.cause === undefined ? {} : { cause: error.cause }),
    }))
    if (response.headersSent || response.writableEnded) {
      if (!response.writableEnded) response.destroy() // half an answer must not look like a whole one
      return
    }
    const description = describe(error)
    // an earlier middleware may have set a challenge that is not due
    response.removeHeader('WWW-Authenticate')
    const body: ErrorBody =
      description === undefined ? { error: error.code } : { error: error.code, error_description: description }
    const headers = { ...NO_STORE, ...extra, ...error.headers, ...(failed && authorized ? challenge : undefined) }
    const send = (): void => answerJson(response, status, body, headers)
    if (writeError === undefined) {
      send()
      return
    }
    response.statusCode = status
    setPrepared(response)
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    const write = () => writeError(error, request, response, body)
    callWriter(write, response, { milliseconds: MOST_WRITER_MILLISECONDS, onFault: warnOnce, send })
  }
}

/** How long an error writer of the application may take. */
const MOST_WRITER_MILLISECONDS = 30_000

let hasWarned = false

function warnOnce(fault: unknown): void {
  if (hasWarned) return
  hasWarned = true
  process.emitWarning(`The option writeError failed: ${isInstance(fault, Error) ? messageOf(fault) : typeof fault}`, {
    code: 'CLIENT_ASSERTION_JWT_ERROR_WRITER',
  })
}

/**
 * The options of `respondWithError`.
 *
 * @inline
 */
export interface ErrorMiddlewareOptions extends ErrorResponseOptions {
  /** The CORS headers of the endpoint, where an earlier middleware may fail before `allowCors` has set them. */
  readonly cors?: CorsOptions | undefined
}

const NAMES = optionNames<ErrorMiddlewareOptions>({
  verbosity: true,
  forceDebug: true,
  realm: true,
  invalidClientStatus: true,
  writeError: true,
  cors: true,
})

/**
 * Creates an error-handling middleware that responds to any error with the JSON of RFC 6749 §5.2. Use it instead of
 * oauth2orize's `server.errorHandler()`. It sets `no-store`, the status that the RFC defines for the code, and a Basic
 * challenge with 401. For an error that is not an OAuth error the response is `server_error`, without its message.
 * Publishes `request.refused`.
 *
 * @example
 * ```ts
 * import { respondWithError } from 'passport-client-assertion-jwt'
 *
 * app.use('/device_authorization', allowCors(), setNoStore(), readFormBody(), authenticateClients({ authenticateClient }))
 * app.post('/device_authorization', (req, res) => {
 *   res.json({ for: req.user, authenticatedBy: req.authInfo })
 * })
 * app.use('/device_authorization', respondWithError())
 * ```
 */
export function respondWithError(options: ErrorMiddlewareOptions = {}): ErrorMiddleware {
  checkOptions('respondWithError', options, NAMES)
  const write = createErrorWriter(options)
  const cors = createCors(options.cors ?? false)
  // four parameters: Express counts them
  return (error, request, response, _next) => write(error, request, response, cors.of(request, false))
}
