// What must be in order before a tag is published. `node scripts/check-release.ts v1.2.3`, on Node.js 22.18 or newer
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const read = (name: string): string => readFileSync(fileURLToPath(new URL(`../${name}`, import.meta.url)), 'utf8')
const { version, repository } = JSON.parse(read('package.json')) as { version: string; repository?: unknown }
const tag = process.argv[2] ?? ''

const problems = [
  tag === `v${version}` ? '' : `The tag is "${tag}", but package.json has version ${version}.`,
  repository === undefined ? 'package.json names no repository: npm cannot make a provenance statement.' : '',
  new RegExp(`^## ${version.replaceAll('.', '\\.')}( |$)`, 'm').test(read('CHANGELOG.md'))
    ? ''
    : `CHANGELOG.md has no section "## ${version}".`,
].filter((problem) => problem !== '')

for (const problem of problems) console.error(problem)
process.exitCode = problems.length === 0 ? 0 : 1
