import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { onEvent } from 'passport-client-assertion-jwt'
import {
  createFakeClock,
  createTestClient,
  testCodeStore,
  testReplayRegister,
  testSessionStore,
} from 'passport-client-assertion-jwt/testing'
import {
  createApplication,
  createTableCodeStore,
  createTableReplayRegister,
  createTableSessionStore,
} from './application.ts'

test('the application imports public names alone', () => {
  const source = readFileSync(new URL('./application.ts', import.meta.url), 'utf8')
  const imported = [...source.matchAll(/from '([^']+)'/g)].map(([, from]) => from)
  assert.deepEqual([...new Set(imported)], ['passport-client-assertion-jwt'])
})

const issuer = 'https://as.example'
const VOUCHER = 'urn:example:grant:voucher'
const tester = await createTestClient({ issuer, client: { grant_types: ['client_credentials', VOUCHER] } })
const grant_types = ['client_credentials', VOUCHER]
const { endpoint, metadata } = createApplication({
  issuer,
  stolen: new Set(['phone-7']),
  clients: [
    tester.client,
    {
      client_id: 'mesh',
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: 'CN=mesh',
      grant_types,
    },
    { client_id: 'phone', token_endpoint_auth_method: 'none', grant_types },
  ] as never,
})
/** Runs `work` against a server of the endpoint. */
async function withServer<T>(handler: typeof endpoint, work: (url: string) => Promise<T>): Promise<T> {
  const server = createServer(handler)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/token`)
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

const send = async (url: string, body: Record<string, string>, headers: Record<string, string> = {}) => {
  const response = await fetch(url, { method: 'POST', headers, body: new URLSearchParams(body) })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
const post = (body: Record<string, string>, headers?: Record<string, string>) =>
  withServer(endpoint, (url) => send(url, body, headers))

describe('a client authentication method of the application', () => {
  test('a client that is registered for tls_client_auth authenticates by the header of the proxy', async () => {
    const methods: unknown[] = []
    const stop = onEvent('client.authenticated', ({ method }) => methods.push(method))
    const { status } = await post(
      { grant_type: 'client_credentials', client_id: 'mesh' },
      { 'X-Client-Subject': 'CN=mesh' },
    )
    stop()
    assert.equal(status, 200)
    assert.deepEqual(methods, ['tls_client_auth'])
  })

  for (const [title, headers] of [
    ['another subject', { 'X-Client-Subject': 'CN=other' }],
    ['no subject', {}],
  ] as const)
    test(`${title} is invalid_client`, async () => {
      const { status, body } = await post({ grant_type: 'client_credentials', client_id: 'mesh' }, headers)
      assert.deepEqual([status, body['error']], [400, 'invalid_client'])
    })

  test('the header gives nothing to a public client: only its own record tells the two methods apart', async () => {
    const { status, body } = await post(
      { grant_type: VOUCHER, client_id: 'phone', voucher: 'spring' },
      { 'X-Client-Subject': 'CN=mesh' },
    )
    assert.deepEqual([status, body['access_token']], [200, 'voucher.phone'])
  })

  test('the metadata document lists it with the methods of the package', () => {
    assert.deepEqual(metadata['token_endpoint_auth_methods_supported'], [
      ...['private_key_jwt', 'client_secret_jwt', 'client_secret_basic', 'client_secret_post', 'none'],
      'tls_client_auth',
    ])
  })
})

describe('a grant type of the application', () => {
  test('its token_type passes as it is', async () => {
    const { status, body } = await post({ grant_type: VOUCHER, voucher: 'spring', ...(await tester.parameters()) })
    assert.equal(status, 200)
    assert.equal(body['token_type'], 'N_A')
  })

  test('its error code passes with its status', async () => {
    const { status, body } = await post({ grant_type: VOUCHER, voucher: 'none', ...(await tester.parameters()) })
    assert.deepEqual([status, body['error']], [403, 'voucher_unknown'])
  })
})

describe('an assertion check of the application', () => {
  test('it refuses before the jti is used, so that the same assertion is accepted once the device is found', async () => {
    const stolen = new Set<unknown>(['phone-9'])
    const app = createApplication({ issuer, stolen, clients: [tester.client] })
    const body = {
      grant_type: 'client_credentials',
      ...(await tester.parameters({ claims: { device: 'phone-9' } })),
    }
    const answers = await withServer(app.endpoint, async (url) => {
      const first = await send(url, body)
      stolen.clear()
      return [first, await send(url, body), await send(url, body)].map(({ status, body: { error } }) => [status, error])
    })
    assert.deepEqual(answers, [
      [400, 'invalid_client'],
      [200, undefined],
      [400, 'invalid_client'],
    ])
  })
})

const onFakeClock =
  <Store>(create: (now: () => number) => Store) =>
  () => {
    const clock = createFakeClock()
    return { store: create(clock), now: clock, waitUntil: async (time: number) => void clock.set(time) }
  }
const suites = { describe, it: test }
testReplayRegister(suites, 'a register of the application', onFakeClock(createTableReplayRegister), {
  connection: false,
})
testCodeStore(
  suites,
  'a code store of the application',
  onFakeClock((now) => createTableCodeStore(now, 50)),
  { connection: false, maximumCodesPerUser: 50 },
)
testSessionStore(suites, 'a session store of the application', onFakeClock(createTableSessionStore), {
  connection: false,
})
