import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { PrivateKeyJwtProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js'
import { Client as McpClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { onEvent } from 'passport-client-assertion-jwt'
import { createMemoryReplayRegister } from 'passport-client-assertion-jwt/stores/memory'
import { createTestClient, type TestClient } from 'passport-client-assertion-jwt/testing'
import { createMcpServer, type ServeMcp } from '../../examples/recipes/mcp/server.ts'

/** One MCP server for each request, as the SDK wants it where there are no sessions. */
const serveMcp: ServeMcp = (request, response, clientId) => {
  const server = new McpServer({ name: 'who-am-i', version: '1.0.0' })
  server.registerTool('whoami', { description: 'Names the client.' }, () => ({
    content: [{ type: 'text', text: clientId }],
  }))
  const transport = new StreamableHTTPServerTransport()
  server
    .connect(transport as Transport)
    .then(() => transport.handleRequest(request, response))
    .catch(() => response.destroy())
}

describe('recipe: an MCP server for machines', () => {
  let origin = ''
  let client: TestClient
  let stop = (): void => undefined

  before(async () => {
    // The origin is known only when something listens, and the recipe wants to know it from the start.
    let mcp: Server | undefined
    const server = createServer((request, response) => mcp?.emit('request', request, response))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const grants = { grant_types: ['client_credentials'] }
    client = await createTestClient({ issuer: origin, clientId: 'agent', client: grants })
    const { findClient } = client
    mcp = createMcpServer({ origin, findClient, replayRegister: createMemoryReplayRegister(), serveMcp })
    stop = () => {
      server.close()
      server.closeAllConnections()
    }
  })
  after(() => stop())

  const providerFor = (clientId: string): PrivateKeyJwtProvider =>
    new PrivateKeyJwtProvider({
      clientId,
      privateKey: { ...client.privateJwk },
      algorithm: 'ES256',
      expectedIssuer: origin,
    })

  const connect = async (clientId: string): Promise<McpClient> => {
    const mcp = new McpClient({ name: 'test', version: '1.0.0' })
    const transport = new StreamableHTTPClientTransport(new URL(`${origin}/mcp`), {
      authProvider: providerFor(clientId),
    })
    await mcp.connect(transport as Transport)
    return mcp
  }

  test('the SDK finds the token endpoint, authenticates with private_key_jwt and calls a tool', async () => {
    const mcp = await connect('agent')
    const { content } = await mcp.callTool({ name: 'whoami' })
    assert.deepEqual(content, [{ type: 'text', text: 'agent' }])
    await mcp.close()
  })

  test('the SDK does not get in as a client that is not registered', async () => {
    const reasons: unknown[] = []
    const ignore = onEvent('client.refused', ({ clientId, reason }) => reasons.push(clientId, reason))
    await assert.rejects(connect('stranger'))
    ignore()
    assert.deepEqual(reasons.slice(0, 2), ['stranger', 'client_unknown'])
  })

  const ask = async (form: Record<string, string> | [string, string][]): Promise<[number, string]> => {
    const response = await fetch(`${origin}/token`, { method: 'POST', body: new URLSearchParams(form) })
    assert.match(response.headers.get('cache-control') ?? '', /no-store/)
    const { error } = (await response.json()) as { error: string }
    return [response.status, error]
  }

  test('an assertion is good once, and before the grant is looked at', async () => {
    const parameters = { ...(await client.parameters()) }
    assert.deepEqual(await ask({ ...parameters, grant_type: 'password' }), [400, 'unsupported_grant_type'])
    assert.deepEqual(await ask({ ...parameters, grant_type: 'client_credentials' }), [400, 'invalid_client'])
  })

  test('no assertion, a repeated one, an oversized body and GET are refused as OAuth says', async () => {
    assert.deepEqual(await ask({ grant_type: 'client_credentials' }), [400, 'invalid_client'])
    const twice = [...Object.entries(await client.parameters()), ['client_assertion', 'x']] as [string, string][]
    assert.deepEqual(await ask(twice), [400, 'invalid_request'])
    assert.deepEqual(await ask({ more: 'x'.repeat(70_000) }), [413, 'invalid_request'])
    const got = await fetch(`${origin}/token`)
    assert.deepEqual([got.status, got.headers.get('allow')], [405, 'POST'])
  })

  test('without a token the resource says where to get one, and a made up one is refused', async () => {
    const post = (headers: Record<string, string>) => fetch(`${origin}/mcp`, { method: 'POST', headers })
    const where = `resource_metadata="${origin}/.well-known/oauth-protected-resource/mcp"`
    const none = await post({})
    assert.deepEqual([none.status, none.headers.get('www-authenticate')], [401, `Bearer ${where}`])
    const wrong = await post({ Authorization: 'Bearer made-up' })
    assert.equal(wrong.status, 401)
    assert.match(wrong.headers.get('www-authenticate') ?? '', /^Bearer error="invalid_token"/)
    assert.ok(wrong.headers.get('www-authenticate')?.endsWith(where))
    const document = await fetch(`${origin}/.well-known/oauth-protected-resource/mcp`)
    const { resource, authorization_servers } = (await document.json()) as Record<string, unknown>
    assert.deepEqual([resource, authorization_servers], [`${origin}/mcp`, [origin]])
  })
})
