import { isStrings } from '../optional.ts'
import { badOption, checkOptions, optionNames, wholeNumber } from '../options.ts'
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
  /**
   * The request headers that scripts may send, such as `['Authorization', 'Content-Type']`. Default: those that the browser
   * asks for. No credentials of the browser are involved, so a header cannot do more than its sender could without one.
   */
  readonly headers?: readonly string[] | undefined
  /** The methods of the endpoint. Default `['POST']`. */
  readonly methods?: readonly string[] | undefined
}

type Headers = Readonly<Record<string, string>>

const NAMES = optionNames<CorsOptions>({ origins: true, maxAgeSeconds: true, headers: true, methods: true })

/** The CORS headers of a response. */
export interface CorsHeaders {
  of(request: Request, preflight: boolean): Headers
  /** Those of a response that has none of the headers that have to be exposed. */
  ofPlain(request: Request): Headers
}

const NO_HEADERS: Headers = Object.freeze({})

/** Headers that browsers show to scripts only if they are listed. */
const EXPOSED = 'WWW-Authenticate, Retry-After, DPoP-Nonce'

/** A list of header names (RFC 9110 §5.1), and no longer than a browser makes it. */
const HEADER_NAMES = /^[\w!#$%&'*+.^`|~, -]{1,2048}$/

/** Makes the function that returns the CORS headers of an endpoint. `false` is none. */
export function createCors(options: CorsOptions | false | undefined, usual: readonly string[] = ['POST']): CorsHeaders {
  if (options === false) return { of: () => NO_HEADERS, ofPlain: () => NO_HEADERS }
  if (options !== undefined) checkOptions('cors', options, NAMES)
  const { origins = '*', methods = usual, headers, maxAgeSeconds } = options ?? {}
  if (origins !== '*' && !isStrings(origins)) throw badOption('cors.origins', "'*' or an array of origins", origins)
  if (!isStrings(methods)) throw badOption('cors.methods', 'an array of methods', methods)
  if (headers !== undefined && !(isStrings(headers) && headers.every((each) => HEADER_NAMES.test(each)))) {
    throw badOption('cors.headers', 'an array of header names', headers)
  }
  const common: Headers = {
    'Access-Control-Allow-Methods': methods.join(', '),
    'Access-Control-Allow-Headers': headers?.join(', ') ?? 'authorization,content-type,dpop',
  }
  const exposed: Headers = { 'Access-Control-Expose-Headers': EXPOSED }
  const maxAge: Headers =
    maxAgeSeconds === undefined
      ? NO_HEADERS
      : { 'Access-Control-Max-Age': String(wholeNumber('cors.maxAgeSeconds', maxAgeSeconds, 0, 0, 86_400)) }

  /** The headers of the response to a preflight. Names that cannot be header names are not repeated. */
  function ofPreflight(request: Request, allowed: Headers): Headers {
    const asked = request.headers['access-control-request-headers']
    const isRepeated = headers === undefined && asked !== undefined && HEADER_NAMES.test(asked)
    return { ...allowed, ...maxAge, ...(isRepeated ? { 'Access-Control-Allow-Headers': asked } : {}) }
  }

  if (origins === '*') {
    const plain = Object.freeze({ 'Access-Control-Allow-Origin': '*', ...common })
    const allowed = Object.freeze({ ...plain, ...exposed })
    return {
      of: (request, preflight) => (preflight ? ofPreflight(request, allowed) : allowed),
      ofPlain: () => plain,
    }
  }
  const known = new Set(origins)
  const ofListed = ({ headers: { origin } }: Request, more: Headers): Headers | undefined =>
    origin !== undefined && known.has(origin)
      ? { 'Access-Control-Allow-Origin': origin, Vary: 'Origin', ...common, ...more }
      : undefined
  return {
    of(request, preflight) {
      const allowed = ofListed(request, exposed)
      if (allowed === undefined) return { Vary: 'Origin' }
      return preflight ? ofPreflight(request, allowed) : allowed
    },
    ofPlain: (request) => ofListed(request, NO_HEADERS) ?? { Vary: 'Origin' },
  }
}

/**
 * A middleware that sets the CORS headers on every answer, errors included, and answers the preflight (`OPTIONS`) with
 * 204. It allows no credentials. Origins that are not listed get no header; the request itself is not refused for that.
 *
 * @example
 * ```ts
 * import { allowCors } from 'passport-client-assertion-jwt'
 *
 * app.use('/device_authorization', allowCors(), setNoStore(), readFormBody(), authenticateClients({ authenticateClient }))
 * app.post('/device_authorization', (req, res) => {
 *   res.json({ for: req.user, authenticatedBy: req.authInfo })
 * })
 * app.use('/device_authorization', respondWithError())
 * ```
 */
export function allowCors(options: CorsOptions = {}): Middleware {
  checkOptions('allowCors', options, NAMES)
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
