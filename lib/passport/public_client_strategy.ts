import type { IncomingMessage } from 'node:http'
import {
  type AuthenticateClient,
  type ClientAuthenticatorOptions,
  createClientAuthenticator,
} from '../client_authentication/authenticator.ts'
import { publishFailure } from '../events.ts'
import { callHost, loginFault, parserFault, withoutLogin } from '../hosts/passport.ts'
import { badOption, checkOptions, optionNames } from '../options.ts'
import type { FormParameters } from '../parameters.ts'
import { sentParameters } from './sent.ts'

/** What Passport adds to a strategy for each request. */
interface Actions {
  success(user: object, info?: object): void
  fail(challenge?: unknown, status?: number): void
  error(error: unknown): void
}

/**
 * The options of `PublicClientStrategy`.
 *
 * @inline
 */
export interface PublicClientStrategyOptions {
  /** Looks up a client by its identifier. Returns `undefined` if the client is unknown. */
  readonly findClient: ClientAuthenticatorOptions['findClient']
  /** The name of the strategy in Passport. Default `'oauth2-public-client'`. */
  readonly name?: string | undefined
}

const NAMES = optionNames<PublicClientStrategyOptions>({ findClient: true, name: true })

/**
 * A Passport strategy for public clients: requests with a `client_id` in the body and no other client authentication.
 * It accepts only clients that are registered with the method `none`. Passport tries the next strategy for requests
 * that authenticate in another way, or not at all. Use it with `{ session: false }`.
 *
 * Public clients must not use `client_credentials` (RFC 6749 §4.4). `createTokenEndpoint` refuses them; in a chain of your
 * own, check the grant type before `server.token()`.
 *
 * The constructor throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import * as oauth from 'passport-client-assertion-jwt'
 *
 * passport.use('public', new oauth.PublicClientStrategy({ findClient }))
 * ```
 */
export class PublicClientStrategy {
  readonly name: string
  // not `#`: Passport runs strategies on objects derived from them, which have no private fields
  private readonly authenticateClient: AuthenticateClient

  constructor(options: PublicClientStrategyOptions) {
    checkOptions('PublicClientStrategy', options, NAMES)
    const { name = 'oauth2-public-client', findClient } = options
    if (typeof name !== 'string' || name === '') throw badOption('name', 'a non-empty string', name)
    this.name = name
    this.authenticateClient = createClientAuthenticator({ findClient, methods: ['none'] })
  }

  /** Authenticates a request. Passport calls it; it ends in exactly one of `success`, `fail` and `error`. */
  authenticate(request: IncomingMessage, route?: object): void {
    const { success, fail, error } = this as unknown as Actions // bound to this request: read before anything is awaited
    const sent = sentParameters(request)
    const clientId = sent['client_id']
    const other = ['client_secret', 'client_assertion', 'client_assertion_type'].some((name) => name in sent)
    const isServed = typeof clientId === 'string' && !other && !request.headers.authorization
    const fault = parserFault(request) ?? (isServed ? loginFault(this.name, request, route) : undefined)
    if (fault !== undefined) {
      error.call(this, publishFailure(fault))
      return
    }
    if (!isServed) {
      fail.call(this)
      return
    }
    const parameters: FormParameters = { client_id: clientId }
    const refuse = (refused: unknown): void => error.call(this, refused)
    this.authenticateClient({ headers: {} }, parameters, { request }).then(
      ({ client, authentication }) => {
        const accept = (): void => success.call(this, client, authentication)
        callHost(request, () => withoutLogin(this.name, request, client, accept), refuse)
      },
      (refused: unknown) => callHost(request, () => refuse(refused), refuse),
    )
  }
}
