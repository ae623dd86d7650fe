import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { test } from 'node:test'
import { createCookie } from '../../examples/cookies.ts'

const VALUE = 'v'.repeat(43)

/** The `Set-Cookie` header that the cookie writes, and what it reads from a `Cookie` header. */
function cookieOf(issuer: string) {
  const cookie = createCookie('login', issuer)
  let written = ''
  cookie.write(
    { appendHeader: (_name: string, value: string) => (written = value) } as unknown as ServerResponse,
    VALUE,
  )
  const read = (header: string) => cookie.read({ headers: { cookie: header } } as IncomingMessage)
  return { written, name: written.slice(0, written.indexOf('=')), read }
}

test('over https it is bound to its host, however the issuer spells the scheme', () => {
  for (const issuer of ['https://id.example.com', 'HTTPS://id.example.com'])
    assert.match(cookieOf(issuer).written, /^__Host-login_[0-9a-f]{8}=v{43}; Path=\/; HttpOnly; Secure; SameSite=Lax$/)
  assert.match(cookieOf('http://localhost:3000').written, /^login_[0-9a-f]{8}=v{43}; Path=\/; HttpOnly; SameSite=Lax$/)
})

test('only that very name is read: a name with something before it is what another host may have set', () => {
  const { name, read } = cookieOf('https://id.example.com')
  assert.equal(read(`a=b; ${name}=${VALUE}`), VALUE)
  assert.equal(read(`a=b;\t${name} = ${VALUE} `), VALUE)
  for (const before of ['\u00a0', '\ufeff', '\u2003', '\v', '\f', 'x', '-'])
    assert.equal(read(`${before}${name}=${VALUE}`), undefined, JSON.stringify(before))
  assert.equal(read(`${name.toUpperCase()}=${VALUE}`), undefined)
  assert.equal(read(`${name}=${VALUE}x`), undefined)
})
