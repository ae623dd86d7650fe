import { OAuthError } from '../errors.ts'
import { callHook } from '../hooks.ts'
import { isInstance } from '../instance.ts'
import { checkOptions, requireFunction, requireVerbs } from '../options.ts'
import type { AccessToken } from './access_token.ts'
import type { AccessTokenVerifier } from './verifier.ts'

const isError = (value: unknown): boolean => isInstance(value, Error)

/**
 * Creates the `verifier` for `requireBearerAuth` of the MCP SDK. The SDK recognizes refusals by its own error class, so
 * `createError` must create an error of this class from a message:
 *
 * - `@modelcontextprotocol/sdk` 1.x: `(message) => new InvalidTokenError(message)`
 * - `@modelcontextprotocol/server` 2.x: `(message) => new OAuthError('invalid_token', message)`
 *
 * The SDK responds to server errors with 500, and its challenge for a request without a token contains `invalid_token`.
 * `requireAccessToken` sets the same `request.auth` and has neither problem.
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { toMcpVerifier } from 'passport-client-assertion-jwt/resource-server'
 *
 * verifier: toMcpVerifier(verifier, { createError: (message) => new InvalidTokenError(message) }),
 * ```
 */
export function toMcpVerifier(
  verifier: AccessTokenVerifier,
  options: { readonly createError: (message: string) => Error },
): {
  /** Resolves with the value that the SDK puts into `request.auth`, or rejects with the error of the SDK. */
  verifyAccessToken(token: string): Promise<AccessToken>
} {
  requireVerbs('verifier', verifier, ['verify'])
  checkOptions('toMcpVerifier', options, ['createError'])
  const { createError } = options
  requireFunction('createError', createError)
  return {
    async verifyAccessToken(token) {
      try {
        return await verifier.verify(token)
      } catch (error) {
        if (!(error instanceof OAuthError) || error.status >= 500) throw error
        const { message } = error
        throw callHook<Error>('createError', () => createError(message), isError, 'an Error at once')
      }
    },
  }
}
