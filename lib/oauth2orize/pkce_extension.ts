import { requestedClientId } from '../code/authorization_request.ts'
import {
  type Oauth2orizeRequest,
  type ParametersRequest,
  readAuthorizationParameters,
  toOauth2orizeRequest,
} from './authorization_parameters.ts'

/**
 * A request parser for `server.grant('*', pkceRequestParser())`, beside a grant other than `codeGrant` (which has it
 * built in). It reads `code_challenge`, `code_challenge_method` and everything else of RFC 6749 §4.1.1, by GET and by
 * POST, and gives it to `validateAuthorization`, which judges it. Judges nothing, but a request without a usable
 * `client_id` ends here: there is nobody to redirect to, and oauth2orize would blame the response type.
 */
export const pkceRequestParser = (): ((request: ParametersRequest) => Required<Oauth2orizeRequest>) => parseRequest

/** One parameter, synchronous: oauth2orize takes a parser of two for one with a callback. */
export function parseRequest(request: ParametersRequest): Required<Oauth2orizeRequest> {
  const parameters = readAuthorizationParameters(request)
  requestedClientId(parameters)
  return toOauth2orizeRequest(parameters)
}
