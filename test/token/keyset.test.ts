import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, createSecretKey, generateKeyPairSync } from 'node:crypto'
import { before, test } from 'node:test'
import { calculateJwkThumbprint, exportJWK, exportPKCS8, exportSPKI, generateKeyPair, type JWK } from 'jose'
import type { SigningAlgorithm } from '../../lib/keys/algorithms.ts'
import { deriveKeyset } from '../../lib/token/derived_keys.ts'
import type { KeyInput } from '../../lib/token/key.ts'
import { createKeyset, exportPublicJwks } from '../../lib/token/keyset.ts'

const ASYMMETRIC = ['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256'] as const
const keys: Record<string, { pem: string; publicPem: string; jwk: JWK; publicJwk: JWK }> = {}

before(async () => {
  for (const alg of ASYMMETRIC) {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
    keys[alg] = {
      pem: await exportPKCS8(privateKey),
      publicPem: await exportSPKI(publicKey),
      jwk: await exportJWK(privateKey),
      publicJwk: await exportJWK(publicKey),
    }
  }
})

const key = (alg: string) => {
  const found = keys[alg]
  assert.ok(found !== undefined)
  return found
}

for (const alg of ASYMMETRIC) {
  test(`J1: ${alg}: a key comes as PEM, JWK or KeyObject, and all are the same key`, async () => {
    const { pem, jwk, publicJwk } = key(alg)
    const kid = await calculateJwkThumbprint(publicJwk)
    for (const form of [pem, { ...jwk }, createPrivateKey(pem)]) {
      const { signingKey } = createKeyset([{ key: form, alg }])
      assert.deepEqual([signingKey.kid, signingKey.alg], [kid, alg])
      assert.deepEqual(signingKey.publicJwk, { ...publicJwk, kid, alg, use: 'sig' })
    }
  })
}

test('J1: the algorithm of a curve need not be named, and of a JWK that names it', () => {
  assert.equal(createKeyset([{ key: key('ES256').pem }]).signingKey.alg, 'ES256')
  assert.equal(createKeyset([{ key: key('ES384').pem }]).signingKey.alg, 'ES384')
  assert.equal(createKeyset([{ key: key('EdDSA').pem }]).signingKey.alg, 'EdDSA')
  assert.equal(createKeyset([{ key: { ...key('RS256').jwk, alg: 'PS256' } }]).signingKey.alg, 'PS256')
  assert.throws(() => createKeyset([{ key: key('RS256').pem }]), /keys\[0\]\.alg/)
})

// RFC 8032 §7.4, the first pair.
const ED448 = {
  d: Buffer.from(
    '6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3528c8a3fcc2f044e39a3fc5b94492f8f032e7549a20098f95b',
    'hex',
  ).toString('base64url'),
  x: Buffer.from(
    '5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778edf124769b46c7061bd6783df1e50f6cd1fa1abeafe8256180',
    'hex',
  ).toString('base64url'),
}

test('J2: an Ed448 key of the application is EdDSA, or Ed448 by its own name, and published with its curve', async () => {
  const jwk = { kty: 'OKP', crv: 'Ed448', ...ED448 }
  const { d: _, ...publicJwk } = jwk
  const kid = await calculateJwkThumbprint(publicJwk)
  const pem = createPrivateKey({ key: jwk, format: 'jwk' }).export({ type: 'pkcs8', format: 'pem' })
  for (const [input, alg] of [
    [{ key: pem }, 'EdDSA'],
    [{ key: jwk }, 'EdDSA'],
    [{ key: { ...jwk, alg: 'Ed448' } }, 'Ed448'],
    [{ key: pem, alg: 'Ed448' }, 'Ed448'],
  ] as const) {
    const keyset = createKeyset([input as KeyInput])
    assert.equal(keyset.signingKey.alg, alg)
    assert.deepEqual(exportPublicJwks(keyset).keys, [{ ...publicJwk, kid, alg, use: 'sig' }])
  }
  assert.throws(() => createKeyset([{ key: jwk, alg: 'Ed25519' }]), /keys\[0\]\.key.*Ed25519/)
  assert.throws(() => createKeyset([{ key: key('EdDSA').pem, alg: 'Ed448' }]), /keys\[0\]\.key.*ed448/)
})

test('J10: the published set has public halves only, and nothing of HMAC keys', () => {
  const keyset = createKeyset([
    { key: { ...key('ES256').jwk, kid: 'own', key_ops: ['sign'], x5c: ['…'] } },
    { key: key('RS256').jwk, alg: 'RS256' },
    { key: key('EdDSA').publicPem },
    { key: Buffer.alloc(32, 1), alg: 'HS256', kid: 'mac' },
  ])
  const { keys: shown } = exportPublicJwks(keyset)
  assert.deepEqual(
    shown.map(({ alg }) => alg),
    ['ES256', 'RS256', 'EdDSA'],
  )
  assert.equal(shown[0]?.kid, 'own')
  for (const jwk of shown) {
    for (const member of Object.keys(jwk)) {
      assert.ok(['kty', 'crv', 'x', 'y', 'n', 'e', 'kid', 'alg', 'use'].includes(member), member)
    }
  }
})

test('J7: the first key signs, or the one that is named', () => {
  const inputs: KeyInput[] = [
    { key: key('ES256').pem, kid: 'old' },
    { key: key('EdDSA').pem, kid: 'new' },
  ]
  assert.equal(createKeyset(inputs).signingKey.kid, 'old')
  assert.equal(createKeyset(inputs, { signWith: 'new' }).signingKey.kid, 'new')
})

for (const [title, make, message] of [
  ['no keys', () => createKeyset([]), /'keys'/],
  [
    'J9: a signing key that is not in the set',
    () => createKeyset([{ key: key('ES256').pem }], { signWith: 'x' }),
    /'signWith'/,
  ],
  ['J9: a signing key that is only public', () => createKeyset([{ key: key('ES256').publicPem }]), /'signWith'/],
  [
    'two keys of one kid',
    () =>
      createKeyset([
        { key: key('ES256').pem, kid: 'a' },
        { key: key('EdDSA').pem, kid: 'a' },
      ]),
    /'kid'/,
  ],
  [
    'a key of another curve',
    () => createKeyset([{ key: key('ES384').pem, alg: 'ES256' }]),
    /keys\[0\]\.key.*ES256.*prime256v1/,
  ],
  ['a key of another type', () => createKeyset([{ key: key('RS256').pem, alg: 'EdDSA' }]), /keys\[0\]\.key.*ed25519/],
  [
    'a public key as an HMAC secret',
    () => createKeyset([{ key: key('RS256').publicPem, alg: 'HS256', kid: 'x' }]),
    /HS256/,
  ],
  [
    'an HMAC secret shorter than the digest',
    () => createKeyset([{ key: Buffer.alloc(31), alg: 'HS256', kid: 'x' }]),
    /256 bits/,
  ],
  ['an HMAC secret without a kid', () => createKeyset([{ key: Buffer.alloc(32), alg: 'HS256' }]), /keys\[0\]\.kid/],
  [
    'a JWK whose alg is another',
    () => createKeyset([{ key: { ...key('RS256').jwk, alg: 'RS256' }, alg: 'PS256' }]),
    /alg of its JWK/,
  ],
  [
    'J2: the algorithm none',
    () => createKeyset([{ key: key('ES256').pem, alg: 'none' as SigningAlgorithm }]),
    /keys\[0\]\.alg/,
  ],
  ['what is no key', () => createKeyset([{ key: 'hunter2-hunter2' }]), /keys\[0\]\.key/],
] as const) {
  test(`a keyset refuses ${title}, by name and without showing the key`, () => {
    assert.throws(make, (error: unknown) => {
      assert.ok(error instanceof TypeError)
      assert.match(error.message, message)
      assert.ok(!error.message.includes('hunter2') && !error.message.includes('PRIVATE'))
      return true
    })
  })
}

test('RSA keys of fewer than 2048 bits are refused', () => {
  const small = `-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDlOJu6TyygqxfWT7eLtGDwajtN
FOb9I5XRb6khyfD1Yt3YiCgQWMNW649887VGJiGr/L5i2osbl8C9+WJTeucF+S76
xFxdU6jE0NQ+Z+zEdhUTooNRaY5nZiu5PgDB0ED/ZKBUSLKL7eibMxZtMlUDHjm4
gwQco1KRMDSmXSMkDwIDAQAB
-----END PUBLIC KEY-----`
  assert.throws(() => createKeyset([{ key: createPublicKey(small), alg: 'RS256' }]), /2048 bits/)
})

const SECRET = 'correct horse battery staple, and more of it'

for (const alg of ['ES256', 'EdDSA', 'HS256', 'HS384', 'HS512'] as const) {
  test(`J11: ${alg} keys derive from a base secret: the same on every node, another for another secret or purpose`, async () => {
    const one = deriveKeyset(SECRET, { alg }).signingKey
    const same = deriveKeyset(Buffer.from(SECRET), { alg }).signingKey
    assert.equal(one.kid, same.kid)
    assert.ok(one.privateKey?.equals(same.privateKey ?? createSecretKey(Buffer.alloc(1))))
    const others = [deriveKeyset(`${SECRET}.`, { alg }), deriveKeyset(SECRET, { alg, purpose: 'other' })]
    assert.equal(new Set([one.kid, ...others.map(({ signingKey }) => signingKey.kid)]).size, 3)
    if (one.publicJwk !== undefined) assert.equal(one.kid, await calculateJwkThumbprint(one.publicJwk as JWK))
  })
}

test('J11: what is derived never changes: tokens must outlive releases', () => {
  const kidOf = (alg: 'ES256' | 'EdDSA' | 'HS256') =>
    deriveKeyset('0123456789abcdef0123456789abcdef', { alg }).signingKey.kid
  assert.equal(kidOf('ES256'), '7Dpm_R4-NMoCUizXtNx40IWNqctbKKRnQRePcflGUSA')
  assert.equal(kidOf('EdDSA'), 'GyZE0sZYNrfj3c1eGL_Yslk4VPmx5YKx6bRMfup4_do')
  assert.equal(kidOf('HS256'), 'bTINxdTY6q7z')
})

test('a derived P-256 key is sound for any secret', () => {
  for (let count = 0; count < 200; count += 1) {
    const { signingKey } = deriveKeyset(`${SECRET}${count}`)
    assert.equal(signingKey.publicJwk?.['x']?.length, 43)
    assert.equal(signingKey.publicJwk?.['y']?.length, 43)
  }
})

test('J7: of several base secrets the first signs and all verify', () => {
  const old = deriveKeyset(SECRET)
  const rotated = deriveKeyset([`new ${SECRET}`, SECRET])
  assert.notEqual(rotated.signingKey.kid, old.signingKey.kid)
  assert.ok(rotated.keys.has(old.signingKey.kid))
  assert.equal(exportPublicJwks(rotated).keys.length, 2)
})

for (const secret of ['short', '', Buffer.alloc(31), [], undefined, 5]) {
  test(`a base secret that is ${JSON.stringify(secret)} is refused without being shown`, () => {
    assert.throws(
      () => deriveKeyset(secret as string),
      (error: unknown) => {
        assert.ok(error instanceof TypeError)
        assert.match(error.message, /'baseSecret'/)
        assert.ok(!error.message.includes('short'))
        return true
      },
    )
  })
}

test('J2: a key of tokens that is a point of small order is refused, on Ed25519 and on Ed448', () => {
  const weak = (crv: string, hex: string) => ({ kty: 'OKP', crv, x: Buffer.from(hex, 'hex').toString('base64url') })
  const minusOne448 = `fe${'ff'.repeat(27)}fe${'ff'.repeat(27)}00`
  for (const key of [
    weak('Ed25519', '01'.padEnd(64, '0')),
    weak('Ed448', '01'.padEnd(114, '0')),
    weak('Ed448', '00'.padEnd(114, '0')),
    weak('Ed448', '00'.padEnd(112, '0').padEnd(114, '80')),
    weak('Ed448', minusOne448),
  ])
    assert.throws(() => createKeyset([{ key }], {}), { name: 'TypeError', message: /small order/ })
})

test('R75, R76: absent members of a JWK and padding are read as in the keys of clients', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  for (const nothing of [undefined, null, '', []]) {
    const key = { ...privateKey.export({ format: 'jwk' }), kid: nothing, alg: nothing, use: nothing, key_ops: nothing }
    assert.equal(createKeyset([{ key }]).signingKey.alg, 'ES256')
    const secret = { kty: 'oct', k: `${'A'.repeat(43)}=`, alg: nothing, kid: 'k' }
    const keyset = createKeyset([{ key: secret, alg: 'HS256' }])
    assert.equal(keyset.signingKey.verifyingKey.symmetricKeySize, 32)
  }
  const broken = { kty: 'oct', k: `!${'A'.repeat(43)}`, kid: 'k', alg: 'HS256' }
  assert.throws(() => createKeyset([{ key: broken }]), { name: 'TypeError', message: /keys\[0\]\.key/ })
})
