import type { AuthenticatedClient } from '../client.ts'
import { awaitAnswer, OAuthError, refusal, unavailable } from '../errors.ts'
import { publishFailure } from '../events.ts'
import { isPromise } from '../maybe_promise.ts'
import type { MethodParts, PresentedRequest } from './method.ts'
import { methodMismatch } from './registered.ts'

/** A verifier of this package rejects with an `OAuthError`, and has published it. What another one does is a fault. */
function failOfVerifier(thrown: unknown): never {
  throw thrown instanceof OAuthError ? thrown : publishFailure(unavailable(thrown))
}

/** What a verifier resolved with. One of the application may resolve with anything. */
function judge(answer: unknown, methods: readonly string[]): AuthenticatedClient {
  const authenticated = answer as AuthenticatedClient | undefined
  const method: unknown = authenticated?.authentication?.method
  if (typeof authenticated?.client?.client_id !== 'string' || typeof method !== 'string') {
    const detail = 'verifyAssertion must resolve with { client, authentication }'
    throw publishFailure(refusal('misconfigured', { detail }))
  }
  if (!methods.includes(method)) throw publishFailure(methodMismatch(authenticated.client, method, false))
  return authenticated
}

/** Asks a verifier of the application, which may do anything, and awaits its answer for at most 30 seconds. */
export function answerOfVerifier(ask: () => unknown): unknown {
  try {
    const answer = ask()
    return isPromise(answer) ? awaitAnswer(answer, (value): unknown => value, undefined, failOfVerifier) : answer
  } catch (error) {
    return failOfVerifier(error)
  }
}

/**
 * Authenticates by the assertion verifier, which publishes the outcome. The assertion itself says which of the methods it
 * is of; the verifier learns which are offered, so that it refuses the others before the assertion is spent.
 */
export function authenticateByAssertion(
  { parameters, context }: PresentedRequest,
  { verifyAssertion, assertionMethods: methods }: MethodParts,
): Promise<AuthenticatedClient> {
  if (verifyAssertion === undefined) {
    const detail = 'this endpoint does not accept client assertions'
    return Promise.reject(publishFailure(refusal('client_method_mismatch', { detail })))
  }
  const known = methods.length < 2 ? Object.assign({}, context, { methods }) : context
  // a verifier of this package bounds what it waits for, and rejects with what it has published
  const answer =
    'methods' in verifyAssertion
      ? verifyAssertion(parameters, known)
      : new Promise<unknown>((resolve) => resolve(answerOfVerifier(() => verifyAssertion(parameters, known))))
  return Promise.resolve(answer).then((authenticated) => judge(authenticated, methods))
}
