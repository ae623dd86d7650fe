import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { createDocumentEndpoint, createMetadata } from '../../lib/endpoints/metadata.ts'
import { createSmartConfiguration } from '../../lib/smart/index.ts'
import { listen } from '../support/token_route.ts'

const facts = { methods: ['private_key_jwt'], signingAlgorithms: ['RS384', 'ES384'] }

const metadataWith = (methods: readonly string[], grantTypes: readonly string[], changes: object = {}) =>
  createMetadata({
    issuer: 'https://ehr.example.com/auth',
    authorizationEndpoint: '/authorize',
    jwksUri: '/jwks.json',
    token: { url: '/token', endpoint: { ...facts, methods, grantTypes } },
    introspection: { url: '/introspect', endpoint: facts },
    revocation: { url: '/revoke', endpoint: facts },
    scopes: ['launch/patient', 'patient/*.rs', 'offline_access'],
    ...changes,
  })

const GRANTS = ['authorization_code', 'refresh_token', 'client_credentials']
const metadata = metadataWith(['private_key_jwt'], GRANTS)
const capabilities = ['launch-standalone', 'client-confidential-asymmetric', 'context-standalone-patient']

test('SM3: the SMART configuration says what the metadata says, and the capabilities', () => {
  assert.deepEqual(createSmartConfiguration({ metadata, capabilities }), {
    authorization_endpoint: 'https://ehr.example.com/auth/authorize',
    token_endpoint: 'https://ehr.example.com/auth/token',
    token_endpoint_auth_methods_supported: ['private_key_jwt'],
    token_endpoint_auth_signing_alg_values_supported: ['RS384', 'ES384'],
    introspection_endpoint: 'https://ehr.example.com/auth/introspect',
    revocation_endpoint: 'https://ehr.example.com/auth/revoke',
    grant_types_supported: GRANTS,
    response_types_supported: ['code'],
    scopes_supported: ['launch/patient', 'patient/*.rs', 'offline_access'],
    code_challenge_methods_supported: ['S256'],
    capabilities,
  })
})

test('SM3: issuer and jwks_uri are there with the capability sso-openid-connect only', () => {
  const plain = createSmartConfiguration({ metadata, capabilities })
  assert.ok(!('issuer' in plain) && !('jwks_uri' in plain))
  const withLogin = createSmartConfiguration({ metadata, capabilities: [...capabilities, 'sso-openid-connect'] })
  assert.equal(withLogin['issuer'], 'https://ehr.example.com/auth')
  assert.equal(withLogin['jwks_uri'], 'https://ehr.example.com/auth/jwks.json')
})

test('SM3: a server for backend services alone has no authorization endpoint and no response types', () => {
  const backend = metadataWith(['private_key_jwt'], ['client_credentials'], { authorizationEndpoint: undefined })
  const document = createSmartConfiguration({
    metadata: backend,
    capabilities: ['client-confidential-asymmetric', 'permission-v2'],
    scopes: ['system/*.rs'],
  })
  assert.ok(!('authorization_endpoint' in document) && !('response_types_supported' in document))
  assert.deepEqual(document['scopes_supported'], ['system/*.rs'])
  assert.deepEqual(document.code_challenge_methods_supported, ['S256'])
})

test('SM3: extra adds members and replaces others', () => {
  const extra = { management_endpoint: 'https://ehr.example.com/account', scopes_supported: ['openid'] }
  const document = createSmartConfiguration({ metadata, capabilities, scopes: ['fhirUser'], extra })
  assert.equal(document['management_endpoint'], 'https://ehr.example.com/account')
  assert.deepEqual(document['scopes_supported'], ['openid'])
})

test('SM3: a capability that the metadata contradicts is a TypeError that names it', () => {
  const poor = metadataWith(['client_secret_jwt'], ['client_credentials'], {
    authorizationEndpoint: undefined,
    jwksUri: undefined,
  })
  const rich = metadataWith(['none', 'client_secret_basic', 'private_key_jwt'], GRANTS)
  for (const capability of [
    'launch-ehr',
    'launch-standalone',
    'authorize-post',
    'client-public',
    'client-confidential-symmetric',
    'client-confidential-asymmetric',
    'permission-offline',
    'permission-online',
    'sso-openid-connect',
  ]) {
    assert.throws(
      () => createSmartConfiguration({ metadata: poor, capabilities: ['permission-v2', capability] }),
      (error: unknown) => error instanceof TypeError && error.message.includes(`"${capability}"`),
      capability,
    )
    assert.deepEqual(createSmartConfiguration({ metadata: rich, capabilities: [capability] }).capabilities, [
      capability,
    ])
  }
  const others = metadataWith(['private_key_jwt'], GRANTS)
  const rsOnly = { ...others, token_endpoint_auth_signing_alg_values_supported: ['RS256', 'PS384'] }
  assert.throws(
    () => createSmartConfiguration({ metadata: rsOnly, capabilities: ['client-confidential-asymmetric'] }),
    /RS384 or ES384/,
  )
  const own = ['https://ehr.example.com/capability', 'constructor']
  assert.deepEqual(createSmartConfiguration({ metadata, capabilities: own }).capabilities, own)
})

test('SM3: options that cannot be used are a TypeError', () => {
  const make = (options: unknown) => () => createSmartConfiguration(options as never)
  for (const wrong of [undefined, [], 'launch-ehr', [''], [7]])
    assert.throws(make({ metadata, capabilities: wrong }), { name: 'TypeError', message: /'capabilities'/ })
  for (const wrong of [undefined, null, {}, { issuer: 'https://ehr.example.com' }, 'metadata'])
    assert.throws(make({ metadata: wrong, capabilities }), { name: 'TypeError', message: /'metadata'/ })
  for (const wrong of ['patient/*.rs', ['patient/*.rs user/*.rs'], ['"'], [7]])
    assert.throws(make({ metadata, capabilities, scopes: wrong }), { name: 'TypeError', message: /'scopes'/ })
  assert.throws(make({ metadata, capabilities, extra: [] }), /'extra'/)
  assert.throws(make({ metadata, capabilities, scope: ['a'] }), /Unknown option "scope"/)
  assert.throws(make(undefined), TypeError)
})

test('SM3: below the base of a FHIR server it is JSON whatever Accept says, for any origin', async () => {
  const endpoint = createDocumentEndpoint(createSmartConfiguration({ metadata, capabilities }))
  const path = '/apis/fhir/.well-known/smart-configuration'
  const route = await listen(
    createServer((request, response) =>
      request.url === path ? endpoint(request, response) : response.writeHead(404).end(),
    ),
  )
  try {
    for (const accept of ['application/json', 'application/fhir+json', 'text/html', undefined]) {
      const headers = { origin: 'https://app.example', ...(accept === undefined ? {} : { accept }) }
      const response = await fetch(new URL(path, route.url), { headers })
      assert.equal(response.status, 200)
      assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
      assert.equal(response.headers.get('access-control-allow-origin'), '*')
      const document = (await response.json()) as { capabilities?: unknown }
      assert.deepEqual(document.capabilities, capabilities)
    }
  } finally {
    await route.close()
  }
})
