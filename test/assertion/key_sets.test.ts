import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { KeySetOptions } from '../../lib/keys/key_sets.ts'
import { isPublicAddress } from '../../lib/remote/address.ts'
import {
  assertionBy,
  formWith,
  NOW,
  outcomeOf,
  refusalOf,
  type Scene,
  scene,
  sharedKey,
  type TestKey,
} from '../support/assertions.ts'
import { json, type KeyServer, resolvingTo, startKeyServer } from '../support/key_server.ts'

let server: KeyServer
let first: TestKey
let second: TestKey
let now = NOW

before(async () => {
  server = await startKeyServer()
  first = await sharedKey('ES256')
  second = await sharedKey('ES256', 'second')
})
after(() => server.close())

const set = (...keys: readonly object[]) => ({ keys })
const asFirst = () => ({ ...first.jwk, kid: 'first' })
const asSecond = () => ({ ...second.jwk, kid: 'second' })

/** A client with keys at the server, a clock that starts anew, and a verifier that may reach the server. */
async function remote(
  keySets: KeySetOptions = {},
  jwks_uri: unknown = server.url,
): Promise<Scene & { by(key: TestKey, kid?: string): Promise<string | undefined> }> {
  now = NOW
  ;(server.requests as string[]).length = 0
  server.answer = json(set(asFirst()))
  const base = await scene(
    {
      clock: () => now,
      keySets: {
        lookup: resolvingTo('127.0.0.1'),
        isAllowedAddress: (address) => address === '127.0.0.1',
        ...(server.ca === undefined ? {} : { ca: server.ca }),
        timeoutMilliseconds: 20_000, // the machine may be busy
        ...keySets,
      },
    },
    { jwks: undefined, jwks_uri },
  )
  const by = (key: TestKey, kid?: string) =>
    outcomeOf(base.verify(formWith(assertionBy(key, { iat: now, exp: now + 60 }, kid === undefined ? {} : { kid }))))
  return { ...base, by }
}

test('R55 a jwks_uri is https, with a host, without user information; anything else is not asked', async () => {
  let asked = 0
  const fetch = async () => {
    asked++
    return Response.json(set(asFirst()))
  }
  for (const uri of [
    'http://client.example/jwks',
    'http://127.0.0.1/jwks',
    'https://user:password@client.example/jwks',
    'https://user@client.example/jwks',
    'https://',
    'file:///etc/passwd',
    'data:application/json,{}',
    'ftp://client.example/jwks',
    '//client.example/jwks',
    'jwks',
    ' ',
    `https://client.example/${'x'.repeat(2048)}`,
  ]) {
    assert.equal(await (await remote({ fetch }, uri)).by(first), 'key_set_uri_not_allowed', uri)
  }
  assert.equal(asked, 0)
  assert.equal(await (await remote({ fetch }, 'https://client.example/jwks')).by(first), 'accepted')
})

test('R55 http is taken for the loopback interface alone, and only where allowHttpLoopback says so', async () => {
  const plain = await startKeyServer('http')
  plain.answer = json(set(asFirst()))
  const allowed = { allowHttpLoopback: true, isAllowedAddress: isPublicAddress }
  try {
    assert.equal(await (await remote(allowed, plain.url)).by(first), 'accepted')
    assert.equal(await (await remote({ isAllowedAddress: () => true }, plain.url)).by(first), 'key_set_uri_not_allowed')
    const named = plain.url.replace('127.0.0.1', 'localhost')
    assert.equal(await (await remote(allowed, named)).by(first), 'accepted')
    for (const host of ['10.0.0.1', '127.0.0.1.nip.example', '[::]', '0.0.0.0'])
      assert.equal(await (await remote(allowed, `http://${host}/jwks`)).by(first), 'key_set_uri_not_allowed', host)
    // a name that claims to be this machine and is not
    const lying = await remote({ ...allowed, lookup: resolvingTo('10.0.0.1') }, named)
    assert.equal(await lying.by(first), 'key_set_unavailable')
  } finally {
    await plain.close()
  }
})

test('R56 which addresses are public: v4, v6, mapped, NAT64', () => {
  for (const address of [
    ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '127.255.255.254', '169.254.169.254', '172.16.0.1'],
    ...['172.31.255.255', '192.0.0.8', '192.0.2.1', '192.88.99.1', '192.168.1.1', '198.18.0.1', '198.51.100.1'],
    ...['203.0.113.1', '224.0.0.1', '239.1.1.1', '240.0.0.1', '255.255.255.255'],
    ...['::', '::1', '::ffff:127.0.0.1', '::ffff:10.0.0.1', '::ffff:7f00:1', '::127.0.0.1', '64:ff9b::10.0.0.1'],
    ...['64:ff9b::7f00:1', '64:ff9b:1::8.8.8.8', '100::1', '2001::1', '2001:db8::1', '2001:20::1', '2002:7f00:1::1'],
    ...['3fff::1', '5f00::1', 'fc00::1', 'fd12:3456::1', 'fe80::1', 'fe80::1%eth0', 'fec0::1', 'ff02::1', '4000::1'],
    ...['', 'localhost', '127.1', '0x7f000001', '2130706433', '8.8.8.8.', '2606:4700::1%eth0'],
  ])
    assert.equal(isPublicAddress(address), false, address)
  for (const address of [
    '8.8.8.8',
    '1.1.1.1',
    '172.32.0.1',
    '192.0.1.1',
    '100.128.0.1',
    '2606:4700::1111',
    '2a00:1450::1',
    '::ffff:8.8.8.8',
    '64:ff9b::8.8.8.8',
  ])
    assert.equal(isPublicAddress(address), true, address)
})

test('R56 a private address is not connected to, by number or by name', async () => {
  const strict = { isAllowedAddress: isPublicAddress }
  for (const host of ['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '2130706433', '0x7f.1', '127.1', '0'])
    assert.equal(
      await (await remote(strict, `https://${host}:${server.port}/jwks`)).by(first),
      'key_set_unavailable',
      host,
    )
  for (const address of [
    '127.0.0.1',
    '10.0.0.1',
    '169.254.169.254',
    '::1',
    '::ffff:127.0.0.1',
    'fd00::1',
    '64:ff9b::7f00:1',
  ]) {
    const { by } = await remote({ ...strict, lookup: resolvingTo(address) })
    assert.equal(await by(first), 'key_set_unavailable', address)
  }
  assert.deepEqual(server.requests, [])
})

test('R56 the address of the connected socket is checked again, before anything is sent', async () => {
  const asked: string[] = []
  const { by } = await remote({
    isAllowedAddress: (address) => {
      asked.push(address)
      return asked.length === 1
    },
  })
  assert.equal(await by(first), 'key_set_unavailable')
  assert.deepEqual(asked, ['127.0.0.1', '127.0.0.1'])
  assert.deepEqual(server.requests, [])
})

test('R56 of several addresses of a name only the allowed ones are tried', async () => {
  const { by } = await remote({ lookup: resolvingTo('10.255.255.1', '127.0.0.1') })
  assert.equal(await by(first), 'accepted')
})

test('R56 an isAllowedAddress that promises an answer allows nothing', async () => {
  const { by } = await remote({ isAllowedAddress: (async () => true) as never })
  assert.equal(await by(first), 'key_set_unavailable')
  assert.equal(server.requests.length, 0)
})

test('R56 a certificate that is not trusted is a failure', async () => {
  const { by } = await remote()
  assert.equal(await by(first), 'accepted')
  const untrusted = await scene(
    { keySets: { lookup: resolvingTo('127.0.0.1'), isAllowedAddress: () => true } },
    { jwks: undefined, jwks_uri: server.url },
  )
  assert.equal(await untrusted.outcome(), 'key_set_unavailable')
})

test('R57 redirects are not followed', async () => {
  for (const status of [301, 302, 303, 307, 308]) {
    const { by } = await remote()
    server.answer = (request, response) => {
      if (request.url === '/jwks') response.writeHead(status, { location: '/elsewhere' }).end()
      else json(set(asFirst()))(request, response)
    }
    assert.equal(await by(first), 'key_set_unavailable')
    assert.deepEqual(server.requests, ['/jwks'])
  }
})

test('R58 an answer over 64 KiB is cut off as it comes, whatever Content-Length says; a set has at most 100 keys', async () => {
  const { verify } = await remote()
  let sent = 0
  server.answer = (_, response) => {
    const chunk = Buffer.alloc(65_536, 0x20)
    const more = (): void => {
      if (sent >= 10 * 1024 * 1024 || response.destroyed) return
      sent += chunk.length
      if (response.write(chunk)) setImmediate(more)
      else response.once('drain', more)
    }
    response.writeHead(200)
    more()
  }
  const refused = await refusalOf(verify(formWith(assertionBy(first))))
  assert.match(refused.detail ?? '', /larger than 65536 bytes/)
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.ok(sent < 8 * 1024 * 1024, `${sent} octets were sent`)

  const announced = await remote()
  server.answer = (_, response) => {
    response.writeHead(200, { 'content-length': String(10 * 1024 * 1024) })
    response.write(Buffer.alloc(70_000, 0x20))
  }
  assert.equal(await announced.by(first), 'key_set_unavailable')

  const largest = await remote()
  server.answer = json(set(asFirst(), ...Array.from({ length: 99 }, () => ({ kty: 'XYZ' }))))
  assert.equal(await largest.by(first), 'accepted')
  const tooMany = await remote()
  server.answer = json(set(asFirst(), ...Array.from({ length: 100 }, () => ({ kty: 'XYZ' }))))
  assert.equal(await tooMany.by(first), 'key_set_unavailable')
})

test('R59 the whole request has a time limit that drips do not extend, and there is no retry', async () => {
  const { by } = await remote({ timeoutMilliseconds: 250 })
  const timers: NodeJS.Timeout[] = []
  server.answer = (_, response) => {
    response.writeHead(200)
    timers.push(setInterval(() => response.write(' '), 20))
  }
  const startedAt = performance.now()
  assert.equal(await by(first), 'key_set_unavailable')
  const took = performance.now() - startedAt
  for (const timer of timers) clearInterval(timer)
  assert.ok(took >= 240 && took < 2000, `${took} ms`)
  assert.equal(server.requests.length, 1)
  const silent = await remote({ timeoutMilliseconds: 150 })
  server.answer = () => {}
  assert.equal(await silent.by(first), 'key_set_unavailable')
  const hung = await remote({ timeoutMilliseconds: 150, lookup: () => {} })
  assert.equal(await hung.by(first), 'key_set_unavailable')
})

test('R60 a set is used for 600 s, or max-age within 60 to 3600', async () => {
  for (const [headers, lifetime] of [
    [{}, 600],
    [{ 'cache-control': 'max-age=120' }, 120],
    [{ 'cache-control': 'public, max-age=300, must-revalidate' }, 300],
    [{ 'cache-control': 'max-age=0, no-store' }, 60],
    [{ 'cache-control': 'max-age=99999999' }, 3600],
    [{ 'cache-control': 's-maxage=5, max-age="90"' }, 90],
    [{ 'cache-control': 'max-age=soon' }, 600],
  ] as const) {
    const { by } = await remote()
    server.answer = json(set(asFirst()), headers)
    assert.equal(await by(first), 'accepted')
    now = NOW + lifetime - 1
    assert.equal(await by(first), 'accepted')
    assert.equal(server.requests.length, 1, JSON.stringify(headers))
    now = NOW + lifetime
    assert.equal(await by(first), 'accepted')
    assert.equal(server.requests.length, 2, JSON.stringify(headers))
  }
})

test('R62 a set lasts at least as long as its URI may not be asked again, whatever max-age says', async () => {
  const { by } = await remote({ cooldownSeconds: 300 })
  server.answer = json(set(asFirst()), { 'cache-control': 'max-age=60' })
  for (const seconds of [0, 60, 299, 300, 599]) {
    now = NOW + seconds
    assert.equal(await by(first), 'accepted', String(seconds))
  }
  assert.equal(server.requests.length, 2)
})

test('R61 a key that is not in the set, or a signature that fails, asks once more: rotation goes unnoticed', async () => {
  const { by } = await remote()
  assert.equal(await by(first, 'first'), 'accepted')
  now = NOW + 60
  server.answer = json(set(asFirst(), asSecond()))
  assert.equal(await by(second, 'second'), 'accepted')
  assert.equal(server.requests.length, 2)
  assert.equal(await by(first, 'first'), 'accepted')
  assert.equal(server.requests.length, 2)

  const sameKid = await remote()
  assert.equal(await sameKid.by(first), 'accepted')
  now = NOW + 60
  server.answer = json(set(second.jwk))
  assert.equal(await sameKid.by(second), 'accepted')
  assert.equal(server.requests.length, 2)
})

test('R62 a URI is asked at most once in 30 s: floods of unknown key ids and of forged signatures cost nothing', async () => {
  const { by } = await remote()
  assert.equal(await by(first, 'first'), 'accepted')
  for (let count = 0; count < 50; count++) assert.equal(await by(second, `unknown-${count}`), 'key_not_found')
  assert.equal(server.requests.length, 1)
  now = NOW + 30
  const flood = await Promise.all(Array.from({ length: 100 }, (_, count) => by(second, `unknown-${count}`)))
  assert.deepEqual(new Set(flood), new Set(['key_not_found']))
  await Promise.all(Array.from({ length: 100 }, () => by(second, 'first')))
  assert.equal(server.requests.length, 2)
  assert.equal(await by(first, 'first'), 'accepted')
})

test('R62 the cool-down holds after failures too', async () => {
  const { by } = await remote()
  server.answer = json('', {}, 500)
  assert.equal(await by(first), 'key_set_unavailable')
  server.answer = json(set(asFirst()))
  for (let count = 0; count < 20; count++) assert.equal(await by(first), 'key_set_unavailable')
  assert.equal(server.requests.length, 1)
  now = NOW + 30
  assert.equal(await by(first), 'accepted')

  const refused = await remote({}, 'https://keys.test:1/jwks')
  assert.equal(await refused.by(first), 'key_set_unavailable')
  let connected = 0
  const counting = await remote({
    lookup: (_hostname, _options, callback) => {
      connected++
      callback(new Error('ENOTFOUND'), '', 0)
    },
  })
  for (let count = 0; count < 5; count++) assert.equal(await counting.by(first), 'key_set_unavailable')
  assert.equal(connected, 1)
})

test('R63 a key that was withdrawn is refused as soon as the set has had its time', async () => {
  const { by } = await remote()
  assert.equal(await by(first), 'accepted')
  server.answer = json(set(asSecond()))
  now = NOW + 599
  assert.equal(await by(first), 'accepted')
  now = NOW + 600
  assert.equal(await by(first), 'assertion_signature_wrong')
  assert.equal(server.requests.length, 2)
})

test('R63 a clock that is set back does not keep an old set alive', async () => {
  const { by } = await remote()
  assert.equal(await by(first), 'accepted')
  now = NOW - 86_400
  server.answer = json(set(asSecond()))
  assert.equal(await by(first), 'assertion_signature_wrong')
})

test('R64 a set past its time is not used when its server is down, unless staleIfErrorSeconds says so', async () => {
  const strict = await remote()
  assert.equal(await strict.by(first), 'accepted')
  server.answer = json('', {}, 500)
  now = NOW + 600
  assert.equal(await strict.by(first), 'key_set_unavailable')

  const lenient = await remote({ staleIfErrorSeconds: 300 })
  assert.equal(await lenient.by(first), 'accepted')
  server.answer = json('', {}, 500)
  for (const [later, expected] of [
    [600, 'accepted'],
    [899, 'accepted'],
    [930, 'key_set_unavailable'],
  ] as const) {
    now = NOW + later
    assert.equal(await lenient.by(first), expected, String(later))
  }
})

test('R65 50 requests at once ask a URI once, and a slow URI holds up no other', async () => {
  const { by } = await remote()
  server.answer = (request, response) => {
    setTimeout(() => json(set(asFirst()))(request, response), 50)
  }
  const outcomes = await Promise.all(Array.from({ length: 50 }, () => by(first)))
  assert.deepEqual(new Set(outcomes), new Set(['accepted']))
  assert.equal(server.requests.length, 1)

  const clients: Record<string, string> = { slow: `${server.url}/slow`, fast: `${server.url}/fast` }
  const { verify } = await scene({
    clock: () => now,
    keySets: {
      lookup: resolvingTo('127.0.0.1'),
      isAllowedAddress: () => true,
      timeoutMilliseconds: 20_000,
      ...(server.ca === undefined ? {} : { ca: server.ca }),
    },
    findClient: (client_id) => ({
      client_id,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks_uri: clients[client_id] ?? '',
    }),
  })
  let release = (): void => {}
  server.answer = (request, response) => {
    if (request.url?.endsWith('/fast')) json(set(asFirst()))(request, response)
    else release = () => json(set(asFirst()))(request, response)
  }
  const of = (id: string) => outcomeOf(verify(formWith(assertionBy(first, { iss: id, sub: id }))))
  const slow = of('slow')
  assert.equal(await of('fast'), 'accepted')
  release()
  assert.equal(await slow, 'accepted')
})

test('R66 the answer is a 200 with a JSON object that has an array of objects in keys; its type does not matter', async () => {
  for (const [status, body] of [
    [201, set(asFirst())],
    [204, ''],
    [206, set(asFirst())],
    [404, set(asFirst())],
    [200, ''],
    [200, 'garbage'],
    [200, '<html></html>'],
    [200, []],
    [200, {}],
    [200, { keys: {} }],
    [200, '{"keys":[],"keys":[]}'],
    [200, `{"keys":${'['.repeat(20_000)}${']'.repeat(20_000)}}`],
  ] as const) {
    const { by } = await remote()
    server.answer = json(body as unknown, {}, status)
    assert.equal(await by(first), 'key_set_unavailable', `${status} ${JSON.stringify(body).slice(0, 60)}`)
  }
  const compressed = await remote()
  server.answer = (_, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' })
    response.end(gzipSync(JSON.stringify(set(asFirst()))))
  }
  assert.equal(await compressed.by(first), 'key_set_unavailable')
  const cut = await remote()
  server.answer = (_, response) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('{"keys":')
    setTimeout(() => response.destroy(), 10)
  }
  assert.equal(await cut.by(first), 'key_set_unavailable')
  const html = await remote()
  server.answer = json(set(asFirst()), { 'content-type': 'text/html' })
  assert.equal(await html.by(first), 'accepted')
})

test('R76, R47: a byte order mark before a remote set and members that are not objects are skipped', async () => {
  const { by } = await remote()
  server.answer = json(`\ufeff${JSON.stringify({ keys: [null, 'x', asFirst()] })}`)
  assert.equal(await by(first, 'first'), 'accepted')
})

test('R66 an unusable key in a remote set is skipped', async () => {
  const { by } = await remote()
  server.answer = json(
    set({ kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' }, first.privateJwk, { kty: 'oct', k: 'AA' }, asFirst()),
  )
  assert.equal(await by(first), 'accepted')
})

test('R67 nothing is fetched for an assertion that can be refused without its keys', async () => {
  const { outcome, verify } = await remote()
  for (const [claims, header] of [
    [{ aud: 'x' }, {}],
    [{ exp: NOW - 100 }, {}],
    [{ exp: undefined }, {}],
    [{ iat: NOW + 100 }, {}],
    [{ nbf: NOW + 100 }, {}],
    [{ jti: undefined }, {}],
    [{ iss: 'x' }, {}],
    [{ sub: 'x', iss: 'x' }, {}],
    [{}, { typ: 'at+jwt' }],
    [{}, { crit: ['x'] }],
    [{}, { kid: 5 }],
    [{}, { alg: 'none' }],
    [{}, { alg: 'HS256' }],
  ] as const)
    assert.notEqual(await outcome(claims, header), 'accepted')
  assert.equal(await outcomeOf(verify(formWith(assertionBy(first), { client_id: 'x' }))), 'client_id_mismatch')
  assert.deepEqual(server.requests, [])
})

test('R68 a key set that can not be had is invalid_client, and only the operator learns more', async () => {
  const { verify } = await remote()
  server.answer = json('', {}, 500)
  const refused = await refusalOf(verify(formWith(assertionBy(first))))
  assert.deepEqual([refused.code, refused.status, refused.reason], ['invalid_client', 400, 'key_set_unavailable'])
  assert.match(refused.detail ?? '', /expected status 200, got 500/)
  assert.doesNotMatch(refused.message, /keys\.test|500/)
  const forged = await refusalOf((await scene()).verify(formWith(assertionBy(second))))
  assert.equal(refused.message, forged.message)
})

test('a fetch of the application is held to size, time, status and content', async () => {
  const answers: Record<string, () => Promise<Response>> = {
    good: async () => Response.json(set(asFirst())),
    status: async () => Response.json(set(asFirst()), { status: 404 }),
    rejects: async () => Promise.reject(new Error('proxy down')),
    large: async () => new Response('x'.repeat(100_000)),
    endless: async () => new Response(new ReadableStream({ pull: (stream) => stream.enqueue(new Uint8Array(65_536)) })),
    never: () => new Promise(() => {}),
    garbage: async () => new Response('garbage'),
    empty: async () => new Response(null),
    redirected: async () => Object.defineProperty(Response.json(set(asFirst())), 'redirected', { value: true }),
  }
  for (const [what, answer] of Object.entries(answers)) {
    let init: RequestInit | undefined
    const { by } = await remote({
      timeoutMilliseconds: 150,
      fetch: (_url, settings) => {
        init = settings
        return answer()
      },
    })
    assert.equal(await by(first), what === 'good' ? 'accepted' : 'key_set_unavailable', what)
    assert.equal(init?.redirect, 'error')
  }
})

test('the number of key sets that are kept is bounded', async () => {
  let asked = 0
  const { verify } = await scene({
    keySets: {
      maxSets: 10,
      fetch: async () => {
        asked++
        return Response.json(set(asFirst()))
      },
    },
    findClient: (client_id) => ({
      client_id,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks_uri: `https://${client_id}.example/`,
    }),
  })
  const of = (id: string) => outcomeOf(verify(formWith(assertionBy(first, { iss: id, sub: id }))))
  for (let count = 0; count < 50; count++) assert.equal(await of(`c${count}`), 'accepted')
  assert.equal(await of('c49'), 'accepted')
  assert.equal(asked, 50)
  assert.equal(await of('c0'), 'accepted')
  assert.equal(asked, 51)
})

/** Clients `c0`, `c1`, … with a `jwks_uri` each, and how often each was requested. */
async function manyClients(keySets: KeySetOptions, fetch?: () => Promise<Response>) {
  now = NOW
  const asked = new Map<string, number>()
  const { verify } = await scene({
    clock: () => now,
    keySets: {
      ...keySets,
      fetch: async (url) => {
        asked.set(String(url), (asked.get(String(url)) ?? 0) + 1)
        return fetch === undefined ? Response.json(set(asFirst())) : fetch()
      },
    },
    findClient: (client_id) => ({
      client_id,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks_uri: `https://${client_id}.example/`,
    }),
  })
  const by = (key: TestKey, id: string) =>
    outcomeOf(verify(formWith(assertionBy(key, { iss: id, sub: id, iat: now, exp: now + 60 }))))
  return { by, asked, total: () => [...asked.values()].reduce((sum, each) => sum + each, 0) }
}

test('R78: 1000 sets fit into maxSets 1000, and four rounds of forged assertions request each URI once', async () => {
  const { by, asked, total } = await manyClients({ maxSets: 1000 })
  for (let round = 0; round < 4; round++)
    for (let count = 0; count < 1000; count++) assert.equal(await by(second, `c${count}`), 'assertion_signature_wrong')
  assert.equal(asked.size, 1000)
  assert.equal(total(), 1000)
})

test('R78: the time of the last request survives the set: what is dropped is not requested again within the cool-down', async () => {
  const { by, total } = await manyClients({ maxSets: 10 })
  for (let round = 0; round < 4; round++)
    for (let count = 0; count < 30; count++)
      assert.match((await by(second, `c${count}`)) ?? '', /assertion_signature_wrong|key_set_unavailable/)
  assert.equal(total(), 30)
  now = NOW + 30
  assert.equal(await by(second, 'c0'), 'assertion_signature_wrong')
  assert.equal(total(), 31)
})

test('R78: a flood of forged assertions does not displace the sets of clients that have authenticated', async () => {
  const { by, asked } = await manyClients({ maxSets: 10 })
  for (let count = 0; count < 9; count++) assert.equal(await by(first, `c${count}`), 'accepted')
  for (let count = 0; count < 200; count++) await by(second, `junk${count}`)
  for (let count = 0; count < 9; count++) assert.equal(await by(first, `c${count}`), 'accepted')
  for (let count = 0; count < 9; count++) assert.equal(asked.get(`https://c${count}.example/`), 1)
  // and a new client still gets in
  assert.equal(await by(first, 'new'), 'accepted')
})

test('R78: more honest clients than maxSets are served all the same', async () => {
  for (const maxSets of [1, 2, 10]) {
    const { by } = await manyClients({ maxSets })
    for (let round = 0; round < 3; round++)
      for (let count = 0; count < 25; count++)
        assert.equal(await by(first, `c${count}`), 'accepted', `maxSets ${maxSets}`)
  }
})

test('R78: more requests than maxRequests wait for their turn, and for too long a wait the answer is 503', async () => {
  let under = 0
  let most = 0
  const slow = async () => {
    under += 1
    most = Math.max(most, under)
    await new Promise((resolve) => setTimeout(resolve, 5))
    under -= 1
    return Response.json(set(asFirst()))
  }
  const patient = await manyClients({ maxRequests: 4 }, slow)
  const outcomes = await Promise.all(Array.from({ length: 40 }, (_, count) => patient.by(first, `c${count}`)))
  assert.deepEqual(new Set(outcomes), new Set(['accepted']))
  assert.equal(most, 4)
  const stuck = await manyClients({ maxRequests: 2, timeoutMilliseconds: 100 }, () => new Promise(() => {}))
  const refused = await Promise.all(Array.from({ length: 6 }, (_, count) => stuck.by(first, `c${count}`)))
  assert.deepEqual(refused.sort(), [...Array(2).fill('key_set_unavailable'), ...Array(4).fill('store_unavailable')])
})

test('R62: the cool-down of a URI that keeps failing doubles up to ten times as long, and a success ends that', async () => {
  let works = false
  const { by, total } = await manyClients({}, async () =>
    works ? Response.json(set(asFirst())) : new Response('', { status: 500 }),
  )
  const times: number[] = []
  for (let second = 0; second <= 1200; second += 5) {
    now = NOW + second
    const before = total()
    assert.equal(await by(first, 'c'), 'key_set_unavailable')
    if (total() > before) times.push(second)
  }
  assert.deepEqual(times, [0, 30, 90, 210, 450, 750, 1050])
  now = NOW + 1350
  works = true
  assert.equal(await by(first, 'c'), 'accepted')
  works = false
  now = NOW + 1950
  const before = total()
  assert.equal(await by(first, 'c'), 'key_set_unavailable')
  now = NOW + 1980
  assert.equal(await by(first, 'c'), 'key_set_unavailable')
  assert.equal(total(), before + 2)
})

test('R60: a key set with no-store or no-cache is kept for the least lifetime', async () => {
  for (const header of ['no-store', 'no-cache', 'private, no-cache, max-age=3600', 'No-Store']) {
    const { by } = await remote()
    server.answer = json(set(asFirst()), { 'cache-control': header })
    assert.equal(await by(first), 'accepted')
    now = NOW + 59
    assert.equal(await by(first), 'accepted')
    assert.equal(server.requests.length, 1, header)
    now = NOW + 60
    assert.equal(await by(first), 'accepted')
    assert.equal(server.requests.length, 2, header)
  }
})

test('mistakes in the options of key sets name the option', async () => {
  for (const [name, value] of [
    ['timeoutMilliseconds', 99],
    ['maxBytes', '64'],
    ['maxKeys', 0],
    ['cacheLifetimeSeconds', 59],
    ['cooldownSeconds', 0],
    ['staleIfErrorSeconds', -1],
    ['maxSets', 1.5],
    ['maxRequests', 0],
    ['maxRequestsPerHost', 1001],
    ['fetch', 'x'],
    ['lookup', {}],
    ['isAllowedAddress', true],
    ['ca', 42],
    ['ca', ['pem', {}]],
    ['cooldownSeconds', 601],
    ['allowHttpLoopback', 'yes'],
  ] as const)
    await assert.rejects(
      scene({ keySets: { [name]: value } as KeySetOptions }),
      (error: unknown) => error instanceof TypeError && error.message.includes(`'keySets.${name}'`),
    )
  await assert.rejects(scene({ keySets: { maxSet: 5 } as KeySetOptions }), {
    name: 'TypeError',
    message: 'Unknown option "maxSet". Did you mean "maxSets"?',
  })
})
