import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { Client } from '../../lib/client.ts'
import type { AuthorizationCode } from '../../lib/code/code_record.ts'
import type { CodeStore } from '../../lib/code/code_store.ts'
import { type CodePermission, createCodes, type RedeemOptions } from '../../lib/code/codes.ts'
import { onEvent } from '../../lib/events.ts'
import { createMemoryCodeStore } from '../../lib/stores/memory.ts'
import { pkcePair } from '../support/authorization_app.ts'

const NOW = 1_800_000_000
const client: Client = { client_id: 'web', client_secret: 'x'.repeat(40) }
const open: Client = { client_id: 'web', token_endpoint_auth_method: 'none' }
const REDIRECT = 'https://client.example/cb'

async function issued(permission: Partial<CodePermission> = {}) {
  let now = NOW
  const added: AuthorizationCode[] = []
  const memory = createMemoryCodeStore({ clock: () => now })
  const store: CodeStore = {
    ...memory,
    add: async (code) => {
      added.push(code)
      return memory.add(code)
    },
  }
  const codes = createCodes({ store })
  const { verifier, challenge } = pkcePair()
  const code = await codes.issue(
    {
      subject: 'alice',
      clientId: 'web',
      scope: 'read',
      redirectUri: REDIRECT,
      redirectUriWasSent: true,
      codeChallenge: challenge,
      ...permission,
    },
    NOW,
  )
  const [record] = added
  assert.ok(record)
  const redeem = async (
    presented: { client?: Client; redirectUri?: string | undefined; codeVerifier?: string | undefined } = {},
    options: Partial<RedeemOptions> & { code?: string } = {},
  ) => {
    now = options.now ?? NOW
    const got = await codes.redeem(
      options.code ?? code,
      { client, redirectUri: REDIRECT, codeVerifier: verifier, ...presented },
      { now, ...options },
    )
    return got.outcome === 'spent'
      ? { outcome: 'spent', ends: undefined }
      : { outcome: got.error.reason, ends: got.endSession?.id, code: got.error.code }
  }
  return { code, record, redeem, store, codes }
}
const wrong = 'w'.repeat(43)

test('D1 a code is 32 random octets; the store sees its SHA-256, in no member the code itself', async () => {
  const { code, record } = await issued()
  assert.match(code, /^[A-Za-z0-9_-]{43}$/)
  assert.equal(record.id, createHash('sha256').update(code).digest('base64url'))
  assert.equal(JSON.stringify(record).includes(code), false)
  assert.equal(Buffer.from(code, 'base64url').length, 32)
})

test('D1 the record names client, user, scope, redirect URI, challenge, the session it will open, and its times', async () => {
  const { record } = await issued({ extra: { nonce: 'n' }, redirectUriWasSent: false })
  const { id, codeChallenge, sessionId, ...rest } = record
  assert.equal(id.length, 43)
  assert.equal(codeChallenge?.length, 43)
  assert.match(sessionId, /^[A-Za-z0-9_-]{43}$/)
  assert.deepEqual(rest, {
    clientId: 'web',
    subject: 'alice',
    scope: 'read',
    redirectUri: REDIRECT,
    redirectUriWasSent: false,
    issuedAt: NOW,
    expiresAt: NOW + 60,
    keepUntil: NOW + 60 + 1800,
    failures: 0,
    spent: false,
    extra: { nonce: 'n' },
    version: 1,
  })
})

test('lifetimes are checked when the codes are made', () => {
  const store = createMemoryCodeStore()
  for (const codeLifetimeSeconds of [0, 86_401, 1.5, Number.NaN, '60' as never])
    assert.throws(() => createCodes({ store, codeLifetimeSeconds }), /option 'codeLifetimeSeconds' must/)
  assert.throws(() => createCodes({ store, keepSpentCodeSeconds: -1 }), /option 'keepSpentCodeSeconds' must/)
  assert.throws(() => createCodes({ store: {} as never }), /option 'codes' must/)
})

test('T40 a code that was never issued is invalid_grant', async () => {
  const { redeem } = await issued()
  assert.deepEqual(await redeem({}, { code: 'A'.repeat(43) }), {
    outcome: 'code_unknown',
    ends: undefined,
    code: 'invalid_grant',
  })
})

test('D7 what is not 43 characters of base64url is refused without a look at the store', async () => {
  const never = () => assert.fail('the store was asked')
  const codes = createCodes({ store: { add: never, find: never, countFailure: never, spend: never } })
  for (const code of [
    '',
    'x',
    'A'.repeat(42),
    'A'.repeat(44),
    `${'A'.repeat(42)}+`,
    'A'.repeat(10_000),
    `${'A'.repeat(42)}\u0000`,
  ]) {
    const got = await codes.redeem(code, { client, redirectUri: REDIRECT, codeVerifier: wrong }, { now: NOW })
    assert.ok(got.outcome === 'refused' && got.error.reason === 'code_unknown')
  }
})

test('T41 a code is good in the second it expires, and not in the next', async () => {
  const late = await issued()
  assert.equal((await late.redeem({}, { now: NOW + 61 })).outcome, 'code_expired')
  assert.equal((await late.redeem({}, { now: NOW + 60 })).outcome, 'spent')
})

test('T42 D2 the first thing that is wrong is named: client, expiry, redirect URI, verifier', async () => {
  const { redeem } = await issued()
  const other = { client_id: 'other' }
  const all = { client: other, redirectUri: 'https://x.example/', codeVerifier: wrong }
  assert.equal((await redeem(all, { now: NOW + 100 })).outcome, 'code_of_another_client')
  assert.equal((await redeem({ ...all, client }, { now: NOW + 100 })).outcome, 'code_expired')
  assert.equal((await redeem({ ...all, client })).outcome, 'redirect_uri_mismatch')
  assert.equal((await redeem({ codeVerifier: wrong })).outcome, 'code_verifier_wrong')
  assert.equal((await redeem()).outcome, 'spent')
})

test('T43: redirect_uri may be left out where a challenge was verified; if it is sent, it must match', async () => {
  const left = await issued()
  assert.equal((await left.redeem({ redirectUri: undefined, codeVerifier: wrong })).outcome, 'code_verifier_wrong')
  assert.equal((await left.redeem({ redirectUri: undefined, codeVerifier: undefined })).outcome, 'parameter_missing')
  assert.equal((await left.redeem({ redirectUri: `${REDIRECT}/` })).outcome, 'redirect_uri_mismatch')
  assert.equal((await left.redeem({ redirectUri: undefined })).outcome, 'spent')
})

test('S20: a code record of a later version is a fault, 503, and stays as it is', async () => {
  for (const version of [3, 0, '1', undefined]) {
    const { store, record, redeem } = await issued()
    const { find } = store
    const later = async (id: string) => ({ ...(await find(id)), version }) as never
    Object.assign(store, { find: later })
    await assert.rejects(redeem(), { status: 503, reason: 'store_unavailable' })
    assert.equal((await find(record.id))?.spent, false)
  }
})

test('T43 E12 without a challenge redirect_uri is required if the authorization request carried it, and else compared if sent', async () => {
  const sent = await issued({ codeChallenge: undefined })
  const noVerifier = { codeVerifier: undefined }
  const missing = await sent.redeem({ ...noVerifier, redirectUri: undefined })
  assert.deepEqual([missing.outcome, missing.code], ['parameter_missing', 'invalid_request'])
  assert.deepEqual((await sent.redeem({ ...noVerifier, redirectUri: `${REDIRECT}/` })).code, 'invalid_grant')
  assert.equal((await sent.redeem(noVerifier)).outcome, 'spent')
  const unsent = await issued({ redirectUriWasSent: false })
  assert.equal((await unsent.redeem({ redirectUri: `${REDIRECT}/` })).outcome, 'redirect_uri_mismatch')
  assert.equal((await unsent.redeem({ redirectUri: undefined })).outcome, 'spent')
})

test('T44 a missing verifier and one without a challenge are invalid_request, a wrong one is invalid_grant', async () => {
  const { redeem } = await issued()
  const missing = await redeem({ codeVerifier: undefined })
  assert.deepEqual([missing.outcome, missing.code], ['parameter_missing', 'invalid_request'])
  assert.equal((await redeem({ codeVerifier: wrong })).code, 'invalid_grant')
  const plain = await issued({ codeChallenge: undefined })
  const unexpected = await plain.redeem()
  assert.deepEqual([unexpected.outcome, unexpected.code], ['code_verifier_unexpected', 'invalid_request'])
  assert.equal((await plain.redeem({ codeVerifier: undefined })).outcome, 'spent')
})

test('T46 D3 X7 four wrong verifiers leave the code alive; the fifth kills it, also for the right one', async () => {
  const alive = await issued()
  for (let count = 0; count < 4; count += 1) await alive.redeem({ codeVerifier: wrong })
  assert.equal((await alive.redeem()).outcome, 'spent')
  const killed = await issued()
  for (let count = 0; count < 5; count += 1)
    assert.equal((await killed.redeem({ codeVerifier: wrong })).outcome, 'code_verifier_wrong')
  const after = await killed.redeem()
  assert.deepEqual([after.outcome, after.code], ['code_dead', 'invalid_grant'])
})

test('D3 only a wrong verifier from the right client with the right redirect URI is counted', async () => {
  const { redeem } = await issued()
  for (let count = 0; count < 10; count += 1) {
    await redeem({ client: { client_id: 'other' }, codeVerifier: wrong })
    await redeem({ redirectUri: 'https://x.example/', codeVerifier: wrong })
    await redeem({ redirectUri: 'https://x.example/', codeVerifier: undefined })
    await redeem({ codeVerifier: undefined })
    await redeem({ codeVerifier: wrong }, { now: NOW + 61 })
  }
  assert.equal((await redeem()).outcome, 'spent')
})

test('X7 ten wrong verifiers and the right one at once: the right one never comes after the fifth failure', async () => {
  const { redeem, record, store } = await issued()
  await Promise.all(Array.from({ length: 10 }, () => redeem({ codeVerifier: wrong })))
  assert.ok(((await store.find(record.id))?.failures ?? 0) >= 5) // those that come after the fifth find it dead
  assert.equal((await redeem()).outcome, 'code_dead')
})

test('X7 a request that had read the code before it died does not get it either', async () => {
  const { redeem } = await issued()
  const got = await redeem(
    {},
    {
      permits: async () => {
        for (let count = 0; count < 5; count += 1) await redeem({ codeVerifier: wrong })
        return true
      },
    },
  )
  assert.equal(got.outcome, 'code_spent')
})

test('T51 D4 a replay with client, redirect URI and verifier names the session to end, and until when to remember that', async () => {
  const { redeem, record, codes, code } = await issued()
  assert.equal((await redeem()).outcome, 'spent')
  assert.deepEqual(await redeem(), { outcome: 'code_spent', ends: record.sessionId, code: 'invalid_grant' })
  const replay = await codes.redeem(code, { client, redirectUri: REDIRECT, codeVerifier: wrong }, { now: NOW })
  assert.ok(replay.outcome === 'refused' && replay.endSession === undefined)
})

test('D4 a replay without all proofs is only refused: another client, redirect URI, verifier, or none', async () => {
  const { redeem } = await issued()
  await redeem()
  for (const presented of [
    { client: { client_id: 'other' } },
    { redirectUri: 'https://x.example/' },
    { redirectUri: undefined, codeVerifier: wrong },
    { codeVerifier: wrong },
    { codeVerifier: undefined },
  ]) {
    const got = await redeem(presented)
    assert.deepEqual([got.code, got.ends], ['invalid_grant', undefined], JSON.stringify(presented))
  }
})

test('D6 a spent code is recognised after its expiry for as long as it is kept, and the marker outlives it', async () => {
  const { redeem, record, code, codes } = await issued()
  await redeem()
  assert.equal((await redeem({}, { now: NOW + 60 + 1799 })).ends, record.sessionId)
  const got = await codes.redeem(code, { client, redirectUri: REDIRECT, codeVerifier: wrong }, { now: NOW + 1900 })
  assert.ok(got.outcome === 'refused' && got.error.reason === 'code_unknown')
  const again = await issued()
  await again.redeem()
  const { verifier, challenge } = pkcePair()
  const second = await again.codes.issue(
    {
      subject: 'a',
      clientId: 'web',
      scope: '',
      redirectUri: REDIRECT,
      redirectUriWasSent: true,
      codeChallenge: challenge,
    },
    NOW,
  )
  const proofs = { client, redirectUri: REDIRECT, codeVerifier: verifier }
  await again.codes.redeem(second, proofs, { now: NOW })
  const replayed = await again.codes.redeem(second, proofs, { now: NOW })
  assert.ok(replayed.outcome === 'refused')
  assert.equal(replayed.endSession?.markerExpiresAt, NOW + 60 + 1800)
})

test('D4 without PKCE a confidential client proves itself; a public one proves nothing, so its replay ends nothing', async () => {
  const secret = await issued({ codeChallenge: undefined })
  await secret.redeem({ codeVerifier: undefined })
  assert.equal((await secret.redeem({ codeVerifier: undefined })).ends, secret.record.sessionId)
  const bare = await issued({ codeChallenge: undefined })
  await bare.redeem({ codeVerifier: undefined, client: open })
  assert.deepEqual(await bare.redeem({ codeVerifier: undefined, client: open }), {
    outcome: 'code_spent',
    ends: undefined,
    code: 'invalid_grant',
  })
  const withPkce = await issued()
  await withPkce.redeem({ client: open })
  assert.equal((await withPkce.redeem({ client: open })).ends, withPkce.record.sessionId)
})

test('D11 a permission that no longer stands is refused before the code is spent', async () => {
  const { redeem } = await issued()
  assert.equal((await redeem({}, { permits: () => false })).outcome, 'permission_withdrawn')
  const wrong = { status: 500, reason: 'misconfigured', detail: /'permits'/ }
  await assert.rejects(redeem({}, { permits: async () => 'yes' as never }), wrong)
  await assert.rejects(redeem({}, { permits: () => Promise.reject(new Error('down')) }), { status: 503 })
  assert.equal((await redeem({}, { permits: async () => true })).outcome, 'spent')
})

test('D11 a permission that is withdrawn while the session is opened is refused, and the session ends', async () => {
  const { redeem, record } = await issued()
  let permitted = true
  const prepare = async () => {
    permitted = false
  }
  const outcome = await redeem({}, { permits: () => permitted, prepare })
  assert.deepEqual([outcome.outcome, outcome.ends], ['permission_withdrawn', record.sessionId])
})

test('a store that fails is 503, never invalid_grant', async () => {
  const { store, code } = await issued()
  const proofs = { client, redirectUri: REDIRECT, codeVerifier: wrong }
  const down = () => Promise.reject(new Error('ECONNREFUSED 10.0.0.3'))
  for (const verb of ['find', 'countFailure'] as const) {
    const codes = createCodes({ store: { ...store, [verb]: down } })
    await assert.rejects(codes.redeem(code, proofs, { now: NOW }), { status: 503, code: 'temporarily_unavailable' })
  }
  const codes = createCodes({ store: { ...store, add: down } })
  await assert.rejects(
    codes.issue(
      {
        subject: 'a',
        clientId: 'web',
        scope: '',
        redirectUri: REDIRECT,
        redirectUriWasSent: true,
        codeChallenge: undefined,
      },
      NOW,
    ),
    { status: 503 },
  )
})

test('events say that a code was issued, spent and replayed, and with which certainty; none holds the code', async () => {
  const heard: unknown[] = []
  const stops = (['code.issued', 'code.spent', 'code.replayed'] as const).map((name) =>
    onEvent(name, (event) => heard.push([name, event])),
  )
  const { redeem, record, code } = await issued()
  await redeem()
  await redeem()
  await redeem({ codeVerifier: wrong })
  await redeem({ client: { client_id: 'other' } })
  for (const stop of stops) stop()
  const base = { clientId: 'web', subject: 'alice', sessionId: record.sessionId }
  assert.deepEqual(heard, [
    ['code.issued', base],
    ['code.spent', base],
    ['code.replayed', { ...base, proven: true }],
    ['code.replayed', { ...base, proven: false }],
    ['code.replayed', { ...base, proven: false }],
  ])
  assert.equal(JSON.stringify(heard).includes(code), false)
})

test('RI17: a code that is bound to a resource or a key is version 2, and a damaged binding is a fault', async () => {
  const store = createMemoryCodeStore({ clock: () => NOW })
  const codes = createCodes({ store })
  const permission: CodePermission = {
    subject: 'alice',
    clientId: 'web',
    scope: 'read',
    redirectUri: REDIRECT,
    redirectUriWasSent: true,
    codeChallenge: undefined,
  }
  const presented = { client, redirectUri: REDIRECT, codeVerifier: undefined, keyThumbprint: 'thumbprint' }
  for (const [binding, version] of [
    [{}, 1],
    [{ resources: ['https://a.example', 'https://b.example'] }, 2],
    [{ keyThumbprint: 'thumbprint' }, 2],
  ] as const) {
    const code = await codes.issue({ ...permission, ...binding }, NOW)
    const redeemed = await codes.redeem(code, presented, { now: NOW })
    assert.ok(redeemed.outcome === 'spent')
    const { resources, keyThumbprint } = redeemed.code
    assert.deepEqual(
      [{ ...binding, resources, keyThumbprint }, redeemed.code.version],
      [{ resources: undefined, keyThumbprint: undefined, ...binding }, version],
    )
  }
  const code = await codes.issue({ ...permission, keyThumbprint: 'thumbprint' }, NOW)
  for (const damage of [{ resources: 'https://a.example' }, { keyThumbprint: 1 }]) {
    const find = async (id: string) => ({ ...(await store.find(id)), ...damage }) as never
    await assert.rejects(createCodes({ store: { ...store, find } }).redeem(code, presented, { now: NOW }), {
      status: 503,
    })
  }
})
