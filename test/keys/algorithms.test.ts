import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { test } from 'node:test'
import {
  ALL_ALGORITHMS,
  type Algorithm,
  algorithmNamed,
  KEY_PAIR_ALGORITHMS,
  SIGNING_ALGORITHMS,
  signingAlgorithm,
} from '../../lib/keys/algorithms.ts'
import { checkSignature, isMacOf, isSignedBy, macOf, signatureOf, signatureOfInPool } from '../../lib/keys/signature.ts'
import { isPromise } from '../../lib/maybe_promise.ts'

/** A fresh key pair by what the table says, and nothing else. */
function pairFor({ keyType, namedCurve, leastBits }: Algorithm) {
  const generate = generateKeyPairSync as unknown as (
    type: string,
    options: object,
  ) => ReturnType<typeof generateKeyPairSync>
  return generate(keyType, { modulusLength: leastBits, namedCurve })
}

test('the table says enough to make a key, sign and verify, for each algorithm', async () => {
  for (const alg of new Set([...ALL_ALGORITHMS, ...SIGNING_ALGORITHMS])) {
    const algorithm = algorithmNamed(alg)
    assert.ok(algorithm)
    if (algorithm.kind === 'mac') {
      const secret = Buffer.alloc(algorithm.leastBits / 8, 7)
      const signature = macOf('a.b', algorithm, secret)
      assert.equal(signature.length * 8, algorithm.leastBits, alg)
      assert.ok(isMacOf({ signingInput: 'a.b', signature }, algorithm, secret))
      assert.ok(!isMacOf({ signingInput: 'a.c', signature }, algorithm, secret))
      continue
    }
    const { publicKey, privateKey } = pairFor(algorithm)
    const jwk = publicKey.export({ format: 'jwk' })
    assert.deepEqual([jwk.kty, jwk.crv], [algorithm.kty, algorithm.curve], alg)
    for (const signature of [
      signatureOf('a.b', algorithm, privateKey),
      await signatureOfInPool('a.b', algorithm, privateKey),
    ]) {
      assert.ok(isSignedBy({ signingInput: 'a.b', signature }, algorithm, publicKey), alg)
      assert.ok(await checkSignature('pool', { signingInput: 'a.b', signature }, algorithm, publicKey), alg)
      assert.ok(!isSignedBy({ signingInput: 'a.c', signature }, algorithm, publicKey), alg)
    }
  }
})

test('signatures take the threads of the pool that are to spare, and this thread when there is none', async () => {
  const algorithm = signingAlgorithm('ES256')
  const threads = Number(process.env['UV_THREADPOOL_SIZE']) || 4
  const spare = Math.min(availableParallelism(), threads) - 1
  const { publicKey, privateKey } = pairFor(algorithm)
  const signed = { signingInput: 'a.b', signature: signatureOf('a.b', algorithm, privateKey) }
  const wrong = { ...signed, signingInput: 'a.c' }
  for (const round of ['first', 'after all threads were given back']) {
    const outcomes = Array.from({ length: spare }, (_, index) =>
      checkSignature('pool', index === 0 ? wrong : signed, algorithm, publicKey),
    )
    assert.ok(outcomes.every(isPromise), round)
    assert.equal(checkSignature('pool', signed, algorithm, publicKey), true, round)
    assert.equal(checkSignature('pool', wrong, algorithm, publicKey), false, round)
    assert.deepEqual(
      await Promise.all(outcomes),
      outcomes.map((_, index) => index > 0),
    )
  }
  assert.equal(checkSignature('sync', signed, algorithm, publicKey), true)
})

test('the lists that follow from the table are the published ones, in their order', () => {
  const published = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 Ed25519 EdDSA HS256 HS384 HS512'.split(' ')
  assert.deepEqual(ALL_ALGORITHMS, published)
  assert.deepEqual(KEY_PAIR_ALGORITHMS, published.slice(0, 11))
  assert.deepEqual(
    [...SIGNING_ALGORITHMS].sort(),
    'ES256 ES384 Ed25519 Ed448 EdDSA HS256 HS384 HS512 PS256 RS256'.split(' '),
  )
  for (const alg of SIGNING_ALGORITHMS) assert.equal(signingAlgorithm(alg).inTokens, true)
  for (const name of ['none', 'constructor', '__proto__', 'hs256', '']) assert.equal(algorithmNamed(name), undefined)
})

test('no file of lib/ derives a fact from the name of an algorithm or of a method', () => {
  const apart = /startsWith\('(?:HS|RS|PS|ES|Ed|ML)|\balg(?:orithm)?\.(?:slice|substring|replace)\(|endsWith\('_/
  const files = readdirSync('lib', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  assert.ok(files.length > 100)
  assert.deepEqual(
    files.filter((name) => apart.test(readFileSync(`lib/${name}`, 'utf8'))),
    [],
  )
})
