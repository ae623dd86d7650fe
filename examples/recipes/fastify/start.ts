// Starts the recipe. docs/recipes.md says how, and which variables it reads.
import type { Client } from 'passport-client-assertion-jwt'
import { createMemoryStores } from 'passport-client-assertion-jwt/stores/memory'
import { createApplication } from './server.ts'

const port = Number(process.env['PORT'] ?? 3000)
const issuer = `http://localhost:${port}`
const clients = JSON.parse(process.env['CLIENTS'] ?? '[]') as Client[] // your database
const { replayRegister, sessionStore } = createMemoryStores() // with more than one process: Redis or PostgreSQL

const application = await createApplication({
  issuer,
  baseSecret: process.env['BASE_SECRET'] ?? '',
  findClient: (clientId) => clients.find(({ client_id }) => client_id === clientId),
  replayRegister,
  sessionStore,
})
await application.listen({ port })
console.log(`Listening at ${issuer}`)
