import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'

const folder = mkdtempSync(join(tmpdir(), 'node-binaries-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** An `npm` whose binary is there at once, but whole only after a while. */
const SLOW_NPM = `#!/bin/sh
bin=node_modules/node-${process.platform}-${process.arch}/bin
mkdir -p "$bin"
exec 3>"$bin/node"
chmod +x "$bin/node"
sleep "$SECONDS_TO_WRITE"
printf '#!/bin/sh\\necho whole\\n' >&3
`

test('programs that ask for one Node at the same time all get one that is whole, and nothing else is left', async () => {
  const path = join(folder, 'bin')
  const kept = join(folder, 'nodes')
  mkdirSync(path)
  writeFileSync(join(path, 'npm'), SLOW_NPM)
  chmodSync(join(path, 'npm'), 0o755)
  const module = new URL('../scripts/node_binaries.ts', import.meta.url).href
  const program = `
    import { execFileSync } from 'node:child_process'
    import { binaryOf } from ${JSON.stringify(module)}
    process.stdout.write(execFileSync(binaryOf('26', ${JSON.stringify(kept)}), { encoding: 'utf8' }))`
  const ask = async (seconds: string, after: number): Promise<string> => {
    await new Promise((resolve) => setTimeout(resolve, after))
    const env = { ...process.env, PATH: `${path}${delimiter}${process.env['PATH']}`, SECONDS_TO_WRITE: seconds }
    const loader = ['--import', 'tsx', '--input-type=module', '-e', program]
    return (await promisify(execFile)(process.execPath, loader, { env })).stdout.trim()
  }
  assert.deepEqual(await Promise.all([ask('0.9', 0), ask('0.9', 300), ask('0.5', 500)]), ['whole', 'whole', 'whole'])
  assert.deepEqual(readdirSync(kept), ['26'])
})
