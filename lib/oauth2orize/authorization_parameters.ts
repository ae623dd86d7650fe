import type { IncomingMessage } from 'node:http'
import type { AuthorizationParameters } from '../code/authorization_request.ts'
import { refusal } from '../errors.ts'

/** A request as far as its parameters go: Express's, or Node's own with a parsed body on it. */
export type ParametersRequest = Pick<IncomingMessage, 'method' | 'url' | 'headers'> & { readonly body?: unknown }

/** What an authorization request is read for. Each of these may be sent once; all other names are ignored. */
const NAMES = [
  'response_type',
  'client_id',
  'redirect_uri',
  'scope',
  'state',
  'code_challenge',
  'code_challenge_method',
  'response_mode',
  'nonce',
  'prompt',
  'max_age',
  'login_hint',
] as const

const KNOWN: ReadonlySet<string> = new Set(NAMES)

/** Octets of all values together, as JSON. A transaction carries them through a form of at most 64 KiB. */
const MOST_OCTETS = 32_768

/** Text of form encoding, or `undefined` where it is not UTF-8 or a percent sequence is broken. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}

function* queryPairs(url: string): Generator<readonly [name: string, value: unknown]> {
  const start = url.indexOf('?')
  if (start < 0) return
  for (const pair of (url.slice(start + 1).split('#', 1)[0] ?? '').split('&')) {
    const equals = pair.indexOf('=')
    const name = decoded(equals < 0 ? pair : pair.slice(0, equals))
    if (name !== undefined) yield [name, decoded(equals < 0 ? '' : pair.slice(equals + 1))]
  }
}

/** The pairs of a form body that some middleware has parsed; nothing for any other kind of body. */
function bodyPairs(request: ParametersRequest): readonly (readonly [string, unknown])[] {
  const { body } = request
  if (request.method !== 'POST' || typeof body !== 'object' || body === null) return []
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(request.headers['content-type'] ?? '')) return []
  return Object.entries(body)
}

/**
 * The parameters of an authorization request, from the query and, for POST, from the form body as well (OpenID Connect
 * Core §3.1.2.1). The query is read from the URL itself, so it does not matter which query parser the host has. A name
 * that stands twice, has brackets, or a value that is no text, is unsound. Blank values are absent, but a `state` of
 * spaces is a state. Judges nothing else, but throws an `OAuthError`
 * (for the person) when the values have more than 32 768 octets together.
 */
export function readAuthorizationParameters(request: ParametersRequest): AuthorizationParameters {
  const values: Record<string, string> = Object.create(null)
  const seen = new Set<string>()
  const unsound = new Set<string>()
  let octets = 0
  for (const pairs of [queryPairs(request.url ?? ''), bodyPairs(request)]) {
    for (const [name, value] of pairs) {
      const plain = name.split('[', 1)[0] ?? ''
      if (!KNOWN.has(plain)) continue
      if (plain !== name || typeof value !== 'string' || seen.has(name)) {
        unsound.add(plain)
        continue
      }
      seen.add(name)
      octets += Buffer.byteLength(JSON.stringify(value))
      if (name === 'state' ? value !== '' : value.trim() !== '') values[name] = value
    }
  }
  if (octets > MOST_OCTETS) {
    throw refusal('parameter_malformed', {
      description: 'The request is too long.',
      detail: `its parameters have ${octets} octets, at most ${MOST_OCTETS} are taken`,
    })
  }
  for (const name of unsound) delete values[name]
  return { values, unsound: [...unsound] }
}

/**
 * An authorization request as oauth2orize passes it around (`req.oauth2.req`): its own member names, and all parameters
 * as they were sent.
 */
export interface Oauth2orizeRequest {
  /** oauth2orize refuses a request without a type before it can be redirected: here it is never empty. */
  type?: string
  clientID?: string
  redirectURI?: string | undefined
  scope?: string[] | undefined
  state?: string | undefined
  codeChallenge?: string | undefined
  codeChallengeMethod?: string | undefined
  parameters?: AuthorizationParameters
}

/** Parameters as an oauth2orize request. */
export function toOauth2orizeRequest(parameters: AuthorizationParameters): Required<Oauth2orizeRequest> {
  const { values } = parameters
  return {
    type: values['response_type'] ?? 'missing',
    clientID: values['client_id'] ?? '',
    redirectURI: values['redirect_uri'],
    scope: values['scope']?.split(' ').filter((value) => value !== ''),
    state: values['state'],
    codeChallenge: values['code_challenge'],
    codeChallengeMethod: values['code_challenge_method'],
    parameters,
  }
}

/** The parameters of an oauth2orize request that another parser than ours has read. */
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
