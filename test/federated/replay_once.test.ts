import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openStores, type Stores } from '../../examples/stores.ts'
import { createAssertionVerifier } from '../../lib/assertion/verify.ts'
import type { Client } from '../../lib/client.ts'
import { createTrustedIssuers, githubActions } from '../../lib/federated/index.ts'
import { formWith, ISSUER, outcomeOf, sharedKey, type TestKey } from '../support/assertions.ts'
import { githubToken, tokenBy } from '../support/platform_tokens.ts'
import { startPostgres } from '../support/postgres_server.ts'
import { postgresServer, redisServer, without } from '../support/programs.ts'
import { startRedis } from '../support/redis_server.ts'

const SECRET = Buffer.from('the base secret that both nodes of this test share')
const TOKENS = 40
const now = Math.floor(Date.now() / 1000)

interface StoreServer {
  readonly url: string
  stop(): Promise<void>
}

function nodesOn(name: string, skip: string | false, startStore: () => Promise<StoreServer>): void {
  describe(`FC12: two nodes on one ${name}`, { skip }, () => {
    let server: StoreServer
    let stores: readonly Stores[]
    let key: TestKey
    before(async () => {
      key = await sharedKey('RS256')
      server = await startStore()
      stores = await Promise.all([openStores(server.url, SECRET), openStores(server.url, SECRET)])
    })
    after(async () => {
      for (const each of stores ?? []) await each.close()
      await server?.stop()
    })

    test("with replay: 'once' each token is accepted by one of them, once, however many come at a time", async () => {
      const client = {
        client_id: 'deployment',
        token_endpoint_auth_method: 'private_key_jwt',
        federated_credentials: [{ issuer: githubToken.issuer, claims: { repository_id: '74' } }],
      } as Client
      const jwks = { keys: [{ ...key.jwk, kid: 'issuer-key' }] }
      const nodes = stores.map(({ replayRegister }) =>
        createAssertionVerifier({
          issuer: ISSUER,
          findClient: () => client,
          replayRegister,
          trustedIssuers: createTrustedIssuers([githubActions({ jwks })]),
        }),
      )
      const tokens = Array.from({ length: TOKENS }, (_, at) =>
        tokenBy(key, githubToken, { iat: now, nbf: now, exp: now + 600, jti: `job-${at}` }),
      )
      const outcomes = await Promise.all(
        tokens.map((token) =>
          Promise.all(
            [...nodes, ...nodes].map((verify) => outcomeOf(verify(formWith(token, { client_id: 'deployment' })))),
          ),
        ),
      )
      for (const each of outcomes)
        assert.deepEqual(each.sort(), ['accepted', 'assertion_replayed', 'assertion_replayed', 'assertion_replayed'])
    })
  })
}

nodesOn('Redis', without(redisServer), startRedis)
nodesOn('PostgreSQL', without(postgresServer), startPostgres)
