import { type SpawnSyncOptions, spawnSync } from 'node:child_process'
import { chownSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { type RunningProcess, startProcess, startUntilReady } from './processes.ts'
import { pgBouncer, postgresServer } from './programs.ts'
import { freePort, temporaryFolder } from './temporary.ts'

export interface PostgresServer {
  readonly port: number
  readonly url: string
  process(): RunningProcess
  /** Starts it again on the same port and data, after it was killed. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** PostgreSQL refuses to run as root: then it runs as the first of these users that there is. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  for (const name of ['postgres', 'nobody']) {
    const numbers = ['-u', '-g'].map((flag) => spawnSync('id', [flag, name], { encoding: 'utf8' }).stdout.trim())
    const [uid = '', gid = ''] = numbers
    if (/^\d+$/.test(uid) && /^\d+$/.test(gid)) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new Error('PostgreSQL does not run as root, and there is no user postgres or nobody to run it as')
}

const answers = (url: string) => async (): Promise<true> => {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1000 })
  client.on('error', () => undefined)
  await client.connect()
  await client.query('select 1')
  await client.end()
  return true
}

/** A PostgreSQL of its own, in a temporary folder, safe against crashes as it is by default. */
export async function startPostgres(settings: readonly string[] = []): Promise<PostgresServer> {
  const initdb = postgresServer.find()
  if (initdb === undefined) throw new Error('PostgreSQL is not installed (on Debian: apt-get install postgresql)')
  const user = unprivileged()
  const folder = temporaryFolder('postgres')
  if (user !== undefined) chownSync(folder.path, user.uid, user.gid)
  const as: SpawnSyncOptions = { ...user, cwd: folder.path, env: { ...process.env, HOME: folder.path } }
  const data = join(folder.path, 'data')
  const made = spawnSync(initdb, ['-D', data, '-U', 'test', '-A', 'trust', '-E', 'UTF8', '--no-sync', '--locale=C'], {
    ...as,
    encoding: 'utf8',
  })
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stdout}${made.stderr}`)
  const port = await freePort()
  const parameters = ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', '']
  for (const setting of settings) parameters.push('-c', setting)
  const url = `postgres://test@127.0.0.1:${port}/postgres`
  const program = join(dirname(initdb), 'postgres')
  const start = () =>
    startUntilReady(() => startProcess(program, parameters, as), `PostgreSQL on ${port}`, answers(url))
  let running = await start()
  return {
    port,
    url,
    process: () => running,
    async restart() {
      running = await start()
    },
    async stop() {
      running.resume()
      // SIGQUIT is PostgreSQL's immediate shutdown, which takes its children along.
      if (running.status() === undefined) process.kill(running.pid, 'SIGQUIT')
      await running.stop()
      folder.remove()
    },
  }
}

export interface PgBouncer {
  readonly url: string
  stop(): Promise<void>
}

/** PgBouncer in transaction mode in front of a server: any statement may run on any of its few connections. */
export async function startPgBouncer(server: PostgresServer): Promise<PgBouncer> {
  const program = pgBouncer.find()
  if (program === undefined) throw new Error('PgBouncer is not installed (on Debian: apt-get install pgbouncer)')
  const user = unprivileged()
  const folder = temporaryFolder('pgbouncer')
  const port = await freePort()
  const settings = join(folder.path, 'pgbouncer.ini')
  const users = join(folder.path, 'users.txt')
  writeFileSync(users, '"test" ""\n')
  writeFileSync(
    settings,
    `[databases]
postgres = host=127.0.0.1 port=${server.port} dbname=postgres user=test
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
ignore_startup_parameters = extra_float_digits
`,
  )
  if (user !== undefined) for (const path of [folder.path, settings, users]) chownSync(path, user.uid, user.gid)
  const url = `postgres://test@127.0.0.1:${port}/postgres`
  const start = () => startProcess(program, [settings], { ...user, cwd: folder.path })
  const running = await startUntilReady(start, `PgBouncer on ${port}`, answers(url))
  return {
    url,
    async stop() {
      await running.kill()
      folder.remove()
    },
  }
}
