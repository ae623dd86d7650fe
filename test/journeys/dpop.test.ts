import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import * as dpopLibrary from 'dpop'
import { decodeJwt } from 'jose'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'
import { type RunningExample, startExample } from '../support/example.ts'
import { ALICE, type ExampleClient, exampleClients, USERS } from '../support/example_clients.ts'
import { createFormBrowser } from '../support/form_browser.ts'

const REDIRECT_URI = 'https://app.example.com/callback'
const insecure = { [oauth.allowInsecureRequests]: true }

for (const DPOP_NONCE of ['off', 'on'] as const) {
  describe(`DPoP against the example, nonces ${DPOP_NONCE}`, () => {
    let example: RunningExample
    let clients: Readonly<Record<string, ExampleClient>>
    before(async () => {
      clients = await exampleClients({ redirect_uris: [REDIRECT_URI] })
      const environment = { DPOP_NONCE, REQUIRE_DPOP: DPOP_NONCE }
      const records = Object.values(clients).map(({ record }) => record)
      example = await startExample({ environment, clients: records, users: USERS })
    })
    after(() => example?.stop())

    const authorize = (url: URL) => createFormBrowser(example.url).authorize(url.href, ALICE)

    for (const id of ['es256', 'none', 'basic'])
      for (const bindsCode of [true, false])
        test(`DP7 DP9 DP10 DP13: openid-client, ${id}, ${bindsCode ? 'with' : 'without'} dpop_jkt`, async () => {
          const of = clients[id] as ExampleClient
          const authentication =
            id === 'none'
              ? client.None()
              : id === 'basic'
                ? client.ClientSecretBasic(of.secret ?? '')
                : client.PrivateKeyJwt({ key: of.key as NonNullable<typeof of.key>, kid: `key of ${id}` })
          const config = await client.discovery(new URL(example.url), id, undefined, authentication, {
            execute: [client.allowInsecureRequests],
          })
          assert.deepEqual(config.serverMetadata()['dpop_signing_alg_values_supported'], [
            'ES256',
            'EdDSA',
            'PS256',
            'RS256',
          ])
          const keys = await client.randomDPoPKeyPair('ES256')
          const DPoP = client.getDPoPHandle(config, keys)
          const pkceCodeVerifier = client.randomPKCECodeVerifier()
          const url = client.buildAuthorizationUrl(config, {
            redirect_uri: REDIRECT_URI,
            scope: 'profile',
            code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
            code_challenge_method: 'S256',
            ...(bindsCode ? { dpop_jkt: await DPoP.calculateThumbprint() } : {}),
          })
          const arrival = await authorize(url)
          const other = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
          const redeem = (handle: client.DPoPHandle) =>
            client.authorizationCodeGrant(
              config,
              arrival,
              { pkceCodeVerifier },
              { redirect_uri: REDIRECT_URI },
              { DPoP: handle },
            )
          if (bindsCode) await assert.rejects(redeem(other), { error: 'invalid_grant' })
          let tokens = await redeem(DPoP)
          const api = new URL(`${example.url}/api/whoami`)
          const called = await client.fetchProtectedResource(config, tokens.access_token, api, 'GET', null, undefined, {
            DPoP,
          })
          assert.deepEqual([called.status, ((await called.json()) as { client_id: string }).client_id], [200, id])
          const stolen = await fetch(api, { headers: { authorization: `Bearer ${tokens.access_token}` } })
          assert.equal(stolen.status, 401)
          for (let round = 0; round < 2; round += 1) {
            assert.equal(tokens.token_type, 'dpop')
            assert.deepEqual(decodeJwt(tokens.access_token)['cnf'], { jkt: await DPoP.calculateThumbprint() })
            const refresh = (handle: client.DPoPHandle) =>
              client.refreshTokenGrant(config, tokens.refresh_token ?? '', undefined, { DPoP: handle })
            if (id === 'none') await assert.rejects(refresh(other), { error: 'invalid_grant' })
            tokens = await refresh(DPoP)
          }
        })

    test('DP6 DP7: oauth4webapi, client credentials, with the nonce retry', async () => {
      const issuer = new URL(example.url)
      const server = await oauth.processDiscoveryResponse(
        issuer,
        await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }),
      )
      const of = clients['basic'] as ExampleClient
      const registered: oauth.Client = { client_id: 'basic' }
      const DPoP = oauth.DPoP(registered, await oauth.generateKeyPair('ES256'))
      const request = () =>
        oauth.clientCredentialsGrantRequest(
          server,
          registered,
          oauth.ClientSecretBasic(of.secret ?? ''),
          new URLSearchParams(),
          { DPoP, ...insecure },
        )
      const process = async () => oauth.processClientCredentialsResponse(server, registered, await request())
      if (DPOP_NONCE === 'on') await assert.rejects(process(), (error) => oauth.isDPoPNonceError(error))
      const tokens = await process()
      assert.equal(tokens.token_type, 'dpop')
      assert.equal((await process()).token_type, 'dpop', 'the nonce is used again')
    })

    test('DP8: the library dpop makes proofs that are accepted; REQUIRE_DPOP refuses requests without one', async () => {
      const { secret = '' } = clients['basic'] as ExampleClient
      const keys = await dpopLibrary.generateKeyPair('ES256')
      const send = async (nonce?: string, withProof = true) => {
        const headers = new Headers({
          authorization: `Basic ${Buffer.from(`basic:${encodeURIComponent(secret)}`).toString('base64')}`,
        })
        if (withProof) headers.set('dpop', await dpopLibrary.generateProof(keys, `${example.url}/token`, 'POST', nonce))
        const body = new URLSearchParams({ grant_type: 'client_credentials' })
        return fetch(`${example.url}/token`, { method: 'POST', headers, body })
      }
      const first = await send()
      assert.equal(first.status, DPOP_NONCE === 'on' ? 400 : 200)
      const answer = (await (await send(first.headers.get('dpop-nonce') ?? undefined)).json()) as { token_type: string }
      assert.equal(answer.token_type, 'DPoP')
      const without = (await (await send(undefined, false)).json()) as Record<string, string>
      if (DPOP_NONCE === 'on') assert.equal(without['error'], 'invalid_request')
      else assert.equal(without['token_type'], 'Bearer')
    })
  })
}
