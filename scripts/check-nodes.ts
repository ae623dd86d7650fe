// Runs the unit tests on every Node line that the package supports. `npm run check:nodes [22 24 …]`
//
// The binaries come from the registry's own packages of Node and are kept in .tmp/nodes between runs. Tests that need a
// database server, a browser or an installation of their own run on one Node only and are left out here.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
// The first is the oldest release that `engines` allows.
const LINES = ['20.19', '22', '24', '26']
const NOT_UNIT =
  /^(journeys|package|examples|bench|docs|recipes|types|support|fixtures)\b|^stores\/(redis|postgres|shared|cluster|race)/

const testFiles = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts') && !NOT_UNIT.test(name))
  .sort()
  .map((name) => join('test', name))

function binaryOf(line: string): string {
  const name = `node-${process.platform}-${process.arch}`
  const folder = join(root, '.tmp/nodes', line)
  const binary = join(folder, 'node_modules', name, 'bin/node')
  if (existsSync(binary)) return binary
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  const install = ['install', '--no-save', '--ignore-scripts', '--prefer-offline', '--loglevel=error']
  const { status } = spawnSync('npm', [...install, `${name}@${line}`], { cwd: folder, stdio: 'inherit' })
  if (status !== 0 || !existsSync(binary)) throw new Error(`cannot install ${name}@${line}`)
  return binary
}

const chosen = process.argv.slice(2)
let failed = false
for (const line of LINES.filter((each) => chosen.length === 0 || chosen.some((name) => each.startsWith(name)))) {
  const binary = binaryOf(line)
  const version = spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout.trim()
  const began = performance.now()
  const { status, stdout, stderr } = spawnSync(
    binary,
    ['--import', 'tsx', '--test', '--test-reporter=tap', '--test-concurrency=2', ...testFiles],
    { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28, env: { ...process.env, NODE_OPTIONS: '' } },
  )
  const count = (word: string): string => stdout.match(new RegExp(`^# ${word} (\\d+)`, 'm'))?.[1] ?? '?'
  const seconds = ((performance.now() - began) / 1000).toFixed(0)
  console.log(
    `Node ${version}: ${count('pass')} passed, ${count('fail')} failed, ${count('skipped')} skipped (${seconds} s)`,
  )
  if (status !== 0 || count('pass') === '?' || count('pass') === '0') {
    failed = true
    for (const [told] of stdout.matchAll(/^ *not ok [\s\S]*?^ *\.\.\.$/gm)) console.log(told)
    console.error(stderr)
  }
}
process.exitCode = failed ? 1 : 0
