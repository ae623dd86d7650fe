import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { openEnvelope } from '../../lib/assertion/envelope.ts'
import { createAssertionVerifier } from '../../lib/assertion/verify.ts'
import { OAuthError, REASONS } from '../../lib/errors.ts'
import { isCanonical } from '../../lib/keys/base64url.ts'
import { parseJsonObject } from '../../lib/remote/strict_json.ts'
import {
  assertionBy,
  CLIENT_ID,
  claimsOf,
  formWith,
  ISSUER,
  jws,
  NOW,
  SECRET,
  scene,
  sharedKey,
  testRegister,
} from '../support/assertions.ts'

/** Runs that are enough to find what is wrong, and few enough for a shared machine. */
const RUNS = { numRuns: 300 }

/** Whether a refusal of the verifier, and nothing else, came of it. */
async function isRefused(authenticated: Promise<unknown>): Promise<boolean> {
  try {
    await authenticated
    return false
  } catch (error) {
    assert.ok(error instanceof OAuthError, `not a refusal: ${String(error)}`)
    assert.ok(error.reason !== undefined && REASONS.includes(error.reason))
    assert.notEqual(error.reason, 'unexpected', String(error.cause))
    return true
  }
}

const anything = fc.anything({
  maxDepth: 3,
  withBigInt: true,
  withDate: true,
  withMap: true,
  withTypedArray: true,
  withNullPrototype: true,
  withObjectString: true,
})

test('no text makes the verifier do anything but refuse', async () => {
  const { verify, key } = await scene()
  const good = assertionBy(key)
  const base64urlText = fc.stringMatching(/^[A-Za-z0-9_-]{0,80}$/)
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.tuple(base64urlText, base64urlText, base64urlText).map((parts) => parts.join('.')),
    fc.array(base64urlText, { maxLength: 6 }).map((parts) => parts.join('.')),
    fc.tuple(fc.nat(good.length - 1), fc.string({ minLength: 1, maxLength: 1 })).map(([at, unit]) => {
      const changed = good.slice(0, at) + unit + good.slice(at + 1)
      return changed === good ? 'x' : changed
    }),
    fc.nat(good.length - 1).map((at) => good.slice(0, at) || 'x'),
  )
  await fc.assert(
    fc.asyncProperty(text, async (assertion) => assert.ok(await isRefused(verify(formWith(assertion))))),
    { numRuns: 1000 },
  )
})

test('no octets under a valid signature make the verifier do anything but refuse', async () => {
  const { verify, key } = await scene()
  const header = JSON.stringify({ alg: 'ES256' })
  const octets = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.json().map((text) => Buffer.from(text)),
    fc.tuple(fc.nat(150), fc.nat(255)).map(([at, octet]) => {
      const changed = Buffer.from(JSON.stringify(claimsOf({ exp: NOW - 1000 })))
      changed[at % changed.length] = octet
      return changed
    }),
  )
  await fc.assert(
    fc.asyncProperty(octets, async (payload) =>
      assert.ok(await isRefused(verify(formWith(jws(header, payload, 'ES256', key.privateKey))))),
    ),
    RUNS,
  )
})

test('no header under a valid signature is accepted unless it says nothing but the truth', async () => {
  const { verify, key } = await scene()
  const names = ['alg', 'typ', 'kid', 'crit', 'b64', 'cty', 'zip', 'enc', 'jwk', 'jku', 'x5c', '__proto__', 'toString']
  const header = fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), anything, { maxKeys: 5 })
  await fc.assert(
    fc.asyncProperty(header, fc.boolean(), async (members, sound) => {
      const whole = sound ? { ...members, alg: 'ES256' } : members
      let text: string
      try {
        text = JSON.stringify(whole)
      } catch {
        return
      }
      const refused = await isRefused(verify(formWith(jws(text, JSON.stringify(claimsOf()), 'ES256', key.privateKey))))
      const parsed = JSON.parse(text)
      const risky = ['crit', 'b64', 'enc', 'zip'].some((name) => Object.hasOwn(parsed, name))
      if (parsed.alg !== 'ES256' || risky || parsed.kid !== undefined) assert.ok(refused, text)
    }),
    RUNS,
  )
})

test('of all claim sets only those are accepted that name client, server, time and id as they should', async () => {
  const { verify, key } = await scene()
  const value = fc.oneof(
    anything,
    fc.constantFrom<unknown>(NOW, NOW + 60, NOW + 1e6, ISSUER, [ISSUER], CLIENT_ID, '', 0, -1, 1e308),
  )
  const change = fc.dictionary(fc.constantFrom('iss', 'sub', 'aud', 'exp', 'iat', 'nbf', 'jti', 'other'), value, {
    maxKeys: 4,
  })
  await fc.assert(
    fc.asyncProperty(change, async (changes) => {
      let text: string
      try {
        text = JSON.stringify(claimsOf(changes))
      } catch {
        return
      }
      const refused = await isRefused(verify(formWith(jws('{"alg":"ES256"}', text, 'ES256', key.privateKey))))
      if (refused) return
      const claims = JSON.parse(text)
      assert.equal(claims.iss, CLIENT_ID)
      assert.equal(claims.sub, CLIENT_ID)
      assert.ok([ISSUER, 'https://as.example.com/token'].includes([claims.aud].flat()[0]))
      assert.ok(Number.isFinite(claims.exp) && claims.exp > NOW - 15 && claims.exp <= NOW + 86_400)
      assert.ok(claims.iat === undefined || (claims.iat <= NOW + 15 && claims.iat > NOW - 315))
      assert.ok(claims.nbf === undefined || claims.nbf <= NOW + 15)
      assert.ok(typeof claims.jti === 'string' && claims.jti !== '')
    }),
    { numRuns: 600 },
  )
})

test('no client record makes the verifier throw anything but its refusal, or accept a stranger', async () => {
  const key = await sharedKey('ES256')
  const stranger = await sharedKey('ES256', 'stranger')
  let record: unknown
  const verify = createAssertionVerifier({
    issuer: ISSUER,
    clock: () => NOW,
    replayRegister: testRegister(),
    findClient: () => record as never,
    keySets: { fetch: () => Promise.reject(new Error('no network in this test')) },
  })
  const odd = fc.oneof(anything, fc.constantFrom<unknown>(key.jwk, [key.jwk], { keys: [key.jwk] }, key.privateJwk))
  const jwk = fc.dictionary(
    fc.constantFrom('kty', 'crv', 'x', 'y', 'n', 'e', 'k', 'd', 'use', 'key_ops', 'alg', 'kid'),
    odd,
  )
  const clients = fc.record(
    {
      client_id: fc.oneof({ weight: 9, arbitrary: fc.constant(CLIENT_ID) }, odd),
      token_endpoint_auth_method: fc.oneof(fc.constantFrom('private_key_jwt', 'client_secret_jwt'), odd),
      token_endpoint_auth_signing_alg: odd,
      client_secret: fc.oneof(odd, fc.array(fc.record({ value: odd, expires_at: odd }, { requiredKeys: [] }))),
      client_secret_expires_at: odd,
      jwks: fc.oneof(odd, fc.string(), fc.record({ keys: fc.oneof(odd, fc.array(fc.oneof(odd, jwk))) })),
      jwks_uri: fc.oneof(odd, fc.webUrl()),
    },
    { requiredKeys: ['client_id'] },
  )
  await fc.assert(
    fc.asyncProperty(fc.oneof({ weight: 9, arbitrary: clients }, odd), fc.boolean(), async (client, mac) => {
      record = client
      const assertion = mac
        ? jws('{"alg":"HS256"}', JSON.stringify(claimsOf()), 'HS256', SECRET)
        : assertionBy(stranger)
      assert.ok(await isRefused(verify(formWith(assertion))))
    }),
    { numRuns: 1000 },
  )
})

test('no parameters of any shape make the verifier throw anything but its refusal', async () => {
  const { verify } = await scene()
  const parameters = fc.oneof(
    anything,
    fc.dictionary(fc.constantFrom('client_assertion', 'client_assertion_type', 'client_id', 'client_secret'), anything),
  )
  await fc.assert(
    fc.asyncProperty(parameters, anything, async (body, request) => {
      assert.ok(await isRefused(verify(body as never, { request })))
    }),
    RUNS,
  )
})

test('a text is canonical base64url exactly when encoding its octets gives it back', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[A-Za-z0-9_-]{0,40}$/), (text) => {
      assert.equal(isCanonical(text), Buffer.from(text, 'base64url').toString('base64url') === text)
    }),
    { numRuns: 2000 },
  )
})

test('the strict parser gives what JSON.parse gives for every object without repeated names', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 })), fc.constantFrom(0, 2), (value, indent) => {
      const text = JSON.stringify(value, null, indent)
      assert.deepEqual(parseJsonObject(Buffer.from(text)), JSON.parse(text))
    }),
    { numRuns: 1000 },
  )
})

test('the strict parser refuses a repeated name wherever it is and however it is spelled', () => {
  const escaped = (name: string): string =>
    [...name].map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-z:"\\{}]{1,8}$/),
      fc.jsonValue({ maxDepth: 2 }),
      fc.nat(4),
      fc.boolean(),
      (name, value, depth, spelled) => {
        const second = spelled ? `"${escaped(name)}"` : JSON.stringify(name)
        const inner = `{${JSON.stringify(name)}:${JSON.stringify(value)},"other ":1,${second}:2}`
        const text = `{"a":`.repeat(depth) + inner + '}'.repeat(depth)
        assert.throws(() => parseJsonObject(Buffer.from(text)), /repeats a member name/)
      },
    ),
    { numRuns: 1000 },
  )
})

test('an envelope that opens is the only spelling of its octets', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 })),
      fc.uint8Array({ minLength: 1 }),
      (claims, signature) => {
        const parts = ['{"alg":"ES256"}', JSON.stringify(claims), signature].map((part) =>
          Buffer.from(part as string).toString('base64url'),
        )
        const { signingInput, signature: opened } = openEnvelope(parts.join('.'))
        assert.equal(`${signingInput}.${opened.toString('base64url')}`, parts.join('.'))
      },
    ),
    RUNS,
  )
})
