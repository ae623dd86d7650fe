import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { inspect } from 'node:util'
import express, { type RequestHandler } from 'express'
import express4 from 'express4'
import fastCheck from 'fast-check'
import oauth2orize from 'oauth2orize'
import type { AuthenticateClient } from '../../lib/client_authentication/authenticator.ts'
import { OAuthError } from '../../lib/errors.ts'
import { parseForm } from '../../lib/http/form.ts'
import {
  allowCors,
  authenticateClients,
  createClientAuthenticator,
  createClientEndpoint,
  createExpressServer as createFastServer,
  createTokenEndpoint,
  readFormBody,
  respondWithError,
  setNoStore,
} from '../../lib/index.ts'
import { toOauth2orize } from '../../lib/oauth2orize/index.ts'
import {
  answerOf,
  applicationPassport,
  basicHeader,
  echo,
  findClient,
  listen,
  post,
  SECRET,
} from '../support/token_route.ts'

const BASIC = { Authorization: basicHeader('any', SECRET) }
const FRAMEWORKS = [
  ['Express 4', express4 as unknown as typeof express],
  ['Express 5', express],
] as const

for (const [name, framework] of FRAMEWORKS) {
  test(`formBody alone gives an object without prototype, on ${name}`, async () => {
    const app = framework()
    app.post('/token', readFormBody({ limitBytes: 100 }), (req, res) => {
      assert.equal(Object.getPrototypeOf(req.body), null)
      res.json(req.body)
    })
    app.use(respondWithError({ verbosity: 'debug' }))
    const route = await listen(createServer(app))
    const answer = await post(`${route.url}?c=3`, 'a=1&b=&__proto__=2')
    assert.equal(answer.text, '{"a":"1","__proto__":"2"}')
    const large = await post(route.url, { a: 'x'.repeat(100) })
    assert.equal(large.status, 413)
    assert.match(large.json.error_description, /body_too_large/)
    assert.equal((await post(route.url, '{}', { 'Content-Type': 'application/json' })).status, 415)
    await route.close()
  })

  test(`formBody takes the octets that an earlier parser kept, and is strict again, on ${name} (O21)`, async () => {
    const app = framework()
    const verify = (req: IncomingMessage, _res: unknown, octets: Buffer) => {
      Object.assign(req, { rawBody: octets })
    }
    app.use(framework.urlencoded({ extended: true, verify }))
    app.post('/token', readFormBody(), (req, res) => res.json(req.body))
    app.use(respondWithError())
    const route = await listen(createServer(app))
    assert.deepEqual((await post(route.url, 'a=1&b[c]=2')).json, { a: '1', 'b[c]': '2' })
    for (const body of ['a=%ff', 'a=100%', 'a=1&a=2']) assert.equal((await post(route.url, body)).status, 400, body)
    await route.close()
  })

  test(`text and octets in req.body are read as forms too, on ${name}`, async () => {
    for (const parser of [framework.text({ type: '*/*' }), framework.raw({ type: '*/*' })]) {
      const app = framework()
      app.post('/token', parser, readFormBody({ limitBytes: 50 }), (req, res) => res.json(req.body))
      app.use(respondWithError())
      const route = await listen(createServer(app))
      assert.deepEqual((await post(route.url, 'a=1&b=%C3%A9')).json, { a: '1', b: 'é' })
      assert.equal((await post(route.url, { a: 'x'.repeat(60) })).status, 413)
      await route.close()
    }
  })

  test(`a body that was read and left nowhere is a fault of the server, on ${name} (O1)`, async () => {
    const app = framework()
    app.use((req, _res, next) => {
      req.resume().on('end', next)
    })
    app.post('/token', readFormBody(), (req, res) => res.json(req.body))
    app.use(respondWithError())
    const route = await listen(createServer(app))
    const answer = await post(route.url, 'a=1')
    assert.deepEqual([answer.status, answer.json.error], [500, 'server_error'])
    await route.close()
  })

  test(`clientAuthentication, noStore and cors stand alone, on ${name}`, async () => {
    const authenticateClient = createClientAuthenticator({ findClient })
    const app = framework()
    app.use('/token', allowCors(), setNoStore(), readFormBody(), authenticateClients({ authenticateClient }))
    app.post('/token', (req, res) => {
      res.json({ id: (req.user as { client_id?: string } | undefined)?.client_id, info: req.authInfo })
    })
    app.use(respondWithError())
    const route = await listen(createServer(app))
    const answer = await post(route.url, {}, BASIC)
    assert.deepEqual(answer.json, { id: 'any', info: { method: 'client_secret_basic' } })
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    assert.equal(answer.headers.get('access-control-allow-origin'), '*')
    const refused = await post(route.url, { client_id: 'any' })
    assert.deepEqual([refused.status, refused.headers.get('access-control-allow-origin')], [400, '*'])
    assert.equal((await fetch(route.url, { method: 'OPTIONS' })).status, 204)
    await route.close()
  })

  test(`a handler mounted with use leaves paths below it alone, also in a router, on ${name} (T1)`, async () => {
    const handler = createTokenEndpoint({ findClient, exchanges: [echo] }) as RequestHandler
    const app = framework()
    app.use('/used', handler)
    const router = framework.Router()
    router.post('/token', handler)
    router.use('/used', handler)
    app.use('/oauth', router)
    app.use((_req, res) => res.status(404).send('the application'))
    const route = await listen(createServer(app))
    const at = (path: string) => route.url.replace('/token', path)
    for (const path of ['/used', '/used/', '/used?x=1', '/oauth/token', '/oauth/used']) {
      assert.equal((await post(at(path), { grant_type: 'echo' }, BASIC)).status, 200, path)
    }
    for (const path of ['/used/x', '/oauth/used/x']) {
      assert.equal((await post(at(path), { grant_type: 'echo' }, BASIC)).text, 'the application', path)
    }
    await route.close()
  })
}

test('a form that the application replaces after it was read is judged again', async () => {
  const app = express()
  app.use('/token', setNoStore(), readFormBody(), (req, _res, next) => {
    req.body = JSON.parse(String(req.headers['x-body']))
    next()
  })
  app.use('/token', authenticateClients({ authenticateClient: createClientAuthenticator({ findClient }) }))
  app.post('/token', (req, res) => res.json(req.body))
  app.use(respondWithError())
  const route = await listen(createServer(app))
  const sent = (body: object) => post(route.url, { a: '1' }, { ...BASIC, 'X-Body': JSON.stringify(body) })
  assert.deepEqual((await sent({ scope: 'read', client_id: '' })).json, { scope: 'read' })
  assert.deepEqual((await sent({ scope: ['read', 'write'] })).json.error, 'invalid_request')
  await route.close()
})

test('a form of another parser is judged again wherever it is used, also one that was changed in place', async () => {
  const server = oauth2orize.createServer()
  server.exchange(toOauth2orize(echo))
  const app = express()
  const change: RequestHandler = (req, _res, next) => {
    Object.assign(req.body, JSON.parse(String(req.headers['x-change'])))
    next()
  }
  const authenticate = authenticateClients({ authenticateClient: createClientAuthenticator({ findClient }) })
  app.post('/token', express.urlencoded({ extended: false }), authenticate, change, server.token() as RequestHandler)
  app.use(respondWithError({ verbosity: 'debug' }))
  const route = await listen(createServer(app))
  const sent = (change: object) =>
    post(route.url, { grant_type: 'echo' }, { ...BASIC, 'X-Change': JSON.stringify(change) })
  assert.equal((await sent({})).status, 200)
  const refused = await sent({ scope: ['read'] })
  assert.deepEqual([refused.status, refused.json.error], [400, 'invalid_request'])
  assert.match(refused.json.error_description, /parameter_malformed/)
  await route.close()
})

test('a parameter that the application removes from a form that was read counts as not sent', async () => {
  const app = express()
  const remove: RequestHandler = (req, _res, next) => {
    req.body.client_secret = undefined
    next()
  }
  const passport = applicationPassport()
  app.post('/token', readFormBody(), remove, passport.authenticate('oauth2-public-client', { session: false }))
  app.use('/token', (req, res) => res.json({ id: (req.user as { client_id?: string } | undefined)?.client_id }))
  const route = await listen(createServer(app))
  assert.deepEqual((await post(route.url, { client_id: 'public', client_secret: 'x' })).json, { id: 'public' })
  await route.close()
})

test('a request whose body the application replaced shows nothing of its form where it is logged', async () => {
  const app = express()
  let shown = ''
  app.post('/token', readFormBody(), (req, res) => {
    req.body = 'removed'
    shown = inspect(req, { depth: 10, showHidden: true })
    res.end()
  })
  const route = await listen(createServer(app))
  await post(route.url, { client_secret: SECRET })
  assert.match(shown, /removed/)
  assert.ok(!shown.includes(SECRET))
  await route.close()
})

test('endpoints of one process that alternate, and their refusals, each have their own headers', async () => {
  const endpoint = (cors: { origins: string[] } | false | undefined) =>
    createTokenEndpoint({ findClient, exchanges: [echo], cors })
  const routes = await Promise.all(
    [endpoint(undefined), endpoint({ origins: ['https://app.example'] }), endpoint(false)].map((each) =>
      listen(createServer(each)),
    ),
  )
  const expected = ['*', 'https://app.example', null]
  for (const grant_type of ['echo', 'unknown', 'echo']) {
    for (const [index, { url }] of routes.entries()) {
      const answer = await post(url, { grant_type }, { ...BASIC, Origin: 'https://app.example' })
      assert.equal(answer.status, grant_type === 'echo' ? 200 : 400)
      assert.equal(answer.headers.get('access-control-allow-origin'), expected[index])
      assert.equal(answer.headers.get('cache-control'), 'no-store')
      assert.equal(Number(answer.headers.get('content-length')), Buffer.byteLength(answer.text))
    }
  }
  await Promise.all(routes.map((route) => route.close()))
})

test('a handler with a path answers it in front of an application, and nothing else', async () => {
  const app = express()
  app.use((_req, res) => res.send('the application'))
  const handler = createTokenEndpoint({ findClient, exchanges: [echo], path: '/token' })
  const inFront = await listen(createServer((req, res) => handler(req, res, () => app(req, res))))
  assert.equal((await post(`${inFront.url}?x`, { grant_type: 'echo' }, BASIC)).status, 200)
  for (const path of ['/token/', '/tokens', '/']) {
    const answer = await post(inFront.url.replace('/token', path), { grant_type: 'echo' }, BASIC)
    assert.equal(answer.text, 'the application', path)
  }
  await inFront.close()
  const alone = await listen(createServer(handler))
  assert.equal((await fetch(`${alone.url}/elsewhere`, { method: 'POST' })).status, 404)
  await alone.close()
})

test('the server that gives Express its prototypes serves both doors', async () => {
  const app = express()
  app.use('/token', createTokenEndpoint({ findClient, exchanges: [echo] }) as RequestHandler)
  const route = await listen(createFastServer(app))
  assert.equal((await post(route.url, { grant_type: 'echo' }, BASIC)).status, 200)
  assert.equal((await post(route.url, { grant_type: 'echo' })).status, 400)
  await route.close()
})

test('an endpoint of the application stands behind the same client authentication', async () => {
  const handler = createClientEndpoint(
    async ({ client, parameters, authentication }) => ({ client: client.client_id, parameters, authentication }),
    { findClient, endpoint: 'https://as.example/par' },
  )
  const route = await listen(createServer(handler))
  const answer = await post(route.url, { scope: 'a' }, BASIC)
  const authentication = { method: 'client_secret_basic' }
  assert.deepEqual(answer.json, { client: 'any', parameters: { scope: 'a' }, authentication })
  assert.equal((await post(route.url, {})).status, 400)
  await route.close()
})

test("whatever an application's own authenticateClient or clock throws is answered, and lets nothing through", async () => {
  const thrown = [new Error('no directory'), undefined, false, 'route']
  for (const error of thrown) {
    const throwing = (): never => {
      throw error
    }
    const authenticators = [throwing, () => Promise.reject(error)] as unknown as AuthenticateClient[]
    for (const authenticateClient of authenticators) {
      const handler = createClientEndpoint(async () => ({ reached: true }), { authenticateClient })
      const app = express()
      app.post('/token', readFormBody(), authenticateClients({ authenticateClient }) as RequestHandler, (_req, res) => {
        res.json({ reached: true })
      })
      app.use(respondWithError())
      for (const listener of [handler, app]) {
        const route = await listen(createServer(listener))
        const answer = await post(route.url, {}, BASIC)
        assert.deepEqual([answer.status, answer.json], [500, { ...answer.json, error: 'server_error' }], String(error))
        await route.close()
      }
    }
    const handler = createClientEndpoint(async () => ({ reached: true }), { findClient, clock: throwing })
    const route = await listen(createServer(handler))
    assert.equal((await post(route.url, {}, BASIC)).status, 500)
    await route.close()
  }
})

test('a body that an earlier parser took is held to the limit, as far as its length was announced', async () => {
  const app = express()
  const parser = express.urlencoded({ extended: false, limit: '1mb' })
  app.post('/token', parser, readFormBody({ limitBytes: 100 }) as RequestHandler, (_req, res) => {
    res.json({})
  })
  app.use(respondWithError())
  const route = await listen(createServer(app))
  assert.equal((await post(route.url, { a: 'x'.repeat(90) })).status, 200)
  assert.equal((await post(route.url, { a: 'x'.repeat(100) })).status, 413)
  await route.close()
})

test('an answer that cannot be JSON is server_error', async () => {
  const route = await listen(createServer(createClientEndpoint(async () => ({ count: 1n }), { findClient })))
  const answer = await answerOf(await fetch(route.url, { method: 'POST', headers: BASIC }))
  assert.deepEqual([answer.status, answer.json.error], [500, 'server_error'])
  await route.close()
})

test('whatever the octets are, a form is read or refused with an OAuthError, and never otherwise', () => {
  const octets = fastCheck.oneof(
    fastCheck.uint8Array({ maxLength: 60 }),
    fastCheck
      .string({ unit: fastCheck.constantFrom(...'ab=&%+[]2fF5 é\0'), maxLength: 40 })
      .map((text) => Buffer.from(text)),
  )
  fastCheck.assert(
    fastCheck.property(octets, (body) => {
      try {
        for (const value of Object.values(parseForm(body))) assert.ok(typeof value === 'string' && value.trim() !== '')
      } catch (error) {
        assert.ok(error instanceof OAuthError && error.code === 'invalid_request', String(error))
      }
    }),
  )
})

test('a form that any client writes is read as it was meant', () => {
  const name = fastCheck.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((each) => !each.includes('['))
  const value = fastCheck.string({ unit: 'grapheme', minLength: 1 }).filter((each) => each.trim() !== '')
  fastCheck.assert(
    fastCheck.property(fastCheck.dictionary(name, value, { noNullPrototype: true }), (parameters) => {
      const body = new URLSearchParams(Object.entries(parameters)).toString()
      assert.deepEqual({ ...parseForm(Buffer.from(body)) }, parameters)
    }),
  )
})

test('authenticateClients refuses the options of strategies beside the function, which has its own', () => {
  const authenticateClient = createClientAuthenticator({ findClient })
  const strategies = { basic: { authenticate: () => undefined } }
  const passport = { authenticate: () => undefined }
  for (const option of [{ strategies }, { strict: true }, { findClient }, { methods: ['none'] }, { passport }])
    assert.throws(() => authenticateClients({ authenticateClient, ...option } as never), {
      name: 'TypeError',
      message: `authenticateClients: option '${Object.keys(option)}' has no effect with 'authenticateClient'`,
    })
  // what is undefined is absent, on either side
  authenticateClients({ authenticateClient, strategies: undefined, strict: undefined } as never)
  authenticateClients({ authenticateClient: undefined, strategies } as never)
})

test('options of the parts are checked at construction', () => {
  assert.throws(() => readFormBody({ limitBytes: 0 }), /option 'limitBytes'/)
  assert.throws(() => readFormBody({ repeatable: 'resource' as never }), /option 'repeatable'/)
  assert.throws(() => allowCors({ origins: 'https://a.example' as never }), /option 'cors.origins'/)
  assert.throws(() => allowCors({ maxAgeSeconds: -1 }), /option 'cors.maxAgeSeconds'/)
  assert.throws(() => authenticateClients({ authenticateClient: 7 as never }), /option 'authenticateClient'/)
  assert.throws(() => authenticateClients({ strategies: { basic: 'basic' } }), /option 'passport'/)
  assert.throws(() => authenticateClients({ strategies: { basic: 7 as never } }), /option 'strategies.basic'/)
  for (const strategies of [{}, { bsic: 'basic' }, undefined])
    assert.throws(() => authenticateClients({ strategies: strategies as never }), /option 'strategies' must be .*basic/)
  assert.throws(() => createTokenEndpoint({ findClient, exchanges: undefined as never }), /'exchanges' and 'server'/)
  assert.throws(() => createTokenEndpoint({ findClient, exchanges: [echo, echo] }), /option 'exchanges'/)
  assert.throws(() => createTokenEndpoint({ findClient, exchanges: [echo], path: 'token' }), /option 'path'/)
})
