import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Client } from '../../lib/client.ts'
import type { OAuthError } from '../../lib/errors.ts'
import { getRetryQuery } from '../../lib/oauth2orize/retry.ts'
import {
  createSealedTransactions,
  type Oauth2orizeTransaction,
  type SealedTransactionsOptions,
  type TransactionRequest,
} from '../../lib/oauth2orize/transactions.ts'
import { createMemoryReplayRegister } from '../../lib/stores/memory.ts'
import { authorizationApp, CLIENTS, ISSUER, pkcePair, redirected, rightRequest } from '../support/authorization_app.ts'

async function appOf(context: TestContext, ...options: Parameters<typeof authorizationApp>) {
  const app = await authorizationApp(...options)
  context.after(() => app.close())
  const ask = async (more = {}, user = 'alice') => {
    const response = await app.authorizeWith(rightRequest(pkcePair().challenge, more), user)
    return ((await response.json()) as { transaction_id: string }).transaction_id
  }
  const decide = (transaction_id: string, user = 'alice') => app.post('/authorize/decision', { transaction_id }, user)
  return { ...app, ask, decide }
}

/** A store by itself, with what it answers as promises. */
function storeOf(options: Partial<SealedTransactionsOptions<never>> = {}) {
  let now = 1_800_000_000
  const clock = () => now
  const replayRegister = createMemoryReplayRegister({ clock })
  const make = (more: Partial<SealedTransactionsOptions<never>> = {}) => {
    const store = createSealedTransactions({
      issuer: ISSUER,
      secret: 's'.repeat(32),
      findClient: (clientId) => CLIENTS.find((each) => each.client_id === clientId),
      replayRegister,
      clock,
      ...options,
      ...more,
    })
    return {
      seal: (transaction: Partial<Oauth2orizeTransaction> = {}, user: unknown = { sub: 'alice' }) =>
        new Promise<string>((resolve, reject) => {
          const values = rightRequest('c'.repeat(43))
          const req = { type: 'code', scope: ['read'], parameters: { values, unsound: [] } }
          store.store({ headers: {}, user } as TransactionRequest, { req, ...transaction }, (error, id = '') =>
            error ? reject(error) : resolve(id),
          )
        }),
      load: (
        transaction_id: unknown,
        user: unknown = { sub: 'alice' },
        request: object = { body: { transaction_id } },
      ) =>
        new Promise<Oauth2orizeTransaction | undefined>((resolve, reject) => {
          store.load({ headers: {}, user, ...request } as TransactionRequest, (error, transaction) =>
            error ? reject(error) : resolve(transaction),
          )
        }),
      store,
    }
  }
  return { ...make(), make, pass: (seconds: number) => (now += seconds) }
}

test('a transaction comes back as it was: client, redirect URI, scope, parameters and info', async () => {
  const { seal, load } = storeOf()
  const id = await seal({ info: { seen: true } })
  const transaction = await load(id)
  assert.equal(transaction?.client, CLIENTS[0])
  assert.equal(transaction?.redirectURI, 'https://client.example/cb')
  assert.deepEqual(transaction?.req?.scope, ['read'])
  assert.equal(transaction?.req?.codeChallenge, 'c'.repeat(43))
  assert.equal(transaction?.req?.state, 'st')
  assert.deepEqual(transaction?.info, { seen: true })
  assert.equal(transaction?.transactionID, id)
})

test('O43 one consent gives one code: of a form sent ten times at once, nine are refused', async (context) => {
  const app = await appOf(context)
  const id = await app.ask()
  const answers = await Promise.all(Array.from({ length: 10 }, () => app.decide(id)))
  const locations = answers.flatMap((each) => each.headers.get('location') ?? [])
  assert.equal(locations.length, 1)
  assert.equal(answers.filter((each) => each.status === 400).length, 9)
})

test('O43 the transaction is used up before anything is issued: when issuing fails, the form is dead all the same', async (context) => {
  let issued = 0
  const codes = {
    add: async () => {
      issued += 1
      throw new Error('down')
    },
    find: async () => undefined,
    countFailure: async () => 0,
    spend: async () => 'unknown' as const,
  }
  const app = await appOf(context, { options: { codes } })
  const id = await app.ask()
  assert.equal(redirected(await app.decide(id)).searchParams.get('error'), 'temporarily_unavailable')
  assert.equal((await app.decide(id)).status, 400)
  assert.equal(issued, 1)
})

test('O43 a register that fails is a 503 page, and nothing is issued', async (context) => {
  const replayRegister = { remember: () => Promise.reject(new Error('ECONNREFUSED')) }
  const app = await appOf(context, { options: { replayRegister } })
  const response = await app.decide(await app.ask())
  assert.equal(response.status, 503)
  assert.equal(response.headers.get('location'), null)
})

test('O44 another user cannot decide a transaction, and trying does not use it up', async (context) => {
  const app = await appOf(context)
  const id = await app.ask({}, 'alice')
  const stolen = await app.decide(id, 'mallory')
  assert.equal(stolen.status, 403)
  assert.equal(stolen.headers.get('location'), null)
  assert.ok(redirected(await app.decide(id, 'alice')).searchParams.has('code'))
})

test('O44 nor can somebody who is not logged in', async (context) => {
  const app = await appOf(context)
  const id = await app.ask()
  const body = new URLSearchParams({ transaction_id: id })
  const response = await fetch(`${app.base}/authorize/decision`, { method: 'POST', body, redirect: 'manual' })
  assert.equal(response.status, 401)
})

test('O45 O46 the id cannot be guessed, and nothing is kept for requests that nobody answers', async () => {
  const { seal } = storeOf()
  const ids = await Promise.all(Array.from({ length: 50 }, () => seal()))
  assert.equal(new Set(ids).size, 50)
  assert.equal(new Set(ids.map((id) => id.slice(0, 16))).size, 50)
  for (const id of ids) assert.match(id, /^[A-Za-z0-9_-]+$/)
  assert.equal(
    ids.some((id) => Buffer.from(id, 'base64url').toString('latin1').includes('client.example')),
    false,
  )
})

test('O47 no session is needed, and any process with the secret takes the answer; use is shared by the register', async () => {
  const { make } = storeOf()
  const one = make()
  const other = make()
  const id = await one.seal()
  assert.ok(await other.load(id))
  await assert.rejects(one.load(id), { reason: 'transaction_spent' })
})

test('O53 no text from outside is used as a property name: __proto__, constructor and the like are just unknown', async () => {
  const { load } = storeOf()
  const before = Object.getOwnPropertyNames(Object.prototype).length
  for (const id of ['__proto__', 'constructor', 'toString', 'hasOwnProperty'])
    await assert.rejects(load(id), { reason: 'transaction_unknown' })
  await assert.rejects(load(undefined, { sub: 'alice' }, { body: Object.create({ transaction_id: 'x' }) }), {
    reason: 'transaction_missing',
  })
  assert.equal(Object.getOwnPropertyNames(Object.prototype).length, before)
})

test('O53 ids of every wrong kind are refused: missing, repeated, bracketed, of another type, forged, cut, too long', async () => {
  const { seal, load } = storeOf()
  for (const missing of [undefined, '', null, ['a', 'b'], { a: 'b' }, 1])
    await assert.rejects(load(missing), { reason: 'transaction_missing' })
  const id = await seal()
  const changed = (id[40] === 'A' ? 'B' : 'A') + id.slice(41)
  for (const forged of [
    id.slice(0, -4),
    id.slice(0, 40) + changed,
    `${id}AAAA`,
    `${id}\n`,
    `${id} `,
    `${id}=`,
    'A'.repeat(100),
    'A'.repeat(200_001),
    '\u0000'.repeat(100),
  ])
    await assert.rejects(load(forged), { reason: 'transaction_unknown' })
  assert.ok(await load(id))
})

test('O1: a form that no middleware has parsed is the fault of the host, and the event names the middleware', async () => {
  const { load } = storeOf()
  const form = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '42' }
  const unparsed = { method: 'POST', headers: form, body: undefined }
  await assert.rejects(load(undefined, { sub: 'alice' }, unparsed), {
    reason: 'misconfigured',
    detail: /express\.urlencoded\(\)/,
  })
  await assert.rejects(load(undefined, { sub: 'alice' }, { ...unparsed, body: {} }), { reason: 'transaction_missing' })
})

test('the id may also come by the query, once; the field may have another name', async () => {
  const { seal, load, make } = storeOf()
  const id = await seal()
  await assert.rejects(load(undefined, { sub: 'alice' }, { url: `/x?transaction_id=${id}&transaction_id=${id}` }), {
    reason: 'transaction_missing',
  })
  assert.ok(await load(undefined, { sub: 'alice' }, { url: `/x?transaction_id=${id}` }))
  const named = make({ transactionField: 'txn' })
  assert.ok(await named.load(undefined, { sub: 'alice' }, { body: { txn: await named.seal() } }))
})

test('O54 an expired transaction is a page with a link to start again, and nothing is redirected or issued', async (context) => {
  let now = 1_800_000_000
  const app = await appOf(context, { now: () => now })
  const id = await app.ask({ state: '"><x' })
  now += 600
  const response = await app.decide(id)
  assert.equal(response.status, 400)
  assert.equal(response.headers.get('location'), null)
  const page = await response.text()
  const link = /href="([^"]+)"/.exec(page)?.[1]?.replaceAll('&amp;', '&') ?? ''
  assert.match(link, /^\/authorize\?response_type=code&client_id=web/)
  const again = await app.authorizeWith(link.slice(link.indexOf('?') + 1))
  assert.equal(again.status, 200)
})

test('O54 a transaction of an express-session that is gone cannot happen; one that is missing is a page, not JSON', async (context) => {
  const app = await appOf(context)
  for (const body of [{}, { transaction_id: '' }, { transaction_id: 'abcdefgh' }]) {
    const response = await app.post('/authorize/decision', body as Record<string, string>)
    assert.equal(response.status, 400)
    assert.match(response.headers.get('content-type') ?? '', /text\/html/)
    assert.match(await response.text(), /start again|missing/)
  }
})

test('retryOf knows the way back for what has expired or was sent before, and for nothing else', async () => {
  const { seal, load, pass } = storeOf()
  const id = await seal()
  await load(id)
  const again = await load(id).catch((error: OAuthError) => error)
  assert.match(getRetryQuery(again as OAuthError) ?? '', /^\?response_type=code/)
  const forged = await load('A'.repeat(100)).catch((error: OAuthError) => error)
  assert.equal(getRetryQuery(forged as OAuthError), undefined)
  const late = await seal()
  pass(599)
  assert.ok(await load(late))
})

test('the client is read anew: one that is gone, or has lost the redirect URI, gets nothing', async () => {
  let clients: readonly Client[] = CLIENTS
  const { seal, load } = storeOf({ findClient: (clientId) => clients.find((each) => each.client_id === clientId) })
  const id = await seal()
  clients = []
  await assert.rejects(load(id), { reason: 'client_unknown' })
  clients = [{ ...(CLIENTS[0] as Client), redirect_uris: ['https://new.example/'] }]
  await assert.rejects(load(id), { reason: 'redirect_uri_not_registered' })
  clients = CLIENTS
  assert.ok(await load(id))
})

test('secrets rotate: the first seals, all open; another secret or issuer opens nothing', async () => {
  const { seal, make } = storeOf()
  const id = await seal()
  const rotated = make({ secret: ['n'.repeat(32), 's'.repeat(32)] })
  const fresh = await rotated.seal()
  assert.ok(await rotated.load(id))
  await assert.rejects(make().load(fresh), { reason: 'transaction_unknown' })
  const more = await seal()
  await assert.rejects(make({ secret: 'o'.repeat(32) }).load(more), { reason: 'transaction_unknown' })
  await assert.rejects(make({ issuer: 'https://other.example' }).load(more), { reason: 'transaction_unknown' })
})

test('update seals anew under an id of its own, and remove has nothing to do', async () => {
  const { seal, load, store } = storeOf()
  const first = await load(await seal())
  const second = await new Promise<string>((resolve, reject) =>
    store.update({ headers: {}, user: { sub: 'alice' } } as TransactionRequest, '', first ?? {}, (error, id = '') =>
      error ? reject(error) : resolve(id),
    ),
  )
  assert.equal((await load(second))?.redirectURI, first?.redirectURI)
  store.remove({ headers: {} } as TransactionRequest, '', (error) => assert.equal(error, null))
})

test('subjects: sub, or else id, as text or number; an option for anything else; no subject is a misconfiguration', async () => {
  const { seal, load, make } = storeOf()
  assert.ok(await load(await seal({}, { id: 7 }), { id: '7' }))
  await assert.rejects(seal({}, {}), { reason: 'misconfigured', status: 500 })
  await assert.rejects(seal({}, null), { reason: 'user_not_logged_in', status: 401 })
  const mails = make({ subjectOf: (user: { mail: string }) => user.mail })
  assert.ok(await mails.load(await mails.seal({}, { mail: 'a@b.c' }), { mail: 'a@b.c' }))
})

test('options are checked when the store is made, and a secret is never shown', () => {
  const { make } = storeOf()
  for (const secret of ['short secret', '', [], ['s'.repeat(32), 'short'], 7 as never, undefined as never])
    assert.throws(
      () => make({ secret }),
      (error: Error) => /option 'secret' must/.test(error.message) && !error.message.includes('short secret'),
    )
  assert.throws(() => make({ transactionLifetimeSeconds: 5 }), /option 'transactionLifetimeSeconds' must/)
  assert.throws(() => make({ replayRegister: {} as never }), /option 'replayRegister' must/)
  assert.throws(() => make({ issuer: '' }), /option 'issuer' must/)
  assert.throws(() => make({ findClient: undefined as never }), /option 'findClient' must/)
})

test('a host without a framework can use the store: a bare node:http server with a parsed body', async (context) => {
  const { seal, store } = storeOf()
  const id = await seal()
  const server = createServer((request, response) => {
    const bare: TransactionRequest = Object.assign(request, { user: { sub: 'alice' } })
    store.load(bare, (error, transaction) => response.end(error ? 'refused' : transaction?.client?.client_id))
  }).listen(0, '127.0.0.1')
  context.after(() => server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/?transaction_id=${id}`)).text(), 'web')
})
