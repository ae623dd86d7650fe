import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { openStores } from '../../examples/stores.ts'
import {
  createAuthorizationCodeExchange,
  createMetadata,
  createRefreshTokenExchange,
  createResources,
  createTokenEndpoint,
} from '../../lib/index.ts'
import { createAccessTokenVerifier } from '../../lib/resource_server/index.ts'
import { upgradeSession } from '../../lib/session/upgrade.ts'
import { createMemoryStores, type MemoryStores } from '../../lib/stores/memory.ts'
import { authorizationApp, CLIENTS, ISSUER, pkcePair, redirected, rightRequest } from '../support/authorization_app.ts'
import { startPostgres } from '../support/postgres_server.ts'
import { postgresServer, redisServer, without } from '../support/programs.ts'
import { startRedis } from '../support/redis_server.ts'

// Resource indicators from the authorization request to the API, on two nodes that share a store.

const A = 'https://api.example/a'
const B = 'https://api.example/b'
const C = 'https://api.example/c'
const resources = createResources([{ uri: A, scopes: ['read'] }, { uri: B, scopes: ['write'] }, { uri: C }])
const { challenge, verifier } = pkcePair()
const BASIC = `Basic ${Buffer.from(`web:${'x'.repeat(40)}`).toString('base64')}`

type Form = Readonly<Record<string, string>> | readonly (readonly [string, string])[]

/** The form as it is sent: a record, or pairs for what is sent more than once. */
const encoded = (form: Form): string => new URLSearchParams(form as Record<string, string>).toString()

interface TokenAnswer {
  readonly status: number
  readonly retryAfter: string | null
  readonly body: Readonly<Record<string, string>>
}

async function startNode(context: TestContext, stores: MemoryStores) {
  const app = await authorizationApp({ stores, options: { resources }, pushed: {} })
  const { sessions, tokens } = app
  const endpoint = createTokenEndpoint({
    findClient: (clientId) => CLIENTS.find((each) => each.client_id === clientId),
    exchanges: [
      createAuthorizationCodeExchange({ codes: stores.codeStore, sessions, tokens, resources }),
      createRefreshTokenExchange({ sessions, tokens, resources }),
    ],
  })
  const server = createServer((request, response) => endpoint(request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(async () => {
    server.closeAllConnections()
    server.close()
    await app.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`
  const send = (to: string, form: Form): Promise<Response> =>
    fetch(to, {
      method: 'POST',
      headers: { authorization: BASIC, 'content-type': 'application/x-www-form-urlencoded' },
      body: encoded(form),
    })
  return {
    ...app,
    push: async (form: Form) => (await send(`${app.base}/par`, form)).json() as Promise<{ request_uri: string }>,
    async token(form: Form): Promise<TokenAnswer> {
      const response = await send(url, form)
      const body = (await response.json()) as Record<string, string>
      return { status: response.status, retryAfter: response.headers.get('retry-after'), body }
    },
    /** Which of the APIs accept an access token. */
    async acceptedBy(token: string): Promise<readonly string[]> {
      const accepted = [A, B, C].map(async (resource) => {
        const api = createAccessTokenVerifier({ issuer: ISSUER, resource, keys: { tokens, sessions } })
        return api.verify(token).then(
          ({ scopes }) => `${resource.slice(-1)}: ${scopes.join(' ')}`,
          (error: { reason: string }) => (error.reason === 'token_audience_mismatch' ? '' : error.reason),
        )
      })
      return (await Promise.all(accepted)).filter((each) => each !== '')
    },
  }
}

const request = rightRequest(challenge, { scope: 'read write' })
const redeem = (code: string): Record<string, string> => ({
  grant_type: 'authorization_code',
  code,
  redirect_uri: request['redirect_uri'] as string,
  code_verifier: verifier,
})
const refreshing = (refresh_token: string, more: Record<string, string> = {}) => ({
  grant_type: 'refresh_token',
  refresh_token,
  ...more,
})
const both: readonly (readonly [string, string])[] = [
  ['resource', `${A}/`],
  ['resource', B],
]

async function flow(context: TestContext, stores: MemoryStores, way: 'query' | 'pushed'): Promise<void> {
  const one = await startNode(context, stores)
  const two = await startNode(context, stores)
  const form = [...Object.entries(request), ...both]
  const query =
    way === 'query' ? encoded(form) : encoded({ client_id: 'web', request_uri: (await one.push(form)).request_uri })
  // one node shows the dialog, the other one takes the form
  const dialog = (await (await two.authorizeWith(query)).json()) as { transaction_id: string; resources: string[] }
  assert.deepEqual(dialog.resources, [A, B])
  const code = redirected(
    await one.post('/authorize/decision', { transaction_id: dialog.transaction_id }),
  ).searchParams.get('code')
  assert.ok(code)
  const outside = await two.token({ ...redeem(code), resource: C })
  assert.deepEqual([outside.status, outside.body['error']], [400, 'invalid_target'])
  const tokens = await one.token(redeem(code))
  assert.equal(tokens.status, 200, JSON.stringify(tokens.body))
  const { access_token = '', refresh_token = '' } = tokens.body
  assert.deepEqual(await two.acceptedBy(access_token), ['a: read write', 'b: read write'])

  const sid = String((await one.tokens.readAccessToken(access_token))?.sid)
  const record = await stores.sessionStore.get(sid)
  assert.deepEqual([record?.version, record?.resources], [2, [A, B]])
  assert.ok(record)
  assert.throws(() => upgradeSession({ ...record }, undefined, 1), /version 2.*supports 1/, 'an older node')

  const narrowed = await two.token(refreshing(refresh_token, { resource: B }))
  assert.deepEqual([narrowed.status, narrowed.body['scope']], [200, 'write'])
  assert.deepEqual(await one.acceptedBy(String(narrowed.body['access_token'])), ['b: write'])
  const next = String(narrowed.body['refresh_token'])
  const wider = await one.token(refreshing(next, { resource: C }))
  assert.deepEqual([wider.status, wider.body['error']], [400, 'invalid_target'])
  const whole = await one.token(refreshing(next))
  assert.deepEqual(await two.acceptedBy(String(whole.body['access_token'])), ['a: read write', 'b: read write'])

  // the record of a version that this node does not know
  const moved = await stores.sessionStore.get(sid)
  assert.ok(moved)
  assert.equal(await stores.sessionStore.save({ ...moved, version: 3 }), 'saved')
  const unknown = await two.token(refreshing(String(whole.body['refresh_token'])))
  assert.deepEqual([unknown.status, unknown.body['error']], [503, 'temporarily_unavailable'])
  assert.ok(unknown.retryAfter)
}

const BACKENDS = [
  ['Redis', without(redisServer), startRedis],
  ['PostgreSQL', without(postgresServer), startPostgres],
] as const

for (const way of ['query', 'pushed'] as const) {
  const title = `RI7 RI8 RI17: two resources of a ${way === 'pushed' ? 'pushed request' : 'query'} reach dialog, code, session, refresh and API`
  test(`${title}, in memory`, (context) => flow(context, createMemoryStores(), way))
  for (const [name, skip, start] of BACKENDS)
    describe(`two nodes on one ${name}`, { skip }, () => {
      test(title, async (context) => {
        const backend = await start()
        const stores = await openStores(backend.url, Buffer.alloc(32, 1))
        try {
          await flow(context, stores, way)
        } finally {
          await stores.close()
          await backend.stop()
        }
      })
    })
}

test('RI3: the authorization endpoint redirects invalid_target with state, for a query and for a pushed request', async (context) => {
  const one = await startNode(context, createMemoryStores())
  for (const [sent, error] of [
    ['https://api.example/unknown', 'invalid_target'],
    ['/a', 'invalid_target'],
    [`${A}#fragment`, 'invalid_target'],
    [Array.from({ length: 9 }, () => A).join(' '), 'invalid_target'],
  ] as const) {
    const form = { ...request, resource: sent }
    const response = await one.authorizeWith(form)
    assert.equal(response.status, 302, sent)
    const { origin, pathname, searchParams } = redirected(response)
    assert.equal(origin + pathname, request['redirect_uri'])
    assert.deepEqual(
      [searchParams.get('error'), searchParams.get('state'), searchParams.get('iss')],
      [error, 'st', ISSUER],
    )
    const pushed = (await one.push(form)) as { error?: string }
    assert.equal(pushed.error, error, sent)
  }
  // without a redirect URI that is known, nothing is redirected
  const page = await one.authorizeWith({ ...request, resource: '/a', redirect_uri: 'https://evil.example/cb' })
  assert.deepEqual([page.status, page.headers.get('location')], [400, null])
})

test('RI13: consent for one resource is no consent for another one: the dialog is shown, with that resource', async (context) => {
  const one = await startNode(context, createMemoryStores())
  const ask = (...uris: readonly string[]) =>
    one.authorizeWith(
      encoded([...Object.entries({ ...request, scope: '' }), ...uris.map((uri) => ['resource', uri] as const)]),
    )
  const dialogOf = async (response: Response) => {
    assert.equal(response.status, 200)
    return (await response.json()) as { transaction_id: string; resources: string[] }
  }
  const allow = async (response: Response) =>
    assert.ok(
      redirected(
        await one.post('/authorize/decision', { transaction_id: (await dialogOf(response)).transaction_id }),
      ).searchParams.get('code'),
    )
  const isImmediate = (response: Response): boolean => redirected(response).searchParams.get('code') !== null
  await allow(await ask(A))
  assert.equal(isImmediate(await ask(A)), true)
  assert.equal(isImmediate(await ask(`${A}/`)), true, 'another spelling')
  for (const more of [[C], [A, C]]) assert.deepEqual((await dialogOf(await ask(...more))).resources, more)
  await allow(await ask(C))
  assert.equal(isImmediate(await ask(A, C)), true)
})

test('RI16: the metadata lists the resources of an array, and none of a function', () => {
  const parts = { issuer: ISSUER, authorizationEndpoint: '/authorize' }
  const token = createTokenEndpoint({ findClient: () => undefined, exchanges: [] })
  const metadataOf = (given: ReturnType<typeof createResources> | undefined) =>
    createMetadata({ ...parts, token: { url: '/token', endpoint: token }, resources: given })
  assert.deepEqual(metadataOf(resources)['protected_resources'], [A, B, C])
  for (const given of [undefined, createResources((uri) => ({ uri }))])
    assert.equal('protected_resources' in metadataOf(given), false)
})
