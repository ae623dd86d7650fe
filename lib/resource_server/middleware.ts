import { type Clock, systemClock } from '../clock.ts'
import { asOAuthError, OAuthError, refusal } from '../errors.ts'
import { publish } from '../events.ts'
import { callHook, timeOf } from '../hooks.ts'
import { type CorsOptions, createCors } from '../http/cors.ts'
import { createErrorWriter, type Verbosity } from '../http/error_response.ts'
import { answerJson } from '../http/json_response.ts'
import type { Middleware, Request, Response } from '../http/message.ts'
import { NO_STORE } from '../http/no_store.ts'
import { badOption, checkOptions, optionNames, requireFunction, requireVerbs, wholeNumber } from '../options.ts'
import { formatScope, parseScope } from '../scope.ts'
import type { AccessToken } from './access_token.ts'
import { type ChallengeFacts, createChallenge } from './challenge.ts'
import { type Credentials, readCredentials } from './credentials.ts'
import { isWebResource, locateDocument } from './protected_resource.ts'
import { type AccessTokenVerifier, publishInsufficient } from './verifier.ts'

/** The options of `requireAccessToken`: what a request needs in addition to a valid token, and how it is refused. */
export interface AccessTokenRequirements {
  /**
   * The scope values that the operation needs. A token must have all of them. A string separates them by spaces.
   * Default: none.
   */
  readonly scope?: string | readonly string[] | undefined
  /** Maximum age of the user's login (`auth_time`) in seconds (RFC 9470). Default: any age. */
  readonly maxAgeSeconds?: number | undefined
  /** The accepted authentication context classes (`acr`), best first. The login must have one of them. Default: any. */
  readonly acr?: string | readonly string[] | undefined
  /**
   * The URL of the protected resource metadata (RFC 9728), for challenges. Default: the URL at which
   * `createProtectedResource` serves it. `false`: challenges contain no URL.
   */
  readonly resourceMetadata?: string | false | undefined
  /**
   * For a verifier with `dpop`: returns the URL of the request as clients see it, which proofs must match. Default: the
   * origin of the resource plus the path of the request. Never use the `Host` header in it.
   */
  readonly requestUrl?: ((request: Request) => string) | undefined
  /** The realm of challenges. Default: none. */
  readonly realm?: string | undefined
  /**
   * CORS for browser clients: the middleware responds to preflights, and scripts can read the challenge. Headers that
   * your application has already set are kept. `false`: no CORS headers, and preflights need a token. Default: any
   * origin.
   */
  readonly cors?: CorsOptions | false | undefined
  /** How much detail error responses contain: `minimal`, `normal` or `debug`. Default `normal`. */
  readonly verbosity?: Verbosity | undefined
  /**
   * Allows `verbosity: 'debug'` if `NODE_ENV` is `production`. Default `false`: the call throws a `TypeError`.
   */
  readonly forceDebug?: boolean | undefined
  /** Returns the current time in epoch seconds. Default: the system clock. */
  readonly clock?: Clock | undefined
}

const NAMES = optionNames<AccessTokenRequirements>({
  scope: true,
  maxAgeSeconds: true,
  acr: true,
  resourceMetadata: true,
  requestUrl: true,
  realm: true,
  cors: true,
  verbosity: true,
  forceDebug: true,
  clock: true,
})

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
const isUrl = (value: unknown): boolean => typeof value === 'string' && /^https?:/i.test(value) && URL.canParse(value)
const NOT_PRINTABLE = /[^\x20-\x7e]/

/** The wanted values of an option that is a string with spaces, or an array. */
function readValues(name: string, value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return []
  const all: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (!all.every((each): each is string => typeof each === 'string' && parseScope(each) !== undefined))
    throw badOption(name, 'values separated by spaces, or an array of them', value)
  return all.flatMap((each) => each.split(' ')).filter((each) => each !== '')
}

function readText(name: string, value: unknown): string | undefined {
  if (value === undefined || (typeof value === 'string' && !NOT_PRINTABLE.test(value))) return value
  throw badOption(name, 'a string of printable ASCII characters', value)
}

function readResourceMetadata(value: unknown, resource: string): string | undefined {
  if (value === false) return undefined
  if (value === undefined) return isWebResource(resource) ? locateDocument(resource).url : undefined
  if (typeof value === 'string' && /^https?:\/\/[\x21-\x7e]+$/i.test(value)) return value
  throw badOption('resourceMetadata', 'an http(s) URL or false', value)
}

/** The login of the user is recent and strong enough (RFC 9470 §3). */
function isAuthenticated({ claims }: AccessToken, acr: readonly string[], maxAge: number | undefined, now: number) {
  const { acr: reached, auth_time: at } = claims
  if (acr.length > 0 && !(typeof reached === 'string' && acr.includes(reached))) return false
  return maxAge === undefined || (typeof at === 'number' && now - at <= maxAge)
}

/** A wrong proof is a 400 at the token endpoint, and a 401 here (RFC 9449 §7.1). */
function withStatus(error: OAuthError): OAuthError {
  const { code, reason, detail, clientId, headers, message: description } = error
  if (code !== 'invalid_dpop_proof' && code !== 'use_dpop_nonce') return error
  return new OAuthError(code, { reason, detail, clientId, headers, description, status: 401 })
}

/**
 * Creates a middleware that lets a request pass only if its `Authorization` header has a valid access token. It sets
 * `request.auth` to the verified token. Use it with Express 4 and 5, or with `node:http`:
 * `protect(request, response, () => …)`.
 *
 * The middleware responds to all other requests itself, and never calls `next` with an error. Its responses have the
 * challenge of RFC 6750 and RFC 9728:
 *
 * - 401 if the token is missing or invalid
 * - 403 `insufficient_scope`, with all scope values that the operation needs
 * - 401 `insufficient_user_authentication` if the login is too old or not strong enough
 * - 400 if the `Authorization` header is malformed
 * - 503, without a challenge, if the token cannot be verified now
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { requireAccessToken } from 'passport-client-assertion-jwt/resource-server'
 *
 * app.use('/api', requireAccessToken(verifier))
 * ```
 */
export function requireAccessToken(verifier: AccessTokenVerifier, options: AccessTokenRequirements = {}): Middleware {
  requireVerbs('verifier', verifier, ['verify'])
  checkOptions('requireAccessToken', options, NAMES)
  const { clock = systemClock, verbosity, forceDebug } = options
  requireFunction('clock', clock)
  const { dpop } = verifier
  const { origin } = new URL(verifier.resource)
  const pathOf = ({ originalUrl, url = '' }: Request): string =>
    (originalUrl ?? url).replace(/^https?:\/\/[^/?]*/i, '').replace(/[?#].*$/s, '')
  const { requestUrl = (request: Request) => origin + pathOf(request) } = options
  requireFunction('requestUrl', requestUrl)
  const algs = dpop === undefined ? '' : ` algs="${dpop.algorithms.join(' ')}"`
  const scope = [...new Set(readValues('scope', options.scope))].sort()
  const acr = readValues('acr', options.acr)
  const maxAge =
    options.maxAgeSeconds === undefined
      ? undefined
      : wholeNumber('maxAgeSeconds', options.maxAgeSeconds, 0, 0, 31_536_000)
  const facts: ChallengeFacts = {
    realm: readText('realm', options.realm),
    scope: formatScope(scope),
    acrValues: acr.length === 0 ? undefined : acr.join(' '),
    maxAgeSeconds: maxAge,
    resourceMetadata: readResourceMetadata(options.resourceMetadata, verifier.resource),
  }
  const cors = createCors(options.cors, METHODS)
  const writeError = createErrorWriter({ verbosity, forceDebug })

  /** The CORS headers of a response, unless the application has set its own. */
  function corsOf(request: Request, response: Response): Readonly<Record<string, string>> {
    if (options.cors === false) return {}
    const headers = cors.of(request, false)
    if (!response.hasHeader('Access-Control-Allow-Origin')) return headers
    const exposed = headers['Access-Control-Expose-Headers']
    return exposed === undefined || response.hasHeader('Access-Control-Expose-Headers')
      ? {}
      : { 'Access-Control-Expose-Headers': exposed }
  }

  const isPreflight = ({ method, headers }: Request): boolean =>
    options.cors !== false && method === 'OPTIONS' && headers['access-control-request-method'] !== undefined

  function refuse(thrown: OAuthError, request: Request, response: Response): void {
    const error = withStatus(thrown)
    const headers = corsOf(request, response)
    if (error.status >= 500) {
      writeError(error, request, response, headers)
      return
    }
    const { code, status, reason, detail, clientId } = error
    const message = verbosity === 'minimal' ? '' : error.message
    const challenge = {
      'WWW-Authenticate': challengeOf(createChallenge({ code, reason, message }, facts), error, request),
    }
    if (reason !== 'token_missing') {
      writeError(error, request, response, { ...headers, ...challenge })
      return
    }
    // RFC 6750 §3.1: no error, and no other information about one
    publish('request.refused', () => ({ code, status, reason, detail, clientId }))
    if (!response.headersSent) answerJson(response, status, {}, { ...NO_STORE, ...headers, ...challenge })
  }

  /** The challenge for the scheme that was used, or for both if none was; `algs` for DPoP (RFC 9449 §7.1). */
  function challengeOf(bearer: string, { reason }: OAuthError, { headers }: Request): string {
    if (dpop === undefined) return bearer
    const asDpop = `DPoP${bearer.slice('Bearer'.length)}${bearer === 'Bearer' ? '' : ','}${algs}`
    const usedDpop = /^dpop(?:[ \t]|$)/i.test(headers.authorization ?? '')
    return usedDpop || dpop.isRequired || reason === 'token_bound' ? asDpop : `${bearer}, DPoP${algs}`
  }

  async function check(request: Request, response: Response): Promise<AccessToken> {
    const sent = readCredentials(request)
    const now = timeOf(clock)
    const token = await verify(sent, now, request, response)
    if (!isAuthenticated(token, acr, maxAge, now))
      throw publishInsufficient(refusal('authentication_insufficient', { detail: 'acr or auth_time' }), token)
    if (!scope.every((value) => token.scopes.includes(value)))
      throw publishInsufficient(refusal('scope_insufficient', { detail: `expected ${formatScope(scope)}` }), token)
    return token
  }

  async function verify(sent: Credentials | undefined, now: number, request: Request, response: Response) {
    if (sent === undefined || sent.scheme === 'bearer') return verifier.verify(sent?.token ?? '', { now })
    if (dpop === undefined) return verifier.verify('', { now }) // a scheme that is not offered counts as no token
    const nonce = dpop.getNonce(now)
    if (nonce !== undefined && !response.headersSent) response.setHeader('DPoP-Nonce', nonce)
    const { method = '', headers } = request
    const url = callHook<string>('requestUrl', () => requestUrl(request), isUrl, 'the URL of the request at once')
    return verifier.verify(sent.token, { now, proof: { proof: headers['dpop'], method, url } })
  }

  return (request, response, next) => {
    if (isPreflight(request)) {
      response.writeHead(204, { ...cors.of(request, true) })
      response.end()
      return
    }
    check(request, response).then(
      (token) => {
        for (const [name, value] of Object.entries(corsOf(request, response))) response.setHeader(name, value)
        Object.assign(request, { auth: token })
        process.nextTick(next) // what it throws is an exception of the application, not of this promise
      },
      (error: unknown) => refuse(asOAuthError(error), request, response),
    )
  }
}
