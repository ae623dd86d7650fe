import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { authorizationApp, pkcePair } from '../support/authorization_app.ts'
import { type DocumentHost, document, documentsOf, minimal, startDocumentHost } from '../support/document_host.ts'

let host: DocumentHost
before(async () => {
  host = await startDocumentHost()
})
after(() => host.close())

const REDIRECT_URI = 'https://app.test/callback'

test('CD33: a metadata document that demands pushed requests is honoured: plain requests are refused, pushed ones work', async () => {
  const clientId = host.url('/strict.json')
  const members = { redirect_uris: [REDIRECT_URI], require_pushed_authorization_requests: true }
  host.at.set('/strict.json', document(minimal(clientId, members)))
  const documents = documentsOf(host, { enforces: ['require_pushed_authorization_requests'] })
  const app = await authorizationApp({ pushed: {}, options: { findClient: documents.findClient() } })
  try {
    const request = {
      response_type: 'code',
      client_id: clientId,
      redirect_uri: REDIRECT_URI,
      scope: 'read',
      state: 's',
      code_challenge: pkcePair().challenge,
      code_challenge_method: 'S256',
    }
    const plain = new URL((await app.authorizeWith(request)).headers.get('location') ?? '')
    assert.deepEqual([plain.host, plain.searchParams.get('error')], ['app.test', 'invalid_request'])

    const response = await app.post('/par', request)
    assert.equal(response.status, 201)
    const { request_uri } = (await response.json()) as { request_uri: string }
    const decided = await app.decide({ client_id: clientId, request_uri })
    const arrival = new URL(decided.headers.get('location') ?? '')
    assert.equal(arrival.origin + arrival.pathname, REDIRECT_URI)
    assert.ok(arrival.searchParams.get('code'))
  } finally {
    await app.close()
  }
})

test('CD33: a demand that the server does not enforce is refused, at both endpoints', async () => {
  const clientId = host.url('/refused.json')
  const members = { redirect_uris: [REDIRECT_URI], require_pushed_authorization_requests: true }
  host.at.set('/refused.json', document(minimal(clientId, members)))
  const app = await authorizationApp({ pushed: {}, options: { findClient: documentsOf(host).findClient() } })
  try {
    const request = { response_type: 'code', client_id: clientId, redirect_uri: REDIRECT_URI }
    for (const response of [await app.authorizeWith(request), await app.post('/par', request)]) {
      assert.equal(response.status, 400)
      assert.equal(response.headers.get('location'), null)
    }
  } finally {
    await app.close()
  }
})
