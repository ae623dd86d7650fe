import type { Response } from './message.ts'

type Headers = Readonly<Record<string, string>>

const LATER = Symbol('headers of the answer to come')

type Prepared = Response & { [LATER]?: Headers }

/**
 * Prepares headers for the answer that `answerJson` will give: cheaper than to set them one by one beforehand.
 * `setPrepared` sets them for an answer that something else gives.
 */
export function prepare(response: Response, headers: Headers): void {
  ;(response as Prepared)[LATER] = headers
}

export function setPrepared(response: Response): void {
  const headers = (response as Prepared)[LATER]
  if (headers === undefined) return
  for (const name in headers) response.setHeader(name, headers[name] ?? '')
}

/** Answers with JSON in one write: status, headers with `Content-Length`, body. No entity tag. */
export function answerJson(response: Response, status: number, body: unknown, headers: Headers): void {
  const json = JSON.stringify(body)
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(json),
    ...(response as Prepared)[LATER],
    ...headers,
  })
  response.end(json)
}
