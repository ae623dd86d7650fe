import assert from 'node:assert/strict'
import { pbkdf2 } from 'node:crypto'
import dns from 'node:dns'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { getDocument } from '../../lib/remote/document.ts'
import { RemoteFailure } from '../../lib/remote/failure.ts'
import { readRemoteOptions } from '../../lib/remote/request.ts'
import { type LocalNames, parseHosts, parseSearchDomains, startResolution } from '../../lib/remote/resolution.ts'
import { assertionBy, formWith, NOW, outcomeOf, scene, sharedKey } from '../support/assertions.ts'
import { json, type KeyServer, startKeyServer } from '../support/key_server.ts'
import { type NameServer, startNameServer } from '../support/name_server.ts'

let server: KeyServer
let names: NameServer
const systemServers = dns.getServers()

before(async () => {
  server = await startKeyServer()
  names = await startNameServer(
    {
      'keys.test': ['127.0.0.1'],
      'six.test': ['::1'],
      'both.test': ['::1', '127.0.0.1'],
      'half.test': ['127.0.0.1'],
      'empty.test': [],
      'short.search.test': ['127.0.0.1'],
    },
    (name, family) => name.startsWith('silent') || (name === 'half.test' && family === 6),
  )
  dns.setServers([names.address])
})
after(async () => {
  dns.setServers(systemServers)
  names.close()
  await server.close()
})

const NO_NAMES: LocalNames = { find: () => undefined, searchDomains: [] }

/** The addresses of a name, as `net.connect` asks for them. */
function lookup(hostname: string, local: LocalNames = NO_NAMES, timeout = 3000) {
  const { lookup: resolve, cancel } = startResolution(timeout, local)
  const found = new Promise<string[]>((done, fail) =>
    resolve(hostname, { all: true }, (failure, addresses) =>
      failure ? fail(failure) : done((addresses as dns.LookupAddress[]).map(({ address }) => address)),
    ),
  )
  return { found, cancel }
}

test('R77: names are resolved by DNS for both families, IPv4 first, and a name without addresses fails', async () => {
  assert.deepEqual(await lookup('keys.test').found, ['127.0.0.1'])
  assert.deepEqual(await lookup('KEYS.test.').found, ['127.0.0.1'])
  assert.deepEqual(await lookup('six.test').found, ['::1'])
  assert.deepEqual(await lookup('both.test').found, ['127.0.0.1', '::1'])
  await assert.rejects(lookup('empty.test').found, { code: 'ENODATA' })
  await assert.rejects(lookup('unknown.test').found, { code: 'ENOTFOUND' })
})

test('R77: when one family is known and the other gets no response, the known one is enough', async () => {
  const startedAt = performance.now()
  const { found, cancel } = lookup('half.test')
  assert.deepEqual(await found, ['127.0.0.1'])
  assert.ok(performance.now() - startedAt < 2000)
  cancel()
})

test('R77: the hosts file, localhost and search domains count', async () => {
  const hosts = parseHosts(
    '# 10.0.0.1 no\n127.0.0.9 one.test One-Alias # 2\n\n::9\tone.test\nnonsense two.test\r\n10.0.0.2 three.test\r\n',
  )
  const local: LocalNames = { find: (name) => hosts.get(name), searchDomains: ['nowhere.test', 'search.test'] }
  const before = names.questions.length
  assert.deepEqual(await lookup('One.test', local).found, ['127.0.0.9', '::9'])
  assert.deepEqual(await lookup('one-alias', local).found, ['127.0.0.9'])
  assert.deepEqual(await lookup('three.test', local).found, ['10.0.0.2'])
  assert.deepEqual(await lookup('localhost').found, ['127.0.0.1', '::1'])
  assert.deepEqual(await lookup('a.localhost').found, ['127.0.0.1', '::1'])
  assert.equal(names.questions.length, before, 'none of these is asked for')
  assert.deepEqual(await lookup('short', local).found, ['127.0.0.1'])
  await assert.rejects(lookup('short.', local).found, { code: 'ENOTFOUND' })
  assert.deepEqual(parseSearchDomains('domain x\n# search no\nsearch a.test b.test.\noptions ndots:5\n'), [
    'a.test',
    'b.test',
  ])
  assert.deepEqual(parseSearchDomains(''), [])
})

test('R77: a name server that is silent occupies no thread of the pool', async () => {
  const request = readRemoteOptions('remote', { timeoutMilliseconds: 2000 }, { accept: 'application/json' })
  const startedAt = performance.now()
  const requests = Array.from({ length: 16 }, async (_, index) => {
    const failure = await getDocument(new URL(`https://silent-${index}.test/`), request).then(
      () => undefined,
      (error: unknown) => error,
    )
    assert.ok(failure instanceof RemoteFailure && failure.problem === 'time', String(failure))
    return performance.now() - startedAt
  })
  await promisify(pbkdf2)('x', 'y', 1, 16, 'sha256') // would wait behind 16 look-ups for four threads
  const pool = performance.now() - startedAt
  assert.ok(pool < 1500, `the pool was occupied for ${pool} ms`)
  await Promise.all(requests)
})

test('R77: a resolution that is cancelled ends at once, and nothing more is asked', async () => {
  const { found, cancel } = lookup('silent.test', NO_NAMES, 900)
  await sleep(100)
  const startedAt = performance.now()
  cancel()
  await assert.rejects(found, { code: 'ECANCELLED' })
  assert.ok(performance.now() - startedAt < 250)
  const asked = names.questions.length
  await sleep(600) // the next attempt would be 300 ms after the first
  assert.deepEqual(names.questions.slice(asked), [])
})

test('R77: clients whose name servers are silent do not keep the other clients of a jwks_uri from authenticating', async () => {
  const key = await sharedKey('ES256')
  server.answer = json({ keys: [key.jwk] })
  let now = NOW
  const { verify } = await scene({
    clock: () => now,
    keySets: { isAllowedAddress: (address) => address === '127.0.0.1', ca: server.ca, timeoutMilliseconds: 1500 },
    findClient: (client_id) => ({
      client_id,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks_uri: client_id.startsWith('silent') ? `https://${client_id}.test/` : `${server.url}/${client_id}`,
    }),
  })
  const by = (id: string) =>
    outcomeOf(verify(formWith(assertionBy(key, { iss: id, sub: id, iat: now, exp: now + 60 }))))
  const junk: Promise<string | undefined>[] = []
  for (let second = 0; second < 3; second++) {
    now = NOW + second * 31
    for (let count = 0; count < 8; count++) junk.push(by(`silent-${second}-${count}`))
    const startedAt = performance.now()
    assert.equal(await by(`honest-${second}`), 'accepted')
    assert.ok(performance.now() - startedAt < 1400)
  }
  assert.deepEqual(new Set(await Promise.all(junk)), new Set(['key_set_unavailable']))
})
