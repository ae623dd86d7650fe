import type { AuthenticatedClient } from '../client.ts'
import { awaitAnswer, OAuthError, refusal, unavailable } from '../errors.ts'
import { publishFailure } from '../events.ts'
import { isPromise } from '../maybe_promise.ts'
import type { MethodParts, PresentedRequest } from './method.ts'
import { methodMismatch } from './registered.ts'

/** A verifier of this package rejects with an `OAuthError`, and has published it. What another one does is a fault. */
export const verifierFault = (thrown: unknown): unknown =>
  thrown instanceof OAuthError ? thrown : publishFailure(unavailable(thrown))

/**
 * Authenticates by the assertion verifier, which publishes the outcome. The assertion itself says which of the methods it
 * is of; the verifier learns which are offered, so that it refuses the others before the assertion is spent.
 */
export function authenticateByAssertion(
  { parameters, context }: PresentedRequest,
  { verifyAssertion, assertionMethods: methods }: MethodParts,
): Promise<AuthenticatedClient> {
  // a verifier of the application may do anything
  const judge = (answer: unknown): AuthenticatedClient => {
    const authenticated = answer as AuthenticatedClient | undefined
    const method: unknown = authenticated?.authentication?.method
    if (typeof authenticated?.client?.client_id !== 'string' || typeof method !== 'string') {
      const detail = 'verifyAssertion must resolve with { client, authentication }'
      throw publishFailure(refusal('misconfigured', { detail }))
    }
    if (!methods.includes(method)) throw publishFailure(methodMismatch(authenticated.client, method, false))
    return authenticated
  }
  try {
    if (verifyAssertion === undefined)
      throw publishFailure(refusal('client_method_mismatch', { detail: 'client assertions are not taken here' }))
    const answer: unknown = verifyAssertion(parameters, methods.length < 2 ? { ...context, methods } : context)
    // a verifier of this package bounds what it waits for, and rejects with what it has published
    if ('methods' in verifyAssertion && answer instanceof Promise) return answer.then(judge)
    return isPromise(answer) ? awaitAnswer(answer, judge, undefined, verifierFault) : Promise.resolve(judge(answer))
  } catch (error) {
    return Promise.reject(verifierFault(error))
  }
}
