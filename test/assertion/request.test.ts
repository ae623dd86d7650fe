import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClientAssertionStrategy } from '../../lib/passport/assertion_strategy.ts'
import {
  ASSERTION_TYPE,
  assertionBy,
  CLIENT_ID,
  formWith,
  macScene,
  outcomeOf,
  refusalOf,
  SECRET,
  scene,
  TOKEN_ENDPOINT,
} from '../support/assertions.ts'
import { runStrategy } from '../support/strategy.ts'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

test('R1 the assertion is read from own members of a POSTed form body and from nowhere else', async () => {
  const { verify, key } = await scene()
  const strategy = new ClientAssertionStrategy({ verifyAssertion: verify })
  const form = () => formWith(assertionBy(key))
  const post = { method: 'POST', headers: FORM }
  assert.equal((await runStrategy(strategy, { ...post, body: form() })).action, 'success')
  const elsewhere = {
    'query string': { ...post, body: {}, query: form(), url: `/token?${new URLSearchParams(form() as never)}` },
    'GET with a body': { ...post, method: 'GET', body: form() },
    'JSON body': { method: 'POST', headers: { 'content-type': 'application/json' }, body: form() },
    'multipart body': { method: 'POST', headers: { 'content-type': 'multipart/form-data; boundary=x' }, body: form() },
    'inherited members': { ...post, body: Object.create(form()) },
    'text body': { ...post, body: String(new URLSearchParams(form() as never)) },
  }
  for (const [where, request] of Object.entries(elsewhere)) {
    const { action, argument } = await runStrategy(strategy, request)
    assert.deepEqual([action, argument], ['fail', undefined], where)
  }
  const unparsed = await runStrategy(strategy, post)
  assert.equal(unparsed.action, 'error', 'O1: a form that no middleware has parsed')
  const inherited = await refusalOf(verify(Object.create(form())))
  assert.equal(inherited.reason, 'client_authentication_missing')
  const entries = Object.entries(form() as Record<string, string>)
  for (const parameters of [new URLSearchParams(entries), new Map(entries)]) {
    const { reason, detail } = await refusalOf(verify(parameters as never))
    assert.equal(reason, 'misconfigured')
    assert.match(detail ?? '', /pass Object\.fromEntries\(parameters\)/)
  }
})

test('R1 a JSON body is read where acceptJsonBody says so', async () => {
  const { verify, key } = await scene()
  const strategy = new ClientAssertionStrategy({ verifyAssertion: verify, acceptJsonBody: true })
  const headers = { 'content-type': 'application/json; charset=utf-8' }
  assert.equal(
    (await runStrategy(strategy, { method: 'POST', headers, body: formWith(assertionBy(key)) })).action,
    'success',
  )
})

test('R2 without an assertion the strategy steps aside and challenges nobody', async () => {
  const { verify } = await scene()
  const strategy = new ClientAssertionStrategy({ verifyAssertion: verify })
  for (const body of [
    {},
    { client_id: CLIENT_ID, client_secret: SECRET },
    { client_assertion: '', client_assertion_type: '' },
  ]) {
    const { action, argument } = await runStrategy(strategy, { method: 'POST', headers: FORM, body })
    assert.deepEqual([action, argument], ['fail', undefined])
  }
})

test('R2 an assertion without its type, or a type without its assertion, is invalid_request', async () => {
  const { verify, key } = await scene()
  const assertion = assertionBy(key)
  for (const parameters of [
    { client_assertion: assertion },
    { client_assertion: assertion, client_assertion_type: '' },
    { client_assertion_type: ASSERTION_TYPE },
    { client_assertion_type: ASSERTION_TYPE, client_assertion: '' },
  ]) {
    const refused = await refusalOf(verify(parameters))
    assert.deepEqual([refused.code, refused.status, refused.reason], ['invalid_request', 400, 'parameter_missing'])
  }
})

test('R3 client_assertion_type is the exact URN', async () => {
  const { verify, key } = await scene()
  for (const type of [
    ASSERTION_TYPE.toUpperCase(),
    `${ASSERTION_TYPE} `,
    'urn:ietf:params:oauth:client-assertion-type:saml2-bearer',
    'jwt-bearer',
  ]) {
    const refused = await refusalOf(verify(formWith(assertionBy(key), { client_assertion_type: type })))
    assert.deepEqual([refused.code, refused.reason], ['invalid_request', 'assertion_type_unsupported'])
  }
})

test('R3 another type is left to the next strategy where onForeignType says so', async () => {
  const { verify, key } = await scene()
  const strategy = new ClientAssertionStrategy({ verifyAssertion: verify, onForeignType: 'next' })
  const body = formWith('PHNhbWw+', {
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer',
  })
  const { action, argument } = await runStrategy(strategy, { method: 'POST', headers: FORM, body })
  assert.deepEqual([action, argument], ['fail', undefined])
  assert.equal(
    (await runStrategy(strategy, { method: 'POST', headers: FORM, body: formWith(assertionBy(key)) })).action,
    'success',
  )
})

test('R4 a parameter that is not one text is invalid_request, in every shape that body parsers give', async () => {
  const { verify, key } = await scene()
  const good = assertionBy(key)
  for (const name of ['client_id', 'client_assertion', 'client_assertion_type'])
    for (const value of [[], ['x'], [good, good], { a: 'b' }, 5, true, null]) {
      const refused = await refusalOf(verify(formWith(good, { [name]: value })))
      assert.equal(refused.code, 'invalid_request', `${name} ${JSON.stringify(value)}`)
    }
})

test('R5 an Authorization header is seen in a request of the Fetch standard as well', async () => {
  const { verify, key } = await scene()
  const ask = (headers: Record<string, string>) =>
    outcomeOf(verify(formWith(assertionBy(key)), { request: new Request(TOKEN_ENDPOINT, { method: 'POST', headers }) }))
  assert.equal(await ask({ Authorization: 'Basic Yjpj' }), 'client_authentication_repeated')
  assert.equal(await ask({}), 'accepted')
  const ofAnotherLibrary = { headers: { get: (name: string) => (name === 'authorization' ? 'Basic Yjpj' : null) } }
  const seen = outcomeOf(verify(formWith(assertionBy(key)), { request: ofAnotherLibrary }))
  assert.equal(await seen, 'client_authentication_repeated')
})

test('R5 an assertion beside another method is invalid_request and ends the chain of strategies', async () => {
  const { verify, key, register } = await scene()
  const strategy = new ClientAssertionStrategy({ verifyAssertion: verify })
  const basic = { ...FORM, authorization: `Basic ${Buffer.from('a:b').toString('base64')}` }
  for (const request of [
    { method: 'POST', headers: basic, body: formWith(assertionBy(key)) },
    { method: 'POST', headers: { ...FORM, authorization: 'Bearer x' }, body: formWith(assertionBy(key)) },
    { method: 'POST', headers: FORM, body: formWith(assertionBy(key), { client_secret: 'x' }) },
  ]) {
    const { action, argument } = await runStrategy(strategy, request)
    assert.equal(action, 'error')
    assert.equal((argument as { reason: string }).reason, 'client_authentication_repeated')
    assert.equal((argument as { code: string }).code, 'invalid_request')
  }
  assert.equal(await outcomeOf(verify(formWith(assertionBy(key), { client_secret: '' }))), 'accepted')
  assert.equal(register.remembered.length, 1)
})

test('R6 client_id is optional beside an assertion, must agree with it, and can be made mandatory', async () => {
  const { verify, key } = await scene()
  assert.equal(await outcomeOf(verify(formWith(assertionBy(key), { client_id: CLIENT_ID }))), 'accepted')
  assert.equal(await outcomeOf(verify(formWith(assertionBy(key), { client_id: '' }))), 'accepted')
  const refused = await refusalOf(verify(formWith(assertionBy(key), { client_id: 'client-2' })))
  assert.deepEqual([refused.code, refused.reason], ['invalid_client', 'client_id_mismatch'])
  const strict = await scene({ requireClientId: true })
  assert.equal(await strict.outcome(), 'parameter_missing')
  assert.equal(await outcomeOf(strict.verify(formWith(assertionBy(key), { client_id: CLIENT_ID }))), 'accepted')
})

test('R7 an assertion over 16 KiB and a client_id over 1024 characters are refused before anything is decoded', async () => {
  const { outcomeOfText, outcome, verify, key } = await scene()
  assert.equal(await outcomeOfText('a'.repeat(16_385)), 'assertion_too_large')
  assert.equal(await outcomeOfText('é'.repeat(16_384)), 'assertion_malformed')
  assert.equal(await outcome({ pad: 'x'.repeat(11_000) }), 'accepted')
  assert.equal(await outcomeOf(verify(formWith('a.b', { client_id: 'c'.repeat(1025) }))), 'parameter_malformed')
  const small = await scene({ maxAssertionBytes: 256 })
  assert.equal(await small.outcome({ pad: 'x'.repeat(300) }), 'assertion_too_large')
  const long = await scene({}, { client_id: `https://${'c'.repeat(1016)}` })
  const own = { iss: long.client.client_id, sub: long.client.client_id }
  assert.equal(
    await outcomeOf(long.verify(formWith(assertionBy(key, own), { client_id: long.client.client_id }))),
    'accepted',
  )
})

test('R7 the work for the largest assertion grows with its length and no faster', async () => {
  const { outcomeOfText } = await macScene()
  const measure = async (text: string): Promise<number> => {
    const before = process.cpuUsage()
    for (let turn = 0; turn < 20; turn++) await outcomeOfText(text)
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 20
  }
  const deep = `{"a":${'['.repeat(6000)}${']'.repeat(6000)}}`
  const header = Buffer.from('{"alg":"HS256"}').toString('base64url')
  for (const text of [
    '.'.repeat(16_384),
    'a'.repeat(16_384),
    `${'a'.repeat(8000)}.${'a'.repeat(8000)}.`,
    `${header}.${Buffer.from(deep).toString('base64url')}.AAAA`,
    `${header}.${Buffer.from(`{"a":"${'\\u0061'.repeat(1900)}"}`).toString('base64url')}.AAAA`,
    `${header}.${Buffer.from(`{${'"a":1,'.repeat(1900)}"b":1}`).toString('base64url')}.AAAA`,
  ])
    assert.ok((await measure(text)) < 5000, `${text.slice(0, 40)}… took too long`)
})
