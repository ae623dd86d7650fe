import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashClientSecret } from '../../lib/client_secret.ts'
import { onEvent } from '../../lib/events.ts'
import { assertionWith, formWith, macScene, NOW, outcomeOf, refusalOf, SECRET } from '../support/assertions.ts'

const oct = (secret: string | Uint8Array, more: object = {}) => ({
  kty: 'oct',
  k: Buffer.from(secret).toString('base64url'),
  ...more,
})
const other = `${SECRET}, another one`

test('R49 a secret is its UTF-8 octets, or octets as they are', async () => {
  const text = 'ключ-€-𝄞-'.repeat(6)
  const { outcome } = await macScene({}, { client_secret: text })
  assert.equal(await outcome(text), 'accepted')
  assert.equal(await outcome(Buffer.from(text, 'utf8')), 'accepted')
  assert.equal(await outcome(Buffer.from(text, 'utf16le')), 'assertion_signature_wrong')
  const octets = Buffer.from(Array.from({ length: 64 }, (_, index) => 255 - index))
  for (const client_secret of [octets, new Uint8Array(octets)]) {
    const binary = await macScene({}, { client_secret })
    assert.equal(await binary.outcome(octets), 'accepted')
  }
})

test('R50 a secret has at least the octets of the hash', async () => {
  for (const [alg, least] of [
    ['HS256', 32],
    ['HS384', 48],
    ['HS512', 64],
  ] as const) {
    const long = 's'.repeat(least)
    const short = 's'.repeat(least - 1)
    assert.equal(await (await macScene({}, { client_secret: long })).outcome(long, {}, { alg }), 'accepted', alg)
    const { verify } = await macScene({}, { client_secret: short })
    const refused = await refusalOf(verify(formWith(assertionWith(short, {}, { alg }))))
    assert.deepEqual([refused.code, refused.reason], ['invalid_client', 'client_secret_too_short'], alg)
    assert.match(refused.detail ?? '', new RegExp(`at least ${least} bytes.*has ${least - 1}`))
  }
  assert.equal(await (await macScene({}, { client_secret: 'é'.repeat(16) })).outcome('é'.repeat(16)), 'accepted')
  assert.equal(await (await macScene({}, { client_secret: '' })).outcome(''), 'client_secret_missing')
})

test('R50 allowShortSecrets lets one client keep a short secret, never an empty one, and tells of each use', async () => {
  const heard: unknown[] = []
  const stop = onEvent('client.warning', (event) => heard.push(event))
  const perClient = () => ({ allowShortSecrets: true })
  assert.equal(await (await macScene({ perClient }, { client_secret: 'short' })).outcome('short'), 'accepted')
  assert.equal(heard.length, 1)
  assert.equal(await (await macScene({ perClient })).outcome(), 'accepted')
  assert.equal(heard.length, 1)
  assert.equal(await (await macScene({ perClient }, { client_secret: '' })).outcome(''), 'client_secret_missing')
  stop()
})

test('R51 a secret ends at client_secret_expires_at, without tolerance; 0 and absence mean never', async () => {
  const at = (client_secret_expires_at: unknown) => macScene({}, { client_secret_expires_at })
  for (const never of [undefined, null, 0, NOW + 1]) assert.equal(await (await at(never)).outcome(), 'accepted')
  for (const ended of [NOW, NOW - 1, -1])
    assert.equal(await (await at(ended)).outcome(), 'client_secret_expired', String(ended))
  for (const none of [Number.NaN, '2030-01-01', true]) // E10: no time at all
    assert.equal(await (await at(none)).outcome(), 'client_misconfigured', String(none))
})

test('R52 client_secret may be several secrets, each with its own end', async () => {
  const { outcome } = await macScene(
    {},
    {
      client_secret: [
        { value: SECRET, expires_at: NOW + 10 },
        { value: other },
        { value: 'x'.repeat(64), expires_at: NOW },
        { value: 5 },
        null,
        'text',
      ],
    },
  )
  assert.equal(await outcome(SECRET), 'accepted')
  assert.equal(await outcome(other), 'accepted')
  assert.equal(await outcome('x'.repeat(64)), 'assertion_signature_wrong')
  const ended = await macScene({}, { client_secret: [{ value: SECRET, expires_at: NOW }] })
  assert.equal(await ended.outcome(), 'client_secret_expired')
  assert.equal(await (await macScene({}, { client_secret: [] })).outcome(), 'client_secret_missing')
})

test('R53 a secret stored as a hash checks no MAC, and the hash is never taken for the secret', async () => {
  const hashed = await hashClientSecret(SECRET)
  for (const client_secret of [hashed, [{ value: hashed }]]) {
    const { outcome } = await macScene({}, { client_secret })
    assert.equal(await outcome(SECRET), 'client_misconfigured')
    assert.equal(await outcome(hashed), 'client_misconfigured')
  }
})

test('R54 oct keys of the record check MACs, after the secret; a kid selects among them', async () => {
  const record = { client_secret: undefined, jwks: { keys: [oct(SECRET, { kid: 'one' }), oct(other, { kid: 'two' })] } }
  const { outcome, verify } = await macScene({}, record)
  assert.equal(await outcome(SECRET), 'accepted')
  assert.equal(await outcome(other, {}, { kid: 'two' }), 'accepted')
  assert.equal(await outcome(other, {}, { kid: 'one' }), 'assertion_signature_wrong')
  assert.equal(await outcome(other, {}, { kid: 'three' }), 'client_secret_missing')
  const { authentication } = await verify(formWith(assertionWith(SECRET, {}, { kid: 'one' })))
  assert.deepEqual([authentication.method, authentication.kid], ['client_secret_jwt', 'one'])

  const both = await macScene({}, { jwks: JSON.stringify({ keys: [oct(other)] }) })
  assert.equal(await both.outcome(SECRET), 'accepted')
  assert.equal(await both.outcome(other), 'accepted')
  for (const key of [
    oct('short'),
    oct(other, { use: 'enc' }),
    oct(other, { alg: 'HS512' }),
    { kty: 'oct', k: '!' },
    { kty: 'oct' },
    { kty: 'oct', k: 5 },
  ]) {
    const unusable = await macScene({}, { client_secret: undefined, jwks: { keys: [key] } })
    assert.notEqual(await unusable.outcome(other), 'accepted', JSON.stringify(key))
  }
})

test('R54 oct keys are never taken from a jwks_uri', async () => {
  let asked = 0
  const { verify } = await macScene(
    {
      keySets: {
        fetch: async () => {
          asked++
          return Response.json({ keys: [oct(other)] })
        },
      },
    },
    { client_secret: undefined, jwks_uri: 'https://client.example/jwks' },
  )
  assert.equal(await outcomeOf(verify(formWith(assertionWith(other)))), 'client_secret_missing')
  assert.equal(asked, 0)
})
