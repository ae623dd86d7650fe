import { once } from 'node:events'
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo, LookupFunction } from 'node:net'
import { selfSigned } from './certificate.ts'

/** A server of key sets on 127.0.0.1, and what it was asked. */
export interface KeyServer {
  /** By the name `keys.test`, which only `lookup` knows, or by the address for plain http. */
  readonly url: string
  readonly ca: string | undefined
  readonly port: number
  readonly requests: readonly string[]
  /** How it answers from now on. */
  answer: (request: IncomingMessage, response: ServerResponse) => void
  close(): Promise<void>
}

/** Answers with this as JSON. */
export const json =
  (value: unknown, headers: Record<string, string> = {}, status = 200) =>
  (_: unknown, response: ServerResponse): void => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(typeof value === 'string' ? value : JSON.stringify(value))
  }

/** Name resolution that knows this address, whatever is asked for. */
export const resolvingTo =
  (...addresses: readonly string[]): LookupFunction =>
  (_hostname, _options, callback) =>
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )

/** Starts a key server; `http` without TLS. */
export async function startKeyServer(scheme: 'https' | 'http' = 'https'): Promise<KeyServer> {
  const requests: string[] = []
  const certificate = scheme === 'https' ? await selfSigned(['keys.test', '127.0.0.1']) : undefined
  const receive = (request: IncomingMessage, response: ServerResponse): void => {
    requests.push(request.url ?? '')
    response.on('error', () => {})
    running.answer(request, response)
  }
  const server = certificate === undefined ? createHttp(receive) : createHttps(certificate, receive)
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const running: KeyServer = {
    url: `${scheme}://${scheme === 'https' ? 'keys.test' : '127.0.0.1'}:${port}/jwks`,
    ca: certificate?.cert,
    port,
    requests,
    answer: json({ keys: [] }),
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return running
}
