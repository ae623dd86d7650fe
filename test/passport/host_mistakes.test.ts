import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'
import express from 'express'
import { Passport } from 'passport'
import { BasicStrategy } from 'passport-http'
import { Strategy as ClientPasswordStrategy } from 'passport-oauth2-client-password'
import type { VerifyAssertion } from '../../lib/assertion/verify.ts'
import {
  authenticateClients,
  type Client,
  Strategy as ClientAssertionStrategy,
  createBasicVerify,
  createClientAuthenticator,
  createClientPasswordVerify,
  type OAuthError,
  onEvent,
  PublicClientStrategy,
  respondWithError,
} from '../../lib/index.ts'
import { ASSERTION_TYPE, assertionBy, formWith, ISSUER, scene } from '../support/assertions.ts'
import { FORM_TYPE, sendRaw } from '../support/raw_http.ts'
import { basicHeader, findClient, listen, post, SECRET } from '../support/token_route.ts'

const session = createRequire(import.meta.url)('express-session') as (options: object) => express.RequestHandler

const CLIENT: Client = { client_id: 'c', token_endpoint_auth_method: 'private_key_jwt' }
const takesAll: VerifyAssertion = async () => ({ client: CLIENT, authentication: { method: 'private_key_jwt' } })
const ASSERTION = { client_assertion: 'x', client_assertion_type: ASSERTION_TYPE }

/** A request that each strategy authenticates, and the strategy. */
const WAYS: Record<
  string,
  readonly [strategy: object, body: Record<string, string>, headers?: Record<string, string>]
> = {
  'client-assertion-jwt': [new ClientAssertionStrategy({ verifyAssertion: takesAll }), ASSERTION],
  basic: [
    new BasicStrategy({ passReqToCallback: true }, createBasicVerify({ findClient })),
    {},
    { Authorization: basicHeader('any', SECRET) },
  ],
  'oauth2-client-password': [
    new ClientPasswordStrategy({ passReqToCallback: true }, createClientPasswordVerify({ findClient })),
    { client_id: 'any', client_secret: SECRET },
  ],
  'oauth2-public-client': [new PublicClientStrategy({ findClient }), { client_id: 'public' }],
}

function passportWith(strategy: object): InstanceType<typeof Passport> {
  const passport = new Passport()
  passport.use(strategy as never)
  return passport
}

const application = (...steps: express.RequestHandler[]) => {
  const app = express()
  app.use(express.urlencoded({ extended: false }))
  app.post('/token', ...steps, (req, res) => {
    res.json({ user: req.user })
  })
  app.use(respondWithError())
  return listen(createServer(app))
}

async function unhandled(act: () => Promise<void>): Promise<unknown[]> {
  const seen: unknown[] = []
  const note = (reason: unknown): unknown => seen.push(reason)
  process.on('unhandledRejection', note)
  await act()
  await new Promise((resolve) => setTimeout(resolve, 10))
  process.off('unhandledRejection', note)
  return seen
}

describe('O6: basicVerify and clientPasswordVerify work with and without passReqToCallback', () => {
  const cases = {
    basic: [
      new BasicStrategy(createBasicVerify({ findClient })),
      (id: string, secret: string) => [{}, { Authorization: basicHeader(id, secret) }] as const,
    ],
    'oauth2-client-password': [
      new ClientPasswordStrategy(createClientPasswordVerify({ findClient })),
      (client_id: string, client_secret: string) => [{ client_id, client_secret }, {}] as const,
    ],
  } as const
  const short = async (id: string) =>
    ['any', 'a b'].includes(id) ? { client_id: id, client_secret: 'a secret' } : findClient(id, {})

  for (const [name, [strategy, sent]] of Object.entries(cases)) {
    test(name, async () => {
      const passport = passportWith(strategy)
      const route = await application(passport.authenticate(name, { session: false }))
      const rejections = await unhandled(async () => {
        for (const [id, secret, expected] of [
          ['nobody', 'x', [name === 'basic' ? 401 : 400, 'invalid_client']],
          ['any', 'wrong', [name === 'basic' ? 401 : 400, 'invalid_client']],
          ['down', 'x', [503, 'temporarily_unavailable']],
        ] as const) {
          const { status, json } = await post(
            route.url,
            ...(sent(id, secret) as unknown as [Record<string, string>, Record<string, string>]),
          )
          assert.deepEqual([status, json.error], expected)
        }
      })
      assert.deepEqual(rejections, [])
      await route.close()
    })
  }

  test('without the request the pair is decoded like the header', async () => {
    const passport = passportWith(new BasicStrategy(createBasicVerify({ findClient: short })))
    const route = await application(passport.authenticate('basic', { session: false }))
    for (const [id, secret] of [
      ['any', 'a secret'],
      ['any', 'a+secret'],
      ['a%20b', 'a%20secret'],
    ] as const)
      assert.equal((await post(route.url, {}, { Authorization: basicHeader(id, secret) })).status, 200, id + secret)
    await route.close()
  })

  test('called with anything else they throw, and say how they are called', () => {
    for (const verify of [
      createBasicVerify({ findClient }),
      createClientPasswordVerify({ findClient }),
    ] as unknown as ((...given: unknown[]) => void)[])
      for (const given of [[], ['a'], ['a', 'b'], ['a', () => undefined], ['a', 'b', 'c', 'd']])
        assert.throws(
          () => verify(...given),
          /^TypeError: \w+: the result must be called as \(clientId, clientSecret, done\) or \(request, /,
        )
  })
})

for (const [name, [strategy, body, headers]] of Object.entries(WAYS)) {
  test(`O36: a callback of the host that throws once it has the user is a 500 through next, behind ${name}`, async () => {
    const passport = passportWith(strategy)
    for (const [always, what] of [
      [false, 'only for the user'],
      [true, 'whatever it gets'],
    ] as const) {
      const route = await application((req, res, next) => {
        const callback = (error: unknown): void => {
          if (!error || always) throw new Error('in the callback')
          next(error)
        }
        passport.authenticate(name, { session: false }, callback as never)(req, res, next)
      })
      const rejections = await unhandled(async () => {
        const answer = await post(route.url, body, headers)
        assert.deepEqual([answer.status, answer.json.error], [500, 'server_error'], what)
      })
      assert.deepEqual(rejections, [])
      await route.close()
    }
  })

  test(`O37: ${name} without session: false beside express-session never logs the client in as a user`, async (t) => {
    const heard: unknown[] = []
    t.after(onEvent('client.undecided', ({ reason, detail }) => heard.push([reason, detail])))
    const passport = passportWith(strategy)
    passport.serializeUser((user, done) => done(null, user))
    const sessions = session({ secret: 'x', resave: false, saveUninitialized: true })
    const run = async (options: object) => {
      const route = await application(sessions, passport.authenticate(name, options))
      const answer = await post(route.url, body, headers)
      await route.close()
      return [answer.status, answer.json.error]
    }
    assert.deepEqual(await run({}), [500, 'server_error'])
    assert.match(String(heard), /misconfigured,passport.authenticate\('[\w-]+'\) needs \{ session: false \}/)
    assert.deepEqual(await run({ session: false }), [200, undefined])
    assert.deepEqual(await run({ session: true }), [500, 'server_error'])
    assert.deepEqual(await run({ assignProperty: 'client' }), [200, undefined])
  })

  test(`O37: ${name} without session: false and without sessions names the option, not express-session`, async (t) => {
    const heard: unknown[] = []
    t.after(onEvent('request.refused', ({ reason, detail }) => heard.push(`${reason} ${detail}`)))
    const passport = passportWith(strategy)
    const needsOption = `misconfigured passport.authenticate('${name}') needs { session: false }: it would log the client in as a user`
    for (const before of [[], [passport.initialize()]]) {
      const run = async (step: express.RequestHandler) => {
        const route = await application(...before, step)
        const answer = await post(route.url, body, headers)
        await route.close()
        return answer.status
      }
      assert.equal(await run(passport.authenticate(name)), 500)
      assert.equal(await run(passport.authenticate(name, { session: true })), 500)
      assert.deepEqual(heard.splice(0), [needsOption, needsOption])
      assert.equal(await run(passport.authenticate(name, { session: false })), 200)
      assert.equal(await run(passport.authenticate(name, { assignProperty: 'client' })), 200)
      const withCallback: express.RequestHandler = (req, res, next) =>
        passport.authenticate(name, (error: unknown, user: object) => next(error ?? (user ? undefined : 'none')))(
          req,
          res,
          next,
        )
      assert.equal(await run(withCallback), 200)
      assert.deepEqual(heard, [])
    }
  })

  test(`O1: a form without a body is no fault of a parser before ${name}`, async () => {
    const route = await application(passportWith(strategy).authenticate(name, { session: false, failWithError: true }))
    const head = `POST /token HTTP/1.1\r\nHost: as.example\r\n${FORM_TYPE}\r\n\r\n`
    const { status } = await sendRaw(Number(new URL(route.url).port), head)
    await route.close()
    assert.match(String(status), /^40[01]$/)
  })

  test(`O1: no body parser before ${name} is misconfigured, and the event names the middleware`, async (t) => {
    if (name === 'basic' || name === 'oauth2-client-password') return // Basic needs none, the other does not ask us
    const heard: unknown[] = []
    t.after(onEvent('client.undecided', ({ reason, detail }) => heard.push([reason, detail])))
    const app = express()
    app.post('/token', passportWith(strategy).authenticate(name, { session: false }), (_req, res) => {
      res.json({})
    })
    app.use(respondWithError())
    const route = await listen(createServer(app))
    const answer = await post(route.url, body, headers)
    assert.deepEqual([answer.status, answer.json.error], [500, 'server_error'])
    const detail =
      'req.body is undefined: a body parser such as express.urlencoded() or readFormBody() must come before'
    assert.deepEqual(heard, [['misconfigured', detail]])
    const get = await fetch(route.url.replace('/token', '/other'))
    assert.equal(get.status, 404)
    await route.close()
  })

  test(`T93: an empty Authorization header counts as absent for ${name}`, async () => {
    if (name === 'basic') return
    const route = await application(passportWith(strategy).authenticate(name, { session: false }))
    assert.equal((await post(route.url, body, { Authorization: '' })).status, 200)
    await route.close()
  })
}

test('the logIn of the request is as before, also for what the application does with it in its callback', async () => {
  const [strategy, , headers] = WAYS['basic'] ?? assert.fail()
  const passport = passportWith(strategy)
  passport.serializeUser((user, done) => done(null, user))
  const sessions = session({ secret: 'x', resave: false, saveUninitialized: true })
  const seen: unknown[] = []
  const route = await application(sessions, passport.initialize(), (req, res, next) => {
    const own = Object.getOwnPropertyDescriptor(req, 'logIn')
    const { logIn } = req
    const callback = (error: unknown): void => {
      if (error) next(error)
      else
        req.logIn({ sub: 'a user' } as never, (failed: unknown) => {
          seen.push(failed, req.logIn === logIn, Object.getOwnPropertyDescriptor(req, 'logIn')?.value === own?.value)
          next()
        })
    }
    passport.authenticate('basic', callback as never)(req, res, next)
  })
  const { status, json } = await post(route.url, {}, headers)
  assert.deepEqual([status, json['user'], seen], [200, { sub: 'a user' }, [undefined, true, true]])
  await route.close()
})

test('authenticateClients without a body parser is misconfigured; Basic needs none', async (t) => {
  const heard: unknown[] = []
  t.after(onEvent('client.undecided', ({ reason, detail }) => heard.push([reason, detail])))
  const authenticateClient = createClientAuthenticator({ findClient })
  const strategies = { basic: WAYS['basic']?.[0], clientPassword: WAYS['oauth2-client-password']?.[0] } as never
  for (const options of [{ authenticateClient }, { strategies }]) {
    heard.length = 0
    const app = express()
    app.post('/token', authenticateClients(options) as express.RequestHandler, (req, res) => {
      res.json({ user: (req.user as Client | undefined)?.client_id })
    })
    app.use(respondWithError())
    const route = await listen(createServer(app))
    const refused = await post(route.url, { client_id: 'any', client_secret: SECRET })
    assert.deepEqual([refused.status, refused.json.error], [500, 'server_error'])
    const detail =
      'req.body is undefined: a body parser such as express.urlencoded() or readFormBody() must come before'
    assert.deepEqual(heard, [['misconfigured', detail]])
    const accepted = await post(route.url, {}, { Authorization: basicHeader('any', SECRET) })
    assert.deepEqual([accepted.status, accepted.json], [200, { user: 'any' }])
    await route.close()
  }
})

test('T93: an empty Authorization header counts as absent for the function too, but not in front of another', async () => {
  const authenticate = createClientAuthenticator({ findClient })
  const body = { client_id: 'any', client_secret: SECRET }
  const { authentication } = await authenticate({ headers: { authorization: '' } }, body)
  assert.equal(authentication.method, 'client_secret_post')
  const wrong = authenticate({ headers: { authorization: '' } }, { ...body, client_secret: 'wrong' })
  await assert.rejects(wrong, { reason: 'client_secret_wrong', status: 400 })
  const twice = ['Authorization', '', 'authorization', basicHeader('any', SECRET)]
  await assert.rejects(authenticate({ headers: { authorization: '' }, rawHeaders: twice }, body), {
    reason: 'authorization_header_malformed',
  })
})

test('O29: in a plain chain two credentials at once are refused, in any order of the strategies', async () => {
  const passport = new Passport()
  for (const [strategy] of Object.values(WAYS)) passport.use(strategy as never)
  const replayRegister = { remember: async () => true }
  passport.use(new ClientAssertionStrategy({ issuer: ISSUER, findClient, replayRegister }) as never)
  const names = Object.keys(WAYS)
  const orders = [names, [...names].reverse(), ['oauth2-client-password', 'basic', 'client-assertion-jwt']]
  for (const order of orders) {
    const route = await application(passport.authenticate(order, { session: false }))
    const secret = { client_id: 'any', client_secret: SECRET }
    for (const [body, headers] of [
      [{ ...ASSERTION, ...secret }, {}],
      [ASSERTION, { Authorization: basicHeader('any', SECRET) }],
    ] as const) {
      const { status, json } = await post(route.url, body as Record<string, string>, headers as Record<string, string>)
      assert.deepEqual([status, json.error], [400, 'invalid_request'], order.join())
    }
    const wrong = await post(route.url, secret, { Authorization: basicHeader('any', 'wrong') })
    assert.deepEqual([wrong.status, wrong.json.error], [401, 'invalid_client'])
    await route.close()
  }
})

// --- every function that the package takes here, wrong in every way ---------------------------------------------------

const boom = (): never => {
  throw new Error('inside')
}
/** What a function of an application may do instead of what it should, but for the arguments. */
const WRONG: Record<string, (...given: never[]) => unknown> = {
  throws: boom,
  'throws what is falsy': () => {
    throw undefined
  },
  rejects: async () => boom(),
  'rejects with nothing': () => Promise.reject(),
  'never settles': () => new Promise(() => {}),
  'returns nothing': () => undefined,
  'resolves to nothing': async () => undefined,
  'resolves to text': async () => 'x',
  'resolves to a number': async () => 1,
  'resolves to an array': async () => [],
  'resolves to an empty object': async () => ({}),
  // biome-ignore lint/suspicious/noThenProperty: a broken promise of the application
  'returns a thenable that throws': () => ({ then: boom }),
}

type Run = (wrong: never) => Promise<unknown>

const running =
  (make: (wrong: never) => { authenticate(request: never): void }, body: object): Run =>
  (wrong) =>
    new Promise((resolve) => {
      const strategy = Object.assign(Object.create(make(wrong)), {
        success: (user: unknown) => resolve(['success', user]),
        fail: () => resolve(['fail']),
        error: (error: unknown) => resolve(error),
      })
      strategy.authenticate({ method: 'POST', headers: {}, body } as never)
    })

const verified =
  (make: (wrong: never) => unknown, ...given: unknown[]): Run =>
  (wrong) =>
    new Promise((resolve) => {
      const verify = make(wrong) as (...given: unknown[]) => void
      verify(...given, (error: unknown, user: unknown) => resolve(error ?? ['success', user]))
    })

const middleware =
  (make: (wrong: never) => ReturnType<typeof authenticateClients>, body: object): Run =>
  (wrong) =>
    new Promise((resolve) => {
      const request = { method: 'POST', headers: {}, body, url: '/token' } as unknown as IncomingMessage
      make(wrong)(request as never, {} as never, ((error: unknown) => resolve(error ?? ['success'])) as never)
    })

const SECRET_BODY = { client_id: 'any', client_secret: SECRET }

/** Each function the package takes in this area, and a request that calls it. */
const TAKEN: Record<string, Run> = {
  'findClient of createClientAuthenticator': (findClient) =>
    createClientAuthenticator({ findClient })({ headers: {} }, SECRET_BODY).catch((error: unknown) => error),
  'findClient of createClientAuthenticator, public': (findClient) =>
    createClientAuthenticator({ findClient })({ headers: {} }, { client_id: 'x' }).catch((error: unknown) => error),
  'verifyAssertion of createClientAuthenticator': (verifyAssertion) =>
    createClientAuthenticator({ findClient, verifyAssertion })({ headers: {} }, ASSERTION).catch(
      (error: unknown) => error,
    ),
  'findClient of basicVerify': verified((findClient) => createBasicVerify({ findClient }), 'any', SECRET),
  'findClient of clientPasswordVerify': verified(
    (findClient) => createClientPasswordVerify({ findClient }),
    'any',
    SECRET,
  ),
  'findClient of PublicClientStrategy': running((findClient) => new PublicClientStrategy({ findClient }) as never, {
    client_id: 'public',
  }),
  'verifyAssertion of the strategy': running(
    (verifyAssertion) => new ClientAssertionStrategy({ verifyAssertion }) as never,
    ASSERTION,
  ),
  'verifyAssertion of the strategy, which says what it offers like one of createAssertionVerifier': running(
    (wrong: (...given: unknown[]) => never) =>
      new ClientAssertionStrategy({
        verifyAssertion: Object.assign((...given: unknown[]) => wrong(...given), { methods: ['private_key_jwt'] }),
      }) as never,
    ASSERTION,
  ),
  'verify of the strategy': running(
    (verify) => new ClientAssertionStrategy({ verifyAssertion: takesAll }, verify) as never,
    ASSERTION,
  ),
  'authenticateClient of clientAuthentication': middleware(
    (authenticateClient) => authenticateClients({ authenticateClient }),
    SECRET_BODY,
  ),
  'a strategy of clientAuthentication': middleware(
    (authenticate) => authenticateClients({ strategies: { clientPassword: { authenticate } as never } }),
    SECRET_BODY,
  ),
}

/** Where the answer is a legitimate one: no such client, or a user of whatever kind. */
const LEGITIMATE =
  /^(findClient .*|authenticate .*): (returns|resolves to) nothing$|^verify of the strategy: resolves to (text|a number|an array|an empty object)$/

for (const [name, run] of Object.entries(TAKEN)) {
  for (const [what, wrong] of Object.entries(WRONG)) {
    test(`O7: ${name}: ${what}`, async (t) => {
      t.mock.timers.enable({ apis: ['setTimeout'] })
      const events: unknown[] = []
      t.after(onEvent('client.undecided', (event) => events.push(event)))
      t.after(onEvent('client.refused', (event) => events.push(event)))
      let outcome: unknown = 'none'
      const rejections: unknown[] = []
      const note = (reason: unknown): unknown => rejections.push(reason)
      process.on('unhandledRejection', note)
      const pending = run(wrong as never).then((value) => {
        outcome = value
      })
      for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve))
      t.mock.timers.tick(30_000)
      for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve))
      process.off('unhandledRejection', note)
      assert.notEqual(outcome, 'none', 'no answer within the time limit')
      await pending
      assert.deepEqual(rejections, [])
      const { status, reason } = outcome as OAuthError
      if (LEGITIMATE.test(`${name}: ${what}`)) {
        assert.ok((outcome as unknown[])[0] === 'success' || status < 500, String(outcome))
        return
      }
      if (/^findClient/.test(name) && /^resolves to/.test(what)) assert.equal(reason, 'client_misconfigured')
      else if (outcome instanceof Error && status === undefined) assert.equal(outcome.message.length > 0, true)
      else assert.ok(status >= 500, `${String(outcome)} ${status}`)
      assert.equal(events.length, 1, 'the event says what happened')
    })
  }
}

describe('in a chain of Passport the strategy ends within 30 seconds, whatever a verifier of this package waits for', () => {
  test('for three calls of the application, none of which takes too long alone', async (t) => {
    const { client } = await scene()
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const later = <T>(value: T): Promise<T> => new Promise((resolve) => setTimeout(() => resolve(value), 25_000))
    const { key, verify: verifyAssertion } = await scene({
      findClient: () => later(client),
      checks: [{ name: 'slow', check: () => later(true) }],
      replayRegister: { remember: () => later(true) },
    })
    const strategy = new ClientAssertionStrategy({ verifyAssertion })
    let outcome: unknown
    const run = running(() => strategy as never, formWith(assertionBy(key)))
    void run(undefined as never).then((value) => {
      outcome = value
    })
    await new Promise((resolve) => setImmediate(resolve)) // the limit begins
    for (let second = 0; second < 30; second += 1) {
      assert.equal(outcome, undefined)
      t.mock.timers.tick(1000)
      for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    }
    assert.equal((outcome as OAuthError).status, 503)
  })
})
