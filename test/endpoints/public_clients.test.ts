// RFC 6749 §4.4: a token for the client itself is for confidential clients, also if an exchange of the application issues it.
import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { test } from 'node:test'
import oauth2orize from 'oauth2orize'
import { type Client, createTokenEndpoint, type FindClient } from '../../lib/index.ts'
import { basicHeader, listen, type Posted, post } from '../support/token_route.ts'

const GRANTS = ['client_credentials', 'voucher']
const CLIENTS: readonly Client[] = [
  { client_id: 'phone', token_endpoint_auth_method: 'none', grant_types: GRANTS },
  { client_id: 'tablet', token_endpoint_auth_method: 'none', client_secret: 'x', grant_types: GRANTS },
  { client_id: 'job', client_secret: 'x', grant_types: GRANTS },
]
const findClient: FindClient = (clientId) => CLIENTS.find((client) => client.client_id === clientId)

/** A server whose exchange for client credentials is oauth2orize's own, and counts. */
function foreignServer() {
  const server = oauth2orize.createServer()
  const issued: unknown[] = []
  server.exchange(
    oauth2orize.exchange.clientCredentials((client: unknown, done: (error: null, token: string) => void) => {
      issued.push(client)
      done(null, 'a token')
    }),
  )
  return { server, issued }
}

async function ask(handler: RequestListener, form: Record<string, string>, headers?: Record<string, string>) {
  const route = await listen(createServer(handler))
  try {
    return await post(route.url, { grant_type: 'client_credentials', ...form }, headers)
  } finally {
    await route.close()
  }
}

const outcome = ({ status, json }: Posted): unknown[] => [status, json?.error]
const REFUSED = [400, 'unauthorized_client']

test("T69: the token endpoint refuses client_credentials of a public client before oauth2orize's own exchange runs", async () => {
  const { server, issued } = foreignServer()
  const endpoint = createTokenEndpoint({ server, findClient })
  assert.deepEqual(outcome(await ask(endpoint, { client_id: 'phone' })), REFUSED)
  assert.deepEqual(outcome(await ask(endpoint, { client_id: 'tablet', client_secret: 'x' })), REFUSED)
  assert.deepEqual(issued, [])
  const header = { Authorization: basicHeader('job', 'x') }
  assert.equal((await ask(endpoint, {}, header)).status, 200)
  assert.equal(issued.length, 1)
})

test('T69: so it does with exchanges of the application, for this grant and no other', async () => {
  const ran: string[] = []
  const exchanges = GRANTS.map((grantType) => ({
    grantType,
    run: async () => {
      ran.push(grantType)
      return { access_token: 'a token', token_type: 'Bearer' as const }
    },
  }))
  const endpoint = createTokenEndpoint({ exchanges, findClient })
  assert.deepEqual(outcome(await ask(endpoint, { client_id: 'phone' })), REFUSED)
  assert.deepEqual(ran, [])
  assert.equal((await ask(endpoint, { client_id: 'phone', grant_type: 'voucher' })).status, 200)
})

test('T69: so it does for the record of a strategy that says neither method nor grant types', async () => {
  const { server, issued } = foreignServer()
  const publicClient = {
    name: 'own',
    authenticate(this: { success(user: object): void }) {
      this.success({ id: 5 })
    },
  }
  const endpoint = createTokenEndpoint({ server, strategies: { publicClient } })
  assert.deepEqual(outcome(await ask(endpoint, { client_id: 'phone' })), REFUSED)
  assert.deepEqual(issued, [])
})

test('T69: with enforceGrantTypes: false the exchange of the application decides', async () => {
  const { server, issued } = foreignServer()
  const endpoint = createTokenEndpoint({ server, findClient, enforceGrantTypes: false })
  assert.equal((await ask(endpoint, { client_id: 'phone' })).status, 200)
  assert.equal(issued.length, 1)
})
