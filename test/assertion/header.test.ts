import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAssertionVerifier } from '../../lib/assertion/verify.ts'
import {
  assertionBy,
  base64url,
  claimsOf,
  formWith,
  ISSUER,
  jws,
  macScene,
  newKey,
  outcomeOf,
  SECRET,
  scene,
  sharedKey,
  signatureOver,
  testRegister,
} from '../support/assertions.ts'

const MALFORMED = 'assertion_malformed'

test('R30 only the strict compact form is taken: one spelling for one token', async () => {
  const { outcomeOfText, key } = await scene()
  const good = assertionBy(key)
  const [header = '', payload = '', signature = ''] = good.split('.')
  for (const text of [
    'x',
    '.',
    '..',
    '...',
    `${header}.${payload}`,
    `${header}.${payload}.`,
    `.${payload}.${signature}`,
    `${header}..${signature}`,
    `${good}.`,
    `${good}=`,
    `${good} `,
    ` ${good}`,
    `${good}\n`,
    `${header}=.${payload}.${signature}`,
    `${header}.${payload}.${signature.slice(0, 10)} ${signature.slice(10)}`,
    `${header}.${payload}.${signature.slice(0, 10)}+${signature.slice(11)}`,
    `${header}.${payload}.${'é'.repeat(86)}`,
  ])
    assert.equal(await outcomeOfText(text), MALFORMED, text.replaceAll(payload, '…'))
  assert.equal(await outcomeOfText(good), 'accepted')
})

test('R30 a last character with stray bits is refused in each of the three parts', async () => {
  const { outcomeOfText, key } = await scene()
  const stray = (text: string): string => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const last = alphabet.indexOf(text.at(-1) ?? '')
    return text.slice(0, -1) + alphabet[last + 1]
  }
  // paddings are chosen so that each part has spare bits
  for (const pad of ['', 'x', 'xx']) {
    const [header = '', payload = '', signature = ''] = assertionBy(key, { pad }, { pad }).split('.')
    const spellings = [
      [stray(header), payload, signature],
      [header, stray(payload), signature],
      [header, payload, stray(signature)],
    ]
    const parts = [header, payload, signature]
    for (const [index, spelling] of spellings.entries())
      if ((parts[index] ?? '').length % 4 !== 0)
        assert.equal(await outcomeOfText(spelling.join('.')), MALFORMED, `part ${index}`)
  }
})

test('R30 header and payload are JSON objects in valid UTF-8, without a byte order mark and without repeated names', async () => {
  const { outcomeOfText, key } = await scene()
  const claims = JSON.stringify(claimsOf())
  const sign = (header: string | Buffer, payload: string | Buffer): string => {
    const input = `${base64url(header)}.${base64url(payload)}`
    return `${input}.${base64url(signatureOver(input, 'ES256', key.privateKey))}`
  }
  const header = '{"alg":"ES256"}'
  for (const text of ['[]', 'null', '5', '"x"', '', '{', '{"alg":"ES256"', '{"alg":"ES256"}x', '\ufeff{"alg":"ES256"}'])
    if (text !== '') assert.equal(await outcomeOfText(sign(text, claims)), MALFORMED, text)
  for (const text of ['[]', 'null', '5', '"x"', '{', `${claims}x`, `\ufeff${claims}`])
    assert.equal(await outcomeOfText(sign(header, text)), MALFORMED, text)
  for (const octets of [[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xc0, 0xaf], [0xf8, 0x88, 0x80, 0x80, 0x80]]) {
    const payload = Buffer.concat([Buffer.from(`${claims.slice(0, -1)},"x":"`), Buffer.from(octets), Buffer.from('"}')])
    assert.equal(await outcomeOfText(sign(header, payload)), MALFORMED, octets.join())
  }
  for (const twice of [
    '{"alg":"none","alg":"ES256"}',
    '{"alg":"ES256","x":{"a":1,"a":1}}',
    '{"alg":"ES256","\\u0061lg":"ES256"}',
    '{"alg":"ES256","x":[{"b":1},{"b":1,"b":2}]}',
    '{"alg":"ES256","__proto__":1,"__proto__":2}',
  ])
    assert.equal(await outcomeOfText(sign(twice, claims)), MALFORMED, twice)
  assert.equal(await outcomeOfText(sign(header, claims.replace('{', '{"sub":"someone-else",'))), MALFORMED)
  const strings =
    '{"alg":"ES256","a":"{\\"b\\":1,\\"b\\":2}","c:d":":\\\\","e":[{"f":":"},{"f":1}],"__proto__":{"x":1}}'
  assert.equal(await outcomeOfText(sign(strings, JSON.stringify(claimsOf()))), 'accepted')
})

test('R31 an algorithm outside the list is refused, above all none, in every spelling', async () => {
  const { outcomeOfText, key } = await scene()
  const claims = JSON.stringify(claimsOf())
  for (const alg of [
    undefined,
    null,
    '',
    'none',
    'None',
    'NONE',
    'nOnE',
    'es256',
    'ES256K',
    'RSA1_5',
    'dir',
    'Ed448',
    5,
    ['ES256'],
    {},
  ])
    assert.equal(
      await outcomeOfText(jws(JSON.stringify({ alg }), claims, 'ES256', key.privateKey)),
      'assertion_algorithm_not_allowed',
      JSON.stringify(alg),
    )
  for (const name of ['toString', '__proto__', 'constructor'])
    assert.equal(
      await outcomeOfText(jws(`{"alg":"${name}"}`, claims, 'ES256', key.privateKey)),
      'assertion_algorithm_not_allowed',
    )
})

test('R31 the list is published, can be narrowed, and can not be widened beyond what there is', async () => {
  const { verify } = await scene()
  assert.deepEqual(verify.algorithms, [
    ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512'],
    ...['Ed25519', 'EdDSA', 'HS256', 'HS384', 'HS512'],
  ])
  assert.deepEqual(verify.methods, ['private_key_jwt', 'client_secret_jwt'])
  const narrowed = await scene({ algorithms: ['RS256'] })
  assert.deepEqual([narrowed.verify.algorithms, narrowed.verify.methods], [['RS256'], ['private_key_jwt']])
  assert.equal(await narrowed.outcome(), 'assertion_algorithm_not_allowed')
  for (const algorithms of [['none'], ['ES256', 'none'], [], ['ES256K'], 'ES256', [5]])
    assert.throws(
      () =>
        createAssertionVerifier({
          issuer: ISSUER,
          findClient: () => undefined,
          replayRegister: testRegister(),
          algorithms: algorithms as string[],
        }),
      (error: unknown) => error instanceof TypeError && error.message.includes("'algorithms'"),
      JSON.stringify(algorithms),
    )
  await assert.rejects(scene({ algorithms: ['HS256'], methods: ['private_key_jwt'] }), /option 'algorithms'/)
})

test('R31 ML-DSA is taken where it is asked for by name and Node.js has it; elsewhere it can not be asked for', async () => {
  const { verify } = await scene()
  assert.ok(!verify.algorithms.some((alg) => alg.startsWith('ML-DSA')))
  for (const alg of ['ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87']) {
    const key = await newKey(alg).catch(() => undefined)
    if (key === undefined) {
      await assert.rejects(scene({ algorithms: [alg] }), /option 'algorithms'/)
      continue
    }
    const quantum = await scene({ algorithms: [alg, 'ES256'] }, { jwks: { keys: [key.jwk] } })
    const [header, payload] = [JSON.stringify({ alg }), JSON.stringify(claimsOf())]
    assert.equal(await quantum.outcomeOfText(jws(header, payload, alg, key.privateKey)), 'accepted')
    const other = await newKey(alg)
    const forged = jws(header, JSON.stringify(claimsOf()), alg, other.privateKey)
    assert.equal(await quantum.outcomeOfText(forged), 'assertion_signature_wrong')
    const unasked = await scene({}, { jwks: { keys: [key.jwk] } })
    assert.equal(await unasked.outcomeOfText(forged), 'assertion_algorithm_not_allowed')
  }
})

test('R32 a client that registered an algorithm may use that one only', async () => {
  const only = await scene({}, { token_endpoint_auth_signing_alg: 'ES256' })
  assert.equal(await only.outcome(), 'accepted')
  for (const registered of ['RS256', 'es256', 'none', ' ', 5, ['ES256']]) {
    const { outcome } = await scene({}, { token_endpoint_auth_signing_alg: registered })
    assert.equal(await outcome(), 'client_algorithm_mismatch', String(registered))
  }
  const notOffered = await scene({ algorithms: ['RS256'] }, { token_endpoint_auth_signing_alg: 'ES256' })
  assert.equal(await notOffered.outcome(), 'assertion_algorithm_not_allowed')
})

test('R33 a MAC needs client_secret_jwt and a secret, a signature private_key_jwt and a public key', async () => {
  const { verify, key } = await scene({}, { client_secret: SECRET })
  const claims = JSON.stringify(claimsOf())
  // the public key as a MAC secret: the classic confusion
  const pem = JSON.stringify(key.jwk)
  for (const secret of [pem, String(key.jwk.x), SECRET])
    assert.equal(
      await outcomeOf(verify(formWith(jws('{"alg":"HS256"}', claims, 'HS256', secret)))),
      'client_method_mismatch',
    )
  const mac = await macScene({}, { jwks: { keys: [key.jwk] } })
  assert.equal(await mac.outcomeOfText(assertionBy(key)), 'client_method_mismatch')
  const keyAsSecret = await macScene({}, { client_secret: undefined, jwks: { keys: [key.jwk] } })
  assert.equal(await keyAsSecret.outcome(String(key.jwk.x)), 'client_secret_missing')
})

test('R33 key type and curve are bound to the algorithm before any cryptography', async () => {
  const keys = await Promise.all(['RS256', 'ES256', 'ES384', 'EdDSA'].map((alg) => sharedKey(alg)))
  for (const alg of ['RS256', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA'])
    for (const key of keys) {
      const fits = key.alg === alg || (alg === 'PS256' && key.alg === 'RS256')
      if (fits) continue
      const { outcomeOfText } = await scene({}, { jwks: { keys: [key.jwk] } })
      const text = `${base64url(JSON.stringify({ alg }))}.${base64url(JSON.stringify(claimsOf()))}.${'A'.repeat(86)}`
      assert.equal(await outcomeOfText(text), 'key_not_found', `${alg} with a key of ${key.alg}`)
    }
})

test('R34 EdDSA and Ed25519 are two names of one algorithm, unless edDsaAlias says otherwise', async () => {
  const ed = await sharedKey('Ed25519')
  const plain = await scene({}, {}, 'Ed25519')
  for (const alg of ['EdDSA', 'Ed25519'])
    for (const registered of [undefined, 'EdDSA', 'Ed25519']) {
      const { verify } = await scene(
        { algorithms: ['Ed25519'] },
        { jwks: { keys: [{ ...ed.jwk, alg: 'EdDSA' }] }, token_endpoint_auth_signing_alg: registered },
      )
      assert.equal(await outcomeOf(verify(formWith(assertionBy(ed, {}, { alg })))), 'accepted', `${alg} ${registered}`)
    }
  assert.equal(await plain.outcome({}, { alg: 'EdDSA' }), 'accepted')
  const strict = await scene({ edDsaAlias: false }, { token_endpoint_auth_signing_alg: 'Ed25519' }, 'Ed25519')
  assert.equal(await strict.outcome({}, { alg: 'Ed25519' }), 'accepted')
  assert.equal(await strict.outcome({}, { alg: 'EdDSA' }), 'client_algorithm_mismatch')
  const list = await scene({ edDsaAlias: false, algorithms: ['Ed25519'] }, {}, 'Ed25519')
  assert.equal(await list.outcome({}, { alg: 'EdDSA' }), 'assertion_algorithm_not_allowed')
  const fapi2 = await scene({ profile: 'fapi2' }, {}, 'Ed25519')
  assert.equal(await fapi2.outcome({}, { alg: 'EdDSA' }), 'accepted')
})

test('R35 typ is absent, JWT or client-authentication+jwt; a token of any other kind is no assertion', async () => {
  const { outcome } = await scene()
  for (const typ of [
    undefined,
    'JWT',
    'jwt',
    'application/jwt',
    'client-authentication+jwt',
    'APPLICATION/Client-Authentication+JWT',
  ])
    assert.equal(await outcome({}, { typ }), 'accepted', typ)
  for (const typ of [
    'at+jwt',
    'application/at+jwt',
    'dpop+jwt',
    'oauth-authz-req+jwt',
    'logout+jwt',
    'JWS',
    'JOSE',
    'jwt2',
    '',
    ' JWT',
    null,
    5,
    ['JWT'],
  ])
    assert.equal(await outcome({}, { typ }), 'assertion_typ_not_allowed', String(typ))
  const required = await scene({ typ: 'required' })
  assert.equal(await required.outcome({}, { typ: 'client-authentication+jwt' }), 'accepted')
  for (const typ of [undefined, 'JWT']) assert.equal(await required.outcome({}, { typ }), 'assertion_typ_not_allowed')
  const ignored = await scene({ typ: 'ignored' })
  for (const typ of ['at+jwt', 5]) assert.equal(await ignored.outcome({}, { typ }), 'accepted')
  const own = await scene({ perClient: () => ({ typ: 'ignored' }) })
  assert.equal(await own.outcome({}, { typ: 'at+jwt' }), 'accepted')
})

test('R36 any crit is refused', async () => {
  const { outcome } = await scene()
  for (const crit of [['b64'], ['exp'], [], null, 'x', ['b64', 'b64'], ['http://example.com/UNDEFINED']])
    assert.equal(await outcome({}, { crit }), 'assertion_header_not_allowed', JSON.stringify(crit))
  assert.equal(await outcome({}, { crit: ['b64'], b64: true }), 'assertion_header_not_allowed')
})

test('R37 any b64 is refused', async () => {
  const { outcome } = await scene()
  for (const b64 of [true, false, null, 'false'])
    assert.equal(await outcome({}, { b64 }), 'assertion_header_not_allowed', String(b64))
})

test('R38 keys in the header are tolerated and never used', async () => {
  const attacker = await sharedKey('ES256', 'attacker')
  const { outcome, verify } = await scene()
  const carried = {
    jwk: attacker.jwk,
    jku: 'https://evil.example/jwks',
    x5u: 'https://evil.example/x5u',
    x5c: ['AAAA'],
    x5t: 'AA',
    'x5t#S256': 'AA',
  }
  assert.equal(await outcome({}, carried), 'accepted')
  assert.equal(await outcomeOf(verify(formWith(assertionBy(attacker, {}, carried)))), 'assertion_signature_wrong')
})

test('R39 encrypted and nested tokens are refused', async () => {
  const { outcome, outcomeOfText } = await scene()
  assert.equal(await outcomeOfText('eyJhbGciOiJkaXIifQ..AAAA.AAAA.AAAA'), 'assertion_encrypted')
  assert.equal(await outcomeOfText('a.b.c.d.e'), 'assertion_encrypted')
  for (const cty of ['JWT', 'jwt', 'application/jwt', null])
    assert.equal(await outcome({}, { cty }), 'assertion_encrypted')
  assert.equal(await outcome({}, { enc: 'A128GCM' }), 'assertion_encrypted')
  assert.equal(await outcome({}, { zip: 'DEF' }), 'assertion_encrypted')
})
