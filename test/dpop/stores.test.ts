import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openStores } from '../../examples/stores.ts'
import { createProver, startDpopServer } from '../support/dpop.ts'
import { startPostgres } from '../support/postgres_server.ts'
import { postgresServer, redisServer, without } from '../support/programs.ts'
import { startRedis } from '../support/redis_server.ts'

const BACKENDS = [
  ['Redis', without(redisServer), startRedis],
  ['PostgreSQL', without(postgresServer), startPostgres],
] as const

for (const [name, skip, start] of BACKENDS) {
  describe(`two nodes on one ${name}`, { skip }, () => {
    test('DP5 DP9 DP10: proofs are used once, and codes and refresh tokens keep their key', async (context) => {
      const backend = await start()
      const stores = await openStores(backend.url, Buffer.alloc(32, 1))
      context.after(async () => {
        await stores.close()
        await backend.stop()
      })
      const one = await startDpopServer(context, { stores })
      const two = await startDpopServer(context, { stores, clock: one.clock })
      const [right, wrong] = await Promise.all([createProver(one.clock), createProver(one.clock)])
      const code = await one.code('public', right.thumbprint)
      assert.equal((await two.token('public', code, await wrong.proof())).body['error'], 'invalid_grant')
      const proof = await right.proof()
      const tokens = await two.token('public', code, proof)
      assert.equal(tokens.body['token_type'], 'DPoP')
      const refresh = { grant_type: 'refresh_token', refresh_token: String(tokens.body['refresh_token']) }
      assert.equal((await one.token('public', refresh, proof)).body['error'], 'invalid_dpop_proof', 'used before')
      assert.equal((await one.token('public', refresh, await wrong.proof())).body['error'], 'invalid_grant')
      assert.equal((await one.token('public', refresh)).body['error'], 'invalid_grant')
      assert.equal((await one.token('public', refresh, await right.proof())).status, 200)
    })
  })
}
