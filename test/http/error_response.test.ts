import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { OAuthError, REASONS, refusal } from '../../lib/errors.ts'
import { onEvent } from '../../lib/events.ts'
import { createErrorWriter, type ErrorResponseOptions } from '../../lib/http/error_response.ts'
import { answerOf, basicHeader, listen, post, SECRET, TWO_HOSTS } from '../support/token_route.ts'

/** What is answered for an error. */
async function answerFor(error: unknown, options: ErrorResponseOptions = {}, headers: Record<string, string> = {}) {
  const write = createErrorWriter(options)
  const route = await listen(createServer((request, response) => write(error, request, response)))
  try {
    return await answerOf(await fetch(route.url, { headers }))
  } finally {
    await route.close()
  }
}

const failure = () => refusal('client_secret_wrong', { clientId: 'c', detail: 'expected one of 2 secrets' })

test('minimal tells the code alone (R72, T20)', async () => {
  assert.deepEqual((await answerFor(failure(), { verbosity: 'minimal' })).json, { error: 'invalid_client' })
})

test('normal tells one fixed sentence, the same for every failure of client authentication (R72, T20)', async () => {
  const texts = new Set<string>()
  for (const reason of REASONS) {
    const error = refusal(reason, { description: 'something telling', detail: 'more' })
    if (error.code === 'invalid_client') texts.add((await answerFor(error)).text)
  }
  assert.deepEqual([...texts], ['{"error":"invalid_client","error_description":"Client authentication failed."}'])
})

test('debug adds the reason and what was expected, in the characters that RFC 6749 allows (R72, O17)', async () => {
  const { json } = await answerFor(failure(), { verbosity: 'debug' })
  const description = 'Client authentication failed. client_secret_wrong: expected one of 2 secrets'
  assert.deepEqual(json, { error: 'invalid_client', error_description: description })
  const odd = refusal('scope_malformed', { detail: 'a "quoted" \\ é\r\n' })
  const answer = await answerFor(odd, { verbosity: 'debug' })
  assert.match(answer.json.error_description, /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/)
})

test('debug is refused where NODE_ENV is production, unless it is forced (R72)', (t) => {
  const before = process.env['NODE_ENV']
  t.after(() => {
    if (before === undefined) delete process.env['NODE_ENV']
    else process.env['NODE_ENV'] = before
  })
  process.env['NODE_ENV'] = 'production'
  assert.throws(() => createErrorWriter({ verbosity: 'debug' }), TypeError)
  assert.ok(createErrorWriter({ verbosity: 'debug', forceDebug: true }))
  assert.ok(createErrorWriter({ verbosity: 'normal' }))
})

test('no fault says what it is, not even to debug', async () => {
  const fault = Object.assign(new Error('relation "tokens" does not exist'), { code: '42P01' })
  for (const error of [fault, 'text', null, undefined, 42, refusal('store_unavailable', { cause: fault })]) {
    const answer = await answerFor(error, { verbosity: 'debug' })
    assert.ok(answer.status >= 500)
    assert.doesNotMatch(answer.text, /relation|42P01/)
  }
})

test('a challenge comes with 401 where Authorization was used, and its realm is quoted (T37, R71)', async () => {
  const withHeader = await answerFor(failure(), { realm: 'a "realm" \\' }, { Authorization: 'Bearer x' })
  assert.equal(withHeader.status, 401)
  assert.equal(withHeader.headers.get('www-authenticate'), 'Basic realm="a \\"realm\\" \\\\"')
  const without = await answerFor(failure())
  assert.deepEqual([without.status, without.headers.get('www-authenticate')], [400, null])
  const other = await answerFor(failure(), { invalidClientStatus: 401 })
  assert.deepEqual([other.status, other.headers.get('www-authenticate')], [401, null])
  assert.throws(() => createErrorWriter({ realm: 'a\nb' }), /option 'realm'/)
  assert.throws(() => createErrorWriter({ invalidClientStatus: 403 as never }), /option 'invalidClientStatus'/)
  assert.throws(() => createErrorWriter({ verbosity: 'loud' as never }), /option 'verbosity'/)
})

test('an error of another copy of the package is one of ours, for every instanceof', async () => {
  const path = '../../lib/errors.ts?another-copy'
  const { OAuthError: Other } = (await import(path)) as typeof import('../../lib/errors.ts')
  assert.notEqual(Other, OAuthError)
  const foreign = new Other('invalid_grant', { description: 'The token is gone.', reason: 'code_spent' })
  assert.ok(foreign instanceof OAuthError)
  assert.deepEqual((await answerFor(foreign)).json, { error: 'invalid_grant', error_description: 'The token is gone.' })

  class OfAnApplication extends OAuthError {}
  assert.ok(new OfAnApplication('invalid_grant') instanceof OfAnApplication)
  assert.ok(new OfAnApplication('invalid_grant') instanceof OAuthError)
  assert.equal(foreign instanceof OfAnApplication, false)
})

test('an error that only calls itself OAuthError is none: its text stays inside, and it can break no answer (O12)', async () => {
  for (const code of ['server_error', 'UPSTREAM_DOWN', 'invalid_grant']) {
    const foreign = Object.assign(new Error('pg 10.0.0.3'), { name: 'OAuthError', code })
    const answer = await answerFor(foreign)
    assert.deepEqual(
      [answer.status, answer.json],
      [500, { error: 'server_error', error_description: 'The server met an unexpected condition.' }],
    )
  }
})

test('an error that can not be answered as it is, is answered with server_error, and published as that alone', async (t) => {
  const heard: unknown[] = []
  t.after(onEvent('request.refused', ({ code, status }) => heard.push([code, status])))
  const answer = await answerFor(new OAuthError('invalid_grant', { headers: { 'Retry-After': 'soon\nor later' } }))
  assert.equal(answer.status, 500)
  assert.equal(answer.json['error'], 'server_error')
  assert.deepEqual(heard, [['server_error', 500]])
  for (const code of ['', 'a"b', 'a\\b', 'a\nb', 'é', 'x'.repeat(129), 404, undefined])
    assert.throws(
      () => new OAuthError(code as string),
      { name: 'TypeError', message: /code of an OAuthError is malformed/ },
      String(code),
    )
  for (const status of [200, 99, 600, 400.5, '400'])
    assert.throws(() => new OAuthError('invalid_grant', { status: status as never }), /must be 400 to 599/)
  for (const options of ['a message', null, 5])
    assert.throws(() => new OAuthError('invalid_grant', options as never), {
      name: 'TypeError',
      message: 'the options of an OAuthError must be an object: write { description } for a message',
    })
})

test('an OAuthError that was changed to one that cannot be sent is a server error', async () => {
  for (const change of [
    { status: 302 },
    { status: Number.NaN },
    { status: '400' },
    { code: 'bad "code' },
    { code: 5 },
    { message: 5 },
    { headers: null },
  ]) {
    const { status, json } = await answerFor(Object.assign(new OAuthError('mfa_required', { clientId: 'c' }), change))
    assert.deepEqual([status, json['error']], [500, 'server_error'], JSON.stringify(change))
  }
})

test('T94: a well-formed code of an application passes with its status, 400 without one', async () => {
  for (const code of ['mfa_required', 'own_error', 'E_OWN 7', 'x'.repeat(128)]) {
    const plain = await answerFor(new OAuthError(code))
    assert.deepEqual([plain.status, plain.json['error']], [400, code])
    assert.equal(plain.json['error_description'], 'The request was refused.')
  }
  const own = await answerFor(new OAuthError('mfa_required', { status: 403, description: 'Use your second factor.' }))
  assert.deepEqual(
    [own.status, own.json],
    [403, { error: 'mfa_required', error_description: 'Use your second factor.' }],
  )
})

test('an answer that has begun is not mended', async () => {
  const write = createErrorWriter()
  const server = createServer((request, response) => {
    response.writeHead(200, { 'Content-Length': 100 })
    response.write('half')
    write(new OAuthError('invalid_grant'), request, response)
  })
  const route = await listen(server)
  await assert.rejects(fetch(route.url).then((response) => response.text()))
  await route.close()
})

for (const host of TWO_HOSTS) {
  test(`options of answers hold on ${host.name}: realm, verbosity, status, CORS (T19)`, async () => {
    const cors = { origins: ['https://app.example'], maxAgeSeconds: 600 }
    const route = await host.start({ realm: 'Here', verbosity: 'minimal', invalidClientStatus: 401, cors })
    const origin = { Origin: 'https://app.example' }
    const wrong = { Authorization: basicHeader('any', 'wrong') }
    const failed = await post(route.url, { grant_type: 'echo' }, { ...wrong, ...origin })
    assert.equal(failed.text, '{"error":"invalid_client"}')
    assert.equal(failed.headers.get('www-authenticate'), 'Basic realm="Here"')
    assert.equal(failed.headers.get('access-control-allow-origin'), 'https://app.example')
    assert.equal(failed.headers.get('vary'), 'Origin')
    assert.equal((await post(route.url, { client_id: 'nobody' }, origin)).status, 401)
    const elsewhere = await post(route.url, { grant_type: 'echo' }, { ...wrong, Origin: 'https://evil.example' })
    assert.equal(elsewhere.headers.get('access-control-allow-origin'), null)
    const preflight = await answerOf(await fetch(route.url, { method: 'OPTIONS', headers: origin }))
    assert.deepEqual([preflight.status, preflight.headers.get('access-control-max-age')], [204, '600'])
    await route.close()
    const silent = await host.start({ cors: false })
    const answer = await post(silent.url, { grant_type: 'echo', client_id: 'public' })
    assert.deepEqual([answer.status, answer.headers.get('access-control-allow-origin')], [200, null])
    await silent.close()
  })

  test(`strict refuses what Basic would have ignored, on ${host.name} (T27, O29)`, async () => {
    const route = await host.start({ strict: true })
    const header = { Authorization: basicHeader('any', SECRET) }
    for (const beside of [{ client_id: 'post' }, { client_secret: SECRET }]) {
      const answer = await post(route.url, { grant_type: 'echo', ...beside }, header)
      assert.deepEqual([answer.status, answer.json.error], [400, 'invalid_request'], answer.text)
    }
    assert.equal((await post(route.url, { grant_type: 'echo', client_id: 'any' }, header)).status, 200)
    await route.close()
  })

  test(`a lower limit for bodies, and another for parameters that repeat, on ${host.name} (O20)`, async () => {
    const route = await host.start({ limitBytes: 40, repeatable: ['many'] })
    const header = { Authorization: basicHeader('any', SECRET) }
    assert.equal((await post(route.url, { grant_type: 'echo', x: 'y'.repeat(40) }, header)).status, 413)
    const answer = await post(route.url, 'grant_type=echo&many=a&many=b', header)
    assert.equal(answer.json.parameters.many, 'a b')
    assert.equal((await post(route.url, 'grant_type=echo&resource=a&resource=b', header)).status, 400)
    await route.close()
  })
}
