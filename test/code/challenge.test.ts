import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeChallengeOf, isCodeChallenge, isCodeVerifier, isVerifierOf } from '../../lib/code/code_challenge.ts'

// RFC 7636 appendix B.
const VERIFIER = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'

test('the verifier and challenge of RFC 7636 appendix B belong together', () => {
  assert.equal(codeChallengeOf(VERIFIER), CHALLENGE)
  assert.equal(isVerifierOf(VERIFIER, CHALLENGE), true)
})

test('T45 a verifier has 43 to 128 unreserved characters', () => {
  for (const good of ['a'.repeat(43), 'a'.repeat(128), `-._~${'Z9'.repeat(20)}`])
    assert.equal(isCodeVerifier(good), true)
  for (const bad of [
    '',
    'short',
    'a'.repeat(42),
    'a'.repeat(129),
    `${'a'.repeat(43)}\n`,
    `${'a'.repeat(43)}+`,
    'ä'.repeat(43),
  ])
    assert.equal(isCodeVerifier(bad), false, JSON.stringify(bad))
})

test('A15 a challenge has exactly 43 characters of base64url', () => {
  assert.equal(isCodeChallenge(CHALLENGE), true)
  for (const bad of [
    '',
    CHALLENGE.slice(1),
    `${CHALLENGE}A`,
    `${CHALLENGE.slice(1)}=`,
    `${CHALLENGE.slice(1)}+`,
    `${CHALLENGE}\n`,
  ])
    assert.equal(isCodeChallenge(bad), false, JSON.stringify(bad))
})

test('T45 only the S256 digest matches: not the verifier itself, not another one, not a challenge of another length', () => {
  assert.equal(isVerifierOf(CHALLENGE, CHALLENGE), false)
  assert.equal(isVerifierOf(VERIFIER, VERIFIER), false)
  assert.equal(isVerifierOf(`${VERIFIER.slice(0, -1)}K`, CHALLENGE), false)
  assert.equal(isVerifierOf(VERIFIER, CHALLENGE.slice(1)), false)
})
