import type { KeySetRequestOptions, KeySetResponse } from './key_set_request.ts'

/**
 * `requestKeySet` by a `fetch` that the application handed in: no redirects, time and size limited, status 200. Which
 * addresses it connects to is not checked here.
 */
export async function fetchKeySet(
  fetch: typeof globalThis.fetch,
  url: URL,
  { timeoutMilliseconds, maxBytes }: KeySetRequestOptions,
): Promise<KeySetResponse> {
  const abort = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no complete answer within ${timeoutMilliseconds} ms`))
      abort.abort()
    }, timeoutMilliseconds)
  })
  const exchange = async (): Promise<KeySetResponse> => {
    const response = await fetch(url.href, {
      headers: { accept: 'application/jwk-set+json, application/json' },
      redirect: 'error',
      signal: abort.signal,
    })
    if (response.redirected) throw new Error('the answer came after a redirect') // a fetch that does not heed the option
    if (response.status !== 200) throw new Error(`expected status 200, got ${response.status}`)
    const chunks: Uint8Array[] = []
    let octets = 0
    for await (const chunk of response.body ?? []) {
      octets += chunk.length
      if (octets > maxBytes) throw new Error(`the answer is larger than ${maxBytes} octets`)
      chunks.push(chunk)
    }
    return { body: Buffer.concat(chunks), cacheControl: response.headers.get('cache-control') ?? undefined }
  }
  try {
    return await Promise.race([exchange(), late])
  } finally {
    clearTimeout(timer)
    abort.abort()
  }
}
