import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { codeOfReason, REASONS } from '../../lib/errors.ts'

const text = readFileSync(new URL('../../docs/reasons.md', import.meta.url), 'utf8')

/** Each heading of the third level, and what stands below it. */
const entries = new Map(
  text
    .split(/^### /m)
    .slice(1)
    .map((entry) => [entry.slice(0, entry.indexOf('\n')), entry] as const),
)

test('docs/reasons.md has an entry for every reason, and for nothing else', () => {
  assert.deepEqual([...entries.keys()].sort(), [...REASONS].sort())
})

test('each entry names the code that the reason goes out as, and says what to do', () => {
  for (const reason of REASONS) {
    const entry = entries.get(reason) ?? ''
    assert.ok(entry.startsWith(`${reason}\n\n\`${codeOfReason(reason)}\``), reason)
    assert.match(entry, /_What to do:_ \S/, reason)
  }
})
