import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTokenFactory } from '../lib/index.ts'
import { createSealedTransactions } from '../lib/oauth2orize/index.ts'
import { readServerSecrets } from '../lib/server_secrets.ts'
import { createMemoryReplayRegister } from '../lib/stores/memory.ts'
import { createRedisStores } from '../lib/stores/redis.ts'

const SECRET = 'a secret of thirty-two bytes, ok'

test('one secret or several mean the same in every option of a server', () => {
  const bytes = new TextEncoder().encode(SECRET)
  assert.deepEqual(readServerSecrets('x', SECRET).map(Buffer.from), [Buffer.from(SECRET)])
  assert.deepEqual(readServerSecrets('x', [bytes, SECRET]).map(Buffer.from), [Buffer.from(bytes), Buffer.from(bytes)])
  assert.equal(readServerSecrets('x', 'é'.repeat(16)).length, 1, 'bytes count, not characters')
})

test('what is no secret is refused by every constructor, with the name of the option and never the secret', () => {
  const constructors: Record<string, (secret: never) => unknown> = {
    secret: (secret) =>
      createSealedTransactions({
        issuer: 'https://as.example',
        secret,
        findClient: () => undefined,
        replayRegister: createMemoryReplayRegister(),
      }),
    signingKeys: (signingKeys) => createRedisStores({ command: async () => null, signingKeys }),
    baseSecret: (baseSecret) => createTokenFactory({ baseSecret } as never),
  }
  for (const [name, construct] of Object.entries(constructors)) {
    for (const secret of ['short-secret', new Uint8Array(31), [], [SECRET, 'short-secret'], 7, null, [undefined]])
      assert.throws(
        () => construct(secret as never),
        (error: Error) => {
          assert.ok(error instanceof TypeError, String(error))
          assert.match(error.message, new RegExp(`option '${name}' must be`))
          assert.doesNotMatch(error.message, /short-secret/)
          return true
        },
      )
  }
})

test('the message tells an empty string, a short secret and a missing one apart', () => {
  for (const [secret, got] of [
    ['', 'an empty string'],
    ['é'.repeat(15), 'a string of 30 bytes'],
    [new Uint8Array(31), '31 bytes'],
    [[SECRET, ''], 'an empty string'],
    [7, 'a number'],
    [null, 'null'],
  ] as const)
    assert.throws(() => readServerSecrets('baseSecret', secret), {
      message: `option 'baseSecret' must be a random secret of at least 32 bytes, or an array of them, got ${got}`,
    })
})
