// "What clients notice" of docs/adopting.md: each row of that table is tried at the application before the first step and after
// the second one, or after the fifth.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Client, createTokenEndpoint } from '../../lib/index.ts'
import { createFormBrowser, type Visit } from '../support/form_browser.ts'
import { type Migration, prepareMigration } from '../support/migration.ts'
import { rowsOf } from '../support/page_tables.ts'
import { basicHeader, listen, type Route } from '../support/token_route.ts'

process.env['BASE_SECRET'] ??= '0123456789abcdef0123456789abcdef0123456789abcdef'

const root = fileURLToPath(new URL('../..', import.meta.url))
const ID = 'abc123'
const SECRET = 'ssh-secret'
const BOB = { username: 'bob', password: 'secret' }
const OWN = 'grant_type=client_credentials'
const IN_BODY = `client_id=${ID}&client_secret=${SECRET}`
const ASSERTION =
  'client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=e30.e30.e30'
const RIGHT = { Authorization: basicHeader(ID, SECRET) }
const WRONG = { Authorization: basicHeader(ID, 'wrong') }
const MESSAGE = 'connect ECONNREFUSED 10.0.0.3:5432'

type Outcome = number | readonly [number, string]

interface Notice {
  readonly row: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
  readonly method?: string
  readonly was: number
  readonly is: Outcome
}

const NOTICES: readonly Notice[] = [
  {
    row: 'wrong secret in the body',
    body: `${OWN}&client_id=${ID}&client_secret=wrong`,
    was: 401,
    is: [400, 'invalid_client'],
  },
  {
    row: 'unknown client in the body',
    body: `${OWN}&client_id=nobody&client_secret=x`,
    was: 500,
    is: [400, 'invalid_client'],
  },
  {
    row: 'unknown client in the header',
    body: OWN,
    headers: { Authorization: basicHeader('nobody', 'x') },
    was: 500,
    is: [401, 'invalid_client'],
  },
  { row: 'no credential', body: OWN, was: 401, is: [400, 'invalid_client'] },
  { row: 'wrong secret in the header', body: OWN, headers: WRONG, was: 401, is: [401, 'invalid_client'] },
  {
    row: 'wrong secret in the header, right one in the body',
    body: `${OWN}&${IN_BODY}`,
    headers: WRONG,
    was: 200,
    is: [401, 'invalid_client'],
  },
  {
    row: 'right secret in the header, another in the body',
    body: `${OWN}&client_id=${ID}&client_secret=wrong`,
    headers: RIGHT,
    was: 200,
    is: 200,
  },
  {
    row: 'secret with a colon, in the header: `id:a:b`',
    body: OWN,
    headers: { Authorization: basicHeader('colon', 'a:b') },
    was: 401,
    is: 200,
  },
  {
    row: 'right secret with more behind it, in the header: `id:secret:x`',
    body: OWN,
    headers: { Authorization: basicHeader(ID, `${SECRET}:x`) },
    was: 200,
    is: [401, 'invalid_client'],
  },
  {
    row: 'public client',
    body: 'grant_type=authorization_code&code=x&client_id=phone',
    was: 401,
    is: [400, 'invalid_client'],
  },
  {
    row: '`client_credentials` of a public client',
    body: `${OWN}&client_id=phone`,
    was: 401,
    is: [400, 'invalid_client'],
  },
  {
    row: 'wrong code',
    body: 'grant_type=authorization_code&code=wrong',
    headers: RIGHT,
    was: 403,
    is: [400, 'invalid_grant'],
  },
  {
    row: 'wrong refresh token',
    body: 'grant_type=refresh_token&refresh_token=wrong',
    headers: RIGHT,
    was: 403,
    is: [400, 'invalid_grant'],
  },
  {
    row: 'unknown grant type',
    body: 'grant_type=unknown',
    headers: RIGHT,
    was: 501,
    is: [400, 'unsupported_grant_type'],
  },
  { row: 'missing grant type', body: 'a=b', headers: RIGHT, was: 501, is: [400, 'invalid_request'] },
  {
    row: 'nested parameter, such as `code[$ne]=x`',
    body: 'grant_type=authorization_code&code[$ne]=x',
    headers: RIGHT,
    was: 403,
    is: [400, 'invalid_request'],
  },
  {
    row: 'repeated parameter, such as `code=a&code=b`',
    body: 'grant_type=authorization_code&code=a&code=b',
    headers: RIGHT,
    was: 403,
    is: [400, 'invalid_request'],
  },
  {
    row: 'body over 64 KiB',
    body: `${OWN}&padding=${'x'.repeat(65_536)}`,
    headers: RIGHT,
    was: 200,
    is: [413, 'invalid_request'],
  },
  { row: 'method other than POST', body: '', method: 'GET', headers: RIGHT, was: 404, is: [405, 'invalid_request'] },
  {
    row: 'client assertion in addition to another method',
    body: `${OWN}&${ASSERTION}`,
    headers: RIGHT,
    was: 200,
    is: [400, 'invalid_request'],
  },
]

/** What a browser sees: the page, or the error or the code at the client. */
type Sight = 'login' | 'consent' | 'code' | number | { readonly error: string }

interface PageNotice {
  readonly row: string
  readonly query: Readonly<Record<string, string>>
  /** What happened before: a login, and the consent of the user. Default: a login. */
  readonly after?: 'nothing' | 'login' | 'consent'
  readonly was: readonly Sight[]
  readonly is: readonly Sight[]
}

const REFUSED_REDIRECT_URI =
  'registered redirect URI with `http:` on a host of the network, or with a private-use scheme (without `privateUseSchemes`)'

/** What the browser of a user sees in turn; it logs in where it is asked to. */
const PAGE_NOTICES: readonly PageNotice[] = [
  {
    row: '`prompt=none`, no user is logged in',
    query: { prompt: 'none' },
    after: 'nothing',
    was: ['login', 'consent'],
    is: [{ error: 'login_required' }],
  },
  {
    row: '`prompt=none`, the user has not allowed the client',
    query: { prompt: 'none' },
    was: ['consent'],
    is: [{ error: 'consent_required' }],
  },
  {
    row: '`prompt=login` or `max_age=0`, a user is logged in',
    query: { prompt: 'login' },
    was: ['consent'],
    is: ['login', 'consent'],
  },
  {
    row: '`prompt=login` or `max_age=0`, a user is logged in',
    query: { max_age: '0' },
    after: 'consent',
    was: ['consent'],
    is: ['login', 'code'],
  },
  { row: 'the user has allowed the client before', query: {}, after: 'consent', was: ['consent'], is: ['code'] },
  {
    row: 'the user has allowed the client before',
    query: { prompt: 'consent' },
    after: 'consent',
    was: ['consent'],
    is: ['consent'],
  },
  {
    row: '`scope` with a value that the client is not registered for',
    query: { scope: 'admin' },
    was: ['consent'],
    is: [{ error: 'invalid_scope' }],
  },
  {
    row: '`response_type` other than `code`',
    query: { response_type: 'token' },
    after: 'nothing',
    was: ['login', 501],
    is: [{ error: 'unsupported_response_type' }],
  },
  {
    row: 'public client without `code_challenge`',
    query: { client_id: 'phone', redirect_uri: 'https://phone.example/callback' },
    was: ['consent'],
    is: [{ error: 'invalid_request' }],
  },
  {
    row: 'redirect URI that the client has not registered',
    query: { redirect_uri: 'https://other.example/callback' },
    after: 'nothing',
    was: ['login', 403],
    is: [400],
  },
  {
    row: REFUSED_REDIRECT_URI,
    query: { client_id: 'insecure', redirect_uri: 'http://c.example/callback' },
    was: ['consent'],
    is: [400],
  },
  {
    row: REFUSED_REDIRECT_URI,
    query: { client_id: 'native', redirect_uri: 'com.example.app:/callback' },
    was: ['consent'],
    is: [400],
  },
  {
    row: 'unknown `client_id`',
    query: { client_id: 'nobody' },
    after: 'nothing',
    was: ['login', 500],
    is: [400],
  },
]

/** Rows that have a test of their own below, or elsewhere. */
const ELSEWHERE = [
  'JSON body',
  'your database is down',
  'grant type that the client is not registered for',
  'consent form that is sent after the login has ended',
  'any request that is redirected to the client',
]

interface Database {
  readonly clients: { readonly rows: object[] }
}

describe('what clients notice, by docs/adopting.md', () => {
  let migration: Migration
  let old: Route
  let now: Route
  let later: Route
  let db: Database

  before(async () => {
    migration = await prepareMigration(root, 'docs/adopting.md', join(root, '.tmp/notices'))
    db = migration.require('db.cjs') as Database
    const added = (id: string, clientId: string, clientSecret: string, redirectUri: string) =>
      db.clients.rows.push({ id, name: clientId, clientId, clientSecret, redirectUri })
    added('5', 'colon', 'a:b', 'https://c.example')
    added('6', 'insecure', 'a', 'http://c.example/callback')
    added('7', 'native', 'a', 'com.example.app:/callback')
    old = await listen(createServer(migration.load(0)))
    now = await listen(createServer(migration.load(2)))
    later = await listen(createServer(migration.load(5)))
  })
  after(() => Promise.all([old.close(), now.close(), later.close()]))

  const ask = async (route: Route, { method = 'POST', body, headers = {} }: Partial<Notice>) => {
    const init = { method, headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers } }
    const url = route.url.replace('/token', '/oauth/token')
    const response = await fetch(url, method === 'GET' ? init : { ...init, body: body ?? '' })
    const text = await response.text()
    return { status: response.status, headers: response.headers, text }
  }
  const errorIn = (text: string): unknown => {
    try {
      return JSON.parse(text).error
    } catch {
      return text
    }
  }

  test('the table of the page and these tests have the same rows', () => {
    const pages = new Set(PAGE_NOTICES.map(({ row }) => row))
    const listed = [...NOTICES.map(({ row }) => row), ...pages, ...ELSEWHERE]
    assert.deepEqual([...rowsOf(join(root, 'docs/adopting.md'), 'What clients notice')].sort(), listed.sort())
  })

  for (const notice of NOTICES) {
    test(`${notice.row}: was ${notice.was}, is ${notice.is}`, async () => {
      assert.equal((await ask(old, notice)).status, notice.was)
      const { status, text, headers } = await ask(now, notice)
      const { is } = notice
      assert.deepEqual(typeof is === 'number' ? status : [status, errorIn(text)], is, text)
      assert.equal(headers.get('cache-control'), 'no-store')
      assert.equal(headers.has('www-authenticate'), status === 401, 'a challenge with 401, and only there')
    })
  }

  /** The browser of a user, perhaps logged in, at a server where the user has allowed nothing yet. */
  async function userAt(route: Route, isLoggedIn: boolean) {
    const { disconnect } = migration.require('consents.cjs') as { disconnect(user: string, client: string): unknown }
    await disconnect('1', ID)
    const { origin } = new URL(route.url)
    const browser = createFormBrowser(origin)
    if (isLoggedIn) await browser.submit(await browser.visit(`${origin}/login`), '/login', BOB)
    const request = { response_type: 'code', client_id: ID, redirect_uri: 'https://samplr.example/callback' }
    const urlOf = (query: Readonly<Record<string, string>>): string =>
      `${origin}/dialog/authorize?${new URLSearchParams({ ...request, ...query })}`
    return { browser, urlOf }
  }

  const sightOf = ({ status, forms, redirectedTo }: Visit): Sight => {
    const error = redirectedTo?.searchParams.get('error')
    if (typeof error === 'string') return { error }
    if (redirectedTo?.searchParams.has('code')) return 'code'
    if (forms.some(({ fields }) => 'password' in fields)) return 'login'
    return forms.some(({ fields }) => 'transaction_id' in fields) ? 'consent' : status
  }

  async function sightsAt(route: Route, { query, after: before = 'login' }: PageNotice): Promise<Sight[]> {
    const { browser, urlOf } = await userAt(route, before !== 'nothing')
    if (before === 'consent') assert.ok((await browser.authorize(urlOf({}), BOB)).searchParams.has('code'))
    const sights: Sight[] = []
    let page = await browser.visit(urlOf(query))
    sights.push(sightOf(page))
    if (sights[0] === 'login') {
      page = await browser.submit(page, '/login', BOB)
      sights.push(sightOf(page))
    }
    return sights
  }

  for (const notice of PAGE_NOTICES) {
    const { row, query, was, is } = notice
    test(`${row} (${new URLSearchParams(query)}): was ${JSON.stringify(was)}, is ${JSON.stringify(is)}`, async () => {
      assert.deepEqual(await sightsAt(old, notice), was)
      assert.deepEqual(await sightsAt(later, notice), is)
    })
  }

  test('a consent form that is sent after the login has ended leads to the login page, and back to the consent page', async () => {
    for (const [route, expected] of [
      [old, 404],
      [later, 'consent'],
    ] as const) {
      const { browser, urlOf } = await userAt(route, true)
      const page = await browser.visit(urlOf({}))
      browser.cookies.clear()
      const login = await browser.submit(page, '/decision', {}, 'allow')
      assert.equal(sightOf(login), 'login')
      assert.equal(sightOf(await browser.submit(login, '/login', BOB)), expected)
    }
  })

  test('responses have iss after step 5, errors too', async () => {
    for (const query of [{}, { scope: 'admin' }]) {
      const { browser, urlOf } = await userAt(later, true)
      const url = await browser.authorize(urlOf(query), BOB)
      assert.equal(url.searchParams.get('iss'), 'https://auth.example.com')
    }
    const { browser, urlOf } = await userAt(old, true)
    assert.equal((await browser.authorize(urlOf({}), BOB)).searchParams.get('iss'), null)
  })

  test('your database is down: was 500 with its message, is 503 and nothing about the cause', async () => {
    const broken = Object.defineProperty({}, 'clientId', {
      get() {
        throw new Error(MESSAGE)
      },
    })
    db.clients.rows.unshift(broken)
    try {
      const was = await ask(old, { body: OWN, headers: RIGHT })
      assert.equal(was.status, 500)
      assert.ok(was.text.includes(MESSAGE))
      const is = await ask(now, { body: OWN, headers: RIGHT })
      assert.deepEqual([is.status, errorIn(is.text)], [503, 'temporarily_unavailable'])
      assert.ok(!is.text.includes(MESSAGE))
    } finally {
      db.clients.rows.shift()
    }
  })

  test('JSON is 415 at the endpoint itself, accepted with the lines of step 2, and refused where it is malformed', async () => {
    const client: Client = { client_id: ID, client_secret: SECRET, grant_types: ['client_credentials'] }
    const bare = await listen(createServer(createTokenEndpoint({ findClient: () => client, exchanges: [] })))
    const json = { 'Content-Type': 'application/json' }
    const right = JSON.stringify({ grant_type: 'client_credentials', client_id: ID, client_secret: SECRET })
    try {
      const refused = await fetch(bare.url, { method: 'POST', headers: json, body: right })
      assert.deepEqual([refused.status, errorIn(await refused.text())], [415, 'invalid_request'])
    } finally {
      await bare.close()
    }
    assert.equal((await ask(old, { body: right, headers: json })).status, 200)
    assert.equal((await ask(now, { body: right, headers: json })).status, 200)
    assert.equal(
      (await ask(now, { body: right, headers: { 'Content-Type': 'application/json; charset=utf-8' } })).status,
      200,
    )
    for (const body of [
      '{',
      '[]',
      '["grant_type"]',
      '{"grant_type":["client_credentials"]}',
      '{"grant_type":{"a":1}}',
      '{"grant_type":1}',
      '{"__proto__":{"grant_type":"client_credentials"}}',
      '',
    ]) {
      const { status, text } = await ask(now, { body, headers: { ...json, ...RIGHT } })
      assert.deepEqual([status, errorIn(text)], [400, 'invalid_request'], `${body}: ${text}`)
    }
    const large = JSON.stringify({ grant_type: 'client_credentials', padding: 'x'.repeat(70_000) })
    assert.equal((await ask(now, { body: large, headers: { ...json, ...RIGHT } })).status, 413)
  })

  test('without the columns of step 1 the package does what the page says', async () => {
    const rows = rowsOf(join(root, 'docs/adopting.md'), '1. Clients under their wire names')
    assert.deepEqual(rows.sort(), [
      '`client_secret`',
      '`grant_types`',
      '`redirect_uris`',
      '`scope`',
      '`token_endpoint_auth_method`',
    ])
    const { findClient } = migration.require('clients.cjs') as { findClient(id: string): Promise<Client> }
    const whole = await findClient(ID)
    const exchange = (grantType: string) => ({
      grantType,
      run: async () => ({ access_token: 'a', token_type: 'Bearer' as const, expires_in: 1 }),
    })
    const askWithout = async (member: keyof Client, body: string, headers: Record<string, string>) => {
      const exchanges = [exchange('refresh_token'), exchange('authorization_code')]
      const handler = createTokenEndpoint({ findClient: () => ({ ...whole, [member]: undefined }), exchanges })
      const route = await listen(createServer(handler))
      try {
        const init = { method: 'POST', headers, body: new URLSearchParams(body) }
        const response = await fetch(route.url, init)
        return [response.status, errorIn(await response.text())]
      } finally {
        await route.close()
      }
    }
    const refresh = 'grant_type=refresh_token&refresh_token=x'
    assert.deepEqual(await askWithout('grant_types', refresh, RIGHT), [400, 'unauthorized_client'])
    assert.deepEqual(await askWithout('grant_types', 'grant_type=authorization_code', RIGHT), [200, undefined])
    assert.deepEqual(await askWithout('client_secret', refresh, RIGHT), [401, 'invalid_client'])
    assert.deepEqual(await askWithout('token_endpoint_auth_method', refresh, RIGHT), [200, undefined])
    assert.deepEqual(await askWithout('token_endpoint_auth_method', `${refresh}&${IN_BODY}`, {}), [200, undefined])
  })
})
