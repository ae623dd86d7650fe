import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ASSERTION_TYPE } from '../../lib/assertion/presented.ts'
import { explainAssertion } from '../../lib/cli/explanation.ts'
import { OAuthError } from '../../lib/errors.ts'
import { onEvent } from '../../lib/events.ts'
import { type AssertionCheck, createAssertionVerifier } from '../../lib/index.ts'
import { assertionBy, CLIENT_ID, formWith, ISSUER, NOW, outcomeOf, refusalOf, scene } from '../support/assertions.ts'

const named = (check: unknown, name = 'mine'): AssertionCheck => ({ name, check }) as AssertionCheck

test('a check of the application sees the client, the proof and the request, and runs before the jti is used', async () => {
  const seen: unknown[] = []
  let allowed = false
  const { verify, key, client, register } = await scene({
    checks: [
      named(({ client, authentication, context }: never) => {
        seen.push([client, authentication, context])
        return allowed
      }),
    ],
  })
  const request = { headers: {} }
  const form = formWith(assertionBy(key, { jti: 'kept', extra: 1 }, { typ: 'JWT' }))
  const refused = await refusalOf(verify(form, { request }))
  assert.deepEqual([refused.code, refused.reason, refused.status], ['invalid_client', 'client_rejected', 400])
  assert.equal(refused.message, 'Client authentication failed.')
  assert.equal(refused.detail, "the check 'mine' of the application refused")
  assert.deepEqual(register.remembered, [], 'the jti is not used')
  allowed = true
  assert.equal(await outcomeOf(verify(form, { request })), 'accepted')
  assert.equal(await outcomeOf(verify(form, { request })), 'assertion_replayed')
  const [[record, authentication, context]] = seen as [[unknown, Record<string, unknown>, unknown]]
  assert.equal(record, client)
  assert.deepEqual(context, { request })
  const { claims, header, ...how } = authentication
  assert.deepEqual(how, { method: 'private_key_jwt', alg: 'ES256', jti: 'kept' })
  assert.deepEqual([(claims as { extra: number }).extra, (header as { typ: string }).typ], [1, 'JWT'])
})

test('a check of the application is not asked about an assertion that another check refuses', async () => {
  let count = 0
  const { outcome } = await scene({ checks: [named(() => ++count > 0)] })
  assert.equal(await outcome({ aud: 'https://other.example' }), 'assertion_audience_mismatch')
  assert.equal(await outcome({ sub: 'other', iss: 'other' }), 'client_unknown')
  assert.equal(count, 0)
})

test('checks of the application run in order, and the first that refuses ends it', async () => {
  const asked: string[] = []
  const check = (name: string, answer: unknown): AssertionCheck =>
    named(() => {
      asked.push(name)
      return answer
    }, name)
  const { verify, key } = await scene({
    checks: [check('one', true), check('two', Promise.resolve(true)), check('three', 'too late'), check('four', true)],
  })
  const { detail } = await refusalOf(verify(formWith(assertionBy(key))))
  assert.equal(detail, "the check 'three' of the application refused: too late")
  assert.deepEqual(asked, ['one', 'two', 'three'])
})

const own = new OAuthError('invalid_client', { detail: 'not from this network', status: 401 })
const fault = new Error('no directory')
const BROKEN_THEN = Object.defineProperty({}, 'then', {
  get() {
    throw fault
  },
})
const throws = (thrown: unknown) => () => {
  throw thrown
}

/** What a check may do, and what comes of it: status, code, reason. */
const OUTCOMES: readonly (readonly [what: string, check: unknown, outcome: readonly unknown[]])[] = [
  ['returns false', () => false, [400, 'invalid_client', 'client_rejected']],
  ['resolves with false', async () => false, [400, 'invalid_client', 'client_rejected']],
  ['returns a string', () => 'why', [400, 'invalid_client', 'client_rejected']],
  ['returns an OAuthError', () => own, [401, 'invalid_client', undefined]],
  ['throws an OAuthError', throws(own), [401, 'invalid_client', undefined]],
  ['rejects with an OAuthError', () => Promise.reject(own), [401, 'invalid_client', undefined]],
  [
    'throws an OAuthError that was changed to a status it cannot have',
    throws(Object.assign(new OAuthError('mfa_required'), { status: 302 })),
    [500, 'server_error', 'unexpected'],
  ],
  [
    'throws an OAuthError of a client that was changed to a status it cannot have',
    throws(Object.assign(new OAuthError('mfa_required', { clientId: CLIENT_ID }), { status: Number.NaN })),
    [500, 'server_error', 'unexpected'],
  ],
  ['returns nothing', () => undefined, [500, 'server_error', 'misconfigured']],
  ['resolves with nothing', async () => undefined, [500, 'server_error', 'misconfigured']],
  ['returns an object', () => ({ ok: true }), [500, 'server_error', 'misconfigured']],
  ['returns 1', () => 1, [500, 'server_error', 'misconfigured']],
  ['throws', throws(fault), [503, 'temporarily_unavailable', 'store_unavailable']],
  ['throws nothing', throws(undefined), [503, 'temporarily_unavailable', 'store_unavailable']],
  ['rejects', () => Promise.reject(fault), [503, 'temporarily_unavailable', 'store_unavailable']],
  ['rejects with nothing', () => Promise.reject(), [503, 'temporarily_unavailable', 'store_unavailable']],
  ['returns a broken thenable', () => BROKEN_THEN, [500, 'server_error', 'unexpected']],
]

for (const [what, check, expected] of OUTCOMES) {
  test(`a check of the application that ${what} gives ${expected.join(' ')}`, async (t) => {
    const heard: unknown[] = []
    t.after(onEvent('client.undecided', ({ cause, detail }) => heard.push([cause, detail])))
    const { verify, key, client, register } = await scene({ checks: [named(check)] })
    const { status, code, reason, clientId, detail } = await refusalOf(verify(formWith(assertionBy(key))))
    assert.deepEqual([status, code, reason, clientId], [...expected, client.client_id])
    assert.deepEqual(register.remembered, [])
    if (reason === 'client_rejected' || reason === 'misconfigured') assert.match(detail ?? '', /the check 'mine'/)
    assert.equal(heard.length, status >= 500 ? 1 : 0)
    if (status === 503) assert.match(String((heard as [[Error]])[0][0]), /the check 'mine' of the application failed/)
  })
}

test('a check of the application that never answers is a 503 after 30 seconds', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { verify, key } = await scene({ checks: [named(() => new Promise(() => undefined))], verification: 'sync' })
  const refused = refusalOf(verify(formWith(assertionBy(key))))
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  t.mock.timers.tick(30_000)
  const { reason, cause } = await refused
  assert.equal(reason, 'store_unavailable')
  assert.match(String(((cause as Error).cause as Error).message), /30000/)
})

test('an assertion that ends while a check of the application runs is not accepted', async (t) => {
  const start = performance.now()
  let waited = 0
  t.mock.method(performance, 'now', () => start + waited)
  const slow = async (): Promise<boolean> => {
    waited = 100_000
    return true
  }
  const { outcome } = await scene({ checks: [named(slow)] })
  assert.equal(await outcome({ exp: NOW + 60 }), 'assertion_expired')
})

test('checks that are none throw at construction, and name the place', () => {
  const sound = { issuer: ISSUER, findClient: () => undefined, replayRegister: false } as const
  const check = (): boolean => true
  for (const [checks, message] of [
    [{}, /'checks'/],
    [[undefined], /checks\[0\] needs an object/],
    [new Array(1), /checks\[0\] needs an object/],
    [
      [
        { name: 'a', check },
        { name: '', check },
      ],
      /checks\[1\]\.name/,
    ],
    [[{ name: 'a' }], /checks\[0\]\.check/],
    [[{ name: 'a', run: check }], /Unknown option "run"/],
  ] as const)
    assert.throws(() => createAssertionVerifier({ ...sound, checks } as never), { name: 'TypeError', message })
})

test('explain carries out the checks of the application if it has them, after the signature', async () => {
  const { client, key } = await scene()
  const assertion = assertionBy(key)
  const options = { issuer: ISSUER, checks: [named(() => 'no'), named(() => true, 'second')] }
  const { checks, reason, verdict } = await explainAssertion({ assertion, options, client, now: NOW })
  assert.deepEqual(
    checks.slice(-3).map(({ name, outcome }) => [name, outcome]),
    [
      ['signature', 'passed'],
      ['mine', 'failed'],
      ['second', 'passed'],
    ],
  )
  assert.deepEqual([verdict, reason], ['refused', 'client_rejected'])
  assert.ok(ASSERTION_TYPE)
})

test('R31: algorithms may be a function of the request; what it returns is checked each time', async () => {
  const lists: Record<string, unknown> = {
    a: ['ES256'],
    b: ['RS256'],
    c: ['none'],
    d: [],
    e: undefined,
    f: Promise.resolve(),
  }
  const { verify, outcome } = await scene({
    algorithms: ({ request }) => lists[(request as { tenant: string }).tenant] as string[],
  })
  const at = (tenant: string) => outcome({}, {}, { request: { tenant } } as never)
  assert.equal(await at('a'), 'accepted')
  assert.equal(await at('b'), 'assertion_algorithm_not_allowed')
  for (const tenant of ['c', 'd', 'e', 'f', 'g']) assert.equal(await at(tenant), 'misconfigured', tenant)
  assert.ok(verify.algorithms.includes('ES256') && verify.algorithms.includes('HS256'))
})
