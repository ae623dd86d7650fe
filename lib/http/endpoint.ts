import type { AuthenticateClient } from '../client_authentication/authenticator.ts'
import { type Clock, systemClock } from '../clock.ts'
import { refusal } from '../errors.ts'
import type { ExchangeRequest } from '../exchanges/exchange.ts'
import { badOption, requireFunction } from '../options.ts'
import type { FormParameters } from '../parameters.ts'
import { type CorsOptions, createCors } from './cors.ts'
import { createErrorWriter, type ErrorResponseOptions } from './error_response.ts'
import { createFormReader, type FormBodyOptions } from './form_body.ts'
import { answerJson } from './json_response.ts'
import type { Next, Request, Response } from './message.ts'
import { NO_STORE } from './no_store.ts'

/** What all endpoints that clients post forms to have in common. */
export interface EndpointOptions extends ErrorResponseOptions, FormBodyOptions {
  /** `false`: no CORS headers. Default: any origin may call (client authentication guards the endpoint). */
  readonly cors?: CorsOptions | false | undefined
  /**
   * The path to answer, without the query, for a handler that stands in front of an application: requests for other
   * paths go to `next`, or are answered with 404 where there is none. Default: whatever reaches the handler.
   */
  readonly path?: string | undefined
  /** The advertised URL of this endpoint, where it is not the token endpoint: assertions may be addressed to it. */
  readonly endpoint?: string | undefined
  /** Default: the clock of this machine. */
  readonly clock?: Clock | undefined
}

/** Answers requests: for `http.createServer`, or as a middleware of Express 4 and 5. */
export type RequestHandler = (request: Request, response: Response, next?: Next) => void

/** What an endpoint does for an authenticated client: resolves to the JSON of a 200, or rejects with an `OAuthError`. */
export type Answer = (request: ExchangeRequest) => Promise<object>

type Headers = Readonly<Record<string, string>>

/** The methods this kind of endpoint answers. */
export const ALLOWED = 'POST, OPTIONS'

/** The refusal of any other method. */
export const methodNotAllowed = () =>
  refusal('method_not_allowed', {
    status: 405,
    headers: { Allow: ALLOWED },
    description: 'The request method must be POST.',
    detail: `expected one of ${ALLOWED}`,
  })

/** Path and query of a request target, also of one that names the host (RFC 9112 §3.2.2 makes servers take both). */
const pathAndQuery = (url: string): string =>
  url === '' || url.startsWith('/') ? url : url.replace(/^https?:\/\/[^/?]*/i, '')

/** Whether the request is for a path below the one where Express mounted the handler. */
export function isBelowMount(request: Request): boolean {
  if (request.baseUrl === undefined || request.baseUrl === '' || request.route !== undefined) return false
  const url = pathAndQuery(request.url ?? '/')
  return url !== '' && url !== '/' && !/^\/?\?/.test(url)
}

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
 * Makes the handler of an endpoint that authenticated clients post forms to: path, method, form, client authentication,
 * answer, in this order. Every answer but the preflight's forbids caching; errors are answered too, never passed to
 * `next`. `answer` judges everything that comes after client authentication.
 */
export function createEndpoint(
  authenticateClient: AuthenticateClient,
  answer: Answer,
  options: EndpointOptions = {},
): RequestHandler {
  requireFunction('authenticateClient', authenticateClient)
  const { clock = systemClock, endpoint } = options
  const serves = pathMatcher(options.path)
  const read = createFormReader(options)
  const writeError = createErrorWriter(options)
  const cors = createCors(options.cors)

  // nearly always those of the answer before
  let corsBefore: Headers | undefined
  let headersBefore: Headers = NO_STORE
  function headersOf(corsHeaders: Headers): Headers {
    if (corsHeaders !== corsBefore) {
      corsBefore = corsHeaders
      headersBefore = { ...NO_STORE, ...corsHeaders }
    }
    return headersBefore
  }

  // async from its first line: what the application's functions throw is answered too
  async function serve(request: Request, response: Response, parameters: FormParameters): Promise<void> {
    const now = clock()
    const context = endpoint === undefined ? { request, now } : { request, now, endpoint }
    const { client, authentication } = await authenticateClient(request, parameters, context)
    const body = await answer({ client, authentication, parameters, now, context })
    answerJson(response, 200, body, headersOf(cors.of(request, false)))
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
    const fail = (error: unknown): void => writeError(error, request, response, cors.of(request, false))
    read(request, (error, parameters) => {
      if (error === undefined) serve(request, response, parameters).catch(fail)
      else fail(error)
    })
    return undefined
  }
}
