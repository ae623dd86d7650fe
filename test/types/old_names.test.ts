import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { publicSurface } from '../support/public_surface.ts'

/** All names that version 0.1.0 (commit 0c945c1) exported, by entry. */
const OLD: Readonly<Record<string, readonly string[]>> = JSON.parse(
  readFileSync(new URL('../fixtures/names_0_1_0.json', import.meta.url), 'utf8'),
)
const page = readFileSync(new URL('../../docs/decisions/0040-public-names.md', import.meta.url), 'utf8')

const entryOf = (file: string): string => (file === 'index.ts' ? '.' : `./${file.replace(/\/index\.ts$|\.ts$/, '')}`)
const today = new Map([...publicSurface()].map(([file, names]) => [entryOf(file), names.map(({ name }) => name)]))

const rows = [...page.matchAll(/^\| `(\w+)` \| (.*) \|$/gm)].map(([, name = '', rest = '']) => ({
  name,
  cells: rest.split(' | ').map((cell) => cell.replaceAll('`', '')),
}))

test('every name of 0.1.0 is where it was, or has its row in docs/decisions/0040-public-names.md', () => {
  for (const [entry, names] of Object.entries(OLD))
    for (const name of names) {
      const isKept = today.get(entry)?.includes(name) === true
      const hasRow = rows.some((row) => row.name === name && (row.cells.length === 1 || row.cells[0] === entry))
      assert.ok(isKept !== hasRow, `${name} of ${entry} is ${isKept ? 'kept, and has a row' : 'gone, and has no row'}`)
    }
})

test('every name that a row leads to is exported from the entry it names', () => {
  for (const { name, cells } of rows) {
    const [, to, entry] = cells
    if (to === undefined || entry === undefined) continue
    assert.ok(today.get(entry)?.includes(to), `${name}: ${entry} has no ${to}`)
  }
})
