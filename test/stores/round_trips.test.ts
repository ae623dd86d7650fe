import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { PGlite } from '@electric-sql/pglite'
import { createClient } from 'redis'
import type { Client } from '../../lib/client.ts'
import { codeChallengeOf } from '../../lib/code/code_challenge.ts'
import { createCodes } from '../../lib/code/codes.ts'
import { createIntrospection } from '../../lib/endpoints/introspection.ts'
import { createRevocation } from '../../lib/endpoints/revocation.ts'
import { authorizationCode } from '../../lib/exchanges/authorization_code.ts'
import type { Exchange } from '../../lib/exchanges/exchange.ts'
import { refreshToken } from '../../lib/exchanges/refresh_token.ts'
import { createSessions } from '../../lib/session/sessions.ts'
import type { MemoryStores } from '../../lib/stores/memory.ts'
import { createPostgresStores } from '../../lib/stores/postgres.ts'
import { createRedisStores } from '../../lib/stores/redis.ts'
import { createTokens } from '../../lib/token/token_set.ts'
import { redisServer, without } from '../support/programs.ts'
import { type RedisServer, startRedis } from '../support/redis_server.ts'

// Each exchange as a whole, and the commands or statements it sends. docs/scaling.md is held to these numbers.

const client: Client = {
  client_id: 'app',
  grant_types: ['authorization_code', 'refresh_token'],
  redirect_uris: ['https://app.example/cb'],
}
const service: Client = { client_id: 'service', client_secret: 's'.repeat(32) }
const verifier = 'v'.repeat(43)

const documented = (request: string): [redis: number, postgres: number] => {
  const row = readFileSync('docs/scaling.md', 'utf8')
    .replace(/^.*## What it costs/s, '')
    .split('\n')
    .find((line) => line.startsWith(`| ${request} |`))
  const [, , redis = '', postgres = ''] = row?.split('|') ?? []
  return [Number.parseInt(redis, 10), Number.parseInt(postgres, 10)]
}

async function countsOf(stores: MemoryStores, count: () => number): Promise<Readonly<Record<string, number>>> {
  let moment = Math.floor(Date.now() / 1000)
  const sessions = createSessions({ store: stores.sessionStore })
  const tokens = createTokens({
    issuer: 'https://as.example',
    baseSecret: 'b'.repeat(32),
    accessTokenAlgorithm: 'HS256',
  })
  const exchanges = [
    authorizationCode({ codes: stores.codeStore, sessions, tokens }),
    refreshToken({ sessions, tokens }),
  ]
  const run = (grantType: string, parameters: Record<string, string>) =>
    (exchanges.find((each) => each.grantType === grantType) as Exchange).run({
      client,
      parameters,
      now: moment,
      context: {},
    })
  const counts: Record<string, number> = {}
  const counted = async <T>(request: string, act: () => Promise<T>): Promise<T> => {
    const from = count()
    const answer = await act()
    counts[request] = count() - from
    return answer
  }

  await counted('client authentication by assertion', () =>
    stores.replayRegister.remember('i', 'app', 'jti', moment + 60),
  )
  const code = await createCodes({ store: stores.codeStore }).issue(
    {
      subject: 'alice',
      clientId: 'app',
      scope: 'read',
      redirectUri: 'https://app.example/cb',
      redirectUriWasSent: true,
      codeChallenge: codeChallengeOf(verifier),
    },
    moment,
  )
  const form = { code, redirect_uri: 'https://app.example/cb', code_verifier: verifier }
  const opened = await counted('authorization code', () => run('authorization_code', form))
  moment += 30
  const token = { refresh_token: opened.refresh_token ?? '' }
  await counted('refresh', () => run('refresh_token', token))
  const joined = await counted('refresh that joins a concurrent one', () => run('refresh_token', token))
  const introspect = createIntrospection({ sessions, tokens })
  const ask = (token: string) => ({ client: service, parameters: { token }, now: moment, context: {} })
  const told = await counted('introspection of an access token', () => introspect(ask(joined.access_token)))
  assert.equal(told.active, true)
  const newest = joined.refresh_token ?? ''
  await counted('introspection of a refresh token', () => introspect(ask(newest)))
  const revoke = createRevocation({ sessions, tokens })
  await counted('revocation of a refresh token', () => revoke({ ...ask(newest), client }))
  return counts
}

describe('round trips of whole requests are what docs/scaling.md says', () => {
  let redis: RedisServer | undefined
  before(async () => {
    if (!without(redisServer)) redis = await startRedis()
  })
  after(() => redis?.stop())

  test('Redis', { skip: without(redisServer) }, async () => {
    const connection = createClient({ url: redis?.url ?? '' }).on('error', () => undefined)
    await connection.connect()
    let count = 0
    const stores = createRedisStores({
      signingKeys: 's'.repeat(32),
      command: (args) => {
        count += 1
        return connection.sendCommand(args)
      },
    })
    for (const [request, trips] of Object.entries(await countsOf(stores, () => count)))
      assert.equal(trips, documented(request)[0], request)
    connection.destroy()
  })

  test('PostgreSQL', async () => {
    const database = await PGlite.create()
    let count = 0
    const stores = createPostgresStores({
      query: (text, values) => {
        count += 1
        return database.query(text, values)
      },
    })
    await stores.migrate()
    for (const [request, statements] of Object.entries(await countsOf(stores, () => count)))
      assert.equal(statements, documented(request)[1], request)
    await database.close()
  })
})
