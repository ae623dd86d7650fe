import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import type { ContractOptions, ContractRunner } from '../../lib/testing/contract.ts'
import { testCodeStore, testReplayRegister, testSessionStore } from '../../lib/testing/index.ts'

/** The tests that each suite lists, for stores of whose connection nothing is said. */
function listed(options?: ContractOptions): readonly ReadonlyMap<string, () => Promise<void>>[] {
  const { replayRegister, codeStore, sessionStore } = createMemoryStores()
  const listing = (add: (runner: ContractRunner) => void) => {
    const tests = new Map<string, () => Promise<void>>()
    add({ describe: (_, body) => body(), it: (title, body) => tests.set(title, body) })
    return tests
  }
  return [
    listing((runner) => testReplayRegister(runner, 'mine', () => ({ store: replayRegister }), options)),
    listing((runner) => testCodeStore(runner, 'mine', () => ({ store: codeStore }), options)),
    listing((runner) => testSessionStore(runner, 'mine', () => ({ store: sessionStore }), options)),
  ]
}

const BROKEN = 'rejects when its connection is closed'

test('a suite that is not told how to break the connection fails there and says what to give', async () => {
  for (const tests of listed())
    await assert.rejects(tests.get(BROKEN)?.() ?? assert.fail(), /disconnect.*connection: false/)
})

test('a suite that is told of no connection does not list the test of a broken one, and all others', () => {
  const [all, without] = [listed(), listed({ connection: false })]
  for (const [at, tests] of without.entries())
    assert.deepEqual(
      [...tests.keys()],
      [...(all[at]?.keys() ?? [])].filter((title) => title !== BROKEN),
    )
})

/** Plain JSON of another realm, as a store has it that runs inside Jest, and without members that are undefined. */
const elsewhere = <T>(value: T): T =>
  value === undefined ? value : runInNewContext('JSON.parse(text)', { text: JSON.stringify(value) })

test('a store that keeps JSON text, and hands out records of another realm, passes', async () => {
  const { codeStore, sessionStore } = createMemoryStores()
  const codes = { ...codeStore, find: async (id: string) => elsewhere(await codeStore.find(id)) }
  const sessions = {
    ...sessionStore,
    get: async (id: string) => elsewhere(await sessionStore.get(id)),
    list: async (subject: string, type: string) => elsewhere(await sessionStore.list(subject, type)),
  }
  const running: Promise<void>[] = []
  const runner: ContractRunner = { describe: (_, body) => body(), it: (_, body) => running.push(body()) }
  testCodeStore(runner, 'mine', () => ({ store: codes }), { connection: false })
  testSessionStore(runner, 'mine', () => ({ store: sessions }), { connection: false })
  assert.ok(running.length > 15)
  await Promise.all(running)
})
