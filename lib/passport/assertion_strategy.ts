import { ASSERTION_TYPE, presentsAssertion } from '../assertion/presented.ts'
import {
  type AssertionContext,
  type AssertionVerifierOptions,
  assertionVerifierOf,
  isOwnVerifier,
  VERIFIER_OPTIONS,
  type VerifyAssertion,
} from '../assertion/verify.ts'
import type { AuthenticatedClient, Client, ClientAuthentication } from '../client.ts'
import { answerOfVerifier } from '../client_authentication/assertion.ts'
import { asError, OAuthError, refusal, unavailable } from '../errors.ts'
import { publishFailure } from '../events.ts'
import { callHost, isChosenStrategy, loginFault, parserFault, withoutLogin } from '../hosts/passport.ts'
import { isPromise } from '../maybe_promise.ts'
import { badOption, booleanOption, checkOptions, oneOf, optionNames, requireFunction } from '../options.ts'

/**
 * The parts of a request that the strategy reads. Requests of Express, Connect and NestJS with a parsed `body` have
 * them.
 */
export interface StrategyRequest {
  /** The HTTP method. Only POST requests are accepted. */
  readonly method?: string | undefined
  /** The headers, by their lower-case names. */
  readonly headers?: Readonly<Record<string, string | string[] | undefined>>
  /** The parsed form: an object of parameters. */
  readonly body?: unknown
}

/** What Passport puts on a strategy before it calls `authenticate`. */
export interface StrategyActions {
  success(user: object, info?: object): void
  fail(challenge?: object, status?: number): void
  error(error: unknown): void
}

/**
 * The callback of your verify function. Pass an error, or the user (a falsy user refuses the client). `info` is added
 * to `req.authInfo`.
 */
export type VerifyDone = (error: unknown, user?: unknown, info?: unknown) => void

/**
 * Your verify function: it decides whether an authenticated client is accepted. It receives the client record, how the
 * client authenticated (method, algorithm, key id, `jti`, verified claims and header), and `done`. With
 * `passReqToCallback`, the request is the first argument.
 *
 * Either call `done(error, user, info)`, or return the user or a promise of it. The first result counts. `true` stands
 * for the client record; `false` or `null` refuses the client.
 *
 * If the function is not async and returns `undefined`, it must call `done` within 30 seconds. If it is async, return
 * the user or `true`: a promise that resolves with `undefined` before `done` is called is a server error
 * (`misconfigured`).
 */
export type VerifyClient<C extends Client = Client> = (
  client: C,
  authentication: ClientAuthentication,
  done: VerifyDone,
) => unknown

/** `VerifyClient` with the request as its first argument, for `passReqToCallback: true`. */
export type VerifyClientWithRequest<C extends Client = Client> = (
  request: StrategyRequest,
  client: C,
  authentication: ClientAuthentication,
  done: VerifyDone,
) => unknown

/** The options of the strategy itself. */
export interface AssertionStrategyBehaviour {
  /** The name of the strategy in Passport. Default `client-assertion-jwt`. */
  readonly name?: string | undefined
  /** Whether the verify function receives the request as its first argument. Default `false`. */
  readonly passReqToCallback?: boolean | undefined
  /**
   * What happens if an assertion is invalid. `error`: the request ends with an `OAuthError`, which an error handler
   * receives; no other strategy is tried. `fail`: the strategy fails with `{ error, error_description }`, and Passport
   * tries the next strategy. Default `error`.
   *
   * Malformed requests (`invalid_request`) are always errors, for example an assertion in addition to another
   * credential. Server errors (500, 503) are always errors too.
   */
  readonly onInvalid?: 'error' | 'fail' | undefined
  /**
   * What happens to another `client_assertion_type`: `error` refuses it, `next` leaves it to the next strategy. Default
   * `error`.
   */
  readonly onForeignType?: 'error' | 'next' | undefined
  /** Whether a JSON body is accepted like a form, although RFC 6749 defines only forms. Default `false`. */
  readonly acceptJsonBody?: boolean | undefined
  /**
   * The advertised URL of the endpoint, if it is not the token endpoint. You can also set it per route. Default: the
   * token endpoint.
   */
  readonly endpoint?: string | undefined
}

/**
 * The options of `Strategy`: those of `createAssertionVerifier`, or an existing verifier, whose caches are then shared.
 */
export type AssertionStrategyOptions<C extends Client = Client> = AssertionStrategyBehaviour &
  (
    | AssertionVerifierOptions<C>
    | {
        /**
         * What `createAssertionVerifier` returned. Its caches are shared with other strategies and endpoints that use
         * it.
         */
        readonly verifyAssertion: VerifyAssertion<C>
      }
  )

const BEHAVIOUR = optionNames<AssertionStrategyBehaviour>({
  name: true,
  passReqToCallback: true,
  onInvalid: true,
  onForeignType: true,
  acceptJsonBody: true,
  endpoint: true,
})

/**
 * The options of this strategy in `passport.authenticate('client-assertion-jwt', { … })`.
 *
 * @inline
 */
export interface AssertionRouteOptions {
  /** The advertised URL of this endpoint, if it is not the token endpoint. */
  readonly endpoint?: string | undefined
}

const VERIFY_SECONDS = 30

const FORM = 'application/x-www-form-urlencoded'

const contentType = (request: StrategyRequest): string | undefined => {
  const value = request.headers?.['content-type']
  if (value === FORM) return value
  return typeof value === 'string' ? value.split(';', 1)[0]?.trim().toLowerCase() : undefined
}

/**
 * Authenticates OAuth clients that send a client assertion (RFC 7523: `private_key_jwt`, `client_secret_jwt`).
 *
 * The strategy reads `req.body` of POST requests with a form, and only its own properties. If there is no assertion, it
 * fails without a challenge, so Passport tries the next strategy. On success, `req.user` is the client record, or the
 * user from your verify function, and `req.authInfo` is a `ClientAuthentication`. Use it with `{ session: false }`.
 *
 * It does not parse bodies and does not send responses. Mount the error handler of this package, or your own.
 *
 * The constructor throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { Strategy } from 'passport-client-assertion-jwt'
 *
 * passport.use(new Strategy({ verifyAssertion })) // or pass the verifier's options
 *
 * const app = express()
 * const options = { session: false, failWithError: true }
 * app.post('/par', setNoStore(), readFormBody(), passport.authenticate('client-assertion-jwt', options), (req, res) => {
 *   res.status(201).json({ from: req.user, how: req.authInfo })
 * })
 * ```
 */
export class ClientAssertionStrategy<C extends Client = Client> {
  readonly name: string
  // Not #private: Passport runs a named strategy on an object that inherits from it.
  private readonly verifyAssertion: VerifyAssertion<C>
  private readonly verifyClient: ((...arguments_: readonly unknown[]) => unknown) | undefined
  private readonly behaviour: {
    readonly passReqToCallback: boolean
    readonly onInvalid: 'error' | 'fail'
    readonly onForeignType: 'error' | 'next'
    readonly acceptJsonBody: boolean
    readonly endpoint: string | undefined
  }

  constructor(
    options: AssertionStrategyOptions<C> & { readonly passReqToCallback: true },
    verify: VerifyClientWithRequest<C>,
  )
  constructor(options: AssertionStrategyOptions<C>, verify?: VerifyClient<C>)
  constructor(options: AssertionStrategyOptions<C>, verify?: VerifyClient<C> | VerifyClientWithRequest<C>) {
    const hasVerifier = typeof options === 'object' && options !== null && 'verifyAssertion' in options
    // next to a verifier, the options of a verifier would be ignored
    checkOptions('Strategy', options, [...BEHAVIOUR, ...(hasVerifier ? ['verifyAssertion'] : VERIFIER_OPTIONS)])
    if (verify !== undefined) requireFunction('verify', verify)
    const { name = 'client-assertion-jwt', endpoint } = options
    if (typeof name !== 'string' || name === '') throw badOption('name', 'a non-empty string', name)
    if (endpoint !== undefined && typeof endpoint !== 'string') throw badOption('endpoint', 'an absolute URL', endpoint)
    if ('verifyAssertion' in options) requireFunction('verifyAssertion', options.verifyAssertion)
    this.name = name
    this.verifyAssertion = 'verifyAssertion' in options ? options.verifyAssertion : assertionVerifierOf(options)
    this.verifyClient = verify as ((...arguments_: readonly unknown[]) => unknown) | undefined
    this.behaviour = {
      passReqToCallback: booleanOption('passReqToCallback', options.passReqToCallback, false),
      onInvalid: oneOf('onInvalid', options.onInvalid, 'error', ['error', 'fail']),
      onForeignType: oneOf('onForeignType', options.onForeignType, 'error', ['error', 'next']),
      acceptJsonBody: booleanOption('acceptJsonBody', options.acceptJsonBody, false),
      endpoint,
    }
  }

  /** Authenticates a request. Passport calls it; it ends in exactly one of `success`, `fail` and `error`. */
  authenticate(request: StrategyRequest, route?: AssertionRouteOptions): void {
    // Read now: on an instance that several requests share, the next request replaces them.
    const { success, fail, error } = this as unknown as StrategyActions
    const { behaviour, verifyClient } = this
    const parameters = parametersOf(request, behaviour.acceptJsonBody)
    const fault = parserFault(request) ?? (parameters && loginFault(this.name, request, route))
    if (fault !== undefined) {
      error(publishFailure(fault))
      return
    }
    if (
      parameters === undefined ||
      (behaviour.onForeignType === 'next' && isForeign(parameters, this.verifyAssertion))
    ) {
      fail()
      return
    }
    // A malformed request stays an error: its other credentials must not count (RFC 6749 §2.3).
    const refuse = (cause: unknown): void => {
      if (behaviour.onInvalid === 'fail' && cause instanceof OAuthError && cause.code === 'invalid_client')
        fail(challengeOf(cause), cause.status)
      else error(asError(cause))
    }
    // What is thrown downstream is no failed authentication, but an error.
    const { name } = this
    const succeed = (user: object, info: object): void =>
      callHost(request, () => withoutLogin(name, request, user, () => success(user, info)), error)
    const end = (cause: unknown): void => callHost(request, () => refuse(cause), error)
    const accept = (authenticated: AuthenticatedClient<C>): void => {
      if (verifyClient === undefined) succeed(authenticated.client, authenticated.authentication)
      else ask(verifyClient, behaviour.passReqToCallback ? request : undefined, authenticated, succeed, end)
    }
    const endpoint = route?.endpoint ?? behaviour.endpoint
    const context: AssertionContext = endpoint === undefined ? { request } : { request, endpoint }
    const verify = this.verifyAssertion
    // in a chain of Passport nobody else limits the time
    const isTimed = isChosenStrategy() && isOwnVerifier(verify)
    const pending = isTimed ? verify(parameters, context) : verified(verify, parameters, context)
    pending.then(accept, end)
  }
}

/** What a verifier resolves with, in time. One of the application may do anything. */
async function verified<C extends Client>(
  verify: VerifyAssertion<C>,
  parameters: Readonly<Record<string, unknown>>,
  context: AssertionContext,
): Promise<AuthenticatedClient<C>> {
  const answer: unknown = await answerOfVerifier(() => verify(parameters, context))
  const { client, authentication } = Object(answer) as Partial<AuthenticatedClient<C>>
  if (typeof client === 'object' && client !== null && typeof authentication === 'object' && authentication !== null)
    return answer as AuthenticatedClient<C>
  const detail = 'verifyAssertion must resolve with { client, authentication }'
  throw publishFailure(refusal('misconfigured', { detail }))
}

/** The form parameters of a request that presents an assertion in some way; `undefined` where it presents none. */
function parametersOf(request: StrategyRequest, acceptJson: boolean): Readonly<Record<string, unknown>> | undefined {
  if (request.method !== undefined && request.method !== 'POST') return undefined
  const type = contentType(request)
  const isForm = type === undefined || type === FORM
  if (!isForm && !(acceptJson && type === 'application/json')) return undefined
  return presentsAssertion(request.body) ? request.body : undefined
}

/** Whether the assertion is of a kind that another strategy may know. */
const isForeign = (parameters: Readonly<Record<string, unknown>>, verify: object): boolean => {
  const type = Object.hasOwn(parameters, 'client_assertion_type') ? parameters.client_assertion_type : undefined
  const { assertionTypes = [ASSERTION_TYPE] } = verify as { readonly assertionTypes?: readonly string[] }
  return typeof type === 'string' && type !== '' && !assertionTypes.includes(type)
}

/** What Passport hands on of a failure: an object, since text would become a challenge header. The error is not listed. */
function challengeOf(cause: OAuthError): object {
  const challenge = { error: cause.code, error_description: cause.message, message: cause.message }
  return Object.defineProperty(challenge, 'cause', { value: cause, enumerable: false })
}

/** Asks the application's callback, and takes its first answer, whichever way it comes. Neither action throws. */
function ask<C extends Client>(
  verify: (...arguments_: readonly unknown[]) => unknown,
  request: StrategyRequest | undefined,
  { client, authentication }: AuthenticatedClient<C>,
  success: (user: object, info: object) => void,
  refuse: (cause: unknown) => void,
): void {
  let isAnswered = false
  let timer: NodeJS.Timeout | undefined
  const clientId = client.client_id
  const done: VerifyDone = (failure, user, info) => {
    if (isAnswered) return
    isAnswered = true
    clearTimeout(timer)
    if (failure)
      refuse(publishFailure(failure)) // falsy: no error, as everywhere in Passport
    else if (!user) {
      const detail = 'the verify callback gave no user'
      refuse(publishFailure(refusal('client_rejected', { clientId, detail })))
    } else
      success(
        user === true ? client : (user as object),
        typeof info === 'object' && info !== null ? { ...authentication, ...info } : authentication,
      )
  }
  let answer: unknown
  try {
    answer = verify(...(request === undefined ? [] : [request]), client, authentication, done)
  } catch (failure) {
    done(asError(failure))
    return
  }
  if (answer !== undefined && !isPromise(answer)) done(null, answer)
  if (isAnswered) return
  const isAsync = answer !== undefined
  timer = setTimeout(() => {
    const within = `within ${VERIFY_SECONDS} seconds`
    const detail = `the verify callback neither returned a user nor called done ${within}`
    done(
      isAsync
        ? unavailable(new Error(`the verify callback did not settle ${within}`))
        : refusal('misconfigured', { clientId, detail }),
    )
  }, VERIFY_SECONDS * 1000).unref()
  if (!isAsync) return
  Promise.resolve(answer).then(
    (user) => {
      const detail = 'the promise of the verify callback resolved to undefined before done was called: return the user'
      done(user === undefined ? refusal('misconfigured', { clientId, detail }) : null, user)
    },
    (failure: unknown) => done(asError(failure)),
  )
}

export { ClientAssertionStrategy as Strategy }
export default ClientAssertionStrategy
