import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Client } from '../../lib/client.ts'
import { OAuthError } from '../../lib/errors.ts'
import {
  parametersOf,
  readAuthorizationParameters,
  toOauth2orizeRequest,
} from '../../lib/oauth2orize/authorization_parameters.ts'
import { validateAuthorization } from '../../lib/oauth2orize/authorize.ts'
import { createRequestParser } from '../../lib/oauth2orize/pkce_extension.ts'

const get = (query: string) => ({ method: 'GET', url: `/authorize?${query}`, headers: {} })
const post = (body: unknown, type = 'application/x-www-form-urlencoded; charset=utf-8') => ({
  method: 'POST',
  url: '/authorize',
  headers: { 'content-type': type },
  body,
})

test('O39 the parser is synchronous, has one parameter, and reads challenge and method without judging them', () => {
  const parser = createRequestParser()
  assert.equal(parser.length, 1)
  const got = parser(get('client_id=web&code_challenge=x&code_challenge_method=plain&state=a+b%26&scope=a++b'))
  assert.equal(got.codeChallenge, 'x')
  assert.equal(got.codeChallengeMethod, 'plain')
  assert.equal(got.state, 'a b&')
  assert.deepEqual(got.scope, ['a', 'b'])
  assert.equal(got.type, 'missing')
})

test('A4 the parser ends a request without a usable client_id: there is nobody to tell', () => {
  for (const query of ['', 'client_id=', 'client_id=a&client_id=b', 'client_id[]=a', 'client_id=%ff'])
    assert.throws(() => createRequestParser()(get(query)), { name: 'OAuthError', code: 'invalid_request' })
})

test('O50 a body counts only for POST and only as a form', () => {
  const body = { client_id: 'web' }
  assert.equal(readAuthorizationParameters(post(body)).values['client_id'], 'web')
  assert.equal(readAuthorizationParameters({ ...post(body), method: 'GET' }).values['client_id'], undefined)
  assert.equal(readAuthorizationParameters(post(body, 'application/json')).values['client_id'], undefined)
  assert.equal(
    readAuthorizationParameters(post(body, 'application/x-www-form-urlencodedx')).values['client_id'],
    undefined,
  )
  for (const odd of [undefined, null, 'client_id=web', 7, [['client_id', 'web']]])
    assert.equal(readAuthorizationParameters(post(odd)).values['client_id'], undefined)
})

test('O40 values that a body parser made arrays or objects of are unsound', () => {
  const { values, unsound } = readAuthorizationParameters(
    post({ client_id: 'web', state: ['a', 'b'], scope: { x: 'y' }, nonce: null, 'code_challenge[]': 'a' }),
  )
  assert.deepEqual({ ...values }, { client_id: 'web' })
  assert.deepEqual([...unsound].sort(), ['code_challenge', 'nonce', 'scope', 'state'])
})

test('property: whatever the query, each value is a string that is not empty, or the request is too long', () => {
  const known =
    /^(response_type|client_id|redirect_uri|scope|state|code_challenge|code_challenge_method|response_mode|nonce|prompt|max_age|login_hint)$/
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom('client_id', 'state', 'scope', '=', '&', '%', '%00', '%ff', '[', ']', '__proto__', '+', '#', '?'),
  )
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const { values, unsound } = readAuthorizationParameters(get(pieces.join('')))
      assert.equal(Object.getPrototypeOf(values), null)
      for (const [name, value] of Object.entries(values)) {
        assert.equal(name.includes('['), false)
        assert.ok(typeof value === 'string' && value !== '')
        assert.equal(unsound.includes(name), false)
      }
      for (const name of unsound) assert.match(name, known)
    }),
    { numRuns: 500 },
  )
})

test('A25: every parameter that was sent once is there, by GET, by POST and from both together', () => {
  const sent = {
    resource: 'https://api.example/',
    acr_values: 'urn:x',
    ui_locales: 'de',
    'x-own.name': 'a b',
    request: 'e30',
  }
  const { resource, acr_values, ...others } = sent
  for (const request of [
    get(new URLSearchParams({ client_id: 'web', ...sent }).toString()),
    post({ client_id: 'web', ...sent }),
    { ...post({ client_id: 'web', ...others }), url: `/authorize?${new URLSearchParams({ resource, acr_values })}` },
  ])
    assert.deepEqual({ ...readAuthorizationParameters(request).values }, { client_id: 'web', ...sent })
})

test('A25: unknown parameters that were repeated, bracketed or no strings are left out, and spoil nothing', () => {
  const query =
    'client_id=web&resource=a&resource=b&audience=c&y[]=1&y=2&constructor=x&__proto__=y&toString=1&toString=2'
  const { values, unsound } = readAuthorizationParameters(get(query))
  assert.deepEqual(Object.keys(values).sort(), ['__proto__', 'audience', 'client_id', 'constructor', 'resource'])
  assert.equal(values['resource'], 'a b', 'the values of resource, which may be repeated (RFC 8707 §2), are joined')
  assert.deepEqual(unsound, [])
  const body = { client_id: 'web', list: ['a'], nested: { a: 'b' }, number: 1, nothing: null, own: 'x' }
  assert.deepEqual({ ...readAuthorizationParameters(post(body)).values }, { client_id: 'web', own: 'x' })
})

test('A26: what is absent is left out, so that oauth2orize keeps what earlier parsers have read', () => {
  assert.deepEqual(Object.keys(createRequestParser()(get('client_id=web'))).sort(), ['clientID', 'parameters', 'type'])
  assert.deepEqual(Object.keys(createRequestParser()(get('client_id=web&state=x&scope=a'))).sort(), [
    'clientID',
    'parameters',
    'scope',
    'state',
    'type',
  ])
})

test('a mock request that has only req.query is read; where the URL has a query, it decides', () => {
  const parser = createRequestParser()
  const query = { client_id: 'web', response_type: 'code', state: ['a', 'b'], own: 'x' }
  for (const mock of [{ query }, { query, url: '' }, { query, url: '/authorize', headers: {}, method: 'GET' }]) {
    const got = parser(mock as never)
    assert.equal(got.clientID, 'web')
    assert.equal(got.parameters?.values['own'], 'x')
    assert.deepEqual(got.parameters?.unsound, ['state'])
  }
  assert.equal(parser({ query, url: '/authorize?client_id=other' } as never).clientID, 'other')
})

test('T15 what is empty or white space is absent, but a state of spaces is a state', () => {
  const { values, unsound } = readAuthorizationParameters(
    get('client_id=web&scope=+&nonce=%20%09&redirect_uri=&state=+'),
  )
  assert.deepEqual({ ...values }, { client_id: 'web', state: ' ' })
  assert.deepEqual(unsound, [])
})

test('property: what a client encodes as a form is read back, by GET and by POST', () => {
  const value = fc.string({ unit: 'grapheme', minLength: 1 }).map((text) => `x${text}`)
  fc.assert(
    fc.property(fc.record({ client_id: value, state: value, scope: value, redirect_uri: value }), (record) => {
      const query = new URLSearchParams(record).toString()
      for (const request of [get(query), post(record)]) {
        const { values, unsound } = readAuthorizationParameters(request)
        assert.deepEqual({ ...values }, { ...record })
        assert.deepEqual(unsound, [])
      }
    }),
  )
})

test('O46 more than 32 768 octets are refused, counted as they will stand in the transaction', () => {
  const read = (state: string) => readAuthorizationParameters(post({ state }))
  assert.equal(read('s'.repeat(32_766)).values['state']?.length, 32_766)
  for (const state of ['s'.repeat(32_767), 'ü'.repeat(17_000), '\u0000'.repeat(6_000)])
    assert.throws(() => read(state), { reason: 'parameter_malformed', code: 'invalid_request' })
})

test('requests that another parser has read are judged all the same', () => {
  const request = {
    type: 'code',
    clientID: 'web',
    redirectURI: 'https://c.example/',
    scope: ['a', 'b'],
    state: '',
    codeChallenge: 'x',
  }
  assert.deepEqual(
    { ...parametersOf(request).values },
    {
      response_type: 'code',
      client_id: 'web',
      redirect_uri: 'https://c.example/',
      scope: 'a b',
      code_challenge: 'x',
    },
  )
  assert.deepEqual(parametersOf({ clientID: ['a'] as never, redirectURI: { x: 1 } as never }).unsound, [
    'client_id',
    'redirect_uri',
  ])
  const own = readAuthorizationParameters(get('client_id=web'))
  assert.equal(parametersOf(toOauth2orizeRequest(own)), own)
})

const client: Client = { client_id: 'web', redirect_uris: ['https://c.example/'], scope: 'a' }
const challenge = 'c'.repeat(43)
const right = { type: 'code', clientID: 'web', codeChallenge: challenge, codeChallengeMethod: 'S256' }

test('O52 validate and immediate have the numbers of parameters that oauth2orize goes by', async () => {
  const { checkRememberedConsent } = await import('../../lib/oauth2orize/remembered_consent.ts')
  assert.equal(validateAuthorization({ findClient: () => client }).length, 2)
  assert.equal(checkRememberedConsent({ consents: { allows: async () => true } }).length, 6)
})

test('O42 an exception further down the chain comes back as an error, and is not lost', async () => {
  const validate = validateAuthorization({ findClient: async () => client })
  const calls: unknown[][] = []
  await new Promise<void>((resolve) => {
    validate({ ...right }, (...answer) => {
      calls.push(answer)
      if (calls.length === 1) throw new Error('the immediate function threw')
      resolve()
    })
  })
  assert.equal(calls[0]?.[0], null)
  assert.match(String(calls[1]?.[0]), /the immediate function threw/)
})

test('A4 O41 the validate function names a redirect URI only together with its client', async () => {
  const answer = (request: object, found: Client | undefined = client) =>
    new Promise<readonly unknown[]>((resolve) => {
      validateAuthorization({ findClient: () => found })(request, (...given) => resolve(given))
    })
  assert.deepEqual(await answer({ ...right }), [null, client, 'https://c.example/'])
  const scope = await answer({ ...right, scope: ['nope'] })
  assert.ok(scope[0] instanceof OAuthError && scope[1] === client && scope[2] === 'https://c.example/')
  for (const [request, found] of [
    [{ ...right, redirectURI: 'https://evil.example/' }, client],
    [{ ...right, clientID: '' }, client],
    [{ ...right }, { ...client, redirect_uris: [] }],
  ] as const)
    assert.equal((await answer(request, found)).length, 1)
  const none = await new Promise<readonly unknown[]>((resolve) => {
    validateAuthorization({ findClient: () => null })({ ...right }, (...given) => resolve(given))
  })
  assert.equal(none.length, 1)
})

test('options are checked when the function is made', () => {
  const make = (options: object) => () => validateAuthorization({ findClient: () => client, ...options })
  assert.throws(make({ findClient: 1 }), /option 'findClient' must/)
  assert.throws(make({ pkce: 'none' }), /option 'pkce' must/)
  assert.throws(make({ scopesSupported: 'read' }), /option 'scopesSupported' must/)
  assert.throws(make({ responseTypes: [1] }), /option 'responseTypes' must/)
  assert.throws(make({ missingScope: 'all' }), /option 'missingScope' must/)
  assert.throws(make({ commaSeparatesScope: 1 }), /option 'commaSeparatesScope' must/)
  assert.throws(make({ privateUseSchemes: 'x' }), /option 'privateUseSchemes' must/)
})
