import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createAssertionVerifier } from '../../lib/assertion/verify.ts'
import { assertionBy, formWith, ISSUER, outcomeOf, scene, TOKEN_ENDPOINT, testRegister } from '../support/assertions.ts'

const TYPED = { typ: 'client-authentication+jwt' }
const PAR = 'https://as.example.com/par'
const REVOKE = 'https://as.example.com/revoke'
const NO = 'assertion_audience_mismatch'

test('R12 the profile oidc takes the issuer or the token endpoint, and for an assertion typed by RFC 10070 the issuer only', async () => {
  const { outcome } = await scene()
  assert.equal(await outcome({ aud: ISSUER }), 'accepted')
  assert.equal(await outcome({ aud: TOKEN_ENDPOINT }), 'accepted')
  assert.equal(await outcome({ aud: ISSUER }, TYPED), 'accepted')
  assert.equal(await outcome({ aud: ISSUER }, { typ: 'Application/Client-Authentication+JWT' }), 'accepted')
  assert.equal(await outcome({ aud: TOKEN_ENDPOINT }, TYPED), NO)
  for (const aud of [undefined, '', 'https://evil.example', PAR]) assert.equal(await outcome({ aud }), NO)
})

test('R12 the profiles rfc10070 and fapi2 take the issuer only', async () => {
  for (const profile of ['rfc10070', 'fapi2'] as const) {
    const { outcome } = await scene({ profile })
    assert.equal(await outcome({ aud: ISSUER }), 'accepted')
    assert.equal(await outcome({ aud: TOKEN_ENDPOINT }), NO)
  }
})

test('R12 the option audience overrides what a profile says, for every typ and endpoint', async () => {
  const { outcome } = await scene({ audience: ['urn:as', 'https://old.example/token'] })
  assert.equal(await outcome({ aud: 'urn:as' }), 'accepted')
  assert.equal(await outcome({ aud: 'https://old.example/token' }, TYPED), 'accepted')
  assert.equal(await outcome({ aud: ISSUER }), NO)
  assert.equal(await outcome({ aud: REVOKE }, {}, { endpoint: REVOKE }), NO)
})

test('R12 at another endpoint its advertised URL is taken too, by the profiles that take the token endpoint', async () => {
  for (const profile of ['oidc', 'rfc7523', 'rfc10070'] as const) {
    const { outcome } = await scene({ profile })
    const expected = profile === 'rfc10070' ? NO : 'accepted'
    assert.equal(await outcome({ aud: REVOKE }, {}, { endpoint: REVOKE }), expected, profile)
    assert.equal(await outcome({ aud: REVOKE }), NO)
    assert.equal(await outcome({ aud: REVOKE }, TYPED, { endpoint: REVOKE }), NO)
    assert.equal(await outcome({ aud: ISSUER }, {}, { endpoint: REVOKE }), 'accepted')
  }
})

test('R12 perClient may name the audiences of one client', async () => {
  const { outcome } = await scene({ perClient: () => ({ audience: ['legacy'] }) })
  assert.equal(await outcome({ aud: 'legacy' }), 'accepted')
  assert.equal(await outcome({ aud: ISSUER }), NO)
})

test('R13 aud is one string, alone or alone in an array', async () => {
  const { outcome } = await scene()
  assert.equal(await outcome({ aud: [ISSUER] }), 'accepted')
  for (const aud of [
    [],
    [ISSUER, ISSUER],
    [ISSUER, 'evil'],
    [ISSUER, null],
    [null],
    5,
    true,
    null,
    {},
    { 0: ISSUER, length: 1 },
    [[ISSUER]],
  ])
    assert.equal(await outcome({ aud }), NO, JSON.stringify(aud))
})

test('R13 the profile fapi2 takes a plain string only, fapi1 an array that contains an accepted value', async () => {
  const fapi2 = await scene({ profile: 'fapi2' })
  assert.equal(await fapi2.outcome({ aud: [ISSUER] }), NO)
  const fapi1 = await scene({ profile: 'fapi1', pushedAuthorizationRequestEndpoint: PAR })
  for (const aud of [ISSUER, TOKEN_ENDPOINT, PAR, ['https://other.example', PAR], [ISSUER, TOKEN_ENDPOINT]])
    assert.equal(await fapi1.outcome({ aud }), 'accepted', JSON.stringify(aud))
  for (const aud of [[], ['https://other.example'], [ISSUER, 5], [ISSUER, null]])
    assert.equal(await fapi1.outcome({ aud }), NO, JSON.stringify(aud))
})

test('R14 audiences are compared byte for byte', async () => {
  const { outcome } = await scene()
  for (const aud of [
    `${ISSUER}/`,
    'HTTPS://as.example.com',
    'https://AS.example.com',
    'https://as.example.com:443',
    'https://as.example.com/%74oken',
    'https://as.example.com//token',
    `${TOKEN_ENDPOINT}/`,
    `${TOKEN_ENDPOINT}?`,
    ` ${ISSUER}`,
    'https://as.example.com/Token',
  ])
    assert.equal(await outcome({ aud }), NO, aud)
})

test('R15 the issuer is configuration: without it there is no verifier, and Host is never looked at', async () => {
  const rest = { findClient: () => undefined, replayRegister: testRegister() }
  for (const issuer of [undefined, '', 'as.example.com', 5, 'https://as.example.com#x'])
    assert.throws(
      () => createAssertionVerifier({ ...rest, issuer: issuer as string }),
      (error: unknown) => error instanceof TypeError && error.message.includes("'issuer'"),
      String(issuer),
    )
  const { outcome } = await scene()
  const request = { headers: { host: 'evil.example' }, url: '/token' }
  assert.equal(await outcome({ aud: 'https://evil.example' }, {}, { request }), NO)
  assert.equal(await outcome({ aud: 'https://evil.example/token' }, {}, { request }), NO)
})

test('R15 issuer, token endpoint and audience may depend on the request, for several issuers in one process', async () => {
  const register = testRegister()
  const { verify, key } = await scene({
    replayRegister: register,
    issuer: ({ request }) => `https://${(request as { tenant: string }).tenant}.example`,
    tokenEndpoint: ({ request }) => `https://${(request as { tenant: string }).tenant}.example/token`,
  })
  const of = (tenant: string) => ({ request: { tenant } })
  const shared = { jti: 'the same' }
  for (const tenant of ['a', 'b']) {
    const aud = `https://${tenant}.example`
    assert.equal(await outcomeOf(verify(formWith(assertionBy(key, { aud, ...shared })), of(tenant))), 'accepted')
    assert.equal(await outcomeOf(verify(formWith(assertionBy(key, { aud: `${aud}/token` })), of(tenant))), 'accepted')
  }
  assert.equal(await outcomeOf(verify(formWith(assertionBy(key, { aud: 'https://a.example' })), of('b'))), NO)
  assert.deepEqual(
    register.remembered.filter(({ jti }) => jti === 'the same').map(({ issuer }) => issuer),
    ['https://a.example', 'https://b.example'],
  )
  const broken = await scene({ issuer: () => '' })
  assert.equal(await broken.outcome(), 'misconfigured')
  const listed = await scene({ audience: () => ['x'] })
  assert.equal(await listed.outcome({ aud: 'x' }), 'accepted')
})

test('R12: rfc10070 accepts the issuer alone; the security page names it against audience injection, and hides no ids', async () => {
  const aud = TOKEN_ENDPOINT
  assert.equal(await (await scene()).outcome({ aud }), 'accepted')
  assert.equal(
    await (await scene()).outcome({ aud }, { typ: 'client-authentication+jwt' }),
    'assertion_audience_mismatch',
  )
  assert.equal(await (await scene({ profile: 'rfc10070' })).outcome({ aud }), 'assertion_audience_mismatch')
  const page = readFileSync('docs/security.md', 'utf8').replace(/\s+/g, ' ')
  assert.match(page, /audience injection[^|]*`profile: 'rfc10070'`/)
  assert.match(page, /do not take the same time/)
  assert.doesNotMatch(page, /learn which clients exist|look alike/)
})
