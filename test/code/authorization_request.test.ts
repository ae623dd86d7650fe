import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from '../../lib/client.ts'
import {
  type AuthorizationRules,
  judgeAuthorizationRequest,
  redirectTarget,
  requestedClientId,
} from '../../lib/code/authorization_request.ts'
import { OAuthError, type Reason } from '../../lib/errors.ts'

const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
const client: Client = {
  client_id: 'web',
  client_secret: 'x'.repeat(40),
  redirect_uris: ['https://client.example/cb'],
  scope: 'write read',
}
const open: Client = { ...client, token_endpoint_auth_method: 'none' }
const target = { redirectUri: 'https://client.example/cb', redirectUriWasSent: true }
const right = { response_type: 'code', scope: 'read', code_challenge: CHALLENGE, code_challenge_method: 'S256' }

const judge = (
  values: Readonly<Record<string, string | undefined>>,
  rules: AuthorizationRules = {},
  of: Client = client,
  unsound: string[] = [],
) => {
  const given = Object.fromEntries(Object.entries({ ...right, ...values }).filter(([, value]) => value !== undefined))
  return judgeAuthorizationRequest({ values: given as Record<string, string>, unsound }, of, target, rules)
}
const refused = (work: () => unknown, reason: Reason, code: string) =>
  assert.throws(work, (error) => {
    assert.ok(error instanceof OAuthError)
    assert.deepEqual([error.reason, error.code], [reason, code])
    return true
  })

test('a request that is right is judged to redirect URI, scope and challenge', () => {
  assert.deepEqual(judge({}), { ...target, scope: 'read', codeChallenge: CHALLENGE })
})

test('A4 without a client_id, or with two, there is only an error for the person', () => {
  assert.equal(requestedClientId({ values: { client_id: 'web' }, unsound: [] }), 'web')
  refused(() => requestedClientId({ values: {}, unsound: [] }), 'parameter_missing', 'invalid_request')
  refused(() => requestedClientId({ values: {}, unsound: ['client_id'] }), 'parameter_malformed', 'invalid_request')
})

test('A4 A5 the redirect URI is the one of the request if it is registered, or the only one the client has', () => {
  const targetOf = (redirect_uri: string | undefined, of: Client, unsound: string[] = []) => {
    const found = redirectTarget({ values: redirect_uri === undefined ? {} : { redirect_uri }, unsound }, of)
    return 'refused' in found ? found.refused.reason : found
  }
  assert.deepEqual(targetOf('https://client.example/cb', client), target)
  assert.deepEqual(targetOf(undefined, client), { ...target, redirectUriWasSent: false })
  assert.equal(targetOf(undefined, { ...client, redirect_uris: [] }), 'parameter_missing')
  assert.equal(targetOf(undefined, { client_id: 'web' }), 'parameter_missing')
  assert.equal(
    targetOf(undefined, { ...client, redirect_uris: ['https://a.example/', 'https://b.example/'] }),
    'parameter_missing',
  )
  assert.equal(targetOf('https://evil.example/', client), 'redirect_uri_not_registered')
  assert.equal(targetOf('https://client.example/cb', client, ['redirect_uri']), 'parameter_malformed')
})

test('A34 O41 a registered redirect URI that is not allowed is never redirected to, sent or not', () => {
  for (const uri of [
    'http://client.example/cb',
    'javascript:alert(1)',
    'com.example.app:/cb',
    'https://c.example/#x',
  ]) {
    for (const values of [{ redirect_uri: uri }, {}]) {
      const found = redirectTarget({ values, unsound: [] }, { ...client, redirect_uris: [uri] })
      assert.ok('refused' in found && found.refused.reason === 'redirect_uri_not_registered', uri)
    }
  }
  const rules = { privateUseSchemes: true }
  const found = redirectTarget(
    { values: {}, unsound: [] },
    { ...client, redirect_uris: ['com.example.app:/cb'] },
    rules,
  )
  assert.ok(!('refused' in found))
})

test('RU1: the port of http://localhost is free for a native client only', () => {
  const registered = ['http://localhost/callback', 'http://127.0.0.1/callback']
  const targetOf = (redirect_uri: string, application_type?: unknown) => {
    const of = { ...client, redirect_uris: registered, application_type } as Client
    return !('refused' in redirectTarget({ values: { redirect_uri }, unsound: [] }, of))
  }
  for (const port of ['', ':53076', ':1', ':65535', ':80'])
    assert.equal(targetOf(`http://localhost${port}/callback`, 'native'), true, port)
  for (const other of ['web', undefined, null, '', 'Native', ['native']])
    assert.equal(targetOf('http://localhost:53076/callback', other), false, String(other))
  for (const other of ['web', undefined]) {
    assert.equal(targetOf('http://localhost/callback', other), true, 'the registered string itself')
    assert.equal(targetOf('http://127.0.0.1:53076/callback', other), true, 'the addresses as before')
  }
})

test('redirect_uris that are no strings never match', () => {
  const odd = { ...client, redirect_uris: [1, null, {}] as unknown as string[] }
  assert.ok('refused' in redirectTarget({ values: { redirect_uri: 'null' }, unsound: [] }, odd))
  assert.ok('refused' in redirectTarget({ values: {}, unsound: [] }, { ...client, redirect_uris: 'x' as never }))
})

test('O40 a parameter that was repeated or bracketed is invalid_request', () => {
  for (const name of ['scope', 'state', 'code_challenge', 'response_type'])
    refused(() => judge({}, {}, client, [name]), 'parameter_malformed', 'invalid_request')
})

test('A10: every response_type the server does not support is unsupported_response_type, a missing one invalid_request', () => {
  refused(() => judge({ response_type: undefined }), 'parameter_missing', 'invalid_request')
  const others = ['foo', 'code foo', 'CODE', 'Code', 'code ', ' code', 'code code', 'x'.repeat(10_000), 'constructor']
  for (const type of [...others, '__proto__', 'token', 'id_token', 'code token', 'code id_token', 'none'])
    refused(() => judge({ response_type: type }), 'response_type_unsupported', 'unsupported_response_type')
})

test('A10: the values of a response type have no order', () => {
  const rules = { responseTypes: ['code id_token', 'token id_token'] }
  for (const type of ['code id_token', 'id_token code', 'id_token token', 'token id_token'])
    assert.doesNotThrow(() => judge({ response_type: type }, rules), type)
  for (const type of ['code token', 'id_token', 'token', 'code id_token token'])
    refused(() => judge({ response_type: type }, rules), 'response_type_unsupported', 'unsupported_response_type')
})

test('A12: PKCE is judged only for response types that contain code', () => {
  const rules = { responseTypes: ['token', 'code token', 'none'] }
  const without = { code_challenge: undefined, code_challenge_method: undefined }
  for (const type of ['token', 'none']) {
    assert.equal(judge({ ...without, response_type: type }, rules).codeChallenge, undefined)
    assert.equal(judge({ response_type: type, code_challenge: 'x' }, rules).codeChallenge, undefined)
  }
  for (const type of ['code', 'code token', 'token code'])
    refused(() => judge({ ...without, response_type: type }, rules), 'pkce_required', 'invalid_request')
})

test('A11: response types without code need authorization_code or implicit, those with code authorization_code', () => {
  const rules = { responseTypes: ['token', 'code token'] }
  const of = (...grant_types: string[]): Client => ({ ...client, grant_types })
  assert.doesNotThrow(() => judge({ response_type: 'token' }, rules, of('implicit')))
  assert.doesNotThrow(() => judge({ response_type: 'token' }, rules, of('authorization_code')))
  for (const [type, grant] of [
    ['token', 'client_credentials'],
    ['code token', 'implicit'],
    ['code', 'implicit'],
  ] as const)
    refused(() => judge({ response_type: type }, rules, of(grant)), 'grant_type_not_registered', 'unauthorized_client')
})

test('A9: with excessScope narrow the values a client may not ask for are left out, malformed ones still refused', () => {
  const narrow = { excessScope: 'narrow' } as const
  assert.equal(judge({ scope: 'read openid offline_access' }, narrow).scope, 'read')
  assert.equal(judge({ scope: 'openid' }, narrow).scope, '', 'what was not asked for is not given')
  assert.equal(judge({ scope: undefined }, narrow).scope, 'read write')
  assert.equal(judge({ scope: ' ' }, narrow).scope, 'read write')
  assert.equal(judge({ scope: 'write read' }, { ...narrow, scopesSupported: ['write'] }).scope, 'write')
  assert.equal(judge({ scope: 'read,admin' }, { ...narrow, commaSeparatesScope: true }).scope, 'read')
  refused(() => judge({ scope: 'read r"d' }, narrow), 'scope_malformed', 'invalid_scope')
  refused(() => judge({ scope: 'read openid' }, { excessScope: 'refuse' }), 'scope_exceeded', 'invalid_scope')
})

test('T101: defaultScope is the scope of records that have none', () => {
  const rules = { defaultScope: 'read profile' }
  for (const scope of [undefined, null, '']) {
    const bare = { ...client, scope } as Client
    assert.equal(judge({ scope: undefined }, rules, bare).scope, 'profile read')
    assert.equal(judge({ scope: 'read' }, rules, bare).scope, 'read')
    refused(() => judge({ scope: 'write' }, rules, bare), 'scope_exceeded', 'invalid_scope')
  }
  assert.equal(judge({ scope: undefined }, rules).scope, 'read write', 'records that have one keep theirs')
  assert.equal(judge({ scope: undefined }, { ...rules, scopesSupported: ['read'] }, { client_id: 'web' }).scope, 'read')
})

test('A11 a client without the grant authorization_code is an unauthorized_client', () => {
  const machine = { ...client, grant_types: ['client_credentials'] }
  refused(() => judge({}, {}, machine), 'grant_type_not_registered', 'unauthorized_client')
  assert.doesNotThrow(() => judge({}, {}, { ...client, grant_types: ['authorization_code'] }))
})

test('A11 a client without a grant for it is an unauthorized_client also if it has no redirect URI that fits', () => {
  const machine: Client = { client_id: 'web', grant_types: ['client_credentials'] }
  for (const redirect_uris of [undefined, ['https://client.example/other']])
    for (const unsound of [[], ['redirect_uri']])
      for (const values of [{}, { redirect_uri: 'https://client.example/cb' }]) {
        const found = redirectTarget({ values, unsound }, { ...machine, ...(redirect_uris && { redirect_uris }) })
        if (values.redirect_uri === undefined && redirect_uris !== undefined && unsound.length === 0)
          assert.ok('redirectUri' in found, 'its own URI learns of it by redirect')
        else assert.equal('refused' in found && found.refused.code, 'unauthorized_client')
      }
  const implicit = redirectTarget({ values: {}, unsound: [] }, { client_id: 'web', grant_types: ['implicit'] })
  assert.equal('refused' in implicit && implicit.refused.reason, 'parameter_missing')
})

test('A24 of response modes only query is taken', () => {
  assert.doesNotThrow(() => judge({ response_mode: 'query' }))
  refused(() => judge({ response_mode: 'fragment' }), 'response_mode_unsupported', 'invalid_request')
})

test('A8 A9 a scope that the server does not know, or the client may not ask for, is invalid_scope', () => {
  assert.equal(judge({ scope: 'write  read read' }).scope, 'read write')
  refused(() => judge({ scope: 'read admin' }), 'scope_exceeded', 'invalid_scope')
  refused(() => judge({ scope: 'write' }, { scopesSupported: ['read'] }), 'scope_exceeded', 'invalid_scope')
  refused(() => judge({ scope: 'read' }, {}, { client_id: 'web' }), 'scope_exceeded', 'invalid_scope')
  for (const scope of ['read,write', 'read\nwrite', 'r"d', 'ü', 'read\u0000', 'x'.repeat(10_000)])
    assert.throws(() => judge({ scope }), { code: 'invalid_scope' }, JSON.stringify(scope.slice(0, 20)))
})

test('A18 without scope a request asks for all the client is registered for, or is refused where the option says so', () => {
  assert.equal(judge({ scope: undefined }).scope, 'read write')
  assert.equal(judge({ scope: undefined }, { scopesSupported: ['read'] }).scope, 'read')
  assert.equal(judge({ scope: undefined }, {}, { client_id: 'web' }).scope, '')
  refused(() => judge({ scope: undefined }, { missingScope: 'refuse' }), 'parameter_missing', 'invalid_request')
})

test('T84 a comma belongs to a scope value, and separates values only with the option', () => {
  const comma = { commaSeparatesScope: true }
  refused(() => judge({ scope: 'read,write' }), 'scope_exceeded', 'invalid_scope')
  assert.equal(judge({ scope: 'write,read' }, comma).scope, 'read write')
  assert.equal(judge({ scope: ' ,write , ,read,read' }, comma).scope, 'read write')
  refused(() => judge({ scope: 'read,admin' }, comma), 'scope_exceeded', 'invalid_scope')
  refused(() => judge({ scope: 'read,r"d' }, comma), 'scope_malformed', 'invalid_scope')
})

test('T85 T86 a scope of nothing but separators is as good as none', () => {
  for (const scope of [' ', ',', ' , ']) {
    const rules = { commaSeparatesScope: true } as const
    assert.equal(judge({ scope }, rules).scope, 'read write')
    refused(() => judge({ scope }, { ...rules, missingScope: 'refuse' }), 'parameter_missing', 'invalid_request')
  }
  refused(() => judge({ scope: ',' }), 'scope_exceeded', 'invalid_scope')
})

test('A12 PKCE is required of all clients by default, of public ones with public, of none with optional', () => {
  const without = { code_challenge: undefined, code_challenge_method: undefined }
  refused(() => judge(without), 'pkce_required', 'invalid_request')
  refused(() => judge(without, { pkce: 'all' }, open), 'pkce_required', 'invalid_request')
  refused(() => judge(without, { pkce: 'public' }, open), 'pkce_required', 'invalid_request')
  assert.equal(judge(without, { pkce: 'public' }).codeChallenge, undefined)
  assert.equal(judge(without, { pkce: 'optional' }, open).codeChallenge, undefined)
  assert.equal(judge({}, { pkce: 'optional' }).codeChallenge, CHALLENGE)
})

test('A13 A14 A15 S256 is the only method, must be named, and the challenge has its form, in every mode', () => {
  for (const pkce of ['all', 'public', 'optional'] as const) {
    for (const method of [undefined, 'plain', 's256', 'S512', 'x'.repeat(10_000)])
      refused(
        () => judge({ code_challenge_method: method }, { pkce }),
        'code_challenge_method_unsupported',
        'invalid_request',
      )
    for (const challenge of ['short', `${CHALLENGE}=`, 'x'.repeat(10_000), `${CHALLENGE.slice(1)}\u0000`])
      refused(() => judge({ code_challenge: challenge }, { pkce }), 'code_challenge_malformed', 'invalid_request')
    refused(() => judge({ code_challenge: undefined }, { pkce }), 'parameter_missing', 'invalid_request')
  }
})

test('A17 the order: response type, the grant of the client, scope, PKCE', () => {
  const machine = { ...client, grant_types: ['refresh_token'] }
  const bad = { code_challenge: 'x', scope: 'admin', response_type: 'token' }
  assert.throws(() => judge(bad, {}, machine), { code: 'unsupported_response_type' })
  assert.throws(() => judge({ ...bad, response_type: 'code' }, {}, machine), { code: 'unauthorized_client' })
  assert.throws(() => judge({ ...bad, response_type: 'code' }), { code: 'invalid_scope' })
  assert.throws(() => judge({ code_challenge: 'x' }), { code: 'invalid_request' })
})
