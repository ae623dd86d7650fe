import { hash } from 'node:crypto'

/**
 * SHA-256 over the three texts of an assertion's identity, with the lengths of the first two before them, so that
 * ("ab", "c") and ("a", "bc") differ. A digest, because a `jti` may be long and may hold anything. As 43 characters of
 * base64url for stores that keep text, or as 32 characters of one byte each (`binary`) for the memory.
 */
export const replayKey = (issuer: string, clientId: string, jti: string, encoding: 'base64url' | 'binary'): string =>
  hash('sha256', `${issuer.length}:${clientId.length}:${issuer}${clientId}${jti}`, encoding)
