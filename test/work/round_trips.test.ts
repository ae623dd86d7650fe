import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { PGlite } from '@electric-sql/pglite'
import pg from 'pg'
import { createClient } from 'redis'
import { createAssertionVerifier } from '../../lib/assertion/verify.ts'
import type { Client } from '../../lib/client.ts'
import { createClientAuthenticator } from '../../lib/client_authentication/authenticator.ts'
import { createCodes } from '../../lib/code/codes.ts'
import { authorizationCode } from '../../lib/exchanges/authorization_code.ts'
import { clientCredentials } from '../../lib/exchanges/client_credentials.ts'
import type { Exchange } from '../../lib/exchanges/exchange.ts'
import { refreshToken } from '../../lib/exchanges/refresh_token.ts'
import { createSessions } from '../../lib/session/sessions.ts'
import { createPostgresStores } from '../../lib/stores/postgres.ts'
import { createRedisStores } from '../../lib/stores/redis.ts'
import { createTokens } from '../../lib/token/token_set.ts'
import { ASSERTION_TYPE, assertionBy, sharedKey } from '../support/assertions.ts'
import { type PostgresServer, startPostgres } from '../support/postgres_server.ts'
import { postgresServer, redisServer, without } from '../support/programs.ts'
import { type RedisServer, startRedis } from '../support/redis_server.ts'

const ISSUER = 'https://as.example'
const REDIRECT_URI = 'https://client.example/callback'
const VERIFIER = 'v'.repeat(43)
const SECRET = 'a secret of these tests that is long enough'

type Stores = Pick<ReturnType<typeof createRedisStores>, 'replayRegister' | 'codeStore' | 'sessionStore'>

/** Round trips so far; `of` says how many a step took. */
function counter() {
  let count = 0
  return {
    tick: () => {
      count += 1
    },
    async of<T>(step: () => Promise<T>): Promise<{ answer: T; trips: number }> {
      const begun = count
      const answer = await step()
      return { answer, trips: count - begun }
    },
  }
}

/** Whole token requests against stores, less HTTP: client authentication and exchange, as every door puts them together. */
async function endpoint(stores: Stores) {
  const key = await sharedKey('ES256')
  const common = { grant_types: ['client_credentials', 'authorization_code', 'refresh_token'], scope: 'read' }
  const clients: readonly Client[] = [
    { ...common, client_id: 'signing', token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [key.jwk] } },
    { ...common, client_id: 'secret', token_endpoint_auth_method: 'client_secret_basic', client_secret: 'its secret' },
  ]
  const findClient = (id: string) => clients.find(({ client_id }) => client_id === id)
  const verifyAssertion = createAssertionVerifier({ issuer: ISSUER, findClient, replayRegister: stores.replayRegister })
  const authenticate = createClientAuthenticator({ findClient, verifyAssertion })
  let now = Math.floor(Date.now() / 1000)
  const sessions = createSessions({ store: stores.sessionStore })
  const tokens = createTokens({ issuer: ISSUER, baseSecret: SECRET })
  const { codeStore: codes } = stores
  const exchanges: readonly Exchange[] = [
    clientCredentials({ tokens }),
    refreshToken({ sessions, tokens }),
    authorizationCode({ codes, sessions, tokens }),
  ]

  async function run(headers: Record<string, string>, parameters: Record<string, string>) {
    const { client, authentication } = await authenticate({ headers }, parameters, { now })
    const exchange = exchanges.find(({ grantType }) => grantType === parameters['grant_type'])
    assert.ok(exchange)
    return exchange.run({ client, authentication, parameters, now, context: {} })
  }
  return {
    later: (seconds: number) => {
      now += seconds
    },
    /** With a secret by Basic, which needs no store. */
    bySecret: (parameters: Record<string, string>) =>
      run({ authorization: `Basic ${Buffer.from('secret:its secret').toString('base64')}` }, parameters),
    byAssertion: (parameters: Record<string, string>) => {
      const claims = { iss: 'signing', sub: 'signing', aud: ISSUER, iat: now, exp: now + 60 }
      const client_assertion = assertionBy(key, claims)
      return run({}, { ...parameters, client_assertion, client_assertion_type: ASSERTION_TYPE })
    },
    /** A code for the client that has a secret. */
    code: () =>
      createCodes({ store: codes }).issue(
        {
          subject: 'alice',
          clientId: 'secret',
          scope: 'read',
          redirectUri: REDIRECT_URI,
          redirectUriWasSent: true,
          codeChallenge: createHash('sha256').update(VERIFIER).digest('base64url'),
        },
        now,
      ),
  }
}

/** The same story for every store. `opening` is what it takes to open a session, `issuing` to add a code. */
function itTakes(
  what: string,
  opening: number,
  issuing: number,
  connected: () => { stores: Stores; trips: ReturnType<typeof counter> },
) {
  test(`${what}: a request with an assertion takes one, the replay check; with a secret none`, async () => {
    const { stores, trips } = connected()
    const { byAssertion, bySecret } = await endpoint(stores)
    const parameters = { grant_type: 'client_credentials' }
    assert.equal((await trips.of(() => byAssertion(parameters))).trips, 1)
    assert.equal((await trips.of(() => bySecret(parameters))).trips, 0)
  })

  test(`${what}: a code takes ${issuing} to issue; one to read, ${issuing} to spend (of which one is waited for) and ${opening} to open its session`, async () => {
    const { stores, trips } = connected()
    const { bySecret, code } = await endpoint(stores)
    const issued = await trips.of(code)
    assert.equal(issued.trips, issuing)
    const parameters = { grant_type: 'authorization_code', redirect_uri: REDIRECT_URI, code_verifier: VERIFIER }
    assert.equal((await trips.of(() => bySecret({ ...parameters, code: issued.answer }))).trips, 1 + issuing + opening)
  })

  test(`${what}: a refresh takes two, and one that joins takes one`, async () => {
    const { stores, trips } = connected()
    const { bySecret, code, later } = await endpoint(stores)
    const redeeming = { grant_type: 'authorization_code', redirect_uri: REDIRECT_URI, code_verifier: VERIFIER }
    const opened = await bySecret({ ...redeeming, code: await code() })
    const refresh = (token = '') => trips.of(() => bySecret({ grant_type: 'refresh_token', refresh_token: token }))
    later(60)
    const confirmed = await refresh(opened.refresh_token)
    assert.equal(confirmed.trips, 2)
    assert.equal((await refresh(opened.refresh_token)).trips, 1)
    later(60)
    assert.equal((await refresh(confirmed.answer.refresh_token)).trips, 2)
  })

  test(`${what}: what is refused before the last step takes no more than was needed to know it`, async () => {
    const { stores, trips } = connected()
    const { bySecret, code } = await endpoint(stores)
    const refused = (parameters: Record<string, string>) =>
      trips.of(() => assert.rejects(bySecret(parameters), { name: 'OAuthError' }))
    const redeeming = { grant_type: 'authorization_code', redirect_uri: REDIRECT_URI, code_verifier: VERIFIER }
    assert.equal((await refused({ ...redeeming, code: 'not even a code' })).trips, 0)
    assert.equal((await refused({ ...redeeming, code: 'x'.repeat(43) })).trips, 1)
    const issued = await code()
    assert.equal((await refused({ ...redeeming, redirect_uri: 'https://other.example', code: issued })).trips, 1)
    assert.equal((await refused({ grant_type: 'refresh_token', refresh_token: 'forged.forged.forged' })).trips, 0)
  })
}

describe('round trips to Redis', { skip: without(redisServer) }, () => {
  let server: RedisServer
  let client: ReturnType<typeof createClient>
  const trips = counter()
  before(async () => {
    server = await startRedis(['--appendfsync', 'no'])
    client = createClient({ url: server.url })
    await client.connect()
  })
  after(async () => {
    client?.destroy()
    await server?.stop()
  })
  const stores = createRedisStores({
    signingKeys: SECRET,
    command: (args) => {
      trips.tick()
      return client.sendCommand([...args])
    },
  })
  itTakes('Redis', 2, 2, () => ({ stores, trips }))
})

describe('statements to PostgreSQL', { skip: without(postgresServer) }, () => {
  let server: PostgresServer
  let pool: pg.Pool
  const trips = counter()
  const stores = createPostgresStores({
    query: (text, values) => {
      trips.tick()
      return pool.query(text, values as unknown[])
    },
  })
  before(async () => {
    server = await startPostgres()
    pool = new pg.Pool({ connectionString: server.url })
    pool.on('error', () => undefined)
    await stores.migrate()
  })
  after(async () => {
    await pool?.end()
    await server?.stop()
  })
  itTakes('PostgreSQL', 1, 1, () => ({ stores, trips }))
})

describe('statements to PostgreSQL embedded', () => {
  let database: PGlite
  const trips = counter()
  const stores = createPostgresStores({
    query: (text, values) => {
      trips.tick()
      return database.query(text, values)
    },
  })
  before(async () => {
    database = await PGlite.create()
    await stores.migrate()
  })
  after(() => database.close())
  itTakes('PGlite', 1, 1, () => ({ stores, trips }))
})
