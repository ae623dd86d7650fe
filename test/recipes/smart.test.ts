// The SMART recipe with two clients: fhirclient in a standalone launch, and a backend service that signs with jose.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import FHIR from 'fhirclient'
import { importJWK, SignJWT } from 'jose'
import type { Client } from 'passport-client-assertion-jwt'
import { createSmartServer } from '../../examples/recipes/smart/server.ts'
import { ASSERTION_TYPE, newKey, type TestKey } from '../support/assertions.ts'
import { createFormBrowser } from '../support/form_browser.ts'
import { json, startKeyServer } from '../support/key_server.ts'

type Json = Readonly<Record<string, unknown>>

describe('recipe: SMART on FHIR', () => {
  let origin = ''
  let appUrl = ''
  let appKey: TestKey
  let serviceKey: TestKey
  const stops: (() => unknown)[] = []
  /** What fhirclient received, and the FHIR resource that it read. */
  const launched: { tokens?: Json; patient?: Json; refreshError?: string } = {}

  before(async () => {
    appKey = await newKey('ES384', 'app-key')
    serviceKey = await newKey('RS384', 'service-key')
    const keys = await startKeyServer('http')
    keys.answer = json({ keys: [appKey.jwk] })
    stops.push(() => keys.close())

    // The app: fhirclient on node:http, with a session for its one user.
    const session: Record<string, unknown> = {}
    const storage = {
      get: async (name: string) => session[name],
      set: async (name: string, value: unknown) => (session[name] = value),
      unset: async (name: string) => delete session[name],
    }
    const app = createServer(async (request, response) => {
      try {
        const smart = FHIR(request as never, response, storage as never)
        if (request.url === '/launch') {
          await smart.authorize({
            iss: `${origin}/fhir`,
            clientId: 'growth-chart',
            scope: 'launch/patient patient/Patient.rs offline_access',
            redirectUri: `${appUrl}/callback`,
            pkceMode: 'required',
            clientPublicKeySetUrl: keys.url,
            clientPrivateJwk: { ...appKey.privateJwk, alg: 'ES384' } as never,
          })
          return
        }
        const client = await smart.ready()
        launched.tokens = { ...client.state.tokenResponse } as Json
        launched.patient = (await client.patient.read()) as unknown as Json
        await client.refresh().catch((error) => (launched.refreshError = String(error)))
        response.end('done')
      } catch (error) {
        response.writeHead(500).end(String(error))
      }
    }).listen(0, '127.0.0.1')
    await once(app, 'listening')
    appUrl = `http://127.0.0.1:${(app.address() as AddressInfo).port}`
    stops.push(
      () => app.close(),
      () => app.closeAllConnections(),
    )

    const clients: readonly Client[] = [
      {
        client_id: 'growth-chart',
        client_name: 'Growth chart',
        token_endpoint_auth_method: 'private_key_jwt',
        jwks_uri: keys.url,
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: [`${appUrl}/callback`],
        scope: 'launch/patient patient/Patient.rs offline_access',
      },
      {
        client_id: 'bulk-export',
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [serviceKey.jwk] },
        grant_types: ['client_credentials'],
        scope: 'system/Patient.rs',
      },
    ]
    // The origin is known only when something listens, and the recipe wants to know it from the start.
    let handle: ReturnType<typeof createSmartServer> | undefined
    const server = createServer((request, response) => handle?.(request, response)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const keySets = { allowHttpLoopback: true }
    handle = createSmartServer({ origin, baseSecret: '0123456789abcdef0123456789abcdef', clients, keySets })
    stops.push(
      () => server.close(),
      () => server.closeAllConnections(),
    )
  })
  after(async () => {
    for (const stop of stops) await stop()
  })

  /** A client assertion by jose, as a backend service makes one. */
  const assertion = async (clientId: string, { alg, privateJwk }: TestKey): Promise<string> =>
    new SignJWT({})
      .setProtectedHeader({ alg, kid: String(privateJwk['kid']), typ: 'JWT' })
      .setIssuer(clientId)
      .setSubject(clientId)
      .setAudience(`${origin}/auth/token`)
      .setExpirationTime('4m')
      .setJti(String(Math.random()))
      .sign(await importJWK({ ...privateJwk, alg }))

  const post = async (path: string, form: Readonly<Record<string, string>>, clientId = 'bulk-export') => {
    const key = clientId === 'bulk-export' ? serviceKey : appKey
    const client = { client_assertion_type: ASSERTION_TYPE, client_assertion: await assertion(clientId, key) }
    const response = await fetch(`${origin}/auth${path}`, {
      method: 'POST',
      body: new URLSearchParams({ ...client, ...form }),
    })
    return { status: response.status, headers: response.headers, body: (await response.json()) as Json }
  }
  const read = async (id: string, token: unknown) => {
    const response = await fetch(`${origin}/fhir/Patient/${id}`, { headers: { authorization: `Bearer ${token}` } })
    return { status: response.status, body: (await response.json()) as Json }
  }

  test('SM3: fhirclient finds the endpoints by the SMART configuration', async () => {
    const response = await fetch(`${origin}/fhir/.well-known/smart-configuration`)
    const document = (await response.json()) as Json
    assert.equal(document['token_endpoint'], `${origin}/auth/token`)
    assert.equal(document['authorization_endpoint'], `${origin}/auth/authorize`)
    assert.ok(!('issuer' in document))
  })

  test('SM4: fhirclient launches standalone with asymmetric keys, and gets the chosen patient, again with each refresh', async () => {
    const launch = await fetch(`${appUrl}/launch`, { redirect: 'manual' })
    assert.equal(launch.status, 302, await launch.text())
    const browser = createFormBrowser(origin)
    const login = await browser.visit(launch.headers.get('location') ?? '')
    assert.equal(login.status, 401)
    const consent = await browser.submit(login, '/auth/login', { username: 'parent', password: 'any' })
    assert.equal(consent.status, 200, consent.text)
    const done = await browser.submit(consent, '/decision', { patient: 'p2' }, 'allow')
    assert.ok(done.redirectedTo, done.text)
    const callback = await fetch(done.redirectedTo)
    assert.equal(callback.status, 200, await callback.text())
    assert.equal(launched.tokens?.['patient'], 'p2')
    assert.equal(launched.tokens?.['expires_in'], 300)
    assert.equal(launched.tokens?.['scope'], 'launch/patient offline_access patient/Patient.rs')
    assert.equal(launched.patient?.['id'], 'p2')
    assert.equal((await read('p1', launched.tokens?.['access_token'])).status, 403)
    // fhirclient 2.6.3 does not authenticate with its key when it refreshes: an app with a key has to refresh itself
    assert.match(launched.refreshError ?? '', /invalid_client/)
    const refresh = { grant_type: 'refresh_token', refresh_token: String(launched.tokens?.['refresh_token']) }
    const refreshed = await post('/token', refresh, 'growth-chart')
    assert.equal(refreshed.status, 200, JSON.stringify(refreshed.body))
    assert.equal(refreshed.body['patient'], 'p2')
    assert.equal((await read('p2', refreshed.body['access_token'])).status, 200)
    const introspected = await post('/introspect', { token: String(refreshed.body['access_token']) })
    assert.deepEqual([introspected.body['active'], introspected.body['patient']], [true, 'p2'])
  })

  test('SM4: without a patient the launch is denied, and an aud of another server is refused', async () => {
    const launch = await fetch(`${appUrl}/launch`, { redirect: 'manual' })
    const url = new URL(launch.headers.get('location') ?? '')
    const browser = createFormBrowser(origin)
    const login = await browser.visit(url.href)
    const consent = await browser.submit(login, '/auth/login', { username: 'parent', password: 'any' })
    const denied = await browser.submit(consent, '/decision', { patient: 'p3' }, 'allow')
    assert.equal(denied.redirectedTo?.searchParams.get('error'), 'access_denied', denied.text)
    url.searchParams.set('aud', 'https://counterfeit.example/fhir')
    assert.equal((await browser.visit(url.href)).status, 400)
  })

  test('SM5: a backend service gets a token with scope for 300 seconds, uncached, and reads every patient', async () => {
    const issued = await post('/token', { grant_type: 'client_credentials', scope: 'system/Patient.rs' })
    assert.equal(issued.status, 200, JSON.stringify(issued.body))
    assert.equal(issued.headers.get('cache-control'), 'no-store')
    assert.deepEqual(
      [issued.body['token_type'], issued.body['expires_in'], issued.body['scope'], issued.body['refresh_token']],
      ['Bearer', 300, 'system/Patient.rs', undefined],
    )
    for (const id of ['p1', 'p2']) assert.equal((await read(id, issued.body['access_token'])).body['id'], id)
    const unnamed = await post('/token', { grant_type: 'client_credentials' })
    assert.equal(unnamed.body['scope'], 'system/Patient.rs')
  })

  test('what backend services get wrong is a 400 or 401, with the error of OAuth', async () => {
    for (const [form, error] of [
      [{ grant_type: 'not_a_grant' }, 'unsupported_grant_type'],
      [{ grant_type: 'client_credentials', client_assertion_type: 'not_a_type' }, 'invalid_request'],
      [{ grant_type: 'client_credentials', client_assertion: 'a.b.c' }, 'invalid_client'],
      [{ grant_type: 'client_credentials', scope: 'system/*.rs' }, 'invalid_scope'],
    ] as const) {
      const { status, body } = await post('/token', form)
      assert.ok(status === 400 || status === 401, String(status))
      assert.equal(body['error'], error, JSON.stringify(form))
    }
  })
})
