import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { readSettings, UnusableSetting } from '../../examples/settings.ts'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'settings-'))
})
after(() => rm(folder, { recursive: true, force: true }))

let files = 0
async function file(content: unknown): Promise<string> {
  files += 1
  const path = join(folder, `${files}.json`)
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

const user = { sub: '1', username: 'alice', password: 'wonderland', name: 'Alice' }

test('without any variable everything has the default of the contract', async () => {
  const settings = await readSettings({})
  assert.equal(settings.port, 3000)
  assert.equal(settings.issuer, undefined)
  assert.equal(settings.storeUrl, 'memory:')
  assert.equal(settings.assertionProfile, 'oidc')
  assert.equal(settings.errorVerbosity, 'normal')
  assert.equal(settings.accessTokenLifetimeSeconds, 900)
  assert.equal(settings.refreshTokenIdleLifetimeSeconds, 5_184_000)
  assert.equal(settings.authorizationCodeLifetimeSeconds, 60)
  assert.ok(settings.clients.find('web'), 'examples/clients.json')
  assert.ok(settings.users.authenticate('alice', 'wonderland'), 'examples/users.json')
  assert.equal(settings.warnings.length, 1, 'the files of the example give no warning')
  assert.match(settings.warnings[0] ?? '', /^BASE_SECRET: not set, made one/)
})

test('an empty variable counts as absent', async () => {
  const settings = await readSettings({ PORT: '', ISSUER: '', STORE_URL: '', CLIENTS_FILE: '', ACCESS_TOKEN_TTL: '' })
  assert.equal(settings.port, 3000)
  assert.equal(settings.accessTokenLifetimeSeconds, 900)
})

const withoutPassword = { sub: '2', username: 'bob' }
const unusable: readonly (readonly [variable: string, value: () => string | Promise<string>, problem: RegExp])[] = [
  ['PORT', () => 'http', /whole number from 0 to 65535/],
  ['PORT', () => '65536', /whole number/],
  ['PORT', () => '-1', /whole number/],
  ['PORT', () => '3000.5', /whole number/],
  ['ISSUER', () => 'id.example.com', /http or https URL/],
  ['ISSUER', () => 'ftp://id.example.com', /http or https URL/],
  ['ISSUER', () => 'https://id.example.com/?tenant=1', /neither query nor fragment/],
  ['ISSUER', () => 'https://id.example.com#here', /neither query nor fragment/],
  ['ISSUER', () => 'https://user:word@id.example.com', /user or password/],
  ['ISSUER', () => 'https://id.example.com/a b', /no space/],
  ['ISSUER', () => 'http:localhost', /begin with https/],
  ['ISSUER', () => 'http:/localhost', /begin with https/],
  ['ISSUER', () => 'https://id.example.com/é', /ASCII/],
  ['ISSUER', () => 'https://id.example.com/\u0001', /ASCII/],
  ['ISSUER', () => 'https://id.example.com//', /empty path segment/],
  ['ISSUER', () => 'https://id.example.com//evil.example', /empty path segment/],
  ['CLIENTS_FILE', () => join(folder, 'none.json'), /does not exist/],
  ['CLIENTS_FILE', () => folder, /cannot be read/],
  ['CLIENTS_FILE', () => file('{ "secret" '), /is not JSON/],
  ['CLIENTS_FILE', () => file('{}'), /must be a JSON array/],
  ['CLIENTS_FILE', () => file('null'), /must be a JSON array/],
  ['CLIENTS_FILE', () => file('[1]'), /must contain objects only/],
  ['CLIENTS_FILE', () => file([{ client_id: 'a', client_secret: 'b' }, { client_name: 'No id' }]), /without client_id/],
  ['CLIENTS_FILE', () => file([{ client_id: '' }]), /without client_id/],
  ['CLIENTS_FILE', () => file([{ client_id: 7 }]), /without client_id/],
  ['CLIENTS_FILE', () => file([{ client_id: 'a' }, { client_id: 'a' }]), /two clients/],
  ['USERS_FILE', () => join(folder, 'none.json'), /does not exist/],
  ['USERS_FILE', () => file('[}'), /is not JSON/],
  ['USERS_FILE', () => file([user, withoutPassword]), /without password/],
  ['USERS_FILE', () => file([user, { ...user, sub: '2' }]), /two users named/],
  ['USERS_FILE', () => file([user, { ...user, username: 'bob' }]), /two users with the sub/],
  ['STORE_URL', () => 'mysql://db', /must begin with one of/],
  ['STORE_URL', () => 'somewhere', /must begin with one of/],
  ['STORE_URL', () => 'pglite:', /folder/],
  ['STORE_URL', () => 'redis://', /host/],
  ['ASSERTION_PROFILE', () => 'strict', /one of oidc, rfc7523, rfc10070, fapi1, fapi2, smart/],
  ['ERROR_VERBOSITY', () => 'loud', /one of debug, normal, minimal/],
  ['ACCESS_TOKEN_TTL', () => '15m', /whole number/],
  ['ACCESS_TOKEN_TTL', () => '0', /whole number/],
  ['ACCESS_TOKEN_TTL', () => 'NaN', /whole number/],
  ['REFRESH_TOKEN_TTL', () => '1e9', /whole number/],
  ['AUTHORIZATION_CODE_TTL', () => ' 60', /whole number/],
]
for (const [variable, value, problem] of unusable) {
  test(`an unusable ${variable} is named in one line (${problem.source})`, async () => {
    const setting = await value()
    await assert.rejects(readSettings({ [variable]: setting }), (error: unknown) => {
      assert.ok(error instanceof UnusableSetting)
      assert.ok(error.message.startsWith(`${variable}: `), error.message)
      assert.match(error.message, problem)
      assert.doesNotMatch(error.message, /[\r\n]/)
      return true
    })
  })
}

test('no secret of a file or URL gets into the message', async () => {
  for (const [variable, value] of [
    ['CLIENTS_FILE', await file('[{"client_id":"a","client_secret":"hush"]')],
    ['USERS_FILE', await file('[{"password":"hush"}]')],
    ['STORE_URL', 'redis+tls://me:hush@db'],
    ['ISSUER', 'https://me:hush@id.example.com'],
  ] as const)
    await assert.rejects(readSettings({ [variable]: value }), (error: Error) => !error.message.includes('hush'))
})

const ec = {
  kty: 'EC',
  crv: 'P-256',
  x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
  y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
}
const signing = { token_endpoint_auth_method: 'private_key_jwt' }
const macing = { token_endpoint_auth_method: 'client_secret_jwt' }
const long = 'a'.repeat(64)

const unsound: readonly (readonly [problem: RegExp, record: object])[] = [
  [
    /jwks_uri: must not be there together with jwks/,
    { ...signing, jwks: { keys: [ec] }, jwks_uri: 'https://keys.example.com' },
  ],
  [/client_secret: has 5 bytes, client_secret_jwt needs 32/, { ...macing, client_secret: 'short' }],
  [
    /client_secret: has 63 bytes, client_secret_jwt needs 64/,
    { ...macing, client_secret: 'a'.repeat(63), token_endpoint_auth_signing_alg: 'HS512' },
  ],
  [/client_secret: has 5 bytes/, { ...macing, client_secret: [{ value: long, expires_at: 0 }, { value: 'short' }] }],
  [/signing_alg: is "none"/, { ...signing, jwks: { keys: [ec] }, token_endpoint_auth_signing_alg: 'none' }],
  [/signing_alg: is "HS1"/, { ...macing, client_secret: long, token_endpoint_auth_signing_alg: 'HS1' }],
  [
    /signing_alg: is "HS256", which is no algorithm of private_key_jwt/,
    { ...signing, jwks: { keys: [ec] }, token_endpoint_auth_signing_alg: 'HS256' },
  ],
  [
    /signing_alg: is "ES256", which is no algorithm of client_secret_jwt/,
    { ...macing, client_secret: long, token_endpoint_auth_signing_alg: 'ES256' },
  ],
  [/auth_method: is "tls_client_auth"/, { token_endpoint_auth_method: 'tls_client_auth' }],
  [/auth_method: must be a string/, { token_endpoint_auth_method: 5 }],
  [/jwks: is missing, and so is jwks_uri/, signing],
  [/jwks: cannot be read: it is not valid JSON/, { ...signing, jwks: '{' }],
  [/jwks: cannot be read: it has no array in keys/, { ...signing, jwks: {} }],
  [/jwks: is missing, and so is jwks_uri/, { ...signing, jwks: [] }],
  [/jwks: is missing, and so is jwks_uri/, { ...signing, jwks: null }],
  [/jwks: has no key that can be used/, { ...signing, jwks: { keys: [] } }],
  [/jwks.keys\[0\]: the key is malformed/, { ...signing, jwks: { keys: [{ ...ec, y: 'AAAA' }] } }],
  [/jwks.keys\[0\]: private key members/, { ...signing, jwks: { keys: [{ ...ec, d: 'AAAA' }] } }],
  [/jwks: has no key that can be used/, { ...signing, jwks: { keys: ['key'] } }],
  [/jwks.keys\[0\]: its use is "enc"/, { ...signing, jwks: { keys: [{ ...ec, use: 'enc' }] } }],
  [/jwks.keys\[0\]: its crv is "secp256k1"/, { ...signing, jwks: { keys: [{ kty: 'EC', crv: 'secp256k1' }] } }],
  [/jwks.keys\[0\]: its kty is "oct"/, { ...signing, jwks: { keys: [{ kty: 'oct', k: long }] } }],
  [/jwks.keys\[0\]: its kty is "EC"/, { ...macing, jwks: { keys: [ec] } }],
  [
    /jwks.keys\[0\]: its kty is "EC", RS256 needs "RSA"/,
    { ...signing, token_endpoint_auth_signing_alg: 'RS256', jwks: { keys: [ec] } },
  ],
  [
    /jwks.keys\[0\]: its crv is "P-256", ES384 needs "P-384"/,
    { ...signing, token_endpoint_auth_signing_alg: 'ES384', jwks: { keys: [ec] } },
  ],
  [/RSA key must have 2048 to 8192 bits/, { ...signing, jwks: { keys: [{ kty: 'RSA', n: 'AQAB', e: 'AQAB' }] } }],
  [/jwks_uri: must be an https URL/, { ...signing, jwks_uri: 'http://keys.example.com' }],
  [/jwks_uri: must not lead to an address that is not public/, { ...signing, jwks_uri: 'https://localhost/keys' }],
  ...['192.168.0.1', '10.1.2.3', '172.16.0.1', '169.254.169.254', '[fd00::1]', '[fe80::1]', '0x0a000001'].map(
    (host) =>
      [
        /jwks_uri: must not lead to an address that is not public/,
        { ...signing, jwks_uri: `https://${host}/keys` },
      ] as const,
  ),
  [/jwks_uri: must be an https URL/, { ...signing, jwks_uri: 'keys' }],
  [/client_secret: is missing/, {}],
  [/client_secret: is missing/, { token_endpoint_auth_method: 'client_secret_post' }],
  [/client_secret: must be a string/, { client_secret: 5 }],
  [/client_secret: must be a string/, { client_secret: ['a'] }],
  [/client_secret: is missing/, { client_secret: [] }],
  [/client_secret_expires_at: is not a time/, { client_secret: [{ value: 'a', expires_at: 'soon' }] }],
  [/redirect_uris.* array/, { client_secret: 'a', redirect_uris: 'https://app.example.com' }],
  [/grant_types.* array/, { client_secret: 'a', grant_types: 'authorization_code' }],
  [/scope: is not a string/, { client_secret: 'a', scope: ['read'] }],
  [/scope.* scope values/, { client_secret: 'a', scope: 'réad' }],
]
for (const [problem, record] of unsound) {
  test(`an unsound client is named in a warning and not found (${problem.source})`, async () => {
    const path = await file([
      { client_id: 'odd one', ...record },
      { client_id: 'fine', client_secret: 'short' },
    ])
    const settings = await readSettings({ CLIENTS_FILE: path })
    assert.equal(settings.clients.find('odd one'), undefined)
    assert.ok(settings.clients.find('fine'))
    const warnings = settings.warnings.filter((warning) => warning.startsWith('CLIENTS_FILE: '))
    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', /client "odd one" will be refused/)
    assert.match(warnings[0] ?? '', problem)
  })
}

test('a broken key beside a good one is worth a warning, and the client goes on with the good one', async () => {
  const path = await file([{ client_id: 'two', ...signing, jwks: { keys: [ec, { kty: 'EC', crv: 'P-256' }] } }])
  const settings = await readSettings({ CLIENTS_FILE: path })
  assert.ok(settings.clients.find('two'))
  assert.match(settings.warnings.join(), /client "two": jwks.keys\[1\]: the member x is missing/)
})

test('a key of another algorithm beside the registered one, and EdDSA by either name, are no reason to refuse', async () => {
  const okp = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }
  const clients = [
    { client_id: 'a', ...signing, token_endpoint_auth_signing_alg: 'ES256', jwks: { keys: [okp, ec] } },
    { client_id: 'b', ...signing, token_endpoint_auth_signing_alg: 'Ed25519', jwks: { keys: [okp] } },
    {
      client_id: 'c',
      ...signing,
      token_endpoint_auth_signing_alg: 'EdDSA',
      jwks: { keys: [{ ...okp, alg: 'Ed25519' }] },
    },
    { client_id: 'd', ...signing, jwks_uri: 'https://8.8.8.8/keys' },
  ]
  const settings = await readSettings({ CLIENTS_FILE: await file(clients) })
  for (const { client_id } of clients) assert.ok(settings.clients.find(client_id), client_id)
  const warnings = settings.warnings.filter((warning) => warning.startsWith('CLIENTS_FILE'))
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /client "a": jwks.keys\[0\]: its kty is "OKP", ES256 needs "EC"/)
})

test('a redirect URI that is never accepted is worth a warning', async () => {
  const path = await file([{ client_id: 'a', client_secret: 'b', redirect_uris: ['http://app.example.com/cb'] }])
  assert.match(
    (await readSettings({ CLIENTS_FILE: path })).warnings.join(),
    /client "a": redirect_uris\[0\]: .* is never redirected to/,
  )
})

test('a key set over http on this machine is taken only while the issuer is http on this machine', async () => {
  const path = await file([{ client_id: 'local', ...signing, jwks_uri: 'http://127.0.0.1:4000/jwks.json' }])
  assert.ok((await readSettings({ CLIENTS_FILE: path })).clients.find('local'))
  assert.ok((await readSettings({ CLIENTS_FILE: path, ISSUER: 'http://127.0.0.1:9' })).clients.find('local'))
  const own = { CLIENTS_FILE: path, USERS_FILE: await file([user]) }
  const elsewhere = await readSettings({ ...own, ISSUER: 'https://id.example.com' })
  assert.equal(elsewhere.clients.find('local'), undefined)
})

test('a base secret that is easy to guess is worth a warning', async () => {
  assert.match((await readSettings({ BASE_SECRET: 'secret' })).warnings.join(), /BASE_SECRET: shorter than 32/)
  assert.deepEqual((await readSettings({ BASE_SECRET: 'x'.repeat(32) })).warnings, [])
})

test('codes live for ten minutes at most (RFC 6749 §4.1.2), whatever is asked for, and a warning says so', async () => {
  const settings = await readSettings({ AUTHORIZATION_CODE_TTL: '3600', BASE_SECRET: 'x'.repeat(32) })
  assert.equal(settings.authorizationCodeLifetimeSeconds, 600)
  assert.deepEqual(settings.warnings, ['AUTHORIZATION_CODE_TTL: codes live for 600 seconds at most'])
})

test('the package judges the records: what it accepts, the example accepts', async () => {
  const absent = { jwks_uri: '', redirect_uris: null, scope: null, client_secret_expires_at: null }
  const rsa = { kty: 'RSA', e: 'AQAB', n: Buffer.alloc(256, 0xa5).fill(0xc3, 0, 1).toString('base64url') }
  const jwks = [
    { ...ec, key_ops: [], d: null, use: null },
    { ...ec, use: '' },
    { ...ec, key_ops: ['verify'] },
    { ...rsa, n: `${rsa.n}==` },
  ]
  const clients = [
    { client_id: 'a', client_secret: 'b', jwks: null, ...absent },
    ...jwks.map((key, at) => ({ client_id: `key ${at}`, ...signing, ...absent, jwks: { keys: [key, 'no key'] } })),
    { client_id: 'text', ...signing, jwks: JSON.stringify({ keys: [ec] }) },
    { client_id: 'over', client_secret: [{ value: 'a', expires_at: 1 }] },
  ]
  const settings = await readSettings({ CLIENTS_FILE: await file(clients), BASE_SECRET: 'x'.repeat(32) })
  for (const { client_id } of clients) assert.ok(settings.clients.find(client_id), client_id)
  assert.deepEqual(settings.warnings, [])
})

test('keys that the package refuses are warned of', async () => {
  const bad = [
    { ...ec, use: 'enc' },
    { ...ec, key_ops: ['sign'] },
    { ...ec, alg: 'ES384' },
    { ...ec, x: 'AAAA' },
    { ...ec, crv: 'P-999' },
    { kty: 'OKP', crv: 'Ed25519', x: 'AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' },
    { kty: 'OKP', crv: 'X25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
  ]
  const path = await file([{ client_id: 'many', ...signing, jwks: { keys: [ec, ...bad] } }])
  const { clients, warnings } = await readSettings({ CLIENTS_FILE: path, BASE_SECRET: 'x'.repeat(32) })
  assert.ok(clients.find('many'))
  for (const at of bad.keys())
    assert.match(warnings.join('\n'), new RegExp(`jwks\\.keys\\[${at + 1}\\]: `), `${at + 1}`)
})

test('a record that contradicts itself is unsound whatever its method uses, an unknown application_type is ignored', async () => {
  const clients = [
    { client_id: 'both', client_secret: 'a', jwks: { keys: [ec] }, jwks_uri: 'https://keys.example.com/' },
    { client_id: 'none', client_secret: 'a', token_endpoint_auth_signing_alg: 'none' },
    { client_id: 'type', client_secret: 'a', application_type: 'desktop' },
    { client_id: 'native', client_secret: 'a', application_type: 'native' },
  ]
  const settings = await readSettings({ CLIENTS_FILE: await file(clients), BASE_SECRET: 'x'.repeat(32) })
  assert.deepEqual(settings.warnings, [
    'CLIENTS_FILE: client "both" will be refused: jwks_uri: must not be there together with jwks',
    'CLIENTS_FILE: client "none" will be refused: token_endpoint_auth_signing_alg: is none, which signs nothing',
    'CLIENTS_FILE: client "type": application_type: is ignored, expected web or native',
  ])
  assert.ok(settings.clients.find('type') && settings.clients.find('native'))
})

test('the demo files under another name, or copied, are the demo files', async () => {
  const users = await file([user])
  const clients = await file([{ client_id: 'a', client_secret: 'b' }])
  const copy = async (name: string) => file(await readFile(`examples/${name}.json`, 'utf8'))
  for (const [variable, settings] of [
    ['USERS_FILE', { CLIENTS_FILE: clients, USERS_FILE: 'examples/users.json' }],
    ['USERS_FILE', { CLIENTS_FILE: clients, USERS_FILE: await copy('users') }],
    ['CLIENTS_FILE', { USERS_FILE: users, CLIENTS_FILE: './examples/../examples/clients.json' }],
    ['CLIENTS_FILE', { USERS_FILE: users, CLIENTS_FILE: await copy('clients') }],
  ] as const)
    await assert.rejects(readSettings({ ...settings, NODE_ENV: 'production' }), (error: Error) =>
      error.message.startsWith(`${variable}: `),
    )
  assert.ok(await readSettings({ USERS_FILE: users, CLIENTS_FILE: clients, NODE_ENV: 'production' }))
  assert.ok(await readSettings({ NODE_ENV: 'development', ISSUER: 'http://[::1]:3000' }))
})

test('debug errors are not for production', async () => {
  await assert.rejects(
    readSettings({ ERROR_VERBOSITY: 'debug', NODE_ENV: 'production' }),
    /^UnusableSetting: ERROR_VERBOSITY: /,
  )
  assert.equal((await readSettings({ ERROR_VERBOSITY: 'debug' })).errorVerbosity, 'debug')
})

test('a password is the whole password of that very user', async () => {
  const { users } = await readSettings({
    USERS_FILE: await file([user, { ...user, sub: '2', username: 'bob', password: 'b' }]),
  })
  assert.equal(users.authenticate('alice', 'wonderland')?.sub, '1')
  for (const [name, password] of [
    ['alice', 'wonderlan'],
    ['alice', 'Wonderland'],
    ['alice', 'b'],
    ['Alice', 'wonderland'],
    ['nobody', 'nobody'],
    ['', ''],
    ['__proto__', 'wonderland'],
  ] as const)
    assert.equal(users.authenticate(name, password), undefined, `${name} ${password}`)
})

test('a user name and a password are found in whatever form a keyboard composes their letters', async () => {
  const path = await file([{ ...user, username: 'zo\u00eb', password: 'W\u00f6nderland' }])
  const { users } = await readSettings({ USERS_FILE: path })
  assert.equal(users.authenticate('zoe\u0308', 'Wo\u0308nderland')?.sub, '1')
  const twice = await file([
    { ...user, username: 'zo\u00eb' },
    { ...user, sub: '2', username: 'zoe\u0308' },
  ])
  await assert.rejects(readSettings({ USERS_FILE: twice }), /two users named/)
})
