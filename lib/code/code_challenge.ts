import { hash } from 'node:crypto'
import { isSameOctets } from '../constant_time.ts'

// RFC 7636 §4.1: 43 to 128 unreserved characters.
const VERIFIER = /^[A-Za-z0-9\-._~]{43,128}$/

// RFC 7636 §4.2: base64url of a SHA-256 digest, which is always 43 characters.
const CHALLENGE = /^[A-Za-z0-9_-]{43}$/

/** Whether a `code_verifier` has the form RFC 7636 §4.1 asks for. Says nothing about whether it is the right one. */
export const isCodeVerifier = (verifier: string): boolean => VERIFIER.test(verifier)

/** Whether a `code_challenge` can be one of method `S256` (RFC 7636 §4.2). */
export const isCodeChallenge = (challenge: string): boolean => CHALLENGE.test(challenge)

/** The `S256` challenge of a verifier (RFC 7636 §4.2). */
export const codeChallengeOf = (verifier: string): string => hash('sha256', verifier, 'base64url')

/** Whether `verifier` is the one behind the `S256` `challenge`. Compares in constant time (RFC 7636 §4.6). */
export function isVerifierOf(verifier: string, challenge: string): boolean {
  return isSameOctets(Buffer.from(codeChallengeOf(verifier)), Buffer.from(challenge))
}
