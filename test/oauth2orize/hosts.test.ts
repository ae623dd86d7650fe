// What hosts set up in ways of their own: settings of oauth2orize, other grants, other stores, no error handler.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import express from 'express'
import oauth2orize from 'oauth2orize'
import { Passport } from 'passport'
import type { Client } from '../../lib/client.ts'
import { OAuthError } from '../../lib/errors.ts'
import { onEvent } from '../../lib/events.ts'
import type { Oauth2orizeRequest } from '../../lib/oauth2orize/authorization_parameters.ts'
import { respondWithAuthorizationError } from '../../lib/oauth2orize/authorization_response.ts'
import { guardIssue } from '../../lib/oauth2orize/foreign_exchange.ts'
import { authorizationApp, CLIENTS, ISSUER, pkcePair, redirected, rightRequest } from '../support/authorization_app.ts'
import { errorHandler, handlers, hostApp, partsOf } from '../support/host_app.ts'

const query = (more: Record<string, string> = {}) => `?${new URLSearchParams(rightRequest(pkcePair().challenge, more))}`

/** Logs everybody in as alice, under the property of the request. */
const loggedIn =
  (property = 'user'): express.RequestHandler =>
  (request, _response, next) => {
    ;(request as unknown as Record<string, unknown>)[property] = { sub: 'alice' }
    next()
  }

const dialog = handlers((request: { oauth2: { transactionID: string } }, response: express.Response) => {
  response.json({ transaction_id: request.oauth2.transactionID })
})

const transactionOf = async (response: Response): Promise<string> => {
  assert.equal(response.status, 200)
  return ((await response.json()) as { transaction_id: string }).transaction_id
}

const errorOf = (response: Response): string | null => {
  assert.ok([302, 303].includes(response.status), `status ${response.status}`)
  const url = redirected(response)
  assert.equal(url.origin, 'https://client.example')
  assert.equal(url.searchParams.get('state'), 'st')
  return url.searchParams.get('error')
}

test('A12: beside oauth2orize’s implicit grant response_type=token needs no PKCE, and code still does', async (context) => {
  const { side } = partsOf({ responseTypes: ['code', 'token'] })
  const server = oauth2orize.createServer({ store: side.transactions })
  server.grant(side.grant)
  server.grant(oauth2orize.grant.token((_client, _user, _ares, issued) => issued(null, 'implicit-token')))
  const { send } = await hostApp(context, (app) => {
    app.use(loggedIn())
    app.get('/authorize', handlers(server.authorization(side.validate, side.immediate)), dialog)
    app.post('/authorize/decision', handlers(server.decision()))
    app.use(errorHandler(side.errors))
  })
  const without = (type: string, more = {}) => {
    const parameters = rightRequest('', { response_type: type, ...more })
    return `?${new URLSearchParams({ ...parameters, code_challenge_method: '' })}`
  }
  const transaction_id = await transactionOf(await send(`/authorize${without('token')}`))
  const answer = new URL((await send('/authorize/decision', { transaction_id })).headers.get('location') ?? '')
  assert.match(answer.hash, /access_token=implicit-token/)
  const denied = await transactionOf(await send(`/authorize${without('token')}`))
  const refused = await send('/authorize/decision', { transaction_id: denied, cancel: 'x' })
  assert.match(refused.headers.get('location') ?? '', /#error=access_denied/)
  const scope = await send(`/authorize${without('token', { scope: 'admin' })}`)
  assert.match(scope.headers.get('location') ?? '', /^https:\/\/client\.example\/cb#error=invalid_scope&/)
  assert.equal(errorOf(await send(`/authorize${without('code')}`)), 'invalid_request')
})

/** oauth2orize's own store of transactions, in a session that all requests share. */
async function sessionApp(context: Parameters<typeof hostApp>[0], deserialized: unknown) {
  const { side, consents, issued } = partsOf()
  const session = {}
  const server = oauth2orize.createServer()
  server.serializeClient((client: unknown, done) => done(null, (client as Client).client_id))
  server.deserializeClient((_id, done) => done(null, deserialized))
  server.grant(side.grant)
  const { send } = await hostApp(context, (app) => {
    app.use(loggedIn(), (request, _response, next) => {
      Object.assign(request, { session })
      next()
    })
    app.get('/authorize', handlers(server.authorization(side.validate, side.immediate)), dialog)
    app.post('/authorize/decision', handlers(server.decision()))
    app.use(errorHandler(side.errors))
  })
  return { send, consents, issued }
}

test('O55: a deserializeClient that returns another record is misconfigured, before anything is issued or remembered', async (context) => {
  const details: (string | undefined)[] = []
  context.after(onEvent('request.refused', ({ detail }) => details.push(detail)))
  const rows: unknown[] = [
    { clientId: 'web', id: 7, scope: 'read' },
    { client_id: '', scope: 'read' },
    { client_id: 7, scope: 'read' },
    { client_id: 'native', scope: 'read' },
    { client_id: 'web', scope: ['read'] },
    'web',
    7,
  ]
  for (const row of rows) {
    const app = await sessionApp(context, row)
    const transaction_id = await transactionOf(await app.send(`/authorize${query()}`))
    assert.equal(errorOf(await app.send('/authorize/decision', { transaction_id })), 'server_error')
    assert.match(details.at(-1) ?? '', /deserializeClient.*client_id/, JSON.stringify(row))
    assert.deepEqual(app.issued, [])
    assert.deepEqual(await app.consents.list('alice'), [])
  }
})

test('O55: with the right deserializeClient oauth2orize’s own store works, for codes and for denials', async (context) => {
  const app = await sessionApp(context, CLIENTS[0])
  const allowed = await transactionOf(await app.send(`/authorize${query()}`))
  assert.ok(redirected(await app.send('/authorize/decision', { transaction_id: allowed })).searchParams.get('code'))
  const denied = await transactionOf(await app.send(`/authorize${query({ scope: 'write' })}`))
  const response = await app.send('/authorize/decision', { transaction_id: denied, cancel: 'x' })
  assert.equal(errorOf(response), 'access_denied')
})

test('O25: the user is found under userProperty, at the request, at the decision and in memory', async (context) => {
  const { side } = partsOf({ userProperty: 'account' })
  const server = oauth2orize.createServer({ store: side.transactions })
  server.grant(side.grant)
  const options = { userProperty: 'account' } as never // @types/oauth2orize does not know it
  const { send } = await hostApp(context, (app) => {
    app.use(loggedIn('account'))
    app.get('/authorize', handlers(server.authorization(options, side.validate, side.immediate)), dialog)
    app.post('/authorize/decision', handlers(server.decision(options, side.decision as never)))
    app.use(errorHandler(side.errors))
  })
  const transaction_id = await transactionOf(await send(`/authorize${query()}`))
  assert.ok(redirected(await send('/authorize/decision', { transaction_id, allow: 'allow' })).searchParams.get('code'))
  assert.ok(redirected(await send(`/authorize${query()}`)).searchParams.get('code'))
})

test('G3: the user is found in the property of passport.initialize', async (context) => {
  const { side } = partsOf()
  const server = oauth2orize.createServer({ store: side.transactions })
  server.grant(side.grant)
  const options = { userProperty: 'account' } as never
  const { send } = await hostApp(context, (app) => {
    app.use(new Passport().initialize({ userProperty: 'account' } as never), loggedIn('account'))
    app.get('/authorize', handlers(server.authorization(options, side.validate, side.immediate)), dialog)
    app.post('/authorize/decision', handlers(server.decision(options, side.decision as never)))
    app.use(errorHandler(side.errors))
  })
  const transaction_id = await transactionOf(await send(`/authorize${query()}`))
  assert.ok(redirected(await send('/authorize/decision', { transaction_id, allow: 'allow' })).searchParams.get('code'))
})

test('A26: members that an earlier parser has read survive, and those of the request are put over them', async (context) => {
  const { side } = partsOf()
  const server = oauth2orize.createServer({ store: side.transactions })
  server.grant('*', ((_request: unknown) => ({ state: 'earlier', redirectURI: 'earlier', own: 'x' })) as never)
  server.grant(side.grant)
  let seen: Oauth2orizeRequest | undefined
  const { send } = await hostApp(context, (app) => {
    app.use(loggedIn())
    app.get('/authorize', handlers(server.authorization(side.validate, side.immediate)), (request, response) => {
      seen = (request as unknown as { oauth2: { req: Oauth2orizeRequest } }).oauth2.req
      response.end()
    })
    app.use(errorHandler(side.errors))
  })
  await send(`/authorize${query({ redirect_uri: '', state: '' })}`)
  assert.equal(seen?.redirectURI, 'earlier')
  assert.equal(seen?.state, 'earlier')
  assert.equal((seen as { own?: string }).own, 'x')
  await send(`/authorize${query()}`)
  assert.equal(seen?.redirectURI, 'https://client.example/cb')
  assert.equal(seen?.state, 'st')
})

test('A26: type is missing where the request has none, and a parser registered after the grant may set it', async (context) => {
  const typeOf = async (isBefore: boolean): Promise<unknown> => {
    const { side } = partsOf()
    const server = oauth2orize.createServer({ store: side.transactions })
    const own = ((_request: unknown) => ({ type: 'own' })) as never
    if (isBefore) server.grant('*', own)
    server.grant(side.grant)
    if (!isBefore) server.grant('*', own)
    let seen: Oauth2orizeRequest | undefined
    const validate = (request: Oauth2orizeRequest, done: (error: unknown) => void) => {
      seen = request
      done(new OAuthError('access_denied'))
    }
    const { send } = await hostApp(context, (app) => {
      app.get('/authorize', handlers(server.authorization(validate as never)))
      app.use(errorHandler(side.errors))
    })
    await send(`/authorize${query({ response_type: '' })}`)
    return seen?.type
  }
  assert.deepEqual([await typeOf(true), await typeOf(false)], ['missing', 'own'])
})

test('O56: without any error handler a denial, and what fails at the decision, is redirected by the grant itself', async (context) => {
  const failing = { allows: async () => false, remember: () => Promise.reject(new Error('down')) }
  for (const [options, decision, expected] of [
    [{}, { cancel: 'Deny' }, 'access_denied'],
    [{ consents: failing }, {}, 'temporarily_unavailable'],
    [{ extra: () => 7 as never }, {}, 'server_error'],
  ] as const) {
    const { side } = partsOf(options)
    const server = oauth2orize.createServer({ store: side.transactions })
    server.grant(side.grant)
    const { send } = await hostApp(context, (app) => {
      app.use(loggedIn())
      app.get('/authorize', handlers(server.authorization(side.validate, side.immediate)), dialog)
      app.post('/authorize/decision', handlers(server.decision()))
    })
    const transaction_id = await transactionOf(await send(`/authorize${query()}`))
    const response = await send('/authorize/decision', { transaction_id, ...decision })
    assert.equal(response.status, 303)
    assert.equal(errorOf(response), expected)
    assert.equal(redirected(response).searchParams.get('iss'), ISSUER)
  }
})

test('O52: an immediate function that throws at once ends in server_error at the client', async (context) => {
  const { side } = partsOf()
  const server = oauth2orize.createServer({ store: side.transactions })
  server.grant(side.grant)
  const { send } = await hostApp(context, (app) => {
    app.use(loggedIn())
    const immediate = (_client: unknown, _user: unknown, _done: unknown) => {
      throw new Error('secret text')
    }
    app.get('/authorize', handlers(server.authorization(side.validate, immediate as never)), dialog)
    app.use(errorHandler(side.errors))
  })
  const response = await send(`/authorize${query()}`)
  assert.equal(errorOf(response), 'server_error')
  assert.doesNotMatch(response.headers.get('location') ?? '', /secret/)
})

test('O52: an immediate function behind safeIssue may throw, reject, never call back or call twice', async (context) => {
  type Done = (error: unknown, allow?: boolean) => void
  const functions: [string, (client: unknown, user: unknown, done: Done) => unknown, string | null][] = [
    [
      'throws',
      (_client, _user, _done) => {
        throw new Error('secret text')
      },
      'server_error',
    ],
    [
      'rejects',
      async (_client, _user, _done) => {
        throw new Error('secret text')
      },
      'server_error',
    ],
    ['rejects with nothing', (_client, _user, _done) => Promise.reject(), 'server_error'],
    ['never calls back', (_client, _user, _done) => undefined, 'server_error'],
    ['never settles', (_client, _user, _done) => new Promise(() => {}), 'server_error'],
    ['calls back an error', (_client, _user, done) => done(new Error('secret text')), 'server_error'],
    [
      'calls twice',
      (_client, _user, done) => {
        done(null, true)
        done(new Error('x'))
      },
      null,
    ],
    [
      'calls, then rejects',
      async (_client, _user, done) => {
        done(null, true)
        throw new Error('x')
      },
      null,
    ],
    ['calls later', (_client, _user, done) => void setTimeout(() => done(null, true), 5), null],
  ]
  for (const [name, immediate, expected] of functions) {
    const { side } = partsOf()
    const server = oauth2orize.createServer({ store: side.transactions })
    server.grant(side.grant)
    const { send } = await hostApp(context, (app) => {
      app.use(loggedIn())
      app.get('/authorize', handlers(server.authorization(side.validate, guardIssue(immediate, 100) as never)), dialog)
      app.use(errorHandler(side.errors))
    })
    const response = await send(`/authorize${query()}`)
    assert.equal(errorOf(response), expected, name)
    assert.equal(redirected(response).searchParams.has('code'), expected === null, name)
    assert.doesNotMatch(response.headers.get('location') ?? '', /secret/, name)
  }
})

test('O52: a complete function that throws, calls back an error or never calls back ends in an error at the client', async (context) => {
  type Complete = (request: unknown, transaction: unknown, done: (error?: unknown) => void) => unknown
  const functions: [Complete, string | null][] = [
    [
      () => {
        throw new Error('x')
      },
      'server_error',
    ],
    [(_request, _transaction, done) => done(new Error('x')), 'server_error'],
    [
      (_request, _transaction, done) => done(new oauth2orize.AuthorizationError('No.', 'access_denied')),
      'access_denied',
    ],
    [() => undefined, 'server_error'],
    [
      (_request, _transaction, done) => {
        done()
        done(new Error('x'))
      },
      null,
    ],
  ]
  for (const [complete, expected] of functions) {
    const { side } = partsOf({ timeoutMilliseconds: 100 })
    const server = oauth2orize.createServer({ store: side.transactions })
    server.grant(side.grant)
    const { send } = await hostApp(context, (app) => {
      app.use(loggedIn())
      app.get('/authorize', handlers(server.authorization(side.validate, side.immediate)), dialog)
      app.post('/authorize/decision', handlers(server.decision(side.decision as never, complete as never)))
    })
    const transaction_id = await transactionOf(await send(`/authorize${query()}`))
    assert.equal(errorOf(await send('/authorize/decision', { transaction_id, allow: 'allow' })), expected)
  }
})

test('A27: the decision parser allows for the value of the allow button only', async (context) => {
  const { side } = partsOf()
  const server = oauth2orize.createServer({ store: side.transactions })
  server.grant(side.grant)
  const { send } = await hostApp(context, (app) => {
    app.use(loggedIn())
    const again = (_client: unknown, _user: unknown, done: (error: null, allow: boolean) => void) => done(null, false)
    app.get('/authorize', handlers(server.authorization(side.validate, again as never)), dialog)
    app.post('/authorize/decision', handlers(server.decision(side.decision)))
    app.use(errorHandler(side.errors))
  })
  const decide = async (form: Record<string, string>) => {
    const transaction_id = await transactionOf(await send(`/authorize${query()}`))
    return redirected(await send('/authorize/decision', { transaction_id, ...form })).searchParams
  }
  assert.ok((await decide({ allow: 'allow' })).has('code'))
  const denials = [
    {},
    { allow: 'no' },
    { allow: '' },
    { allow: 'Allow' },
    { allow: 'allow', cancel: '' },
    { cancel: 'x' },
  ]
  for (const form of denials)
    assert.equal((await decide(form as never)).get('error'), 'access_denied', JSON.stringify(form))
})

test('A28: the retry link of the error page leads to the path that the request was sent to', async (context) => {
  const linkOf = async (mount: string, options: object = {}) => {
    let now = 1_800_000_000
    const { side } = partsOf({ clock: () => now, transactionLifetimeSeconds: 60, ...options })
    const server = oauth2orize.createServer({ store: side.transactions })
    server.grant(side.grant)
    const { send } = await hostApp(context, (app) => {
      const routes = express.Router()
      routes.use(loggedIn())
      routes.get('/dialog', handlers(server.authorization(side.validate, side.immediate)), dialog)
      routes.post('/answer', handlers(server.decision()))
      routes.use(errorHandler(side.errors))
      app.use(mount, routes)
    })
    const transaction_id = await transactionOf(await send(`${mount}/dialog${query()}`))
    now += 61
    const response = await send(`${mount}/answer`, { transaction_id })
    assert.equal(response.status, 400)
    const [, href = ''] = /href="([^"]*)"/.exec(await response.text()) ?? []
    const again = href.replaceAll('&amp;', '&')
    if (!('authorizationPath' in options)) await transactionOf(await send(again))
    return again.split('?', 1)[0]
  }
  assert.equal(await linkOf('/oauth2'), '/oauth2/dialog')
  assert.equal(await linkOf('/a/b'), '/a/b/dialog')
  assert.equal(await linkOf('/oauth2', { authorizationPath: '/public/dialog' }), '/public/dialog')
})

test('A28: a path that would lead to another host is not linked', async (context) => {
  const { side } = partsOf()
  const server = oauth2orize.createServer({ store: side.transactions })
  server.grant(side.grant)
  const { send } = await hostApp(context, (app) => {
    app.use(handlers(server.authorization(side.validate, side.immediate)))
    app.use(errorHandler(side.errors))
  })
  for (const path of ['//evil.example/authorize', '/\\evil.example/authorize']) {
    const text = await (await send(path + query())).text()
    assert.match(text, /href="\?response_type/)
    assert.doesNotMatch(text, /href="\/[/\\]/)
  }
})

test('T89: a client that the token endpoint would refuse is refused at the authorization endpoint', async (context) => {
  const long = `x${'y'.repeat(1024)}`
  for (const [clientId, findClient] of [
    [long, () => ({ ...CLIENTS[0], client_id: long }) as Client],
    ['WEB', () => CLIENTS[0]],
    ['web', () => ({ ...CLIENTS[0], client_id: undefined }) as never],
    ['web', () => 'web' as never],
  ] as const) {
    const app = await authorizationApp({ options: { findClient } })
    context.after(() => app.close())
    const response = await app.authorizeWith(rightRequest(pkcePair().challenge, { client_id: clientId }))
    assert.equal(response.status, 400)
    assert.equal(response.headers.get('location'), null)
  }
})

test('A25: extra and askAgain see every parameter, by GET and by POST, also after the dialog', async (context) => {
  const seen: unknown[] = []
  const note = (request: Oauth2orizeRequest) => {
    const { acr_values, own } = request.parameters?.values ?? {}
    seen.push([acr_values, own])
  }
  const app = await authorizationApp({
    options: {
      askAgain(_client, request) {
        note(request)
        return true
      },
      extra({ request }) {
        note(request)
        return {}
      },
    },
  })
  context.after(() => app.close())
  const request = rightRequest(pkcePair().challenge, { acr_values: 'mfa', own: 'ü &' })
  await app.decide(request)
  const asked = await app.post('/authorize', request)
  const { transaction_id } = (await asked.json()) as { transaction_id: string }
  await app.post('/authorize/decision', { transaction_id })
  assert.deepEqual(seen, Array(4).fill(['mfa', 'ü &']))
})

test('A12: pkce by client: at the request and at the decision', async (context) => {
  const pkce = async (client: Client) => (client.client_id === 'native' ? 'all' : 'optional')
  const app = await authorizationApp({ options: { pkce } })
  context.after(() => app.close())
  const without = (more = {}) => ({ ...rightRequest('', more), code_challenge_method: '' })
  const code = redirected(await app.decide(without())).searchParams.get('code') ?? ''
  await app.redeem('web', { code, redirect_uri: 'https://client.example/cb' })
  const native = await app.decide(without({ client_id: 'native', redirect_uri: 'http://127.0.0.1:1/cb' }))
  assert.equal(redirected(native).searchParams.get('error'), 'invalid_request')
})

test('A9: a narrowed scope is what the user sees, what is remembered and what the token has', async (context) => {
  const app = await authorizationApp({ options: { excessScope: 'narrow' } })
  context.after(() => app.close())
  const { verifier, challenge } = pkcePair()
  const asked = await app.authorizeWith(rightRequest(challenge, { scope: 'openid read offline_access' }))
  const { transaction_id, scope } = (await asked.json()) as { transaction_id: string; scope: string[] }
  assert.deepEqual(scope, ['read'])
  const code = redirected(await app.post('/authorize/decision', { transaction_id })).searchParams.get('code') ?? ''
  const tokens = await app.redeem('web', { code, redirect_uri: 'https://client.example/cb', code_verifier: verifier })
  assert.equal(tokens.scope, 'read')
  const [consent] = await app.consents.list('alice')
  assert.equal(consent?.scope, 'read')
})

test('T101: a record without scope gets defaultScope, through to the code', async (context) => {
  const [web] = CLIENTS
  const clients = [{ ...(web as Client), scope: undefined }]
  const app = await authorizationApp({ clients, options: { defaultScope: 'basic' } })
  context.after(() => app.close())
  const response = await app.decide(rightRequest(pkcePair().challenge, { scope: '' }))
  assert.ok(redirected(response).searchParams.get('code'))
  assert.equal((await app.consents.list('alice'))[0]?.scope, 'basic')
})

test('A29: the built-in error page sets no form-action, and allows nothing else', async (context) => {
  const { send } = await hostApp(context, (app) => {
    app.get('/authorize', () => {
      throw new Error('x')
    })
    app.use(errorHandler(respondWithAuthorizationError({ issuer: ISSUER })))
  })
  const policy = (await send('/authorize')).headers.get('content-security-policy') ?? ''
  assert.match(policy, /default-src 'none'/)
  assert.match(policy, /frame-ancestors 'none'/)
  assert.doesNotMatch(policy, /form-action/)
})

test('A6: every code that may be redirected is, also one that an application made up; codes of the token endpoint are not', async (context) => {
  const codesOf = async (error: unknown): Promise<string | null> => {
    const extra = () => {
      throw error
    }
    const app = await authorizationApp({ options: { extra } })
    context.after(() => app.close())
    const response = await app.decide(rightRequest(pkcePair().challenge))
    return response.status === 303 ? redirected(response).searchParams.get('error') : `page ${response.status}`
  }
  const redirectable = [
    ...['invalid_request', 'unauthorized_client', 'access_denied', 'unsupported_response_type', 'invalid_scope'],
    ...['server_error', 'temporarily_unavailable', 'login_required', 'consent_required', 'interaction_required'],
    ...['account_selection_required', 'invalid_target', 'request_not_supported', 'request_uri_not_supported'],
    ...['registration_not_supported', 'mfa_required'],
  ]
  for (const code of redirectable) {
    const error = new OAuthError(code)
    assert.equal(await codesOf(error), code)
    assert.ok(error.message.length > 0, code)
  }
  for (const code of ['invalid_client', 'invalid_grant', 'unsupported_grant_type', 'slow_down'])
    assert.match((await codesOf(new OAuthError(code))) ?? '', /^page /, code)
})
