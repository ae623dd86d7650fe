import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { test } from 'node:test'
import express from 'express'
import oauth2orize from 'oauth2orize'
import {
  createClientAuthenticator,
  createClientEndpoint,
  createIntrospectionEndpoint,
  createRevocationEndpoint,
  createSessions,
  createTokenEndpoint,
  createTokens,
  type Events,
  type Exchange,
  OAuthError,
  onEvent,
  type RequestHandler,
} from '../../lib/index.ts'
import { toOauth2orize } from '../../lib/oauth2orize/index.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { applicationPassport, basicHeader, echo, findClient, listen, post, SECRET } from '../support/token_route.ts'

const BASIC = { Authorization: basicHeader('any', SECRET) }
const tokens = createTokens({ issuer: 'https://as.example', baseSecret: 'x'.repeat(64) })
const sessions = createSessions({ store: createMemoryStores().sessionStore })
const FORM = { grant_type: 'echo', token: 'unknown' }

const serverWith = (...exchanges: readonly Exchange[]): oauth2orize.OAuth2Server => {
  const server = oauth2orize.createServer()
  for (const exchange of exchanges) server.exchange(toOauth2orize(exchange))
  return server
}

type Make = (options: Parameters<typeof createClientEndpoint>[1]) => RequestHandler

/** Every endpoint of the package. */
const ENDPOINTS: Readonly<Record<string, Make>> = {
  'createTokenEndpoint({ exchanges })': (options) => createTokenEndpoint({ ...options, exchanges: [echo] }),
  'createTokenEndpoint({ server })': (options) => createTokenEndpoint({ ...options, server: serverWith(echo) }),
  createClientEndpoint: (options) => createClientEndpoint(async () => ({ own: true }), options),
  createIntrospectionEndpoint: (options) => createIntrospectionEndpoint({ ...options, sessions, tokens }),
  createRevocationEndpoint: (options) => createRevocationEndpoint({ ...options, sessions, tokens }),
}

async function use(listener: unknown, ask: (url: string) => Promise<void>): Promise<void> {
  const route = await listen(createServer(listener as RequestListener))
  try {
    await ask(route.url)
  } finally {
    await route.close()
  }
}

for (const [name, make] of Object.entries(ENDPOINTS)) {
  const caller = name.replace(/\(.*/, '')

  test(`${name}: path, method, CORS, form limit, verbosity and realm are options of every endpoint`, async () => {
    const options = {
      findClient,
      path: '/token',
      limitBytes: 200,
      verbosity: 'minimal' as const,
      realm: 'Here',
      cors: { origins: ['https://app.example'] },
    }
    await use(make(options), async (url) => {
      const origin = { Origin: 'https://app.example' }
      const good = await post(url, FORM, { ...BASIC, ...origin })
      assert.equal(good.status, 200, good.text)
      assert.equal(good.headers.get('cache-control'), 'no-store')
      assert.equal(good.headers.get('access-control-allow-origin'), 'https://app.example')
      const wrong = await post(`${url}?query`, FORM, { Authorization: basicHeader('any', 'wrong'), ...origin })
      assert.deepEqual([wrong.status, wrong.text], [401, '{"error":"invalid_client"}'])
      assert.equal(wrong.headers.get('www-authenticate'), 'Basic realm="Here"')
      assert.equal(wrong.headers.get('access-control-allow-origin'), 'https://app.example')
      assert.equal((await post(url.replace('/token', '/other'), FORM, BASIC)).status, 404)
      assert.equal((await post(url, { ...FORM, more: 'x'.repeat(300) }, BASIC)).status, 413)
      const get = await fetch(url)
      assert.deepEqual([get.status, get.headers.get('allow')], [405, 'POST, OPTIONS'])
      const preflight = await fetch(url, { method: 'OPTIONS', headers: origin })
      assert.equal(preflight.status, 204)
    })
  })

  test(`${name}: a function or Passport strategies authenticate clients at every endpoint`, async () => {
    const strategies = { basic: 'basic', clientPassword: 'oauth2-client-password' }
    const ways: readonly Parameters<typeof createClientEndpoint>[1][] = [
      { authenticateClient: createClientAuthenticator({ findClient }) },
      { passport: applicationPassport(), strategies },
    ]
    for (const way of ways) {
      await use(express().use('/token', make(way)), async (url) => {
        assert.equal((await post(url, FORM, BASIC)).status, 200)
        const wrong = await post(url, FORM, { Authorization: basicHeader('any', 'wrong') })
        assert.deepEqual([wrong.status, wrong.json.error], [401, 'invalid_client'])
        assert.equal((await post(`${url}/below`, FORM, BASIC)).status, 404)
      })
    }
  })

  test(`T90: ${name}: the time limit covers client authentication, and what comes late starts nothing`, async (t) => {
    const events: Events['request.refused'][] = []
    t.after(onEvent('request.refused', (event) => events.push(event)))
    let finish: (() => void) | undefined
    const slow = async (clientId: string) => {
      await new Promise<void>((resolve) => (finish = resolve))
      return findClient(clientId, {})
    }
    await use(make({ findClient: slow, timeoutMilliseconds: 40 }), async (url) => {
      const hung = await post(url, FORM, BASIC)
      assert.deepEqual([hung.status, hung.json.error], [503, 'temporarily_unavailable'])
      assert.equal(hung.headers.get('retry-after'), '5')
      finish?.()
      await new Promise((resolve) => setTimeout(resolve, 60))
    })
    assert.equal(events.length, 1)
    assert.match(String(events[0]?.cause), /client authentication did not finish within 40 milliseconds/)
    const hanging = { authenticate: () => undefined } // a strategy that calls none of its actions
    await use(make({ strategies: { basic: hanging }, timeoutMilliseconds: 40 }), async (url) => {
      assert.equal((await post(url, FORM, BASIC)).status, 503)
    })
  })

  test(`${name} refuses unknown options, missing ones, and two ways to authenticate`, () => {
    const bad: readonly (readonly [unknown, RegExp])[] = [
      [undefined, new RegExp(`^${caller} needs`)],
      [{}, new RegExp(`^${caller} needs one of the options findClient, authenticateClient and strategies`)],
      [
        { findClient, timeoutMillisecond: 1 },
        /Unknown option "timeoutMillisecond". Did you mean "timeoutMilliseconds"\?/,
      ],
      [{ findClient, exchangeTimeoutMilliseconds: 1 }, /Unknown option/],
      [{ findClient, strategies: { basic: 'basic' }, passport: applicationPassport() }, /no effect|Unknown/],
      [{ authenticateClient: createClientAuthenticator({ findClient }), strict: true }, /'strict' has no effect with/],
      [{ findClient, timeoutMilliseconds: 0 }, /timeoutMilliseconds/],
    ]
    for (const [options, message] of bad.slice(name.includes('(') ? 1 : 0)) {
      // an introspection endpoint has findClient for itself as well
      if (caller === 'createIntrospectionEndpoint' && message.source.startsWith('no effect')) continue
      assert.throws(() => make(options as never), { name: 'TypeError', message }, JSON.stringify(options))
    }
    assert.throws(() => createTokenEndpoint(undefined as never), /^TypeError: createTokenEndpoint needs/)
  })
}

test('createTokenEndpoint takes a server or exchanges, not both', () => {
  const server = serverWith(echo)
  const both = { findClient, server, exchanges: [echo] } as never
  assert.throws(() => createTokenEndpoint(both), /pass either 'server' or 'exchanges', not both/)
  assert.throws(() => createTokenEndpoint({ findClient } as never), /needs one of the options 'exchanges' and 'server'/)
  assert.throws(() => createTokenEndpoint({ findClient, server: {} as never }), /option 'server.token'/)
  for (const exchanges of [{}, [undefined], [{}], [() => undefined], [{ run: async () => ({}) }]])
    assert.throws(() => createTokenEndpoint({ findClient, exchanges: exchanges as never }), /option 'exchanges'/)
})

test('T96: an endpoint of the application sets the status and headers of its response', async () => {
  const endpoint = createClientEndpoint(
    async ({ client, parameters }, reply) => {
      reply.status = 201
      reply.headers = { Location: '/things/7', 'cache-control': 'no-cache, no-store' }
      return { request_uri: 'urn:x:7', client_id: client.client_id, expires_in: Number(parameters['seconds']) }
    },
    { findClient },
  )
  await use(endpoint, async (url) => {
    const made = await post(url, { seconds: '60' }, BASIC)
    assert.deepEqual([made.status, made.json], [201, { request_uri: 'urn:x:7', client_id: 'any', expires_in: 60 }])
    assert.equal(made.headers.get('location'), '/things/7')
    assert.equal(made.headers.get('cache-control'), 'no-cache, no-store')
    assert.equal(made.headers.get('pragma'), 'no-cache')
    assert.equal(made.headers.get('access-control-allow-origin'), '*')
  })
})

test('T96: a wrong status, header or body of an endpoint is a server error that operators see, never a hang', async (t) => {
  const events: Events['request.refused'][] = []
  t.after(onEvent('request.refused', (event) => events.push(event)))
  const wrong: readonly ((reply: Record<string, unknown>) => unknown)[] = [
    (reply) => Object.assign(reply, { status: 404 }),
    (reply) => Object.assign(reply, { status: '201' }),
    (reply) => Object.assign(reply, { headers: { 'X-Own': 'a\r\nb' } }),
    (reply) => Object.assign(reply, { headers: { 'content-length': '1' } }),
    (reply) => Object.assign(reply, { headers: null }),
    () => undefined,
    () => null,
    () => 'text',
    () => {
      throw new Error('inside')
    },
  ]
  for (const act of wrong) {
    const endpoint = createClientEndpoint((_request, reply) => act(reply as never) as object, { findClient })
    await use(endpoint, async (url) => {
      const answer = await post(url, {}, BASIC)
      assert.deepEqual([answer.status, answer.json.error], [500, 'server_error'], String(act))
      assert.equal(answer.headers.get('x-own'), null)
    })
  }
  assert.equal(events.length, wrong.length)
})

test('an exchange of the application may issue another type of tokens, and refuse with codes of its own', async () => {
  const exchange: Exchange = {
    grantType: 'urn:example:grant',
    async run({ parameters }) {
      if (parameters['otp'] === undefined) throw new OAuthError('mfa_required', { status: 403 })
      return { access_token: 'abc', token_type: 'N_A', issued_token_type: 'urn:example:token' }
    },
  }
  const options = { findClient, enforceGrantTypes: false }
  const doors = [
    createTokenEndpoint({ ...options, exchanges: [exchange] }),
    createTokenEndpoint({ ...options, server: serverWith(exchange) }),
  ]
  for (const door of doors) {
    await use(express().use('/token', door), async (url) => {
      const refused = await post(url, { grant_type: exchange.grantType }, BASIC)
      assert.deepEqual([refused.status, refused.json.error], [403, 'mfa_required'])
      const issued = await post(url, { grant_type: exchange.grantType, otp: '1' }, BASIC)
      assert.deepEqual([issued.status, issued.json.token_type], [200, 'N_A'])
    })
  }
})

test('a time limit that ends a request does not touch a response that is sent already', async (t) => {
  const events: unknown[] = []
  t.after(onEvent('request.refused', (event) => events.push(event)))
  const server = oauth2orize.createServer()
  server.exchange('echo', (_req, res) => res.end('{"access_token":"a"}'))
  const endpoint = createTokenEndpoint({ server, findClient, timeoutMilliseconds: 30 })
  await use(express().use('/token', endpoint), async (url) => {
    assert.equal((await post(url, FORM, BASIC)).status, 200)
    await new Promise((resolve) => setTimeout(resolve, 60))
  })
  assert.deepEqual(events, [])
})

test('T19: the headers a script asks for are allowed, and what it may read is exposed', async () => {
  const asked = 'authorization,content-type,mcp-protocol-version,traceparent,sentry-trace'
  for (const [name, make] of Object.entries(ENDPOINTS)) {
    await use(make({ findClient }), async (url) => {
      const preflight = await fetch(url, {
        method: 'OPTIONS',
        headers: { Origin: 'https://x.example', 'Access-Control-Request-Headers': asked },
      })
      assert.equal(preflight.headers.get('access-control-allow-headers'), asked, name)
      const wrong = await post(url, FORM, { Authorization: 'Basic x', Origin: 'https://x.example' })
      assert.equal(wrong.headers.get('access-control-expose-headers'), 'WWW-Authenticate, Retry-After, DPoP-Nonce')
      const odd = await fetch(url, { method: 'OPTIONS', headers: { 'Access-Control-Request-Headers': 'a;b' } })
      assert.equal(odd.headers.get('access-control-allow-headers'), 'authorization,content-type,dpop')
    })
  }
  const EXPOSED = 'WWW-Authenticate, Retry-After, DPoP-Nonce'
  const foreign = oauth2orize.createServer()
  foreign.exchange('echo', (_req, res) => res.end('{"access_token":"a","token_type":"Bearer"}'))
  const makers: readonly (readonly [Make, string | null])[] = [
    ...Object.entries(ENDPOINTS).map(
      // the token endpoint has nothing to expose where it succeeds; what an application answers with may have
      ([name, make]) => [make, name.startsWith('createTokenEndpoint') ? null : EXPOSED] as const,
    ),
    [(options) => createTokenEndpoint({ ...options, server: foreign }), EXPOSED],
  ]
  for (const [make, exposed] of makers) {
    for (const cors of [undefined, { origins: ['https://x.example'] }]) {
      await use(make({ findClient, cors }), async (url) => {
        const { headers, status } = await post(url, FORM, { ...BASIC, Origin: 'https://x.example' })
        const names = ['access-control-allow-origin', 'access-control-allow-methods', 'access-control-expose-headers']
        const values = names.map((name) => headers.get(name))
        assert.deepEqual([status, ...values], [200, cors === undefined ? '*' : 'https://x.example', 'POST', exposed])
      })
    }
  }
  const cors = { origins: ['https://x.example'], headers: ['Authorization', 'X-Own'] }
  await use(
    createClientEndpoint(async () => ({}), { findClient, cors }),
    async (url) => {
      const ask = (origin: string) =>
        fetch(url, { method: 'OPTIONS', headers: { Origin: origin, 'Access-Control-Request-Headers': 'traceparent' } })
      assert.equal((await ask('https://x.example')).headers.get('access-control-allow-headers'), 'Authorization, X-Own')
      assert.equal((await ask('https://y.example')).headers.get('access-control-allow-headers'), null)
    },
  )
  const bad = [{ headers: 'X' }, { headers: ['a b;'] }, { headers: [7] }, { methods: 'POST' }, { origin: '*' }]
  for (const wrong of bad)
    assert.throws(
      () => createClientEndpoint(async () => ({}), { findClient, cors: wrong as never }),
      /option 'cors\.|Did you mean "origins"/,
      JSON.stringify(wrong),
    )
})

test('T5: a form that is ASCII throughout is accepted with the charset ISO-8859-1, any other is not', async () => {
  const parsers = [
    [],
    [express.text({ type: () => true })],
    [express.urlencoded({ extended: false, verify: (req, _res, bytes) => Object.assign(req, { rawBody: bytes }) })],
  ]
  const form = 'grant_type=echo&token=unknown&a=b%20c'
  for (const [name, make] of Object.entries(ENDPOINTS)) {
    for (const parser of parsers) {
      await use(express().use('/token', ...parser, make({ findClient })), async (url) => {
        const send = async (charset: string, body: string | Uint8Array<ArrayBuffer>) => {
          const headers = { ...BASIC, 'Content-Type': `application/x-www-form-urlencoded; charset=${charset}` }
          return (await fetch(url, { method: 'POST', headers, body })).status
        }
        for (const charset of ['ISO-8859-1', 'iso-8859-1', '"ISO-8859-1"'])
          assert.equal(await send(charset, form), 200, name)
        if (parser.length > 0) return // body-parser decodes the rest by itself
        for (const charset of ['us-ascii', 'windows-1252']) assert.equal(await send(charset, form), 200, name)
        assert.equal(await send('ISO-8859-1', Buffer.from(`${form}&b=é`, 'latin1')), 415)
        assert.equal(await send('ISO-8859-1', `${form}&b=é`), 415)
        assert.equal(await send('ISO-8859-1', `${form}&b=%C3%A9`), 415)
        assert.equal(await send('UTF-8', `${form}&b=%C3%A9`), 200)
        assert.equal(await send('utf-16', form), 415)
        const headers = { ...BASIC, 'Content-Type': 'application/x-www-form-urlencoded; charset=ISO-8859-1' }
        const response = await fetch(url, { method: 'POST', headers, body: Buffer.from(`${form}&b=é`, 'latin1') })
        assert.deepEqual(await response.json(), {
          error: 'invalid_request',
          error_description:
            'A form in this charset must be ASCII. Send application/x-www-form-urlencoded without a charset, ' +
            'and percent-encode other characters as UTF-8.',
        })
      })
    }
  }
})

test('T95: every endpoint responds to errors with a writer of the application', async () => {
  for (const [name, make] of Object.entries(ENDPOINTS)) {
    const options: Parameters<typeof createClientEndpoint>[1] = {
      findClient,
      realm: 'Here',
      writeError(error, request, response, body) {
        response.setHeader('Content-Type', 'application/problem+json')
        response.end(
          JSON.stringify({ title: body.error, detail: body.error_description, seen: request.method, code: error.code }),
        )
      },
    }
    await use(express().use('/token', make(options)), async (url) => {
      const wrong = await post(url, FORM, { Authorization: basicHeader('any', 'wrong') })
      assert.deepEqual(
        [wrong.status, wrong.json],
        [
          401,
          { title: 'invalid_client', detail: 'Client authentication failed.', seen: 'POST', code: 'invalid_client' },
        ],
        name,
      )
      assert.equal(wrong.headers.get('content-type'), 'application/problem+json')
      assert.equal(wrong.headers.get('www-authenticate'), 'Basic realm="Here"')
      assert.equal(wrong.headers.get('cache-control'), 'no-store')
      assert.equal(wrong.headers.get('access-control-allow-origin'), '*')
      const get = await fetch(url)
      assert.deepEqual([get.status, get.headers.get('allow')], [405, 'POST, OPTIONS'])
      assert.equal(((await get.json()) as { seen: string }).seen, 'GET')
      const down = await post(url, FORM, { Authorization: basicHeader('down', 'x') })
      assert.deepEqual([down.status, down.headers.get('retry-after')], [503, '5'])
    })
  }
})

test('T95: a writer that fails is replaced: nothing hangs, and nothing of the fault is shown', async () => {
  const writers: readonly (() => unknown)[] = [
    () => {
      throw new Error('no template')
    },
    async () => {
      throw new Error('no template')
    },
  ]
  for (const writeError of writers) {
    await use(
      createClientEndpoint(async () => ({}), { findClient, writeError }),
      async (url) => {
        const wrong = await post(url, {}, { Authorization: basicHeader('any', 'wrong') })
        assert.deepEqual([wrong.status, wrong.json.error], [401, 'invalid_client'])
        assert.doesNotMatch(wrong.text, /template/)
        assert.equal(wrong.headers.get('content-type'), 'application/json; charset=utf-8')
      },
    )
  }
  for (const writeError of ['text', {}])
    assert.throws(
      () => createClientEndpoint(async () => ({}), { findClient, writeError: writeError as never }),
      /writeError/,
    )
})

test('T95: a writer that does not end the response in time is replaced', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const called = deferred()
  const write = () => called.resolve()
  await use(
    createClientEndpoint(async () => ({}), { findClient, writeError: write }),
    async (url) => {
      const pending = post(url, {}, { Authorization: basicHeader('any', 'wrong') })
      await called.promise
      t.mock.timers.tick(30_000)
      assert.equal((await pending).status, 401)
    },
  )
})

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined
  const promise = new Promise<void>((settle) => (resolve = settle))
  return { promise, resolve: () => resolve() }
}
