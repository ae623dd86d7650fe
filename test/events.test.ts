import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { type IncomingMessage, ServerResponse } from 'node:http'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { format } from 'node:util'
import { publish } from '../lib/events.ts'
import {
  createAssertionVerifier,
  createClientAuthenticator,
  type Events,
  OAuthError,
  onEvent,
  respondWithError,
} from '../lib/index.ts'
import { assertionWith, formWith } from './support/assertions.ts'

const HOSTILE = [
  'a\nb client refused: {"clientId":"other"}',
  'a\r\u001b[2K\u001b[31mred',
  'a\u0085\u009b31m\u202e\u2028\u2066\u{e0041}',
  'a\ud800',
  'ä😀',
  'x'.repeat(60_000),
  'x'.repeat(8_000),
  '\n'.repeat(60_000),
]

const responseTo = () => new ServerResponse({ method: 'POST' } as IncomingMessage)

const heardBy = <Name extends keyof Events>(t: { after(fn: () => void): void }, name: Name): Events[Name][] => {
  const events: Events[Name][] = []
  t.after(onEvent(name, (event) => events.push(event)))
  return events
}

test('R74: an id that cannot be registered reaches listeners escaped and cut', async (t) => {
  const refused = heardBy(t, 'client.refused')
  const answered = heardBy(t, 'request.refused')
  const findClient = () => undefined
  const verifyAssertion = createAssertionVerifier({ issuer: 'https://as.example', replayRegister: false, findClient })
  const authenticate = createClientAuthenticator({ verifyAssertion, findClient } as never)
  const answer = respondWithError()
  const parts = (header: object, claims: object): string =>
    [JSON.stringify(header), JSON.stringify(claims), 'x']
      .map((part) => Buffer.from(part).toString('base64url'))
      .join('.')
  for (const id of HOSTILE) {
    const basic = `Basic ${Buffer.from(`${encodeURIComponent(id.replace(/\p{Cs}/gu, '?'))}:secret`).toString('base64')}`
    const attempts = [
      () => verifyAssertion({ ...formWith('e30.e30.e30'), client_id: id }),
      () => verifyAssertion(formWith(parts({ alg: 'ES256', kid: id }, { sub: 'somebody', iss: 'somebody' }))),
      () => verifyAssertion(formWith(parts({ alg: 'ES256', typ: id }, { sub: 'somebody', iss: id }))),
      () => verifyAssertion({ client_id: id }),
      () => authenticate({ method: 'POST', headers: { authorization: basic } } as never, {} as never),
      () => authenticate({ headers: {} }, { client_id: id, client_secret: 'x' } as never),
    ]
    for (const attempt of attempts)
      await Promise.resolve()
        .then(attempt)
        .then(
          () => assert.fail('accepted'),
          (error: unknown) => answer(error, { headers: {} } as never, responseTo() as never, () => undefined),
        )
  }
  assert.ok(
    refused.length > HOSTILE.length * 2 && answered.length > HOSTILE.length * 2,
    `${refused.length} ${answered.length}`,
  )
  for (const { clientId = '', detail = '', ...event } of [...refused, ...answered]) {
    assert.match(clientId, /^[\x20-\x7e]{0,1024}$/)
    assert.match('kid' in event ? (event.kid ?? '') : '', /^[\x20-\x7e]{0,1024}$/)
    assert.ok(detail.length <= 4096)
    assert.doesNotMatch(detail, /[\p{C}\p{Zl}\p{Zp}]/u)
  }
  const kids = refused.map(({ kid }) => kid)
  assert.ok(kids.includes('a\\u000ab client refused: {"clientId":"other"}'), 'line breaks are escaped')
  assert.ok(kids.includes('\\u00e4\\ud83d\\ude00'))
  assert.ok(kids.includes(`${'x'.repeat(1021)}...`))
})

test('R74: it holds for every string of every event, for subscribers of the channel too, and leaves the original alone', () => {
  const heard: unknown[] = []
  const listen = (message: unknown): number => heard.push(message)
  const original = {
    clientId: 'ok',
    subject: 'Zoë\n',
    sessionId: 'a\u001bb',
    scope: 's',
    grantType: '\u009b',
    tokenId: 't',
    expiresAt: 1,
  }
  subscribe('passport-client-assertion-jwt:token.issued', listen)
  publish('token.issued', () => original)
  unsubscribe('passport-client-assertion-jwt:token.issued', listen)
  assert.deepEqual(heard, [{ ...original, subject: 'Zoë\\u000a', sessionId: 'a\\u001bb', grantType: '\\u009b' }])
  assert.equal(original.subject, 'Zoë\n')
})

test("R74: the README's listener prints one line for each event, and nothing in it can pass for another member", (t) => {
  const [, listener = ''] = /onEvent\('client\.refused', (.*)\)$/m.exec(readFileSync('README.md', 'utf8')) ?? []
  const lines: string[] = []
  const listen = new Function('console', `return ${listener}`)({
    warn: (...args: unknown[]) => lines.push(format(...args)),
  }) as (event: Events['client.refused']) => void
  t.after(onEvent('client.refused', listen))
  const ids = [...HOSTILE, '%s %o %c', 'other client_unknown no client has this id', '","clientId":"other']
  for (const clientId of ids)
    publish('client.refused', () => ({ clientId, reason: 'client_unknown', detail: clientId }))
  assert.equal(lines.length, ids.length)
  for (const line of lines) {
    assert.doesNotMatch(line, /[\p{C}\p{Zl}\p{Zp}]/u)
    assert.deepEqual(Object.keys(JSON.parse(line.slice(line.indexOf('{')))), ['clientId', 'reason', 'detail'])
  }
})

const BROKEN_LISTENERS: Readonly<Record<string, () => unknown>> = {
  'throws an error': () => {
    throw new Error('no disk\n')
  },
  'throws nothing': () => {
    throw undefined
  },
  'throws what cannot be shown': () => {
    throw Object.create(null)
  },
  rejects: () => Promise.reject(new Error('no network')),
  'returns a thenable that throws': () => ({
    // biome-ignore lint/suspicious/noThenProperty: a broken thenable is what is tested
    then() {
      throw new Error('no promise')
    },
  }),
}

for (const [what, broken] of Object.entries(BROKEN_LISTENERS)) {
  test(`a listener that ${what} is reported by one warning, and the others still run`, async (t) => {
    const warnings: Error[] = []
    const note = (warning: Error): number => warnings.push(warning)
    process.on('warning', note)
    t.after(() => process.off('warning', note))
    t.after(onEvent('session.ended', broken))
    const heard = heardBy(t, 'session.ended')
    for (let time = 0; time < 3; time += 1) {
      publish('session.ended', () => ({ sessionId: `s${time}` }))
      await setImmediate()
    }
    await setImmediate()
    assert.equal(heard.length, 3)
    assert.equal(warnings.length, 1, String(warnings))
    assert.match(String(warnings[0]), /listener of the event session\.ended/)
    assert.doesNotMatch(warnings[0]?.message ?? '', /\n/)
  })
}

test('onEvent refuses a listener that is no function', () => {
  assert.throws(() => onEvent('session.ended', undefined as never), { name: 'TypeError', message: /option 'listener'/ })
})

/** What a program writes to standard error. It has `verify`, whose look-up fails, `answer`, and two faults of one kind and another. */
const toldBy = (program: string): string => {
  const source = `
    import { ServerResponse } from 'node:http'
    import { createAssertionVerifier, respondWithError, onEvent, OAuthError } from './lib/index.ts'
    import { publishFailure } from './lib/events.ts'
    let count = 0
    const verify = createAssertionVerifier({
      issuer: 'https://as.example', replayRegister: false,
      findClient: () => Promise.reject(new Error('no database ' + ++count + '\\u001b[31m')),
    })
    const form = ${JSON.stringify(formWith(assertionWith('x'.repeat(64))))}
    const failed = () => verify(form).catch((error) => error)
    const answer = (error) => respondWithError()(error, { headers: {} }, new ServerResponse({ method: 'POST' }), () => {})
    ${program}
  `
  const { stderr, status } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', source], {
    encoding: 'utf8',
    env: { ...process.env, NODE_DEBUG: undefined, NODE_ENV: undefined },
  })
  assert.equal(status, 0, stderr)
  return stderr
}
const warningsIn = (told: string): number => told.match(/CLIENT_ASSERTION_JWT_FAULT/g)?.length ?? 0

test('a fault that nobody listens for emits one process warning for each kind, with its cause', () => {
  const told = toldBy(`
    for (let time = 0; time < 20; time += 1) answer(await failed())
    for (let time = 0; time < 20; time += 1) answer(new Error('a bug'))
    for (let time = 0; time < 20; time += 1) answer(await verify({}).catch((error) => error))
  `)
  assert.equal(warningsIn(told), 2, told)
  assert.match(told, /store_unavailable.*no database 1\\u001b/)
  assert.match(told, /unexpected.*a bug/)
})

test('kinds are bounded: what requests can vary does not flood standard error', () => {
  const told = toldBy(`
    for (let time = 0; time < 1000; time += 1)
      publishFailure(new OAuthError('server_error', { reason: 'misconfigured', detail: 'kind ' + time }))
  `)
  assert.equal(warningsIn(told), 32)
})

test('there is no warning where somebody listens', () => {
  const faults = `answer(await failed()); answer(new Error('a bug'))`
  const both = `onEvent('request.refused', () => {}); onEvent('client.undecided', () => {});`
  assert.equal(toldBy(`${both} ${faults}`), '')
  assert.equal(toldBy(`onEvent('request.refused', () => {}); ${faults}`), '')
  assert.equal(warningsIn(toldBy(`onEvent('client.undecided', () => {}); answer(new Error('a bug'))`)), 1)
})

test('OAuthError of the application with a status of 500 counts as a fault, one with 400 does not', () => {
  assert.equal(warningsIn(toldBy(`answer(new OAuthError('server_error', { detail: 'mine' }))`)), 1)
  assert.equal(toldBy(`answer(new OAuthError('invalid_request'))`), '')
  assert.ok(OAuthError)
})
