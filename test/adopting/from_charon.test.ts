// A client base of CharonOauth2, moved by the programs of docs/from-charon.md.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import {
  type Client,
  type Consents,
  createClientCredentialsExchange,
  createTokenEndpoint,
  type Exchange,
  type Sessions,
  type Tokens,
} from '../../lib/index.ts'
import {
  CHARON_SECRET,
  type CharonSession,
  charonRecord,
  charonRefreshToken,
  charonToken,
  encryptedColumn,
} from '../support/charon.ts'
import { loadProgram } from '../support/page_programs.ts'
import { rowsOf } from '../support/page_tables.ts'
import { redisServer, without } from '../support/programs.ts'
import { startRedis } from '../support/redis_server.ts'
import { basicHeader, listen, post, type Route } from '../support/token_route.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const PAGE = 'docs/from-charon.md'
process.env['CHARON_BASE_SECRET'] = CHARON_SECRET
process.env['BASE_SECRET'] ??= '0123456789abcdef0123456789abcdef0123456789abcdef'

const DAY = 86_400
const NOW = Math.floor(Date.now() / 1000)

/** The tables, as the old server has them. */
const SECRETS = {
  phone: 'a secret that an app on a phone has built in',
  web: 'n0b8VJWkxoTgQ8kH2gYyXJrJ4qfUuHc2fVhY7v8cJx1dYl5m',
  old: 'Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6',
}
const WEB = 'b6f4c5c0-7e0e-4d6f-9f3e-1d3a8b1f8a55'
const PHONE = '0d1f5c9e-55a3-4a3d-8f7e-7f0c3f8a2b11'
const ROBOT = '7c9a1b52-90c4-4e8e-9b5a-5c4a8d1e6f22'
const CLIENTS = [
  {
    id: WEB,
    name: 'Web',
    secret: encryptedColumn(SECRETS.web),
    redirect_uris: ['https://client.example.com/callback'],
    scope: ['read', 'write'],
    grant_types: ['authorization_code', 'refresh_token'],
    client_type: 'confidential',
  },
  {
    id: PHONE,
    name: 'Phone',
    secret: encryptedColumn(SECRETS.phone),
    redirect_uris: ['https://phone.example.com/callback'],
    scope: ['read'],
    grant_types: ['authorization_code', 'refresh_token'],
    client_type: 'public',
  },
  {
    id: ROBOT,
    name: 'Robot',
    secret: encryptedColumn(SECRETS.old),
    redirect_uris: ['https://robot.example.com/'],
    scope: ['read'],
    grant_types: ['client_credentials'],
    client_type: 'confidential',
  },
]
const AUTHORIZATIONS = [
  { client_id: WEB, resource_owner_id: 1, scope: ['read', 'write'] },
  { client_id: PHONE, resource_owner_id: 1, scope: ['read'] },
  { client_id: WEB, resource_owner_id: 2, scope: ['read'] },
  ...Array.from({ length: 20 }, (_, index) => ({ client_id: WEB, resource_owner_id: 100 + index, scope: ['read'] })),
]

/** Sessions in Charon's Redis, by key and field. */
const redis = new Map<string, Buffer>()
let users = 100

/** A session of a user of its own, refreshed five minutes ago and an hour before that. */
function sessionOf(changes: Partial<CharonSession> = {}): CharonSession {
  const session: CharonSession = {
    id: `sid-${Math.random()}`,
    user: users++,
    createdAt: NOW - 30 * DAY,
    refreshedAt: NOW - 300,
    refreshExpiresAt: NOW + 59 * DAY,
    tokensFreshFrom: NOW - 300,
    prevTokensFreshFrom: NOW - 3900,
    ...changes,
  }
  redis.set(`charon_.${session.user}.oauth2 ${session.id}`, charonRecord(session))
  return session
}

describe('a client base of CharonOauth2, moved by docs/from-charon.md', () => {
  let clients: Map<string, Client>
  let consents: Consents
  let sessions: Sessions
  let tokens: Tokens
  let route: Route

  before(async () => {
    Object.assign(globalThis, {
      charonRedis: { hgetBuffer: async (key: string, field: string) => redis.get(`${key} ${field}`) ?? null },
    })
    const data = (await loadProgram(root, PAGE, 'decryptColumn')) as {
      toClient(row: object): Client
      moveAuthorization(row: object, consents: Consents): Promise<void>
    }
    const moving = (await loadProgram(root, PAGE, 'charonRedis')) as {
      consents: Consents
      sessions: Sessions
      tokens: Tokens
      exchange: { exchange: Exchange }
    }
    clients = new Map(CLIENTS.map((row) => [row.id, data.toClient(row)]))
    consents = moving.consents
    sessions = moving.sessions
    tokens = moving.tokens
    for (const row of AUTHORIZATIONS) await data.moveAuthorization(row, consents)
    const exchanges = [moving.exchange, createClientCredentialsExchange({ tokens: moving.tokens })]
    route = await listen(createServer(createTokenEndpoint({ findClient: (id) => clients.get(id), exchanges })))
  })
  after(() => route.close())

  const basic = { Authorization: basicHeader(WEB, SECRETS.web) }
  const refresh = (token: unknown, headers: Record<string, string> = basic) =>
    post(route.url, { grant_type: 'refresh_token', refresh_token: String(token) }, headers)

  test('secrets are decrypted once, and every client authenticates as before', async () => {
    const robot = { grant_type: 'client_credentials', client_id: ROBOT, client_secret: SECRETS.old }
    assert.equal((await post(route.url, robot)).status, 200)
    const header = { Authorization: basicHeader(ROBOT, SECRETS.old) }
    assert.equal((await post(route.url, { grant_type: 'client_credentials' }, header)).status, 200)
    assert.equal((await post(route.url, { ...robot, client_secret: 'wrong' })).json.error, 'invalid_client')
  })

  test('another base secret is noticed in all but one of 256 columns', async () => {
    const data = (await loadProgram(root, PAGE, 'decryptColumn')) as { decryptColumn(column: Uint8Array): string }
    const foreign = Array.from({ length: 64 }, () =>
      Buffer.concat([Buffer.alloc(16, Math.random() * 255), encryptedColumn('x')]),
    )
    const noticed = foreign.filter((column) => {
      try {
        data.decryptColumn(column)
        return false
      } catch {
        return true
      }
    })
    assert.ok(noticed.length > 48, `${noticed.length} of 64`)
  })

  test('authorizations become consent of the same users, with numbers for ids and arrays for scope', async () => {
    assert.equal(await consents.allows({ subject: '1', clientId: WEB, scope: 'read write' }), true)
    assert.equal(await consents.allows({ subject: '2', clientId: WEB, scope: 'write' }), false)
    assert.deepEqual((await consents.list('1')).map(({ scope }) => scope).sort(), ['read', 'read write'])
  })

  test('a refresh token of the old server works, and so does what comes of it', async () => {
    const session = sessionOf({ user: 1 })
    const first = await refresh(charonRefreshToken(session, WEB, NOW - 300))
    assert.deepEqual([first.status, first.json.scope], [200, 'read write'], first.text)
    assert.equal((await refresh(first.json.refresh_token)).status, 200)
    const [listed] = await sessions.list('1', 'oauth2')
    assert.equal(listed?.clientId, WEB)
  })

  test('so does one of a public client, which sends no secret', async () => {
    const token = charonRefreshToken(sessionOf({ user: 1 }), PHONE, NOW - 300)
    const answer = await post(route.url, { grant_type: 'refresh_token', refresh_token: token, client_id: PHONE })
    assert.equal(answer.status, 200, answer.text)
  })

  test('T35: a public client may send its secret, as with Charon, and a wrong one is refused', async () => {
    const form = () => ({
      grant_type: 'refresh_token',
      refresh_token: charonRefreshToken(sessionOf({ user: 1 }), PHONE, NOW - 300),
    })
    const right = { client_id: PHONE, client_secret: SECRETS.phone }
    assert.equal((await post(route.url, { ...form(), ...right })).status, 200)
    assert.equal((await post(route.url, form(), { Authorization: basicHeader(PHONE, SECRETS.phone) })).status, 200)
    assert.equal((await post(route.url, { ...form(), ...right, client_secret: 'wrong' })).json.error, 'invalid_client')
    const header = { Authorization: basicHeader(PHONE, 'wrong') }
    assert.equal((await post(route.url, form(), header)).json.error, 'invalid_client')
  })

  test('a session that Charon deleted is refused, under the key of Charon 4', async () => {
    const session = sessionOf()
    redis.delete(`charon_.${session.user}.oauth2 ${session.id}`)
    assert.equal((await refresh(charonRefreshToken(session, WEB, NOW - 300))).json.error, 'invalid_grant')
  })

  test('the command is the one that Redis has, by ioredis as the page says', {
    skip: without(redisServer),
  }, async () => {
    const server = await startRedis()
    const client = new Redis(server.port)
    const memory = (globalThis as { charonRedis?: unknown }).charonRedis
    try {
      const session = sessionOf()
      const key = `charon_.${session.user}.oauth2`
      await client.hset(key, session.id, redis.get(`${key} ${session.id}`) ?? '', `l.${session.id}`, '3')
      Object.assign(globalThis, { charonRedis: client })
      assert.equal((await refresh(charonRefreshToken(session, WEB, NOW - 300))).status, 200)
      const deleted = sessionOf()
      assert.equal((await refresh(charonRefreshToken(deleted, WEB, NOW - 300))).json.error, 'invalid_grant')
    } finally {
      Object.assign(globalThis, { charonRedis: memory })
      client.disconnect()
      await server.stop()
    }
  })

  test('what is no refresh token of the old server is refused', async () => {
    const session = sessionOf()
    const token = (changes: object, iat = NOW - 300) => charonRefreshToken(session, WEB, iat, changes as never)
    for (const [what, presented] of [
      ['an access token', token({ type: 'access' })],
      ['a token of a login', token({ styp: 'full' })],
      ['a token without a session', token({ sid: undefined })],
      ['a token of an unknown session', token({ sid: 'unknown' })],
      ['a token of another client', charonRefreshToken(session, PHONE, NOW - 300)],
      ['an expired token', token({ exp: NOW - 60 })],
      ['a token that is not valid yet', token({ nbf: NOW + 60 })],
      ['a stale token, which Charon refuses as well', token({}, NOW - 3900 - 60)],
      ['a token of the generation before, ten seconds after the next one', token({}, NOW - 3900)],
      ['a token with another signature', `${token({}).slice(0, -6)}AAAAAA`],
      ['a token without signature', `${charonToken({}, { alg: 'none' }).split('.').slice(0, 2).join('.')}.`],
      ['anything', 'anything'],
    ] as const) {
      const refused = await refresh(presented)
      assert.equal(refused.json.error, 'invalid_grant', `${what}: ${refused.text}`)
    }
    assert.equal((await refresh(token({}))).status, 200, 'and the right one works after all that')
  })

  test('within ten seconds of a new generation the one before is fresh, as with Charon', async () => {
    const now = Math.floor(Date.now() / 1000) // not NOW: on a slow machine the ten seconds may be over by then
    const session = sessionOf({ tokensFreshFrom: now, prevTokensFreshFrom: now - 3900 })
    assert.equal((await refresh(charonRefreshToken(session, WEB, now - 3900))).status, 200)
  })

  test('G10: the tokens of one Charon session stand for one session, which is ended once for all of them', async () => {
    const session = sessionOf()
    const user = String(session.user)
    const tokensOfIt = [NOW - 300, NOW - 299, NOW - 298].map((iat) => charonRefreshToken(session, WEB, iat))
    for (const token of tokensOfIt) assert.equal((await refresh(token)).status, 200)
    const [opened, ...others] = await sessions.list(user, 'oauth2')
    assert.deepEqual([others, opened?.adoptedRank], [[], NOW - 300])
    assert.equal(await sessions.endAll(user, 'oauth2'), 1)
    for (const token of tokensOfIt) assert.equal((await refresh(token)).json.error, 'invalid_grant')
    assert.deepEqual(await sessions.list(user, 'oauth2'), [])
  })

  test('G10: endAll before the first refresh ends what Charon opened, and not what it opens later', async () => {
    const session = sessionOf()
    const user = String(session.user)
    assert.equal(await sessions.endAll(user, 'oauth2'), 0)
    assert.equal((await refresh(charonRefreshToken(session, WEB, NOW - 300))).json.error, 'invalid_grant')
    const later = sessionOf({ user: session.user, createdAt: Math.floor(Date.now() / 1000) + 60 })
    assert.equal((await refresh(charonRefreshToken(later, WEB, NOW - 300))).status, 200)
  })

  test('G10: a token of the generation before is refused once one of the current generation was accepted', async () => {
    const session = sessionOf({ tokensFreshFrom: NOW - 2, prevTokensFreshFrom: NOW - 3900 })
    const [before, current] = [charonRefreshToken(session, WEB, NOW - 3900), charonRefreshToken(session, WEB, NOW - 2)]
    const first = await refresh(current)
    assert.equal(first.status, 200)
    const [opened] = await sessions.list(String(session.user), 'oauth2')
    assert.equal(opened?.adoptedRank, NOW - 2)
    assert.equal((await refresh(before)).status, 200, 'at once, as with Charon')
    await sessions.refresh(
      { sessionId: opened?.id ?? '', generation: 1 },
      { client: { client_id: WEB }, now: NOW + 60 },
    )
    assert.equal((await refresh(before)).json.error, 'invalid_grant')
    assert.equal((await sessions.list(String(session.user), 'oauth2')).length, 1, 'the session goes on')
  })

  test('a record that somebody else wrote into Redis is refused', async () => {
    const session = sessionOf()
    const key = `charon_.${session.user}.oauth2 ${session.id}`
    const record = Buffer.from(redis.get(key) ?? '')
    record[record.length - 1] = (record.at(-1) ?? 0) ^ 1
    redis.set(key, record)
    assert.equal((await refresh(charonRefreshToken(session, WEB, NOW - 300))).json.error, 'invalid_grant')
  })

  test('who withdrew consent before the first refresh is refused, as the page says', async () => {
    const session = sessionOf()
    await consents.withdraw(String(session.user), WEB)
    assert.equal((await refresh(charonRefreshToken(session, WEB, NOW - 300))).json.error, 'invalid_grant')
  })

  test('what cannot be kept is what the page says', async () => {
    assert.deepEqual(rowsOf(`${root}/${PAGE}`, 'What cannot be kept'), [
      '`extra_payload` of a session',
      'since when an app is connected (`created_at`)',
      'the list of connected apps',
      'access tokens of the last 15 minutes',
      '`session_ttl` of a session',
      'sessions of the type `full` (logins)',
      'the reverse: going back to Charon',
    ])
    const session = sessionOf()
    const user = String(session.user)
    assert.deepEqual(await sessions.list(user, 'oauth2'), [], 'no session before the first refresh')
    assert.equal((await consents.list(user)).length, 1, 'but the consent')

    const answer = await refresh(charonRefreshToken(session, WEB, NOW - 300))
    assert.equal(answer.status, 200, answer.text)
    const [opened] = await sessions.list(user, 'oauth2')
    assert.ok(opened !== undefined && opened.createdAt >= NOW, 'as old as its adoption')
    assert.deepEqual([opened.extra, opened.expiresAt], [{}, undefined])
    const { access_token: own } = answer.json
    assert.ok(await tokens.verifyAccessToken(String(own), NOW), 'an access token of this server')
    const old = charonToken({ type: 'access', sub: session.user, cid: WEB, iat: NOW, nbf: NOW, exp: NOW + 900 })
    assert.equal(await tokens.verifyAccessToken(old, NOW), undefined, 'one of Charon')
  })
})
