// G10: tokens of one old session (`sid`) stand for one session here, on every store.
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { PGlite } from '@electric-sql/pglite'
import { Redis } from 'ioredis'
import type { Client } from '../../lib/client.ts'
import { createRevocation } from '../../lib/endpoints/revocation.ts'
import { OAuthError } from '../../lib/errors.ts'
import { onEvent } from '../../lib/events.ts'
import { refreshToken } from '../../lib/exchanges/refresh_token.ts'
import type { SessionStore } from '../../lib/session/session_store.ts'
import { createSessions, type SessionsOptions } from '../../lib/session/sessions.ts'
import { createMemorySessionStore } from '../../lib/stores/memory.ts'
import { createPostgresStores } from '../../lib/stores/postgres.ts'
import { createRedisStores } from '../../lib/stores/redis.ts'
import type { AdoptedPermission } from '../../lib/token/adopted_token.ts'
import { createTokens } from '../../lib/token/token_set.ts'
import { redisServer, without } from '../support/programs.ts'
import { startRedis } from '../support/redis_server.ts'
import { everySchedule, type Node } from '../support/schedules.ts'

const SECRET = 'a base secret of more than thirty-two bytes'
const ISSUER = 'https://as.example'
const START = Math.floor(Date.now() / 1000)
const DAY = 86_400
const client: Client = { client_id: 'app', grant_types: ['refresh_token'], scope: 'read write' }

type Old = Partial<AdoptedPermission> & { readonly sid?: unknown; readonly rank?: unknown; readonly openedAt?: unknown }

/** Tokens are JSON: what `adopt` returns for them. */
const adopt = (token: string): AdoptedPermission | undefined =>
  token.startsWith('{') ? { subject: 'alice', clientId: 'app', scope: 'read', ...JSON.parse(token) } : undefined

function setUp(store: SessionStore, options: Partial<SessionsOptions> & { readonly issuer?: string } = {}) {
  let now = START
  const sessions = createSessions({ store, clock: () => now, ...options })
  const tokens = createTokens({ issuer: options.issuer ?? ISSUER, baseSecret: SECRET })
  const exchange = refreshToken({ sessions, tokens, adopt })
  const revoke = createRevocation({ sessions, tokens, adopt })
  const request = (parameters: Record<string, string>) => ({ client, parameters, now, context: {} })
  return {
    sessions,
    advance: (seconds: number) => {
      now += seconds
    },
    present: (refresh_token: string) => exchange.run(request({ refresh_token })),
    adopted: (old: Old) => exchange.run(request({ refresh_token: JSON.stringify(old) })),
    revoke: (old: Old) => revoke(request({ token: JSON.stringify(old) })),
  }
}

const reason = (expected: string) => (error: unknown) => {
  assert.ok(error instanceof OAuthError, String(error))
  assert.deepEqual([error.code, error.reason], ['invalid_grant', expected])
  return true
}

const STORES: readonly [
  name: string,
  skip: string | false,
  open: () => Promise<{ store: SessionStore; close(): Promise<void> }>,
][] = [
  ['memory', false, async () => ({ store: createMemorySessionStore(), close: async () => {} })],
  [
    'Redis',
    without(redisServer),
    async () => {
      const server = await startRedis()
      const redis = new Redis(server.port)
      const { sessionStore: store } = createRedisStores({
        command: ([name = '', ...rest]) => redis.call(name, ...rest),
        signingKeys: SECRET,
      })
      return {
        store,
        async close() {
          redis.disconnect()
          await server.stop()
        },
      }
    },
  ],
  [
    'PostgreSQL (PGlite)',
    false,
    async () => {
      const database = await PGlite.create()
      const stores = createPostgresStores({
        query: (text, values) => database.query(text, values as unknown[]) as never,
      })
      await stores.migrate()
      return { store: stores.sessionStore, close: () => database.close() }
    },
  ],
]

for (const [name, skip, open] of STORES) {
  describe(`G10: one old session is one session, ${name}`, { skip }, () => {
    const opened = open()
    let count = 0
    after(async () => (await opened).close())
    const of = async () => {
      count += 1
      const subject = `user-${count}`
      const parts = setUp((await opened).store)
      const adopted = (old: Old) => parts.adopted({ subject, ...old })
      return { ...parts, subject, adopted, list: () => parts.sessions.list(subject, 'oauth2') }
    }

    test('20 tokens of one sid at once open one session; those of another sid open another', async () => {
      const { adopted, list } = await of()
      await Promise.all(Array.from({ length: 20 }, (_, jti) => adopted({ sid: 's1', rank: 1, extra: { jti } })))
      assert.equal((await list()).length, 1)
      await adopted({ sid: 's2', rank: 1 })
      const listed = await list()
      assert.equal(listed.length, 2)
      assert.ok(!JSON.stringify(listed).includes('s1'), 'the session does not show the old id')
    })

    test('a lower rank is rejected and ends nothing; the same rank can be retried, a higher one goes on', async () => {
      const { adopted, list, advance, present, subject } = await of()
      const seen: boolean[] = []
      const stop = onEvent('refresh_token.reused', (event) => event.subject === subject && seen.push(event.ended))
      await adopted({ sid: 's', rank: 5 })
      advance(60)
      await assert.rejects(adopted({ sid: 's', rank: 4 }), reason('refresh_token_reused'))
      await adopted({ sid: 's', rank: 5 })
      advance(60)
      const { refresh_token = '' } = await adopted({ sid: 's', rank: 6 })
      advance(60)
      await assert.rejects(adopted({ sid: 's', rank: 5 }), reason('refresh_token_reused'))
      await present(refresh_token)
      advance(60)
      await assert.rejects(adopted({ sid: 's', rank: 5 }), reason('refresh_token_reused'))
      assert.equal((await list()).length, 1)
      assert.deepEqual(seen, [false, false, false])
      stop()
    })

    test('of requests at once the lower rank is served too', async () => {
      const { adopted, list } = await of()
      await Promise.all([7, 6, 7, 6].map((rank) => adopted({ sid: 's', rank })))
      assert.equal((await list())[0]?.adoptedRank, 7)
    })

    test('the newest old token is reuse after the new one was used for good, and ends the session for all', async () => {
      const { adopted, list, advance, present } = await of()
      let { refresh_token: token = '' } = await adopted({ sid: 's', rank: 5 })
      for (let times = 0; times < 2; times += 1) {
        advance(60)
        token = (await present(token)).refresh_token ?? ''
      }
      advance(60)
      await assert.rejects(adopted({ sid: 's', rank: 5 }), reason('refresh_token_reused'))
      assert.deepEqual(await list(), [])
      for (const rank of [4, 5, 6])
        await assert.rejects(adopted({ sid: 's', rank }), reason('session_not_found'), `rank ${rank}`)
    })

    test('endAll ends what is adopted and what is not adopted yet; what the old server opens later can be adopted', async () => {
      const { adopted, list, advance, sessions, subject } = await of()
      await adopted({ sid: 's1', openedAt: START - DAY })
      assert.equal(await sessions.endAll(subject, 'oauth2'), 1)
      for (const old of [{ sid: 's1', openedAt: START - DAY }, { sid: 's1', rank: 9 }, { sid: 's2' }])
        await assert.rejects(adopted(old), reason('session_not_found'), JSON.stringify(old))
      await assert.rejects(adopted({ sid: 's3', openedAt: START }), reason('session_not_found'))
      assert.deepEqual(await list(), [])
      advance(60)
      await adopted({ sid: 's4', openedAt: START + 30 })
      advance(60)
      assert.equal(await sessions.endAll(subject, 'oauth2'), 1, 'a second time')
      await assert.rejects(adopted({ sid: 's5', openedAt: START + 30 }), reason('session_not_found'))
      advance(300 * DAY)
      await assert.rejects(adopted({ sid: 's6', openedAt: START + 100 }), reason('session_not_found'), 'for a year')
      await adopted({ sid: 's7', openedAt: START + 200 * DAY })
    })

    test('ending the sessions of another type, or of another user, ends no old session', async () => {
      const { adopted, sessions, subject } = await of()
      await sessions.endAll(subject, 'full')
      await sessions.endAll(`${subject}-other`, 'oauth2')
      assert.ok(await adopted({ sid: 's' }))
    })

    test('a token of a session that was ended or revoked opens none, whichever token of it comes', async () => {
      const { adopted, list, sessions, revoke, subject } = await of()
      await adopted({ sid: 's1', rank: 1 })
      for (const { id } of await list()) await sessions.end(id)
      await assert.rejects(adopted({ sid: 's1', rank: 2 }), reason('session_not_found'))
      await adopted({ sid: 's2', rank: 1 })
      await revoke({ subject, sid: 's2', rank: 0 })
      assert.deepEqual(await list(), [])
      await revoke({ subject, sid: 's3', rank: 1 })
      await assert.rejects(
        adopted({ sid: 's3', rank: 2 }),
        reason('session_not_found'),
        'revoked before it was adopted',
      )
    })
  })
}

test('G10: endAll of one issuer ends the old sessions of that issuer, one without an issuer those of all', async () => {
  const store = createMemorySessionStore()
  const [a, b, all] = [
    setUp(store, { issuer: 'https://a.example' }),
    setUp(store, { issuer: 'https://b.example' }),
    setUp(store),
  ]
  await a.sessions.endAll('alice', 'oauth2')
  await assert.rejects(a.adopted({ sid: 's' }), reason('session_not_found'))
  assert.ok(await b.adopted({ sid: 't' }))
  await all.sessions.endAll('alice', 'oauth2')
  await assert.rejects(b.adopted({ sid: 'u' }), reason('session_not_found'))
})

test('G10: what adopt says wrongly is named as misconfigured', async () => {
  const { adopted } = setUp(createMemorySessionStore())
  for (const wrong of [
    { sid: 7 },
    { sid: 's', rank: 'new' },
    { sid: 's', openedAt: '2020-01-01' },
    { scope: ['read'] },
  ])
    await assert.rejects(adopted(wrong as never), { status: 500, reason: 'misconfigured', detail: /'adopt'/ })
  for (const empty of [
    { sid: null, rank: null },
    { sid: '', openedAt: null },
  ])
    assert.ok(await adopted(empty as never))
})

/**
 * A store whose `create` takes effect before it is answered, and whose `endAll` misses what is being created, as the contract
 * allows: the worst one there can be.
 */
function lateStore(): { store: SessionStore & { acknowledge(id: string): Promise<void> }; inner: SessionStore } {
  const inner = createMemorySessionStore({ clock: () => START })
  const inFlight = new Set<string>()
  const store = {
    ...inner,
    async create(session: Parameters<SessionStore['create']>[0]) {
      inFlight.add(session.id)
      return inner.create(session)
    },
    async acknowledge(id: string) {
      inFlight.delete(id)
    },
    async endAll(subject: string, type: string) {
      const found = (await inner.list(subject, type)).filter(({ id }) => !inFlight.has(id))
      for (const { id } of found) await inner.end(id, START + DAY)
      return found.length
    },
  }
  return { store, inner }
}

const acknowledged = (store: ReturnType<typeof lateStore>['store']): SessionStore => ({
  ...store,
  async create(session) {
    const outcome = await store.create(session)
    if (session.type === 'oauth2') await store.acknowledge(session.id)
    return outcome
  },
})

test('G10: an adoption that races endAll leaves no session, in every interleaving of their store calls', async () => {
  type Store = ReturnType<typeof lateStore>['store']
  const outcomes = new Set<string>()
  const adoption: Node<Store, unknown> = (store) =>
    setUp(acknowledged(store)).adopted({ sid: 's', openedAt: START - 1 })
  const ending: Node<Store, unknown> = (store) => setUp(acknowledged(store)).sessions.endAll('alice', 'oauth2')
  const count = await everySchedule(
    async () => ({ store: lateStore().store, nodes: [adoption, ending] }),
    async ([adopted], store, schedule) => {
      assert.deepEqual(await store.list('alice', 'oauth2'), [], schedule)
      outcomes.add(adopted !== undefined && 'error' in adopted ? (adopted.error as OAuthError).code : 'tokens')
    },
  )
  assert.ok(count > 100, `${count} interleavings`)
  assert.deepEqual(
    [...outcomes].sort(),
    ['invalid_grant', 'tokens'],
    'tokens only where they were issued before endAll',
  )
})

test('G10: a session that endAll missed and whose opener crashed is ended by the next token of it', async () => {
  const { store } = lateStore()
  let crash = true
  const crashing: SessionStore = {
    ...store,
    async create(session) {
      const outcome = await store.create(session)
      if (crash && session.type === 'oauth2') throw new Error('the process died')
      return outcome
    },
  }
  await assert.rejects(setUp(crashing).adopted({ sid: 's' }), { status: 503 })
  crash = false
  await setUp(store).sessions.endAll('alice', 'oauth2')
  assert.equal((await store.list('alice', 'oauth2')).length, 1, 'the store missed it')
  await assert.rejects(setUp(store).adopted({ sid: 's', rank: 2 }), reason('session_not_found'))
  assert.deepEqual(await store.list('alice', 'oauth2'), [])
})

test('G10: endAll ends what is open also if it cannot be remembered, and says so', async () => {
  const inner = createMemorySessionStore()
  const { sessions } = setUp(inner)
  await sessions.open({ subject: 'alice', clientId: 'app', scope: '' })
  const broken = setUp({
    ...inner,
    create: async () => {
      throw new Error('full')
    },
  })
  await assert.rejects(broken.sessions.endAll('alice', 'oauth2'), { status: 503 })
  assert.deepEqual(await sessions.list('alice', 'oauth2'), [])
})

describe('DP10: a session that is adopted with a proof', () => {
  const KEY = { thumbprint: 'A'.repeat(43) }
  const OTHER = { thumbprint: 'B'.repeat(43) }
  const publicClient: Client = { ...client, token_endpoint_auth_method: 'none' }
  function open(presenter: Client) {
    const sessions = createSessions({ store: createMemorySessionStore(), clock: () => START })
    const tokens = createTokens({ issuer: ISSUER, baseSecret: SECRET })
    const exchange = refreshToken({ sessions, tokens, adopt })
    const present = (refresh_token: string, proof?: { thumbprint: string }) =>
      exchange.run({ client: presenter, parameters: { refresh_token }, now: START, context: {}, proof })
    const keys = async () => (await sessions.list('alice', 'oauth2', START)).map(({ keyThumbprint }) => keyThumbprint)
    return { present, keys }
  }

  for (const [name, old, later] of [
    ['of one token', {}, {}],
    ['of an old session', { sid: 's', rank: 1 }, { sid: 's', rank: 2 }],
  ] as const) {
    test(`is bound to the key if the client is public, ${name}`, async () => {
      const { present, keys } = open(publicClient)
      const first = await present(JSON.stringify(old), KEY)
      assert.equal(first.token_type, 'DPoP')
      assert.deepEqual(await keys(), [KEY.thumbprint])
      for (const proof of [undefined, OTHER]) {
        for (const token of [JSON.stringify(old), JSON.stringify(later), String(first.refresh_token)])
          await assert.rejects(present(token, proof), reason('dpop_key_mismatch'))
      }
      assert.equal((await present(JSON.stringify(later), KEY)).token_type, 'DPoP', 'a lost response can be retried')
      const next = await present(String(first.refresh_token), KEY)
      assert.equal((await present(String(next.refresh_token), KEY)).token_type, 'DPoP')
      assert.deepEqual(await keys(), [KEY.thumbprint])
    })
  }

  test('is bound by the first refresh with a proof, if it was adopted without one', async () => {
    const { present, keys } = open(publicClient)
    const first = await present('{}')
    assert.equal(first.token_type, 'Bearer')
    const bound = await present(String(first.refresh_token), KEY)
    assert.deepEqual(await keys(), [KEY.thumbprint])
    await assert.rejects(present(String(bound.refresh_token)), reason('dpop_key_mismatch'))
  })

  test('is not bound if the client is confidential: its tokens are', async () => {
    const { present, keys } = open(client)
    const first = await present('{}', KEY)
    assert.equal(first.token_type, 'DPoP')
    assert.deepEqual(await keys(), [undefined])
    assert.equal((await present(String(first.refresh_token), OTHER)).token_type, 'DPoP')
  })
})
