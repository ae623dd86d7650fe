import { createHash } from 'node:crypto'
import type { Client, RequestContext } from '../client.ts'
import { refusal } from '../errors.ts'
import type { Permission } from '../session/session.ts'

/** The permission that a refresh token of the application's old code stood for. */
export interface AdoptedPermission extends Permission {
  /** For the session's `extra`. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined
  /**
   * When the old token expires, epoch seconds. Until then it is remembered that it was adopted, so that it opens no second
   * session after the first has ended. Default: it is remembered for ten years.
   */
  readonly expiresAt?: number | undefined
}

/**
 * Recognises a refresh token that the application's old code issued. `undefined` for what it does not know, or what has
 * expired. Must compare the token itself, in full. A rejection is a 503.
 */
export type Adopt = (
  token: string,
  context: RequestContext & { readonly client: Client; readonly now: number },
) => AdoptedPermission | undefined | Promise<AdoptedPermission | undefined>

const TEN_YEARS = 315_360_000

/** Until when it matters that the token was adopted, or given up: whole epoch seconds. */
export function rememberedUntil({ expiresAt }: Pick<AdoptedPermission, 'expiresAt'>, now: number): number {
  if (expiresAt === undefined || expiresAt === null) return now + TEN_YEARS
  if (Number.isFinite(expiresAt)) return Math.ceil(expiresAt)
  throw refusal('misconfigured', { detail: 'adopt gave an expiresAt that is no moment' })
}

/** The id of the session that an adopted token opens: the same for the same token, and telling nothing about it. */
export const adoptedSessionId = (token: string): string =>
  createHash('sha256').update('adopted refresh token\0').update(token).digest('base64url')
