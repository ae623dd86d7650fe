import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { importJWK, type JWK } from 'jose'
import * as openid from 'openid-client'
import { createMemoryStores } from 'passport-client-assertion-jwt/stores/memory'
import { createTestClient, type TestClient } from 'passport-client-assertion-jwt/testing'
import { createApplication } from '../../examples/recipes/fastify/server.ts'

describe('recipe: Fastify through its Express plugin', () => {
  let issuer = ''
  let client: TestClient
  let application: FastifyInstance | undefined
  let stop = (): void => undefined

  before(async () => {
    // The issuer is known only when something listens, and the recipe wants to know it from the start.
    const server = createServer((request, response) => application?.routing(request, response))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    client = await createTestClient({ issuer, client: { grant_types: ['client_credentials'], scope: 'read write' } })
    const { replayRegister, sessionStore } = createMemoryStores()
    const baseSecret = '0123456789abcdef0123456789abcdef'
    application = await createApplication({
      issuer,
      baseSecret,
      findClient: client.findClient,
      replayRegister,
      sessionStore,
    })
    await application.ready()
    stop = () => {
      server.close()
      server.closeAllConnections()
    }
  })
  after(async () => {
    stop()
    await application?.close()
  })

  const configuration = async (): Promise<openid.Configuration> => {
    const key = (await importJWK({ ...client.privateJwk } as JWK, 'ES256')) as openid.CryptoKey
    const kid = String(client.privateJwk?.['kid'])
    return openid.discovery(new URL(issuer), client.client_id, undefined, openid.PrivateKeyJwt({ key, kid }), {
      execute: [openid.allowInsecureRequests],
      algorithm: 'oauth2',
    })
  }

  test('openid-client gets a token with private_key_jwt, introspects it and revokes it', async () => {
    const config = await configuration()
    const granted = await openid.clientCredentialsGrant(config, { scope: 'read' })
    assert.equal(granted.scope, 'read')
    assert.equal((await openid.tokenIntrospection(config, granted.access_token)).active, true)
    await openid.tokenRevocation(config, granted.access_token)
    assert.equal((await openid.tokenIntrospection(config, granted.access_token)).active, false)
  })

  test("errors are the package's, not Fastify's", async () => {
    const send = (init: RequestInit): Promise<Response> => fetch(`${issuer}/token`, { method: 'POST', ...init })
    const json = await send({ body: '{}', headers: { 'Content-Type': 'application/json' } })
    assert.equal(json.status, 415)
    assert.equal(((await json.json()) as { error: string }).error, 'invalid_request')
    const none = await send({ body: new URLSearchParams({ grant_type: 'client_credentials' }) })
    assert.equal(none.status, 400)
    assert.equal(((await none.json()) as { error: string }).error, 'invalid_client')
    assert.match(none.headers.get('cache-control') ?? '', /no-store/)
    const get = await fetch(`${issuer}/token`)
    assert.equal(get.status, 405)
  })

  test("other routes stay Fastify's", async () => {
    assert.equal((await fetch(`${issuer}/nowhere`)).status, 404)
    const { keys } = (await (await fetch(`${issuer}/jwks`)).json()) as { keys: unknown[] }
    assert.equal(keys.length, 1)
  })
})
