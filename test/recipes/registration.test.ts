import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import express from 'express'
import { createRegistration } from '../../examples/recipes/registration/registration.ts'
import { isClientDocument } from '../../lib/cimd/index.ts'

test('the recipe for dynamic registration: what is registered is found, by the checks of metadata documents', async () => {
  const stored = new Map<string, string>()
  const registrations = {
    get: async (id: string) => stored.get(id),
    set: async (id: string, json: string) => {
      stored.set(id, json)
    },
  }
  const { findClient, routes } = createRegistration(registrations, 'read')
  const server = express().use(routes).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/register`
  const register = async (body: string) => {
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const metadata = {
    client_id: 'chosen by the client',
    client_name: 'Tool',
    redirect_uris: ['http://127.0.0.1:6274/oauth/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
    trusted: true,
  }
  const { status, body } = await register(JSON.stringify(metadata))
  assert.equal(status, 201)
  assert.match(String(body['client_id']), /^[0-9a-f-]{36}$/)
  assert.deepEqual([body['client_name'], body['scope'], body['trusted']], ['Tool', 'read', undefined])
  const client = await findClient(String(body['client_id']), {})
  assert.ok(client)
  assert.deepEqual(client.redirect_uris, metadata.redirect_uris)
  assert.equal(isClientDocument(client), true)
  assert.equal(await findClient('chosen by the client', {}), undefined)
  for (const bad of [
    '',
    '[]',
    '{}',
    JSON.stringify({ ...metadata, client_secret: 'x' }),
    JSON.stringify({ ...metadata, token_endpoint_auth_method: 'client_secret_basic' }),
  ]) {
    const refused = await register(bad)
    assert.deepEqual([refused.status, refused.body['error']], [400, 'invalid_client_metadata'], bad)
  }
  assert.equal(stored.size, 1)
  server.closeAllConnections()
  server.close()
})
