import type { Client, ClientAuthenticationMethod } from '../client.ts'
import { secretsOf } from '../client_secret.ts'
import { type OAuthError, refusal } from '../errors.ts'
import { readOptional } from '../optional.ts'
import type { BuiltInMethod } from './method.ts'

/**
 * Whether the client's record allows the method. Without `token_endpoint_auth_method` it allows a secret, either way, as it
 * does to a public client that has one.
 */
export function mayUse(client: Client, { method, isDefault }: Pick<BuiltInMethod, 'method' | 'isDefault'>): boolean {
  const registered = readOptional(client.token_endpoint_auth_method)
  if (registered === undefined) return isDefault === true
  // a public client that has a secret may also send it
  return registered === method || (registered === 'none' && isDefault === true && secretsOf(client).length > 0)
}

/** The refusal of a method that a client is not registered with, or that is not offered. */
export const methodMismatch = (client: Client, method: ClientAuthenticationMethod, isOffered: boolean): OAuthError =>
  refusal('client_method_mismatch', {
    clientId: client.client_id,
    detail: isOffered
      ? `expected ${client.token_endpoint_auth_method ?? 'client_secret_basic or client_secret_post'}, got ${method}`
      : `${method} is not offered here`,
  })
