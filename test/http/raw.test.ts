import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { FORM_TYPE, type RawAnswer, rawPost, sendRaw } from '../support/raw_http.ts'
import { basicHeader, HOSTS, type Route, SECRET } from '../support/token_route.ts'

const BASIC = `Authorization: ${basicHeader('any', SECRET)}`

const base64 = (text: string | Uint8Array): string => Buffer.from(text).toString('base64')

function assertError(answer: RawAnswer, status: number, error: string, what = ''): void {
  assert.deepEqual([answer.status, answer.json?.['error']], [status, error], `${what} ${answer.body}`)
  assert.deepEqual(answer.headers.get('cache-control'), ['no-store'], what)
}

/** Values of the Authorization header that are no Basic credentials, or not those of any client. */
const BROKEN_BASIC: Readonly<Record<string, string>> = {
  'the scheme alone': 'Basic',
  'the scheme and a space': 'Basic ',
  'a tab for the space': `Basic\t${base64(`basic:${SECRET}`)}`,
  'two spaces': `Basic  ${base64(`basic:${SECRET}`)}`,
  'no space': `Basic${base64(`basic:${SECRET}`)}`,
  'credentials without a scheme': base64(`basic:${SECRET}`),
  'another scheme': `Bearer ${base64(`basic:${SECRET}`)}`,
  'a scheme that contains Basic': `XBasic ${base64(`basic:${SECRET}`)}`,
  'no Base64 at all': 'Basic any:secret',
  'Base64 without its padding': `Basic ${base64(`basic:${SECRET}`).replace(/=+$/, '')}`,
  'Base64 with too much padding': `Basic ${base64(`basic:${SECRET}`)}==`,
  'Base64 with a space in it': `Basic ${base64(`basic:${SECRET}`).slice(0, 8)} ${base64(`basic:${SECRET}`).slice(8)}`,
  'Base64 with something after it': `Basic ${base64(`basic:${SECRET}`)} x`,
  'Base64 with a comma after it': `Basic ${base64(`basic:${SECRET}`)},`,
  'the alphabet of base64url': 'Basic YW55Onh4_-8=',
  'Base64 that is not canonical': 'Basic YW55OnN=',
  'no colon': `Basic ${base64('any')}`,
  'nothing but a colon': `Basic ${base64(':')}`,
  'an empty client_id': `Basic ${base64(`:${SECRET}`)}`,
  'an empty secret': `Basic ${base64('any:')}`,
  'a NUL in the client_id': `Basic ${base64(`any\0:${SECRET}`)}`,
  'octets that are no UTF-8': `Basic ${base64(Uint8Array.of(0xff, 0xfe, 0x3a, 0xff))}`,
  'a client_id of 10000 octets': `Basic ${base64(`${'x'.repeat(10_000)}:${SECRET}`)}`,
  'auth-params in place of credentials': 'Basic realm="x", charset="UTF-8"',
}

for (const host of HOSTS.filter(({ name }) => !name.includes('express.json'))) {
  describe(`over a raw socket, ${host.name}`, () => {
    let route: Route
    before(async () => {
      route = await host.start()
    })
    after(() => route.close())
    const send = (...octets: readonly (string | Uint8Array)[]) => sendRaw(route.port, ...octets)

    test('what is no Basic credentials is 401, JSON, with a challenge (T29, T30, T37, O31, O34, E5, E7)', async () => {
      for (const [what, value] of Object.entries(BROKEN_BASIC)) {
        const answer = await send(rawPost([FORM_TYPE, `Authorization: ${value}`], 'grant_type=echo&client_id=public'))
        assertError(answer, 401, 'invalid_client', what)
        assert.deepEqual(answer.headers.get('www-authenticate'), ['Basic realm="OAuth"'], what)
        assert.match(answer.headers.get('content-type')?.[0] ?? '', /^application\/json/)
      }
    })

    test('T93: an empty Authorization header counts as absent', async () => {
      for (const header of ['Authorization:', 'Authorization:   ']) {
        const answer = await send(rawPost([FORM_TYPE, header], 'grant_type=echo&client_id=public'))
        assert.equal(answer.status, 200, header)
      }
    })

    test('two Authorization headers are refused, also two equal ones (T29, E6)', async () => {
      for (const second of [BASIC, 'authorization: Bearer x', 'AUTHORIZATION:']) {
        assertError(await send(rawPost([FORM_TYPE, BASIC, second], 'grant_type=echo')), 401, 'invalid_client', second)
      }
    })

    test('octets in the body that are no UTF-8 are refused as they come (T7, O21)', async () => {
      const octets = Buffer.concat([Buffer.from('grant_type=echo&scope='), Uint8Array.of(0xc3, 0x28)])
      assertError(await send(rawPost([FORM_TYPE, BASIC], octets)), 400, 'invalid_request')
    })

    test('raw UTF-8 in the body is taken as it comes', async () => {
      const answer = await send(rawPost([FORM_TYPE, BASIC], Buffer.from('grant_type=echo&x=é%C3%A9', 'utf8')))
      assert.deepEqual(answer.json?.['parameters'], { grant_type: 'echo', x: 'éé' }, answer.body)
    })

    test('odd separators are no parameters', async () => {
      const answer = await send(rawPost([FORM_TYPE, BASIC], '&&grant_type=echo&&flag&=&'))
      assert.deepEqual(answer.json?.['parameters'], { grant_type: 'echo' }, answer.body)
    })

    test('a body in chunks is read, also one that comes slowly', async () => {
      const head = `POST /token HTTP/1.1\r\nHost: a\r\n${FORM_TYPE}\r\n${BASIC}\r\nTransfer-Encoding: chunked\r\n\r\n`
      const answer = await send(head, '5\r\ngrant\r\n', 'A\r\n_type=echo\r\n0\r\n\r\n')
      assert.equal(answer.status, 200, answer.body)
      assertError(await send(head, `20000\r\n${'x'.repeat(0x20000)}\r\n0\r\n\r\n`), 413, 'invalid_request')
    })

    test('Expect: 100-continue is continued', async () => {
      const answer = await send(rawPost([FORM_TYPE, BASIC, 'Expect: 100-continue'], 'grant_type=echo'))
      assert.equal(answer.status, 200, answer.body)
    })

    test('a client that goes away in the middle of its body harms nobody', async () => {
      const socket = connect(route.port, '127.0.0.1')
      await once(socket, 'connect')
      socket.write(`POST /token HTTP/1.1\r\nHost: a\r\n${FORM_TYPE}\r\n${BASIC}\r\nContent-Length: 100\r\n\r\ngrant`)
      await new Promise((resolve) => setTimeout(resolve, 20))
      socket.destroy()
      await once(socket, 'close')
      assert.equal((await send(rawPost([FORM_TYPE, BASIC], 'grant_type=echo'))).status, 200)
    })

    test('a body that is too large by its Content-Length is refused before it comes', async () => {
      if (host.parsed) return // body-parser reads it all before it refuses
      const head = `POST /token HTTP/1.1\r\nHost: a\r\n${FORM_TYPE}\r\n${BASIC}\r\nContent-Length: 99999999\r\n\r\n`
      assertError(await send(head), 413, 'invalid_request')
    })

    test('a body without a content type is 415, no body is none (T5, T9)', async () => {
      assertError(await send(rawPost([BASIC], 'grant_type=echo')), 415, 'invalid_request')
      assertError(await send(rawPost([BASIC])), 400, 'invalid_request')
    })

    test('a content type costs no more than its length, whatever it holds (T5)', async () => {
      const type = `${FORM_TYPE}; charset=${' '.repeat(2000)}x"y`
      const before = performance.now()
      const answer = await send(rawPost([type, BASIC], 'grant_type=echo'))
      assert.ok(performance.now() - before < 1000)
      assert.ok([400, 415].includes(answer.status), answer.body)
    })

    test('a request target that names the host is the same path (RFC 9112 section 3.2.2)', async () => {
      const request = rawPost([FORM_TYPE, BASIC], 'grant_type=echo').toString()
      for (const target of ['http://as.example/token', 'HTTP://as.example/token?x=y']) {
        const answer = await send(request.replace('POST /token', `POST ${target}`))
        assert.equal(answer.status, 200, `${target} ${answer.body}`)
      }
    })

    test('one connection carries on after a refusal', async () => {
      const refused = rawPost([FORM_TYPE, BASIC], 'grant_type=echo&grant_type=echo')
      const socket = connect(route.port, '127.0.0.1')
      await once(socket, 'connect')
      let received = ''
      socket.on('data', (chunk) => {
        received += chunk
      })
      socket.write(refused)
      socket.write(rawPost([FORM_TYPE, BASIC, 'Connection: close'], 'grant_type=echo'))
      await once(socket, 'close')
      assert.match(received, /HTTP\/1\.1 400[\s\S]*HTTP\/1\.1 200/)
    })
  })
}
