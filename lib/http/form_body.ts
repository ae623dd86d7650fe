import { isAscii } from 'node:buffer'
import { refusal } from '../errors.ts'
import { isBodyRead } from '../hosts/express.ts'
import { badOption, checkOptions, optionNames, wholeNumber } from '../options.ts'
import { type FormParameters, setForm } from '../parameters.ts'
import { parseForm, REPEATABLE, soundForm } from './form.ts'
import type { Middleware, Request } from './message.ts'

/**
 * How request bodies are read.
 *
 * @inline
 */
export interface FormBodyOptions {
  /** The largest accepted body, in bytes. Default 65536; the response to a larger body is 413. */
  readonly limitBytes?: number | undefined
  /**
   * Parameters that may stand more than once; their values are joined by one space. Default `resource` and `audience`
   * (RFC 8707 §2, RFC 8693 §2.1).
   */
  readonly repeatable?: readonly string[] | undefined
}

/** Hands over the parameters of a request's body, or the refusal. Calls back once, perhaps before it returns. */
export type ReadForm = (request: Request, done: (error: unknown, parameters: FormParameters) => void) => void

const NONE: FormParameters = Object.freeze(Object.create(null))

const FORM = 'application/x-www-form-urlencoded'

// No two parts of these can match the same character: a header is as long as its sender likes.
const UTF8_CHARSET = /^(?:utf-?8|"utf-?8")$/i
/** Charsets whose first half is ASCII. Old HTTP clients announce one of them for forms that are ASCII throughout. */
const ASCII_CHARSET = /^(?:iso-8859-1|us-ascii|windows-1252|"(?:iso-8859-1|us-ascii|windows-1252)")$/i

/** What the headers say of a body: no type, or a form whose bytes are UTF-8 or must be ASCII. */
export type AnnouncedForm = 'none' | 'utf-8' | 'ascii'

const unsupported = (detail: string) =>
  refusal('content_type_unsupported', {
    status: 415,
    description: `The request body must be ${FORM} in UTF-8.`,
    detail,
  })

const tooLarge = (limit: number) =>
  refusal('body_too_large', {
    status: 413,
    description: 'The request body is too large.',
    detail: `expected at most ${limit} bytes`,
  })

/** Clients in such a charset often percent-encode in it, too. Nothing tells that from UTF-8, so they learn what to send. */
const notAscii = () =>
  refusal('content_type_unsupported', {
    status: 415,
    description: `A form in this charset must be ASCII. Send ${FORM} without a charset, and percent-encode other characters as UTF-8.`,
    detail: 'expected the charset UTF-8, or a form that is ASCII throughout',
  })

/** Reads the headers of a form. Throws unless they announce one that is not compressed, in UTF-8 or with ASCII alone. */
export function announcedForm(headers: Request['headers']): AnnouncedForm {
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw unsupported('expected a body that is not compressed')
  }
  const type = headers['content-type']
  if (type === FORM) return 'utf-8'
  if (type === undefined || type === '') return 'none'
  const [essence = '', ...parameters] = type.split(';')
  if (essence.trim().toLowerCase() !== FORM) throw unsupported(`expected ${FORM}, got another content type`)
  let announced: AnnouncedForm = 'utf-8'
  for (const parameter of parameters) {
    const equals = parameter.indexOf('=')
    if (equals === -1 || parameter.slice(0, equals).trim().toLowerCase() !== 'charset') continue
    const charset = parameter.slice(equals + 1).trim()
    if (ASCII_CHARSET.test(charset)) announced = 'ascii'
    else if (!UTF8_CHARSET.test(charset)) throw unsupported('expected the charset UTF-8')
  }
  return announced
}

/** The parameters, if they are what the headers announced. Throws if they are not ASCII but must be. */
export function requireAnnounced(parameters: FormParameters, announced: AnnouncedForm): FormParameters {
  if (announced === 'ascii') {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII has them
    const isAsciiText = (text: string): boolean => /^[\x00-\x7f]*$/.test(text)
    if (!Object.entries(parameters).every((pair) => pair.every(isAsciiText))) throw notAscii()
  }
  return parameters
}

const NO_BYTES = new Uint8Array(0)

function collect(request: Request, limit: number, done: (error: unknown, octets: Uint8Array) => void): void {
  if (request.readableEnded || request.destroyed) {
    done(undefined, NO_BYTES) // no event would come any more
    return
  }
  let first: Buffer | undefined
  let rest: Buffer[] | undefined
  let size = 0
  let settled = false
  const settle = (error: unknown, octets: Uint8Array): void => {
    if (settled) return
    settled = true
    done(error, octets)
  }
  request.on('data', (chunk: Buffer | string) => {
    if (settled) return
    const octets = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    size += octets.length
    if (size > limit) {
      first = undefined
      rest = undefined
      settle(tooLarge(limit), NO_BYTES)
      return
    }
    if (first === undefined) first = octets
    else if (rest === undefined) rest = [first, octets]
    else rest.push(octets)
  })
  request.on('end', () => settle(undefined, rest === undefined ? (first ?? NO_BYTES) : Buffer.concat(rest)))
  const cutOff = (): void => {
    if (settled) return // `close` comes after every request, and an error costs as much as it is rarely needed
    settle(refusal('body_malformed', { detail: 'the connection closed before the end of the body' }), NO_BYTES)
  }
  request.on('error', cutOff)
  request.on('close', cutOff)
}

const isFilled = (body: unknown): boolean =>
  typeof body === 'string' || body instanceof Uint8Array
    ? body.length > 0
    : typeof body === 'object' && body !== null && Object.keys(body).length > 0

/** Makes the function that reads forms, from the request or from what an earlier parser left of it. */
export function createFormReader(options: FormBodyOptions = {}): ReadForm {
  const limit = wholeNumber('limitBytes', options.limitBytes, 65_536, 1, 16_777_216)
  const { repeatable = REPEATABLE } = options
  if (!Array.isArray(repeatable)) throw badOption('repeatable', 'an array of parameter names', repeatable)

  function fromEarlierParser(request: Request, announced: AnnouncedForm): FormParameters {
    // the octets themselves, where the parser kept them: then nothing of the strictness is lost
    const { rawBody } = request as { rawBody?: unknown }
    const body = rawBody instanceof Uint8Array ? rawBody : typeof rawBody === 'string' ? rawBody : request.body
    if (typeof body === 'string') return fromBytes(Buffer.from(body), announced)
    if (body instanceof Uint8Array) return fromBytes(body, announced)
    if (typeof body === 'object' && body !== null)
      return requireAnnounced(soundForm(request, body, repeatable), announced)
    throw refusal('misconfigured', {
      detail: 'an earlier middleware read the body and did not set req.body',
    })
  }

  function fromBytes(bytes: Uint8Array, announced: AnnouncedForm): FormParameters {
    if (bytes.length > limit) throw tooLarge(limit)
    if (announced === 'ascii' && !isAscii(bytes)) throw notAscii()
    return requireAnnounced(parseForm(bytes, repeatable), announced)
  }

  return (request, done) => {
    let announced: AnnouncedForm
    let parameters: FormParameters | undefined
    try {
      if (Number(request.headers['content-length']) > limit) throw tooLarge(limit) // whatever it is
      announced = announcedForm(request.headers)
      if (isBodyRead(request) || isFilled(request.body)) {
        if (announced === 'none') throw unsupported(`expected ${FORM}, got no content type`)
        parameters = fromEarlierParser(request, announced)
      }
    } catch (error) {
      request.resume() // or the connection stays stuck on what nobody reads
      done(error, NONE)
      return
    }
    if (parameters !== undefined) {
      done(undefined, parameters)
      return
    }
    collect(request, limit, (error, octets) => {
      let refused = error
      let read = NONE
      try {
        if (refused === undefined && octets.length > 0) {
          if (announced === 'none') throw unsupported(`expected ${FORM}, got no content type`)
          read = fromBytes(octets, announced)
        }
      } catch (thrown) {
        refused = thrown
      }
      done(refused, read)
    })
  }
}

const NAMES = optionNames<FormBodyOptions>({ limitBytes: true, repeatable: true })

/**
 * A middleware that reads the form a request carries into `req.body`: an object without prototype, each name once, each
 * value a non-empty string. It does so too where an earlier parser already filled `req.body`, and then insists on
 * the same: the content type, no repeats, strings only. Anything else goes to `next` as an `OAuthError`: 415 for another
 * content type, 413 for too large a body, 400 for a malformed one. A request without a body has no parameters.
 * The query string is never read.
 *
 * @example
 * ```ts
 * import { readFormBody } from 'passport-client-assertion-jwt'
 *
 * app.use('/device_authorization', allowCors(), setNoStore(), readFormBody(), authenticateClients({ authenticateClient }))
 * app.post('/device_authorization', (req, res) => {
 *   res.json({ for: req.user, authenticatedBy: req.authInfo })
 * })
 * app.use('/device_authorization', respondWithError())
 * ```
 */
export function readFormBody(options: FormBodyOptions = {}): Middleware {
  checkOptions('readFormBody', options, NAMES)
  const read = createFormReader(options)
  return (request, _response, next) => {
    read(request, (error, parameters) => {
      if (error === undefined) setForm(request, parameters)
      next(error)
    })
  }
}
