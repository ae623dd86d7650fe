import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { answerOf, basicHeader, HOSTS, type Posted, post, type Route, SECRET } from '../support/token_route.ts'

const BASIC = { Authorization: basicHeader('any', SECRET) }
const ECHO = { grant_type: 'echo' }

/** An answer as RFC 6749 §5.2 wants errors. */
function assertError(answer: Posted, status: number, error: string): void {
  assert.equal(answer.json?.error, error, answer.text)
  assert.equal(answer.status, status)
  assert.deepEqual(Object.keys(answer.json), ['error', 'error_description'], 'T20')
  assertHeaders(answer)
}

function assertHeaders({ headers }: Posted): void {
  assert.equal(headers.get('content-type'), 'application/json; charset=utf-8', 'T17')
  assert.equal(headers.get('cache-control'), 'no-store', 'T18')
  assert.equal(headers.get('pragma'), 'no-cache', 'T18')
  assert.equal(headers.get('access-control-allow-origin'), '*', 'T19')
}

for (const host of HOSTS) {
  describe(`the token route on ${host.name}`, () => {
    let route: Route
    before(async () => {
      route = await host.start()
    })
    after(() => route.close())
    const send = (body: Parameters<typeof post>[1], headers?: Record<string, string>) => post(route.url, body, headers)
    const sendBy = (method: string, path = '') => fetch(route.url + path, { method }).then(answerOf)

    test('a client with the right secret in the header gets its answer (T1, T17, T18, T19)', async () => {
      const answer = await send(ECHO, BASIC)
      assert.equal(answer.status, 200, answer.text)
      assert.equal(answer.json.client_id, 'any')
      assert.equal(answer.json.method, 'client_secret_basic')
      assert.equal(answer.headers.get('etag'), null)
      assertHeaders(answer)
    })

    test('a client with the right secret in the body gets its answer', async () => {
      const answer = await send({ ...ECHO, client_id: 'any', client_secret: SECRET })
      assert.equal(answer.json.method, 'client_secret_post', answer.text)
    })

    test('a public client gets its answer, with an empty secret too (T35, O35)', async () => {
      assert.equal((await send({ ...ECHO, client_id: 'public' })).json.method, 'none')
      assert.equal((await send({ ...ECHO, client_id: 'public', client_secret: '' })).json.method, 'none')
    })

    test('a preflight is answered with 204, an empty body and the CORS headers (T2, T19)', async () => {
      const answer = await sendBy('OPTIONS')
      assert.equal(answer.status, 204)
      assert.equal(answer.text, '')
      assert.equal(answer.headers.get('access-control-allow-origin'), '*')
      assert.equal(answer.headers.get('access-control-allow-methods'), 'POST')
      assert.equal(answer.headers.get('access-control-allow-headers'), 'authorization,content-type,dpop')
      assert.equal(answer.headers.get('access-control-allow-credentials'), null)
      assert.equal(answer.headers.get('cache-control'), null)
    })

    test('any other method is answered with 405 and what is allowed (T3, O24)', async () => {
      for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
        const answer = await sendBy(method, '?grant_type=echo')
        assertError(answer, 405, 'invalid_request')
        assert.equal(answer.headers.get('allow'), 'POST, OPTIONS')
      }
      assert.equal((await sendBy('HEAD')).status, 405)
    })

    test('another content type is answered with 415 (T4, T5, T10, E23, O1)', async () => {
      for (const type of [
        'application/json',
        'text/plain',
        'multipart/form-data; boundary=x',
        'application/x-www-form',
      ]) {
        const body = type === 'application/json' ? JSON.stringify({ ...ECHO, client_id: 'public' }) : 'grant_type=echo'
        assertError(await send(body, { 'Content-Type': type, ...BASIC }), 415, 'invalid_request')
      }
    })

    test('another charset than UTF-8 is answered with 415 (T5, O21)', async () => {
      const type = 'application/x-www-form-urlencoded; charset='
      assertError(await send(ECHO, { 'Content-Type': `${type}utf-16`, ...BASIC }), 415, 'invalid_request')
      for (const charset of ['UTF-8', 'utf-8', '"utf-8"']) {
        assert.equal((await send(ECHO, { 'Content-Type': type + charset, ...BASIC })).status, 200, charset)
      }
    })

    test('a compressed body is answered with 415', async () => {
      assertError(
        await send(ECHO, { 'Content-Encoding': 'gzip', ...BASIC }),
        host.parsed ? 400 : 415,
        'invalid_request',
      )
    })

    test('a body of more than 64 KiB is answered with 413 (T6, O16, O20, E23)', async () => {
      assertError(await send({ ...ECHO, more: 'x'.repeat(150_000) }, BASIC), 413, 'invalid_request')
    })

    test('no body means no parameters (T9, E1, O2)', async () => {
      const response = await fetch(route.url, { method: 'POST', headers: BASIC })
      assertError(await answerOf(response), 400, 'invalid_request')
      assertError(await answerOf(await fetch(route.url, { method: 'POST' })), 400, 'invalid_client')
    })

    test('the query string is ignored (T11)', async () => {
      const answer = await post(`${route.url}?grant_type=echo&client_id=public`, { client_id: 'public' })
      assertError(answer, 400, 'invalid_request')
    })

    test('a repeated parameter is invalid_request, also where one is empty (T12, O4, O18)', async () => {
      for (const body of [
        'grant_type=echo&grant_type=echo',
        'grant_type=echo&code=a&code=b',
        'grant_type=echo&code=a&code=',
        'grant_type=echo&unknown=a&unknown=a',
        'grant_type=echo&scope=a&scope=b',
      ]) {
        assertError(await send(body, BASIC), 400, 'invalid_request')
      }
    })

    test('bracketed names of known parameters are invalid_request (T13, T34, E3, O18, O19)', async () => {
      for (const name of ['code[]', 'code[$ne]', 'scope[]', 'grant_type[]', 'refresh_token[$gt]', 'client_secret[a]']) {
        const body = new URLSearchParams({ ...ECHO, [name]: 'x' })
        assertError(await send(body, BASIC), 400, 'invalid_request')
      }
      assertError(await send('grant_type=echo&scope%5B%5D=a&scope%5B%5D=b', BASIC), 400, 'invalid_request')
    })

    test('a malformed parameter beside a right header is 400, not 401 (T26, E4)', async () => {
      assertError(await send('grant_type=echo&code%5Bx%5D=1', BASIC), 400, 'invalid_request')
    })

    test('no parameter stands for a header (T14)', async () => {
      const body = { ...ECHO, auth_header: BASIC.Authorization, authorization: BASIC.Authorization }
      assertError(await send(body), 400, 'invalid_client')
    })

    test('an empty or blank parameter is absent (T15)', async () => {
      const answer = await send({ ...ECHO, scope: '', code: '   ', state: ' \t', kept: ' x ' }, BASIC)
      assert.deepEqual(answer.json.parameters, { grant_type: 'echo', kept: ' x ' })
      assertError(await send({ grant_type: ' ' }, BASIC), 400, 'invalid_request')
    })

    test('unknown parameters are ignored, bracketed ones too (T16)', async () => {
      const answer = await send('grant_type=echo&foo=1&bar[x]=2&__proto__=3&constructor=4', BASIC)
      assert.equal(answer.status, 200, answer.text)
      assert.equal(answer.json.parameters.grant_type, 'echo')
    })

    test('resource may be repeated, or empty (RFC 8707)', async () => {
      const answer = await send(
        'grant_type=echo&resource=https://a.example&resource=https://b.example&resource=',
        BASIC,
      )
      assert.equal(answer.json?.parameters?.resource, 'https://a.example https://b.example', answer.text)
      assert.equal((await send('grant_type=echo&resource=', BASIC)).status, 200)
    })

    test('broken UTF-8 is invalid_request (T7, O21, E23)', async () => {
      // where qs parsed the body, it left the percent sequences as they were: not to be told from a text like that
      for (const scope of ['%ff%fe', '%c0%af', '%ed%a0%80']) {
        const answer = await send(`grant_type=echo&scope=${scope}`, BASIC)
        if (answer.json.parameters?.scope === scope) assert.ok(host.parsed)
        else assertError(answer, 400, 'invalid_request')
      }
    })

    test('a stray percent sign is invalid_request where the octets can still be seen (T8, O21, E23)', async () => {
      if (host.parsed) return // what the earlier parser did with it cannot be told from what it may have been
      for (const value of ['100%', '%zz', '%4', '%u0041']) {
        assertError(await send(`grant_type=echo&scope=${value}`, BASIC), 400, 'invalid_request')
      }
    })

    test('the client is authenticated before grant_type is looked at (T24, T25)', async () => {
      const wrong = { Authorization: basicHeader('any', 'wrong') }
      assertError(await send({ grant_type: 'nonsense' }, wrong), 401, 'invalid_client')
      assertError(await send({}, wrong), 401, 'invalid_client')
      assertError(await send({ client_id: 'any', client_secret: 'wrong' }), 400, 'invalid_client')
    })

    test('Basic wins over the body, which is ignored (T27)', async () => {
      for (const beside of [
        { client_id: 'any' },
        { client_id: 'post' },
        { client_id: 'post', client_secret: 'wrong' },
        { client_secret: SECRET },
      ]) {
        const answer = await send({ ...ECHO, ...beside }, BASIC)
        assert.equal(answer.json.client_id, 'any', answer.text)
      }
    })

    test('a header that fails is final, whatever the body holds (T28, T30, O28, O29, E5)', async () => {
      for (const header of [
        basicHeader('any', 'wrong'),
        'Bearer abc',
        'DPoP abc',
        'Digest x=y',
        'Basic',
        'Basic !!!!',
      ]) {
        const answer = await send({ ...ECHO, client_id: 'any', client_secret: SECRET }, { Authorization: header })
        assertError(answer, 401, 'invalid_client')
        assert.equal(answer.headers.get('www-authenticate'), 'Basic realm="OAuth"', 'T37, O15, O30')
      }
    })

    test('the scheme is matched in any case, and exactly (T29, O34)', async () => {
      const [, credentials = ''] = BASIC.Authorization.split(' ')
      assert.equal((await send(ECHO, { Authorization: `bAsIc ${credentials}` })).status, 200)
      assertError(await send(ECHO, { Authorization: `XBasicY ${credentials}` }), 401, 'invalid_client')
      assertError(await send(ECHO, { Authorization: `Basic  ${credentials}` }), 401, 'invalid_client')
    })

    test('every failure of authentication reads the same (T21, T31, T33, T38, T37, E7, E8, E9)', async () => {
      const texts = new Set<string>()
      for (const body of [
        { client_id: 'any' },
        { client_id: 'any', client_secret: 'wrong' },
        { client_id: 'nobody', client_secret: SECRET },
        { client_id: 'nobody' },
        { client_id: 'basic', client_secret: SECRET },
        { client_id: 'jwt', client_secret: SECRET },
        { client_id: 'none', client_secret: 'wrong' },
        { client_id: 'public', client_secret: 'x' },
        { client_secret: SECRET },
        {},
      ]) {
        const answer = await send({ ...ECHO, ...body })
        assertError(answer, 400, 'invalid_client')
        assert.equal(answer.headers.get('www-authenticate'), null, 'a challenge only where the header was used')
        texts.add(answer.text)
      }
      for (const [id, secret] of [
        ['any', 'wrong'],
        ['nobody', SECRET],
        ['post', SECRET],
        ['jwt', SECRET],
        ['public', 'x'],
        ['none', 'wrong'],
      ] as const) {
        const answer = await send(ECHO, { Authorization: basicHeader(id, secret) })
        assertError(answer, 401, 'invalid_client')
        texts.add(answer.text)
      }
      assert.equal(texts.size, 1)
    })

    test('T35: a public client that has a secret may send it, and then it must be right', async () => {
      const sent = { ...ECHO, client_id: 'none' }
      assert.equal((await send(sent)).status, 200)
      assert.equal((await send({ ...sent, client_secret: SECRET })).status, 200)
      assert.equal((await send(ECHO, { Authorization: basicHeader('none', SECRET) })).status, 200)
      assertError(await send({ ...sent, client_secret: 'wrong' }), 400, 'invalid_client')
      assertError(await send(ECHO, { Authorization: basicHeader('none', 'wrong') }), 401, 'invalid_client')
    })

    test('a client that was registered without a method may send its secret either way', async () => {
      assert.equal((await send(ECHO, { Authorization: basicHeader('basic', SECRET) })).status, 200)
      assert.equal((await send({ ...ECHO, client_id: 'post', client_secret: SECRET })).status, 200)
    })

    test('a grant type that is not offered is unsupported_grant_type, with 400 (E2, O3, O5)', async () => {
      assertError(await send({ grant_type: 'password' }, BASIC), 400, 'unsupported_grant_type')
      assertError(await send({ grant_type: '__proto__' }, BASIC), 400, 'unsupported_grant_type')
      assertError(await send({ grant_type: 'ECHO' }, BASIC), 400, 'unsupported_grant_type')
    })

    test('a grant type the client is not registered for is unauthorized_client (E15, O24)', async () => {
      assertError(await send(ECHO, { Authorization: basicHeader('codes', SECRET) }), 400, 'unauthorized_client')
    })

    test('an exchange that refuses is answered with the status of the RFC (O5)', async () => {
      assertError(await send({ grant_type: 'refuse' }, BASIC), 400, 'invalid_grant')
    })

    test('a fault in an exchange is server_error, without a word of it (E22, O8, O12)', async () => {
      for (const grantType of ['fault', 'broken']) {
        const answer = await send({ grant_type: grantType }, BASIC)
        assertError(answer, 500, 'server_error')
        assert.doesNotMatch(answer.text, /duplicate|tokens_pkey|23505|promise/)
      }
    })

    test('a fault of findClient is 503 with Retry-After, without a word of it (O36)', async () => {
      for (const answer of [
        await send({ ...ECHO, client_id: 'down', client_secret: SECRET }),
        await send({ ...ECHO, client_id: 'down' }),
        await send(ECHO, { Authorization: basicHeader('down', SECRET) }),
      ]) {
        assertError(answer, 503, 'temporarily_unavailable')
        assert.match(answer.headers.get('retry-after') ?? '', /^\d+$/)
        assert.equal(answer.headers.get('www-authenticate'), null)
        assert.doesNotMatch(answer.text, /ECONNREFUSED|10\.0\.0\.3/)
      }
    })

    test('a client assertion beside another method is always invalid_request (R5)', async () => {
      const assertion = { client_assertion: 'x.y.z', client_assertion_type: 'urn:x' }
      assertError(await send({ ...ECHO, ...assertion }, BASIC), 400, 'invalid_request')
      assertError(await send({ ...ECHO, ...assertion }, { Authorization: 'Bearer x' }), 400, 'invalid_request')
      const secret = { client_id: 'any', client_secret: SECRET }
      assertError(await send({ ...ECHO, ...assertion, ...secret }), 400, 'invalid_request')
    })
  })
}
