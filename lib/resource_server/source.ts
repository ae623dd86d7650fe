/** The claims of a token, by their names. */
export type Claims = Readonly<Record<string, unknown>>

/** One token that is being verified, and what is known of it. */
export interface Attempt {
  readonly token: string
  /** Epoch seconds. */
  readonly now: number
  /** Throws the refusal for claims that are not good here and now. */
  readonly checkClaims: (claims: Claims) => void
  /** The claims, once it is certain that the issuer wrote them. */
  authentic: Claims | undefined
}

/**
 * Where the trust in a token comes from: a key set, this server itself, or introspection. Resolves with the claims of a
 * token that the issuer made, that passed `checkClaims`, and that is not revoked as far as the source can know. Refusals
 * are `OAuthError`s; everything else that it throws is a server error.
 */
export type TokenSource = (attempt: Attempt) => Promise<Claims>

/** A value of a token in an error detail: one short line. */
export const shown = (value: unknown): string =>
  value === undefined ? 'none' : (JSON.stringify(value) ?? 'none').slice(0, 120)
