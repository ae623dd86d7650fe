import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBoundedCache } from '../../lib/remote/bounded_cache.ts'

test('a bounded cache never holds more than it may, and forgets what was used longest ago', () => {
  const cache = createBoundedCache<number>(10)
  for (let count = 0; count < 1000; count++) {
    cache.set(`k${count}`, count)
    assert.equal(cache.get('k0'), 0) // in use all the time, and so never forgotten
  }
  const held = Array.from({ length: 1000 }, (_, count) => cache.get(`k${count}`)).filter((value) => value !== undefined)
  assert.ok(held.length <= 10 && held.length >= 5, `${held.length} entries`)
  assert.ok(held.includes(999))
})

test('a key that is set again has its new value, once', () => {
  const cache = createBoundedCache<string>(4)
  for (const key of ['a', 'b', 'c', 'd']) cache.set(key, 'old')
  cache.set('b', 'new')
  assert.equal(cache.get('b'), 'new')
  assert.equal(cache.get('a'), undefined)
})
