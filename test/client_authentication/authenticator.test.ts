import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAssertionVerifier } from '../../lib/assertion/verify.ts'
import { grantTypesOf } from '../../lib/client.ts'
import {
  type ClientAuthenticatorOptions,
  createClientAuthenticator,
} from '../../lib/client_authentication/authenticator.ts'
import { OAuthError, type Reason } from '../../lib/errors.ts'
import { type Client, type Events, type FormParameters, hashClientSecret, onEvent } from '../../lib/index.ts'
import { assertionWith, formWith, ISSUER, testRegister } from '../support/assertions.ts'
import { basicHeader } from '../support/token_route.ts'

const NOW = 1_800_000_000

const clients: Record<string, Client> = {
  plain: { client_id: 'plain', client_secret: 'one' },
  octets: { client_id: 'octets', client_secret: new TextEncoder().encode('clé') },
  ended: { client_id: 'ended', client_secret: 'one', client_secret_expires_at: NOW },
  ending: { client_id: 'ending', client_secret: 'one', client_secret_expires_at: NOW + 1 },
  never: { client_id: 'never', client_secret: 'one', client_secret_expires_at: 0 },
  two: {
    client_id: 'two',
    client_secret: [
      { value: 'old', expires_at: NOW + 10 },
      { value: 'new', expires_at: 0 },
      { value: 'gone', expires_at: NOW - 1 },
    ],
  },
  empty: { client_id: 'empty', client_secret: '' },
  none: { client_id: 'none', token_endpoint_auth_method: 'none' },
  mtls: { client_id: 'mtls', client_secret: 'one', token_endpoint_auth_method: 'tls_client_auth' },
  databaseNulls: {
    client_id: 'databaseNulls',
    client_secret: 'one',
    token_endpoint_auth_method: null,
    client_secret_expires_at: null,
    // as a row of a database has it
  } as unknown as Client,
}

const make = (options: Partial<ClientAuthenticatorOptions> = {}) =>
  createClientAuthenticator({ findClient: (id) => clients[id], ...options })

const byHeader = (id: string, secret: string) => ({ headers: { authorization: basicHeader(id, secret) } })
const NO_HEADERS = { headers: {} }
const posted = (client_id: string, client_secret: string): FormParameters => ({ client_id, client_secret })
const at = { now: NOW }

const refusedFor = (reason: Reason) => (error: unknown) => {
  assert.ok(error instanceof OAuthError)
  assert.equal(error.reason, reason)
  return true
}

test('a plain secret, text or octets, by either method', async () => {
  const authenticate = make()
  for (const [id, secret] of [
    ['plain', 'one'],
    ['octets', 'clé'],
    ['databaseNulls', 'one'],
  ] as const) {
    const basic = await authenticate(byHeader(id, secret), {}, at)
    assert.equal(basic.client, clients[id])
    assert.deepEqual(basic.authentication, { method: 'client_secret_basic' })
    const body = await authenticate(NO_HEADERS, posted(id, secret), at)
    assert.deepEqual(body.authentication, { method: 'client_secret_post' })
  }
})

test('a secret is the whole secret: no part of it, nothing behind it, no other spelling of its octets', async () => {
  const authenticate = make()
  const wrong = {
    plain: ['o', 'on', 'onf', 'one ', 'oneone', 'ONE', 'one\u0000'],
    octets: ['cle', 'cl', 'clée', 'cle\u0301'],
  }
  for (const [id, secrets] of Object.entries(wrong)) {
    for (const secret of secrets) {
      await assert.rejects(authenticate(NO_HEADERS, posted(id, secret), at), refusedFor('client_secret_wrong'), secret)
    }
  }
})

test('a secret ends at the second of its expiry, and 0 is never', async () => {
  const authenticate = make()
  await assert.rejects(authenticate(NO_HEADERS, posted('ended', 'one'), at), refusedFor('client_secret_expired'))
  await assert.rejects(authenticate(NO_HEADERS, posted('ended', 'two'), at), refusedFor('client_secret_wrong'))
  assert.ok(await authenticate(NO_HEADERS, posted('ending', 'one'), at))
  assert.ok(await authenticate(NO_HEADERS, posted('never', 'one'), at))
})

test('of several live secrets each works until its own end', async () => {
  const authenticate = make()
  assert.ok(await authenticate(byHeader('two', 'old'), {}, at))
  assert.ok(await authenticate(byHeader('two', 'new'), {}, at))
  await assert.rejects(authenticate(byHeader('two', 'gone'), {}, at), refusedFor('client_secret_expired'))
  await assert.rejects(authenticate(byHeader('two', 'old'), {}, { now: NOW + 10 }), refusedFor('client_secret_expired'))
})

test('a client without a secret cannot authenticate with one, not even an empty one (T35)', async () => {
  const authenticate = make()
  await assert.rejects(authenticate(NO_HEADERS, posted('empty', 'x'), at), refusedFor('client_secret_wrong'))
  await assert.rejects(authenticate(NO_HEADERS, posted('none', 'x'), at), refusedFor('client_method_mismatch'))
  await assert.rejects(authenticate(NO_HEADERS, { client_id: 'empty' }, at), refusedFor('client_method_mismatch'))
})

test('a method the client is not registered with is refused, though the secret is right', async () => {
  const authenticate = make()
  await assert.rejects(authenticate(byHeader('mtls', 'one'), {}, at), refusedFor('client_method_mismatch'))
  await assert.rejects(authenticate(NO_HEADERS, posted('mtls', 'one'), at), refusedFor('client_method_mismatch'))
})

test('a method that is not offered is refused', async () => {
  const authenticate = make({ methods: ['client_secret_basic'] })
  assert.deepEqual(authenticate.methods, ['client_secret_basic'])
  await assert.rejects(authenticate(NO_HEADERS, posted('plain', 'one'), at), refusedFor('client_method_mismatch'))
  await assert.rejects(authenticate(NO_HEADERS, { client_id: 'none' }, at), refusedFor('client_method_mismatch'))
  await assert.rejects(
    authenticate(NO_HEADERS, { client_assertion: 'x', client_assertion_type: 'y' }, at),
    refusedFor('client_method_mismatch'),
  )
})

test('strict refuses another client_id and any client_secret beside Basic (T27)', async () => {
  const authenticate = make({ strict: true })
  assert.ok(await authenticate(byHeader('plain', 'one'), { client_id: 'plain' }, at))
  const repeated = refusedFor('client_authentication_repeated')
  await assert.rejects(authenticate(byHeader('plain', 'one'), { client_id: 'two' }, at), repeated)
  await assert.rejects(authenticate(byHeader('plain', 'one'), { client_secret: 'one' }, at), repeated)
  await assert.rejects(
    authenticate(byHeader('plain', 'no'), { client_id: 'two' }, at),
    refusedFor('client_secret_wrong'),
  )
})

test('hashed secrets work like plain ones, beside plain ones, and are not what is sent (T36)', async () => {
  const hashed = await hashClientSecret('one')
  assert.match(hashed, /^scrypt\$ln=14,r=8,p=1\$/)
  assert.notEqual(hashed, await hashClientSecret('one'))
  clients['hashed'] = { client_id: 'hashed', client_secret: hashed }
  clients['mixed'] = { client_id: 'mixed', client_secret: [{ value: hashed, expires_at: NOW }, { value: 'two' }] }
  const authenticate = make()
  assert.ok(await authenticate(byHeader('hashed', 'one'), {}, at))
  assert.ok(await authenticate(byHeader('mixed', 'two'), {}, at))
  await assert.rejects(authenticate(byHeader('mixed', 'one'), {}, at), refusedFor('client_secret_expired'))
  await assert.rejects(authenticate(byHeader('hashed', hashed), {}, at), refusedFor('client_secret_wrong'))
  await assert.rejects(authenticate(byHeader('hashed', 'two'), {}, at), refusedFor('client_secret_wrong'))
})

test('a stored hash of a cost that is not taken is no secret: sent as it stands, it is wrong', async () => {
  for (const cost of ['ln=21,r=8,p=1', 'ln=0,r=8,p=1', 'ln=14,r=0,p=1']) {
    const foreign = (await hashClientSecret('one')).replace('ln=14,r=8,p=1', cost)
    clients['foreign'] = { client_id: 'foreign', client_secret: foreign }
    for (const presented of [foreign, 'one'])
      await assert.rejects(make()(byHeader('foreign', presented), {}, at), refusedFor('client_secret_wrong'), cost)
  }
})

test('an unknown client takes about as long as a known one with a hashed secret', async () => {
  clients['hashed'] = { client_id: 'hashed', client_secret: await hashClientSecret('one') }
  const authenticate = make()
  await authenticate(byHeader('hashed', 'one'), {}, at) // only now it can know that there are hashes
  const timeOf = async (id: string): Promise<number> => {
    const times: number[] = []
    for (let round = 0; round < 7; round += 1) {
      const began = process.hrtime.bigint()
      await authenticate(byHeader(id, 'wrong'), {}, at).catch(() => undefined)
      times.push(Number(process.hrtime.bigint() - began) / 1e6)
    }
    return times.sort((a, b) => a - b)[3] ?? 0
  }
  const known = await timeOf('hashed')
  for (const id of ['nobody', 'plain', 'none']) {
    const time = await timeOf(id)
    assert.ok(time > known / 4 && time < known * 4, `${id}: ${time} ms, a known one ${known} ms`)
  }
})

test('identifiers that cannot be registered are not looked up', async () => {
  const asked: string[] = []
  const authenticate = make({
    findClient: (id) => {
      asked.push(id)
      return undefined
    },
  })
  for (const id of ['a\0b', 'a\nb', 'x'.repeat(1025)]) {
    await assert.rejects(authenticate(NO_HEADERS, { client_id: id }, at), refusedFor('client_unknown'))
  }
  assert.deepEqual(asked, [])
})

test('a record of another client_id is not the client (a database without regard to case)', async () => {
  const authenticate = make({ findClient: () => clients['plain'] })
  await assert.rejects(authenticate(NO_HEADERS, posted('PLAIN', 'one'), at), refusedFor('client_unknown'))
})

test('a record without a client_id is named as what it is, to operators', async () => {
  const authenticate = make({ findClient: () => ({ clientId: 'plain', secret: 'one' }) as never })
  await assert.rejects(authenticate(NO_HEADERS, posted('plain', 'one'), at), refusedFor('client_misconfigured'))
})

test('a record with members of another form is named to operators, and never misread', async () => {
  const { plain } = clients
  for (const [member, value, detail] of [
    ['grant_types', 'no_client_credentials', 'grant_types is not an array of strings'],
    ['grant_types', 5, 'grant_types is not an array of strings'],
    ['redirect_uris', 'https://app.example/cb', 'redirect_uris is not an array of strings'],
    ['scope', ['read', 'write'], 'scope is not a string'],
  ] as const) {
    const findClient = () => ({ ...plain, client_id: 'plain', [member]: value }) as unknown as Client
    await assert.rejects(make({ findClient })(byHeader('plain', 'one'), {}, at), {
      reason: 'client_misconfigured',
      detail,
    })
    const verify = createAssertionVerifier({ issuer: ISSUER, findClient, replayRegister: testRegister() })
    const form = formWith(assertionWith('x'.repeat(64), { iss: 'plain', sub: 'plain' }))
    await assert.rejects(verify(form, { now: NOW }), { reason: 'client_misconfigured', detail })
  }
  assert.deepEqual(grantTypesOf({ client_id: 'x', grant_types: 'client_credentials' as never }), [])
  const nulls = { client_id: 'plain', client_secret: 'one', grant_types: null, scope: null } as unknown as Client
  assert.ok(await make({ findClient: () => nulls })(byHeader('plain', 'one'), {}, at))
  assert.deepEqual(grantTypesOf(nulls), ['authorization_code'])
})

test('a findClient that throws or rejects is a fault, not a refusal', async () => {
  const failing = [
    () => {
      throw new Error('no')
    },
    () => Promise.reject(new OAuthError('invalid_client')),
  ]
  for (const findClient of failing) {
    const authenticate = make({ findClient })
    await assert.rejects(authenticate(NO_HEADERS, posted('plain', 'one'), at), refusedFor('store_unavailable'))
  }
})

test('findClient gets the context of the request', async () => {
  const request = { some: 'request' }
  const seen: unknown[] = []
  const authenticate = make({
    findClient: (id, context) => {
      seen.push(context.request)
      return clients[id]
    },
  })
  await authenticate(NO_HEADERS, posted('plain', 'one'), { request, now: NOW })
  assert.deepEqual(seen, [request])
})

test('assertions go to the verifier with the parameters and the context, and nowhere else', async () => {
  const plain = clients['plain'] as Client
  const seen: unknown[] = []
  const authenticate = make({
    verifyAssertion: Object.assign(
      async (...given: unknown[]) => {
        seen.push(...given)
        return { client: plain, authentication: { method: 'private_key_jwt' as const, alg: 'ES256' } }
      },
      { algorithms: ['ES256'] },
    ),
  })
  const parameters = { client_assertion: 'a.b.c', client_assertion_type: 'x', client_id: 'plain' }
  const context = { now: NOW, endpoint: 'https://as.example/revoke' }
  const authenticated = await authenticate(NO_HEADERS, parameters, context)
  assert.equal(authenticated.authentication.method, 'private_key_jwt')
  assert.deepEqual(seen, [parameters, { ...context, methods: ['private_key_jwt'] }])
  assert.deepEqual(authenticate.signingAlgorithms, ['ES256'])
  const repeated = refusedFor('client_authentication_repeated')
  await assert.rejects(authenticate(byHeader('plain', 'one'), parameters, at), repeated)
  await assert.rejects(authenticate(NO_HEADERS, { ...parameters, client_secret: 'one' }, at), repeated)
})

test('an assertion of a method that is not offered is refused', async () => {
  const authenticate = make({
    methods: ['private_key_jwt'],
    verifyAssertion: async () => ({
      client: clients['plain'] as Client,
      authentication: { method: 'client_secret_jwt' },
    }),
  })
  const parameters = { client_assertion: 'a.b.c', client_assertion_type: 'x' }
  await assert.rejects(authenticate(NO_HEADERS, parameters, at), refusedFor('client_method_mismatch'))
})

test('a method that is not offered is refused before its assertion is spent, and its algorithms are not published (R31, R69)', async (t) => {
  const secret = 'a secret of sixty-four octets, which is enough for any MAC: 1234'
  const record: Client = { client_id: 'mac', token_endpoint_auth_method: 'client_secret_jwt', client_secret: secret }
  const register = testRegister()
  const verifyAssertion = createAssertionVerifier({
    issuer: ISSUER,
    findClient: () => record,
    replayRegister: register,
  })
  const authenticate = make({ methods: ['private_key_jwt', 'none'], verifyAssertion })
  const heard: string[] = []
  t.after(onEvent('client.authenticated', () => heard.push('authenticated')))
  t.after(onEvent('client.refused', ({ reason }) => heard.push(String(reason))))
  const parameters = formWith(assertionWith(secret, { iss: 'mac', sub: 'mac' })) as FormParameters
  await assert.rejects(authenticate(NO_HEADERS, parameters, at), refusedFor('client_method_mismatch'))
  assert.deepEqual([register.remembered, heard], [[], ['client_method_mismatch']])
  assert.ok(verifyAssertion.algorithms.includes('HS256'))
  assert.ok(authenticate.signingAlgorithms.includes('ES256'))
  assert.ok(!authenticate.signingAlgorithms.some((alg) => alg.startsWith('HS')))
  const neither = make({ methods: ['none'], verifyAssertion })
  assert.deepEqual(neither.signingAlgorithms, [])
  await assert.rejects(neither(NO_HEADERS, parameters, at), refusedFor('client_method_mismatch'))
  assert.deepEqual(register.remembered, [])
})

test('events name the client and the reason, and hold no secret', async (t) => {
  const events: (Events['client.authenticated'] | Events['client.refused'])[] = []
  t.after(onEvent('client.authenticated', (event) => events.push(event)))
  t.after(onEvent('client.refused', (event) => events.push(event)))
  const authenticate = make()
  await authenticate(NO_HEADERS, posted('plain', 'one'), at)
  await authenticate(byHeader('plain', 'a-wrong-secret'), {}, at).catch(() => undefined)
  await authenticate(NO_HEADERS, {}, at).catch(() => undefined)
  assert.deepEqual(
    events.map((event) => [event.clientId, 'reason' in event ? event.reason : event.method]),
    [
      ['plain', 'client_secret_post'],
      ['plain', 'client_secret_wrong'],
      [undefined, 'client_authentication_missing'],
    ],
  )
  assert.doesNotMatch(JSON.stringify(events), /a-wrong-secret/)
})

test('options are checked at construction', () => {
  assert.throws(() => make({ findClient: undefined as never }), /option 'findClient' must be a function/)
  assert.throws(() => make({ methods: [] }), /option 'methods'/)
  assert.throws(() => make({ methods: ['basic' as never] }), /option 'methods'/)
  assert.throws(() => make({ methods: ['private_key_jwt'] }), /option 'verifyAssertion'/)
  assert.throws(() => make({ basicDecoding: 'raw' as never }), /option 'basicDecoding'/)
  assert.throws(() => make({ basicDecoding: 'strict', methods: ['none'] }), /option 'basicDecoding' has no effect/)
  assert.throws(() => make({ strict: 'yes' as never }), /option 'strict'/)
})
