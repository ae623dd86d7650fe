import { isPromise } from './maybe_promise.ts'

/** The error codes this package uses, each with a status and a sentence. */
type KnownErrorCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'invalid_scope'
  | 'access_denied'
  | 'unsupported_response_type'
  | 'server_error'
  | 'temporarily_unavailable'
  // of RFC 7009 §2.2.1, RFC 8628 §3.5 and RFC 8707 §2, for exchanges and endpoints that applications bring
  | 'unsupported_token_type'
  | 'authorization_pending'
  | 'slow_down'
  | 'expired_token'
  | 'invalid_target'
  // of OpenID Connect Core §3.1.2.6, for the authorization endpoint
  | 'login_required'
  | 'consent_required'
  | 'interaction_required'
  | 'account_selection_required'
  | 'request_not_supported'
  | 'request_uri_not_supported'
  | 'registration_not_supported'
  // of RFC 9101 §7, for the authorization endpoint
  | 'invalid_request_uri'
  // of RFC 6750 §3.1 and RFC 9470 §3, for resource servers
  | 'invalid_token'
  | 'insufficient_scope'
  | 'insufficient_user_authentication'
  // of RFC 9449 §5 and §8
  | 'invalid_dpop_proof'
  | 'use_dpop_nonce'

/**
 * An error code (RFC 6749 §4.1.2.1 and §5.2): one that this package uses, or any well-formed extension code of an
 * application, such as `mfa_required`.
 */
export type OAuthErrorCode = KnownErrorCode | (string & {})

/** One status per code. `invalid_client` is 401 only where the `Authorization` header was used (RFC 6749 §5.2). */
const STATUS: Readonly<Record<KnownErrorCode, number>> = {
  invalid_request: 400,
  invalid_client: 400,
  invalid_grant: 400,
  unauthorized_client: 400,
  unsupported_grant_type: 400,
  invalid_scope: 400,
  access_denied: 400, // RFC 8628 §3.5; the pages of authorizationErrors say 403
  unsupported_response_type: 400,
  server_error: 500,
  temporarily_unavailable: 503,
  unsupported_token_type: 400,
  authorization_pending: 400,
  slow_down: 400,
  expired_token: 400,
  invalid_target: 400,
  login_required: 400,
  consent_required: 400,
  interaction_required: 400,
  account_selection_required: 400,
  request_not_supported: 400,
  request_uri_not_supported: 400,
  registration_not_supported: 400,
  invalid_request_uri: 400,
  invalid_token: 401,
  insufficient_scope: 403,
  insufficient_user_authentication: 401,
  invalid_dpop_proof: 400,
  use_dpop_nonce: 400,
}

/** What the wire says at verbosity `normal` if a refusal has no sentence. */
const DESCRIPTION: Readonly<Record<KnownErrorCode, string>> = {
  invalid_request: 'The request is malformed.',
  invalid_client: 'Client authentication failed.',
  invalid_grant:
    'The authorization grant or refresh token is invalid, expired, spent, or was issued to another client.',
  unauthorized_client: 'The client is not registered for this grant type.',
  unsupported_grant_type: 'The grant type is not offered here.',
  invalid_scope: 'The requested scope is malformed or exceeds what is allowed.',
  access_denied: 'The request was denied.',
  unsupported_response_type: 'The response type is not offered here.',
  server_error: 'The server met an unexpected condition.',
  temporarily_unavailable: 'The server cannot answer at the moment. Try again.',
  unsupported_token_type: 'Tokens of this type cannot be revoked here.',
  authorization_pending: 'The user has not yet decided.',
  slow_down: 'The user has not yet decided, and the client asks too often.',
  expired_token: 'The code of the device has expired.',
  invalid_target: 'The requested resource is unknown or not allowed.',
  login_required: 'The user must log in.',
  consent_required: 'The user must allow the request.',
  interaction_required: 'The user must answer a question.',
  account_selection_required: 'The user must choose an account.',
  request_not_supported: 'The parameter request is not supported.',
  request_uri_not_supported: 'The parameter request_uri is not supported.',
  registration_not_supported: 'The parameter registration is not supported.',
  invalid_request_uri: 'The request_uri is unknown or has expired.',
  invalid_token: 'The access token is missing, malformed, expired or revoked, or it is not for this resource.',
  insufficient_scope: 'The access token does not have the scope that the request needs.',
  insufficient_user_authentication: 'The request needs a more recent or a stronger login of the user.',
  invalid_dpop_proof: 'The DPoP proof is invalid.',
  use_dpop_nonce: 'The DPoP proof must have a nonce of this server.',
}

/** The same for a code of the application. */
const REFUSED = 'The request was refused.'

/** RFC 6749 §5.2, and no longer than codes are. */
const ERROR_CODE = /^[\x20\x21\x23-\x5b\x5d-\x7e]{1,128}$/

/** Whether a value can be an error code: 1 to 128 of the characters that RFC 6749 §5.2 allows. */
export const isErrorCode = (code: unknown): code is OAuthErrorCode => typeof code === 'string' && ERROR_CODE.test(code)

/** Whether a value can be the status of an error. */
export const isErrorStatus = (status: unknown): status is number =>
  Number.isInteger(status) && (status as number) >= 400 && (status as number) <= 599

/** Whether this package has a status and a sentence for the code. */
export const isKnownErrorCode = (code: string): code is KnownErrorCode => Object.hasOwn(STATUS, code)

/**
 * Every reason of a refusal, with its error code. Responses contain the reason only at verbosity `debug`; events and the
 * debug log always contain it. `docs/reasons.md` explains each reason.
 */
const CODE_OF_REASON = {
  // the HTTP request
  method_not_allowed: 'invalid_request',
  content_type_unsupported: 'invalid_request',
  body_too_large: 'invalid_request',
  body_not_utf8: 'invalid_request',
  body_malformed: 'invalid_request',
  parameter_missing: 'invalid_request',
  parameter_repeated: 'invalid_request',
  parameter_malformed: 'invalid_request',
  // client authentication, whatever the method
  client_authentication_missing: 'invalid_client',
  client_authentication_repeated: 'invalid_request',
  client_unknown: 'invalid_client',
  client_document_refused: 'invalid_client',
  client_method_mismatch: 'invalid_client',
  authorization_header_malformed: 'invalid_client',
  client_secret_wrong: 'invalid_client',
  client_secret_expired: 'invalid_client',
  client_misconfigured: 'invalid_client',
  strategy_refused: 'invalid_client',
  // the client assertion (RFC 7521, RFC 7523)
  assertion_type_unsupported: 'invalid_request',
  assertion_too_large: 'invalid_client',
  assertion_malformed: 'invalid_client',
  assertion_encrypted: 'invalid_client',
  assertion_algorithm_not_allowed: 'invalid_client',
  assertion_typ_not_allowed: 'invalid_client',
  assertion_header_not_allowed: 'invalid_client',
  assertion_key_id_missing: 'invalid_client',
  assertion_key_id_malformed: 'invalid_client',
  assertion_subject_malformed: 'invalid_client',
  assertion_issuer_mismatch: 'invalid_client',
  client_id_mismatch: 'invalid_client',
  federated_credential_mismatch: 'invalid_client',
  client_algorithm_mismatch: 'invalid_client',
  assertion_audience_mismatch: 'invalid_client',
  assertion_expiry_malformed: 'invalid_client',
  assertion_expired: 'invalid_client',
  assertion_too_old: 'invalid_client',
  assertion_lifetime_too_long: 'invalid_client',
  assertion_issued_at_malformed: 'invalid_client',
  assertion_issued_in_future: 'invalid_client',
  assertion_not_yet_valid: 'invalid_client',
  assertion_id_malformed: 'invalid_client',
  assertion_signature_wrong: 'invalid_client',
  assertion_replayed: 'invalid_client',
  // the client's keys
  client_secret_missing: 'invalid_client',
  client_secret_too_short: 'invalid_client',
  client_keys_missing: 'invalid_client',
  key_not_found: 'invalid_client',
  key_unusable: 'invalid_client',
  key_set_malformed: 'invalid_client',
  key_set_uri_not_allowed: 'invalid_client',
  key_set_unavailable: 'invalid_client',
  // the application's own verify callback said no
  client_rejected: 'invalid_client',
  // grants
  grant_type_unsupported: 'unsupported_grant_type',
  grant_type_not_registered: 'unauthorized_client',
  refresh_token_malformed: 'invalid_grant',
  refresh_token_expired: 'invalid_grant',
  refresh_token_client_mismatch: 'invalid_grant',
  refresh_token_reused: 'invalid_grant',
  session_not_found: 'invalid_grant',
  session_type_mismatch: 'invalid_grant',
  permission_withdrawn: 'invalid_grant',
  client_not_confidential: 'invalid_client',
  scope_malformed: 'invalid_scope',
  scope_exceeded: 'invalid_scope',
  // resource indicators (RFC 8707)
  resource_malformed: 'invalid_target',
  resource_unknown: 'invalid_target',
  resource_exceeded: 'invalid_target',
  // the authorization request
  redirect_uri_not_registered: 'invalid_request',
  response_type_unsupported: 'unsupported_response_type',
  response_mode_unsupported: 'invalid_request',
  pkce_required: 'invalid_request',
  code_challenge_malformed: 'invalid_request',
  code_challenge_method_unsupported: 'invalid_request',
  user_not_logged_in: 'access_denied',
  user_denied: 'access_denied',
  silent_login: 'login_required',
  silent_consent: 'consent_required',
  silent_interaction: 'interaction_required',
  // pushed authorization requests (RFC 9126)
  pushed_request_required: 'invalid_request',
  request_uri_invalid: 'invalid_request_uri',
  request_uri_foreign: 'request_uri_not_supported',
  request_object_unsupported: 'request_not_supported',
  too_many_pushed_requests: 'temporarily_unavailable',
  // the transaction between the authorization request and the user's decision
  transaction_missing: 'invalid_request',
  transaction_unknown: 'invalid_request',
  transaction_expired: 'invalid_request',
  transaction_spent: 'invalid_request',
  transaction_of_another_user: 'access_denied',
  // authorization codes
  code_unknown: 'invalid_grant',
  code_expired: 'invalid_grant',
  code_spent: 'invalid_grant',
  code_dead: 'invalid_grant',
  code_of_another_client: 'invalid_grant',
  redirect_uri_mismatch: 'invalid_grant',
  code_verifier_wrong: 'invalid_grant',
  code_verifier_malformed: 'invalid_request',
  code_verifier_unexpected: 'invalid_request',
  // the access token at a resource server (RFC 6750, RFC 9068, RFC 9470)
  token_missing: 'invalid_token',
  token_malformed: 'invalid_token',
  token_typ_not_allowed: 'invalid_token',
  token_signature_wrong: 'invalid_token',
  token_issuer_mismatch: 'invalid_token',
  token_audience_mismatch: 'invalid_token',
  token_expired: 'invalid_token',
  token_revoked: 'invalid_token',
  token_bound: 'invalid_token',
  token_key_mismatch: 'invalid_token',
  scope_insufficient: 'insufficient_scope',
  authentication_insufficient: 'insufficient_user_authentication',
  // DPoP proofs (RFC 9449)
  dpop_proof_missing: 'invalid_request',
  dpop_proof_malformed: 'invalid_dpop_proof',
  dpop_algorithm_not_allowed: 'invalid_dpop_proof',
  dpop_key_unusable: 'invalid_dpop_proof',
  dpop_method_mismatch: 'invalid_dpop_proof',
  dpop_url_mismatch: 'invalid_dpop_proof',
  dpop_proof_expired: 'invalid_dpop_proof',
  dpop_proof_issued_in_future: 'invalid_dpop_proof',
  dpop_token_hash_mismatch: 'invalid_dpop_proof',
  dpop_signature_wrong: 'invalid_dpop_proof',
  dpop_proof_replayed: 'invalid_dpop_proof',
  dpop_nonce_required: 'use_dpop_nonce',
  dpop_key_mismatch: 'invalid_grant',
  // faults: never the client's mistake
  store_unavailable: 'temporarily_unavailable',
  contention: 'temporarily_unavailable',
  too_many_codes: 'temporarily_unavailable',
  misconfigured: 'server_error',
  unexpected: 'server_error',
} as const satisfies Record<string, KnownErrorCode>

/** The closed union of machine-readable reasons. `docs/reasons.md` explains each; `REASONS` contains all of them. */
export type Reason = keyof typeof CODE_OF_REASON

/** All reasons. */
export const REASONS = Object.keys(CODE_OF_REASON) as readonly Reason[]

/** The error code a reason goes out as. */
export const codeOfReason = (reason: Reason): KnownErrorCode => CODE_OF_REASON[reason]

/**
 * The options of an `OAuthError`.
 *
 * @inline
 */
export interface OAuthErrorOptions {
  /** The reason code for operators, from `REASONS`. Responses contain it at verbosity `debug` only. Default: none. */
  readonly reason?: Reason | undefined
  /** The `error_description` at verbosity `normal` and above, instead of the fixed sentence of the code. Never a secret. */
  readonly description?: string | undefined
  /** What was expected and, if it is not secret, what was received. For operators, and for verbosity `debug`. */
  readonly detail?: string | undefined
  /** The client id of the request, if known. The client is not necessarily authenticated. */
  readonly clientId?: string | undefined
  /** HTTP status instead of the default one of the code: 413, 415, 405. */
  readonly status?: number | undefined
  /** Response headers of this error, such as `Allow` or `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** The underlying exception. Events and the debug log contain it; responses never do. */
  readonly cause?: unknown
}

/** The same symbol in every copy of this package, and in nothing that was parsed. */
const BRAND = Symbol.for('passport-client-assertion-jwt:OAuthError')

/**
 * An error of the OAuth protocol. `code`, `status` and `message` (a fixed sentence) are public. `reason`, `detail` and
 * `cause` are for operators. oauth2orize's error handler reads `code` and `status`; NestJS and body-parser read
 * `statusCode`. `instanceof OAuthError` is also true for errors of another copy of this package, for example if an
 * application loads it both as ECMAScript and as CommonJS modules.
 *
 * @example
 * ```ts
 * import { OAuthError } from 'passport-client-assertion-jwt'
 *
 * if (sent === undefined) throw new OAuthError('invalid_request', { description: 'The parameter voucher is missing.' })
 * ```
 */
export class OAuthError extends Error {
  readonly code: OAuthErrorCode
  /** The HTTP status, as oauth2orize, Express and Koa read it. */
  readonly status: number
  /** The same status, as NestJS and body-parser name it. */
  readonly statusCode: number
  /** Whether a host may show `message` to the client: true below 500 (Koa, http-errors, NestJS). */
  readonly expose: boolean
  readonly reason: Reason | undefined
  readonly detail: string | undefined
  readonly clientId: string | undefined
  readonly headers: Readonly<Record<string, string>>

  /**
   * The default status is that of the code, or 400 for a custom code. Throws a `TypeError` if `code` is malformed,
   * `status` is outside 400 to 599, or `options` is not an object.
   */
  constructor(code: OAuthErrorCode, options: OAuthErrorOptions = {}) {
    if (!isErrorCode(code)) throw new TypeError(`the code of an OAuthError is malformed: ${JSON.stringify(code)}`)
    if (typeof options !== 'object' || options === null)
      throw new TypeError('the options of an OAuthError must be an object: write { description } for a message')
    const known = isKnownErrorCode(code)
    const { status = known ? STATUS[code] : 400, description = known ? DESCRIPTION[code] : REFUSED } = options
    if (!isErrorStatus(status))
      throw new TypeError(`the status of an OAuthError must be 400 to 599, got ${JSON.stringify(status)}`)
    super(description, 'cause' in options ? { cause: options.cause } : undefined)
    // not a member of the type: the types of two copies are to fit each other
    Object.defineProperty(this, BRAND, { value: true })
    this.name = 'OAuthError'
    this.code = code
    this.status = status
    this.statusCode = status
    this.expose = status < 500
    this.reason = options.reason
    this.detail = options.detail
    this.clientId = options.clientId
    this.headers = options.headers ?? {}
  }

  /** Also for errors of another copy of this package. */
  static override [Symbol.hasInstance]<T extends abstract new (...given: never) => unknown>(
    this: T,
    value: unknown,
  ): value is InstanceType<T> {
    // biome-ignore-start lint/complexity/noThisInStatic: a class that an application derived is found as classes are
    if (!isOAuthErrorClass(this)) return Function.prototype[Symbol.hasInstance].call(this, value)
    // biome-ignore-end lint/complexity/noThisInStatic: as above
    return typeof value === 'object' && value !== null && isBranded(value)
  }
}

/** A proxy may throw when it is asked. */
function isBranded(value: object): boolean {
  try {
    return BRAND in value
  } catch {
    return false
  }
}

/** Outside the class: bundlers rename a class that refers to itself, and `console.log` then shows the other name. */
const isOAuthErrorClass = (value: unknown): boolean => value === OAuthError

/** The error a reason stands for. */
export const refusal = (reason: Reason, options: Omit<OAuthErrorOptions, 'reason'> = {}): OAuthError =>
  new OAuthError(CODE_OF_REASON[reason], { ...options, reason })

/** The challenge of RFC 7617 §2. An endpoint replaces it by one with its own realm. */
const CHALLENGE = { 'WWW-Authenticate': 'Basic realm="OAuth"' }

/**
 * The error for a request that used the `Authorization` header: a failed client authentication is a 401 with a challenge
 * then (RFC 6749 §5.2), whatever writes the response. Other errors are returned unchanged.
 */
export function withChallenge(error: unknown): unknown {
  if (!(error instanceof OAuthError) || error.code !== 'invalid_client') return error
  if (error.status === 401 && Object.hasOwn(error.headers, 'WWW-Authenticate')) return error
  const { code, reason, message, detail, clientId, headers, cause } = error
  return new OAuthError(code, {
    ...{ reason, detail, clientId, cause, description: message, status: 401 },
    headers: { ...CHALLENGE, ...headers },
  })
}

/** The error if it is an `OAuthError`, and a server error if not, or if the application changed it to one that cannot be sent. */
export const asOAuthError = (error: unknown, clientId?: string): OAuthError =>
  error instanceof OAuthError &&
  isErrorCode(error.code) &&
  isErrorStatus(error.status) &&
  typeof error.message === 'string'
    ? error
    : refusal('unexpected', { cause: error, clientId })

/** Seconds after which a client may try again what a broken store refused. */
const RETRY_AFTER_SECONDS = '5'

/**
 * What a store answered outside its contract. `problem` becomes the `detail` of the 503. What the store returned may be anything:
 * it is in the message alone, if at all.
 */
export class WrongAnswer extends TypeError {
  readonly #isWrongAnswer = true
  readonly problem: string

  constructor(problem: string, more = '') {
    super(problem + more)
    this.problem = problem
  }

  /** Like `instanceof`, but safe: what a store throws may be a proxy whose traps throw. */
  static is(thrown: unknown): thrown is WrongAnswer {
    return typeof thrown === 'object' && thrown !== null && #isWrongAnswer in thrown
  }
}

/** A store or look-up failed: 503 with `Retry-After`, and nothing about the cause on the wire. */
export const unavailable = (
  cause: unknown,
  detail = cause === undefined
    ? 'a store or look-up failed without saying why'
    : WrongAnswer.is(cause)
      ? cause.problem
      : undefined,
): OAuthError =>
  refusal('store_unavailable', {
    cause,
    detail,
    headers: { 'Retry-After': RETRY_AFTER_SECONDS },
  })

/**
 * What was thrown, as something that no host takes for "no error": Passport and Express go on to the next handler where
 * an error is falsy, and Express also where it is the text `route` or `router`.
 */
export const asError = (thrown: unknown): object =>
  typeof thrown === 'object' && thrown !== null
    ? thrown
    : new TypeError(`what was thrown is no Error but ${typeof thrown}`, { cause: thrown })

/** How long anything of the application is waited for: a look-up, a store, a hook. */
const MOST_MILLISECONDS = 30_000

const asFault = (cause: unknown): never => {
  throw unavailable(cause)
}

const AT_ONCE = Promise.resolve()

/**
 * Awaits a promise of the application, a foreign one too, and resolves with what `judge` makes of its value. No answer
 * within `milliseconds` is a fault. `recover` returns or throws what becomes of that, and of a rejection; by default a 503,
 * whatever the rejection says of itself. There is no timer for a promise that is settled already: it costs more than the rest.
 */
export function awaitAnswer<T, R>(
  pending: PromiseLike<T>,
  judge: (answer: T) => R,
  milliseconds = MOST_MILLISECONDS,
  recover: (cause: unknown) => R = asFault,
): Promise<R> {
  return new Promise<R>((resolve, reject) => {
    let isSettled = false
    let timer: NodeJS.Timeout | undefined
    const settle = <V>(judgeOf: (value: V) => R, value: V): void => {
      if (isSettled) return
      isSettled = true
      if (timer !== undefined) clearTimeout(timer)
      try {
        resolve(judgeOf(value))
      } catch (error) {
        reject(error)
      }
    }
    const fail = (cause: unknown): void => settle(recover, cause)
    const limit = (): void => {
      if (isSettled) return
      const late = (): void => fail(new Error(`no answer within ${milliseconds} milliseconds`))
      timer = setTimeout(late, milliseconds).unref()
    }
    try {
      // Promises of other makes may resolve to a promise. One of ours waits for that as well, and takes a step more.
      const own = Promise.resolve(pending)
      own.then((answer) => settle(judge, answer), fail)
      const afterThat = own === pending ? AT_ONCE : AT_ONCE.then()
      afterThat.then(limit)
    } catch (cause) {
      fail(cause)
    }
  })
}

const asItIs = <T>(answer: T): T => answer

/**
 * Asks a store or a hook of the application, awaits its answer for at most 30 seconds, and resolves with what `read` makes
 * of it. What it throws, a rejection, no answer and an answer for which `read` throws are faults, and become a 503.
 */
export function answerOf<T>(ask: () => T | Promise<T>): Promise<T>
export function answerOf<T, R>(ask: () => T | Promise<T>, read: (answer: T) => R): Promise<R>
export function answerOf(ask: () => unknown, read: (answer: unknown) => unknown = asItIs): Promise<unknown> {
  const judge = (answer: unknown): unknown => {
    try {
      return read(answer)
    } catch (cause) {
      throw unavailable(cause)
    }
  }
  try {
    const answer = ask()
    return isPromise(answer) ? awaitAnswer(answer, read === asItIs ? asItIs : judge) : Promise.resolve(read(answer))
  } catch (cause) {
    return Promise.reject(unavailable(cause))
  }
}
