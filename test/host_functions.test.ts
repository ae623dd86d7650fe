// Every function that the public entries take, handed in wrong in every way. None becomes a hang, an unhandled rejection, a
// mistake of the client, or a server error that does not name the option. The list of functions is read from the types.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, mock, test } from 'node:test'
import { createCodes } from '../lib/code/codes.ts'
import { createConsents } from '../lib/consent/consents.ts'
import { createIntrospection } from '../lib/endpoints/introspection.ts'
import { createDocumentEndpoint } from '../lib/endpoints/metadata.ts'
import { createRevocation } from '../lib/endpoints/revocation.ts'
import { createTokenEndpoint } from '../lib/endpoints/token.ts'
import { OAuthError } from '../lib/errors.ts'
import { onEvent } from '../lib/events.ts'
import { refreshToken } from '../lib/exchanges/refresh_token.ts'
import { getDocument } from '../lib/remote/document.ts'
import { readRemoteOptions } from '../lib/remote/request.ts'
import { createSessions } from '../lib/session/sessions.ts'
import { createMemoryStores } from '../lib/stores/memory.ts'
import { deriveKeyset } from '../lib/token/derived_keys.ts'
import { createTokenFactory } from '../lib/token/factory.ts'
import { createTokens } from '../lib/token/token_set.ts'
import { functionOptions } from './support/function_options.ts'
import { ROWS } from './support/host_function_rows.ts'
import { echo, findClient, listen, post, SECRET } from './support/token_route.ts'
import { checkRow } from './support/wrong_functions.ts'

type Given = (...given: never[]) => unknown

const NOW = 1_800_000_000
const SECRET_OF_ALL = 'b'.repeat(40)
const issuer = 'https://as.example'
const client = { client_id: 'app', client_secret: 'x'.repeat(40), grant_types: ['refresh_token'], scope: 'read' }
const permission = { subject: 'alice', clientId: 'app', scope: 'read' }
const clock = () => NOW
const factory = createTokenFactory({ baseSecret: SECRET_OF_ALL })
const tokens = createTokens({ issuer, baseSecret: SECRET_OF_ALL })
const forClient = { scope: 'read', now: NOW, context: {} }
const request = (parameters: Record<string, string>) => ({ client, parameters, now: NOW, context: {} })

async function connected() {
  const sessions = createSessions({ store: createMemoryStores({ clock }).sessionStore, clock })
  const session = await sessions.open(permission, { client })
  assert.ok(session !== undefined)
  const given = { client, scope: 'read', generation: 1, now: NOW, context: {} }
  return { sessions, ...(await tokens.issue(session, given)) }
}

/** A function of the application, and a call of ours that needs it. */
interface Hook {
  readonly option: string
  readonly use: (hook: Given) => Promise<unknown>
  readonly right: unknown
  readonly wrong: readonly unknown[]
  /** The status where it throws. */
  readonly fails: 500 | 503
  /** No promise is allowed. */
  readonly sync?: boolean
}

const NOT_BOOLEAN = [undefined, null, 0, 1, '', 'yes', {}, [], Symbol('yes')]

const HOOKS: Readonly<Record<string, Hook>> = {
  'permits of the refresh exchange': {
    option: 'permits',
    async use(permits) {
      const { sessions, refresh_token = '' } = await connected()
      return refreshToken({ sessions, tokens, permits: permits as never }).run(request({ refresh_token }))
    },
    right: true,
    wrong: NOT_BOOLEAN,
    fails: 503,
  },
  'permits of codes': {
    option: 'permits',
    async use(permits) {
      const codes = createCodes({ store: createMemoryStores({ clock }).codeStore })
      const redirectUri = 'https://app.example'
      const code = await codes.issue(
        { ...permission, redirectUri, redirectUriWasSent: false, codeChallenge: undefined },
        NOW,
      )
      const presented = { client, redirectUri, codeVerifier: undefined }
      return codes.redeem(code, presented, { now: NOW, permits: permits as never })
    },
    right: true,
    wrong: NOT_BOOLEAN,
    fails: 503,
  },
  'permits of introspection': {
    option: 'permits',
    async use(permits) {
      const { sessions, access_token } = await connected()
      return createIntrospection({ sessions, tokens, permits: permits as never })(request({ token: access_token }))
    },
    right: true,
    wrong: NOT_BOOLEAN,
    fails: 503,
  },
  mayAsk: {
    option: 'mayAsk',
    async use(mayAsk) {
      const { sessions, access_token } = await connected()
      return createIntrospection({ sessions, tokens, mayAsk: mayAsk as never })(request({ token: access_token }))
    },
    right: true,
    wrong: NOT_BOOLEAN,
    fails: 503,
  },
  'adopt of the refresh exchange': {
    option: 'adopt',
    async use(adopt) {
      const { sessions } = await connected()
      const exchange = refreshToken({ sessions, tokens, adopt: adopt as never })
      return exchange.run(request({ refresh_token: 'old' }))
    },
    right: permission,
    wrong: [
      7,
      true,
      'alice',
      [],
      {},
      { ...permission, subject: 7 },
      { ...permission, scope: ['read'] },
      () => permission,
    ],
    fails: 503,
  },
  'adopt of revocation': {
    option: 'adopt',
    async use(adopt) {
      const { sessions } = await connected()
      return createRevocation({ sessions, tokens, adopt: adopt as never })(request({ token: 'old' }))
    },
    right: permission,
    wrong: [7, true, 'alice', [], {}, { ...permission, clientId: undefined }],
    fails: 503,
  },
  'perClient of sessions': {
    option: 'perClient',
    use: async (perClient) =>
      createSessions({ store: createMemoryStores({ clock }).sessionStore, clock, perClient: perClient as never }).open(
        permission,
        { client },
      ),
    right: { idleLifetimeSeconds: 60 },
    wrong: [7, true, 'text', () => ({}), ['text'], { idleLifetimeSeconds: 'long' }, { rotate: 0 }, { idle: 60 }],
    fails: 500,
    sync: true,
  },
  'clock of sessions': {
    option: 'clock',
    use: async (own) =>
      createSessions({ store: createMemoryStores({ clock }).sessionStore, clock: own as never }).list('a', 'oauth2'),
    right: NOW,
    wrong: [undefined, null, '1800000000', Number.NaN, new Date(), {}],
    fails: 500,
    sync: true,
  },
  'clock of consents': {
    option: 'clock',
    use: async (own) =>
      createConsents({ store: createMemoryStores({ clock }).sessionStore, clock: own as never }).allows(permission),
    right: NOW,
    wrong: [undefined, null, '1800000000', Number.NaN, new Date(), {}],
    fails: 500,
    sync: true,
  },
  'sign of a token factory': {
    option: 'factory.sign',
    use: async (sign) =>
      createTokens({ issuer, factory: { ...factory, sign: sign as never } }).issueForClient(client, forClient),
    right: 'a token',
    wrong: [undefined, null, '', 7, {}, ['token'], Buffer.from('token')],
    fails: 500,
  },
  'verify of a token factory': {
    option: 'factory.verify',
    use: async (verify) =>
      createTokens({ issuer, factory: { ...factory, verify: verify as never } }).readAccessToken('token'),
    right: undefined,
    wrong: [7, true, 'claims', ['claims'], () => ({})],
    fails: 500,
  },
  'jwks of a token factory': {
    option: 'factory.jwks',
    use: async (jwks) => createTokens({ issuer, factory: { ...factory, jwks: jwks as never } }).jwks(),
    right: { keys: [] },
    wrong: [undefined, null, 7, [], {}, { keys: {} }],
    fails: 500,
    sync: true,
  },
  keyset: {
    option: 'keyset',
    use: async (keyset) =>
      createTokens({ issuer, baseSecret: SECRET_OF_ALL, keyset: keyset as never }).issueForClient(client, forClient),
    right: deriveKeyset(SECRET_OF_ALL),
    wrong: [undefined, null, 7, [], {}, { keys: new Map() }, SECRET_OF_ALL],
    fails: 500,
    sync: true,
  },
  'keyset, for jwks_uri': {
    option: 'keyset',
    use: async (keyset) => createTokens({ issuer, baseSecret: SECRET_OF_ALL, keyset: keyset as never }).jwks(),
    right: deriveKeyset(SECRET_OF_ALL),
    wrong: [undefined, null, 7, [], {}, { keys: new Map() }, SECRET_OF_ALL],
    fails: 500,
    sync: true,
  },
  refreshTokenKeyset: {
    option: 'refreshTokenKeyset',
    use: async (refreshTokenKeyset) =>
      createTokens({
        issuer,
        baseSecret: SECRET_OF_ALL,
        refreshTokenKeyset: refreshTokenKeyset as never,
      }).readRefreshToken('token'),
    right: deriveKeyset(SECRET_OF_ALL),
    wrong: [undefined, null, 7, [], {}],
    fails: 500,
    sync: true,
  },
  claims: {
    option: 'claims',
    use: async (claims) =>
      createTokens({ issuer, baseSecret: SECRET_OF_ALL, claims: claims as never }).issueForClient(client, forClient),
    right: { tenant: 'a' },
    wrong: [7, true, 'text', ['admin'], () => ({})],
    fails: 500,
  },
}

/** Lets what is under way come to its next timer, and ends the time limit. */
async function passTime(): Promise<void> {
  for (let turns = 0; turns < 20; turns += 1) await new Promise((resolve) => setImmediate(resolve))
  mock.timers.tick(31_000)
}

const misconfigured = (option: string) => (error: unknown) => {
  assert.ok(error instanceof OAuthError, String(error))
  assert.deepEqual([error.status, error.reason], [500, 'misconfigured'])
  assert.ok(error.detail?.includes(`'${option}'`), error.detail)
  return true
}

const failed = (status: number, option: string) => (error: unknown) => {
  assert.ok(error instanceof OAuthError, String(error))
  assert.equal(error.status, status)
  if (status === 500) assert.ok(error.detail?.includes(`'${option}'`), error.detail)
  assert.ok(!error.message.includes('secret text'), error.message)
  return true
}

const THROWN = [new Error('secret text'), 'secret text', undefined, null]

describe('functions of the application that are wrong in every way', () => {
  for (const [name, { option, use, right, wrong, fails, sync = false }] of Object.entries(HOOKS)) {
    test(name, async () => {
      const unhandled: unknown[] = []
      const note = (reason: unknown): unknown => unhandled.push(reason)
      process.on('unhandledRejection', note)
      await use(() => right)
      if (!sync) await use(async () => right)
      for (const value of wrong) {
        await assert.rejects(
          use(() => value),
          misconfigured(option),
          `returns ${String(value)}`,
        )
        if (!sync)
          await assert.rejects(
            use(async () => value),
            misconfigured(option),
            `resolves to ${String(value)}`,
          )
      }
      const throws = (thrown: unknown) => () => {
        throw thrown
      }
      for (const thrown of THROWN) {
        await assert.rejects(use(throws(thrown)), failed(fails, option), `throws ${String(thrown)}`)
        const rejects = async () => throws(thrown)()
        await assert.rejects(use(rejects), sync ? misconfigured(option) : failed(fails, option), `rejects ${thrown}`)
      }
      mock.timers.enable({ apis: ['setTimeout'] })
      try {
        const never = use(() => new Promise(() => {}))
        never.catch(() => undefined)
        if (!sync) await passTime()
        await assert.rejects(never, sync ? misconfigured(option) : failed(fails, option), 'never settles')
      } finally {
        mock.timers.reset()
      }
      await new Promise((resolve) => setImmediate(resolve))
      process.off('unhandledRejection', note)
      assert.deepEqual(unhandled, [])
    })
  }

  test('the function of a document endpoint, over HTTP', async () => {
    let answer: () => unknown = () => ({})
    const seen: (string | undefined)[] = []
    const stop = onEvent('request.refused', ({ detail }) => seen.push(detail))
    const route = await listen(createServer(createDocumentEndpoint((() => answer()) as () => object)))
    const circular: Record<string, unknown> = {}
    circular['self'] = circular
    for (const value of [
      undefined,
      null,
      7,
      'text',
      [],
      1n,
      { big: 1n },
      circular,
      () => ({}),
      { toJSON: () => undefined },
    ]) {
      for (const way of [() => value, async () => value]) {
        answer = way
        assert.equal((await fetch(route.url)).status, 500)
      }
    }
    for (const thrown of THROWN) {
      answer = async () => {
        throw thrown
      }
      const response = await fetch(route.url)
      assert.equal(response.status, 500)
      assert.ok(!(await response.text()).includes('secret text'))
    }
    assert.ok(seen.length === 24 && seen.every((detail) => detail?.includes("'document'")), seen.join('\n'))
    answer = async () => ({ issuer })
    assert.deepEqual(await (await fetch(route.url)).json(), { issuer })
    for (const wrong of [7, null, [], 'text', circular])
      assert.throws(() => createDocumentEndpoint(wrong as never), /document/)
    await route.close()
    stop()
  })

  test('the clock of an endpoint', async () => {
    let time: () => unknown = Date.now
    const details: (string | undefined)[] = []
    const stop = onEvent('request.refused', ({ detail }) => details.push(detail))
    const endpoint = createTokenEndpoint({ findClient, exchanges: [echo], clock: (() => time()) as never })
    const route = await listen(createServer(endpoint))
    for (const wrong of [undefined, '1', Number.NaN, {}, 'late']) {
      time = () => (wrong === 'late' ? Promise.reject(new Error(wrong)) : wrong)
      const { status, text } = await post(route.url, { grant_type: 'echo', client_id: 'any', client_secret: SECRET })
      assert.equal(status, 500, text)
    }
    assert.ok(details.length === 5 && details.every((detail) => detail?.includes("'clock'")), details.join('\n'))
    for (const own of [7, {}, ''])
      assert.throws(() => createTokenEndpoint({ findClient, exchanges: [echo], clock: own as never }), /'clock'/)
    await route.close()
    stop()
  })
})

describe('the functions of all options, wrong in every way', () => {
  for (const [name, row] of Object.entries(ROWS)) test(name, () => checkRow(row))
})

test('a lookup that calls back with the wrong thing fails its own request', async () => {
  const wrong = [undefined, null, 7, '', 'text', [], [undefined], [7], [{}], [{ address: 7 }], [{ address: 'text' }]]
  for (const found of wrong) {
    const lookup = (_host: string, _options: object, callback: (...given: unknown[]) => void): void => {
      setImmediate(callback, null, found)
    }
    const request = { ...readRemoteOptions('keySets', { timeoutMilliseconds: 1000 }, { accept: '*/*' }), lookup }
    const started = Date.now()
    await assert.rejects(getDocument(new URL('https://keys.example/'), request as never), { name: 'RemoteFailure' })
    assert.ok(Date.now() - started < 900, `at once for ${JSON.stringify(found)}`)
  }
})

test('an isAllowedAddress that throws fails its own request, also when it is asked of the connected socket', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  for (const last of [0, 1]) {
    let calls = 0
    const isAllowedAddress = (): boolean => {
      if (calls++ >= last) throw new Error('of the application')
      return true
    }
    const options = { isAllowedAddress, timeoutMilliseconds: 1000 }
    const url = new URL(`https://localhost:${port}/`)
    const fetching = getDocument(url, readRemoteOptions('keySets', options, { accept: '*/*' }))
    await assert.rejects(fetching, { name: 'RemoteFailure', message: 'of the application' })
  }
  server.close()
})

/** What the tests above and those of two other files hold, by the row that does it. */
const HELD_BY: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  'host_functions.test.ts': {
    'permits of introspection': ['createIntrospection(options).permits'],
    mayAsk: ['createIntrospection(options).mayAsk'],
    'adopt of revocation': ['createRevocation(options).adopt'],
    'perClient of sessions': ['createSessions(options).perClient'],
    'clock of sessions': ['createSessions(options).clock'],
    'clock of consents': ['createConsents(options).clock'],
    'sign of a token factory': ['createTokens(options).factory.sign'],
    'verify of a token factory': ['createTokens(options).factory.verify'],
    'jwks of a token factory': ['createTokens(options).factory.jwks'],
    keyset: ['createTokens(options).keyset'],
    refreshTokenKeyset: ['createTokens(options).refreshTokenKeyset'],
    claims: ['createTokens(options).claims'],
    'the function of a document endpoint': ['createDocumentEndpoint(document)'],
  },
  'passport/host_mistakes.test.ts': {
    'findClient of basicVerify': ['createBasicVerify(options).findClient'],
    'findClient of clientPasswordVerify': ['createClientPasswordVerify(options).findClient'],
    'findClient of PublicClientStrategy': ['PublicClientStrategy(options).findClient'],
    'verifyAssertion of the strategy': ['Strategy(options).verifyAssertion'],
    'verify of the strategy': ['Strategy(verify)'],
  },
  // `createAuthorizationSide` hands its options to the other functions of the entry.
  'oauth2orize/host_mistakes.test.ts': {
    "'findClient'": ['createAuthorizationSide', 'validateAuthorization', 'createSealedTransactions'].map(
      (name) => `${name}(options).findClient`,
    ),
    "'subjectOf'": [
      'createAuthorizationSide',
      'createCodeGrant',
      'checkRememberedConsent',
      'createSealedTransactions',
    ].map((name) => `${name}(options).subjectOf`),
    "'askAgain'": ['createAuthorizationSide(options).askAgain', 'checkRememberedConsent(options).askAgain'],
    "'authenticatedAt'": [
      'createAuthorizationSide(options).authenticatedAt',
      'checkRememberedConsent(options).authenticatedAt',
    ],
    "'pkce'": ['createAuthorizationSide', 'validateAuthorization', 'createCodeGrant'].map(
      (name) => `${name}(options).pkce`,
    ),
    "'extra'": ['createAuthorizationSide(options).extra', 'createCodeGrant(options).extra'],
    "'clock'": ['createAuthorizationSide', 'createCodeGrant', 'checkRememberedConsent', 'createSealedTransactions'].map(
      (name) => `${name}(options).clock`,
    ),
    "'replayRegister.remember'": ['createAuthorizationSide', 'createSealedTransactions'].map(
      (name) => `${name}(options).replayRegister.remember`,
    ),
    "'codes.add'": ['createAuthorizationSide(options).codes.add', 'createCodeGrant(options).codes.add'],
    "describe('showError'": [
      'createAuthorizationSide(options).showError',
      'respondWithAuthorizationError(options).showError',
    ],
  },
}

/** Functions that are not written for this package: those of Passport, oauth2orize, Express and test runners. */
const OF_HOSTS =
  /\((app|open)\)$|\.passport\.authenticate$|\.strategies\.\w+\.authenticate$|\.server\.token$|^test\w+\(options\)\.(describe|it)$/

/** Verbs of the code store that issuing a code does not use. */
const UNUSED = /^(createAuthorizationSide|createCodeGrant)\(options\)\.codes\.(find|countFailure|spend)$/

test('each function that a public option, parameter or store takes has a row', () => {
  const held = new Set(Object.values(ROWS).flatMap(({ covers }) => covers))
  for (const [file, rows] of Object.entries(HELD_BY)) {
    const source = readFileSync(new URL(file, import.meta.url), 'utf8')
    for (const [row, covers] of Object.entries(rows)) {
      assert.ok(source.includes(row), `${file} has the row ${row}`)
      for (const each of covers) held.add(each)
    }
  }
  const options = functionOptions()
  assert.ok(options.length > 200)
  const needed = options.filter((each) => !OF_HOSTS.test(each) && !UNUSED.test(each))
  assert.deepEqual(
    needed.filter((each) => !held.has(each)),
    [],
    'without a row',
  )
  assert.deepEqual(
    [...held].filter((each) => !options.includes(each)),
    [],
    'a row for what is no option',
  )
})
