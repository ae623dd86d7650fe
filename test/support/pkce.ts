import { createHash, randomBytes } from 'node:crypto'

export interface Pkce {
  readonly verifier: string
  readonly challenge: string
}

/** A fresh code verifier and its S256 challenge (RFC 7636 §4). */
export function newPkce(): Pkce {
  const verifier = randomBytes(32).toString('base64url')
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') }
}
