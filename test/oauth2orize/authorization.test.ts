import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  type AuthorizationApp,
  authorizationApp,
  ISSUER,
  pkcePair,
  redirected,
  rightRequest,
} from '../support/authorization_app.ts'

let app: AuthorizationApp
before(async () => {
  app = await authorizationApp()
})
after(() => app.close())

test('A3 A21 A23 a request that the user allows ends at the client with code, state and iss, and the code buys tokens', async () => {
  const { verifier, challenge } = pkcePair()
  const response = await app.decide(rightRequest(challenge, { state: 'a b+c&ü' }))
  assert.equal(response.status, 303)
  assert.equal(response.headers.get('cache-control'), 'no-store')
  const to = redirected(response)
  assert.equal(to.origin + to.pathname, 'https://client.example/cb')
  assert.deepEqual([...to.searchParams.keys()], ['code', 'state', 'iss'])
  assert.equal(to.searchParams.get('state'), 'a b+c&ü')
  assert.equal(to.searchParams.get('iss'), ISSUER)
  const tokens = await app.redeem('web', {
    code: to.searchParams.get('code') ?? '',
    redirect_uri: 'https://client.example/cb',
    code_verifier: verifier,
  })
  assert.equal(tokens.scope, 'read')
  assert.equal(typeof tokens.refresh_token, 'string')
})
