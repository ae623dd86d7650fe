import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as client from 'openid-client'
import { type RunningExample, startExample } from '../support/example.ts'
import { ALICE, type ExampleClient, exampleClients, USERS } from '../support/example_clients.ts'
import { createFormBrowser } from '../support/form_browser.ts'

const REDIRECT_URI = 'https://app.example.com/callback'

describe('openid-client, with nothing but the issuer', () => {
  let example: RunningExample
  let clients: Readonly<Record<string, ExampleClient>>

  before(async () => {
    clients = await exampleClients({ redirect_uris: [REDIRECT_URI] })
    example = await startExample({
      // the way the README says
      command: ['npm', 'run', '--silent', 'example'],
      clients: Object.values(clients).map(({ record }) => record),
      users: USERS,
    })
  })
  after(() => example?.stop())

  const authenticationOf = ({ key, secret, record }: ExampleClient): client.ClientAuth => {
    if (key !== undefined) return client.PrivateKeyJwt({ key, kid: `key of ${record.client_id}` })
    const method = record['token_endpoint_auth_method']
    if (method === 'client_secret_jwt') return client.ClientSecretJwt(secret)
    if (method === 'client_secret_basic') return client.ClientSecretBasic(secret)
    return method === 'client_secret_post' ? client.ClientSecretPost(secret) : client.None()
  }

  const discover = (of: ExampleClient, algorithm: 'oidc' | 'oauth2' = 'oidc'): Promise<client.Configuration> =>
    client.discovery(new URL(example.url), of.record.client_id, undefined, authenticationOf(of), {
      algorithm,
      execute: [client.allowInsecureRequests],
    })

  async function connect(config: client.Configuration, scope: string) {
    const pkceCodeVerifier = client.randomPKCECodeVerifier()
    const expectedState = client.randomState()
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: REDIRECT_URI,
      scope,
      state: expectedState,
      code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
      resource: 'https://notes.example.com/',
    })
    const arrival = await createFormBrowser(example.url).authorize(url.href, ALICE)
    assert.equal(arrival.href.startsWith(`${REDIRECT_URI}?`), true, 'the registered URI, byte for byte')
    return client.authorizationCodeGrant(
      config,
      arrival,
      { pkceCodeVerifier, expectedState },
      { redirect_uri: REDIRECT_URI },
    )
  }

  const introspect = async (config: client.Configuration, token: string) => {
    // a public client may not ask: a resource server does
    const asking = clients['basic'] as ExampleClient
    return client.tokenIntrospection(
      config.clientMetadata().client_id === 'none' ? await discover(asking) : config,
      token,
    )
  }

  for (const id of ['es256', 'rs256', 'eddsa', 'hs256', 'basic', 'post', 'none']) {
    test(`${id}: code with PKCE, three refreshes, introspection, revocation`, async () => {
      const config = await discover(clients[id] as ExampleClient, id === 'es256' ? 'oauth2' : 'oidc')
      let tokens = await connect(config, 'profile email')
      assert.equal(tokens.scope, 'email profile')
      assert.equal(tokens.token_type, 'bearer') // as openid-client spells it
      assert.equal(tokens.expires_in, 900)

      const { jwks_uri = '', issuer } = config.serverMetadata()
      const { payload, protectedHeader } = await jwtVerify(tokens.access_token, createRemoteJWKSet(new URL(jwks_uri)), {
        issuer,
        typ: 'at+jwt',
        algorithms: ['ES256', 'EdDSA'],
      })
      assert.equal(payload.sub, 'u1')
      assert.equal(payload['client_id'], id)
      assert.equal(payload['scope'], 'email profile')
      assert.ok(protectedHeader.kid)

      for (let turn = 1; turn <= 3; turn += 1) {
        const before = tokens
        tokens = await client.refreshTokenGrant(config, before.refresh_token ?? '')
        assert.notEqual(tokens.access_token, before.access_token)
        assert.notEqual(tokens.refresh_token, before.refresh_token)
        assert.equal(tokens.scope, 'email profile')
      }

      const active = await introspect(config, tokens.access_token)
      assert.deepEqual(
        [active.active, active.sub, active.client_id, active.scope, active.iss],
        [true, 'u1', id, 'email profile', issuer],
      )
      // A refresh token is active for its own client only, and a public client cannot introspect: another one asks for it.
      assert.equal((await introspect(config, tokens.refresh_token ?? '')).active, id !== 'none')

      await client.tokenRevocation(config, tokens.access_token)
      assert.equal((await introspect(config, tokens.access_token)).active, false)
      const later = await client.refreshTokenGrant(config, tokens.refresh_token ?? '')
      await client.tokenRevocation(config, later.refresh_token ?? '')
      assert.equal((await introspect(config, later.access_token)).active, false)
      await assert.rejects(client.refreshTokenGrant(config, later.refresh_token ?? ''), { error: 'invalid_grant' })
    })

    if (id === 'none') continue
    test(`${id}: client credentials`, async () => {
      const config = await discover(clients[id] as ExampleClient)
      const tokens = await client.clientCredentialsGrant(config, {
        scope: 'notes.read',
        resource: 'https://notes.example.com/',
      })
      assert.equal(tokens.scope, 'notes.read')
      assert.equal(tokens.refresh_token, undefined)
      const { jwks_uri = '', issuer } = config.serverMetadata()
      const { payload } = await jwtVerify(tokens.access_token, createRemoteJWKSet(new URL(jwks_uri)), {
        issuer,
        typ: 'at+jwt',
      })
      assert.deepEqual([payload.sub, payload['client_id']], [id, id])
      assert.equal((await introspect(config, tokens.access_token)).active, true)
    })
  }

  test('who denies is told to the client', async () => {
    const config = await discover(clients['none'] as ExampleClient)
    const verifier = client.randomPKCECodeVerifier()
    const url = client.buildAuthorizationUrl(config, {
      scope: 'profile',
      redirect_uri: REDIRECT_URI,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    })
    const arrival = await createFormBrowser(example.url).authorize(
      url.href,
      { username: 'bob', password: 'builder' },
      'cancel',
    )
    await assert.rejects(client.authorizationCodeGrant(config, arrival, { pkceCodeVerifier: verifier }), {
      error: 'access_denied',
    })
  })

  test('npm run example ends with status 0 on SIGTERM', async () => {
    assert.deepEqual(await example.stop(), { status: 0, signal: null })
  })
})
