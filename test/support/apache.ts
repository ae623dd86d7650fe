import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startProcess, startUntilReady } from './processes.ts'
import { APACHE_MODULES, apacheOauth2 } from './programs.ts'
import { freePort, temporaryFolder } from './temporary.ts'

export interface ApacheServer {
  /** Without a slash at the end. */
  readonly url: string
  stop(): Promise<void>
}

const MODULES = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'headers', 'oauth2']

/**
 * An Apache of its own on a free port, in a temporary folder. `locations` has the directives for the paths that it guards;
 * behind each is a file that says `in`.
 */
export async function startApache(locations: Readonly<Record<string, string>>): Promise<ApacheServer> {
  const program = apacheOauth2.find()
  if (program === undefined) throw new Error('apt-get install libapache2-mod-oauth2')
  const port = await freePort()
  const { path: folder, remove } = temporaryFolder('apache')
  chmodSync(folder, 0o755) // it gives up the rights of root
  const documents = join(folder, 'documents')
  mkdirSync(documents)
  const name = (path: string): string => path.slice(1)
  writeFileSync(join(documents, 'open'), 'open')
  for (const path of Object.keys(locations)) writeFileSync(join(documents, name(path)), 'in')
  const configuration = [
    `ServerRoot ${folder}`,
    `DocumentRoot ${documents}`,
    `PidFile ${folder}/pid`,
    `Mutex file:${folder}`,
    `DefaultRuntimeDir ${folder}`,
    `ErrorLog ${folder}/errors`,
    'LogLevel oauth2:debug',
    'ServerName 127.0.0.1',
    `Listen 127.0.0.1:${port}`,
    'User www-data',
    'Group www-data',
    ...MODULES.map((each) => `LoadModule ${each}_module ${APACHE_MODULES}/mod_${each}.so`),
    ...Object.entries(locations).map(([path, directives]) => `<Location ${path}>\n${directives}\n</Location>`),
  ].join('\n')
  writeFileSync(join(folder, 'apache.conf'), `${configuration}\n`)
  const url = `http://127.0.0.1:${port}`
  const running = await startUntilReady(
    () => startProcess(program, ['-X', '-f', join(folder, 'apache.conf')]),
    `Apache on ${port}`,
    async () => (await fetch(`${url}/open`)).ok,
  )
  return {
    url,
    async stop() {
      await running.kill()
      remove()
    },
  }
}
