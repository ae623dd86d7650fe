import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AssertionVerifierOptions, createAssertionVerifier } from '../../lib/assertion/verify.ts'
import { ALL_ALGORITHMS } from '../../lib/keys/algorithms.ts'
import { ISSUER, NOW, newKey, scene, TOKEN_ENDPOINT, testRegister } from '../support/assertions.ts'

const ALG = 'assertion_algorithm_not_allowed'
const AUD = 'assertion_audience_mismatch'

/** The table of the design: for each profile, what an assertion with one peculiarity comes to. */
const TABLE: Record<string, { algorithms: readonly string[]; alg: string; outcomes: Record<string, string> }> = {
  oidc: {
    algorithms: ALL_ALGORITHMS,
    alg: 'ES256',
    outcomes: {
      issuer: 'accepted',
      token: 'accepted',
      array: 'accepted',
      several: AUD,
      iss: 'assertion_issuer_mismatch',
      jti: 'assertion_id_malformed',
      kid: 'accepted',
      hour: 'accepted',
    },
  },
  rfc7523: {
    algorithms: ALL_ALGORITHMS,
    alg: 'ES256',
    outcomes: {
      issuer: 'accepted',
      token: 'accepted',
      array: 'accepted',
      several: AUD,
      iss: 'accepted',
      jti: 'accepted',
      kid: 'accepted',
      hour: 'accepted',
    },
  },
  rfc10070: {
    algorithms: ALL_ALGORITHMS,
    alg: 'ES256',
    outcomes: {
      issuer: 'accepted',
      token: AUD,
      array: 'accepted',
      several: AUD,
      iss: 'assertion_issuer_mismatch',
      jti: 'assertion_id_malformed',
      kid: 'accepted',
      hour: 'accepted',
    },
  },
  fapi1: {
    algorithms: ['PS256', 'ES256'],
    alg: 'ES256',
    outcomes: {
      issuer: 'accepted',
      token: 'accepted',
      array: 'accepted',
      several: 'accepted',
      iss: 'assertion_issuer_mismatch',
      jti: 'assertion_id_malformed',
      kid: 'accepted',
      hour: 'accepted',
    },
  },
  fapi2: {
    algorithms: ['PS256', 'ES256', 'Ed25519'],
    alg: 'ES256',
    outcomes: {
      issuer: 'accepted',
      token: AUD,
      array: AUD,
      several: AUD,
      iss: 'assertion_issuer_mismatch',
      jti: 'assertion_id_malformed',
      kid: 'accepted',
      hour: 'accepted',
    },
  },
  smart: {
    algorithms: ['RS384', 'ES384'],
    alg: 'ES384',
    outcomes: {
      issuer: 'accepted',
      token: 'accepted',
      array: 'accepted',
      several: AUD,
      iss: 'assertion_issuer_mismatch',
      jti: 'assertion_id_malformed',
      kid: 'assertion_key_id_missing',
      hour: 'assertion_lifetime_too_long',
    },
  },
}

for (const [profile, { algorithms, alg, outcomes }] of Object.entries(TABLE))
  test(`the profile ${profile} decides audience, issuer, jti, algorithms, kid and lifetime as the table says`, async () => {
    const options = { profile: profile as AssertionVerifierOptions['profile'] } as Partial<AssertionVerifierOptions>
    const base = await scene(options, {}, alg)
    const { verify, outcome } = await scene(options, { jwks: { keys: [{ ...base.key.jwk, kid: 'k' }] } }, alg)
    const kid = { kid: 'k' }
    assert.deepEqual(verify.algorithms, algorithms)
    const found = {
      issuer: await outcome({ aud: ISSUER }, kid),
      token: await outcome({ aud: TOKEN_ENDPOINT }, kid),
      array: await outcome({ aud: [ISSUER] }, kid),
      several: await outcome({ aud: [ISSUER, 'https://other.example'] }, kid),
      iss: await outcome({ iss: 'https://other.example' }, kid),
      jti: await outcome({ jti: undefined }, kid),
      kid: await outcome({}, {}),
      hour: await outcome({ exp: NOW + 3600 }, kid),
    }
    assert.deepEqual(found, outcomes)
    for (const other of ALL_ALGORITHMS)
      if (!algorithms.includes(other) && !(other === 'EdDSA' && algorithms.includes('Ed25519')))
        assert.equal(await outcome({}, { ...kid, alg: other }), ALG, other)
  })

test('a profile without MAC algorithms does not offer client_secret_jwt', async () => {
  for (const profile of ['fapi1', 'fapi2', 'smart'] as const)
    assert.deepEqual((await scene({ profile })).verify.methods, ['private_key_jwt'])
})

test('single options override a profile', async () => {
  const { outcome, verify } = await scene({
    profile: 'smart',
    algorithms: ['ES256'],
    requireKeyId: false,
    longLifetime: 'capped',
    audienceForm: 'containing',
    jti: 'optional',
    requireIssuerIsSubject: false,
  })
  assert.deepEqual(verify.algorithms, ['ES256'])
  assert.equal(
    await outcome({ exp: NOW + 3600, aud: [ISSUER, 'x'], jti: undefined, iss: 'https://other.example' }),
    'accepted',
  )
})

test('perClient settles rules for one client and leaves those of others alone', async () => {
  const { outcome } = await scene({
    perClient: () => ({
      maxLifetimeSeconds: 60,
      longLifetime: 'refused',
      requireIat: true,
      requireKeyId: false,
      requireIssuerIsSubject: false,
      audienceForm: 'containing',
    }),
  })
  assert.equal(await outcome({ exp: NOW + 60 }), 'accepted')
  assert.equal(await outcome({ exp: NOW + 61 }), 'assertion_lifetime_too_long')
  assert.equal(await outcome({ iat: undefined }), 'assertion_issued_at_malformed')
  assert.equal(await outcome({ iss: 'other' }), 'accepted')
  assert.equal(await outcome({ aud: [ISSUER, 'x'] }), 'accepted')
  const keyed = await scene({ perClient: () => ({ requireKeyId: true }) })
  assert.equal(await keyed.outcome(), 'assertion_key_id_missing')
  for (const wrong of [
    { maxLifetimeSeconds: '60' },
    { jti: 'maybe' },
    { allowReuse: 1 },
    { typ: 'x' },
    { audience: ISSUER },
    { audience: [] },
    { maxLifetime: 60 },
    Promise.resolve({ requireIat: true }),
    5,
    true,
  ]) {
    const { outcome: broken } = await scene({ perClient: () => wrong as never })
    assert.equal(await broken(), 'misconfigured', JSON.stringify(wrong))
  }
})

test('every option that can not be throws TypeError at construction and names itself', () => {
  const sound = { issuer: ISSUER, findClient: () => undefined, replayRegister: testRegister() }
  for (const [name, value] of [
    ['profile', 'fapi3'],
    ['issuer', 5],
    ['tokenEndpoint', '/token'],
    ['tokenEndpoint', 5],
    ['pushedAuthorizationRequestEndpoint', 'par'],
    ['audience', []],
    ['audience', 'x'],
    ['audience', ['']],
    ['audienceForm', 'any'],
    ['requireIssuerIsSubject', 'no'],
    ['jti', false],
    ['algorithms', ['none']],
    ['methods', []],
    ['methods', ['client_secret_basic']],
    ['edDsaAlias', 1],
    ['typ', 'off'],
    ['requireKeyId', 'x'],
    ['requireClientId', null],
    ['maxLifetimeSeconds', 0],
    ['maxLifetimeSeconds', 86_401],
    ['longLifetime', true],
    ['requireIat', 'x'],
    ['clockToleranceSeconds', 301],
    ['maxAssertionBytes', 255],
    ['findClient', {}],
    ['replayRegister', undefined],
    ['replayRegister', true],
    ['replayRegister', { remember: 5 }],
    ['perClient', {}],
    ['clock', 5],
    ['misconfiguredClient', 'ignore'],
    ['verification', 'async'],
    ['keyCacheSize', 1],
  ] as const)
    assert.throws(
      () => createAssertionVerifier({ ...sound, [name]: value } as unknown as AssertionVerifierOptions),
      (error: unknown) => error instanceof TypeError && error.message.includes(`'${name}'`),
      `${name}: ${JSON.stringify(value)}`,
    )
  for (const options of [undefined, null, 5])
    assert.throws(() => createAssertionVerifier(options as never), {
      name: 'TypeError',
      message: `createAssertionVerifier needs an object with options, got ${options}`,
    })
  assert.doesNotThrow(() => createAssertionVerifier(Object.freeze({ ...sound })))
})

test('R79: the profile smart refuses a jku other than the registered jwks_uri, and never fetches it', async () => {
  const { key } = await scene({ profile: 'smart' }, {}, 'ES384')
  const jwks = { keys: [{ ...key.jwk, kid: 'k' }] }
  const fetched: string[] = []
  const keySets = {
    fetch: async (url: string | URL | Request) => {
      fetched.push(String(url))
      return Response.json(jwks)
    },
  }
  const registered = 'https://client.example/jwks'
  const remote = await scene({ profile: 'smart', keySets }, { jwks: undefined, jwks_uri: registered }, 'ES384')
  const inline = await scene({ profile: 'smart' }, { jwks }, 'ES384')
  assert.equal(await remote.outcome({}, { kid: 'k', jku: registered }), 'accepted')
  assert.equal(await remote.outcome({}, { kid: 'k' }), 'accepted')
  for (const jku of [
    'https://evil.example/jwks',
    `${registered}/`,
    registered.toUpperCase(),
    '',
    null,
    5,
    [registered],
  ]) {
    assert.equal(await remote.outcome({}, { kid: 'k', jku }), 'assertion_header_not_allowed', String(jku))
    assert.equal(await inline.outcome({}, { kid: 'k', jku }), 'assertion_header_not_allowed', String(jku))
  }
  assert.equal(await inline.outcome({}, { kid: 'k' }), 'accepted')
  assert.deepEqual(fetched, [registered])
  const oidc = await scene({}, { jwks }, 'ES384')
  assert.equal(await oidc.outcome({}, { kid: 'k', jku: 'https://evil.example/jwks' }), 'accepted')
})

test('R79: the profile smart refuses a key set with two keys of the kid, which other profiles tell apart', async () => {
  const { key } = await scene({ profile: 'smart' }, {}, 'ES384')
  const other = await newKey('RS384', 'k')
  for (const keys of [
    [{ ...key.jwk, kid: 'k' }, other.jwk],
    [other.jwk, { ...key.jwk, kid: 'k', use: 'sig' }],
    [
      { ...key.jwk, kid: 'k' },
      { ...key.jwk, kid: 'k' },
    ],
  ]) {
    const smart = await scene({ profile: 'smart' }, { jwks: { keys } }, 'ES384')
    assert.equal(await smart.outcome({}, { kid: 'k' }), 'key_unusable')
    const oidc = await scene({}, { jwks: { keys } }, 'ES384')
    assert.equal(await oidc.outcome({}, { kid: 'k' }), 'accepted')
  }
  const apart = await scene(
    { profile: 'smart' },
    {
      jwks: {
        keys: [
          { ...key.jwk, kid: 'k' },
          { ...other.jwk, kid: 'l' },
        ],
      },
    },
    'ES384',
  )
  assert.equal(await apart.outcome({}, { kid: 'k' }), 'accepted')
})
