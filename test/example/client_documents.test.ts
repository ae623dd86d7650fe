import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach, describe, test } from 'node:test'
import { createTestClient } from '../../lib/testing/index.ts'
import { document, minimal } from '../support/document_host.ts'
import { type RunningExample, runExample, startExample } from '../support/example.ts'
import { ALICE, USERS } from '../support/example_clients.ts'
import { createFormBrowser, type FormBrowser, type Visit } from '../support/form_browser.ts'
import { newPkce } from '../support/pkce.ts'

const REGISTERED = {
  client_id: 'registered',
  client_name: 'Registered',
  token_endpoint_auth_method: 'none',
  redirect_uris: ['http://127.0.0.1/cb'],
  scope: 'profile email',
}
const { challenge, verifier } = newPkce()

/** Documents on 127.0.0.1, by plain http. */
const documents = new Map<string, ReturnType<typeof document>>()
let host: Server
let at: string

before(async () => {
  host = createServer((request, response) => {
    const answer = documents.get(request.url ?? '')
    if (answer === undefined) response.writeHead(404).end()
    else answer(request, response)
  }).listen(0, '127.0.0.1')
  await once(host, 'listening')
  at = `http://127.0.0.1:${(host.address() as AddressInfo).port}`
})
after(() => {
  host.closeAllConnections()
  host.close()
})
beforeEach(() => documents.clear())

/** Publishes the minimal document with these members. Each path is used once: documents are kept. */
let paths = 0
function publish(members: object = {}): string {
  const path = `/client-${++paths}.json`
  documents.set(path, document(minimal(at + path, members)))
  return at + path
}

const start = (environment: Record<string, string>) =>
  startExample({ clients: [REGISTERED], users: USERS, environment })
const metadataOf = async (example: RunningExample): Promise<Record<string, unknown>> => {
  const response = await fetch(`${example.url}/.well-known/oauth-authorization-server`)
  return (await response.json()) as Record<string, unknown>
}
const urlOf = (example: RunningExample, parameters: Record<string, string>): string => {
  const all = {
    response_type: 'code',
    redirect_uri: 'https://app.test/callback',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    state: 's',
    ...parameters,
  }
  return `${example.url}/authorize?${new URLSearchParams(all)}`
}

test('CLIENT_DOCUMENTS is on or off', async () => {
  const { status, stderr } = await runExample({ environment: { CLIENT_DOCUMENTS: 'yes' } })
  assert.equal(status, 1)
  assert.match(stderr, /^CLIENT_DOCUMENTS: must be one of on, off/m)
})

describe('without CLIENT_DOCUMENTS', () => {
  let example: RunningExample
  before(async () => {
    example = await start({})
  })
  after(() => example?.stop())

  test('CD44: a document is not read, and the flag is absent', async () => {
    let requests = 0
    documents.set('/client.json', (request, response) => {
      requests += 1
      document(minimal(`${at}/client.json`))(request, response)
    })
    const response = await fetch(urlOf(example, { client_id: `${at}/client.json` }), { redirect: 'manual' })
    assert.equal(response.status, 400)
    assert.equal(Object.hasOwn(await metadataOf(example), 'client_id_metadata_document_supported'), false)
    assert.equal(requests, 0)
  })
})

describe('with an https issuer', () => {
  let example: RunningExample
  before(async () => {
    example = await start({ CLIENT_DOCUMENTS: 'on', ISSUER: 'https://op.example' })
  })
  after(() => example?.stop())

  test('CD6: http: and loopback hosts are not accepted, and not connected to', async () => {
    let requests = 0
    documents.set('/client.json', (_, response) => {
      requests += 1
      response.end()
    })
    for (const client_id of [
      `${at}/client.json`,
      `${at.replace('http:', 'https:')}/client.json`,
      `${at.replace('127.0.0.1', 'localhost')}/client.json`,
    ]) {
      const response = await fetch(urlOf(example, { client_id }), { redirect: 'manual' })
      assert.equal(response.status, 400, client_id)
    }
    assert.equal(requests, 0)
    assert.equal((await metadataOf(example))['client_id_metadata_document_supported'], true)
  })
})

describe('with CLIENT_DOCUMENTS=on', () => {
  let example: RunningExample
  let browser: FormBrowser
  before(async () => {
    example = await start({ CLIENT_DOCUMENTS: 'on' })
  })
  after(() => example?.stop())
  beforeEach(() => {
    browser = createFormBrowser(example.url)
  })

  const post = (path: string, body: Record<string, string>) =>
    fetch(example.url + path, { method: 'POST', body: new URLSearchParams(body) })
  const logIn = async (url: string): Promise<Visit> => browser.submit(await browser.visit(url), '/login', ALICE)
  const textOf = ({ text }: Visit): string => text.slice(text.indexOf('<main>')).replace(/<[^>]+>/g, '')

  test('CD44: the metadata has the flag, the methods and the algorithms', async () => {
    const metadata = await metadataOf(example)
    assert.equal(metadata['client_id_metadata_document_supported'], true)
    const methods = metadata['token_endpoint_auth_methods_supported'] as string[]
    assert.ok(methods.includes('none') && methods.includes('private_key_jwt'))
    assert.ok((metadata['token_endpoint_auth_signing_alg_values_supported'] as string[]).includes('RS256'))
  })

  test('CD43 CD30: the consent page names both hosts and calls the name self-given; every supported scope may be asked for', async () => {
    const client_id = publish({ client_name: 'Notes <b>' })
    const page = await logIn(urlOf(example, { client_id }))
    assert.equal(page.status, 200)
    const text = textOf(page)
    assert.match(text, /Allow Notes &lt;b&gt;\?/)
    assert.match(text, /The app chose this name itself\. Nobody has checked it\. It comes from 127\.0\.0\.1:\d+\./)
    assert.match(text, /you continue to app\.test\./)
    assert.doesNotMatch(text, /runs on your device/)
    for (const scope of ['profile', 'email']) assert.match(text, new RegExp(scope))
  })

  test('CD43: the login page names the host of the document, not its name', async () => {
    const page = await browser.visit(urlOf(example, { client_id: publish({ client_name: 'Your Bank' }) }))
    assert.match(textOf(page), /to continue to 127\.0\.0\.1:\d+/)
    assert.doesNotMatch(page.text, /Your Bank/)
  })

  test('CD42 CD43 RU1: a loopback client is warned about, and asked for each time, on any port', async () => {
    const client_id = publish({
      client_name: 'Tool',
      redirect_uris: ['http://localhost/callback', 'http://127.0.0.1/callback'],
    })
    for (const redirect_uri of [
      'http://localhost:49152/callback',
      'http://127.0.0.1:50001/callback',
      'http://127.0.0.1/callback',
    ]) {
      const page = await (browser.cookies.size === 0 ? logIn : browser.visit)(
        urlOf(example, { client_id, redirect_uri }),
      )
      const text = textOf(page)
      assert.match(text, /The app runs on your device\. Any program on your device can pose as it/)
      assert.ok(text.includes(`you continue to ${new URL(redirect_uri).host}.`))
      const { redirectedTo } = await browser.submit(page, '/decision', {}, 'allow')
      assert.equal(redirectedTo?.origin + (redirectedTo?.pathname ?? ''), redirect_uri)
      const response = await post('/token', {
        grant_type: 'authorization_code',
        code: redirectedTo?.searchParams.get('code') ?? '',
        client_id,
        redirect_uri,
        code_verifier: verifier,
      })
      assert.equal(response.status, 200, await response.clone().text())
    }
    for (const redirect_uri of ['http://[::1]:1/callback', 'http://localhost:1/other', 'http://localhost:1/callback?a'])
      assert.equal((await browser.visit(urlOf(example, { client_id, redirect_uri }))).status, 400, redirect_uri)
  })

  test('CD40: a document that cannot be read is a 503 at every endpoint', async () => {
    const client_id = `${at}/broken.json`
    documents.set('/broken.json', document('', {}, 500))
    const page = await browser.visit(urlOf(example, { client_id }))
    assert.equal(page.status, 503)
    const response = await post('/token', { grant_type: 'refresh_token', refresh_token: 'x', client_id })
    assert.equal(response.status, 503)
    assert.equal(response.headers.get('retry-after'), '5')
    assert.equal(((await response.json()) as { error: string }).error, 'temporarily_unavailable')
  })

  test('CD11: a document that is refused is a 400 page, and invalid_client at the token endpoint; one that is missing is 503 there', async () => {
    const client_id = `${at}/secret.json`
    documents.set('/secret.json', document(minimal(client_id, { client_secret: 'x' })))
    for (const [id, sentence, status, error] of [
      [client_id, /metadata document of the application is not accepted/, 400, 'invalid_client'],
      [`${at}/missing.json`, /no metadata document at the client_id/, 503, 'temporarily_unavailable'],
    ] as const) {
      const response = await fetch(urlOf(example, { client_id: id }), { redirect: 'manual' })
      assert.equal(response.status, 400)
      assert.equal(response.headers.get('location'), null)
      assert.match(await response.text(), sentence)
      const refused = await post('/token', { grant_type: 'refresh_token', refresh_token: 'x', client_id: id })
      assert.equal(refused.status, status)
      assert.equal(((await refused.json()) as { error: string }).error, error)
    }
  })

  test('CD22 CD41: a client with keys must use them, and may not introspect', async () => {
    const path = `/client-${++paths}.json`
    const tester = await createTestClient({ issuer: example.url, client: { client_id: at + path } })
    documents.set(
      path,
      document(
        minimal(at + path, {
          token_endpoint_auth_method: 'private_key_jwt',
          jwks: tester.client.jwks,
          grant_types: ['authorization_code', 'refresh_token'],
        }),
      ),
    )
    const unproven = await post('/token', { grant_type: 'refresh_token', refresh_token: 'x', client_id: at + path })
    assert.equal(((await unproven.json()) as { error: string }).error, 'invalid_client')
    const proven = await post('/token', {
      grant_type: 'refresh_token',
      refresh_token: 'x',
      ...(await tester.parameters()),
    })
    assert.equal(((await proven.json()) as { error: string }).error, 'invalid_grant')
    const introspection = await post('/introspect', { token: 'x', ...(await tester.parameters()) })
    assert.equal(((await introspection.json()) as { error: string }).error, 'invalid_client')
  })

  test('CD1: registered clients are as before', async () => {
    const page = await logIn(urlOf(example, { client_id: 'registered', redirect_uri: 'http://127.0.0.1:1/cb' }))
    const text = textOf(page)
    assert.match(text, /Allow Registered\?/)
    assert.doesNotMatch(text, /chose this name|runs on your device/)
  })
})
