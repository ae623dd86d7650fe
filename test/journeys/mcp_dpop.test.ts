// The DPoP session of the MCP client against the example and its API.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { auth, DpopSession, withOAuth } from '@modelcontextprotocol/client'
import { decodeJwt } from 'jose'
import { type RunningExample, startExample } from '../support/example.ts'
import { ALICE, PUBLIC_APP, USERS } from '../support/example_clients.ts'
import { createFormBrowser } from '../support/form_browser.ts'
import { createStore } from '../support/mcp_clients.ts'

const [REDIRECT_URI = ''] = PUBLIC_APP.redirect_uris

for (const DPOP_NONCE of ['off', 'on'] as const) {
  describe(`DpopSession of @modelcontextprotocol/client, nonces ${DPOP_NONCE}`, () => {
    let example: RunningExample
    before(async () => {
      const environment = { DPOP_NONCE, REQUIRE_DPOP: DPOP_NONCE }
      example = await startExample({ environment, clients: [PUBLIC_APP], users: USERS })
    })
    after(() => example?.stop())

    /** A client that has no tokens yet. Its browser logs Alice in. */
    async function createClient(withSession = true) {
      const session = await DpopSession.create()
      const browser = createFormBrowser(example.url)
      const { store, provider } = createStore('', REDIRECT_URI, (url) => browser.authorize(url.href, ALICE))
      const { clientMetadataUrl: _, ...rest } = provider
      const own = {
        ...rest,
        clientInformation: () => ({ client_id: PUBLIC_APP.client_id }),
        ...(withSession ? { dpop: () => session } : {}),
      }
      const call = withOAuth(own, `${example.url}/api`)(fetch)
      const api = `${example.url}/api/whoami`
      const logIn = async () => {
        await assert.rejects(call(api), /redirect initiated/)
        const { response } = store
        const [authorizationCode = '', iss = ''] = [response.get('code') ?? '', response.get('iss') ?? '']
        return auth(own, { serverUrl: `${example.url}/api`, authorizationCode, iss })
      }
      return { session, store, provider: own, call: () => call(api), logIn }
    }

    test('DP6 DP7 DP10 DP11: from a 401 of the API to a token that is bound to the key of the session, and a refresh', async () => {
      const { session, store, provider, call, logIn } = await createClient()
      assert.equal(await logIn(), 'AUTHORIZED')
      const first = store.tokens
      assert.equal(first?.token_type, 'DPoP')
      assert.deepEqual(decodeJwt(first.access_token)['cnf'], { jkt: session.thumbprint })
      for (let time = 0; time < 2; time += 1)
        assert.equal(((await (await call()).json()) as { sub: string }).sub, 'u1', 'a new proof for each request')
      const stolen = await fetch(`${example.url}/api/whoami`, {
        headers: { authorization: `Bearer ${first.access_token}` },
      })
      assert.equal(stolen.status, 401)

      assert.equal(await auth(provider, { serverUrl: `${example.url}/api` }), 'AUTHORIZED')
      assert.notEqual(store.tokens?.access_token, first.access_token)
      assert.deepEqual(decodeJwt(store.tokens?.access_token ?? '')['cnf'], { jkt: session.thumbprint })
      assert.equal((await call()).status, 200)
      assert.equal(store.requests.length, 1, 'the user was asked once')
    })

    test('DP10: another session cannot refresh with the token; the user is asked again', async () => {
      const thief = await createClient()
      const owner = await createClient()
      assert.equal(await owner.logIn(), 'AUTHORIZED')
      thief.store.tokens = owner.store.tokens
      const result = await auth(thief.provider, { serverUrl: `${example.url}/api` })
      assert.equal(result, 'REDIRECT')
      assert.deepEqual(thief.store.invalidated, ['tokens'])
      assert.equal(await auth(owner.provider, { serverUrl: `${example.url}/api` }), 'AUTHORIZED')
    })

    test(`DP8: a client without a session ${DPOP_NONCE === 'on' ? 'gets no tokens' : 'gets Bearer tokens, as before'}`, async () => {
      const { store, call, logIn } = await createClient(false)
      if (DPOP_NONCE === 'on') {
        await assert.rejects(logIn(), /DPoP/)
        return
      }
      assert.equal(await logIn(), 'AUTHORIZED')
      assert.equal(store.tokens?.token_type, 'Bearer')
      assert.equal((await call()).status, 200)
    })
  })
}
