import type {
  AuthenticatedClient,
  Client,
  ClientAuthentication,
  ClientAuthenticationMethod,
  FindClient,
} from '../client.ts'
import { lookUpClient } from '../client_lookup.ts'
import { awaitAnswer, OAuthError, refusal, unavailable } from '../errors.ts'
import { ignoreRejection, isPromise } from '../maybe_promise.ts'
import { badOption, checkOptions, optionNames, requireFunction } from '../options.ts'
import { BUILT_IN, builtInMethods } from './built_in.ts'
import type { Choice } from './choice.ts'
import type { AuthenticationMethod, BuiltInMethod, MethodAnswer, PresentedRequest } from './method.ts'
import { methodMismatch } from './registered.ts'

/** The option `methods`: names of methods of this package, and methods of the application. */
export type MethodsOption = readonly (ClientAuthenticationMethod | AuthenticationMethod)[]

const SHARED: readonly unknown[] = ['client_id', 'client_assertion', 'authorization_header']

/** The methods of the option, those of this package in their own order. `undefined` stands for all of this package. */
export function readMethods(methods: unknown): {
  readonly builtIn: readonly BuiltInMethod[] | undefined
  readonly own: readonly AuthenticationMethod[]
} {
  if (methods === undefined) return { builtIn: undefined, own: [] }
  const expected = `an array of some of ${builtInMethods.join(', ')} and of methods of your own`
  if (!Array.isArray(methods) || methods.length === 0) throw badOption('methods', expected, methods)
  const own = methods.filter((each: unknown) => !(builtInMethods as readonly unknown[]).includes(each))
  for (const each of own) checkMethod(each, expected)
  const names = own.map(({ method }) => method)
  if (new Set(names).size < names.length) throw badOption('methods', 'an array with each method once', names.join(', '))
  return { builtIn: BUILT_IN.filter(({ method }) => methods.includes(method)), own }
}

const METHOD_OPTIONS = optionNames<AuthenticationMethod>({
  method: true,
  presents: true,
  signingAlgorithms: true,
  readClientId: true,
  authenticate: true,
})

function checkMethod(given: unknown, expected: string): asserts given is AuthenticationMethod {
  if (typeof given !== 'object' || given === null) throw badOption('methods', expected, given)
  checkOptions('methods', given, METHOD_OPTIONS)
  const { method, presents, signingAlgorithms, readClientId, authenticate } = given as Partial<AuthenticationMethod>
  if (typeof method !== 'string' || method === '' || (builtInMethods as readonly string[]).includes(method))
    throw badOption('methods', 'an array of methods that each have a unique name in `method`', method)
  if (typeof presents !== 'function' && !SHARED.includes(presents))
    throw badOption(`methods.${method}.presents`, `a function or one of ${SHARED.join(', ')}`, presents)
  if (readClientId !== undefined) requireFunction(`methods.${method}.readClientId`, readClientId)
  if (authenticate !== undefined) requireFunction(`methods.${method}.authenticate`, authenticate)
  if (signingAlgorithms !== undefined && !Array.isArray(signingAlgorithms))
    throw badOption(`methods.${method}.signingAlgorithms`, 'an array of names', signingAlgorithms)
}

/** What the record of the client says of a request that methods of the application may serve. */
export interface Registered {
  /** The method of the application that serves it; absent: the method of this package does. */
  readonly own?: AuthenticationMethod
  /** The client, if one was looked up. */
  readonly client?: Client | undefined
  readonly clientId?: string
}

function clientIdOf(methods: readonly AuthenticationMethod[], { request, parameters }: PresentedRequest) {
  const parameter = parameters['client_id']
  for (const { method, readClientId } of methods) {
    let clientId: unknown
    try {
      clientId = ignoreRejection(readClientId?.(request, parameters))
    } catch (cause) {
      if (cause instanceof OAuthError && cause.status < 500) throw cause
      throw refusal('misconfigured', { detail: `readClientId of the method ${method} failed`, cause })
    }
    if (clientId === undefined) continue
    if (typeof clientId !== 'string')
      throw refusal('misconfigured', {
        detail: `readClientId of the method ${method} must return a string or undefined`,
      })
    if (parameter === undefined || parameter === clientId) return clientId
    const detail = `expected client_id to be the client of ${method} (${JSON.stringify(clientId.slice(0, 120))})`
    throw refusal('client_id_mismatch', { clientId: parameter, detail })
  }
  return parameter
}

/**
 * Finds the method that the client is registered with, where methods of the application share a credential: among
 * themselves or with one of this package, which serves all other clients. Throws the refusal where none does.
 */
export async function findRegistered(
  { builtIn, own }: Choice,
  presented: PresentedRequest,
  findClient: FindClient,
): Promise<Registered> {
  const clientId = clientIdOf(own, presented)
  if (clientId === undefined) {
    if (builtIn !== undefined) return {}
    throw refusal('client_authentication_missing', { detail: `expected a client_id for ${own[0]?.method}` })
  }
  const looked = await lookUpClient(findClient, clientId, presented.context)
  if (looked instanceof OAuthError) {
    if (builtIn === undefined || looked.reason !== 'client_unknown') throw looked
    return { clientId, client: undefined }
  }
  const method = own.find((each) => each.method === looked.token_endpoint_auth_method)
  if (method !== undefined) return { own: method, client: looked, clientId }
  if (builtIn === undefined) throw methodMismatch(looked, own[0]?.method ?? '', true)
  return { client: looked, clientId }
}

/** Keeps a look-up that was made, so that the method of this package does not make it again. */
export const withLookUp =
  (findClient: FindClient, { client, clientId }: Registered): FindClient =>
  (asked, context) =>
    asked === clientId ? client : findClient(asked, context)

/** Runs a method of the application, and judges what it answers. */
export async function authenticateByOwn(
  { method, authenticate }: AuthenticationMethod,
  client: Client,
  presented: PresentedRequest,
): Promise<AuthenticatedClient> {
  const clientId = client.client_id
  const answer = await answerOfMethod(() => authenticate?.({ ...presented, client }))
  if (answer === false)
    throw refusal('client_rejected', { clientId, detail: `the method ${method} rejected the credential` })
  if (answer === true) return { client, authentication: { method } }
  if (typeof answer === 'object' && answer !== null && !Array.isArray(answer))
    return { client, authentication: { ...(answer as ClientAuthentication), method } }
  const got = Array.isArray(answer) ? 'an array' : answer === null ? 'null' : typeof answer
  throw refusal('misconfigured', {
    clientId,
    detail: `authenticate of the method ${method} must return a boolean or an object, got ${got}`,
  })
}

/** An `OAuthError` of a status below 500 is what the application means; all else that is thrown is a fault. */
async function answerOfMethod(ask: () => MethodAnswer | undefined | Promise<MethodAnswer>): Promise<unknown> {
  const fail = (error: unknown): never => {
    throw error instanceof OAuthError && error.status < 500 ? error : unavailable(error)
  }
  let answer: unknown
  try {
    answer = ask()
  } catch (error) {
    return fail(error)
  }
  if (!isPromise(answer)) return answer
  return awaitAnswer<unknown, unknown>(answer, (value) => value, undefined, fail)
}
