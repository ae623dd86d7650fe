import { clientSecretBasic } from './client_secret_basic.ts'
import { clientSecretJwt } from './client_secret_jwt.ts'
import { clientSecretPost } from './client_secret_post.ts'
import type { BuiltInMethod } from './method.ts'
import { none } from './none.ts'
import { privateKeyJwt } from './private_key_jwt.ts'

/**
 * The client authentication methods of this package, in the order of the metadata document. The choice of the method, the
 * Passport strategies, the metadata and the refusal of two methods at once all follow from this list.
 */
export const BUILT_IN: readonly BuiltInMethod[] = [
  privateKeyJwt,
  clientSecretJwt,
  clientSecretBasic,
  clientSecretPost,
  none,
]

/** The names of the methods of this package, for the option `methods`: `[...builtInMethods, mine]`. */
export const builtInMethods: readonly (
  | 'private_key_jwt'
  | 'client_secret_jwt'
  | 'client_secret_basic'
  | 'client_secret_post'
  | 'none'
)[] = BUILT_IN.map(({ method }) => method)

/**
 * Whether any of the JOSE algorithms serves the method: a profile without HMAC offers no `client_secret_jwt`. Methods
 * without algorithms need none; `undefined` algorithms are not known, and may be all.
 */
export const isServedBy = ({ takesAlgorithm }: BuiltInMethod, algorithms: readonly string[] | undefined): boolean =>
  takesAlgorithm === undefined || algorithms === undefined || algorithms.some(takesAlgorithm)
