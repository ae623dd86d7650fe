// Every function that the authorization side takes, handed in wrong in every way: each request gets a response in time,
// no code is issued by mistake, no rejection stays unhandled, and an event names the fault.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import oauth2orize from 'oauth2orize'
import { onEvent } from '../../lib/events.ts'
import type { AuthorizationOptions } from '../../lib/oauth2orize/authorization.ts'
import { createPushedRequests } from '../../lib/pushed/pushed_requests.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { CLIENTS, pkcePair, redirected, rightRequest } from '../support/authorization_app.ts'
import { errorHandler, handlers, hostApp, partsOf } from '../support/host_app.ts'
import { HOSTILE } from '../support/wrong_functions.ts'

type Function_ = (...given: never[]) => unknown

/** A function of the application: how it is handed in, what it returns when it is right, and what is wrong to return. */
interface Hook {
  readonly name: string
  readonly options: (hook: Function_) => Partial<AuthorizationOptions>
  readonly right: unknown
  /** What is the wrong thing to return, and what a request then ends with at the client. */
  readonly wrong: readonly unknown[]
  /** What a function that throws ends with. */
  readonly fails: 'server_error' | 'temporarily_unavailable' | 'page'
  /** Whether promises are allowed. */
  readonly sync?: boolean
}

const web = CLIENTS[0]
const now = (): number => Math.floor(Date.now() / 1000)
const store = <T extends object>(base: T, verb: keyof T, hook: Function_): T => ({ ...base, [verb]: hook })
const stores = {
  consents: { allows: async () => false, remember: async () => {} },
  codes: {
    add: async () => {},
    find: async () => undefined,
    countFailure: async () => 0,
    spend: async () => 'unknown',
  },
}

const HOOKS: readonly Hook[] = [
  {
    name: 'findClient',
    options: (findClient) => ({ findClient: findClient as never }),
    right: web,
    wrong: [7, true, 'web', [], {}, { client_id: 'other' }, { ...web, scope: ['read'] }, () => web, undefined, null],
    fails: 'page',
  },
  {
    name: 'subjectOf',
    options: (subjectOf) => ({ subjectOf: subjectOf as never }),
    right: 'alice',
    wrong: [undefined, null, '', 7, {}, ['alice'], () => 'alice'],
    fails: 'server_error',
  },
  {
    name: 'askAgain',
    options: (askAgain) => ({ askAgain: askAgain as never }),
    right: false,
    wrong: [undefined, null, 0, 'no', {}],
    fails: 'server_error',
  },
  {
    name: 'authenticatedAt',
    options: (authenticatedAt) => ({ authenticatedAt: authenticatedAt as never }),
    right: now(),
    wrong: [null, 'now', Number.NaN, new Date(), {}, Number.POSITIVE_INFINITY],
    fails: 'server_error',
  },
  {
    name: 'pkce',
    options: (pkce) => ({ pkce: pkce as never }),
    right: 'all',
    wrong: [undefined, null, true, 'none', 'Optional', {}, ['all']],
    fails: 'server_error',
  },
  {
    name: 'extra',
    options: (extra) => ({ extra: extra as never }),
    right: { nonce: 'x' },
    wrong: [7, 'text', [1], 1n, { big: 1n }, () => ({})],
    fails: 'server_error',
  },
  {
    name: 'clock',
    options: (clock) => ({ clock: clock as never }),
    right: now(),
    wrong: [undefined, null, '1800000000', Number.NaN, new Date(), {}],
    fails: 'server_error',
    sync: true,
  },
  {
    name: 'consents.allows',
    options: (allows) => ({ consents: store(stores.consents, 'allows', allows) as never }),
    right: false,
    wrong: [undefined, null, 1, 'yes', {}],
    fails: 'temporarily_unavailable',
  },
  {
    name: 'consents.remember',
    options: (remember) => ({ consents: store(stores.consents, 'remember', remember) as never }),
    right: undefined,
    wrong: [],
    fails: 'temporarily_unavailable',
  },
  {
    name: 'replayRegister.remember',
    options: (remember) => ({ replayRegister: { remember } as never }),
    right: true,
    wrong: [undefined, null, 1, 'OK', {}],
    fails: 'page',
  },
  {
    name: 'codes.add',
    options: (add) => ({ codes: store(stores.codes as object, 'add' as never, add) as never }),
    right: undefined,
    wrong: [],
    fails: 'temporarily_unavailable',
  },
]

/** A promise of another library. */
const foreignPromise = (name: string, subscribe: (yes: unknown, no: (why: unknown) => void) => void): object =>
  Object.defineProperty({}, name, { value: subscribe })

const WAYS_TO_FAIL: readonly [name: string, make: () => unknown][] = [
  [
    'throws an error',
    () => {
      throw new Error('secret text')
    },
  ],
  [
    'throws a string',
    () => {
      throw 'secret text'
    },
  ],
  [
    'throws undefined',
    () => {
      throw undefined
    },
  ],
  ['rejects', () => Promise.reject(new Error('secret text'))],
  ['rejects with nothing', () => Promise.reject()],
  ['never settles', () => new Promise(() => {})],
  ['returns a foreign promise that never settles', () => foreignPromise('then', () => {})],
  [
    'returns a foreign promise that throws',
    () =>
      foreignPromise('then', () => {
        throw new Error('secret text')
      }),
  ],
  [
    'returns a foreign promise that rejects twice',
    () =>
      foreignPromise('then', (_yes, no) => {
        no(1)
        no(2)
      }),
  ],
  ...HOSTILE.flatMap(([what, make]): [string, Function_][] => [
    [
      `throws ${what}`,
      () => {
        throw make()
      },
    ],
    [`rejects with ${what}`, () => Promise.reject(make())],
  ]),
]

/** An application with these options; everybody is alice. */
async function appWith(context: TestContext, options: Partial<AuthorizationOptions>) {
  const { side } = partsOf({ timeoutMilliseconds: 100, ...options })
  const server = oauth2orize.createServer({ store: side.transactions })
  server.grant(side.grant)
  const { send } = await hostApp(context, (app) => {
    app.use((request, _response, next) => {
      Object.assign(request, { user: { sub: 'alice' } })
      next()
    })
    app.get('/authorize', handlers(server.authorization(side.validate, side.immediate)), (request, response) => {
      response.json({
        transaction_id: (request as unknown as { oauth2: { transactionID: string } }).oauth2.transactionID,
      })
    })
    app.post('/authorize/decision', handlers(server.decision(side.decision as never)))
    app.use(errorHandler(side.errors))
  })
  return send
}

/** A request, and the decision to allow it: what came of it, within two seconds. */
async function outcomeOf(send: (path: string, form?: Record<string, string>) => Promise<Response>): Promise<string> {
  const started = Date.now()
  const query = new URLSearchParams(rightRequest(pkcePair().challenge, { max_age: '100' }))
  let response = await send(`/authorize?${query}`)
  if (response.status === 200) {
    const { transaction_id } = (await response.json()) as { transaction_id: string }
    response = await send('/authorize/decision', { transaction_id, allow: 'allow' })
  }
  assert.ok(Date.now() - started < 2000, 'in time')
  const location = response.headers.get('location')
  assert.doesNotMatch(location ?? (await response.text()), /secret/)
  if (location === null) return response.status >= 500 ? 'page' : `page ${response.status}`
  const { searchParams } = redirected(response)
  return searchParams.get('error') ?? (searchParams.has('code') ? 'code' : 'nothing')
}

const unhandled: unknown[] = []
process.on('unhandledRejection', (reason) => unhandled.push(reason))

for (const { name, options, right, wrong, fails, sync = false } of HOOKS) {
  describe(name, () => {
    test('right, at once or by a promise, with more or fewer parameters than it gets', async (context) => {
      const ways: Function_[] = [() => right, (_a: never, _b: never, _c: never, _d: never) => right]
      if (!sync)
        ways.push(
          async () => right,
          () => new Promise((resolve) => setTimeout(resolve, 5, right)),
        )
      for (const way of ways) assert.equal(await outcomeOf(await appWith(context, options(way))), 'code')
    })

    test('fails in every way: the error of its kind, named in an event, and no code', async (context) => {
      const events: { reason: unknown; detail: unknown; cause?: unknown }[] = []
      context.after(onEvent('request.refused', (event) => events.push(event)))
      for (const [way, fail] of WAYS_TO_FAIL) {
        events.length = 0
        const outcome = await outcomeOf(await appWith(context, options(fail)))
        // A clock is read while the request is judged, or while the form is opened: then the person sees the error.
        const expected = sync ? /^(server_error|page)$/ : new RegExp(`^${fails}$`)
        assert.match(outcome, expected, way)
        assert.equal(events.length, 1, way)
        assert.ok(events[0]?.detail !== undefined || 'cause' in (events[0] ?? {}), `${way}: the event says why`)
      }
    })

    test('returns the wrong thing, at once or by a promise: no code, and an event that says why', async (context) => {
      const events: { status: number; reason: unknown; detail: unknown }[] = []
      context.after(onEvent('request.refused', (event) => events.push(event)))
      for (const thing of wrong) {
        for (const way of sync ? [() => thing] : [() => thing, async () => thing]) {
          events.length = 0
          const outcome = await outcomeOf(await appWith(context, options(way)))
          assert.match(outcome, /^(server_error|page.*)$/, `${typeof thing} ${String(thing)}`)
          assert.equal(events.length, 1)
          assert.ok(events[0]?.detail, `${String(thing)}: ${JSON.stringify(events)}`)
        }
      }
    })
  })
}

describe('the scope of a decision', () => {
  test('right within the request; anything else issues no code', async (context) => {
    const outcome = async (scope: unknown): Promise<string> => {
      const { side } = partsOf()
      const server = oauth2orize.createServer({ store: side.transactions })
      server.grant(side.grant)
      const { send } = await hostApp(context, (app) => {
        app.use((request, _response, next) => {
          Object.assign(request, { user: { sub: 'alice' } })
          next()
        })
        app.get('/authorize', handlers(server.authorization(side.validate, side.immediate)), (request, response) => {
          const { oauth2 } = request as unknown as { oauth2: { transactionID: string } }
          response.json({ transaction_id: oauth2.transactionID })
        })
        const decide = (_request: unknown, done: (error: null, decision: object) => void) =>
          done(null, { allow: true, scope })
        app.post('/authorize/decision', handlers(server.decision(decide as never)))
        app.use(errorHandler(side.errors))
      })
      return outcomeOf(send)
    }
    for (const scope of [undefined, 'read', ['read'], '', []]) assert.equal(await outcome(scope), 'code')
    for (const scope of [null, 7, {}, () => 'read', true, 'r"d']) assert.equal(await outcome(scope), 'server_error')
    for (const scope of ['write', ['read', 'write']]) assert.equal(await outcome(scope), 'invalid_scope')
  })
})

describe('showError', () => {
  const notEnding: readonly (readonly [string, Function_])[] = [
    ['returns without a response', () => undefined],
    ['resolves without a response', async () => undefined],
  ]
  const pushedRequests = () => createPushedRequests({ store: createMemoryStores().sessionStore })
  for (const pushed of [() => undefined, pushedRequests])
    test(`one that fails or sends nothing shows the built-in page, ${pushed === pushedRequests ? 'also' : 'not'} with pushed requests`, async (context) => {
      const events: unknown[] = []
      context.after(
        onEvent('request.refused', ({ status, detail, cause }) => status >= 500 && events.push(detail ?? cause)),
      )
      for (const [way, fail] of [...WAYS_TO_FAIL, ...notEnding]) {
        events.length = 0
        const { side } = partsOf({ timeoutMilliseconds: 100, showError: fail as never, pushed: pushed() })
        const server = oauth2orize.createServer({ store: side.transactions })
        server.grant(side.grant)
        const { send } = await hostApp(context, (app) => {
          app.get('/authorize', handlers(server.authorization(side.validate, side.immediate)))
          app.use(errorHandler(side.errors))
        })
        const response = await send(
          `/authorize?${new URLSearchParams(rightRequest(pkcePair().challenge, { client_id: 'x' }))}`,
        )
        assert.equal(response.status, 400, way)
        assert.match(await response.text(), /The application is not registered here/, way)
        assert.equal(events.length, 1, way)
      }
    })

  test('one that ends the response later, or that the browser does not wait for, is left alone', async (context) => {
    let isLate = false
    const { side } = partsOf({
      timeoutMilliseconds: 100,
      showError: (_shown, _request, response) => {
        setTimeout(() => {
          isLate = response.headersSent
          response.end('page of the application')
        }, 30)
      },
    })
    const server = oauth2orize.createServer({ store: side.transactions })
    server.grant(side.grant)
    const { send } = await hostApp(context, (app) => {
      app.get('/authorize', handlers(server.authorization(side.validate, side.immediate)))
      app.use(errorHandler(side.errors))
    })
    assert.equal(await (await send('/authorize?client_id=x')).text(), 'page of the application')
    await new Promise((resolve) => setTimeout(resolve, 120))
    assert.equal(isLate, false)
  })
})

test('nothing of all this left a rejection unhandled', async () => {
  await new Promise((resolve) => setTimeout(resolve, 150))
  assert.deepEqual(unhandled, [])
})
