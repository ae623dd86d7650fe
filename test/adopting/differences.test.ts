// The two moving pages name the differences of test/adopting/differences.ts, each of which has a test; no more and no fewer.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { rowsOf } from '../support/page_tables.ts'
import { FROM_APIAC, FROM_CHARON, type Section } from './differences.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The titles of all tests, those of the suites in lib/testing among them. */
const titles = ['test', 'lib/testing'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => {
      const source = readFileSync(join(root, folder, name), 'utf8')
      const quoted = [...source.matchAll(/\b(?:test|it|describe)\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1/g)]
      const rows = [...source.matchAll(/\b(?:row|title|what|name): (['"`])((?:\\.|(?!\1)[^\\])*)\1/g)]
      return [...quoted, ...rows].map(([, , title = '']) => title)
    }),
)

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** A rule's id must stand in a title as a word; other words as they are. */
const isProven = (proof: string): boolean => {
  const pattern = /^[A-Z]{1,2}\d+$/.test(proof) ? new RegExp(`\\b${proof}\\b`) : new RegExp(escaped(proof))
  return titles.some((title) => pattern.test(title.replaceAll('\\', '')))
}

/** The sections of a page that tell of moving, whose programs and tables have tests of their own. */
const headingsOf = (page: string): string[] =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/^## (.*)$/gm)].map(([, heading = '']) => heading)

function holds(page: string, list: Readonly<Record<string, Section>>, elsewhere: readonly string[]): void {
  describe(page, () => {
    test('every section with a table is in the list', () => {
      const withTables = headingsOf(page).filter((heading) => rowsOf(join(root, page), heading).length > 0)
      assert.deepEqual(withTables.sort(), [...Object.keys(list), ...elsewhere].sort())
    })

    for (const [heading, section] of Object.entries(list)) {
      test(`"${heading}" has the rows of the list, and each row a test`, () => {
        assert.deepEqual(rowsOf(join(root, page), heading).sort(), Object.keys(section).sort())
        for (const [row, proofs] of Object.entries(section)) {
          assert.ok(proofs.length > 0, row)
          for (const proof of proofs) assert.ok(isProven(proof), `${row}: no test is titled ${proof}`)
        }
      })
    }
  })
}

// "Options" and "Reasons" are checked in test/assertion/from_apiac.test.ts, the others in this folder.
holds('docs/from-apiac.md', FROM_APIAC, ['Options', 'Reasons', 'What cannot be kept'])
holds('docs/from-charon.md', FROM_CHARON, ['Moving data', 'What cannot be kept'])
