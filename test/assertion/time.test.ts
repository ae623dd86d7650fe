import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAssertionVerifier } from '../../lib/assertion/verify.ts'
import {
  assertionBy,
  claimsOf,
  formWith,
  ISSUER,
  jws,
  NOW,
  outcomeOf,
  scene,
  testRegister,
} from '../support/assertions.ts'

const MALFORMED = 'assertion_expiry_malformed'

test('R16 exp is a finite number above 0 and at most a day ahead', async () => {
  const { outcome, outcomeOfText, key } = await scene()
  for (const exp of [undefined, null, '', String(NOW + 60), true, [NOW + 60], {}, 0, -1])
    assert.equal(await outcome({ exp }), MALFORMED, JSON.stringify(exp))
  assert.equal(await outcome({ exp: NOW + 86_400 }), 'accepted')
  assert.equal(await outcome({ exp: NOW + 86_401 }), 'assertion_lifetime_too_long')
  assert.equal(await outcome({ exp: (NOW + 60) * 1000 }), 'assertion_lifetime_too_long')
  const infinite = JSON.stringify(claimsOf()).replace(/"exp":\d+/, '"exp":1e400')
  assert.equal(await outcomeOfText(jws('{"alg":"ES256"}', infinite, 'ES256', key.privateKey)), MALFORMED)
  assert.equal(await outcome({ iat: NOW + 0.5, exp: NOW + 60.25 }), 'accepted')
})

test('R17 an assertion is valid until exp plus the tolerance, and not at that second', async () => {
  const { outcome } = await scene()
  assert.equal(await outcome({ iat: NOW - 60, exp: NOW - 14 }), 'accepted')
  assert.equal(await outcome({ iat: NOW - 60, exp: NOW - 15 }), 'assertion_expired')
  const exact = await scene({ clockToleranceSeconds: 0 })
  assert.equal(await exact.outcome({ exp: NOW + 1 }), 'accepted')
  assert.equal(await exact.outcome({ exp: NOW }), 'assertion_expired')
  assert.equal(await exact.outcome({ exp: NOW + 0.1 }), 'accepted')
})

test('R18 an assertion ends 300 s after iat whatever its exp says, and without iat may not live longer', async () => {
  const { outcome } = await scene()
  assert.equal(await outcome({ iat: NOW - 314, exp: NOW + 3600 }), 'accepted')
  assert.equal(await outcome({ iat: NOW - 315, exp: NOW + 3600 }), 'assertion_too_old')
  assert.equal(await outcome({ iat: undefined, exp: NOW + 315 }), 'accepted')
  assert.equal(await outcome({ iat: undefined, exp: NOW + 316 }), 'assertion_lifetime_too_long')
  const longer = await scene({ maxLifetimeSeconds: 3600 })
  assert.equal(await longer.outcome({ iat: NOW - 3000, exp: NOW + 600 }), 'accepted')
  const own = await scene({ perClient: () => ({ maxLifetimeSeconds: 600 }) })
  assert.equal(await own.outcome({ iat: NOW - 500, exp: NOW + 100 }), 'accepted')
  assert.equal(await own.outcome({ iat: NOW - 615, exp: NOW + 100 }), 'assertion_too_old')
})

test('R18 a long-lived assertion is refused outright where longLifetime says so', async () => {
  const { outcome } = await scene({ longLifetime: 'refused' })
  assert.equal(await outcome({ exp: NOW + 300 }), 'accepted')
  assert.equal(await outcome({ exp: NOW + 301 }), 'assertion_lifetime_too_long')
})

test('R19 iat is optional, a number where it is there, and can be made mandatory', async () => {
  const { outcome } = await scene()
  assert.equal(await outcome({ iat: undefined }), 'accepted')
  for (const iat of [null, String(NOW), true, [], {}])
    assert.equal(await outcome({ iat }), 'assertion_issued_at_malformed', JSON.stringify(iat))
  const strict = await scene({ requireIat: true })
  assert.equal(await strict.outcome({ iat: undefined }), 'assertion_issued_at_malformed')
  const seed = await scene({ maxLifetimeSeconds: 30 })
  assert.equal(await seed.outcome({ iat: NOW - 44 }), 'accepted')
  assert.equal(await seed.outcome({ iat: NOW - 45 }), 'assertion_too_old')
})

test('R20 iat and nbf may lie ahead by the tolerance and no more', async () => {
  const { outcome } = await scene()
  assert.equal(await outcome({ iat: NOW + 15 }), 'accepted')
  assert.equal(await outcome({ iat: NOW + 16 }), 'assertion_issued_in_future')
  assert.equal(await outcome({ nbf: NOW + 15 }), 'accepted')
  assert.equal(await outcome({ nbf: NOW + 16 }), 'assertion_not_yet_valid')
})

test('R21 nbf is optional, and a number where it is there', async () => {
  const { outcome } = await scene()
  assert.equal(await outcome({ nbf: NOW - 5 }), 'accepted')
  for (const nbf of [null, String(NOW), true, []])
    assert.equal(await outcome({ nbf }), 'assertion_not_yet_valid', JSON.stringify(nbf))
})

test('R22 the tolerance is 15 s, can be set from 0 to 300 and not above', async () => {
  const { outcome } = await scene({ clockToleranceSeconds: 60 })
  assert.equal(await outcome({ iat: NOW + 60, exp: NOW + 90 }), 'accepted')
  assert.equal(await outcome({ iat: NOW + 61, exp: NOW + 90 }), 'assertion_issued_in_future')
  for (const clockToleranceSeconds of [301, -1, 1.5, Number.NaN, '15'])
    assert.throws(
      () =>
        createAssertionVerifier({
          issuer: ISSUER,
          findClient: () => undefined,
          replayRegister: testRegister(),
          clockToleranceSeconds: clockToleranceSeconds as number,
        }),
      (error: unknown) => error instanceof TypeError && error.message.includes("'clockToleranceSeconds'"),
    )
})

test('R22 the profile fapi2 allows a minute of tolerance at most', async () => {
  await assert.doesNotReject(scene({ profile: 'fapi2', clockToleranceSeconds: 60 }))
  await assert.rejects(scene({ profile: 'fapi2', clockToleranceSeconds: 61 }), /option 'clockToleranceSeconds'/)
})

test('a clock that gives no number lets nothing pass', async () => {
  const { outcome } = await scene({ clock: () => Number.NaN })
  assert.equal(await outcome(), 'misconfigured')
  assert.equal(await outcome({ exp: 1 }), 'misconfigured')
})

test('all moments of one request come from one reading of the clock, or from the moment that is handed in', async () => {
  let read = 0
  const { verify, key } = await scene({
    clock: () => {
      read++
      return NOW
    },
  })
  await verify(formWith(assertionBy(key)))
  assert.equal(read, 1)
  assert.equal(await outcomeOf(verify(formWith(assertionBy(key)), { now: NOW + 1000 })), 'assertion_expired')
  assert.equal(read, 1)
})
