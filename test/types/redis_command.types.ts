// The functions that the documents give for each Redis client compile, as they stand there, with the strictest settings
// (tsconfig.json). `redis_command.test.ts` compares the texts. Nothing here is run.
import type { GlideClient, GlideClusterClient } from '@valkey/valkey-glide'
import type * as ioredis from 'ioredis'
import type * as iovalkey from 'iovalkey'
import type { RedisCommand } from 'passport-client-assertion-jwt/stores/redis'
import type { RedisClientType, RedisClusterType, RedisSentinelType } from 'redis'

declare const sentinel: RedisSentinelType

/** node-redis */
export const nodeRedis = (client: RedisClientType, cluster: RedisClusterType): RedisCommand[] => [
  (args) => client.sendCommand(args),
  (args, key) => cluster.sendCommand(key, false, args),
  (args) => sentinel.sendCommand(false, args),
]

/** ioredis and iovalkey */
export const ioRedis = (client: ioredis.Redis | ioredis.Cluster): RedisCommand[] => [
  (args) => client.call(...args),
  ([name, ...rest]) => client.call(name, ...rest),
]
export const ioValkey = (client: iovalkey.Redis | iovalkey.Cluster): RedisCommand[] => [
  (args) => client.call(...args),
  ([name, ...rest]) => client.call(name, ...rest),
]

/** valkey-glide */
export const glide = (client: GlideClient | GlideClusterClient): RedisCommand[] => [
  (args) => client.customCommand(args),
]

/** Option `reconnect`. */
export const reconnects = (client: ioredis.Redis, redis: iovalkey.Redis): (() => unknown)[] => [
  () => redis.disconnect(true),
  () => client.disconnect(true),
]

// Functions that were written for a plain list of texts are taken too.
export const plain: RedisCommand = async (args: string[]) => args.length
export const frozen: RedisCommand = async (args: readonly string[], _key: string) => args.length
