import { type OAuthError, OAuthError as ProtocolError, refusal } from '../errors.ts'
import { ignoreRejection } from '../maybe_promise.ts'
import type { FormParameters } from '../parameters.ts'
import { BUILT_IN } from './built_in.ts'
import type { AuthenticationMethod, BuiltInMethod, Credential, RequestHead } from './method.ts'

/** The methods that a request presents by one credential. The client's record tells those of the application apart. */
export interface Choice {
  /** The first of this package's. */
  readonly builtIn: BuiltInMethod | undefined
  readonly own: readonly AuthenticationMethod[]
}

/** Chooses by looking at the request, not by trying. Throws the refusal of a request that presents none, or several. */
export type ChooseMethod = (request: RequestHead, parameters: FormParameters) => Choice

interface CredentialRule {
  /** For the refusal of two methods at once. */
  readonly what: string
  readonly isPresent: (request: RequestHead, parameters: FormParameters) => boolean
  /** Throws an error if the credential is unusable for any client. */
  readonly check?: (request: RequestHead, parameters: FormParameters) => void
}

function isRepeated(rawHeaders: readonly string[]): boolean {
  let seen = false
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]
    if (name?.length !== 13 || name.toLowerCase() !== 'authorization') continue
    if (seen) return true
    seen = true
  }
  return false
}

const CREDENTIALS: Readonly<Record<Credential, CredentialRule>> = {
  client_assertion: {
    what: 'a client assertion',
    isPresent: (_request, parameters) =>
      parameters['client_assertion'] !== undefined || parameters['client_assertion_type'] !== undefined,
  },
  authorization_header: {
    what: 'an Authorization header',
    // an empty one counts as absent, unless another stands behind it
    isPresent: ({ headers: { authorization }, rawHeaders }) =>
      authorization !== undefined && (authorization !== '' || (rawHeaders !== undefined && isRepeated(rawHeaders))),
    check({ headers, rawHeaders }) {
      if (typeof headers['authorization'] === 'string' && (rawHeaders === undefined || !isRepeated(rawHeaders))) return
      throw refusal('authorization_header_malformed', { detail: 'expected one Authorization header, got several' })
    },
  },
  client_secret: {
    what: 'a client_secret',
    isPresent: (_request, parameters) => parameters['client_secret'] !== undefined,
    check(_request, parameters) {
      if (parameters['client_id'] !== undefined) return
      const detail = 'expected a client_id with the client_secret'
      throw refusal('client_authentication_missing', { detail })
    },
  },
  client_id: {
    what: 'a client_id alone',
    isPresent: (_request, parameters) => parameters['client_id'] !== undefined,
  },
}

const twoMethods = (one: string, other: string, clientId: string | undefined): OAuthError =>
  refusal('client_authentication_repeated', {
    description: 'The request uses more than one client authentication method.',
    detail: `expected one client authentication method, got ${one} and ${other}`,
    clientId,
  })

/** A function of the application that looks at requests. What it does wrong is a fault. */
const guardedPresents =
  ({ method, presents }: AuthenticationMethod): CredentialRule['isPresent'] =>
  (request, parameters) => {
    let answer: unknown
    try {
      answer = ignoreRejection((presents as CredentialRule['isPresent'])(request, parameters))
    } catch (cause) {
      if (cause instanceof ProtocolError && cause.status < 500) throw cause
      throw refusal('misconfigured', { detail: `presents of the method ${method} failed`, cause })
    }
    if (typeof answer === 'boolean') return answer
    throw refusal('misconfigured', {
      detail: `presents of the method ${method} must return a boolean, got ${typeof answer}`,
    })
  }

/**
 * Makes the function that finds the one client authentication method a request presents (RFC 6749 §2.3). An
 * `Authorization` header is final: what it holds is judged later, and a `client_secret` in the body is ignored beside it,
 * unless `strict`; a `client_id` is ignored beside everything. Any other two credentials are `invalid_request`, also of
 * methods that are not offered. Checks neither the client nor anything it sent.
 */
export function createMethodChoice(own: readonly AuthenticationMethod[], strict: boolean): ChooseMethod {
  const shared = (credential: Credential): Choice & CredentialRule => ({
    ...CREDENTIALS[credential],
    builtIn: BUILT_IN.find(({ presents }) => presents === credential),
    own: own.filter(({ presents }) => presents === credential),
  })
  const header = shared('authorization_header')
  const basic: Choice = { builtIn: header.builtIn, own: [] }
  const otherScheme: Choice = { builtIn: undefined, own: header.own }
  const secret = shared('client_secret')
  const alone = shared('client_id')
  const functions = new Set(own.map(({ presents }) => presents).filter((presents) => typeof presents === 'function'))
  const ownCredentials = [...functions].map((presents): Choice & CredentialRule => {
    const methods = own.filter((method) => method.presents === presents)
    const [first] = methods as [AuthenticationMethod]
    return { what: `what ${first.method} uses`, isPresent: guardedPresents(first), builtIn: undefined, own: methods }
  })
  const credentials = [shared('client_assertion'), header, secret, ...ownCredentials]

  return (request, parameters) => {
    let chosen: (Choice & CredentialRule) | undefined
    for (const credential of credentials) {
      if (!credential.isPresent(request, parameters)) continue
      if (chosen === undefined) {
        chosen = credential
        chosen.check?.(request, parameters)
      } else if (strict || chosen !== header || credential !== secret) {
        throw twoMethods(chosen.what, credential.what, parameters['client_id'])
      }
    }
    if (chosen === undefined) {
      if (alone.isPresent(request, parameters)) return alone
      throw refusal('client_authentication_missing', { detail: 'expected client authentication, got none' })
    }
    if (chosen !== header) return chosen
    return header.own.length === 0 || isBasic(request) ? basic : otherScheme
  }
}

const isBasic = ({ headers }: RequestHead): boolean => /^basic(?: |$)/i.test(String(headers['authorization']))
