import type { IncomingMessage } from 'node:http'
import { type AuthorizationParameters, JUDGED_PARAMETERS } from '../code/authorization_request.ts'
import { refusal } from '../errors.ts'
import { formDecoded } from '../parameters.ts'
import type { PushedRequestMark } from '../pushed/pushed_requests.ts'

/** The parts of a request that contain parameters: a request of Express, or of Node.js with a parsed `body`. */
export type ParametersRequest = Pick<IncomingMessage, 'method' | 'url' | 'headers'> & {
  /** The parsed form of a POST request. */
  readonly body?: unknown
  /** The parsed query. It is read only if `url` has no query, for example in unit tests with mock requests. */
  readonly query?: unknown
  /** The complete URL. Express sets it, because routers remove their mount path from `url`. */
  readonly originalUrl?: string
}

const KNOWN: ReadonlySet<string> = new Set(JUDGED_PARAMETERS)

/** Those that a server for pushed requests judges. */
export const KNOWN_WITH_REFERENCE: ReadonlySet<string> = new Set([...KNOWN, 'request', 'request_uri'])

/** May be sent more than once (RFC 8707 §2). Its values have no spaces, and are joined by one, as the form reader does. */
const REPEATABLE = 'resource'

/** Bytes of all names and values together, as JSON. A transaction carries them through a form of at most 64 KiB. */
const MOST_BYTES = 32_768

type Pair = readonly [name: string, value: unknown]

/** The parameters of the query, from the URL itself: what the host's query parser makes of them does not matter. */
export function* queryPairs({ url = '', query }: ParametersRequest): Generator<Pair> {
  const start = url.indexOf('?')
  if (start < 0) {
    yield* Object.entries(Object(query))
    return
  }
  for (const pair of (url.slice(start + 1).split('#', 1)[0] ?? '').split('&')) {
    const equals = pair.indexOf('=')
    const name = formDecoded(equals < 0 ? pair : pair.slice(0, equals))
    if (name !== undefined) yield [name, formDecoded(equals < 0 ? '' : pair.slice(equals + 1))]
  }
}

/** The pairs of a form body that some middleware has parsed; nothing for any other kind of body. */
function bodyPairs({ method, headers, body }: ParametersRequest): readonly Pair[] {
  if (method !== 'POST' || typeof body !== 'object' || body === null) return []
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(headers?.['content-type'] ?? '')) return []
  return Object.entries(body)
}

const tooLong = () =>
  refusal('parameter_malformed', {
    description: 'The request is too long.',
    detail: `its parameters have more than ${MOST_BYTES} bytes`,
  })

/** Adds the values of one `resource` pair, and returns their bytes. What is no string stays visible as malformed. */
function addResources(value: unknown, resources: string[]): number {
  let bytes = 0
  for (const each of Array.isArray(value) ? value : [value]) {
    const resource = typeof each === 'string' ? each : '\ufffd'
    if (resource.trim() === '') continue
    resources.push(resource)
    bytes += Buffer.byteLength(JSON.stringify(resource)) + REPEATABLE.length
  }
  return bytes
}

/**
 * The parameters of an authorization request, from the query and, for POST, from the form body as well (OpenID Connect
 * Core §3.1.2.1). All that were sent once as a string are there, under whatever name. Of the parameters that this package
 * judges, those that were repeated, bracketed or not strings are unsound; of others they are left out. The values of a
 * repeated `resource` are joined by spaces. Blank values are absent, but a `state` of spaces is a state. Judges nothing else, but throws an `OAuthError` (for the person) if names
 * and values have more than 32,768 bytes together.
 */
export function readAuthorizationParameters(
  request: ParametersRequest,
  known: ReadonlySet<string> = KNOWN,
): AuthorizationParameters {
  const values: Record<string, string> = Object.create(null)
  const seen = new Set<string>()
  const unsound = new Set<string>()
  const resources: string[] = []
  let bytes = 0
  for (const pairs of [queryPairs(request), bodyPairs(request)]) {
    for (const [name, value] of pairs) {
      if (name === REPEATABLE) {
        bytes += addResources(value, resources)
        if (bytes > MOST_BYTES) throw tooLong()
        continue
      }
      const bracket = name.indexOf('[')
      const plain = bracket < 0 ? name : name.slice(0, bracket)
      if (plain !== name || typeof value !== 'string' || seen.has(name)) {
        unsound.add(plain)
        continue
      }
      seen.add(name)
      if (name === 'state' ? value === '' : value.trim() === '') continue
      bytes += Buffer.byteLength(JSON.stringify(value)) + (known.has(name) ? 0 : name.length)
      if (bytes > MOST_BYTES) throw tooLong()
      values[name] = value
    }
  }
  for (const name of unsound) delete values[name]
  if (resources.length > 0) values[REPEATABLE] = resources.join(' ')
  return { values, unsound: [...unsound].filter((name) => known.has(name)) }
}

/**
 * An authorization request as oauth2orize passes it on (`req.oauth2.req`), with the member names of oauth2orize and all
 * parameters as the client sent them.
 */
export interface Oauth2orizeRequest {
  /**
   * The parameter `response_type`, or `'missing'`. It is never empty, because oauth2orize refuses a request without a
   * type before the error can be redirected.
   */
  type?: string
  /** The parameter `client_id`. */
  clientID?: string
  /** The parameter `redirect_uri`; `undefined` if the client did not send it. */
  redirectURI?: string | undefined
  /** The requested scope values; `undefined` if the client requested none. */
  scope?: string[] | undefined
  /** The parameter `state`, which the response repeats. */
  state?: string | undefined
  /** The parameter `code_challenge` of PKCE (RFC 7636 §4.3). */
  codeChallenge?: string | undefined
  /** The parameter `code_challenge_method`: `S256`. */
  codeChallengeMethod?: string | undefined
  /**
   * What the client sent, by GET or POST. `parameters.values` has every parameter that was sent once, including those
   * that this package does not use, such as `acr_values` or your own. It has all values of `resource`, separated by
   * spaces. The hooks `extra` and `askAgain` can read them here.
   */
  parameters?: AuthorizationParameters
  /** The registered URIs of the resources that the request is for (RFC 8707), for your consent page. Absent: none. */
  resources?: readonly string[]
  /** Present if the client pushed the request (RFC 9126) and the user has not decided on it yet. */
  pushedRequest?: PushedRequestMark
}

/**
 * Parameters as an oauth2orize request. Absent members are left out: oauth2orize copies what is here over what earlier
 * parsers have read.
 */
export function toOauth2orizeRequest(
  parameters: AuthorizationParameters,
): Oauth2orizeRequest & { type: string; clientID: string } {
  const { values } = parameters
  const request: Oauth2orizeRequest & { type: string; clientID: string } = {
    type: values['response_type'] ?? 'missing',
    clientID: values['client_id'] ?? '',
    parameters,
  }
  if (values['redirect_uri'] !== undefined) request.redirectURI = values['redirect_uri']
  if (values['scope'] !== undefined) request.scope = values['scope'].split(' ').filter((value) => value !== '')
  if (values['state'] !== undefined) request.state = values['state']
  if (values['code_challenge'] !== undefined) request.codeChallenge = values['code_challenge']
  if (values['code_challenge_method'] !== undefined) request.codeChallengeMethod = values['code_challenge_method']
  return request
}

/** The parameters of an oauth2orize request, also of one that another parser than ours has read. */
export function parametersOf(request: Oauth2orizeRequest): AuthorizationParameters {
  if (request.parameters !== undefined) return request.parameters
  const scope: unknown = request.scope
  const sent: Readonly<Record<string, unknown>> = {
    response_type: request.type,
    client_id: request.clientID,
    redirect_uri: request.redirectURI,
    scope: Array.isArray(scope) ? scope.join(' ') : scope,
    state: request.state,
    code_challenge: request.codeChallenge,
    code_challenge_method: request.codeChallengeMethod,
  }
  const values: Record<string, string> = Object.create(null)
  const unsound: string[] = []
  for (const [name, value] of Object.entries(sent)) {
    if (value === undefined || value === null || value === '') continue
    if (typeof value === 'string') values[name] = value
    else unsound.push(name)
  }
  return { values, unsound }
}
