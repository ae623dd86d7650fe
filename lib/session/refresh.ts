import { type Client, isPublicClient } from '../client.ts'
import { type OAuthError, refusal } from '../errors.ts'
import { publish } from '../events.ts'
import { type Change, named } from './change.ts'
import { decideRefresh } from './refresh_decision.ts'
import { BOUND_SESSION_VERSION, idleEnd, type Session } from './session.ts'
import type { CheckedSettings } from './settings.ts'

/** A session that a refresh moved on, and the generation of the token to issue. */
export interface RefreshedSession {
  /** As it is stored now. */
  readonly session: Session
  /** The generation of the refresh token to issue. */
  readonly generation: number
  /** The client's tokens do not rotate: it keeps the refresh token it presented, and no new one is issued. */
  readonly keepsToken: boolean
  /** `slide`: the idle end of a session whose tokens do not rotate moved on. */
  readonly outcome: 'confirm' | 'join' | 'retry' | 'slide'
}

/** The refusal for a session that is not there any more. */
export const sessionOver = (clientId: string): OAuthError =>
  refusal('session_not_found', { clientId, detail: 'the session is unknown, ended or expired' })

/** No proof, or one with another key: the caller does not have the key, and must not be able to end the session. */
const wrongKey = (clientId: string, presented: string | undefined): OAuthError =>
  refusal('dpop_key_mismatch', {
    clientId,
    detail: `the refresh token is bound to a key, and the request has ${presented === undefined ? 'no DPoP proof' : 'a proof of another key'}`,
  })

/**
 * What a refresh token of generation `g` makes of its session: the decision, as a change to save, with the event and
 * answer that follow. Throws `invalid_grant` where nothing is to be saved before it is refused. `scope` is what remains
 * of the session's. `rank` is the one of an adopted token in its old session: a lower one than was accepted before is refused,
 * and ends nothing; only requests that come at once are served in any order.
 */
export function refreshChange(
  session: Session,
  g: number,
  client: Client,
  now: number,
  settings: CheckedSettings,
  scope = session.scope,
  rank: number | undefined = undefined,
  keyThumbprint: string | undefined = undefined,
): Change<RefreshedSession> {
  const { keyThumbprint: bound } = session
  if (bound !== undefined && bound !== keyThumbprint) throw wrongKey(client.client_id, keyThumbprint)
  const { overlapSeconds } = settings
  const { adoptedRank } = session
  if (rank !== undefined && adoptedRank !== undefined && rank < adoptedRank) {
    const isConcurrent = session.confirmed === 0 && now - session.newestAt <= overlapSeconds
    if (!isConcurrent) throw reused(session, g, false)
  } else if (rank !== undefined && rank !== adoptedRank) {
    const { next, ...rest } = refreshChange(session, g, client, now, settings, scope, undefined, keyThumbprint)
    return { ...rest, next: { ...(next ?? session), adoptedRank: rank } }
  }
  const { idleSeconds, onReuse, rotate } = settings
  const decision = decideRefresh(session, g, now, overlapSeconds)
  if (decision.outcome === 'refuse') throw sessionOver(client.client_id)
  if (decision.outcome === 'reuse') {
    if (onReuse === 'refuse') throw reused(session, g, false)
    return {
      next: { ...session, endedAt: now },
      conclude(stored) {
        throw reused(stored, g, true)
      },
      inDoubt: () => void reused(session, g, false), // that it was reused is certain
    }
  }
  const slid = (): Session => ({
    ...session,
    scope,
    refreshedAt: now,
    refreshExpiresAt: idleEnd(now, idleSeconds, session.expiresAt),
  })
  if (!rotate && !isPublicClient(client)) {
    // Of requests at once the first slides.
    const recent = now - session.refreshedAt <= overlapSeconds
    return recent ? answered(undefined, g, 'join', true) : answered(slid(), g, 'slide', true)
  }
  const { outcome, generation, change } = decision
  // the refresh token that this request gets is bound to its key (RFC 9449 §5), and those after it
  const binding = bound === undefined && keyThumbprint !== undefined && isPublicClient(client)
  if (change === undefined && !binding) return answered(undefined, generation, outcome)
  const next = { ...(outcome === 'join' ? session : slid()), ...change }
  return answered(binding ? { ...next, keyThumbprint, version: BOUND_SESSION_VERSION } : next, generation, outcome)
}

const answered = (
  next: Session | undefined,
  generation: number,
  outcome: RefreshedSession['outcome'],
  keepsToken = false,
): Change<RefreshedSession> => ({
  next,
  conclude(session) {
    const { newest, confirmed } = session
    publish('session.refreshed', () => ({ ...named(session), outcome, generation, newest, confirmed }))
    return { session, generation, keepsToken, outcome }
  },
})

function reused(session: Session, generation: number, ended: boolean): OAuthError {
  const { newest, confirmed } = session
  publish('refresh_token.reused', () => ({ ...named(session), generation, newest, confirmed, ended }))
  if (ended) publish('session.ended', () => ({ sessionId: session.id }))
  return refusal('refresh_token_reused', {
    clientId: session.clientId,
    detail: `generation ${generation} was superseded: ${confirmed} is confirmed, ${newest} is the newest`,
  })
}
