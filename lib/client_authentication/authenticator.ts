import type { AuthenticatedClient, ClientAuthenticationMethod, FindClient, RequestContext } from '../client.ts'
import { requireClient } from '../client_lookup.ts'
import { refusal } from '../errors.ts'
import { publish, publishFailure } from '../events.ts'
import { badOption, booleanOption, oneOf, requireFunction } from '../options.ts'
import type { FormParameters } from '../parameters.ts'
import { type BasicDecoding, parseBasic } from './basic.ts'
import { namesTwoClients, type Presented, presentedMethod, type RequestHead } from './presented.ts'
import { isServedBy, METHODS, mayUse, methodMismatch } from './registered.ts'
import { createSecretVerification } from './secret.ts'

/** What is known of the request beside its headers and parameters. */
export interface AuthenticationContext extends RequestContext {
  /** The one reading of the clock for this request, epoch seconds. Default: the clock of this machine. */
  readonly now?: number | undefined
  /** The advertised URL of the endpoint that is called, if it is not the token endpoint. */
  readonly endpoint?: string | undefined
  /** The assertion methods that are offered, where they are not both. */
  readonly methods?: readonly string[] | undefined
}

/** The part of an assertion verifier that is used here: `createAssertionVerifier` makes one. */
export interface AssertionVerification {
  (parameters: Readonly<Record<string, unknown>>, context?: AuthenticationContext): Promise<AuthenticatedClient>
  /** The JOSE algorithms it takes, for the metadata document. */
  readonly algorithms?: readonly string[] | undefined
}

/**
 * Names the client a request comes from, or rejects with an `OAuthError`. Headers are spelt in lower case, as Node gives
 * them; parameters come from the body alone.
 */
export interface AuthenticateClient {
  (request: RequestHead, parameters: FormParameters, context?: AuthenticationContext): Promise<AuthenticatedClient>
  /** The methods taken here, in the order of the metadata document. */
  readonly methods: readonly ClientAuthenticationMethod[]
  /** The JOSE algorithms taken for assertions; empty where assertions are not taken. */
  readonly signingAlgorithms: readonly string[]
}

/** The options of `createClientAuthenticator`. */
export interface ClientAuthenticatorOptions {
  /** Looks up clients that present a secret or nothing. Assertions are looked up by the verifier itself. */
  readonly findClient: FindClient
  /** Verifies client assertions. Absent: assertions are refused with `invalid_client`. */
  readonly verifyAssertion?: AssertionVerification | undefined
  /** The methods offered. Default: all; the two of assertions only where `verifyAssertion` takes algorithms of theirs. */
  readonly methods?: readonly ClientAuthenticationMethod[] | undefined
  /**
   * Refuses a `client_id` of another client and any `client_secret` in the body beside Basic with `invalid_request`.
   * Default false: both are ignored.
   */
  readonly strict?: boolean | undefined
  /** How the halves of Basic credentials are encoded. Default `'tolerant'`. */
  readonly basicDecoding?: BasicDecoding | undefined
}

/**
 * Makes the function that authenticates clients: one method for each request, chosen from the request; only the method
 * the client is registered with; secrets in constant time. Publishes `client.authenticated` and `client.refused`; for
 * assertions the verifier does that. It does not look at `grant_type`, and it does not judge what the client may do.
 */
export function createClientAuthenticator(options: ClientAuthenticatorOptions): AuthenticateClient {
  const { findClient, verifyAssertion } = options
  requireFunction('findClient', findClient)
  if (verifyAssertion !== undefined) requireFunction('verifyAssertion', verifyAssertion)
  const strict = booleanOption('strict', options.strict, false)
  const decoding = oneOf('basicDecoding', options.basicDecoding, 'tolerant', ['tolerant', 'strict'])
  const offered = offeredMethods(options)
  const verifySecret = createSecretVerification(findClient, offered)
  const assertionMethods = offered.filter((method) => method.endsWith('_jwt'))
  const verifier = assertionMethods.length === 0 ? undefined : verifyAssertion

  async function identify(
    presented: Presented,
    parameters: FormParameters,
    context: AuthenticationContext,
  ): Promise<AuthenticatedClient> {
    if (presented.by === 'client_secret') {
      const client = await verifySecret('client_secret_post', [presented], context)
      return { client, authentication: { method: 'client_secret_post' } }
    }
    if (presented.by === 'client_id') {
      const { clientId } = presented
      const client = await requireClient(findClient, clientId, context)
      const taken = offered.includes('none')
      if (!taken || !mayUse(client, 'none')) throw methodMismatch(client, 'none', taken)
      return { client, authentication: { method: 'none' } }
    }
    if (presented.by === 'client_assertion') {
      throw refusal('client_method_mismatch', { detail: 'client assertions are not taken here' })
    }
    const pairs = parseBasic(presented.header, decoding)
    const client = await verifySecret('client_secret_basic', pairs, context)
    const named = parameters['client_id']
    if (strict && named !== undefined && named !== client.client_id) {
      throw namesTwoClients(client.client_id)
    }
    return { client, authentication: { method: 'client_secret_basic' } }
  }

  const authenticate = async (
    request: RequestHead,
    parameters: FormParameters,
    context: AuthenticationContext = {},
  ): Promise<AuthenticatedClient> => {
    let authenticated: AuthenticatedClient | undefined
    try {
      const presented = presentedMethod(request, parameters, strict)
      if (presented.by !== 'client_assertion' || verifier === undefined) {
        authenticated = await identify(presented, parameters, context)
      }
    } catch (error) {
      throw publishFailure(error)
    }
    if (authenticated === undefined) return byAssertion(parameters, context)
    publishAuthenticated(authenticated)
    return authenticated
  }

  async function byAssertion(parameters: FormParameters, context: AuthenticationContext): Promise<AuthenticatedClient> {
    if (verifier === undefined) throw refusal('misconfigured')
    // The verifier is told, so that it refuses before it spends the assertion; one of the application's may not heed it.
    const narrowed = assertionMethods.length < 2 ? { ...context, methods: assertionMethods } : context
    const authenticated = await verifier(parameters, narrowed)
    const { method } = authenticated.authentication
    if (!offered.includes(method)) throw publishFailure(methodMismatch(authenticated.client, method, false))
    return authenticated
  }

  return Object.assign(authenticate, {
    methods: offered,
    signingAlgorithms: (verifier?.algorithms ?? []).filter((alg) =>
      assertionMethods.some((method) => isServedBy(method, [alg])),
    ),
  })
}

/** Publishes that a client was authenticated by a secret or by nothing. */
function publishAuthenticated({ client, authentication }: AuthenticatedClient): void {
  publish('client.authenticated', () => ({ clientId: client.client_id, method: authentication.method }))
}

function offeredMethods(options: ClientAuthenticatorOptions): readonly ClientAuthenticationMethod[] {
  const { methods, verifyAssertion } = options
  const possible = verifyAssertion === undefined ? METHODS.filter((method) => !method.endsWith('_jwt')) : METHODS
  if (methods === undefined) return possible.filter((method) => isServedBy(method, verifyAssertion?.algorithms))
  if (!Array.isArray(methods) || methods.length === 0 || !methods.every((each) => METHODS.includes(each))) {
    throw badOption('methods', `a list of some of ${METHODS.join(', ')}`, methods)
  }
  const impossible = methods.find((each) => !possible.includes(each))
  if (impossible !== undefined)
    throw badOption('verifyAssertion', `a function where '${impossible}' is offered`, undefined)
  return METHODS.filter((method) => methods.includes(method) && isServedBy(method, verifyAssertion?.algorithms))
}
