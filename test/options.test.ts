import assert from 'node:assert/strict'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { createTokenEndpoint } from '../lib/endpoints/token.ts'
import { checkOptions, optionNames } from '../lib/options.ts'
import { createSessions } from '../lib/session/sessions.ts'

interface Options {
  readonly accessTokenType?: string
  readonly maxLifetimeSeconds?: number
  readonly algorithms?: readonly string[]
  readonly audience?: string
  readonly codes?: object
  readonly scopesSupported?: readonly string[]
  readonly accessTokenLifetimeSeconds?: number
}
const NAMES = optionNames<Options>({
  accessTokenType: true,
  maxLifetimeSeconds: true,
  algorithms: true,
  audience: true,
  codes: true,
  scopesSupported: true,
  accessTokenLifetimeSeconds: true,
})

for (const [given, meant] of [
  ['maxLifetime', 'maxLifetimeSeconds'],
  ['algorithm', 'algorithms'],
  ['audiences', 'audience'],
  ['maxLifeTimeSeconds', 'maxLifetimeSeconds'],
  ['accessTokenLifetimeSecs', 'accessTokenLifetimeSeconds'],
  ['accessTokenTTL', 'accessTokenLifetimeSeconds'],
  ['access_token_ttl', 'accessTokenLifetimeSeconds'],
  ['scopes', 'scopesSupported'], // not codes
] as const)
  test(`the unknown option ${given} is refused, and ${meant} is proposed`, () => {
    assert.throws(() => checkOptions('createTokens', { [given]: 1 }, NAMES), {
      name: 'TypeError',
      message: `Unknown option "${given}". Did you mean "${meant}"?`,
    })
  })

test('an unknown option that is like none of the known ones is refused with the list of those', () => {
  assert.throws(() => checkOptions('createTokens', { colour: 'red' }, NAMES), {
    name: 'TypeError',
    message: `Unknown option "colour". createTokens has: ${NAMES.join(', ')}.`,
  })
})

for (const options of [undefined, null, 'https://issuer.example', [], () => undefined])
  test(`${typeof options} (${String(options)}) in place of options is named together with the function`, () => {
    assert.throws(
      () => checkOptions('createTokens', options, NAMES),
      /^TypeError: createTokens needs an object with options, got /,
    )
  })

test('known options pass, and an unknown one that is undefined counts as absent', () => {
  checkOptions('createTokens', { algorithms: [], colour: undefined }, NAMES)
})

test('a constructor in the place of a handler is told from a wrong option', () => {
  assert.throws(() => createTokenEndpoint(new IncomingMessage(new Socket()) as never), {
    name: 'TypeError',
    message: 'createTokenEndpoint needs an object with options, got a request: call it, and use what it returns',
  })
})

test('an object that lacks some of the functions is told which', () => {
  const store = { create: noop, get: noop, save: noop, end: noop, list: noop, endAll: undefined }
  assert.throws(() => createSessions({ store: store as never }), {
    name: 'TypeError',
    message:
      "option 'store' must be an object with the functions create, get, save, end, list, endAll, got an object without endAll",
  })
})

function noop(): never {
  throw new Error('not called')
}
