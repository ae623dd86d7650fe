import { once } from 'node:events'
import { connect } from 'node:net'

/** An answer as it came over the wire. Header names are in lower case; repeated headers are lists. */
export interface RawAnswer {
  readonly status: number
  readonly headers: ReadonlyMap<string, readonly string[]>
  readonly body: string
  /** The body as JSON, if it is that. */
  readonly json: Readonly<Record<string, unknown>> | undefined
}

/** Sends octets as they are to a local port, and waits for one answer (no chunked ones). */
export async function sendRaw(port: number, ...octets: readonly (string | Uint8Array)[]): Promise<RawAnswer> {
  const socket = connect(port, '127.0.0.1')
  socket.setTimeout(5000, () => socket.destroy(new Error('no answer within 5 s')))
  await once(socket, 'connect')
  let received = Buffer.alloc(0)
  const answer = new Promise<RawAnswer>((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      const parsed = parseAnswer(received)
      if (parsed !== undefined) resolve(parsed)
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error(`the connection was closed after ${received.length} octets`)))
  })
  for (const part of octets) socket.write(part)
  try {
    return await answer
  } finally {
    socket.destroy()
  }
}

/** A POST request to /token with these header lines and this body, ready to be sent. */
export function rawPost(lines: readonly string[], body: string | Uint8Array = ''): Uint8Array {
  const octets = typeof body === 'string' ? Buffer.from(body, 'latin1') : body
  const head = ['POST /token HTTP/1.1', 'Host: as.example', `Content-Length: ${octets.length}`, ...lines]
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), octets])
}

export const FORM_TYPE = 'Content-Type: application/x-www-form-urlencoded'

function parseAnswer(received: Buffer): RawAnswer | undefined {
  const end = received.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const [first = '', ...lines] = received.toString('latin1', 0, end).split('\r\n')
  const status = Number(first.split(' ')[1])
  if (status === 100) return parseAnswer(received.subarray(end + 4))
  const headers = new Map<string, string[]>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    headers.set(name, [...(headers.get(name) ?? []), line.slice(colon + 1).trim()])
  }
  const length = Number(headers.get('content-length')?.[0] ?? 0)
  if (received.length < end + 4 + length) return undefined
  const body = received.toString('utf8', end + 4, end + 4 + length)
  return { status, headers, body, json: jsonOf(body) }
}

function jsonOf(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
