import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import type { Client } from '../../lib/client.ts'
import { OAuthError } from '../../lib/errors.ts'
import { createJwtBearerExchange, createTrustedIssuers, type TrustedIssuer } from '../../lib/federated/index.ts'
import { createResources } from '../../lib/resource/resources.ts'
import { createTokens } from '../../lib/token/token_set.ts'
import { ISSUER, jws, NOW, sharedKey, type TestKey, testRegister } from '../support/assertions.ts'

const IDP = 'https://idp.company.example'
const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const API = 'https://api.example.com/'
const OTHER = 'https://other.example.com/'
const RESOURCES = createResources([{ uri: API, scopes: ['read'] }, { uri: OTHER }])

let key: TestKey
let other: TestKey
before(async () => {
  key = await sharedKey('RS256')
  other = await sharedKey('RS256', 'other')
})

const client: Client = {
  client_id: 'mcp-client',
  token_endpoint_auth_method: 'private_key_jwt',
  grant_types: [GRANT],
  scope: 'read write',
}

const claimsWith = (changes: object) => ({
  iss: IDP,
  sub: 'U019488227',
  aud: ISSUER,
  client_id: client.client_id,
  jti: '9e43f81b64a33f20116179',
  exp: NOW + 300,
  iat: NOW,
  scope: 'read',
  email: 'victim@example.com',
  ...changes,
})

/** An ID-JAG (draft-ietf-oauth-identity-assertion-authz-grant §3). */
const idJag = (claims: object = {}, header: object = {}, by = key): string =>
  jws(
    JSON.stringify({ alg: by.alg, typ: 'oauth-id-jag+jwt', ...header }),
    JSON.stringify(claimsWith(claims)),
    by.alg,
    by.privateKey,
  )

interface Options {
  readonly options?: object
  readonly issuer?: Partial<TrustedIssuer>
  readonly record?: Partial<Client>
  readonly form?: Readonly<Record<string, string>>
}

function scene({ options = {}, issuer = {}, record = {}, form = {} }: Options = {}) {
  const tokens = createTokens({ issuer: ISSUER, baseSecret: 'a base secret of these tests, which is long enough' })
  const asked: unknown[] = []
  const { exchange } = createJwtBearerExchange({
    tokens,
    trustedIssuers: createTrustedIssuers([{ issuer: IDP, jwks: { keys: [key.jwk] }, ...issuer }]),
    replayRegister: testRegister(),
    subjectOf: (facts) => {
      asked.push(facts)
      return facts.issuer === IDP && facts.sub === 'U019488227' ? 'alice' : undefined
    },
    resources: RESOURCES,
    ...options,
  })
  const run = (assertion: string, more: Readonly<Record<string, string>> = {}) => {
    const parameters = { grant_type: GRANT, assertion, ...form, ...more }
    return exchange.run({ client: { ...client, ...record }, parameters, now: NOW, context: { parameters } })
  }
  const outcome = async (assertion: string, more: Readonly<Record<string, string>> = {}): Promise<string> =>
    run(assertion, more).then(
      () => 'issued',
      (error: unknown) => {
        if (error instanceof OAuthError) return `${error.status} ${error.code}`
        throw error
      },
    )
  return { tokens, asked, run, outcome, exchange }
}

const INVALID = '400 invalid_grant'

test('IJ: an identity assertion becomes an access token of the user, for the resource it names', async () => {
  const { run, tokens, asked } = scene()
  const answer = await run(idJag({ resource: API }))
  assert.equal(answer.scope, 'read')
  assert.equal(answer.expires_in, 300)
  const claims = await tokens.verifyAccessToken(answer.access_token, NOW)
  assert.deepEqual([claims?.sub, claims?.client_id, claims?.aud, claims?.exp], ['alice', 'mcp-client', API, NOW + 300])
  assert.equal((asked[0] as { sub: string }).sub, 'U019488227')
})

test('IJ1: the client is confidential and registered for the grant', async () => {
  assert.equal(
    await scene({ record: { grant_types: ['client_credentials'] } }).outcome(idJag()),
    '400 unauthorized_client',
  )
  assert.equal(
    await scene({ record: { token_endpoint_auth_method: 'none' } }).outcome(idJag()),
    '400 unauthorized_client',
  )
})

test('IJ2: the assertion is of its type and not too large, and a bad one is invalid_grant', async () => {
  const { outcome } = scene()
  for (const typ of [undefined, 'JWT', 'at+jwt', 'client-authentication+jwt', 'oauth-id-jag'])
    assert.equal(await outcome(idJag({}, { typ })), INVALID, typ)
  for (const bad of ['x', 'a.b.c', `${'x'.repeat(17_000)}`]) assert.equal(await outcome(bad), INVALID)
  const missing = scene().exchange.run({ client, parameters: { grant_type: GRANT }, now: NOW, context: {} })
  await assert.rejects(missing, { code: 'invalid_request' })
})

test('IJ3: the issuer is trusted, its keys and algorithms; an issuer that is down is a 503', async () => {
  const { outcome } = scene()
  assert.equal(await outcome(idJag({ iss: 'https://elsewhere.example' })), INVALID)
  assert.equal(await outcome(idJag({ iss: undefined })), INVALID)
  assert.equal(await outcome(idJag({}, {}, other)), INVALID)
  assert.equal(await outcome(idJag({}, { alg: 'RS512' })), INVALID)
  const down = async () => new Response('', { status: 500 })
  const issuer = { jwks: undefined, jwksUri: 'https://idp.company.example/jwks', remote: { fetch: down } }
  assert.equal(await scene({ issuer }).outcome(idJag()), '503 temporarily_unavailable')
})

test('IJ4: aud is the issuer of this server alone', async () => {
  const { outcome } = scene({ options: { replay: 'allow' } })
  assert.equal(await outcome(idJag({ aud: [ISSUER] })), 'issued')
  for (const aud of [`${ISSUER}/token`, [ISSUER, API], undefined, API])
    assert.equal(await outcome(idJag({ aud })), INVALID)
})

test('IJ5: the assertion was issued to the client that authenticated', async () => {
  for (const client_id of ['another', undefined, ['mcp-client']])
    assert.equal(await scene().outcome(idJag({ client_id })), INVALID)
})

test('IJ6: jti, iat and exp are there, and the lifetime is at most 300 seconds', async () => {
  for (const claims of [
    { jti: undefined },
    { iat: undefined },
    { exp: undefined },
    { exp: NOW + 301 },
    { iat: NOW - 400, exp: NOW - 100 },
    { iat: NOW + 60, exp: NOW + 100 },
    { nbf: NOW + 60 },
    { sub: undefined },
    { sub: '' },
  ])
    assert.equal(await scene().outcome(idJag(claims)), INVALID, JSON.stringify(claims))
  assert.equal(await scene({ options: { maxLifetimeSeconds: 600 } }).outcome(idJag({ exp: NOW + 600 })), 'issued')
})

test('IJ7: an assertion is accepted once, unless replay is allowed; a refused one is not used up', async () => {
  const once = scene()
  assert.equal(await once.outcome(idJag(), { scope: 'admin' }), '400 invalid_scope')
  assert.equal(await once.outcome(idJag()), 'issued')
  assert.equal(await once.outcome(idJag()), INVALID)
  const allowed = scene({ options: { replay: 'allow', replayRegister: undefined } })
  assert.equal(await allowed.outcome(idJag()), 'issued')
  assert.equal(await allowed.outcome(idJag()), 'issued')
  assert.throws(() => scene({ options: { replayRegister: undefined } }), /replayRegister/)
})

test('IJ8: the resource is one that assertion and server know; the scope is what all of them allow', async () => {
  const outcome = (claims: object, form: Record<string, string> = {}) => scene().outcome(idJag(claims), form)
  const TARGET = '400 invalid_target'
  assert.equal(await outcome({ resource: API }, { resource: API }), 'issued')
  assert.equal(await outcome({ resource: [API, OTHER] }, { resource: API }), 'issued')
  assert.equal(await outcome({}, { resource: API }), 'issued')
  assert.equal(await outcome({ resource: API }, { resource: OTHER }), TARGET)
  assert.equal(await outcome({ resource: 'https://unknown.example/' }), TARGET)
  assert.equal(await outcome({ resource: 7 }), TARGET)
  assert.equal(await outcome({ resource: [] }), TARGET)
  const reasonOf = (claims: object, form: Record<string, string> = {}) =>
    scene()
      .run(idJag(claims), form)
      .then(
        () => 'issued',
        (error: OAuthError) => error.reason,
      )
  assert.equal(await reasonOf({ resource: API }, { resource: OTHER }), 'resource_exceeded')
  assert.equal(await reasonOf({ resource: 'https://unknown.example/' }), 'resource_unknown')
  assert.equal(await reasonOf({ resource: 7 }), 'resource_malformed')
  assert.equal(await outcome({ resource: 'api' }), TARGET)
  assert.equal(await outcome({ resource: Array(9).fill(API) }), TARGET)
  const scopeOf = async (claims: object, form: Record<string, string> = {}) =>
    (await scene().run(idJag(claims), form)).scope
  assert.equal(await scopeOf({ scope: 'read write admin' }), 'read write')
  assert.equal(await scopeOf({ scope: 'read write', resource: API }), 'read')
  assert.equal(await scopeOf({ scope: 'read write' }, { scope: 'write' }), 'write')
  assert.equal(await scopeOf({ scope: undefined }), 'read write')
  for (const [claims, form] of [
    [{ scope: 'admin' }, {}],
    [{ scope: 'read' }, { scope: 'write' }],
    [{ scope: 'write', resource: API }, {}],
    [{ scope: 7 }, {}],
  ] as const)
    assert.equal(await outcome(claims, form), '400 invalid_scope', JSON.stringify([claims, form]))
})

test('IJ8: resources are those of createResources, with its rules for audience, several, defaults and the record', async () => {
  const audienceOf = async (given: Options, claims: object, form: Record<string, string> = {}) => {
    const { run, tokens } = scene(given)
    return (await tokens.verifyAccessToken((await run(idJag(claims), form)).access_token, NOW))?.aud
  }
  assert.deepEqual(await audienceOf({}, { resource: [API, OTHER] }), [API, OTHER])
  assert.equal(await audienceOf({}, { resource: [API, 'https://gone.example/'] }), API)
  assert.equal(await audienceOf({}, { resource: API.slice(0, -1) }), API)
  assert.equal(await audienceOf({}, {}), ISSUER)
  const one = createResources([{ uri: API, audience: 'urn:api' }], { several: 'refuse' })
  assert.equal(await audienceOf({ options: { resources: one } }, {}), 'urn:api')
  const strict = createResources([{ uri: API }, { uri: OTHER }], { several: 'refuse' })
  assert.equal(
    await scene({ options: { resources: strict } }).outcome(idJag({ resource: [API, OTHER] })),
    '400 invalid_target',
  )
  const record = { resources: [OTHER] }
  assert.equal(await audienceOf({ record }, {}), OTHER)
  assert.equal(await scene({ record }).outcome(idJag(), { resource: API }), '400 invalid_target')
  const asked: unknown[] = []
  const tenants = createResources((uri, about) => {
    asked.push([uri, about.client.client_id, about.subject])
    return { uri }
  })
  assert.equal(
    await audienceOf({ options: { resources: tenants } }, { resource: 'https://a.example' }),
    'https://a.example',
  )
  assert.deepEqual(asked, [['https://a.example', 'mcp-client', 'alice']])
})

test('IJ8: without resources an assertion that names some is invalid_target, and the array of earlier versions is refused', async () => {
  const none = { options: { resources: undefined } }
  assert.equal(await scene(none).outcome(idJag()), 'issued')
  assert.equal(await scene(none).outcome(idJag({ resource: API })), '400 invalid_target')
  assert.throws(() => scene({ options: { resources: [{ uri: API }] } }), /'resources'/)
})

test('IJ8: an assertion whose resource or scope is refused is not used up', async () => {
  const { outcome } = scene()
  assert.equal(await outcome(idJag({ resource: API }), { resource: OTHER }), '400 invalid_target')
  assert.equal(await outcome(idJag({ resource: API }), { scope: 'write' }), '400 invalid_scope')
  assert.equal(await outcome(idJag({ resource: API })), 'issued')
})

test('IJ9: subjectOf is required and decides whose token it is; without a user the grant is invalid', async () => {
  assert.throws(() => scene({ options: { subjectOf: undefined } }), /subjectOf/)
  assert.equal(await scene().outcome(idJag({ sub: 'nobody' })), INVALID)
  assert.equal(await scene({ options: { subjectOf: () => null } }).outcome(idJag()), INVALID)
  assert.equal(
    await scene({ options: { subjectOf: () => Promise.reject(new Error('down')) } }).outcome(idJag()),
    '503 temporarily_unavailable',
  )
  for (const wrong of ['', 7, {}, true])
    assert.equal(await scene({ options: { subjectOf: () => wrong } }).outcome(idJag()), '500 server_error')
})

test('IJ10: no refresh token, no session, and an access token of at most 300 seconds', async () => {
  const { run, tokens } = scene({ record: { grant_types: [GRANT, 'refresh_token'] } })
  const answer = await run(idJag())
  assert.equal(answer.refresh_token, undefined)
  assert.equal((await tokens.verifyAccessToken(answer.access_token, NOW))?.sid, undefined)
  assert.equal(answer.expires_in, 300)
  assert.equal((await scene({ options: { accessTokenLifetimeSeconds: 60 } }).run(idJag())).expires_in, 60)
  assert.equal((await scene({ options: { accessTokenLifetimeSeconds: 86_400 } }).run(idJag())).expires_in, 900)
})

test('IJ11: a bound assertion needs a proof of its key; authorization_details is refused', async () => {
  assert.equal(await scene().outcome(idJag({ cnf: { jkt: 'x' } })), INVALID)
  const { exchange, tokens } = scene()
  const proven = (cnf: object, thumbprint: string) => {
    const parameters = { grant_type: GRANT, assertion: idJag({ cnf }) }
    return exchange.run({ client, parameters, now: NOW, context: {}, proof: { thumbprint } })
  }
  await assert.rejects(proven({ jkt: 'x' }, 'y'), { code: 'invalid_grant' })
  await assert.rejects(proven({ jkt: 'x', 'x5t#S256': 'x' }, 'x'), { code: 'invalid_grant' })
  const bound = await proven({ jkt: 'x' }, 'x')
  assert.equal(bound.token_type, 'DPoP')
  assert.deepEqual((await tokens.verifyAccessToken(bound.access_token, NOW))?.['cnf'], { jkt: 'x' })
  assert.equal(await scene().outcome(idJag({ authorization_details: [] })), INVALID)
  assert.equal(await scene({ form: { authorization_details: '[]' } }).outcome(idJag()), '400 invalid_request')
})
