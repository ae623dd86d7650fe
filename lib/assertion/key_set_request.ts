import { lookup as systemLookup } from 'node:dns'
import { type ClientRequest, get as getHttp, type IncomingMessage, type RequestOptions } from 'node:http'
import { get as getHttps } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { type IsAllowedAddress, isLoopbackAddress, isPublicAddress } from './address.ts'

/** How one key set is asked for. */
export interface KeySetRequestOptions {
  readonly timeoutMilliseconds: number
  readonly maxBytes: number
  readonly isAllowedAddress: IsAllowedAddress | undefined
  readonly ca: string | Buffer | readonly (string | Buffer)[] | undefined
  /** Resolves names in place of the system, in the form `net.connect` takes. */
  readonly lookup: LookupFunction | undefined
}

/** What a key set's server answered. */
export interface KeySetResponse {
  readonly body: Buffer
  /** `Cache-Control`, as it came. */
  readonly cacheControl: string | undefined
}

const isLoopbackName = (hostname: string): boolean => hostname === 'localhost' || isLoopbackAddress(hostname)

/** The host of a URL as an address where it is one: without the brackets of IPv6. */
const hostOf = ({ hostname }: URL): string => (hostname.startsWith('[') ? hostname.slice(1, -1) : hostname)

/** Longest `jwks_uri` that is looked at. */
export const MOST_URI_CHARACTERS = 2048

/**
 * A URL that a key set may be fetched from (RFC 7591 §2): https, with a host, without user information. `http:` only on
 * the loopback interface, and only where it is allowed. `undefined` for anything else.
 */
export function keySetUrl(uri: string, allowHttpLoopback: boolean): URL | undefined {
  if (uri.length > MOST_URI_CHARACTERS || !URL.canParse(uri)) return undefined
  const url = new URL(uri)
  if (url.hostname === '' || url.username !== '' || url.password !== '') return undefined
  if (url.protocol === 'https:') return url
  return allowHttpLoopback && url.protocol === 'http:' && isLoopbackName(hostOf(url)) ? url : undefined
}

/** Name resolution that yields allowed addresses only, so that what was checked is what is connected to. */
const guardedLookup =
  (resolve: LookupFunction, isAllowed: IsAllowedAddress): LookupFunction =>
  (hostname, options, callback) =>
    resolve(hostname, { ...options, all: true }, (failure, found, family) => {
      if (failure) return callback(failure, '', 0)
      const addresses = typeof found === 'string' ? [{ address: found, family: family ?? 4 }] : found
      const allowed = addresses.filter(({ address }) => isAllowed(address))
      const first = allowed[0]
      if (first === undefined) return callback(new Error('the host has no public address'), '', 0)
      return options.all ? callback(null, allowed) : callback(null, first.address, first.family)
    })

/** What speaks against an answer before its body is read. */
function headProblem({ statusCode, headers }: IncomingMessage): string | undefined {
  if (statusCode !== 200) return `expected status 200, got ${statusCode}`
  const encoding = headers['content-encoding']
  return encoding === undefined || encoding === 'identity' ? undefined : 'the answer is compressed'
}

/**
 * Fetches a key set: one GET, no redirects, no retry, a time limit and a size limit on the whole of it, and a connection
 * to a public address only: checked when the name is resolved, and again on the socket when it is connected, before
 * anything is sent. Rejects with an `Error` whose message is for operators.
 */
export function requestKeySet(url: URL, options: KeySetRequestOptions): Promise<KeySetResponse> {
  const isHttp = url.protocol === 'http:'
  // Plain http was let through for loopback alone, so nothing else may answer there.
  const asked = isHttp ? isLoopbackAddress : (options.isAllowedAddress ?? isPublicAddress)
  const isAllowed: IsAllowedAddress = (address) => asked(address) === true // a promise is no yes
  const host = hostOf(url)
  return new Promise((resolve, reject) => {
    if (isIP(host) !== 0 && !isAllowed(host)) {
      reject(new Error('the host is not a public address'))
      return
    }
    let request: ClientRequest | undefined
    let settled = false
    const settle = (conclude: () => void): void => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      conclude()
      request?.destroy()
    }
    const fail = (problem: string | Error): void =>
      settle(() => reject(typeof problem === 'string' ? new Error(problem) : problem))
    const timer = setTimeout(
      () => fail(`no complete answer within ${options.timeoutMilliseconds} ms`),
      options.timeoutMilliseconds,
    )
    const settings: RequestOptions & { ca?: KeySetRequestOptions['ca'] } = {
      agent: false,
      headers: { accept: 'application/jwk-set+json, application/json', 'accept-encoding': 'identity' },
      lookup: guardedLookup(options.lookup ?? (systemLookup as LookupFunction), isAllowed),
      maxHeaderSize: 16_384,
      ...(options.ca === undefined ? {} : { ca: options.ca }),
    }
    const receive = (response: IncomingMessage): void => {
      const problem = headProblem(response)
      if (problem !== undefined) fail(problem)
      const chunks: Buffer[] = []
      let octets = 0
      response.on('data', (chunk: Buffer) => {
        octets += chunk.length
        if (octets > options.maxBytes) fail(`the answer is larger than ${options.maxBytes} octets`)
        else chunks.push(chunk)
      })
      response.on('error', fail)
      response.on('end', () =>
        settle(() => resolve({ body: Buffer.concat(chunks), cacheControl: response.headers['cache-control'] })),
      )
      response.on('close', () => fail('the answer was cut off'))
    }
    try {
      request = isHttp ? getHttp(url, settings, receive) : getHttps(url, settings as RequestOptions, receive)
    } catch (problem) {
      fail(problem as Error)
      return
    }
    request.on('error', fail)
    request.on('socket', (socket) => {
      socket.once('connect', () => {
        const address = socket.remoteAddress
        if (address === undefined || !isAllowed(address)) fail('the connection leads to no public address')
      })
    })
  })
}
