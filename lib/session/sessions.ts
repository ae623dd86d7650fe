import type { Client } from '../client.ts'
import { CLOCK_DIFFERENCE_SECONDS, type Clock, systemClock } from '../clock.ts'
import { answerOf, refusal } from '../errors.ts'
import { publish } from '../events.ts'
import { callHook, timeOf } from '../hooks.ts'
import { newIdentifier } from '../identifier.ts'
import { requireIssuer } from '../issuer.ts'
import { isPromise } from '../maybe_promise.ts'
import { isAbsent } from '../optional.ts'
import {
  badOption,
  checkOptions,
  epochSeconds,
  expectCount,
  expectOutcome,
  optionNames,
  requireFunction,
  requireVerbs,
} from '../options.ts'
import { changeSession, named } from './change.ts'
import { createEndings } from './endings.ts'
import { checkedPermission, checkedSubject } from './permission.ts'
import { type RefreshedSession, refreshChange, sessionOver } from './refresh.ts'
import { decideRefresh } from './refresh_decision.ts'
import { idleEnd, isLive, OAUTH2_SESSION, openedSession, type Permission, type Session } from './session.ts'
import type { SessionStore } from './session_store.ts'
import {
  type CheckedSettings,
  checkedSettings,
  DEFAULT_SETTINGS,
  lifetimesOf,
  type SessionSettings,
} from './settings.ts'
import { readSession, readSessions } from './upgrade.ts'

const DAY = 86_400
/** A record of this type says that one access token was revoked; it is kept a minute longer than that token. */
const REVOKED_ACCESS_TOKEN = 'revoked_access_token'
/** A record of this type says that a session of some id was opened, and is not to be opened again. */
const OPENED_ONCE = 'opened_once'

/** The options of `createSessions`: where sessions are kept, and the settings of clients that have none of their own. */
export interface SessionsOptions extends SessionSettings {
  /** Where sessions are kept. */
  readonly store: SessionStore
  /**
   * The issuer identifier of this server. Set it if several issuers share a store: sessions contain it, and those of other
   * issuers are not found. Default: only the issuer of the tokens separates the sessions.
   */
  readonly issuer?: string | undefined
  /** Settings of one client; what it leaves out, or `undefined`, takes the general ones. Called on every use. */
  readonly perClient?: ((client: Client) => SessionSettings | undefined) | undefined
  /** Read only where a caller leaves `now` away. Default: the clock of this machine. */
  readonly clock?: Clock | undefined
}

/** A session to open. */
export interface OpenSessionOptions {
  /** Whole epoch seconds. Default: the clock. */
  readonly now?: number | undefined
  /**
   * Default: 32 random bytes in base64url. Use your own id only once: a store may keep what has expired, and then
   * opens nothing under its id, or may have let go of it, and then does.
   */
  readonly id?: string | undefined
  /** Default `oauth2`. */
  readonly type?: string | undefined
  /** Whose settings apply; without it the general ones, and no absolute lifetime unless one is set. */
  readonly client?: Client | undefined
  /**
   * Until when (epoch seconds) no other session of this `id` is opened, even after this one has ended or expired and its
   * marker is forgotten. For ids that follow from something that others keep, such as an old token.
   */
  readonly rememberUntil?: number | undefined
  /**
   * The session of an earlier server that this one goes on with: the rank of the token that was presented (lower ones are
   * rejected from then on), and when the old session was opened. It is not opened if `endAll` was called for the subject since.
   */
  readonly adopted?: { readonly rank?: number | undefined; readonly openedAt?: number | undefined } | undefined
  /** The issuer it belongs to. Default: the option of `createSessions`, which it must not contradict. */
  readonly issuer?: string | undefined
  /** Overrides the settings for this session. */
  readonly idleLifetimeSeconds?: number | undefined
  readonly absoluteLifetimeSeconds?: number | 'never' | undefined
  /** The application's own data, plain JSON. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined
  /** The SHA-256 thumbprint (RFC 7638) of the key it is bound to. Default: none. */
  readonly keyThumbprint?: string | undefined
}

/**
 * Opens, moves on and ends sessions: the only user of the session store. A store that fails makes each of these reject
 * with `temporarily_unavailable` (503). Where `now` (whole epoch seconds) is optional, the clock is read for it; what would be
 * stored of a `now` that is not whole is refused with a `TypeError`.
 */
export interface Sessions {
  /** Opens a session. `undefined` when a session of this id was ended or opened before. */
  open(permission: Permission, options?: OpenSessionOptions): Promise<Session | undefined>
  /** The session, if it is live at `now`. */
  get(id: string, now?: number): Promise<Session | undefined>
  /**
   * Moves a session on, by the generation of the refresh token that was presented, and slides its idle end. Does not
   * check whose token it is, its session's type, nor scope: the exchange does, before. `session` is the session as
   * `get` gave it, which saves reading it again. Rejects with `invalid_grant` (over, or reuse), or with 503 when other
   * nodes were faster six times in a row. `rank` is the one of an adopted token: a lower one than was accepted before is
   * rejected with `invalid_grant`, and the session goes on.
   */
  refresh(
    presented: {
      readonly sessionId: string
      readonly generation: number
      readonly rank?: number | undefined
      readonly session?: Session | undefined
    },
    options: {
      readonly client: Client
      readonly now: number
      /** What remains of the session's scope. Saved when the session is saved; default: all of it. */
      readonly scope?: string | undefined
      /**
       * The thumbprint of the key of the DPoP proof. A session that is bound to another key rejects with `invalid_grant`, and
       * is left as it is; a session of a public client that is not bound yet is bound to it.
       */
      readonly keyThumbprint?: string | undefined
    },
  ): Promise<RefreshedSession>
  /** Whether a refresh token of this generation would be accepted at `now`. Changes nothing. */
  accepts(session: Session, generation: number, options: { readonly client: Client; readonly now: number }): boolean
  /**
   * For an application's own sessions: slides the idle end, by the idle lifetime the session was opened with, and
   * replaces `extra` where it is given. `undefined` when the session is over. Saves at most once in `everySeconds`
   * (default 60, and a quarter of the idle lifetime at most) unless `extra` is given, so that it can be called on every
   * request. With `extra`, many calls for one session at once are refused with 503 (`contention`) in part.
   */
  touch(
    id: string,
    options?: {
      readonly now?: number | undefined
      readonly extra?: Readonly<Record<string, unknown>> | undefined
      readonly everySeconds?: number | undefined
    },
  ): Promise<Session | undefined>
  /**
   * Ends a session, also one that is still being opened elsewhere: it cannot be opened or refreshed afterwards. True
   * when it was live. `markerExpiresAt` (epoch seconds) is how long an id without a session is remembered as ended, and
   * must outlive what could open that session; by default the idle lifetime, and a day at least. Look an id up first
   * that comes from outside: each unknown one that is ended leaves a marker.
   */
  end(id: string, now?: number, options?: { readonly markerExpiresAt?: number | undefined }): Promise<boolean>
  /**
   * The live sessions of a subject that have this type, oldest first. A record that cannot be read is left out and
   * reported by the event `record.unreadable`.
   */
  list(subject: string, type: string, now?: number): Promise<readonly Session[]>
  /**
   * Ends all sessions of a subject that have this type, and only those. How many there were. A session that is being
   * opened meanwhile may live on: `list` has it, and the next call ends it. Where none may be left, first stop what opens them.
   * For the type `oauth2`, sessions of an earlier server that `adopt` names by `sid` are ended as well, before they are adopted;
   * that is remembered for a year.
   */
  endAll(subject: string, type: string): Promise<number>
  /** Remembers, until it expires, that one access token was revoked while its session goes on. */
  revokeAccessToken(
    token: { readonly jti: string; readonly sub: string; readonly client_id: string; readonly exp: number },
    now: number,
  ): Promise<void>
  /** Whether this one access token was revoked; whether its session lives is another question. */
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

/** Makes the functions that keep sessions in `store`. */
export function createSessions(options: SessionsOptions): Sessions {
  checkOptions('createSessions', options, SESSIONS_OPTIONS)
  const { store, perClient, clock = systemClock, issuer } = options
  if (issuer !== undefined) requireIssuer(issuer)
  requireVerbs('store', store, ['create', 'get', 'save', 'end', 'list', 'endAll'])
  if (perClient !== undefined) requireFunction('perClient', perClient)
  requireFunction('clock', clock)
  const general = checkedSettings(options, DEFAULT_SETTINGS)
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

  const get = async (id: string, now = timeOf(clock)): Promise<Session | undefined> => {
    const session = await answerOf(() => store.get(id), readSession)
    return session !== undefined && isOwn(session) && isLive(session, now) ? session : undefined
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
    await answerOf(() => store.create(record)) // 'gone' means that it is known already
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
    const isOver = async (): Promise<boolean> => {
      if (adopted === undefined) return false
      const openedAt = adopted.openedAt ?? Number.NEGATIVE_INFINITY
      if (!(await endings.hasEnded(permitted.subject, opening.issuer ?? issuer, openedAt, now))) return false
      const until = Math.max(rememberUntil ?? now, now + DAY)
      if ((await answerOf(() => store.end(id, until))) === 'ended') publish('session.ended', () => ({ sessionId: id }))
      return true
    }
    if (await isOver()) return undefined
    const onceId = `once:${id}`
    if (rememberUntil !== undefined && (await isMarked(onceId, now))) {
      await isOver()
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
    const isOpened =
      (await answerOf(
        () => store.create(session),
        (outcome) => expectOutcome('create', outcome, ['created', 'gone']),
      )) === 'created'
    if (isOpened) publish('session.opened', () => named(session))
    // Also for one that is there already: the process that opened it may not have come so far.
    if (rememberUntil !== undefined && rememberUntil > now)
      await mark(onceId, OPENED_ONCE, permitted, now, rememberUntil)
    const isEnded = await isOver() // also for one that is there already: the request that opened it may not come so far
    return isOpened && !isEnded ? session : undefined
  }

  /** Where another issuer has sessions of this subject too: ends those of this one, one by one. */
  async function endOwn(subject: string, type: string): Promise<number | undefined> {
    if (issuer === undefined) return undefined
    const all = await answerOf(() => store.list(subject, type), readSessions)
    const own = all.filter(isOwn)
    if (own.length === all.length) return undefined
    const answers = await Promise.all(own.map((each) => answerOf(() => store.end(each.id, each.refreshExpiresAt))))
    return answers.filter((answer) => answer === 'ended').length
  }

  const endAllOf = (subject: string, type: string): Promise<number> =>
    answerOf(async () => expectCount('endAll', await store.endAll(subject, type)))

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
      const outcome = await answerOf(async () =>
        expectOutcome('end', await store.end(id, markerExpiresAt), ['ended', 'unknown']),
      )
      const ended = outcome === 'ended'
      if (ended) publish('session.ended', () => ({ sessionId: id }))
      return ended
    },
    async list(subject, type, now = timeOf(clock)) {
      checkedSubject(subject)
      const sessions = await answerOf(() => store.list(subject, type), readSessions)
      return sessions.filter((session) => isOwn(session) && isLive(session, now))
    },
    async endAll(subject, type) {
      checkedSubject(subject)
      // First, so that an adoption that does not see it has opened what is ended next.
      const remembered = type === OAUTH2_SESSION ? endings.remember(subject, issuer, timeOf(clock)) : Promise.resolve()
      const [failure] = await Promise.allSettled([remembered])
      const count = (await endOwn(subject, type)) ?? (await endAllOf(subject, type))
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
