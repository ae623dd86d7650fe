import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { SignJWT } from 'jose'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { type RunningExample, runExample, startExample } from '../support/example.ts'
import { ALICE, BOB, type ExampleClient, exampleClients, USERS } from '../support/example_clients.ts'
import { createFormBrowser } from '../support/form_browser.ts'
import { newPkce } from '../support/pkce.ts'
import { startPostgres } from '../support/postgres_server.ts'
import { postgresServer, redisServer, without } from '../support/programs.ts'
import { startRedis } from '../support/redis_server.ts'
import { freePort } from '../support/temporary.ts'

const REDIRECT_URI = 'https://app.example.com/callback'
const insecure = { [oauth.allowInsecureRequests]: true }

type Clients = Readonly<Record<string, ExampleClient>>

const startWith = (clients: Clients, environment: Readonly<Record<string, string>>) =>
  startExample({ clients: Object.values(clients).map(({ record }) => record), users: USERS, environment })

const clientOf = (clients: Clients, id: string): ExampleClient => {
  const found = clients[id]
  assert.ok(found)
  return found
}

async function discover(url: string, { key, record, secret }: ExampleClient): Promise<openid.Configuration> {
  const authentication = key === undefined ? openid.ClientSecretBasic(secret) : openid.PrivateKeyJwt(key)
  return openid.discovery(new URL(url), record.client_id, undefined, authentication, {
    algorithm: 'oauth2',
    execute: [openid.allowInsecureRequests],
  })
}

/** A request that openid-client pushes, and what redeems its code. */
async function pushRequest(config: openid.Configuration, more: Readonly<Record<string, string>> = {}) {
  const pkceCodeVerifier = openid.randomPKCECodeVerifier()
  const expectedState = openid.randomState()
  const url = await openid.buildAuthorizationUrlWithPAR(config, {
    redirect_uri: REDIRECT_URI,
    scope: 'profile',
    state: expectedState,
    code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    ...more,
  })
  const redeem = (arrival: URL) =>
    openid.authorizationCodeGrant(config, arrival, { pkceCodeVerifier, expectedState }, { redirect_uri: REDIRECT_URI })
  return { url, redeem }
}

/** A signed assertion of a client with a key. */
const assertionOf = ({ key, record }: ExampleClient, audience: string) => {
  assert.ok(key)
  return new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(record.client_id)
    .setSubject(record.client_id)
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime('60s')
    .sign(key)
}

async function post(url: string, form: Readonly<Record<string, string>>) {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(form) })
  return { status: response.status, json: (await response.json()) as Readonly<Record<string, unknown>> }
}

const requestOf = (clientId: string) => ({
  response_type: 'code',
  client_id: clientId,
  redirect_uri: REDIRECT_URI,
  scope: 'profile',
  state: 's',
  code_challenge: newPkce().challenge,
  code_challenge_method: 'S256',
})

const BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

describe('pushed requests at the example, which requires them (FAPI 2.0 profile)', () => {
  let example: RunningExample
  let clients: Clients
  before(async () => {
    clients = await exampleClients({ redirect_uris: [REDIRECT_URI] })
    example = await startWith(clients, { REQUIRE_PAR: 'on', ASSERTION_PROFILE: 'fapi2' })
  })
  after(() => example?.stop())

  test('openid-client pushes with private_key_jwt, through login and consent, to tokens; the second request is not asked', async () => {
    const config = await discover(example.url, clientOf(clients, 'es256'))
    const metadata = config.serverMetadata()
    assert.equal(metadata['require_pushed_authorization_requests'], true)
    assert.equal(metadata.pushed_authorization_request_endpoint, `${metadata.issuer}/par`)
    assert.ok(Array.isArray(metadata['pushed_authorization_request_endpoint_auth_methods_supported']))
    const browser = createFormBrowser(example.url)
    for (let turn = 0; turn < 2; turn += 1) {
      const { url, redeem } = await pushRequest(config)
      assert.deepEqual([...url.searchParams.keys()].sort(), ['client_id', 'request_uri'])
      const tokens = await redeem(await browser.authorize(url.href, ALICE))
      assert.equal(tokens.scope, 'profile')
      const again = await browser.visit(url.href)
      assert.deepEqual([again.status, again.redirectedTo], [400, undefined], 'used up')
    }
  })

  test('oauth4webapi pushes with private_key_jwt and gets a code', async () => {
    const { key } = clientOf(clients, 'es256')
    assert.ok(key)
    const issuer = new URL(example.url)
    const server = await oauth.processDiscoveryResponse(
      issuer,
      await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }),
    )
    const client: oauth.Client = { client_id: 'es256' }
    const verifier = oauth.generateRandomCodeVerifier()
    const request = {
      ...requestOf('es256'),
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    }
    const pushed = await oauth.processPushedAuthorizationResponse(
      server,
      client,
      await oauth.pushedAuthorizationRequest(server, client, oauth.PrivateKeyJwt(key), request, insecure),
    )
    assert.equal(pushed.expires_in, 300)
    const query = new URLSearchParams({ client_id: 'es256', request_uri: pushed.request_uri })
    const arrival = await createFormBrowser(example.url).authorize(`${server.authorization_endpoint}?${query}`, ALICE)
    const parameters = oauth.validateAuthResponse(server, client, arrival, 's')
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      oauth.PrivateKeyJwt(key),
      parameters,
      REDIRECT_URI,
      verifier,
      insecure,
    )
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, response)
    assert.equal(tokens.scope, 'profile')
  })

  test('a request that was not pushed is redirected with invalid_request', async () => {
    const config = await discover(example.url, clientOf(clients, 'es256'))
    const url = openid.buildAuthorizationUrl(config, requestOf('es256'))
    const { redirectedTo } = await createFormBrowser(example.url).visit(url.href)
    assert.equal(redirectedTo?.searchParams.get('error'), 'invalid_request')
    assert.equal(redirectedTo?.searchParams.get('state'), 's')
  })

  test('a pushed prompt=login asks for the password again, once, although the user is logged in', async () => {
    const config = await discover(example.url, clientOf(clients, 'es256'))
    const browser = createFormBrowser(example.url)
    const first = await pushRequest(config)
    await browser.authorize(first.url.href, ALICE)
    const { url, redeem } = await pushRequest(config, { prompt: 'login' })
    for (let reload = 0; reload < 2; reload += 1) {
      const page = await browser.visit(url.href)
      assert.ok(
        page.forms.some(({ fields }) => 'password' in fields),
        'a reload does not get around the login',
      )
    }
    assert.ok((await redeem(await browser.authorize(url.href, ALICE))).access_token)
  })

  test('the consent page offers to log in as another user, who then decides', async () => {
    const config = await discover(example.url, clientOf(clients, 'es256'))
    const browser = createFormBrowser(example.url)
    await browser.authorize((await pushRequest(config)).url.href, ALICE)
    const { url, redeem } = await pushRequest(config, { prompt: 'consent' })
    const consent = await browser.visit(url.href)
    const link = /href="([^"]*other_user[^"]*)"/.exec(consent.text)?.[1]?.replaceAll('&amp;', '&')
    assert.ok(link, consent.text)
    assert.ok(await redeem(await browser.authorize(new URL(link, example.url).href, BOB)))
  })

  test('PA1: with the profile fapi2 an assertion is addressed to the issuer, and to nothing else', async () => {
    const client = clientOf(clients, 'es256')
    const issuer = (await discover(example.url, client)).serverMetadata().issuer
    for (const [audience, status] of [
      [issuer, 201],
      [`${issuer}/par`, 400],
      [`${issuer}/token`, 400],
    ] as const) {
      const client_assertion = await assertionOf(client, audience)
      const form = { ...requestOf('es256'), client_assertion_type: BEARER, client_assertion }
      const { status: got, json } = await post(`${example.url}/par`, form)
      assert.equal(got, status, audience)
      if (status === 400) assert.equal(json['error'], 'invalid_client')
      else {
        const again = await post(`${example.url}/par`, form)
        assert.equal(again.json['error'], 'invalid_client', 'an assertion is accepted once')
      }
    }
  })
})

test('PA1: with the profile fapi1 an assertion may name the issuer, the token endpoint or this endpoint', async () => {
  const clients = await exampleClients({ redirect_uris: [REDIRECT_URI] })
  const example = await startWith(clients, { ASSERTION_PROFILE: 'fapi1' })
  try {
    const client = clientOf(clients, 'es256')
    const issuer = (await discover(example.url, client)).serverMetadata().issuer
    for (const [audience, status] of [
      [issuer, 201],
      [`${issuer}/par`, 201],
      [`${issuer}/token`, 201],
      [`${issuer}/authorize`, 400],
    ] as const) {
      const client_assertion = await assertionOf(client, audience)
      const form = { ...requestOf('es256'), client_assertion_type: BEARER, client_assertion }
      assert.equal((await post(`${example.url}/par`, form)).status, status, audience)
    }
  } finally {
    await example.stop()
  }
})

test('REQUIRE_PAR is on or off, and off leaves it to the client record', async () => {
  const ended = await runExample({ environment: { REQUIRE_PAR: 'yes' } })
  assert.equal(ended.status, 1)
  assert.match(ended.stderr, /^REQUIRE_PAR: must be one of on, off, got "yes"$/m)

  const clients = await exampleClients({ redirect_uris: [REDIRECT_URI] })
  const { basic } = clients
  assert.ok(basic)
  const strict = { ...basic, record: { ...basic.record, require_pushed_authorization_requests: true } }
  const example = await startWith({ ...clients, basic: strict }, {})
  try {
    const browser = createFormBrowser(example.url)
    const lax = await discover(example.url, clientOf(clients, 'post'))
    assert.equal(lax.serverMetadata()['require_pushed_authorization_requests'], false)
    const asked = await browser.visit(openid.buildAuthorizationUrl(lax, requestOf('post')).href)
    assert.equal(asked.status, 200, 'the login form')
    const config = await discover(example.url, strict)
    const refused = await browser.visit(openid.buildAuthorizationUrl(config, requestOf('basic')).href)
    assert.equal(refused.redirectedTo?.searchParams.get('error'), 'invalid_request')
    const { url, redeem } = await pushRequest(config)
    assert.ok(await redeem(await browser.authorize(url.href, ALICE)))
  } finally {
    await example.stop()
  }
})

for (const [name, skip, startStore] of [
  ['Redis', without(redisServer), startRedis],
  ['PostgreSQL', without(postgresServer), startPostgres],
] as const) {
  test(`two processes on one ${name} share pushed requests, and one decision uses one up`, { skip }, async () => {
    const store = await startStore()
    const clients = await exampleClients({ redirect_uris: [REDIRECT_URI] })
    const port = await freePort()
    const common = {
      ISSUER: `http://localhost:${port}`,
      BASE_SECRET: 'the secret that both processes of this test share',
      STORE_URL: store.url,
    }
    const nodes = await Promise.all([startWith(clients, { ...common, PORT: String(port) }), startWith(clients, common)])
    try {
      const [one, other] = nodes
      assert.ok(one && other)
      const config = await discover(one.url, clientOf(clients, 'es256'))
      const { url, redeem } = await pushRequest(config, { prompt: 'consent' })
      const atOther = `${other.url}${url.pathname}${url.search}`
      const open = async (origin: string, at: string) => {
        const browser = createFormBrowser(origin)
        const login = await browser.visit(at)
        return { browser, consent: await browser.submit(login, '/login', ALICE) }
      }
      const [here, there] = await Promise.all([open(one.url, url.href), open(other.url, atOther)])
      const answers = await Promise.all(
        [here, there].map(({ browser, consent }) => browser.submit(consent, '/decision', {}, 'allow')),
      )
      const arrivals = answers.flatMap(({ redirectedTo }) => redirectedTo ?? [])
      assert.equal(arrivals.length, 1, answers.map(({ status }) => status).join())
      assert.ok(arrivals[0])
      const won = answers[0]?.redirectedTo === undefined ? there : here
      const again = await won.browser.submit(won.consent, '/decision', {}, 'allow')
      assert.equal(
        again.redirectedTo?.searchParams.get('code'),
        arrivals[0].searchParams.get('code'),
        'PA7: sent twice',
      )
      assert.equal((await redeem(arrivals[0])).scope, 'profile')
      for (const at of [url.href, atOther]) assert.equal((await here.browser.visit(at)).status, 400)
    } finally {
      await Promise.all(nodes.map((node) => node.stop()))
      await store.stop()
    }
  })
}
