// Client assertions under the profile `smart`: the two worked examples of the SMART App Launch implementation guide
// (test/fixtures/smart_vectors.json: its public keys and its JWTs), and what the guide says of key sets.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAssertionVerifier } from '../../lib/assertion/verify.ts'
import type { Client } from '../../lib/client.ts'
import { assertionBy, formWith, NOW, newKey, outcomeOf, refusalOf, scene, testRegister } from '../support/assertions.ts'
import { readVectors } from '../support/vectors.ts'

const vectors = readVectors('smart_vectors.json')

const EXPIRES_AT = 1_422_568_860
const CLIENT_ID = 'https://bili-monitor.example.com'

/** The server of the guide, with a client that has these keys. */
function serverOfTheGuide(keys: readonly object[], now: number) {
  const client = { client_id: CLIENT_ID, token_endpoint_auth_method: 'private_key_jwt', jwks: { keys } } as Client
  return createAssertionVerifier({
    issuer: 'https://authorize.smarthealthit.org',
    tokenEndpoint: 'https://authorize.smarthealthit.org/token',
    profile: 'smart',
    findClient: (id) => (id === CLIENT_ID ? client : undefined),
    replayRegister: testRegister(),
    clock: () => now,
  })
}

for (const { name, alg, jwk, jws } of vectors)
  test(`SM1: ${name} authenticates its client a minute before exp, once, and with its own key only`, async () => {
    const verify = serverOfTheGuide([jwk], EXPIRES_AT - 60)
    const { client, authentication } = await verify(formWith(jws))
    assert.equal(client.client_id, CLIENT_ID)
    assert.equal(authentication.kid, jwk['kid'])
    assert.deepEqual(authentication.claims, {
      iss: CLIENT_ID,
      sub: CLIENT_ID,
      aud: 'https://authorize.smarthealthit.org/token',
      exp: EXPIRES_AT,
      jti: 'random-non-reusable-jwt-id-123',
    })
    assert.equal(await outcomeOf(verify(formWith(jws))), 'assertion_replayed')
    const other = { ...(await newKey(alg)).jwk, kid: jwk['kid'] }
    assert.equal(
      await outcomeOf(serverOfTheGuide([other], EXPIRES_AT - 60)(formWith(jws))),
      'assertion_signature_wrong',
    )
    const middle = jws.lastIndexOf('.') + 20
    const changed = jws.slice(0, middle) + (jws[middle] === 'A' ? 'B' : 'A') + jws.slice(middle + 1)
    assert.equal(
      await outcomeOf(serverOfTheGuide([jwk], EXPIRES_AT - 60)(formWith(changed))),
      'assertion_signature_wrong',
    )
  })

test('SM1: the worked examples are expired today, and too early more than five minutes before exp', async () => {
  for (const { jwk, jws } of vectors) {
    assert.equal(await outcomeOf(serverOfTheGuide([jwk], NOW)(formWith(jws))), 'assertion_expired')
    assert.equal(await outcomeOf(serverOfTheGuide([jwk], EXPIRES_AT - 300)(formWith(jws))), 'accepted')
    assert.equal(
      await outcomeOf(serverOfTheGuide([jwk], EXPIRES_AT - 400)(formWith(jws))),
      'assertion_lifetime_too_long',
    )
  }
})

test('SM2: under the profile smart the Cache-Control of a key set says how long it is used', async () => {
  const key = await newKey('ES384', 'k')
  for (const [cacheControl, lifetime] of [
    ['max-age=120', 120],
    ['no-store', 60],
    ['max-age=86400', 3600],
    [undefined, 600],
  ] as const) {
    let now = NOW
    const requests: string[] = []
    const accepts: unknown[] = []
    const verify = createAssertionVerifier({
      issuer: 'https://as.example.com',
      profile: 'smart',
      findClient: () =>
        ({
          client_id: 'client-1',
          token_endpoint_auth_method: 'private_key_jwt',
          jwks_uri: 'https://client.example/jwks',
        }) as Client,
      replayRegister: testRegister(),
      clock: () => now,
      keySets: {
        async fetch(url, init) {
          requests.push(String(url))
          accepts.push(new Headers(init?.headers).get('accept'))
          return Response.json(
            { keys: [key.jwk] },
            cacheControl === undefined ? {} : { headers: { 'cache-control': cacheControl } },
          )
        },
      },
    })
    const authenticate = () =>
      outcomeOf(verify(formWith(assertionBy(key, { iat: now, exp: now + 60 }, { kid: 'k', typ: 'JWT' }))))
    assert.equal(await authenticate(), 'accepted')
    now = NOW + lifetime - 1
    assert.equal(await authenticate(), 'accepted')
    assert.equal(requests.length, 1, cacheControl)
    now = NOW + lifetime
    assert.equal(await authenticate(), 'accepted')
    assert.equal(requests.length, 2, cacheControl)
    assert.match(String(accepts[0]), /application\/json/)
  }
})

test('SM2: a jku other than the registered jwks_uri, and a kid that two keys share, are invalid_client', async () => {
  const { key } = await scene({ profile: 'smart' }, {}, 'ES384')
  const named = { ...key.jwk, kid: 'k' }
  const jwks = { keys: [named] }
  const fetched: string[] = []
  const keySets = {
    fetch: async (url: string | URL | Request) => {
      fetched.push(String(url))
      return Response.json(jwks)
    },
  }
  const jwks_uri = 'https://client.example/jwks'
  const remote = await scene({ profile: 'smart', keySets }, { jwks: undefined, jwks_uri }, 'ES384')
  assert.equal(await remote.outcome({}, { kid: 'k', jku: jwks_uri }), 'accepted')
  const sent = formWith(assertionBy(key, {}, { kid: 'k', jku: 'https://other.example/jwks' }))
  const refused = await refusalOf(remote.verify(sent))
  assert.deepEqual([refused.code, refused.reason], ['invalid_client', 'assertion_header_not_allowed'])
  assert.deepEqual(fetched, [jwks_uri])

  const repeated = await scene({ profile: 'smart' }, { jwks: { keys: [named, { ...named }] } }, 'ES384')
  const twice = await refusalOf(repeated.verify(formWith(assertionBy(key, {}, { kid: 'k' }))))
  assert.deepEqual([twice.code, twice.reason], ['invalid_client', 'key_unusable'])
})
