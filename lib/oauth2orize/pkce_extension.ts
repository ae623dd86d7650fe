import { requestedClientId } from '../code/authorization_request.ts'
import {
  type Oauth2orizeRequest,
  type ParametersRequest,
  readAuthorizationParameters,
  toOauth2orizeRequest,
} from './authorization_parameters.ts'

/**
 * A request parser for `server.grant('*', createRequestParser())`, for use with a grant other than `createCodeGrant` (which has it
 * built in). It reads all parameters, by GET and by POST, and passes them to `validateAuthorization`, which judges them.
 * It judges nothing, but throws for a request without a usable `client_id`: there is nobody to redirect to, and
 * oauth2orize would blame the response type. Members that parsers registered before it have read stay as they are, unless
 * the request has the parameter. The exception is `type`: without `response_type` in the request it is `missing`, because
 * oauth2orize would refuse the request before its client can be told. To set `type`, register your parser after this one.
 */
export const createRequestParser = (): ((request: ParametersRequest) => Oauth2orizeRequest) => parseRequest

/** One parameter, synchronous: oauth2orize takes a parser of two for one with a callback. */
export function parseRequest(request: ParametersRequest): Oauth2orizeRequest {
  const parameters = readAuthorizationParameters(request)
  requestedClientId(parameters)
  return toOauth2orizeRequest(parameters)
}
