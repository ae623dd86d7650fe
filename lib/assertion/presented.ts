import { refusal } from '../errors.ts'
import type { Attempt, Check } from './attempt.ts'
import { MOST_CLIENT_ID_CHARACTERS } from './claims.ts'
import { openEnvelope } from './envelope.ts'

/** The one `client_assertion_type` there is a verifier for here (RFC 7523 §2.2). */
export const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** A parameter that must be one text. An own property; what was sent empty is absent (RFC 6749 §3.2). */
function textOf(parameters: Readonly<Record<string, unknown>>, name: string): string | undefined {
  if (typeof parameters !== 'object' || parameters === null || !Object.hasOwn(parameters, name)) return undefined
  const value = parameters[name]
  if (value === undefined || value === '') return undefined
  if (typeof value === 'string') return value
  throw Array.isArray(value)
    ? refusal('parameter_repeated', { description: `The parameter ${name} is repeated.` })
    : refusal('parameter_malformed', { description: `The parameter ${name} is not a single value.` })
}

/** Whether a request names an assertion or its type in any way, well-formed or not. */
export const presentsAssertion = (parameters: unknown): parameters is Readonly<Record<string, unknown>> => {
  if (typeof parameters !== 'object' || parameters === null) return false
  const present = (name: string): boolean => {
    const value = Object.hasOwn(parameters, name) ? (parameters as Record<string, unknown>)[name] : undefined
    return value !== undefined && value !== ''
  }
  return present('client_assertion') || present('client_assertion_type')
}

/**
 * The `Authorization` header of a request in the shape of `http.IncomingMessage` or of the Fetch standard; `undefined`
 * for any other value.
 */
const authorizationOf = (request: unknown): unknown => {
  const headers = (request as { readonly headers?: unknown } | null | undefined)?.headers
  const { authorization, get } = (headers ?? {}) as { readonly authorization?: unknown; readonly get?: unknown }
  // an empty one counts as absent
  if (typeof get !== 'function') return authorization || undefined
  return (headers as Headers).get('authorization') || undefined // of whichever implementation
}

/**
 * The assertion in a request (RFC 7521 §4.2): both parameters once, the type the exact URN, the only means of
 * authentication in the request (RFC 6749 §2.3). The assertion is not opened.
 */
function findPresented(attempt: Attempt): void {
  const { parameters, context, rules, parts } = attempt
  const type = textOf(parameters, 'client_assertion_type')
  const assertion = textOf(parameters, 'client_assertion')
  const clientId = textOf(parameters, 'client_id')
  if (assertion === undefined && type === undefined) {
    // a client cannot cause that
    if (parameters instanceof URLSearchParams || parameters instanceof Map)
      throw refusal('misconfigured', {
        detail: `expected the parameters as an object, got a ${parameters instanceof Map ? 'Map' : 'URLSearchParams'}: pass Object.fromEntries(parameters)`,
      })
    throw refusal('client_authentication_missing', { clientId, detail: 'expected a client_assertion, got none' })
  }
  if (assertion === undefined || type === undefined) {
    const missing = assertion === undefined ? 'client_assertion' : 'client_assertion_type'
    throw refusal('parameter_missing', { clientId, description: `The parameter ${missing} is missing.` })
  }
  if (type !== ASSERTION_TYPE && !parts.trustedIssuers?.assertionTypes.includes(type))
    throw refusal('assertion_type_unsupported', {
      clientId,
      description: 'The client_assertion_type is not supported.',
      detail: `expected client_assertion_type ${ASSERTION_TYPE}, got ${JSON.stringify(type.slice(0, 120))}`,
    })
  const other =
    authorizationOf(context.request) !== undefined
      ? 'an Authorization header'
      : textOf(parameters, 'client_secret') !== undefined
        ? 'a client_secret'
        : undefined
  if (other !== undefined)
    throw refusal('client_authentication_repeated', {
      clientId,
      description: 'The request uses more than one method of client authentication.',
      detail: `expected one method of client authentication, got an assertion and ${other}`,
    })
  if (clientId === undefined ? rules.requireClientId : clientId.length > MOST_CLIENT_ID_CHARACTERS)
    throw refusal(clientId === undefined ? 'parameter_missing' : 'parameter_malformed', {
      description: `The parameter client_id is ${clientId === undefined ? 'missing' : 'too long'}.`,
    })
  attempt.presented = assertion
  attempt.type = type
  attempt.parameter = clientId
}

function checkSize(attempt: Attempt): void {
  const { presented, parameter: clientId, rules } = attempt
  if (presented.length > rules.maxAssertionBytes)
    throw refusal('assertion_too_large', {
      clientId,
      detail: `expected an assertion of at most ${rules.maxAssertionBytes} bytes, got ${presented.length}`,
    })
  attempt.assertion = presented
}

export const PRESENTED_CHECKS: readonly Check[] = [
  {
    name: 'request',
    title: 'The request has one assertion and no other credentials',
    needs: [],
    run: findPresented,
    online: true,
  },
  {
    name: 'size',
    title: ({ maxAssertionBytes }) => `At most ${maxAssertionBytes} bytes`,
    needs: ['presented'],
    run: checkSize,
    report: ({ presented }) => `${presented.length} bytes`,
  },
  {
    name: 'form',
    title: 'A signed JWT in the strict encoding',
    needs: ['assertion'],
    run(attempt) {
      attempt.envelope = openEnvelope(attempt.assertion)
    },
  },
]
