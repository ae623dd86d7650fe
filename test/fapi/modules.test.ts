import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const page = readFileSync(new URL('../../docs/fapi.md', import.meta.url), 'utf8')

test('docs/fapi.md names as tested exactly the modules that tests of this folder are titled with', () => {
  const documented = [...page.matchAll(/^\| `([\w-]+)` \| yes/gm)].map(([, name]) => name)
  const sources = readdirSync(here)
    .filter((name) => name !== 'modules.test.ts')
    .map((name) => readFileSync(here + name, 'utf8'))
    .join('\n')
  const titles = [...sources.matchAll(/moduleName\('([\w-]+)'\)/g)].map(([, name]) => name)
  const both = ['ensure-registered-redirect-uri', 'plain-fapi-tolerate-unregistered-redirect-uri'] // one loop over two titles
  for (const name of both) assert.ok(sources.includes(`'${name}'`))
  assert.deepEqual([...new Set([...titles, ...both])].sort(), [...documented].sort())
  assert.ok(documented.length > 50)
})
