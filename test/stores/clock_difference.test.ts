import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPostgresStores } from '../../lib/stores/postgres.ts'
import { createRedisStores } from '../../lib/stores/redis.ts'

test('R26 a remote register outlasts the expiry by a minute, so that a database whose clock is ahead forgets nothing too early', async () => {
  const commands: string[][] = []
  const redis = createRedisStores({
    command: async (args) => {
      commands.push(args)
      return 'OK'
    },
    signingKeys: 's'.repeat(32),
  })
  assert.equal(await redis.replayRegister.remember('i', 'c', 'j', 1_800_000_000), true)
  assert.deepEqual(commands[0]?.slice(2), ['1', 'NX', 'EXAT', '1800000060'])

  const values: unknown[][] = []
  const postgres = createPostgresStores({
    query: async (_text, given) => {
      values.push([...given])
      return { rows: [{}] }
    },
  })
  assert.equal(await postgres.replayRegister.remember('i', 'c', 'j', 1_800_000_000), true)
  assert.equal(values[0]?.[1], 1_800_000_060)
})
