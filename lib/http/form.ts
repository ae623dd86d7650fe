import { isUtf8 } from 'node:buffer'
import { refusal } from '../errors.ts'
import { isString } from '../optional.ts'
import { type FormParameters, formOf } from '../parameters.ts'

/**
 * Names that parsers of nested forms would fill from `name[]` or `name[key]`. For these a bracketed name is an attack or
 * a mistake; under any other name it is an unknown parameter.
 */
const KNOWN = new Set([
  'assertion',
  'client_assertion',
  'client_assertion_type',
  'client_id',
  'client_secret',
  'code',
  'code_verifier',
  'grant_type',
  'redirect_uri',
  'refresh_token',
  'scope',
  'token',
  'token_type_hint',
])

/** RFC 8707 §2 and RFC 8693 §2.1 let these be repeated. Their values, which hold no spaces, are joined by one space. */
export const REPEATABLE: readonly string[] = ['resource', 'audience']

const STRAY_PERCENT = /%(?![0-9A-Fa-f]{2})/

const repeated = (name: string) =>
  refusal('parameter_repeated', {
    description: 'A parameter is included more than once.',
    detail: `expected each parameter once, got ${shownName(name)} again`,
  })

const notUtf8 = (detail: string) => refusal('body_not_utf8', { description: 'The request body is not UTF-8.', detail })

const notOneString = (name: string) =>
  refusal('parameter_malformed', {
    description: 'A parameter is malformed.',
    detail: `expected ${shownName(name)} to be one string`,
  })

/** More parameters than any request has; each costs something. */
const MOST_PARAMETERS = 1000

const tooMany = () =>
  refusal('body_malformed', {
    description: 'The request has too many parameters.',
    detail: `expected at most ${MOST_PARAMETERS} parameters`,
  })

/** A name from outside, fit for a log. */
const shownName = (name: string): string => JSON.stringify(name.length > 40 ? `${name.slice(0, 40)}…` : name)

/** Empty, or nothing but white space: such a parameter counts as absent (RFC 6749 §3.2). */
function isBlank(value: string): boolean {
  if (value.length === 0) return true
  const first = value.charCodeAt(0)
  return (first <= 0x20 || first >= 0xa0) && value.trim() === ''
}

const knownWithBracket = (name: string): boolean => {
  const bracket = name.indexOf('[')
  return bracket > 0 && KNOWN.has(name.slice(0, bracket))
}

/** The bytes with spaces for plus signs: in a form a plus sign always means a space. */
function spaced(octets: Uint8Array): Uint8Array {
  if (!octets.includes(0x2b)) return octets
  const copy = new Uint8Array(octets)
  for (let at = 0; at < copy.length; at++) if (copy[at] === 0x2b) copy[at] = 0x20
  return copy
}

function percentDecode(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    if (!STRAY_PERCENT.test(text)) throw notUtf8('a percent sequence is not UTF-8')
    throw refusal('body_malformed', {
      description: 'The request body is malformed.',
      detail: 'a percent sign is not followed by two hexadecimal digits',
    })
  }
}

/**
 * Reads an `application/x-www-form-urlencoded` body. Strict: bytes and percent sequences must be UTF-8, every percent
 * sign must begin a sequence, every name may stand once, even an unknown one or an empty value, and no more than 1000
 * names. Parameters that are empty or white space are absent from the result. Rejects with `invalid_request`.
 */
export function parseForm(octets: Uint8Array, repeatable: readonly string[] = REPEATABLE): FormParameters {
  if (!isUtf8(octets)) throw notUtf8('the body is not UTF-8')
  const { buffer, byteOffset, byteLength } = spaced(octets)
  const text = Buffer.from(buffer, byteOffset, byteLength).toString('utf8')
  const parameters: Record<string, string> = Object.create(null)
  let blank: Set<string> | undefined // not a list: there may be many, and each name is looked for
  let at = 0
  let count = 0
  while (at < text.length) {
    let end = text.indexOf('&', at)
    if (end === -1) end = text.length
    if (end > at) {
      if (++count > MOST_PARAMETERS) throw tooMany()
      const pair = text.slice(at, end)
      const equals = pair.indexOf('=')
      const name = equals === -1 ? pair : pair.slice(0, equals)
      const value = equals === -1 ? '' : pair.slice(equals + 1)
      blank = take(parameters, blank, percentDecode(name), percentDecode(value), repeatable)
    }
    at = end + 1
  }
  return parameters
}

/** Takes a parameter, or its name into `blank`, which is returned: made for the first one, as most forms have none. */
function take(
  parameters: Record<string, string>,
  blank: Set<string> | undefined,
  name: string,
  value: string,
  repeatable: readonly string[],
): Set<string> | undefined {
  const present = parameters[name]
  if (present === undefined && knownWithBracket(name)) throw notOneString(name)
  if (present !== undefined || blank?.has(name)) {
    if (!repeatable.includes(name)) throw repeated(name)
    if (!isBlank(value)) parameters[name] = present === undefined ? value : `${present} ${value}`
  } else if (isBlank(value)) {
    return (blank ?? new Set()).add(name)
  } else {
    parameters[name] = value
  }
  return blank
}

/**
 * What an earlier body parser left in `req.body`, held to the same rules as far as it still can be: strings only, no
 * repeats. Objects under unknown names are ignored like other unknown parameters. What cannot be seen any more is
 * whether a percent sign was stray; bytes that are not UTF-8 appear as U+FFFD and are refused.
 */
export function parsedForm(body: object, repeatable: readonly string[] = REPEATABLE): FormParameters {
  const parameters: Record<string, string> = Object.create(null)
  for (const [name, value] of Object.entries(body)) {
    if (typeof value === 'string') {
      if (knownWithBracket(name)) throw notOneString(name)
      if (value.includes('\ufffd')) throw notUtf8(`${shownName(name)} holds a replacement character`)
      if (!isBlank(value)) parameters[name] = value
    } else if (repeatable.includes(name) && Array.isArray(value) && value.every(isString)) {
      const values = value.filter((each) => !isBlank(each))
      if (values.length > 0) parameters[name] = values.join(' ')
    } else if (Array.isArray(value) && value.length > 1) {
      throw repeated(name)
    } else if (KNOWN.has(name)) {
      throw notOneString(name)
    }
  }
  return parameters
}

/** The parameters of a request: the form that was read here, or else the body that an earlier parser left, judged. */
export const soundForm = (request: object, body: object, repeatable?: readonly string[]): FormParameters =>
  formOf(request) ?? parsedForm(body, repeatable)
