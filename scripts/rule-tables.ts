// Writes the generated cells of docs/rules: links of sources, errors of reasons, tests of rules. `npm run docs:rules`
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readRules, renderPages } from './rules/tables.ts'
import { testsOfRules } from './rules/titles.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const tests = testsOfRules(root)
for (const [file, { before, after }] of renderPages(root, tests))
  if (after !== before) writeFileSync(join(root, 'docs/rules', file), after)

const ids = new Set(readRules(root).map(({ id }) => id))
for (const [id, files] of tests) if (!ids.has(id)) console.error(`${id} has no row: ${files.join(', ')}`)
for (const id of ids) if (!tests.has(id)) console.error(`${id} has no test`)
