import type { AuthenticatedClient, ClientAuthenticationMethod, FindClient } from '../client.ts'
import { withChallenge } from '../errors.ts'
import { publish, publishFailure } from '../events.ts'
import { badOption, booleanOption, checkOptions, oneOf, optionNames, requireFunction } from '../options.ts'
import type { FormParameters } from '../parameters.ts'
import type { BasicDecoding } from './basic_credentials.ts'
import { BUILT_IN, isServedBy } from './built_in.ts'
import { type Choice, createMethodChoice } from './choice.ts'
import type {
  AssertionVerification,
  AuthenticationContext,
  BuiltInMethod,
  MethodParts,
  PresentedRequest,
  RequestHead,
} from './method.ts'
import { authenticateByOwn, findRegistered, type MethodsOption, readMethods, withLookUp } from './own_method.ts'
import { createSecretVerification } from './secret.ts'

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
  /**
   * The methods offered: names of those of this package, and methods of your own. Default: all of this package; the two of
   * assertions only where `verifyAssertion` takes algorithms of theirs.
   */
  readonly methods?: MethodsOption | undefined
  /**
   * Refuses a `client_id` of another client and any `client_secret` in the body beside Basic with `invalid_request`.
   * Default false: both are ignored.
   */
  readonly strict?: boolean | undefined
  /** How the halves of Basic credentials are encoded. Default `'tolerant'`. */
  readonly basicDecoding?: BasicDecoding | undefined
}

/** The names of the options, for constructors that take these among others. */
export const AUTHENTICATOR_OPTIONS = optionNames<ClientAuthenticatorOptions>({
  findClient: true,
  verifyAssertion: true,
  methods: true,
  strict: true,
  basicDecoding: true,
})

/**
 * Makes the function that authenticates clients: one method for each request, chosen from the request; only the method
 * the client is registered with; secrets in constant time. Publishes `client.authenticated` and `client.refused`; for
 * assertions the verifier does that. It does not look at `grant_type`, and it does not judge what the client may do.
 *
 * @example
 * ```ts
 * import { createClientAuthenticator } from 'passport-client-assertion-jwt'
 *
 * const authenticate = createClientAuthenticator({ findClient: () => client })
 * const headers = { authorization: `Basic ${Buffer.from(`shop:${secret}`).toString('base64')}` }
 * const { authentication } = await authenticate({ headers }, {})
 * console.log(authentication.method) // client_secret_basic
 * ```
 */
export function createClientAuthenticator(options: ClientAuthenticatorOptions): AuthenticateClient {
  checkOptions('createClientAuthenticator', options, AUTHENTICATOR_OPTIONS)
  return makeAuthenticator(options)
}

/** The same from options that the caller has checked, and that may have others among them. */
export function makeAuthenticator(options: ClientAuthenticatorOptions): AuthenticateClient {
  const { findClient, verifyAssertion } = options
  requireFunction('findClient', findClient)
  if (verifyAssertion !== undefined) requireFunction('verifyAssertion', verifyAssertion)
  const strict = booleanOption('strict', options.strict, false)
  const decoding = oneOf('basicDecoding', options.basicDecoding, 'tolerant', ['tolerant', 'strict'])
  const { builtIn, own } = readMethods(options.methods)
  for (const { method, authenticate } of own) requireFunction(`methods.${method}.authenticate`, authenticate)
  const offered = offeredMethods(builtIn, verifyAssertion)
  const names = offered.map(({ method }): string => method)
  if (options.basicDecoding !== undefined && !names.includes('client_secret_basic'))
    throw new TypeError("option 'basicDecoding' has no effect: client_secret_basic is not among the methods")
  const byAssertion = offered.filter(({ presents }) => presents === 'client_assertion')
  const choose = createMethodChoice(own, strict)
  const parts: MethodParts = {
    findClient,
    verifySecret: createSecretVerification(findClient, names),
    verifyAssertion: byAssertion.length === 0 ? undefined : verifyAssertion,
    offered: names,
    assertionMethods: byAssertion.map(({ method }) => method),
    strict,
    decoding,
  }

  const authenticate = (
    request: RequestHead,
    parameters: FormParameters,
    context: AuthenticationContext = {},
  ): Promise<AuthenticatedClient> => {
    const presented = { request, parameters, context }
    try {
      const choice = choose(request, parameters)
      if (choice.own.length > 0 || choice.builtIn === undefined) return byRegistration(choice, presented)
      return run(choice.builtIn, presented, parts)
    } catch (error) {
      return Promise.reject(failureOf(request, error))
    }
  }

  async function byRegistration(choice: Choice, presented: PresentedRequest): Promise<AuthenticatedClient> {
    try {
      const registered = await findRegistered(choice, presented, findClient)
      const { own: mine, client } = registered
      if (mine !== undefined && client !== undefined) {
        const authenticated = await authenticateByOwn(mine, client, presented)
        publishAuthenticated(authenticated)
        return authenticated
      }
      const withFound = { ...parts, findClient: withLookUp(findClient, registered) }
      // not awaited: what the method rejects with is published already
      return run(choice.builtIn as BuiltInMethod, presented, withFound)
    } catch (error) {
      throw failureOf(presented.request, error)
    }
  }

  const signingAlgorithms = (parts.verifyAssertion?.algorithms ?? []).filter((alg) =>
    byAssertion.some((method) => isServedBy(method, [alg])),
  )
  return Object.assign(authenticate, {
    methods: [...names, ...own.map(({ method }) => method)],
    signingAlgorithms: [...new Set([...signingAlgorithms, ...own.flatMap((each) => each.signingAlgorithms ?? [])])],
  })
}

/** Runs a method. What it rejects with is published, here or by the method; what it throws, by the caller. */
function run(method: BuiltInMethod, presented: PresentedRequest, parts: MethodParts): Promise<AuthenticatedClient> {
  const outcome = method.authenticate(presented, parts)
  return method.publishes ? outcome : published(presented.request, outcome)
}

/** Publishes the outcome of a method that does not publish it itself. */
const published = (request: RequestHead, outcome: Promise<AuthenticatedClient>): Promise<AuthenticatedClient> =>
  outcome.then(
    (authenticated) => {
      publishAuthenticated(authenticated)
      return authenticated
    },
    (error: unknown) => {
      throw failureOf(request, error)
    },
  )

/** The error of a request, published. If the request used the `Authorization` header, it carries the challenge. */
const failureOf = ({ headers }: RequestHead, error: unknown): unknown =>
  publishFailure(headers['authorization'] ? withChallenge(error) : error)

/** Publishes that a client was authenticated. */
export function publishAuthenticated({ client, authentication }: AuthenticatedClient): void {
  publish('client.authenticated', () => ({ clientId: client.client_id, method: authentication.method }))
}

function offeredMethods(
  wanted: readonly BuiltInMethod[] | undefined,
  verifyAssertion: AssertionVerification | undefined,
): readonly BuiltInMethod[] {
  const isPossible = ({ presents }: BuiltInMethod) => presents !== 'client_assertion' || verifyAssertion !== undefined
  const impossible = wanted?.find((each) => !isPossible(each))
  if (impossible !== undefined)
    throw badOption('verifyAssertion', `a function if '${impossible.method}' is offered`, undefined)
  return (wanted ?? BUILT_IN).filter((each) => isPossible(each) && isServedBy(each, verifyAssertion?.algorithms))
}
