import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { describe, test } from 'node:test'
import express from 'express'
import oauth2orize from 'oauth2orize'
import type { Client } from '../../lib/client.ts'
import { respondWithAuthorizationError } from '../../lib/oauth2orize/authorization_response.ts'
import { validateAuthorization } from '../../lib/oauth2orize/authorize.ts'
import { createRequestParser } from '../../lib/oauth2orize/pkce_extension.ts'
import { authorizationApp, CLIENTS, ISSUER, pkcePair, redirected, rightRequest } from '../support/authorization_app.ts'

const CALLBACK = 'https://client.example/cb'

async function appOf(context: TestContext, ...options: Parameters<typeof authorizationApp>) {
  const app = await authorizationApp(...options)
  context.after(() => app.close())
  return app
}

/** Asserts that the client was told of an error by redirect, with state and iss, and gives the answer's parameters. */
function toldClient(response: Response, error: string, { state = 'st' as string | null, to = CALLBACK } = {}) {
  assert.ok(response.status === 302 || response.status === 303, `status ${response.status}`)
  const url = redirected(response)
  assert.equal(url.origin + url.pathname, to)
  assert.equal(url.searchParams.get('error'), error)
  assert.equal(url.searchParams.get('state'), state)
  assert.equal(url.searchParams.get('iss'), ISSUER)
  assert.equal(url.searchParams.has('code'), false)
  assert.equal(response.headers.get('cache-control'), 'no-store')
  return url.searchParams
}

/** Asserts that the person was shown the error, and nobody redirected. */
async function shownToPerson(response: Response, status = 400) {
  assert.equal(response.status, status)
  assert.equal(response.headers.get('location'), null)
  assert.equal(response.headers.get('cache-control'), 'no-store')
  assert.match(response.headers.get('content-type') ?? '', /text\/html/)
  return response.text()
}

for (const framework of [5, 4] as const) {
  describe(`in front of Express ${framework} and oauth2orize`, () => {
    test('A3 A21 A23 a request the user allows ends at the client with code, state and iss, and the code buys tokens', async (context) => {
      const app = await appOf(context, { framework })
      const { verifier, challenge } = pkcePair()
      const response = await app.decide(rightRequest(challenge, { state: 'a b+c&ü=%' }))
      assert.equal(response.status, 303)
      const to = redirected(response)
      assert.deepEqual([...to.searchParams.keys()], ['code', 'state', 'iss'])
      assert.equal(to.searchParams.get('state'), 'a b+c&ü=%')
      assert.equal(to.searchParams.get('iss'), ISSUER)
      const tokens = await app.redeem('web', {
        code: to.searchParams.get('code') ?? '',
        redirect_uri: CALLBACK,
        code_verifier: verifier,
      })
      assert.equal(tokens.scope, 'read')
    })

    test('O50 the same by POST, all parameters in the body or some in the query', async (context) => {
      const app = await appOf(context, { framework })
      const { challenge } = pkcePair()
      for (const [path, leaveOut] of [
        ['/authorize', []],
        ['/authorize?response_type=code', ['response_type']],
        ['/authorize?client_id=web&state=st', ['client_id', 'state']],
      ] as const) {
        const body = rightRequest(challenge)
        for (const name of leaveOut) delete body[name]
        const asked = await app.post(path, body)
        assert.equal(asked.status, 200, path)
        const { transaction_id } = (await asked.json()) as { transaction_id: string }
        const url = redirected(await app.post('/authorize/decision', { transaction_id, cancel: 'x' }))
        assert.equal(url.searchParams.get('state'), 'st')
      }
      const twice = await app.post('/authorize?state=st', rightRequest(challenge))
      toldClient(twice, 'invalid_request', { state: null })
    })

    test('A16 a request the user denies is access_denied at the client', async (context) => {
      const app = await appOf(context, { framework })
      toldClient(await app.decide(rightRequest(pkcePair().challenge), { cancel: 'Deny' }), 'access_denied')
    })

    test('A4 O41 the person is shown what cannot be redirected safely: unknown clients, foreign redirect URIs', async (context) => {
      const app = await appOf(context, { framework })
      const { challenge } = pkcePair()
      for (const wrong of [
        { client_id: 'nobody' },
        { client_id: '' },
        { client_id: '__proto__' },
        { client_id: 'web\u0000' },
        { client_id: 'x'.repeat(10_000) },
        { redirect_uri: 'https://evil.example/' },
        { redirect_uri: 'https://client.example/cb/../x' },
        { redirect_uri: 'https://client.example.evil.example/cb' },
        { redirect_uri: 'javascript:alert(1)' },
        { redirect_uri: `${CALLBACK}\r\nSet-Cookie: x=1` },
        { redirect_uri: 'x'.repeat(10_000) },
        { client_id: 'native', redirect_uri: '' },
        { client_id: 'native', redirect_uri: 'http://127.0.0.1:99999/cb' },
      ])
        await shownToPerson(await app.authorizeWith(rightRequest(challenge, wrong)))
    })

    test('A6 A8 A9 A10 A11 A12 A13 the client is told of everything else, with state and iss', async (context) => {
      const app = await appOf(context, { framework })
      const { challenge } = pkcePair()
      for (const [wrong, error, to] of [
        [{ response_type: '' }, 'invalid_request'],
        [{ response_type: 'foo' }, 'unsupported_response_type'],
        [{ response_type: 'token' }, 'unsupported_response_type'],
        [{ response_type: 'code token' }, 'unsupported_response_type'],
        [{ response_type: '__proto__' }, 'unsupported_response_type'],
        [{ scope: 'read admin' }, 'invalid_scope'],
        [{ scope: 'r"' }, 'invalid_scope'],
        [{ code_challenge: '' }, 'invalid_request'],
        [{ code_challenge: 'short' }, 'invalid_request'],
        [{ code_challenge_method: '' }, 'invalid_request'],
        [{ code_challenge_method: 'plain' }, 'invalid_request'],
        [{ response_mode: 'form_post' }, 'invalid_request'],
        [
          { client_id: 'machine', redirect_uri: 'https://machine.example/cb' },
          'unauthorized_client',
          'https://machine.example/cb',
        ],
      ] as const) {
        const response = await app.authorizeWith(rightRequest(challenge, wrong))
        toldClient(response, error, to === undefined ? {} : { to })
      }
      const without = rightRequest(challenge)
      delete without['response_type']
      toldClient(await app.authorizeWith(without), 'invalid_request')
    })

    test('O40 each parameter repeated, bracketed, empty or of another type gives the error of its row, and a right request works after', async (context) => {
      const app = await appOf(context, { framework })
      const { verifier, challenge } = pkcePair()
      const right = new URLSearchParams(rightRequest(challenge)).toString()
      const person = new Set(['client_id', 'redirect_uri'])
      const expected: Record<string, string | null> = {
        response_type: 'invalid_request',
        scope: 'invalid_request',
        state: 'invalid_request',
        code_challenge: 'invalid_request',
        code_challenge_method: 'invalid_request',
        response_mode: 'invalid_request',
        nonce: 'invalid_request',
      }
      for (const name of [...person, ...Object.keys(expected)]) {
        for (const more of [
          `${name}=a&${name}=b`,
          `${name}[]=a`,
          `${name}[x]=a`,
          `${name}[__proto__]=a`,
          `${name}=%ff`,
          `${name}=%`,
        ]) {
          for (const response of [
            await app.authorizeWith(`${right}&${more}`),
            more.includes('%') ? undefined : await app.post('/authorize', `${right}&${more}`),
          ]) {
            if (response === undefined) continue
            if (person.has(name)) await shownToPerson(response)
            else toldClient(response, expected[name] ?? '', { state: name === 'state' ? null : 'st' })
          }
        }
      }
      const to = redirected(await app.decide(rightRequest(challenge)))
      const tokens = await app.redeem('web', {
        code: to.searchParams.get('code') ?? '',
        redirect_uri: CALLBACK,
        code_verifier: verifier,
      })
      assert.equal(tokens.token_type, 'Bearer')
    })

    test('unknown parameters are ignored, repeated or not; so are resource and audience', async (context) => {
      const app = await appOf(context, { framework })
      const right = new URLSearchParams(rightRequest(pkcePair().challenge)).toString()
      const more =
        'resource=https%3A%2F%2Fa.example&resource=https%3A%2F%2Fb.example&audience=a&audience=b&x=1&x=2&y[]=1&=1&&%ff=1'
      assert.equal((await app.authorizeWith(`${right}&${more}`)).status, 200)
    })

    test('A21 a state of 10 kB, and one of control characters, comes back as it was', async (context) => {
      const app = await appOf(context, { framework })
      for (const state of ['s'.repeat(10_000), 'a\u0000b\r\nX: y\tc', '"><script>alert(1)</script>']) {
        const response = await app.decide(rightRequest(pkcePair().challenge, { state }))
        assert.equal(redirected(response).searchParams.get('state'), state)
        const denied = await app.authorizeWith(rightRequest('bad', { state }))
        assert.equal(redirected(denied).searchParams.get('state'), state)
      }
      await shownToPerson(
        await app.post('/authorize', rightRequest(pkcePair().challenge, { state: 's'.repeat(40_000) })),
      )
    })
  })
}

test('A22 O48 the query of a registered redirect URI is kept octet for octet, for codes and for errors', async (context) => {
  const app = await appOf(context)
  const uri = 'https://client.example/cb?keep=a+b%20c&state=mine'
  const request = rightRequest(pkcePair().challenge, { client_id: 'native', redirect_uri: uri })
  const location = (await app.decide(request)).headers.get('location') ?? ''
  assert.match(
    location,
    /^https:\/\/client\.example\/cb\?keep=a\+b%20c&state=mine&code=[\w-]{43}&state=st&iss=https%3A/,
  )
  const error = (await app.authorizeWith({ ...request, scope: 'admin' })).headers.get('location') ?? ''
  assert.ok(error.startsWith(`${uri}&error=invalid_scope&`))
})

test('A4 a native app gets its answer at whatever port it listens on', async (context) => {
  const app = await appOf(context)
  const { verifier, challenge } = pkcePair()
  const request = rightRequest(challenge, { client_id: 'native', redirect_uri: 'http://127.0.0.1:51004/cb' })
  const to = redirected(await app.decide(request))
  assert.equal(to.origin, 'http://127.0.0.1:51004')
  const code = to.searchParams.get('code') ?? ''
  await assert.rejects(app.redeem('native', { code, redirect_uri: 'http://127.0.0.1/cb', code_verifier: verifier }), {
    reason: 'redirect_uri_mismatch',
  })
  await app.redeem('native', { code, redirect_uri: 'http://127.0.0.1:51004/cb', code_verifier: verifier })
})

test('A5 T43 a request without redirect_uri goes to the only registered one, and its code needs none either', async (context) => {
  const app = await appOf(context)
  const { verifier, challenge } = pkcePair()
  const to = redirected(await app.decide(rightRequest(challenge, { redirect_uri: '' })))
  assert.equal(to.origin + to.pathname, CALLBACK)
  await app.redeem('web', { code: to.searchParams.get('code') ?? '', code_verifier: verifier })
})

test('A2 without a logged-in user the person is told so with 401, and the client nothing', async (context) => {
  const app = await appOf(context)
  await shownToPerson(
    await fetch(`${app.base}/authorize?${new URLSearchParams(rightRequest(pkcePair().challenge))}`),
    401,
  )
})

test('A18 consent is asked once, and again for scopes not yet allowed, after withdrawal, and with prompt=consent', async (context) => {
  const app = await appOf(context)
  const ask = async (scope: string, more = {}) => {
    const response = await app.authorizeWith(rightRequest(pkcePair().challenge, { scope, ...more }))
    return response.status === 200 ? 'asked' : redirected(response).searchParams.has('code') ? 'code' : 'error'
  }
  assert.equal(await ask('read'), 'asked')
  assert.equal(await ask('read'), 'asked', 'asking alone is no consent')
  await app.decide(rightRequest(pkcePair().challenge, { scope: 'read' }), { cancel: 'x' })
  assert.equal(await ask('read'), 'asked', 'nor is denying')
  await app.decide(rightRequest(pkcePair().challenge, { scope: 'read' }))
  assert.equal(await ask('read'), 'code')
  assert.equal(await ask('read write'), 'asked')
  await app.decide(rightRequest(pkcePair().challenge, { scope: 'write' }))
  assert.equal(await ask('read write'), 'code')
  assert.equal(await ask('read', { prompt: 'consent' }), 'asked')
  await app.consents.withdraw('alice', 'web')
  assert.equal(await ask('read'), 'asked')
})

test('T47 a narrow request gets narrow tokens, however much the user has allowed before', async (context) => {
  const app = await appOf(context)
  await app.decide(rightRequest(pkcePair().challenge, { scope: 'read write' }))
  const { verifier, challenge } = pkcePair()
  const code = redirected(await app.authorizeWith(rightRequest(challenge, { scope: 'read' }))).searchParams.get('code')
  const tokens = await app.redeem('web', { code: code ?? '', redirect_uri: CALLBACK, code_verifier: verifier })
  assert.equal(tokens.scope, 'read')
})

test('A16 consent that is withdrawn while a request is answered from memory stays withdrawn', async (context) => {
  const remembered: unknown[] = []
  let allowed = false
  const consents = {
    allows: async () => allowed,
    remember: async (permission: unknown) => void remembered.push(permission),
  }
  const app = await appOf(context, { options: { consents } })
  await app.decide(rightRequest(pkcePair().challenge))
  assert.equal(remembered.length, 1, 'an answered question is remembered')
  allowed = true
  const answer = await app.authorizeWith(rightRequest(pkcePair().challenge))
  assert.ok(redirected(answer).searchParams.get('code'))
  assert.equal(remembered.length, 1, 'where nobody was asked there is nothing to remember')
})

test('askAgain makes the user decide anew for the clients it names', async (context) => {
  const app = await appOf(context, { options: { askAgain: (client) => client.client_id === 'web' } })
  await app.decide(rightRequest(pkcePair().challenge))
  assert.equal((await app.authorizeWith(rightRequest(pkcePair().challenge))).status, 200)
})

test('A12 with pkce optional a code without challenge is issued and redeemed; a verifier for it is refused', async (context) => {
  const app = await appOf(context, { options: { pkce: 'optional' } })
  const request = rightRequest('')
  delete request['code_challenge_method']
  const code = redirected(await app.decide(request)).searchParams.get('code') ?? ''
  const redeem = { code, redirect_uri: CALLBACK }
  await assert.rejects(app.redeem('web', { ...redeem, code_verifier: 'v'.repeat(43) }), {
    reason: 'code_verifier_unexpected',
  })
  await app.redeem('web', redeem)
})

test('O12 O13 O42 a findClient that rejects or throws is a 503 page, and nothing of it leaves the process', async (context) => {
  for (const findClient of [
    () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.3:5432')),
    () => {
      throw new Error('connect ECONNREFUSED 10.0.0.3:5432')
    },
  ]) {
    const app = await appOf(context, { options: { findClient } })
    const response = await app.authorizeWith(rightRequest(pkcePair().challenge))
    assert.equal(response.headers.get('retry-after'), '5')
    assert.doesNotMatch(await shownToPerson(response, 503), /ECONN|10\.0/)
  }
})

test('A19 O12 stores that fail while the code is issued are temporarily_unavailable at the client', async (context) => {
  const down = () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.3:6379'))
  const codes = { add: down, find: down, countFailure: down, spend: down }
  for (const options of [{ codes }, { consents: { allows: async () => false, remember: down } }]) {
    const app = await appOf(context, { options })
    const response = await app.decide(rightRequest(pkcePair().challenge))
    toldClient(response, 'temporarily_unavailable')
    assert.doesNotMatch(response.headers.get('location') ?? '', /ECONN|10\.0/)
  }
  const consents = { allows: down, remember: down }
  const app = await appOf(context, { options: { consents } })
  toldClient(await app.authorizeWith(rightRequest(pkcePair().challenge)), 'temporarily_unavailable')
})

test('verbosity: minimal tells the code, normal a fixed sentence, debug the reason', async (context) => {
  const description = async (verbosity: 'minimal' | 'normal' | 'debug') => {
    const app = await appOf(context, { options: { verbosity } })
    const response = await app.authorizeWith(rightRequest('short'))
    return toldClient(response, 'invalid_request').get('error_description')
  }
  assert.equal(await description('minimal'), null)
  assert.equal(await description('normal'), 'The parameter code_challenge must be 43 characters of base64url.')
  assert.match((await description('debug')) ?? '', /code_challenge_malformed/)
})

test('the page of an error has a sentence for the person, and no empty paragraph at verbosity minimal', async (context) => {
  const page = async (verbosity: 'minimal' | 'normal') => {
    const app = await appOf(context, { options: { verbosity } })
    const response = await app.authorizeWith({ client_id: 'nobody', response_type: 'code' })
    assert.equal(response.status, 400)
    return response.text()
  }
  assert.match(await page('normal'), /<h1>[^<]+<\/h1><p>The application is not registered here\.<\/p><p><code>/)
  assert.match(await page('minimal'), /<h1>[^<]+<\/h1><p><code>/)
})

test('showError shows the errors for the person in the words of the application', async (context) => {
  const app = await appOf(context, {
    options: { showError: (shown, _request, response) => response.end(JSON.stringify(shown)) },
  })
  const response = await app.authorizeWith(rightRequest(pkcePair().challenge, { client_id: 'nobody' }))
  assert.equal(response.status, 400)
  assert.deepEqual(await response.json(), {
    status: 400,
    code: 'invalid_client',
    message: 'The application is not registered here.',
  })
})

test('T84 with commaSeparatesScope a request with commas is asked about, allowed and remembered by its values', async (context) => {
  const app = await appOf(context, { options: { commaSeparatesScope: true } })
  const { verifier, challenge } = pkcePair()
  const asked = await app.authorizeWith(rightRequest(challenge, { scope: 'write,read' }))
  const { transaction_id, scope } = (await asked.json()) as { transaction_id: string; scope: string[] }
  assert.deepEqual(scope, ['read', 'write'])
  const code = redirected(await app.post('/authorize/decision', { transaction_id })).searchParams.get('code') ?? ''
  const tokens = await app.redeem('web', { code, redirect_uri: CALLBACK, code_verifier: verifier })
  assert.equal(tokens.scope, 'read write')
  const again = await app.authorizeWith(rightRequest(pkcePair().challenge, { scope: 'read, write' }))
  assert.ok(redirected(again).searchParams.has('code'))
})

test('A35 a decision narrows the scope within what was requested, and a client that lost a scope does not get it', async (context) => {
  const clients: Client[] = CLIENTS.map((each) => ({ ...each }))
  const app = await appOf(context, { clients })
  const asked = await app.authorizeWith(rightRequest(pkcePair().challenge, { scope: 'read write' }))
  const { transaction_id } = (await asked.json()) as { transaction_id: string }
  clients[0] = { ...(clients[0] as Client), scope: 'read' }
  toldClient(await app.post('/authorize/decision', { transaction_id }), 'invalid_scope')
})

test('the parts work under oauth2orize’s own authorizationErrorHandler as well', async (context) => {
  const app = await appOf(context)
  const server = oauth2orize.createServer({ store: app.side.transactions })
  server.grant(app.side.grant)
  const [loader, handler] = (
    server as unknown as { authorizationErrorHandler(): ((...parameters: unknown[]) => void)[] }
  ).authorizationErrorHandler()
  const run = (
    step: ((...parameters: unknown[]) => void) | undefined,
    error: unknown,
    request: object,
    response: object,
  ) =>
    new Promise<unknown>((resolve) => {
      step?.(error, request, { ...response, end: () => resolve('redirected') }, resolve)
    })
  const headers: Record<string, string> = {}
  const response = { setHeader: (name: string, value: string) => (headers[name] = value) }
  const error = new oauth2orize.AuthorizationError('Secret text', 'access_denied')
  assert.equal(await run(loader, error, { url: '/authorize', headers: {} }, response), error)
  const oauth2 = { client: CLIENTS[0], redirectURI: CALLBACK, req: { type: 'code', state: 'st' } }
  assert.equal(await run(handler, error, { oauth2 }, response), 'redirected')
  assert.match(headers['Location'] ?? '', /error=access_denied&.*state=st&iss=/)
  assert.equal(
    await run(handler, error, { oauth2: { redirectURI: 'https://evil.example/', req: {} } }, response),
    error,
  )
})

test('beside oauth2orize’s own code grant the parser and the validate function judge requests just the same', async (context) => {
  const server = oauth2orize.createServer({ store: (await appOf(context)).side.transactions })
  server.grant('*', createRequestParser() as never)
  server.grant(oauth2orize.grant.code((_client, _redirectUri, _user, issued) => issued(null, 'their-code')))
  const validate = validateAuthorization({
    findClient: (clientId) => CLIENTS.find((each) => each.client_id === clientId),
  })
  const app = express()
  app.get(
    '/authorize',
    server.authorization(validate, (_client, _user, _scope, _type, _request, done) =>
      done(null, true, {}, {}),
    ) as express.RequestHandler,
  )
  app.use(respondWithAuthorizationError({ issuer: ISSUER }) as unknown as express.ErrorRequestHandler)
  const listening = app.listen(0, '127.0.0.1')
  context.after(() => listening.close())
  await new Promise((resolve) => listening.once('listening', resolve))
  const ask = (more: Readonly<Record<string, string>>) => {
    const query = new URLSearchParams(rightRequest(pkcePair().challenge, more))
    const { port } = listening.address() as AddressInfo
    return fetch(`http://127.0.0.1:${port}/authorize?${query}`, { redirect: 'manual' })
  }
  assert.equal(redirected(await ask({})).searchParams.get('code'), 'their-code')
  toldClient(await ask({ code_challenge_method: 'plain' }), 'invalid_request')
  toldClient(await ask({ response_type: 'token' }), 'unsupported_response_type')
  await shownToPerson(await ask({ redirect_uri: 'https://evil.example/' }))
})
