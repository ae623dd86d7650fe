import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { hmac, hmacKey } from '../../lib/hmac.ts'

for (const hash of ['sha256', 'sha384', 'sha512'] as const) {
  test(`${hash}: what createHmac gives, for secrets and texts of every length around the blocks`, () => {
    for (let octets = 1; octets <= 300; octets++) {
      const secret = randomBytes(octets)
      const key = hmacKey(hash, secret)
      const text = randomBytes(octets * 3).toString('base64url')
      assert.deepEqual(hmac(key, text), createHmac(hash, secret).update(text).digest())
      assert.deepEqual(hmac(key, ''), createHmac(hash, secret).update('').digest(), 'the key can be used again')
    }
  })

  test(`${hash}: a secret of text counts as its UTF-8 octets`, () => {
    const secret = 'gehеimnis ü 漢字 '.repeat(12)
    assert.deepEqual(hmac(hmacKey(hash, secret), 'a.b'), createHmac(hash, secret).update('a.b').digest())
  })
}

test('two texts that differ only above their low octets have different MACs', () => {
  const key = hmacKey('sha256', randomBytes(32))
  for (const text of ['\u0141.b', 'ü.b', '漢.b', '\ud83d\ude00.b', '\ud800.b']) {
    assert.notDeepEqual(hmac(key, text), hmac(key, 'A.b'))
  }
  const secret = randomBytes(32)
  for (const text of ['\u0141.b', 'ü.b', '漢.b', '\ud83d\ude00.b', '\ud800.b'])
    assert.deepEqual(hmac(hmacKey('sha256', secret), text), createHmac('sha256', secret).update(text).digest())
})

test('RFC 4231 test case 2', () => {
  const expected = '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'
  assert.equal(hmac(hmacKey('sha256', 'Jefe'), 'what do ya want for nothing?').toString('hex'), expected)
})
