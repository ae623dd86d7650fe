import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { decodeJwt } from 'jose'
import { createFormBrowser } from '../support/form_browser.ts'
import { connect, createStore, MCP_CLIENTS, type McpClient, type Store } from '../support/mcp_clients.ts'
import {
  ALICE,
  authorizationUrl,
  BOB,
  CLAUDE_CODE,
  type DocumentHost,
  type McpWorld,
  startDocumentHost,
  startMcpWorld,
} from '../support/mcp_world.ts'

const newest = MCP_CLIENTS.at(-1) as McpClient
const randomPort = (): number => 49_152 + Math.floor(Math.random() * 16_000)

describe('recipe: an application with users becomes the authorization server of its MCP server', () => {
  let documents: DocumentHost
  let clientId = ''
  before(async () => {
    documents = await startDocumentHost()
    clientId = documents.publish('/claude-code.json', CLAUDE_CODE)
  })
  after(() => documents?.close())

  for (const host of ['127.0.0.1', 'localhost'] as const) {
    describe(`on ${host}`, () => {
      let world: McpWorld
      before(async () => {
        world = await startMcpWorld(documents.options, host)
      })
      after(() => world?.close())

      const storeOf = (user = ALICE): Store => {
        const browser = createFormBrowser(world.issuer)
        const redirectUri = `http://${host}:${randomPort()}/callback`
        return createStore(clientId, redirectUri, (url) => browser.authorize(url.href, user))
      }

      for (const client of MCP_CLIENTS) {
        test(`${client.name}: from discovery to a tool call as the user who logged in`, async () => {
          for (const [user, note] of [
            [ALICE, /caterpillar/],
            [BOB, /nails/],
          ] as const) {
            const store = storeOf(user)
            const connection = await connect(client, world.resource, store)
            assert.match(await connection.call('list_notes'), note)
            await connection.close()
            const [request] = store.store.requests
            assert.equal(request?.searchParams.get('client_id'), clientId)
            assert.equal(request?.searchParams.get('resource'), world.resource)
            assert.equal(request?.searchParams.get('scope'), 'notes.read')
            const { access_token, scope } = store.store.tokens ?? { access_token: '' }
            assert.equal(scope, 'notes.read')
            assert.equal(decodeJwt(access_token).aud, world.resource)
            assert.equal(store.store.response.get('iss'), world.issuer)
          }
        })

        test(`${client.name}: a token that is no longer accepted is refreshed`, async () => {
          const store = storeOf()
          const connection = await connect(client, world.resource, store)
          const before = store.store.tokens
          assert.ok(before?.refresh_token)
          store.store.tokens = { ...before, access_token: `${before.access_token.slice(0, -20)}${'A'.repeat(20)}` }
          assert.match(await connection.call('list_notes'), /caterpillar/)
          assert.equal(store.store.requests.length, 1, 'the user is not asked again')
          assert.notEqual(store.store.tokens?.refresh_token, before.refresh_token)
          assert.deepEqual(store.store.invalidated, [])
          await connection.close()
        })

        test(`${client.name}: a tool that needs more scope is refused, and works after the user has allowed it`, async () => {
          const store = storeOf()
          const connection = await connect(client, world.resource, store)
          const note = `from ${client.name}`
          await assert.rejects(connection.call('add_note', { note }))
          if (!client.stepsUp) {
            // Version 1 tries its refresh token first, which cannot widen the scope, and gives up. Without one it asks the user.
            assert.equal(store.store.requests.length, 1)
            const { refresh_token: _, ...rest } = store.store.tokens ?? { access_token: '', token_type: '' }
            store.store.tokens = rest
            assert.match(await connection.call('list_notes'), /caterpillar/)
            await assert.rejects(connection.call('add_note', { note }))
          }
          assert.equal(store.store.requests.length, 2)
          assert.equal(store.store.requests[1]?.searchParams.get('scope'), 'notes.read notes.write')
          await connection.finishAuthorization()
          assert.equal(store.store.tokens?.scope, 'notes.read notes.write')
          assert.equal(await connection.call('add_note', { note }), 'Added.')
          assert.ok((await connection.call('list_notes')).endsWith(note))
          assert.deepEqual(store.store.invalidated, [])
          await connection.close()
        })
      }
    })
  }

  test('a client that is blocked can neither refresh nor log in, and its user sees a page', async (t) => {
    let isBlocked = false
    const world = await startMcpWorld({ ...documents.options, isAllowed: () => !isBlocked })
    t.after(() => world.close())
    const browser = createFormBrowser(world.issuer)
    const redirectUri = `http://127.0.0.1:${randomPort()}/callback`
    const store = createStore(clientId, redirectUri, (url) => browser.authorize(url.href, ALICE))
    const connection = await connect(newest, world.resource, store)
    isBlocked = true
    const body = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: store.store.tokens?.refresh_token ?? '',
      client_id: clientId,
    })
    const refresh = () => fetch(`${world.issuer}/token`, { method: 'POST', body })
    const refused = await refresh()
    assert.equal(((await refused.json()) as { error: string }).error, 'invalid_client')
    const page = await browser.visit(store.store.requests[0]?.href ?? '')
    assert.equal(page.redirectedTo, undefined)
    assert.equal(page.status, 400)
    isBlocked = false
    assert.equal((await refresh()).status, 200)
    await connection.close()
  })

  for (const client of MCP_CLIENTS)
    test(`${client.name}: keeps its tokens and bothers nobody while the host of its document is down`, async (t) => {
      const host = await startDocumentHost()
      t.after(() => host.close())
      let later = 0
      const clock = (): number => Math.floor(Date.now() / 1000) + later
      const { remote } = host.options
      const world = await startMcpWorld({
        ...host.options,
        remote: { ...remote, timeoutMilliseconds: 2000 },
        staleIfErrorSeconds: 0,
        clock,
      })
      t.after(() => world.close())
      const browser = createFormBrowser(world.issuer)
      const id = host.publish('/client.json', CLAUDE_CODE)
      const redirectUri = `http://localhost:${randomPort()}/callback`
      const store = createStore(id, redirectUri, (url) => browser.authorize(url.href, ALICE))
      const connection = await connect(client, world.resource, store)
      const before = store.store.tokens
      assert.ok(before)
      const broken = { ...before, access_token: `${before.access_token.slice(0, -20)}${'A'.repeat(20)}` }
      store.store.tokens = broken

      host.isBroken = true
      later = 3600
      await assert.rejects(connection.call('list_notes'))
      assert.deepEqual(store.store.invalidated, [])
      assert.equal(store.store.tokens, broken)
      assert.equal(store.store.requests.length, 1)

      host.isBroken = false
      later = 7200
      assert.match(await connection.call('list_notes'), /caterpillar/)
      assert.equal(store.store.requests.length, 1)
      await connection.close()
    })

  test('the MCP server rejects the access token of a session that ended', async (t) => {
    const world = await startMcpWorld(documents.options)
    t.after(() => world.close())
    const browser = createFormBrowser(world.issuer)
    const redirectUri = `http://127.0.0.1:${randomPort()}/callback`
    const store = createStore(clientId, redirectUri, (url) => browser.authorize(url.href, ALICE))
    const connection = await connect(newest, world.resource, store)
    await connection.close()
    const { access_token = '', refresh_token: token = '' } = store.store.tokens ?? {}
    const call = () =>
      fetch(world.resource, {
        method: 'POST',
        headers: {
          Authorization: `Bearer ${access_token}`,
          Accept: 'application/json, text/event-stream',
          'Content-Type': 'application/json',
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
      })
    assert.equal((await call()).status, 200)
    const body = new URLSearchParams({ token, client_id: clientId })
    assert.equal((await fetch(`${world.issuer}/revoke`, { method: 'POST', body })).status, 200)
    const refused = await call()
    assert.equal(refused.status, 401)
    assert.match(refused.headers.get('www-authenticate') ?? '', /error="invalid_token".*resource_metadata="/)
  })

  test('prompt=login shows the login of the application again, and the request goes on', async (t) => {
    const world = await startMcpWorld(documents.options)
    t.after(() => world.close())
    const browser = createFormBrowser(world.issuer)
    const url = authorizationUrl(world, {
      client_id: clientId,
      redirect_uri: 'http://localhost:50000/callback',
      state: 's',
      prompt: 'login',
    })
    assert.ok((await browser.authorize(url, ALICE)).searchParams.get('code'))
    const again = await browser.visit(url)
    assert.ok(
      again.forms.some(({ fields }) => 'password' in fields),
      'a logged in user has to log in again',
    )
    assert.ok((await browser.authorize(url, ALICE)).searchParams.get('code'))
  })

  test('a client that asks for a token for another resource is sent back with invalid_target', async (t) => {
    const world = await startMcpWorld(documents.options)
    t.after(() => world.close())
    const browser = createFormBrowser(world.issuer)
    const ask = (resource: string): Promise<URL> => {
      const redirect_uri = 'http://localhost:50000/callback'
      return browser.authorize(authorizationUrl(world, { client_id: clientId, redirect_uri, resource }), ALICE)
    }
    assert.equal((await ask('https://other.example/mcp')).searchParams.get('error'), 'invalid_target')
    assert.ok((await ask(`${world.resource}/`)).searchParams.get('code'), 'a slash at the end makes no difference')
    const metadata = await fetch(`${world.issuer}/.well-known/oauth-authorization-server`)
    const { protected_resources } = (await metadata.json()) as { protected_resources: unknown }
    assert.deepEqual(protected_resources, [world.resource])
  })

  test('the part that is added to the application has fewer than 150 lines', () => {
    const text = readFileSync(new URL('../../examples/recipes/mcp-users/mcp.ts', import.meta.url), 'utf8')
    assert.ok(text.split('\n').length <= 150, `${text.split('\n').length} lines`)
  })
})
