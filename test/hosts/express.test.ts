import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Server } from 'node:http'
import { createServer as createPlainServer, IncomingMessage, ServerResponse, request as send } from 'node:http'
import { createServer as createHttpsServer, request as sendSecurely } from 'node:https'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { ConnectionOptions as TlsOptions } from 'node:tls'
import express from 'express'
import express4 from 'express4'
import { createExpressServer, getServerClasses } from '../../lib/hosts/express.ts'

interface Answer {
  readonly status: number | undefined
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

async function ask(server: Server, path: string, body?: string): Promise<Answer> {
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const outgoing = send({ host: '127.0.0.1', port, path, method: body === undefined ? 'GET' : 'POST' })
  if (body !== undefined) outgoing.setHeader('Content-Type', 'application/x-www-form-urlencoded')
  outgoing.end(body)
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of incoming.setEncoding('utf8')) text += chunk
  return { status: incoming.statusCode, headers: incoming.headers, text }
}

const ended = async (server: Server): Promise<void> => {
  server.closeAllConnections()
  await new Promise((done) => server.close(done))
}

const hosts = [
  ['Express 5', express],
  ['Express 4', express4],
] as const

for (const [name, host] of hosts) {
  test(`${name}: requests and responses have the application's prototypes before the application sees them`, async () => {
    const app = host()
    app.get('/', (_request, response) => void response.json({ fine: true }))
    const server = createExpressServer(app)
    const seen: object[] = []
    server.prependListener('request', (request, response) => {
      seen.push(Object.getPrototypeOf(request), Object.getPrototypeOf(response))
    })
    const answer = await ask(server, '/')
    assert.equal(answer.text, '{"fine":true}')
    assert.deepEqual(
      seen.map((each, index) => each === [app.request, app.response][index]),
      [true, true],
    )
    await ended(server)
  })

  test(`${name}: the application never changes a prototype behind the helper, and always does without it`, async () => {
    const changes = async (make: (app: ReturnType<typeof host>) => Server): Promise<number> => {
      const app = host()
      app.use(host.urlencoded({ extended: false }))
      app.post('/', (request, response) => void response.send(request.body.a))
      const server = make(app)
      const before: object[] = []
      let changed = 0
      server.prependListener('request', (request, response) => {
        before.push(Object.getPrototypeOf(request), Object.getPrototypeOf(response))
        response.once('finish', () => {
          for (const each of [request, response]) if (Object.getPrototypeOf(each) !== before.shift()) changed++
        })
      })
      assert.equal((await ask(server, '/', 'a=b')).text, 'b')
      await ended(server)
      return changed
    }
    assert.equal(await changes((app) => createExpressServer(app)), 0)
    assert.equal(await changes((app) => createPlainServer(app)), 2)
  })

  test(`${name}: the request and response members of the framework, keep-alive and a second request work`, async () => {
    const app = host()
    app.set('trust proxy', true)
    app.use(host.urlencoded({ extended: false }))
    app.post('/form', (request, response) => {
      assert.ok(request instanceof IncomingMessage && response instanceof ServerResponse)
      assert.equal(request.app, app)
      response
        .status(201)
        .set('X-Kind', request.is('urlencoded') || 'none')
        .json({ got: request.body, ip: request.ip })
    })
    const server = createExpressServer(app, { keepAliveTimeout: 1000 })
    assert.equal(server.keepAliveTimeout, 1000)
    for (const value of ['one', 'two']) {
      const answer = await ask(server, '/form', `a=${value}`)
      assert.equal(answer.status, 201)
      assert.equal(answer.headers['x-kind'], 'urlencoded')
      assert.deepEqual(JSON.parse(answer.text).got, { a: value })
    }
    await ended(server)
  })

  test(`${name}: a mounted sub-application keeps its own settings, and hands back what it does not answer`, async () => {
    const app = host()
    const sub = host()
    app.set('name', 'outer')
    sub.set('name', 'inner')
    sub.get('/here', (request, response) => void response.send(String(request.app.get('name'))))
    app.use('/sub', sub)
    app.get('/sub/there', (request, response) => {
      assert.equal(Object.getPrototypeOf(request), app.request)
      response.send(String(request.app.get('name')))
    })
    app.get('/top', (request, response) => void response.send(String(request.app.get('name'))))
    const server = createExpressServer(app)
    assert.equal((await ask(server, '/sub/here')).text, 'inner')
    assert.equal((await ask(server, '/sub/there')).text, 'outer')
    assert.equal((await ask(server, '/top')).text, 'outer')
    await ended(server)
  })

  test(`${name}: an application that is mounted in the served one and served itself as well works in both places`, async () => {
    const app = host()
    const sub = host()
    sub.get('/', (request, response) => void response.send(String(request.baseUrl)))
    app.use('/sub', sub)
    const outer = createExpressServer(app)
    const inner = createExpressServer(sub)
    assert.equal((await ask(outer, '/sub')).text, '/sub')
    assert.equal((await ask(inner, '/')).text, '')
    await ended(outer)
    await ended(inner)
  })

  test(`${name}: errors of the application are answered by its own error handler`, async () => {
    const app = host()
    app.get('/', () => {
      throw new Error('broken')
    })
    app.use(
      ((_error, _request, response, _next) => void response.status(500).send('handled')) as express.ErrorRequestHandler,
    )
    const server = createExpressServer(app)
    const answer = await ask(server, '/')
    assert.equal(answer.status, 500)
    assert.equal(answer.text, 'handled')
    await ended(server)
  })

  test(`${name}: the classes serve node:https too, and listeners other than the application`, async () => {
    const app = host()
    app.get('/', (_request, response) => void response.send('app'))
    // A pre-shared key, so that no certificate is needed.
    const psk = Buffer.alloc(32, 1)
    const tls = { ciphers: 'PSK', maxVersion: 'TLSv1.2' } as const
    const https = createHttpsServer({ ...getServerClasses(app), ...tls, pskCallback: () => psk }, app)
    const prototypes: object[] = []
    https.prependListener('request', (request) => prototypes.push(Object.getPrototypeOf(request)))
    await once(https.listen(0, '127.0.0.1'), 'listening')
    const { port } = https.address() as AddressInfo
    const key: TlsOptions = { pskCallback: () => ({ psk, identity: 'test' }), checkServerIdentity: () => undefined }
    const outgoing = sendSecurely({ ...tls, ...key, port, host: '127.0.0.1', agent: false } as object)
    const [incoming] = (await once(outgoing.end(), 'response')) as [IncomingMessage]
    assert.equal(incoming.resume().statusCode, 200)
    assert.ok(prototypes[0] === app.request)
    https.closeAllConnections()
    await new Promise((done) => https.close(done))

    const front = createPlainServer(getServerClasses(app), (request, response) => {
      if (request.url === '/token') response.end('front')
      else app(request, response)
    })
    assert.equal((await ask(front, '/token')).text, 'front')
    assert.equal((await ask(front, '/')).text, 'app')
    await ended(front)
  })
}

test('nothing is patched: another server of the process still has the classes of node:http', async () => {
  const app = express()
  const ours = createExpressServer(app)
  await ask(ours, '/')
  const other = createPlainServer((request, response) => {
    assert.equal(Object.getPrototypeOf(request), IncomingMessage.prototype)
    assert.equal(Object.getPrototypeOf(response), ServerResponse.prototype)
    response.end('plain')
  })
  assert.equal((await ask(other, '/')).text, 'plain')
  await ended(ours)
  await ended(other)
})

test('what is not an Express application, and classes of the caller, are refused at construction', () => {
  for (const app of [undefined, null, {}, () => undefined, express.Router()])
    assert.throws(() => createExpressServer(app as never), { name: 'TypeError', message: /option 'app'/ })
  assert.throws(() => createExpressServer(express(), { IncomingMessage }), {
    name: 'TypeError',
    message: /IncomingMessage/,
  })
  assert.throws(() => createExpressServer(express(), { ServerResponse }), {
    name: 'TypeError',
    message: /ServerResponse/,
  })
})
