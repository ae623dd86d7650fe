import type { Clock } from '../clock.ts'
import { requestedClientId } from '../code/authorization_request.ts'
import { asError, refusal } from '../errors.ts'
import { timeOf } from '../hooks.ts'
import type { PushedRequests } from '../pushed/pushed_requests.ts'
import { askStore } from './application.ts'
import {
  KNOWN_WITH_REFERENCE,
  type Oauth2orizeRequest,
  type ParametersRequest,
  readAuthorizationParameters,
  toOauth2orizeRequest,
} from './authorization_parameters.ts'
import { setRestart } from './retry.ts'

type ParseDone = (error: Error | null, request?: Oauth2orizeRequest) => void

/**
 * A request parser that loads pushed requests. Of a request with `request_uri` it reads that and `client_id`, and ignores
 * everything else (RFC 9126 §4). All its refusals are for the person: nothing of the request is trusted yet.
 */
export function createPushedParser(pushed: PushedRequests, clock: Clock, milliseconds: number) {
  async function read(request: ParametersRequest): Promise<Oauth2orizeRequest> {
    const parameters = readAuthorizationParameters(request, KNOWN_WITH_REFERENCE)
    const { values, unsound } = parameters
    const clientId = requestedClientId(parameters)
    for (const name of ['request', 'request_uri']) {
      if (!unsound.includes(name)) continue
      const description = `The parameter ${name} is repeated or malformed.`
      throw refusal('parameter_malformed', { clientId, description })
    }
    if (values['request'] !== undefined) {
      throw refusal('request_object_unsupported', { clientId, detail: 'push the request instead (RFC 9126)' })
    }
    const requestUri = values['request_uri']
    if (requestUri === undefined) return toOauth2orizeRequest(parameters)
    const loaded = await askStore(milliseconds, () => pushed.load(clientId, requestUri, timeOf(clock)))
    setRestart(loaded.values, loaded.restart)
    return { ...toOauth2orizeRequest({ values: loaded.values, unsound: [] }), pushedRequest: loaded.mark }
  }

  // Two parameters: oauth2orize takes such a parser for one with a callback.
  return function parsePushed(request: ParametersRequest, done: ParseDone): void {
    read(request).then(
      (parsed) => done(null, parsed),
      (error: unknown) => done(asError(error) as Error),
    )
  }
}
