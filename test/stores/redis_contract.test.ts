import { after, describe, it } from 'node:test'
import { createRedisStores, type RedisStores } from '../../lib/stores/redis.ts'
import { testCodeStore } from '../../lib/testing/code_store_contract.ts'
import type { OpenedStore } from '../../lib/testing/contract.ts'
import { testReplayRegister } from '../../lib/testing/replay_register_contract.ts'
import { testSessionStore } from '../../lib/testing/session_store_contract.ts'
import { redisServer, without } from '../support/programs.ts'
import { type ConnectRedis, redisClients, redisClusterClients } from '../support/redis_clients.ts'
import { startRedis, startRedisCluster } from '../support/redis_server.ts'

const maximumCodesPerUser = 20
const timeoutMilliseconds = 20_000 // a busy machine is not what is tested
const signingKeys = 'a secret of these tests, more than 32 octets'

const opened =
  <Store>(connect: ConnectRedis, ports: () => readonly number[], pick: (stores: RedisStores) => Store) =>
  async (): Promise<OpenedStore<Store>> => {
    const [one, two] = await Promise.all([connect(ports()), connect(ports())])
    let connected = true
    const disconnect = async () => {
      if (connected) await one.close()
      connected = false
    }
    return {
      store: pick(createRedisStores({ command: one.command, signingKeys, timeoutMilliseconds, maximumCodesPerUser })),
      other: pick(createRedisStores({ command: two.command, signingKeys, timeoutMilliseconds, maximumCodesPerUser })),
      disconnect,
      close: async () => {
        await disconnect()
        await two.close()
      },
    }
  }

const hold = (clients: Readonly<Record<string, ConnectRedis>>, ports: () => readonly number[]) => {
  for (const [name, connect] of Object.entries(clients)) {
    describe(name, { concurrency: 4 }, () => {
      testReplayRegister(
        { describe, it },
        name,
        opened(connect, ports, (stores) => stores.replayRegister),
      )
      testCodeStore(
        { describe, it },
        name,
        opened(connect, ports, (stores) => stores.codeStore),
        { maximumCodesPerUser },
      )
      testSessionStore(
        { describe, it },
        name,
        opened(connect, ports, (stores) => stores.sessionStore),
      )
    })
  }
}

describe('one Redis', { skip: without(redisServer), concurrency: true }, async () => {
  const server = without(redisServer) ? undefined : await startRedis()
  after(() => server?.stop())
  hold(redisClients, () => [server?.port ?? 0])
})

describe('a Redis cluster of three', { skip: without(redisServer), concurrency: true }, async () => {
  const cluster = without(redisServer) ? undefined : await startRedisCluster()
  after(() => cluster?.stop())
  hold(redisClusterClients, () => cluster?.ports ?? [])
})
