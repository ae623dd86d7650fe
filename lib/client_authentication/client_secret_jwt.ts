import { algorithmNamed } from '../keys/algorithms.ts'
import { authenticateByAssertion } from './assertion.ts'
import type { BuiltInMethod } from './method.ts'

/** An assertion with a MAC that the client made with its secret (OpenID Connect Core §9). */
export const clientSecretJwt: BuiltInMethod = {
  method: 'client_secret_jwt',
  presents: 'client_assertion',
  strategy: 'assertion',
  takesAlgorithm: (alg) => algorithmNamed(alg)?.method === 'client_secret_jwt',
  publishes: true,
  authenticate: authenticateByAssertion,
}
