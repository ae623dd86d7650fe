import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refusal } from '../../lib/errors.ts'
import { onEvent } from '../../lib/events.ts'
import {
  assertionBy,
  assertionWith,
  claimsOf,
  formWith,
  jws,
  newKey,
  outcomeOf,
  refusalOf,
  SECRET,
  scene,
  sharedKey,
  type TestKey,
} from '../support/assertions.ts'

const withKeys = (keys: unknown, more: object = {}) => scene({}, { jwks: { keys }, ...more })
const named = (key: TestKey, kid: unknown, more: object = {}) => ({ ...key.jwk, kid, ...more })

test('R40 a kid selects strictly among public keys, and must be a string', async () => {
  const key = await sharedKey('ES256')
  const other = await sharedKey('ES256', 'other')
  const { outcome, verify } = await withKeys([named(key, 'a'), named(other, 'b')])
  assert.equal(await outcome({}, { kid: 'a' }), 'accepted')
  assert.equal(await outcome({}, { kid: 'b' }), 'assertion_signature_wrong')
  for (const kid of ['A', 'a ', '', 'c']) assert.equal(await outcome({}, { kid }), 'key_not_found', kid)
  for (const kid of [null, 5, ['a'], {}, true]) assert.equal(await outcome({}, { kid }), 'assertion_key_id_malformed')
  const { authentication } = await verify(formWith(assertionBy(key, {}, { kid: 'a' })))
  assert.equal(authentication.kid, 'a')
  const unnamed = await withKeys([key.jwk])
  assert.equal(await unnamed.outcome({}, { kid: 'a' }), 'key_not_found')
})

test('R40 a kid is ignored for the client secret', async () => {
  const { verify } = await scene(
    {},
    { token_endpoint_auth_method: 'client_secret_jwt', client_secret: SECRET, jwks: undefined },
  )
  const { authentication } = await verify(formWith(assertionWith(SECRET, {}, { kid: 'whatever' })))
  assert.equal(authentication.kid, undefined)
})

test('R41 without a kid every key that fits is tried, at most eight, and unusable ones are skipped', async () => {
  const key = await sharedKey('ES256')
  const other = await sharedKey('ES256', 'other')
  const broken = { ...other.jwk, y: other.jwk.x }
  const { outcome, verify } = await withKeys([named(other, 'o'), broken, named(key, 'k')])
  assert.equal(await outcome(), 'accepted')
  assert.equal((await verify(formWith(assertionBy(key)))).authentication.kid, 'k')
  const seven = await withKeys([...Array.from({ length: 7 }, () => other.jwk), key.jwk])
  assert.equal(await seven.outcome(), 'accepted')
  const nine = [...Array.from({ length: 8 }, () => other.jwk), key.jwk]
  for (const verification of ['sync', 'pool'] as const) {
    const eight = await scene({ verification }, { jwks: { keys: nine } })
    assert.equal(await eight.outcome(), 'assertion_signature_wrong', 'keys that are imported now')
    assert.equal(await eight.outcome(), 'assertion_signature_wrong', 'keys that are at hand')
  }
  const bad = await withKeys([...Array.from({ length: 20 }, () => broken), key.jwk])
  assert.equal(await bad.outcome(), 'accepted')
  const unfit = await withKeys([...Array.from({ length: 20 }, () => ({ kty: 'RSA' })), key.jwk])
  assert.equal(await unfit.outcome(), 'accepted')
})

test('R42 keys that share a kid are told apart by type, use and alg', async () => {
  const key = await sharedKey('ES256')
  const rsa = await sharedKey('RS256')
  const other = await sharedKey('ES256', 'other')
  const { outcome, verify } = await withKeys([
    named(rsa, 'same'),
    named(other, 'same', { use: 'enc' }),
    named(other, 'same', { alg: 'ES384' }),
    named(other, 'same'),
    named(key, 'same'),
  ])
  assert.equal(await outcome({}, { kid: 'same' }), 'accepted')
  assert.equal(await outcomeOf(verify(formWith(assertionBy(rsa, {}, { kid: 'same' })))), 'accepted')
})

test('R43 use, key_ops and alg of a key are respected where they are there', async () => {
  const key = await sharedKey('ES256')
  for (const member of [{}, { use: 'sig' }, { key_ops: ['verify'] }, { key_ops: ['sign', 'verify'] }, { alg: 'ES256' }])
    assert.equal(await (await withKeys([{ ...key.jwk, ...member }])).outcome(), 'accepted', JSON.stringify(member))
  for (const member of [
    { use: 'enc' },
    { use: ['sig'] },
    { key_ops: ['sign'] },
    { key_ops: 'verify' },
    { alg: 'ES384' },
    { alg: 'RS256' },
  ])
    assert.equal(await (await withKeys([{ ...key.jwk, ...member }])).outcome(), 'key_not_found', JSON.stringify(member))
})

test('R44 an RSA key has 2048 to 8192 bits and an odd exponent of at least 65537', async () => {
  const rsa = await newKey('RS256')
  const small = await newKey('RS256', undefined, 2048)
  const n = Buffer.from(String(rsa.jwk.n), 'base64url')
  const problems: [string, object, RegExp][] = [
    ['1024 bits', { n: n.subarray(0, 128).toString('base64url') }, /2048 to 8192 bits, it has 1024/],
    ['2047 bits', { n: Buffer.from([(n[0] ?? 0) & 0x7f, ...n.subarray(1)]).toString('base64url') }, /it has 20\d\d/],
    [
      'hidden zeros',
      { n: Buffer.concat([Buffer.alloc(200), n.subarray(0, 128)]).toString('base64url') },
      /it has 1024/,
    ],
    ['8200 bits', { n: Buffer.concat([n, Buffer.alloc(769, 1)]).toString('base64url') }, /it has 8200/],
    ['e = 3', { e: 'Aw' }, /exponent/],
    ['e = 65536', { e: 'AQAA' }, /exponent/],
    ['e = 1', { e: 'AQ' }, /exponent/],
    ['long e', { e: Buffer.alloc(300, 0xff).toString('base64url') }, /exponent/],
    ['n with too much padding', { n: `${rsa.jwk.n}====` }, /base64url/],
    ['n even', { n: `${String(rsa.jwk.n).slice(0, -1)}A` }, /even/],
    ['n malformed', { n: '!!!!' }, /base64url/],
    ['n empty', { n: '' }, /base64url/],
    ['n missing', { n: undefined }, /missing/],
    ['n a number', { n: 5 }, /missing/],
    ['n even longer', { n: 'A'.repeat(5000) }, /missing/],
  ]
  for (const [what, change, detail] of problems) {
    const { verify } = await withKeys([{ ...rsa.jwk, ...change }])
    const refused = await refusalOf(verify(formWith(assertionBy(rsa))))
    assert.deepEqual([refused.code, refused.reason], ['invalid_client', 'key_unusable'], what)
    assert.match(refused.detail ?? '', detail, what)
  }
  const { verify } = await withKeys([small.jwk])
  assert.equal(await outcomeOf(verify(formWith(assertionBy(small)))), 'accepted')
})

test('R45 the curve of a key is the one of the algorithm', async () => {
  const p384 = await sharedKey('ES384')
  const { outcome } = await withKeys([
    { ...p384.jwk, crv: 'P-256' },
    { ...p384.jwk },
    { kty: 'EC', crv: 'secp256k1', x: 'AA', y: 'AA' },
  ])
  assert.equal(await outcome(), 'key_unusable')
  const none = await withKeys([p384.jwk])
  assert.equal(await none.outcome(), 'key_not_found')
})

test('R46 a key with a private member is not used, and its operator hears of it', async () => {
  const heard: string[] = []
  const stop = onEvent('client.warning', ({ detail }) => heard.push(detail))
  for (const alg of ['ES256', 'RS256', 'EdDSA']) {
    const key = await sharedKey(alg)
    const { outcome } = await scene({}, { jwks: { keys: [key.privateJwk] } }, alg)
    assert.equal(await outcome(), 'key_unusable', alg)
    const besides = await scene({}, { jwks: { keys: [key.privateJwk, key.jwk] } }, alg)
    assert.equal(await besides.outcome(), 'accepted', alg)
  }
  stop()
  assert.equal(heard.length, 6)
  assert.match(heard[0] ?? '', /private key members/)
})

test('R46 an oct key is of no use to private_key_jwt', async () => {
  const { verify } = await withKeys([{ kty: 'oct', k: Buffer.from(SECRET).toString('base64url') }])
  assert.equal(await outcomeOf(verify(formWith(assertionWith(SECRET)))), 'client_method_mismatch')
})

test('R47 a malformed key is skipped, a malformed set is invalid_client, and neither is a fault', async () => {
  const key = await sharedKey('ES256')
  for (const odd of [
    {},
    { kty: 5 },
    { kty: 'EC' },
    { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' },
    { kty: 'XYZ', crv: 'P-256' },
    { kty: 'EC', crv: 'P-256', x: key.jwk.x, y: key.jwk.x },
    { kty: '__proto__' },
  ])
    assert.equal(await (await withKeys([odd, key.jwk])).outcome(), 'accepted', JSON.stringify(odd))
  for (const odd of [
    { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' },
    { kty: 'EC', crv: 'P-256', x: key.jwk.x, y: key.jwk.x },
  ])
    assert.equal(await (await withKeys([odd])).outcome(), 'key_unusable', JSON.stringify(odd))
  for (const jwks of [
    {},
    { keys: {} },
    { keys: 'x' },
    { keys: null },
    [key.jwk],
    5,
    true,
    'x',
    '[]',
    '{"keys":5}',
    '{"keys":[],"keys":[]}',
  ])
    assert.equal(await (await scene({}, { jwks })).outcome(), 'key_set_malformed', JSON.stringify(jwks))
  assert.equal(await (await withKeys([])).outcome(), 'key_not_found')
})

test('R47: members of a key set that are not objects are skipped', async () => {
  const key = await sharedKey('ES256')
  for (const odd of [null, 5, 'x', true, [key.jwk], undefined]) {
    assert.equal(await (await withKeys([odd, key.jwk])).outcome(), 'accepted', JSON.stringify(odd))
    assert.equal(await (await withKeys([key.jwk, odd])).outcome(), 'accepted', JSON.stringify(odd))
    assert.equal(await (await withKeys([odd])).outcome(), 'key_not_found', JSON.stringify(odd))
  }
  const text = await scene({}, { jwks: JSON.stringify({ keys: [null, 5, key.jwk] }) })
  assert.equal(await text.outcome(), 'accepted')
})

test('R58: a jwks in the record has at most maxKeys keys, as a remote set has, and is parsed once', async () => {
  const key = await sharedKey('ES256')
  const odd = (count: number) =>
    Array.from({ length: count }, (_, at) => ({ kty: 'EC', crv: 'P-256', x: `A${at}`, y: 'AA' }))
  const importing = spyOnImports()
  for (const jwks of [{ keys: [...odd(1499), key.jwk] }, JSON.stringify({ keys: [...odd(1499), key.jwk] })]) {
    const { verify } = await scene({}, { jwks })
    const refused = await refusalOf(verify(formWith(assertionBy(key))))
    assert.equal(refused.reason, 'key_set_malformed')
    assert.match(refused.detail ?? '', /it has 1500 keys, at most 100 are accepted/)
  }
  assert.equal(importing.count(), 0)
  importing.stop()
  assert.equal(await (await withKeys([...odd(99), key.jwk])).outcome(), 'accepted')
  const more = await scene({ keySets: { maxKeys: 2 } }, { jwks: { keys: [...odd(2), key.jwk] } })
  assert.equal(await more.outcome(), 'key_set_malformed')
  // the oct keys of client_secret_jwt as well
  const k = Buffer.from(SECRET).toString('base64url')
  const macs = (count: number) => ({ keys: Array.from({ length: count }, () => ({ kty: 'oct', k })) })
  const mac = { token_endpoint_auth_method: 'client_secret_jwt', client_secret: undefined }
  for (const [count, outcome] of [
    [100, 'accepted'],
    [101, 'client_secret_missing'],
  ] as const) {
    const { verify } = await scene({}, { ...mac, jwks: macs(count) })
    assert.equal(await outcomeOf(verify(formWith(assertionWith(SECRET)))), outcome)
  }
  // a long string is parsed once as well
  const long = `${JSON.stringify({ keys: [key.jwk] })}${' '.repeat(100_000)}`
  const parse = JSON.parse
  let parsed = 0
  JSON.parse = (text, ...rest) => {
    if (text.length > 100_000) parsed++
    return parse(text, ...rest)
  }
  try {
    const { outcome } = await scene({}, { jwks: long })
    for (let turn = 0; turn < 3; turn++) assert.equal(await outcome(), 'accepted')
  } finally {
    JSON.parse = parse
  }
  assert.equal(parsed, 1)
  assert.equal(await (await scene({}, { jwks: `${long}${' '.repeat(1_048_576)}` })).outcome(), 'key_set_malformed')
})

test('R75: undefined, null, an empty string and an empty array are absent, in keys and in records', async () => {
  const { jwk } = await sharedKey('ES256')
  const rsa = await sharedKey('RS256')
  for (const nothing of [undefined, null, '', []]) {
    const empty = { use: nothing, key_ops: nothing, alg: nothing, kid: nothing, d: nothing, k: nothing, x5c: nothing }
    const what = JSON.stringify(nothing) ?? 'undefined'
    assert.equal(await (await withKeys([{ ...jwk, ...empty }])).outcome(), 'accepted', what)
    const primes = { p: nothing, q: nothing, dp: nothing, dq: nothing, qi: nothing, oth: nothing }
    const full = await scene({}, { jwks: { keys: [{ ...rsa.jwk, ...empty, ...primes }] } }, 'RS256')
    assert.equal(await full.outcome(), 'accepted', what)
    const record = { jwks_uri: nothing, token_endpoint_auth_signing_alg: nothing }
    assert.equal(await (await withKeys([jwk], record)).outcome(), 'accepted', what)
    assert.equal(await (await scene({}, { jwks: nothing, jwks_uri: nothing })).outcome(), 'client_keys_missing', what)
  }
})

test('R43: when a key of the right kid is excluded, the detail of the refusal says why', async () => {
  const key = await sharedKey('ES256')
  const rsa = await sharedKey('RS256')
  for (const [change, detail] of [
    [{ use: 'enc' }, /its use is "enc", not "sig"/],
    [{ key_ops: ['sign'] }, /its key_ops do not include "verify"/],
    [{ key_ops: 'verify' }, /key_ops/],
    [{ alg: 'ES384' }, /its alg is "ES384", not ES256/],
    [{ crv: 'P-384' }, /its crv is "P-384", ES256 needs "P-256"/],
    [{ kty: 'RSA' }, /its kty is "RSA", ES256 needs "EC"/],
    [{ kty: { a: 1n } }, /its kty is a object|its kty is an object/],
  ] as [object, RegExp][]) {
    const { verify } = await withKeys([named(key, 'mine', change), { ...rsa.jwk, kid: 'other', use: 'sig' }])
    const refused = await refusalOf(verify(formWith(assertionBy(key, {}, { kid: 'mine' }))))
    assert.equal(refused.reason, 'key_not_found')
    assert.match(refused.detail ?? '', detail)
    assert.doesNotMatch(refused.detail ?? '', /RS256/)
    const bare = await withKeys([named(key, undefined, change)])
    assert.match((await refusalOf(bare.verify(formWith(assertionBy(key))))).detail ?? '', detail)
  }
  const none = await withKeys([named(key, 'other')])
  const refused = await refusalOf(none.verify(formWith(assertionBy(key, {}, { kid: 'mine' }))))
  assert.match(refused.detail ?? '', /no key that can verify ES256 with kid "mine"$/)
})

test('R76: complete base64url padding is accepted in the keys of every type, and nothing else that is not base64url', async () => {
  const padded = (text: unknown): string => String(text).padEnd(Math.ceil(String(text).length / 4) * 4, '=')
  for (const [alg, members] of [
    ['RS256', ['n', 'e']],
    ['ES256', ['x', 'y']],
    ['ES512', ['x', 'y']],
    ['EdDSA', ['x']],
  ] as const) {
    const { jwk } = await sharedKey(alg)
    const change = (edit: (text: string) => string) =>
      Object.fromEntries(members.map((name) => [name, edit(String(jwk[name]))]))
    const outcomeWith = async (edit: (text: string) => string) =>
      (await scene({}, { jwks: { keys: [{ ...jwk, ...change(edit) }] } }, alg)).outcome()
    assert.equal(await outcomeWith(padded), 'accepted', alg)
    for (const edit of [
      (text: string) => `${padded(text)}====`,
      (text: string) => `${text} `,
      (text: string) => `+${text.slice(1)}`,
      (text: string) => `${text.slice(0, 4)}\n${text.slice(4)}`,
    ])
      assert.equal(await outcomeWith(edit), 'key_unusable', `${alg} ${edit}`)
  }
  const k = padded(Buffer.from(SECRET).toString('base64url'))
  const mac = { token_endpoint_auth_method: 'client_secret_jwt', client_secret: undefined }
  const { verify } = await scene({}, { ...mac, jwks: { keys: [{ kty: 'oct', k }] } })
  assert.equal(await outcomeOf(verify(formWith(assertionWith(SECRET)))), 'accepted')
})

test('R76: a byte order mark before a key set is skipped', async () => {
  const { jwk } = await sharedKey('ES256')
  const { outcome } = await scene({}, { jwks: `\ufeff${JSON.stringify({ keys: [jwk] })}` })
  assert.equal(await outcome(), 'accepted')
  assert.equal(
    await (await scene({}, { jwks: `\ufeff\ufeff${JSON.stringify({ keys: [jwk] })}` })).outcome(),
    'key_set_malformed',
  )
})

test('R45: an Ed25519 key that is a point of small order, or no point, is refused', async () => {
  const y8 = '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'
  const minusY8 = 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'
  const weak = [
    '01'.padEnd(64, '0'), // the neutral element
    '00'.padEnd(64, '0'), // order 4
    `ec${'ff'.repeat(30)}7f`, // order 2
    y8,
    minusY8,
  ]
  const signBit = (hex: string): string =>
    hex.slice(0, 62) + (Number.parseInt(hex.slice(62), 16) ^ 0x80).toString(16).padStart(2, '0')
  const notCanonical = [`ed${'ff'.repeat(30)}7f`, `ee${'ff'.repeat(30)}7f`, 'ff'.repeat(32), `ff${'ff'.repeat(30)}7f`]
  for (const hex of [...weak, ...weak.map(signBit), ...notCanonical]) {
    const x = Buffer.from(hex, 'hex').toString('base64url')
    for (const alg of ['EdDSA', 'Ed25519']) {
      const { outcome } = await scene({}, { jwks: { keys: [{ kty: 'OKP', crv: 'Ed25519', x }] } }, alg)
      assert.equal(await outcome(), 'key_unusable', hex)
    }
    // a signature that such a key verifies: R is the neutral element and S is 0
    const { verify } = await withKeys([{ kty: 'OKP', crv: 'Ed25519', x }])
    const [header = '', payload = ''] = jws(
      '{"alg":"EdDSA"}',
      JSON.stringify(claimsOf()),
      'ES256',
      (await sharedKey('ES256')).privateKey,
    ).split('.')
    const signature = Buffer.concat([Buffer.from([1]), Buffer.alloc(63)]).toString('base64url')
    assert.equal(await outcomeOf(verify(formWith(`${header}.${payload}.${signature}`))), 'key_unusable', hex)
  }
  for (let turn = 0; turn < 20; turn++) {
    const key = await newKey('EdDSA')
    const { verify } = await withKeys([key.jwk])
    assert.equal(await outcomeOf(verify(formWith(assertionBy(key)))), 'accepted')
  }
  for (const x of ['AQ', Buffer.alloc(31, 2).toString('base64url'), Buffer.alloc(33, 2).toString('base64url')])
    assert.equal(
      await (await scene({}, { jwks: { keys: [{ kty: 'OKP', crv: 'Ed25519', x }] } }, 'EdDSA')).outcome(),
      'key_unusable',
    )
})

test('R47 jwks may be JSON text, as databases keep it', async () => {
  const key = await sharedKey('ES256')
  const { outcome } = await scene({}, { jwks: JSON.stringify({ keys: [key.jwk] }) })
  assert.equal(await outcome(), 'accepted')
  assert.equal(await outcome(), 'accepted')
})

test('R48 a record with both jwks and jwks_uri is an error of configuration, one with neither is invalid_client', async () => {
  const both = { jwks_uri: 'https://client.example/jwks' }
  const { verify, key } = await scene({}, both)
  const refused = await refusalOf(verify(formWith(assertionBy(key))))
  assert.deepEqual([refused.code, refused.status, refused.reason], ['server_error', 500, 'misconfigured'])
  const quiet = await scene({ misconfiguredClient: 'refuse' }, both)
  assert.equal(await quiet.outcome(), 'client_misconfigured')
  assert.equal(refusal('client_misconfigured').code, 'invalid_client')
  assert.equal(await (await scene({}, { jwks: undefined })).outcome(), 'client_keys_missing')
  assert.equal(await (await scene({}, { jwks: null, jwks_uri: null })).outcome(), 'client_keys_missing')
  assert.equal(await (await scene({}, { jwks: undefined, jwks_uri: 5 })).outcome(), 'client_misconfigured')
})

test('a key is imported once, also when every look-up gives a fresh record, and a changed record counts at once', async () => {
  const key = await newKey('ES256')
  const other = await newKey('ES256')
  let jwks: object = { keys: [{ ...key.jwk, kid: 'k' }] }
  const { verify } = await scene({
    findClient: (client_id) => ({
      client_id,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: structuredClone(jwks) as never,
    }),
  })
  const importing = spyOnImports()
  for (let turn = 0; turn < 5; turn++) assert.equal(await outcomeOf(verify(formWith(assertionBy(key)))), 'accepted')
  assert.equal(importing.count(), 1)
  jwks = { keys: [{ ...other.jwk, kid: 'k' }] }
  assert.equal(await outcomeOf(verify(formWith(assertionBy(key)))), 'assertion_signature_wrong')
  assert.equal(await outcomeOf(verify(formWith(assertionBy(other)))), 'accepted')
  assert.equal(importing.count(), 2)
  importing.stop()
})

test('the number of imported keys that are kept is bounded by keyCacheSize', async () => {
  const keys = await Promise.all(Array.from({ length: 20 }, () => newKey('EdDSA')))
  const { verify } = await scene({
    keyCacheSize: 16,
    findClient: (client_id) => ({
      client_id,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [keys[Number(client_id)]?.jwk ?? {}] },
    }),
  })
  const round = async () => {
    for (const [index, key] of keys.entries()) {
      const own = { iss: String(index), sub: String(index) }
      assert.equal(await outcomeOf(verify(formWith(assertionBy(key, own)))), 'accepted')
    }
  }
  const importing = spyOnImports()
  await round()
  assert.equal(importing.count(), 20)
  await round()
  assert.ok(importing.count() > 20, 'some were forgotten')
  importing.stop()
})

test('a key set changed in place is the changed one from the next request on', async () => {
  const { outcome, client } = await scene()
  assert.equal(await outcome(), 'accepted')
  ;(client.jwks as { keys: object[] }).keys.pop()
  assert.equal(await outcome(), 'key_not_found')
})

test('a signature in DER form, of zeros, or cut short is wrong', async () => {
  const { outcomeOfText, key } = await scene()
  const input = jws('{"alg":"ES256"}', JSON.stringify(claimsOf()), 'ES256', key.privateKey)
    .split('.')
    .slice(0, 2)
    .join('.')
  for (const signature of [
    Buffer.alloc(64),
    Buffer.alloc(64, 0xff),
    Buffer.alloc(63),
    Buffer.alloc(1),
    Buffer.alloc(2000),
  ])
    assert.equal(await outcomeOfText(`${input}.${signature.toString('base64url')}`), 'assertion_signature_wrong')
  const { sign } = await import('node:crypto')
  const der = sign('sha256', Buffer.from(input), key.privateKey)
  assert.equal(await outcomeOfText(`${input}.${der.toString('base64url')}`), 'assertion_signature_wrong')
})

/** Counts the imports of keys, which all end in WebCrypto. */
function spyOnImports(): { count(): number; stop(): void } {
  const { subtle } = globalThis.crypto
  const original = subtle.importKey
  let count = 0
  subtle.importKey = function (this: unknown, ...parameters: unknown[]) {
    count++
    return Reflect.apply(original, subtle, parameters)
  } as typeof original
  return {
    count: () => count,
    stop: () => {
      subtle.importKey = original
    },
  }
}
