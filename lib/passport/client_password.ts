import { type ClientAuthenticatorOptions, createClientAuthenticator } from '../client_authentication/authenticator.ts'
import { type OAuthError, refusal } from '../errors.ts'
import { publishFailure } from '../events.ts'
import { callHost } from '../hosts/passport.ts'
import { checkOptions, optionNames } from '../options.ts'
import type { FormParameters } from '../parameters.ts'
import { type ClientDone, report, verifyArguments } from './done.ts'
import { sentParameters } from './sent.ts'

/**
 * The options of `createClientPasswordVerify`.
 *
 * @inline
 */
export type ClientPasswordVerifyOptions = Pick<ClientAuthenticatorOptions, 'findClient'>

const NAMES = optionNames<ClientPasswordVerifyOptions>({ findClient: true })

/** The verify function for passport-oauth2-client-password, with or without `passReqToCallback`. */
export interface ClientPasswordVerify {
  (clientId: string, clientSecret: string, done: ClientDone): void
  (request: object, clientId: string, clientSecret: string, done: ClientDone): void
}

/**
 * Creates the verify function for
 * `new ClientPasswordStrategy({ passReqToCallback: true }, createClientPasswordVerify({ findClient }))` of
 * passport-oauth2-client-password. A refused client ends the chain of strategies with an `OAuthError`. A secret in
 * addition to an `Authorization` header or a client assertion is refused, so a second credential cannot make up for a
 * wrong one.
 *
 * Without `passReqToCallback`, the function cannot see a second credential, so a chain of strategies may accept two at
 * once. A process warning reports this, and the exchanges of this package refuse these requests. Use it this way only
 * if the option `strategies` of `authenticateClients` selects the strategy.
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import * as oauth from 'passport-client-assertion-jwt'
 *
 * passport.use('secret', new ClientPasswordStrategy({ passReqToCallback: true }, oauth.createClientPasswordVerify({ findClient })))
 * ```
 */
export function createClientPasswordVerify(options: ClientPasswordVerifyOptions): ClientPasswordVerify {
  checkOptions('createClientPasswordVerify', options, NAMES)
  const authenticate = createClientAuthenticator({ ...options, methods: ['client_secret_post'] })

  return (...given: unknown[]) => {
    const called = verifyArguments('createClientPasswordVerify', 'oauth2-client-password', given)
    const { request, clientId, clientSecret, done } = called
    const refuse = (error: OAuthError): void => callHost(request, () => done(publishFailure(error)), done)
    if (typeof clientId !== 'string' || typeof clientSecret !== 'string') {
      const detail = 'expected client_id and client_secret to be one string each'
      refuse(refusal('parameter_malformed', { detail }))
      return
    }
    const { authorization } = (request as { headers?: { authorization?: string } } | undefined)?.headers ?? {}
    if (authorization !== undefined && authorization !== '') {
      const detail = 'the Authorization header is final'
      refuse(refusal('authorization_header_malformed', { clientId, detail, status: 401 }))
      return
    }
    // what else the request presents is judged with it
    const parameters = { ...sentParameters(request), client_id: clientId, client_secret: clientSecret }
    report(authenticate({ headers: {} }, parameters as FormParameters, { request }), called)
  }
}
