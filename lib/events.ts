import { channel } from 'node:diagnostics_channel'
import { debuglog } from 'node:util'
import type { ClientAuthenticationMethod } from './client.ts'
import { OAuthError, type OAuthErrorCode, type Reason } from './errors.ts'
import { isPromise } from './maybe_promise.ts'
import { badOption, requireFunction } from './options.ts'
import { toPrintable, toPrintableId } from './printable.ts'

/** The members that identify a session in an event. */
export interface SessionEvent {
  /** The id of the session. */
  readonly sessionId: string
  /** The type of the session: `oauth2` for sessions of this package. */
  readonly type: string
  /** The user of the session. */
  readonly subject: string
  /** The client of the session; `''` for none. */
  readonly clientId: string
}

/**
 * The events of this package and their members. They never contain a secret, assertion, code or token. Each event is
 * published on the `node:diagnostics_channel` named `passport-client-assertion-jwt:` followed by the name of the event.
 *
 * Every string is one printable line. `clientId` and `kid` are printable ASCII of at most 1,024 characters, because
 * only such values can be registered. Other characters of a request are escaped (`\u000a`), and long strings are cut.
 */
export interface Events {
  /** A client authenticated. */
  'client.authenticated': {
    /** The identifier of the client. */
    readonly clientId: string
    /** The client authentication method that the client used. */
    readonly method: ClientAuthenticationMethod
    /** The JOSE algorithm of the assertion. Absent if the client sent no assertion. */
    readonly alg?: string | undefined
    /** The `kid` of the key that verified the assertion. Absent if the key has no `kid`. */
    readonly kid?: string | undefined
    /** The trusted issuer of the assertion. Absent if the client issued the assertion itself. */
    readonly issuer?: string | undefined
    /** The `sub` of the assertion. Absent if the client issued the assertion itself. */
    readonly subject?: string | undefined
  }
  /** A client was refused. */
  'client.refused': {
    /** The client identifier in the request. It is not authenticated, and perhaps not registered. */
    readonly clientId: string | undefined
    /** The reason code; see `REASONS`. */
    readonly reason: Reason | undefined
    /** What was expected and what was received, for operators. */
    readonly detail: string | undefined
    /** The `kid` of the assertion, not verified. Absent if the assertion has none. */
    readonly kid?: string | undefined
  }
  /** A client could be neither accepted nor refused, because of a server error (fault). */
  'client.undecided': {
    /** The client identifier in the request. It is not authenticated. */
    readonly clientId: string | undefined
    /** The reason code; see `REASONS`. */
    readonly reason: Reason | undefined
    /** What failed, for operators. */
    readonly detail: string | undefined
    /** The `kid` of the assertion, not verified. Absent if the assertion has none. */
    readonly kid?: string | undefined
    /** The underlying exception. */
    readonly cause: unknown
  }
  /** A client's registration has a problem that its operator should fix. The request continued. */
  'client.warning': {
    /** The identifier of the client. */
    readonly clientId: string
    /** What to fix in the registration. */
    readonly detail: string
  }
  /** The metadata document of a client was fetched, and is used until `expiresAt`. */
  'client_document.read': {
    /** The `client_id`: the URL of the document. */
    readonly clientId: string
    /** The size of the document in bytes. */
    readonly bytes: number
    /** The duration of the request in milliseconds. */
    readonly milliseconds: number
    /** When the document expires from the cache, in epoch seconds. */
    readonly expiresAt: number
    /** Whether `redirect_uris` differs from the document that was cached before. */
    readonly redirectUrisChanged: boolean
    /** Whether `jwks` or `jwks_uri` differs. */
    readonly keysChanged: boolean
    /** Whether `token_endpoint_auth_method` differs. */
    readonly methodChanged: boolean
  }
  /** The metadata document of a client is invalid or was withdrawn. */
  'client_document.refused': {
    /** The `client_id`: the URL of the document. */
    readonly clientId: string
    /** What is wrong with the document. */
    readonly detail: string
  }
  /** The metadata document of a client cannot be fetched. Only operators should see `detail`. */
  'client_document.unreachable': {
    /** The `client_id`: the URL of the document. */
    readonly clientId: string
    /** Why the document cannot be fetched. */
    readonly detail: string
    /** Whether the last valid document was used instead. */
    readonly isStaleUsed: boolean
  }
  /** An authorization code was issued. */
  'code.issued': {
    /** The client that receives the code. */
    readonly clientId: string
    /** The user who allowed the request. */
    readonly subject: string
    /** The id of the session that the code will open. */
    readonly sessionId: string
  }
  /** An authorization code was exchanged for tokens. */
  'code.spent': {
    /** The client that sent the code. */
    readonly clientId: string
    /** The user of the code. */
    readonly subject: string
    /** The id of the session that the code opened. */
    readonly sessionId: string
  }
  /** An authorization code was sent again after it was used (RFC 6749 §10.5). */
  'code.replayed': {
    /** The client that the code was issued to. */
    readonly clientId: string
    /** The user of the code. */
    readonly subject: string
    /** The id of the session that the code opened. */
    readonly sessionId: string
    /** Whether the replay had the right client, redirect URI and verifier. If so, the session was ended. */
    readonly proven: boolean
  }
  /** Tokens were issued in response to a token request. */
  'token.issued': {
    /** The client that receives the tokens. */
    readonly clientId: string
    /** The user; for `client_credentials`, the client. */
    readonly subject: string
    /** The id of the session. Absent for `client_credentials`. */
    readonly sessionId: string | undefined
    /** The `grant_type` of the request; `undefined` if it is not known. */
    readonly grantType: string | undefined
    /** The scope of the access token, as values separated by spaces; `''` for none. */
    readonly scope: string
    /** The `jti` of the access token. */
    readonly tokenId: string
    /** When the access token expires, in epoch seconds. */
    readonly expiresAt: number
  }
  /**
   * A resource server did not accept an access token. If `cause` is present, a server error (fault) prevented a
   * decision.
   */
  'access_token.refused': {
    /** The reason code; see `REASONS`. */
    readonly reason: Reason | undefined
    /** What was expected and what was received, for operators. */
    readonly detail: string | undefined
    /** The `jti` of the token; `undefined` if the signature is not verified. */
    readonly tokenId: string | undefined
    /** The client that the token was issued to; `undefined` if the signature is not verified. */
    readonly clientId: string | undefined
    /** The underlying exception of a server error. Absent if the token was refused. */
    readonly cause?: unknown
  }
  /** A session was opened. */
  'session.opened': SessionEvent
  /** A refresh token was accepted. */
  'session.refreshed': SessionEvent & {
    /**
     * Why the token was accepted. `confirm`: the newest token was used for the first time. `join`: a concurrent
     * request. `retry`: the client lost the last response. `slide`: the tokens do not rotate.
     */
    readonly outcome: 'confirm' | 'join' | 'retry' | 'slide'
    /** The generation of the presented token. */
    readonly generation: number
    /** The newest generation that was issued. */
    readonly newest: number
    /** The last generation that the client has used. */
    readonly confirmed: number
  }
  /** Another node changed the session between reading and saving, so saving is tried again. */
  'session.conflict': SessionEvent & {
    /** The number of the attempt to save, from 1. */
    readonly attempt: number
  }
  /** A refresh token was sent that a newer one had replaced (RFC 9700 §4.14.2). */
  'refresh_token.reused': SessionEvent & {
    /** The generation of the presented token. */
    readonly generation: number
    /** The newest generation that was issued. */
    readonly newest: number
    /** The last generation that the client has used. */
    readonly confirmed: number
    /** Whether the session was ended because of it. */
    readonly ended: boolean
  }
  /** A session was ended. */
  'session.ended': {
    /** The id of the session. */
    readonly sessionId: string
    /** `too_many_sessions`: its user had more than `maximumSessionsPerUser`. Absent: a call ended it, or a token was reused. */
    readonly because?: 'too_many_sessions' | undefined
  }
  /** `sessions.endAll` ended all sessions of one type of a user. */
  'sessions.ended': {
    /** The user. */
    readonly subject: string
    /** The type of the sessions. */
    readonly type: string
    /** The number of sessions. */
    readonly count: number
  }
  /** A list left out a record that is damaged, or that a later version of this package wrote. */
  'record.unreadable': {
    /** The kind of record. */
    readonly kind: 'session' | 'code'
    /** The id of the record; `undefined` if it cannot be read. */
    readonly id: string | undefined
    /** Why the record cannot be read. */
    readonly cause: unknown
  }
  /** A request got an error response of any kind. For server errors (faults), `cause` is present. */
  'request.refused': {
    /** The `error` of the response. */
    readonly code: OAuthErrorCode
    /** The HTTP status of the response. */
    readonly status: number
    /** The reason code; see `REASONS`. */
    readonly reason: Reason | undefined
    /** What was expected and what was received, for operators. */
    readonly detail: string | undefined
    /** The client identifier in the request; `undefined` if it has none. */
    readonly clientId: string | undefined
    /** The underlying exception of a server error. Absent for other errors. */
    readonly cause?: unknown
  }
}

const EVENT_PREFIX = 'passport-client-assertion-jwt:'

const NAMES = [
  'client.authenticated',
  'client.refused',
  'client.undecided',
  'client.warning',
  'client_document.read',
  'client_document.refused',
  'client_document.unreachable',
  'code.issued',
  'code.spent',
  'code.replayed',
  'token.issued',
  'access_token.refused',
  'session.opened',
  'session.refreshed',
  'session.conflict',
  'refresh_token.reused',
  'session.ended',
  'sessions.ended',
  'record.unreadable',
  'request.refused',
] as const satisfies readonly (keyof Events)[]

const channels = Object.fromEntries(NAMES.map((name) => [name, channel(EVENT_PREFIX + name)])) as {
  readonly [Name in keyof Events]: ReturnType<typeof channel>
}

const debug = debuglog('client-assertion-jwt')

const MOST_CHARACTERS = 4096
const IDS: ReadonlySet<string> = new Set(['clientId', 'kid'])

/** The event with every string in printable form: most of them come from requests that nobody has checked. */
function printable<E extends object>(event: E): E {
  const changed = Object.entries(event).flatMap(([member, value]): [string, string][] => {
    if (typeof value !== 'string') return []
    const safe = IDS.has(member) ? toPrintableId(value) : toPrintable(value, MOST_CHARACTERS)
    return safe === value ? [] : [[member, safe]]
  })
  return changed.length === 0 ? event : { ...event, ...Object.fromEntries(changed) }
}

/** What was thrown, as one printable line. It may be anything, also an object that cannot be converted to a string. */
export function lineOf(thrown: unknown): string {
  try {
    return toPrintable(String(thrown), MOST_CHARACTERS)
  } catch {
    return 'an unknown error'
  }
}

const MOST_KINDS = 32
const kindsWarnedOf = new Set<string>()

/** One process warning for each kind of fault, so that a server without a listener does not fail in silence. */
function warnOfFault({ reason = 'unexpected', detail, cause }: Events['client.undecided']): void {
  const kind = `${reason} ${detail ?? ''}`
  if (kindsWarnedOf.has(kind) || kindsWarnedOf.size >= MOST_KINDS) return
  kindsWarnedOf.add(kind)
  const why = [detail, cause === undefined ? undefined : lineOf(cause)].filter((each) => each !== undefined).join(': ')
  process.emitWarning(
    `A request failed because of a server error (${reason}${why === '' ? '' : `: ${why}`}). No listener receives such events, ` +
      `and this warning is not repeated. Listen with onEvent('request.refused', …) and onEvent('client.undecided', …).`,
    { code: 'CLIENT_ASSERTION_JWT_FAULT' },
  )
}

/** Whether the event reports a server error. */
const isFault = (name: keyof Events, event: Events[keyof Events]): event is Events['client.undecided'] =>
  name === 'client.undecided' || (name === 'request.refused' && (event as Events['request.refused']).status >= 500)

/** Whether somebody learns of faults in another way than by this event. Each client that cannot be judged is refused. */
const isHeardElsewhere = (name: keyof Events): boolean =>
  debug.enabled || (name === 'client.undecided' && channels['request.refused'].hasSubscribers)

/**
 * Publishes an event. `describe` is called only when somebody listens, when `NODE_DEBUG=client-assertion-jwt` is set, or
 * when the event may report a fault.
 */
export function publish<Name extends keyof Events>(name: Name, describe: () => Events[Name]): void {
  const target = channels[name]
  const heard = target.hasSubscribers
  if (!heard && !debug.enabled && name !== 'client.undecided' && name !== 'request.refused') return
  const event = printable(describe())
  if (heard) target.publish(event)
  else if (isFault(name, event) && !isHeardElsewhere(name)) warnOfFault(event)
  if (debug.enabled) debug('%s %j', name, { ...event, ...('cause' in event ? { cause: lineOf(event.cause) } : {}) })
}

/** Publishes that a client was refused, or could not be judged because the server is at fault. Hands the error back. */
export function publishFailure(error: unknown, kid?: string): unknown {
  const key = kid === undefined ? {} : { kid }
  if (!(error instanceof OAuthError)) {
    publish('client.undecided', () => ({ clientId: undefined, reason: undefined, detail: undefined, cause: error }))
    return error
  }
  const { clientId, reason, detail, cause } = error
  if (error.status < 500) publish('client.refused', () => ({ clientId, reason, detail, ...key }))
  else publish('client.undecided', () => ({ clientId, reason, detail, cause, ...key }))
  return error
}

/**
 * Listens for one event, and returns a function that stops listening. It is a typed shorthand for
 * `diagnostics_channel.subscribe('passport-client-assertion-jwt:' + name, …)`.
 *
 * If a listener throws or rejects, requests and other listeners are not affected; one process warning reports it.
 * Throws a `TypeError` if there is no event of this name.
 *
 * @example
 * ```ts
 * import { onEvent } from 'passport-client-assertion-jwt'
 *
 * onEvent('client.refused', ({ clientId, reason, detail }) => console.warn('client refused', { clientId, reason, detail }))
 * onEvent('request.refused', ({ status, cause }) => {
 *   if (status >= 500) console.error(cause)
 * })
 * ```
 */
export function onEvent<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => unknown): () => void {
  if (!Object.hasOwn(channels, name)) throw badOption('name', `one of ${NAMES.join(', ')}`, name)
  requireFunction('listener', listener)
  let hasWarned = false
  const warn = (thrown: unknown): void => {
    if (hasWarned) return
    hasWarned = true
    process.emitWarning(`A listener of the event ${name} failed: ${lineOf(thrown)}. This warning is not repeated.`, {
      code: 'CLIENT_ASSERTION_JWT_LISTENER',
    })
  }
  const receive = (message: unknown): void => {
    try {
      const outcome = listener(message as Events[Name])
      if (isPromise(outcome)) Promise.resolve(outcome).catch(warn)
    } catch (thrown) {
      warn(thrown)
    }
  }
  channels[name].subscribe(receive)
  return () => {
    channels[name].unsubscribe(receive)
  }
}
