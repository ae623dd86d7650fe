import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
  askAgainForDocuments,
  type ClientDocumentOptions,
  type ClientDocuments,
  createClientDocuments,
  describeClient,
  isClientDocument,
} from '../../lib/cimd/index.ts'
import type { Client } from '../../lib/client.ts'
import { lookUpClient } from '../../lib/client_lookup.ts'
import { OAuthError } from '../../lib/errors.ts'
import { validateAuthorization } from '../../lib/oauth2orize/index.ts'
import {
  createStoppedClock,
  type DocumentHost,
  document,
  documentsOf,
  eventsOf,
  minimal,
  startDocumentHost,
  startSink,
} from '../support/document_host.ts'

let host: DocumentHost
before(async () => {
  host = await startDocumentHost()
})
after(() => host.close())
beforeEach(() => {
  host.requests.length = 0
  host.at.clear()
  host.addresses.clear()
})

let clock = createStoppedClock()
afterEach(() => {
  clock = createStoppedClock()
})

/** The URL of a path, at which there is the minimal document with these members. */
function publish(path: string, members: object = {}, headers: Record<string, string> = {}, name = 'app.test'): string {
  const url = host.url(path, name)
  host.at.set(path, document(minimal(url, members), headers))
  return url
}

const make = (options: Partial<ClientDocumentOptions> = {}): ClientDocuments => documentsOf(host, { clock, ...options })

/** What every endpoint gets of a look-up: the client, the reason of a refusal, or `503`. */
async function look(documents: ClientDocuments, clientId: string): Promise<Client | string | undefined> {
  try {
    const found = await lookUpClient(documents.findClient(), clientId, {})
    return found instanceof OAuthError ? found.reason : found
  } catch (error) {
    assert.ok(error instanceof OAuthError, String(error))
    assert.equal(error.reason, 'store_unavailable')
    assert.equal(error.headers['Retry-After'], '5')
    return '503'
  }
}

const nameOf = (found: Client | string | undefined): unknown => (typeof found === 'object' ? found.client_name : found)

test('a client is resolved from its document', async () => {
  const url = publish('/client.json', { client_name: 'App' })
  const found = await look(make(), url)
  assert.ok(typeof found === 'object')
  assert.equal(found.client_id, url)
  assert.equal(found.client_name, 'App')
  assert.equal(found.scope, 'read write')
  assert.equal(isClientDocument(found), true)
  assert.deepEqual(host.requests, ['app.test /client.json'])
})

test('CD1: a registered client comes first, and is never read from the web', async () => {
  const url = publish('/client.json', { client_name: 'stranger' })
  for (const registered of [
    () => ({ client_id: url, client_name: 'registered' }),
    async () => ({ client_id: url, client_name: 'registered' }),
  ]) {
    const found = await make().findClient(registered)(url, {})
    assert.equal(found?.client_name, 'registered')
    assert.equal(found !== undefined && found !== null && isClientDocument(found), false)
  }
  // the record of another id shadows as well
  const found = await lookUpClient(
    make().findClient(() => ({ client_id: 'other' })),
    url,
    {},
  )
  assert.ok(found instanceof OAuthError)
  assert.equal(found.reason, 'client_unknown')
  assert.deepEqual(host.requests, [])
  for (const none of [() => undefined, () => null, async () => undefined, async () => null])
    assert.equal((await make().findClient(none)(url, {}))?.client_name, 'stranger')
  const failing = make().findClient(async () => {
    throw new Error('database')
  })
  await assert.rejects(async () => lookUpClient(failing, url, {}), { reason: 'store_unavailable' })
})

test('CD2 CD3 CD4 CD6: what is not such a URL is not ours, and nothing is requested', async () => {
  host.at.set('*', document('{}'))
  const at = `app.test:${host.port}`
  for (const id of [
    'client-1',
    '',
    `http://${at}/c`,
    `HTTPS://${at}/c`,
    `https:/${at}/c`,
    `https:${at}/c`,
    ` https://${at}/c`,
    `https://${at}/c\n`,
    `https://${at}/c\t`,
    `https://${at}/ü`,
    `https://bücher.test/c`,
    `https://App.test:${host.port}/c`,
    'https://app.test:443/c',
    'https://app.test:0443/c',
    `https://${at}/a/../c`,
    `https://${at}/a/./c`,
    `https://${at}/a/%2e%2e/c`,
    `https://${at}/%2E/c`,
    `https://${at}\\c`,
    `https://${at}/a\\c`,
    `https://${at}`,
    `https://${at}/`,
    `https://${at}/c#`,
    `https://${at}/c#f`,
    `https://${at}/c?`,
    `https://${at}/c?a=b`,
    `https://${at}?a`,
    `https://user@${at}/c`,
    `https://user:p@${at}/c`,
    `https://@${at}/c`,
    `https://127.0.0.1:${host.port}/c`,
    `https://127.1:${host.port}/c`,
    `https://2130706433:${host.port}/c`,
    `https://0x7f.1:${host.port}/c`,
    `https://[::1]:${host.port}/c`,
    `https://[::ffff:127.0.0.1]:${host.port}/c`,
    `https://localhost:${host.port}/c`,
    `https://intranet:${host.port}/c`,
    `https://app.test.:${host.port}/c`,
    `https://app..test:${host.port}/c`,
    `https://${at}/${'c'.repeat(1024)}`,
    'ftp://app.test/c',
    'file:///etc/passwd',
    'data:application/json,{}',
    'javascript:alert(1)',
  ])
    assert.equal(await look(make(), id), 'client_unknown', id)
  assert.deepEqual(host.requests, [])
})

test('CD4: a query is accepted with allowQuery', async () => {
  const url = publish('/c?tenant=1')
  assert.equal(await look(make(), url), 'client_unknown')
  assert.equal(typeof (await look(make({ allowQuery: true }), url)), 'object')
})

test('CD5: the port is 443, unless ports says otherwise', async () => {
  const url = publish('/c')
  assert.equal(await look(make({ ports: [443] }), url), 'client_unknown')
  assert.equal(await look(make({ ports: undefined }), url), 'client_unknown')
  assert.equal(typeof (await look(make({ ports: [443, host.port] }), url)), 'object')
  for (const ports of [[], [0], [70_000], ['443'], 443, 'all'])
    assert.throws(() => make({ ports: ports as never }), /ports/)
})

test('CD6: allowLoopback accepts loopback hosts only while the issuer is on loopback itself', async () => {
  assert.throws(() => make({ allowLoopback: true }), /issuer/)
  assert.throws(() => make({ allowLoopback: true, issuer: 'https://op.example' }), /issuer/)
  const options = { allowLoopback: true, issuer: 'http://localhost:3000' }
  const local = host.url('/c', 'localhost')
  host.at.set('/c', document(minimal(local)))
  assert.equal(typeof (await look(make({ ...options, ports: [443] }), local)), 'object')
  // a name that is made to look local leads nowhere else
  const documents = make({ ...options, remote: { isAllowedAddress: undefined } })
  host.addresses.set('localhost', ['127.0.0.2'])
  assert.equal(await look(documents, local), '503')
  assert.equal(await look(make(options), `http://app.test:${host.port}/c`), 'client_unknown')
})

test('CD7: isAllowed decides before any request, and at every use', async () => {
  const url = publish('/c')
  for (const answer of [false, undefined, null, 1, 'true', {}]) {
    assert.equal(await look(make({ isAllowed: () => answer as never }), url), 'client_unknown')
    assert.equal(await look(make({ isAllowed: async () => answer as never }), url), 'client_unknown')
  }
  for (const isAllowed of [
    () => {
      throw new Error('policy')
    },
    () => Promise.reject(new Error('policy')),
  ])
    assert.equal(await look(make({ isAllowed }), url), '503')
  assert.deepEqual(host.requests, [])
  let blocked = false
  const seen: URL[] = []
  const documents = make({
    isAllowed: (asked) => {
      seen.push(asked)
      return !blocked
    },
  })
  assert.equal(typeof (await look(documents, url)), 'object')
  assert.equal(seen[0]?.href, url)
  blocked = true
  assert.equal(await look(documents, url), 'client_unknown', 'a block counts at once, although the document is kept')
})

test('CD10: the request has no credentials, and no redirect is followed', async () => {
  const url = publish('/c')
  let headers: Record<string, unknown> = {}
  host.at.set('/c', (request, response) => {
    headers = request.headers
    response.writeHead(302, { location: host.url('/other') }).end()
  })
  publish('/other')
  for (const status of [301, 302, 303, 307, 308]) {
    host.at.set('/c', (request, response) => {
      headers = request.headers
      response.writeHead(status, { location: host.url('/other'), 'set-cookie': 'a=b' }).end()
    })
    assert.equal(await look(make(), url), '503')
  }
  assert.equal(host.requests.includes('app.test /other'), false)
  assert.deepEqual(Object.keys(headers).sort(), ['accept', 'accept-encoding', 'connection', 'host'])
})

test('CD10: forbidden addresses are never connected to, however a name leads to them', async () => {
  const sink = await startSink('127.0.0.2')
  const url = `https://app.test:${sink.port}/c`
  const forbidden = [
    ['127.0.0.2'],
    ['::ffff:127.0.0.2'],
    ['10.0.0.1', '127.0.0.2'],
    ['169.254.169.254'],
    ['::1'],
    ['fe80::1'],
    ['fd00::1'],
    ['0.0.0.0'],
    ['100.64.0.1'],
    ['64:ff9b::7f00:2'],
    ['2002:7f00:2::1'],
  ]
  for (const addresses of forbidden) {
    host.addresses.set('app.test', addresses)
    const documents = make({ remote: { isAllowedAddress: undefined, timeoutMilliseconds: 100 } })
    assert.equal(await look(documents, url), '503', addresses.join())
  }
  // rebinding: another address for the second query
  let queries = 0
  const documents = make({
    remote: {
      isAllowedAddress: undefined,
      timeoutMilliseconds: 100,
      lookup: (_name, _options, callback) => callback(null, queries++ === 0 ? '10.0.0.1' : '127.0.0.2', 4),
    },
  })
  assert.equal(await look(documents, url), '503')
  clock.advance(10)
  assert.equal(await look(documents, url), '503')
  assert.equal(queries, 2)
  await sleep(50)
  assert.equal(sink.count(), 0)
  await sink.close()
})

test('CD10 CD40: every network failure is the same 503, and takes as long as the slowest', async () => {
  const failures: Record<string, () => void> = {
    unknown: () => host.addresses.set('app.test', 'unknown'),
    silent: () => host.addresses.set('app.test', 'silent'),
    private: () => host.addresses.set('app.test', ['10.0.0.1']),
    'wrong certificate': () => {},
    slow: () => host.at.set('/c', () => {}),
    'cut off': () => host.at.set('/c', (request) => request.socket.destroy()),
    'server error': () => host.at.set('/c', document('', {}, 500)),
  }
  for (const [name, fail] of Object.entries(failures)) {
    host.addresses.clear()
    host.at.clear()
    fail()
    const url = name === 'wrong certificate' ? host.url('/c', 'unlisted.test') : host.url('/c')
    const before = performance.now()
    const error: unknown = await Promise.resolve(make().findClient()(url, {})).catch((thrown: unknown) => thrown)
    const took = performance.now() - before
    assert.ok(error instanceof Error)
    assert.equal(error.message, 'the client ID metadata document cannot be read at the moment', name)
    assert.ok(took >= 395 && took < 1500, `${name} took ${took} ms`)
  }
})

test('CD11: 410 is a refusal; any other status, size, time and compression is a 503', async () => {
  host.at.set('/c', document(minimal(host.url('/c')), {}, 410))
  assert.equal(await look(make(), host.url('/c')), 'client_document_refused')
  for (const status of [201, 204, 206, 301, 400, 401, 403, 404, 405, 418, 429, 500, 503]) {
    host.at.set('/c', document(status === 204 ? '' : minimal(host.url('/c')), {}, status))
    assert.equal(await look(make({ remote: { timeoutMilliseconds: 150 } }), host.url('/c')), '503', String(status))
  }
  publish('/c', { padding: 'x'.repeat(10_240) })
  assert.equal(await look(make(), host.url('/c')), '503')
  assert.equal(typeof (await look(make({ maxBytes: 20_000 }), host.url('/c'))), 'object')
  publish('/c', {}, { 'content-encoding': 'gzip' })
  assert.equal(await look(make(), host.url('/c')), '503')
  host.at.set('/c', (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const drip = setInterval(() => response.write(' '), 20)
    response.on('close', () => clearInterval(drip))
  })
  assert.equal(await look(make(), host.url('/c')), '503')
})

test('CD12: the type is JSON, unless anyContentType', async () => {
  for (const type of [
    'application/json',
    'application/json; charset=utf-8',
    'application/oauth-client+json',
    'Application/JSON',
  ])
    assert.equal(typeof (await look(make(), publish('/c', {}, { 'content-type': type }))), 'object', type)
  for (const type of ['text/html', 'text/json', 'application/jsonp', 'application/jso', 'application/json-seq', ''])
    assert.equal(
      await look(make({ remote: { timeoutMilliseconds: 150 } }), publish('/c', {}, { 'content-type': type })),
      '503',
      type,
    )
  const url = publish('/c', {}, { 'content-type': 'text/plain' })
  assert.equal(typeof (await look(make({ anyContentType: true }), url)), 'object')
})

test('CD14: 1,000 parallel requests for one document make one fetch', async () => {
  const url = publish('/c')
  const documents = make()
  const found = await Promise.all(Array.from({ length: 1000 }, () => look(documents, url)))
  assert.ok(found.every((each) => typeof each === 'object'))
  assert.equal(host.requests.length, 1)
  // and failures are shared as well
  host.at.set('/bad', document('', {}, 500))
  const failed = await Promise.all(Array.from({ length: 1000 }, () => look(documents, host.url('/bad'))))
  assert.ok(failed.every((each) => each === '503'))
  assert.equal(host.requests.length, 2)
})

/** Serves every document after a while. Returns how many requests were under way at once. */
function countUnderWay(): () => number {
  let running = 0
  let most = 0
  host.at.set('*', (request, response) => {
    running += 1
    most = Math.max(most, running)
    setTimeout(() => {
      running -= 1
      document(minimal(`https://${request.headers.host}${request.url}`))(request, response)
    }, 150)
  })
  return () => most
}

test('CD15: requests are bounded at once, by the minute, for each host and in all; kept documents are answered', async () => {
  const most = countUnderWay()
  const documents = make({
    budget: { maxRequestsPerHostPerMinute: 8, maxRequestsPerMinute: 12 },
    remote: { timeoutMilliseconds: 5000 },
  })
  const first = await Promise.all(Array.from({ length: 20 }, (_, at) => look(documents, host.url(`/${at}`))))
  assert.equal(first.filter((each) => typeof each === 'object').length, 8)
  assert.equal(first.filter((each) => each === '503').length, 12)
  assert.equal(most(), 4)
  const second = await Promise.all(
    Array.from({ length: 20 }, (_, at) => look(documents, host.url('/c', `h${at}.wild.test`))),
  )
  assert.equal(second.filter((each) => typeof each === 'object').length, 4, 'a wildcard does not help')
  assert.equal(host.requests.length, 12)
  for (let at = 0; at < 8; at += 1) assert.equal(typeof (await look(documents, host.url(`/${at}`))), 'object')
  clock.advance(60)
  assert.equal(typeof (await look(documents, host.url('/20'))), 'object')
})

test('CD15: at most 16 requests are under way at once', async () => {
  const most = countUnderWay()
  const documents = make({ remote: { timeoutMilliseconds: 5000 } })
  await Promise.all(
    Array.from({ length: 60 }, (_, at) =>
      look(documents, host.url('/c', `h${at % 20}.wild.test`.replace('h', `h${at}-`))),
    ),
  )
  assert.ok(most() <= 16 && most() > 4, String(most()))
})

test('CD16: the lifetime is that of s-maxage, max-age or the default, within bounds', async () => {
  const lifetime = async (cacheControl: string | undefined, options: Partial<ClientDocumentOptions> = {}) => {
    const url = publish('/c', {}, cacheControl === undefined ? {} : { 'cache-control': cacheControl })
    const documents = make(options)
    const [event] = await eventsOf('client_document.read', () => look(documents, url))
    return (event?.expiresAt ?? 0) - clock()
  }
  assert.equal(await lifetime(undefined), 600)
  assert.equal(await lifetime(undefined, { cacheLifetimeSeconds: 3600 }), 3600)
  assert.equal(await lifetime('max-age=1000'), 1000)
  assert.equal(await lifetime('max-age=1000, s-maxage=2000'), 2000)
  assert.equal(await lifetime('max-age=1'), 60)
  assert.equal(await lifetime('max-age=999999999'), 86_400)
  assert.equal(await lifetime('no-store'), 60)
  assert.equal(await lifetime('no-cache, max-age=1000'), 60)
  const url = publish('/d', {}, { 'cache-control': 'max-age=100' })
  const documents = make()
  host.requests.length = 0
  await look(documents, url)
  clock.advance(99)
  await look(documents, url)
  assert.equal(host.requests.length, 1)
  clock.advance(1)
  await look(documents, url)
  assert.equal(host.requests.length, 2)
})

test('CD17: errors and invalid documents are not kept; the cool-down only delays the next request', async () => {
  const url = host.url('/c')
  const documents = make()
  host.at.set('/c', document('', {}, 500))
  assert.equal(await look(documents, url), '503')
  publish('/c')
  assert.equal(await look(documents, url), '503')
  assert.equal(host.requests.length, 1)
  clock.advance(5)
  assert.equal(typeof (await look(documents, url)), 'object')
  const bad = host.url('/bad')
  host.at.set('/bad', document(minimal(bad, { client_secret: 'x' })))
  assert.equal(await look(documents, bad), 'client_document_refused')
  publish('/bad')
  assert.equal(await look(documents, bad), 'client_document_refused')
  clock.advance(5)
  assert.equal(typeof (await look(documents, bad)), 'object')
  // the key is the exact id
  publish('/c/', { client_id: url })
  assert.equal(await look(documents, `${url}/`), 'client_document_refused')
})

test('CD18: a valid document outlives its lifetime while its host fails, up to staleIfErrorSeconds', async () => {
  const url = publish('/c', { client_name: 'first' })
  const documents = make()
  const strict = make({ staleIfErrorSeconds: 0 })
  await look(documents, url)
  await look(strict, url)
  const glitches = [
    document('', {}, 500),
    document('', {}, 429),
    document('', {}, 404),
    document('<html>', { 'content-type': 'text/html' }),
    document(' '.repeat(20_000)),
  ]
  for (const glitch of glitches) {
    clock.advance(600)
    host.at.set('/c', glitch)
    const [event] = await eventsOf('client_document.unreachable', async () => {
      const before = host.requests.length
      assert.equal(nameOf(await look(documents, url)), 'first')
      while (host.requests.length === before) await sleep(5)
      await sleep(50)
    })
    assert.equal(event?.isStaleUsed, true)
  }
  assert.equal(await look(strict, url), '503')
  clock.advance(86_400)
  assert.equal(await look(documents, url), '503')
  clock.advance(5)
  publish('/c', { client_name: 'second' })
  assert.equal(nameOf(await look(documents, url)), 'second')
})

test('CD18: a document ends at once with 410 or an invalid document', async () => {
  for (const [path, end] of [
    ['/b', document('', {}, 410)],
    ['/c', document('{}')],
    ['/d', document('not json')],
  ] as const) {
    const documents = make()
    const url = publish(path)
    await look(documents, url)
    clock.advance(600)
    host.at.set(path, end)
    assert.equal(await look(documents, url), 'client_document_refused', path)
    clock.advance(5)
    host.at.set(path, document('', {}, 500))
    assert.equal(await look(documents, url), '503', 'the old document is forgotten')
  }
})

test('CD18: once a host has failed, nobody waits for the next attempt, and a new document is used after it', async () => {
  const url = publish('/c', { client_name: 'first' })
  const documents = make({ remote: { timeoutMilliseconds: 1000 } })
  await look(documents, url)
  clock.advance(600)
  host.at.set('/c', () => {}) // never responds
  assert.equal(nameOf(await look(documents, url)), 'first', 'the first caller waits')
  clock.advance(5)
  const before = performance.now()
  const found = await Promise.all(Array.from({ length: 100 }, () => look(documents, url)))
  assert.ok(performance.now() - before < 900)
  assert.ok(found.every((each) => nameOf(each) === 'first'))
  while (host.requests.length < 3) await sleep(5)
  await sleep(50)
  assert.equal(host.requests.length, 3)
  await sleep(1100)
  publish('/c', { client_name: 'second' })
  clock.advance(5)
  const read = eventsOf('client_document.read', () => sleep(500))
  assert.equal(nameOf(await look(documents, url)), 'first', 'the attempt is under way')
  assert.equal((await read).length, 1)
  assert.equal(nameOf(await look(documents, url)), 'second')
})

test('CD11 CD18: a missing document (404) is a page at the authorization endpoint, and elsewhere a 503', async () => {
  const url = publish('/c')
  host.at.set('/c', document('', {}, 404))
  const documents = make()
  const atAuthorization = (): Promise<unknown> =>
    new Promise((resolve) =>
      validateAuthorization({ findClient: documents.findClient() })(
        { clientID: url, redirectURI: 'https://app.test/callback', type: 'code' },
        (error, client) => resolve(error ?? client),
      ),
    )
  for (const when of ['read just now', 'within the cool-down']) {
    const shown = await atAuthorization()
    assert.ok(shown instanceof OAuthError, when)
    assert.deepEqual([shown.status, shown.reason], [400, 'client_document_refused'], when)
    assert.equal(shown.message, 'There is no metadata document at the client_id of the application.')
    assert.equal(await look(documents, url), '503', when)
  }
  host.at.set('/c', document('', {}, 500))
  clock.advance(5)
  assert.equal(Object(await atAuthorization()).status, 503)
})

test('CD18: without a request in the way, a stale document is answered within the cool-down and over the budget', async () => {
  const url = publish('/c')
  const documents = make({ budget: { maxRequestsPerMinute: 1 } })
  await look(documents, url)
  clock.advance(600)
  await look(documents, publish('/other'))
  assert.equal(typeof (await look(documents, url)), 'object')
  assert.equal(await look(documents, publish('/third')), '503')
})

test('CD45: events tell what was read, what changed, what was refused and why a host cannot be reached', async () => {
  const documents = make()
  const url = publish('/c', { redirect_uris: ['https://app.test/1'] })
  const read = await eventsOf('client_document.read', async () => {
    await look(documents, url)
    clock.advance(600)
    await look(documents, url)
    clock.advance(600)
    publish('/c', {
      redirect_uris: ['https://app.test/2'],
      token_endpoint_auth_method: 'private_key_jwt',
      jwks_uri: 'https://keys.test/k',
    })
    await look(make({ ports: 'any' }), url)
    await look(documents, url)
  })
  assert.deepEqual(
    read.map((each) => [each.redirectUrisChanged, each.keysChanged, each.methodChanged]),
    [
      [false, false, false],
      [false, false, false],
      [false, false, false],
      [true, true, true],
    ],
  )
  assert.equal(read[0]?.clientId, url)
  assert.equal(read[0]?.bytes, JSON.stringify(minimal(url, { redirect_uris: ['https://app.test/1'] })).length)
  assert.equal(typeof read[0]?.milliseconds, 'number')
  const warned = await eventsOf('client.warning', () =>
    look(make(), publish('/w', { redirect_uris: ['https://app.test/1', 'x'] })),
  )
  assert.match(warned[0]?.detail ?? '', /1 of 2 redirect_uris/)
  host.at.set('/bad', document('{}'))
  const refused = await eventsOf('client_document.refused', () => look(make(), host.url('/bad')))
  assert.deepEqual(refused, [{ clientId: host.url('/bad'), detail: 'client_id is not the URL of the document' }])
  host.addresses.set('app.test', ['10.0.0.1'])
  const unreachable = await eventsOf('client_document.unreachable', () =>
    look(make({ remote: { isAllowedAddress: undefined } }), url),
  )
  assert.deepEqual(unreachable, [{ clientId: url, detail: 'the host has no public address', isStaleUsed: false }])
})

test('forget drops a document, also while it is being read', async () => {
  const documents = make()
  const url = publish('/c', { client_name: 'first' })
  await look(documents, url)
  publish('/c', { client_name: 'second' })
  assert.equal(nameOf(await look(documents, url)), 'first')
  documents.forget(url)
  assert.equal(nameOf(await look(documents, url)), 'second')
  documents.forget(url)
  const pending = look(documents, url)
  documents.forget(url)
  await pending
  publish('/c', { client_name: 'third' })
  assert.equal(nameOf(await look(documents, url)), 'third')
  documents.forget('https://never.seen.test/c')
})

test('5,000 documents keep memory bounded, and the ones in use are kept', async () => {
  // answered without a network, so that what remains is what this package keeps
  const documents = createClientDocuments({
    scope: 'read',
    clock,
    maxDocuments: 100,
    cooldownSeconds: 1,
    budget: { maxRequestsPerMinute: 1_000_000, maxRequestsPerHostPerMinute: 1_000_000 },
    remote: {
      fetch: async (url) => {
        host.requests.push(String(url))
        const members = {
          padding: 'x'.repeat(4000),
          redirect_uris: Array.from({ length: 32 }, (_, at) => `${url}/${'r'.repeat(100)}${at}`),
        }
        return new Response(JSON.stringify(minimal(String(url), members)), {
          headers: { 'content-type': 'application/json' },
        })
      },
    },
  })
  const used = 'https://used.test/c'
  const visit = async (from: number, to: number): Promise<void> => {
    for (let at = from; at < to; at += 1) {
      assert.equal(typeof (await look(documents, `https://h${at}.wild.test/c`)), 'object')
      if (at % 10 === 0) {
        await look(documents, used)
        clock.advance(1)
      }
    }
  }
  await visit(0, 500)
  const before = memory()
  await visit(500, 5000)
  const grown = memory() - before
  assert.ok(grown < 4_000_000, `${grown} bytes`)
  assert.equal(host.requests.filter((url) => url === used).length, 1)
})

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function memory(): number {
  collectGarbage()
  host.requests.splice(0, host.requests.length, ...host.requests.filter((url) => url.includes('used')))
  return process.memoryUsage().heapUsed
}

test('options that cannot be used throw and are named', () => {
  const create = (options: object) => () => createClientDocuments(options as ClientDocumentOptions)
  assert.throws(create({}), /'scope'/)
  assert.throws(() => createClientDocuments(undefined as never), TypeError)
  assert.throws(create({ scope: 'a"b' }), /'scope'/)
  for (const [name, wrong] of Object.entries({
    grantTypes: 'x',
    methods: ['client_secret_post'],
    isAllowed: true,
    maxBytes: 1023,
    anyContentType: 1,
    cacheLifetimeSeconds: 59,
    staleIfErrorSeconds: 604_801,
    cooldownSeconds: 0,
    maxDocuments: 0,
    allowQuery: 'yes',
    keysOnSameHost: 1,
    privateUseSchemes: 'x',
    clock: 1,
    enforces: ['x'],
  }))
    assert.throws(create({ scope: '', [name]: wrong }), new RegExp(`'${name}'`), name)
  assert.throws(create({ scope: '', methods: [] }), /'methods'/)
  assert.throws(create({ scope: '', remote: { timeoutMilliseconds: 1 } }), /'remote.timeoutMilliseconds'/)
  assert.throws(create({ scope: '', remote: { maxBytes: 1 } }), /Unknown option "maxBytes"/)
  assert.throws(create({ scope: '', budget: { maxRequests: 0 } }), /'budget.maxRequests'/)
  assert.throws(create({ scope: '', budget: { perMinute: 1 } }), /Unknown option/)
  assert.throws(create({ scope: '', scopes: '' }), /Did you mean "scope"/)
})

test('CD42: remembered consent counts only where the code goes to the host of the document', async () => {
  const url = publish('/c', {
    redirect_uris: ['https://app.test/cb', 'http://127.0.0.1/cb', host.url('/cb'), host.url('/cb', 'other.test')],
  })
  const client = (await look(make(), url)) as Client
  assert.equal(askAgainForDocuments(client, { redirectURI: host.url('/cb') }), false)
  for (const redirectURI of [
    'https://app.test/cb',
    host.url('/cb', 'other.test'),
    'http://127.0.0.1/cb',
    'http://localhost/cb',
    undefined,
    'x',
  ])
    assert.equal(askAgainForDocuments(client, { redirectURI }), true, redirectURI)
  const single = (await look(make(), publish('/d', { redirect_uris: [host.url('/cb')] }))) as Client
  assert.equal(askAgainForDocuments(single, {}), false, 'a request without redirect_uri means the only one')
  assert.equal(
    askAgainForDocuments({ client_id: url }, { redirectURI: 'http://127.0.0.1/cb' }),
    false,
    'a registered client',
  )
})

test('CD43: a description names both hosts, and says what is self-given and what is on the device', async () => {
  const client = (await look(make(), publish('/c', { client_name: 'App' }))) as Client
  assert.deepEqual(describeClient(client, 'http://127.0.0.1:33418/'), {
    name: 'App',
    host: `app.test:${host.port}`,
    redirectHost: '127.0.0.1:33418',
    isLoopback: true,
    nameIsSelfGiven: true,
  })
  assert.deepEqual(describeClient({ client_id: 'c1' }, 'cursor://anysphere/cb'), {
    name: undefined,
    host: undefined,
    redirectHost: 'cursor:',
    isLoopback: false,
    nameIsSelfGiven: false,
  })
  assert.equal(describeClient(client, 'https://other.test/cb').redirectHost, 'other.test')
  for (const local of ['http://localhost:1/', 'http://[::1]/'])
    assert.equal(describeClient(client, local).isLoopback, true)
})

test('what the application does to a client record reaches no later request', async () => {
  const url = publish('/changed')
  const documents = make()
  for (let time = 0; time < 3; time += 1) {
    const client = (await look(documents, url)) as unknown as { redirect_uris: string[]; grant_types: string[] }
    assert.deepEqual(
      [client.redirect_uris, client.grant_types],
      [minimal(url)['redirect_uris'], ['authorization_code']],
    )
    client.redirect_uris.push('https://evil.example/cb')
    client.grant_types.push('client_credentials')
  }
  assert.equal(host.requests.length, 1)
})
