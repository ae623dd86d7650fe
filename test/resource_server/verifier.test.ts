import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { createSessions, createTokens, type Events, OAuthError, onEvent } from '../../lib/index.ts'
import { type AccessTokenVerifierOptions, createAccessTokenVerifier } from '../../lib/resource_server/index.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { createIssuer, GOOD_CLAIMS, ISSUER, NOW, RESOURCE, signWith, textOf } from '../support/access_tokens.ts'
import { json, startKeyServer } from '../support/key_server.ts'

const issuer = await createIssuer()
const clock = () => NOW
type Options = Partial<AccessTokenVerifierOptions>
const verifierWith = (options: Options = {}) =>
  createAccessTokenVerifier({ issuer: ISSUER, resource: RESOURCE, keys: { jwks: issuer.jwks }, clock, ...options })

/** The reason for which a token is refused, or 'accepted'. Refusals are 401s of invalid_token. */
async function outcomeOf(token: string, options: Options = {}): Promise<string | undefined> {
  try {
    await verifierWith(options).verify(token)
    return 'accepted'
  } catch (error) {
    assert.ok(error instanceof OAuthError, String(error))
    if (error.status < 500) assert.deepEqual([error.code, error.status], ['invalid_token', 401])
    else assert.deepEqual([error.status, error.headers['Retry-After']], [503, '5'])
    return error.reason
  }
}
const outcome = async (claims?: object, header?: object, options?: Options) =>
  outcomeOf(await issuer.sign({ ...claims }, { ...header }), options)

test('a good token gives client, subject, scopes, expiry and claims, under every algorithm', async () => {
  for (const alg of ['ES256', 'EdDSA', 'RS256', 'PS256']) {
    const other = await createIssuer(alg)
    const verifier = verifierWith({ keys: { jwks: JSON.stringify(other.jwks) } })
    const token = await other.sign()
    const { resource, extra, ...verified } = await verifier.verify(token)
    assert.deepEqual(verified, {
      token,
      clientId: 'app',
      subject: 'alice',
      scopes: ['read', 'write'],
      expiresAt: NOW + 300,
      claims: GOOD_CLAIMS,
    })
    assert.deepEqual([resource.href, extra], [RESOURCE, GOOD_CLAIMS])
  }
})

test('RS4: longer than 16 KiB, no compact JWS, loose JSON, crit and b64 are refused', async () => {
  const header = { alg: 'ES256', typ: 'at+jwt', kid: 'k1' }
  const bad = {
    'too long': 'a'.repeat(16_385),
    'not three parts': 'a.b',
    encrypted: 'a.b.c.d.e',
    'a character outside of b64token': 'a.b.c,',
    'a member twice': textOf(header, '{"iss":"https://as.example","iss":"https://as.example"}'),
    'no object': textOf(header, '[]'),
    'no JSON': textOf(header, '{'),
    'a header that is none': textOf('null', GOOD_CLAIMS),
    'a kid that is a number': textOf({ ...header, kid: 1 }, GOOD_CLAIMS),
    crit: textOf({ ...header, crit: ['exp'] }, GOOD_CLAIMS),
    b64: textOf({ ...header, b64: false }, GOOD_CLAIMS),
    zip: textOf({ ...header, zip: 'DEF' }, GOOD_CLAIMS),
  }
  for (const [name, token] of Object.entries(bad)) assert.equal(await outcomeOf(token), 'token_malformed', name)
  const good = await issuer.sign()
  assert.equal(await outcomeOf(`${good}=`), 'token_malformed', 'padding')
  assert.equal(await outcomeOf(good), 'accepted')
  for (const none of ['', undefined, null, 7, {}])
    assert.equal(await outcomeOf(none as string), 'token_missing', String(none))
})

test('RS5: typ must be at+jwt; optional accepts JWT and none, and nothing else', async () => {
  for (const typ of ['at+jwt', 'AT+JWT', 'application/at+jwt'])
    assert.equal(await outcome({}, { typ }), 'accepted', typ)
  for (const typ of ['JWT', undefined, 'rt+jwt', 'dpop+jwt', 'client-authentication+jwt', 'at+jwt2', 7])
    assert.equal(await outcome({}, { typ }), 'token_typ_not_allowed', String(typ))
  const loose = { typ: 'optional' } as const
  for (const typ of ['JWT', 'jwt', undefined, 'at+jwt']) assert.equal(await outcome({}, { typ }, loose), 'accepted')
  for (const typ of ['rt+jwt', 'dpop+jwt', 'logout+jwt', 7])
    assert.equal(await outcome({}, { typ }, loose), 'token_typ_not_allowed')
})

test('RS6: the key is found by kid, with its own algorithm; HMAC and none are never accepted', async () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey
  const publicPem = Buffer.from(rsa.export({ type: 'spki', format: 'pem' }))
  const wrong = 'token_signature_wrong'
  assert.equal(await outcome({}, { kid: 'k2' }), wrong)
  assert.equal(await outcomeOf(await (await createIssuer()).sign()), wrong, 'another key under the same kid')
  assert.equal(await outcomeOf(await signWith(publicPem, { alg: 'HS256', kid: 'k1' })), wrong)
  assert.equal(await outcomeOf(textOf({ alg: 'none', typ: 'at+jwt' }, GOOD_CLAIMS)), wrong)
  assert.equal(await outcomeOf(textOf({ typ: 'at+jwt' }, GOOD_CLAIMS)), wrong)
  assert.equal(await outcome({}, {}, { algorithms: ['RS256'] }), wrong)
  const [bound] = issuer.jwks.keys
  for (const misfit of [{ alg: 'ES384' }, { use: 'enc' }, { key_ops: ['sign'] }, { kty: 'RSA' }])
    assert.equal(await outcome({}, {}, { keys: { jwks: { keys: [{ ...bound, ...misfit }] } } }), wrong)
  assert.equal(await outcome({}, { kid: undefined }), 'accepted', 'without a kid every key that fits is tried')
  const tampered = (await issuer.sign()).replace(/\.(.)/, '.$1').split('.')
  tampered[1] = Buffer.from(JSON.stringify({ ...GOOD_CLAIMS, sub: 'mallory' })).toString('base64url')
  assert.equal(await outcomeOf(tampered.join('.')), wrong)
  assert.throws(() => verifierWith({ algorithms: ['HS256', 'ES256'] }), { name: 'TypeError', message: /algorithms/ })
  assert.throws(() => verifierWith({ algorithms: ['none'] }), { name: 'TypeError', message: /algorithms/ })
})

test('RS6: an unknown kid leads to one request in each cool-down', async (t) => {
  const server = await startKeyServer('http')
  t.after(() => server.close())
  const next = await createIssuer('ES256', 'k2')
  server.answer = json(issuer.jwks)
  let now = NOW
  const keys = { jwksUri: server.url }
  const verifier = verifierWith({ keys, keySets: { allowHttpLoopback: true }, clock: () => now })
  await verifier.verify(await issuer.sign())
  assert.equal(server.requests.length, 1)
  const strange = await next.sign()
  for (let at = 0; at < 20; at += 1) await assert.rejects(verifier.verify(strange), { reason: 'token_signature_wrong' })
  assert.equal(server.requests.length, 1, 'the set was fetched just now')
  now += 31
  server.answer = json({ keys: [...issuer.jwks.keys, ...next.jwks.keys] })
  await Promise.all(Array.from({ length: 20 }, () => verifier.verify(strange)))
  assert.equal(server.requests.length, 2)
  const expired = await issuer.sign({ exp: NOW - 100 }, { kid: 'k9' })
  now += 31
  await assert.rejects(verifier.verify(expired), { reason: 'token_expired' })
  assert.equal(server.requests.length, 2, 'nothing is fetched for a token that is no good anyway')
})

test('RS7: iss is compared exactly', async () => {
  for (const iss of [`${ISSUER}/`, 'https://AS.example', 'https://evil.example', undefined, 7, [ISSUER]])
    assert.equal(await outcome({ iss }), 'token_issuer_mismatch', String(iss))
})

test('RS8: aud is or contains the resource; one slash at the end counts on neither side', async () => {
  for (const aud of [RESOURCE, `${RESOURCE}/`, ['https://other.example', RESOURCE]])
    assert.equal(await outcome({ aud }), 'accepted', String(aud))
  assert.equal(await outcome({}, {}, { resource: `${RESOURCE}/` }), 'accepted')
  const wrong = [
    'https://api.example',
    `${RESOURCE}//`,
    `${RESOURCE}/x`,
    'https://API.example/mcp',
    undefined,
    7,
    [],
    {},
  ]
  for (const aud of [...wrong, [[RESOURCE]], RESOURCE.slice(0, -1)])
    assert.equal(await outcome({ aud }), 'token_audience_mismatch', String(aud))
  const several = { audience: ['https://a.example', ISSUER] }
  assert.equal(await outcome({ aud: ISSUER }, {}, several), 'accepted')
  assert.equal(await outcome({ aud: RESOURCE }, {}, several), 'token_audience_mismatch')
})

test('RS9: exp is required; exp, nbf and iat have 15 seconds of tolerance, or what the option says', async () => {
  assert.equal(await outcome({ exp: undefined }), 'token_malformed')
  for (const exp of ['1900000000', null, Number.MAX_VALUE * 2])
    assert.equal(await outcomeOf(textOf({ alg: 'ES256', typ: 'at+jwt' }, { ...GOOD_CLAIMS, exp })), 'token_malformed')
  const tries: readonly [object, number | undefined, string][] = [
    [{ exp: NOW - 14 }, undefined, 'accepted'],
    [{ exp: NOW - 15 }, undefined, 'token_expired'],
    [{ exp: NOW }, 0, 'token_expired'],
    [{ exp: NOW + 1 }, 0, 'accepted'],
    [{ nbf: NOW + 15 }, undefined, 'accepted'],
    [{ nbf: NOW + 16 }, undefined, 'token_expired'],
    [{ nbf: 'soon' }, undefined, 'token_malformed'],
    [{ iat: NOW + 15 }, undefined, 'accepted'],
    [{ iat: NOW + 16 }, undefined, 'token_expired'],
    [{ iat: NOW + 61 }, 60, 'token_expired'],
  ]
  for (const [claims, clockToleranceSeconds, expected] of tries)
    assert.equal(await outcome(claims, {}, { clockToleranceSeconds }), expected, JSON.stringify(claims))
})

test('RS10: sub, client_id, jti and iat must be there; typ optional loosens that too', async () => {
  for (const name of ['sub', 'client_id', 'jti', 'iat']) {
    assert.equal(await outcome({ [name]: undefined }), 'token_malformed', name)
    assert.equal(await outcome({ [name]: undefined }, { typ: 'JWT' }, { typ: 'optional' }), 'accepted', name)
  }
  for (const claims of [{ sub: 7 }, { client_id: '' }, { jti: {} }, { iat: 'now' }])
    assert.equal(await outcome(claims), 'token_malformed', JSON.stringify(claims))
  const { clientId, subject, scopes } = await verifierWith({ typ: 'optional' }).verify(
    await issuer.sign({ client_id: undefined, azp: 'spa', sub: undefined, scope: ['a', 'b', 7] }),
  )
  assert.deepEqual([clientId, subject, scopes], ['spa', '', ['a', 'b']])
})

test('RS11: a token with cnf is not taken as bearer, wherever the trust comes from', async () => {
  const cnf = { jkt: 'x' }
  assert.equal(await outcome({ cnf }), 'token_bound')
  assert.equal(await outcome({ cnf: { 'x5t#S256': 'x' } }), 'token_bound')
  const answers = [{ cnf }, { token_type: 'DPoP' }]
  for (const more of answers) {
    const introspect = () => ({ active: true, ...GOOD_CLAIMS, ...more })
    assert.equal(await outcomeOf('opaque', { keys: { introspect } }), 'token_bound')
  }
  const tokens = createTokens({
    issuer: ISSUER,
    baseSecret: 's'.repeat(32),
    audience: RESOURCE,
    claims: () => ({ cnf }),
  })
  const client = { client_id: 'app' }
  const { access_token } = await tokens.issueForClient(client, { scope: '', now: NOW, context: {} })
  assert.equal(await outcomeOf(access_token, { keys: { tokens } }), 'token_bound')
})

describe('tokens of this server', () => {
  const client = { client_id: 'app', grant_types: ['authorization_code', 'refresh_token'] }
  const make = (audience: string | undefined = RESOURCE, more: object = {}) => {
    const { sessionStore } = createMemoryStores({ clock })
    const sessions = createSessions({ store: sessionStore, clock })
    const tokens = createTokens({ issuer: ISSUER, baseSecret: 's'.repeat(32), audience, ...more })
    const issue = async () => {
      const session = await sessions.open({ subject: 'alice', clientId: 'app', scope: 'read' }, { client, now: NOW })
      assert.ok(session)
      const issued = await tokens.issue(session, { client, scope: 'read', generation: 1, now: NOW, context: {} })
      return { session, access: issued.access_token, refresh: issued.refresh_token ?? '' }
    }
    return { sessions, tokens, issue, keys: { tokens, sessions } }
  }

  for (const [name, more] of Object.entries({
    'signed tokens': {},
    'opaque tokens': { accessTokenFormat: 'opaque' },
    'tokens of the type JWT': { accessTokenType: 'JWT' },
    'HMAC tokens': { accessTokenAlgorithm: 'HS256' },
  }))
    test(`${name} are accepted, and RS14: refused once revoked, or when their session ended`, async () => {
      const { sessions, tokens, issue, keys } = make(RESOURCE, more)
      const { access, session } = await issue()
      const verified = await verifierWith({ keys }).verify(access)
      assert.deepEqual([verified.subject, verified.clientId, verified.scopes], ['alice', 'app', ['read']])
      const second = await issue()
      const claims = await tokens.readAccessToken(second.access)
      assert.ok(claims)
      await sessions.revokeAccessToken(claims, NOW)
      assert.equal(await outcomeOf(second.access, { keys }), 'token_revoked')
      assert.equal(await outcomeOf(access, { keys }), 'accepted')
      await sessions.end(session.id, NOW)
      assert.equal(await outcomeOf(access, { keys }), 'token_revoked')
      assert.equal(await outcomeOf(access, { keys: { tokens } }), 'accepted', 'without sessions until it expires')
    })

  test('a token of client_credentials has no session and is accepted until it is revoked', async () => {
    const { sessions, tokens, keys } = make()
    const { access_token } = await tokens.issueForClient(client, { scope: '', now: NOW, context: {} })
    assert.equal(await outcomeOf(access_token, { keys }), 'accepted')
    const claims = await tokens.readAccessToken(access_token)
    assert.ok(claims)
    await sessions.revokeAccessToken(claims, NOW)
    assert.equal(await outcomeOf(access_token, { keys }), 'token_revoked')
  })

  test('RS9: the clock has no tolerance for exp, and nodes may differ by 15 seconds in iat', async () => {
    const { issue, keys } = make()
    const { access } = await issue()
    assert.equal(await outcomeOf(access, { keys, clock: () => NOW + 899 }), 'accepted')
    assert.equal(await outcomeOf(access, { keys, clock: () => NOW + 900 }), 'token_expired')
    assert.equal(await outcomeOf(access, { keys, clock: () => NOW - 15 }), 'accepted')
    assert.equal(await outcomeOf(access, { keys, clock: () => NOW - 16 }), 'token_expired')
  })

  test('RS5, RS7, RS8: a refresh token, another server, another API and made-up text are told apart', async () => {
    const { issue, keys } = make()
    const { refresh } = await issue()
    assert.equal(await outcomeOf(refresh, { keys }), 'token_typ_not_allowed')
    const elsewhere = createTokens({ issuer: 'https://other.example', baseSecret: 's'.repeat(32) })
    const foreign = await elsewhere.issueForClient(client, { scope: '', now: NOW, context: {} })
    assert.equal(await outcomeOf(foreign.access_token, { keys }), 'token_issuer_mismatch')
    assert.equal(await outcomeOf(await issuer.sign(), { keys }), 'token_signature_wrong')
    const other = make('https://other-api.example')
    assert.equal(await outcomeOf((await other.issue()).access, { keys: other.keys }), 'token_audience_mismatch')
    assert.equal(await outcomeOf('made-up', { keys }), 'token_signature_wrong')
    assert.equal(await outcomeOf('a.b', { keys }), 'token_malformed')
    const crit = textOf({ alg: 'ES256', typ: 'at+jwt', crit: ['exp'] }, GOOD_CLAIMS)
    assert.equal(await outcomeOf(crit, { keys }), 'token_malformed')
  })

  test('RS15: a store or a factory that fails is a 503', async () => {
    const { tokens, sessions, issue } = make()
    const { access } = await issue()
    const broken = async (): Promise<never> => {
      throw new Error('ECONNREFUSED')
    }
    for (const keys of [
      { tokens, sessions: createSessions({ store: { ...createMemoryStores().sessionStore, get: broken } }) },
      { tokens, sessions: { ...sessions, isAccessTokenRevoked: () => broken() } },
      { tokens: { issuer: ISSUER, readAccessToken: broken }, sessions },
    ])
      assert.equal(await outcomeOf(access, { keys }), 'store_unavailable')
  })
})

describe('introspection', () => {
  const asked: string[] = []
  const answering = (answer: unknown, cacheSeconds?: number) => ({
    introspect: (token: string) => {
      asked.push(token)
      return answer as object
    },
    cacheSeconds,
  })
  const active = { active: true, ...GOOD_CLAIMS, token_type: 'Bearer' }

  test('an active token for this resource is accepted; all else is not', async () => {
    const tries: readonly [unknown, string][] = [
      [active, 'accepted'],
      [Promise.resolve({ ...active, iss: undefined, jti: undefined, client_id: undefined }), 'accepted'],
      [{ active: false }, 'token_revoked'],
      [{ ...active, aud: 'https://other.example' }, 'token_audience_mismatch'],
      [{ ...active, aud: undefined }, 'token_audience_mismatch'],
      [{ ...active, iss: 'https://other.example' }, 'token_issuer_mismatch'],
      [{ ...active, exp: NOW - 60 }, 'token_expired'],
      [{ ...active, exp: undefined }, 'token_malformed'],
      [{ ...active, token_type: 'refresh_token' }, 'token_typ_not_allowed'],
    ]
    for (const [answer, expected] of tries)
      assert.equal(await outcomeOf('opaque', { keys: answering(answer) }), expected, JSON.stringify(answer))
  })

  test('RS15: no response, and one that is none, are 503', async () => {
    for (const answer of [undefined, null, 'active', {}, { active: 'true' }, [], Promise.reject(new Error('down'))])
      assert.equal(await outcomeOf('opaque', { keys: answering(answer) }), 'store_unavailable', String(answer))
  })

  test('RS14: nothing is kept by default; with cacheSeconds an active answer, for that long, and 60 at most', async () => {
    let now = NOW
    asked.length = 0
    const plain = verifierWith({ keys: answering(active) })
    await plain.verify('a')
    await plain.verify('a')
    assert.deepEqual(asked, ['a', 'a'])
    asked.length = 0
    const verifier = verifierWith({ keys: answering(active, 60), clock: () => now })
    await verifier.verify('a')
    now += 59
    await verifier.verify('a')
    assert.deepEqual(asked, ['a'])
    await verifier.verify('b')
    now += 1
    await verifier.verify('a')
    assert.deepEqual(asked, ['a', 'b', 'a'])
    now = NOW + 400
    await assert.rejects(verifier.verify('a'), { reason: 'token_expired' })
    assert.throws(() => verifierWith({ keys: answering(active, 61) }), { name: 'TypeError', message: /cacheSeconds/ })
  })

  test('RS14: what the application does to a token reaches no later request, and what is no JSON is not kept', async () => {
    asked.length = 0
    const bound = { ...active, token_type: 'DPoP', cnf: { jkt: 'x' } }
    const keys = answering(structuredClone(active), 60)
    const verifier = verifierWith({ keys })
    await verifier.verify('a')
    const { extra } = await verifier.verify('a')
    extra['scope'] = 'admin'
    delete extra['exp']
    assert.deepEqual((await verifier.verify('a')).scopes, GOOD_CLAIMS.scope.split(' '))
    assert.deepEqual(asked, ['a'])
    const odd = verifierWith({ keys: answering({ ...active, size: 1n }, 60) })
    await odd.verify('b')
    await odd.verify('b')
    assert.deepEqual(asked, ['a', 'b', 'b'])
    await assert.rejects(verifierWith({ keys: answering(bound, 60) }).verify('c'), { reason: 'token_bound' })
  })

  test('RS14: an inactive answer is never kept', async () => {
    let isActive = false
    const introspect = () => (isActive ? active : { active: false })
    const verifier = verifierWith({ keys: { introspect, cacheSeconds: 60 } })
    await assert.rejects(verifier.verify('a'), { reason: 'token_revoked' })
    isActive = true
    await verifier.verify('a')
  })
})

test('RS15: a key set that cannot be fetched is a 503, also when the kid is unknown', async (t) => {
  const server = await startKeyServer('http')
  t.after(() => server.close())
  const events: Events['access_token.refused'][] = []
  t.after(onEvent('access_token.refused', (event) => events.push(event)))
  server.answer = json('broken', {}, 500)
  let now = NOW
  const token = await issuer.sign()
  const keys = { jwksUri: server.url }
  const verifier = verifierWith({ keys, keySets: { allowHttpLoopback: true }, clock: () => now })
  await assert.rejects(verifier.verify(token), { status: 503, reason: 'store_unavailable' })
  assert.ok(events[0]?.cause instanceof Error)
  assert.equal(events[0].tokenId, undefined)
  now += 31
  server.answer = json(issuer.jwks)
  await verifier.verify(token)
  now += 31
  server.answer = json('broken', {}, 500)
  await verifier.verify(token)
  const next = await createIssuer('ES256', 'k2')
  await assert.rejects(verifier.verify(await next.sign()), { status: 503 }, 'the key may be a new one')
  now += 61
  server.answer = json(issuer.jwks)
  await assert.rejects(verifier.verify(await next.sign()), { status: 401, reason: 'token_signature_wrong' })
})

test('RS20: events name the token and its client once the signature is verified, and never contain a token', async (t) => {
  const events: Events['access_token.refused'][] = []
  t.after(onEvent('access_token.refused', (event) => events.push(event)))
  const tokens = createTokens({ issuer: ISSUER, baseSecret: 's'.repeat(32), audience: 'https://other.example' })
  const { access_token } = await tokens.issueForClient({ client_id: 'app' }, { scope: '', now: NOW, context: {} })
  const claims = await tokens.readAccessToken(access_token)
  assert.equal(await outcomeOf(access_token, { keys: { tokens } }), 'token_audience_mismatch')
  assert.deepEqual(
    [events[0]?.reason, events[0]?.tokenId, events[0]?.clientId],
    ['token_audience_mismatch', claims?.jti, 'app'],
  )
  const forged = await (await createIssuer()).sign({ client_id: 'victim' })
  const failures: unknown[] = []
  for (const token of [forged, await issuer.sign({ exp: NOW - 99 }), `${forged}x`, randomBytes(40).toString('hex')])
    await verifierWith()
      .verify(token)
      .catch((error: unknown) => failures.push(error, (error as Error).stack, JSON.stringify(error)))
  assert.equal(events[1]?.clientId, undefined)
  const told = JSON.stringify([...events, ...failures])
  for (const secret of [access_token, forged, forged.split('.')[2] ?? '']) assert.ok(!told.includes(secret))
})

test('what cannot be a configuration is a TypeError that names the option', () => {
  const tokens = createTokens({ issuer: 'https://other.example', baseSecret: 's'.repeat(32) })
  const bad: readonly [Record<string, unknown>, RegExp][] = [
    [{ issuer: 'as.example' }, /'issuer'/],
    [{ resource: undefined }, /'resource'/],
    [{ resource: '/api' }, /'resource'/],
    [{ resource: 'https://api.example/#a' }, /'resource'/],
    [{ audience: [] }, /'audience'/],
    [{ keys: undefined }, /option 'keys' must be an object with one of jwksUri, jwks, tokens, introspect/],
    [{ keys: {} }, /'keys'/],
    [{ keys: { jwks: { keys: [] }, jwksUri: 'https://as.example/jwks' } }, /'keys'/],
    [{ keys: { jwks: { keys: [] }, sessions: {} } }, /keys\.sessions/],
    [{ keys: { jwks: { keys: 7 } } }, /keys\.jwks/],
    [{ keys: { jwksUri: 'http://as.example/jwks' } }, /keys\.jwksUri/],
    [{ keys: { jwksUri: 'http://127.0.0.1/jwks' } }, /keys\.jwksUri/],
    [{ keys: { tokens } }, /'issuer'/],
    [{ keys: { tokens: {} } }, /'issuer'|keys\.tokens/],
    [{ keys: { introspect: 'https://as.example/introspect' } }, /keys\.introspect/],
    [{ keys: { jwksURI: 'x' } }, /Did you mean "jwksUri"/],
    [{ typ: 'none' }, /'typ'/],
    [{ clockToleranceSeconds: 301 }, /'clockToleranceSeconds'/],
    [{ audiences: 'x' }, /Did you mean "audience"/],
  ]
  for (const [options, message] of bad)
    assert.throws(() => verifierWith(options as Options), { name: 'TypeError', message }, JSON.stringify(options))
  for (const none of [undefined, null, 'x'])
    assert.throws(() => createAccessTokenVerifier(none as never), /createAccessTokenVerifier needs an object/)
})

test('an option that has no effect with the kind of keys is refused, and both are named', () => {
  const local = { tokens: createTokens({ issuer: ISSUER, baseSecret: 's'.repeat(32) }) }
  const introspected = { introspect: () => ({ active: false }) }
  const options = { algorithms: ['ES256'], keySets: {}, typ: 'required' } as const
  for (const [keys, refused] of [
    [local, ['algorithms', 'keySets']],
    [introspected, ['algorithms', 'keySets', 'typ']],
  ] as const)
    for (const [name, value] of Object.entries(options)) {
      const make = () => verifierWith({ keys, [name]: value } as Options)
      const message = `createAccessTokenVerifier: option '${name}' has no effect with keys.${Object.keys(keys)}`
      if ((refused as readonly string[]).includes(name)) assert.throws(make, { name: 'TypeError', message })
      else make()
    }
  verifierWith({ keys: introspected, algorithms: undefined, typ: undefined })
})

test('a token of 16 KiB takes linear time, whatever it is made of', async () => {
  const started = performance.now()
  for (const text of ['a'.repeat(16_384), '='.repeat(16_384), 'a='.repeat(8192), '.'.repeat(16_384), 'a.'.repeat(8192)])
    for (let at = 0; at < 20; at += 1) assert.notEqual(await outcomeOf(text), 'accepted')
  assert.ok(performance.now() - started < 2000)
})
