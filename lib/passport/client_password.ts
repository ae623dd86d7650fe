import { type ClientAuthenticatorOptions, createClientAuthenticator } from '../client_authentication/authenticator.ts'
import { type OAuthError, refusal } from '../errors.ts'
import { publishFailure } from '../events.ts'
import type { FormParameters } from '../parameters.ts'
import { type ClientDone, report } from './done.ts'
import { sentParameters } from './sent.ts'

/** The options of `clientPasswordVerify`. */
export type ClientPasswordVerifyOptions = Pick<ClientAuthenticatorOptions, 'findClient'>

/** The verify function of passport-oauth2-client-password, with and without `passReqToCallback`. */
export interface ClientPasswordVerify {
  (clientId: string, clientSecret: string, done: ClientDone): void
  (request: object, clientId: string, clientSecret: string, done: ClientDone): void
}

/**
 * Makes the verify function for `new ClientPasswordStrategy(clientPasswordVerify({ findClient }))`. With
 * `passReqToCallback: true` it refuses a secret beside an `Authorization` header or a client assertion, so that a chain of
 * strategies cannot fall through from one credential to another. A client that is refused ends the chain with an `OAuthError`.
 */
export function clientPasswordVerify(options: ClientPasswordVerifyOptions): ClientPasswordVerify {
  const { findClient } = options
  const authenticate = createClientAuthenticator({ findClient, methods: ['client_secret_post'] })

  function verify(request: object | undefined, clientId: unknown, clientSecret: unknown, done: ClientDone): void {
    const refuse = (error: OAuthError): void => done(publishFailure(error))
    if (typeof clientId !== 'string' || typeof clientSecret !== 'string') {
      const detail = 'expected client_id and client_secret to be one string each'
      refuse(refusal('parameter_malformed', { detail }))
      return
    }
    const headers = (request as { headers?: { authorization?: string } } | undefined)?.headers ?? {}
    if (headers.authorization !== undefined) {
      const detail = 'the Authorization header is final'
      refuse(refusal('authorization_header_malformed', { clientId, detail, status: 401 }))
      return
    }
    // what else the request presents is judged with it
    const parameters = { ...sentParameters(request), client_id: clientId, client_secret: clientSecret }
    report(authenticate({ headers: {} }, parameters as FormParameters, { request }), done)
  }

  return (...given: unknown[]) => {
    // the callback comes last, the request, if any, first; the function's own length says nothing to the strategy
    const done = given[given.length - 1] as ClientDone
    if (given.length > 3) verify(given[0] as object, given[1], given[2], done)
    else verify(undefined, given[0], given[1], done)
  }
}
