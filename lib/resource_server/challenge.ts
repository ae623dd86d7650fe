import type { OAuthError } from '../errors.ts'
import { checkOptions, optionNames } from '../options.ts'

/** What a challenge tells a client beyond the error. */
export interface ChallengeFacts {
  /** All scope values that the operation needs, separated by spaces. */
  readonly scope?: string | undefined
  /** The URL of the document of the resource (RFC 9728 §5.1). */
  readonly resourceMetadata?: string | undefined
  /** The wanted authentication context classes, separated by spaces (RFC 9470 §3). */
  readonly acrValues?: string | undefined
  /** The greatest age of the login in seconds (RFC 9470 §3). */
  readonly maxAgeSeconds?: number | undefined
  /** Default: none. */
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
 * The value of `WWW-Authenticate` for a request that was not accepted (RFC 6750 §3). For `undefined`, and for the reason
 * `token_missing`, it has no `error`: the client just learns what it needs. It contains nothing of the request.
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
