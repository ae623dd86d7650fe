import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import oauth2orize from 'oauth2orize'
import { Passport } from 'passport'
import {
  Strategy as ClientAssertionStrategy,
  createAssertionVerifier,
  createClientAuthenticator,
  createDocumentEndpoint,
  createIntrospectionEndpoint,
  createMetadata,
  createRevocationEndpoint,
  createSessions,
  createTokenEndpoint,
  createTokens,
  getWellKnownPaths,
  PublicClientStrategy,
} from '../../lib/index.ts'
import { toOauth2orize } from '../../lib/oauth2orize/index.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { answerOf, echo, findClient, listen } from '../support/token_route.ts'

const issuer = 'https://as.example/tenant'
const { replayRegister, sessionStore } = createMemoryStores()
const verifyAssertion = createAssertionVerifier({
  issuer,
  tokenEndpoint: `${issuer}/token`,
  findClient,
  replayRegister,
  profile: 'fapi2',
})

function documentOf(methods?: readonly ('private_key_jwt' | 'client_secret_basic' | 'none')[]) {
  const authenticateClient = createClientAuthenticator({ findClient, verifyAssertion, methods })
  const sessions = createSessions({ store: sessionStore })
  const tokens = createTokens({ issuer, baseSecret: 'x'.repeat(32) })
  return createMetadata({
    issuer,
    authorizationEndpoint: '/authorize',
    jwksUri: '/jwks.json',
    token: { url: '/token', endpoint: createTokenEndpoint({ authenticateClient, exchanges: [echo] }) },
    revocation: { url: '/revoke', endpoint: createRevocationEndpoint({ authenticateClient, sessions, tokens }) },
    introspection: {
      url: 'https://other.example/i',
      endpoint: createIntrospectionEndpoint({ findClient, sessions, tokens }),
    },
    scopes: ['read', 'write'],
    extra: { service_documentation: 'https://as.example/docs' },
  })
}

test('the document says what the handlers do, each for itself: no client_secret_jwt in a profile without HMAC (R31, RFC 8414 §2)', () => {
  const all = ['private_key_jwt', 'client_secret_basic', 'client_secret_post', 'none']
  assert.deepEqual(documentOf(), {
    issuer,
    authorization_endpoint: 'https://as.example/tenant/authorize',
    token_endpoint: 'https://as.example/tenant/token',
    token_endpoint_auth_methods_supported: all,
    token_endpoint_auth_signing_alg_values_supported: [...verifyAssertion.algorithms],
    revocation_endpoint: 'https://as.example/tenant/revoke',
    revocation_endpoint_auth_methods_supported: all,
    revocation_endpoint_auth_signing_alg_values_supported: [...verifyAssertion.algorithms],
    introspection_endpoint: 'https://other.example/i',
    introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    jwks_uri: 'https://as.example/tenant/jwks.json',
    scopes_supported: ['read', 'write'],
    response_types_supported: ['code'],
    grant_types_supported: ['echo'],
    response_modes_supported: ['query'],
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    request_parameter_supported: false,
    request_uri_parameter_supported: false,
    service_documentation: 'https://as.example/docs',
  })
})

test('fewer methods in the configuration are fewer in the document', () => {
  const fewer = documentOf(['client_secret_basic', 'none'])
  assert.deepEqual(fewer['token_endpoint_auth_methods_supported'], ['client_secret_basic', 'none'])
  assert.equal('token_endpoint_auth_signing_alg_values_supported' in fewer, false)
})

test('an endpoint around oauth2orize and Passport tells its facts too', () => {
  const server = oauth2orize.createServer()
  server.exchange(toOauth2orize(echo))
  const assertion = new ClientAssertionStrategy({ verifyAssertion })
  const passport = new Passport()
  passport.use('by-name', assertion)
  const publicClient = new PublicClientStrategy({ findClient })
  for (const endpoint of [
    createTokenEndpoint({ server, strategies: { assertion, publicClient } }),
    createTokenEndpoint({ server, passport, strategies: { assertion: 'by-name', publicClient } }),
  ]) {
    const document = createMetadata({ issuer, token: { url: '/token', endpoint } })
    assert.deepEqual(document['token_endpoint_auth_signing_alg_values_supported'], [...verifyAssertion.algorithms])
    const methods = ['private_key_jwt', 'none']
    assert.deepEqual(document['token_endpoint_auth_methods_supported'], methods)
    assert.deepEqual(document['grant_types_supported'], ['echo'])
    assert.deepEqual(document['response_types_supported'], [])
  }
})

test('the document is where clients look for it, with and without a path (RFC 8414 §3.1)', () => {
  assert.deepEqual(getWellKnownPaths('https://as.example').all, [
    '/.well-known/oauth-authorization-server',
    '/.well-known/openid-configuration',
  ])
  assert.deepEqual(getWellKnownPaths('https://as.example/tenant/'), {
    authorizationServer: '/.well-known/oauth-authorization-server/tenant',
    openidConfiguration: '/tenant/.well-known/openid-configuration',
    all: [
      '/.well-known/oauth-authorization-server/tenant',
      '/tenant/.well-known/openid-configuration',
      '/tenant/.well-known/oauth-authorization-server',
      '/.well-known/openid-configuration/tenant',
    ],
  })
  for (const bad of ['as.example', 'ftp://as.example', 'https://as.example?x', 'https://as.example/#', 7]) {
    assert.throws(() => getWellKnownPaths(bad as string), /option 'issuer'/)
  }
})

test('anybody may read and cache it, by GET and HEAD alone', async () => {
  let document = { issuer }
  const route = await listen(createServer(createDocumentEndpoint(() => document)))
  const get = await answerOf(await fetch(route.url))
  assert.deepEqual([get.status, get.json], [200, { issuer }])
  assert.equal(get.headers.get('cache-control'), 'public, max-age=300')
  assert.equal(get.headers.get('access-control-allow-origin'), '*')
  assert.equal(get.headers.get('content-type'), 'application/json; charset=utf-8')
  document = { issuer: 'https://later.example' }
  assert.deepEqual((await answerOf(await fetch(route.url))).json, document)
  assert.equal((await fetch(route.url, { method: 'HEAD' })).status, 200)
  assert.equal((await fetch(route.url, { method: 'OPTIONS' })).status, 204)
  const posted = await fetch(route.url, { method: 'POST' })
  assert.deepEqual([posted.status, posted.headers.get('allow')], [405, 'GET, HEAD, OPTIONS'])
  await route.close()
})

test('T100: the document has what OpenID clients require, and denies defaults that are not true here', () => {
  const document = documentOf()
  // OpenID Connect Discovery §3, REQUIRED; the schema of the MCP SDK insists on all of them
  for (const member of [
    ...['issuer', 'authorization_endpoint', 'token_endpoint', 'jwks_uri', 'response_types_supported'],
    ...['subject_types_supported', 'id_token_signing_alg_values_supported'],
  ]) {
    const value = document[member]
    assert.ok(typeof value === 'string' || (Array.isArray(value) && value.length > 0), member)
  }
  // the default of OpenID Connect is true
  assert.equal(document['request_uri_parameter_supported'], false)
  const endpoint = createTokenEndpoint({ findClient, exchanges: [echo] })
  const extra = { id_token_signing_alg_values_supported: ['ES256'] }
  const other = createMetadata({ issuer, authorizationEndpoint: '/a', token: { url: '/t', endpoint }, extra })
  assert.deepEqual(other['id_token_signing_alg_values_supported'], ['ES256'])
  const machines = createMetadata({ issuer, token: { url: '/t', endpoint } })
  assert.equal('subject_types_supported' in machines, false, 'nobody logs in')
})

test('createMetadata and createDocumentEndpoint say what they need', () => {
  const endpoint = createTokenEndpoint({ findClient, exchanges: [echo] })
  const revoking = createRevocationEndpoint({
    findClient,
    sessions: createSessions({ store: sessionStore }),
    tokens: createTokens({ issuer, baseSecret: 'x'.repeat(32) }),
  })
  const token = { url: '/token', endpoint }
  const bad: readonly (readonly [unknown, RegExp])[] = [
    [undefined, /^createMetadata needs an object with options/],
    [{ issuer, token, scope: ['a'] }, /Unknown option "scope". Did you mean "scopes"\?/],
    [{ issuer }, /option 'token'/],
    [{ issuer, token: { url: '/token' } }, /option 'token.endpoint'/],
    [
      { issuer, token: { url: '/token', endpoint: revoking } },
      /option 'token.endpoint' must be the result of createTokenEndpoint/,
    ],
    [{ issuer, token, revocation: '/revoke' }, /option 'revocation'/],
    [{ issuer, token, introspection: { url: '/i', endpoint: {} } }, /option 'introspection.endpoint'/],
  ]
  for (const [options, message] of bad)
    assert.throws(() => createMetadata(options as never), { name: 'TypeError', message })
  for (const url of ['token', 'jwks.json', '//other.example/token', 'as.example/token', 'javascript:alert(1)', '']) {
    const message = /must be a URL, or a path below the issuer that begins with one '\/'/
    const places = { authorizationEndpoint: url, jwksUri: url, token: { url, endpoint }, revocation: { url, endpoint } }
    for (const [place, value] of Object.entries(places))
      assert.throws(() => createMetadata({ issuer, token, [place]: value }), { name: 'TypeError', message }, place)
  }
  for (const document of [undefined, null, 'text', Promise.resolve({})])
    assert.throws(() => createDocumentEndpoint(document as never), /option 'document'/)
  assert.throws(() => createDocumentEndpoint({}, { maxAge: 1 } as never), /Did you mean "maxAgeSeconds"/)
})

test('a document function may be async; one that throws, rejects or returns nothing is a 500, not the end of the process', async () => {
  const documents: readonly (readonly [() => unknown, number])[] = [
    [async () => ({ issuer }), 200],
    [() => assert.fail('no database'), 500],
    [() => Promise.reject(new Error('no database')), 500],
    [() => undefined, 500],
    [async () => 'text', 500],
    [() => ({ count: 1n }), 500],
  ]
  for (const [document, status] of documents) {
    const route = await listen(createServer(createDocumentEndpoint(document as () => object)))
    const answer = await answerOf(await fetch(route.url))
    await route.close()
    assert.equal(answer.status, status, String(document))
    assert.doesNotMatch(answer.text, /database/)
    assert.equal(answer.headers.get('cache-control'), status === 200 ? 'public, max-age=300' : 'no-store')
  }
})
