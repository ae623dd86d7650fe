import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryStores } from '../../lib/stores/memory.ts'
import {
  type ContractOptions,
  type ContractRunner,
  codeStoreContract,
  replayRegisterContract,
  sessionStoreContract,
} from '../../lib/testing/index.ts'

/** The tests that each suite lists, for stores of whose connection nothing is said. */
function listed(options?: ContractOptions): readonly ReadonlyMap<string, () => Promise<void>>[] {
  const { replayRegister, codeStore, sessionStore } = memoryStores()
  const listing = (add: (runner: ContractRunner) => void) => {
    const tests = new Map<string, () => Promise<void>>()
    add({ describe: (_, body) => body(), it: (title, body) => tests.set(title, body) })
    return tests
  }
  return [
    listing((runner) => replayRegisterContract(runner, 'mine', () => ({ store: replayRegister }), options)),
    listing((runner) => codeStoreContract(runner, 'mine', () => ({ store: codeStore }), options)),
    listing((runner) => sessionStoreContract(runner, 'mine', () => ({ store: sessionStore }), options)),
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
