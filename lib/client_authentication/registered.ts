import type { Client, ClientAuthenticationMethod } from '../client.ts'
import { type OAuthError, refusal } from '../errors.ts'

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
