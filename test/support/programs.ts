import { accessSync, constants, existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** A program the tests drive, and the Debian package that brings it. */
export interface ProgramName {
  readonly name: string
  readonly debianPackage: string
  /** Path of the program, or `undefined` where it is not installed. */
  find(): string | undefined
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const onPath = (...names: string[]): string | undefined =>
  names
    .flatMap((name) => (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name)))
    .find(isExecutable)

/** PostgreSQL's own programs are not on the path: Debian keeps them by version. The newest first. */
function postgresProgram(name: string): string | undefined {
  const folder = '/usr/lib/postgresql'
  try {
    return readdirSync(folder)
      .sort((one, other) => Number(other) - Number(one))
      .map((version) => join(folder, version, 'bin', name))
      .find(isExecutable)
  } catch {
    return onPath(name)
  }
}

export const chromium: ProgramName = {
  name: 'Chromium',
  debianPackage: 'chromium',
  find: () => process.env['CHROMIUM'] ?? onPath('chromium', 'chromium-browser', 'google-chrome'),
}

export const redisServer: ProgramName = {
  name: 'Redis',
  debianPackage: 'redis-server',
  find: () => onPath('redis-server'),
}

export const postgresServer: ProgramName = {
  name: 'PostgreSQL',
  debianPackage: 'postgresql',
  find: () => postgresProgram('initdb'),
}

export const pgBouncer: ProgramName = {
  name: 'PgBouncer',
  debianPackage: 'pgbouncer',
  find: () => onPath('pgbouncer') ?? ['/usr/sbin/pgbouncer'].find(isExecutable),
}

/** The module stands for both: its package brings the server. */
export const APACHE_MODULES = '/usr/lib/apache2/modules'
export const apacheOauth2: ProgramName = {
  name: 'Apache with mod_oauth2',
  debianPackage: 'libapache2-mod-oauth2',
  find: () =>
    existsSync(join(APACHE_MODULES, 'mod_oauth2.so')) ? ['/usr/sbin/apache2'].find(isExecutable) : undefined,
}

export const PROGRAMS: readonly ProgramName[] = [chromium, redisServer, postgresServer, pgBouncer, apacheOauth2]

/**
 * For the `skip` option of a test: false where the program is there, the reason where it is not. With `CI` set nothing
 * is skipped, so that the test fails where it can not run.
 */
export const without = (program: ProgramName): string | false =>
  program.find() === undefined && !process.env['CI'] ? `${program.name} is not installed` : false
