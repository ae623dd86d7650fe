import type { Client, ClientAuthentication } from '../client.ts'
import { type Clock, systemClock } from '../clock.ts'
import { asError, refusal } from '../errors.ts'
import type { Exchange, TokenResponse } from '../exchanges/exchange.ts'
import { returnedWrong, timeOf } from '../hooks.ts'
import { readToClient, readUserProperty } from '../hosts/passport.ts'
import { soundForm } from '../http/form.ts'
import { announcedForm, requireAnnounced } from '../http/form_body.ts'
import { proofOf } from '../http/key_proof.ts'
import type { Next, Request, Response } from '../http/message.ts'
import { answerTokens } from '../http/token_response.ts'
import { checkOptions, optionNames, requireFunction } from '../options.ts'
import type { FormParameters } from '../parameters.ts'

/** An exchange of this package as a function for oauth2orize's `server.exchange(…)`. */
export interface Oauth2orizeExchange {
  /**
   * Handles a token request. The type of `next` fits both declarations: oauth2orize declares `Error`, Express `any`.
   */
  (request: Request, response: Response, next: (error?: never) => void): void
  /** The exchange itself, for `createTokenEndpoint({ exchanges })`, which does not need oauth2orize. */
  readonly exchange: Exchange
}

/**
 * The options of `toOauth2orize`.
 *
 * @inline
 */
export interface ToOauth2orizeOptions {
  /**
   * Returns the client record for the value that your own strategies put into `req.user`, or `undefined` if it is no
   * client. Default: `req.user` itself, if it has a `client_id`.
   */
  readonly toClient?: ((user: unknown) => Client | undefined) | undefined
  /**
   * The property of the request that contains the authenticated client, as in oauth2orize's own exchanges. Default: the
   * `userProperty` of `passport.initialize()`, or else `user`.
   */
  readonly userProperty?: string | undefined
  /** Returns the current time in epoch seconds. Default: the system clock. */
  readonly clock?: Clock | undefined
}

const NAMES = optionNames<ToOauth2orizeOptions>({
  toClient: true,
  userProperty: true,
  clock: true,
})

/** `req.authInfo` if one of this package's strategies put it there. */
const asAuthentication = (info: unknown): ClientAuthentication | undefined =>
  typeof info === 'object' && info !== null && typeof (info as ClientAuthentication).method === 'string'
    ? (info as ClientAuthentication)
    : undefined

/**
 * Refuses a request that presents two credentials (RFC 6749 §2.3). In a chain of Passport, a verify function that does not
 * receive the request cannot see that.
 */
function requireOneCredential(
  { headers: { authorization } }: Request,
  parameters: FormParameters,
  authentication: ClientAuthentication | undefined,
): void {
  const hasHeader = authorization !== undefined && authorization !== ''
  const hasAssertion = parameters['client_assertion'] !== undefined || parameters['client_assertion_type'] !== undefined
  const hasOther = hasAssertion
    ? hasHeader || parameters['client_secret'] !== undefined
    : hasHeader && authentication?.method === 'client_secret_post'
  if (!hasOther) return
  throw refusal('client_authentication_repeated', {
    clientId: parameters['client_id'],
    description: 'The request uses more than one client authentication method.',
    detail: `expected one credential, got ${hasAssertion ? 'a client assertion' : 'an Authorization header'} and another credential: set passReqToCallback: true for the strategies`,
  })
}

/**
 * Converts an exchange into a function for oauth2orize's `server.exchange(…)`. The name of the function is the grant
 * type, as `server.exchange(fn)` requires.
 *
 * The function reads the client from `req.user`, and the parameters from `req.body`, with any body parser, under the
 * rules of `readFormBody`. It sends the response itself. It passes an error to `next` once, so the error handler of the
 * route receives it. It does not authenticate: if `req.user` has no client, it refuses the request.
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { toOauth2orize } from 'passport-client-assertion-jwt/oauth2orize'
 *
 * server.exchange(
 *   toOauth2orize({
 *     grantType: 'urn:example:params:oauth:grant-type:voucher',
 *     async run({ client, parameters }) {
 *       if (parameters['voucher'] === undefined) throw new OAuthError('invalid_request')
 *       return { access_token: await redeem(`${client.client_id}:${parameters['voucher']}`), token_type: 'Bearer', expires_in: 600 }
 *     },
 *   }),
 * )
 * ```
 */
export function toOauth2orize(exchange: Exchange, options: ToOauth2orizeOptions = {}): Oauth2orizeExchange {
  checkOptions('toOauth2orize', options, NAMES)
  return wrapExchange(exchange, options)
}

/** As `toOauth2orize`, from options that are checked already and may have others among them. */
export function wrapExchange(exchange: Exchange, options: ToOauth2orizeOptions): Oauth2orizeExchange {
  const { clock = systemClock } = options
  const clientOf = readToClient(options.toClient)
  const propertyOf = readUserProperty(options.userProperty)
  requireFunction('clock', clock)
  requireFunction('exchange.run', (exchange as Exchange | undefined)?.run)

  async function run(request: Request) {
    const userProperty = propertyOf(request)
    const user = (request as unknown as Readonly<Record<string, unknown>>)[userProperty]
    const client = user ? clientOf(user) : undefined
    if (client === undefined) {
      throw refusal('client_authentication_missing', {
        detail: `expected an authenticated client in req.${userProperty}`,
      })
    }
    const { body } = request
    if (typeof body !== 'object' || body === null) {
      throw refusal('misconfigured', {
        detail: 'expected parameters in req.body, got none: call readFormBody() first',
      })
    }
    const announced = announcedForm(request.headers)
    if (announced === 'none') throw refusal('content_type_unsupported', { status: 415 })
    const parameters = requireAnnounced(soundForm(request, body), announced)
    const authentication = asAuthentication(request.authInfo)
    requireOneCredential(request, parameters, authentication)
    const tokens: unknown = await exchange.run({
      client,
      authentication,
      parameters,
      now: timeOf(clock),
      context: { request, parameters },
      proof: proofOf(request),
    })
    if (typeof tokens !== 'object' || tokens === null) throw returnedWrong('exchange.run', 'a token response')
    return tokens as TokenResponse
  }

  // The promise is for who wants to know when it is over. It never rejects, unless `next` throws.
  const step = async (request: Request, response: Response, next: Next): Promise<void> => {
    try {
      const tokens = await run(request)
      if (!response.headersSent) answerTokens(response, tokens) // else it came too late
    } catch (error) {
      next(asError(error))
    }
  }
  return Object.defineProperties(step, {
    name: { value: exchange.grantType },
    exchange: { value: exchange, enumerable: true },
  }) as typeof step & Oauth2orizeExchange
}
