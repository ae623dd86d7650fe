// openid-client in the shape of ChatGPT: a document with both forms of the method, RS256, keys at jwks_uri on the same host, the
// token endpoint as audience. The client rotates its key between the code and the refresh.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { exportJWK, generateKeyPair } from 'jose'
import * as openid from 'openid-client'
import { createFormBrowser } from '../support/form_browser.ts'
import { ALICE, startDocumentHost, startMcpWorld } from '../support/mcp_world.ts'

async function generateKey(kid: string) {
  const { privateKey, publicKey } = await generateKeyPair('RS256')
  return { key: { key: privateKey, kid }, jwk: { ...(await exportJWK(publicKey)), kid, use: 'sig', alg: 'RS256' } }
}

test('a client in the shape of ChatGPT logs in with its key, rotates it, and refreshes', async (t) => {
  const host = await startDocumentHost('chatgpt.example')
  t.after(() => host.close())
  const [first, second] = await Promise.all([generateKey('first'), generateKey('second')])
  const jwksUri = host.publishJson('/oauth/jwks.json', { keys: [first.jwk] })
  const redirectUri = `${new URL(jwksUri).origin}/connector/oauth/callback`
  const clientId = host.publish('/oauth/client.json', {
    client_name: 'ChatGPT',
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
    token_endpoint_auth_signing_alg: 'RS256',
    jwks_uri: jwksUri,
  })
  const world = await startMcpWorld(host.options, '127.0.0.1', { ...host.options.remote, cooldownSeconds: 1 })
  t.after(() => world.close())

  const configure = ({ key }: typeof first): Promise<openid.Configuration> =>
    openid.discovery(
      new URL(world.issuer),
      clientId,
      undefined,
      openid.PrivateKeyJwt(key, {
        [openid.modifyAssertion]: (_, payload) => {
          payload['aud'] = `${world.issuer}/token`
        },
      }),
      { execute: [openid.allowInsecureRequests], algorithm: 'oauth2' },
    )
  const configuration = await configure(first)
  const { client_id_metadata_document_supported: supported, ...metadata } = configuration.serverMetadata()
  assert.equal(supported, true)
  assert.deepEqual(metadata.token_endpoint_auth_methods_supported, ['private_key_jwt', 'none'])
  assert.ok(metadata.token_endpoint_auth_signing_alg_values_supported?.includes('RS256'))

  const verifier = openid.randomPKCECodeVerifier()
  const url = openid.buildAuthorizationUrl(configuration, {
    redirect_uri: redirectUri,
    scope: 'notes.read',
    resource: world.resource,
    state: 'a state',
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  })
  const browser = createFormBrowser(world.issuer)
  const back = await browser.authorize(url.href, ALICE)
  const checks = { pkceCodeVerifier: verifier, expectedState: 'a state' }
  const granted = await openid.authorizationCodeGrant(configuration, back, checks, { resource: world.resource })
  assert.equal(granted.scope, 'notes.read')

  host.publishJson('/oauth/jwks.json', { keys: [second.jwk] })
  await setTimeout(1100) // the least time between two requests for the keys
  const rotated = await configure(second)
  const refreshed = await openid.refreshTokenGrant(rotated, granted.refresh_token ?? '', { resource: world.resource })
  assert.ok(refreshed.access_token)
  assert.notEqual(refreshed.refresh_token, granted.refresh_token)

  // The document says private_key_jwt: the client cannot go back to no authentication, although the server offers it.
  const body = new URLSearchParams({
    grant_type: 'refresh_token',
    refresh_token: refreshed.refresh_token ?? '',
    client_id: clientId,
  })
  const downgraded = await fetch(`${world.issuer}/token`, { method: 'POST', body })
  assert.equal(((await downgraded.json()) as { error: string }).error, 'invalid_client')

  // The code goes to the host of the document: the user who has allowed it is not asked again.
  const again = await browser.visit(url.href)
  assert.ok(again.redirectedTo?.searchParams.get('code'))
})
