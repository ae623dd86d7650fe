import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseBasic } from '../../lib/client_authentication/basic_credentials.ts'
import { parsedForm, parseForm } from '../../lib/http/form.ts'
import { parseScope } from '../../lib/scope.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { opaqueCodec } from '../../lib/token/opaque.ts'
import { createTokens } from '../../lib/token/token_set.ts'
import { assertionBy, formWith, scene } from '../support/assertions.ts'
import { newCode, newSession } from '../support/records.ts'
import { workOf } from '../support/work.ts'

const now = Math.floor(Date.now() / 1000)

/** Memory stores that hold `count` assertion ids, codes and sessions already. */
async function filled(count: number) {
  const stores = createMemoryStores()
  for (let index = 0; index < count; index++) {
    await stores.replayRegister.remember('issuer', `client-${index}`, `jti-${index}`, now + 600 + (index % 60))
    await stores.codeStore.add(newCode({ id: `code-${index}` }))
    await stores.sessionStore.create(newSession({ id: `session-${index}`, subject: `subject-${index}` }))
  }
  return stores
}

test('memory: what an operation looks at does not grow with what is stored', async () => {
  const counts: number[][] = []
  for (const size of [10, 1000, 30_000]) {
    const { replayRegister, codeStore, sessionStore } = await filled(size)
    const code = newCode({ id: 'one more' })
    const session = newSession({ id: 'one more', subject: 'subject-3' })
    const steps: readonly (() => Promise<unknown>)[] = [
      () => replayRegister.remember('issuer', 'client-3', 'new', now + 600),
      () => replayRegister.remember('issuer', 'client-3', 'jti-3', now + 600),
      () => codeStore.add(code),
      () => codeStore.find('code-3'),
      () => codeStore.countFailure('code-3'),
      () => codeStore.spend('code-3'),
      () => sessionStore.create(session),
      () => sessionStore.get('session-3'),
      () => sessionStore.save(session),
      () => sessionStore.list('subject-3', 'oauth2'),
      () => sessionStore.end('session-4', now + 600),
      () => sessionStore.endAll('subject-3', 'oauth2'),
    ]
    const row: number[] = []
    for (const step of steps) {
      const { lookUps, looked } = await workOf(step)
      assert.ok(lookUps > 0)
      row.push(lookUps, looked)
    }
    counts.push(row)
  }
  assert.deepEqual(counts[1], counts[0])
  assert.deepEqual(counts[2], counts[0])
})

test('memory: what has expired is cleared away a bounded number at a time, by the calls that add', async () => {
  let time = now
  const { replayRegister } = createMemoryStores({ clock: () => time })
  for (let index = 0; index < 5000; index++) await replayRegister.remember('i', 'c', `${index}`, now + 10)
  time = now + 60
  const { lookUps } = await workOf(() => replayRegister.remember('i', 'c', 'new', now + 600))
  assert.ok(lookUps < 300, `${lookUps} look-ups for one call`)
})

// Each kind of request that can be made long: what it costs at four times the length is at most five times as much.
const long: Readonly<Record<string, (length: number) => () => unknown>> = {
  'form: one value': (length) => form(`a=${'x'.repeat(length)}`),
  'form: one name': (length) => form('x'.repeat(length)),
  'form: plus signs': (length) => form(`a=${'+'.repeat(length)}`),
  'form: percent sequences': (length) => form(`a=${'%41'.repeat(length / 3)}`),
  'form: percent signs': (length) => form(`a=${'%'.repeat(length)}`),
  'form: separators': (length) => form('&'.repeat(length)),
  'form: equals signs': (length) => form('='.repeat(length)),
  'form: many names, none with a value': (length) =>
    form(Array.from({ length: length / 8 }, (_, at) => `n${at}`).join('&')),
  'form: a name many times that may be repeated': (length) => form('resource=a&'.repeat(length / 11)),
  'form: brackets': (length) => form('a[b]=1&'.repeat(length / 7)),
  'form: many names, parsed before': (length) => {
    const body = Object.fromEntries(Array.from({ length: length / 8 }, (_, at) => [`n${at}`, 'x']))
    return () => parsedForm(body)
  },
  'scope: one value': (length) => () => parseScope('x'.repeat(length / 8)),
  'scope: many values': (length) => () =>
    parseScope(Array.from({ length: length / 64 }, (_, at) => `s${at}`).join(' ')),
  'scope: longer than any': (length) => () => parseScope(`${'x '.repeat(length)}`),
  'scope: spaces': (length) => () => parseScope(`${' '.repeat(length / 8 - 1)}x`),
  'Basic: Base64': (length) => () => parseBasic(`Basic ${'a'.repeat(length)}`, 'tolerant'),
  'Basic: percent sequences': (length) => () =>
    parseBasic(`Basic ${Buffer.from(`a:${'%41'.repeat(length / 6)}`).toString('base64')}`, 'tolerant'),
  'Basic: spaces': (length) => () => parseBasic(`Basic ${' '.repeat(length)}`, 'tolerant'),
  'refresh token: dots': (length) => () => tokens.readRefreshToken('.'.repeat(length)),
  'refresh token: letters': (length) => () => tokens.readRefreshToken(`${'x'.repeat(length)}.x.x`),
  'opaque access token': (length) => () => opaque.open('x'.repeat(length)),
}

const form = (body: string) => {
  const octets = Buffer.from(body)
  return () => parseForm(octets)
}
const secret = 'a secret of these tests that is long enough'
const tokens = createTokens({ issuer: 'https://as.example', baseSecret: secret })
const opaque = opaqueCodec(secret)

for (const [name, make] of Object.entries(long)) {
  test(`work grows no faster than the length: ${name}`, async () => {
    const short = (await workOf(make(16_384))).looked
    const longer = (await workOf(make(65_536))).looked
    assert.ok(longer <= 5 * short + 1000, `${short} at 16384 characters, ${longer} at 65536`)
    assert.ok(longer <= 8 * 65_536, `${longer} for 65536 characters`)
  })
}

// What an assertion may hold, in lengths that are let in.
const claims: Readonly<Record<string, (length: number) => Readonly<Record<string, unknown>>>> = {
  'a long claim': (length) => ({ extra: 'x'.repeat(length) }),
  'a claim full of escapes': (length) => ({ extra: '"'.repeat(length / 2) }),
  'a claim full of colons': (length) => ({ extra: ':'.repeat(length) }),
  'many claims': (length) => Object.fromEntries(Array.from({ length: length / 10 }, (_, at) => [`c${at}`, 1])),
  'many audiences': (length) => ({ aud: Array(length / 4).fill('x') }),
  'a long jti': (length) => ({ jti: 'x'.repeat(length) }),
}

for (const [name, make] of Object.entries(claims)) {
  test(`work grows no faster than the assertion: ${name}`, async () => {
    const { key, verify } = await scene()
    const looked = async (length: number): Promise<number> => {
      const parameters = formWith(assertionBy(key, make(length)))
      return (await workOf(() => verify(parameters))).looked
    }
    await looked(100)
    const short = await looked(2000)
    const longer = await looked(8000)
    assert.ok(longer <= 5 * short + 1000, `${short} at 2000 characters, ${longer} at 8000`)
  })
}
