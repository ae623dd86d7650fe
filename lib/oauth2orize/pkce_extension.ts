import { requestedClientId } from '../code/authorization_request.ts'
import {
  type Oauth2orizeRequest,
  type ParametersRequest,
  readAuthorizationParameters,
  toOauth2orizeRequest,
} from './authorization_parameters.ts'

/**
 * Returns a request parser for `server.grant('*', createRequestParser())`. Use it with a grant other than
 * `createCodeGrant`, which already contains it.
 *
 * The parser reads all parameters, by GET and POST, and passes them to `validateAuthorization`, which checks them. The
 * parser throws only if the request has no usable `client_id`: the error cannot be redirected, and oauth2orize would
 * report a wrong response type.
 *
 * Members that earlier parsers have set are kept, unless the request has the parameter. The exception is `type`: if the
 * request has no `response_type`, `type` becomes `'missing'`. Otherwise oauth2orize would refuse the request before the
 * error can reach the client. To set `type`, register your parser after this one.
 */
export const createRequestParser = (): ((request: ParametersRequest) => Oauth2orizeRequest) => parseRequest

/** One parameter, synchronous: oauth2orize takes a parser of two for one with a callback. */
export function parseRequest(request: ParametersRequest): Oauth2orizeRequest {
  const parameters = readAuthorizationParameters(request)
  requestedClientId(parameters)
  return toOauth2orizeRequest(parameters)
}
