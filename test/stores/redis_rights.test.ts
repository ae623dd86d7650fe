import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { createClient } from 'redis'
import { createRedisStores } from '../../lib/stores/redis.ts'
import { redisServer, without } from '../support/programs.ts'
import { type ConnectRedis, redisClients, redisClusterClients } from '../support/redis_clients.ts'
import { startRedis, startRedisCluster } from '../support/redis_server.ts'
import { useAll } from './use_all.ts'

/** The lines of docs/scaling.md that make the user of Redis: what the store needs, and what clients need beside. */
const [STORE = '', CLIENT = ''] = readFileSync('docs/scaling.md', 'utf8').match(/^ACL SETUSER .*$/gm) ?? []
const as = { username: 'oauth', password: 'PASSWORD' }
const signingKeys = 'a secret of these tests, more than 32 octets'

async function grant(ports: readonly number[], ...lines: string[]): Promise<void> {
  for (const port of ports) {
    const administrator = createClient({ url: `redis://127.0.0.1:${port}` })
    await administrator.connect()
    for (const line of lines) assert.equal(String(await administrator.sendCommand(line.split(' '))), 'OK')
    administrator.destroy()
  }
}

async function suffices(connect: ConnectRedis, ports: readonly number[]): Promise<void> {
  const { command, close } = await connect(ports, as)
  try {
    for (let round = 0; round < 5; round += 1) await useAll(createRedisStores({ command, signingKeys }))
    await assert.rejects(command(['GET', 'elsewhere'], 'elsewhere'), /NOPERM|permission/i)
    await assert.rejects(command(['KEYS', '*'], 'elsewhere'), /NOPERM|permission/i)
    await assert.rejects(command(['DEL', 'oauth:1:j:{x}'], 'oauth:1:j:{x}'), /NOPERM|permission/i)
    await assert.rejects(
      createRedisStores({ command, signingKeys, prefix: 'other' }).sessionStore.get('x'),
      /NOPERM|permission/i,
    )
  } finally {
    await close()
  }
}

describe('the rights of docs/scaling.md are enough, and no more', { skip: without(redisServer) }, () => {
  test('one Redis', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const ports = [server.port]
    await grant(ports, STORE)
    await suffices(redisClients['node-redis'] as ConnectRedis, ports)
    await grant(ports, CLIENT)
    for (const [name, connect] of Object.entries(redisClients)) await t.test(name, () => suffices(connect, ports))
  })

  test('a cluster', async (t) => {
    const cluster = await startRedisCluster()
    t.after(() => cluster.stop())
    await grant(cluster.ports, STORE, CLIENT)
    for (const [name, connect] of Object.entries(redisClusterClients))
      await t.test(name, () => suffices(connect, cluster.ports))
  })
})
