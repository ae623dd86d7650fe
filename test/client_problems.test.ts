import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import type { Client } from '../lib/client.ts'
import { type ClientProblem, findClientProblems } from '../lib/client_problems.ts'
import { hashClientSecret } from '../lib/client_secret.ts'
import { assertionWith, formWith, outcomeOf, scene, sharedKey, type TestKey } from './support/assertions.ts'

let es256: TestKey
let rs256: TestKey
before(async () => {
  es256 = await sharedKey('ES256')
  rs256 = await sharedKey('RS256')
})

const signing = (members: object): object => ({
  client_id: 'client-1',
  token_endpoint_auth_method: 'private_key_jwt',
  ...members,
})
const errorsOf = (problems: readonly ClientProblem[]): string[] =>
  problems.filter(({ severity }) => severity === 'error').map(({ member }) => member)
const SECRET = 's'.repeat(64)

test('keys are judged as the verifier judges them: a record without errors authenticates, one with errors does not', async () => {
  const { jwk } = es256
  const padded = (text: unknown) => `${text}=`
  const sound: unknown[] = [
    { keys: [jwk] },
    JSON.stringify({ keys: [jwk] }),
    `\ufeff${JSON.stringify({ keys: [jwk] })}`,
    { keys: [{ ...jwk, use: null, key_ops: [], alg: '', d: null, kid: null }] },
    { keys: [{ ...jwk, x: padded(jwk.x) }] },
    { keys: [null, 5, { kty: 'oct', k: 'AAAA' }, { kty: 'EC' }, jwk] },
    { keys: [{ ...jwk, x5c: ['AAAA'], x5t: 5, ext: 'x' }] },
  ]
  const unsound: unknown[] = [
    { keys: [] },
    { keys: {} },
    {},
    [],
    null,
    5,
    'x',
    '{"keys":[],"keys":[]}',
    { keys: [null] },
    { keys: Array.from({ length: 101 }, () => jwk) },
    { keys: [es256.privateJwk] },
    { keys: [{ ...jwk, use: 'enc' }] },
    { keys: [{ ...jwk, key_ops: ['sign'] }] },
    { keys: [{ ...jwk, alg: 'ES512' }] },
    { keys: [{ ...jwk, crv: 'P-384' }] },
    { keys: [{ ...jwk, y: jwk.x }] },
    { keys: [{ ...jwk, x: 'AA' }] },
    { keys: [{ ...jwk, x: 5 }] },
    { keys: [{ ...jwk, kty: 'ec' }] },
    { keys: [{ kty: 'oct', k: 'A'.repeat(86) }] },
    { keys: [{ kty: 'OKP', crv: 'Ed25519', x: `AQ${'A'.repeat(41)}` }] },
  ]
  for (const jwks of [...sound, ...unsound]) {
    const isSound = sound.includes(jwks)
    const { outcome } = await scene({}, { jwks })
    assert.equal((await outcome()) === 'accepted', isSound, JSON.stringify(jwks)?.slice(0, 100))
    const problems = await findClientProblems(signing({ jwks }))
    assert.deepEqual(errorsOf(problems), isSound ? [] : ['jwks'], JSON.stringify(jwks)?.slice(0, 100))
  }
})

test('a part of a record that is ignored is a warning that says where it is and why', async () => {
  const problems = await findClientProblems(
    signing({
      jwks: { keys: [{ ...rs256.jwk, e: 'Aw' }, { ...es256.jwk, use: 'enc' }, es256.jwk] },
      redirect_uris: ['https://client.example/', 'javascript:alert(1)', 'https://client.example/#x'],
    }),
  )
  assert.deepEqual(problems, [
    { severity: 'warning', member: 'jwks.keys[0]', detail: 'the RSA exponent must be odd and at least 65537' },
    { severity: 'warning', member: 'jwks.keys[1]', detail: 'its use is "enc", not "sig"' },
    {
      severity: 'warning',
      member: 'redirect_uris[1]',
      detail:
        '"javascript:alert(1)" is never redirected to: it must be https, http on a loopback address, or of a scheme in privateUseSchemes, without fragment',
    },
    {
      severity: 'warning',
      member: 'redirect_uris[2]',
      detail:
        '"https://client.example/#x" is never redirected to: it must be https, http on a loopback address, or of a scheme in privateUseSchemes, without fragment',
    },
  ])
  const [only] = await findClientProblems(
    signing({ token_endpoint_auth_signing_alg: 'RS256', jwks: { keys: [es256.jwk] } }),
  )
  assert.deepEqual([only?.severity, only?.member], ['error', 'jwks'])
})

test('every member of a record is judged, and the record of each method without a problem has none', async () => {
  const fine: object[] = [
    { client_id: 'c', token_endpoint_auth_method: 'none' },
    { client_id: 'c', client_secret: 'x' },
    { client_id: 'c', client_secret: await hashClientSecret('x'), token_endpoint_auth_method: 'client_secret_post' },
    { client_id: 'c', client_secret: SECRET, token_endpoint_auth_method: 'client_secret_jwt' },
    { client_id: 'c', client_secret: [{ value: 'x', expires_at: 1 }, { value: 'y' }], scope: 'read write' },
    {
      client_id: 'c',
      token_endpoint_auth_method: 'client_secret_jwt',
      jwks: { keys: [{ kty: 'oct', k: 'A'.repeat(86) }] },
    },
    signing({ jwks_uri: 'https://client.example/jwks', jwks: null }),
  ]
  for (const client of fine) assert.deepEqual(await findClientProblems(client), [], JSON.stringify(client))
  const cases: [unknown, string][] = [
    [undefined, 'client_id'],
    [null, 'client_id'],
    ['client', 'client_id'],
    [{}, 'client_id'],
    [{ client_id: 5 }, 'client_id'],
    [{ client_id: 'a\nb', client_secret: 'x' }, 'client_id'],
    [{ client_id: 'c', client_secret: 'x', client_name: 5 }, 'client_name'],
    [{ client_id: 'c', client_secret: 'x', redirect_uris: 'https://a.example/' }, 'redirect_uris'],
    [{ client_id: 'c', client_secret: 'x', grant_types: [5] }, 'grant_types'],
    [{ client_id: 'c', client_secret: 'x', scope: 'a"b' }, 'scope'],
    [{ client_id: 'c' }, 'client_secret'],
    [{ client_id: 'c', client_secret: [] }, 'client_secret'],
    [{ client_id: 'c', client_secret: 5 }, 'client_secret'],
    [{ client_id: 'c', client_secret: [{ value: '' }] }, 'client_secret'],
    [{ client_id: 'c', client_secret: 'x', client_secret_expires_at: 1 }, 'client_secret'],
    [{ client_id: 'c', token_endpoint_auth_method: 'client_secret_jwt', client_secret: 'x' }, 'client_secret'],
    [{ client_id: 'c', token_endpoint_auth_method: 'client_secret_jwt' }, 'client_secret'],
    [{ client_id: 'c', token_endpoint_auth_method: 'tls_client_auth' }, 'token_endpoint_auth_method'],
    [
      signing({ jwks: { keys: [es256.jwk] }, token_endpoint_auth_signing_alg: 'none' }),
      'token_endpoint_auth_signing_alg',
    ],
    [
      signing({ jwks: { keys: [es256.jwk] }, token_endpoint_auth_signing_alg: 'HS256' }),
      'token_endpoint_auth_signing_alg',
    ],
    [signing({ jwks: { keys: [es256.jwk] }, jwks_uri: 'https://client.example/jwks' }), 'jwks_uri'],
    [{ client_id: 'c', jwks: { keys: [es256.jwk] } }, 'token_endpoint_auth_method'],
    [{ client_id: 'c', jwks_uri: 'https://client.example/jwks' }, 'token_endpoint_auth_method'],
    [
      { client_id: 'c', jwks_uri: 'https://client.example/jwks', token_endpoint_auth_method: 'client_secret_basic' },
      'client_secret',
    ],
    [signing({}), 'jwks'],
    ...[
      'http://client.example/',
      'https://u:p@client.example/',
      'https://127.0.0.1/',
      'https://localhost/',
      'https://[::1]/',
      'x',
    ].map((jwks_uri): [unknown, string] => [signing({ jwks_uri }), 'jwks_uri']),
  ]
  for (const [client, member] of cases)
    assert.deepEqual(errorsOf(await findClientProblems(client)), [member], JSON.stringify(client))
  const hashed = {
    client_id: 'c',
    token_endpoint_auth_method: 'client_secret_jwt',
    client_secret: await hashClientSecret('x'),
  }
  assert.match((await findClientProblems(hashed))[0]?.detail ?? '', /hashed/)
})

test('E7: a value that is no boolean is named, and what is wrong beside it as well', async () => {
  for (const member of ['dpop_bound_access_tokens', 'require_pushed_authorization_requests']) {
    for (const value of [true, false, null])
      assert.deepEqual(await findClientProblems({ client_id: 'c', client_secret: 'x', [member]: value }), [], member)
    assert.deepEqual(await findClientProblems({ client_id: 'c', [member]: 1 }), [
      { severity: 'warning', member, detail: 'is not a boolean and is treated as true' },
      { severity: 'error', member: 'client_secret', detail: 'is missing' },
    ])
  }
})

test('E7: a client with keys and no method learns of the method, not of a secret that it does not need', async () => {
  const keys = { jwks: { keys: [es256.jwk] }, jwks_uri: 'https://client.example/jwks' }
  assert.deepEqual(await findClientProblems({ client_id: 'c', token_endpoint_auth_method: null, ...keys }), [
    {
      severity: 'error',
      member: 'token_endpoint_auth_method',
      detail: 'is missing: a client with keys needs private_key_jwt',
    },
    {
      severity: 'error',
      member: 'jwks_uri',
      detail: 'must not be there together with jwks (RFC 7591 section 2)',
    },
  ])
})

test('the options say what the server accepts, and no problem shows a secret', async () => {
  const loopback = signing({ jwks_uri: 'http://127.0.0.1:5/jwks' })
  assert.deepEqual(await findClientProblems(loopback, { allowHttpLoopback: true }), [])
  const inside = signing({ jwks_uri: 'https://10.0.0.7/jwks' })
  assert.deepEqual(await findClientProblems(inside, { isAllowedAddress: (address) => address === '10.0.0.7' }), [])
  assert.deepEqual(errorsOf(await findClientProblems(inside)), ['jwks_uri'])
  const own = { client_id: 'c', token_endpoint_auth_method: 'tls_client_auth' }
  assert.deepEqual(await findClientProblems(own, { methods: ['tls_client_auth'] }), [])
  const jwks = { keys: [es256.jwk] }
  assert.deepEqual(errorsOf(await findClientProblems(signing({ jwks }), { algorithms: ['RS256'] })), ['jwks'])
  assert.deepEqual(
    errorsOf(await findClientProblems(signing({ jwks: { keys: [es256.jwk, es256.jwk] } }), { maxKeys: 1 })),
    ['jwks'],
  )
  await assert.rejects(findClientProblems(signing({ jwks }), { algorithm: [] } as object), {
    message: 'Unknown option "algorithm". Did you mean "algorithms"?',
  })
  const secret = 'very-secret'
  for (const members of [
    { client_secret: secret },
    { client_secret: [{ value: secret }] },
    { client_secret: { secret } },
  ])
    assert.doesNotMatch(
      JSON.stringify(
        await findClientProblems({ client_id: 'c', token_endpoint_auth_method: 'client_secret_jwt', ...members }),
      ),
      /very/,
    )
  const { verify } = await scene({}, {
    token_endpoint_auth_method: 'client_secret_jwt',
    client_secret: SECRET,
    jwks: undefined,
  } as Partial<Client>)
  assert.equal(await outcomeOf(verify(formWith(assertionWith(SECRET)))), 'accepted')
})

test('client_credentials of a public client is a warning: the record is read as before, and the grant is refused', async () => {
  const problemsOf = async (token_endpoint_auth_method: string, grant_types: readonly string[]) => {
    const client = { client_id: 'c', client_secret: 'x', token_endpoint_auth_method, grant_types }
    return (await findClientProblems(client)).map(({ severity, member }) => [severity, member])
  }
  assert.deepEqual(await problemsOf('none', ['authorization_code', 'client_credentials']), [['warning', 'grant_types']])
  assert.deepEqual(await problemsOf('none', ['client_credentials']), [['warning', 'grant_types']])
  assert.deepEqual(await problemsOf('none', ['authorization_code', 'refresh_token']), [])
  assert.deepEqual(await problemsOf('none', []), [])
  assert.deepEqual(await problemsOf('client_secret_basic', ['client_credentials']), [])
})
