import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createAssertionVerifier } from '../../lib/assertion/verify.ts'
import { REASONS } from '../../lib/errors.ts'
import {
  assertionBy,
  formWith,
  ISSUER,
  macScene,
  NOW,
  outcomeOf,
  SECRET,
  scene,
  TOKEN_ENDPOINT,
} from '../support/assertions.ts'

const page = readFileSync(new URL('../../docs/from-apiac.md', import.meta.url), 'utf8')

test('docs/from-apiac.md names every option of the seed, and only reasons that exist', () => {
  for (const option of [
    ...['client_callback', 'server_metadata_callback', 'jti_register', 'iat_max_interval', 'error_response_verbosity'],
    ...['protocol: :oidc', 'protocol: :rfc7523', 'set_error_response', 'save_authentication_failure_response'],
  ])
    assert.ok(page.includes(`\`${option}\``) || page.includes(`\`${option}`), option)
  const table = page.slice(page.indexOf('## Reasons'))
  const named = [...table.matchAll(/^\| [^|]+\|(.+)\|$/gm)].flatMap(([, ours = '']) =>
    [...ours.matchAll(/`(\w+)`/g)].map(([, reason]) => reason),
  )
  assert.ok(named.length > 12)
  for (const reason of named) assert.ok((REASONS as readonly (string | undefined)[]).includes(reason), reason)
})

test('with the options of the page it decides as the seed did', async () => {
  const seed = await scene({
    audience: [TOKEN_ENDPOINT],
    audienceForm: 'string',
    maxLifetimeSeconds: 31,
    clockToleranceSeconds: 0,
  })
  const aud = TOKEN_ENDPOINT
  assert.equal(await seed.outcome({ aud }), 'accepted')
  assert.equal(await seed.outcome({ aud: ISSUER }), 'assertion_audience_mismatch')
  assert.equal(await seed.outcome({ aud: [aud] }), 'assertion_audience_mismatch')
  assert.match(page, /^ {2}maxLifetimeSeconds: 31,/m)
  // the seed refused where now - iat > 30
  assert.equal(await seed.outcome({ aud, iat: NOW - 30, exp: NOW + 600 }), 'accepted')
  assert.equal(await seed.outcome({ aud, iat: NOW - 31, exp: NOW + 600 }), 'assertion_too_old')
  assert.equal(await seed.outcome({ aud, exp: NOW - 1 }), 'assertion_expired')
  assert.equal(await seed.outcome({ aud, nbf: NOW + 1 }), 'assertion_not_yet_valid')
  const kept = { aud, jti: 'kept' }
  assert.deepEqual([await seed.outcome(kept), await seed.outcome(kept)], ['accepted', 'assertion_replayed'])
})

test('rfc7523 without a register takes an assertion without jti, and one from another issuer', async () => {
  const { client, key } = await scene()
  const verify = createAssertionVerifier({
    issuer: ISSUER,
    profile: 'rfc7523',
    findClient: () => client,
    clock: () => NOW,
  })
  const form = formWith(assertionBy(key, { jti: undefined, iss: 'https://elsewhere.example' }))
  assert.equal(await outcomeOf(verify(form)), 'accepted')
  assert.equal(await outcomeOf(verify(form)), 'accepted')
})

test('claims are forwarded, and a kid does not stand in the way of a MAC', async () => {
  const { verify, outcome } = await macScene()
  assert.equal(await outcome(SECRET, {}, { kid: 'any' }), 'accepted')
  const { authentication } = await verify(formWith(assertionBy(await withSecret(), { extra: [1, 2] })))
  assert.deepEqual(authentication.claims?.['extra'], [1, 2])
})

/** A key in the sense of these helpers that makes MACs with the usual secret. */
async function withSecret() {
  return { alg: 'HS256', privateKey: SECRET as never, jwk: {}, privateJwk: {} }
}
