import type { IncomingMessage } from 'node:http'
import { type ClientAuthenticatorOptions, createClientAuthenticator } from '../client_authentication/authenticator.ts'
import type { FormParameters } from '../parameters.ts'
import { type ClientDone, report } from './done.ts'
import { sentParameters } from './sent.ts'

/** The options of `basicVerify`. */
export type BasicVerifyOptions = Pick<ClientAuthenticatorOptions, 'findClient' | 'basicDecoding' | 'strict'>

/** The verify function of passport-http's `BasicStrategy` with `passReqToCallback: true`. */
export type BasicVerify = (request: IncomingMessage, userid: string, password: string, done: ClientDone) => void

/**
 * Makes the verify function for `new BasicStrategy({ passReqToCallback: true }, basicVerify({ findClient }))`. It reads
 * the header again: passport-http cuts the secret at its second colon, decodes nothing and takes other schemes for
 * Basic. A client that is refused ends the chain of strategies with an `OAuthError` of status 401.
 */
export function basicVerify(options: BasicVerifyOptions): BasicVerify {
  const { findClient, basicDecoding, strict } = options
  const authenticate = createClientAuthenticator({
    findClient,
    basicDecoding,
    strict,
    methods: ['client_secret_basic'],
  })
  return (request, _userid, _password, done) => {
    report(authenticate(request, sentParameters(request) as FormParameters, { request }), done)
  }
}
