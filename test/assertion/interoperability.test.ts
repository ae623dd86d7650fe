import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  assertionBy,
  CLIENT_ID,
  formWith,
  ISSUER,
  NOW,
  outcomeOf,
  scene,
  TOKEN_ENDPOINT,
} from '../support/assertions.ts'

/** What a deployed client library sends, in everything that differs between them. */
interface Habit {
  readonly alg: string
  readonly claims: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
  /** Whether it sends `client_id` beside the assertion. */
  readonly clientId: boolean
}

const UUID = 'f3b0c442-98fc-4c14-9afb-f4c8996fb924'

const HABITS: Readonly<Record<string, Habit>> = {
  'oauth4webapi and openid-client 6': {
    alg: 'Ed25519',
    claims: { aud: ISSUER, iat: NOW, nbf: NOW, exp: NOW + 60, jti: 'Wm9vXzJfbm9uY2VfMzJfb2N0ZXRzX2xvbmdfX19fX18' },
    clientId: true,
  },
  'openid-client 5': { alg: 'RS256', claims: { aud: ISSUER, iat: NOW, exp: NOW + 60 }, clientId: true },
  'Spring Security': {
    alg: 'RS256',
    claims: { aud: TOKEN_ENDPOINT, iat: NOW, exp: NOW + 60, jti: UUID },
    clientId: true,
  },
  'Spring Security, audience as a list': {
    alg: 'ES256',
    claims: { aud: [TOKEN_ENDPOINT], iat: NOW, exp: NOW + 60, jti: UUID },
    clientId: true,
  },
  'Authlib, which claims an hour': {
    alg: 'RS256',
    claims: { aud: TOKEN_ENDPOINT, iat: NOW, exp: NOW + 3600, jti: 'aWkzYh7Q0pKo2e3n4r5t6y7u8i9o0p1a2s3d' },
    header: { typ: 'JWT' },
    clientId: false,
  },
  mod_auth_openidc: {
    alg: 'RS256',
    claims: { aud: TOKEN_ENDPOINT, iat: NOW, exp: NOW + 60, jti: 'x' },
    header: { x5t: 'dGhpcyBpcyBhIHRodW1icHJpbnQ' },
    clientId: false,
  },
  'MSAL Python, with fractions of seconds': {
    alg: 'PS256',
    claims: { aud: TOKEN_ENDPOINT, iat: NOW + 0.123456, exp: NOW + 600.123456, jti: UUID },
    header: { typ: 'JWT', 'x5t#S256': 'dGhpcyBpcyBhIHRodW1icHJpbnQgb2YgMzIgb2N0ZXRz' },
    clientId: true,
  },
  'MSAL Node, with its certificate': {
    alg: 'RS256',
    claims: { aud: TOKEN_ENDPOINT, iat: NOW, nbf: NOW, exp: NOW + 600, jti: UUID },
    header: { typ: 'JWT', x5t: 'dGhpcyBpcyBhIHRodW1icHJpbnQ', x5c: ['MIIC'.repeat(300)] },
    clientId: true,
  },
  'Duende, by RFC 10070': {
    alg: 'RS256',
    claims: { aud: ISSUER, iat: NOW, nbf: NOW, exp: NOW + 60, jti: UUID },
    header: { typ: 'client-authentication+jwt' },
    clientId: true,
  },
  'Keycloak, which claims ten seconds': {
    alg: 'RS256',
    claims: { aud: ISSUER, iat: NOW, nbf: NOW, exp: NOW + 10, jti: UUID },
    clientId: false,
  },
  'MCP connectors': {
    alg: 'RS256',
    claims: { aud: TOKEN_ENDPOINT, iat: NOW, exp: NOW + 300, jti: UUID },
    clientId: true,
  },
  'a client with nothing but the required claims': {
    alg: 'ES256',
    claims: { aud: TOKEN_ENDPOINT, iat: undefined, exp: NOW + 120, jti: '1' },
    clientId: false,
  },
  'a client whose clock is ten seconds ahead': {
    alg: 'ES256',
    claims: { aud: ISSUER, iat: NOW + 10, nbf: NOW + 10, exp: NOW + 70 },
    clientId: false,
  },
}

for (const [name, { alg, claims, header = {}, clientId }] of Object.entries(HABITS))
  test(`with the default options what ${name} sends is accepted`, async () => {
    const { verify, key } = await scene({}, {}, alg)
    const form = formWith(assertionBy(key, claims, { alg, ...header }), clientId ? { client_id: CLIENT_ID } : {})
    assert.equal(await outcomeOf(verify(form)), 'accepted')
    assert.equal(await outcomeOf(verify(form)), 'assertion_replayed')
  })

test('a client id that is a URL, as MCP clients have it, is a client id', async () => {
  const client_id = 'https://app.example.com/oauth/client-metadata.json'
  const { verify, key } = await scene({}, { client_id })
  const form = formWith(assertionBy(key, { iss: client_id, sub: client_id, aud: TOKEN_ENDPOINT }), { client_id })
  assert.equal(await outcomeOf(verify(form)), 'accepted')
})

test('MSAL sends one assertion for nine minutes: agreed upon for that client, it may', async () => {
  let now = NOW
  const { verify, key } = await scene({
    clock: () => now,
    perClient: () => ({ allowReuse: true, maxLifetimeSeconds: 600 }),
  })
  const form = formWith(assertionBy(key, { aud: TOKEN_ENDPOINT, exp: NOW + 600 }))
  for (const later of [0, 60, 300, 540, 599]) {
    now = NOW + later
    assert.equal(await outcomeOf(verify(form)), 'accepted', String(later))
  }
  now = NOW + 615
  assert.equal(await outcomeOf(verify(form)), 'assertion_expired')
})

test('openid-client 3 sent issuer and token endpoint as audiences: taken where audienceForm says so for that client', async () => {
  const claims = { aud: [ISSUER, TOKEN_ENDPOINT] }
  assert.equal(await (await scene()).outcome(claims), 'assertion_audience_mismatch')
  const agreed = await scene({ perClient: () => ({ audienceForm: 'containing' }) })
  assert.equal(await agreed.outcome(claims), 'accepted')
})
