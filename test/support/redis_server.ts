import { spawnSync } from 'node:child_process'
import { createClient } from 'redis'
import { type RunningProcess, startProcess, startUntilReady } from './processes.ts'
import { redisServer } from './programs.ts'
import { eventually, freePort, temporaryFolder } from './temporary.ts'

export interface RedisServer {
  readonly port: number
  readonly url: string
  process(): RunningProcess
  /** Starts it again on the same port and data, after it was killed. */
  restart(): Promise<void>
  stop(): Promise<void>
}

const answers = (port: number) => async (): Promise<true | false> => {
  const client = createClient({ url: `redis://127.0.0.1:${port}`, socket: { reconnectStrategy: false } })
  client.on('error', () => undefined)
  await client.connect()
  const reply = await client.ping()
  client.destroy()
  return reply === 'PONG'
}

/** A redis-server of its own, keeping its data in a temporary folder with an append-only file that is always synced. */
export async function startRedis(settings: readonly string[] = []): Promise<RedisServer> {
  const program = redisServer.find()
  if (program === undefined) throw new Error('redis-server is not installed (on Debian: apt-get install redis-server)')
  const port = await freePort()
  const folder = temporaryFolder('redis')
  const parameters = [
    ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder.path, '--save', ''],
    ...['--appendonly', 'yes', '--appendfsync', 'always', '--maxmemory-policy', 'noeviction', ...settings],
  ]
  const start = () => startUntilReady(() => startProcess(program, parameters), `redis-server on ${port}`, answers(port))
  let running = await start()
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    process: () => running,
    async restart() {
      running = await start()
    },
    async stop() {
      running.resume()
      await running.kill()
      folder.remove()
    },
  }
}

export interface RedisCluster {
  readonly ports: readonly number[]
  stop(): Promise<void>
}

/** Three redis-servers as one cluster, without replicas. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const nodes = await Promise.all([0, 1, 2].map(() => startRedis(['--cluster-enabled', 'yes'])))
  const ports = nodes.map(({ port }) => port)
  const { status, stdout, stderr } = spawnSync(
    'redis-cli',
    ['--cluster', 'create', ...ports.map((port) => `127.0.0.1:${port}`), '--cluster-yes'],
    { encoding: 'utf8', timeout: 30_000 },
  )
  if (status !== 0) throw new Error(`redis-cli --cluster create failed: ${stdout}${stderr}`)
  for (const port of ports)
    await eventually(`cluster node ${port}`, async () =>
      spawnSync('redis-cli', ['-p', String(port), 'cluster', 'info'], { encoding: 'utf8' }).stdout.includes(
        'cluster_state:ok',
      ),
    )
  return {
    ports,
    async stop() {
      await Promise.all(nodes.map((node) => node.stop()))
    },
  }
}
