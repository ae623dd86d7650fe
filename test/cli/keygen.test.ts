import assert from 'node:assert/strict'
import { chmodSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { calculateJwkThumbprint, importJWK, jwtVerify, SignJWT } from 'jose'
import { command, folderWith } from '../support/command_line.ts'

for (const alg of ['ES256', 'ES384', 'ES512', 'PS256', 'RS256', 'Ed25519', 'EdDSA']) {
  test(`keygen --alg ${alg}: the private key signs what the public set verifies`, async (t) => {
    const { path, remove } = folderWith()
    t.after(remove)
    const { status, out } = await command(['keygen', '--alg', alg, '--out', path('key.json')])
    assert.equal(status, 0)
    const { keys } = JSON.parse(out)
    const jwk = JSON.parse(readFileSync(path('key.json'), 'utf8'))
    const jwt = await new SignJWT({}).setProtectedHeader({ alg }).sign(await importJWK(jwk))
    await jwtVerify(jwt, await importJWK(keys[0]))
    assert.deepEqual(
      [keys.length, keys[0].alg, keys[0].use, keys[0].kid, jwk.kid],
      [1, alg, 'sig', await calculateJwkThumbprint(keys[0]), keys[0].kid],
    )
  })
}

test('keygen prints no private member, and writes a file that only its owner can read', async (t) => {
  const { path, remove } = folderWith()
  t.after(remove)
  const { out, err } = await command(['keygen', '--alg', 'PS256', '--kid', 'mine', '--out', path('key.json')])
  const jwk = JSON.parse(readFileSync(path('key.json'), 'utf8'))
  for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi']) {
    assert.equal(typeof jwk[member], 'string')
    assert.equal((out + err).includes(jwk[member]), false, member)
    assert.equal(member in JSON.parse(out).keys[0], false)
  }
  assert.equal(statSync(path('key.json')).mode & 0o777, 0o600)
  assert.equal(JSON.parse(out).keys[0].kid, 'mine')
  assert.match(err, /mode 600/)
})

test('keygen leaves a file that is there as it is, and prints no key', async (t) => {
  const { path, remove } = folderWith()
  t.after(remove)
  writeFileSync(path('key.json'), 'precious')
  const { status, out, err } = await command(['keygen', '--out', path('key.json')])
  assert.deepEqual([status, out], [2, ''])
  assert.match(err, /exists already/)
  assert.equal(readFileSync(path('key.json'), 'utf8'), 'precious')
})

test('keygen says what it cannot do', async () => {
  for (const [args, told] of [
    [['--alg', 'HS256'], /secret/],
    [['--alg', 'none'], /--alg must be one of RS256/],
    [['--out', '/nowhere/key.json'], /cannot write/],
    [['--algorithm', 'ES256'], /--algorithm/],
  ] as const) {
    const { status, out, err } = await command(['keygen', ...args])
    assert.deepEqual([status, out], [2, ''], args.join(' '))
    assert.match(err, told)
    assert.equal(err.trim().split('\n').length, 1)
  }
})

test('an option that is empty, as an unset variable of a shell leaves it, is a mistake', async (t) => {
  const { path, remove } = folderWith()
  t.after(remove)
  const keygen = await command(['keygen', '--kid', '', '--out', path('unnamed.json')])
  assert.deepEqual([keygen.status, keygen.out], [2, ''])
  assert.match(keygen.err, /--kid must not be empty/)
  const explain = await command(['explain', 'a.b.c', '--issuer', 'https://as.example', '--now', ''])
  assert.deepEqual([explain.status, explain.out], [2, ''])
  assert.match(explain.err, /--now must be a number/)
})

test('help, version and unknown commands', async () => {
  for (const args of [['help'], ['--help'], ['-h'], ['keygen', '--help'], ['explain', '--help']]) {
    const { status, out } = await command(args)
    assert.equal(status, 0)
    assert.match(out, /keygen/)
  }
  assert.deepEqual(await command(['--version']), { status: 0, out: '1.2.3\n', err: '' })
  assert.equal((await command([])).status, 2)
  assert.match((await command(['keys'])).err, /no command 'keys'/)
})

const keysIn = (file: string): Record<string, unknown>[] => JSON.parse(readFileSync(file, 'utf8')).keys

test('keygen --jwks makes the file, and adds a key to it for rotation', async (t) => {
  const { path, remove } = folderWith()
  t.after(remove)
  const jwks = path('jwks.json')
  const first = await command(['keygen', '--out', path('1.json'), '--jwks', jwks])
  assert.deepEqual([first.status, first.out], [0, ''])
  const [key] = keysIn(jwks)
  chmodSync(jwks, 0o640)
  const second = await command(['keygen', '--alg', 'PS256', '--kid', 'next', '--out', path('2.json'), '--jwks', jwks])
  assert.equal(second.status, 0)
  assert.match(second.err, /next to 1 other/)
  const keys = keysIn(jwks)
  assert.deepEqual(keys[0], key)
  assert.deepEqual(
    [keys.length, keys[1]?.['kid'], keys[1]?.['alg'], 'd' in (keys[1] ?? {})],
    [2, 'next', 'PS256', false],
  )
  assert.equal(statSync(jwks).mode & 0o777, 0o640, 'the mode is kept')
  assert.deepEqual(readdirSync(path('.')).sort(), ['1.json', '2.json', 'jwks.json'], 'no temporary file is left')
})

test('keygen --jwks keeps other members of the set, and follows a link', async (t) => {
  const { path, remove } = folderWith({ 'real.json': { updated: 1, keys: [{ kty: 'EC', kid: 'old' }] } })
  t.after(remove)
  symlinkSync(path('real.json'), path('jwks.json'))
  await command(['keygen', '--out', path('key.json'), '--jwks', path('jwks.json')])
  const set = JSON.parse(readFileSync(path('real.json'), 'utf8'))
  assert.deepEqual([set.updated, set.keys.length, set.keys[0].kid], [1, 2, 'old'])
})

test('keygen --jwks leaves a file that it cannot extend as it is, and makes no private key', async (t) => {
  for (const [content, told] of [
    ['', /not JSON/],
    ['{"keys":', /not JSON/],
    ['[]', /not a JWK set/],
    ['{"keys":{}}', /not a JWK set/],
    ['{"keys":[1]}', /not a JWK set/],
    ['{"keys":[{"kty":"EC","d":"x"}]}', /private keys/],
    ['{"keys":[{"kid":"mine"}]}', /has a key with this id/],
  ] as const) {
    const { path, remove } = folderWith({ 'jwks.json': content })
    t.after(remove)
    const { status, out, err } = await command([
      'keygen',
      '--kid',
      'mine',
      '--out',
      path('key.json'),
      '--jwks',
      path('jwks.json'),
    ])
    assert.deepEqual([status, out], [2, ''], content)
    assert.match(err, told)
    assert.equal(readFileSync(path('jwks.json'), 'utf8'), content)
    assert.deepEqual(readdirSync(path('.')), ['jwks.json'])
  }
  const { path, remove } = folderWith()
  t.after(remove)
  const nowhere = await command(['keygen', '--out', path('key.json'), '--jwks', path('nowhere/jwks.json')])
  assert.deepEqual(
    [nowhere.status, readdirSync(path('.'))],
    [2, []],
    'a private key without its public half is removed',
  )
  const same = await command(['keygen', '--out', path('key.json'), '--jwks', path('./key.json')])
  assert.match(same.err, /name the same file/)
  writeFileSync(path('key.json'), 'precious')
  await command(['keygen', '--out', path('key.json'), '--jwks', path('jwks.json')])
  assert.deepEqual([readFileSync(path('key.json'), 'utf8'), readdirSync(path('.'))], ['precious', ['key.json']])
})
