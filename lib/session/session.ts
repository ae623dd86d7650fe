import { type Binding, bindingOf } from '../binding.ts'

/** The type of the sessions this package opens, which refresh tokens stand for. */
export const OAUTH2_SESSION = 'oauth2'

/**
 * Format of sessions that are bound to nothing; older records are upgraded when they are read (`upgrade.ts`). It is the
 * lowest version that has every member of the record, so that older nodes read what they understand.
 */
export const SESSION_VERSION = 1

/** Format of sessions that are bound to resources or to a key. A node that knows only version 1 responds with 503. */
export const BOUND_SESSION_VERSION = 2

/** What a session is for: who, for which client, within which scope, at which resources. */
export interface Permission {
  /** The user's subject identifier: the `sub` of tokens. */
  readonly subject: string
  /** '' where an application's own session has no client. */
  readonly clientId: string
  /** Scope values separated by spaces, sorted; '' for none. */
  readonly scope: string
  /** The resource indicators it is limited to (RFC 8707), as they are registered. Absent: it is bound to none. */
  readonly resources?: readonly string[] | undefined
}

/**
 * A session: a record of the server for one permission (subject, client, scope). Moments are epoch seconds. Sessions
 * that this package opens have the type `oauth2`; an application keeps its own, say `full` for its logins, in the same
 * store.
 */
export interface Session extends Binding {
  /** The session id: the `sid` of its tokens. */
  readonly id: string
  /** The kind of session: `oauth2` for sessions of this package, your own name for yours. */
  readonly type: string
  /** The user's subject identifier: the `sub` of its tokens. */
  readonly subject: string
  /** The client the session is for; '' where an application's session has none. */
  readonly clientId: string
  /** The granted scope, separated by spaces, sorted; '' for none. */
  readonly scope: string
  /** When the session was opened. */
  readonly createdAt: number
  /** Absolute end; `undefined` means never. */
  readonly expiresAt: number | undefined
  /** When a refresh or `touch` last extended the session. */
  readonly refreshedAt: number
  /** Idle end: it slides forward whenever a refresh moves the session on. */
  readonly refreshExpiresAt: number
  /** Newest generation issued. */
  readonly newest: number
  /** Last confirmed generation: one of its tokens was presented. */
  readonly confirmed: number
  /** First generation issued as a child of `confirmed`. */
  readonly firstChild: number
  /** The generation confirmed before `confirmed`. */
  readonly previous: number
  /** When the newest generation was issued. */
  readonly newestAt: number
  /** When the last confirmed generation was first presented. */
  readonly confirmedAt: number
  /** When the session was ended; `undefined` while it was not. */
  readonly endedAt: number | undefined
  /** The application's own data, plain JSON. Kept unless changed. */
  readonly extra: Readonly<Record<string, unknown>>
  /** Counts saves, for compare-and-set. */
  readonly lockVersion: number
  /** Format of this record: 1, or 2 if it is bound to resources or to a key. */
  readonly version: number
  /** The issuer identifier of the server it belongs to; absent in records written without one, which every issuer knows. */
  readonly issuer?: string | undefined
  /** For a session that was adopted: the highest rank among the tokens of its old session that were accepted. */
  readonly adoptedRank?: number | undefined
}

/** How long a session lives. */
export interface SessionLifetimes {
  /** Seconds for which it may lie unused. */
  readonly idleSeconds: number
  /** Seconds after which it ends whatever happens; `undefined` means never. */
  readonly absoluteSeconds: number | undefined
}

/** The idle end of a session that is used at `now`: never later than its absolute end. */
export const idleEnd = (now: number, idleSeconds: number, expiresAt: number | undefined): number =>
  expiresAt === undefined ? now + idleSeconds : Math.min(now + idleSeconds, expiresAt)

/**
 * The record of a session that opens at `now`. Its first refresh token is of generation 1, and nothing is confirmed
 * yet: 0 is the generation of what the session was opened with (a code, or an adopted token).
 */
export function openedSession(
  permission: Permission,
  options: {
    readonly id: string
    readonly type: string
    readonly now: number
    readonly lifetimes: SessionLifetimes
    readonly extra: Readonly<Record<string, unknown>>
    readonly issuer?: string | undefined
    readonly adoptedRank?: number | undefined
    readonly keyThumbprint?: string | undefined
  },
): Session {
  const { now, lifetimes, keyThumbprint } = options
  const binding = bindingOf({ resources: permission.resources, keyThumbprint })
  const expiresAt = lifetimes.absoluteSeconds === undefined ? undefined : now + lifetimes.absoluteSeconds
  return {
    id: options.id,
    type: options.type,
    subject: permission.subject,
    clientId: permission.clientId,
    scope: permission.scope,
    createdAt: now,
    expiresAt,
    refreshedAt: now,
    refreshExpiresAt: idleEnd(now, lifetimes.idleSeconds, expiresAt),
    newest: 1,
    confirmed: 0,
    firstChild: 1,
    previous: 1,
    newestAt: now,
    confirmedAt: now,
    endedAt: undefined,
    extra: options.extra,
    lockVersion: 0,
    version: binding === undefined ? SESSION_VERSION : BOUND_SESSION_VERSION,
    ...(options.issuer === undefined ? {} : { issuer: options.issuer }),
    ...(options.adoptedRank === undefined ? {} : { adoptedRank: options.adoptedRank }),
    ...binding,
  }
}

/** Whether the session is neither ended nor expired at `now`. Its expiry moments themselves are past the end. */
export const isLive = (session: Session, now: number): boolean =>
  session.endedAt === undefined &&
  now < session.refreshExpiresAt &&
  (session.expiresAt === undefined || now < session.expiresAt)
