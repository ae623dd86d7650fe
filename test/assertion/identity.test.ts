import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  assertionBy,
  CLIENT_ID,
  formWith,
  outcomeOf,
  refusalOf,
  SECRET,
  scene,
  sharedKey,
} from '../support/assertions.ts'

test('R8 sub is a non-empty string of printable ASCII, compared exactly', async () => {
  const { outcome } = await scene()
  for (const sub of [undefined, '', null, 5, true, [CLIENT_ID], {}, 'clïent', 'a\nb', 'a\u0000', 'c'.repeat(1025)])
    assert.equal(await outcome({ sub, iss: sub }), 'assertion_subject_malformed', JSON.stringify(sub))
  for (const sub of [CLIENT_ID.toUpperCase(), `${CLIENT_ID} `, ` ${CLIENT_ID}`])
    assert.equal(await outcome({ sub, iss: sub }), 'client_unknown', JSON.stringify(sub))
})

test('R8 a record of another client_id, as a database without regard to case gives it, is not the client', async () => {
  const key = await sharedKey('ES256')
  const record = { client_id: CLIENT_ID, token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [key.jwk] } }
  const { verify } = await scene({ findClient: () => record })
  const other = CLIENT_ID.toUpperCase()
  assert.equal(await outcomeOf(verify(formWith(assertionBy(key, { sub: other, iss: other })))), 'client_unknown')
})

test('R9 iss equals sub', async () => {
  const { outcome } = await scene()
  for (const iss of [undefined, '', 'client-2', CLIENT_ID.toUpperCase(), null, 5, [CLIENT_ID]])
    assert.equal(await outcome({ iss }), 'assertion_issuer_mismatch', JSON.stringify(iss))
})

test('R9 iss may differ from sub in the profile rfc7523, where it must still be there', async () => {
  const { outcome } = await scene({ profile: 'rfc7523' })
  assert.equal(await outcome({ iss: 'https://issuer-of-assertions.example' }), 'accepted')
  for (const iss of [undefined, '', null, 5]) assert.equal(await outcome({ iss }), 'assertion_issuer_mismatch')
  const strict = await scene({ profile: 'rfc7523', requireIssuerIsSubject: true })
  assert.equal(await strict.outcome({ iss: 'https://issuer-of-assertions.example' }), 'assertion_issuer_mismatch')
})

test('R10 an unknown client is answered like a bad signature, and a look-up that fails is a 503', async () => {
  const { verify, key } = await scene()
  const stranger = await sharedKey('ES256', 'stranger')
  const unknown = await refusalOf(verify(formWith(assertionBy(key, { iss: 'nobody', sub: 'nobody' }))))
  const forged = await refusalOf(verify(formWith(assertionBy(stranger))))
  assert.deepEqual([unknown.reason, forged.reason], ['client_unknown', 'assertion_signature_wrong'])
  const wire = ({ code, status, message, headers }: typeof unknown) => ({ code, status, message, headers })
  assert.deepEqual(wire(unknown), wire(forged))

  for (const findClient of [
    () => Promise.reject(new Error('db-7.internal refused the connection')),
    () => {
      throw new Error('db-7.internal refused the connection')
    },
  ]) {
    const broken = await scene({ findClient })
    const refused = await refusalOf(broken.verify(formWith(assertionBy(key))))
    assert.deepEqual([refused.code, refused.status], ['temporarily_unavailable', 503])
    assert.match(refused.headers['Retry-After'] ?? '', /^\d+$/)
    assert.doesNotMatch(refused.message, /db-7/)
  }
})

test('R10 undefined and null both mean that there is no such client', async () => {
  for (const nothing of [undefined, null]) {
    assert.equal(await (await scene({ findClient: () => nothing })).outcome(), 'client_unknown')
    assert.equal(await (await scene({ findClient: async () => nothing })).outcome(), 'client_unknown')
  }
})

test('R11 the client uses the method it is registered with, whatever else its record holds', async () => {
  for (const method of [
    undefined,
    null,
    'client_secret_basic',
    'client_secret_post',
    'client_secret_jwt',
    'none',
    '',
    5,
  ]) {
    const { outcome } = await scene({}, { token_endpoint_auth_method: method, client_secret: SECRET })
    assert.equal(await outcome(), 'client_method_mismatch', String(method))
  }
})

test('R11 a method that the server does not offer is refused also for a client registered with it', async () => {
  const { verify, outcome } = await scene({ methods: ['client_secret_jwt'] })
  assert.deepEqual(verify.methods, ['client_secret_jwt'])
  assert.deepEqual(verify.algorithms, ['HS256', 'HS384', 'HS512'])
  assert.equal(await outcome(), 'assertion_algorithm_not_allowed')
})
