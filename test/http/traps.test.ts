import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import express, { type RequestHandler } from 'express'
import express4 from 'express4'
import oauth2orize from 'oauth2orize'
import { Passport } from 'passport'
import { BasicStrategy } from 'passport-http'
import { Strategy as ClientPasswordStrategy } from 'passport-oauth2-client-password'
import {
  authenticateClients,
  type Client,
  createAuthorizationCodeExchange,
  createBasicVerify,
  createClientAuthenticator,
  createClientCredentialsExchange,
  createClientPasswordVerify,
  createRefreshTokenExchange,
  createTokenEndpoint,
  type Events,
  OAuthError,
  onEvent,
  readFormBody,
  respondWithError,
  type TokenSet,
} from '../../lib/index.ts'
import { guardExchange, guardIssue, toOauth2orize } from '../../lib/oauth2orize/index.ts'
import { basicHeader, echo, findClient, listen, post, type Route, SECRET } from '../support/token_route.ts'

const authenticateClient = createClientAuthenticator({ findClient })
const BASIC = { Authorization: basicHeader('any', SECRET) }

type Register = (server: oauth2orize.OAuth2Server) => void
type Done = oauth2orize.ExchangeDoneFunction

/** A token endpoint around exchanges of the application's own. */
async function withExchanges(
  register: Register,
  use: (route: Route) => Promise<void>,
  more: object = {},
): Promise<void> {
  const server = oauth2orize.createServer()
  register(server)
  for (const framework of [express, express4 as unknown as typeof express]) {
    const app = framework()
    const endpoint = createTokenEndpoint({ server, findClient, enforceGrantTypes: false, ...more })
    app.use('/token', endpoint as RequestHandler)
    const route = await listen(createServer(app))
    try {
      await use(route)
    } finally {
      await route.close()
    }
  }
}

const oneAnswer = async (route: Route, body: Record<string, string>, status: number, error: string | undefined) => {
  const answer = await post(route.url, body, BASIC)
  assert.deepEqual([answer.status, answer.json?.error], [status, error], answer.text)
  assert.equal(answer.headers.get('cache-control'), 'no-store', 'O14')
  return answer
}

const code = { grant_type: 'authorization_code', code: 'c', redirect_uri: 'https://client.example/cb' }

test('an async exchange that throws is answered with server_error (O7)', async () => {
  const register: Register = (server) => {
    server.exchange('own', async () => {
      throw new Error('pg: password authentication failed for user "prod"')
    })
  }
  await withExchanges(register, async (route) => {
    const answer = await oneAnswer(route, { grant_type: 'own' }, 500, 'server_error')
    assert.doesNotMatch(answer.text, /prod/)
  })
})

test('an exchange that throws what is falsy has failed all the same (O7)', async () => {
  for (const thrown of [undefined, false, '', 0]) {
    const fail = (): never => {
      throw thrown
    }
    const register: Register = (server) => {
      server.exchange('sync', fail)
      server.exchange('async', async () => fail())
      server.exchange(toOauth2orize({ grantType: 'made', run: async () => fail() }))
      server.exchange(
        oauth2orize.exchange.code(guardIssue(async (_c: object, _d: string, _e: string, _done: Done) => fail())),
      )
    }
    await withExchanges(register, async (route) => {
      for (const grant_type of ['sync', 'async', 'made']) await oneAnswer(route, { grant_type }, 500, 'server_error')
      await oneAnswer(route, code, 500, 'server_error')
    })
  }
})

test('an async issue callback that rejects is answered, through safeIssue (O7)', async () => {
  const register: Register = (server) => {
    const issue = async (_client: unknown, _code: string, _redirectURI: string, _done: Done) => {
      await Promise.resolve()
      throw Object.assign(new Error('connect ECONNREFUSED 10.0.0.3:5432'), { code: 'ECONNREFUSED' })
    }
    server.exchange(oauth2orize.exchange.code(guardIssue(issue)))
  }
  await withExchanges(register, async (route) => {
    const answer = await oneAnswer(route, code, 500, 'server_error')
    assert.doesNotMatch(answer.text, /ECONNREFUSED|10\.0\.0\.3/, 'O12')
  })
})

test('safeIssue keeps what oauth2orize tells apart by the number of parameters (O6)', async () => {
  const seen: unknown[] = []
  const register: Register = (server) => {
    const issue = async (client: unknown, scope: unknown, body: object, authInfo: unknown, done: Done) => {
      seen.push([(client as Client).client_id, scope, { ...body }, authInfo])
      done(null, 'token')
    }
    server.exchange(oauth2orize.exchange.clientCredentials({}, guardIssue(issue)))
  }
  const body = { grant_type: 'client_credentials', scope: 'a b' }
  await withExchanges(register, (route) => oneAnswer(route, body, 200, undefined).then(() => undefined))
  assert.deepEqual(seen[0], ['any', ['a', 'b'], body, { method: 'client_secret_basic' }])
})

test('a sync throw in an issue callback is server_error without its text (O8)', async () => {
  const register: Register = (server) => {
    const issue = (_client: unknown, _code: string, _redirectURI: string, _done: Done) => {
      throw new TypeError("Cannot read properties of undefined (reading 'userId')")
    }
    server.exchange(oauth2orize.exchange.code(issue))
  }
  await withExchanges(register, async (route) => {
    const answer = await oneAnswer(route, code, 500, 'server_error')
    assert.doesNotMatch(answer.text, /userId/)
  })
})

test('done called twice, at once or later, answers once (O9)', async () => {
  const register: Register = (server) => {
    const issue = (_client: unknown, _code: string, _redirectURI: string, done: Done) => {
      done(null, 'first')
      done(null, 'second')
      setTimeout(() => done(null, 'third'), 5)
      setTimeout(() => done(new Error('late')), 5)
    }
    server.exchange(oauth2orize.exchange.code(issue))
  }
  await withExchanges(register, async (route) => {
    const answer = await oneAnswer(route, code, 200, undefined)
    assert.equal(answer.json.access_token, 'first')
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.equal((await oneAnswer(route, code, 200, undefined)).json.access_token, 'first', 'the server lives on')
  })
})

test('a session middleware that puts off the end of answers can still add its headers (O9)', async () => {
  const server = oauth2orize.createServer()
  const issue = (_client: unknown, _code: string, _redirectURI: string, done: Done) => {
    done(null, 'first')
    done(null, 'second')
  }
  server.exchange(oauth2orize.exchange.code(issue))
  const app = express()
  app.use((_req, res, next) => {
    const { end, writeHead } = res
    res.writeHead = function (this: typeof res, ...given: unknown[]) {
      this.setHeader('Set-Cookie', 'sid=1')
      return Reflect.apply(writeHead, this, given)
    } as typeof writeHead
    res.end = function (this: typeof res, ...given: unknown[]) {
      setTimeout(() => Reflect.apply(end, this, given), 5)
      return this
    } as typeof end
    next()
  })
  app.use('/token', createTokenEndpoint({ server, findClient, enforceGrantTypes: false }) as RequestHandler)
  const route = await listen(createServer(app))
  const answer = await oneAnswer(route, code, 200, undefined)
  assert.equal(answer.json.access_token, 'first')
  assert.equal(answer.headers.get('set-cookie'), 'sid=1')
  const failed = await post(route.url, { grant_type: 'x' }, BASIC)
  assert.deepEqual([failed.status, failed.headers.get('set-cookie')], [400, 'sid=1'])
  await route.close()
})

test('next called twice answers once', async () => {
  const register: Register = (server) => {
    server.exchange('own', (_req, _res, next) => {
      next(new Error('one'))
      next(new Error('two'))
    })
  }
  await withExchanges(register, (route) =>
    oneAnswer(route, { grant_type: 'own' }, 500, 'server_error').then(() => undefined),
  )
})

test('done(null, false) is invalid_grant with 400 and our sentence (O5, O10)', async () => {
  const register: Register = (server) => {
    server.exchange(
      oauth2orize.exchange.code((_c: unknown, _code: string, _r: string, done: Done) => done(null, false)),
    )
  }
  await withExchanges(register, async (route) => {
    const answer = await oneAnswer(route, code, 400, 'invalid_grant')
    assert.match(answer.json.error_description, /expired, spent/)
  })
})

test("a database's error with a code of its own does not become an OAuth error (O12)", async () => {
  const register: Register = (server) => {
    const issue = (_c: unknown, _code: string, _r: string, done: Done) => {
      done(Object.assign(new Error('duplicate key "tokens"'), { code: '23505', status: 409, uri: 'https://x.example' }))
    }
    server.exchange(oauth2orize.exchange.code(issue))
  }
  await withExchanges(register, async (route) => {
    const answer = await oneAnswer(route, code, 500, 'server_error')
    assert.doesNotMatch(answer.text, /duplicate|23505|x\.example/)
  })
})

test("an application's TokenError keeps its code and sentence, with our status and charset (O5, O17)", async () => {
  const register: Register = (server) => {
    const issue = (_c: unknown, _code: string, _r: string, done: Done) => {
      done(new oauth2orize.TokenError('Not "allowed"\r\nSet-Cookie: x=é', 'invalid_scope', 'https://x.example', 501))
    }
    server.exchange(oauth2orize.exchange.code(issue))
    server.exchange('device', (_req, _res, next) => next(new oauth2orize.TokenError('wait', 'authorization_pending')))
    server.exchange('leak', (_req, _res, next) => next(new oauth2orize.TokenError('pg: no', 'server_error')))
    server.exchange('odd', (_req, _res, next) => next(new oauth2orize.TokenError('text', 'E "NOT" OAUTH')))
  }
  await withExchanges(register, async (route) => {
    const answer = await oneAnswer(route, code, 400, 'invalid_scope')
    assert.deepEqual(Object.keys(answer.json), ['error', 'error_description'])
    assert.match(answer.json.error_description, /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/)
    await oneAnswer(route, { grant_type: 'device' }, 400, 'authorization_pending')
    assert.doesNotMatch((await oneAnswer(route, { grant_type: 'leak' }, 500, 'server_error')).text, /pg/)
    await oneAnswer(route, { grant_type: 'odd' }, 500, 'server_error')
  })
})

test('T94: an extension code of an existing exchange passes with its status, 400 without one', async () => {
  const { TokenError } = oauth2orize
  class Denied extends oauth2orize.OAuth2Error {}
  const errors: Record<string, [Error, number, string]> = {
    mfa: [new TokenError('Use your second factor.', 'mfa_required'), 400, 'mfa_required'],
    nonce: [new TokenError('Use the nonce.', 'use_dpop_nonce'), 400, 'use_dpop_nonce'],
    interaction: [new Denied('Ask the user.', 'interaction_required'), 400, 'interaction_required'],
    status: [new TokenError('Not now.', 'quota_exceeded', undefined, 429), 429, 'quota_exceeded'],
    odd: [new TokenError('Not now.', 'quota_exceeded', undefined, 200), 400, 'quota_exceeded'],
    own: [new OAuthError('mfa_required', { status: 403, description: 'Second factor.' }), 403, 'mfa_required'],
  }
  const register: Register = (server) => {
    for (const [name, [error]] of Object.entries(errors)) server.exchange(name, (_req, _res, next) => next(error))
    const failing = async () => {
      throw new OAuthError('mfa_required')
    }
    server.exchange(toOauth2orize({ grantType: 'made', run: failing }))
  }
  await withExchanges(register, async (route) => {
    for (const [grant_type, [error, status, code]] of Object.entries(errors)) {
      const { json } = await oneAnswer(route, { grant_type }, status, code)
      assert.equal(json.error_description, error.message)
    }
    await oneAnswer(route, { grant_type: 'made' }, 400, 'mfa_required')
  })
})

test('an exchange that never answers is answered for (O7)', async () => {
  const register: Register = (server) => {
    server.exchange('own', () => undefined)
  }
  const use = (route: Route) => oneAnswer(route, { grant_type: 'own' }, 500, 'server_error').then(() => undefined)
  await withExchanges(register, use, { timeoutMilliseconds: 30 })
})

test('an exchange made by toOauth2orize that never answers is answered for as well; what comes later is dropped (O7)', async (t) => {
  let answer: (() => void) | undefined
  let fail: (() => void) | undefined
  const refused: unknown[] = []
  t.after(onEvent('request.refused', ({ detail, cause }) => refused.push(detail ?? String(cause))))
  const register: Register = (server) => {
    server.exchange(toOauth2orize({ grantType: 'own', run: () => new Promise(() => {}) }))
    const tokens = { access_token: 'late', token_type: 'Bearer', expires_in: 1 } as const
    const run = () => new Promise<TokenSet>((resolve) => (answer = () => resolve(tokens)))
    server.exchange(toOauth2orize({ grantType: 'late', run }))
    const rejecting = () => new Promise<TokenSet>((_, reject) => (fail = () => reject(new Error('too late'))))
    server.exchange(toOauth2orize({ grantType: 'failing', run: rejecting }))
    server.exchange(toOauth2orize({ grantType: 'quick', run: async () => tokens }))
  }
  const use = async (route: Route): Promise<void> => {
    await oneAnswer(route, { grant_type: 'own' }, 500, 'server_error')
    await oneAnswer(route, { grant_type: 'late' }, 500, 'server_error')
    answer?.()
    await oneAnswer(route, { grant_type: 'failing' }, 500, 'server_error')
    fail?.()
    const before = refused.length
    await oneAnswer(route, { grant_type: 'quick' }, 200, undefined)
    await new Promise((resolve) => setTimeout(resolve, 60)) // longer than the time limit: nothing of them is left behind
    assert.equal(refused.length, before)
  }
  await withExchanges(register, use, { timeoutMilliseconds: 30 })
  const late = 'the exchange did not finish within 30 milliseconds'
  assert.deepEqual(
    refused,
    Array.from({ length: 6 }, () => late),
  ) // three of them, on Express 4 and on 5
})

test("oauth2orize's own handler of errors is not missed: its base class, and a class derived from it (O12)", async () => {
  class Denied extends oauth2orize.OAuth2Error {}
  const Other = {
    OAuth2Error: class OAuth2Error extends Error {
      code = 'invalid_grant'
    },
  }.OAuth2Error // of another library
  const { OAuth2Error, TokenError } = oauth2orize
  const errors: Record<string, [Error, number, string]> = {
    base: [new OAuth2Error('The voucher is spent.', 'invalid_grant', undefined, 403), 400, 'invalid_grant'],
    derived: [new Denied('The voucher is spent.', 'invalid_grant'), 400, 'invalid_grant'],
    fault: [new OAuth2Error('pg 10.0.0.3'), 500, 'server_error'],
    other: [new Other('user at 10.0.0.3 locked'), 500, 'server_error'],
    denied: [new TokenError('The user said no.', 'access_denied'), 400, 'access_denied'], // RFC 8628 §3.5
  }
  const register: Register = (server) => {
    for (const [name, [error]] of Object.entries(errors)) server.exchange(name, (_req, _res, next) => next(error))
  }
  await withExchanges(register, async (route) => {
    for (const [grant_type, [, status, code]] of Object.entries(errors)) {
      const { text } = await oneAnswer(route, { grant_type }, status, code)
      assert.doesNotMatch(text, /10\.0\.0\.3/)
    }
  })
})

test('a chain that is put together by hand says that grant_type is missing, as the endpoint does (O2)', async () => {
  const server = oauth2orize.createServer()
  server.exchange(toOauth2orize(echo))
  const app = express()
  app.post('/token', readFormBody(), authenticateClients({ authenticateClient }), server.token() as RequestHandler)
  app.use(respondWithError())
  const route = await listen(createServer(app))
  const missing = await post(route.url, {}, BASIC)
  assert.deepEqual([missing.status, missing.json.error], [400, 'invalid_request'])
  const unknown = await post(route.url, { grant_type: 'other' }, BASIC)
  assert.deepEqual([unknown.status, unknown.json.error], [400, 'unsupported_grant_type'])
  await route.close()
})

test("repeated and nested parameters never reach the application's exchanges (O18, O19, O23)", async () => {
  const seen: unknown[] = []
  const register: Register = (server) => {
    server.exchange('own', (req, res) => {
      seen.push((req as { body?: unknown }).body)
      res.end('{}')
    })
  }
  await withExchanges(register, async (route) => {
    for (const body of ['grant_type=own&code[$ne]=x', 'grant_type=own&refresh_token=a&refresh_token=b']) {
      assert.equal((await post(route.url, body, BASIC)).status, 400)
    }
  })
  assert.deepEqual(seen, [])
})

test('an exchange may pass a request on to the next of its name, and the last one to nobody', async () => {
  const register: Register = (server) => {
    server.exchange('own', (_req, _res, next) => next())
    server.exchange('own', (_req, res) => res.end('{"access_token":"second"}'))
    server.exchange('nobody', (_req, _res, next) => next())
  }
  await withExchanges(register, async (route) => {
    assert.equal((await oneAnswer(route, { grant_type: 'own' }, 200, undefined)).json.access_token, 'second')
    await oneAnswer(route, { grant_type: 'nobody' }, 400, 'unsupported_grant_type')
  })
})

test('an exchange of ours beside another of its grant type is warned of, once, and the grant type is named once', async (t) => {
  const warned: string[] = []
  const onWarning = (warning: Error & { code?: string }): void => {
    if (warning.code === 'CLIENT_ASSERTION_JWT_DOUBLE_EXCHANGE') warned.push(warning.message)
  }
  process.on('warning', onWarning)
  t.after(() => process.off('warning', onWarning))
  const server = oauth2orize.createServer()
  server.exchange('echo', (_req, res) => res.end('{}'))
  server.exchange('echo', (_req, res) => res.end('{}')) // the application's own affair
  const endpoint = createTokenEndpoint({ server, findClient })
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(warned, [])
  server.exchange(toOauth2orize(echo))
  assert.deepEqual(endpoint.grantTypes, ['echo'])
  server.exchange('another', (_req, res) => res.end('{}'))
  assert.deepEqual(endpoint.grantTypes, ['echo', 'another'])
  const other = oauth2orize.createServer()
  other.exchange(toOauth2orize({ ...echo, grantType: 'ours' }))
  other.exchange('ours', (_req, res) => res.end('{}'))
  createTokenEndpoint({ server: other, findClient })
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(warned, [
    'More than one exchange is registered for "echo"; only the first one is used. Remove the other.',
    'More than one exchange is registered for "ours"; only the first one is used. Remove the other.',
  ])
})

test('exchanges registered later are served and guarded too, and the server itself stays as it was', async () => {
  const server = oauth2orize.createServer()
  server.exchange(toOauth2orize(echo))
  const before = (server as unknown as { _exchanges: { handle: unknown }[] })._exchanges.map(({ handle }) => handle)
  const app = express()
  const endpoint = createTokenEndpoint({ server, findClient, enforceGrantTypes: false })
  app.use('/token', endpoint as RequestHandler)
  server.exchange('late', async () => {
    throw new Error('late')
  })
  assert.deepEqual(endpoint.grantTypes, ['echo', 'late'])
  const route = await listen(createServer(app))
  await oneAnswer(route, { grant_type: 'late' }, 500, 'server_error')
  await oneAnswer(route, { grant_type: 'echo' }, 200, undefined)
  await route.close()
  const after = (server as unknown as { _exchanges: { handle: unknown }[] })._exchanges.map(({ handle }) => handle)
  assert.equal(after[0], before[0])
})

test('the user of a browser session is not taken for a client, and no client becomes one (O25, O26, O37, T22, T23)', async () => {
  const server = oauth2orize.createServer()
  server.exchange(toOauth2orize({ ...echo, grantType: 'echo' }))
  const app = express()
  app.use((req, _res, next) => {
    req.user = { id: 7, username: 'alice' } as unknown as Express.User // as passport.session() does
    next()
  })
  app.use('/route', createTokenEndpoint({ server, findClient }) as RequestHandler)
  const parse = express.urlencoded({ extended: true })
  app.post('/token', parse, server.token() as RequestHandler, respondWithError())
  const route = await listen(createServer(app))
  const unauthenticated = await post(route.url, { grant_type: 'echo' })
  assert.deepEqual([unauthenticated.status, unauthenticated.json.error], [400, 'invalid_client'])
  const viaRoute = route.url.replace('/token', '/route')
  assert.equal((await post(viaRoute, { grant_type: 'echo' })).json.error, 'invalid_client')
  assert.equal((await post(viaRoute, { grant_type: 'echo' }, BASIC)).json.client_id, 'any')
  await route.close()
})

test('our exchanges hold their rules in a set-up of the usual kind (O1, O11, O14, O18, O19)', async () => {
  for (const extended of [true, false]) {
    const passport = new Passport()
    passport.use(new BasicStrategy({ passReqToCallback: true }, createBasicVerify({ findClient })))
    const verify = createClientPasswordVerify({ findClient })
    passport.use(new ClientPasswordStrategy({ passReqToCallback: true }, verify))
    const server = oauth2orize.createServer()
    server.exchange(toOauth2orize(echo))
    const app = express()
    app.use(express.urlencoded({ extended }), express.json())
    app.post(
      '/token',
      passport.authenticate(['basic', 'oauth2-client-password'], { session: false }),
      server.token() as RequestHandler,
      server.errorHandler() as never,
    )
    const route = await listen(createServer(app))
    const good = await post(route.url, { grant_type: 'echo' }, BASIC)
    assert.deepEqual([good.status, good.json.client_id], [200, 'any'], good.text)
    assert.equal(good.headers.get('cache-control'), 'no-store')
    for (const body of ['grant_type=echo&code[$ne]=x', 'grant_type=echo&code=a&code=b']) {
      const answer = await post(route.url, body, BASIC)
      assert.deepEqual([answer.status, answer.json.error], [400, 'invalid_request'])
    }
    const json = await post(route.url, '{"grant_type":"echo"}', { 'Content-Type': 'application/json', ...BASIC })
    assert.deepEqual([json.status, json.json.error], [415, 'invalid_request'])
    const body = { grant_type: 'echo', client_id: 'any', client_secret: SECRET }
    const failed = await post(route.url, body, { Authorization: basicHeader('any', 'wrong') })
    assert.deepEqual([failed.status, failed.json.error], [401, 'invalid_client'], 'O28: a failed header is final')
    await route.close()
  }
})

test('G5: our exchanges refuse two credentials at once, whatever the strategies of the chain can see', async (t) => {
  const assertion = { client_assertion: 'a.b.c', client_assertion_type: 'x' }
  // passport-http cuts a secret at its second colon
  const secret = { client_id: 'any', client_secret: 'a secret' }
  const BASIC = { Authorization: basicHeader('any', 'a secret') }
  const findClient = (id: string) => (id === 'any' ? secret : undefined)
  for (const names of [
    ['basic', 'oauth2-client-password'],
    ['oauth2-client-password', 'basic'],
  ]) {
    const passport = new Passport()
    passport.use(new BasicStrategy(createBasicVerify({ findClient })))
    passport.use(new ClientPasswordStrategy(createClientPasswordVerify({ findClient })))
    const server = oauth2orize.createServer()
    server.exchange(toOauth2orize(echo))
    const app = express()
    app.use(express.urlencoded({ extended: false }))
    app.post('/token', passport.authenticate(names, { session: false }), server.token() as RequestHandler)
    app.use(respondWithError())
    const route = await listen(createServer(app))
    t.after(() => route.close())
    const send = async (form: Record<string, string>, headers = {}) => {
      const { status, json } = await post(route.url, { grant_type: 'echo', ...form }, headers)
      return [status, json.error ?? json.client_id]
    }
    assert.deepEqual(await send(secret), [200, 'any'])
    assert.deepEqual(await send({}, BASIC), [200, 'any'])
    const refused = [400, 'invalid_request']
    assert.deepEqual(await send({ ...secret, ...assertion }), refused)
    assert.deepEqual(await send(assertion, BASIC), refused)
    for (const header of ['Bearer x', 'Basic eA==', basicHeader('nobody', 'x'), BASIC.Authorization]) {
      const answer = await send(secret, { Authorization: header })
      if (names[0] === 'basic' && header === BASIC.Authorization)
        assert.deepEqual(answer, [200, 'any'], 'a valid header is final, and the body beside it is ignored')
      else assert.ok([400, 401].includes(Number(answer[0])), header)
    }
  }
})

test("Passport's and the parsers' own errors are in the table, through errorResponse (O13, O16, O30)", async (t) => {
  const events: Events['request.refused'][] = []
  t.after(onEvent('request.refused', (event) => events.push(event)))
  const passport = new Passport()
  passport.use(new BasicStrategy((_user, _password, done) => done(null, false)))
  const app = express()
  app.use('/token', express.urlencoded({ extended: true, limit: 100 }))
  app.post('/token', passport.authenticate('basic', { session: false, failWithError: true }), respondWithError())
  app.use(respondWithError())
  const route = await listen(createServer(app))
  const failed = await post(route.url, { grant_type: 'x' }, BASIC)
  assert.deepEqual([failed.status, failed.json.error], [401, 'invalid_client'], failed.text)
  assert.equal(failed.headers.get('www-authenticate'), 'Basic realm="OAuth"')
  const without = await post(route.url, { grant_type: 'x' })
  assert.deepEqual([without.status, without.headers.get('www-authenticate')], [400, null])
  const large = await post(route.url, { grant_type: 'x'.repeat(200) }, BASIC)
  assert.deepEqual([large.status, large.json.error], [413, 'invalid_request'])
  await route.close()
  assert.deepEqual(
    events.map(({ status, reason }) => [status, reason]),
    [
      [401, 'client_authentication_missing'],
      [400, 'client_authentication_missing'],
      [413, 'body_too_large'],
    ],
  )
})

test('safeExchange alone guards an exchange that is registered in a host without createTokenEndpoint (O7, O9)', async () => {
  const server = oauth2orize.createServer()
  const failing = guardExchange(async function own() {
    throw new Error('inside')
  })
  assert.equal(failing.name, 'own')
  server.exchange(failing as never)
  const app = express()
  app.post('/token', express.urlencoded({ extended: true }), server.token() as RequestHandler, respondWithError())
  const route = await listen(createServer(app))
  await oneAnswer(route, { grant_type: 'own' }, 500, 'server_error')
  await route.close()
})

test('a fault of a strategy of the application is 503, and none of its text goes out (O36)', async () => {
  const passport = new Passport()
  const fail = new Error('connect ECONNREFUSED 10.0.0.3:5432')
  passport.use(new BasicStrategy((_user, _password, done) => done(fail)))
  passport.use(new ClientPasswordStrategy((_id, _secret, done) => done(null, false)))
  const strategies = { basic: 'basic', clientPassword: 'oauth2-client-password' }
  const server = oauth2orize.createServer()
  const app = express()
  app.use('/token', createTokenEndpoint({ server, passport, strategies }) as RequestHandler)
  const route = await listen(createServer(app))
  const down = await post(route.url, { grant_type: 'x' }, BASIC)
  assert.deepEqual([down.status, down.json.error], [503, 'temporarily_unavailable'])
  assert.doesNotMatch(down.text, /ECONNREFUSED/)
  const refused = await post(route.url, { client_id: 'a', client_secret: 'b' })
  assert.deepEqual([refused.status, refused.json.error], [400, 'invalid_client'])
  assert.equal((await post(route.url, { client_id: 'a' })).json.error, 'invalid_client', 'no strategy for it')
  await route.close()
})

test('a strategy of the application that throws, or whose promise rejects, is a fault that operators see (R74)', async (t) => {
  const undecided: unknown[] = []
  t.after(onEvent('client.undecided', ({ reason, cause }) => undecided.push([reason, String(cause)])))
  const broken = { authenticate: () => Promise.reject(new Error('no directory')) }
  const throwing = {
    authenticate: () => {
      throw new Error('no directory')
    },
  }
  const own = new ClientPasswordStrategy((id, _secret, done) => done(null, { client_id: id, grant_types: ['echo'] }))
  const server = oauth2orize.createServer()
  server.exchange(toOauth2orize(echo))
  const app = express()
  app.use(
    '/token',
    createTokenEndpoint({
      server,
      strategies: { basic: broken, publicClient: throwing, clientPassword: own },
    }) as RequestHandler,
  )
  const route = await listen(createServer(app))
  const down = await post(route.url, { grant_type: 'echo' }, BASIC)
  assert.deepEqual([down.status, down.json.error], [503, 'temporarily_unavailable'])
  const thrown = await post(route.url, { grant_type: 'echo', client_id: 'public' })
  assert.deepEqual([thrown.status, thrown.json.error], [503, 'temporarily_unavailable'])
  const answer = await post(route.url, { grant_type: 'echo', client_id: 'c', client_secret: 's' })
  assert.deepEqual([answer.status, answer.json.method], [200, 'client_secret_post'])
  const fault = ['store_unavailable', 'Error: no directory']
  assert.deepEqual(undecided, [fault, fault])
  await route.close()
})

test('R74 each authentication is published once, by whichever strategy', async (t) => {
  const heard: string[] = []
  t.after(onEvent('client.authenticated', ({ clientId, method }) => heard.push(`${clientId} ${method}`)))
  const passport = new Passport()
  passport.use(new BasicStrategy({ passReqToCallback: true }, createBasicVerify({ findClient })))
  passport.use(new ClientPasswordStrategy(createClientPasswordVerify({ findClient })))
  const server = oauth2orize.createServer()
  server.exchange(toOauth2orize(echo))
  const app = express()
  const strategies = { basic: 'basic', clientPassword: 'oauth2-client-password' }
  app.use('/token', createTokenEndpoint({ server, passport, strategies }) as RequestHandler)
  const route = await listen(createServer(app))
  await post(route.url, { grant_type: 'echo' }, BASIC)
  await post(route.url, { grant_type: 'echo', client_id: 'post', client_secret: SECRET })
  assert.deepEqual(heard, ['any client_secret_basic', 'post client_secret_post'])
  await route.close()
})

test('a strategy that Passport does not know is a fault of configuration, and said so to operators', async (t) => {
  const heard: unknown[] = []
  t.after(onEvent('client.undecided', ({ reason, detail }) => heard.push([reason, detail])))
  const app = express()
  const server = oauth2orize.createServer()
  app.use(
    '/token',
    createTokenEndpoint({ server, passport: new Passport(), strategies: { basic: 'bsic' } }) as RequestHandler,
  )
  const route = await listen(createServer(app))
  const { status, json } = await post(route.url, { grant_type: 'echo' }, BASIC)
  await route.close()
  assert.deepEqual([status, json.error], [500, 'server_error'])
  assert.deepEqual(heard, [['misconfigured', "Passport has no strategy named 'bsic'"]])
})

test("what Passport's own middleware hands to next is never taken for an authentication", async () => {
  const thrown = [undefined, null, false, '', 'route', new Error('no directory')]
  for (const error of thrown) {
    // a Passport that does not show its strategies
    const passport = {
      authenticate: () => (_req: unknown, _res: unknown, next: (error?: unknown) => void) => next(error),
    }
    const server = oauth2orize.createServer()
    const app = express()
    app.use('/token', createTokenEndpoint({ server, passport, strategies: { basic: 'basic' } }) as RequestHandler)
    const route = await listen(createServer(app))
    const { status } = await post(route.url, { grant_type: 'echo' }, BASIC)
    assert.equal(status, error ? 503 : 401, String(error))
    await route.close()
  }
})

test('O25: exchanges that look for the client in another property of the request find it there', async () => {
  const passport = new Passport()
  passport.use(new BasicStrategy({ passReqToCallback: true }, createBasicVerify({ findClient })))
  const server = oauth2orize.createServer()
  const issue = (client: unknown, _scope: unknown, done: Done) => done(null, `token of ${(client as Client).client_id}`)
  server.exchange(oauth2orize.exchange.clientCredentials({ userProperty: 'client' }, issue))
  server.exchange(toOauth2orize(echo, { userProperty: 'client' }))
  const ways = [{ findClient }, { passport, strategies: { basic: 'basic' } }]
  const use = async (route: Route): Promise<void> => {
    const theirs = await oneAnswer(route, { grant_type: 'client_credentials' }, 200, undefined)
    assert.equal(theirs.json.access_token, 'token of any')
    assert.equal((await oneAnswer(route, { grant_type: 'echo' }, 200, undefined)).json.client_id, 'any')
  }
  for (const way of ways) {
    const app = express()
    app.use(
      '/token',
      createTokenEndpoint({ ...way, server, userProperty: 'client', enforceGrantTypes: false }) as never,
    )
    const route = await listen(createServer(app))
    await use(route)
    await route.close()
  }
  // a chain of the application, with Passport's assignProperty
  const app = express()
  const assign = passport.authenticate('basic', { session: false, assignProperty: 'client' })
  app.post('/token', readFormBody() as RequestHandler, assign, server.token() as RequestHandler, respondWithError())
  const route = await listen(createServer(app))
  assert.equal((await post(route.url, { grant_type: 'echo' }, BASIC)).json.client_id, 'any')
  await route.close()
  for (const userProperty of ['', 7]) {
    assert.throws(() => toOauth2orize(echo, { userProperty: userProperty as never }), /option 'userProperty'/)
    assert.throws(
      () => createTokenEndpoint({ server, findClient, userProperty: userProperty as never }),
      /userProperty/,
    )
  }
  assert.throws(() => createTokenEndpoint({ exchanges: [], findClient, userProperty: 'client' } as never), /no effect/)
})

test('G3: the client is found in the property of passport.initialize, and in the one that authenticateClients is given', async (t) => {
  const passport = new Passport()
  passport.use(new BasicStrategy({ passReqToCallback: true }, createBasicVerify({ findClient })))
  const initialize = passport.initialize({ userProperty: 'client' } as never)
  const issue = (client: unknown, _scope: unknown, done: Done) => done(null, `token of ${(client as Client).client_id}`)
  const theirs = oauth2orize.exchange.clientCredentials({ userProperty: 'client' }, issue)
  const server = (options: object) => {
    const made = oauth2orize.createServer()
    made.exchange(theirs)
    made.exchange(toOauth2orize(echo, options))
    return made
  }
  const bare = (): RequestHandler => server({ userProperty: 'client' }).token() as RequestHandler
  const strategies = { basic: 'basic' }
  const noLimit = { enforceGrantTypes: false }
  const door = (options: object): RequestHandler => authenticateClients(options as never) as RequestHandler
  const authenticateClient = createClientAuthenticator({ findClient })
  const form = readFormBody() as RequestHandler
  const chains: RequestHandler[][] = [
    [initialize, form, passport.authenticate('basic', { session: false }), server({}).token() as RequestHandler],
    [initialize, form, door({ passport, strategies }), server({}).token() as RequestHandler],
    [initialize, form, door({ authenticateClient }), server({}).token() as RequestHandler],
    [form, door({ passport, strategies, userProperty: 'client' }), bare()],
    [form, door({ authenticateClient, userProperty: 'client' }), bare()],
    [initialize, createTokenEndpoint({ server: server({}), findClient, ...noLimit }) as RequestHandler],
    [initialize, createTokenEndpoint({ server: server({}), passport, strategies, ...noLimit }) as RequestHandler],
  ]
  for (const [at, chain] of chains.entries()) {
    const app = express()
    app.use('/token', ...chain, respondWithError() as never)
    const route = await listen(createServer(app))
    t.after(() => route.close())
    const own = await post(route.url, { grant_type: 'echo' }, BASIC)
    assert.equal(own.json.client_id, 'any', `${at}: ${own.text}`)
    const other = await post(route.url, { grant_type: 'client_credentials' }, BASIC)
    assert.equal(other.json.access_token, 'token of any', `${at}: ${other.text}`)
  }
  for (const userProperty of ['', 7])
    assert.throws(() => door({ authenticateClient, userProperty }), /option 'userProperty'/)
})

test('exchanges and their wrapper refuse unknown options, and say what they need', () => {
  assert.throws(() => toOauth2orize(undefined as never), /option 'exchange.run'/)
  assert.throws(() => toOauth2orize(echo, { toclient: asIs } as never), /Did you mean "toClient"/)
  for (const make of [
    createAuthorizationCodeExchange,
    createRefreshTokenExchange,
    createClientCredentialsExchange,
  ] as readonly ((options: never) => unknown)[]) {
    assert.throws(() => make(undefined as never), new RegExp(`^TypeError: ${make.name} needs an object with options`))
    assert.throws(() => make({ token: {} } as never), /Did you mean "tokens"/)
  }
})

const asIs = (user: unknown): unknown => user

test('strategies may be given as instances, without Passport, also under overlapping requests', async () => {
  const slow: typeof findClient = async (id, context) => {
    await new Promise((resolve) => setTimeout(resolve, id === 'any' ? 30 : 1))
    return findClient(id, context)
  }
  const basic = new BasicStrategy({ passReqToCallback: true }, createBasicVerify({ findClient: slow }))
  const server = oauth2orize.createServer()
  server.exchange(toOauth2orize(echo))
  const app = express()
  app.use('/token', createTokenEndpoint({ server, strategies: { basic } }) as RequestHandler)
  const route = await listen(createServer(app))
  const send = (id: string) => post(route.url, { grant_type: 'echo' }, { Authorization: basicHeader(id, SECRET) })
  const answers = await Promise.all([send('any'), send('basic'), send('any'), send('basic')])
  assert.deepEqual(
    answers.map(({ json }) => json.client_id),
    ['any', 'basic', 'any', 'basic'],
  )
  await route.close()
})
