import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  checkRedirectUriRules,
  isSameRedirectUri,
  isUsableRedirectUri,
  withResponseParameters,
} from '../../lib/code/redirect_uri.ts'

test('https is usable, and http on the three loopback names', () => {
  for (const good of [
    'https://client.example/cb',
    'https://client.example',
    'https://client.example:8443/cb?x=1',
    'http://127.0.0.1/cb',
    'http://127.0.0.1:1234',
    'http://[::1]:1/cb',
    'http://localhost:3000/cb',
  ])
    assert.equal(isUsableRedirectUri(good), true, good)
})

test('A34 nothing else is usable: other hosts by http, fragments, user information, scripts, relative and broken URIs', () => {
  for (const bad of [
    'http://client.example/cb',
    'http://127.0.0.2/cb',
    'http://localhost.example/cb',
    'http://127.0.0.1.example/cb',
    'https://client.example/cb#',
    'https://client.example/cb#part',
    'https://user@client.example/cb',
    'https://user:pw@client.example/cb',
    'http://localhost@evil.example/cb',
    'https:/client.example/cb',
    'https:client.example',
    'https:///client.example/cb',
    'https:\\\\client.example\\cb',
    'https://client.example/c b',
    'https://client.example/cb\r\nX: y',
    'https://clïent.example/cb',
    'https://client.example:99999/cb',
    '//client.example/cb',
    '/cb',
    '',
    'javascript:alert(1)',
    'data:text/html,x',
    'file:///etc/passwd',
    'com.example.app:/cb',
  ])
    assert.equal(isUsableRedirectUri(bad), false, bad)
})

test('A34 private-use schemes need the option: true takes those with a period, a list takes its own', () => {
  assert.equal(isUsableRedirectUri('com.example.app:/cb', { privateUseSchemes: true }), true)
  assert.equal(isUsableRedirectUri('cursor://cb', { privateUseSchemes: true }), false)
  assert.equal(isUsableRedirectUri('cursor://cb', { privateUseSchemes: ['cursor'] }), true)
  assert.equal(isUsableRedirectUri('com.example.app:/cb', { privateUseSchemes: ['cursor'] }), false)
  for (const privateUseSchemes of [true, ['cursor']]) {
    for (const bad of ['javascript:alert(1)', 'data:text/html,x', 'http://client.example/cb'])
      assert.equal(isUsableRedirectUri(bad, { privateUseSchemes }), false, bad)
  }
})

test('an option that would allow scripts or is misspelt is refused at construction', () => {
  for (const bad of [['javascript'], ['https'], ['a:'], [''], [1], 'cursor', ['Data']])
    assert.throws(
      () => checkRedirectUriRules({ privateUseSchemes: bad as string[] }),
      /option 'privateUseSchemes' must/,
    )
  checkRedirectUriRules({ privateUseSchemes: ['cursor', 'com.example.app'] })
})

test('A4 the comparison is octet for octet', () => {
  const registered = 'https://client.example/cb'
  for (const other of [
    'https://client.example/cb/',
    'https://client.example/CB',
    'HTTPS://client.example/cb',
    'https://CLIENT.example/cb',
    'https://client.example:443/cb',
    'https://client.example/cb?',
    'https://client.example/cb?x',
    'https://client.example/%63b',
    'https://client.example/x/../cb',
    'https://client.example/cb#',
    'https://client.example/c',
    ' https://client.example/cb',
  ])
    assert.equal(isSameRedirectUri(other, registered), false, other)
  assert.equal(isSameRedirectUri(registered, registered), true)
})

test('A4 the port of the two loopback literals is free, and nothing else of them (RFC 8252 §7.3)', () => {
  for (const [sent, registered] of [
    ['http://127.0.0.1:1/cb', 'http://127.0.0.1/cb'],
    ['http://127.0.0.1:65535/cb', 'http://127.0.0.1:8080/cb'],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:8080/cb'],
    ['http://[::1]:5000', 'http://[::1]'],
    ['http://[::1]:5000?a=b', 'http://[::1]:1?a=b'],
  ] as const)
    assert.equal(isSameRedirectUri(sent, registered), true, sent)
  for (const [sent, registered] of [
    ['http://localhost:5000/cb', 'http://localhost/cb'],
    ['https://127.0.0.1:5000/cb', 'https://127.0.0.1/cb'],
    ['http://127.0.0.1:5000/other', 'http://127.0.0.1/cb'],
    ['http://127.0.0.1:5000/cb?x', 'http://127.0.0.1/cb'],
    ['http://127.0.0.1:5000/cb', 'http://[::1]/cb'],
    ['http://127.0.0.1:65536/cb', 'http://127.0.0.1/cb'],
    ['http://127.0.0.1:0/cb', 'http://127.0.0.1/cb'],
    ['http://127.0.0.1:05000/cb', 'http://127.0.0.1/cb'],
    ['http://127.0.0.1:/cb', 'http://127.0.0.1/cb'],
    ['http://127.0.0.1:80@evil.example/cb', 'http://127.0.0.1/cb'],
    ['http://127.0.0.1.evil.example:80/cb', 'http://127.0.0.1/cb'],
    ['http://127.0.0.1:5000', 'http://127.0.0.1/'],
    ['HTTP://127.0.0.1:5000/cb', 'http://127.0.0.1/cb'],
  ] as const)
    assert.equal(isSameRedirectUri(sent, registered), false, sent)
})

const loopback = fc.record({
  host: fc.constantFrom('127.0.0.1', '[::1]', 'localhost', 'client.example', '127.0.0.1.evil.example'),
  scheme: fc.constantFrom('http', 'https'),
  port: fc.option(fc.integer({ min: 0, max: 70_000 }), { nil: undefined }),
  rest: fc.webPath().map((path) => path || '/'),
})
const uriOf = ({
  scheme,
  host,
  port,
  rest,
}: {
  scheme: string
  host: string
  port: number | undefined
  rest: string
}) => `${scheme}://${host}${port === undefined ? '' : `:${port}`}${rest}`

test('property: two URIs are the same only if they are equal, or http on one loopback literal with ports that exist', () => {
  fc.assert(
    fc.property(loopback, loopback, fc.boolean(), (one, other, alike) => {
      const sent = alike ? { ...other, port: one.port } : one
      const same = isSameRedirectUri(uriOf(sent), uriOf(other))
      const valid = ({ port }: { port: number | undefined }) => port === undefined || (port >= 1 && port <= 65535)
      const free =
        sent.scheme === 'http' &&
        other.scheme === 'http' &&
        (sent.host === '127.0.0.1' || sent.host === '[::1]') &&
        sent.host === other.host &&
        sent.rest === other.rest &&
        valid(sent) &&
        valid(other)
      assert.equal(same, uriOf(sent) === uriOf(other) || free)
    }),
  )
})

test('property: whatever differs from a registered https URI in any way is another URI', () => {
  fc.assert(
    fc.property(fc.webUrl({ validSchemes: ['https'] }), fc.string(), fc.nat(), (registered, inserted, at) => {
      const where = at % (registered.length + 1)
      const changed = registered.slice(0, where) + inserted + registered.slice(where)
      assert.equal(isSameRedirectUri(changed, registered), changed === registered)
    }),
  )
})

test('O48 A22 property: the URI stays octet for octet, and the parameters are appended to its query', () => {
  const value = fc.string({ unit: 'grapheme' })
  fc.assert(
    fc.property(
      fc.constantFrom(
        'https://c.example/cb',
        'https://c.example/cb?',
        'https://c.example/cb?a=b+c%20d',
        'https://c.example/cb?state=mine&',
        'https://c.example?x',
        'com.example.app:/cb',
      ),
      value,
      value,
      (uri, code, state) => {
        const location = withResponseParameters(uri, { code, state, absent: undefined })
        assert.ok(location.startsWith(uri))
        assert.match(location, /^[\x21-\x7e]+$/)
        assert.equal(location.includes('??') || location.includes('&&'), false)
        const { searchParams } = new URL(location)
        assert.equal(searchParams.getAll('code').at(-1), code)
        assert.equal(searchParams.getAll('state').at(-1), state)
        assert.equal(searchParams.has('absent'), false)
      },
    ),
  )
})

test('text that is no Unicode is sent with replacement characters instead of failing', () => {
  assert.equal(withResponseParameters('https://c.example/', { state: '\ud800' }), 'https://c.example/?state=%EF%BF%BD')
  assert.equal(withResponseParameters('https://c.example/', {}), 'https://c.example/')
})

test('RU2: localhost, 127.0.0.1 and [::1] are three hosts, path and query exact, also for native clients', () => {
  const same = (sent: string, registered: string) => isSameRedirectUri(sent, registered, true)
  assert.equal(same('http://localhost:53076/cb?a=1', 'http://localhost:1/cb?a=1'), true)
  assert.equal(same('http://localhost:53076', 'http://localhost'), true)
  for (const [sent, registered] of [
    ['http://localhost:1/cb', 'http://127.0.0.1/cb'],
    ['http://127.0.0.1:1/cb', 'http://localhost/cb'],
    ['http://[::1]:1/cb', 'http://localhost/cb'],
    ['http://[::1]:1/cb', 'http://127.0.0.1/cb'],
    ['http://localhost:1/CB', 'http://localhost/cb'],
    ['http://localhost:1/cb/', 'http://localhost/cb'],
    ['http://localhost:1/cb?a=2', 'http://localhost/cb?a=1'],
    ['http://localhost:1/', 'http://localhost'],
    ['https://localhost:1/cb', 'https://localhost/cb'],
    ['http://LOCALHOST:1/cb', 'http://localhost/cb'],
    ['http://localhost.evil.example:1/cb', 'http://localhost/cb'],
    ['http://localhost:1@evil.example/cb', 'http://localhost/cb'],
    ['http://localhost@evil.example/cb', 'http://localhost/cb'],
    ['http://localhost:65536/cb', 'http://localhost/cb'],
    ['http://localhost:01/cb', 'http://localhost/cb'],
    ['http://localhost:/cb', 'http://localhost/cb'],
    ['http://app.localhost:1/cb', 'http://app.localhost/cb'],
  ] as const)
    assert.equal(same(sent, registered), false, `${sent} is not ${registered}`)
})
