import {
  type Client,
  type ClientAuthenticationMethod,
  type FindClient,
  type RequestContext,
  recordProblem,
} from '../client.ts'
import { answerOf, type OAuthError, refusal } from '../errors.ts'

/** The client authentication methods of this package, in the order of the metadata document. */
export const METHODS = [
  'private_key_jwt',
  'client_secret_jwt',
  'client_secret_basic',
  'client_secret_post',
  'none',
] as const satisfies readonly ClientAuthenticationMethod[]

/**
 * Whether any of the JOSE algorithms serves the method: a profile without HMAC offers no `client_secret_jwt`. Methods
 * other than the two of assertions need none; `undefined` algorithms are not known, and may be all.
 */
export const isServedBy = (method: string, algorithms: readonly string[] | undefined): boolean =>
  !method.endsWith('_jwt') ||
  algorithms === undefined ||
  algorithms.some((alg) => alg.startsWith('HS') === (method === 'client_secret_jwt'))

/** Client identifiers may be URLs, but not books. */
const LONGEST_CLIENT_ID = 1024

// Not registrable (RFC 6749 appendix A.1), so no client has one; and databases choke on some of them.
// biome-ignore lint/suspicious/noControlCharactersInRegex: the control characters are what is meant
const CONTROL = /[\x00-\x1f\x7f]/

/**
 * The client of that identifier, or `undefined`. Identifiers that cannot be registered are not looked up. A rejection of
 * `findClient` becomes a 503.
 */
export async function lookUpClient(
  findClient: FindClient,
  clientId: string,
  context: RequestContext,
): Promise<Client | undefined> {
  if (clientId.length > LONGEST_CLIENT_ID || CONTROL.test(clientId)) return undefined
  const client: Client | undefined | null = await answerOf(() => findClient(clientId, context))
  if (client === undefined || client === null) return undefined
  const problem = recordProblem(client)
  if (problem !== undefined) throw refusal('client_misconfigured', { clientId, detail: problem })
  // a database that compares without regard to case is no reason to take one client for another
  return client.client_id === clientId ? client : undefined
}

/** Whether the client's record allows the method. Without `token_endpoint_auth_method` it allows a secret, either way. */
export function mayUse(client: Client, method: ClientAuthenticationMethod): boolean {
  const registered = client.token_endpoint_auth_method ?? undefined
  return registered === undefined
    ? method === 'client_secret_basic' || method === 'client_secret_post'
    : registered === method
}

/** The refusal of a method that a client is not registered with, or that is not offered. */
export const methodMismatch = (client: Client, method: ClientAuthenticationMethod, offered: boolean): OAuthError =>
  refusal('client_method_mismatch', {
    clientId: client.client_id,
    detail: offered
      ? `expected ${client.token_endpoint_auth_method ?? 'client_secret_basic or client_secret_post'}, got ${method}`
      : `${method} is not offered here`,
  })
