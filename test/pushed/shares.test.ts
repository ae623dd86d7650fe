import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createShares } from '../../lib/pushed/shares.ts'

test('one client gets an eighth, and all together get the whole', () => {
  const { take } = createShares(80, 10)
  assert.equal(take('a', 10, 100), true)
  assert.equal(take('a', 1, 100), false)
  for (const client of 'bcdefgh') assert.equal(take(client, 10, 100), true, client)
  assert.equal(take('i', 1, 100), false, 'the whole is used up')
})

test('what was counted is given back after two periods at the latest, and not before one', () => {
  const { take } = createShares(80, 10)
  assert.equal(take('a', 10, 109), true)
  assert.equal(take('a', 1, 110), false)
  assert.equal(take('a', 1, 119), false)
  assert.equal(take('a', 10, 120), true)
  assert.equal(take('b', 10, 1_000_000), true)
})

test('requests that are counted out of order around the end of a period give nothing back', () => {
  const { take } = createShares(80, 10)
  assert.equal(take('a', 5, 109), true)
  assert.equal(take('a', 5, 110), true)
  for (const now of [109, 110, 109, 110]) assert.equal(take('a', 1, now), false, String(now))
})

test('a clock that is set back far does not lock anybody out', () => {
  const { take } = createShares(80, 10)
  assert.equal(take('a', 10, 1000), true)
  assert.equal(take('a', 10, 100), true)
})
