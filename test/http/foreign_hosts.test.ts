import 'reflect-metadata'
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { Controller, Get, Module, Param } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import express, { type RequestHandler } from 'express'
import express4 from 'express4'
import Koa from 'koa'
import oauth2orize from 'oauth2orize'
import { Passport } from 'passport'
import { BasicStrategy } from 'passport-http'
import {
  authenticateClients,
  createBasicVerify,
  createClientAuthenticator,
  OAuthError,
  readFormBody,
  respondWithError,
} from '../../lib/index.ts'
import { toOauth2orize } from '../../lib/oauth2orize/index.ts'
import { basicHeader, echo, findClient, listen, post, type Route, SECRET } from '../support/token_route.ts'

const authenticateClient = createClientAuthenticator({ findClient })

/** Errors as they reach a host that has no error handler of this package: what it must respond with, and may show. */
const ERRORS: Readonly<Record<string, readonly [() => Promise<unknown>, number, boolean]>> = {
  code: [async () => new OAuthError('invalid_grant'), 400, true],
  own: [async () => new OAuthError('mfa_required', { status: 403, description: 'Use your second factor.' }), 403, true],
  body: [async () => new OAuthError('invalid_request', { status: 413 }), 413, true],
  basic: [() => failure({ authorization: basicHeader('any', 'wrong') }), 401, true],
  post: [() => failure({}), 400, true],
  down: [() => failure({ authorization: basicHeader('down', 'x') }), 503, false],
  fault: [async () => new OAuthError('server_error', { description: 'A sentence.' }), 500, false],
}

const failure = (headers: Record<string, string>): Promise<unknown> =>
  authenticateClient({ headers }, { client_id: 'any', client_secret: 'wrong' }).catch((error: unknown) => error)

async function nest(): Promise<Route> {
  class Failing {
    async get(kind: string): Promise<never> {
      throw await ERRORS[kind]?.[0]()
    }
  }
  Get(':kind')(
    Failing.prototype,
    'get',
    Object.getOwnPropertyDescriptor(Failing.prototype, 'get') as PropertyDescriptor,
  )
  Param('kind')(Failing.prototype, 'get', 0)
  Controller()(Failing)
  class Root {}
  Module({ controllers: [Failing] })(Root)
  const application = await NestFactory.create(Root, { logger: false })
  await application.listen(0, '127.0.0.1')
  const { port } = application.getHttpServer().address() as { port: number }
  return { port, url: `http://127.0.0.1:${port}/`, close: () => application.close() }
}

const koa = (): Promise<Route> => {
  const application = new Koa()
  application.silent = true
  application.use(async ({ path }) => {
    throw await ERRORS[path.slice(1)]?.[0]()
  })
  return listen(createServer(application.callback()))
}

const onExpress = (framework: typeof express) => (): Promise<Route> => {
  const application = framework()
  application.set('env', 'production') // elsewhere Express shows the stack, whatever the error says
  application.get('/:kind', (req, _res, next) => {
    ERRORS[req.params.kind]?.[0]().then(next)
  })
  return listen(createServer(application))
}

const HOSTS: Readonly<Record<string, () => Promise<Route>>> = {
  'NestJS 12': nest,
  'Koa 3': koa,
  'Express 5': onExpress(express),
  'Express 4': onExpress(express4 as unknown as typeof express),
}

for (const [name, start] of Object.entries(HOSTS)) {
  test(`O12: without an error handler of this package ${name} responds with the status of the error, and shows no fault`, async (t) => {
    const stderr = t.mock.method(console, 'error', () => undefined)
    const { port, close } = await start()
    for (const [kind, [make, status, isShown]] of Object.entries(ERRORS)) {
      const error = (await make()) as OAuthError
      assert.deepEqual([error.status, error.statusCode, error.expose], [status, status, isShown], kind)
      const response = await fetch(`http://127.0.0.1:${port}/${kind}`)
      const text = await response.text()
      assert.equal(response.status, status, `${kind}: ${text}`)
      assert.equal(text.includes(error.message) && !isShown, false, `${kind}: ${text}`)
      if (isShown && !name.startsWith('Express')) assert.ok(text.includes(error.message), `${kind}: ${text}`)
      assert.doesNotMatch(text, /ECONNREFUSED/)
      // Koa and Express send the headers of an error, NestJS does not
      if (kind === 'basic' && !name.startsWith('Nest'))
        assert.equal(response.headers.get('www-authenticate'), 'Basic realm="OAuth"')
    }
    await close()
    stderr.mock.restore()
  })
}

test('O15: the error of a failed Basic authentication carries the challenge, for writers of the application', async () => {
  const passport = new Passport()
  passport.use(new BasicStrategy({ passReqToCallback: true }, createBasicVerify({ findClient })))
  const chains: readonly RequestHandler[] = [
    passport.authenticate('basic', { session: false }),
    authenticateClients({ authenticateClient }) as RequestHandler,
    authenticateClients({ passport, strategies: { basic: 'basic' } }) as RequestHandler,
    authenticateClients({
      strategies: { basic: { authenticate: () => Promise.reject(new OAuthError('invalid_client')) } },
    }) as RequestHandler,
  ]
  const server = oauth2orize.createServer()
  server.exchange(toOauth2orize(echo))
  for (const chain of chains) {
    const app = express()
    const headersOf: express.ErrorRequestHandler = (error, _req, res, next) => {
      res.set(error.headers)
      next(error)
    }
    app.post('/token', readFormBody() as RequestHandler, chain, server.token() as RequestHandler)
    app.use('/token', headersOf, server.errorHandler() as never)
    const route = await listen(createServer(app))
    const wrong = await post(route.url, { grant_type: 'echo' }, { Authorization: basicHeader('any', 'wrong') })
    assert.deepEqual([wrong.status, wrong.json.error], [401, 'invalid_client'])
    assert.equal(wrong.headers.get('www-authenticate'), 'Basic realm="OAuth"')
    const refused = await post(route.url, { grant_type: 'x' }, { Authorization: basicHeader('any', SECRET) })
    // the last chain refuses everybody
    const challenge = refused.status === 401 ? 'Basic realm="OAuth"' : null
    assert.equal(refused.headers.get('www-authenticate'), challenge)
    await route.close()
  }
})

test('O15: errorResponse sends no-store and the challenge of its realm in a plain chain', async () => {
  const passport = new Passport()
  passport.use(new BasicStrategy({ passReqToCallback: true }, createBasicVerify({ findClient })))
  const app = express()
  app.post('/token', readFormBody() as RequestHandler, passport.authenticate('basic', { session: false }))
  app.use(respondWithError({ realm: 'Here' }))
  const route = await listen(createServer(app))
  const wrong = await post(route.url, { grant_type: 'echo' }, { Authorization: basicHeader('any', 'wrong') })
  await route.close()
  assert.equal(wrong.headers.get('www-authenticate'), 'Basic realm="Here"')
  assert.equal(wrong.headers.get('cache-control'), 'no-store')
})
