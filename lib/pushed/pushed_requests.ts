import { createHash } from 'node:crypto'
import type { Client } from '../client.ts'
import { type AuthorizationParameters, JUDGED_PARAMETERS } from '../code/authorization_request.ts'
import { afterLogin, demandsLogin } from '../code/prompt.ts'
import { refusal } from '../errors.ts'
import { newIdentifier } from '../identifier.ts'
import { isDemanded } from '../optional.ts'
import { badOption, booleanOption, checkOptions, optionNames, requireVerbs, wholeNumber } from '../options.ts'
import type { FormParameters } from '../parameters.ts'
import { isFirstUse, type ReplayRegister } from '../replay_register.ts'
import { askedStore } from '../session/asked_store.ts'
import { isLive, openedSession, type Session } from '../session/session.ts'
import type { SessionStore } from '../session/session_store.ts'
import { createShares } from './shares.ts'

/** The type of the session store's records that hold pushed requests. */
const PUSHED_REQUEST = 'pushed_request'

/** RFC 9126 §2.2. */
const PREFIX = 'urn:ietf:params:oauth:request_uri:'

/** A reference of ours, and, after a login that the request demanded, the proof that it has taken place. */
const REFERENCE = /^([A-Za-z0-9_-]{43})(?:\.([A-Za-z0-9_-]{22}))?$/

/** Bytes of a request as JSON: what fits into the form that carries the transaction. */
const MOST_BYTES = 32_768

/** What a record takes in a store in addition to its parameters, roughly. */
const RECORD_BYTES = 1024

/**
 * The parameters that are kept. All are registered for authorization requests; those of client authentication and those
 * that this package rejects (`request`, `request_uri`, `registration`) are not among them.
 */
const KEPT: readonly string[] = [
  ...JUDGED_PARAMETERS,
  'display',
  'ui_locales',
  'claims_locales',
  'id_token_hint',
  'acr_values',
  'claims',
  'resource',
  'authorization_details',
  'grant_management_action',
  'grant_id',
  'issuer_state',
]

/**
 * The options of `createPushedRequests`.
 *
 * @inline
 */
export interface PushedRequestsOptions {
  /** The session store. Pushed requests are records of type `pushed_request` in it, shared by all processes. */
  readonly store: SessionStore
  /** Seconds for which a pushed request can be used, 5 to 600. Default 300. FAPI 2.0 requires less than 600. */
  readonly lifetimeSeconds?: number | undefined
  /**
   * Whether every client must push its requests. Default `false`: only clients whose record has
   * `require_pushed_authorization_requests: true`.
   */
  readonly required?: boolean | undefined
  /**
   * Whether requests without `redirect_uri` are refused, as FAPI 2.0 requires. Default `false`: a request without it
   * uses the only redirect URI that the client has registered.
   */
  readonly requireRedirectUri?: boolean | undefined
  /** Names of your own parameters that are stored with the request. Default: only registered parameters are stored. */
  readonly otherParameters?: readonly string[] | undefined
  /**
   * Maximum bytes of pushed requests that this process accepts within one lifetime, at least 1048576 (1 MiB). One
   * client may use an eighth of it. Requests over the limit get a 429. Default 268435456 (256 MiB).
   */
  readonly maximumBytes?: number | undefined
}

const NAMES = optionNames<PushedRequestsOptions>({
  store: true,
  lifetimeSeconds: true,
  required: true,
  requireRedirectUri: true,
  otherParameters: true,
  maximumBytes: true,
})

/** What `createAuthorizationSide` passes to `connect`. */
interface PushedRequestsSide {
  /** The issuer identifier of the authorization side. */
  readonly issuer: string
  /** The register that remembers which requests were used. */
  readonly replayRegister: ReplayRegister
  /** Seconds for which the form of a loaded request can be submitted. */
  readonly transactionLifetimeSeconds: number
  /**
   * Checks a request as the authorization endpoint does. Rejects with an `OAuthError` if the endpoint would refuse it.
   */
  judge(parameters: AuthorizationParameters, client: Client): Promise<unknown>
}

/** Identifies the pushed request that an authorization request was loaded from. */
export interface PushedRequestMark {
  /** The id of the pushed request, part of its `request_uri`. */
  readonly id: string
  /** When the pushed request expires, in epoch seconds. */
  readonly expiresAt: number
}

/** A pushed request that was loaded from the store. */
export interface LoadedRequest {
  /** The parameters that the client pushed. */
  readonly values: FormParameters
  /** The parameters that load the request again after a login. */
  readonly restart: FormParameters
  /** Identifies the pushed request; pass it to `spend`. */
  readonly mark: PushedRequestMark
}

/** Pushed authorization requests (RFC 9126): what `createPushedRequests` returns. */
export interface PushedRequests {
  /** Whether every client must push its requests. */
  readonly isRequired: boolean
  /** Returns whether this client must push its requests. */
  isRequiredFor(client: Client): boolean
  /** Connects the authorization side. `createAuthorizationSide` calls it; a second call throws a `TypeError`. */
  connect(side: PushedRequestsSide): void
  /**
   * Checks and stores a request of an authenticated client, and resolves with the response of the endpoint. Rejects
   * with an `OAuthError` if the request is refused.
   */
  push(
    client: Client,
    parameters: FormParameters,
    now: number,
  ): Promise<{
    /** The `request_uri` that the client sends to the authorization endpoint. */
    readonly request_uri: string
    /** Seconds for which the `request_uri` is valid. */
    readonly expires_in: number
  }>
  /**
   * Loads the request that `requestUri` refers to. It can be loaded again until it is spent. Rejects with an
   * `OAuthError` if the request is unknown, expired, used, or from another client.
   */
  load(clientId: string, requestUri: string, now: number): Promise<LoadedRequest>
  /**
   * Marks a request as used. Atomic: only the first call resolves, and every other call rejects with an `OAuthError`.
   */
  spend(mark: PushedRequestMark, clientId: string): Promise<void>
}

const invalid = (clientId: string, detail: string) =>
  refusal('request_uri_invalid', {
    clientId,
    detail,
    description: 'The request is unknown, has expired or was used before. Go back to the app and start again.',
  })

const idOf = (reference: string): string => `pushed:${createHash('sha256').update(reference).digest('base64url')}`

/** Blank values are absent, but a `state` of spaces is a state, as in requests that are not pushed. */
const isBlank = (name: string, value: string): boolean => name !== 'state' && value.trim() === ''

function namesOf(given: unknown): ReadonlySet<string> {
  const isName = (name: unknown): boolean => typeof name === 'string' && /^[A-Za-z][\w.-]{0,63}$/.test(name)
  if (given !== undefined && !(Array.isArray(given) && given.every(isName)))
    throw badOption('otherParameters', 'an array of parameter names', given)
  const refused = ['request', 'request_uri', 'client_secret', 'client_assertion', 'client_assertion_type']
  const bad = ((given ?? []) as readonly string[]).find((name) => refused.includes(name))
  if (bad !== undefined)
    throw new TypeError(`option 'otherParameters' must not contain "${bad}": this parameter is never stored`)
  return new Set([...KEPT, ...((given ?? []) as readonly string[])])
}

/**
 * Creates the support for pushed authorization requests (RFC 9126). Pass the result to `createAuthorizationSide` as
 * `pushed`, and to `createPushedAuthorizationEndpoint`:
 *
 * ```ts
 * const pushed = createPushedRequests({ store: sessionStore })
 * const authorization = createAuthorizationSide({ …, pushed })
 * app.use('/par', createPushedAuthorizationEndpoint(pushed, { findClient, endpoint: `${issuer}/par` }))
 * ```
 *
 * A request is checked in full when the client pushes it, and again when the authorization endpoint loads it. It can be
 * loaded several times, for example after a reload or a login, until the user has decided. The decision uses it up.
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { createPushedRequests } from 'passport-client-assertion-jwt'
 *
 * const pushed = createPushedRequests({ store: sessionStore, required: true })
 *
 * export const authorization = createAuthorizationSide({
 *   issuer,
 *   findClient,
 *   codes: codeStore,
 *   consents: createConsents({ store: sessionStore }),
 *   replayRegister,
 *   secret: process.env['BASE_SECRET'] ?? '',
 *   pushed,
 * })
 * ```
 */
export function createPushedRequests(options: PushedRequestsOptions): PushedRequests {
  checkOptions('createPushedRequests', options, NAMES)
  requireVerbs('store', options.store, ['create', 'get', 'end'])
  const store = askedStore(options.store)
  const lifetime = wholeNumber('lifetimeSeconds', options.lifetimeSeconds, 300, 5, 600)
  const isRequired = booleanOption('required', options.required, false)
  const requiresRedirectUri = booleanOption('requireRedirectUri', options.requireRedirectUri, false)
  const kept = namesOf(options.otherParameters)
  const shares = createShares(
    wholeNumber('maximumBytes', options.maximumBytes, 268_435_456, 1_048_576, Number.MAX_SAFE_INTEGER),
    lifetime,
  )
  let connected: PushedRequestsSide | undefined

  function side(): PushedRequestsSide {
    if (connected !== undefined) return connected
    const detail = 'the result of createPushedRequests must be the option pushed of createAuthorizationSide'
    throw refusal('misconfigured', { detail })
  }

  /** The parameters to keep. Throws an `OAuthError` if the request has one that must not be there. */
  function valuesOf({ client_id: clientId }: Client, parameters: FormParameters): FormParameters {
    for (const name of ['request', 'request_uri']) {
      if (parameters[name] === undefined) continue
      throw refusal('parameter_malformed', {
        clientId,
        description: `The parameter ${name} is not allowed in a pushed request.`,
        detail: 'push the parameters of the request themselves',
      })
    }
    const named = parameters['client_id']
    if (named !== undefined && named !== clientId) {
      const description = 'The parameter client_id is not that of the authenticated client.'
      throw refusal('parameter_malformed', { clientId, description })
    }
    const values: Record<string, string> = Object.create(null)
    for (const [name, value] of Object.entries(parameters))
      if (kept.has(name) && !isBlank(name, value)) values[name] = value
    values['client_id'] = clientId
    return values
  }

  async function push(client: Client, parameters: FormParameters, now: number) {
    const { issuer, judge } = side()
    const clientId = client.client_id
    const values = valuesOf(client, parameters)
    if (requiresRedirectUri && values['redirect_uri'] === undefined)
      throw refusal('parameter_missing', { clientId, description: 'The parameter redirect_uri is missing.' })
    const bytes = Buffer.byteLength(JSON.stringify(values))
    if (bytes > MOST_BYTES) {
      throw refusal('body_too_large', {
        clientId,
        status: 413,
        description: 'The request is too long.',
        detail: `its parameters have more than ${MOST_BYTES} bytes`,
      })
    }
    await judge({ values, unsound: [] }, client)
    if (!shares.take(clientId, bytes + RECORD_BYTES, now)) {
      throw refusal('too_many_pushed_requests', {
        clientId,
        status: 429, // RFC 9126 §2.3
        detail: 'the client, or all clients together, have used up the bytes of option maximumBytes',
        headers: { 'Retry-After': String(lifetime) },
      })
    }
    const reference = newIdentifier()
    const record = openedSession(
      { subject: clientId, clientId, scope: '' },
      {
        id: idOf(reference),
        type: PUSHED_REQUEST,
        now,
        lifetimes: { idleSeconds: lifetime, absoluteSeconds: lifetime },
        extra: { parameters: { ...values }, login: newIdentifier(16) },
        issuer,
      },
    )
    if ((await store.create(record)) === 'gone') {
      const detail =
        'the store reports that a new record has expired: its clock may be ahead by more than lifetimeSeconds'
      throw refusal('unexpected', { clientId, detail })
    }
    return { request_uri: PREFIX + reference, expires_in: lifetime }
  }

  async function load(clientId: string, requestUri: string, now: number): Promise<LoadedRequest> {
    const { issuer } = side()
    if (!requestUri.startsWith(PREFIX)) {
      const detail = `request_uri must be one of this server, which begins with ${PREFIX}`
      throw refusal('request_uri_foreign', { clientId, detail })
    }
    const [, reference, login] = REFERENCE.exec(requestUri.slice(PREFIX.length)) ?? []
    if (reference === undefined) throw invalid(clientId, 'the reference was not made by this server')
    const record = await store.get(idOf(reference))
    if (record === undefined || record.type !== PUSHED_REQUEST || record.issuer !== issuer || !isLive(record, now))
      throw invalid(clientId, 'no pushed request has this reference: it has expired, was used, or never existed')
    if (record.clientId !== clientId) throw invalid(clientId, 'another client pushed the request')
    return loaded(record, reference, login)
  }

  return {
    isRequired,
    isRequiredFor: ({ require_pushed_authorization_requests: required }) => isRequired || isDemanded(required),
    connect(given) {
      if (connected !== undefined)
        throw new TypeError("option 'pushed' is used by another authorization side: create one for each of them")
      connected = given
    },
    push,
    load,
    async spend({ id, expiresAt }, clientId) {
      const { issuer, replayRegister, transactionLifetimeSeconds } = side()
      // A form that was made at the last second of the request can be sent for that long.
      const until = expiresAt + transactionLifetimeSeconds
      const isFirst = await isFirstUse(replayRegister, `${issuer}#pushed`, clientId, id, until)
      if (!isFirst) throw invalid(clientId, 'the user has decided on the request before')
      // So that it cannot be loaded either. If this fails, it can be loaded until it expires, but not decided on.
      await store.end(id, expiresAt).catch(() => undefined)
    },
  }
}

function loaded(record: Session, reference: string, login: string | undefined): LoadedRequest {
  const { parameters, login: proof } = record.extra as { readonly parameters?: unknown; readonly login?: unknown }
  if (typeof parameters !== 'object' || parameters === null || typeof proof !== 'string')
    throw refusal('misconfigured', { detail: 'the record of a pushed request is damaged' })
  if (login !== undefined && login !== proof)
    throw invalid(record.clientId, 'the reference has a wrong proof of a login')
  const pushed: FormParameters = Object.assign(Object.create(null), parameters)
  const values = login === undefined ? pushed : afterLogin(pushed)
  const suffix = demandsLogin(pushed) ? `.${proof}` : ''
  return {
    values,
    restart: { client_id: record.clientId, request_uri: PREFIX + reference + suffix },
    mark: { id: record.id, expiresAt: record.refreshExpiresAt },
  }
}
