import { createHash } from 'node:crypto'
import type { Client, RequestContext } from '../client.ts'
import { answerOf, type OAuthError, refusal } from '../errors.ts'
import { isAbsent } from '../optional.ts'
import type { Permission } from '../session/session.ts'

/** The permission that a refresh token of the application's old code stood for. */
export interface AdoptedPermission extends Permission {
  /** For the session's `extra`. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined
  /**
   * The id of the old session that the token belongs to. All tokens of one old session then stand for one session here:
   * ended once, it is ended for all of them. Default: each token opens a session.
   */
  readonly sid?: string | undefined
  /**
   * Only with `sid`: the rank of the token in its old session, a finite number. Newer tokens have higher ranks; tokens that the
   * old server accepted side by side have the same. Once a token has been accepted, those of a lower rank are rejected.
   */
  readonly rank?: number | undefined
  /**
   * Only with `sid`: when the old session was opened, epoch seconds. `sessions.endAll` ends all old sessions that were opened
   * up to then. Default: before any call of `endAll`, so that after one call no old session of that user is adopted.
   */
  readonly openedAt?: number | undefined
  /**
   * When the old token expires, epoch seconds; with `sid`, when the last token of the old session does. Until then the store
   * remembers that it was adopted, so that it opens no second session after the first has ended. Default: one year from now.
   */
  readonly expiresAt?: number | undefined
}

/**
 * Recognises a refresh token that the application's old code issued. `undefined` for what it does not know, or what has
 * expired. Must compare the token itself, in full. A rejection is a 503.
 */
export type Adopt = (
  token: string,
  context: RequestContext & {
    /** The authenticated client that presents the token. Compare it with the owner of the token. */
    readonly client: Client
    /** The time in epoch seconds. */
    readonly now: number
  },
) => AdoptedPermission | undefined | Promise<AdoptedPermission | undefined>

const ONE_YEAR = 31_536_000

/** Until when it matters that the token was adopted, or given up: whole epoch seconds. */
export function rememberedUntil({ expiresAt }: Pick<AdoptedPermission, 'expiresAt'>, now: number): number {
  if (isAbsent(expiresAt)) return now + ONE_YEAR
  if (Number.isFinite(expiresAt)) return Math.ceil(expiresAt as number)
  throw wrongMember('expiresAt', 'a time in epoch seconds')
}

const wrongMember = (name: string, expected: string): OAuthError =>
  refusal('misconfigured', { detail: `option 'adopt' returned the member '${name}', which must be ${expected}` })

const numberMember = (name: 'rank' | 'openedAt', old: AdoptedPermission, expected: string): number | undefined => {
  if (isAbsent(old[name])) return undefined
  if (Number.isFinite(old[name])) return old[name]
  throw wrongMember(name, expected)
}

/** The id of the session that an adopted token opens: the same for the same token, and telling nothing about it. */
export const adoptedSessionId = (token: string): string =>
  createHash('sha256').update('adopted refresh token\0').update(token).digest('base64url')

/** What `adopt` says about the old session of a token. */
export interface OldSession {
  /** The id of the session here: the same for all tokens of the old session, and telling nothing about it. */
  readonly id: string
  readonly rank: number | undefined
  readonly openedAt: number | undefined
}

/** The old session that a token belongs to; `undefined` if `adopt` names none, so that the token stands for itself. */
export function oldSessionOf(old: AdoptedPermission): OldSession | undefined {
  const { sid, subject, clientId } = old
  if (isAbsent(sid)) return undefined
  if (typeof sid !== 'string') throw wrongMember('sid', 'a string')
  const id = createHash('sha256')
    .update('adopted session\0')
    .update(JSON.stringify([subject, clientId, sid]))
    .digest('base64url')
  return {
    id,
    rank: numberMember('rank', old, 'a finite number'),
    openedAt: numberMember('openedAt', old, 'a time in epoch seconds'),
  }
}

/** Asks `adopt`; what it returns is a permission, or `undefined`. Everything else is `misconfigured`. */
export async function askAdopt(
  adopt: Adopt,
  token: string,
  context: Parameters<Adopt>[1],
): Promise<AdoptedPermission | undefined> {
  const old: unknown = await answerOf(() => adopt(token, context))
  if (old === undefined || old === null) return undefined
  const { subject, clientId, scope } = (typeof old === 'object' ? old : {}) as Readonly<Record<string, unknown>>
  if (typeof subject !== 'string' || typeof clientId !== 'string' || (typeof scope !== 'string' && !isAbsent(scope))) {
    throw refusal('misconfigured', {
      detail: "option 'adopt' must return undefined, or an object with the strings subject, clientId and scope",
    })
  }
  return { ...(old as AdoptedPermission), scope: isAbsent(scope) ? '' : (scope as string) }
}
