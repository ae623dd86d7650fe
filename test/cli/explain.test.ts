import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ASSERTION_TYPE } from '../../lib/assertion/presented.ts'
import type { AssertionProfile } from '../../lib/assertion/profiles.ts'
import { createAssertionVerifier } from '../../lib/assertion/verify.ts'
import { type CheckResult as Check, explainAssertion } from '../../lib/cli/explanation.ts'
import type { Client } from '../../lib/client.ts'
import { OAuthError } from '../../lib/errors.ts'
import { type AssertionOverrides, createTestClient, type TestClient } from '../../lib/testing/test_client.ts'
import { command, folderWith } from '../support/command_line.ts'
import { blocksOf } from '../support/markdown.ts'

const issuer = 'https://op.example'
const tokenEndpoint = 'https://op.example/token'
const now = 1_800_000_000
const clock = () => now
const server = ['--issuer', issuer, '--token-endpoint', tokenEndpoint, '--now', String(now)]

const testClient = (options: { alg?: string; client?: Partial<Client> } = {}): Promise<TestClient> =>
  createTestClient({ issuer, clock, ...options })

const reasonOf = async (client: Client, assertion: string, profile: AssertionProfile) => {
  const verify = createAssertionVerifier({
    ...{ issuer, tokenEndpoint, profile, replayRegister: false, misconfiguredClient: 'refuse' },
    findClient: (id) => (id === client.client_id ? client : undefined),
  })
  const parameters = {
    client_assertion_type: ASSERTION_TYPE,
    client_assertion: assertion,
  }
  return verify(parameters, { now }).then(
    () => undefined,
    (error: unknown) => (error instanceof OAuthError ? error.reason : error),
  )
}

/** What is wrong with each, beside what the profile makes of it. */
const VARIANTS: Readonly<Record<string, AssertionOverrides>> = {
  'a sound one': {},
  'one for the token endpoint': { audience: tokenEndpoint, header: { typ: undefined } },
  'one for the token endpoint with the typ that forbids it': { audience: tokenEndpoint },
  'one for two': { audience: [issuer, tokenEndpoint], header: { typ: 'JWT' } },
  'one for somebody else': { audience: 'https://other.example' },
  'an access token': { header: { typ: 'at+jwt' } },
  'one with crit': { header: { crit: ['x'] } },
  'one without alg': { header: { alg: undefined } },
  'one that is not signed': { header: { alg: 'none' } },
  'one with another alg': { header: { alg: 'RS256' } },
  'one without kid': { header: { kid: undefined } },
  'one with a kid that is no text': { header: { kid: 5 } },
  'one with an unknown kid': { header: { kid: 'unknown' } },
  'one without sub': { claims: { sub: undefined } },
  'one of an unknown client': { claims: { sub: 'stranger', iss: 'stranger' } },
  'one with another iss': { claims: { iss: 'stranger' } },
  'an expired one': { now: now - 1000 },
  'one of the future': { now: now + 600 },
  'one that lives an hour': { lifetimeSeconds: 3600 },
  'one that lives a week': { lifetimeSeconds: 604_800 },
  'one without exp': { claims: { exp: undefined } },
  'one without iat': { claims: { iat: undefined } },
  'one with an nbf ahead': { claims: { nbf: now + 100 } },
  'one without jti': { claims: { jti: undefined } },
  'one with an empty jti': { claims: { jti: '' } },
  'one by a foreign key': { foreignKey: true },
  'one that is too large': { claims: { more: 'x'.repeat(20_000) } },
  'one with several faults': { audience: 'x', now: now - 1000, foreignKey: true, claims: { jti: undefined } },
}

for (const profile of ['oidc', 'rfc7523', 'rfc10070', 'fapi1', 'fapi2', 'smart'] as const) {
  test(`explain finds first what the verifier refuses with, in the profile ${profile}`, async () => {
    for (const alg of ['ES256', 'ES384', 'HS256']) {
      const client = await testClient({ alg })
      for (const [what, overrides] of Object.entries(VARIANTS)) {
        const assertion = await client.assertion(overrides)
        const options = { issuer, tokenEndpoint, profile }
        const { reason, verdict } = await explainAssertion({ assertion, options, client: client.client, now })
        const verified = await reasonOf(client.client, assertion, profile)
        assert.equal(reason, verified, `${what}, ${alg}`)
        assert.equal(verdict, verified === undefined ? 'accepted' : 'refused', `${what}, ${alg}`)
      }
    }
  })
}

test('explain finds what is wrong with a registration as the verifier does', async () => {
  const registrations: readonly Partial<Client>[] = [
    { token_endpoint_auth_method: 'client_secret_jwt' },
    { token_endpoint_auth_method: 'client_secret_basic' },
    { token_endpoint_auth_signing_alg: 'RS256' },
    { jwks: { keys: [] } },
    { jwks: { keys: [{ kty: 'EC' }] } },
    { jwks: 'not JSON' },
    { jwks_uri: 'https://client.example/jwks' },
  ]
  for (const registration of registrations) {
    const client = await testClient({ client: registration })
    const assertion = await client.assertion()
    const { reason } = await explainAssertion({ assertion, options: { issuer }, client: client.client, now })
    const verified = await reasonOf(client.client, assertion, 'oidc')
    assert.notEqual(verified, undefined)
    assert.equal(reason, verified, JSON.stringify(registration).slice(0, 60))
  }
})

test('explain goes on after a check that failed, and skips only what depends on it', async () => {
  const client = await testClient()
  const assertion = await client.assertion({ audience: 'x', claims: { jti: undefined }, now: now - 1000 })
  const { checks } = await explainAssertion({ assertion, options: { issuer }, client: client.client, now })
  const outcomes = Object.fromEntries(checks.map(({ name, outcome }: Check) => [name, outcome]))
  assert.deepEqual(
    [outcomes['aud'], outcomes['time'], outcomes['jti'], outcomes['signature']],
    ['failed', 'failed', 'failed', 'passed'],
  )
  const garbage = await explainAssertion({ assertion: 'no JWT', options: { issuer }, client: client.client, now })
  assert.equal(garbage.reason, 'assertion_malformed')
  assert.deepEqual([...new Set(garbage.checks.slice(2).map(({ outcome }) => outcome))], ['skipped'])
})

test('explain has one title for each check, and reports a missing kid where the profile demands one, once', async () => {
  const client = await testClient({ alg: 'ES384' })
  for (const header of [{}, { kid: undefined }]) {
    const assertion = await client.assertion({ header })
    const options = { issuer, tokenEndpoint, profile: 'smart' } as const
    const { checks } = await explainAssertion({ assertion, options, client: client.client, now })
    const titles = checks.map(({ title }) => title)
    assert.deepEqual(titles, [...new Set(titles)])
    const aboutKid = checks.filter(({ name }) => name.startsWith('kid')).map(({ title, outcome }) => [title, outcome])
    assert.deepEqual(aboutKid, [
      ['The key id, if present, is a string', 'passed'],
      ['The key id (kid) is present, as the profile requires', 'kid' in header ? 'failed' : 'passed'],
    ])
  }
})

test('explain refuses in the words of the verifier: too large, no kid', async () => {
  const client = await testClient({ alg: 'ES384' })
  for (const overrides of [{ claims: { more: 'x'.repeat(20_000) } }, { header: { kid: undefined } }]) {
    const assertion = await client.assertion(overrides)
    const options = { issuer, tokenEndpoint, profile: 'smart' } as const
    const { checks } = await explainAssertion({ assertion, options, client: client.client, now })
    const verify = createAssertionVerifier({ ...options, replayRegister: false, findClient: () => client.client })
    const parameters = { client_assertion_type: ASSERTION_TYPE, client_assertion: assertion }
    const failed = checks.find(({ outcome }) => outcome === 'failed')
    await assert.rejects(verify(parameters, { now }), { reason: failed?.reason, detail: failed?.detail })
  }
})

test('explain tells by its exit status: 0 all passed, 1 refused, 3 not everything could be checked, 2 not carried out', async (t) => {
  const client = await testClient()
  const { path, remove } = folderWith({
    'client.json': client.client,
    'jwks.json': client.jwks,
    'list.json': [{ client_id: 'x' }, client.client],
    'text.json': 'no JSON',
  })
  t.after(remove)
  const sound = await client.assertion()
  const record = ['--client', path('client.json')]
  const status = async (...args: string[]): Promise<number> => (await command(['explain', ...args])).status
  assert.equal(await status(sound, ...server, ...record), 0)
  assert.equal(await status(sound, ...server, '--client', path('list.json')), 0)
  assert.equal(await status(await client.assertion({ audience: 'x' }), ...server, ...record), 1)
  assert.equal(await status(sound, ...server, '--now', String(now + 900), ...record), 1)
  assert.equal(await status(sound, ...server, '--profile', 'smart', ...record), 1)
  assert.equal(await status(sound, ...server), 3)
  assert.equal(await status(sound, ...server, '--jwks', path('jwks.json')), 3)
  for (const args of [
    [sound],
    [...server],
    ['', ...server],
    ['-', ...server],
    [sound, sound, ...server],
    [sound, ...server, '--now', 'today'],
    [sound, ...server, '--profile', 'none'],
    [sound, '--issuer', 'no url'],
    [sound, ...server, '--jwks', path('client.json').replace('client', 'absent')],
    [sound, ...server, '--jwks', path('text.json')],
    [sound, ...server, '--jwks', path('client.json')],
    [sound, ...server, '--client', path('jwks.json')],
    [sound, ...server, '--unknown'],
  ]) {
    const { status: told, out, err } = await command(['explain', ...args])
    assert.deepEqual([told, out], [2, ''], args.slice(1).join(' '))
    assert.equal(err.trim().split('\n').length, 1, err)
  }
})

test('explain needs no token endpoint, and the help says so', async () => {
  const client = await testClient()
  const { status } = await command(['explain', await client.assertion(), '--issuer', issuer, '--now', String(now)])
  assert.equal(status, 3)
  assert.match((await command(['--help'])).out, /\[--token-endpoint URL\]/)
})

test('explain verifies the signature with --jwks alone, and in place of a jwks_uri', async (t) => {
  const client = await testClient()
  const { jwks: _, ...remote } = { ...client.client, jwks_uri: 'https://client.example/jwks' }
  const { path, remove } = folderWith({
    'jwks.json': client.jwks,
    'key.json': client.jwks.keys[0],
    'remote.json': remote,
  })
  t.after(remove)
  const signatureOf = async (assertion: string, ...args: string[]): Promise<Check> =>
    JSON.parse((await command(['explain', assertion, ...server, '--json', ...args])).out).checks.at(-1)
  assert.equal((await signatureOf(await client.assertion(), '--jwks', path('jwks.json'))).outcome, 'passed')
  assert.equal((await signatureOf(await client.assertion(), '--jwks', path('key.json'))).outcome, 'passed')
  const forged = await client.assertion({ foreignKey: true })
  assert.equal((await signatureOf(forged, '--jwks', path('jwks.json'))).reason, 'assertion_signature_wrong')
  assert.equal((await signatureOf(await client.assertion(), '--client', path('remote.json'))).outcome, 'skipped')
  const both = ['--client', path('remote.json'), '--jwks', path('jwks.json')]
  assert.equal((await signatureOf(await client.assertion(), ...both)).outcome, 'passed')
})

test('explain reads the JWT from standard input with -', async (t) => {
  const client = await testClient()
  const { path, remove } = folderWith({ 'client.json': client.client })
  t.after(remove)
  const args = ['explain', '-', ...server, '--client', path('client.json')]
  assert.equal((await command(args, { input: `${await client.assertion()}\n` })).status, 0)
})

test('explain --json is one JSON object with the verdict, the reason and every check', async () => {
  const client = await testClient()
  const { out } = await command(['explain', await client.assertion({ audience: 'x' }), ...server, '--json'])
  const told = JSON.parse(out)
  assert.deepEqual([told.verdict, told.reason], ['refused', 'assertion_audience_mismatch'])
  assert.ok(told.checks.every((check: Check) => check.name && check.title && check.outcome))
  assert.equal(told.claims.sub, 'test-client')
  assert.equal(told.header.alg, 'ES256')
})

test('explain uses colour on a terminal only, and not under NO_COLOR', async () => {
  const client = await testClient()
  const args = ['explain', await client.assertion(), ...server]
  const coloured = (out: string): boolean => out.includes('\u001b[')
  assert.equal(coloured((await command(args, { isTerminal: true })).out), true)
  assert.equal(coloured((await command(args, { isTerminal: true, environment: { NO_COLOR: '1' } })).out), false)
  assert.equal(coloured((await command(args, { isTerminal: false })).out), false)
  assert.equal(coloured((await command([...args, '--json'], { isTerminal: true })).out), false)
})

test('explain prints no secret, no signature and no private key, whatever is wrong', async (t) => {
  for (const alg of ['ES256', 'HS256']) {
    const client = await testClient({ alg })
    const secrets = [String(client.client.client_secret ?? client.privateJwk?.['d'])]
    const { path, remove } = folderWith({
      'client.json': { ...client.client, jwks: { keys: [client.privateJwk ?? {}] } },
    })
    t.after(remove)
    for (const overrides of Object.values(VARIANTS)) {
      const assertion = await client.assertion({
        ...overrides,
        header: { ...overrides.header, jwk: client.privateJwk ?? {} },
      })
      const signature = assertion.slice(assertion.lastIndexOf('.') + 1)
      for (const more of [[], ['--json']]) {
        const { out, err } = await command(['explain', assertion, ...server, '--client', path('client.json'), ...more])
        for (const secret of [...secrets, signature]) assert.equal((out + err).includes(secret), false)
      }
    }
  }
})

test('no text of an assertion or an argument moves the cursor or colours the terminal, --json included', async (t) => {
  const client = await testClient()
  const evil = '\u001b[31mred\u001b[0m\u009b31m\u0085\u202e\u2028\u{e0041}\n'
  const assertion = await client.assertion({
    header: { kid: evil, typ: evil, [evil]: 1 },
    claims: { iss: evil, sub: evil, jti: evil, nbf: evil, [evil]: 2 },
    audience: evil,
  })
  const { path, remove } = folderWith({ 'client.json': { ...client.client, client_name: evil, jwks: { keys: [] } } })
  t.after(remove)
  const record = ['--client', path('client.json')]
  const unprintable = /[\p{C}\p{Zl}\p{Zp}]/u
  for (const args of [[], record, ['--json'], [...record, '--json']]) {
    const { out } = await command(['explain', assertion, ...server, ...args])
    assert.doesNotMatch(out.replace(/\n/g, ''), unprintable)
    if (args.includes('--json')) assert.equal(JSON.parse(out).header.kid, evil, 'the same JSON')
  }
  for (const args of [[`--${evil}`], ['--client', evil], ['--profile', evil], ['--issuer', evil]]) {
    const { err } = await command(['explain', assertion, ...server, ...args])
    assert.doesNotMatch(err.trimEnd(), unprintable)
  }
  assert.doesNotMatch((await command([evil])).err.trimEnd(), unprintable)
})

const explained = async (assertion: string, ...args: string[]): Promise<string[]> =>
  (await command(['explain', assertion, ...server, ...args])).out.trimEnd().split('\n')

test('the first line is the verdict with the remedy of the reason, as docs/reasons.md has it', async (t) => {
  const client = await testClient()
  const { path, remove } = folderWith({ 'client.json': client.client })
  t.after(remove)
  const record = ['--client', path('client.json')]
  const page = readFileSync('docs/reasons.md', 'utf8')
  for (const [overrides, reason] of [
    [{ audience: 'x' }, 'assertion_audience_mismatch'],
    [{ now: now - 3660 }, 'assertion_expired'],
    [{ foreignKey: true }, 'assertion_signature_wrong'],
    [{ claims: { sub: 'x', iss: 'x' } }, 'client_unknown'],
  ] as const) {
    const assertion = await client.assertion(overrides)
    const [first = ''] = await explained(assertion, ...record)
    const [, remedy = ''] = new RegExp(`### ${reason}\\n[^#]*_What to do:_ (.*)`).exec(page) ?? []
    assert.ok(remedy.length > 10)
    assert.equal(first, `Refused: ${reason}. ${remedy.replaceAll('`', '')}`)
    const told = JSON.parse((await command(['explain', assertion, ...server, ...record, '--json'])).out)
    assert.equal(told.remedy, remedy.replaceAll('`', ''))
  }
  assert.equal((await explained(await client.assertion(), ...record))[0], 'Accepted: every check passed.')
  assert.match((await explained(await client.assertion()))[0] ?? '', /^Undecided: /)
})

test('every reason that explain can give has a remedy', async () => {
  const page = readFileSync('docs/reasons.md', 'utf8')
  const { stdout } = spawnSync(
    'grep',
    ['-rhoE', "refusal\\(\\s*'\\w+'", 'lib/assertion', 'lib/keys', 'lib/client_lookup.ts'],
    {
      encoding: 'utf8',
    },
  )
  const reasons = [...new Set([...stdout.matchAll(/'(\w+)'/g)].map(([, reason = '']) => reason))]
  assert.ok(reasons.length > 25, String(reasons))
  for (const reason of reasons) assert.match(page, new RegExp(`### ${reason}\\n(?:(?!###)[^])*_What to do:_ .`), reason)
})

test('times are told as seen from now', async () => {
  const client = await testClient()
  for (const [overrides, told] of [
    [{ now: now - 3660 }, 'issued 61 min ago, expired 60 min ago'],
    [{}, 'issued 0 s ago, expires in 60 s'],
    [{ now: now + 600, lifetimeSeconds: 7200 }, 'issued 10 min in the future, expires in 2 h'],
    [
      { claims: { iat: undefined, nbf: now + 100, exp: now + 864_000 } },
      'not valid for another 100 s, expires in 10 days',
    ],
    [{ claims: { iat: 'x', exp: null } }, undefined],
  ] as const) {
    const lines = await explained(await client.assertion(overrides))
    assert.equal(lines.find((line) => line.startsWith('times'))?.slice(8), told)
  }
  const expired = await explained(await client.assertion({ now: now - 3660 }))
  assert.ok(
    expired.some((line) => line.includes('assertion_expired: issued 61 min ago, expired 60 min ago; expected exp')),
  )
})

test('checks that were skipped for one reason are one line', async () => {
  const lines = await explained('no.jwt.at all')
  const skipped = lines.filter((line) => line.startsWith('skip'))
  assert.equal(skipped.length, 1, lines.join('\n'))
  assert.match(skipped[0] ?? '', /^skip {2}alg, header, kid, sub, typ, iss, client, .*: the assertion cannot be read$/)
  assert.ok(lines.length < 10)
})

test('what is pasted by mistake is recognised, and judged as it is', async () => {
  const client = await testClient()
  const jwt = await client.assertion()
  const form = `grant_type=client_credentials&client_assertion_type=x&client_assertion=${jwt}`
  for (const [given, hint] of [
    [`Bearer ${jwt}`, /starts with "Bearer"/],
    [`Authorization: Bearer ${jwt}`, /starts with "Bearer"/],
    [`"${jwt}"`, /is quoted/],
    [`'${jwt}'`, /is quoted/],
    [form, /is a form/],
    [`client_assertion=${jwt}`, /is a form/],
    [JSON.stringify({ client_assertion: jwt }), /is JSON/],
    [`${jwt.slice(0, 60)}\n${jwt.slice(60)}`, /line breaks/],
  ] as const) {
    const [first = '', second = ''] = await explained(given)
    assert.match(first, /^Refused: assertion_malformed/)
    assert.match(second, hint)
    const { out, status } = await command(['explain', given, ...server, '--json'])
    assert.match(JSON.parse(out).hints.join(), hint)
    assert.equal(status, 1)
    assert.ok(!out.includes(jwt.slice(-40)), 'the signature is not printed')
  }
  assert.deepEqual(JSON.parse((await command(['explain', jwt, ...server, '--json'])).out).hints, [])
})

test('the output in docs/command-line.md is what is printed', async (t) => {
  const client = await createTestClient({ issuer: 'https://as.example', clientId: 'invoices', clock })
  const { path, remove } = folderWith({ 'client.json': client.client })
  t.after(remove)
  const assertion = await client.assertion({ audience: 'https://as.example/', header: { typ: 'JWT' } })
  const server = ['--issuer', 'https://as.example', '--token-endpoint', 'https://as.example/token']
  const { out } = await command([
    'explain',
    assertion,
    ...server,
    '--now',
    String(now),
    '--client',
    path('client.json'),
  ])
  const [documented] = blocksOf(process.cwd(), 'docs/command-line.md').filter(({ language }) => language === 'text')
  // Key, id and length differ from one assertion to the next.
  const comparable = (text: string, kid: string): string =>
    text
      .replaceAll(kid, 'KID')
      .replace(/"jti":"[^"]*"/, '"jti":"JTI"')
      .replace(/: \d+ bytes/, ': N bytes')
      .trim()
  const kid = String(client.jwks.keys[0]?.['kid'])
  assert.equal(comparable(out, kid), comparable(documented?.code ?? '', '1b0fVGQ7X2s'))
})
