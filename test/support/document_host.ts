import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { type AddressInfo, createServer as createNetServer, type LookupFunction } from 'node:net'
import { type ClientDocumentOptions, type ClientDocuments, createClientDocuments } from '../../lib/cimd/index.ts'
import { type Events, onEvent } from '../../lib/events.ts'
import { selfSigned } from './certificate.ts'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** A host of metadata documents on 127.0.0.1, under any name that its resolver knows. */
export interface DocumentHost {
  readonly port: number
  readonly ca: string
  /** Requests, each as `host path`. */
  readonly requests: string[]
  /** What is at a path; `*` for the others. */
  readonly at: Map<string, Answer>
  /** The URL of a path on `app.test`, or on another host. */
  url(path: string, host?: string): string
  /** A resolver that sends every name to this host, unless `addresses` says otherwise. */
  readonly lookup: LookupFunction
  readonly addresses: Map<string, readonly string[] | 'unknown' | 'silent'>
  /** Options for documents on this host. */
  readonly options: ClientDocumentOptions
  close(): Promise<void>
}

export const HOSTS = ['app.test', 'keys.test', 'other.test', 'chatgpt.com', 'claude.ai', 'vscode.dev', 'opencode.ai']

/** Starts the host. Its certificate is for `names`. */
export async function startDocumentHost(names: readonly string[] = HOSTS): Promise<DocumentHost> {
  const certificate = await selfSigned([...names, '*.wild.test', '127.0.0.1', 'localhost'])
  const requests: string[] = []
  const at = new Map<string, Answer>()
  const server = createServer(certificate, (request, response) => {
    requests.push(`${request.headers.host?.split(':')[0]} ${request.url}`)
    response.on('error', () => {})
    const answer = at.get(request.url ?? '') ?? at.get('*')
    if (answer === undefined) response.writeHead(404).end()
    else answer(request, response)
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const addresses: DocumentHost['addresses'] = new Map()
  const lookup: LookupFunction = (name, _options, callback) => {
    const found = addresses.get(name) ?? ['127.0.0.1']
    if (found === 'silent') return
    if (found === 'unknown') callback(Object.assign(new Error(`ENOTFOUND ${name}`), { code: 'ENOTFOUND' }), '', 0)
    else
      callback(
        null,
        found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      )
  }
  return {
    port,
    ca: certificate.cert,
    requests,
    at,
    url: (path, host = 'app.test') => `https://${host}:${port}${path}`,
    lookup,
    addresses,
    options: {
      scope: 'read write',
      ports: 'any',
      remote: {
        ca: certificate.cert,
        lookup,
        isAllowedAddress: (address) => address === '127.0.0.1',
        timeoutMilliseconds: 400,
      },
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Responds with a document: an object, or the text as it is. */
export const document =
  (content: unknown, headers: Record<string, string> = {}, status = 200): Answer =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content))
  }

/** The smallest document that is accepted. */
export const minimal = (clientId: string, more: object = {}): Record<string, unknown> => ({
  client_id: clientId,
  redirect_uris: ['https://app.test/callback'],
  ...more,
})

/** A listener on every local port of an address: it counts connections, which should be none. */
export async function startSink(
  address = '127.0.0.2',
): Promise<{ port: number; count(): number; close(): Promise<void> }> {
  let count = 0
  const server = createNetServer((socket) => {
    count += 1
    socket.destroy()
  })
  server.listen(0, address)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    count: () => count,
    async close() {
      server.close()
      await once(server, 'close')
    },
  }
}

/** A clock that stands still until it is moved. */
export function createStoppedClock(start = 1_800_000_000) {
  let now = start
  return Object.assign(() => now, {
    advance(seconds: number) {
      now += seconds
    },
  })
}

/** Documents of this host, with options of the test. */
export const documentsOf = (host: DocumentHost, options: Partial<ClientDocumentOptions> = {}): ClientDocuments =>
  createClientDocuments({
    ...host.options,
    ...options,
    remote: { ...host.options.remote, ...options.remote },
  })

/** What is published under a name while `act` runs. */
export async function eventsOf<Name extends keyof Events>(
  name: Name,
  act: () => Promise<unknown>,
): Promise<Events[Name][]> {
  const events: Events[Name][] = []
  const stop = onEvent(name, (event) => {
    events.push(event)
  })
  try {
    await act()
  } finally {
    stop()
  }
  return events
}
