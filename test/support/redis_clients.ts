import { GlideClient, GlideClusterClient, Logger } from '@valkey/valkey-glide'
import { Redis as IoRedis, Cluster as IoRedisCluster } from 'ioredis'
import { Redis as IoValkey, Cluster as IoValkeyCluster } from 'iovalkey'
import { createClient, createCluster } from 'redis'
import type { RedisCommand } from '../../lib/stores/redis.ts'

/** A connection, and its end. */
export interface RedisConnection {
  readonly command: RedisCommand
  close(): Promise<void>
}

export interface RedisCredentials {
  readonly username: string
  readonly password: string
}

export type ConnectRedis = (ports: readonly number[], as?: RedisCredentials) => Promise<RedisConnection>

const quiet = () => undefined
const first = (ports: readonly number[]): number => ports[0] ?? 0
const hosts = (ports: readonly number[]) => ports.map((port) => ({ host: '127.0.0.1', port }))
Logger.setLoggerConfig('off')

const IO_SETTINGS = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  lazyConnect: true,
}
const ioCluster = (as: RedisCredentials | undefined) => ({
  enableOfflineQueue: false,
  lazyConnect: true,
  redisOptions: { ...as },
})

/** ioredis and iovalkey have one interface, and the same types under two names. */
async function ioConnection(given: IoRedis | IoRedisCluster | IoValkey | IoValkeyCluster): Promise<RedisConnection> {
  const client = given as IoRedis
  client.on('error', quiet)
  await client.connect()
  return { command: (args) => client.call(...args), close: async () => client.disconnect() }
}

// Each as its users would set it up for this package: nothing queues up while there is no connection, and a command
// whose answer was lost is not sent a second time.
export const redisClients: Readonly<Record<string, ConnectRedis>> = {
  'node-redis': async (ports, as) => {
    const client = createClient({ url: `redis://127.0.0.1:${first(ports)}`, disableOfflineQueue: true, ...as })
    client.on('error', quiet)
    await client.connect()
    return { command: (args) => client.sendCommand(args), close: async () => client.destroy() }
  },
  ioredis: async (ports, as) => ioConnection(new IoRedis(first(ports), '127.0.0.1', { ...IO_SETTINGS, ...as })),
  iovalkey: async (ports, as) => ioConnection(new IoValkey(first(ports), '127.0.0.1', { ...IO_SETTINGS, ...as })),
  'valkey-glide': async (ports, as) => {
    const client = await GlideClient.createClient({
      addresses: hosts(ports),
      requestTimeout: 2000,
      ...(as && { credentials: as }),
    })
    return { command: (args) => client.customCommand(args), close: async () => client.close() }
  },
}

export const redisClusterClients: Readonly<Record<string, ConnectRedis>> = {
  'node-redis cluster': async (ports, as) => {
    const cluster = createCluster({
      rootNodes: ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })),
      defaults: { disableOfflineQueue: true, ...as },
    })
    cluster.on('error', quiet)
    await cluster.connect()
    return {
      command: (args, key) => cluster.sendCommand(key, false, args),
      close: async () => cluster.destroy(),
    }
  },
  'ioredis cluster': async (ports, as) => ioConnection(new IoRedisCluster(hosts(ports), ioCluster(as))),
  'iovalkey cluster': async (ports, as) => ioConnection(new IoValkeyCluster(hosts(ports), ioCluster(as))),
  'valkey-glide cluster': async (ports, as) => {
    const cluster = await GlideClusterClient.createClient({
      addresses: hosts(ports),
      requestTimeout: 2000,
      ...(as && { credentials: as }),
    })
    return { command: (args) => cluster.customCommand(args), close: async () => cluster.close() }
  },
}
