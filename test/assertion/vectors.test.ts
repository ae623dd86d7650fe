import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Envelope, openEnvelope } from '../../lib/assertion/envelope.ts'
import { createAssertionVerifier } from '../../lib/assertion/verify.ts'
import { algorithmNamed } from '../../lib/keys/algorithms.ts'
import { decodeBase64url } from '../../lib/keys/base64url.ts'
import { createPublicKeys } from '../../lib/keys/public_keys.ts'
import { checkSignature, isMacOf, isSignedBy } from '../../lib/keys/signature.ts'
import { base64url, formWith, jws, newKey, outcomeOf, scene, testRegister } from '../support/assertions.ts'
import { readVectors, type Vector } from '../support/vectors.ts'

const vectors = readVectors('jws_vectors.json')

/** The parts of a vector as they are: some sign text that is no JSON. */
function raw(compact: string): Envelope {
  const [header = '', payload = '', signature = ''] = compact.split('.')
  return {
    header: {},
    claims: {},
    signingInput: `${header}.${payload}`,
    signature: Buffer.from(signature, 'base64url'),
  }
}

const algorithmOf = ({ alg }: Vector) => {
  const algorithm = algorithmNamed(alg)
  assert.ok(algorithm)
  return algorithm
}

for (const vector of vectors)
  test(`${vector.name} (${vector.alg}) verifies, and does not with an octet changed`, async () => {
    const algorithm = algorithmOf(vector)
    const envelope = raw(vector.jws)
    const changed = {
      ...envelope,
      signingInput: envelope.signingInput.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
    }
    const flipped = Buffer.from(envelope.signature)
    flipped[10] = (flipped[10] ?? 0) ^ 1
    const forged = { ...envelope, signature: flipped }
    if (algorithm.kty === 'oct') {
      const secret = decodeBase64url(vector.jwk['k']) ?? Buffer.alloc(0)
      assert.deepEqual(
        [envelope, changed, forged].map((each) => isMacOf(each, algorithm, secret)),
        [true, false, false],
      )
      return
    }
    const key = await createPublicKeys(16).get(vector.jwk, vector.alg)
    assert.ok(!('unusable' in key), JSON.stringify(key))
    for (const [each, expected] of [
      [envelope, true],
      [changed, false],
      [forged, false],
    ] as const) {
      assert.equal(isSignedBy(each, algorithm, key), expected)
      assert.equal(await checkSignature('pool', each, algorithm, key), expected)
    }
  })

test('the JWTs of RFC 7515 A.1 to A.3 are opened to the claims that the RFC prints', () => {
  for (const { jws: compact, alg } of vectors.slice(0, 3)) {
    const { header, claims } = openEnvelope(compact)
    assert.equal(header['alg'], alg)
    assert.deepEqual(claims, { iss: 'joe', exp: 1300819380, 'http://example.com/is_root': true })
  }
})

test('the unsecured JWT of RFC 7515 A.5 is refused', async () => {
  const { outcomeOfText } = await scene()
  const unsecured = `eyJhbGciOiJub25lIn0.${vectors[0]?.jws.split('.')[1]}.`
  assert.equal(await outcomeOfText(unsecured), 'assertion_malformed')
  assert.equal(await outcomeOfText(`${unsecured}AAAA`), 'assertion_algorithm_not_allowed')
})

test('the critical header of RFC 7515 appendix E is refused', async () => {
  const { outcomeOfText, key } = await scene()
  const header =
    '{"alg":"ES256",\r\n "crit":["http://example.invalid/UNDEFINED"],\r\n "http://example.invalid/UNDEFINED":true\r\n}'
  assert.equal(await outcomeOfText(jws(header, '{"sub":"x"}', 'ES256', key.privateKey)), 'assertion_header_not_allowed')
})

// RFC 7523 §4 prints header and claims of its example and leaves the signature out; here they are signed.
const HEADER_7523 = '{"alg":"ES256","kid":"16"}'
const CLAIMS_7523 = `{"iss":"https://jwt-idp.example.com",
 "sub":"mailto:mike@example.com",
 "aud":"https://jwt-rp.example.net",
 "nbf":1300815780,
 "exp":1300819380,
 "http://claims.example.com/member":true}`

test('the example of RFC 7523 section 4, signed: taken by the profile rfc7523, in its hour', async () => {
  assert.equal(base64url(HEADER_7523), 'eyJhbGciOiJFUzI1NiIsImtpZCI6IjE2In0')
  const key = await newKey('ES256', '16')
  const form = formWith(jws(HEADER_7523, CLAIMS_7523, 'ES256', key.privateKey))
  const verifier = (options: object) =>
    createAssertionVerifier({
      issuer: 'https://jwt-rp.example.net',
      findClient: (client_id) => ({
        client_id,
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [key.jwk] },
      }),
      replayRegister: testRegister(),
      ...options,
    })
  const hour = { profile: 'rfc7523', maxLifetimeSeconds: 3600 }
  const { client, authentication } = await verifier(hour)(form, { now: 1300815780 })
  assert.equal(client.client_id, 'mailto:mike@example.com')
  assert.equal(authentication.kid, '16')
  assert.equal(authentication.claims?.['http://claims.example.com/member'], true)
  assert.equal(await outcomeOf(verifier(hour)(form, { now: 1300815780 - 16 })), 'assertion_not_yet_valid')
  assert.equal(await outcomeOf(verifier(hour)(form, { now: 1300819380 + 15 })), 'assertion_expired')
  assert.equal(
    await outcomeOf(verifier({ profile: 'rfc7523' })(form, { now: 1300815780 })),
    'assertion_lifetime_too_long',
  )
  assert.equal(await outcomeOf(verifier({})(form, { now: 1300815780 })), 'assertion_issuer_mismatch')
})

test('the request of RFC 7523 section 2.2 is one for authentication by assertion: its parameters are understood', async () => {
  const { verify } = await scene()
  const printed = Object.fromEntries(
    new URLSearchParams(
      'grant_type=authorization_code&code=n0esc3NRze7LTCu7iYzS6a5acc3f0ogp4&' +
        'client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&' +
        'client_assertion=eyJhbGciOiJSUzI1NiIsImtpZCI6IjIyIn0.eyJpc3Mi.cC4hiUPo',
    ),
  )
  assert.equal(await outcomeOf(verify(printed)), 'assertion_malformed') // the RFC shortens the token
})
