import type { Client, FindClient } from '../client.ts'
import { lookUpClient } from '../client_lookup.ts'
import { createSecretComparison, secretsOf } from '../client_secret.ts'
import { systemClock } from '../clock.ts'
import { OAuthError, refusal } from '../errors.ts'
import { isPromise } from '../maybe_promise.ts'
import type { VerifySecret } from './method.ts'
import { mayUse, methodMismatch } from './registered.ts'

/**
 * Makes the function that authenticates clients by a secret: registered method, expiry, several live secrets, hashed or
 * plain. Comparison is in constant time, and what fails takes about as long whatever it fails for.
 */
export function createSecretVerification(findClient: FindClient, offered: readonly string[]): VerifySecret {
  const { verify } = createSecretComparison()

  return async (method, pairs, context) => {
    const now = context.now ?? systemClock()
    let client: Client | undefined
    let unknown: OAuthError | undefined
    let asked: string | undefined
    let refused: OAuthError | undefined
    for (const { clientId, clientSecret } of pairs) {
      if (asked !== clientId) {
        const looked = lookUpClient(findClient, clientId, context)
        const found = isPromise(looked) ? await looked : looked
        const isRefusal = found instanceof OAuthError
        unknown = isRefusal ? found : undefined
        client = isRefusal ? undefined : found
        if (unknown?.reason === 'client_misconfigured') throw unknown
      }
      asked = clientId
      // compared before anything else is judged: the time tells nothing about the client
      const verdict = verify(client, clientSecret, now)
      const judged = typeof verdict === 'string' ? verdict : await verdict
      const isOffered = offered.includes(method.method)
      if (client === undefined) {
        refused ??= unknown
        continue
      }
      if (!mayUse(client, method) || !isOffered) {
        refused = methodMismatch(client, method.method, isOffered)
      } else if (judged === 'right') {
        return { client, authentication: { method: method.method } }
      } else if (judged === 'expired') {
        refused = refusal('client_secret_expired', { clientId, detail: 'the secret is right, but has expired' })
      } else {
        const detail = `expected one of the client's secrets (${secretsOf(client).length}), got another`
        refused = refusal('client_secret_wrong', { clientId, detail })
      }
    }
    throw refused ?? refusal('client_authentication_missing')
  }
}
