import type { Response } from './message.ts'

/** Answers with JSON in one write: status, headers with `Content-Length`, body. No entity tag. */
export function answerJson(
  response: Response,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>>,
): void {
  const json = JSON.stringify(body)
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(json),
    ...headers,
  })
  response.end(json)
}
