import { networkFailure, RemoteFailure } from './failure.ts'
import type { RemoteDocument, RemoteRequest } from './request.ts'

/**
 * `getDocument` by a `fetch` of the application: no redirects, limited time and size, status 200. Does not check which
 * addresses it connects to.
 */
export async function getByFetch(
  fetch: typeof globalThis.fetch,
  url: URL,
  { timeoutMilliseconds, maxBytes, accept, isContentType }: RemoteRequest,
): Promise<RemoteDocument> {
  const abort = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new RemoteFailure('time', `no complete response within ${timeoutMilliseconds} ms`))
      abort.abort()
    }, timeoutMilliseconds)
  })
  const exchange = async (): Promise<RemoteDocument> => {
    const response = await fetch(url.href, { headers: { accept }, redirect: 'error', signal: abort.signal })
    // a fetch that ignores the option
    if (response.redirected) throw new RemoteFailure('network', 'the response came after a redirect')
    const { status, headers } = response
    if (status !== 200) throw new RemoteFailure('status', `expected status 200, got ${status}`, status)
    const contentType = headers.get('content-type') ?? undefined
    if (isContentType?.(contentType) === false)
      throw new RemoteFailure('content_type', 'the response has another Content-Type', status)
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length
      if (bytes > maxBytes) throw new RemoteFailure('size', `the response is larger than ${maxBytes} bytes`)
      chunks.push(chunk)
    }
    return { body: Buffer.concat(chunks), cacheControl: headers.get('cache-control') ?? undefined, contentType }
  }
  try {
    return await Promise.race([exchange(), late])
  } catch (error) {
    throw networkFailure(error)
  } finally {
    clearTimeout(timer)
    abort.abort()
  }
}
