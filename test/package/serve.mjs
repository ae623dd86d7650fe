// What endpoint.mjs and endpoint.cjs do with what they imported or required.
export async function serve(parts) {
  const { assert, express, oauth2orize, passport, createAssertionVerifier, createTokens, createTokenEndpoint } = parts
  const { createClientCredentialsExchange, createMemoryStores, Strategy, createTestClient } = parts
  const issuer = 'https://op.example'
  const client = await createTestClient({ issuer, client: { grant_types: ['client_credentials'], scope: 'read' } })
  const { replayRegister } = createMemoryStores()
  const tokens = createTokens({ issuer, baseSecret: '0123456789abcdef0123456789abcdef' })
  const verifyAssertion = createAssertionVerifier({ issuer, findClient: client.findClient, replayRegister })
  passport.use(new Strategy({ verifyAssertion }))
  const exchange = createClientCredentialsExchange({ tokens })
  const server = oauth2orize.createServer()
  server.exchange(exchange)

  const app = express()
  app.use('/token', createTokenEndpoint({ server, passport, strategies: { assertion: 'client-assertion-jwt' } }))
  app.use('/fast', createTokenEndpoint({ exchanges: [exchange], findClient: client.findClient, verifyAssertion }))
  const listener = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => listener.once('listening', resolve))
  const origin = `http://127.0.0.1:${listener.address().port}`

  for (const path of ['/token', '/fast']) {
    const body = new URLSearchParams({ grant_type: 'client_credentials', ...(await client.parameters()) })
    const ask = () => fetch(origin + path, { method: 'POST', body })
    const granted = await ask()
    const token = await granted.json()
    assert.equal(granted.status, 200, JSON.stringify(token))
    assert.equal(token.token_type, 'Bearer')
    assert.equal(token.scope, 'read')
    const replayed = await ask()
    assert.equal(replayed.status, 400)
    assert.equal((await replayed.json()).error, 'invalid_client')
    assert.match(replayed.headers.get('cache-control'), /no-store/)
  }
  listener.close()
  listener.closeAllConnections()
  console.log('served')
}
