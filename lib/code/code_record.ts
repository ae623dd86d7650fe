import { hash } from 'node:crypto'
import { type Binding, hasSoundBinding } from '../binding.ts'
import { type Client, isPublicClient } from '../client.ts'
import { WrongAnswer } from '../errors.ts'
import { shown } from '../options.ts'
import { isVerifierOf } from './code_challenge.ts'

/** An authorization code as the store sees it: never the code itself. Moments are epoch seconds. */
export interface AuthorizationCode extends Binding {
  /** SHA-256 of the code, base64url without padding. */
  readonly id: string
  /** The client that the code was issued to. */
  readonly clientId: string
  /** The user who allowed it. */
  readonly subject: string
  /** The granted scope, separated by spaces, sorted; '' for none. */
  readonly scope: string
  /** The redirect URI that the code was sent to. */
  readonly redirectUri: string
  /** Whether the authorization request carried `redirect_uri`; then the token request must as well. */
  readonly redirectUriWasSent: boolean
  /** The S256 challenge (RFC 7636 §4.2), or `undefined` where PKCE was not required and not used. */
  readonly codeChallenge: string | undefined
  /** The id of the session this code opens, chosen when the code is issued. */
  readonly sessionId: string
  /** When the code was issued. */
  readonly issuedAt: number
  /** When the code expires. */
  readonly expiresAt: number
  /** Until when the store keeps the record of a spent code, so that a replay is recognised. */
  readonly keepUntil: number
  /** Wrong verifiers from the right client so far. */
  readonly failures: number
  /** Whether the code was already used. */
  readonly spent: boolean
  /** What the application wants to find again in the session: `nonce`, `auth_time`, … Plain JSON. */
  readonly extra: Readonly<Record<string, unknown>>
  /** Format of this record: 1, or 2 if it is bound to resources or to a key. */
  readonly version: number
  /** The issuer identifier of the server that issued it; absent in records written without one, which any issuer redeems. */
  readonly issuer?: string | undefined
}

/** Format of codes that are bound to nothing, which older nodes read too. */
export const CODE_VERSION = 1

/** Format of codes that are bound to resources or to a key. A node that knows only version 1 responds with 503. */
export const BOUND_CODE_VERSION = 2

/**
 * The record, if this version of the package knows its format. Throws for a later version: an older node must not guess
 * what a newer one meant.
 */
export function readableCode(stored: AuthorizationCode): AuthorizationCode {
  const { version } = stored
  for (const name of ['expiresAt', 'keepUntil', 'failures'] as const)
    if (!Number.isFinite(stored[name]))
      throw new WrongAnswer(`the code store returned a record whose ${name} is not a number`)
  if (version === CODE_VERSION) return stored
  if (version !== BOUND_CODE_VERSION)
    throw new WrongAnswer(
      'a code record has a version that this version of the package does not support',
      `: version ${shown(version)}, and it supports ${BOUND_CODE_VERSION}`,
    )
  if (!hasSoundBinding(stored)) throw new WrongAnswer('the code store returned a record whose binding is damaged')
  return stored
}

/** Authorization codes are 32 random bytes in base64url. */
const CODE = /^[A-Za-z0-9_-]{43}$/

/** Whether a string has the form of a code of this server. Others are refused before any store is called. */
export const isCode = (code: string): boolean => CODE.test(code)

/** Under which id the store knows a code: its SHA-256, so that a reader of the store cannot redeem anything. */
export const codeId = (code: string): string => hash('sha256', code, 'base64url')

/** What a token request presents to redeem a code (RFC 6749 §4.1.3, RFC 7636 §4.5). Absent is `undefined`. */
export interface PresentedProofs {
  readonly client: Client
  readonly redirectUri: string | undefined
  readonly codeVerifier: string | undefined
  /** The thumbprint of the key of the DPoP proof. */
  readonly keyThumbprint?: string | undefined
}

/** What a token request proved about a code; the first that does not hold is named. */
export type CodeProof =
  | 'proven'
  | 'another_client'
  | 'redirect_uri_missing'
  | 'redirect_uri_wrong'
  | 'verifier_missing'
  | 'verifier_unexpected'
  | 'verifier_wrong'
  | 'key_wrong'

/**
 * Returns the first proof that fails: the client, the redirect URI, the verifier, the key. A redirect URI that is sent must match.
 * It may be left out if the code has a challenge, because the verifier then proves more (OAuth 2.1), or if the
 * authorization request did not carry it. A code without a challenge accepts no verifier (RFC 9700 §2.1.1, downgrade).
 * Checks neither expiry nor whether the code was spent.
 */
export function proofOf(code: AuthorizationCode, presented: PresentedProofs): CodeProof {
  const { redirectUri, codeVerifier } = presented
  if (code.clientId !== presented.client.client_id) return 'another_client'
  if (redirectUri === undefined) {
    if (code.redirectUriWasSent && code.codeChallenge === undefined) return 'redirect_uri_missing'
  } else if (redirectUri !== code.redirectUri) return 'redirect_uri_wrong'
  if (code.codeChallenge === undefined) {
    if (codeVerifier !== undefined) return 'verifier_unexpected'
  } else {
    if (codeVerifier === undefined) return 'verifier_missing'
    if (!isVerifierOf(codeVerifier, code.codeChallenge)) return 'verifier_wrong'
  }
  return code.keyThumbprint === undefined || code.keyThumbprint === presented.keyThumbprint ? 'proven' : 'key_wrong'
}

/**
 * Whether valid proofs show that the caller is the client the code was issued to: only then may a replay end the
 * session. A public client without PKCE proves nothing, since its id and redirect URI are no secrets.
 */
export const isProofConclusive = (code: AuthorizationCode, client: Client): boolean =>
  code.codeChallenge !== undefined || !isPublicClient(client)
