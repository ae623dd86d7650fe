import type { AuthenticatedClient } from '../client.ts'
import { callHost, warnWithoutRequest, withoutLogin } from '../hosts/passport.ts'

/** The callback of a verify function: receives an error, or the client and how it authenticated. */
export type ClientDone = (error: unknown, client?: object | false, info?: object) => void

/** What a strategy passes to a verify function: the request comes first where it has `passReqToCallback`. */
export interface VerifyArguments {
  /** The name under which the strategy is usually registered. */
  readonly strategy: string
  readonly request: object | undefined
  readonly clientId: unknown
  readonly clientSecret: unknown
  readonly done: ClientDone
}

/** Reads the arguments of a verify function, with and without the request. The callback is the last one. */
export function verifyArguments(name: string, strategy: string, given: readonly unknown[]): VerifyArguments {
  const done = given.at(-1)
  if (typeof done !== 'function' || given.length < 3) {
    throw new TypeError(
      `${name}: the result must be called as (clientId, clientSecret, done) or (request, clientId, clientSecret, done)`,
    )
  }
  const [clientId, clientSecret] = given.slice(-3)
  const request = given.length > 3 ? (given[given.length - 4] as object) : undefined
  if (request === undefined) warnWithoutRequest(name)
  return { strategy, request, clientId, clientSecret, done: done as ClientDone }
}

/**
 * Reports to Passport. A refusal is reported as an error, which ends the chain of strategies: with `false` Passport would
 * go on to the next one, and a wrong secret in the header could be mended by a right one in the body.
 */
export function report(outcome: Promise<AuthenticatedClient>, { strategy, request, done }: VerifyArguments): void {
  outcome.then(
    ({ client, authentication }) => {
      const accept = (): void => done(null, client, authentication)
      callHost(request, () => withoutLogin(strategy, request, client, accept), done)
    },
    (error: unknown) => callHost(request, () => done(error), done),
  )
}
