import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAssertionVerifier } from '../lib/assertion/verify.ts'
import { createClientAuthenticator } from '../lib/client_authentication/authenticator.ts'
import { awaitAnswer, type OAuthError } from '../lib/errors.ts'
import type { FindClient } from '../lib/index.ts'
import { validateAuthorization } from '../lib/oauth2orize/index.ts'
import { assertionWith, formWith, ISSUER, testRegister } from './support/assertions.ts'

const SECRET = 'x'.repeat(64)
const NO_HEADERS = { headers: {} }

/** Each way in which an endpoint looks a client up, by the reason it refuses `clientId` for. */
const LOOKUPS: Record<string, (findClient: FindClient, clientId: string) => Promise<string>> = {
  async 'a secret'(findClient, client_id) {
    const authenticate = createClientAuthenticator({ findClient })
    return reasonOf(authenticate(NO_HEADERS, { client_id, client_secret: 'x' }))
  },
  async 'a public client'(findClient, client_id) {
    return reasonOf(createClientAuthenticator({ findClient })(NO_HEADERS, { client_id }))
  },
  async 'an assertion'(findClient, id) {
    const verify = createAssertionVerifier({ issuer: ISSUER, findClient, replayRegister: testRegister() })
    return reasonOf(verify(formWith(assertionWith(SECRET, { iss: id, sub: id }))))
  },
  async 'an authorization request'(findClient, clientID) {
    const validate = validateAuthorization({ findClient })
    return new Promise((resolve) => {
      validate({ type: 'code', clientID }, (error) => resolve(String((error as OAuthError | null)?.reason)))
    })
  },
}

async function reasonOf(outcome: Promise<unknown>): Promise<string> {
  try {
    await outcome
    return 'accepted'
  } catch (error) {
    return String((error as OAuthError).reason)
  }
}

const record = (client_id: string) => ({ client_id, client_secret: SECRET, token_endpoint_auth_method: 'none' })

for (const [name, reasonFor] of Object.entries(LOOKUPS)) {
  test(`T89: what findClient returned is judged alike for ${name}`, async () => {
    assert.equal(await reasonFor(() => record('someone'), 'SOMEONE'), 'client_unknown', 'another case')
    assert.equal(await reasonFor(() => ({ clientId: 'a' }) as never, 'a'), 'client_misconfigured', 'no client_id')
    assert.equal(await reasonFor(() => ({ ...record('a'), scope: ['x'] }) as never, 'a'), 'client_misconfigured')
    for (const none of [undefined, null]) assert.equal(await reasonFor(() => none, 'a'), 'client_unknown')
    for (const broken of [() => Promise.reject(new Error('down')), thrower])
      assert.equal(await reasonFor(broken, 'a'), 'store_unavailable')
    // biome-ignore lint/suspicious/noThenProperty: a query of a database library, as Mongoose and Knex have it
    const query = { then: (found: (value: unknown) => void) => found(undefined) }
    assert.equal(await reasonFor(() => query as never, 'a'), 'client_unknown', 'a thenable whose then returns nothing')
  })

  test(`T32: an identifier of more than 1,024 characters is not looked up for ${name}`, async () => {
    const asked: string[] = []
    const findClient: FindClient = (id) => {
      asked.push(id)
      return record(id)
    }
    assert.notEqual(await reasonFor(findClient, 'x'.repeat(1024)), 'client_unknown')
    assert.equal(asked.length, 1)
    for (const id of ['x'.repeat(1025), 'x'.repeat(2048), 'a\u0000b', 'a\nb', 'a\u0085b'])
      assert.match(await reasonFor(findClient, id), /^(client_unknown|assertion_subject_malformed)$/)
    assert.equal(asked.length, 1)
  })
}

function thrower(): never {
  throw new Error('down')
}

test('T90: a look-up that never settles is answered with 503 in time, for every endpoint', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  for (const [name, reasonFor] of Object.entries(LOOKUPS)) {
    const reason = reasonFor(() => new Promise<never>(() => {}), 'a')
    await new Promise((resolve) => setImmediate(resolve))
    t.mock.timers.tick(30_000)
    assert.equal(await reason, 'store_unavailable', name)
  }
})

test('T89: the error of a look-up that fails names findClient for operators', async (t) => {
  const validate = (findClient: FindClient, timeoutMilliseconds?: number) =>
    new Promise<unknown>((resolve) => {
      validateAuthorization({ findClient, timeoutMilliseconds })({ type: 'code', clientID: 'a' }, resolve)
    })
  const authenticate = (findClient: FindClient) =>
    createClientAuthenticator({ findClient })(NO_HEADERS, { client_id: 'a', client_secret: 'x' }).catch(
      (error: unknown) => error,
    )
  const failed = "the option 'findClient' threw, rejected, or did not settle in time"
  for (const ask of [validate, authenticate])
    for (const broken of [() => Promise.reject(new Error('down')), thrower, () => Promise.reject(undefined)]) {
      const { reason, detail, message } = (await ask(broken)) as OAuthError
      assert.deepEqual({ reason, detail }, { reason: 'store_unavailable', detail: failed })
      assert.doesNotMatch(message, /findClient/)
    }
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const late = validate(() => new Promise<never>(() => {}), 100)
  await new Promise((resolve) => setImmediate(resolve))
  t.mock.timers.tick(100)
  assert.equal(((await late) as OAuthError).detail, "the option 'findClient' did not settle within 100 ms")
})

test('T90: what is awaited of the application leaves no timer behind, and settles once', async (t) => {
  const made = t.mock.method(globalThis, 'setTimeout')
  const cleared = t.mock.method(globalThis, 'clearTimeout')
  assert.equal(await awaitAnswer(Promise.resolve(1), (value) => value + 1), 2)
  await assert.rejects(awaitAnswer(Promise.reject(new Error('no')), String), { reason: 'store_unavailable' })
  // biome-ignore lint/suspicious/noThenProperty: an object of the application
  const broken = { then: thrower }
  await assert.rejects(awaitAnswer(broken as never, String), { reason: 'store_unavailable' })
  await assert.rejects(awaitAnswer(Promise.resolve(1), thrower), { message: 'down' })
  assert.equal(made.mock.callCount(), 0, 'what is settled already needs no timer')
  const later = <T>(settle: () => T) => new Promise(setImmediate).then(settle)
  assert.equal(
    await awaitAnswer(
      later(() => 1),
      (value) => value + 1,
    ),
    2,
  )
  await assert.rejects(awaitAnswer(later(thrower), String), { reason: 'store_unavailable' })
  assert.deepEqual(
    cleared.mock.calls.map(({ arguments: [timer] }) => timer),
    made.mock.calls.map(({ result }) => result),
  )
  assert.equal(made.mock.callCount(), 2)
})
