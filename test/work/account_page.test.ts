import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accountPage } from '../../examples/pages.ts'
import { newSession } from '../support/records.ts'

test('the account page makes no date formatter, which takes longer than a row, for its sessions', (t) => {
  let made = 0
  const counted = (): never => {
    made += 1
    throw new Error('a formatter was made')
  }
  t.mock.method(Intl, 'DateTimeFormat', counted)
  for (const name of ['toLocaleString', 'toLocaleDateString', 'toLocaleTimeString'] as const)
    t.mock.method(Date.prototype, name, counted)
  const paths = { disconnect: '/d', disconnectAll: '/a', logout: '/l', logoutEverywhere: '/e' }
  const sessions = Array.from({ length: 50 }, () => newSession({}, 1_800_000_000))
  const guard = { name: 'guard', value: 'value' }
  const { body } = accountPage({ paths, guard, userName: 'Alice', sessions, clientName: () => 'Web' })
  assert.equal(made, 0)
  assert.equal(body.text.match(/15 Jan 2027, 08:00 UTC/g)?.length, 100)
})
