// "What clients notice" of docs/adopting.md: each row of that table is tried at the application before the first step and after
// the second one.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Client, createTokenEndpoint } from '../../lib/index.ts'
import { type Migration, prepareMigration } from '../support/migration.ts'
import { rowsOf } from '../support/page_tables.ts'
import { basicHeader, listen, type Route } from '../support/token_route.ts'

process.env['BASE_SECRET'] ??= '0123456789abcdef0123456789abcdef0123456789abcdef'

const root = fileURLToPath(new URL('../..', import.meta.url))
const ID = 'abc123'
const SECRET = 'ssh-secret'
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
    row: 'wrong secret in the body, unknown client',
    body: `${OWN}&client_id=${ID}&client_secret=wrong`,
    was: 401,
    is: [400, 'invalid_client'],
  },
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
    row: 'secret with a colon, in the header',
    body: OWN,
    headers: { Authorization: basicHeader('colon', 'a:b') },
    was: 401,
    is: 200,
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

/** Rows that have a test of their own below, or elsewhere. */
const ELSEWHERE = ['JSON body', 'your database is down', 'grant type that the client is not registered for']

interface Database {
  readonly clients: { readonly rows: object[] }
}

describe('what clients notice, by docs/adopting.md', () => {
  let migration: Migration
  let old: Route
  let now: Route
  let db: Database

  before(async () => {
    migration = await prepareMigration(root, 'docs/adopting.md', join(root, '.tmp/notices'))
    db = migration.require('db.cjs') as Database
    db.clients.rows.push({
      id: '5',
      name: 'Colon',
      clientId: 'colon',
      clientSecret: 'a:b',
      redirectUri: 'https://c.example',
    })
    old = await listen(createServer(migration.load(0)))
    now = await listen(createServer(migration.load(2)))
  })
  after(() => Promise.all([old.close(), now.close()]))

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
    const listed = [...NOTICES.map(({ row }) => row), ...ELSEWHERE]
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
