import type { AuthorizationCode } from '../lib/code/code_record.ts'
import type { Session } from '../lib/session/session.ts'
import { CHALLENGE, REDIRECT_URI } from './setting.ts'

/** A session opened an hour ago, whose first refresh token was not used yet. */
export const sessionRecord = (subject: string, id: string, now: number, clientId = 'client'): Session => ({
  id,
  type: 'oauth2',
  subject,
  clientId,
  scope: 'read',
  createdAt: now - 3600,
  expiresAt: undefined,
  refreshedAt: now - 3600,
  refreshExpiresAt: now + 86_400 * 30,
  newest: 1,
  confirmed: 0,
  firstChild: 1,
  previous: 1,
  newestAt: now - 3600,
  confirmedAt: now - 3600,
  endedAt: undefined,
  extra: {},
  lockVersion: 1,
  version: 1,
})

/** A code that was issued just now. */
export const codeRecord = (
  subject: string,
  id: string,
  now: number,
  clientId = 'client',
  sessionId = `s-${id}`,
): AuthorizationCode => ({
  id,
  clientId,
  subject,
  scope: 'read',
  redirectUri: REDIRECT_URI,
  redirectUriWasSent: true,
  codeChallenge: CHALLENGE,
  sessionId,
  issuedAt: now,
  expiresAt: now + 600,
  keepUntil: now + 1200,
  failures: 0,
  spent: false,
  extra: {},
  version: 1,
})
