import { type Client, isPublicClient } from '../client.ts'
import { type Clock, systemClock } from '../clock.ts'
import { answerOf, refusal } from '../errors.ts'
import { publish } from '../events.ts'
import { newIdentifier } from '../identifier.ts'
import { badOption, booleanOption, oneOf, requireFunction, requireVerbs, wholeNumber } from '../options.ts'
import { decideRefresh } from './refresh_decision.ts'
import { idleEnd, isLive, OAUTH2_SESSION, openedSession, type Permission, type Session } from './session.ts'
import type { SessionStore } from './store.ts'
import { upgradeSession } from './upgrade.ts'

const DAY = 86_400
const DEFAULT_IDLE_SECONDS = 60 * DAY
const PUBLIC_ABSOLUTE_SECONDS = 365 * DAY
const LONGEST_SECONDS = 100 * 365 * DAY
const DEFAULT_OVERLAP_SECONDS = 10
const LONGEST_OVERLAP_SECONDS = 3600
/** How often one refresh reads and decides again because another node was faster. */
const MOST_RETRIES = 5
/** A record of this type says that one access token was revoked; it lives as long as that token would have. */
const REVOKED_ACCESS_TOKEN = 'revoked_access_token'

/** What may differ from client to client. */
export interface SessionSettings {
  /** Seconds for which a session may lie unused. Default 5 184 000 (60 days); 1 to 3 153 600 000. */
  readonly idleLifetimeSeconds?: number | undefined
  /**
   * Seconds after which a session ends whatever happens, or `'never'`. Default: never for confidential clients,
   * 31 536 000 (365 days) for public ones. It holds for sessions opened from then on.
   */
  readonly absoluteLifetimeSeconds?: number | 'never' | undefined
  /** The join window in seconds: 0 to 3600, default 10. */
  readonly overlapSeconds?: number | undefined
  /** A reused refresh token ends its session (`'end'`, the default) or is only refused (`'refuse'`). */
  readonly onReuse?: 'end' | 'refuse' | undefined
  /**
   * `false` for a confidential client: its refresh tokens stay of one generation, as FAPI 2.0 (§5.3.2.1) wants it, and
   * none supersedes another; a refresh only slides the idle end. Public clients' always rotate (RFC 9700 §4.14.2).
   * Default `true`.
   */
  readonly rotate?: boolean | undefined
}

export interface SessionsOptions extends SessionSettings {
  readonly store: SessionStore
  /** Settings of one client; what it leaves out, or `undefined`, takes the general ones. Called on every use. */
  readonly perClient?: ((client: Client) => SessionSettings | undefined) | undefined
  /** Read only where a caller leaves `now` away. Default: the clock of this machine. */
  readonly clock?: Clock | undefined
}

/** A session to open. */
export interface OpenSessionOptions {
  /** Default: the clock. */
  readonly now?: number | undefined
  /** Default: 32 random octets, base64url. */
  readonly id?: string | undefined
  /** Default `oauth2`. */
  readonly type?: string | undefined
  /** Whose settings apply; without it the general ones, and no absolute lifetime unless one is set. */
  readonly client?: Client | undefined
  /** In place of the settings, for this session. */
  readonly idleLifetimeSeconds?: number | undefined
  readonly absoluteLifetimeSeconds?: number | 'never' | undefined
  /** The application's own data, plain JSON. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined
}

/** A session that a refresh moved on, and the generation of the token to issue. */
export interface RefreshedSession {
  /** As it is stored now. */
  readonly session: Session
  readonly generation: number
  /** `slide`: of a client whose tokens do not rotate. */
  readonly outcome: 'confirm' | 'join' | 'retry' | 'slide'
}

/**
 * Opens, moves on and ends sessions: the only user of the session store. A store that fails makes each of these reject
 * with `temporarily_unavailable` (503). Where `now` (epoch seconds) is optional, the clock is read for it.
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
   * nodes were faster six times in a row.
   */
  refresh(
    presented: { readonly sessionId: string; readonly generation: number; readonly session?: Session | undefined },
    options: { readonly client: Client; readonly now: number },
  ): Promise<RefreshedSession>
  /** Whether a refresh token of this generation would be accepted at `now`. Changes nothing. */
  accepts(session: Session, generation: number, options: { readonly client: Client; readonly now: number }): boolean
  /**
   * For an application's own sessions: slides the idle end, by the idle lifetime the session was opened with, and
   * replaces `extra` where it is given. `undefined` when the session is over. Saves at most once in `everySeconds`
   * (default 60, and a quarter of the idle lifetime at most) unless `extra` is given, so that it can be called on every
   * request.
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
   * Ends a session, also one that is still being opened elsewhere: it can not be opened or moved on afterwards. True
   * when it was live. `markerExpiresAt` (epoch seconds) is how long an id without a session is remembered as ended, and
   * must outlive what could open that session; by default the idle lifetime, and a day at least.
   */
  end(id: string, now?: number, options?: { readonly markerExpiresAt?: number | undefined }): Promise<boolean>
  /** The live sessions of a subject that have this type, oldest first. */
  list(subject: string, type: string, now?: number): Promise<readonly Session[]>
  /** Ends all sessions of a subject that have this type, and only those. How many there were. */
  endAll(subject: string, type: string): Promise<number>
  /** Remembers, until it expires, that one access token was revoked while its session goes on. */
  revokeAccessToken(
    token: { readonly jti: string; readonly sub: string; readonly client_id: string; readonly exp: number },
    now: number,
  ): Promise<void>
  isAccessTokenRevoked(jti: string, now: number): Promise<boolean>
}

interface Settings {
  readonly idleSeconds: number
  readonly absolute: number | 'never' | undefined
  readonly overlapSeconds: number
  readonly onReuse: 'end' | 'refuse'
  readonly rotate: boolean
}

function checkedAbsolute(name: string, value: unknown, fallback: number | 'never' | undefined) {
  if (value === undefined) return fallback
  if (value === 'never') return value
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= LONGEST_SECONDS) return value
  throw badOption(name, `a whole number from 1 to ${LONGEST_SECONDS}, or 'never'`, value)
}

const checkedSettings = (given: SessionSettings, general: Settings): Settings => ({
  idleSeconds: wholeNumber('idleLifetimeSeconds', given.idleLifetimeSeconds, general.idleSeconds, 1, LONGEST_SECONDS),
  absolute: checkedAbsolute('absoluteLifetimeSeconds', given.absoluteLifetimeSeconds, general.absolute),
  overlapSeconds: wholeNumber(
    'overlapSeconds',
    given.overlapSeconds,
    general.overlapSeconds,
    0,
    LONGEST_OVERLAP_SECONDS,
  ),
  onReuse: oneOf('onReuse', given.onReuse, general.onReuse, ['end', 'refuse']),
  rotate: booleanOption('rotate', given.rotate, general.rotate),
})

const DEFAULTS: Settings = {
  idleSeconds: DEFAULT_IDLE_SECONDS,
  absolute: undefined,
  overlapSeconds: DEFAULT_OVERLAP_SECONDS,
  onReuse: 'end',
  rotate: true,
}

const named = ({ id, type, subject, clientId }: Session) => ({ sessionId: id, type, subject, clientId })

const sessionOver = (clientId: string) =>
  refusal('session_not_found', { clientId, detail: 'the session is unknown, ended or expired' })

/** Makes the functions that keep sessions in `store`. */
export function createSessions(options: SessionsOptions): Sessions {
  const { store, perClient, clock = systemClock } = options
  requireVerbs('store', store, ['create', 'get', 'save', 'end', 'list', 'endAll'])
  if (perClient !== undefined) requireFunction('perClient', perClient)
  requireFunction('clock', clock)
  const general = checkedSettings(options, DEFAULTS)

  const settingsOf = (client: Client | undefined): Settings => {
    const own = client === undefined ? undefined : perClient?.(client)
    return own === undefined ? general : checkedSettings(own, general)
  }

  const read = async (id: string): Promise<Session | undefined> => {
    const stored = await store.get(id)
    return stored === undefined ? undefined : upgradeSession(stored)
  }

  const get = async (id: string, now = clock()): Promise<Session | undefined> => {
    const session = await answerOf(() => read(id))
    return session !== undefined && isLive(session, now) ? session : undefined
  }

  async function open(permission: Permission, opening: OpenSessionOptions = {}): Promise<Session | undefined> {
    // Databases have numbers for users, and a number would become a token's `sub`, which is text (RFC 7519 §4.1.2).
    for (const name of ['subject', 'clientId', 'scope'] as const) {
      if (typeof permission[name] !== 'string') throw badOption(name, 'a string', permission[name])
    }
    const { client, now = clock() } = opening
    const settings = checkedSettings(
      { idleLifetimeSeconds: opening.idleLifetimeSeconds, absoluteLifetimeSeconds: opening.absoluteLifetimeSeconds },
      settingsOf(client),
    )
    const absolute =
      settings.absolute ?? (client !== undefined && isPublicClient(client) ? PUBLIC_ABSOLUTE_SECONDS : 'never')
    const session = openedSession(permission, {
      id: opening.id ?? newIdentifier(),
      type: opening.type ?? OAUTH2_SESSION,
      now,
      lifetimes: {
        idleSeconds: settings.idleSeconds,
        absoluteSeconds: absolute === 'never' ? undefined : absolute,
      },
      extra: opening.extra ?? {},
    })
    if ((await answerOf(() => store.create(session))) === 'gone') return undefined
    publish('session.opened', () => named(session))
    return session
  }

  async function refresh(
    presented: { readonly sessionId: string; readonly generation: number; readonly session?: Session | undefined },
    { client, now }: { readonly client: Client; readonly now: number },
  ): Promise<RefreshedSession> {
    const { overlapSeconds, idleSeconds, onReuse, ...settings } = settingsOf(client)
    const rotates = settings.rotate || isPublicClient(client)
    const { generation: g } = presented
    let session = presented.session ?? (await get(presented.sessionId, now))
    for (let attempt = 1; ; attempt += 1) {
      if (session === undefined) throw sessionOver(client.client_id)
      const found: Session = session
      const decision = decideRefresh(found, g, now, overlapSeconds)
      if (decision.outcome === 'refuse') throw sessionOver(client.client_id)
      let next: Session
      if (decision.outcome === 'reuse') {
        if (onReuse === 'refuse') throw reused(found, g, false)
        next = { ...found, endedAt: now }
      } else if (!rotates) {
        // Requests at once slide the idle end once.
        if (now - found.refreshedAt <= overlapSeconds) return refreshed(found, g, 'join')
        next = { ...found, refreshedAt: now, refreshExpiresAt: idleEnd(now, idleSeconds, found.expiresAt) }
      } else if (decision.change === undefined) {
        return refreshed(found, decision.generation, decision.outcome)
      } else if (decision.outcome === 'join') {
        next = { ...found, ...decision.change }
      } else {
        const refreshExpiresAt = idleEnd(now, idleSeconds, found.expiresAt)
        next = { ...found, ...decision.change, refreshedAt: now, refreshExpiresAt }
      }
      const answer = await answerOf(() => store.save(next))
      if (answer === 'saved') {
        if (decision.outcome === 'reuse') throw reused(found, g, true)
        const stored = { ...next, lockVersion: next.lockVersion + 1 }
        return rotates ? refreshed(stored, decision.generation, decision.outcome) : refreshed(stored, g, 'slide')
      }
      if (answer === 'gone') throw sessionOver(client.client_id)
      publish('session.conflict', () => ({ ...named(found), attempt }))
      if (attempt > MOST_RETRIES) {
        throw refusal('contention', {
          clientId: client.client_id,
          detail: `other nodes changed the session ${attempt} times while this request tried to`,
          headers: { 'Retry-After': '1' },
        })
      }
      session = await get(presented.sessionId, now)
    }
  }

  function refreshed(session: Session, generation: number, outcome: RefreshedSession['outcome']): RefreshedSession {
    publish('session.refreshed', () => ({
      ...named(session),
      outcome,
      generation,
      newest: session.newest,
      confirmed: session.confirmed,
    }))
    return { session, generation, outcome }
  }

  function reused(session: Session, generation: number, ended: boolean) {
    const { newest, confirmed } = session
    publish('refresh_token.reused', () => ({ ...named(session), generation, newest, confirmed, ended }))
    if (ended) publish('session.ended', () => ({ sessionId: session.id }))
    return refusal('refresh_token_reused', {
      clientId: session.clientId,
      detail: `generation ${generation} was superseded: ${confirmed} is confirmed, ${newest} is the newest`,
    })
  }

  const accepts = (session: Session, g: number, { client, now }: { client: Client; now: number }): boolean => {
    const { outcome } = decideRefresh(session, g, now, settingsOf(client).overlapSeconds)
    return outcome !== 'reuse' && outcome !== 'refuse'
  }

  const touch: Sessions['touch'] = async (id, { now = clock(), extra, everySeconds = 60 } = {}) => {
    for (let attempt = 1; ; attempt += 1) {
      const session = await get(id, now)
      if (session === undefined) return undefined
      const idleSeconds = session.refreshExpiresAt - session.refreshedAt
      const pause = Math.min(everySeconds, idleSeconds / 4)
      if (extra === undefined && now - session.refreshedAt < pause) return session
      const next = {
        ...session,
        refreshedAt: now,
        refreshExpiresAt: idleEnd(now, idleSeconds, session.expiresAt),
        extra: extra ?? session.extra,
      }
      const answer = await answerOf(() => store.save(next))
      if (answer === 'saved') return { ...next, lockVersion: next.lockVersion + 1 }
      if (answer === 'gone') return undefined
      publish('session.conflict', () => ({ ...named(session), attempt }))
      if (attempt > MOST_RETRIES) throw refusal('contention', { headers: { 'Retry-After': '1' } })
    }
  }

  return {
    open,
    get,
    refresh,
    accepts,
    touch,
    async end(id, now = clock(), { markerExpiresAt = now + Math.max(general.idleSeconds, DAY) } = {}) {
      const ended = (await answerOf(() => store.end(id, markerExpiresAt))) === 'ended'
      if (ended) publish('session.ended', () => ({ sessionId: id }))
      return ended
    },
    async list(subject, type, now = clock()) {
      const sessions = await answerOf(async () => (await store.list(subject, type)).map((each) => upgradeSession(each)))
      return sessions.filter((session) => isLive(session, now))
    },
    async endAll(subject, type) {
      const count = await answerOf(() => store.endAll(subject, type))
      publish('sessions.ended', () => ({ subject, type, count }))
      return count
    },
    async revokeAccessToken({ jti, sub, client_id, exp }, now) {
      if (exp <= now) return
      const record = openedSession(
        { subject: sub, clientId: client_id, scope: '' },
        {
          id: `at:${jti}`,
          type: REVOKED_ACCESS_TOKEN,
          now,
          lifetimes: { idleSeconds: exp - now, absoluteSeconds: exp - now },
          extra: {},
        },
      )
      await answerOf(() => store.create(record)) // 'gone' means that it is revoked already
    },
    async isAccessTokenRevoked(jti, now) {
      return (await get(`at:${jti}`, now)) !== undefined
    },
  }
}
