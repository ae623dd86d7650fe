import type { AuthenticatedClient, Client, ClientAuthentication } from '../client.ts'
import {
  AUTHENTICATOR_OPTIONS,
  type AuthenticateClient,
  type ClientAuthenticatorOptions,
  makeAuthenticator,
} from '../client_authentication/authenticator.ts'
import { returnedWrong } from '../hooks.ts'
import { asClient, readToClient } from '../hosts/passport.ts'
import { authenticationBy, type StrategyAuthenticationOptions } from '../http/client_authentication.ts'
import { checkOptions, optionNames, refuseIneffective, requireFunction } from '../options.ts'
import { setForm } from '../parameters.ts'
import { ENDPOINT_OPTIONS } from './shell.ts'
import type { EndpointAuthentication, Turn } from './turn.ts'

/** Passport strategies that authenticate clients. */
export interface PassportAuthentication extends Omit<StrategyAuthenticationOptions, 'endpoint'> {
  /**
   * Returns the client for what a strategy put into `req.user`, or `undefined` if there is none. Default: `req.user`
   * itself if it has a `client_id`.
   */
  readonly toClient?: ((user: unknown) => Client | undefined) | undefined
}

/**
 * How an endpoint authenticates clients: with the options of `createClientAuthenticator`, a function, or strategies.
 *
 * @inline
 */
export type AuthenticationOptions =
  | ClientAuthenticatorOptions
  | {
      /** Authenticates the client of a request: what `createClientAuthenticator` returned, or your own function. */
      readonly authenticateClient: AuthenticateClient
    }
  | PassportAuthentication

const OF_STRATEGIES = optionNames<PassportAuthentication>({
  passport: true,
  strategies: true,
  methods: true,
  findClient: true,
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
    ...AUTHENTICATOR_OPTIONS,
    ...OF_STRATEGIES,
    ...ENDPOINT_OPTIONS,
  ])
  const given = options as Readonly<Record<string, unknown>>
  const has = (name: string): boolean => given[name] !== undefined
  const way = ['authenticateClient', 'strategies', 'findClient'].find(has)
  if (way === undefined) {
    throw new TypeError(`${caller} needs one of the options findClient, authenticateClient and strategies`)
  }
  // strategies find their clients themselves; methods of the application do not
  const ofStrategies = OF_STRATEGIES.filter((name) => name !== 'findClient' || has('methods'))
  const used: readonly string[] =
    way === 'authenticateClient' ? [way] : way === 'strategies' ? ofStrategies : AUTHENTICATOR_OPTIONS
  const unused = ['authenticateClient', ...AUTHENTICATOR_OPTIONS, ...OF_STRATEGIES].filter(
    (name) => !used.includes(name) && !own.includes(name),
  )
  refuseIneffective(caller, given, unused, `'${way}'`)
}

/** Makes what authenticates the clients of an endpoint from its options, which are checked already. */
export function createAuthentication(
  options: AuthenticationOptions & { readonly endpoint?: string | undefined },
): EndpointAuthentication {
  const { endpoint } = options
  if ('strategies' in options && options.strategies !== undefined) return byStrategies(options, endpoint)
  const given = 'authenticateClient' in options ? options.authenticateClient : undefined
  if (given !== undefined) requireFunction('authenticateClient', given)
  const authenticateClient = given ?? makeAuthenticator(options as ClientAuthenticatorOptions)
  const authenticate = ({ request, parameters, now }: Turn): Promise<AuthenticatedClient> =>
    authenticateClient(request, parameters, endpoint === undefined ? { request, now } : { request, now, endpoint })
  const { methods = [], signingAlgorithms = [] } = authenticateClient
  return { authenticate: given === undefined ? authenticate : judged(authenticate), methods, signingAlgorithms }
}

/** Authentication by a function of the application, which may return anything. */
const judged =
  (authenticate: (turn: Turn) => Promise<AuthenticatedClient>) =>
  async (turn: Turn): Promise<AuthenticatedClient> => {
    const authenticated = await authenticate(turn)
    if (asClient(authenticated?.client) !== undefined) return authenticated
    throw returnedWrong('authenticateClient', 'a promise of { client, authentication }')
  }

function byStrategies(options: PassportAuthentication, endpoint: string | undefined): EndpointAuthentication {
  const clientOf = readToClient(options.toClient)
  const { authenticate: middleware, ...facts } = authenticationBy({ ...options, endpoint })
  return {
    authenticate: ({ request, response, parameters }) =>
      new Promise((resolve, reject) => {
        setForm(request, parameters)
        middleware(request, response, (error) => {
          if (error !== undefined) {
            reject(error)
            return
          }
          try {
            resolve({ client: clientOf(request.user), authentication: authenticationOf(request.authInfo) })
          } catch (failure) {
            reject(failure)
          }
        })
      }),
    ...facts,
  }
}

/** `req.authInfo` if a strategy of this package set it. */
const authenticationOf = (info: unknown): ClientAuthentication | undefined =>
  typeof (info as ClientAuthentication | undefined)?.method === 'string' ? (info as ClientAuthentication) : undefined
