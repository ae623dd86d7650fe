import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { getIDToken } from '@actions/core'
import { auth, CrossAppAccessProvider } from '@modelcontextprotocol/client'
import * as openid from 'openid-client'
import { newKey, type TestKey } from '../support/assertions.ts'
import { type RunningExample, runExample, startExample } from '../support/example.ts'
import { json, type KeyServer, startKeyServer } from '../support/key_server.ts'
import { githubToken, kubernetesToken, spiffeToken, tokenBy } from '../support/platform_tokens.ts'

const ISSUER = 'http://localhost:3999'
const IDP = 'https://idp.company.example'
const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const JWT_SPIFFE = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe'
const now = () => Math.floor(Date.now() / 1000)

let folder: string
let keys: KeyServer
let rsa: TestKey
let other: TestKey
let ec: TestKey
let example: RunningExample
let issuersFile: string

const member = { token_endpoint_auth_method: 'private_key_jwt', grant_types: ['client_credentials'], scope: 'ledger' }
const spiffeId = spiffeToken.claims['sub'] as string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'federated-'))
  keys = await startKeyServer('http')
  rsa = await newKey('RS256', 'issuer-key')
  other = await newKey('RS256', 'issuer-key')
  ec = await newKey('ES256', 'issuer-key')
  const github = keys.url.replace('/jwks', '/github')
  keys.answer = (request, response) =>
    json(request.url?.includes('well-known') ? { issuer: github, jwks_uri: keys.url } : { keys: [rsa.jwk] })(
      request,
      response,
    )
  issuersFile = join(folder, 'issuers.json')
  await writeFile(
    issuersFile,
    JSON.stringify([
      { issuer: kubernetesToken.issuer, jwks_uri: keys.url, max_lifetime_seconds: 3660 },
      { issuer: github, discovery: true, algorithms: ['RS256'], replay: 'once' },
      { issuer: IDP, jwks_uri: keys.url, use: ['jwt_bearer'] },
      { issuer: spiffeToken.issuer, spiffe: true, jwks: { keys: [{ ...ec.jwk, use: 'jwt-svid' }] } },
    ]),
  )
  example = await startExample({
    environment: { ISSUER, TRUSTED_ISSUERS_FILE: issuersFile },
    users: [
      { sub: 'alice-1', username: 'alice', password: 'x', identities: [{ issuer: IDP, sub: 'U019488227' }] },
      { sub: 'bob-1', username: 'bob', password: 'x' },
    ],
    clients: [
      {
        client_id: 'ledger',
        ...member,
        federated_credentials: [
          { issuer: kubernetesToken.issuer, subject: kubernetesToken.claims['sub'] },
          { issuer: github, claims: { repository_id: '74', environment: 'prod' } },
        ],
      },
      { client_id: spiffeId, ...member },
      { client_id: 'assistant', client_secret: 'the secret of the assistant', grant_types: [GRANT], scope: 'ledger' },
      { client_id: 'lost', ...member, federated_credentials: [{ issuer: 'https://elsewhere.example', subject: 'x' }] },
    ],
  })
})
after(async () => {
  await example?.stop()
  await keys?.close()
  await rm(folder, { recursive: true, force: true })
})

interface Wire {
  readonly status: number
  readonly body: string
  readonly headers: string
}

const send = async (form: Readonly<Record<string, string>>, path = '/token'): Promise<Wire> => {
  const body = new URLSearchParams({ grant_type: 'client_credentials', client_assertion_type: JWT_BEARER, ...form })
  const response = await fetch(`${example.url}${path}`, { method: 'POST', body })
  const headers = [...response.headers].filter(([name]) => name !== 'date')
  return { status: response.status, body: await response.text(), headers: JSON.stringify(headers) }
}

const jsonOf = async (response: Response) => (await response.json()) as Readonly<Record<string, unknown>>

const times = () => ({ iat: now(), nbf: now() - 5, exp: now() + 300, aud: ISSUER })
const pod = (changes: object = {}, key = rsa) => tokenBy(key, kubernetesToken, { ...times(), ...changes })

test('the example accepts the token of a pod at the token, introspection and revocation endpoint, again and again', async () => {
  const assertion = { client_id: 'ledger', client_assertion: pod() }
  for (let use = 0; use < 2; use += 1) {
    const { status, body } = await send(assertion)
    assert.equal(status, 200, body)
    assert.equal(JSON.parse(body).scope, 'ledger')
    const token = JSON.parse(body).access_token
    const introspected = await send({ ...assertion, token }, '/introspect')
    assert.equal(JSON.parse(introspected.body).client_id, 'ledger')
    assert.equal((await send({ ...assertion, token }, '/revoke')).status, 200)
    assert.equal(JSON.parse((await send({ ...assertion, token }, '/introspect')).body).active, false)
  }
})

test('the example accepts a JWT-SVID, whose client_id may be left out', async () => {
  const svid = tokenBy(ec, spiffeToken, { iat: now(), exp: now() + 300, aud: [ISSUER] })
  const { status, body } = await send({ client_assertion_type: JWT_SPIFFE, client_assertion: svid })
  assert.equal(status, 200, body)
})

test('getIDToken of @actions/core gets a token that the example accepts once', async () => {
  let asked: URL | undefined
  const platform = createServer((request, response) => {
    asked = new URL(request.url ?? '', 'http://localhost')
    assert.equal(request.headers.authorization, 'Bearer the token of the runner')
    const iss = keys.url.replace('/jwks', '/github')
    const value = tokenBy(rsa, githubToken, { ...times(), aud: asked.searchParams.get('audience'), iss, jti: 'job-1' })
    json({ value })(request, response)
  })
  platform.listen(0, '127.0.0.1')
  await once(platform, 'listening')
  process.env['ACTIONS_ID_TOKEN_REQUEST_URL'] =
    `http://127.0.0.1:${(platform.address() as AddressInfo).port}/token?api-version=2.0`
  process.env['ACTIONS_ID_TOKEN_REQUEST_TOKEN'] = 'the token of the runner'
  const token = await getIDToken(ISSUER)
  platform.closeAllConnections()
  platform.close()
  assert.equal(asked?.searchParams.get('audience'), ISSUER)
  assert.equal((await send({ client_id: 'ledger', client_assertion: token })).status, 200)
  const again = await send({ client_id: 'ledger', client_assertion: token })
  assert.deepEqual([again.status, JSON.parse(again.body).error], [400, 'invalid_client'])
})

test('IJ12: the example exchanges an identity assertion for a token of its API, once, and announces it', async () => {
  const metadata = await jsonOf(await fetch(`${example.url}/.well-known/oauth-authorization-server`))
  assert.ok((metadata['grant_types_supported'] as string[]).includes(GRANT))
  assert.deepEqual(metadata['authorization_grant_profiles_supported'], ['urn:ietf:params:oauth:grant-profile:id-jag'])
  const post = async (assertion: string) => {
    const form = { grant_type: GRANT, client_id: 'assistant', client_secret: 'the secret of the assistant', assertion }
    const response = await fetch(`${example.url}/token`, { method: 'POST', body: new URLSearchParams(form) })
    return { status: response.status, body: await jsonOf(response) }
  }
  const claims = { iss: IDP, sub: 'U019488227', aud: ISSUER, client_id: 'assistant', resource: `${ISSUER}/api` }
  const idJag = (changes: object = {}) =>
    tokenBy(
      rsa,
      { issuer: IDP, header: { typ: 'oauth-id-jag+jwt' }, claims: { ...claims, iat: now(), exp: now() + 300 } },
      { jti: 'assertion-1', ...changes },
    )
  const issued = await post(idJag())
  assert.equal(issued.status, 200, JSON.stringify(issued.body))
  assert.equal(issued.body['refresh_token'], undefined)
  const whoami = await fetch(`${example.url}/api/whoami`, {
    headers: { authorization: `Bearer ${issued.body['access_token']}` },
  })
  const { sub, client_id } = await jsonOf(whoami)
  assert.deepEqual([sub, client_id], ['alice-1', 'assistant'])
  for (const changes of [{}, { jti: 'a2', sub: 'another' }, { jti: 'a3', client_id: 'ledger' }]) {
    const { status, body } = await post(idJag(changes))
    assert.deepEqual([status, body['error']], [400, 'invalid_grant'], JSON.stringify(changes))
  }
  // an issuer of users does not authenticate clients
  const form = { client_id: 'ledger', client_assertion: idJag({ jti: 'a4' }) }
  assert.equal(JSON.parse((await send(form)).body).error, 'invalid_client')
})

test('CrossAppAccessProvider of the MCP client gets a token of the API with an identity assertion', async () => {
  const asked: Readonly<Record<string, unknown>>[] = []
  const metadata = { resource: `${ISSUER}/api`, authorization_servers: [ISSUER] }
  // The example says that it is at ISSUER: requests there go to where it listens.
  const fetchFn = async (url: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const target = new URL(String(url))
    if (target.pathname.startsWith('/.well-known/oauth-protected-resource')) return Response.json(metadata)
    return fetch(`${example.url}${target.pathname}${target.search}`, init)
  }
  const provider = new CrossAppAccessProvider({
    clientId: 'assistant',
    clientSecret: 'the secret of the assistant',
    expectedIssuer: ISSUER,
    fetchFn: fetchFn as never,
    assertion: async ({ authorizationServerUrl, resourceUrl, scope }) => {
      asked.push({ authorizationServerUrl, resourceUrl, scope })
      const claims = { iss: IDP, sub: 'U019488227', aud: ISSUER, client_id: 'assistant', resource: resourceUrl }
      return tokenBy(
        rsa,
        { issuer: IDP, header: { typ: 'oauth-id-jag+jwt' }, claims: { ...claims, iat: now(), exp: now() + 300 } },
        { jti: `cross-app-${Math.random()}` },
      )
    },
  })
  const outcome = await auth(provider as never, { serverUrl: `${ISSUER}/api`, fetchFn: fetchFn as never })
  assert.equal(outcome, 'AUTHORIZED')
  assert.equal(asked.length, 1)
  assert.equal(asked[0]?.['resourceUrl'], `${ISSUER}/api`)
  const tokens = provider.tokens()
  assert.equal(tokens?.refresh_token, undefined)
  const authorization = `Bearer ${tokens?.access_token}`
  const whoami = await jsonOf(await fetch(`${example.url}/api/whoami`, { headers: { authorization } }))
  assert.deepEqual([whoami['sub'], whoami['client_id']], ['alice-1', 'assistant'])
})

test('openid-client sends the token of a pod by a ClientAuth function, at the token and introspection endpoint', async () => {
  const podAuth: openid.ClientAuth = (_server, client, body) => {
    body.set('client_id', client.client_id)
    body.set('client_assertion_type', JWT_BEARER)
    body.set('client_assertion', pod()) // readFileSync('/var/run/secrets/…/token', 'utf8')
  }
  const options: openid.DiscoveryRequestOptions = {
    execute: [openid.allowInsecureRequests],
    algorithm: 'oauth2',
    [openid.customFetch]: (url, init) => fetch(url.replace(ISSUER, example.url), init as RequestInit),
  }
  const config = await openid.discovery(new URL(ISSUER), 'ledger', undefined, podAuth, options)
  const { access_token, scope } = await openid.clientCredentialsGrant(config, { scope: 'ledger' })
  assert.equal(scope, 'ledger')
  const introspected = await openid.tokenIntrospection(config, access_token)
  assert.deepEqual([introspected.active, introspected.client_id], [true, 'ledger'])
  await openid.tokenRevocation(config, access_token)
  assert.equal((await openid.tokenIntrospection(config, access_token)).active, false)

  const wrong: openid.ClientAuth = (_server, client, body) => {
    body.set('client_id', client.client_id)
    body.set('client_assertion_type', JWT_BEARER)
    body.set('client_assertion', pod({ sub: 'system:serviceaccount:payments:other' }))
  }
  const refused = await openid.discovery(new URL(ISSUER), 'ledger', undefined, wrong, options)
  await assert.rejects(openid.clientCredentialsGrant(refused, {}), { error: 'invalid_client' })
})

test('FC15: all refusals are the same bytes on the wire', async () => {
  const refusals = await Promise.all([
    send({ client_id: 'nobody', client_assertion: pod() }),
    send({ client_id: 'lost', client_assertion: pod() }),
    send({ client_id: 'ledger', client_assertion: pod({}, other) }),
    send({ client_id: 'ledger', client_assertion: pod({ sub: 'system:serviceaccount:payments:another' }) }),
    send({ client_id: 'ledger', client_assertion: pod({ iss: 'https://elsewhere.example' }) }),
    send({ client_id: 'ledger', client_assertion: pod({ iss: kubernetesToken.issuer, aud: 'another' }) }),
    send({ client_id: 'ledger', client_assertion: pod({ exp: now() - 60 }) }),
    send({ client_id: 'ledger', client_assertion: pod({ exp: now() + 4000 }) }),
    send({ client_id: spiffeId, client_assertion: pod() }),
  ])
  assert.equal(new Set(refusals.map((each) => JSON.stringify(each))).size, 1, JSON.stringify(refusals, null, 1))
  assert.equal(refusals[0]?.status, 400)
  assert.equal(JSON.parse(refusals[0]?.body ?? '').error, 'invalid_client')
})

test('the example warns of a client whose issuer nobody trusts', () => {
  assert.match(example.stderr(), /client "lost" will be refused: federated_credentials: names no issuer/)
})

test('a TRUSTED_ISSUERS_FILE that cannot be used ends the example with status 1 and one line', async () => {
  const bad: readonly unknown[] = [
    'not json',
    {},
    [7],
    [{ issuer: 'https://issuer.example' }],
    [{ issuer: 'https://issuer.example', discovery: true, jwksUri: 'https://x.example' }],
    [{ issuer: 'https://issuer.example', discovery: true, use: 'jwt_bearer' }],
    [{ issuer: 'https://issuer.example', discovery: true, replay: 'twice' }],
  ]
  for (const content of bad) {
    const path = join(folder, 'bad.json')
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
    const { status, stderr } = await runExample({ environment: { TRUSTED_ISSUERS_FILE: path } })
    assert.equal(status, 1, JSON.stringify(content))
    assert.match(stderr, /^TRUSTED_ISSUERS_FILE: [^\n]+\n$/)
  }
  const { status, stderr } = await runExample({ environment: { TRUSTED_ISSUERS_FILE: join(folder, 'absent.json') } })
  assert.equal(status, 1)
  assert.match(stderr, /^TRUSTED_ISSUERS_FILE: .*does not exist\n$/)
})
