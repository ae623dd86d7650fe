// Pushed requests and DPoP at once, with clients of others.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { decodeJwt } from 'jose'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'
import { type RunningExample, startExample } from '../support/example.ts'
import { ALICE, type ExampleClient, exampleClients, USERS } from '../support/example_clients.ts'
import { createFormBrowser } from '../support/form_browser.ts'

const REDIRECT_URI = 'https://app.example.com/callback'
const insecure = { [oauth.allowInsecureRequests]: true }

/** What binds the code: the proof of the pushed request, its parameter `dpop_jkt`, both, or nothing. */
const BINDINGS = ['proof', 'dpop_jkt', 'both', 'nothing'] as const

for (const DPOP_NONCE of ['off', 'on'] as const) {
  describe(`pushed requests and DPoP at the example, nonces ${DPOP_NONCE}`, () => {
    let example: RunningExample
    let clients: Readonly<Record<string, ExampleClient>>
    before(async () => {
      clients = await exampleClients({ redirect_uris: [REDIRECT_URI] })
      const environment = { DPOP_NONCE, REQUIRE_DPOP: 'on', REQUIRE_PAR: 'on', ASSERTION_PROFILE: 'fapi2' }
      const records = Object.values(clients).map(({ record }) => record)
      example = await startExample({ environment, clients: records, users: USERS })
    })
    after(() => example?.stop())

    const authorize = (url: URL) => createFormBrowser(example.url).authorize(url.href, ALICE)
    const keyOf = (id: string) => {
      const { key } = clients[id] as ExampleClient
      assert.ok(key)
      return key
    }

    for (const binding of BINDINGS)
      test(`PA1 DP6 DP7 DP9: openid-client, ${binding} binds the code`, async () => {
        const config = await client.discovery(
          new URL(example.url),
          'es256',
          undefined,
          client.PrivateKeyJwt(keyOf('es256')),
          { algorithm: 'oauth2', execute: [client.allowInsecureRequests] },
        )
        const [DPoP, other] = [
          client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256')),
          client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256')),
        ]
        const pkceCodeVerifier = client.randomPKCECodeVerifier()
        const parameters = {
          redirect_uri: REDIRECT_URI,
          scope: 'profile',
          code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
          code_challenge_method: 'S256',
          ...(binding === 'dpop_jkt' || binding === 'both' ? { dpop_jkt: await DPoP.calculateThumbprint() } : {}),
        }
        const withProof = binding === 'proof' || binding === 'both' ? { DPoP } : {}
        if (binding === 'both') {
          const mixed = client.buildAuthorizationUrlWithPAR(config, parameters, { DPoP: other })
          await assert.rejects(mixed, { error: 'invalid_request' })
        }
        const arrival = await authorize(await client.buildAuthorizationUrlWithPAR(config, parameters, withProof))
        const redeem = (handle: client.DPoPHandle) =>
          client.authorizationCodeGrant(
            config,
            arrival,
            { pkceCodeVerifier },
            { redirect_uri: REDIRECT_URI },
            { DPoP: handle },
          )
        if (binding !== 'nothing') await assert.rejects(redeem(other), { error: 'invalid_grant' })
        const tokens = await redeem(DPoP)
        assert.equal(tokens.token_type, 'dpop')
        assert.deepEqual(decodeJwt(tokens.access_token)['cnf'], { jkt: await DPoP.calculateThumbprint() })
        const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token ?? '', undefined, { DPoP })
        assert.equal(refreshed.token_type, 'dpop')
      })

    test('DP12: a script of another origin may send DPoP to every endpoint, and read the nonce and the challenge', async () => {
      const origin = 'https://app.example.com'
      const preflight = async (path: string, method: string) => {
        const headers = {
          origin,
          'access-control-request-method': method,
          'access-control-request-headers': 'authorization,dpop',
        }
        return fetch(example.url + path, { method: 'OPTIONS', headers })
      }
      const listOf = (response: Response, name: string) =>
        (response.headers.get(name) ?? '').split(',').map((each) => each.trim().toLowerCase())
      for (const [path, method] of [
        ['/token', 'POST'],
        ['/par', 'POST'],
        ['/api/whoami', 'GET'],
      ] as const) {
        const allowed = await preflight(path, method)
        assert.ok(allowed.ok, path)
        assert.ok(['*', origin].includes(allowed.headers.get('access-control-allow-origin') ?? ''), path)
        assert.ok(listOf(allowed, 'access-control-allow-headers').includes('dpop'), path)
        const refused = await fetch(example.url + path, { method, headers: { origin, dpop: 'none' } })
        assert.ok([400, 401].includes(refused.status), path)
        const exposed = listOf(refused, 'access-control-expose-headers')
        assert.ok(exposed.includes('dpop-nonce') && exposed.includes('www-authenticate'), path)
      }
    })

    test('PA1 DP6 DP7 DP9: oauth4webapi, from the pushed request to the API and a refresh, with the nonce retry', async () => {
      const issuer = new URL(example.url)
      const discovered = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure })
      const server = await oauth.processDiscoveryResponse(issuer, discovered)
      const registered: oauth.Client = { client_id: 'es256' }
      const authentication = oauth.PrivateKeyJwt(keyOf('es256'))
      const DPoP = oauth.DPoP(registered, await oauth.generateKeyPair('ES256'))
      let retries = 0
      /** Sends a request, and again if the server asks for a nonce, which the handle has remembered. */
      async function retried<T>(send: () => Promise<T>): Promise<T> {
        try {
          return await send()
        } catch (error) {
          if (!oauth.isDPoPNonceError(error)) throw error
          retries += 1
          return send()
        }
      }
      const verifier = oauth.generateRandomCodeVerifier()
      const parameters = {
        response_type: 'code',
        redirect_uri: REDIRECT_URI,
        scope: 'profile',
        state: 's',
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      }
      const options = { DPoP, ...insecure }
      const { request_uri } = await retried(async () =>
        oauth.processPushedAuthorizationResponse(
          server,
          registered,
          await oauth.pushedAuthorizationRequest(server, registered, authentication, parameters, options),
        ),
      )
      const url = new URL(server.authorization_endpoint ?? '')
      url.search = new URLSearchParams({ client_id: 'es256', request_uri }).toString()
      const arrived = oauth.validateAuthResponse(server, registered, await authorize(url), 's')
      const tokens = await retried(async () =>
        oauth.processAuthorizationCodeResponse(
          server,
          registered,
          await oauth.authorizationCodeGrantRequest(
            server,
            registered,
            authentication,
            arrived,
            REDIRECT_URI,
            verifier,
            options,
          ),
        ),
      )
      assert.equal(tokens.token_type, 'dpop')
      const api = new URL(`${example.url}/api/whoami`)
      const call = async (accessToken: string) =>
        retried(() => oauth.protectedResourceRequest(accessToken, 'GET', api, new Headers(), null, options))
      assert.equal((await call(tokens.access_token)).status, 200)
      const refreshed = await retried(async () =>
        oauth.processRefreshTokenResponse(
          server,
          registered,
          await oauth.refreshTokenGrantRequest(server, registered, authentication, tokens.refresh_token ?? '', options),
        ),
      )
      assert.equal((await call(refreshed.access_token)).status, 200)
      assert.equal(retries, DPOP_NONCE === 'on' ? 1 : 0, 'one nonce is good for all')
    })
  })
}
