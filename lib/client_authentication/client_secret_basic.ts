import { type OAuthError, refusal } from '../errors.ts'
import type { FormParameters } from '../parameters.ts'
import { type BasicDecoding, type Credentials, parseBasic } from './basic_credentials.ts'
import type { BuiltInMethod, RequestHead } from './method.ts'

/** The refusal of a header and a body that name different clients, for servers that are strict. */
const namesTwoClients = (clientId?: string): OAuthError =>
  refusal('client_authentication_repeated', {
    description: 'The request names two clients.',
    detail: 'expected the client_id of the Authorization header in the body, or none',
    clientId,
  })

/** The pairs of a request's header. Throws the refusal of a malformed one. */
export const basicCredentials = ({ headers }: RequestHead, decoding: BasicDecoding): readonly Credentials[] =>
  parseBasic(headers['authorization'] as string, decoding)

/** Throws, for servers that are strict, if the body names none of the clients that the header may name. */
export function requireOneClient(pairs: readonly Pick<Credentials, 'clientId'>[], parameters: FormParameters): void {
  const named = parameters['client_id']
  if (named === undefined || pairs.some(({ clientId }) => clientId === named)) return
  throw namesTwoClients(pairs.length === 1 ? pairs[0]?.clientId : undefined)
}

/** The client's identifier and secret in the `Authorization` header (RFC 6749 §2.3.1). */
export const clientSecretBasic: BuiltInMethod = {
  method: 'client_secret_basic',
  presents: 'authorization_header',
  strategy: 'basic',
  isDefault: true,
  authenticate({ request, parameters, context }, { verifySecret, decoding, strict }) {
    const authenticated = verifySecret(clientSecretBasic, basicCredentials(request, decoding), context)
    if (!strict) return authenticated
    return authenticated.then((named) => {
      requireOneClient([{ clientId: named.client.client_id }], parameters)
      return named
    })
  },
}
