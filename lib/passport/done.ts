import type { AuthenticatedClient } from '../client.ts'
import { OAuthError } from '../errors.ts'

/** How a verify function of this package answers: an error, or the client, and how it authenticated. */
export type ClientDone = (error: unknown, client?: object | false, info?: object) => void

/**
 * Reports to Passport. A refusal is reported as an error, which ends the chain of strategies: with `false` Passport would
 * go on to the next one, and a wrong secret in the header could be mended by a right one in the body.
 */
export function report(outcome: Promise<AuthenticatedClient>, done: ClientDone): void {
  outcome.then(
    ({ client, authentication }) => done(null, client, authentication),
    (error: unknown) => done(error),
  )
}

/** The error with 401, which is due where the `Authorization` header was used, for hosts that read `status`. */
export const with401 = (error: unknown): unknown =>
  error instanceof OAuthError && error.code === 'invalid_client'
    ? new OAuthError(error.code, {
        reason: error.reason,
        detail: error.detail,
        clientId: error.clientId,
        status: 401,
        cause: error.cause,
      })
    : error
