// A row for each function that the public entries take, with a call that needs it.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request as requestHttp, ServerResponse } from 'node:http'
import type { AddressInfo, LookupFunction } from 'node:net'
import { Duplex } from 'node:stream'
import { createClientDocuments, readClientMetadata } from '../../lib/cimd/index.ts'
import { createDpop } from '../../lib/dpop/index.ts'
import * as federated from '../../lib/federated/index.ts'
import {
  authenticateClients,
  type Client,
  createAssertionVerifier,
  createAuthorizationCodeExchange,
  createClientAuthenticator,
  createClientCredentialsExchange,
  createClientEndpoint,
  createConsents,
  createIntrospection,
  createIntrospectionEndpoint,
  createPushedAuthorizationEndpoint,
  createPushedRequests,
  createRefreshTokenExchange,
  createResources,
  createRevocationEndpoint,
  createSessions,
  createTokenEndpoint,
  createTokenFactory,
  createTokens,
  deriveKeyset,
  findClientProblems,
  OAuthError,
  onEvent,
  respondWithError,
  Strategy,
} from '../../lib/index.ts'
import { guardExchange, guardIssue, toOauth2orize } from '../../lib/oauth2orize/index.ts'
import type { ReplayRegister } from '../../lib/replay_register.ts'
import {
  createAccessTokenVerifier,
  createBearerVerify,
  requireAccessToken,
  toMcpVerifier,
} from '../../lib/resource_server/index.ts'
import {
  createMemoryCodeStore,
  createMemoryReplayRegister,
  createMemorySessionStore,
  createMemoryStores,
} from '../../lib/stores/memory.ts'
import { createPostgresStores } from '../../lib/stores/postgres.ts'
import { createRedisStores } from '../../lib/stores/redis.ts'
import { createTestClient } from '../../lib/testing/index.ts'
import { createIssuer, GOOD_CLAIMS, RESOURCE, ISSUER as TOKEN_ISSUER } from './access_tokens.ts'
import { assertionBy, formWith, ISSUER, jws, NOW, sharedKey, TOKEN_ENDPOINT } from './assertions.ts'
import { createProver } from './dpop.ts'
import { newPkce } from './pkce.ts'
import { newCode, newSession } from './records.ts'
import { echo, SECRET } from './token_route.ts'
import { describeError, type Given, outcomeOf, type Row, textOf } from './wrong_functions.ts'

const clock = () => NOW
const key = await sharedKey('ES256')
// biome-ignore lint/suspicious/noExplicitAny: what a JavaScript application hands in
const as = <T = any>(value: unknown): T => value as T
const BASE_SECRET = 'b'.repeat(40)

const NOT_BOOLEAN = [undefined, null, 0, 1, '', 'yes', {}, []]
/** Calls a store whose connection is gone until it reconnects. */
async function callThrice(register: ReplayRegister): Promise<'ok'> {
  for (let call = 0; call < 3; call += 1) {
    await register.remember('i', 'c', 'j', NOW).catch(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  return 'ok'
}

const NOT_TIME = [undefined, null, '1800000000', Number.NaN, Number.POSITIVE_INFINITY, new Date(), {}]
const NOT_CLIENT = [7, true, 'text', [], {}, () => ({})]
const NOT_OBJECT = [undefined, null, 7, true, 'text', () => ({})]
const MISCONFIGURED = /^500 misconfigured/
const FAULT = /^50[03] /
const UNAVAILABLE = /^503 store_unavailable/
const naming = (status: string, option: string): RegExp =>
  new RegExp(`^${status} .*${option.replace(/[.[\]]/g, '\\$&')}`)

/** What came of a request: the status, and what the event of the refusal says. */
async function overHttp(
  handler: (request: IncomingMessage, response: ServerResponse) => void,
  form: Readonly<Record<string, unknown>>,
  headers: Readonly<Record<string, string>> = {},
  method = 'POST',
): Promise<string> {
  let seen = ''
  const stop = onEvent('request.refused', ({ reason, code, detail, cause }) => {
    seen = `${reason ?? code} ${detail ?? ''} ${textOf(cause ?? '')}`
  })
  const server = createServer(handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  try {
    const body = new URLSearchParams(form as Record<string, string>).toString()
    const type = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': String(body.length) }
    const request = requestHttp({ port, method, path: '/', agent: false, headers: { ...type, ...headers } })
    request.end(method === 'GET' ? undefined : body)
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    const chunks: string[] = []
    for await (const chunk of response.setEncoding('utf8')) chunks.push(String(chunk))
    if (chunks.join('').includes('secret text')) return 'shows what was thrown'
    return response.statusCode === 200 || response.statusCode === 201 ? 'ok' : `${response.statusCode} ${seen}`.trim()
  } finally {
    stop()
    server.closeAllConnections()
    server.close()
  }
}

// --- assertions -------------------------------------------------------------------------------------------------------

const CLIENT: Client = {
  client_id: 'client-1',
  token_endpoint_auth_method: 'private_key_jwt',
  jwks: { keys: [key.jwk] },
}
const REMOTE: Client = {
  client_id: 'client-1',
  token_endpoint_auth_method: 'private_key_jwt',
  jwks_uri: 'https://keys.example/jwks',
}
const verifierOptions = (changes: object) => ({
  issuer: ISSUER,
  tokenEndpoint: TOKEN_ENDPOINT,
  findClient: () => CLIENT,
  replayRegister: createMemoryReplayRegister({ clock }),
  clock,
  ...changes,
})

const VERIFIERS: Readonly<Record<string, (changes: object, form?: object) => Promise<unknown>>> = {
  createAssertionVerifier: (changes, form = formWith(assertionBy(key))) =>
    createAssertionVerifier(as<never>(verifierOptions(changes)))(form as never),
  Strategy: (changes, body = formWith(assertionBy(key))) =>
    new Promise((resolve, reject) => {
      const strategy = Object.assign(Object.create(new Strategy(as<never>(verifierOptions(changes)))), {
        success: resolve,
        fail: () => reject(new Error('fail without a reason')),
        error: reject,
      })
      strategy.authenticate({ method: 'POST', headers: {}, body })
    }),
}

const resolveToLoopback = as<Given>(((_host, _options, callback) =>
  callback(null, [{ address: '127.0.0.1', family: 4 }])) as LookupFunction)
const keySet = async (): Promise<Response> => Response.json({ keys: [key.jwk] })
const FETCHED_WRONG = [...NOT_OBJECT, {}, { status: 200 }, { status: 200, headers: {} }, { status: '200', body: 7 }]

/** The functions of remote options, behind something that fetches. `refused` is how it says that the remote side failed. */
function remoteRows(
  name: string,
  path: string,
  use: (remote: object) => Promise<string>,
  refused: RegExp,
  fetchRight: Given = keySet,
): Readonly<Record<string, Row>> {
  const lookup = resolveToLoopback
  return {
    [`${name}${path}.isAllowedAddress`]: {
      covers: [`${name}${path}.isAllowedAddress`],
      use: (isAllowedAddress) => use({ isAllowedAddress, lookup, timeoutMilliseconds: 100 }),
      right: () => true,
      ends: refused, // it is connected to, and nobody listens
      wrong: NOT_BOOLEAN,
      refused,
    },
    [`${name}${path}.lookup`]: {
      covers: [`${name}${path}.lookup`],
      use: (own) => use({ isAllowedAddress: () => true, lookup: own, timeoutMilliseconds: 100 }),
      right: lookup,
      ends: refused,
      wrong: [undefined, '127.0.0.1', ['127.0.0.1']],
      refused,
      real: true,
    },
    [`${name}${path}.fetch`]: {
      covers: [`${name}${path}.fetch`],
      use: (fetch) => use({ fetch, timeoutMilliseconds: 100 }),
      right: fetchRight,
      wrong: FETCHED_WRONG,
      refused,
      real: true,
    },
  }
}

const KEYS_UNAVAILABLE = /^400 key_set_unavailable/

function verifierRows(name: string, verify: (changes: object, form?: object) => Promise<unknown>): Record<string, Row> {
  const row = (
    path: string,
    changes: (hook: Given) => object,
    rest: Omit<Row, 'covers' | 'use'>,
    form?: () => object,
  ) => ({
    [`${name}(options).${path}`]: {
      covers: [`${name}(options).${path}`],
      use: (hook: Given) => outcomeOf(() => verify(changes(hook), form?.())),
      ...rest,
    },
  })
  const names = (option: string, right: unknown, audience: string, wrong: readonly unknown[]) =>
    row(
      option,
      (hook) => ({ profile: 'fapi1', pushedAuthorizationRequestEndpoint: `${ISSUER}/par`, [option]: hook }),
      { right: () => right, wrong, refused: FAULT, sync: true },
      () => formWith(assertionBy(key, { aud: audience })),
    )
  return {
    ...row('findClient', (findClient) => ({ findClient }), {
      right: () => CLIENT,
      wrong: NOT_CLIENT,
      refused: /^400 client_misconfigured/,
      fails: UNAVAILABLE,
    }),
    ...row('replayRegister.remember', (remember) => ({ replayRegister: { remember } }), {
      right: () => true,
      wrong: NOT_BOOLEAN,
      refused: FAULT,
      fails: UNAVAILABLE,
    }),
    ...row('perClient', (perClient) => ({ perClient }), {
      right: () => ({ jti: 'required' }),
      wrong: [7, true, 'text', ['text'], () => ({}), { maxLifetime: 1 }, { maxLifetimeSeconds: 'long' }],
      refused: naming('500', 'perClient'),
      sync: true,
    }),
    ...row('checks[].check', (check) => ({ checks: [{ name: 'mine', check }] }), {
      right: () => true,
      wrong: [undefined, null, 0, 1, {}, []],
      refused: naming('500', "'mine'"),
      fails: UNAVAILABLE,
    }),
    ...row('clock', (own) => ({ clock: own }), {
      right: clock,
      wrong: NOT_TIME,
      refused: naming('500', 'clock'),
      sync: true,
    }),
    ...names('issuer', ISSUER, ISSUER, [undefined, null, '', 7, {}, ['x']]),
    ...names('tokenEndpoint', TOKEN_ENDPOINT, TOKEN_ENDPOINT, [undefined, null, '', 7, {}, ['x']]),
    ...names('pushedAuthorizationRequestEndpoint', `${ISSUER}/par`, `${ISSUER}/par`, [
      undefined,
      null,
      '',
      7,
      {},
      ['x'],
    ]),
    ...row('audience', (audience) => ({ audience }), {
      right: () => [ISSUER],
      wrong: [undefined, null, '', ISSUER, 7, {}, [], [7], ['']],
      refused: naming('500', 'audience'),
      sync: true,
    }),
    ...row('algorithms', (algorithms) => ({ algorithms }), {
      right: () => ['ES256'],
      wrong: [undefined, null, '', 'ES256', 7, {}, [], [7], ['none'], ['ES25']],
      refused: naming('500', 'algorithms'),
      sync: true,
    }),
    ...remoteRows(
      name,
      '(options).keySets',
      (keySets) => outcomeOf(() => verify({ findClient: () => REMOTE, keySets })),
      KEYS_UNAVAILABLE,
    ),
  }
}

// --- endpoints --------------------------------------------------------------------------------------------------------

const CONFIDENTIAL: Client = { client_id: 'any', client_secret: SECRET, grant_types: ['echo'] }
const OWN: Client = { client_id: 'own', token_endpoint_auth_method: 'own', grant_types: ['echo'] }
const memory = createMemoryStores({ clock })
const sessions = createSessions({ store: memory.sessionStore, clock })
const tokens = createTokens({ issuer: ISSUER, baseSecret: BASE_SECRET })
const permission = { subject: 'alice', clientId: 'any', scope: '' }
const session = await sessions.open(permission, { client: CONFIDENTIAL })
if (session === undefined) throw new Error('no session')
const issued = await tokens.issue(session, {
  client: { ...CONFIDENTIAL, grant_types: ['refresh_token'] },
  scope: '',
  generation: 1,
  now: NOW,
  context: {},
})
const pushedStub = {
  isRequired: false,
  isRequiredFor: () => false,
  connect: () => undefined,
  load: async () => undefined,
  spend: async () => undefined,
  push: async () => ({ request_uri: 'urn:ietf:params:oauth:request_uri:x', expires_in: 60 }),
}

const FORM = {
  client_id: 'any',
  client_secret: SECRET,
  grant_type: 'echo',
  token: issued.access_token,
} as const
const { client_secret: _, ...FORM_WITHOUT_SECRET } = FORM

type Handler = (request: IncomingMessage, response: ServerResponse) => void
const ENDPOINTS: Readonly<Record<string, (options: never) => Handler>> = {
  createClientEndpoint: (options) => as(createClientEndpoint(() => ({}), options)),
  createIntrospectionEndpoint: (options) =>
    as(createIntrospectionEndpoint({ sessions, tokens, ...(options as object) } as never)),
  createRevocationEndpoint: (options) =>
    as(createRevocationEndpoint({ sessions: fresh(), tokens, ...(options as object) } as never)),
  createTokenEndpoint: (options) => as(createTokenEndpoint({ exchanges: [echo], ...(options as object) } as never)),
  createPushedAuthorizationEndpoint: (options) => as(createPushedAuthorizationEndpoint(as(pushedStub), options)),
}

const timeoutMilliseconds = 60

/** Ways to authenticate clients, each with what makes the handler and the right form. */
function authenticationRows(
  name: string,
  use: (options: object, form: Readonly<Record<string, unknown>>) => Promise<string>,
  has: { readonly short: boolean; readonly byOptions: boolean; readonly byFunction: boolean; readonly clock: boolean },
): Record<string, Row> {
  const rows: Record<string, Row> = {}
  const add = (
    path: string,
    options: (hook: Given) => object,
    form: Readonly<Record<string, unknown>>,
    rest: Omit<Row, 'covers' | 'use'>,
  ): void => {
    const label = `${name}(options).${path}`
    rows[label] = { covers: [label], use: (hook) => use({ clock, ...options(hook) }, form), real: has.short, ...rest }
  }
  const methodsOf = (method: object) => {
    const own = { method: 'own', presents: (_: never, { own }: { own?: string }) => own !== undefined, ...method }
    const findClient = () => OWN
    return has.byOptions
      ? { findClient, methods: ['client_secret_post', own] }
      : { strategies: { basic: { authenticate: () => undefined } }, findClient, methods: [own] }
  }
  const ownForm = { ...FORM_WITHOUT_SECRET, client_id: 'own', own: '1' }
  const authenticate = () => true
  add('methods[].presents', (presents) => methodsOf({ presents, authenticate }), ownForm, {
    right: () => true,
    wrong: [undefined, null, 0, 1, 'yes', {}],
    refused: naming('500', 'presents'),
    sync: true,
  })
  add('methods[].readClientId', (readClientId) => methodsOf({ readClientId, authenticate }), ownForm, {
    right: () => 'own',
    wrong: [null, 7, true, {}, ['own']],
    refused: naming('500', 'readClientId'),
    sync: true,
  })
  add('methods[].authenticate', (own) => methodsOf({ authenticate: own }), ownForm, {
    right: authenticate,
    wrong: [undefined, null, 0, 1, 'yes', []],
    refused: naming('500', 'authenticate'),
    fails: UNAVAILABLE,
  })
  if (has.byOptions) {
    add('findClient', (findClient) => ({ findClient }), FORM, {
      right: () => CONFIDENTIAL,
      wrong: NOT_CLIENT,
      refused: /^400 client_misconfigured/,
      fails: UNAVAILABLE,
    })
    add(
      'verifyAssertion',
      (verifyAssertion) => ({ findClient: () => CONFIDENTIAL, verifyAssertion }),
      { ...formWith('a.b.c'), ...FORM_WITHOUT_SECRET },
      {
        right: async () => ({ client: CONFIDENTIAL, authentication: { method: 'private_key_jwt' } }),
        wrong: [...NOT_OBJECT, {}, [], { client: 7 }, { client: CONFIDENTIAL.client_id }],
        refused: FAULT,
      },
    )
  } else {
    add('findClient', (findClient) => ({ ...methodsOf({ authenticate }), findClient }), ownForm, {
      right: () => OWN,
      wrong: NOT_CLIENT,
      refused: /^400 client_misconfigured/,
      fails: UNAVAILABLE,
    })
  }
  if (has.byFunction)
    add('authenticateClient', (authenticateClient) => ({ authenticateClient }), FORM, {
      right: async () => ({ client: CONFIDENTIAL, authentication: { method: 'client_secret_post' } }),
      wrong: [...NOT_OBJECT, [], { client: 7 }],
      refused: FAULT,
    })
  if (has.clock)
    add('clock', (own) => ({ ...methodsOf({ authenticate }), clock: own }), ownForm, {
      right: clock,
      wrong: NOT_TIME,
      refused: naming('500', 'clock'),
      sync: true,
    })
  return rows
}

function endpointRows(name: string, make: (options: never) => Handler): Record<string, Row> {
  const use = (options: object, form: Readonly<Record<string, unknown>>): Promise<string> =>
    overHttp(make(as({ timeoutMilliseconds, ...options })), form)
  const strategy = {
    authenticate(this: { success(user: unknown): void }) {
      this.success({ id: 7 })
    },
  }
  const row = (path: string, rest: Omit<Row, 'covers'>): Record<string, Row> => {
    const label = `${name}(options).${path}`
    return { [label]: { covers: [label], ...rest } }
  }
  return {
    ...authenticationRows(name, use, { short: true, byOptions: true, byFunction: true, clock: true }),
    ...row('toClient', {
      use: (toClient) => use({ strategies: { clientPassword: strategy }, clock, toClient }, FORM),
      right: () => CONFIDENTIAL,
      wrong: [7, true, 'text', {}, [], { client_id: 7 }],
      refused: naming('500', 'toClient'),
      sync: true,
      real: true,
    }),
    ...row('writeError', {
      // whatever it does, the client receives the refusal
      use: (writeError) => use({ findClient: () => undefined, clock, writeError }, FORM),
      right: as<Given>((_error: unknown, _request: unknown, response: ServerResponse) => response.end('{}')),
      ends: /^400 client_unknown/,
      refused: /^400 client_unknown/,
      never: /^400 client_unknown/,
    }),
  }
}

// --- a response that is nobody's --------------------------------------------------------------------------------------

/** What a middleware does with a request: the status of its response, `next`, or what it passed to `next`. */
function throughMiddleware(
  middleware: (request: never, response: never, next: never) => unknown,
  request: object,
): Promise<string> {
  return new Promise((resolve) => {
    let seen = ''
    const stop = onEvent('request.refused', ({ reason, detail, cause }) => {
      seen = `${reason} ${detail ?? ''} ${textOf(cause ?? '')}`
    })
    const finish = (outcome: string): void => {
      stop()
      resolve(outcome)
    }
    const response = new ServerResponse(as(request))
    response.assignSocket(as(new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })))
    const { end } = response
    response.end = ((...given: never[]) => {
      const ended = Reflect.apply(end, response, given)
      finish(`${response.statusCode} ${seen}`.trim())
      return ended
    }) as typeof end
    middleware(
      as(request),
      as(response),
      as((error?: unknown) => finish(error === undefined ? 'ok' : describeError(error))),
    )
  })
}

// --- stores -----------------------------------------------------------------------------------------------------------

const STORE_VERBS = ['create', 'get', 'save', 'end', 'list', 'endAll'] as const
const record = newSession({ subject: 'alice' }, NOW)
const CONSENT = newSession({ subject: 'alice', clientId: 'app', scope: 'read', type: 'consent' } as never, NOW)

/** Each verb of a store, with a call that uses it. Verbs without a call are not used. */
function storeRows(
  name: string,
  make: (store: never) => Promise<unknown> | unknown,
  calls: Readonly<
    Record<string, { right: unknown; wrong: readonly unknown[]; call: (made: never) => unknown; base?: object }>
  >,
): Record<string, Row> {
  const rows: Record<string, Row> = {}
  for (const verb of STORE_VERBS) {
    const label = `${name}(options).store.${verb}`
    const used = calls[verb]
    rows[label] =
      used === undefined
        ? {
            covers: [label],
            // it is never called, whatever it does
            use: (hook) =>
              outcomeOf(async () => {
                let isCalled = false
                const noting: Given = (...given) => {
                  isCalled = true
                  return hook(...given)
                }
                const made = await make(as({ ...memory.sessionStore, [verb]: noting }))
                for (const { call, base } of Object.values(calls)) if (base === undefined) await call(as(made))
                if (isCalled) throw new Error('it is called')
              }),
            right: () => undefined,
            refused: /^ok$/,
          }
        : {
            covers: [label],
            use: (hook) =>
              outcomeOf(async () =>
                used.call(as(await make(as({ ...memory.sessionStore, ...used.base, [verb]: hook })))),
              ),
            right: () => used.right,
            wrong: used.wrong,
            refused: FAULT,
            fails: UNAVAILABLE,
          }
  }
  return rows
}

// --- everything else --------------------------------------------------------------------------------------------------

/** One row: what it covers is its name. */
const row = (name: string, rest: Omit<Row, 'covers'>): Record<string, Row> => ({ [name]: { covers: [name], ...rest } })

const authenticator = (options: object, form: Readonly<Record<string, unknown>>): Promise<string> => {
  const { clock: own, ...others } = options as { clock: () => number }
  return outcomeOf(() => createClientAuthenticator(as(others))({ headers: {} }, as(form), { now: own() }))
}
const middleware = (options: object, form: Readonly<Record<string, unknown>>): Promise<string> =>
  throughMiddleware(as(authenticateClients(as(options))), { method: 'POST', url: '/', headers: {}, body: form })

const GRANTS: Client = {
  client_id: 'any',
  client_secret: SECRET,
  grant_types: ['authorization_code', 'refresh_token', 'client_credentials', JWT_BEARER()],
  scope: 'read',
  redirect_uris: ['https://app.example/cb'],
}
function JWT_BEARER(): string {
  return 'urn:ietf:params:oauth:grant-type:jwt-bearer'
}
const pkce = newPkce()
const codeText = 'c'.repeat(43)
const codeRecord = newCode(
  {
    id: createHash('sha256').update(codeText).digest('base64url'),
    clientId: 'any',
    subject: 'alice',
    scope: 'read',
    redirectUri: 'https://app.example/cb',
    redirectUriWasSent: true,
    codeChallenge: pkce.challenge,
  },
  NOW,
)
const codeStore = (changes: object = {}): object => ({
  add: async () => 'added',
  find: async () => structuredClone(codeRecord),
  countFailure: async () => 1,
  spend: async () => 'spent',
  ...changes,
})
const CODE_FORM = {
  grant_type: 'authorization_code',
  code: codeText,
  redirect_uri: 'https://app.example/cb',
  code_verifier: pkce.verifier,
}
const fresh = () => createSessions({ store: createMemoryStores({ clock }).sessionStore, clock })
const run = (exchange: unknown, form: object, client: Client = GRANTS): Promise<string> =>
  outcomeOf(() =>
    as<{ exchange: { run(request: object): Promise<unknown> } }>(exchange).exchange.run({
      client,
      authentication: { method: 'client_secret_post' },
      parameters: form,
      now: NOW,
      context: {},
    }),
  )
/** An exchange as oauth2orize runs it. */
const step = (exchange: unknown, form: object, user: unknown = GRANTS): Promise<string> =>
  throughMiddleware(as(exchange), {
    method: 'POST',
    url: '/',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: form,
    user,
  }).then((outcome) => (outcome === '200' ? 'ok' : outcome))

const IDP = 'https://idp.example'
const identity = (): string => {
  const header = { alg: key.alg, typ: 'oauth-id-jag+jwt' }
  const claims = {
    iss: IDP,
    sub: 'u1',
    aud: ISSUER,
    client_id: 'any',
    jti: String(Math.random()),
    iat: NOW,
    exp: NOW + 60,
  }
  return jws(JSON.stringify(header), JSON.stringify(claims), key.alg, key.privateKey)
}
const trusted = federated.createTrustedIssuers([{ issuer: IDP, jwks: { keys: [key.jwk] } }])
const jwtBearer = (changes: object): unknown =>
  federated.createJwtBearerExchange(
    as({
      tokens,
      trustedIssuers: trusted,
      replayRegister: createMemoryReplayRegister({ clock }),
      subjectOf: () => 'alice',
      clock,
      ...changes,
    }),
  )
const identityForm = () => ({ grant_type: JWT_BEARER(), assertion: identity() })

const WRAPPED: Readonly<Record<string, { make: (changes: object) => unknown; form: () => object }>> = {
  createAuthorizationCodeExchange: {
    make: (changes) =>
      createAuthorizationCodeExchange(as({ codes: codeStore(), sessions: fresh(), tokens, clock, ...changes })),
    form: () => CODE_FORM,
  },
  createClientCredentialsExchange: {
    make: (changes) => createClientCredentialsExchange(as({ tokens, clock, ...changes })),
    form: () => ({ grant_type: 'client_credentials' }),
  },
  createRefreshTokenExchange: {
    make: (changes) => createRefreshTokenExchange(as({ sessions, tokens, clock, ...changes })),
    form: () => ({ grant_type: 'refresh_token', refresh_token: issued.refresh_token }),
  },
  createJwtBearerExchange: { make: jwtBearer, form: identityForm },
  toOauth2orize: {
    make: (changes) => toOauth2orize(echo, as({ clock, ...changes })),
    form: () => ({ grant_type: 'echo' }),
  },
}
const wrapperRows = Object.entries(WRAPPED).flatMap(([name, { make, form }]) => [
  row(`${name}(options).toClient`, {
    use: (toClient) => step(make({ toClient }), form(), { id: 7 }),
    right: () => GRANTS,
    wrong: [7, true, 'text', {}, [], { client_id: 7 }, () => GRANTS],
    refused: naming('500', 'toClient'),
    sync: true,
  }),
  row(`${name}(options).clock`, {
    use: (own) => step(make({ clock: own }), form()),
    right: clock,
    wrong: NOT_TIME,
    refused: naming('500', 'clock'),
    sync: true,
  }),
])

const contextRows = Object.entries(WRAPPED)
  .filter(([name]) => name !== 'toOauth2orize')
  .map(([name, { make, form }]) =>
    row(`${name}(options).context`, {
      use: (context) => run(make({ context }), form()),
      right: () => ({ patient: '123' }),
      wrong: [
        7,
        true,
        'text',
        '',
        [],
        ['patient'],
        () => ({}),
        { scope: 'admin' },
        { access_token: 'a.b.c' },
        { big: 1n },
      ],
      refused: naming('500', 'context'),
      fails: naming('500', 'context'),
    }),
  )

const codeRow = (verb: string, rest: Partial<Row> & Pick<Row, 'right'>, form: object = CODE_FORM) =>
  row(`createAuthorizationCodeExchange(options).codes.${verb}`, {
    use: (hook) =>
      run(
        createAuthorizationCodeExchange(as({ codes: codeStore({ [verb]: hook }), sessions: fresh(), tokens, clock })),
        form,
      ),
    refused: FAULT,
    fails: UNAVAILABLE,
    ...rest,
  })

const api = await createIssuer()
const accessToken = await api.sign()
const verifierOf = (changes: object = {}) =>
  createAccessTokenVerifier(
    as({ issuer: TOKEN_ISSUER, resource: RESOURCE, keys: { jwks: api.jwks }, clock, ...changes }),
  )
const prover = await createProver(clock)
const dpop = () =>
  createDpop({ tokenEndpoint: `${TOKEN_ISSUER}/token`, replayRegister: createMemoryReplayRegister({ clock }) })
const boundToken = await api.sign({ cnf: { jkt: prover.thumbprint } })
const boundProof = () =>
  prover.proof({
    claims: {
      htm: 'GET',
      htu: RESOURCE,
      ath: createHash('sha256').update(boundToken).digest('base64url'),
    },
  })
const protectedBy = (guard: unknown, headers: object): Promise<string> =>
  throughMiddleware(as(guard), { method: 'GET', url: '/mcp', headers })
const bearer = { authorization: `Bearer ${accessToken}` }

const DOCUMENT = 'https://app.example/client.json'
const document = async (): Promise<Response> =>
  Response.json({
    client_id: DOCUMENT,
    client_name: 'App',
    redirect_uris: ['https://app.example/cb'],
    token_endpoint_auth_method: 'none',
  })
const documents = (changes: object): Promise<string> =>
  outcomeOf(async () => {
    const { remote, ...others } = changes as { remote?: object }
    const made = createClientDocuments(as({ scope: 'read', remote: { fetch: document, ...remote }, clock, ...others }))
    const findClient = made.findClient(() => undefined)
    const found = await createClientAuthenticator({ findClient })({ headers: {} }, as({ client_id: DOCUMENT }), {
      now: NOW,
    })
    if (found.client.scope !== 'read') throw new Error(`scope ${found.client.scope}`)
  })

const PRESETS = {
  'entra(changes)': (remote: object) =>
    federated.entra({ tenant: '9122040d-6c67-4c5b-b112-36a304b66dad', jwksUri: 'https://keys.example/jwks', remote }),
  'githubActions(changes)': (remote: object) =>
    federated.githubActions({ jwksUri: 'https://keys.example/jwks', remote }),
  'gitlab(changes)': (remote: object) => federated.gitlab({ jwksUri: 'https://keys.example/jwks', remote }),
  'google(changes)': (remote: object) => federated.google({ jwksUri: 'https://keys.example/jwks', remote }),
  'kubernetes(trusted)': (remote: object) =>
    federated.kubernetes({ issuer: 'https://cluster.example', jwksUri: 'https://keys.example/jwks', remote }),
  'spiffe(changes)': (remote: object) =>
    federated.spiffe({ trustDomain: 'prod.example', jwksUri: 'https://keys.example/jwks', remote }),
  'createTrustedIssuers(issuers)[]': (remote: object) => ({
    issuer: IDP,
    jwksUri: 'https://keys.example/jwks',
    remote,
  }),
}
const federatedRows = Object.entries(PRESETS).flatMap(([name, make]) => {
  const use = (remote: object): Promise<string> => {
    const issuer = as<federated.TrustedIssuer>({ ...make(remote), algorithms: ['ES256'], maxLifetimeSeconds: 3600 })
    const verify = createAssertionVerifier(
      as({
        ...verifierOptions({}),
        trustedIssuers: federated.createTrustedIssuers([issuer]),
        findClient: () => ({
          client_id: 'workload',
          token_endpoint_auth_method: 'private_key_jwt',
          federated_credentials: [{ issuer: issuer.issuer, subject: 'spiffe://prod.example/a', audience: ISSUER }],
        }),
      }),
    )
    const isSpiffe = issuer.spiffe === true
    const claims = { iss: issuer.issuer, sub: 'spiffe://prod.example/a' }
    const form = formWith(assertionBy(key, claims), { client_id: 'workload' })
    const type = isSpiffe ? { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe' } : {}
    return outcomeOf(() => verify({ ...form, ...type }))
  }
  const svid = async (): Promise<Response> => Response.json({ keys: [{ ...key.jwk, use: 'jwt-svid' }] })
  return [remoteRows(name, '.remote', use, FAULT, name.startsWith('spiffe') ? svid : keySet)]
})

const OTHERS: readonly Record<string, Row>[] = [
  authenticationRows('createClientAuthenticator', authenticator, {
    short: false,
    byOptions: true,
    byFunction: false,
    clock: false,
  }),
  authenticationRows('authenticateClients', middleware, {
    short: false,
    byOptions: false,
    byFunction: true,
    clock: true,
  }),
  ...wrapperRows,
  ...contextRows,
  row('createClientEndpoint(answer)', {
    use: (answer) =>
      overHttp(
        as(createClientEndpoint(as(answer), { findClient: () => CONFIDENTIAL, clock, timeoutMilliseconds })),
        FORM,
      ),
    right: () => ({ a: 1 }),
    wrong: [undefined, null, 7, true, 'text', () => ({}), { big: 1n }],
    refused: FAULT,
    real: true,
  }),
  ...(['permits', 'mayAsk'] as const).map((option) =>
    row(`createIntrospectionEndpoint(options).${option}`, {
      use: (hook) =>
        overHttp(
          as(
            createIntrospectionEndpoint(
              as({ sessions, tokens, findClient: () => CONFIDENTIAL, clock, [option]: hook, timeoutMilliseconds }),
            ),
          ),
          FORM,
        ),
      right: () => true,
      wrong: NOT_BOOLEAN,
      refused: naming('500', option),
      fails: UNAVAILABLE,
      never: FAULT,
      real: true,
    }),
  ),
  row('createIntrospection(options).findClient', {
    use: (findClient) =>
      outcomeOf(() =>
        createIntrospection({ sessions, tokens, findClient: as(findClient) })({
          client: CONFIDENTIAL,
          parameters: { token: issued.access_token },
          now: NOW,
          context: {},
        }),
      ),
    right: () => CONFIDENTIAL,
    wrong: [7, true, 'text', {}],
    refused: MISCONFIGURED,
    fails: UNAVAILABLE,
  }),
  row('createRevocationEndpoint(options).adopt', {
    use: (adopt) =>
      overHttp(
        as(
          createRevocationEndpoint(
            as({ sessions, tokens, findClient: () => CONFIDENTIAL, clock, adopt, timeoutMilliseconds }),
          ),
        ),
        { ...FORM, token: 'old' },
      ),
    right: () => permission,
    wrong: [7, true, 'alice', [], {}, { ...permission, clientId: undefined }],
    refused: naming('500', 'adopt'),
    fails: UNAVAILABLE,
    never: FAULT,
    real: true,
  }),
  ...(['run', 'exchange.run'] as const).map((path) =>
    row(`createTokenEndpoint(options).exchanges[].${path}`, {
      use: (hook) => {
        const exchange = { grantType: 'echo', run: hook }
        const exchanges = [path === 'run' ? exchange : toOauth2orize(as(exchange))]
        return overHttp(
          as(createTokenEndpoint(as({ exchanges, findClient: () => CONFIDENTIAL, clock, timeoutMilliseconds }))),
          FORM,
        )
      },
      right: () => ({ access_token: 'x', token_type: 'Bearer' }),
      wrong: [undefined, null, 7, true, 'text', () => ({})],
      refused: FAULT,
      real: true,
    }),
  ),
  row('toOauth2orize(exchange).run', {
    use: (hook) =>
      step(guardExchange(as(toOauth2orize(as({ grantType: 'echo', run: hook }), { clock })), 50), {
        grant_type: 'echo',
      }),
    right: async () => ({ access_token: 'x', token_type: 'Bearer' }),
    wrong: [undefined, null, 7, true, 'text', () => ({})],
    refused: /^(500|bare)/,
    real: true,
  }),
  row('guardExchange(step)', {
    use: (hook) => step(guardExchange(as(hook), 50), {}),
    right: as<Given>((_request: unknown, response: ServerResponse) => response.end('{}')),
    refused: /^(500|bare)/,
    real: true,
  }),
  row('guardIssue(issue)', {
    use: (hook) =>
      new Promise((resolve) => {
        const issue = guardIssue(hook, 50) as unknown as (...given: unknown[]) => void
        issue(CLIENT, 'https://app.example/cb', (error: unknown) => resolve(error ? describeError(error) : 'ok'))
      }),
    right: as<Given>((...given: unknown[]) => (given.findLast((each) => typeof each === 'function') as Given)()),
    refused: /^(500|bare)/,
    real: true,
  }),
  row('respondWithError(options).writeError', {
    use: (writeError) =>
      throughMiddleware(
        as((request: never, response: never, next: never) =>
          respondWithError({ writeError: as(writeError) })(new OAuthError('invalid_scope'), request, response, next),
        ),
        { method: 'POST', url: '/', headers: {} },
      ),
    right: as<Given>((_error: unknown, _request: unknown, response: ServerResponse) => response.end('{}')),
    ends: /^400/,
    refused: /^400/,
  }),
  row('onEvent(listener)', {
    // the call that the event is about goes on, whatever a listener does
    use: async (listener) => {
      const stop = onEvent('client.authenticated', as(listener))
      const outcome = await outcomeOf(() =>
        createAssertionVerifier(as(verifierOptions({})))(formWith(assertionBy(key))),
      )
      stop()
      return outcome
    },
    right: () => undefined,
    wrong: NOT_OBJECT,
    refused: /^ok$/,
  }),
  row('createTokenFactory(options).keyset', {
    use: (keyset) =>
      outcomeOf(async () =>
        createTokenFactory(as({ baseSecret: BASE_SECRET, keyset })).sign('access_token', as({ iss: ISSUER, sub: 'a' })),
      ),
    right: () => deriveKeyset(BASE_SECRET),
    wrong: [undefined, null, 7, [], {}, { keys: new Map() }],
    refused: naming('500', 'keyset'),
    sync: true,
  }),
  row('createTokenFactory(options).refreshTokenKeyset', {
    use: (refreshTokenKeyset) =>
      outcomeOf(async () =>
        createTokenFactory(as({ baseSecret: BASE_SECRET, refreshTokenKeyset })).verify('refresh_token', 'a.b.c'),
      ),
    right: () => deriveKeyset(BASE_SECRET),
    wrong: [undefined, null, 7, [], {}, { keys: new Map() }],
    refused: naming('500', 'refreshTokenKeyset'),
    sync: true,
  }),
  row('createAuthorizationCodeExchange(options).permits', {
    use: (permits) =>
      run(
        createAuthorizationCodeExchange(as({ codes: codeStore(), sessions: fresh(), tokens, clock, permits })),
        CODE_FORM,
      ),
    right: () => true,
    wrong: NOT_BOOLEAN,
    refused: naming('500', 'permits'),
    fails: UNAVAILABLE,
  }),
  codeRow('find', {
    right: () => structuredClone(codeRecord),
    wrong: [7, true, 'text', [], {}, { ...codeRecord, expiresAt: 'late' }],
  }),
  codeRow('spend', { right: () => 'spent', wrong: [undefined, null, true, 'Spent', {}] }),
  codeRow(
    'countFailure',
    { right: () => 1, ends: /^400 code_verifier_wrong/, wrong: [undefined, null, '1', Number.NaN, {}] },
    { ...CODE_FORM, code_verifier: 'w'.repeat(43) },
  ),
  codeRow('add', { right: () => 'added', refused: /^ok$/, fails: /^ok$/ }), // an exchange adds no codes
  row('createRefreshTokenExchange(options).permits', {
    use: (permits) =>
      run(createRefreshTokenExchange(as({ sessions, tokens, clock, permits })), {
        refresh_token: issued.refresh_token,
      }),
    right: () => true,
    wrong: NOT_BOOLEAN,
    refused: naming('500', 'permits'),
    fails: UNAVAILABLE,
  }),
  row('createRefreshTokenExchange(options).adopt', {
    use: (adopt) =>
      run(createRefreshTokenExchange(as({ sessions: fresh(), tokens, clock, adopt })), { refresh_token: 'old' }),
    right: () => ({ ...permission, scope: 'read' }),
    wrong: [7, true, 'alice', [], {}, { ...permission, subject: 7 }],
    refused: naming('500', 'adopt'),
    fails: UNAVAILABLE,
  }),
  row('createJwtBearerExchange(options).subjectOf', {
    use: (subjectOf) => run(jwtBearer({ subjectOf }), identityForm()),
    right: () => 'alice',
    wrong: [7, true, '', {}, ['alice'], () => 'alice'],
    refused: naming('500', 'subjectOf'),
    fails: UNAVAILABLE,
  }),
  row('createJwtBearerExchange(options).replayRegister.remember', {
    use: (remember) => run(jwtBearer({ replayRegister: { remember } }), identityForm()),
    right: () => true,
    wrong: NOT_BOOLEAN,
    refused: FAULT,
    fails: UNAVAILABLE,
  }),
  row('createResources(list)', {
    use: (find) =>
      outcomeOf(() => createResources(as(find)).request('https://api.example/', 'read', { client: GRANTS } as never)),
    right: () => ({ uri: 'https://api.example/', scopes: ['read'] }),
    wrong: [
      7,
      true,
      'text',
      [],
      {},
      { uri: 7 },
      { uri: 'https://other.example/' },
      { uri: 'https://api.example/', scopes: 'read' },
    ],
    refused: FAULT,
    fails: UNAVAILABLE,
  }),
  row('createDpop(options).replayRegister.remember', {
    use: (remember) =>
      outcomeOf(() =>
        createDpop({ tokenEndpoint: TOKEN_ENDPOINT, replayRegister: { remember: as(remember) } }).spendProof(
          as({ thumbprint: 't', jti: 'j', issuedAt: NOW, url: TOKEN_ENDPOINT }),
        ),
      ),
    right: () => true,
    wrong: NOT_BOOLEAN,
    refused: FAULT,
    fails: UNAVAILABLE,
  }),
  row('findClientProblems(options).isAllowedAddress', {
    use: (isAllowedAddress) =>
      outcomeOf(async () => {
        const client = { ...REMOTE, jwks_uri: 'https://10.0.0.1/jwks' }
        const problems = await findClientProblems(as(client), as({ isAllowedAddress }))
        if (problems.length > 0) throw new Error('the address is not allowed')
      }),
    right: () => true,
    wrong: NOT_BOOLEAN,
    refused: /^bare /,
    sync: true,
  }),
  // --- access tokens
  row('createAccessTokenVerifier(options).clock', {
    use: (own) => outcomeOf(() => verifierOf({ clock: own }).verify(accessToken)),
    right: clock,
    wrong: NOT_TIME,
    refused: naming('500', 'clock'),
    sync: true,
  }),
  row('createAccessTokenVerifier(options).keys.introspect', {
    use: (introspect) => outcomeOf(() => verifierOf({ keys: { introspect } }).verify(accessToken)),
    right: () => ({ active: true, ...GOOD_CLAIMS, token_type: 'Bearer' }),
    wrong: [...NOT_OBJECT, [], {}, { active: 1 }, { active: 'true' }],
    refused: UNAVAILABLE,
  }),
  remoteRows(
    'createAccessTokenVerifier(options)',
    '.keySets',
    (keySets) =>
      outcomeOf(() => verifierOf({ keys: { jwksUri: 'https://keys.example/jwks' }, keySets }).verify(accessToken)),
    FAULT,
    async () => Response.json(api.jwks),
  ),
  row('requireAccessToken(options).clock', {
    use: (own) => protectedBy(requireAccessToken(verifierOf(), { clock: as(own) }), bearer),
    right: clock,
    wrong: NOT_TIME,
    refused: naming('500', 'clock'),
    sync: true,
  }),
  row('requireAccessToken(options).requestUrl', {
    use: async (requestUrl) =>
      protectedBy(requireAccessToken(verifierOf({ dpop: dpop() }), { clock, requestUrl: as(requestUrl) }), {
        authorization: `DPoP ${boundToken}`,
        dpop: await boundProof(),
      }),
    right: () => RESOURCE,
    wrong: [undefined, null, '', 7, {}, 'not a url', '/mcp'],
    refused: naming('500', 'requestUrl'),
    sync: true,
  }),
  row('createBearerVerify(options).userOf', {
    use: (userOf) =>
      new Promise((resolve) =>
        createBearerVerify(verifierOf(), { userOf: as(userOf) })(accessToken, (error, user) =>
          resolve(error ? describeError(error) : user ? 'ok' : 'refused'),
        ),
      ),
    right: () => ({ id: 7 }),
    wrong: [undefined, null, false, '', 0],
    refused: /^refused$/, // there is no such user
    fails: UNAVAILABLE,
  }),
  row('toMcpVerifier(options).createError', {
    use: (createError) =>
      outcomeOf(() => toMcpVerifier(verifierOf(), { createError: as(createError) }).verifyAccessToken('x')),
    right: () => Object.assign(new Error('of the SDK'), { name: 'InvalidTokenError' }),
    ends: /^bare InvalidTokenError: of the SDK$/,
    wrong: [undefined, null, 7, 'text', {}],
    refused: naming('500', 'createError'),
    sync: true,
  }),
  // --- documents
  row('createClientDocuments(options).clock', {
    use: (own) => documents({ clock: own }),
    right: clock,
    wrong: NOT_TIME,
    refused: FAULT,
    sync: true,
  }),
  row('createClientDocuments(options).isAllowed', {
    use: (isAllowed) => documents({ isAllowed }),
    right: () => true,
    wrong: NOT_BOOLEAN,
    refused: /^400 client_unknown/, // only `true` accepts
    fails: UNAVAILABLE,
  }),
  row('createClientDocuments(options).scope', {
    use: (scope) => documents({ scope }),
    right: () => 'read',
    wrong: [undefined, null, 7, {}, ['read'], 'r"d'],
    refused: FAULT,
    sync: true,
  }),
  row('readClientMetadata(options).scope', {
    use: (scope) =>
      outcomeOf(async () => {
        const metadata = { redirect_uris: ['https://app.example/cb'], token_endpoint_auth_method: 'none' }
        const read = readClientMetadata(JSON.stringify(metadata), { clientId: 'c', scope: as(scope) })
        if ('refused' in read) throw new Error(`the client is blamed: ${read.refused}`)
        if (read.client.scope !== 'read') throw new Error(`scope ${read.client.scope}`)
      }),
    right: () => 'read',
    wrong: [undefined, null, 7, {}, ['read'], 'r"d'],
    refused: /^bare TypeError: option 'scope' must be/, // its caller is the application
    fails: /^bare (Error: )?(secret text|undefined|null|\[object Object\]|what cannot be read)$/,
    sync: true,
  }),
  remoteRows(
    'createClientDocuments(options)',
    '.remote',
    (remote) => documents({ remote: { fetch: undefined, ...remote } }),
    FAULT,
    document,
  ),
  // --- stores
  storeRows('createSessions', (store: never) => createSessions({ store, clock }), {
    create: {
      right: 'created',
      wrong: [undefined, null, true, 'Created', {}],
      call: (made: never) => as<ReturnType<typeof fresh>>(made).open(permission),
    },
    get: {
      right: undefined,
      wrong: [7, true, 'text', [], {}],
      call: (made: never) => as<ReturnType<typeof fresh>>(made).get('id'),
    },
    save: {
      right: 'saved',
      wrong: [undefined, null, true, 'Saved', {}],
      base: { get: async () => structuredClone(record) },
      call: (made: never) => as<ReturnType<typeof fresh>>(made).touch(record.id, { now: NOW + 1, extra: { a: 1 } }),
    },
    end: {
      right: 'ended',
      wrong: [undefined, null, true, 'Ended', {}],
      call: (made: never) => as<ReturnType<typeof fresh>>(made).end('id'),
    },
    list: {
      right: [],
      wrong: [undefined, null, 7, 'text', {}],
      call: (made: never) => as<ReturnType<typeof fresh>>(made).list('alice', 'oauth2'),
    },
    endAll: {
      right: 1,
      wrong: [undefined, null, '1', Number.NaN, {}],
      call: (made: never) => as<ReturnType<typeof fresh>>(made).endAll('alice', 'full'),
    },
  }),
  storeRows('createConsents', (store: never) => createConsents({ store, clock }), {
    create: {
      right: 'created',
      wrong: [undefined, null, true, 'Created', {}],
      base: { get: async () => undefined },
      call: (made: never) =>
        as<ReturnType<typeof createConsents>>(made).remember({ subject: 'alice', clientId: 'app', scope: 'read' }),
    },
    get: {
      right: undefined,
      wrong: [7, true, 'text', [], {}],
      call: (made: never) =>
        as<ReturnType<typeof createConsents>>(made).allows({ subject: 'alice', clientId: 'app', scope: 'read' }),
    },
    save: {
      right: 'saved',
      wrong: [undefined, null, true, 'Saved', {}],
      base: { get: async () => structuredClone(CONSENT) },
      call: (made: never) =>
        as<ReturnType<typeof createConsents>>(made).remember({ subject: 'alice', clientId: 'app', scope: 'write' }),
    },
    list: {
      right: [],
      wrong: [undefined, null, 7, 'text', {}],
      call: (made: never) => as<ReturnType<typeof createConsents>>(made).list('alice'),
    },
  }),
  storeRows(
    'createPushedRequests',
    (store: never) => {
      const made = createPushedRequests({ store })
      made.connect(
        as({
          issuer: ISSUER,
          judge: async () => undefined,
          replayRegister: { remember: async () => true },
          transactionLifetimeSeconds: 60,
        }),
      )
      return made
    },
    {
      create: {
        right: 'created',
        wrong: [undefined, null, true, 'Created', {}],
        call: (made: never) =>
          as<ReturnType<typeof createPushedRequests>>(made).push(GRANTS, { client_id: 'any' }, NOW),
      },
      get: {
        right: newSession(
          {
            type: 'pushed_request',
            clientId: 'any',
            subject: 'any',
            issuer: ISSUER,
            extra: { parameters: {}, login: 'x' },
          } as never,
          NOW,
        ),
        wrong: [7, true, 'text', [], {}],
        base: {},
        call: (made: never) =>
          as<ReturnType<typeof createPushedRequests>>(made).load(
            'any',
            `urn:ietf:params:oauth:request_uri:${'c'.repeat(43)}`,
            NOW,
          ),
      },
    },
  ),
  row('createRedisStores(options).command', {
    use: (command) =>
      outcomeOf(() =>
        createRedisStores({
          command: as(command),
          signingKeys: BASE_SECRET,
          timeoutMilliseconds: 50,
        }).replayRegister.remember('i', 'c', 'j', NOW),
      ),
    right: async () => 'OK',
    wrong: [undefined, 7, true, 'QUEUED', {}, []],
    refused: /^bare /, // a rejection, which its callers make a 503
    real: true,
  }),
  row('createRedisStores(options).reconnect', {
    use: async (reconnect) => {
      const command = async () => {
        throw new Error('gone')
      }
      const { replayRegister } = createRedisStores({
        command,
        reconnect: as(reconnect),
        signingKeys: BASE_SECRET,
        timeoutMilliseconds: 1,
      })
      return callThrice(replayRegister)
    },
    right: () => undefined,
    wrong: NOT_OBJECT,
    refused: /^ok$/,
    real: true,
  }),
  row('createPostgresStores(options).query', {
    use: (query) =>
      outcomeOf(() =>
        createPostgresStores({ query: as(query), timeoutMilliseconds: 50 }).replayRegister.remember('i', 'c', 'j', NOW),
      ),
    right: async () => ({ rows: [{ outcome: 'new' }], rowCount: 1 }),
    wrong: [undefined, null, 7, true, 'text', {}],
    refused: /^bare /,
    real: true,
  }),
  row('createPostgresStores(options).reconnect', {
    use: async (reconnect) => {
      const query = async () => {
        throw new Error('gone')
      }
      const { replayRegister } = createPostgresStores({ query, reconnect: as(reconnect), timeoutMilliseconds: 1 })
      return callThrice(replayRegister)
    },
    right: () => undefined,
    wrong: NOT_OBJECT,
    refused: /^ok$/,
    real: true,
  }),
  ...(
    [
      [
        'createMemoryReplayRegister',
        (own: Given) => createMemoryReplayRegister({ clock: as(own) }).remember('i', 'c', 'j', NOW + 60),
      ],
      ['createMemoryCodeStore', (own: Given) => createMemoryCodeStore({ clock: as(own) }).add(newCode({}, NOW))],
      [
        'createMemorySessionStore',
        (own: Given) => createMemorySessionStore({ clock: as(own) }).create(newSession({}, NOW)),
      ],
      ['createMemoryStores', (own: Given) => createMemoryStores({ clock: as(own) }).sessionStore.get('id')],
    ] as const
  ).map(([name, call]) =>
    row(`${name}(options).clock`, {
      use: (own) => outcomeOf(() => call(own)),
      right: clock,
      wrong: NOT_TIME,
      refused: naming('500', 'clock'),
      sync: true,
    }),
  ),
  row('createTestClient(options).clock', {
    use: (own) => outcomeOf(async () => (await createTestClient({ issuer: ISSUER, clock: as(own) })).assertion()),
    right: clock,
    wrong: NOT_TIME,
    refused: naming('500', 'clock'),
    sync: true,
  }),
  ...federatedRows,
]

/** All rows, by the function that each is about. */
export const ROWS: Readonly<Record<string, Row>> = Object.assign(
  {},
  ...Object.entries(VERIFIERS).map(([name, verify]) => verifierRows(name, verify)),
  ...Object.entries(ENDPOINTS).map(([name, make]) => endpointRows(name, make)),
  ...OTHERS,
)
