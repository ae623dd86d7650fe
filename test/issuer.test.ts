import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { createAssertionVerifier, createMetadata, createTokens, getWellKnownPaths } from '../lib/index.ts'
import { isIssuer } from '../lib/issuer.ts'
import { createCodeGrant, createSealedTransactions, respondWithAuthorizationError } from '../lib/oauth2orize/index.ts'

const GOOD = [
  'https://as.example.com',
  'https://as.example.com/',
  'https://as.example.com:8443/tenant/a',
  'HTTPS://AS.example.com',
  'http://localhost:3000',
  'http://[::1]:3000',
  'http://as.internal',
  'https://as.example.com/path@home',
]
const BAD: readonly unknown[] = [
  undefined,
  null,
  7,
  '',
  ' https://as.example.com',
  'https://as.example.com ',
  'https://as.example.com/\n',
  'https://as.exa mple.com',
  'foo:bar',
  'as.example.com',
  '//as.example.com',
  'https:as.example.com',
  'https://',
  'ftp://as.example.com',
  'https://as.example.com?',
  'https://as.example.com?tenant=a',
  'https://as.example.com#',
  'https://as.example.com\\x',
  'https://user@as.example.com',
  'https://ä.example.com',
  'https://as.example.com:99999',
]

// Each constructor that has an issuer; whatever else it needs, the issuer is checked first.
const CONSTRUCTORS: Readonly<Record<string, (issuer: never) => unknown>> = {
  createAssertionVerifier: (issuer) => createAssertionVerifier({ issuer } as never),
  createTokens: (issuer) => createTokens({ issuer } as never),
  codeGrant: (issuer) => createCodeGrant({ issuer } as never),
  authorizationErrors: (issuer) => respondWithAuthorizationError({ issuer }),
  sealedTransactions: (issuer) => createSealedTransactions({ issuer } as never),
  getWellKnownPaths: (issuer) => getWellKnownPaths(issuer),
  createMetadata: (issuer) => createMetadata({ issuer } as never),
}

for (const [name, construct] of Object.entries(CONSTRUCTORS)) {
  test(`R15: ${name} refuses an issuer that is no absolute http(s) URL without query, fragment and blanks`, () => {
    for (const issuer of BAD)
      assert.throws(
        () => construct(issuer as never),
        (error) =>
          error instanceof TypeError && /option 'issuer' must be an absolute http\(s\) URL/.test(error.message),
        String(issuer),
      )
  })
}

test('R15: an issuer is accepted as it is written: with a path, a port, a slash at the end, or http:', () => {
  for (const issuer of GOOD) assert.equal(isIssuer(issuer), true, issuer)
})

const warningsOf = (environment: string, ...issuers: string[]): string => {
  const program = `
    import { requireIssuer } from './lib/issuer.ts'
    for (const issuer of ${JSON.stringify(issuers)}) requireIssuer(issuer)
  `
  const args = ['--import', 'tsx', '--input-type=module', '--eval', program]
  const { stderr, status } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    env: { ...process.env, NODE_ENV: environment },
  })
  assert.equal(status, 0, stderr)
  return stderr
}

test('R15: an http: issuer outside the loopback interface is warned about once, with NODE_ENV=production', () => {
  const told = warningsOf('production', 'http://a.example', 'http://b.example')
  assert.equal(told.match(/CLIENT_ASSERTION_JWT_HTTP_ISSUER/g)?.length, 1, told)
  assert.match(told, /http:\/\/a\.example/)
  assert.equal(warningsOf('development', 'http://a.example'), '')
  const loopback = [
    'http://localhost:3000',
    'http://as.localhost',
    'http://127.0.0.1',
    'http://127.1.2.3:80',
    'http://[::1]',
  ]
  assert.equal(warningsOf('production', ...loopback, 'https://a.example'), '')
  assert.notEqual(warningsOf('production', 'http://localhost.example.com'), '')
})

test('R15: what a function gives as issuer is checked for each request', async () => {
  const verify = createAssertionVerifier({
    issuer: () => 'https://as.example?x',
    replayRegister: false,
    findClient: () => undefined,
  })
  const client_assertion = ['{"alg":"ES256"}', '{"sub":"a","iss":"a"}', 'x']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.')
  const client_assertion_type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
  await assert.rejects(verify({ client_assertion, client_assertion_type }), { reason: 'client_unknown' })
  const known = createAssertionVerifier({
    issuer: () => 'https://as.example?x',
    replayRegister: false,
    findClient: (client_id) => ({ client_id, token_endpoint_auth_method: 'private_key_jwt' }),
  })
  await assert.rejects(known({ client_assertion, client_assertion_type }), { reason: 'misconfigured', status: 500 })
})
