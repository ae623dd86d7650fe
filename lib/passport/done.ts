import type { AuthenticatedClient } from '../client.ts'

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
