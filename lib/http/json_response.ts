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

const LENGTH = 'Content-Length'

// What the answer before this one had, nearly always the same: to copy one object is much cheaper than to join two.
let lastPrepared: Headers | undefined
let lastHeaders: Headers | undefined
let lastHead: Record<string, string | number> = {}

function headOf(prepared: Headers | undefined, headers: Headers): Record<string, string | number> {
  if (prepared !== lastPrepared || headers !== lastHeaders) {
    lastPrepared = prepared
    lastHeaders = headers
    lastHead = { 'Content-Type': 'application/json; charset=utf-8', [LENGTH]: 0, ...prepared, ...headers }
  }
  return { ...lastHead }
}

/**
 * Answers with JSON in one write: status, headers with `Content-Length`, body. No entity tag. `headers` replace those of
 * the same name that were prepared. Neither object changes afterwards.
 */
export function answerJson(
  response: Response,
  status: number,
  body: unknown,
  headers: Headers,
  prepared: Headers | undefined = (response as Prepared)[LATER],
): void {
  const json = JSON.stringify(body)
  const head = headOf(prepared, headers)
  head[LENGTH] = Buffer.byteLength(json)
  response.writeHead(status, head)
  response.end(json)
}
