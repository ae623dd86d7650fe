import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { OAuthError } from '../../lib/errors.ts'
import { onEvent } from '../../lib/events.ts'
import { createErrorWriter, type ErrorResponseOptions } from '../../lib/http/error_response.ts'
import { ClientAssertionStrategy } from '../../lib/passport/assertion_strategy.ts'
import {
  assertionBy,
  CLIENT_ID,
  formWith,
  ISSUER,
  jws,
  NOW,
  refusalOf,
  SECRET,
  scene,
  sharedKey,
  testRegister,
} from '../support/assertions.ts'
import { runStrategy } from '../support/strategy.ts'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

test('R69 each check comes before the next: of two mistakes the earlier one is named', async () => {
  const stranger = await sharedKey('ES256', 'stranger')
  const key = await sharedKey('ES256')
  const calls: string[] = []
  const register = testRegister()
  const record = {
    client_id: CLIENT_ID,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256',
    jwks: { keys: [{ ...key.jwk, kid: 'k' }] },
  }
  const { verify } = await scene({
    findClient: (id) => {
      calls.push(`find ${id}`)
      return id === CLIENT_ID ? record : undefined
    },
    replayRegister: {
      remember: (...parameters) => {
        calls.push('remember')
        return register.remember(...parameters)
      },
    },
  })
  // Mistakes in the order in which they are found. Each case keeps all mistakes from its own on.
  const mistakes: [reason: string, claims: object, header: object, parameters?: object][] = [
    ['parameter_repeated', {}, {}, { client_id: ['x', 'x'] }],
    ['client_authentication_repeated', {}, {}, { client_secret: 'x' }],
    ['assertion_algorithm_not_allowed', {}, { alg: 'none' }],
    ['assertion_header_not_allowed', {}, { crit: ['x'] }],
    ['assertion_key_id_malformed', {}, { kid: 5 }],
    ['assertion_subject_malformed', { sub: 5 }, {}],
    ['client_id_mismatch', {}, {}, { client_id: 'other' }],
    ['assertion_typ_not_allowed', {}, { typ: 'at+jwt' }],
    ['assertion_issuer_mismatch', { iss: 'other' }, {}],
    ['client_unknown', { sub: 'unknown', iss: 'unknown' }, {}],
    ['client_algorithm_mismatch', {}, { alg: 'ES384' }],
    ['assertion_audience_mismatch', { aud: 'other' }, {}],
    ['assertion_expired', { exp: NOW - 100 }, {}],
    ['assertion_id_malformed', { jti: 5 }, {}],
    ['key_not_found', {}, { kid: 'other' }],
  ]
  for (const [index, [reason]] of mistakes.entries()) {
    const later = mistakes.slice(index).reverse()
    const claims = Object.assign({}, ...later.map(([, each]) => each))
    const header = Object.assign({}, ...later.map(([, , each]) => each))
    const parameters = Object.assign({}, ...later.map(([, , , each]) => each ?? {}))
    if (claims.sub === 'unknown' && reason !== 'client_unknown') claims.iss = index <= 8 ? 'other' : 'unknown'
    calls.length = 0
    const refused = await refusalOf(verify(formWith(assertionBy(stranger, claims, header), parameters)))
    assert.equal(refused.reason, reason)
    assert.equal(calls.length, index < 9 ? 0 : 1, `${reason} ${calls.join()}`)
  }
  calls.length = 0
  assert.equal((await refusalOf(verify(formWith(assertionBy(stranger))))).reason, 'assertion_signature_wrong')
  assert.deepEqual(calls, [`find ${CLIENT_ID}`])
  calls.length = 0
  const form = formWith(assertionBy(key))
  await verify(form)
  assert.deepEqual(calls, [`find ${CLIENT_ID}`, 'remember'])
})

test('R69 the verify callback comes after all of it', async () => {
  const seen: string[] = []
  const register = testRegister()
  const { key, client } = await scene()
  const strategy = new ClientAssertionStrategy(
    {
      issuer: ISSUER,
      clock: () => NOW,
      findClient: () => client,
      replayRegister: {
        remember: (...parameters) => {
          seen.push('remember')
          return register.remember(...parameters)
        },
      },
    },
    (record) => {
      seen.push('verify')
      return record
    },
  )
  const body = formWith(assertionBy(key))
  await runStrategy(strategy, { method: 'POST', headers: FORM, body })
  await runStrategy(strategy, { method: 'POST', headers: FORM, body })
  assert.deepEqual(seen, ['remember', 'verify', 'remember'])
})

/** A bare server whose every request is answered with a refusal of the verifier, by the error writer. */
async function answers(options: ErrorResponseOptions, refusals: readonly OAuthError[]) {
  const write = createErrorWriter(options)
  const server = createServer((request, response) => write(refusals[Number(request.url?.slice(1))], request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  try {
    const found: { status: number; headers: Record<string, string>; body: string }[] = []
    for (const index of refusals.keys()) {
      const response = await fetch(`http://127.0.0.1:${port}/${index}`, { method: 'POST' })
      const headers = Object.fromEntries([...response.headers].filter(([name]) => name !== 'date'))
      found.push({ status: response.status, headers, body: await response.text() })
    }
    return found
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

/** One refusal of each kind of credential failure, the unknown client among them. */
async function credentialFailures(): Promise<OAuthError[]> {
  const stranger = await sharedKey('ES256', 'stranger')
  const { verify, key } = await scene()
  const used = formWith(assertionBy(key))
  await verify(used)
  const all = [
    used,
    formWith(assertionBy(stranger)),
    formWith(assertionBy(key, { sub: 'nobody', iss: 'nobody' })),
    formWith(assertionBy(key, { exp: NOW - 100 })),
    formWith(assertionBy(key, { aud: 'https://other.example' })),
    formWith(assertionBy(key, {}, { kid: 'unknown' })),
    formWith(assertionBy(key, {}, { typ: 'at+jwt' })),
    formWith('not a token'),
    formWith('x'.repeat(20_000)),
    formWith(jws('{"alg":"HS256"}', '{}', 'HS256', SECRET)),
    formWith(assertionBy(key), { client_id: 'other' }),
  ]
  const refusals = await Promise.all(all.map((form) => refusalOf(verify(form))))
  const { verify: withBadKeys } = await scene({}, { jwks: { keys: [{ kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' }] } })
  refusals.push(await refusalOf(withBadKeys(formWith(assertionBy(key)))))
  const { verify: withoutMethod } = await scene({}, { token_endpoint_auth_method: 'none' })
  refusals.push(await refusalOf(withoutMethod(formWith(assertionBy(key)))))
  return refusals
}

test('R70 what is wrong with an assertion is 400 invalid_client, what is wrong with the request 400 invalid_request', async () => {
  for (const refused of await credentialFailures())
    assert.deepEqual([refused.status, refused.code], [400, 'invalid_client'], refused.reason)
  const { verify, key } = await scene()
  for (const more of [
    { client_assertion_type: 'x' },
    { client_assertion_type: '' },
    { client_assertion: ['a', 'b'] },
    { client_secret: 'x' },
  ]) {
    const refused = await refusalOf(verify(formWith(assertionBy(key), more)))
    assert.deepEqual([refused.status, refused.code], [400, 'invalid_request'])
  }
  const [answer] = await answers({ invalidClientStatus: 401 }, await credentialFailures())
  assert.equal(answer?.status, 401)
})

test('R71 there is no challenge for a client that sent an assertion, and a failure is an object', async () => {
  for (const invalidClientStatus of [400, 401] as const)
    for (const { headers } of await answers({ invalidClientStatus }, await credentialFailures()))
      assert.equal(headers['www-authenticate'], undefined)
  const { verify } = await scene()
  const strategy = new ClientAssertionStrategy({ verifyAssertion: verify, onInvalid: 'fail' })
  const { action, argument, second } = await runStrategy(strategy, {
    method: 'POST',
    headers: FORM,
    body: formWith('x'),
  })
  assert.deepEqual([action, second], ['fail', 400])
  assert.deepEqual(
    { ...(argument as object) },
    {
      error: 'invalid_client',
      error_description: 'Client authentication failed.',
      message: 'Client authentication failed.',
    },
  )
  assert.equal((argument as { cause: OAuthError }).cause.reason, 'assertion_malformed')
})

test('R72 at normal every credential failure is byte-identical; minimal says less, debug says why', async () => {
  const failures = await credentialFailures()
  const normal = await answers({}, failures)
  for (const answer of normal) assert.deepEqual(answer, normal[0])
  assert.deepEqual(JSON.parse(normal[0]?.body ?? ''), {
    error: 'invalid_client',
    error_description: 'Client authentication failed.',
  })
  for (const { body } of await answers({ verbosity: 'minimal' }, failures))
    assert.equal(body, '{"error":"invalid_client"}')
  const debug = await answers({ verbosity: 'debug' }, failures)
  for (const [index, { body }] of debug.entries()) {
    const description = String(JSON.parse(body).error_description)
    assert.ok(description.includes(String(failures[index]?.reason)), description)
    assert.ok(description.includes(': '), description)
  }
  const before = process.env['NODE_ENV']
  try {
    process.env['NODE_ENV'] = 'production'
    assert.throws(() => createErrorWriter({ verbosity: 'debug' }), /verbosity/)
    createErrorWriter({ verbosity: 'debug', forceDebug: true })
  } finally {
    if (before === undefined) delete process.env['NODE_ENV']
    else process.env['NODE_ENV'] = before
  }
})

test('R72 every refusal carries what was expected and what came, at every verbosity, for the operator', async () => {
  for (const refused of await credentialFailures()) {
    assert.ok(refused.reason, 'a reason')
    assert.ok((refused.detail ?? '').length > 10, `${refused.reason}: ${refused.detail}`)
  }
})

test('R73 a refusal is answered as JSON that nobody may store', async () => {
  for (const { headers } of await answers({}, await credentialFailures())) {
    assert.match(headers['content-type'] ?? '', /^application\/json/)
    assert.equal(headers['cache-control'], 'no-store')
  }
})

test('R74 events name reason, client and key id, and never hold the assertion, a secret or a signature', async () => {
  const stranger = await sharedKey('ES256', 'stranger')
  const key = await sharedKey('ES256')
  const heard: { name: string; event: Record<string, unknown> }[] = []
  const stops = (['client.authenticated', 'client.refused', 'client.undecided', 'client.warning'] as const).map(
    (name) => onEvent(name, (event) => heard.push({ name, event: { ...event } })),
  )
  const { verify } = await scene({}, { jwks: { keys: [{ ...key.jwk, kid: 'k1' }] } })
  const good = assertionBy(key, {}, { kid: 'k1' })
  const bad = assertionBy(stranger, {}, { kid: 'k1' })
  await verify(formWith(good))
  await refusalOf(verify(formWith(good)))
  await refusalOf(verify(formWith(bad)))
  await refusalOf(verify(formWith('nothing.of.the', { client_id: 'who' })))
  const down = await scene({ findClient: () => Promise.reject(new Error('no database')) })
  assert.equal(await down.outcome(), 'store_unavailable')
  for (const stop of stops) stop()
  assert.deepEqual(
    heard.map(({ name, event: { clientId, reason, kid, method, alg } }) => [
      name,
      clientId,
      reason ?? method,
      kid,
      alg,
    ]),
    [
      ['client.authenticated', CLIENT_ID, 'private_key_jwt', 'k1', 'ES256'],
      ['client.refused', CLIENT_ID, 'assertion_replayed', 'k1', undefined],
      ['client.refused', CLIENT_ID, 'assertion_signature_wrong', 'k1', undefined],
      ['client.refused', 'who', 'assertion_malformed', undefined, undefined],
      ['client.undecided', CLIENT_ID, 'store_unavailable', undefined, undefined],
    ],
  )
  const all = JSON.stringify(heard)
  for (const part of [...good.split('.'), ...bad.split('.')]) assert.ok(!all.includes(part))
})

test('R74 the debug log has the reason, and neither assertion nor secret', () => {
  const program = `
    import { createAssertionVerifier } from './lib/assertion/verify.ts'
    import { assertionWith, formWith, ISSUER, NOW, SECRET, CLIENT_ID } from './test/support/assertions.ts'
    const client = { client_id: CLIENT_ID, token_endpoint_auth_method: 'client_secret_jwt', client_secret: SECRET }
    const verify = createAssertionVerifier({ issuer: ISSUER, findClient: () => client, replayRegister: false, clock: () => NOW })
    const assertion = assertionWith(SECRET, { exp: NOW - 100 })
    await verify(formWith(assertion)).catch(() => {})
    process.stdout.write(assertion)
  `
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', program],
    { encoding: 'utf8', env: { ...process.env, NODE_DEBUG: 'client-assertion-jwt' } },
  )
  assert.equal(status, 0, stderr)
  assert.match(stderr, /client\.refused/)
  assert.match(stderr, /assertion_expired/)
  assert.match(stderr, new RegExp(CLIENT_ID))
  assert.ok(!stderr.includes(SECRET))
  for (const part of stdout.split('.')) assert.ok(part.length > 10 && !stderr.includes(part))
})

test('whatever goes wrong inside is a refusal with its cause, never an error of another kind', async () => {
  const { verify, key } = await scene({
    perClient: () => {
      throw new Error('bug in the application')
    },
  })
  const refused = await refusalOf(verify(formWith(assertionBy(key))))
  assert.deepEqual([refused.status, refused.reason, refused.clientId], [500, 'misconfigured', CLIENT_ID])
  assert.ok(refused.cause instanceof Error)
  assert.doesNotMatch(refused.message, /bug/)
  const clock = await scene({
    clock: () => {
      throw new Error('no time')
    },
  })
  const unexpected = await refusalOf(clock.verify(formWith(assertionBy(key))))
  assert.ok(unexpected instanceof OAuthError)
  assert.deepEqual([unexpected.status, unexpected.reason], [500, 'unexpected'])
})
