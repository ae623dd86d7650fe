import assert from 'node:assert/strict'
import type { AuthorizationCode } from '../code/code_record.ts'
import type { CodeStore } from '../code/code_store.ts'
import {
  AWKWARD,
  alike,
  allAtOnce,
  asJson,
  type ContractOptions,
  type ContractRunner,
  contractOptions,
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
    subject: unique('subject'),
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

/** Asks until it is so: what a store need not have done before it answered. */
async function eventually(ask: () => Promise<boolean>, message: string): Promise<void> {
  for (let attempt = 1; attempt <= 50; attempt += 1) {
    if (await ask()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.fail(message)
}

/**
 * Adds tests that check whether your code store fulfils its contract, including concurrent calls: one test for each
 * sentence of the contract. Pass `describe` and `it` of any test runner. If the clock of the store cannot be moved, the
 * tests take about four seconds.
 *
 * @example
 * ```ts
 * import { testCodeStore } from 'passport-client-assertion-jwt/testing'
 *
 * testCodeStore({ describe, it }, 'mine', () => {
 *   const { stores, ...rest } = open()
 *   return { store: stores.codeStore, ...rest }
 * }, inMemory)
 * ```
 */
export function testCodeStore(
  { describe, it }: ContractRunner,
  title: string,
  open: OpenStore<CodeStore>,
  options: ContractOptions = {},
): void {
  const { connection, maximumCodesPerUser } = contractOptions('testCodeStore', options)
  describe(`${title}: code store`, () => {
    it(
      'returns a code as it was added, with all members',
      withStore(open, async ({ store, other, now }) => {
        for (const code of [
          codeAt(now()),
          codeAt(now(), { codeChallenge: undefined, scope: '', redirectUriWasSent: false }),
          codeAt(now(), {
            version: 2,
            resources: ['https://api.example/a', 'urn:b?"c"'],
            keyThumbprint: 'thumb"print',
          }),
          codeAt(now(), { version: 2, keyThumbprint: 'thumbprint' }),
          codeAt(now(), { extra: { nonce: 'n', auth_time: 1_790_000_000.5, nested: { list: [1, null, true, 'x'] } } }),
          ...AWKWARD.map((text) =>
            codeAt(now(), { subject: unique(text), clientId: text, extra: { [`k${text}`]: text } }),
          ),
        ]) {
          await store.add(code)
          alike(await store.find(code.id), code)
          alike(await other.find(code.id), code)
        }
      }),
    )

    it(
      'reports a code that it does not have as unknown',
      withStore(open, async ({ store }) => {
        const id = unique('code-id')
        assert.equal(await store.find(id), undefined)
        assert.equal(await store.spend(id), 'unknown')
        assert.equal(await store.countFailure(id), 0)
        assert.equal(await store.find(id), undefined)
      }),
    )

    it(
      'stores and returns copies',
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
      'lets exactly one of several concurrent calls on two connections win',
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
      'counts each failure once, even with concurrent calls',
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
      'loses neither a failure nor the spending if both happen at the same time',
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
      'keeps a code until it expires, and a spent code until its keepUntil',
      withStore(open, async ({ store, now, waitUntil }) => {
        const expiresAt = Math.ceil(now()) + 4
        const keepUntil = expiresAt + 4
        const [unspent, spent, late] = [0, 1, 2].map(() => codeAt(now(), { expiresAt, keepUntil })) as [
          AuthorizationCode,
          AuthorizationCode,
          AuthorizationCode,
        ]
        for (const code of [unspent, spent, late]) assert.equal(await store.add(code), 'added')
        assert.equal(await store.spend(spent.id), 'spent')
        assert.equal(await store.countFailure(spent.id), 1)
        await waitUntil(expiresAt - 0.5)
        alike(await store.find(unspent.id), unspent)
        assert.equal(await store.spend(late.id), 'spent')
        await waitUntil(keepUntil - 0.5)
        alike(await store.find(spent.id), { ...spent, spent: true, failures: 1 })
        for (const { id } of [spent, late]) assert.equal(await store.spend(id), 'already_spent')
        await waitUntil(keepUntil + 0.3)
        for (const { id } of [spent, late]) assert.notEqual(await store.spend(id), 'spent')
      }),
    )

    it(
      'forgets an unspent code at most a minute after its expiry, whatever its keepUntil',
      withStore(open, async ({ store, now }) => {
        const expiresAt = Math.floor(now()) - 61
        const code = codeAt(now(), { expiresAt, keepUntil: expiresAt + 3600 })
        await store.add(code)
        assert.equal(await store.find(code.id), undefined)
        assert.equal(await store.countFailure(code.id), 0)
        assert.equal(await store.spend(code.id), 'unknown')
      }),
    )

    if (maximumCodesPerUser !== undefined) {
      it(
        'keeps at most maximumCodesPerUser valid codes per user and client, and does not limit others',
        withStore(open, async ({ store, other, now, waitUntil }) => {
          const [subject, clientId] = [unique('subject'), unique('client')]
          const expiresAt = Math.ceil(now()) + 8 // the codes below are added one after the other, on a slow machine too
          const mine = (changes: Partial<AuthorizationCode> = {}) => codeAt(now(), { subject, clientId, ...changes })
          const codes = Array.from({ length: maximumCodesPerUser }, () => mine())
          const [first] = codes
          for (const [at, code] of codes.entries()) {
            const expiring = at === 0 ? { expiresAt: expiresAt + 60 } : { expiresAt }
            assert.equal(await (at % 2 ? other : store).add({ ...code, ...expiring }), 'added')
          }
          const refused = mine()
          assert.equal(await store.add(refused), 'too_many')
          assert.equal(await other.add(refused), 'too_many')
          assert.equal(await store.find(refused.id), undefined, 'it was not kept')
          for (const elsewhere of [{ subject: unique('subject') }, { clientId: unique('client') }])
            assert.equal(await store.add(mine(elsewhere)), 'added')
          assert.equal(await store.spend(first?.id ?? ''), 'spent')
          await eventually(
            async () => (await store.add(mine({ expiresAt }))) === 'added',
            'one that was spent leaves room',
          )
          assert.equal(await store.add(mine()), 'too_many')
          await waitUntil(expiresAt + 1.3)
          assert.equal(await other.add(mine()), 'added', 'those that expired leave room')
        }),
      )
    }

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
