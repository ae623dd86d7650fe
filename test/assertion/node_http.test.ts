import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { allowInsecureRequests, ClientSecretJwt, clientCredentialsGrantRequest, PrivateKeyJwt } from 'oauth4webapi'
import { createAssertionVerifier } from '../../lib/assertion/verify.ts'
import type { Client } from '../../lib/client.ts'
import { OAuthError } from '../../lib/errors.ts'
import { createMemoryReplayRegister } from '../../lib/stores/memory.ts'
import { SECRET, sharedKey } from '../support/assertions.ts'

test('in a plain node:http server, without any framework, real clients get in and a replay does not', async () => {
  const key = await sharedKey('ES256')
  const clients: Record<string, Client> = {
    signs: {
      client_id: 'signs',
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [{ ...key.jwk, kid: 'k' }] },
    },
    macs: { client_id: 'macs', token_endpoint_auth_method: 'client_secret_jwt', client_secret: SECRET },
  }
  const bodies: string[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks).toString()
    bodies.push(body)
    response.setHeader('content-type', 'application/json')
    try {
      const { client } = await verify(Object.fromEntries(new URLSearchParams(body)), { request })
      response.end(JSON.stringify({ access_token: `for ${client.client_id}`, token_type: 'Bearer' }))
    } catch (error) {
      const { status, code } = error as OAuthError
      response.writeHead(error instanceof OAuthError ? status : 500).end(JSON.stringify({ error: code }))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const verify = createAssertionVerifier({
    issuer,
    findClient: (id) => clients[id],
    replayRegister: createMemoryReplayRegister(),
  })
  try {
    const as = { issuer, token_endpoint: `${issuer}/token` }
    const { privateKey } = key
    const imported = await crypto.subtle.importKey(
      'pkcs8',
      privateKey.export({ type: 'pkcs8', format: 'der' }),
      { name: 'ECDSA', namedCurve: 'P-256' },
      false,
      ['sign'],
    )
    for (const [client_id, method] of [
      ['signs', PrivateKeyJwt({ key: imported, kid: 'k' })],
      ['macs', ClientSecretJwt(SECRET)],
    ] as const) {
      const answer = await clientCredentialsGrantRequest(
        as,
        { client_id },
        method,
        {},
        { [allowInsecureRequests]: true },
      )
      assert.deepEqual(await answer.json(), { access_token: `for ${client_id}`, token_type: 'Bearer' })
      const again = await fetch(as.token_endpoint, { method: 'POST', body: new URLSearchParams(bodies.at(-1)) })
      assert.deepEqual([again.status, await again.json()], [400, { error: 'invalid_client' }])
      const twice = await fetch(as.token_endpoint, {
        method: 'POST',
        body: new URLSearchParams(bodies.at(-1)),
        headers: { authorization: 'Basic YTpi' },
      })
      assert.deepEqual([twice.status, await twice.json()], [400, { error: 'invalid_request' }])
    }
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
