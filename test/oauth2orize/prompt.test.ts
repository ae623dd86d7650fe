import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import express from 'express'
import oauth2orize from 'oauth2orize'
import { afterLogin, checkPrompt } from '../../lib/code/prompt.ts'
import type { AuthorizationOptions } from '../../lib/oauth2orize/authorization.ts'
import { getRetryQuery } from '../../lib/oauth2orize/retry.ts'
import { authorizationApp, ISSUER, pkcePair, redirected, rightRequest } from '../support/authorization_app.ts'

const NOBODY = '' // no header: nobody is logged in

async function appOf(context: TestContext, options: Partial<AuthorizationOptions> = {}, more: object = {}) {
  const app = await authorizationApp({ options, ...more })
  context.after(() => app.close())
  const ask = (parameters: Record<string, string>, user?: string) =>
    user === NOBODY
      ? fetch(`${app.base}/authorize?${new URLSearchParams(rightRequest(pkcePair().challenge, parameters))}`, {
          redirect: 'manual',
        })
      : app.authorizeWith(rightRequest(pkcePair().challenge, parameters), user)
  return { ...app, ask }
}

/** What came of a request: `code` or `error=…` at the client, `page 401` for the person, `dialog`. */
function outcomeOf(response: Response): string {
  if (response.status === 200) return 'dialog'
  if (response.status !== 302 && response.status !== 303) return `page ${response.status}`
  const { searchParams, origin } = redirected(response)
  assert.equal(origin, 'https://client.example')
  assert.equal(searchParams.get('iss'), ISSUER)
  assert.equal(searchParams.get('state'), 'st')
  return searchParams.has('code') ? 'code' : `error=${searchParams.get('error')}`
}

test('A30: prompt=none is answered by redirect: login_required, consent_required, or a code', async (context) => {
  const app = await appOf(context)
  assert.equal(outcomeOf(await app.ask({ prompt: 'none' }, NOBODY)), 'error=login_required')
  assert.equal(outcomeOf(await app.ask({ prompt: 'none' })), 'error=consent_required')
  await app.decide(rightRequest(pkcePair().challenge))
  assert.equal(outcomeOf(await app.ask({ prompt: 'none' })), 'code')
  assert.equal(outcomeOf(await app.ask({ prompt: 'none', scope: 'read write' })), 'error=consent_required')
  assert.equal(outcomeOf(await app.ask({ prompt: 'none' }, NOBODY)), 'error=login_required')
})

test('A30: prompt=none by POST, and where askAgain would ask', async (context) => {
  const app = await appOf(context, { askAgain: () => true })
  await app.decide(rightRequest(pkcePair().challenge))
  const request = rightRequest(pkcePair().challenge, { prompt: 'none' })
  assert.equal(outcomeOf(await app.post('/authorize', request)), 'error=consent_required')
})

test('A2: without prompt=none nobody is redirected for a missing login: the person sees it', async (context) => {
  const app = await appOf(context)
  for (const prompt of ['', 'login', 'consent', 'select_account', 'login consent'])
    assert.equal(outcomeOf(await app.ask({ prompt }, NOBODY)), 'page 401', prompt)
})

test('A30: prompt=none never ends on a page, also with an immediate function of the application', async (context) => {
  const { side } = await appOf(context)
  const server = oauth2orize.createServer({ store: side.transactions })
  server.grant(side.grant)
  const app = express()
  app.use((request, _response, next) => {
    if (request.headers['x-user']) (request as { user?: unknown }).user = { sub: 'alice' }
    next()
  })
  app.get(
    '/authorize',
    server.authorization(side.validate, (_client, _user, _scope, _type, _request, done) =>
      done(null, false, {}, {}),
    ) as express.RequestHandler,
    (_request, response) => void response.send('a page'),
  )
  app.use(side.errors as unknown as express.ErrorRequestHandler)
  const listening = app.listen(0, '127.0.0.1')
  context.after(() => listening.close())
  await new Promise((resolve) => listening.once('listening', resolve))
  const { port } = listening.address() as { port: number }
  const ask = (headers: Record<string, string>, prompt: string) =>
    fetch(`http://127.0.0.1:${port}/authorize?${new URLSearchParams(rightRequest(pkcePair().challenge, { prompt }))}`, {
      redirect: 'manual',
      headers,
    })
  assert.equal(outcomeOf(await ask({ 'x-user': 'alice' }, 'none')), 'error=interaction_required')
  assert.equal(outcomeOf(await ask({}, 'none')), 'error=login_required')
  assert.equal(outcomeOf(await ask({ 'x-user': 'alice' }, '')), 'dialog')
})

test('A33: unknown prompt values, none with others and a malformed max_age are invalid_request', async (context) => {
  const app = await appOf(context)
  const wrong = [
    { prompt: 'none login' },
    { prompt: 'consent none' },
    { prompt: 'create' },
    { prompt: 'None' },
    { prompt: 'login,consent' },
    { max_age: '-1' },
    { max_age: '1.5' },
    { max_age: '9'.repeat(10) },
    { max_age: 'x' },
  ]
  for (const parameters of wrong) {
    for (const user of ['alice', NOBODY])
      assert.equal(outcomeOf(await app.ask(parameters, user)), 'error=invalid_request', JSON.stringify(parameters))
  }
  for (const prompt of ['consent', ' consent  consent ', '   '])
    assert.equal(outcomeOf(await app.ask({ prompt })), 'dialog', prompt)
})

test('A31: prompt=login and select_account ask for a new login once, and prompt=consent stays in force', async (context) => {
  const app = await appOf(context, {
    showError: ({ retry, status }, _request, response) => response.end(JSON.stringify({ retry, status })),
  })
  await app.decide(rightRequest(pkcePair().challenge))
  for (const [prompt, rest, then] of [
    ['login', null, 'code'],
    ['select_account', null, 'code'],
    ['login consent', 'consent', 'dialog'],
    ['select_account login', null, 'code'],
  ] as const) {
    const first = await app.ask({ prompt, login_hint: 'a b&c', custom: 'ü' })
    assert.equal(first.status, 401, prompt)
    const { retry } = (await first.json()) as { retry: string }
    const query = new URLSearchParams(retry)
    assert.equal(query.get('prompt'), rest)
    assert.equal(query.get('login_hint'), 'a b&c')
    assert.equal(outcomeOf(await app.authorizeWith(retry.slice(1))), then, prompt)
  }
})

test('A31: the query to continue with after a login is there for a request by POST as well', async (context) => {
  const app = await appOf(context, {
    showError: ({ retry }, _request, response) => response.end(retry),
  })
  const body = new URLSearchParams(rightRequest(pkcePair().challenge, { prompt: 'login' }))
  const response = await fetch(`${app.base}/authorize`, { method: 'POST', body, redirect: 'manual' })
  assert.equal(response.status, 401)
  const query = (await response.text()).slice(1)
  assert.equal(outcomeOf(await app.authorizeWith(query)), 'dialog')
})

test('A32: max_age asks for a new login if authenticatedAt is older; 0 always does, once', async (context) => {
  const now = 1_800_000_000
  const authenticatedAt = (user: unknown) => (user as { loggedInAt: number }).loggedInAt
  const app = await appOf(context, { authenticatedAt }, { now: () => now })
  await app.decide(rightRequest(pkcePair().challenge))
  app.logInAt(now - 100)
  assert.equal(outcomeOf(await app.ask({ max_age: '100' })), 'code')
  assert.equal(outcomeOf(await app.ask({ max_age: '99' })), 'page 401')
  assert.equal(outcomeOf(await app.ask({ max_age: '99', prompt: 'none' })), 'error=login_required')
  assert.equal(outcomeOf(await app.ask({ max_age: '0' })), 'page 401')
  app.logInAt(now)
  assert.equal(outcomeOf(await app.ask({ max_age: '99' })), 'code')
  assert.deepEqual({ ...afterLogin({ max_age: '0', prompt: 'consent', a: 'b' }) }, { prompt: 'consent', a: 'b' })
  assert.deepEqual({ ...afterLogin({ max_age: '9', prompt: 'login' }) }, { max_age: '9' })
})

test('A32: without authenticatedAt max_age is ignored, except 0', async (context) => {
  const app = await appOf(context)
  await app.decide(rightRequest(pkcePair().challenge))
  assert.equal(outcomeOf(await app.ask({ max_age: '1' })), 'code')
  assert.equal(outcomeOf(await app.ask({ max_age: '0' })), 'page 401')
})

test('A33: a prompt of 32 KiB is judged in linear time', () => {
  const prompt = 'login '.repeat(5000)
  checkPrompt({ prompt }, 'web')
  assert.throws(() => checkPrompt({ prompt: `${prompt}x` }, 'web'), { reason: 'parameter_malformed' })
})

test('A28: no retry query is known for errors that have none', () => {
  assert.equal(getRetryQuery(new Error('x') as never), undefined)
})
