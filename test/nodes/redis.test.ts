import { redisServer, without } from '../support/programs.ts'
import { startRedis } from '../support/redis_server.ts'
import { severalNodes } from './several_nodes.ts'

severalNodes('Redis', without(redisServer), startRedis)
