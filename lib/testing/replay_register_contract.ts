import assert from 'node:assert/strict'
import type { ReplayRegister } from '../replay_register.ts'
import {
  AWKWARD,
  allAtOnce,
  type ContractOptions,
  type ContractRunner,
  contractOptions,
  type OpenStore,
  occurrences,
  unique,
  withBrokenStore,
  withStore,
} from './contract.ts'

/**
 * Adds tests that check whether your replay register fulfils its contract, including concurrent calls: one test for
 * each sentence of the contract. Pass `describe` and `it` of any test runner. If the clock of the store cannot be
 * moved, the tests take about four seconds.
 *
 * @example
 * ```ts
 * import { testReplayRegister } from 'passport-client-assertion-jwt/testing'
 *
 * testReplayRegister({ describe, it }, 'mine', () => {
 *   const { stores, ...rest } = open()
 *   return { store: stores.replayRegister, ...rest }
 * }, inMemory)
 * ```
 */
export function testReplayRegister(
  { describe, it }: ContractRunner,
  title: string,
  open: OpenStore<ReplayRegister>,
  options: ContractOptions = {},
): void {
  const { connection } = contractOptions('testReplayRegister', options)
  const soon = (now: number) => Math.floor(now) + 60

  describe(`${title}: replay register`, () => {
    it(
      'returns true the first time and false every time after',
      withStore(open, async ({ store, other, now }) => {
        const jti = unique('jti')
        assert.equal(await store.remember('https://issuer', 'client', jti, soon(now())), true)
        assert.equal(await store.remember('https://issuer', 'client', jti, soon(now())), false)
        assert.equal(await other.remember('https://issuer', 'client', jti, soon(now())), false)
      }),
    )

    it(
      'recognizes an assertion by issuer, client and jti, whatever its expiry',
      withStore(open, async ({ store, now }) => {
        const jti = unique('jti')
        assert.equal(await store.remember('i', 'c', jti, soon(now())), true)
        assert.equal(await store.remember('i', 'c', jti, soon(now()) + 1000), false)
        assert.equal(await store.remember('i', 'c', jti, soon(now()) - 30), false)
      }),
    )

    it(
      'lets exactly one of several concurrent calls on two connections win',
      withStore(open, async (subject) => {
        for (let round = 0; round < 10; round += 1) {
          const jti = unique('jti')
          const answers = await allAtOnce(subject, (store) => store.remember('i', 'c', jti, soon(subject.now())))
          assert.equal(occurrences(answers, true), 1)
          assert.equal(occurrences(answers, false), answers.length - 1)
        }
      }),
    )

    it(
      'keeps issuer, client and jti apart',
      withStore(open, async ({ store, now }) => {
        const tail = unique('')
        const identities = [
          ['ab', 'c', `d${tail}`],
          ['a', 'bc', `d${tail}`],
          ['a', 'b', `cd${tail}`],
          ['abc', '', `d${tail}`],
          ['', 'abc', `d${tail}`],
          ['', '', `abcd${tail}`],
          ['a:b', 'c', `d${tail}`],
          ['a', 'b:c', `d${tail}`],
          ['a\0b', 'c', `d${tail}`],
          ['a', 'b\0c', `d${tail}`],
          ['AB', 'c', `d${tail}`],
        ] as const
        for (const [issuer, clientId, jti] of identities)
          assert.equal(await store.remember(issuer, clientId, jti, soon(now())), true, `${issuer}|${clientId}|${jti}`)
        for (const [issuer, clientId, jti] of identities)
          assert.equal(await store.remember(issuer, clientId, jti, soon(now())), false, `${issuer}|${clientId}|${jti}`)
      }),
    )

    it(
      'accepts any string, even a long one',
      withStore(open, async ({ store, now }) => {
        const tail = unique('')
        for (const text of [...AWKWARD, '\0', 'j'.repeat(8000)]) {
          assert.equal(await store.remember(text, text, text + tail, soon(now())), true)
          assert.equal(await store.remember(text, text, text + tail, soon(now())), false)
        }
      }),
    )

    it(
      'remembers an assertion until the second of its expiry, and keeps working afterwards',
      withStore(open, async ({ store, now, waitUntil }) => {
        const [jti, lasting] = [unique('jti'), unique('jti')]
        const expiresAt = Math.ceil(now()) + 3
        assert.equal(await store.remember('i', 'c', jti, expiresAt), true)
        assert.equal(await store.remember('i', 'c', lasting, expiresAt + 60), true)
        await waitUntil(expiresAt - 1)
        assert.equal(await store.remember('i', 'c', jti, expiresAt), false)
        await waitUntil(expiresAt + 0.3)
        assert.equal(typeof (await store.remember('i', 'c', jti, expiresAt + 60)), 'boolean')
        assert.equal(await store.remember('i', 'c', jti, expiresAt + 60), false)
        assert.equal(await store.remember('i', 'c', lasting, expiresAt + 60), false)
      }),
    )

    if (!connection) return
    it(
      'rejects when its connection is closed',
      withBrokenStore(open, async (store) => {
        await assert.rejects(store.remember('i', 'c', unique('jti'), Math.floor(Date.now() / 1000) + 60))
      }),
    )
  })
}
