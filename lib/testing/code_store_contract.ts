import assert from 'node:assert/strict'
import type { AuthorizationCode } from '../code/authorization_code.ts'
import type { CodeStore } from '../code/store.ts'
import {
  AWKWARD,
  alike,
  allAtOnce,
  asJson,
  type ContractOptions,
  type ContractRunner,
  type OpenStore,
  occurrences,
  unique,
  withBrokenStore,
  withStore,
} from './contract.ts'

const codeAt = (moment: number, changes: Partial<AuthorizationCode> = {}): AuthorizationCode => {
  const now = Math.floor(moment)
  return {
    id: unique('code-id'),
    clientId: 'client',
    subject: 'subject',
    scope: 'openid profile',
    redirectUri: 'https://client.example/callback?a=b',
    redirectUriWasSent: true,
    codeChallenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    sessionId: unique('session'),
    issuedAt: now,
    expiresAt: now + 60,
    keepUntil: now + 600,
    failures: 0,
    spent: false,
    extra: {},
    version: 1,
    ...changes,
  }
}

/**
 * Holds a code store to its contract: one test for each sentence of it, concurrent callers included. Takes the
 * `describe` and `it` of any test runner. Lasts about four seconds where the store's clock cannot be moved.
 */
export function codeStoreContract(
  { describe, it }: ContractRunner,
  title: string,
  open: OpenStore<CodeStore>,
  { connection = true }: ContractOptions = {},
): void {
  describe(`${title}: code store`, () => {
    it(
      'hands a code out as it was added, member for member',
      withStore(open, async ({ store, other, now }) => {
        for (const code of [
          codeAt(now()),
          codeAt(now(), { codeChallenge: undefined, scope: '', redirectUriWasSent: false }),
          codeAt(now(), { extra: { nonce: 'n', auth_time: 1_790_000_000.5, nested: { list: [1, null, true, 'x'] } } }),
          ...AWKWARD.map((text) => codeAt(now(), { subject: text, clientId: text, extra: { [`k${text}`]: text } })),
        ]) {
          await store.add(code)
          alike(await store.find(code.id), code)
          alike(await other.find(code.id), code)
        }
      }),
    )

    it(
      'answers for a code it does not have',
      withStore(open, async ({ store }) => {
        const id = unique('code-id')
        assert.equal(await store.find(id), undefined)
        assert.equal(await store.spend(id), 'unknown')
        assert.equal(await store.countFailure(id), 0)
        assert.equal(await store.find(id), undefined)
      }),
    )

    it(
      'takes in and hands out copies',
      withStore(open, async ({ store, now }) => {
        const inner = { a: 1 }
        const added = codeAt(now(), { extra: { inner } })
        const before = asJson(added)
        await store.add(added)
        inner.a = 2
        Object.assign(added, { subject: 'someone else' })
        const found = await store.find(before.id)
        alike(found, before)
        Object.assign(found ?? {}, { spent: true, subject: 'someone else' })
        Object.assign(found?.extra['inner'] ?? {}, { a: 3 })
        alike(await store.find(before.id), before)
        assert.equal(await store.spend(before.id), 'spent')
      }),
    )

    it(
      'spends a code once, and keeps it readable',
      withStore(open, async ({ store, other, now }) => {
        const code = codeAt(now())
        await store.add(code)
        assert.equal(await store.spend(code.id), 'spent')
        assert.equal(await store.spend(code.id), 'already_spent')
        assert.equal(await other.spend(code.id), 'already_spent')
        alike(await other.find(code.id), { ...code, spent: true })
      }),
    )

    it(
      'has exactly one winner among callers at once on two connections',
      withStore(open, async (subject) => {
        for (let round = 0; round < 10; round += 1) {
          const code = codeAt(subject.now())
          await subject.store.add(code)
          const answers = await allAtOnce(subject, (store) => store.spend(code.id))
          assert.equal(occurrences(answers, 'spent'), 1)
          assert.equal(occurrences(answers, 'already_spent'), answers.length - 1)
        }
      }),
    )

    it(
      'counts failures, each once, also those of callers at once',
      withStore(open, async (subject) => {
        const code = codeAt(subject.now())
        await subject.store.add(code)
        const counts = await allAtOnce(subject, (store) => store.countFailure(code.id))
        alike(
          counts.sort((a, b) => a - b),
          counts.map((_, at) => at + 1),
        )
        alike(await subject.store.find(code.id), { ...code, failures: counts.length })
      }),
    )

    it(
      'loses neither a failure nor the spending when both come at once',
      withStore(open, async (subject) => {
        const code = codeAt(subject.now())
        await subject.store.add(code)
        const answers = await allAtOnce<CodeStore, unknown>(subject, (store, caller) =>
          caller % 3 === 0 ? store.spend(code.id) : store.countFailure(code.id),
        )
        const failures = answers.filter((answer) => typeof answer === 'number').length
        assert.equal(occurrences(answers, 'spent'), 1)
        alike(await subject.store.find(code.id), { ...code, spent: true, failures })
      }),
    )

    it(
      'judges nothing else: an expired code is found and spent until its keepUntil',
      withStore(open, async ({ store, now, waitUntil }) => {
        const keepUntil = Math.ceil(now()) + 3
        const [fresh, spent] = [
          codeAt(now(), { expiresAt: Math.floor(now()) - 5, keepUntil }),
          codeAt(now(), { keepUntil }),
        ]
        await store.add(fresh)
        await store.add(spent)
        assert.equal(await store.spend(spent.id), 'spent')
        assert.equal(await store.countFailure(spent.id), 1)
        await waitUntil(keepUntil - 1)
        alike(await store.find(fresh.id), fresh)
        assert.equal(await store.spend(fresh.id), 'spent')
        assert.equal(await store.spend(spent.id), 'already_spent')
        await waitUntil(keepUntil + 0.3)
        assert.notEqual(await store.spend(fresh.id), 'spent')
        assert.notEqual(await store.spend(spent.id), 'spent')
      }),
    )

    if (!connection) return
    it(
      'rejects when its connection is closed',
      withBrokenStore(open, async (store) => {
        const code = codeAt(Date.now() / 1000)
        await assert.rejects(store.add(code), 'add')
        await assert.rejects(store.find(code.id), 'find')
        await assert.rejects(store.countFailure(code.id), 'countFailure')
        await assert.rejects(store.spend(code.id), 'spend')
      }),
    )
  })
}
