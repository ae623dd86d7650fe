import type { Client } from '../client.ts'
import { judgeClient } from '../client_lookup.ts'
import { OAuthError, refusal } from '../errors.ts'
import { type Algorithm, isSameAlgorithm } from '../keys/algorithms.ts'
import { isPromise } from '../maybe_promise.ts'
import { readOptional } from '../optional.ts'
import { type AssertionRules, type PerClient, rulesForClient } from './rules.ts'

/** The client that was looked up. Throws the refusal where there is none. */
export function foundClient<C extends Client>(looked: C | OAuthError): C {
  if (looked instanceof OAuthError) throw looked
  return looked
}

/** What `findClient` gave, as the client of that identifier. Throws the refusal otherwise. */
export const checkClient = <C extends Client>(found: C | undefined | null, clientId: string): C =>
  foundClient(judgeClient(found, clientId))

/** A member of a client's record that should be a name, for operators. It may be anything. */
const named = (value: unknown): string =>
  typeof value === 'string'
    ? JSON.stringify(value)
    : value === undefined
      ? 'nothing'
      : `a value of type ${typeof value}`

/**
 * The client is registered for this method, which is one of `methods`, and, where it says so, for this algorithm
 * (RFC 7591 §2).
 */
export function checkRegistration(
  client: Client,
  alg: string,
  algorithm: Algorithm,
  methods: readonly string[],
  rules: AssertionRules,
): void {
  const clientId = client.client_id
  const registered: unknown = readOptional(client.token_endpoint_auth_method)
  const { method } = algorithm
  if (registered !== method || !methods.includes(method))
    throw refusal('client_method_mismatch', {
      clientId,
      detail:
        registered === method
          ? `${method} is not offered here`
          : `alg ${alg} is one of ${method}, the client is registered for ${named(registered)}`,
    })
  const only: unknown = readOptional(client.token_endpoint_auth_signing_alg)
  if (only === undefined) return
  if (typeof only !== 'string' || !isSameAlgorithm(alg, only, rules.edDsaAlias))
    throw refusal('client_algorithm_mismatch', { clientId, detail: `expected alg ${named(only)}, got ${alg}` })
}

/** The rules and audiences that hold for this client. */
export function settle<C extends Client>(
  rules: AssertionRules,
  perClient: PerClient<C> | undefined,
  client: C,
): { rules: AssertionRules; audience?: readonly string[] } {
  if (perClient === undefined) return { rules }
  try {
    const own = perClient(client)
    if (own === undefined || own === null) return { rules }
    // a promise has none of the rules, and would be taken for none
    if (isPromise(own)) throw new TypeError('perClient must answer at once, got a promise')
    const settled = rulesForClient(rules, own)
    return own.audience === undefined ? { rules: settled } : { rules: settled, audience: own.audience }
  } catch (cause) {
    throw refusal('misconfigured', { clientId: client.client_id, detail: 'perClient failed', cause })
  }
}
