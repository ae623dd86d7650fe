// Runs the unit tests on every Node line that the package supports. `npm run check:nodes [22 24 …]`
//
// The binaries come from the registry's own packages of Node and are kept in .tmp/nodes between runs. Tests that need a
// database server, a browser or an installation of their own run on one Node only and are left out here.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { binaryOf, LINES } from './node_binaries.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
/** What needs an installation, a build, a browser or a quiet machine, runs with each store, or reads the sources only. */
const ELSEWHERE =
  /^(example|journeys|nodes|recipes|types|work)[\\/]|^stores[\\/](?!memory)|^(docs|resource[\\/]flows)\.test|^hosts[\\/]runtimes/

/** Node 20 cannot run TypeScript itself. The others run the sources as they stand, without a build. */
const loaderFor = (line: string): readonly string[] => (line.startsWith('20') ? ['--import', 'tsx'] : [])

const testFiles = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts') && !ELSEWHERE.test(name))
  .sort()
  .map((name) => join('test', name))

const chosen = process.argv.slice(2)
let failed = false
for (const line of LINES.filter((each) => chosen.length === 0 || chosen.some((name) => each.startsWith(name)))) {
  const binary = binaryOf(line)
  const version = spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout.trim()
  const began = performance.now()
  const { status, stdout, stderr } = spawnSync(
    binary,
    [...loaderFor(line), '--test', '--test-reporter=tap', '--test-concurrency=2', ...testFiles],
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
