import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import * as oauth from 'oauth4webapi'
import { type RunningExample, startExample } from '../support/example.ts'
import { ALICE, type ExampleClient, exampleClients, USERS } from '../support/example_clients.ts'
import { createFormBrowser } from '../support/form_browser.ts'
import { freePort } from '../support/temporary.ts'

const REDIRECT_URI = 'http://127.0.0.1:1/callback'
const insecure = { [oauth.allowInsecureRequests]: true }

describe('oauth4webapi, against an issuer with a path', () => {
  let example: RunningExample
  let issuer: URL
  let clients: Readonly<Record<string, ExampleClient>>

  before(async () => {
    clients = await exampleClients({ redirect_uris: [REDIRECT_URI] })
    issuer = new URL(`http://localhost:${await freePort()}/tenant/one`)
    example = await startExample({
      environment: { PORT: issuer.port, ISSUER: issuer.href },
      clients: Object.values(clients).map(({ record }) => record),
      users: USERS,
    })
  })
  after(() => example?.stop())

  const authenticationOf = ({ key, secret = '', record }: ExampleClient): oauth.ClientAuth => {
    if (key !== undefined) return oauth.PrivateKeyJwt(key)
    const method = record['token_endpoint_auth_method']
    if (method === 'client_secret_jwt') return oauth.ClientSecretJwt(secret)
    if (method === 'client_secret_basic') return oauth.ClientSecretBasic(secret)
    return method === 'client_secret_post' ? oauth.ClientSecretPost(secret) : oauth.None()
  }

  async function discover(algorithm: 'oidc' | 'oauth2'): Promise<oauth.AuthorizationServer> {
    const response = await oauth.discoveryRequest(issuer, { algorithm, ...insecure })
    return oauth.processDiscoveryResponse(issuer, response)
  }

  for (const id of ['es256', 'rs256', 'eddsa', 'hs256', 'basic', 'post', 'none']) {
    test(`${id}: discovery, code with PKCE, three refreshes, introspection, revocation`, async () => {
      const of = clients[id] as ExampleClient
      const server = await discover(id === 'basic' ? 'oidc' : 'oauth2')
      const client: oauth.Client = { client_id: id }
      const verifier = oauth.generateRandomCodeVerifier()
      const state = oauth.generateRandomState()
      const redirectUri = 'http://127.0.0.1:54321/callback' // a native app takes any port that is free
      const url = new URL(server.authorization_endpoint ?? '')
      url.search = new URLSearchParams({
        response_type: 'code',
        client_id: id,
        redirect_uri: redirectUri,
        scope: 'profile notes.read',
        state,
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      }).toString()
      const arrival = await createFormBrowser(issuer.origin).authorize(url.href, ALICE)
      const parameters = oauth.validateAuthResponse(server, client, arrival, state)
      const response = await oauth.authorizationCodeGrantRequest(
        server,
        client,
        authenticationOf(of),
        parameters,
        redirectUri,
        verifier,
        insecure,
      )
      let tokens = await oauth.processAuthorizationCodeResponse(server, client, response)
      for (let turn = 1; turn <= 3; turn += 1) {
        const refreshed = await oauth.refreshTokenGrantRequest(
          server,
          client,
          authenticationOf(of),
          tokens.refresh_token ?? '',
          insecure,
        )
        tokens = await oauth.processRefreshTokenResponse(server, client, refreshed)
      }
      assert.equal(tokens.scope, 'notes.read profile')

      const asking = clients['post'] as ExampleClient
      const introspect = async (token: string) => {
        const answer = await oauth.introspectionRequest(
          server,
          { client_id: 'post' },
          authenticationOf(asking),
          token,
          insecure,
        )
        return oauth.processIntrospectionResponse(server, { client_id: 'post' }, answer)
      }
      assert.equal((await introspect(tokens.access_token)).client_id, id, 'any confidential client may ask')
      const revoked = await oauth.revocationRequest(
        server,
        client,
        authenticationOf(of),
        tokens.refresh_token ?? '',
        insecure,
      )
      await oauth.processRevocationResponse(revoked)
      assert.deepEqual(await introspect(tokens.access_token), { active: false })
    })

    if (id === 'none') continue
    test(`${id}: client credentials`, async () => {
      const server = await discover('oauth2')
      const client: oauth.Client = { client_id: id }
      const response = await oauth.clientCredentialsGrantRequest(
        server,
        client,
        authenticationOf(clients[id] as ExampleClient),
        { scope: 'email' },
        insecure,
      )
      const tokens = await oauth.processClientCredentialsResponse(server, client, response)
      assert.equal(tokens.scope, 'email')
    })
  }
})
