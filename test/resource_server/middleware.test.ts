import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import express from 'express'
import express4 from 'express4'
import { type Events, OAuthError, onEvent } from '../../lib/index.ts'
import {
  type AccessToken,
  type AccessTokenRequirements,
  type AccessTokenVerifier,
  createAccessTokenVerifier,
  createChallenge,
  requireAccessToken,
} from '../../lib/resource_server/index.ts'
import { createIssuer, ISSUER, NOW, RESOURCE } from '../support/access_tokens.ts'

const DOCUMENT = 'https://api.example/.well-known/oauth-protected-resource/mcp'
const issuer = await createIssuer()
const clock = () => NOW
const verifier = createAccessTokenVerifier({ issuer: ISSUER, resource: RESOURCE, keys: { jwks: issuer.jwks }, clock })
const broken: AccessTokenVerifier = createAccessTokenVerifier({
  issuer: ISSUER,
  resource: RESOURCE,
  clock,
  keys: {
    introspect: () => {
      throw new Error('ECONNREFUSED 10.0.0.3')
    },
  },
})

const ROUTES: Readonly<Record<string, AccessTokenRequirements>> = {
  '/whoami': {},
  '/write': { scope: ['write', 'admin'] },
  '/both': { scope: 'write read' },
  '/recent': { maxAgeSeconds: 60, acr: ['gold', 'silver'], scope: 'read', clock },
  '/plain': { resourceMetadata: false, cors: false },
  '/realm': { realm: 'a "realm"', resourceMetadata: 'https://elsewhere.example/document', verbosity: 'minimal' },
  '/debug': { verbosity: 'debug' },
}

type WithAuth = { auth?: AccessToken }
const bodyOf = (request: object): string => {
  const { auth } = request as WithAuth
  return JSON.stringify({ sub: auth?.subject, client_id: auth?.clientId, scopes: auth?.scopes })
}

const guards = Object.entries(ROUTES).map(
  ([path, options]) => [path, requireAccessToken(verifier, { clock, ...options })] as const,
)
const downGuard = requireAccessToken(broken)

function onExpress(make: typeof express): RequestListener {
  const app = make()
  for (const [path, guard] of guards) app.all(path, guard, (req, res) => void res.end(bodyOf(req)))
  app.all('/down', downGuard, (_req, res) => void res.end('never'))
  app.all('/throws', guards[0]?.[1] ?? downGuard, () => {
    throw new Error('of the application')
  })
  app.use((_error: unknown, _req: unknown, res: express.Response, _next: unknown) => void res.status(500).end('caught'))
  return app as unknown as RequestListener
}

const onNode: RequestListener = (request, response) => {
  const path = (request.url ?? '').split('?')[0]
  const guard = path === '/down' ? downGuard : guards.find(([each]) => each === path)?.[1]
  if (guard === undefined) response.writeHead(404).end()
  else guard(request, response, () => response.end(bodyOf(request)))
}

for (const [host, listener] of Object.entries({
  'Express 5': onExpress(express),
  'Express 4': onExpress(express4 as unknown as typeof express),
  'node:http': onNode,
}))
  describe(`requireAccessToken on ${host}`, () => {
    const server = createServer(listener)
    let port = 0
    before(async () => {
      await once(server.listen(0, '127.0.0.1'), 'listening')
      port = (server.address() as AddressInfo).port
    })
    after(() => {
      server.close()
      server.closeAllConnections()
    })

    const call = async (path: string, headers: Record<string, string> = {}, init: RequestInit = {}) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers, ...init })
      const challenge = response.headers.get('www-authenticate')
      return { response, status: response.status, challenge, body: await response.text() }
    }
    const withToken = async (path: string, claims: object = {}, scheme = 'Bearer') =>
      call(path, { authorization: `${scheme} ${await issuer.sign({ ...claims })}` })

    /** Status and body of a request that fetch would not send. */
    const raw = async (...lines: readonly string[]): Promise<string> => {
      const socket = connect(port, '127.0.0.1')
      socket.end(`${['GET /whoami HTTP/1.1', 'Host: x', 'Connection: close', ...lines].join('\r\n')}\r\n\r\n`)
      let text = ''
      for await (const chunk of socket) text += chunk
      return text
    }

    const assertRefusal = ({ response, body }: Awaited<ReturnType<typeof call>>): void => {
      assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
      assert.equal(response.headers.get('cache-control'), 'no-store')
      assert.equal(response.headers.get('access-control-allow-origin'), '*')
      assert.match(response.headers.get('access-control-expose-headers') ?? '', /WWW-Authenticate/)
      JSON.parse(body)
    }

    test('RS1: the scheme may be in any case; request.auth has what the token says', async () => {
      for (const scheme of ['Bearer', 'bearer', 'BEARER', 'Bearer ']) {
        const { status, body, response } = await withToken('/whoami', {}, scheme)
        assert.deepEqual(
          [status, JSON.parse(body)],
          [200, { sub: 'alice', client_id: 'app', scopes: ['read', 'write'] }],
        )
        assert.equal(response.headers.get('access-control-allow-origin'), '*')
      }
    })

    test('RS1: two headers or a malformed token are 400 invalid_request', async () => {
      const good = await issuer.sign()
      for (const authorization of [
        'Bearer',
        'Bearer a b',
        'Bearer a,b',
        `Bearer ${good}, Bearer ${good}`,
        'Bearer "a"',
      ]) {
        const refused = await call('/whoami', { authorization })
        assert.equal(refused.status, 400, authorization)
        assertRefusal(refused)
        assert.equal(JSON.parse(refused.body).error, 'invalid_request')
        assert.match(
          refused.challenge ?? '',
          /^Bearer error="invalid_request", error_description="[^"]+", resource_metadata="/,
        )
      }
      const twice = await raw(`Authorization: Bearer ${good}`, `authorization: Bearer ${good}`)
      assert.match(twice, /^HTTP\/1\.1 400 /)
    })

    test('RS2: a token in the query or in the body counts as none', async () => {
      const token = await issuer.sign()
      const inBody = { method: 'POST', body: new URLSearchParams({ access_token: token }) }
      for (const { status, challenge } of [
        await call(`/whoami?access_token=${token}`),
        await call('/whoami', {}, inBody),
      ])
        assert.deepEqual([status, challenge], [401, `Bearer resource_metadata="${DOCUMENT}"`])
    })

    test('RS3, RS19: nothing, or another scheme, is 401 without error, with resource_metadata and the scope', async () => {
      for (const headers of [
        {},
        { authorization: '' },
        { authorization: 'Basic YTpi' },
        { authorization: 'DPoP abc' },
      ]) {
        const refused = await call('/whoami', headers as Record<string, string>)
        assert.deepEqual([refused.status, refused.body], [401, '{}'])
        assert.equal(refused.challenge, `Bearer resource_metadata="${DOCUMENT}"`)
        assertRefusal(refused)
      }
      const { challenge } = await call('/both')
      assert.equal(challenge, `Bearer scope="read write", resource_metadata="${DOCUMENT}"`)
      assert.equal((await call('/plain')).challenge, 'Bearer')
      const own = 'Bearer realm="a \\"realm\\"", resource_metadata="https://elsewhere.example/document"'
      assert.equal((await call('/realm')).challenge, own)
    })

    test('a token for another API, an expired and a bound one are 401 invalid_token', async () => {
      const reasons: unknown[] = []
      const stop = onEvent('access_token.refused', ({ reason }) => reasons.push(reason))
      const bodies = new Set<string>()
      for (const claims of [{ aud: 'https://other.example' }, { exp: NOW - 60 }, { cnf: { jkt: 'x' } }]) {
        const refused = await withToken('/both', claims)
        assert.equal(refused.status, 401)
        assertRefusal(refused)
        bodies.add(refused.body)
        const { error, error_description } = JSON.parse(refused.body)
        assert.equal(error, 'invalid_token')
        const expected = `Bearer error="invalid_token", error_description="${error_description}", scope="read write", resource_metadata="${DOCUMENT}"`
        assert.equal(refused.challenge, expected)
      }
      stop()
      assert.equal(bodies.size, 1, 'all have one response')
      assert.deepEqual(reasons, ['token_audience_mismatch', 'token_expired', 'token_bound'])
    })

    test('RS4: a token of more than 16 KiB is 401, or more than Node.js reads', async () => {
      const { status } = await call('/whoami', { authorization: `Bearer ${'a'.repeat(16_000)}` })
      assert.equal(status, 401)
      const text = await raw(`Authorization: Bearer ${'a'.repeat(20_000)}`)
      assert.match(text, /^HTTP\/1\.1 431 /)
    })

    test('RS12, RS19: without all of the scope 403 names everything that the operation needs, sorted', async () => {
      const refused = await withToken('/write')
      assert.equal(refused.status, 403)
      assertRefusal(refused)
      assert.equal(JSON.parse(refused.body).error, 'insufficient_scope')
      assert.match(
        refused.challenge ?? '',
        /^Bearer error="insufficient_scope", .*scope="admin write", resource_metadata="/,
      )
      assert.equal((await withToken('/write', { scope: 'admin read write' })).status, 200)
      assert.equal((await withToken('/write', { scope: undefined })).status, 403)
      assert.equal((await withToken('/write', { scope: 'administrator write' })).status, 403)
    })

    test('RS19: 400, 401, 403 and 503 are JSON and no-store, and have a challenge unless it is a server error', async () => {
      const rows = [
        [await call('/whoami', { authorization: 'Bearer a b' }), 400, 'invalid_request'],
        [await call('/whoami'), 401, undefined],
        [await withToken('/whoami', { aud: 'https://other.example' }), 401, 'invalid_token'],
        [await withToken('/write', { scope: '' }), 403, 'insufficient_scope'],
        [await withToken('/down'), 503, 'temporarily_unavailable'],
      ] as const
      for (const [answer, status, error] of rows) {
        assertRefusal(answer)
        assert.deepEqual([answer.status, JSON.parse(answer.body).error], [status, error])
        assert.equal(answer.challenge === null, status === 503, String(status))
      }
    })

    test('RS13: a login that is too old or too weak is 401 with acr_values and max_age', async () => {
      const good = { acr: 'silver', auth_time: NOW - 60 }
      assert.equal((await withToken('/recent', good)).status, 200)
      const weak = [{}, { ...good, acr: 'bronze' }, { ...good, acr: undefined }, { ...good, auth_time: NOW - 61 }]
      for (const claims of [...weak, { ...good, auth_time: undefined }, { ...good, auth_time: String(NOW) }]) {
        const refused = await withToken('/recent', claims)
        assert.equal(refused.status, 401, JSON.stringify(claims))
        assertRefusal(refused)
        assert.equal(JSON.parse(refused.body).error, 'insufficient_user_authentication')
        assert.match(
          refused.challenge ?? '',
          /^Bearer error="insufficient_user_authentication", error_description="[^"]+", acr_values="gold silver", max_age="60", scope="read", resource_metadata="/,
        )
      }
      assert.equal((await withToken('/recent', { ...good, scope: 'write' })).status, 403)
    })

    test('RS15: a server error is 503 with Retry-After, without a challenge, and tells nothing', async () => {
      const refused = await call('/down', { authorization: 'Bearer opaque' })
      assert.deepEqual([refused.status, refused.challenge], [503, null])
      assert.equal(refused.response.headers.get('retry-after'), '5')
      assertRefusal(refused)
      assert.doesNotMatch(refused.body, /ECONNREFUSED|10\.0/)
      assert.equal((await call('/down')).status, 401, 'without a token nothing has to be asked')
    })

    test('RS16: nothing of the request is in the header or the body', async () => {
      const refused = await withToken('/debug', { aud: 'https://evil.example/"quoted"' })
      assert.doesNotMatch(refused.challenge ?? '', /evil/)
      const normal = await withToken('/whoami', { aud: 'https://evil.example/"quoted"' })
      assert.doesNotMatch(normal.body + normal.challenge, /evil/)
      const minimal = await withToken('/realm', { exp: NOW - 60 })
      assert.deepEqual(JSON.parse(minimal.body), { error: 'invalid_token' })
      assert.doesNotMatch(minimal.challenge ?? '', /error_description/)
    })

    test('RS18: preflights pass without a token, unless cors is false', async () => {
      const preflight = {
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization',
        origin: 'https://app.example',
      }
      const { status, response } = await call('/write', preflight, { method: 'OPTIONS' })
      assert.equal(status, 204)
      assert.equal(response.headers.get('access-control-allow-origin'), '*')
      assert.equal(response.headers.get('access-control-allow-headers'), 'authorization')
      assert.match(response.headers.get('access-control-allow-methods') ?? '', /POST/)
      assert.equal((await call('/write', {}, { method: 'OPTIONS' })).status, 401, 'OPTIONS that is no preflight')
      const plain = await call('/plain', preflight, { method: 'OPTIONS' })
      assert.deepEqual([plain.status, plain.response.headers.get('access-control-allow-origin')], [401, null])
    })

    if (host !== 'node:http')
      test('what a handler after it throws goes to the error handler of the application', async () => {
        const { status, body } = await withToken('/throws')
        assert.deepEqual([status, body], [500, 'caught'])
      })
  })

test('RS18: CORS headers that the application has set stay, and the challenge is readable all the same', async (t) => {
  const guard = requireAccessToken(verifier, { clock })
  const server = createServer((request, response) => {
    response.setHeader('Access-Control-Allow-Origin', 'https://only.example')
    guard(request, response, () => response.end())
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => server.close())
  const { headers } = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  assert.equal(headers.get('access-control-allow-origin'), 'https://only.example')
  assert.match(headers.get('access-control-expose-headers') ?? '', /WWW-Authenticate/)
})

test('RS20: access_token.refused for a missing scope names token and client; request.refused tells every refusal', async (t) => {
  const refused: Events['access_token.refused'][] = []
  const answered: Events['request.refused'][] = []
  t.after(onEvent('access_token.refused', (event) => refused.push(event)))
  t.after(onEvent('request.refused', (event) => answered.push(event)))
  const guard = requireAccessToken(verifier, { clock, scope: 'admin' })
  const server = createServer((request, response) => guard(request, response, () => response.end()))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const token = await issuer.sign()
  await fetch(url, { headers: { authorization: `Bearer ${token}` } })
  await fetch(url)
  const told = refused.map(({ reason, tokenId, clientId }) => [reason, tokenId, clientId])
  assert.deepEqual(told, [
    ['scope_insufficient', 'token-1', 'app'],
    ['token_missing', undefined, undefined],
  ])
  assert.deepEqual(
    answered.map(({ code, status, reason }) => [code, status, reason]),
    [
      ['insufficient_scope', 403, 'scope_insufficient'],
      ['invalid_token', 401, 'token_missing'],
    ],
  )
  assert.ok(!JSON.stringify([refused, answered]).includes(token))
})

test('RS16: createChallenge escapes quotes and backslashes, and writes printable ASCII only', () => {
  const error = new OAuthError('invalid_token', { description: 'a "b" \\ \u0000ä\r\nX: y' })
  assert.equal(
    createChallenge(error, { realm: '"', scope: '' }),
    'Bearer realm="\\"", error="invalid_token", error_description="a \\"b\\" \\\\ ????X: y"',
  )
  assert.equal(createChallenge(undefined), 'Bearer')
  assert.equal(createChallenge(undefined, { acrValues: 'gold', scope: 'a b' }), 'Bearer scope="a b"')
  assert.throws(() => createChallenge(error, { scopes: 'a' } as never), /Did you mean "scope"/)
})

test('what cannot be a configuration is a TypeError that names the option', () => {
  const bad: readonly [object, RegExp][] = [
    [{ scope: 'a"b' }, /'scope'/],
    [{ scope: ['a', 7] }, /'scope'/],
    [{ acr: 7 }, /'acr'/],
    [{ maxAgeSeconds: -1 }, /'maxAgeSeconds'/],
    [{ resourceMetadata: '/document' }, /'resourceMetadata'/],
    [{ realm: 'ä' }, /'realm'/],
    [{ scopes: 'a' }, /Did you mean "scope"/],
    [{ cors: { origin: '*' } }, /Did you mean "origins"/],
    [{ verbosity: 'loud' }, /'verbosity'/],
  ]
  for (const [options, message] of bad)
    assert.throws(() => requireAccessToken(verifier, options), { name: 'TypeError', message }, JSON.stringify(options))
  for (const none of [undefined, {}, () => undefined])
    assert.throws(() => requireAccessToken(none as never), { name: 'TypeError', message: /'verifier'/ })
  assert.throws(() => requireAccessToken(verifier, null as never), /requireAccessToken needs an object/)
})
