import type { Client, ClientAuthentication } from '../client.ts'
import {
  type AssertionVerification,
  type AuthenticateClient,
  type ClientAuthenticatorOptions,
  createClientAuthenticator,
} from '../client_authentication/authenticator.ts'
import { isServedBy } from '../client_authentication/registered.ts'
import { clientAuthentication, type StrategyAuthenticationOptions } from '../http/client_authentication.ts'
import { marked } from '../http/form.ts'
import { checkOptions, optionNames, requireFunction } from '../options.ts'
import { ENDPOINT_OPTIONS, type Turn } from './shell.ts'

/** Passport strategies that authenticate clients. */
export interface PassportAuthentication extends Omit<StrategyAuthenticationOptions, 'endpoint'> {
  /**
   * Returns the client for what a strategy put into `req.user`, or `undefined` if there is none. Default: `req.user`
   * itself if it has a `client_id`.
   */
  readonly toClient?: ((user: unknown) => Client | undefined) | undefined
}

/** How an endpoint authenticates clients: with the options of `createClientAuthenticator`, a function, or strategies. */
export type AuthenticationOptions =
  | ClientAuthenticatorOptions
  | { readonly authenticateClient: AuthenticateClient }
  | PassportAuthentication

const OF_AUTHENTICATOR = optionNames<ClientAuthenticatorOptions>({
  findClient: true,
  verifyAssertion: true,
  methods: true,
  strict: true,
  basicDecoding: true,
})
const OF_STRATEGIES = optionNames<PassportAuthentication>({
  passport: true,
  strategies: true,
  strict: true,
  toClient: true,
})

/**
 * Throws a `TypeError` unless the options of an endpoint are known, and clients are authenticated in exactly one way.
 * `own` are the names of the endpoint's own options.
 */
export function checkEndpointOptions(caller: string, options: unknown, own: readonly string[] = []): void {
  checkOptions(caller, options, [
    ...own,
    'authenticateClient',
    ...OF_AUTHENTICATOR,
    ...OF_STRATEGIES,
    ...ENDPOINT_OPTIONS,
  ])
  const given = options as Readonly<Record<string, unknown>>
  const has = (name: string): boolean => given[name] !== undefined
  const way = ['authenticateClient', 'strategies', 'findClient'].find(has)
  if (way === undefined) {
    throw new TypeError(`${caller} needs one of the options findClient, authenticateClient and strategies`)
  }
  const used: readonly string[] =
    way === 'authenticateClient' ? [way] : way === 'strategies' ? OF_STRATEGIES : OF_AUTHENTICATOR
  for (const name of ['authenticateClient', ...OF_AUTHENTICATOR, ...OF_STRATEGIES]) {
    if (has(name) && !used.includes(name) && !own.includes(name)) {
      throw new TypeError(`${caller}: option '${name}' has no effect beside '${way}'`)
    }
  }
}

/** What an endpoint says about itself, for the metadata document. */
export interface EndpointFacts {
  /** The client authentication methods it accepts. */
  readonly methods: readonly string[]
  /** The JOSE algorithms it accepts for assertions. */
  readonly signingAlgorithms: readonly string[]
}

/** The client of a request, and how it was authenticated. `client` is absent if the user of a strategy is none. */
export interface Authenticated {
  readonly client: Client | undefined
  readonly authentication?: ClientAuthentication | undefined
}

/** Authenticates the client of a request. */
export interface EndpointAuthentication extends EndpointFacts {
  authenticate(turn: Turn): Promise<Authenticated>
}

/** Makes what authenticates the clients of an endpoint from its options, which are checked already. */
export function createAuthentication(
  options: AuthenticationOptions & { readonly endpoint?: string | undefined },
): EndpointAuthentication {
  const { endpoint } = options
  if ('strategies' in options && options.strategies !== undefined) return byStrategies(options, endpoint)
  const authenticateClient = authenticatorOf(options as Exclude<AuthenticationOptions, PassportAuthentication>)
  const { methods, signingAlgorithms } = authenticateClient
  return {
    authenticate: ({ request, parameters, now }) =>
      authenticateClient(request, parameters, endpoint === undefined ? { request, now } : { request, now, endpoint }),
    methods,
    signingAlgorithms,
  }
}

function authenticatorOf(options: Exclude<AuthenticationOptions, PassportAuthentication>): AuthenticateClient {
  if ('authenticateClient' in options && options.authenticateClient !== undefined) {
    requireFunction('authenticateClient', options.authenticateClient)
    return options.authenticateClient
  }
  const picked = Object.entries(options).filter(([name]) => OF_AUTHENTICATOR.includes(name))
  return createClientAuthenticator(Object.fromEntries(picked) as unknown as ClientAuthenticatorOptions)
}

const asClient = (user: unknown): Client | undefined =>
  typeof (user as Client | undefined)?.client_id === 'string' ? (user as Client) : undefined

function byStrategies(options: PassportAuthentication, endpoint: string | undefined): EndpointAuthentication {
  const { toClient = asClient, passport, strategies, strict } = options
  requireFunction('toClient', toClient)
  const middleware = clientAuthentication({ passport, strategies, strict, endpoint })
  return {
    authenticate: ({ request, response, parameters }) =>
      new Promise((resolve, reject) => {
        request.body = marked(parameters)
        middleware(request, response, (error) => {
          if (error !== undefined) {
            reject(error)
            return
          }
          try {
            resolve({ client: toClient(request.user), authentication: authenticationOf(request.authInfo) })
          } catch (failure) {
            reject(failure)
          }
        })
      }),
    ...factsOf(options),
  }
}

/** `req.authInfo` if a strategy of this package set it. */
const authenticationOf = (info: unknown): ClientAuthentication | undefined =>
  typeof (info as ClientAuthentication | undefined)?.method === 'string' ? (info as ClientAuthentication) : undefined

function factsOf(options: PassportAuthentication): EndpointFacts {
  const { assertion, basic, clientPassword, publicClient } = options.strategies
  const offered: readonly (readonly [string, unknown])[] = [
    ['private_key_jwt', assertion],
    ['client_secret_jwt', assertion],
    ['client_secret_basic', basic],
    ['client_secret_post', clientPassword],
    ['none', publicClient],
  ]
  const algorithms = algorithmsOf(options)
  return {
    methods: offered.flatMap(([method, strategy]) =>
      strategy === undefined || !isServedBy(method, algorithms) ? [] : [method],
    ),
    signingAlgorithms: algorithms ?? [],
  }
}

/** The algorithms of a strategy of this package, given or registered with Passport. */
function algorithmsOf(options: PassportAuthentication): readonly string[] | undefined {
  const { assertion } = options.strategies
  const registered = options.passport as { _strategy?: (name: string) => unknown } | undefined
  const strategy = typeof assertion === 'string' ? registered?._strategy?.(assertion) : assertion
  return (strategy as { verifyAssertion?: AssertionVerification } | undefined)?.verifyAssertion?.algorithms
}
