import assert from 'node:assert/strict'
import { createHook } from 'node:async_hooks'
import { test } from 'node:test'
import { createClientAuthenticator } from '../../lib/client_authentication/authenticator.ts'
import type { OAuthError } from '../../lib/errors.ts'
import {
  type Client,
  createAssertionVerifier,
  type FormParameters,
  generateClientSecret,
  hashClientSecret,
} from '../../lib/index.ts'
import { assertionBy, formWith, ISSUER, NOW, sharedKey } from '../support/assertions.ts'
import { basicHeader } from '../support/token_route.ts'

const at = { now: NOW }
const byHeader = (id: string, secret: string) => ({ headers: { authorization: basicHeader(id, secret) } })
const make = (clients: Record<string, object>) =>
  createClientAuthenticator({ findClient: (id) => ({ client_id: id, ...clients[id] }) as Client })

/** How many scrypt derivations start while something runs. */
async function derivationsOf(act: () => Promise<unknown>): Promise<number> {
  let count = 0
  const hook = createHook({
    init(_id, type) {
      if (type === 'SCRYPTREQUEST') count += 1
    },
  }).enable()
  await act().catch(() => undefined)
  hook.disable()
  return count
}

test('T91: a generated secret is checked without a key derivation, and is not the hash', async () => {
  const { secret, hash } = generateClientSecret()
  assert.match(secret, /^[\w-]{43}$/)
  assert.match(hash, /^sha256\$[\w-]{43}$/)
  const authenticate = make({ c: { client_secret: [{ value: hash, expires_at: NOW + 1 }] } })
  assert.equal(await derivationsOf(async () => assert.ok(await authenticate(byHeader('c', secret), {}, at))), 0)
  for (const wrong of [hash, `${secret}x`, secret.slice(1)])
    await assert.rejects(authenticate(byHeader('c', wrong), {}, at), { reason: 'client_secret_wrong' })
  await assert.rejects(authenticate(byHeader('c', secret), {}, { now: NOW + 1 }), { reason: 'client_secret_expired' })
})

test('T91: a right secret is derived once, and a wrong one each time', async () => {
  const authenticate = make({ c: { client_secret: await hashClientSecret('one') } })
  const send = (secret: string) => derivationsOf(() => authenticate(byHeader('c', secret), {}, at))
  assert.deepEqual([await send('one'), await send('one'), await send('two'), await send('two')], [1, 0, 1, 1])
  assert.ok(await authenticate(byHeader('c', 'one'), {}, at))
})

test('T92: every failure costs as many derivations as the client with the most hashes', async () => {
  const [one, two] = [await hashClientSecret('one'), await hashClientSecret('two')]
  const findClient = (id: string) => (id === 'nobody' ? undefined : { client_id: id, ...CLIENTS[id] })
  const CLIENTS: Record<string, object> = {
    two: { client_secret: [{ value: one }, { value: two }] },
    single: { client_secret: one },
    ended: {
      client_secret: [
        { value: one, expires_at: NOW },
        { value: two, expires_at: NOW },
      ],
    },
    plain: { client_secret: 'plain' },
    none: { token_endpoint_auth_method: 'none' },
    jwt: { token_endpoint_auth_method: 'private_key_jwt' },
  }
  const authenticate = createClientAuthenticator({ findClient })
  await authenticate(byHeader('two', 'wrong'), {}, at).catch(() => undefined)
  for (const id of ['nobody', ...Object.keys(CLIENTS)])
    assert.equal(await derivationsOf(() => authenticate(byHeader(id, 'wrong'), {}, at)), 2, id)
})

test('T91: a flood of wrong secrets is bounded: the rest is 503 at once, and honest ES256 clients are served', async () => {
  const key = await sharedKey('ES256')
  const es256: Client = { client_id: 'es', token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [key.jwk] } }
  const hash = await hashClientSecret('one')
  const findClient = (id: string): Client => (id === 'es' ? es256 : { client_id: id, client_secret: hash })
  const verifyAssertion = createAssertionVerifier({
    issuer: ISSUER,
    findClient,
    replayRegister: { remember: async () => true },
  })
  const authenticate = createClientAuthenticator({ findClient, verifyAssertion })
  const outcomes: Record<string, number> = {}
  const flood = Array.from({ length: 300 }, (_, at) =>
    authenticate(byHeader('victim', `100%25 ${at}`), {}, { now: NOW }).catch((error: OAuthError) => {
      const name = `${error.status} ${error.reason} ${error.headers['Retry-After'] ?? ''}`
      outcomes[name] = (outcomes[name] ?? 0) + 1
    }),
  )
  const began = performance.now()
  const form = formWith(assertionBy(key, { iss: 'es', sub: 'es' })) as FormParameters
  assert.ok(await authenticate({ headers: {} }, form, at))
  const waited = performance.now() - began
  await Promise.all(flood)
  const lasted = performance.now() - began
  assert.ok(waited < lasted / 3, `${waited} ms of ${lasted} ms`)
  const { '503 store_unavailable 5': refused = 0, '401 client_secret_wrong ': judged = 0 } = outcomes
  assert.equal(refused + judged, 300, JSON.stringify(outcomes))
  assert.ok(judged <= 36 && judged >= 30, JSON.stringify(outcomes))
})

test('R51: the expiry of a secret may be what databases return, and anything else is client_misconfigured', async () => {
  const send = (expiry: unknown, now: number) =>
    make({ c: { client_secret: 'one', client_secret_expires_at: expiry } })(byHeader('c', 'one'), {}, { now })
  for (const expiry of [NOW, String(NOW), BigInt(NOW), new Date(NOW * 1000)]) {
    assert.ok(await send(expiry, NOW - 1))
    await assert.rejects(send(expiry, NOW), { reason: 'client_secret_expired' }, String(expiry))
  }
  for (const never of [undefined, null, 0, 0n, '0', '']) assert.ok(await send(never, NOW))
  for (const wrong of [new Date(NOW * 1000).toISOString(), 'soon', new Date('x'), Number.NaN, {}, true])
    await assert.rejects(send(wrong, NOW), { reason: 'client_misconfigured' }, String(wrong))
  const nested = make({ c: { client_secret: [{ value: 'one', expires_at: 'soon' }] } })
  await assert.rejects(nested(byHeader('c', 'one'), {}, at), {
    reason: 'client_misconfigured',
    detail: /client_secret_expires_at/,
  })
})
