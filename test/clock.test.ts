import assert from 'node:assert/strict'
import { test } from 'node:test'
import { timeOf } from '../lib/hooks.ts'

test('a clock that returns fractions of seconds, such as Date.now() / 1000, counts whole seconds', () => {
  assert.equal(
    timeOf(() => 1_800_000_000.9),
    1_800_000_000,
  )
})
