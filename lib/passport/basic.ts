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

/** The verify function for `BasicStrategy` of passport-http, with or without `passReqToCallback`. */
export interface BasicVerify {
  (request: IncomingMessage, userid: string, password: string, done: ClientDone): void
  (userid: string, password: string, done: ClientDone): void
}

/**
 * Creates the verify function for `new BasicStrategy({ passReqToCallback: true }, createBasicVerify({ findClient }))`
 * of passport-http. A refused client ends the chain of strategies with an `OAuthError` of status 401.
 *
 * The function parses the `Authorization` header again, because passport-http cuts the secret at its second colon,
 * decodes nothing, and accepts other schemes as Basic.
 *
 * Without `passReqToCallback`, the function has only the values that passport-http parsed. A secret with a colon is then
 * refused, and a client assertion in the same request is not detected. In a chain of strategies, a process warning reports
 * this.
 *
 * Throws a `TypeError` if an option is unknown or invalid.
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
    const called = verifyArguments('createBasicVerify', 'basic', given)
    const { request, clientId, clientSecret } = called
    const pair = Buffer.from(`${clientId}:${clientSecret}`).toString('base64')
    const head = request === undefined ? { headers: { authorization: `Basic ${pair}` } } : (request as IncomingMessage)
    report(authenticate(head, sentParameters(request) as FormParameters, { request }), called)
  }
}
