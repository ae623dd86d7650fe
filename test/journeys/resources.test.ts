import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'
import { type RunningExample, startExample } from '../support/example.ts'
import { ALICE, exampleClients, USERS } from '../support/example_clients.ts'
import { createFormBrowser } from '../support/form_browser.ts'

// Clients that name one resource or two, against the example, from the authorization to a call of its API.

const REDIRECT_URI = 'http://127.0.0.1:54321/callback'
const CALENDAR = 'https://calendar.example/mcp'
const insecure = { [oauth.allowInsecureRequests]: true } as const

interface Tokens {
  readonly access_token: string
  readonly refresh_token?: string | undefined
}

/** A client library: what each of its requests for tokens resolves with. The error code is `error` of a rejection. */
interface Library {
  authorize(resources: readonly string[]): Promise<Tokens>
  refresh(refreshToken: string, resources: readonly string[]): Promise<Tokens>
  clientCredentials(resources: readonly string[]): Promise<Tokens>
  /** The status of a call of the API. */
  call(accessToken: string): Promise<number>
}

const withResources = (parameters: Readonly<Record<string, string>>, resources: readonly string[]): URLSearchParams => {
  const all = new URLSearchParams(parameters)
  for (const resource of resources) all.append('resource', resource)
  return all
}

async function openidClient(issuer: string, secret: string): Promise<Library> {
  const config = await client.discovery(new URL(issuer), 'basic', undefined, client.ClientSecretBasic(secret), {
    execute: [client.allowInsecureRequests],
  })
  return {
    async authorize(resources) {
      const pkceCodeVerifier = client.randomPKCECodeVerifier()
      const expectedState = client.randomState()
      const parameters = {
        redirect_uri: REDIRECT_URI,
        scope: 'profile',
        state: expectedState,
        code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
        code_challenge_method: 'S256',
      }
      const url = client.buildAuthorizationUrl(config, withResources(parameters, resources))
      const arrival = await createFormBrowser(issuer).authorize(url.href, ALICE)
      const checks = { pkceCodeVerifier, expectedState }
      return client.authorizationCodeGrant(config, arrival, checks, withResources({}, resources))
    },
    refresh: (token, resources) => client.refreshTokenGrant(config, token, withResources({}, resources)),
    clientCredentials: (resources) =>
      client.clientCredentialsGrant(config, withResources({ scope: 'profile' }, resources)),
    call: async (token) => {
      const url = new URL(`${issuer}/api/whoami`)
      return client.fetchProtectedResource(config, token, url, 'GET').then(
        ({ status }) => status,
        (error: client.WWWAuthenticateChallengeError) => error.status,
      )
    },
  }
}

async function oauth4webapi(issuer: string, secret: string): Promise<Library> {
  const url = new URL(issuer)
  const server = await oauth.processDiscoveryResponse(
    url,
    await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...insecure }),
  )
  const self: oauth.Client = { client_id: 'basic' }
  const authentication = oauth.ClientSecretBasic(secret)
  return {
    async authorize(resources) {
      const verifier = oauth.generateRandomCodeVerifier()
      const state = oauth.generateRandomState()
      const parameters = {
        response_type: 'code',
        client_id: 'basic',
        redirect_uri: REDIRECT_URI,
        scope: 'profile',
        state,
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      }
      const to = `${server.authorization_endpoint}?${withResources(parameters, resources)}`
      const arrival = await createFormBrowser(issuer).authorize(to, ALICE)
      const response = await oauth.authorizationCodeGrantRequest(
        server,
        self,
        authentication,
        oauth.validateAuthResponse(server, self, arrival, state),
        REDIRECT_URI,
        verifier,
        { ...insecure, additionalParameters: withResources({}, resources) },
      )
      return oauth.processAuthorizationCodeResponse(server, self, response)
    },
    async refresh(token, resources) {
      const options = { ...insecure, additionalParameters: withResources({}, resources) }
      const response = await oauth.refreshTokenGrantRequest(server, self, authentication, token, options)
      return oauth.processRefreshTokenResponse(server, self, response)
    },
    async clientCredentials(resources) {
      const parameters = withResources({ scope: 'profile' }, resources)
      const response = await oauth.clientCredentialsGrantRequest(server, self, authentication, parameters, insecure)
      return oauth.processClientCredentialsResponse(server, self, response)
    },
    call: async (token) => {
      const api = new URL(`${issuer}/api/whoami`)
      return oauth.protectedResourceRequest(token, 'GET', api, undefined, undefined, insecure).then(
        ({ status }) => status,
        (error: oauth.WWWAuthenticateChallengeError) => error.status,
      )
    },
  }
}

const audienceOf = ({ access_token: token }: Tokens): readonly string[] => {
  const { aud } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { aud: string[] }
  return [aud].flat().sort()
}

for (const [name, connect] of Object.entries({ 'openid-client': openidClient, oauth4webapi }))
  describe(`${name} with resource indicators`, () => {
    let example: RunningExample
    let library: Library
    let api: string
    const folder = mkdtempSync(join(tmpdir(), 'resources-'))
    before(async () => {
      const file = join(folder, 'resources.json')
      writeFileSync(file, JSON.stringify([{ uri: CALENDAR }]))
      const clients = await exampleClients({ redirect_uris: ['http://127.0.0.1:1/callback'] })
      example = await startExample({
        clients: Object.values(clients).map(({ record }) => record),
        users: USERS,
        environment: { RESOURCES_FILE: file },
      })
      api = `${example.url}/api`
      library = await connect(example.url, clients['basic']?.secret ?? '')
    })
    after(async () => {
      await example?.stop()
      rmSync(folder, { recursive: true, force: true })
    })
    const refused = { error: 'invalid_target' }

    test('RI7 RI8: one resource: the code, its refresh and the API; the session takes no other one', async () => {
      const tokens = await library.authorize([api])
      assert.deepEqual(audienceOf(tokens), [api])
      assert.equal(await library.call(tokens.access_token), 200)
      await assert.rejects(library.refresh(tokens.refresh_token ?? '', [CALENDAR]), refused)
      const next = await library.refresh(tokens.refresh_token ?? '', [`${api}/`])
      assert.deepEqual(audienceOf(next), [api])
      assert.equal(await library.call(next.access_token), 200)
      const other = await library.authorize([CALENDAR])
      assert.equal(await library.call(other.access_token), 401)
    })

    test('RI1 RI8 RI12: two resources: a refresh narrows the access token, and the next one has both again', async () => {
      const tokens = await library.authorize([api, CALENDAR])
      assert.deepEqual(audienceOf(tokens), [api, CALENDAR].sort())
      assert.equal(await library.call(tokens.access_token), 200)
      const calendar = await library.refresh(tokens.refresh_token ?? '', [CALENDAR])
      assert.deepEqual(audienceOf(calendar), [CALENDAR])
      assert.equal(await library.call(calendar.access_token), 401)
      const both = await library.refresh(calendar.refresh_token ?? '', [])
      assert.deepEqual(audienceOf(both), [api, CALENDAR].sort())
      const named = await library.refresh(both.refresh_token ?? '', [CALENDAR, api])
      assert.deepEqual(audienceOf(named), [api, CALENDAR].sort())
      assert.equal(await library.call(named.access_token), 200)
    })

    test('RI3 RI11: client credentials for one resource, for two, and for an unknown one', async () => {
      const one = await library.clientCredentials([api])
      assert.deepEqual([audienceOf(one), await library.call(one.access_token)], [[api], 200])
      const two = await library.clientCredentials([api, CALENDAR])
      assert.deepEqual([audienceOf(two), await library.call(two.access_token)], [[api, CALENDAR].sort(), 200])
      const calendar = await library.clientCredentials([CALENDAR])
      assert.deepEqual([audienceOf(calendar), await library.call(calendar.access_token)], [[CALENDAR], 401])
      await assert.rejects(library.clientCredentials([api, 'https://other.example']), refused)
    })
  })
