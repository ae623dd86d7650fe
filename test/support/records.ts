import { randomBytes } from 'node:crypto'
import type { AuthorizationCode } from '../../lib/code/code_record.ts'
import type { Session } from '../../lib/session/session.ts'

const unique = (): string => randomBytes(32).toString('base64url')
const secondsNow = (): number => Math.floor(Date.now() / 1000)

/** A session that opens now and may lie unused for ten minutes, unless said otherwise. */
export const newSession = (changes: Partial<Session> = {}, now = secondsNow()): Session => ({
  id: unique(),
  type: 'oauth2',
  subject: unique(),
  clientId: 'client-of-usual-length',
  scope: 'email offline_access openid profile',
  createdAt: now,
  expiresAt: undefined,
  refreshedAt: now,
  refreshExpiresAt: now + 600,
  newest: 1,
  confirmed: 0,
  firstChild: 1,
  previous: 1,
  newestAt: now,
  confirmedAt: now,
  endedAt: undefined,
  extra: {},
  lockVersion: 0,
  version: 1,
  ...changes,
})

/** A code that is issued now. */
export const newCode = (changes: Partial<AuthorizationCode> = {}, now = secondsNow()): AuthorizationCode => ({
  id: unique(),
  clientId: 'client-of-usual-length',
  subject: unique(),
  scope: 'email offline_access openid profile',
  redirectUri: 'https://client.example.com/callback',
  redirectUriWasSent: true,
  codeChallenge: unique(),
  sessionId: unique(),
  issuedAt: now,
  expiresAt: now + 60,
  keepUntil: now + 1860,
  failures: 0,
  spent: false,
  extra: {},
  version: 1,
  ...changes,
})
