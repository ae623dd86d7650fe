import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AssertionVerifierOptions, createAssertionVerifier } from '../../lib/assertion/verify.ts'
import type { Client } from '../../lib/client.ts'
import { findClientProblems } from '../../lib/client_problems.ts'
import { onEvent } from '../../lib/events.ts'
import {
  createTrustedIssuers,
  entra,
  githubActions,
  gitlab,
  google,
  kubernetes,
  spiffe,
  type TrustedIssuer,
} from '../../lib/federated/index.ts'
import {
  assertionBy,
  formWith,
  ISSUER,
  NOW,
  outcomeOf,
  refusalOf,
  sharedKey,
  type TestKey,
  TOKEN_ENDPOINT,
  testRegister,
} from '../support/assertions.ts'
import { json, type KeyServer, startKeyServer } from '../support/key_server.ts'
import {
  entraToken,
  githubToken,
  gitlabToken,
  googleToken,
  kubernetesToken,
  type PlatformToken,
  spiffeToken,
  tokenBy,
  unsigned,
} from '../support/platform_tokens.ts'

let rsa: TestKey
let other: TestKey
let ec: TestKey
let server: KeyServer
before(async () => {
  rsa = await sharedKey('RS256')
  other = await sharedKey('RS256', 'other')
  ec = await sharedKey('ES256')
  server = await startKeyServer('http')
})
after(() => server.close())

const keysOf = (key: TestKey, more: object = {}) => ({ keys: [{ ...key.jwk, kid: 'issuer-key', ...more }] })
const SPIFFE_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe'
const CLIENT_ID = 'ledger'

const record = (federated_credentials: unknown, more: object = {}): Client =>
  ({ client_id: CLIENT_ID, token_endpoint_auth_method: 'private_key_jwt', federated_credentials, ...more }) as Client

interface Options {
  readonly issuers?: readonly TrustedIssuer[]
  readonly client?: Client
  readonly verifier?: Partial<AssertionVerifierOptions>
}

/** A server that trusts a Kubernetes cluster, unless a test says otherwise, and a client of a service account in it. */
function scene({ issuers, client, verifier }: Options = {}) {
  const trusted = issuers ?? [kubernetes({ issuer: kubernetesToken.issuer, jwks: keysOf(rsa) })]
  const known = client ?? record([{ issuer: kubernetesToken.issuer, subject: kubernetesToken.claims['sub'] }])
  const register = testRegister()
  const verify = createAssertionVerifier({
    issuer: ISSUER,
    tokenEndpoint: TOKEN_ENDPOINT,
    findClient: (id) => (id === known.client_id ? known : undefined),
    replayRegister: register,
    clock: () => NOW,
    trustedIssuers: createTrustedIssuers(trusted),
    ...verifier,
  })
  const send = (token: string, more: Readonly<Record<string, unknown>> = { client_id: known.client_id }) =>
    verify(formWith(token, more))
  return { verify, register, send, outcome: (...given: Parameters<typeof send>) => outcomeOf(send(...given)) }
}

/** The outcome for the Kubernetes token with these changes. */
const kubernetesOutcome = (claims: object = {}, header: object = {}, options: Options = {}) =>
  scene(options).outcome(tokenBy(rsa, kubernetesToken, { ...claims }, { ...header }))

const platforms: readonly (readonly [string, PlatformToken, (jwks: TrustedIssuer['jwks']) => TrustedIssuer])[] = [
  ['Kubernetes', kubernetesToken, (jwks) => kubernetes({ issuer: kubernetesToken.issuer, jwks })],
  ['GitHub Actions', githubToken, (jwks) => githubActions({ jwks })],
  ['GitLab', gitlabToken, (jwks) => gitlab({ jwks })],
  ['Entra', entraToken, (jwks) => entra({ tenant: '9122040d-6c67-4c5b-b112-36a304b66dad', jwks })],
  ['Google', googleToken, (jwks) => google({ jwks })],
]
for (const [name, token, preset] of platforms)
  test(`FC1: a token in the shape of ${name} authenticates the client that has a credential for it, and no other`, async () => {
    const credential = { issuer: token.issuer, subject: token.claims['sub'] }
    const issuers = [preset(keysOf(rsa))]
    const { send } = scene({ issuers, client: record([credential]) })
    const { client, authentication } = await send(tokenBy(rsa, token))
    assert.equal(client.client_id, CLIENT_ID)
    assert.equal(authentication.issuer, token.issuer)
    assert.equal(authentication.method, 'private_key_jwt')
    const another = scene({ issuers, client: record([{ ...credential, subject: 'another' }]) })
    assert.equal(await another.outcome(tokenBy(rsa, token)), 'federated_credential_mismatch')
    assert.equal(
      await scene({ issuers, client: record([credential]) }).outcome(tokenBy(other, token)),
      'assertion_signature_wrong',
    )
  })

test('FC1: an assertion of any other iss takes the usual way, with or without trusted issuers', async () => {
  const client = record(undefined, { jwks: { keys: [ec.jwk] } })
  const own = assertionBy(ec, { iss: CLIENT_ID, sub: CLIENT_ID })
  assert.equal(await scene({ client }).outcome(own, {}), 'accepted')
  assert.equal(await scene({ client, verifier: { trustedIssuers: undefined } }).outcome(own, {}), 'accepted')
  const foreign = tokenBy(rsa, kubernetesToken, { iss: 'https://elsewhere.example' })
  assert.equal(await scene().outcome(foreign, {}), 'assertion_issuer_mismatch')
  // nothing is tried with the keys of the other way: a token of the issuer is never checked with keys of the client
  const byClient = tokenBy(ec, kubernetesToken)
  assert.equal(await scene({ client }).outcome(byClient), 'federated_credential_mismatch')
})

test('FC1: a client whose id is that of a trusted issuer is refused in both ways', async () => {
  const { issuer } = kubernetesToken
  const withKeys = { ...record(undefined, { jwks: { keys: [ec.jwk] } }), client_id: issuer }
  assert.equal(await scene({ client: withKeys }).outcome(tokenBy(rsa, kubernetesToken)), 'client_misconfigured')
  const own = assertionBy(ec, { iss: 'anybody', sub: issuer })
  assert.equal(
    await scene({ client: withKeys, verifier: { profile: 'rfc7523' } }).outcome(own, {}),
    'client_misconfigured',
  )
  const problems = await findClientProblems(withKeys, { trustedIssuers: { issuers: [issuer] } })
  assert.deepEqual(
    problems.map(({ member }) => member),
    ['client_id'],
  )
})

test('FC2: client_id names the client, and a request without it is malformed', async () => {
  const { send } = scene()
  const refused = await refusalOf(send(tokenBy(rsa, kubernetesToken), {}))
  assert.equal(refused.code, 'invalid_request')
  assert.equal(refused.reason, 'parameter_missing')
  assert.equal(await scene().outcome(tokenBy(rsa, kubernetesToken), { client_id: 'nobody' }), 'client_unknown')
})

test('FC3: federated credentials exclude keys of the client, in both ways, and another method', async () => {
  const credentials = [{ issuer: kubernetesToken.issuer, subject: kubernetesToken.claims['sub'] }]
  for (const more of [{ jwks: { keys: [ec.jwk] } }, { jwks_uri: 'https://client.example/jwks' }]) {
    const client = record(credentials, more)
    assert.equal(await kubernetesOutcome({}, {}, { client }), 'client_misconfigured')
    const own = assertionBy(ec, { iss: CLIENT_ID, sub: CLIENT_ID })
    assert.equal(await scene({ client }).outcome(own, {}), 'client_misconfigured')
    const [problem] = await findClientProblems(client, { trustedIssuers: { issuers: [kubernetesToken.issuer] } })
    assert.deepEqual([problem?.severity, problem?.member], ['error', 'federated_credentials'])
  }
  const secret = record(credentials, { token_endpoint_auth_method: 'client_secret_basic' })
  assert.equal(await kubernetesOutcome({}, {}, { client: secret }), 'client_method_mismatch')
  assert.equal(await kubernetesOutcome({}, {}, { client: record(undefined) }), 'federated_credential_mismatch')
  assert.deepEqual(
    await findClientProblems(record(credentials), { trustedIssuers: { issuers: [kubernetesToken.issuer] } }),
    [],
  )
})

test('FC4: issuer, subject and every claim of one entry are equal; nothing is a pattern', async () => {
  const { issuer } = githubToken
  const subject = githubToken.claims['sub']
  const outcome = (...credentials: readonly object[]) =>
    scene({ issuers: [githubActions({ jwks: keysOf(rsa) })], client: record(credentials) }).outcome(
      tokenBy(rsa, githubToken),
    )
  assert.equal(await outcome({ issuer, subject }), 'accepted')
  assert.equal(
    await outcome({ issuer, subject: 'another' }, { issuer, subject, claims: { ref: 'refs/heads/main' } }),
    'accepted',
  )
  assert.equal(await outcome({ issuer, claims: { repository_id: '74', environment: 'prod' } }), 'accepted')
  for (const wrong of [
    { issuer: `${issuer}/`, subject },
    { issuer, subject: 'repo:octo-org/*' },
    { issuer, subject: 'repo:octo-org/octo-repo' },
    { issuer, subject: 'REPO:octo-org/octo-repo:environment:prod' },
    { issuer, subject, claims: { ref: 'refs/heads/.*' } },
    { issuer, subject, claims: { repository_id: 74 } },
    { issuer, subject, claims: { absent: 'x' } },
    { issuer, subject, claims: { toString: 'x' } },
    { issuer, claims: { repository_id: '74', environment: 'test' } },
  ])
    assert.equal(await outcome(wrong), 'federated_credential_mismatch', JSON.stringify(wrong))
  const typed = scene({
    issuers: [gitlab({ jwks: keysOf(rsa) })],
    client: record([{ issuer: gitlabToken.issuer, subject: gitlabToken.claims['sub'], claims: { runner_id: 1 } }]),
  })
  assert.equal(await typed.outcome(tokenBy(rsa, gitlabToken)), 'accepted')
})

test('FC4: at most 20 entries of at most 600 characters, and nothing that cannot be understood', async () => {
  const { issuer } = kubernetesToken
  const entry = { issuer, subject: kubernetesToken.claims['sub'] }
  const outcome = (credentials: unknown) => kubernetesOutcome({}, {}, { client: record(credentials) })
  assert.equal(await outcome([...Array(19).fill({ ...entry, subject: 'x' }), entry]), 'accepted')
  for (const wrong of [
    Array(21).fill(entry),
    entry,
    'text',
    [null],
    [[]],
    [{ ...entry, subject: 'x'.repeat(601) }],
    [{ ...entry, issuer: 7 }],
    [{ ...entry, audience: '' }],
    [{ ...entry, claims: [] }],
    [{ ...entry, claims: { a: {} } }],
    [{ ...entry, claims: { a: null } }],
    [{ ...entry, claim: { ref: 'x' } }],
  ])
    assert.equal(await outcome(wrong), 'client_misconfigured', JSON.stringify(wrong).slice(0, 80))
})

test('FC5: an entry names a subject, or a claim whose value is given to one thing only', async () => {
  const { issuer } = githubToken
  const issuers = [githubActions({ jwks: keysOf(rsa) })]
  const outcome = (credential: object) =>
    scene({ issuers, client: record([credential]) }).outcome(tokenBy(rsa, githubToken))
  assert.equal(await outcome({ issuer }), 'client_misconfigured')
  assert.equal(await outcome({ issuer, claims: { repository: 'octo-org/octo-repo' } }), 'client_misconfigured')
  assert.equal(await outcome({ issuer, claims: { repository_id: '74' } }), 'accepted')
  assert.equal(await outcome({ issuer, claims: { repository_owner_id: '65' } }), 'accepted')
  const [problem] = await findClientProblems(record([{ issuer }]), { trustedIssuers: { issuers: [issuer] } })
  assert.match(problem?.detail ?? '', /subject, or a claim out of repository_id/)
})

test('FC6: aud is this server alone, never its token endpoint, unless the entry names another audience', async () => {
  assert.equal(await kubernetesOutcome({ aud: ISSUER }), 'accepted')
  for (const aud of [TOKEN_ENDPOINT, 'https://kubernetes.default.svc', [ISSUER, 'api'], [], undefined, `${ISSUER}/`])
    assert.equal(await kubernetesOutcome({ aud }), 'assertion_audience_mismatch', String(aud))
  const entry = { issuer: kubernetesToken.issuer, subject: kubernetesToken.claims['sub'] }
  const client = record([{ ...entry, audience: 'ledger-audience' }])
  assert.equal(await kubernetesOutcome({ aud: ['ledger-audience'] }, {}, { client }), 'accepted')
  assert.equal(await kubernetesOutcome({ aud: ISSUER }, {}, { client }), 'assertion_audience_mismatch')
})

const remote = { allowHttpLoopback: true }

test('FC7: keys come from that issuer only, by discovery: its own document, its own host', async () => {
  const issuer = server.url.replace('/jwks', '/cluster')
  const token = { ...kubernetesToken, issuer, claims: { ...kubernetesToken.claims, iss: issuer } }
  const client = record([{ issuer, subject: kubernetesToken.claims['sub'] }])
  const discovering = (document: object, keys: object = keysOf(rsa)) => {
    server.answer = (request, response) =>
      json(request.url === '/cluster/.well-known/openid-configuration' ? document : keys)(request, response)
    return scene({ issuers: [kubernetes({ issuer, discovery: true, remote })], client })
  }
  const good = { issuer, jwks_uri: server.url }
  const trusted = discovering(good)
  assert.equal(await trusted.outcome(tokenBy(rsa, token)), 'accepted')
  const asked = server.requests.length
  assert.equal(await trusted.outcome(tokenBy(rsa, token)), 'accepted')
  assert.equal(server.requests.length, asked, 'both documents are kept')
  assert.equal(await trusted.outcome(tokenBy(other, token)), 'assertion_signature_wrong')
  for (const wrong of [
    { issuer: `${issuer}/`, jwks_uri: server.url },
    { issuer, jwks_uri: server.url.replace('127.0.0.1', 'localhost') },
    { issuer, jwks_uri: 'https://elsewhere.example/jwks' },
    { issuer },
    { issuer, jwks_uri: 7 },
  ]) {
    const refused = await refusalOf(discovering(wrong).send(tokenBy(rsa, token)))
    assert.deepEqual([refused.status, refused.reason], [503, 'key_set_unavailable'], JSON.stringify(wrong))
  }
})

test('FC7: an issuer that fails is a 503, its last keys are used for a while, and new keys are found', async () => {
  let now = NOW
  const issuers = [kubernetes({ issuer: kubernetesToken.issuer, jwksUri: server.url, remote })]
  const { send, outcome } = scene({ issuers, verifier: { clock: () => now } })
  const token = (key: TestKey, kid = 'issuer-key') =>
    tokenBy(key, kubernetesToken, { iat: now, nbf: now, exp: now + 3607 }, { kid })
  server.answer = json('down', {}, 500)
  const down = await refusalOf(send(token(rsa)))
  assert.deepEqual([down.status, down.code, down.reason], [503, 'temporarily_unavailable', 'key_set_unavailable'])
  assert.equal(down.headers['Retry-After'], '5')
  now += 60
  server.answer = json(keysOf(rsa))
  assert.equal(await outcome(token(rsa)), 'accepted')
  now += 900 // past the lifetime of the set
  server.answer = json('down', {}, 500)
  assert.equal(await outcome(token(rsa)), 'accepted', 'the last set')
  now += 60
  assert.equal((await refusalOf(send(token(other, 'new')))).status, 503, 'a key that may be a new one')
  now += 4000
  assert.equal((await refusalOf(send(token(rsa)))).status, 503, 'not for ever')
  now += 600
  server.answer = json(keysOf(other))
  assert.equal(await outcome(token(other)), 'accepted', 'the issuer is back, with another key')
  for (const bad of ['not json', '{"keys":7}']) {
    server.answer = json(bad)
    now += 5000
    assert.equal((await refusalOf(send(token(rsa)))).status, 503, bad)
  }
})

test('FC7: the same kid at two issuers is two keys', async () => {
  const github = { ...githubToken, claims: { ...githubToken.claims } }
  const issuers = [
    kubernetes({ issuer: kubernetesToken.issuer, jwks: keysOf(rsa) }),
    githubActions({ jwks: keysOf(other) }),
  ]
  const client = record([
    { issuer: kubernetesToken.issuer, subject: kubernetesToken.claims['sub'] },
    { issuer: githubToken.issuer, subject: githubToken.claims['sub'] },
  ])
  const { outcome } = scene({ issuers, client })
  assert.equal(await outcome(tokenBy(rsa, kubernetesToken)), 'accepted')
  assert.equal(await outcome(tokenBy(other, github)), 'accepted')
  assert.equal(await outcome(tokenBy(other, kubernetesToken)), 'assertion_signature_wrong')
  assert.equal(await outcome(tokenBy(rsa, github, { jti: 'second' })), 'assertion_signature_wrong')
})

test('a preset names a misspelt member, and never makes an issuer of a value that is missing', () => {
  const tenant = '9122040d-6c67-4c5b-b112-36a304b66dad'
  const presets = { kubernetes, githubActions, gitlab, entra, google, spiffe } as unknown as Readonly<
    Record<string, (given?: unknown) => TrustedIssuer>
  >
  const sound = { issuer: 'https://idp.example', tenant, trustDomain: 'a.example' }
  const own = {
    kubernetes: 'issuer',
    githubActions: 'issuer',
    gitlab: 'issuer',
    entra: 'tenant',
    spiffe: 'trustDomain',
  }
  for (const [name, preset] of Object.entries(presets)) {
    const member = own[name as keyof typeof own] as keyof typeof sound | undefined
    const given = member === undefined ? {} : { [member]: sound[member] }
    assert.equal(preset({ ...given, jwksUri: 'https://idp.example/keys' }).jwksUri, 'https://idp.example/keys')
    for (const [misspelt, meant] of [
      ['jwksUrl', 'jwksUri'],
      ['algorithm', 'algorithms'],
      ...(member === undefined ? [] : [[`${member}s`, member]]),
    ])
      assert.throws(() => preset({ ...given, [`${misspelt}`]: 'x' }), {
        name: 'TypeError',
        message: `Unknown option "${misspelt}". Did you mean "${meant}"?`,
      })
    assert.throws(() => preset(null), { name: 'TypeError', message: `${name} needs an object with options, got null` })
    if (!['githubActions', 'gitlab', 'google'].includes(name))
      assert.throws(() => preset(), { message: `${name} needs an object with options, got undefined` })
  }
  // an environment variable that is not set, and what no token has in its iss
  for (const bad of [undefined, '', 'common', 'organizations', 'contoso.onmicrosoft.com', `${tenant}/`, 5])
    assert.throws(
      () => entra({ tenant: bad as string }),
      /^TypeError: option 'tenant' must be the UUID of a tenant, got /,
    )
  assert.equal(entra({ tenant: tenant.toUpperCase() }).issuer, `https://login.microsoftonline.com/${tenant}/v2.0`)
  for (const bad of [undefined, null, 5])
    assert.throws(() => spiffe({ trustDomain: bad as unknown as string }), /^TypeError: option 'trustDomain' must be /)
  assert.throws(
    () => createTrustedIssuers([kubernetes({ issuer: undefined as unknown as string })]),
    /issuers\[0\]\.issuer/,
  )
})

test('FC8: only algorithms of the list of the issuer, and none that is symmetric', async () => {
  assert.equal(await scene().outcome(unsigned(kubernetesToken)), 'assertion_malformed')
  assert.equal(await kubernetesOutcome({}, { alg: 'RS384' }), 'assertion_algorithm_not_allowed')
  assert.equal(await kubernetesOutcome({}, { alg: 'HS256' }), 'assertion_algorithm_not_allowed')
  const jwks = { keys: [{ ...ec.jwk, kid: 'issuer-key' }] }
  const onlyRsa = [kubernetes({ issuer: kubernetesToken.issuer, jwks, algorithms: ['RS256'] })]
  assert.equal(
    await scene({ issuers: onlyRsa }).outcome(tokenBy(ec, kubernetesToken)),
    'assertion_algorithm_not_allowed',
  )
  const both = [{ issuer: kubernetesToken.issuer, jwks }]
  assert.equal(await scene({ issuers: both }).outcome(tokenBy(ec, kubernetesToken)), 'accepted')
  const fapi = { issuers: both, verifier: { profile: 'fapi2', algorithms: ['PS256'] } } as const
  assert.equal(
    await scene(fapi).outcome(tokenBy(ec, kubernetesToken)),
    'accepted',
    'the list of the verifier is for the other way',
  )
  for (const algorithms of [['HS256'], ['none'], []])
    assert.throws(() => createTrustedIssuers([{ issuer: 'x', jwks, algorithms }]), TypeError)
})

test('FC9: typ is absent, JWT or client-authentication+jwt', async () => {
  for (const typ of [undefined, 'JWT', 'client-authentication+jwt'])
    assert.equal(await kubernetesOutcome({}, { typ }), 'accepted', typ)
  for (const typ of ['at+jwt', 'oauth-id-jag+jwt', 'dpop+jwt', 'logout+jwt', '', 7])
    assert.equal(await kubernetesOutcome({}, { typ }), 'assertion_typ_not_allowed', String(typ))
})

test('FC10: the lifetime is bounded, by default to a little more than an hour, and the age is not', async () => {
  assert.equal(await kubernetesOutcome({ iat: NOW - 3500, nbf: NOW - 3500, exp: NOW + 107 }), 'accepted')
  assert.equal(await kubernetesOutcome({ iat: NOW, nbf: NOW, exp: NOW + 3607 }), 'accepted')
  assert.equal(await kubernetesOutcome({ iat: NOW, exp: NOW + 3661 }), 'assertion_lifetime_too_long')
  assert.equal(await kubernetesOutcome({ iat: undefined, exp: NOW + 3600 }), 'accepted')
  assert.equal(await kubernetesOutcome({ iat: undefined, exp: NOW + 3700 }), 'assertion_lifetime_too_long')
  assert.equal(await kubernetesOutcome({ exp: undefined }), 'assertion_expiry_malformed')
  assert.equal(await kubernetesOutcome({ exp: NOW - 20 }), 'assertion_expired')
  const issuers = [kubernetes({ issuer: kubernetesToken.issuer, jwks: keysOf(rsa), maxLifetimeSeconds: 86_400 })]
  assert.equal(await kubernetesOutcome({ iat: NOW - 80_000, exp: NOW + 6400 }, {}, { issuers }), 'accepted')
  assert.throws(
    () => createTrustedIssuers([{ ...(issuers[0] as TrustedIssuer), maxLifetimeSeconds: 86_401 }]),
    TypeError,
  )
})

test('FC11: nbf and iat are not in the future, within the tolerance of the verifier', async () => {
  assert.equal(await kubernetesOutcome({ nbf: NOW + 14 }), 'accepted')
  assert.equal(await kubernetesOutcome({ nbf: NOW + 16 }), 'assertion_not_yet_valid')
  assert.equal(await kubernetesOutcome({ iat: NOW + 16, exp: NOW + 60 }), 'assertion_issued_in_future')
  assert.equal(await kubernetesOutcome({ iat: 'now' }), 'assertion_issued_at_malformed')
})

test('FC12: a token may be used again by default, and once where the issuer says so', async () => {
  const again = scene()
  const token = tokenBy(rsa, kubernetesToken)
  for (let use = 0; use < 3; use += 1) assert.equal(await again.outcome(token), 'accepted')
  assert.deepEqual(again.register.remembered, [])
  const once = scene({
    issuers: [githubActions({ jwks: keysOf(rsa) })],
    client: record([{ issuer: githubToken.issuer, subject: githubToken.claims['sub'] }]),
  })
  const job = tokenBy(rsa, githubToken)
  assert.equal(await once.outcome(job), 'accepted')
  assert.equal(await once.outcome(job), 'assertion_replayed')
  assert.equal(await once.outcome(tokenBy(rsa, githubToken, { jti: 'next' })), 'accepted')
  assert.equal(await once.outcome(tokenBy(rsa, githubToken, { jti: undefined })), 'assertion_id_malformed')
  const [remembered] = once.register.remembered
  assert.deepEqual(
    { ...remembered },
    { issuer: ISSUER, clientId: githubToken.issuer, jti: 'example-id', expiresAt: NOW + 300 + 15 + 1 },
    'kept for the issuer of the token, until it has expired',
  )
  assert.throws(
    () => scene({ issuers: [githubActions({ jwks: keysOf(rsa) })], verifier: { replayRegister: false } }),
    /replayRegister/,
  )
})

test('FC13: client_id, azp and groups in the token name nobody', async () => {
  assert.equal(await kubernetesOutcome({ client_id: 'admin', azp: 'admin', groups: ['admin'] }), 'accepted')
  const { send } = scene()
  const token = tokenBy(rsa, kubernetesToken, { client_id: 'admin', azp: 'admin' })
  assert.equal((await send(token)).client.client_id, CLIENT_ID)
  assert.equal(await scene().outcome(token, { client_id: 'admin' }), 'client_unknown')
})

const svidScene = (client?: Client, more: Partial<TrustedIssuer> = {}) => {
  const issuers = [spiffe({ trustDomain: 'example.org', jwks: keysOf(ec, { use: 'jwt-svid' }), ...more })]
  const sub = spiffeToken.claims['sub'] as string
  const known = client ?? ({ client_id: sub, token_endpoint_auth_method: 'private_key_jwt' } as Client)
  const base = scene({ issuers, client: known })
  const outcome = (claims: object = {}, header: object = {}, form: object = {}) =>
    base.outcome(tokenBy(ec, spiffeToken, { ...claims }, { ...header }), {
      client_assertion_type: SPIFFE_TYPE,
      ...form,
    })
  return { ...base, outcome }
}

test('FC14: a JWT-SVID names its client by sub, or by a federated credential beside client_id', async () => {
  const { issuer } = spiffeToken
  const subject = spiffeToken.claims['sub']
  assert.equal(await svidScene().outcome(), 'accepted')
  assert.equal(await svidScene().outcome({}, {}, { client_id: subject }), 'accepted')
  assert.equal(await svidScene().outcome({}, {}, { client_id: 'another' }), 'client_unknown')
  const byEntry = svidScene(record([{ issuer, subject }]))
  assert.equal(await byEntry.outcome({}, {}, { client_id: CLIENT_ID }), 'accepted')
  assert.equal(await byEntry.outcome(), 'client_unknown')
  assert.equal(
    await svidScene(record([{ issuer, subject: `${subject}/x` }])).outcome({}, {}, { client_id: CLIENT_ID }),
    'federated_credential_mismatch',
  )
  const problems = { trustedIssuers: { issuers: [issuer] } }
  assert.deepEqual(
    await findClientProblems({ client_id: subject, token_endpoint_auth_method: 'private_key_jwt' }, problems),
    [],
  )
})

test('FC14: the trust domain decides; aud is this server alone; keys are those for JWT-SVIDs', async () => {
  assert.equal(
    await svidScene().outcome({ sub: 'spiffe://elsewhere.org/ns/payments/ledger' }),
    'assertion_issuer_mismatch',
  )
  assert.equal(await svidScene().outcome({ sub: 'spiffe://example.org' }), 'assertion_issuer_mismatch')
  assert.equal(await svidScene().outcome({ sub: 'https://example.org/x' }), 'assertion_issuer_mismatch')
  assert.equal(await svidScene().outcome({ aud: [ISSUER, 'other'] }), 'assertion_audience_mismatch')
  assert.equal(await svidScene().outcome({ aud: TOKEN_ENDPOINT }), 'assertion_audience_mismatch')
  assert.equal(await svidScene().outcome({ iss: 'anything' }), 'accepted')
  for (const typ of ['JOSE', undefined]) assert.equal(await svidScene().outcome({}, { typ }), 'accepted')
  for (const typ of ['wit+jwt', 'at+jwt'])
    assert.equal(await svidScene().outcome({}, { typ }), 'assertion_typ_not_allowed')
  assert.throws(() => svidScene(undefined, { jwks: keysOf(ec) }), /jwt-svid/)
  // the usual type takes the usual way
  assert.notEqual(await svidScene().outcome({}, {}, { client_assertion_type: undefined }), 'accepted')
  const usual = svidScene()
  assert.notEqual(await outcomeOf(usual.send(tokenBy(ec, spiffeToken), {})), 'accepted')
})

test('FC14: without a SPIFFE issuer the type is not supported; with one, other types are not', async () => {
  const without = await refusalOf(
    scene().send(tokenBy(rsa, kubernetesToken), { client_id: CLIENT_ID, client_assertion_type: SPIFFE_TYPE }),
  )
  assert.deepEqual([without.code, without.reason], ['invalid_request', 'assertion_type_unsupported'])
  const wit = SPIFFE_TYPE.replace('jwt-spiffe', 'wit-spiffe')
  assert.equal(await svidScene().outcome({}, {}, { client_assertion_type: wit }), 'assertion_type_unsupported')
})

test('FC14: the refresh hint of a bundle is its lifetime, within 60 to 3600 seconds', async () => {
  let now = NOW
  const known = { client_id: spiffeToken.claims['sub'], token_endpoint_auth_method: 'private_key_jwt' } as Client
  const issuers = [spiffe({ trustDomain: 'example.org', jwksUri: server.url, remote })]
  const { outcome } = scene({ issuers, client: known, verifier: { clock: () => now } })
  const ask = () =>
    outcome(tokenBy(ec, spiffeToken, { iat: now, exp: now + 300 }), { client_assertion_type: SPIFFE_TYPE })
  const bundle = (hint: number) =>
    json({ ...keysOf(ec, { use: 'jwt-svid' }), spiffe_refresh_hint: hint, spiffe_sequence: 1 })
  const asked = async (seconds: number) => {
    now += seconds
    const before = server.requests.length
    assert.equal(await ask(), 'accepted')
    return server.requests.length - before
  }
  server.answer = bundle(1)
  assert.equal(await asked(0), 1)
  assert.equal(await asked(59), 0)
  server.answer = bundle(1_000_000)
  assert.equal(await asked(2), 1)
  assert.equal(await asked(3599), 0)
  assert.equal(await asked(2), 1)
})

test('FC15: whatever is wrong, the refusal looks the same', async () => {
  const refusals = await Promise.all([
    refusalOf(scene().send(tokenBy(rsa, kubernetesToken), { client_id: 'nobody' })),
    refusalOf(scene().send(tokenBy(other, kubernetesToken))),
    refusalOf(scene().send(tokenBy(rsa, kubernetesToken, { sub: 'another' }))),
    refusalOf(scene().send(tokenBy(rsa, kubernetesToken, { iss: 'https://elsewhere.example' }))),
    refusalOf(scene().send(tokenBy(rsa, kubernetesToken, { aud: 'x' }))),
    refusalOf(scene().send(tokenBy(rsa, kubernetesToken, { exp: NOW - 100 }))),
    refusalOf(scene({ client: record([]) }).send(tokenBy(rsa, kubernetesToken))),
    refusalOf(scene({ client: record('damaged') }).send(tokenBy(rsa, kubernetesToken))),
  ])
  const looks = refusals.map(({ code, status, message, headers }) => JSON.stringify({ code, status, message, headers }))
  assert.equal(new Set(looks).size, 1, looks.join('\n'))
  assert.equal(refusals[0]?.code, 'invalid_client')
})

test('FC16: the application and the event learn issuer, subject and claims', async () => {
  const events: unknown[] = []
  const stop = onEvent('client.authenticated', (event) => events.push(event))
  const { authentication } = await scene().send(tokenBy(rsa, kubernetesToken))
  stop()
  assert.equal(authentication.issuer, kubernetesToken.issuer)
  assert.deepEqual(authentication.claims, kubernetesToken.claims)
  assert.equal(authentication.kid, 'issuer-key')
  const { issuer, claims } = kubernetesToken
  assert.deepEqual(events, [
    { clientId: CLIENT_ID, method: 'private_key_jwt', alg: 'RS256', kid: 'issuer-key', issuer, subject: claims['sub'] },
  ])
})

test('FC17: the metadata lists private_key_jwt and the algorithms of both ways', () => {
  const issuers = [kubernetes({ issuer: kubernetesToken.issuer, jwks: keysOf(rsa), algorithms: ['RS512'] })]
  const { verify } = scene({ issuers, verifier: { algorithms: ['ES256'] } })
  assert.deepEqual(verify.algorithms, ['ES256', 'RS512'])
  assert.ok(verify.methods.includes('private_key_jwt'))
})

test('FC18: perClient and the checks of the application know the way that the assertion took', async () => {
  const ways: unknown[] = []
  const facts: unknown[] = []
  const verifier: Partial<AssertionVerifierOptions> = {
    perClient: (_client, way) => {
      ways.push(way.issuer)
      return { maxLifetimeSeconds: 3000 }
    },
    checks: [
      {
        name: 'way',
        check: ({ authentication }) => {
          facts.push(authentication.issuer)
          return true
        },
      },
    ],
  }
  assert.equal(await kubernetesOutcome({}, {}, { verifier }), 'assertion_lifetime_too_long')
  assert.equal(await kubernetesOutcome({ exp: NOW + 60 }, {}, { verifier }), 'accepted')
  const client = record(undefined, { jwks: { keys: [ec.jwk] } })
  assert.equal(
    await scene({ client, verifier }).outcome(assertionBy(ec, { iss: CLIENT_ID, sub: CLIENT_ID }), {}),
    'accepted',
  )
  assert.deepEqual(ways, [kubernetesToken.issuer, kubernetesToken.issuer, undefined])
  assert.deepEqual(facts, [kubernetesToken.issuer, undefined])
})

test('the list of issuers is checked, and the presets are plain data', () => {
  const good: TrustedIssuer = { issuer: 'https://issuer.example', jwks: { keys: [{ kty: 'RSA' }] } }
  const wrong: readonly unknown[] = [
    undefined,
    [],
    [null],
    [{ issuer: 'https://issuer.example' }],
    [{ ...good, discovery: true }],
    [{ ...good, jwksUri: 'https://issuer.example/jwks' }],
    [good, good],
    [{ ...good, issuer: '' }],
    [{ ...good, issuer: 'x'.repeat(601) }],
    [{ ...good, jwks: { keys: [] } }],
    [{ ...good, jwks: 7 }],
    [{ ...good, replay: 'never' }],
    [{ ...good, maxLifetime: 60 }],
    [{ issuer: 'https://issuer.example', jwksUri: 'http://issuer.example/jwks' }],
    [{ issuer: 'not a url', discovery: true }],
    [{ issuer: 'https://issuer.example', discovery: true, remote: { timeout: 1 } }],
    [{ issuer: 'https://issuer.example', discovery: true, spiffe: true }],
    [{ issuer: 'spiffe://example.org', discovery: true, spiffe: true }],
    [{ issuer: 'spiffe://EXAMPLE', jwks: { keys: [{ use: 'jwt-svid' }] }, spiffe: true }],
  ]
  for (const list of wrong)
    assert.throws(() => createTrustedIssuers(list as never), TypeError, JSON.stringify(list)?.slice(0, 80))
  for (const preset of [
    kubernetes({ issuer: 'https://cluster.example' }),
    githubActions(),
    githubActions({ issuer: 'https://github.example/_services/token' }),
    gitlab(),
    entra({ tenant: '9122040d-6c67-4c5b-b112-36a304b66dad' }),
    google(),
    spiffe({ trustDomain: 'example.org', jwksUri: 'https://bundle.example' }),
  ]) {
    assert.deepEqual(JSON.parse(JSON.stringify(preset)), preset)
    assert.deepEqual(createTrustedIssuers([preset]).issuers, [preset.issuer])
  }
})
