import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import express from 'express'
import oauth2orize from 'oauth2orize'
import type { Client } from '../../lib/client.ts'
import { createCodes } from '../../lib/code/codes.ts'
import { createTokenEndpoint } from '../../lib/endpoints/token.ts'
import { createAuthorizationCodeExchange } from '../../lib/oauth2orize/exchanges.ts'
import { createSessions } from '../../lib/session/sessions.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { createTokens } from '../../lib/token/token_set.ts'
import { pkcePair } from '../support/authorization_app.ts'

const REDIRECT = 'https://client.example/cb'
const SECRET = 'x'.repeat(40)
const client: Client = {
  client_id: 'web',
  client_secret: SECRET,
  redirect_uris: [REDIRECT],
  grant_types: ['authorization_code', 'refresh_token'],
  scope: 'read',
}

async function endpoint(context: TestContext, door: 'handler' | 'oauth2orize') {
  const { codeStore: codes, sessionStore: store } = createMemoryStores()
  const sessions = createSessions({ store })
  const tokens = createTokens({
    issuer: 'https://as.example',
    baseSecret: 'b'.repeat(32),
    accessTokenAlgorithm: 'HS256',
  })
  const findClient = (clientId: string) => (clientId === 'web' ? client : undefined)
  const exchange = createAuthorizationCodeExchange({ codes, sessions, tokens })
  let listener: RequestListener
  if (door === 'handler')
    listener = createTokenEndpoint({ findClient, exchanges: [exchange] }) as unknown as RequestListener
  else {
    const server = oauth2orize.createServer()
    server.exchange(exchange as never)
    listener = express().use('/token', createTokenEndpoint({ server, findClient }) as express.RequestHandler)
  }
  const server = createServer(listener).listen(0, '127.0.0.1')
  context.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await new Promise((resolve) => server.once('listening', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`
  const { verifier, challenge } = pkcePair()
  const code = await createCodes({ store: codes }).issue(
    {
      subject: 'alice',
      clientId: 'web',
      scope: 'read',
      redirectUri: REDIRECT,
      redirectUriWasSent: true,
      codeChallenge: challenge,
    },
    Math.floor(Date.now() / 1000),
  )
  const right: Readonly<Record<string, string>> = {
    grant_type: 'authorization_code',
    code,
    redirect_uri: REDIRECT,
    code_verifier: verifier,
  }
  const send = async (body: string, type = 'application/x-www-form-urlencoded') => {
    const authorization = `Basic ${Buffer.from(`web:${SECRET}`).toString('base64')}`
    const response = await fetch(url, { method: 'POST', headers: { authorization, 'content-type': type }, body })
    assert.equal(response.headers.get('cache-control'), 'no-store')
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  return { right, send, live: () => sessions.list('alice', 'oauth2') }
}

/** Requests in which a parameter is absent. The redirect URI may be (E8): the code has a challenge. */
const absent = (name: string, others: Readonly<Record<string, string>>, value: string) =>
  name === 'redirect_uri'
    ? []
    : ([
        [form(others), 'invalid_request'],
        [form({ ...others, [name]: '' }), 'invalid_request'],
        [form({ ...others, [`${name}[]`]: value }), 'invalid_request'],
        [form({ ...others, [`${name}[$ne]`]: 'x' }), 'invalid_request'],
      ] as const)

const form = (record: Readonly<Record<string, string>>) => new URLSearchParams(record).toString()

for (const door of ['handler', 'oauth2orize'] as const) {
  describe(`the door ${door}`, () => {
    test('T39 T43 T44 T45 bad input of every parameter gets the error of its row, and the code works afterwards', async (context) => {
      const { right, send } = await endpoint(context, door)
      const long = 'x'.repeat(10_000)
      const control = 'a\u0000\r\n\u001b'
      const rows: Readonly<Record<string, readonly [long: string, control: string]>> = {
        grant_type: ['unsupported_grant_type', 'unsupported_grant_type'],
        code: ['invalid_grant', 'invalid_grant'],
        redirect_uri: ['invalid_grant', 'invalid_grant'],
        code_verifier: ['invalid_request', 'invalid_request'],
      }
      for (const [name, [longError, controlError]] of Object.entries(rows)) {
        const { [name]: value = '', ...others } = right
        for (const [body, error] of [
          ...absent(name, others, value),
          [`${form(right)}&${name}=${encodeURIComponent(value)}`, 'invalid_request'],
          [`${form(right)}&${name}=x`, 'invalid_request'],
          [form({ ...others, [name]: long }), longError],
          [form({ ...others, [name]: control }), controlError],
          [`${form(others)}&${name}=%ff`, 'invalid_request'],
        ] as const) {
          const answer = await send(body)
          assert.deepEqual([answer.status, answer.body['error']], [400, error], `${name}: ${body.slice(0, 300)}`)
        }
      }
      const json = await send(JSON.stringify(right), 'application/json')
      assert.deepEqual([json.status, json.body['error']], [415, 'invalid_request'])
      const fine = await send(form({ ...right, resource: 'https://api.example/', scope: '', state: 'x' }))
      assert.equal(fine.status, 200)
      assert.equal(fine.body['scope'], 'read')
    })

    test('T50 30 redemptions at once over HTTP: at most one is answered with tokens, all others with invalid_grant', async (context) => {
      const { right, send, live } = await endpoint(context, door)
      const answers = await Promise.all(Array.from({ length: 30 }, () => send(form(right))))
      const successes = answers.filter(({ status }) => status === 200).length
      assert.ok(successes <= 1)
      assert.equal(answers.filter(({ body }) => body['error'] === 'invalid_grant').length, 30 - successes)
      assert.deepEqual(await live(), [], 'each of the 29 proved everything')
    })
  })
}
