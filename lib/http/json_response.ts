import type { Response } from './message.ts'

type Headers = Readonly<Record<string, string>>

const LATER = Symbol('headers of the answer to come')

/** Headers for an answer of `answerJson`, and for an answer that something else gives. */
interface PreparedHeaders {
  readonly ours: Headers
  readonly foreign: Headers
}

type Prepared = Response & { [LATER]?: PreparedHeaders }

/**
 * Prepares headers for the answer that `answerJson` will give: cheaper than to set them one by one beforehand.
 * `setPrepared` sets those for an answer that something else gives.
 */
export function prepare(response: Response, headers: PreparedHeaders): void {
  ;(response as Prepared)[LATER] = headers
}

export function setPrepared(response: Response): void {
  const headers = (response as Prepared)[LATER]?.foreign
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
    lastHead = { 'Content-Type': 'application/json; charset=utf-8', [LENGTH]: 0, ...prepared, ...headers }
    lastPrepared = prepared
    lastHeaders = headers
  }
  return { ...lastHead }
}

/**
 * Answers with JSON in one write: status, headers with `Content-Length`, body. No entity tag. `headers` replace those of
 * the same name that were prepared. Neither object may change afterwards.
 */
export function answerJson(
  response: Response,
  status: number,
  body: unknown,
  headers: Headers,
  prepared: Headers | undefined = (response as Prepared)[LATER]?.ours,
): void {
  const json = JSON.stringify(body)
  const head = headOf(prepared, headers)
  head[LENGTH] = Buffer.byteLength(json)
  response.writeHead(status, head)
  response.end(json)
}
