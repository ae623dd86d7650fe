import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

const HERE = new URL('.', import.meta.url)

/** The titles of the tests in this folder. */
const titles = readdirSync(HERE)
  .filter((name) => name.endsWith('.test.ts'))
  .flatMap((name) =>
    [...readFileSync(new URL(name, HERE), 'utf8').matchAll(/^test\(\s*[`'"](.+)/gm)].map(([, title]) => title ?? ''),
  )

test('every rule R1 to R74 has a test that names it', () => {
  const named = new Set(titles.flatMap((title) => [...title.matchAll(/\bR(\d+)\b/g)].map(([, row]) => Number(row))))
  const missing = Array.from({ length: 74 }, (_, index) => index + 1).filter((row) => !named.has(row))
  assert.deepEqual(missing, [])
})
