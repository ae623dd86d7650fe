// Serves one token request behind Express, with the server helper, and prints the outcome. Run by runtimes.test.ts.
import express from 'express'
import {
  type Client,
  createClientCredentialsExchange,
  createExpressServer,
  createTokenEndpoint,
  createTokens,
} from '../../lib/index.ts'

const client: Client = {
  client_id: 'app',
  client_secret: 'a secret of more than 32 characters',
  grant_types: ['client_credentials'],
}
const tokens = createTokens({ issuer: 'https://as.example', baseSecret: 'x'.repeat(64) })
const exchanges = [createClientCredentialsExchange({ tokens })]
const app = express()
app.use('/token', createTokenEndpoint({ findClient: async () => client, exchanges }))
const server = createExpressServer(app, { keepAliveTimeout: 1000 })
server.listen(0, '127.0.0.1', async () => {
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const response = await fetch(`http://127.0.0.1:${port}/token`, {
    method: 'POST',
    headers: { Authorization: `Basic ${btoa(`app:${encodeURIComponent(String(client.client_secret))}`)}` },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  })
  const { token_type, error } = (await response.json()) as { token_type?: string; error?: string }
  console.log(JSON.stringify([response.status, token_type ?? error]))
  process.exit(0)
})
