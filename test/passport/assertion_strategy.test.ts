import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import express from 'express'
import express4 from 'express4'
import passport from 'passport'
import { BasicStrategy } from 'passport-http'
import { Strategy as ClientPasswordStrategy } from 'passport-oauth2-client-password'
import type { VerifyAssertion } from '../../lib/assertion/verify.ts'
import type { AuthenticatedClient, Client, ClientAuthentication } from '../../lib/client.ts'
import { OAuthError, refusal } from '../../lib/errors.ts'
import { onEvent } from '../../lib/events.ts'
import defaultExport, {
  ClientAssertionStrategy,
  Strategy,
  type StrategyRequest,
  type VerifyDone,
} from '../../lib/passport/assertion_strategy.ts'
import {
  ASSERTION_TYPE,
  assertionBy,
  assertionWith,
  CLIENT_ID,
  formWith,
  ISSUER,
  NOW,
  SECRET,
  scene,
  sharedKey,
  testRegister,
} from '../support/assertions.ts'
import { runStrategy } from '../support/strategy.ts'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

/** A request as Express and a form parser leave it. */
const post = (body: object): object => ({ method: 'POST', headers: FORM, body })

const CLIENT: Client = { client_id: CLIENT_ID, client_name: 'The client' }
const AUTHENTICATION: ClientAuthentication = { method: 'private_key_jwt', alg: 'ES256', jti: 'j' }

/** A verifier that takes anything, at once. */
const takesAll: VerifyAssertion = async () => ({ client: CLIENT, authentication: AUTHENTICATION })
const anything = { client_assertion: 'x', client_assertion_type: ASSERTION_TYPE }

/** Serves an application on a free port while something asks it. */
async function serving<T>(app: unknown, ask: (url: string) => Promise<T>): Promise<T> {
  const server = createServer(app as RequestListener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    return await ask(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

const send = (url: string, body: object | string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${url}/token`, {
    method: 'POST',
    headers: { ...FORM, ...headers },
    body: typeof body === 'string' ? body : String(new URLSearchParams(body as Record<string, string>)),
  })

/** Every pair of a host and a form parser that this is used with. */
const HOSTS = [
  ['Express 5, extended', () => [express(), express.urlencoded({ extended: true })]],
  ['Express 5, simple', () => [express(), express.urlencoded({ extended: false })]],
  ['Express 4, extended', () => [express4(), express4.urlencoded({ extended: true })]],
  ['Express 4, simple', () => [express4(), express4.urlencoded({ extended: false })]],
] as unknown as readonly (readonly [string, () => [express.Express, express.RequestHandler]])[]

/** What the routes of these tests answer with: the client and how it was authenticated, or the error. */
function tokenRoute(app: express.Express, ...steps: express.RequestHandler[]): express.Express {
  app.post('/token', ...steps, (request, response) => {
    response.json({ user: request.user, info: (request as { authInfo?: unknown }).authInfo })
  })
  app.use(((error, _request, response, _next) => {
    response.status(error instanceof OAuthError ? error.status : 500).json({ error: error.code, reason: error.reason })
  }) as express.ErrorRequestHandler)
  return app
}

test('it is exported by its name, as Strategy and as the default, and is called client-assertion-jwt', () => {
  assert.equal(Strategy, ClientAssertionStrategy)
  assert.equal(defaultExport, ClientAssertionStrategy)
  assert.equal(new Strategy({ verifyAssertion: takesAll }).name, 'client-assertion-jwt')
  assert.equal(new Strategy({ verifyAssertion: takesAll, name: 'own' }).name, 'own')
})

for (const [host, make] of HOSTS)
  test(`registered by name under ${host}: user, verified claims, header, method and key id arrive`, async () => {
    const key = await sharedKey('ES256')
    const { verify } = await scene({}, { jwks: { keys: [{ ...key.jwk, kid: 'k1' }] }, client_name: 'The client' })
    const instance = new passport.Passport()
    instance.use(new ClientAssertionStrategy({ verifyAssertion: verify }) as passport.Strategy)
    const [app, parser] = make()
    tokenRoute(app, parser, instance.authenticate('client-assertion-jwt', { session: false }))
    await serving(app, async (url) => {
      const form = formWith(assertionBy(key, { jti: 'j1', extra: { a: 1 } }, { kid: 'k1', typ: 'JWT' }))
      const answer = await send(url, form)
      assert.equal(answer.status, 200)
      const { user, info } = (await answer.json()) as { user: Client; info: ClientAuthentication }
      assert.equal(user.client_name, 'The client')
      assert.deepEqual([info.method, info.alg, info.kid, info.jti], ['private_key_jwt', 'ES256', 'k1', 'j1'])
      assert.deepEqual(info.claims?.['extra'], { a: 1 })
      assert.equal(info.header?.['typ'], 'JWT')
      assert.ok(!JSON.stringify(info).includes(String(form['client_assertion'])))

      const replayed = await send(url, form)
      assert.deepEqual(
        [replayed.status, await replayed.json()],
        [400, { error: 'invalid_client', reason: 'assertion_replayed' }],
      )
      const none = await send(url, { grant_type: 'client_credentials' })
      assert.equal(none.status, 401)
      assert.equal(none.headers.get('www-authenticate'), null)
      for (const name of ['client_assertion', 'client_assertion_type', 'client_id'])
        for (const tail of [`&${name}=x`, `&${name}[a]=x`, `&${name}[]=x`]) {
          const text = `${new URLSearchParams(formWith(assertionBy(key)) as Record<string, string>)}`
          const base = name === 'client_id' ? `client_id=${CLIENT_ID}&${text}` : text
          const repeated = await send(url, base + tail)
          // a simple parser takes "name[a]" for another name, which is nothing to us
          if (repeated.status !== 200)
            assert.deepEqual(
              [repeated.status, ((await repeated.json()) as { error: string }).error],
              [400, 'invalid_request'],
            )
          else assert.ok(host.endsWith('simple') && tail.includes('['), `${host} ${tail}`)
        }
    })
  })

test('passed as an instance, two requests that overlap each get their own answer', async () => {
  const waiting = new Map<string, (authenticated: AuthenticatedClient) => void>()
  const strategy = new ClientAssertionStrategy({
    verifyAssertion: (parameters) =>
      new Promise<AuthenticatedClient>((resolve) => {
        waiting.set(String(parameters['client_assertion']), resolve)
      }),
  })
  const instance = new passport.Passport()
  const app = tokenRoute(
    express(),
    express.urlencoded({ extended: false }),
    instance.authenticate(strategy as unknown as passport.Strategy, { session: false }),
  )
  await serving(app, async (url) => {
    const ask = async (name: string) => {
      const answer = await send(url, { client_assertion: name, client_assertion_type: ASSERTION_TYPE })
      return ((await answer.json()) as { user: Client }).user.client_id
    }
    const answers = Promise.all([ask('a'), ask('b')])
    while (waiting.size < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    for (const name of ['b', 'a']) waiting.get(name)?.({ client: { client_id: name }, authentication: AUTHENTICATION })
    assert.deepEqual(await answers, ['a', 'b'])
  })
})

test('in an array with basic and client-password each method finds its strategy, and a bad assertion falls through to none', async () => {
  const key = await sharedKey('ES256')
  const stranger = await sharedKey('ES256', 'stranger')
  const { verify } = await scene()
  const tried: string[] = []
  const instance = new passport.Passport()
  const other = (id: string, secret: string, done: (error: unknown, user?: unknown) => void) => {
    tried.push(id)
    done(null, secret === 'secret' ? { client_id: id } : false)
  }
  for (const order of [
    ['client-assertion-jwt', 'basic', 'oauth2-client-password'],
    ['basic', 'oauth2-client-password', 'client-assertion-jwt'],
  ]) {
    instance.use(new BasicStrategy(other))
    instance.use(new ClientPasswordStrategy(other) as passport.Strategy)
    instance.use(new ClientAssertionStrategy({ verifyAssertion: verify }) as passport.Strategy)
    const app = tokenRoute(
      express(),
      express.urlencoded({ extended: true }),
      instance.authenticate(order, { session: false }),
    )
    await serving(app, async (url) => {
      const basic = { authorization: `Basic ${Buffer.from('b:secret').toString('base64')}` }
      const clientOf = async (answer: Response) => ((await answer.json()) as { user?: Client }).user?.client_id
      assert.equal(await clientOf(await send(url, {}, basic)), 'b')
      assert.equal(await clientOf(await send(url, { client_id: 'p', client_secret: 'secret' })), 'p')
      assert.equal(await clientOf(await send(url, formWith(assertionBy(key)))), CLIENT_ID)
      tried.length = 0
      const bad = await send(url, formWith(assertionBy(stranger), { client_id: CLIENT_ID }))
      assert.deepEqual(
        [bad.status, await bad.json()],
        [400, { error: 'invalid_client', reason: 'assertion_signature_wrong' }],
      )
      assert.deepEqual(tried, [])
      const nothing = await send(url, {})
      assert.equal(nothing.status, 401)
      assert.equal(nothing.headers.get('www-authenticate'), 'Basic realm="Users"')
    })
  }
})

test('a bad assertion together with the secret of another client never becomes that client', async () => {
  const stranger = await sharedKey('ES256', 'stranger')
  const { verify } = await scene()
  const instance = new passport.Passport()
  instance.use(
    new ClientPasswordStrategy((id: string, _secret: string, done: (error: unknown, user?: unknown) => void) =>
      done(null, { client_id: id }),
    ) as passport.Strategy,
  )
  instance.use(new ClientAssertionStrategy({ verifyAssertion: verify }) as passport.Strategy)
  const app = tokenRoute(
    express(),
    express.urlencoded({ extended: true }),
    instance.authenticate(['client-assertion-jwt', 'oauth2-client-password'], { session: false }),
  )
  await serving(app, async (url) => {
    const answer = await send(url, formWith(assertionBy(stranger), { client_id: 'other', client_secret: SECRET }))
    assert.deepEqual(
      [answer.status, await answer.json()],
      [400, { error: 'invalid_request', reason: 'client_authentication_repeated' }],
    )
  })
})

test('the verify callback answers by done or by what it returns, at once or later; the first answer counts', async () => {
  const user = { id: 7 }
  const later = <T>(value: T): Promise<T> => new Promise((resolve) => setTimeout(resolve, 5, value))
  const cases: [string, (client: Client, info: ClientAuthentication, done: VerifyDone) => unknown, string, unknown][] =
    [
      ['returns a user', () => user, 'success', user],
      ['returns true', () => true, 'success', CLIENT],
      ['returns false', () => false, 'error', 'client_rejected'],
      ['returns null', () => null, 'error', 'client_rejected'],
      ['promises a user', () => later(user), 'success', user],
      ['promises true', () => later(true), 'success', CLIENT],
      ['promises false', () => later(false), 'error', 'client_rejected'],
      ['rejects', () => Promise.reject(new Error('db')), 'error', 'db'],
      ['rejects with nothing', () => Promise.reject(), 'error', 'what was thrown is no Error but undefined'],
      ['rejects with false', () => Promise.reject(false), 'error', 'what was thrown is no Error but boolean'],
      ['rejects with a text', () => Promise.reject('route'), 'error', 'what was thrown is no Error but string'],
      ['calls done with false alone', (_client, _info, done) => done(false), 'error', 'client_rejected'],
      ['calls done with an empty text', (_client, _info, done) => done(''), 'error', 'client_rejected'],
      [
        'calls done with a text',
        (_client, _info, done) => done('route'),
        'error',
        'what was thrown is no Error but string',
      ],
      ['calls done with 0 and a user', (_client, _info, done) => done(0, user), 'success', user],
      ['throws', () => assert.fail('db'), 'error', 'db'],
      ['rejects with a refusal', () => Promise.reject(refusal('client_rejected')), 'error', 'client_rejected'],
      ['calls done', (_client, _info, done) => done(null, user), 'success', user],
      ['calls done later', (_client, _info, done) => void setTimeout(done, 5, null, user), 'success', user],
      ['calls done with false', (_client, _info, done) => done(null, false), 'error', 'client_rejected'],
      ['calls done with undefined', (_client, _info, done) => done(undefined, undefined), 'error', 'client_rejected'],
      ['calls done with an error', (_client, _info, done) => done(new Error('db')), 'error', 'db'],
      [
        'is async and calls done after its promise has resolved to undefined',
        async (_client, _info, done) => {
          setTimeout(done, 10, null, user)
        },
        'error',
        'misconfigured',
      ],
      [
        'is async and calls done before its promise resolves',
        async (_client, _info, done) => {
          await later(1)
          done(null, user)
        },
        'success',
        user,
      ],
      [
        'calls done twice',
        (_client, _info, done) => {
          done(null, user)
          done(new Error('too late'))
        },
        'success',
        user,
      ],
      [
        'calls done and throws',
        (_client, _info, done) => {
          done(null, user)
          throw new Error('too late')
        },
        'success',
        user,
      ],
    ]
  for (const [what, verify, action, expected] of cases) {
    const strategy = new ClientAssertionStrategy({ verifyAssertion: takesAll }, verify)
    const outcome = await runStrategy(strategy, post(anything))
    assert.equal(outcome.action, action, what)
    if (action === 'success') assert.equal(outcome.argument, expected, what)
    else {
      const error = outcome.argument as Error
      assert.equal(error instanceof OAuthError ? error.reason : error.message, expected, what)
    }
  }
})

test('nothing that goes wrong lets a request through to the handler, whatever is thrown, under either onInvalid', async () => {
  const thrown = [undefined, null, false, 0, '', 'route', 'router', new Error('db'), {}]
  const reject = (value: unknown) => () => Promise.reject(value)
  for (const onInvalid of ['error', 'fail'] as const)
    for (const value of thrown) {
      const strategies = [
        new ClientAssertionStrategy({ verifyAssertion: reject(value), onInvalid }),
        new ClientAssertionStrategy({ verifyAssertion: takesAll, onInvalid }, reject(value)),
        new ClientAssertionStrategy({ verifyAssertion: takesAll, onInvalid }, (_client, _info, done) => done(value)),
      ]
      for (const [index, strategy] of strategies.entries()) {
        const instance = new passport.Passport()
        instance.use(strategy as passport.Strategy)
        let reached = false
        const app = express()
        app.post(
          '/token',
          express.urlencoded({ extended: false }),
          instance.authenticate('client-assertion-jwt', { session: false }),
          (_request, response) => {
            reached = true
            response.end()
          },
        )
        app.use(((_error, _request, response, _next) => response.status(500).end()) as express.ErrorRequestHandler)
        const status = await serving(app, async (url) => (await send(url, anything)).status)
        assert.ok(!reached, `${onInvalid} ${index} ${String(value)}`)
        assert.ok([400, 401, 500].includes(status), `${status} ${onInvalid} ${index} ${String(value)}`)
      }
    }
})

test('R5 two credentials in one request end the chain, also where onInvalid is fail', async () => {
  const key = await sharedKey('ES256')
  const { verify } = await scene()
  const instance = new passport.Passport()
  const any = (id: string, _secret: string, done: (error: unknown, user?: unknown) => void) =>
    done(null, { client_id: id })
  instance.use(new ClientAssertionStrategy({ verifyAssertion: verify, onInvalid: 'fail' }) as passport.Strategy)
  instance.use(new BasicStrategy(any))
  instance.use(new ClientPasswordStrategy(any) as passport.Strategy)
  const app = tokenRoute(
    express(),
    express.urlencoded({ extended: true }),
    instance.authenticate(['client-assertion-jwt', 'basic', 'oauth2-client-password'], { session: false }),
  )
  const repeated = { error: 'invalid_request', reason: 'client_authentication_repeated' }
  await serving(app, async (url) => {
    const basic = { authorization: `Basic ${Buffer.from('b:secret').toString('base64')}` }
    const beside = await send(url, formWith(assertionBy(key)), basic)
    assert.deepEqual([beside.status, await beside.json()], [400, repeated])
    const secret = await send(url, formWith(assertionBy(key), { client_id: CLIENT_ID, client_secret: 'x' }))
    assert.deepEqual([secret.status, await secret.json()], [400, repeated])
    assert.equal((await send(url, {}, basic)).status, 200)
  })
})

test('R74 a client that the application turns away is refused for all to see, whoever answers', async (t) => {
  const heard: unknown[] = []
  t.after(onEvent('client.refused', ({ clientId, reason }) => heard.push([clientId, reason])))
  for (const onInvalid of ['error', 'fail'] as const)
    await runStrategy(
      new ClientAssertionStrategy({ verifyAssertion: takesAll, onInvalid }, () => false),
      post(anything),
    )
  const refusing = new ClientAssertionStrategy({ verifyAssertion: takesAll }, (_client, _info, done) =>
    done(refusal('client_unknown', { clientId: 'x' })),
  )
  await runStrategy(refusing, post(anything))
  const undecided: unknown[] = []
  t.after(onEvent('client.undecided', ({ cause }) => undecided.push(String(cause))))
  const broken = new ClientAssertionStrategy({ verifyAssertion: takesAll }, () => Promise.reject(new Error('db')))
  await runStrategy(broken, post(anything))
  assert.deepEqual(heard, [
    [CLIENT_ID, 'client_rejected'],
    [CLIENT_ID, 'client_rejected'],
    ['x', 'client_unknown'],
  ])
  assert.deepEqual(undecided, ['Error: db'])
})

test('what done adds to the information joins that of the verifier', async () => {
  const strategy = new ClientAssertionStrategy({ verifyAssertion: takesAll }, (_client, _info, done) =>
    done(null, { id: 7 }, { tier: 'gold' }),
  )
  const { second } = await runStrategy(strategy, post(anything))
  assert.deepEqual(second, { ...AUTHENTICATION, tier: 'gold' })
})

test('passReqToCallback puts the request first', async () => {
  const request = post(anything)
  const seen: unknown[] = []
  const strategy = new ClientAssertionStrategy(
    { verifyAssertion: takesAll, passReqToCallback: true },
    (received: StrategyRequest, client: Client, info: ClientAuthentication, done: VerifyDone) => {
      seen.push(received, client, info)
      done(null, client)
    },
  )
  assert.equal((await runStrategy(strategy, request)).action, 'success')
  assert.deepEqual(seen, [request, CLIENT, AUTHENTICATION])
  assert.equal(seen[0], request)
})

test('NestJS: a callback of length 0 whose promise is to be ignored, on a subclass that a mixin made', async () => {
  // What PassportStrategy(Strategy) of @nestjs/passport makes of a strategy, in short.
  abstract class Mixed extends ClientAssertionStrategy {
    abstract validate(...parameters: unknown[]): unknown
    constructor(options: ConstructorParameters<typeof ClientAssertionStrategy>[0]) {
      const callback = async (...parameters: unknown[]): Promise<void> => {
        const done = parameters.at(-1) as VerifyDone
        try {
          done(null, await this.validate(...parameters))
        } catch (error) {
          done(error, null)
        }
      }
      super(options, callback)
    }
  }
  const answers: Record<string, () => unknown> = {
    user: () => ({ id: 7 }),
    nobody: () => undefined,
    broken: () => {
      throw new Error('db')
    },
  }
  for (const [what, action] of [
    ['user', 'success'],
    ['nobody', 'error'],
    ['broken', 'error'],
  ] as const) {
    const seen: unknown[] = []
    class Own extends Mixed {
      validate(...parameters: unknown[]): unknown {
        seen.push(...parameters.slice(0, 2))
        return answers[what]?.()
      }
    }
    const outcome = await runStrategy(new Own({ verifyAssertion: takesAll }), post(anything))
    assert.equal(outcome.action, action, what)
    assert.deepEqual(seen, [CLIENT, AUTHENTICATION])
  }
})

test('onInvalid fail leaves a bad assertion to the next strategy, and faults are errors all the same', async () => {
  const refusing =
    (error: OAuthError): VerifyAssertion =>
    () =>
      Promise.reject(error)
  const outcomeOf = (error: OAuthError) =>
    runStrategy(new ClientAssertionStrategy({ verifyAssertion: refusing(error), onInvalid: 'fail' }), post(anything))
  assert.equal((await outcomeOf(refusal('assertion_expired'))).action, 'fail')
  assert.equal((await outcomeOf(refusal('store_unavailable'))).action, 'error')
  assert.equal((await outcomeOf(refusal('misconfigured'))).action, 'error')
  const instance = new passport.Passport()
  instance.use(
    new ClientAssertionStrategy({
      verifyAssertion: refusing(refusal('assertion_expired')),
      onInvalid: 'fail',
    }) as passport.Strategy,
  )
  const app = tokenRoute(
    express(),
    express.urlencoded({ extended: false }),
    instance.authenticate('client-assertion-jwt', { session: false }),
  )
  await serving(app, async (url) => {
    const answer = await send(url, anything)
    assert.equal(answer.headers.get('www-authenticate'), null)
    assert.equal(await answer.text(), 'Bad Request')
  })
})

test('the URL of the endpoint comes from the options of the strategy or of the route', async () => {
  const seen: unknown[] = []
  const verifyAssertion: VerifyAssertion = async (_parameters, context) => {
    seen.push(context?.endpoint)
    return { client: CLIENT, authentication: AUTHENTICATION }
  }
  const own = new ClientAssertionStrategy({ verifyAssertion, endpoint: 'https://as.example/a' })
  await runStrategy(own, post(anything))
  await runStrategy(own, post(anything), { session: false, endpoint: 'https://as.example/b' })
  await runStrategy(new ClientAssertionStrategy({ verifyAssertion }), post(anything), { session: false })
  assert.deepEqual(seen, ['https://as.example/a', 'https://as.example/b', undefined])
})

test('with the options of a verifier it makes its own, for secrets too', async () => {
  const strategy = new ClientAssertionStrategy({
    issuer: ISSUER,
    replayRegister: testRegister(),
    clock: () => NOW,
    findClient: async (client_id) => ({
      client_id,
      token_endpoint_auth_method: 'client_secret_jwt',
      client_secret: SECRET,
    }),
  })
  const { action, second } = await runStrategy(strategy, post(formWith(assertionWith(SECRET))))
  assert.equal(action, 'success')
  assert.equal((second as ClientAuthentication).method, 'client_secret_jwt')
})

test('mistakes in its options throw at construction and name the option', () => {
  for (const [name, value] of [
    ['name', ''],
    ['name', 5],
    ['verifyAssertion', 'x'],
    ['passReqToCallback', 'yes'],
    ['onInvalid', 'throw'],
    ['onForeignType', 'skip'],
    ['acceptJsonBody', 1],
    ['endpoint', 5],
  ] as const)
    assert.throws(
      () => new ClientAssertionStrategy({ verifyAssertion: takesAll, [name]: value } as never),
      (error: unknown) => error instanceof TypeError && error.message.includes(`'${name}'`),
      name,
    )
  assert.throws(() => new ClientAssertionStrategy(undefined as never), /Strategy needs an object/)
  const misspelt = { verifyAssertion: takesAll, acceptJSONBody: true }
  assert.throws(() => new ClientAssertionStrategy(misspelt as never), /Did you mean "acceptJsonBody"/)
  const two = { verifyAssertion: takesAll, issuer: ISSUER }
  assert.throws(() => new ClientAssertionStrategy(two as never), /Unknown option "issuer"/)
  assert.throws(() => new ClientAssertionStrategy({ verifyAssertion: takesAll }, 'x' as never), /'verify'/)
  assert.throws(() => new ClientAssertionStrategy({ issuer: ISSUER } as never), /'findClient'/)
})

test('what is thrown after success is an error, not a failed authentication, and brings no process down', async () => {
  for (const verify of [undefined, () => true, async () => true]) {
    const ended = await new Promise((resolve) => {
      const seen: unknown[] = []
      const strategy = new ClientAssertionStrategy({ verifyAssertion: takesAll }, verify)
      const run = Object.assign(Object.create(strategy), {
        success: () => {
          seen.push('success')
          throw new Error('downstream')
        },
        fail: () => resolve('fail'),
        error: (error: Error) => resolve([...seen, error.message]),
      })
      run.authenticate(post(anything))
    })
    assert.deepEqual(ended, ['success', 'downstream'])
  }
})
