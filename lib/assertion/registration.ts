import type { Client } from '../client.ts'
import { lookUpClient } from '../client_lookup.ts'
import { OAuthError, refusal } from '../errors.ts'
import { isSameAlgorithm } from '../keys/algorithms.ts'
import { ignoreRejection, isPromise } from '../maybe_promise.ts'
import { readOptional } from '../optional.ts'
import type { Attempt, Check } from './attempt.ts'
import { rulesForClient } from './rules.ts'

/** A member of a client's record that should be a name, for operators. It may be anything. */
const named = (value: unknown): string =>
  typeof value === 'string'
    ? JSON.stringify(value)
    : value === undefined
      ? 'nothing'
      : `a value of type ${typeof value}`

/**
 * The client is registered for this method, which the endpoint offers, and for this algorithm if the registration names
 * one (RFC 7591 §2).
 */
function checkRegistration({ client, alg, algorithm, context, rules }: Attempt): void {
  const clientId = client.client_id
  const registered: unknown = readOptional(client.token_endpoint_auth_method)
  const { method } = algorithm
  const methods: readonly string[] = context.methods ?? rules.methods
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

/** Takes over the client that was looked up, and the rules and audiences for this client. */
function acceptClient(attempt: Attempt, looked: Client | OAuthError): void {
  if (looked instanceof OAuthError) throw looked
  attempt.client = looked
  const { rules, parts, issuer } = attempt
  const { perClient, trustedIssuers } = parts
  if (trustedIssuers?.issuers.includes(looked.client_id))
    throw refusal('client_misconfigured', {
      clientId: looked.client_id,
      detail: 'the client_id is that of a trusted issuer: the issuer could speak for the client, or the client for it',
    })
  if (perClient === undefined) return
  try {
    const own = ignoreRejection(perClient(looked, { issuer }))
    if (own === undefined || own === null) return
    // a promise has none of the rules, and would be taken for none
    if (isPromise(own)) throw new TypeError('perClient must return at once, got a promise')
    attempt.rules = rulesForClient(rules, own)
    attempt.audience = own.audience
  } catch (cause) {
    throw refusal('misconfigured', { clientId: looked.client_id, detail: 'perClient failed', cause })
  }
}

export const CLIENT_CHECK: Check = {
  name: 'client',
  title: 'The client exists',
  needs: ['clientId'],
  run(attempt) {
    const { parts, clientId, context } = attempt
    return lookUpClient(parts.findClient, clientId, context, (looked) => acceptClient(attempt, looked))
  },
  report: ({ client }) => client.client_name,
}

/** SMART App Launch, "Asymmetric Authentication": `jku` shall be the registered URL, and may be absent. */
function checkJku({ envelope, client, rules }: Attempt): void {
  const { jku } = envelope.header
  if (!rules.requireRegisteredJku || jku === undefined || jku === readOptional(client.jwks_uri)) return
  throw refusal('assertion_header_not_allowed', {
    clientId: client.client_id,
    detail: `expected jku to be the client's jwks_uri, ${named(client.jwks_uri)}, got ${named(jku)}`,
  })
}

export const JKU_CHECK: Check = {
  name: 'jku',
  title: 'The URL of the key set (jku), if present, is the registered one',
  needs: ['envelope', 'client'],
  run: checkJku,
  report: ({ envelope }) => (envelope.header['jku'] === undefined ? 'none' : undefined),
  applies: ({ requireRegisteredJku }) => requireRegisteredJku,
}

export const REGISTRATION_CHECK: Check = {
  name: 'registration',
  title: 'The client is registered for this method and algorithm',
  needs: ['client', 'algorithm'],
  run: checkRegistration,
  report: ({ algorithm }) => algorithm.method,
}
