import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createConsents } from '../lib/consent/consents.ts'
import { createDpop } from '../lib/dpop/dpop.ts'
import {
  createAuthorizationCodeExchange,
  createClientCredentialsExchange,
  createRefreshTokenExchange,
} from '../lib/oauth2orize/exchanges.ts'
import { createPushedRequests } from '../lib/pushed/pushed_requests.ts'
import { createSessions } from '../lib/session/sessions.ts'
import {
  createMemoryCodeStore,
  createMemoryReplayRegister,
  createMemorySessionStore,
  createMemoryStores,
} from '../lib/stores/memory.ts'
import { createPostgresStores } from '../lib/stores/postgres.ts'
import { createRedisStores } from '../lib/stores/redis.ts'
import { testCodeStore, testReplayRegister, testSessionStore } from '../lib/testing/index.ts'
import { deriveKeyset } from '../lib/token/derived_keys.ts'
import { createTokenFactory } from '../lib/token/factory.ts'
import { createKeyset } from '../lib/token/keyset.ts'
import { createTokens } from '../lib/token/token_set.ts'

// C12, C20: a misspelt option and a missing options object are a TypeError that says what was meant.

const secret = 's'.repeat(32)
const stores = createMemoryStores()
const sessions = createSessions({ store: stores.sessionStore })
const tokens = createTokens({ issuer: 'https://as.example', baseSecret: secret })
const runner = { describe: () => undefined, it: () => undefined }
const keys = [{ key: Buffer.alloc(32, 1), kid: 'k', alg: 'HS256' as const }]
const query = async () => ({ rows: [] })

type Row = readonly [make: (options: never) => unknown, sound: object, misspelt: string, meant: string]

const CONSTRUCTORS: Readonly<Record<string, Row>> = {
  createSessions: [createSessions, { store: stores.sessionStore }, 'idleLifetime', 'idleLifetimeSeconds'],
  createTokens: [createTokens, { issuer: 'https://as.example', baseSecret: secret }, 'audiences', 'audience'],
  createTokenFactory: [createTokenFactory, { baseSecret: secret }, 'accessTokenFormats', 'accessTokenFormat'],
  deriveKeyset: [(options) => deriveKeyset(secret, options), {}, 'purposes', 'purpose'],
  createKeyset: [(options) => createKeyset(keys, options), {}, 'signwith', 'signWith'],
  createPushedRequests: [createPushedRequests, { store: stores.sessionStore }, 'lifetimeSecond', 'lifetimeSeconds'],
  createDpop: [
    createDpop,
    { tokenEndpoint: 'https://as.example/token', replayRegister: stores.replayRegister },
    'nonceSecrets',
    'nonceSecret',
  ],
  createConsents: [createConsents, { store: stores.sessionStore }, 'consentLifetime', 'consentLifetimeSeconds'],
  authorizationCode: [
    createAuthorizationCodeExchange,
    { codes: stores.codeStore, sessions, tokens },
    'onSimultaneousRedemptions',
    'onSimultaneousRedemption',
  ],
  refreshToken: [createRefreshTokenExchange, { sessions, tokens }, 'adopts', 'adopt'],
  clientCredentials: [createClientCredentialsExchange, { tokens }, 'defaultScopes', 'defaultScope'],
  memoryStores: [createMemoryStores, {}, 'maximumCode', 'maximumCodes'],
  memoryReplayRegister: [createMemoryReplayRegister, {}, 'maximumAssertion', 'maximumAssertions'],
  memoryCodeStore: [createMemoryCodeStore, {}, 'maximumCodesPerUsers', 'maximumCodesPerUser'],
  memorySessionStore: [createMemorySessionStore, {}, 'maximumSession', 'maximumSessions'],
  redisStores: [createRedisStores, { command: async () => null, signingKeys: secret }, 'prefx', 'prefix'],
  postgresStores: [createPostgresStores, { query }, 'timeoutMillisecond', 'timeoutMilliseconds'],
  'postgresStores tables': [
    (tables) => createPostgresStores({ query, tables }),
    { codes: 'my_codes' },
    'assertion',
    'assertions',
  ],
  codeStoreContract: [
    (options) => testCodeStore(runner, 'mine', () => ({ store: stores.codeStore }), options),
    {},
    'connections',
    'connection',
  ],
  replayRegisterContract: [
    (options) => testReplayRegister(runner, 'mine', () => ({ store: stores.replayRegister }), options),
    {},
    'connections',
    'connection',
  ],
  sessionStoreContract: [
    (options) => testSessionStore(runner, 'mine', () => ({ store: stores.sessionStore }), options),
    {},
    'connections',
    'connection',
  ],
}

/** Functions that have no options. */
const NO_OPTIONS = new Set(
  `OAuthError createExpressServer exportPublicJwks generateClientSecret getServerClasses getWellKnownPaths hashClientSecret
  isPublicAddress onEvent setNoStore systemClock createRequestParser getRetryQuery guardExchange guardIssue toOauth2orize
  createFakeClock builtInMethods findClientProblems`.split(/\s+/),
)

describe('the options of constructors', () => {
  for (const [name, [make, sound, misspelt, meant]] of Object.entries(CONSTRUCTORS)) {
    test(`${name} says which option was meant, and needs an object`, () => {
      make(sound as never)
      make({ ...sound, [misspelt]: undefined } as never)
      assert.throws(() => make({ ...sound, [misspelt]: 1 } as never), {
        name: 'TypeError',
        message: `Unknown option "${misspelt}". Did you mean "${meant}"?`,
      })
      for (const none of [null, 7, 'options', []]) {
        const message = /needs an object with options/
        assert.throws(() => make(none as never), { name: 'TypeError', message }, String(none))
      }
    })
  }

  for (const [name, make] of Object.entries({
    createSessions,
    createTokens,
    createTokenFactory,
    createConsents,
    createAuthorizationCodeExchange,
    createRefreshTokenExchange,
    createClientCredentialsExchange,
    createRedisStores,
    createPostgresStores,
  })) {
    test(`${name} without options is a TypeError that names it`, () => {
      assert.throws(() => (make as () => unknown)(), { name: 'TypeError', message: new RegExp(`^${name} needs`) })
    })
  }
})

test('what perClient returns, what open and prune receive, is checked by name too', async () => {
  const client = { client_id: 'app' }
  const permission = { subject: 'alice', clientId: 'app', scope: '' }
  const perClient = () => ({ idleLifetime: 60 }) as never
  const message = /Unknown option "idleLifetime"\. Did you mean "idleLifetimeSeconds"\?/
  const spelt = createSessions({ store: stores.sessionStore, perClient })
  await assert.rejects(spelt.open(permission, { client }), { reason: 'misconfigured', detail: message })
  await assert.rejects(sessions.open(permission, { idleLifetime: 60 } as never), { name: 'TypeError', message })
  const { prune } = createPostgresStores({ query })
  await assert.rejects(prune({ batchsize: 1 } as never), /Did you mean "batchSize"/)
  const none = createSessions({ store: stores.sessionStore, perClient: () => null as never })
  assert.ok(await none.open(permission, { client }))
})

const call = () => undefined
// What comes before the options of a function, and functions whose options may be left out or that take none.
const BEFORE: Readonly<Record<string, readonly unknown[]>> = {
  createResources: [[{ uri: 'https://api.example' }]],
  createClientEndpoint: [() => ({})],
  createDocumentEndpoint: [{}],
  createKeyset: [keys],
  createPushedAuthorizationEndpoint: [{ connect: call, push: call, load: call, spend: call, isRequiredFor: call }],
  deriveKeyset: [secret],
  testCodeStore: [runner, 'mine', () => ({})],
  testReplayRegister: [runner, 'mine', () => ({})],
  testSessionStore: [runner, 'mine', () => ({})],
}

for (const entry of [
  'index',
  'oauth2orize/index',
  'stores/memory',
  'stores/redis',
  'stores/postgres',
  'testing/index',
]) {
  test(`the constructors of ${entry} name themselves as they are exported`, async () => {
    const exported = (await import(`../lib/${entry}.ts`)) as Readonly<Record<string, unknown>>
    let count = 0
    for (const [name, value] of Object.entries(exported)) {
      if (typeof value !== 'function' || NO_OPTIONS.has(name)) continue
      const call = async () =>
        /^[A-Z]/.test(name)
          ? Reflect.construct(value, [null, () => undefined])
          : Reflect.apply(value, undefined, [...(BEFORE[name] ?? []), null])
      await assert.rejects(call, ({ message }: Error) => message.startsWith(`${name} needs`) || assert.fail(message))
      count += 1
    }
    assert.ok(count > 0)
  })
}
