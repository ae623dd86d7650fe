import { type Clock, systemClock } from '../clock.ts'
import { OAuthError, refusal, unavailable } from '../errors.ts'
import { timeOf } from '../hooks.ts'
import { isBelowMount, pathAndQuery } from '../hosts/express.ts'
import { type CorsOptions, createCors } from '../http/cors.ts'
import { createErrorWriter, type ErrorResponseOptions } from '../http/error_response.ts'
import { createFormReader, type FormBodyOptions } from '../http/form_body.ts'
import { answerJson } from '../http/json_response.ts'
import type { Next, Request, Response } from '../http/message.ts'
import { NO_STORE } from '../http/no_store.ts'
import { badOption, checkEndpoint, optionNames, requireFunction, wholeNumber } from '../options.ts'
import type { Authenticated, EndpointAuthentication, Turn } from './turn.ts'

/** The options of all endpoints. */
export interface EndpointOptions extends ErrorResponseOptions, FormBodyOptions {
  /** CORS options; `false` for no CORS headers. Default: any origin may call, because clients authenticate. */
  readonly cors?: CorsOptions | false | undefined
  /**
   * The path of the endpoint, without the query. Set it if the endpoint runs in front of an application: requests with other
   * paths are passed to `next`, or get 404 without `next`. Default: the endpoint handles every request it receives.
   */
  readonly path?: string | undefined
  /** The advertised URL of this endpoint, if it is not the token endpoint. It is then accepted as `aud` of assertions. */
  readonly endpoint?: string | undefined
  /**
   * The time limit in milliseconds for client authentication and the handler. If it is exceeded, the endpoint responds with
   * 503 if the client is not authenticated yet, and with 500 otherwise. Default 30000.
   */
  readonly timeoutMilliseconds?: number | undefined
  /** Returns the time in epoch seconds. Default: the system clock. */
  readonly clock?: Clock | undefined
}

/** The names of `EndpointOptions`, for `checkOptions`. */
export const ENDPOINT_OPTIONS = optionNames<EndpointOptions>({
  cors: true,
  path: true,
  endpoint: true,
  timeoutMilliseconds: true,
  clock: true,
  limitBytes: true,
  repeatable: true,
  verbosity: true,
  forceDebug: true,
  realm: true,
  invalidClientStatus: true,
  writeError: true,
})

/** Handles requests: pass it to `http.createServer`, or use it as a middleware in Express 4 and 5. */
export type RequestHandler = (request: Request, response: Response, next?: Next) => void

type Headers = Readonly<Record<string, string>>

/** The response of an endpoint: the JSON body, and optionally status and headers. */
export interface Reply {
  readonly body: object
  readonly status: number
  readonly headers: Headers | undefined
}

/** What an endpoint does for an authenticated client. `undefined`: the response is sent already. */
type Work = (turn: Turn, authenticated: Authenticated) => Promise<Reply | undefined>

/** The methods of these endpoints. */
const ALLOWED = 'POST, OPTIONS'

const methodNotAllowed = () =>
  refusal('method_not_allowed', {
    status: 405,
    headers: { Allow: ALLOWED },
    description: 'The request method must be POST.',
    detail: `expected one of ${ALLOWED}`,
  })

function pathMatcher(path: string | undefined): (request: Request) => boolean {
  if (path === undefined) return (request) => !isBelowMount(request)
  if (typeof path !== 'string' || !path.startsWith('/')) throw badOption('path', "a path that begins with '/'", path)
  const withQuery = `${path}?`
  return (request) => {
    const url = pathAndQuery(request.url ?? '')
    return url === path || url.startsWith(withQuery)
  }
}

/**
 * Makes the handler of an endpoint that clients post forms to: path, method, form, client authentication, work, response,
 * in this order, and one time limit. Every response except the preflight's forbids caching. The handler responds to
 * errors too and never passes them to `next`.
 */
export function createShell(
  options: EndpointOptions,
  { authenticate, setsHeaders = false }: Pick<EndpointAuthentication, 'authenticate' | 'setsHeaders'>,
  work: Work,
): RequestHandler {
  const { clock = systemClock } = options
  requireFunction('clock', clock)
  checkEndpoint(options.endpoint)
  const serves = pathMatcher(options.path)
  const timeout = wholeNumber('timeoutMilliseconds', options.timeoutMilliseconds, 30_000, 1, 600_000)
  const read = createFormReader(options)
  const writeError = createErrorWriter(options)
  const cors = createCors(options.cors)

  function expire(turn: Turn): void {
    turn.isOver = true
    const { request, response, isAuthenticated } = turn
    if (response.writableEnded) return // sent, but not received yet
    const what = isAuthenticated ? 'the exchange' : 'client authentication'
    const detail = `${what} did not finish within ${timeout} milliseconds`
    writeError(
      isAuthenticated ? refusal('unexpected', { detail }) : unavailable(new Error(detail)),
      request,
      response,
      turn.cors,
    )
  }

  async function run(turn: Turn): Promise<void> {
    const timer = setTimeout(expire, timeout, turn).unref() // the connection keeps the process alive; this costs less
    try {
      turn.now = timeOf(clock)
      const authenticated = await authenticate(turn)
      if (turn.isOver) return
      turn.isAuthenticated = true
      const reply = await work(turn, authenticated)
      if (turn.isOver || reply === undefined) return
      const { body, status, headers } = reply
      if (headers === undefined) answerJson(turn.response, status, body, NO_STORE, turn.plainCors)
      else answerJson(turn.response, status, body, merged({ ...NO_STORE, ...turn.cors }, headers))
    } catch (error) {
      if (!turn.isOver) writeError(error, turn.request, turn.response, turn.cors)
    } finally {
      clearTimeout(timer)
    }
  }

  function withoutBody(request: Request, response: Response): void {
    request.resume()
    if (request.method === 'OPTIONS') {
      response.writeHead(204, { Allow: ALLOWED, ...cors.of(request, true) })
      response.end()
    } else {
      writeError(methodNotAllowed(), request, response, cors.of(request, false))
    }
  }

  return (request, response, next) => {
    if (!serves(request)) {
      if (next !== undefined) return next()
      request.resume()
      response.writeHead(404, { 'Content-Length': 0, ...NO_STORE })
      response.end()
      return undefined
    }
    if (request.method !== 'POST') return withoutBody(request, response)
    read(request, (error, parameters) => {
      const headers = cors.of(request, false)
      if (error !== undefined) writeError(error, request, response, headers)
      else
        run({
          request,
          response,
          parameters,
          cors: headers,
          plainCors: setsHeaders ? headers : cors.ofPlain(request),
          now: 0,
          isAuthenticated: false,
          isOver: false,
          proof: undefined,
        })
    })
    return undefined
  }
}

/** Headers of both; of one name, the added one. Names are compared without regard to case. */
function merged(headers: Headers, added: Headers): Headers {
  const names = new Set(Object.keys(added).map((name) => name.toLowerCase()))
  if (names.has('content-length') || names.has('transfer-encoding')) {
    throw new OAuthError('server_error', {
      reason: 'misconfigured',
      detail: 'an endpoint of the application set Content-Length or Transfer-Encoding',
    })
  }
  const kept = Object.entries(headers).filter(([name]) => !names.has(name.toLowerCase()))
  return { ...Object.fromEntries(kept), ...added }
}
