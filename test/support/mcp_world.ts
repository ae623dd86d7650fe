import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { ClientDocumentOptions } from 'passport-client-assertion-jwt/cimd'
import { createApplication } from '../../examples/recipes/mcp-users/application.ts'
import { addMcp, type McpOptions } from '../../examples/recipes/mcp-users/mcp.ts'
import { selfSigned } from './certificate.ts'
import { json, resolvingTo } from './key_server.ts'

/** A host of client metadata documents: `https://apps.example`, as far as the options know. */
export interface DocumentHost {
  /** Publishes a document and returns its URL, which is the `client_id`. `client_id` is added to it. */
  publish(path: string, document: Readonly<Record<string, unknown>>): string
  /** Publishes JSON as it is, such as a key set. */
  publishJson(path: string, value: object): string
  /** Whether every response is a 500 from now on. */
  isBroken: boolean
  /** The paths that were requested. */
  readonly requests: readonly string[]
  /** For `createClientDocuments`: the host's name, port and certificate authority. */
  readonly options: Pick<ClientDocumentOptions, 'ports' | 'remote'>
  close(): Promise<void>
}

export async function startDocumentHost(name = 'apps.example'): Promise<DocumentHost> {
  const documents = new Map<string, unknown>()
  const requests: string[] = []
  const certificate = await selfSigned([name])
  const server = createHttpsServer(certificate, (request, response) => {
    requests.push(request.url ?? '')
    const document = documents.get(request.url ?? '')
    const status = host.isBroken ? 500 : document === undefined ? 404 : 200
    json(document ?? {}, {}, status)(request, response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const host: DocumentHost = {
    isBroken: false,
    publish(path, document) {
      const url = `https://${name}:${port}${path}`
      documents.set(path, { client_id: url, ...document })
      return url
    },
    publishJson(path, value) {
      documents.set(path, value)
      return `https://${name}:${port}${path}`
    },
    requests,
    options: {
      ports: 'any',
      remote: { ca: certificate.cert, lookup: resolvingTo('127.0.0.1'), isAllowedAddress: () => true },
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return host
}

/** The recipe mcp-users, listening on a free port of `127.0.0.1` or `localhost`. */
export interface McpWorld {
  readonly issuer: string
  /** The URL of the MCP server, which is the resource. */
  readonly resource: string
  close(): Promise<void>
}

export async function startMcpWorld(
  documents: Partial<ClientDocumentOptions>,
  host: '127.0.0.1' | 'localhost' = '127.0.0.1',
  keySets: McpOptions['keySets'] = undefined,
): Promise<McpWorld> {
  const secret = '0123456789abcdef0123456789abcdef0123456789abcdef'
  const application = createApplication({ sessionSecret: secret })
  // The issuer is known only when something listens, and the recipe wants to know it from the start.
  const server = createServer((request: IncomingMessage, response: ServerResponse) =>
    application.app(request, response),
  ).listen(0, host)
  await once(server, 'listening')
  const issuer = `http://${host}:${(server.address() as AddressInfo).port}`
  addMcp(application, { issuer, baseSecret: secret, documents, keySets })
  return {
    issuer,
    resource: `${issuer}/mcp`,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Claude Code's document, as it is published: public, both loopback forms, no port, no `application_type`. */
export const CLAUDE_CODE = {
  client_name: 'Claude Code',
  redirect_uris: ['http://localhost/callback', 'http://127.0.0.1/callback'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: 'none',
}

/** An authorization request to the server of the world, with PKCE; more parameters, or others instead of these. */
export function authorizationUrl(
  world: Pick<McpWorld, 'issuer' | 'resource'>,
  parameters: Readonly<Record<string, string>>,
): string {
  const url = new URL(`${world.issuer}/authorize`)
  url.search = new URLSearchParams({
    response_type: 'code',
    scope: 'notes.read',
    resource: world.resource,
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
    ...parameters,
  }).toString()
  return url.href
}

export const ALICE = { username: 'alice', password: 'wonderland' }
export const BOB = { username: 'bob', password: 'builder' }
