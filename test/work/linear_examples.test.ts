import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { parseForm } from '../../examples/recipes/mcp/server.ts'
import { type RunningExample, startExample } from '../support/example.ts'
import { USERS } from '../support/example_clients.ts'
import { inOneOfThree } from '../support/measurement.ts'

// Long inputs at 1x, 2x and 4x. The longest is just below the limits of the example: 64 KiB of headers, 64 KiB of body. Work
// that grows with the square of the length takes seconds there, so the limits below leave much room for a busy machine.
const SIZES = [15_000, 30_000, 60_000]
const LIMIT_MILLISECONDS = 250

/** The shortest of several runs for each length: what the work takes when nothing else gets in the way. */
async function durations(run: (length: number) => unknown): Promise<number[]> {
  const shortest: number[] = []
  for (const size of SIZES) {
    let best = Number.POSITIVE_INFINITY
    for (let attempt = 0; attempt < 5 && best > 20; attempt += 1) {
      const start = performance.now()
      await run(size)
      best = Math.min(best, performance.now() - start)
    }
    shortest.push(best)
  }
  return shortest
}

const checkLinear = (run: (length: number) => unknown): Promise<void> =>
  inOneOfThree(async () => {
    const [one = 0, two = 0, four = 0] = await durations(run)
    const shown = `${one.toFixed(1)}, ${two.toFixed(1)} and ${four.toFixed(1)} ms`
    assert.ok(four < LIMIT_MILLISECONDS, shown)
    assert.ok(four < 20 || four < 10 * one, shown)
  })

const blanks = (length: number): string => ' '.repeat(length)

// [request line, header or body]: `x` is where the length goes.
const HEADERS: Readonly<Record<string, (length: number) => string>> = {
  'Cookie: blanks inside a value': (length) => `Cookie: a=x${blanks(length)}y`,
  'Cookie: tabs inside a value': (length) => `Cookie: a=x${'\t'.repeat(length)}y`,
  'Cookie: blanks in a name': (length) => `Cookie: a${blanks(length)}b=y`,
  'Cookie: semicolons': (length) => `Cookie: a${';'.repeat(length)}b`,
  'Cookie: equals signs': (length) => `Cookie: a${'='.repeat(length)}`,
  'Cookie: many names': (length) => `Cookie: ${Array.from({ length: length / 9 }, (_, at) => `n${at}=v`).join('; ')}`,
  'Cookie: percent signs': (length) => `Cookie: a=${'%'.repeat(length)}`,
  'Cookie: percent sequences': (length) => `Cookie: a=${'%41'.repeat(length / 3)}`,
  'Cookie: quotation marks': (length) => `Cookie: a=${'"'.repeat(length)}`,
  'Content-Type: blanks': (length) => `Content-Type: application/x-www-form-urlencoded;${blanks(length)}x`,
  'Content-Type: parameters': (length) => `Content-Type: a/b${'; a=b'.repeat(length / 5)}`,
  'Authorization: blanks': (length) => `Authorization: Basic${blanks(length)}x y`,
  'Authorization: commas': (length) => `Authorization: Basic ${','.repeat(length)}`,
  'Sec-Fetch-Site: a long value': (length) => `Sec-Fetch-Site: ${'same-'.repeat(length / 5)}`,
  'Accept: many types': (length) => `Accept: ${'a/b,'.repeat(length / 4)}`,
  'If-None-Match: many tags': (length) => `If-None-Match: ${'"a",'.repeat(length / 4)}x`,
  'X-Forwarded-For: many addresses': (length) => `X-Forwarded-For: ${'127.0.0.1,'.repeat(length / 10)}`,
  'X-Forwarded-For: blanks': (length) => `X-Forwarded-For: a${blanks(length)}b`,
}

const TARGETS: Readonly<Record<string, (length: number) => string>> = {
  'path: slashes': (length) => '/'.repeat(length),
  'path: dots': (length) => `/account${'/..'.repeat(length / 3)}`,
  'path: percent sequences': (length) => `/account/${'%2f'.repeat(length / 3)}`,
  'path: absolute form': (length) => `http://${'x'.repeat(length)}`,
  'path: absolute form of slashes': (length) => `http:${'/'.repeat(length)}`,
  'query: one value': (length) => `/authorize?client_id=app&state=${'x'.repeat(length)}`,
  'query: plus signs': (length) => `/authorize?client_id=app&scope=${'+'.repeat(length)}`,
  'query: scope values': (length) => `/authorize?client_id=app&scope=${'profile+'.repeat(length / 8)}`,
  'query: question marks': (length) => `/authorize?${'?'.repeat(length)}`,
  'query: many names': (length) =>
    `/authorize?client_id=app&${Array.from({ length: length / 8 }, (_, at) => `n${at}`).join('&')}`,
  'query: one name many times': (length) => `/authorize?client_id=app&${'resource=a&'.repeat(length / 11)}`,
  'query: a redirect URI of dots': (length) =>
    `/authorize?client_id=app&redirect_uri=https://${'a.'.repeat(length / 2)}`,
}

const BODIES: Readonly<Record<string, (length: number) => string>> = {
  'one value': (length) => `username=${'x'.repeat(length)}&password=y`,
  'plus signs': (length) => `username=a&password=${'+'.repeat(length)}`,
  'many names': (length) => Array.from({ length: length / 8 }, (_, at) => `n${at}`).join('&'),
  'one name many times': (length) => 'resource=a&'.repeat(length / 11),
  'a long request to go on with': (length) => `authorization_request=${'%26a%3Db'.repeat(length / 8)}`,
  'a long transaction': (length) => `transaction_id=${'x.'.repeat(length / 2)}`,
  'a long session': (length) => `session=${'-'.repeat(length)}`,
  'a long guard': (length) => `form_guard=${'_'.repeat(length)}`,
  separators: (length) => '&'.repeat(length),
}
const FORMS = ['/login', '/authorize', '/authorize/decision', '/account/disconnect', '/logout']

describe('the example', () => {
  let example: RunningExample
  before(async () => {
    const client = { client_id: 'app', token_endpoint_auth_method: 'none', scope: 'profile' }
    example = await startExample({
      users: USERS,
      clients: [{ ...client, redirect_uris: ['https://app.example.com/cb'] }],
    })
  })
  after(() => example?.stop())

  /** Sends it byte for byte, on a connection of its own, and waits for the first bytes of the response. */
  const send = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect(Number(new URL(example.url).port), '127.0.0.1', () => socket.write(text))
      socket.setEncoding('latin1').once('data', (start: string) => {
        socket.destroy()
        if (/^HTTP\/1\.1 (?:431|5\d\d)/.test(start)) reject(new Error(start.slice(0, 200)))
        else resolve()
      })
      socket.once('error', reject)
    })

  for (const path of ['/account', '/authorize', '/token'])
    for (const [name, make] of Object.entries(HEADERS))
      test(`${path} works no longer than the header is long: ${name}`, () =>
        checkLinear((length) => send(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${make(length)}\r\n\r\n`)))

  for (const [name, make] of Object.entries(TARGETS))
    test(`works no longer than the target is long: ${name}`, () =>
      checkLinear((length) => send(`GET ${make(length)} HTTP/1.1\r\nHost: localhost\r\n\r\n`)))

  for (const path of FORMS)
    for (const [name, make] of Object.entries(BODIES))
      test(`${path} works no longer than the body is long: ${name}`, () =>
        checkLinear((length) => {
          const body = make(length)
          const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n`
          const type = 'Content-Type: application/x-www-form-urlencoded'
          return send(`${head}${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
        }))
})

describe('the MCP recipe', () => {
  for (const [name, make] of Object.entries(BODIES))
    test(`reads a form in time that grows with its length: ${name}`, () =>
      checkLinear((length) => parseForm(make(length))))

  test('a name that comes several times has all its values, __proto__ is a name like others', () => {
    const form = parseForm('a=1&b=2&a=3&a=4&__proto__=5')
    assert.deepEqual({ ...form }, { a: ['1', '3', '4'], b: '2', ['__proto__']: '5' })
  })
})
