// What `npm test` runs: sees to the programs the tests drive, then runs all test files, or the ones that are named.
//
//   npm test                                    everything
//   npm test -- test/session test/layers.test.ts
//   npm test -- --test-name-pattern=T45 test/exchanges
//
// On Debian and as root what is missing is installed (not with NO_INSTALL set). Elsewhere it is named, and the tests
// that need it are skipped by name; with CI set they fail.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PROGRAMS } from '../test/support/programs.ts'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const testFilesBelow = (path: string): string[] =>
  statSync(path).isDirectory()
    ? readdirSync(path)
        .sort()
        .filter((name) => name !== 'node_modules' && name !== 'fixtures')
        .flatMap((name) => testFilesBelow(join(path, name)))
    : path.endsWith('.test.ts')
      ? [path]
      : []

function installMissing(): void {
  const missing = PROGRAMS.filter((program) => program.find() === undefined)
  if (missing.length === 0) return
  const packages = missing.map(({ debianPackage }) => debianPackage)
  const mayInstall =
    process.getuid?.() === 0 && existsSync('/etc/debian_version') && process.env['NO_INSTALL'] === undefined
  if (mayInstall) {
    console.log(`The tests need ${packages.join(', ')}: installing.`)
    // Run level 1: the packages' own services are not started. The tests start servers of their own.
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
    for (const parameters of [
      ['update', '-q'],
      ['install', '-q', '-y', '--no-install-recommends', ...packages],
    ])
      spawnSync('apt-get', parameters, { stdio: 'inherit', env })
  }
  const still = missing.filter((program) => program.find() === undefined)
  if (still.length === 0) return
  for (const { name, debianPackage } of still)
    console.error(`Missing: ${name} (on Debian: apt-get install ${debianPackage})`)
  console.error(
    process.env['CI'] ? 'CI is set: the tests that need it will fail.' : 'The tests that need it will be skipped.',
  )
}

const parameters = process.argv.slice(2)
const flags = parameters.filter((each) => each.startsWith('-'))
const paths = parameters.filter((each) => !each.startsWith('-'))
installMissing()
const files = (paths.length > 0 ? paths : ['test']).flatMap(testFilesBelow)
if (files.length === 0) {
  console.error(`no test files below ${paths.join(', ')}`)
  process.exit(1)
}
// Eight processes and a load that measures them need the machine for themselves.
const isAlone = (file: string): boolean => file.startsWith(join('test', 'nodes'))

function run(concurrency: number, some: readonly string[]): number {
  if (some.length === 0) return 0
  const options = ['--test-timeout=300000', `--test-concurrency=${concurrency}`, '--test-reporter=spec']
  const { status } = spawnSync(process.execPath, ['--import', 'tsx', '--test', ...options, ...flags, ...some], {
    stdio: 'inherit',
  })
  return status ?? 1
}
const together = files.filter((file) => !isAlone(file))
const alone = files.filter(isAlone)
const first = run(3, together)
const second = run(1, alone)
if (first !== 0 && alone.length > 0) console.error('Tests failed: they are listed above, after the first run.')
process.exit(first || second)
