import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { extractWWWAuthenticateParams } from '@modelcontextprotocol/sdk/client/auth.js'
import { ClientCredentialsProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js'
import { Client as McpClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import express, { type RequestHandler } from 'express'
import oauth2orize from 'oauth2orize'
import {
  createClientAuthenticator,
  createClientCredentialsExchange,
  createDocumentEndpoint,
  createMetadata,
  createTokenEndpoint,
  createTokens,
  getWellKnownPaths,
  onEvent,
} from '../../lib/index.ts'
import {
  createAccessTokenVerifier,
  createProtectedResource,
  requireAccessToken,
} from '../../lib/resource_server/index.ts'

const CLIENT = {
  client_id: 'agent',
  client_secret: 'the-secret-of-the-agent-which-is-long-enough',
  grant_types: ['client_credentials'],
  scope: 'mcp notes.write',
}

test('RS12: the MCP SDK client finds the server by the challenge, and gets a wider token after a 403', async (t) => {
  const app = express()
  const server = createServer(app)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const resource = `${issuer}/mcp`

  const tokens = createTokens({ issuer, audience: resource, baseSecret: 's'.repeat(32) })
  const oauth = oauth2orize.createServer()
  oauth.exchange(createClientCredentialsExchange({ tokens }))
  const authenticateClient = createClientAuthenticator({
    findClient: (id) => (id === CLIENT.client_id ? CLIENT : undefined),
  })
  const token = createTokenEndpoint({ authenticateClient, server: oauth })
  const metadata = createMetadata({
    issuer,
    authorizationEndpoint: '/authorize',
    token: { url: '/token', endpoint: token },
  })
  app.all(getWellKnownPaths(issuer).all, createDocumentEndpoint(metadata))
  app.use('/token', token as RequestHandler)

  const document = createProtectedResource({ resource, issuer, scopes: ['mcp', 'notes.write'] })
  const verifier = createAccessTokenVerifier({ issuer, resource, keys: { tokens } })
  const canConnect = requireAccessToken(verifier, { scope: 'mcp' })
  const canWrite = requireAccessToken(verifier, { scope: 'mcp notes.write' })
  app.all(document.path, document.handler)
  app.use('/mcp', express.json(), (req, res, next) => {
    const guard = req.body?.method === 'tools/call' ? canWrite : canConnect
    guard(req, res, next)
  })
  app.post('/mcp', async (req, res) => {
    const mcp = new McpServer({ name: 'notes', version: '1.0.0' })
    mcp.registerTool('write', {}, ({ authInfo }) => ({
      content: [
        { type: 'text', text: `${authInfo?.clientId}: ${authInfo?.scopes.join(' ')} ${authInfo?.extra?.['sub']}` },
      ],
    }))
    const transport = new StreamableHTTPServerTransport()
    await mcp.connect(transport as Transport)
    await transport.handleRequest(req, res, req.body)
  })
  app.all('/mcp', (_req, res) => void res.status(405).end())

  const refused: unknown[] = []
  const issued: unknown[] = []
  t.after(onEvent('access_token.refused', ({ reason }) => refused.push(reason)))
  t.after(onEvent('token.issued', ({ scope }) => issued.push(scope)))
  const { client_id: clientId, client_secret: clientSecret } = CLIENT
  // The provider of the SDK asks for the scope it was made with. This one asks for what the last challenge named.
  let wanted: string | undefined
  const observed: typeof fetch = async (input, init) => {
    const response = await fetch(input, init)
    wanted = extractWWWAuthenticateParams(response).scope ?? wanted
    return response
  }
  const authProvider = new ClientCredentialsProvider({ clientId, clientSecret, expectedIssuer: issuer })
  const prepare = authProvider.prepareTokenRequest.bind(authProvider)
  authProvider.prepareTokenRequest = () => prepare(wanted)
  const client = new McpClient({ name: 'test', version: '1.0.0' })
  await client.connect(
    new StreamableHTTPClientTransport(new URL(resource), { authProvider, fetch: observed }) as Transport,
  )
  const { content } = await client.callTool({ name: 'write' })
  await client.close()
  assert.deepEqual(content, [{ type: 'text', text: 'agent: mcp notes.write agent' }])
  assert.deepEqual(refused, ['token_missing', 'scope_insufficient'])
  assert.deepEqual(issued, ['mcp', 'mcp notes.write'])
})
