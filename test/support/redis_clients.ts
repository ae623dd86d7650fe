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

// Each as its users would set it up for this package: nothing queues up while there is no connection, and a command
// whose answer was lost is not sent a second time.
export const redisClients: Readonly<Record<string, ConnectRedis>> = {
  'node-redis': async (ports, as) => {
    const client = createClient({ url: `redis://127.0.0.1:${first(ports)}`, disableOfflineQueue: true, ...as })
    client.on('error', quiet)
    await client.connect()
    return { command: (args) => client.sendCommand(args), close: async () => client.destroy() }
  },
  ioredis: async (ports, as) => {
    const client = new IoRedis(first(ports), '127.0.0.1', {
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      lazyConnect: true,
      ...as,
    })
    client.on('error', quiet)
    await client.connect()
    return {
      command: (args) => client.call(...args),
      close: async () => client.disconnect(),
    }
  },
  iovalkey: async (ports, as) => {
    const client = new IoValkey(first(ports), '127.0.0.1', {
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      lazyConnect: true,
      ...as,
    })
    client.on('error', quiet)
    await client.connect()
    return {
      command: (args) => client.call(...args),
      close: async () => client.disconnect(),
    }
  },
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
  'ioredis cluster': async (ports, as) => {
    const cluster = new IoRedisCluster(hosts(ports), {
      enableOfflineQueue: false,
      lazyConnect: true,
      redisOptions: { ...as },
    })
    cluster.on('error', quiet)
    await cluster.connect()
    return { command: ([name = '', ...rest]) => cluster.call(name, ...rest), close: async () => cluster.disconnect() }
  },
  'iovalkey cluster': async (ports, as) => {
    const cluster = new IoValkeyCluster(hosts(ports), {
      enableOfflineQueue: false,
      lazyConnect: true,
      redisOptions: { ...as },
    })
    cluster.on('error', quiet)
    await cluster.connect()
    return { command: ([name = '', ...rest]) => cluster.call(name, ...rest), close: async () => cluster.disconnect() }
  },
  'valkey-glide cluster': async (ports, as) => {
    const cluster = await GlideClusterClient.createClient({
      addresses: hosts(ports),
      requestTimeout: 2000,
      ...(as && { credentials: as }),
    })
    return { command: (args) => cluster.customCommand(args), close: async () => cluster.close() }
  },
}
