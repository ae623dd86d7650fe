import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { describe, test } from 'node:test'
import oauth2orize from 'oauth2orize'
import { Passport } from 'passport'
import {
  type AuthenticationMethod,
  builtInMethods,
  type Client,
  Strategy as ClientAssertionStrategy,
  createAssertionVerifier,
  createClientAuthenticator,
  createClientEndpoint,
  createMetadata,
  createTokenEndpoint,
  OAuthError,
  onEvent,
  PublicClientStrategy,
} from '../../lib/index.ts'
import { toOauth2orize } from '../../lib/oauth2orize/index.ts'
import { assertionWith, formWith, ISSUER, testRegister } from '../support/assertions.ts'
import { applicationPassport, basicHeader, echo, listen, post } from '../support/token_route.ts'

const SECRET = 'a secret of sixty-four octets, which is enough for any MAC: 1234'
const METHOD = 'token_endpoint_auth_method'

const CLIENTS: readonly Client[] = [
  { client_id: 'mtls', [METHOD]: 'tls_client_auth', grant_types: ['echo'] },
  { client_id: 'pod', [METHOD]: 'workload_token', grant_types: ['echo'] },
  { client_id: 'ticket', [METHOD]: 'negotiate', grant_types: ['echo'] },
  { client_id: 'header', [METHOD]: 'x_header', grant_types: ['echo'] },
  { client_id: 'public', [METHOD]: 'none', grant_types: ['echo'] },
  { client_id: 'mac', [METHOD]: 'client_secret_jwt', client_secret: SECRET, grant_types: ['echo'] },
  { client_id: 'secret', client_secret: SECRET, grant_types: ['echo'] },
]
const asked: string[] = []
const findClient = (id: string): Client | undefined => {
  asked.push(id)
  return CLIENTS.find((client) => client.client_id === id)
}
const verifyAssertion = createAssertionVerifier({ issuer: ISSUER, findClient, replayRegister: testRegister() })

/** Mutual TLS behind a proxy: the request carries `client_id` alone, and only the record tells it from `none`. */
const tlsClientAuth: AuthenticationMethod = {
  method: 'tls_client_auth',
  presents: 'client_id',
  authenticate: ({ client, request }) =>
    request.headers['x-client-subject'] === `CN=${client.client_id}` && { claims: { 'x5t#S256': 'thumbprint' } },
}

/** A workload's token, sent as a client assertion; the type and the format are the application's. */
const workloadToken: AuthenticationMethod = {
  method: 'workload_token',
  presents: 'client_assertion',
  signingAlgorithms: ['RS256', 'XS1'],
  authenticate: async ({ parameters }) => parameters['client_assertion'] === 'a workload token',
}

/** A scheme of the Authorization header. */
const negotiate: AuthenticationMethod = {
  method: 'negotiate',
  presents: 'authorization_header',
  authenticate: ({ request }) => request.headers['authorization'] === 'Negotiate ticket',
}

/** A credential of its own, which names the client itself. */
const xHeader: AuthenticationMethod = {
  method: 'x_header',
  presents: ({ headers }) => headers['x-credential'] !== undefined,
  readClientId: ({ headers }) => String(headers['x-credential']).split('.', 1)[0],
  authenticate: ({ request }) => request.headers['x-credential'] === 'header.right',
}

const OWN = [tlsClientAuth, workloadToken, negotiate, xHeader]
const methods = [...builtInMethods, ...OWN]

function doors() {
  const server = oauth2orize.createServer()
  server.exchange(toOauth2orize(echo))
  const passport = new Passport()
  passport.use('public', new PublicClientStrategy({ findClient }))
  passport.use('assertion', new ClientAssertionStrategy({ verifyAssertion }))
  const strategies = { publicClient: 'public', assertion: 'assertion' }
  return {
    'a function': createTokenEndpoint({ findClient, verifyAssertion, methods, exchanges: [echo] }),
    'tokenEndpoint with functions': createTokenEndpoint({ server, findClient, verifyAssertion, methods }),
    'tokenEndpoint with strategies': createTokenEndpoint({ server, passport, strategies, methods: OWN, findClient }),
    'an endpoint of the application': createClientEndpoint(
      async ({ client, authentication }) => ({ client_id: client.client_id, method: authentication?.method }),
      { findClient, verifyAssertion, methods },
    ),
  }
}

for (const [name, endpoint] of Object.entries(doors())) {
  describe(`methods of the application behind ${name}`, async () => {
    const route = await listen(createServer(endpoint as never))
    const send = (body: Record<string, string>, headers: Record<string, string> = {}) =>
      post(route.url, { grant_type: 'echo', ...body }, headers)
    const outcomes: string[] = []
    const off = [
      onEvent('client.authenticated', ({ clientId, method }) => outcomes.push(`${clientId} ${method}`)),
      onEvent('client.refused', ({ clientId, reason }) => outcomes.push(`${clientId} ${reason}`)),
      onEvent('client.undecided', ({ clientId, reason }) => outcomes.push(`${clientId} ${reason}`)),
    ]
    const assertion = { client_assertion: 'a workload token', client_assertion_type: 'urn:x' }

    test('each serves the clients that are registered with it, and the event names it', async () => {
      for (const [id, method, body, headers] of [
        ['mtls', 'tls_client_auth', { client_id: 'mtls' }, { 'X-Client-Subject': 'CN=mtls' }],
        ['pod', 'workload_token', { client_id: 'pod', ...assertion }, {}],
        ['ticket', 'negotiate', { client_id: 'ticket' }, { Authorization: 'Negotiate ticket' }],
        ['header', 'x_header', {}, { 'X-Credential': 'header.right' }],
      ] as const) {
        outcomes.length = 0
        const { status, json, text } = await send(body, headers as Record<string, string>)
        assert.equal(status, 200, text)
        assert.deepEqual([json.client_id, json.method], [id, method])
        assert.deepEqual(outcomes, [`${id} ${method}`])
      }
    })

    test('what shares its credential with methods of this package leaves those as they are', async () => {
      const { json } = await send({ client_id: 'public' })
      assert.deepEqual([json.client_id, json.method], ['public', 'none'])
      const now = Math.floor(Date.now() / 1000)
      for (const named of [{ client_id: 'mac' }, {}] as Record<string, string>[]) {
        const jti = `${name} ${named['client_id']}`
        const fresh = assertionWith(SECRET, { iss: 'mac', sub: 'mac', iat: now, exp: now + 60, jti })
        const byAssertion = await send({ ...(formWith(fresh) as typeof named), grant_type: 'echo', ...named })
        assert.deepEqual([byAssertion.json.client_id, byAssertion.json.method], ['mac', 'client_secret_jwt'], jti)
      }
    })

    test('a request with nothing but client_id costs one look-up', async () => {
      asked.length = 0
      await send({ client_id: 'mtls' }, { 'X-Client-Subject': 'CN=mtls' })
      assert.deepEqual(asked, ['mtls'])
      if (name === 'tokenEndpoint with strategies') return // the strategy makes its own
      asked.length = 0
      await send({ client_id: 'public' })
      assert.deepEqual(asked, ['public'])
    })

    test('all refusals read the same', async () => {
      const texts = new Set<string>()
      for (const [reason, body, headers] of [
        ['mtls client_rejected', { client_id: 'mtls' }, {}],
        ['mtls client_rejected', { client_id: 'mtls' }, { 'X-Client-Subject': 'CN=other' }],
        ['pod client_rejected', { client_id: 'pod', ...assertion, client_assertion: 'other' }, {}],
        ['header client_rejected', {}, { 'X-Credential': 'header.wrong' }],
        ['mtls client_method_mismatch', {}, { 'X-Credential': 'mtls.right' }],
        ['nobody client_unknown', {}, { 'X-Credential': 'nobody.right' }],
        ['mtls client_id_mismatch', { client_id: 'mtls' }, { 'X-Credential': 'header.right' }],
        ['nobody client_unknown', { client_id: 'nobody' }, {}],
      ] as const) {
        outcomes.length = 0
        const answer = await send(body, headers as Record<string, string>)
        assert.deepEqual([answer.status, answer.json.error], [400, 'invalid_client'], reason)
        assert.deepEqual(outcomes, [reason])
        texts.add(answer.text)
      }
      const byHeader = await send({ client_id: 'mtls' }, { Authorization: 'Negotiate ticket' })
      assert.deepEqual([byHeader.status, byHeader.text], [401, [...texts][0]])
      const noClient = await send({}, { Authorization: 'Negotiate ticket' })
      assert.deepEqual([noClient.status, noClient.text], [401, [...texts][0]])
      assert.equal(texts.size, 1)
    })

    test('two methods at once are invalid_request, whichever two', async () => {
      const own = { 'X-Credential': 'header.right' }
      for (const [body, headers] of [
        [{ client_id: 'secret', client_secret: SECRET }, own],
        [assertion, own],
        [{}, { ...own, Authorization: basicHeader('secret', SECRET) }],
        [{}, { ...own, Authorization: 'Negotiate ticket' }],
        [assertion, { Authorization: 'Negotiate ticket' }],
      ] as const) {
        outcomes.length = 0
        const { status, json } = await send(body as Record<string, string>, headers as Record<string, string>)
        assert.deepEqual([status, json.error], [400, 'invalid_request'], JSON.stringify([body, headers]))
        assert.match(outcomes.join(), /client_authentication_repeated$/)
      }
    })

    test('the metadata has it, with its algorithms', async () => {
      const facts = endpoint as ReturnType<typeof createTokenEndpoint>
      const document = createMetadata({
        issuer: ISSUER,
        token: { url: '/token', endpoint: Object.assign(() => undefined, { ...facts, grantTypes: [] }) },
      })
      const published = document['token_endpoint_auth_methods_supported'] as string[]
      assert.deepEqual(published.slice(-4), ['tls_client_auth', 'workload_token', 'negotiate', 'x_header'])
      const algorithms = document['token_endpoint_auth_signing_alg_values_supported'] as string[]
      assert.deepEqual(algorithms, [...new Set([...verifyAssertion.algorithms, 'XS1'])])
    })

    test.after(async () => {
      for (const stop of off) stop()
      await route.close()
    })
  })
}

test('a Passport strategy may serve the method, under its name', async () => {
  const server = oauth2orize.createServer()
  server.exchange(toOauth2orize(echo))
  const strategy = {
    authenticate(this: { success(user: object): void; fail(): void }, request: { headers: Record<string, string> }) {
      if (request.headers['x-client-subject'] === 'CN=mtls') this.success({ client_id: 'mtls', grant_types: ['echo'] })
      else this.fail()
    },
  }
  const mine = { method: 'tls_client_auth', presents: 'client_id' } as const
  const strategies = { basic: 'basic', tls_client_auth: strategy }
  const endpoint = createTokenEndpoint({
    server,
    passport: applicationPassport(),
    strategies,
    methods: [...builtInMethods, mine],
    findClient,
  })
  assert.deepEqual(endpoint.methods, ['client_secret_basic', 'tls_client_auth'])
  const route = await listen(createServer(endpoint as never))
  const heard: string[] = []
  const off = onEvent('client.authenticated', ({ clientId, method }) => heard.push(`${clientId} ${method}`))
  const right = await post(route.url, { grant_type: 'echo', client_id: 'mtls' }, { 'X-Client-Subject': 'CN=mtls' })
  assert.deepEqual([right.status, right.json.method], [200, 'tls_client_auth'])
  const wrong = await post(route.url, { grant_type: 'echo', client_id: 'mtls' })
  assert.deepEqual([wrong.status, wrong.json.error], [400, 'invalid_client'])
  const none = await post(route.url, { grant_type: 'echo', client_id: 'public' })
  assert.deepEqual([none.status, none.json.error], [400, 'invalid_client'], 'no strategy for public clients')
  assert.deepEqual(heard, ['mtls tls_client_auth'])
  off()
  await route.close()
})

/** What an application may do wrong, by what comes of it: never `invalid_client`, never a request without a response. */
const FAULTS: Record<string, [Partial<AuthenticationMethod>, reason: string]> = {
  'throws an Error': [{ authenticate: fail }, 'store_unavailable'],
  'throws what is falsy': [
    {
      authenticate: () => {
        throw undefined
      },
    },
    'store_unavailable',
  ],
  rejects: [{ authenticate: async () => fail() }, 'store_unavailable'],
  'throws a fault of this package': [
    { authenticate: () => Promise.reject(new OAuthError('server_error')) },
    'store_unavailable',
  ],
  'never settles': [{ authenticate: () => new Promise<never>(() => {}) }, 'store_unavailable'],
  ...Object.fromEntries(
    [undefined, null, 'yes', 1, ['a'], Symbol('x')].map((answer) => [
      `answers with ${String(answer)}`,
      [{ authenticate: async () => answer as never }, 'misconfigured'],
    ]),
  ),
  'has a presents that throws': [{ presents: fail }, 'misconfigured'],
  'has a presents that is async': [{ presents: (async () => true) as never }, 'misconfigured'],
  'has a presents that returns what is no boolean': [{ presents: (() => 'x') as never }, 'misconfigured'],
  'has a readClientId that throws': [{ readClientId: fail }, 'misconfigured'],
  'has a readClientId that is async': [{ readClientId: (async () => 'header') as never }, 'misconfigured'],
}

function fail(): never {
  throw new Error('inside')
}

for (const [what, [wrong, reason]] of Object.entries(FAULTS)) {
  test(`a method of the application that ${what} is a fault`, async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const heard: unknown[] = []
    t.after(onEvent('client.undecided', (event) => heard.push(event.reason)))
    t.after(onEvent('client.refused', (event) => heard.push(event.reason)))
    const authenticate = createClientAuthenticator({ findClient, methods: [{ ...xHeader, ...wrong }] })
    const outcome = authenticate({ headers: { 'x-credential': 'header.right' } }, {})
    outcome.catch(() => undefined)
    await new Promise((resolve) => setImmediate(resolve))
    t.mock.timers.tick(30_000)
    await assert.rejects(outcome, (error: OAuthError) => {
      assert.equal(error.reason, reason)
      assert.equal(error.status, reason === 'misconfigured' ? 500 : 503)
      return true
    })
    assert.deepEqual(heard, [reason])
  })
}

test('an OAuthError of a status below 500 that the method throws is what it means', async () => {
  const authenticate = () => {
    throw new OAuthError('invalid_request', { description: 'The credential is malformed.' })
  }
  const mine = createClientAuthenticator({ findClient, methods: [{ ...xHeader, authenticate }] })
  const outcome = mine({ headers: { 'x-credential': 'header.right' } }, {})
  await assert.rejects(outcome, { code: 'invalid_request', message: 'The credential is malformed.' })
})

test('a method cannot take the name of the client or of the method with what it answers', async () => {
  const authenticate = () => ({ method: 'none', claims: { a: 1 } })
  const mine = createClientAuthenticator({ findClient, methods: [{ ...xHeader, authenticate }] })
  const { authentication } = await mine({ headers: { 'x-credential': 'header.right' } }, {})
  assert.deepEqual(authentication, { method: 'x_header', claims: { a: 1 } })
})

test('methods are checked at construction', () => {
  const make = (given: unknown) => createClientAuthenticator({ findClient, methods: given as never })
  for (const given of [[], 'none', ['nonesuch'], [7], [null], [{}], [{ ...xHeader, method: 'none' }]])
    assert.throws(() => make(given), /^TypeError: option 'methods/)
  assert.throws(() => make([xHeader, xHeader]), /each method once/)
  assert.throws(() => make([{ ...xHeader, presents: 'client_secret' }]), /option 'methods.x_header.presents'/)
  assert.throws(() => make([{ ...xHeader, authenticate: undefined }]), /option 'methods.x_header.authenticate'/)
  assert.throws(() => make([{ ...xHeader, readClientId: 'sub' }]), /option 'methods.x_header.readClientId'/)
  assert.throws(() => make([{ ...xHeader, signingAlgorithms: 'RS256' }]), /option 'methods.x_header.signingAlgorithms'/)
  assert.throws(() => make([{ ...xHeader, presnts: 1 }]), /Unknown option "presnts"/)
  const server = oauth2orize.createServer()
  const passport = applicationPassport()
  const strategies = { basic: 'basic' }
  assert.throws(() => createTokenEndpoint({ server, passport, strategies, methods: [xHeader] }), /option 'findClient'/)
})
