// Starts the recipe with one tool, which names the client that calls it. docs/recipes.md says how, and which variables it reads.
import { toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import type { Client } from 'passport-client-assertion-jwt'
import { createMemoryReplayRegister } from 'passport-client-assertion-jwt/stores/memory'
import { createMcpServer } from './server.ts'

const port = Number(process.env['PORT'] ?? 3000)
const origin = `http://localhost:${port}`
const clients = JSON.parse(process.env['CLIENTS'] ?? '[]') as Client[] // your database

const handleMcp = toNodeHandler(
  createMcpHandler(({ authInfo }) => {
    const server = new McpServer({ name: 'who-am-i', version: '1.0.0' })
    server.registerTool('whoami', { description: 'Names the client.' }, () => ({
      content: [{ type: 'text', text: authInfo?.clientId ?? '' }],
    }))
    return server
  }),
)
const server = createMcpServer({
  origin,
  findClient: (clientId) => clients.find(({ client_id }) => client_id === clientId),
  replayRegister: createMemoryReplayRegister(), // with more than one process: Redis or PostgreSQL
  serveMcp: (request, response) => void handleMcp(request as Parameters<typeof handleMcp>[0], response),
})
server.listen(port, () => console.log(`Listening at ${origin}, MCP at ${origin}/mcp`))
