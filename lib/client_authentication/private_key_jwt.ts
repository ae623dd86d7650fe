import { algorithmNamed } from '../keys/algorithms.ts'
import { authenticateByAssertion } from './assertion.ts'
import type { BuiltInMethod } from './method.ts'

/** An assertion that the client signed with its private key (OpenID Connect Core §9). */
export const privateKeyJwt: BuiltInMethod = {
  method: 'private_key_jwt',
  presents: 'client_assertion',
  strategy: 'assertion',
  // also one that only the verifier knows
  takesAlgorithm: (alg) => algorithmNamed(alg)?.method !== 'client_secret_jwt',
  publishes: true,
  authenticate: authenticateByAssertion,
}
