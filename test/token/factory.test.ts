import assert from 'node:assert/strict'
import { createHmac, createPublicKey, generateKeyPair as generate, verify } from 'node:crypto'
import { before, test } from 'node:test'
import { promisify } from 'node:util'
import { createLocalJWKSet, exportPKCS8, generateKeyPair, type JSONWebKeySet, jwtVerify, SignJWT } from 'jose'
import { deriveKeyset } from '../../lib/token/derived_keys.ts'
import { createTokenFactory, type TokenKind } from '../../lib/token/factory.ts'
import { createKeyset, type Keyset } from '../../lib/token/keyset.ts'
import { createTokens } from '../../lib/token/token_set.ts'

const SECRET = 'a base secret of more than thirty-two octets'
const claims = { iss: 'https://as.example', sub: 'alice', client_id: 'app', jti: 'j', exp: 2_000_000_000, ünï: '✓' }
const KINDS: readonly TokenKind[] = ['access_token', 'refresh_token']
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

const pems: Record<string, string> = {}
before(async () => {
  for (const alg of ['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256']) {
    const { privateKey } = await generateKeyPair(alg, { extractable: true })
    pems[alg] = await exportPKCS8(privateKey)
  }
})

const ownKeyset = (alg: 'ES256' | 'ES384' | 'EdDSA' | 'PS256' | 'RS256', kid?: string): Keyset =>
  createKeyset([{ key: pems[alg] ?? '', alg, kid }])

const headerOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())
const segment = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

for (const alg of ['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256'] as const) {
  test(`J2: ${alg}: another JOSE library verifies an access token with the published keys`, async () => {
    const factory = createTokenFactory({ keyset: ownKeyset(alg), baseSecret: SECRET })
    const token = await factory.sign('access_token', claims)
    const jwks = createLocalJWKSet(factory.jwks?.() as unknown as JSONWebKeySet)
    const verified = await jwtVerify(token, jwks, { typ: 'at+jwt', algorithms: [alg], issuer: claims.iss })
    assert.deepEqual(verified.payload, claims)
    assert.deepEqual(await factory.verify('access_token', token), claims)
  })
}

for (const alg of ['HS256', 'HS384', 'HS512'] as const) {
  test(`J2: ${alg}: another JOSE library verifies with the secret`, async () => {
    const keyset = deriveKeyset(SECRET, { alg })
    const factory = createTokenFactory({ keyset })
    const token = await factory.sign('refresh_token', claims)
    const secret = keyset.signingKey.verifyingKey
    assert.deepEqual((await jwtVerify(token, secret, { typ: 'rt+jwt', algorithms: [alg] })).payload, claims)
    assert.deepEqual(await factory.verify('refresh_token', token), claims)
  })
}

test('J2: Ed448: whoever has the published key verifies an access token, which no Ed25519 key makes', async () => {
  const { privateKey } = await promisify(generate)('ed448', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const factory = createTokenFactory({ keyset: createKeyset([{ key: privateKey, kid: 'k' }]) })
  const token = await factory.sign('access_token', claims)
  assert.deepEqual(headerOf(token), { alg: 'EdDSA', typ: 'at+jwt', kid: 'k' })
  const published = factory.jwks?.().keys[0]
  assert.equal(published?.['crv'], 'Ed448')
  const [input, signature] = [token.slice(0, token.lastIndexOf('.')), token.slice(token.lastIndexOf('.') + 1)]
  const publicKey = createPublicKey({ key: { ...published }, format: 'jwk' })
  assert.ok(verify(null, Buffer.from(input), publicKey, Buffer.from(signature, 'base64url')))
  assert.deepEqual(await factory.verify('access_token', token), claims)
  assert.equal(await factory.verify('refresh_token', token), undefined)
  const smaller = createTokenFactory({ keyset: ownKeyset('EdDSA', 'k') })
  assert.equal(await smaller.verify('access_token', token), undefined)
  assert.equal(await factory.verify('access_token', await smaller.sign('access_token', claims)), undefined)
})

test('S16: headers hold alg, the typ of the kind, and kid', async () => {
  const factory = createTokenFactory({ baseSecret: SECRET })
  const access = headerOf(await factory.sign('access_token', claims))
  const refresh = headerOf(await factory.sign('refresh_token', claims))
  assert.deepEqual([access['alg'], access['typ'], Object.keys(access).length], ['ES256', 'at+jwt', 3])
  assert.deepEqual([refresh['alg'], refresh['typ'], Object.keys(refresh).length], ['HS256', 'rt+jwt', 3])
  assert.notEqual(access['kid'], refresh['kid'])
})

test('keys derived from one base secret are the same in every process', async () => {
  const one = createTokenFactory({ baseSecret: SECRET })
  const other = createTokenFactory({ baseSecret: SECRET })
  for (const kind of KINDS) assert.deepEqual(await other.verify(kind, await one.sign(kind, claims)), claims)
  assert.deepEqual(one.jwks?.(), other.jwks?.())
})

for (const [title, make] of [
  ['derived keys', () => createTokenFactory({ baseSecret: SECRET })],
  ['opaque access tokens', () => createTokenFactory({ baseSecret: SECRET, accessTokenFormat: 'opaque' })],
  ['one key for both kinds', () => createTokenFactory({ keyset: ownKeyset('ES256') })],
  ['one HMAC key for both kinds', () => createTokenFactory({ keyset: deriveKeyset(SECRET, { alg: 'HS256' }) })],
] as const) {
  test(`J4: with ${title}, a token of one kind is never taken for the other`, async () => {
    const factory = make()
    const access = await factory.sign('access_token', claims)
    const refresh = await factory.sign('refresh_token', claims)
    assert.deepEqual(await factory.verify('access_token', access), claims)
    assert.deepEqual(await factory.verify('refresh_token', refresh), claims)
    assert.equal(await factory.verify('refresh_token', access), undefined)
    assert.equal(await factory.verify('access_token', refresh), undefined)
  })
}

for (const [kind, format] of [
  ['refresh_token', 'jwt'],
  ['access_token', 'opaque'],
] as const) {
  test(`J6: no ${format} ${kind} with one character changed, dropped or added is taken`, async () => {
    const factory = createTokenFactory({ baseSecret: SECRET, accessTokenFormat: format })
    const token = await factory.sign(kind, claims)
    for (let at = 0; at < token.length; at += 1) {
      const other = ALPHABET[(ALPHABET.indexOf(token[at] ?? '') + 1) % 64]
      const last = ALPHABET[ALPHABET.indexOf(token[at] ?? '') ^ 1] // for what base64url does not use of its last digit
      for (const put of ['', other, last, `${token[at]}A`, '.', '=', ' ', '\n', 'é']) {
        const forged = token.slice(0, at) + put + token.slice(at + 1)
        if (forged === token) continue
        assert.equal(await factory.verify(kind, forged), undefined, `${JSON.stringify(put)} at ${at}`)
      }
    }
    for (const forged of [`${token}A`, `${token}=`, `${token} `, ` ${token}`, `${token}\0`, `${token}.`, `.${token}`]) {
      assert.equal(await factory.verify(kind, forged), undefined, JSON.stringify(forged))
    }
  })
}

test('J6: a signature has one spelling with asymmetric keys too', async () => {
  const factory = createTokenFactory({ keyset: ownKeyset('ES256') })
  const token = await factory.sign('access_token', claims)
  const last = ALPHABET.indexOf(token.at(-1) ?? '')
  for (const bits of [1, 2, 4, 8]) {
    assert.equal(await factory.verify('access_token', token.slice(0, -1) + ALPHABET[last ^ bits]), undefined)
  }
  for (const added of ['=', 'A', ' ', '.']) assert.equal(await factory.verify('access_token', token + added), undefined)
})

test('J6: what is no token at all is not one, and costs no exception', async () => {
  for (const format of ['jwt', 'opaque'] as const) {
    const factory = createTokenFactory({ baseSecret: SECRET, accessTokenFormat: format })
    for (const kind of KINDS) {
      for (const text of [
        '',
        '.',
        '..',
        '...',
        'a.b.c',
        'null',
        `${segment({})}..`,
        `${segment(null)}.e30.`,
        '{"alg":"none"}',
        '\0',
        '❤️',
        'A'.repeat(70_000),
        'A.'.repeat(40_000),
      ]) {
        assert.equal(await factory.verify(kind, text), undefined, text.slice(0, 20))
      }
    }
  }
})

test("J4: alg none, and any algorithm but the key's own, is refused", async () => {
  const keyset = ownKeyset('ES256', 'k')
  const factory = createTokenFactory({ keyset })
  const payload = segment(claims)
  const none = `${segment({ alg: 'none', typ: 'at+jwt', kid: 'k' })}.${payload}.`
  assert.equal(await factory.verify('access_token', none), undefined)
  // The public key as an HMAC secret: the classic confusion.
  for (const secret of [
    keyset.signingKey.verifyingKey.export({ format: 'pem', type: 'spki' }),
    JSON.stringify(keyset.signingKey.publicJwk),
  ]) {
    const input = `${segment({ alg: 'HS256', typ: 'at+jwt', kid: 'k' })}.${payload}`
    const signature = createHmac('sha256', secret).update(input).digest('base64url')
    assert.equal(await factory.verify('access_token', `${input}.${signature}`), undefined)
  }
})

test('J4, J5: a header is believed only with our kid, typ, and no critical extension', async () => {
  const keyset = deriveKeyset(SECRET, { alg: 'HS256' })
  const factory = createTokenFactory({ keyset })
  const { kid, verifyingKey } = keyset.signingKey
  const made = (header: Record<string, unknown>): string => {
    const input = `${segment(header)}.${segment(claims)}`
    return `${input}.${createHmac('sha256', verifyingKey).update(input).digest('base64url')}`
  }
  const good = { alg: 'HS256', typ: 'at+jwt', kid }
  assert.deepEqual(await factory.verify('access_token', made(good)), claims)
  for (const header of [
    { ...good, typ: 'JWT' },
    { ...good, typ: 'rt+jwt' },
    { ...good, typ: undefined },
    { ...good, kid: undefined },
    { ...good, kid: 'other' },
    { ...good, kid: '__proto__' },
    { ...good, kid: [kid] },
    { ...good, alg: 'HS512' },
    { ...good, crit: ['exp'] },
    { ...good, b64: true },
  ]) {
    assert.equal(await factory.verify('access_token', made(header)), undefined, JSON.stringify(header))
  }
})

test('J5: a token without kid is of the key kid_not_set.<alg>, where the keyset has one; typ and alg stay pinned', async () => {
  const old = Buffer.alloc(64, 7)
  const made = (header: Record<string, unknown>, alg = 'sha256'): string => {
    const input = `${segment(header)}.${segment(claims)}`
    return `${input}.${createHmac(alg, old).update(input).digest('base64url')}`
  }
  const current = { key: pems['ES256'] ?? '', kid: 'current' }
  const keyset = createKeyset([current, { key: old, alg: 'HS256', kid: 'kid_not_set.HS256' }])
  const factory = createTokenFactory({ keyset })
  const bare = { alg: 'HS256', typ: 'at+jwt' }
  assert.deepEqual(await factory.verify('access_token', made(bare)), claims)
  assert.equal(headerOf(await factory.sign('access_token', claims))['kid'], 'current')
  for (const forged of [
    made({ ...bare, typ: 'rt+jwt' }),
    made({ ...bare, typ: 'JWT' }),
    made({ ...bare, kid: null }),
    made({ ...bare, kid: '' }),
    made({ ...bare, kid: 'current' }),
    made({ ...bare, alg: 'HS512' }, 'sha512'),
    made({ ...bare, alg: ['HS256'] }),
    made({ ...bare, crit: ['exp'] }),
    `${made(bare).slice(0, -2)}AA`,
    `${segment({ ...bare, alg: 'none' })}.${segment(claims)}.`,
    made({ typ: 'at+jwt' }),
  ]) {
    assert.equal(await factory.verify('access_token', forged), undefined, forged)
  }
  // An entry whose own algorithm is another than its name says is of no use to anybody.
  const misnamed = createKeyset([current, { key: old, alg: 'HS512', kid: 'kid_not_set.HS256' }])
  assert.equal(await createTokenFactory({ keyset: misnamed }).verify('access_token', made(bare)), undefined)
  assert.equal(
    await createTokenFactory({ keyset: createKeyset([current]) }).verify('access_token', made(bare)),
    undefined,
  )
})

test('a token that another library signed with the same key is taken, whatever the order of its header', async () => {
  const keyset = ownKeyset('ES256', 'k')
  const factory = createTokenFactory({ keyset })
  const { privateKey } = keyset.signingKey
  assert.ok(privateKey !== undefined)
  const token = await new SignJWT(claims).setProtectedHeader({ kid: 'k', typ: 'at+jwt', alg: 'ES256' }).sign(privateKey)
  assert.deepEqual(await factory.verify('access_token', token), claims)
})

test('a token of another server is refused by its kid, and by its signature where the kid is alike', async () => {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const theirs = createTokenFactory({ keyset: createKeyset([{ key: await exportPKCS8(privateKey), kid: 'k' }]) })
  const ours = createTokenFactory({ keyset: ownKeyset('ES256', 'k') })
  assert.equal(await ours.verify('access_token', await theirs.sign('access_token', claims)), undefined)
})

test('J7: rotation: add, sign with, drop; refresh tokens of a key that is still in the set keep working', async () => {
  const old = 'the old base secret, of thirty-two octets'
  const before = createTokenFactory({ baseSecret: old })
  const during = createTokenFactory({ baseSecret: [SECRET, old] })
  const after = createTokenFactory({ baseSecret: SECRET })
  for (const format of ['jwt', 'opaque'] as const) {
    const [first, second, third] = [old, [SECRET, old], SECRET].map((baseSecret) =>
      createTokenFactory({ baseSecret, accessTokenFormat: format }),
    )
    assert.ok(first !== undefined && second !== undefined && third !== undefined)
    const token = await first.sign('access_token', claims)
    assert.deepEqual(await second.verify('access_token', token), claims)
    assert.equal(await third.verify('access_token', token), undefined)
    assert.deepEqual(await third.verify('access_token', await second.sign('access_token', claims)), claims)
  }
  const token = await before.sign('refresh_token', claims)
  assert.deepEqual(await during.verify('refresh_token', token), claims)
  assert.equal(await after.verify('refresh_token', token), undefined)
  assert.equal(during.jwks?.().keys.length, 2)
})

test("J8: a keyset that changes while the server runs is seen at once, and is no other factory's", async () => {
  let keyset = ownKeyset('ES256')
  const factory = createTokenFactory({ keyset: () => keyset, baseSecret: SECRET })
  const other = createTokenFactory({ keyset, baseSecret: SECRET })
  const token = await factory.sign('access_token', claims)
  keyset = ownKeyset('EdDSA')
  assert.equal(await factory.verify('access_token', token), undefined)
  assert.deepEqual(await other.verify('access_token', token), claims)
  assert.equal(headerOf(await factory.sign('access_token', claims))['alg'], 'EdDSA')
  assert.equal(factory.jwks?.().keys[0]?.['alg'], 'EdDSA')
})

test('opaque access tokens say nothing of what they hold, and no two are alike', async () => {
  const factory = createTokenFactory({ baseSecret: SECRET, accessTokenFormat: 'opaque' })
  const tokens = await Promise.all(Array.from({ length: 100 }, () => factory.sign('access_token', claims)))
  assert.equal(new Set(tokens).size, 100)
  for (const token of tokens) {
    assert.match(token, /^[\w-]+$/)
    assert.ok(!Buffer.from(token, 'base64url').toString('latin1').includes('alice'))
  }
  assert.deepEqual(factory.jwks?.(), { keys: [] })
})

test('an option that has no effect next to another one is refused, and both are named', () => {
  const keyset = ownKeyset('ES256')
  const opaque = { accessTokenFormat: 'opaque' } as const
  for (const [options, message] of [
    [{ keyset, accessTokenAlgorithm: 'EdDSA' }, "option 'accessTokenAlgorithm' has no effect with 'keyset'"],
    [{ ...opaque, keyset }, "option 'keyset' has no effect with accessTokenFormat: 'opaque'"],
    [
      { ...opaque, accessTokenAlgorithm: 'ES256' },
      "option 'accessTokenAlgorithm' has no effect with accessTokenFormat: 'opaque'",
    ],
    [{ ...opaque, accessTokenType: 'JWT' }, "option 'accessTokenType' has no effect with accessTokenFormat: 'opaque'"],
  ] as const) {
    const given = { baseSecret: SECRET, ...options }
    assert.throws(() => createTokenFactory(given), { name: 'TypeError', message: `createTokenFactory: ${message}` })
    const issuer = 'https://as.example'
    assert.throws(() => createTokens({ issuer, ...given }), { name: 'TypeError', message: `createTokens: ${message}` })
  }
  createTokenFactory({ baseSecret: SECRET, ...opaque, refreshTokenKeyset: keyset, keyset: undefined })
  createTokenFactory({ baseSecret: SECRET, keyset, accessTokenType: 'JWT', accessTokenAlgorithm: undefined })
})

test('createTokens with a factory refuses what describes another one', () => {
  const issuer = 'https://as.example'
  const factory = createTokenFactory({ baseSecret: SECRET })
  for (const options of [
    { baseSecret: SECRET },
    { accessTokenFormat: 'opaque' },
    { accessTokenAlgorithm: 'EdDSA' },
    { accessTokenType: 'JWT' },
    { keyset: ownKeyset('ES256') },
    { refreshTokenKeyset: ownKeyset('ES256') },
  ] as const)
    assert.throws(() => createTokens({ issuer, factory, ...options }), {
      name: 'TypeError',
      message: `createTokens: option '${Object.keys(options)}' has no effect with 'factory'`,
    })
  createTokens({ issuer, factory, baseSecret: undefined })
})

test('J9: options that name no key are refused when the factory is made', () => {
  assert.throws(() => createTokenFactory({}), /'baseSecret'/)
  assert.throws(() => createTokenFactory({ keyset: ownKeyset('ES256'), accessTokenFormat: 'opaque' }), /'baseSecret'/)
  assert.throws(
    () => createTokenFactory({ baseSecret: SECRET, accessTokenFormat: 'JWT' as 'jwt' }),
    /'accessTokenFormat'/,
  )
  assert.throws(
    () => createTokenFactory({ baseSecret: SECRET, accessTokenAlgorithm: 'none' as 'ES256' }),
    /'accessTokenAlgorithm'/,
  )
})

test('J14: accessTokenType says which typ access tokens have; both types are verified while it is JWT', async () => {
  const usual = createTokenFactory({ baseSecret: SECRET })
  const plain = createTokenFactory({ baseSecret: SECRET, accessTokenType: 'JWT' })
  const [fresh, former] = [await plain.sign('access_token', claims), await usual.sign('access_token', claims)]
  assert.equal(headerOf(fresh)['typ'], 'JWT')
  assert.equal(headerOf(former)['typ'], 'at+jwt')
  for (const token of [fresh, former]) assert.deepEqual(await plain.verify('access_token', token), claims)
  assert.equal(await usual.verify('access_token', fresh), undefined, 'only where the option is set')
  assert.throws(() => createTokenFactory({ baseSecret: SECRET, accessTokenType: 'jwt' as never }), /accessTokenType/)
})

test('J14: with one keyset for both kinds and accessTokenType JWT, no kind is accepted as the other', async () => {
  const keyset = ownKeyset('ES256')
  for (const source of [keyset, () => keyset]) {
    const factory = createTokenFactory({ keyset: source, accessTokenType: 'JWT' })
    for (const kind of KINDS) {
      const token = await factory.sign(kind, claims)
      for (const other of KINDS)
        assert.deepEqual(await factory.verify(other, token), other === kind ? claims : undefined, `${kind} as ${other}`)
    }
  }
})
