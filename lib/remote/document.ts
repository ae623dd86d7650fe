import { type ClientRequest, get as getHttp, type IncomingMessage, type RequestOptions } from 'node:http'
import { get as getHttps } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { ignoreRejection, isPromise } from '../maybe_promise.ts'
import { type IsAllowedAddress, isLoopbackAddress, isPublicAddress } from './address.ts'
import { networkFailure, RemoteFailure } from './failure.ts'
import { getByFetch } from './fetched.ts'
import type { RemoteDocument, RemoteOptions, RemoteRequest } from './request.ts'
import { startResolution } from './resolution.ts'
import { hostOf } from './url.ts'

/** Name resolution that returns allowed addresses only, so that the address that was checked is the one connected to. */
const guardedLookup =
  (resolve: LookupFunction, isAllowed: IsAllowedAddress): LookupFunction =>
  (hostname, options, callback) => {
    const fail = (failure: unknown): void => callback(networkFailure(failure), '', 0)
    const receive = (...[failure, found, family]: Parameters<typeof callback>): void => {
      if (failure) throw failure
      const addresses = typeof found === 'string' ? [{ address: found, family: family ?? 4 }] : found
      const allowed = addresses.filter(({ address }) => isAllowed(address))
      const first = allowed[0]
      if (first === undefined) throw new RemoteFailure('address', 'the host has no public address')
      if (options.all) callback(null, allowed)
      else callback(null, first.address, first.family)
    }
    // The function may be the application's: what goes wrong in it, or with what it finds, is a failure of this request.
    const pending: unknown = resolve(hostname, { ...options, all: true }, (...given) => {
      try {
        receive(...given)
      } catch (failure) {
        fail(failure)
      }
    })
    if (isPromise(pending)) pending.then(undefined, fail)
  }

/** Returns why a response is rejected before its body is read. */
function headProblem({ statusCode, headers }: IncomingMessage, request: RemoteRequest): RemoteFailure | undefined {
  if (statusCode !== 200) return new RemoteFailure('status', `expected status 200, got ${statusCode}`, statusCode)
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity')
    return new RemoteFailure('encoding', 'the response is compressed', statusCode)
  return contentTypeProblem(headers['content-type'], request)
}

const contentTypeProblem = (contentType: string | undefined, { isContentType }: RemoteRequest) =>
  isContentType === undefined || isContentType(contentType)
    ? undefined
    : new RemoteFailure('content_type', 'the response has another Content-Type', 200)

/**
 * Fetches a document: one GET, no redirects, no retry, no compression, a time limit and a size limit on the whole of
 * it, and a connection to an allowed address only. The address is checked when the name is resolved, and again on the
 * connected socket before anything is sent. Rejects with a `RemoteFailure`.
 */
export function getDocument(url: URL, request: RemoteRequest): Promise<RemoteDocument> {
  return request.fetch === undefined ? getGuarded(url, request) : getByFetch(request.fetch, url, request)
}

function getGuarded(url: URL, options: RemoteRequest): Promise<RemoteDocument> {
  const isHttp = url.protocol === 'http:'
  // http: is accepted for the loopback interface only, so no other address may respond.
  const asked = isHttp ? isLoopbackAddress : (options.isAllowedAddress ?? isPublicAddress)
  const host = hostOf(url)
  return new Promise((resolve, reject) => {
    let request: ClientRequest | undefined
    const resolution = options.lookup === undefined ? startResolution(options.timeoutMilliseconds) : undefined
    let settled = false
    const settle = (conclude: () => void): void => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      conclude()
      request?.destroy()
      resolution?.cancel()
    }
    const fail = (failure: unknown): void => settle(() => reject(networkFailure(failure)))
    const timer = setTimeout(
      () => fail(new RemoteFailure('time', `no complete response within ${options.timeoutMilliseconds} ms`)),
      options.timeoutMilliseconds,
    )
    const isAllowed: IsAllowedAddress = (address) => {
      try {
        return ignoreRejection<unknown>(asked(address)) === true // a promise is not a yes
      } catch (failure) {
        fail(failure)
        return false
      }
    }
    if (isIP(host) !== 0 && !isAllowed(host)) {
      fail(new RemoteFailure('address', 'the host is not a public address'))
      return
    }
    const settings: RequestOptions & { ca?: RemoteOptions['ca'] } = {
      agent: false,
      headers: { accept: options.accept, 'accept-encoding': 'identity' },
      lookup: guardedLookup(resolution?.lookup ?? (options.lookup as LookupFunction), isAllowed),
      maxHeaderSize: 16_384,
      ...(options.ca === undefined ? {} : { ca: options.ca }),
    }
    const receive = (response: IncomingMessage): void => {
      const problem = headProblem(response, options)
      if (problem !== undefined) fail(problem)
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > options.maxBytes)
          fail(new RemoteFailure('size', `the response is larger than ${options.maxBytes} bytes`))
        else chunks.push(chunk)
      })
      response.on('error', fail)
      response.on('end', () =>
        settle(() => {
          const { 'cache-control': cacheControl, 'content-type': contentType } = response.headers
          resolve({ body: Buffer.concat(chunks), cacheControl, contentType })
        }),
      )
      response.on('close', () => fail(new RemoteFailure('network', 'the response was cut off')))
    }
    try {
      request = isHttp ? getHttp(url, settings, receive) : getHttps(url, settings as RequestOptions, receive)
    } catch (problem) {
      fail(problem)
      return
    }
    request.on('error', fail)
    request.on('socket', (socket) => {
      socket.once('connect', () => {
        const address = socket.remoteAddress
        if (address === undefined || !isAllowed(address))
          fail(new RemoteFailure('address', 'the connection leads to no public address'))
      })
    })
  })
}
