import type { Client } from '../client.ts'
import { CLOCK_DIFFERENCE_SECONDS, type Clock, systemClock } from '../clock.ts'
import { refusal } from '../errors.ts'
import { publish } from '../events.ts'
import { callHook, timeOf } from '../hooks.ts'
import { newIdentifier } from '../identifier.ts'
import { requireIssuer } from '../issuer.ts'
import { isPromise } from '../maybe_promise.ts'
import { isAbsent } from '../optional.ts'
import { badOption, checkOptions, epochSeconds, optionNames, requireFunction, requireVerbs } from '../options.ts'
import { askedStore } from './asked_store.ts'
import { changeSession, named } from './change.ts'
import { createEndings } from './endings.ts'
import { checkedPermission, checkedSubject } from './permission.ts'
import { type RefreshedSession, refreshChange, sessionOver } from './refresh.ts'
import { decideRefresh } from './refresh_decision.ts'
import { idleEnd, isLive, OAUTH2_SESSION, openedSession, type Permission, type Session } from './session.ts'
import { createSessionLimit } from './session_limit.ts'
import type { SessionStore } from './session_store.ts'
import {
  type CheckedSettings,
  checkedSettings,
  DEFAULT_SETTINGS,
  lifetimesOf,
  type SessionSettings,
} from './settings.ts'

const DAY = 86_400
/** A record of this type says that one access token was revoked; it is kept a minute longer than that token. */
const REVOKED_ACCESS_TOKEN = 'revoked_access_token'
/** A record of this type says that a session of some id was opened, and is not to be opened again. */
const OPENED_ONCE = 'opened_once'

/**
 * The options of `createSessions`: the store, and the settings for all clients.
 *
 * @inline
 */
export interface SessionsOptions extends SessionSettings {
  /** The session store: memory, Redis, PostgreSQL or your own. */
  readonly store: SessionStore
  /**
   * The issuer identifier of this server. Set it if several issuers share a store: sessions contain it, and those of other
   * issuers are not found. Default: only the issuer of the tokens separates the sessions.
   */
  readonly issuer?: string | undefined
  /** Returns the settings that differ for one client, or `undefined`. Called on every use. */
  readonly perClient?: ((client: Client) => SessionSettings | undefined) | undefined
  /**
   * Active sessions of one user and type. Beyond it, opening another one ends the oldest, those of the same client first.
   * A process looks at every 32nd session of a user, so there may be up to 32 more. Default 5000; 1 to 1 000 000.
   */
  readonly maximumSessionsPerUser?: number | undefined
  /** Returns the time in epoch seconds if `now` is not passed. Default: the system clock. */
  readonly clock?: Clock | undefined
}

/**
 * A session to open.
 *
 * @inline
 */
export interface OpenSessionOptions {
  /** Whole epoch seconds. Default: the clock. */
  readonly now?: number | undefined
  /**
   * Default: 32 random bytes in base64url. Use your own id only once: while a store still has the
   * expired session of an id, it cannot be opened again.
   */
  readonly id?: string | undefined
  /** Default `oauth2`. */
  readonly type?: string | undefined
  /** The client whose settings apply. Without it the general settings apply, and no absolute lifetime unless one is set. */
  readonly client?: Client | undefined
  /**
   * The time, in epoch seconds, until which no other session with this `id` can be opened, even after this one has ended or
   * expired. Set it for ids that are derived from another value, such as an old token.
   */
  readonly rememberUntil?: number | undefined
  /**
   * The session of an earlier server that this session continues: the rank of the presented token (lower ones are rejected
   * afterwards), and when the old session was opened. It is not opened if `endAll` was called for the subject since then.
   */
  readonly adopted?:
    | {
        /** The rank of the presented token in the earlier session. Default: none. */
        readonly rank?: number | undefined
        /** When the earlier session was opened, epoch seconds. Default: before every call of `endAll`. */
        readonly openedAt?: number | undefined
      }
    | undefined
  /** The issuer of the session. Default: the option `issuer` of `createSessions`. If both are set, they must be equal. */
  readonly issuer?: string | undefined
  /** Overrides the settings for this session. */
  readonly idleLifetimeSeconds?: number | undefined
  /** Overrides the absolute lifetime for this session, in seconds. `'never'`: it has none. */
  readonly absoluteLifetimeSeconds?: number | 'never' | undefined
  /** Your own data, as plain JSON. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined
  /** The SHA-256 thumbprint (RFC 7638) of the key that the session is bound to. Default: none. */
  readonly keyThumbprint?: string | undefined
}

/**
 * Opens, refreshes, lists and ends sessions. If the store fails, each function rejects with `temporarily_unavailable` (503).
 * `now` is the time in whole epoch seconds; if it is optional, the default is the clock. A `now` that is not a whole number
 * throws a `TypeError`.
 */
export interface Sessions {
  /** Opens a session. Resolves with `undefined` if a session with this id was opened or ended before. */
  open(permission: Permission, options?: OpenSessionOptions): Promise<Session | undefined>
  /** Resolves with the session if it is active at `now`, or with `undefined`. */
  get(id: string, now?: number): Promise<Session | undefined>
  /**
   * Refreshes a session with the generation of the presented refresh token, and extends its idle lifetime. It does not
   * check the client, the type of the session or the scope; the exchange does so first. `session` is the result of `get`,
   * which saves a second read. Rejects with `invalid_grant` if the session has ended or the token was reused, or with 503
   * after six consecutive conflicts with other nodes. `rank` is the rank of an adopted token. If it is lower than one that was
   * accepted before, the call rejects with `invalid_grant`, and the session continues.
   */
  refresh(
    presented: {
      /** The session of the token: its `sid`. */
      readonly sessionId: string
      /** The generation of the token: its `g`. */
      readonly generation: number
      /** The rank of an adopted token. Default: none. */
      readonly rank?: number | undefined
      /** What `get` returned for the session. Default: it is read. */
      readonly session?: Session | undefined
    },
    options: {
      /** The authenticated client. Its record decides whether its tokens rotate. */
      readonly client: Client
      /** The time in epoch seconds. */
      readonly now: number
      /** The remaining scope of the session, saved with the session. Default: its whole scope. */
      readonly scope?: string | undefined
      /**
       * The thumbprint of the key of the DPoP proof. If the session is bound to another key, the call rejects with
       * `invalid_grant` and changes nothing. A session of a public client that is not bound yet is bound to this key.
       */
      readonly keyThumbprint?: string | undefined
    },
  ): Promise<RefreshedSession>
  /** Returns whether a refresh token of this generation would be accepted at `now`. Changes nothing. */
  accepts(
    session: Session,
    generation: number,
    options: {
      /** The client that the session belongs to. */
      readonly client: Client
      /** The time in epoch seconds. */
      readonly now: number
    },
  ): boolean
  /**
   * For your own sessions, such as logins: extends the session by the idle lifetime it was opened with, and replaces
   * `extra` if it is given. Resolves with `undefined` if the session has ended. Without `extra` it saves at most once in
   * `everySeconds` (default 60, at most a quarter of the idle lifetime), so you can call it on every request. With `extra`,
   * some of many concurrent calls for one session may reject with 503 (`contention`).
   */
  touch(
    id: string,
    options?: {
      /** The time in epoch seconds. Default: the clock. */
      readonly now?: number | undefined
      /** Replaces the session's `extra`. Default: it stays. */
      readonly extra?: Readonly<Record<string, unknown>> | undefined
      /** The least time in seconds between two saves. Default 60. */
      readonly everySeconds?: number | undefined
    },
  ): Promise<Session | undefined>
  /**
   * Ends a session, even one that another node is opening: it cannot be opened or refreshed afterwards. Resolves with `true`
   * if the session was active. `markerExpiresAt`, in epoch seconds, is how long the store remembers that an id without a
   * session was ended. Default: the idle lifetime, at least a day. Look up an id from a user first, because ending an
   * unknown id stores a marker.
   */
  end(
    id: string,
    now?: number,
    options?: {
      /** Until when an id without a session counts as ended, epoch seconds. */
      readonly markerExpiresAt?: number | undefined
    },
  ): Promise<boolean>
  /**
   * Resolves with the active sessions of a subject that have this type, oldest first. A record that cannot be read is
   * omitted, and the event `record.unreadable` reports it.
   */
  list(subject: string, type: string, now?: number): Promise<readonly Session[]>
  /**
   * Ends all sessions of a subject that have this type, and resolves with their number. A session that is opened during
   * the call may survive; `list` returns it, and the next call ends it. To leave none, first stop new sessions from opening.
   * For the type `oauth2` this also ends sessions of an earlier server that are not adopted yet (`sid` of `adopt`). The store
   * remembers that for a year.
   */
  endAll(subject: string, type: string): Promise<number>
  /** Revokes one access token, until it expires. Its session continues. */
  revokeAccessToken(
    token: {
      /** The id of the token. */
      readonly jti: string
      /** The user of the token. */
      readonly sub: string
      /** The client of the token. */
      readonly client_id: string
      /** When the token expires, epoch seconds. The revocation is stored until then. */
      readonly exp: number
    },
    now: number,
  ): Promise<void>
  /** Returns whether this access token was revoked. It does not check whether the session is active. */
  isAccessTokenRevoked(jti: string, now: number): Promise<boolean>
}

const SETTING_NAMES = {
  idleLifetimeSeconds: true,
  absoluteLifetimeSeconds: true,
  overlapSeconds: true,
  onReuse: true,
  rotate: true,
} as const
const SETTINGS = optionNames<SessionSettings>(SETTING_NAMES)
const SESSIONS_OPTIONS = optionNames<SessionsOptions>({
  ...SETTING_NAMES,
  store: true,
  issuer: true,
  perClient: true,
  maximumSessionsPerUser: true,
  clock: true,
})
const OPENING = optionNames<OpenSessionOptions>({
  now: true,
  id: true,
  type: true,
  client: true,
  rememberUntil: true,
  adopted: true,
  issuer: true,
  idleLifetimeSeconds: true,
  absoluteLifetimeSeconds: true,
  extra: true,
  keyThumbprint: true,
})

/**
 * Creates the functions that store sessions in `store`.
 *
 * @example
 * ```ts
 * import * as oauth from 'passport-client-assertion-jwt'
 *
 * const sessions = oauth.createSessions({ store: sessionStore })
 * ```
 */
export function createSessions(options: SessionsOptions): Sessions {
  checkOptions('createSessions', options, SESSIONS_OPTIONS)
  const { perClient, clock = systemClock, issuer } = options
  if (issuer !== undefined) requireIssuer(issuer)
  requireVerbs('store', options.store, ['create', 'get', 'save', 'end', 'list', 'endAll'])
  if (perClient !== undefined) requireFunction('perClient', perClient)
  requireFunction('clock', clock)
  const general = checkedSettings(options, DEFAULT_SETTINGS)
  const store = askedStore(options.store)
  const endings = createEndings(store)

  const settingsOf = (client: Client | undefined): CheckedSettings => {
    if (client === undefined || perClient === undefined) return general
    const own = callHook<SessionSettings | undefined>(
      'perClient',
      () => perClient(client),
      (value) => isAbsent(value) || (typeof value === 'object' && !isPromise(value)),
      'an object with settings at once, or undefined',
    )
    if (isAbsent(own)) return general
    try {
      checkOptions('perClient', own, SETTINGS)
      return checkedSettings(own as SessionSettings, general)
    } catch (cause) {
      const detail = `the option 'perClient' returned invalid settings: ${(cause as TypeError).message}`
      throw refusal('misconfigured', { clientId: client.client_id, detail, cause })
    }
  }

  const isOwn = (session: Session): boolean =>
    issuer === undefined || session.issuer === undefined || session.issuer === issuer

  const isActive = (session: Session, now: number): boolean => isOwn(session) && isLive(session, now)

  const limit = createSessionLimit(store, options.maximumSessionsPerUser, isActive)

  const get = async (id: string, now = timeOf(clock)): Promise<Session | undefined> => {
    const session = await store.get(id)
    return session !== undefined && isActive(session, now) ? session : undefined
  }

  /**
   * Remembers something about an id until a moment: a record that is no session. It is kept a little longer, so that a store
   * whose clock is ahead does not forget it before `isMarked` does by the clock of the process.
   */
  async function mark(
    id: string,
    type: string,
    { subject, clientId }: Permission,
    now: number,
    until: number,
  ): Promise<void> {
    epochSeconds('now', now)
    const seconds = Math.ceil(until) - now + CLOCK_DIFFERENCE_SECONDS
    const lifetimes = { idleSeconds: seconds, absoluteSeconds: seconds }
    const record = openedSession({ subject, clientId, scope: '' }, { id, type, now, lifetimes, extra: {} })
    await store.create(record) // 'gone' means that it is known already
  }

  const isMarked = async (id: string, now: number): Promise<boolean> => {
    const record = await get(id, now)
    return record !== undefined && now < record.refreshExpiresAt - CLOCK_DIFFERENCE_SECONDS
  }

  async function open(permission: Permission, opening: OpenSessionOptions = {}): Promise<Session | undefined> {
    const permitted = checkedPermission(permission)
    checkOptions('open', opening, OPENING)
    const { client, id = newIdentifier(), rememberUntil, keyThumbprint } = opening
    if (keyThumbprint !== undefined && typeof keyThumbprint !== 'string')
      throw badOption('keyThumbprint', 'a string', keyThumbprint)
    if (issuer !== undefined && opening.issuer !== undefined && opening.issuer !== issuer)
      throw badOption('issuer', `the one of createSessions, '${issuer}'`, opening.issuer)
    const now = epochSeconds('now', opening.now ?? timeOf(clock))
    if (rememberUntil !== undefined) epochSeconds('rememberUntil', rememberUntil)
    const { adopted } = opening
    for (const name of ['rank', 'openedAt'] as const)
      if (adopted?.[name] !== undefined && !Number.isFinite(adopted[name]))
        throw badOption(`adopted.${name}`, 'a finite number', adopted[name])
    /** Ends what may be open of an old session that was ended before it was adopted. It is read before and after opening. */
    const isOver =
      adopted &&
      (async (): Promise<boolean> => {
        const openedAt = adopted.openedAt ?? Number.NEGATIVE_INFINITY
        if (!(await endings.hasEnded(permitted.subject, opening.issuer ?? issuer, openedAt, now))) return false
        const until = Math.max(rememberUntil ?? now, now + DAY)
        if ((await store.end(id, until)) === 'ended') publish('session.ended', () => ({ sessionId: id }))
        return true
      })
    if (await isOver?.()) return undefined
    const onceId = `once:${id}`
    if (rememberUntil !== undefined && (await isMarked(onceId, now))) {
      await isOver?.()
      return undefined
    }
    const settings = checkedSettings(
      { idleLifetimeSeconds: opening.idleLifetimeSeconds, absoluteLifetimeSeconds: opening.absoluteLifetimeSeconds },
      settingsOf(client),
    )
    const session = openedSession(permitted, {
      id,
      type: opening.type ?? OAUTH2_SESSION,
      now,
      lifetimes: lifetimesOf(settings, client),
      extra: opening.extra ?? {},
      issuer: opening.issuer ?? issuer,
      adoptedRank: adopted?.rank,
      keyThumbprint,
    })
    const isOpened = (await store.create(session)) === 'created'
    if (isOpened) {
      publish('session.opened', () => named(session))
      await limit(session)
    }
    // Also for one that is there already: the process that opened it may not have come so far.
    if (rememberUntil !== undefined && rememberUntil > now)
      await mark(onceId, OPENED_ONCE, permitted, now, rememberUntil)
    const isEnded = await isOver?.() // also for one that is there already: the request that opened it may not come so far
    return isOpened && !isEnded ? session : undefined
  }

  /** Where another issuer has sessions of this subject too: ends those of this one, one by one. */
  async function endOwn(subject: string, type: string): Promise<number | undefined> {
    if (issuer === undefined) return undefined
    const all = await store.list(subject, type)
    const own = all.filter(isOwn)
    if (own.length === all.length) return undefined
    const answers = await Promise.all(own.map((each) => store.end(each.id, each.refreshExpiresAt)))
    return answers.filter((answer) => answer === 'ended').length
  }

  return {
    open,
    get,
    async refresh({ sessionId, generation, rank, session }, { client, now, scope, keyThumbprint }) {
      epochSeconds('now', now)
      const settings = settingsOf(client)
      const refreshed = await changeSession(
        store,
        session,
        () => get(sessionId, now),
        (found) => refreshChange(found, generation, client, now, settings, scope, rank, keyThumbprint),
      )
      if (refreshed === undefined) throw sessionOver(client.client_id)
      return refreshed
    },
    accepts(session, generation, { client, now }) {
      const { outcome } = decideRefresh(session, generation, now, settingsOf(client).overlapSeconds)
      return outcome !== 'reuse' && outcome !== 'refuse'
    },
    async touch(id, { now = timeOf(clock), extra, everySeconds = 60 } = {}) {
      epochSeconds('now', now)
      const conclude = (stored: Session): Session => stored
      return changeSession(
        store,
        undefined,
        () => get(id, now),
        (session) => {
          const idleSeconds = session.refreshExpiresAt - session.refreshedAt
          const recent = now - session.refreshedAt < Math.min(everySeconds, idleSeconds / 4)
          if (recent && extra === undefined) return { next: undefined, conclude }
          const refreshExpiresAt = idleEnd(now, idleSeconds, session.expiresAt)
          return { next: { ...session, refreshedAt: now, refreshExpiresAt, extra: extra ?? session.extra }, conclude }
        },
      )
    },
    async end(id, now = timeOf(clock), { markerExpiresAt = now + Math.max(general.idleSeconds, DAY) } = {}) {
      epochSeconds('now', now)
      epochSeconds('markerExpiresAt', markerExpiresAt)
      const ended = (await store.end(id, markerExpiresAt)) === 'ended'
      if (ended) publish('session.ended', () => ({ sessionId: id }))
      return ended
    },
    async list(subject, type, now = timeOf(clock)) {
      checkedSubject(subject)
      const sessions = await store.list(subject, type)
      return sessions.filter((session) => isActive(session, now))
    },
    async endAll(subject, type) {
      checkedSubject(subject)
      // First, so that an adoption that does not see it has opened what is ended next.
      const remembered = type === OAUTH2_SESSION ? endings.remember(subject, issuer, timeOf(clock)) : Promise.resolve()
      const [failure] = await Promise.allSettled([remembered])
      const count = (await endOwn(subject, type)) ?? (await store.endAll(subject, type))
      publish('sessions.ended', () => ({ subject, type, count }))
      if (failure?.status === 'rejected') throw failure.reason // what is open has ended; what is not yet here may come
      return count
    },
    async revokeAccessToken({ jti, sub, client_id, exp }, now) {
      const permission = { subject: sub, clientId: client_id, scope: '' }
      if (exp > now) await mark(`at:${jti}`, REVOKED_ACCESS_TOKEN, permission, now, exp)
    },
    isAccessTokenRevoked: (jti, now) => isMarked(`at:${jti}`, now),
  }
}
