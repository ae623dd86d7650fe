import { badOption, wholeNumber } from '../options.ts'
import type { Middleware, Request } from './message.ts'

/** Which origins may call an endpoint from a browser. */
export interface CorsOptions {
  /**
   * The origins that scripts may call from: `'*'` (default), or a list such as `['https://app.example']`. Client
   * authentication, not the origin, guards the endpoint; no cookie is ever read there.
   */
  readonly origins?: '*' | readonly string[] | undefined
  /** Seconds for which a browser may remember a preflight. Default: not said, which browsers take as 5. */
  readonly maxAgeSeconds?: number | undefined
  /** The methods of the endpoint. Default `['POST']`. */
  readonly methods?: readonly string[] | undefined
}

type Headers = Readonly<Record<string, string>>

/** The CORS headers of an answer. */
export interface CorsHeaders {
  of(request: Request, preflight: boolean): Headers
}

const NO_HEADERS: Headers = Object.freeze({})

/** Makes what knows the CORS headers of an endpoint. `false` is none. */
export function createCors(options: CorsOptions | false | undefined): CorsHeaders {
  if (options === false) return { of: () => NO_HEADERS }
  const { origins = '*', methods = ['POST'] } = options ?? {}
  if (origins !== '*' && !(Array.isArray(origins) && origins.every((each) => typeof each === 'string'))) {
    throw badOption('cors.origins', "'*' or a list of origins", origins)
  }
  const allowed: Headers = {
    'Access-Control-Allow-Methods': methods.join(', '),
    'Access-Control-Allow-Headers': 'authorization,content-type',
  }
  const maxAge: Headers =
    options?.maxAgeSeconds === undefined
      ? NO_HEADERS
      : { 'Access-Control-Max-Age': String(wholeNumber('cors.maxAgeSeconds', options.maxAgeSeconds, 0, 0, 86_400)) }
  if (origins === '*') {
    const answer = Object.freeze({ 'Access-Control-Allow-Origin': '*', ...allowed })
    const preflightAnswer = Object.freeze({ ...answer, ...maxAge })
    return { of: (_request, preflight) => (preflight ? preflightAnswer : answer) }
  }
  const known = new Set(origins)
  return {
    of(request, preflight) {
      const { origin } = request.headers
      if (origin === undefined || !known.has(origin)) return { Vary: 'Origin' }
      const answer = { 'Access-Control-Allow-Origin': origin, Vary: 'Origin', ...allowed }
      return preflight ? { ...answer, ...maxAge } : answer
    },
  }
}

/**
 * A middleware that sets the CORS headers on every answer, errors included, and answers the preflight (`OPTIONS`) with
 * 204. It allows no credentials. Origins that are not listed get no header; the request itself is not refused for that.
 */
export function cors(options: CorsOptions = {}): Middleware {
  const headers = createCors(options)
  return (request, response, next) => {
    const preflight = request.method === 'OPTIONS'
    for (const [name, value] of Object.entries(headers.of(request, preflight))) response.setHeader(name, value)
    if (!preflight) return next()
    response.statusCode = 204
    response.end()
    return undefined
  }
}
