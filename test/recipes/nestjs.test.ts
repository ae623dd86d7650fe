import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { createTestClient, type TestClient } from 'passport-client-assertion-jwt/testing'

const tsconfig = 'test/recipes/nestjs.tsconfig.json'

describe('recipe: NestJS', () => {
  const issuer = 'https://op.example'
  let origin = ''
  let client: TestClient
  let child: ChildProcess

  before(async () => {
    client = await createTestClient({ issuer, client: { grant_types: ['client_credentials'], scope: 'read' } })
    const environment = {
      TSX_TSCONFIG_PATH: tsconfig, // Nest wants the decorators of before the standard
      ...{ PORT: '0', ISSUER: issuer, BASE_SECRET: '0123456789abcdef0123456789abcdef' },
      CLIENTS: JSON.stringify([client.client]),
    }
    child = spawn(process.execPath, ['--import', 'tsx', 'examples/recipes/nestjs/main.ts'], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    assert.ok(child.stdout)
    for await (const line of createInterface(child.stdout)) {
      origin = /http:\/\/[\w.:[\]]+/.exec(line)?.[0] ?? ''
      if (origin !== '') break
    }
    assert.notEqual(origin, '', 'the server did not start')
  })
  after(async () => {
    if (child.exitCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  })

  const post = async (path: string, form: Record<string, string>) => {
    const response = await fetch(origin + path, { method: 'POST', body: new URLSearchParams(form) })
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as Record<string, unknown>,
    }
  }

  test('compiles', () => {
    const tsc = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', tsconfig], { encoding: 'utf8' })
    assert.equal(tsc.status, 0, tsc.stdout)
  })

  test('the mounted token endpoint issues a token, once for each assertion', async () => {
    const form = { grant_type: 'client_credentials', ...(await client.parameters()) }
    const granted = await post('/token', form)
    assert.deepEqual([granted.status, granted.body['scope']], [200, 'read'])
    const again = await post('/token', form)
    assert.deepEqual([again.status, again.body['error']], [400, 'invalid_client'])
    assert.match(again.headers.get('cache-control') ?? '', /no-store/)
  })

  test('a guarded endpoint knows the client and how it authenticated', async () => {
    const audience = `${issuer}/requests`
    const accepted = await post('/requests', { ...(await client.parameters({ audience, header: { typ: 'JWT' } })) })
    assert.deepEqual(
      [accepted.status, accepted.body],
      [201, { accepted_from: 'test-client', method: 'private_key_jwt' }],
    )
  })

  test('a guarded endpoint refuses as OAuth does: a forged assertion, a replayed one, none', async () => {
    const once = { ...(await client.parameters()) }
    assert.equal((await post('/requests', once)).status, 201)
    const forged = { ...(await client.parameters({ foreignKey: true })) }
    for (const form of [once, forged, { request: 'x' }]) {
      const refused = await post('/requests', form)
      assert.deepEqual([refused.status, refused.body['error']], [400, 'invalid_client'])
      assert.match(refused.headers.get('cache-control') ?? '', /no-store/)
    }
  })

  test('an assertion that was spent at one endpoint is spent at the other', async () => {
    const parameters = { ...(await client.parameters()) }
    assert.equal((await post('/requests', parameters)).status, 201)
    assert.equal((await post('/token', { grant_type: 'client_credentials', ...parameters })).status, 400)
  })
})
