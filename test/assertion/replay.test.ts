import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AssertionVerifierOptions, createAssertionVerifier } from '../../lib/assertion/verify.ts'
import type { ReplayRegister } from '../../lib/replay_register.ts'
import { createMemoryReplayRegister } from '../../lib/stores/memory.ts'
import {
  assertionBy,
  CLIENT_ID,
  formWith,
  ISSUER,
  NOW,
  outcomeOf,
  refusalOf,
  scene,
  sharedKey,
  testRegister,
} from '../support/assertions.ts'

test('R23 jti is a non-empty string of at most 256 characters', async () => {
  const { outcome } = await scene()
  for (const jti of [undefined, '', null, 5, true, [], {}, 'j'.repeat(257)])
    assert.equal(await outcome({ jti }), 'assertion_id_malformed', JSON.stringify(jti))
  assert.equal(await outcome({ jti: 'j'.repeat(256) }), 'accepted')
  assert.equal(await outcome({ jti: 'jürgen \u0000' }), 'accepted')
})

test('R23 where jti is optional its absence is accepted, and its presence is checked and registered', async () => {
  const looser: Partial<AssertionVerifierOptions>[] = [
    { profile: 'rfc7523' },
    { jti: 'optional' },
    { perClient: () => ({ jti: 'optional' }) },
  ]
  for (const options of looser) {
    const { outcome, register } = await scene(options)
    assert.equal(await outcome({ jti: undefined }), 'accepted')
    assert.equal(await outcome({ jti: '' }), 'assertion_id_malformed')
    assert.equal(await outcome({ jti: 'once' }), 'accepted')
    assert.equal(await outcome({ jti: 'once' }), 'assertion_replayed')
    assert.equal(register.remembered.length, 2)
  }
})

test('R24 a jti counts per issuer of the server and client, in one namespace for all endpoints', async () => {
  const key = await sharedKey('ES256')
  const { verify, register } = await scene({
    findClient: (client_id) => ({
      client_id,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [key.jwk] },
    }),
  })
  const from = (id: string, jti: string, context = {}) =>
    outcomeOf(verify(formWith(assertionBy(key, { iss: id, sub: id, jti })), context))
  assert.equal(await from('a', 'bc'), 'accepted')
  assert.equal(await from('ab', 'c'), 'accepted')
  assert.equal(await from('a', 'bc', { endpoint: 'https://as.example.com/revoke' }), 'assertion_replayed')
  assert.deepEqual(
    register.remembered.map(({ issuer, clientId, jti }) => [issuer, clientId, jti]),
    [
      [ISSUER, 'a', 'bc'],
      [ISSUER, 'ab', 'c'],
      [ISSUER, 'a', 'bc'],
    ],
  )
})

test('R25 50 copies of one assertion at once: exactly one passes', async () => {
  for (const verification of ['sync', 'pool'] as const) {
    const { verify, key } = await scene({
      verification,
      replayRegister: createMemoryReplayRegister({ clock: () => NOW }),
    })
    const form = formWith(assertionBy(key))
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => outcomeOf(verify({ ...form }))))
    assert.equal(outcomes.filter((outcome) => outcome === 'accepted').length, 1)
    assert.equal(outcomes.filter((outcome) => outcome === 'assertion_replayed').length, 49)
  }
})

test('R25 the register is asked last: no attempt that fails for any other reason burns a jti', async () => {
  const stranger = await sharedKey('ES256', 'stranger')
  const { outcome, register, verify, key } = await scene()
  const jti = 'kept'
  assert.equal(await outcomeOf(verify(formWith(assertionBy(stranger, { jti })))), 'assertion_signature_wrong')
  for (const [claims, header] of [
    [{ aud: 'x' }, {}],
    [{ exp: NOW - 100 }, {}],
    [{ iat: NOW + 100 }, {}],
    [{ nbf: NOW + 100 }, {}],
    [{ iss: 'x' }, {}],
    [{}, { typ: 'at+jwt' }],
    [{}, { crit: ['x'] }],
    [{}, { kid: 'other' }],
  ])
    assert.notEqual(await outcome({ jti, ...claims }, header), 'accepted')
  assert.equal(await outcomeOf(verify(formWith(assertionBy(key, { jti }), { client_id: 'x' }))), 'client_id_mismatch')
  assert.equal(register.remembered.length, 0)
  assert.equal(await outcome({ jti }), 'accepted')
  assert.equal(await outcome({ jti }), 'assertion_replayed')
})

test('R26 a jti is remembered until the assertion could no longer be accepted, rounded up, and a second longer', async () => {
  for (const [claims, forgetAt] of [
    [{ exp: NOW + 60 }, NOW + 60 + 15 + 1],
    [{ exp: NOW + 59.25 }, NOW + 60 + 15 + 1],
    [{ exp: NOW + 3600 }, NOW + 300 + 15 + 1],
    [{ iat: NOW + 15, exp: NOW + 3600 }, NOW + 315 + 15 + 1],
    [{ iat: undefined, exp: NOW + 315 }, NOW + 315 + 15 + 1],
    [{ iat: NOW - 60, exp: NOW - 14 }, NOW - 14 + 15 + 1],
  ] as const) {
    const { outcome, register } = await scene()
    assert.equal(await outcome(claims), 'accepted')
    assert.equal(register.remembered[0]?.expiresAt, forgetAt)
  }
})

test('R26 at every second of its life an assertion that was used is refused', async () => {
  let now = NOW
  const { verify, key } = await scene({
    clock: () => now,
    replayRegister: createMemoryReplayRegister({ clock: () => now }),
  })
  const form = formWith(assertionBy(key, { iat: NOW + 15, exp: NOW + 4000 }))
  assert.equal(await outcomeOf(verify(form)), 'accepted')
  const outcomes = new Set<string | undefined>()
  for (; now < NOW + 400; now++) outcomes.add(await outcomeOf(verify(form)))
  assert.deepEqual([...outcomes], ['assertion_replayed', 'assertion_too_old'])
})

test('R26 an assertion that expired while a slow look-up was under way is refused, not registered', async () => {
  const { register, verify, key } = await scene({
    clockToleranceSeconds: 0,
    findClient: async () => {
      await new Promise((resolve) => setTimeout(resolve, 1100))
      return { client_id: CLIENT_ID, token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [key.jwk] } }
    },
  })
  assert.equal(
    await outcomeOf(verify(formWith(assertionBy(key, { iat: NOW - 10, exp: NOW + 1 })))),
    'assertion_expired',
  )
  assert.equal(register.remembered.length, 0)
})

test('R27 a register that fails, or answers no boolean, is a 503 and never an acceptance', async () => {
  const registers: ReplayRegister[] = [
    { remember: () => Promise.reject(new Error('connection to 10.0.0.7 lost')) },
    {
      remember: () => {
        throw new Error('connection to 10.0.0.7 lost')
      },
    },
    ...[undefined, null, 1, 'OK', 'true', {}].map((answer) => ({ remember: async () => answer as unknown as boolean })),
  ]
  for (const replayRegister of registers) {
    const { verify, key } = await scene({ replayRegister })
    const refused = await refusalOf(verify(formWith(assertionBy(key))))
    assert.deepEqual([refused.status, refused.code], [503, 'temporarily_unavailable'])
    assert.doesNotMatch(refused.message, /10\.0\.0\.7/)
  }
})

test('R28 what a client can make the register keep is bounded in time, and one client flushes no entry of another', async () => {
  const { outcome, register } = await scene()
  assert.equal(await outcome({ exp: NOW + 86_400 }), 'accepted')
  assert.ok((register.remembered[0]?.expiresAt ?? 0) <= NOW + 300 + 15 + 1)

  const store = createMemoryReplayRegister({ clock: () => NOW, maximumAssertionsPerClient: 100 })
  assert.equal(await store.remember(ISSUER, 'victim', 'used', NOW + 300), true)
  let refusedBound = false
  for (let count = 0; count < 500; count++) {
    try {
      await store.remember(ISSUER, 'noisy', `j${count}`, NOW + 300)
    } catch {
      refusedBound = true
    }
  }
  assert.equal(refusedBound, true)
  assert.equal(await store.remember(ISSUER, 'victim', 'used', NOW + 300), false)
  assert.equal(await store.remember(ISSUER, 'victim', 'fresh', NOW + 300), true)
})

test('R29 a client for which it was agreed may use an assertion until it expires; nobody else may', async () => {
  const { outcome, register } = await scene({
    perClient: ({ client_id }) => (client_id === CLIENT_ID ? { allowReuse: true } : undefined),
  })
  assert.equal(await outcome({ jti: 'again' }), 'accepted')
  assert.equal(await outcome({ jti: 'again' }), 'accepted')
  assert.equal(await outcome({ jti: 'again', exp: NOW - 20 }), 'assertion_expired')
  assert.equal(register.remembered.length, 0)
  const others = await scene({ perClient: () => undefined })
  assert.equal(await others.outcome({ jti: 'again' }), 'accepted')
  assert.equal(await others.outcome({ jti: 'again' }), 'assertion_replayed')
})

test('the replay register is mandatory where jti is, unless it is turned off by name', () => {
  const options = { issuer: ISSUER, findClient: () => undefined }
  assert.throws(() => createAssertionVerifier(options), /option 'replayRegister'/)
  assert.throws(() => createAssertionVerifier({ ...options, replayRegister: {} as never }), /option 'replayRegister'/)
  assert.doesNotThrow(() => createAssertionVerifier({ ...options, replayRegister: false }))
  assert.doesNotThrow(() => createAssertionVerifier({ ...options, profile: 'rfc7523' }))
  assert.doesNotThrow(() => createAssertionVerifier({ ...options, replayRegister: testRegister() }))
})
