/** An authorization code as the store sees it: never the code itself. Moments are epoch seconds. */
export interface AuthorizationCode {
  /** SHA-256 of the code, base64url without padding. */
  readonly id: string
  readonly clientId: string
  readonly subject: string
  /** The granted scope, separated by spaces, sorted; '' for none. */
  readonly scope: string
  readonly redirectUri: string
  /** Whether the authorization request carried `redirect_uri`; then the token request must as well. */
  readonly redirectUriWasSent: boolean
  /** The S256 challenge (RFC 7636 §4.2), or `undefined` where PKCE was not required and not used. */
  readonly codeChallenge: string | undefined
  /** The id of the session this code opens, chosen when the code is issued. */
  readonly sessionId: string
  readonly issuedAt: number
  readonly expiresAt: number
  /** Until when the store keeps the record, spent or not, so that a replay is recognised. */
  readonly keepUntil: number
  /** Wrong verifiers from the right client so far. */
  readonly failures: number
  readonly spent: boolean
  /** What the application wants to find again in the session: `nonce`, `auth_time`, … Plain JSON. */
  readonly extra: Readonly<Record<string, unknown>>
  /** Format of this record. */
  readonly version: number
}
