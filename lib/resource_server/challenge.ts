import type { OAuthError } from '../errors.ts'
import { checkOptions, optionNames } from '../options.ts'

/** What a challenge contains in addition to the error. All members are optional and absent by default. */
export interface ChallengeFacts {
  /** All scope values that the operation needs, separated by spaces. */
  readonly scope?: string | undefined
  /** The URL of the protected resource metadata (RFC 9728 §5.1). */
  readonly resourceMetadata?: string | undefined
  /** The accepted authentication context classes, separated by spaces (RFC 9470 §3). */
  readonly acrValues?: string | undefined
  /** Maximum age of the login in seconds (RFC 9470 §3). */
  readonly maxAgeSeconds?: number | undefined
  /** The realm of the challenge (RFC 6750 §3). */
  readonly realm?: string | undefined
}

const NAMES = optionNames<ChallengeFacts>({
  scope: true,
  resourceMetadata: true,
  acrValues: true,
  maxAgeSeconds: true,
  realm: true,
})

/** A quoted string (RFC 9110 §5.6.4) of printable ASCII. */
const quoted = (text: string): string => `"${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`

/**
 * Returns the value of the `WWW-Authenticate` header for a refused request (RFC 6750 §3). If `error` is `undefined` or
 * has the reason `token_missing`, the challenge has no `error`: it only states what the client needs. It contains
 * nothing from the request.
 *
 * Throws a `TypeError` if `facts` has an unknown member.
 *
 * @example
 * ```ts
 * import { createChallenge } from 'passport-client-assertion-jwt/resource-server'
 *
 * const error = new OAuthError('insufficient_scope')
 * const challenge = createChallenge(error, { scope: 'notes.write' })
 * console.log(challenge) // the value of WWW-Authenticate
 * ```
 */
export function createChallenge(
  error: Pick<OAuthError, 'code' | 'reason' | 'message'> | undefined,
  facts: ChallengeFacts = {},
): string {
  checkOptions('createChallenge', facts, NAMES)
  const isError = error !== undefined && error.reason !== 'token_missing'
  const isStepUp = error?.code === 'insufficient_user_authentication'
  const parameters = {
    realm: facts.realm,
    error: isError ? error.code : undefined,
    error_description: isError && error.message !== '' ? error.message : undefined,
    acr_values: isStepUp ? facts.acrValues : undefined,
    max_age: isStepUp ? facts.maxAgeSeconds?.toString() : undefined,
    scope: facts.scope === '' ? undefined : facts.scope,
    resource_metadata: facts.resourceMetadata,
  }
  const written = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${quoted(value)}`],
  )
  return written.length === 0 ? 'Bearer' : `Bearer ${written.join(', ')}`
}
