import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import express from 'express'
import oauth2orize from 'oauth2orize'
import type { Client } from '../../lib/client.ts'
import { createTokenEndpoint } from '../../lib/endpoints/token.ts'
import { clientCredentials } from '../../lib/exchanges/client_credentials.ts'
import { toOauth2orize } from '../../lib/oauth2orize/to_oauth2orize.ts'
import { createTokens } from '../../lib/token/token_set.ts'

const client: Client = {
  client_id: 'machine',
  client_secret: 'x'.repeat(40),
  grant_types: ['client_credentials'],
  scope: 'read',
}

test('A25: the claims hook sees the same parameters behind oauth2orize and at the plain endpoint', async (context) => {
  const seen: unknown[] = []
  const tokens = createTokens({
    issuer: 'https://as.example',
    baseSecret: 'b'.repeat(32),
    accessTokenAlgorithm: 'HS256',
    claims: ({ parameters }) => {
      seen.push({ ...parameters })
      return {}
    },
  })
  const exchange = clientCredentials({ tokens })
  const findClient = (clientId: string) => (clientId === 'machine' ? client : undefined)
  const server = oauth2orize.createServer()
  server.exchange('client_credentials', toOauth2orize(exchange) as never)
  const app = express()
  app.use('/oauth2orize', createTokenEndpoint({ server, findClient }) as express.RequestHandler)
  app.use('/plain', createTokenEndpoint({ exchanges: [exchange], findClient }) as express.RequestHandler)
  const listening = createServer(app).listen(0, '127.0.0.1')
  await new Promise((resolve) => listening.once('listening', resolve))
  context.after(() => listening.close())
  const { port } = listening.address() as AddressInfo
  const sent = { grant_type: 'client_credentials', scope: 'read', own: 'ü &' }
  for (const path of ['/oauth2orize', '/plain']) {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`machine:${'x'.repeat(40)}`).toString('base64')}` },
      body: new URLSearchParams(sent),
    })
    assert.equal(response.status, 200, await response.text())
  }
  assert.deepEqual(seen, [sent, sent])
})
