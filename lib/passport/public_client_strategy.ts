import type { IncomingMessage } from 'node:http'
import {
  type AuthenticateClient,
  type ClientAuthenticatorOptions,
  createClientAuthenticator,
} from '../client_authentication/authenticator.ts'
import type { FormParameters } from '../parameters.ts'
import { sentParameters } from './sent.ts'

/** What Passport adds to a strategy for each request. */
interface Actions {
  success(user: object, info?: object): void
  fail(challenge?: unknown, status?: number): void
  error(error: unknown): void
}

/** The options of `PublicClientStrategy`. */
export interface PublicClientStrategyOptions {
  readonly findClient: ClientAuthenticatorOptions['findClient']
  /** Default `'oauth2-public-client'`. */
  readonly name?: string | undefined
}

/**
 * A Passport strategy for public clients: a request that carries a `client_id` in its body and no other sort of client
 * authentication. Only clients registered with the method `none` pass. Requests that authenticate in another way, or not
 * at all, it leaves to the next strategy.
 */
export class PublicClientStrategy {
  readonly name: string
  // not `#`: Passport runs strategies on objects derived from them, which have no private fields
  private readonly authenticateClient: AuthenticateClient

  constructor(options: PublicClientStrategyOptions) {
    this.name = options.name ?? 'oauth2-public-client'
    this.authenticateClient = createClientAuthenticator({ findClient: options.findClient, methods: ['none'] })
  }

  /** Called by Passport. Ends in exactly one of success, fail and error. */
  authenticate(request: IncomingMessage): void {
    const { success, fail, error } = this as unknown as Actions // bound to this request: read before anything is awaited
    const sent = sentParameters(request)
    const clientId = sent['client_id']
    const other = ['client_secret', 'client_assertion', 'client_assertion_type'].some((name) => name in sent)
    if (typeof clientId !== 'string' || other || request.headers.authorization !== undefined) {
      fail.call(this)
      return
    }
    const parameters: FormParameters = { client_id: clientId }
    this.authenticateClient({ headers: {} }, parameters, { request }).then(
      ({ client, authentication }) => success.call(this, client, authentication),
      (refused: unknown) => error.call(this, refused),
    )
  }
}
