import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from '../../lib/client.ts'
import { OAuthError } from '../../lib/errors.ts'
import { clientCredentials } from '../../lib/exchanges/client_credentials.ts'
import { createTokens } from '../../lib/token/token_set.ts'

const NOW = 1_800_000_000
const client: Client = { client_id: 'job', grant_types: ['client_credentials', 'refresh_token'], scope: 'write read' }
const tokens = createTokens({
  issuer: 'https://as.example',
  baseSecret: 'a base secret of more than thirty-two octets',
})
const exchange = clientCredentials({ tokens })

const run = (parameters: Record<string, string> = {}, by = client) =>
  exchange.run({ client: by, parameters, now: NOW, context: {} })

const refused = (code: string, reason: string) => (error: unknown) => {
  assert.ok(error instanceof OAuthError, String(error))
  assert.deepEqual([error.code, error.reason], [code, reason])
  return true
}

test('T72 to T76: an access token for the client, no refresh token, no session', async () => {
  const { access_token, ...rest } = await run()
  assert.deepEqual(rest, { token_type: 'Bearer', expires_in: 900, scope: 'read write' })
  const claims = await tokens.verifyAccessToken(access_token, NOW)
  assert.deepEqual([claims?.sub, claims?.client_id, claims?.sid, claims?.styp], ['job', 'job', undefined, undefined])
})

test('T68: a client without the grant is unauthorized_client', async () => {
  await assert.rejects(run({}, { client_id: 'job' }), refused('unauthorized_client', 'grant_type_not_registered'))
})

test('T69: so is a public client, also when it is registered for the grant', async () => {
  const spa = { ...client, token_endpoint_auth_method: 'none' }
  await assert.rejects(run({}, spa), refused('unauthorized_client', 'grant_type_not_registered'))
})

test("T70: without scope all of the client's, with it at most those", async () => {
  assert.equal((await run({ scope: 'read' })).scope, 'read')
  assert.equal((await run({ scope: '  ' })).scope, 'read write')
  await assert.rejects(run({ scope: 'read admin' }), refused('invalid_scope', 'scope_exceeded'))
  await assert.rejects(run({ scope: 're"ad' }), refused('invalid_scope', 'scope_malformed'))
})

test('T84: a comma belongs to a scope value, and separates values only with the option', async () => {
  await assert.rejects(run({ scope: 'read,write' }), refused('invalid_scope', 'scope_exceeded'))
  const lenient = clientCredentials({ tokens, commaSeparatesScope: true })
  const given = async (scope: string) =>
    (await lenient.run({ client, parameters: { scope }, now: NOW, context: {} })).scope
  assert.equal(await given('write,read'), 'read write')
  assert.equal(await given(', write ,, read,read '), 'read write')
  assert.equal(await given('read'), 'read')
  await assert.rejects(given('read,admin'), refused('invalid_scope', 'scope_exceeded'))
  await assert.rejects(given('read;write'), refused('invalid_scope', 'scope_exceeded'))
  await assert.rejects(given('read,"'), refused('invalid_scope', 'scope_malformed'))
})

test('T85: with the option, nothing but commas asks for nothing in particular', async () => {
  const lenient = clientCredentials({ tokens, commaSeparatesScope: true })
  const { scope } = await lenient.run({ client, parameters: { scope: ',' }, now: NOW, context: {} })
  assert.equal(scope, 'read write')
  await assert.rejects(run({ scope: ',' }), refused('invalid_scope', 'scope_exceeded'))
})

test('T71: the grant is judged before the scope', async () => {
  await assert.rejects(
    run({ scope: '"' }, { ...client, grant_types: ['refresh_token'] }),
    refused('unauthorized_client', 'grant_type_not_registered'),
  )
})

test('T79: a client without scope gets a token without scope', async () => {
  const { scope: _, ...bare } = client
  assert.ok(!('scope' in (await run({}, bare))))
  await assert.rejects(run({ scope: 'read' }, bare), refused('invalid_scope', 'scope_exceeded'))
})

test("a client whose registered scope is malformed is the server's fault", async () => {
  await assert.rejects(run({}, { ...client, scope: 're"ad' }), refused('server_error', 'misconfigured'))
})

test('the exchange refuses parts it cannot work with when it is made', () => {
  assert.throws(() => clientCredentials({ tokens: {} as typeof tokens }), /'tokens'/)
  const commaSeparatesScope = ',' as unknown as boolean
  assert.throws(() => clientCredentials({ tokens, commaSeparatesScope }), /'commaSeparatesScope'/)
})
