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
  ['CLIENTS_FILE', () => join(folder, 'none.json'), /does not exist/],
  ['CLIENTS_FILE', () => folder, /cannot be read/],
  ['CLIENTS_FILE', () => file('{ "secret" '), /is not JSON/],
  ['CLIENTS_FILE', () => file('{}'), /must be a JSON array/],
  ['CLIENTS_FILE', () => file('null'), /must be a JSON array/],
  ['CLIENTS_FILE', () => file('[1]'), /must hold objects/],
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
  [/jwks and jwks_uri must not both/, { ...signing, jwks: { keys: [ec] }, jwks_uri: 'https://keys.example.com' }],
  [/client_secret is shorter than 32 octets/, { ...macing, client_secret: 'short' }],
  [
    /client_secret is shorter than 64 octets/,
    { ...macing, client_secret: 'a'.repeat(63), token_endpoint_auth_signing_alg: 'HS512' },
  ],
  [/client_secret is shorter/, { ...macing, client_secret: [{ value: long, expires_at: 0 }, { value: 'short' }] }],
  [/signing_alg is none/, { ...signing, jwks: { keys: [ec] }, token_endpoint_auth_signing_alg: 'none' }],
  [/signing_alg is "HS1"/, { ...macing, client_secret: long, token_endpoint_auth_signing_alg: 'HS1' }],
  [/HS256 does not fit/, { ...signing, jwks: { keys: [ec] }, token_endpoint_auth_signing_alg: 'HS256' }],
  [/ES256 does not fit/, { ...macing, client_secret: long, token_endpoint_auth_signing_alg: 'ES256' }],
  [/auth_method is "tls_client_auth"/, { token_endpoint_auth_method: 'tls_client_auth' }],
  [/auth_method must be text/, { token_endpoint_auth_method: 5 }],
  [/jwks or jwks_uri is missing/, signing],
  [/jwks is not JSON/, { ...signing, jwks: '{' }],
  [/array named keys/, { ...signing, jwks: {} }],
  [/array named keys/, { ...signing, jwks: [] }],
  [/jwks or jwks_uri is missing/, { ...signing, jwks: null }],
  [/jwks holds no key/, { ...signing, jwks: { keys: [] } }],
  [/key 1 of jwks cannot be read/, { ...signing, jwks: { keys: [{ ...ec, y: 'AAAA' }] } }],
  [/key 1 of jwks is a private key/, { ...signing, jwks: { keys: [{ ...ec, d: 'AAAA' }] } }],
  [/key 1 of jwks is not an object/, { ...signing, jwks: { keys: ['key'] } }],
  [/key 1 of jwks is not for signatures/, { ...signing, jwks: { keys: [{ ...ec, use: 'enc' }] } }],
  [/kind that is not supported/, { ...signing, jwks: { keys: [{ kty: 'EC', crv: 'secp256k1' }] } }],
  [/key 1 of jwks is a secret/, { ...signing, jwks: { keys: [{ kty: 'oct', k: long }] } }],
  [/key 1 of jwks is no secret/, { ...macing, jwks: { keys: [ec] } }],
  [/is not one for RS256/, { ...signing, token_endpoint_auth_signing_alg: 'RS256', jwks: { keys: [ec] } }],
  [/is not one for ES384/, { ...signing, token_endpoint_auth_signing_alg: 'ES384', jwks: { keys: [ec] } }],
  [/shorter than 2048 bits/, { ...signing, jwks: { keys: [{ kty: 'RSA', n: 'AQAB', e: 'AQAB' }] } }],
  [/jwks_uri must be https/, { ...signing, jwks_uri: 'http://keys.example.com' }],
  [/jwks_uri must not lead to this machine/, { ...signing, jwks_uri: 'https://localhost/keys' }],
  ...['192.168.0.1', '10.1.2.3', '172.16.0.1', '169.254.169.254', '[fd00::1]', '[fe80::1]', '0x0a000001'].map(
    (host) => [/must not lead to a private address/, { ...signing, jwks_uri: `https://${host}/keys` }] as const,
  ),
  [/jwks_uri is not a URL/, { ...signing, jwks_uri: 'keys' }],
  [/client_secret is missing/, {}],
  [/client_secret is missing/, { token_endpoint_auth_method: 'client_secret_post' }],
  [/client_secret must be text/, { client_secret: 5 }],
  [/client_secret must be text/, { client_secret: ['a'] }],
  [/empty array/, { client_secret: [] }],
  [/expires_at of a client_secret must be a number/, { client_secret: [{ value: 'a', expires_at: 'soon' }] }],
  [/redirect_uris must be an array/, { client_secret: 'a', redirect_uris: 'https://app.example.com' }],
  [/grant_types must be an array/, { client_secret: 'a', grant_types: 'authorization_code' }],
  [/scope must be scope values/, { client_secret: 'a', scope: ['read'] }],
  [/scope must be scope values/, { client_secret: 'a', scope: 'réad' }],
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
  assert.match(settings.warnings.join(), /client "two": key 2 of jwks cannot be read/)
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
  assert.match(warnings[0] ?? '', /client "a": key 1 of jwks is not one for ES256/)
})

test('a redirect URI that is never accepted is worth a warning', async () => {
  const path = await file([{ client_id: 'a', client_secret: 'b', redirect_uris: ['http://app.example.com/cb'] }])
  assert.match((await readSettings({ CLIENTS_FILE: path })).warnings.join(), /neither https nor http/)
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

test('what is null in a client record is not there', async () => {
  const path = await file([{ client_id: 'a', client_secret: 'b', jwks_uri: null, redirect_uris: null, scope: null }])
  const { clients, warnings } = await readSettings({ CLIENTS_FILE: path, BASE_SECRET: 'x'.repeat(32) })
  assert.deepEqual(clients.find('a'), { client_id: 'a', client_secret: 'b' })
  assert.deepEqual(warnings, [])
})

test('B1: the demo files under another name, or copied, are the demo files', async () => {
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
