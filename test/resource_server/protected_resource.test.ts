import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import express from 'express'
import express4 from 'express4'
import { createDpop } from '../../lib/dpop/index.ts'
import { createProtectedResource } from '../../lib/resource_server/index.ts'
import type { ProtectedResourceOptions } from '../../lib/resource_server/protected_resource.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'

const ISSUER = 'https://as.example'

test('RS17: the document is at the path-inserted well-known place, and at the root for a resource at the root', () => {
  const places = {
    'https://api.example': '/.well-known/oauth-protected-resource',
    'https://api.example/': '/.well-known/oauth-protected-resource',
    'https://api.example/mcp': '/.well-known/oauth-protected-resource/mcp',
    'https://api.example:8443/tenant/a/': '/.well-known/oauth-protected-resource/tenant/a',
  }
  for (const [resource, expected] of Object.entries(places)) {
    const { path, url } = createProtectedResource({ resource, issuer: ISSUER })
    assert.equal(path, expected)
    assert.equal(url, new URL(resource).origin + expected)
  }
  const { path, url } = createProtectedResource({ resource: 'https://api.example/a?tenant=1', issuer: ISSUER })
  assert.equal(path, '/.well-known/oauth-protected-resource/a')
  assert.equal(url, 'https://api.example/.well-known/oauth-protected-resource/a?tenant=1')
})

for (const [host, make] of Object.entries({
  'Express 5': express,
  'Express 4': express4 as unknown as typeof express,
  'node:http': undefined,
}))
  test(`RS17, RS18: the document as RFC 9728 has it, readable and cacheable for everybody, on ${host}`, async (t) => {
    const resource = 'https://api.example/mcp/'
    const document = createProtectedResource({
      resource,
      issuer: [ISSUER, 'https://second.example'],
      scopes: ['read', 'write'],
      name: 'Notes',
      extra: { resource: 'https://evil.example', resource_documentation: 'https://api.example/docs' },
    })
    const app = make?.().all(document.path, document.handler)
    const server = createServer((request, response) =>
      app === undefined ? document.handler(request, response) : app(request as never, response as never),
    )
    await once(server.listen(0, '127.0.0.1'), 'listening')
    t.after(() => server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${document.path}`
    const response = await fetch(url, { headers: { origin: 'https://app.example' } })
    assert.equal(response.status, 200)
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
    assert.equal(response.headers.get('access-control-allow-origin'), '*')
    assert.equal(response.headers.get('cache-control'), 'public, max-age=300')
    assert.deepEqual(await response.json(), {
      resource,
      authorization_servers: [ISSUER, 'https://second.example'],
      scopes_supported: ['read', 'write'],
      bearer_methods_supported: ['header'],
      resource_name: 'Notes',
      resource_documentation: 'https://api.example/docs',
    })
    assert.equal((await fetch(url, { method: 'OPTIONS' })).status, 204)
    assert.equal((await fetch(url, { method: 'POST' })).status, 405)
  })

test('what cannot be a configuration is a TypeError that names the option', () => {
  const good = { resource: 'https://api.example', issuer: ISSUER }
  const bad: readonly [object, RegExp][] = [
    [{ resource: 'urn:example:api' }, /'resource'/],
    [{ resource: 'https://api.example#a' }, /'resource'/],
    [{ resource: undefined }, /'resource'/],
    [{ issuer: [] }, /'issuer'/],
    [{ issuer: ['as.example'] }, /'issuer'/],
    [{ scopes: 'read' }, /'scopes'/],
    [{ scopes: ['read write'] }, /'scopes'/],
    [{ name: 7 }, /'name'/],
    [{ extra: [] }, /'extra'/],
    [{ scope: [] }, /Did you mean "scopes"/],
  ]
  for (const [options, message] of bad)
    assert.throws(() => createProtectedResource({ ...good, ...options } as never), { name: 'TypeError', message })
  for (const none of [undefined, null, 7])
    assert.throws(() => createProtectedResource(none as never), /createProtectedResource needs an object/)
})

test('DP13: the document names the algorithms of proofs, and whether tokens must be bound to a key', async (t) => {
  const { replayRegister } = createMemoryStores()
  const documentWith = async (options: Partial<ProtectedResourceOptions>) => {
    const { handler } = createProtectedResource({ resource: 'https://api.example', issuer: ISSUER, ...options })
    const server = createServer(handler)
    await once(server.listen(0, '127.0.0.1'), 'listening')
    t.after(() => server.close())
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    return (await response.json()) as Record<string, unknown>
  }
  for (const required of [true, false]) {
    const algorithms = ['ES256', 'PS256']
    const dpop = createDpop({ tokenEndpoint: `${ISSUER}/token`, replayRegister, required, algorithms })
    const document = await documentWith({ dpop })
    assert.deepEqual(document['dpop_signing_alg_values_supported'], algorithms)
    assert.equal(document['dpop_bound_access_tokens_required'], required)
  }
  assert.ok(!Object.keys(await documentWith({})).some((name) => name.startsWith('dpop')))
  assert.throws(
    () => createProtectedResource({ resource: 'https://api.example', issuer: ISSUER, dpop: {} as never }),
    /option 'dpop'/,
  )
})
