import type { IncomingMessage } from 'node:http'
import { type ClientAuthenticatorOptions, createClientAuthenticator } from '../client_authentication/authenticator.ts'
import { checkOptions, optionNames } from '../options.ts'
import type { FormParameters } from '../parameters.ts'
import { type ClientDone, report, verifyArguments } from './done.ts'
import { sentParameters } from './sent.ts'

/**
 * The options of `createBasicVerify`.
 *
 * @inline
 */
export type BasicVerifyOptions = Pick<ClientAuthenticatorOptions, 'findClient' | 'basicDecoding' | 'strict'>

const NAMES = optionNames<BasicVerifyOptions>({ findClient: true, basicDecoding: true, strict: true })

/** The verify function of passport-http's `BasicStrategy`, with and without `passReqToCallback`. */
export interface BasicVerify {
  (request: IncomingMessage, userid: string, password: string, done: ClientDone): void
  (userid: string, password: string, done: ClientDone): void
}

/**
 * Makes the verify function for `new BasicStrategy({ passReqToCallback: true }, createBasicVerify({ findClient }))`. It reads
 * the header again: passport-http cuts the secret at its second colon, decodes nothing and takes other schemes for
 * Basic. A client that is refused ends the chain of strategies with an `OAuthError` of status 401.
 *
 * Without `passReqToCallback` it has only what passport-http read: a secret with a colon is wrong, and a client assertion
 * in the same request is not seen; a warning says so.
 *
 * @example
 * ```ts
 * import * as oauth from 'passport-client-assertion-jwt'
 *
 * passport.use('basic', new BasicStrategy({ passReqToCallback: true }, oauth.createBasicVerify({ findClient })))
 * ```
 */
export function createBasicVerify(options: BasicVerifyOptions): BasicVerify {
  checkOptions('createBasicVerify', options, NAMES)
  const authenticate = createClientAuthenticator({ ...options, methods: ['client_secret_basic'] })
  return (...given: unknown[]) => {
    const called = verifyArguments('createBasicVerify', given)
    const { request, clientId, clientSecret } = called
    const pair = Buffer.from(`${clientId}:${clientSecret}`).toString('base64')
    const head = request === undefined ? { headers: { authorization: `Basic ${pair}` } } : (request as IncomingMessage)
    report(authenticate(head, sentParameters(request) as FormParameters, { request }), called)
  }
}
