import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readClientDocument, readMetadataRules } from '../../lib/cimd/client_metadata.ts'
import { type ClientMetadataOptions, isClientDocument, readClientMetadata } from '../../lib/cimd/index.ts'
import type { Client } from '../../lib/client.ts'
import { createTestClient } from '../../lib/testing/index.ts'
import { minimal } from '../support/document_host.ts'

const URL_OF_CLIENT = 'https://app.test/oauth/client.json'

/** Judges a document at `URL_OF_CLIENT`: the minimal one with these members, or the JSON text as it is. */
function judge(members: object | string | Buffer, options: Partial<ClientMetadataOptions> = {}) {
  const json =
    typeof members === 'string' || Buffer.isBuffer(members)
      ? Buffer.from(members)
      : Buffer.from(JSON.stringify(minimal(URL_OF_CLIENT, members)))
  return readClientDocument(
    json,
    URL_OF_CLIENT,
    new URL(URL_OF_CLIENT),
    readMetadataRules({ scope: 'read write', ...options }),
  )
}

function accept(members: object | string, options?: Partial<ClientMetadataOptions>): Client & Record<string, unknown> {
  const metadata = judge(members, options)
  assert.ok('client' in metadata, 'refused' in metadata ? metadata.refused : '')
  return metadata.client as Client & Record<string, unknown>
}

function refuse(members: object | string | Buffer, why: RegExp, options?: Partial<ClientMetadataOptions>): void {
  const metadata = judge(members, options)
  assert.ok('refused' in metadata, `${JSON.stringify(members)} was accepted`)
  assert.match(metadata.refused, why)
}

const { jwks } = (await createTestClient({ issuer: 'https://op.example' })).client
assert.ok(typeof jwks === 'object')
const [publicKey] = jwks.keys

test('CD13: a document is strict JSON: an object, UTF-8, no member twice, at most 8 levels', () => {
  const document = JSON.stringify(minimal(URL_OF_CLIENT))
  assert.equal(accept(document).client_id, URL_OF_CLIENT)
  assert.ok('client' in judge(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(document)])))
  refuse('[]', /not a JSON object/)
  refuse('null', /not a JSON object/)
  refuse('<html>', /not valid JSON/)
  refuse(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), /UTF-8/)
  refuse(document.replace('{', `{"client_id":${JSON.stringify(URL_OF_CLIENT)},`), /repeats a member/)
  refuse({ extra: { a: { b: { c: { d: { e: { f: { g: { h: 1 } } } } } } } } }, /nested deeper than 8/)
  assert.ok(accept({ extra: { a: { b: { c: { d: { e: { f: { g: 1 } } } } } } } }))
})

test('CD20: client_id is the URL of the document, character for character', () => {
  for (const other of [
    undefined,
    null,
    1,
    [URL_OF_CLIENT],
    `${URL_OF_CLIENT}/`,
    URL_OF_CLIENT.toUpperCase(),
    'https://app.test:443/oauth/client.json',
    'https://other.test/oauth/client.json',
  ])
    refuse({ client_id: other }, /client_id is not the URL/)
})

test('CD21: client_secret and client_secret_expires_at are refused, whatever their value', () => {
  for (const value of ['secret', '', null, 0, []]) {
    refuse({ client_secret: value }, /client_secret must not be used/)
    refuse({ client_secret_expires_at: value }, /client_secret_expires_at must not be used/)
  }
})

test('CD22: the method is the plural list, else the singular, else none; what is not offered falls out', () => {
  const method = (members: object, options?: Partial<ClientMetadataOptions>): unknown =>
    accept(members, options).token_endpoint_auth_method
  const both = ['none', 'private_key_jwt']
  assert.equal(method({}), 'none')
  assert.equal(method({ jwks }), 'none', 'keys alone do not make a method')
  assert.equal(method({ token_endpoint_auth_method: 'private_key_jwt', jwks }), 'private_key_jwt')
  assert.equal(method({ token_endpoint_auth_methods_supported: both, jwks }), 'private_key_jwt')
  assert.equal(method({ token_endpoint_auth_methods_supported: both }), 'none')
  assert.equal(
    method({ token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_methods_supported: both, jwks }),
    'private_key_jwt',
  )
  // the list comes first
  assert.equal(
    method({ token_endpoint_auth_method: 'client_secret_post', token_endpoint_auth_methods_supported: both }),
    'none',
  )
  assert.equal(
    method({ token_endpoint_auth_methods_supported: ['client_secret_basic', 'tls_client_auth', 'none'] }),
    'none',
  )
  assert.equal(method({ token_endpoint_auth_methods_supported: both, jwks }, { methods: ['none'] }), 'none')
  for (const name of ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'tls_client_auth', 'made-up'])
    refuse({ token_endpoint_auth_method: name }, /no client authentication method/)
  refuse({ token_endpoint_auth_methods_supported: ['client_secret_basic'] }, /no client authentication method/)
  refuse({ token_endpoint_auth_method: 'none' }, /no client authentication method/, { methods: ['private_key_jwt'] })
  refuse({ token_endpoint_auth_method: 1 }, /not a string/)
  refuse({ token_endpoint_auth_methods_supported: 'none' }, /not an array of strings/)
})

test('CD22: a client that declares private_key_jwt is never let in without it', () => {
  const members = { token_endpoint_auth_method: 'private_key_jwt' }
  refuse(members, /needs jwks or jwks_uri/)
  refuse({ ...members, token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'] }, /needs jwks or jwks_uri/)
  refuse({ ...members, jwks }, /no client authentication method/, { methods: ['none'] })
})

test('CD24: keys are jwks or jwks_uri, public, and at most 32', () => {
  const members = { token_endpoint_auth_method: 'private_key_jwt' }
  refuse({ ...members, jwks, jwks_uri: 'https://app.test/keys' }, /exclude each other/)
  refuse({ jwks, jwks_uri: 'https://app.test/keys' }, /exclude each other/)
  refuse({ ...members, jwks: { keys: [] } }, /needs jwks or jwks_uri/)
  for (const wrong of ['text', 1, true, {}, { keys: 'x' }]) refuse({ ...members, jwks: wrong }, /not a key set/)
  for (const wrong of [1, null, 'x', {}, { kty: 1 }, []])
    refuse({ ...members, jwks: { keys: [wrong] } }, /member that is not a key/)
  for (const name of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'])
    refuse({ ...members, jwks: { keys: [{ ...publicKey, [name]: '' }] } }, /not public/)
  refuse({ jwks: { keys: [{ kty: 'oct', k: 'AAAA' }] } }, /not public/)
  const many = (count: number): object => ({
    ...members,
    jwks: { keys: Array.from({ length: count }, () => publicKey) },
  })
  assert.ok(accept(many(32)))
  refuse(many(33), /more than 32 keys/)
})

test('CD25: jwks_uri is a URL as client ids are, and on the same host if keysOnSameHost is set', () => {
  const of = (uri: unknown): object => ({ token_endpoint_auth_method: 'private_key_jwt', jwks_uri: uri })
  assert.equal(accept(of('https://keys.test/keys.json')).jwks_uri, 'https://keys.test/keys.json')
  for (const uri of [
    'http://keys.test/keys',
    'https://keys.test',
    'https://keys.test/',
    'https://keys.test/a?b',
    'https://keys.test/a#b',
    'https://user@keys.test/a',
    'https://keys.test:8443/a',
    'https://Keys.test/a',
    'https://127.0.0.1/a',
    'https://[::1]/a',
    'https://localhost/a',
    'https://intranet/a',
    'file:///etc/passwd',
    'data:application/json,{}',
    'javascript:alert(1)',
  ])
    refuse(of(uri), /jwks_uri is not an acceptable URL/)
  refuse(of({}), /not a string/)
  refuse(of('https://keys.test/keys.json'), /another host/, { keysOnSameHost: true })
  assert.ok(accept(of('https://app.test/keys.json'), { keysOnSameHost: true }))
})

test('CD26: token_endpoint_auth_signing_alg is handed on', () => {
  const members = { token_endpoint_auth_method: 'private_key_jwt', jwks }
  assert.equal(
    accept({ ...members, token_endpoint_auth_signing_alg: 'RS256' }).token_endpoint_auth_signing_alg,
    'RS256',
  )
  assert.equal(accept(members).token_endpoint_auth_signing_alg, undefined)
  refuse({ ...members, token_endpoint_auth_signing_alg: 1 }, /not a string/)
})

test('CD27: 1 to 32 redirect URIs; the ones that cannot be used are left out with a warning', () => {
  const uris = (...redirect_uris: readonly unknown[]): object => ({ redirect_uris })
  for (const wrong of [undefined, null, 'https://app.test/', [], {}]) refuse({ redirect_uris: wrong }, /redirect_uris/)
  refuse(uris('javascript:alert(1)', 'http://app.test/cb', 'cursor://cb', 'https://a.test/#f', 1), /no URI that can be/)
  const metadata = judge(uris('https://app.test/cb', 'javascript:alert(1)', 7))
  assert.ok('client' in metadata)
  assert.deepEqual(metadata.client.redirect_uris, ['https://app.test/cb'])
  assert.deepEqual(metadata.warnings, ['2 of 3 redirect_uris cannot be redirected to and were left out'])
  assert.deepEqual(accept(uris('cursor://cb'), { privateUseSchemes: ['cursor'] }).redirect_uris, ['cursor://cb'])
  const many = (count: number): object => uris(...Array.from({ length: count }, (_, at) => `https://app.test/${at}`))
  assert.equal(accept(many(32)).redirect_uris?.length, 32)
  refuse(many(33), /more than 32/)
})

test('CD28: grant types are cut to the ones that are allowed', () => {
  const grants = (grant_types: unknown, options?: Partial<ClientMetadataOptions>): unknown =>
    accept({ grant_types }, options).grant_types
  assert.deepEqual(grants(undefined), ['authorization_code'])
  assert.deepEqual(
    grants([
      'authorization_code',
      'refresh_token',
      'urn:ietf:params:oauth:grant-type:jwt-bearer',
      'client_credentials',
    ]),
    ['authorization_code', 'refresh_token'],
  )
  assert.deepEqual(
    grants(['authorization_code', 'client_credentials'], { grantTypes: ['authorization_code', 'client_credentials'] }),
    ['authorization_code', 'client_credentials'],
  )
  refuse({ grant_types: ['client_credentials'] }, /does not include authorization_code/)
  refuse({ grant_types: 'authorization_code' }, /not an array of strings/)
})

test('CD29: response_types is absent, or includes code', () => {
  assert.ok(accept({ response_types: ['code'] }))
  assert.ok(accept({ response_types: ['code', 'code id_token'] }))
  refuse({ response_types: ['token'] }, /does not include code/)
  refuse({ response_types: 'code' }, /not an array of strings/)
})

test('CD30: the scope is that of the option, cut to that of the document', () => {
  assert.equal(accept({}).scope, 'read write')
  assert.equal(accept({ scope: 'write admin' }).scope, 'write')
  assert.equal(accept({ scope: 'a' }, { scope: '' }).scope, '')
  refuse({ scope: 'admin' }, /no value that is offered/) // '' would be taken for the default scope of the server
  refuse({ scope: 'a"b' }, /malformed/)
  refuse({ scope: ['read'] }, /not a string/)
  const seen: unknown[] = []
  const scope = (facts: unknown): string => {
    seen.push(facts)
    return 'notes'
  }
  assert.equal(accept({}, { scope }).scope, 'notes')
  assert.deepEqual(seen, [{ clientId: URL_OF_CLIENT, host: 'app.test' }])
  assert.throws(() => judge({}, { scope: () => 'a"b' }), TypeError)
  assert.throws(() => judge({}, { scope: (() => undefined) as never }), TypeError)
})

test('CD31: a name that is too long, or has control or bidirectional characters, is left out', () => {
  const name = (client_name: unknown): unknown => accept({ client_name }).client_name
  assert.equal(name('Claude'), 'Claude')
  assert.equal(name('نمایش\u200cگر'), 'نمایش\u200cگر')
  assert.equal(name('x'.repeat(128)), 'x'.repeat(128))
  for (const bad of [
    'x'.repeat(129),
    'a\nb',
    'a\u202eb',
    'a\u2066b',
    'a\u0000',
    'a\u200bb',
    'a\u2028b',
    '\ud800',
    '  ',
    '',
    1,
    {},
  ])
    assert.equal(name(bad), undefined, JSON.stringify(bad))
  const metadata = judge({ client_name: 'a\u202eb' })
  assert.deepEqual('warnings' in metadata && metadata.warnings.length, 1)
})

test('CD32: pages of the client are https and of its own origin', () => {
  const pages = ['client_uri', 'logo_uri', 'policy_uri', 'tos_uri']
  for (const name of pages) {
    assert.equal(accept({ [name]: 'https://app.test/page' })[name], 'https://app.test/page')
    for (const bad of [
      'http://app.test/',
      'https://other.test/',
      'https://app.test:8443/',
      'javascript:alert(1)',
      'x',
      1,
      null,
      'https://u@app.test/',
    ])
      assert.equal(Object.hasOwn(accept({ [name]: bad }), name), false, `${name} ${bad}`)
  }
})

test('CD33: a demand for a protection is honoured or refused', () => {
  const demands = [
    'dpop_bound_access_tokens',
    'require_pushed_authorization_requests',
    'require_signed_request_object',
    'tls_client_certificate_bound_access_tokens',
  ]
  for (const name of demands) {
    assert.equal(Object.hasOwn(accept({ [name]: false }), name), false)
    refuse({ [name]: true }, /not available here/)
    refuse({ [name]: 'true' }, /not a boolean/)
  }
  const enforces = ['dpop_bound_access_tokens', 'require_pushed_authorization_requests'] as const
  for (const name of enforces) assert.equal(accept({ [name]: true }, { enforces })[name], true)
  assert.throws(() => judge({}, { enforces: ['require_signed_request_object'] as never }), /enforces/)
})

test('CD34: application_type is handed on; without it a client of the device is native', () => {
  const type = (members: object, options?: Partial<ClientMetadataOptions>): unknown =>
    accept(members, options).application_type
  const loopback = { redirect_uris: ['http://localhost/callback', 'http://127.0.0.1/callback'] }
  assert.equal(type({ application_type: 'web' }), 'web')
  assert.equal(type({ application_type: 'native' }), 'native')
  assert.equal(type({ ...loopback, application_type: 'web' }), 'web')
  assert.equal(type(loopback), 'native')
  assert.equal(type({ redirect_uris: ['cursor://cb'] }, { privateUseSchemes: ['cursor'] }), 'native')
  assert.equal(type({ redirect_uris: ['http://127.0.0.1/', 'https://app.test/cb'] }), undefined)
  assert.equal(type({ ...loopback, application_type: 'evil' }), 'native')
})

test('CD35: the record has the members that are named, and no others', () => {
  const client = accept(
    JSON.stringify({
      ...minimal(URL_OF_CLIENT),
      trusted: true,
      allowReuse: true,
      resources: ['https://api.test'],
      federated_credentials: [{}],
      roles: ['admin'],
      'client_name#fr': 'x',
    }).replace('{', '{"__proto__":{"isAdmin":true},"constructor":{"a":1},'),
  )
  assert.deepEqual(Object.keys(client).sort(), [
    'client_id',
    'grant_types',
    'redirect_uris',
    'response_types',
    'scope',
    'token_endpoint_auth_method',
  ])
  assert.equal((client as { isAdmin?: unknown }).isAdmin, undefined)
  const { jwks: kept } = accept({
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [{ ...publicKey, x5c: ['x'], evil: 1 }], trusted: true },
  })
  assert.deepEqual(kept, { keys: [publicKey] })
})

test('CD36: a record is marked; JSON does not carry the mark, and cannot forge it', () => {
  const client = accept({})
  assert.equal(isClientDocument(client), true)
  assert.equal(isClientDocument({ ...client }), true)
  assert.equal(isClientDocument(JSON.parse(JSON.stringify(client))), false)
  assert.equal(isClientDocument({ client_id: URL_OF_CLIENT }), false)
  assert.deepEqual(JSON.parse(JSON.stringify(client)), Object.fromEntries(Object.entries(client)))
})

test('metadata of a registration is judged by the same checks, under the id that the server chose', () => {
  const options = { scope: 'read', clientId: 'c1' }
  const json = JSON.stringify({
    client_id: 'evil',
    redirect_uris: ['http://127.0.0.1/cb'],
    client_uri: 'https://app.test/',
  })
  const metadata = readClientMetadata(json, options)
  assert.ok('client' in metadata)
  assert.deepEqual(Object.fromEntries(Object.entries(metadata.client)), {
    client_id: 'c1',
    token_endpoint_auth_method: 'none',
    redirect_uris: ['http://127.0.0.1/cb'],
    application_type: 'native',
    grant_types: ['authorization_code'],
    response_types: ['code'],
    scope: 'read',
  })
  assert.equal(isClientDocument(metadata.client), true)
  assert.deepEqual(readClientMetadata(Buffer.from('{}'), options), {
    refused: 'redirect_uris is not an array with a redirect URI',
  })
  assert.deepEqual(readClientMetadata('{"client_secret":"x"}', options), { refused: 'client_secret must not be used' })
  assert.throws(() => readClientMetadata(json, { ...options, clientId: '' }), /clientId/)
  assert.throws(() => readClientMetadata(json, { ...options, scopes: 'x' } as never), /Did you mean "scope"/)
})
