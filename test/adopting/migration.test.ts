// The legacy application of examples/existing-application, migrated by the blocks of docs/adopting.md: after each step, old
// and new clients, codes and tokens work, and the API accepts them.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createTestClient } from '../../lib/testing/index.ts'
import { createFormBrowser } from '../support/form_browser.ts'
import { type Migration, prepareMigration } from '../support/migration.ts'
import { newPkce } from '../support/pkce.ts'
import { basicHeader, listen, type Route } from '../support/token_route.ts'

process.env['BASE_SECRET'] ??= '0123456789abcdef0123456789abcdef0123456789abcdef'

const root = fileURLToPath(new URL('../..', import.meta.url))
const PAGE = 'docs/adopting.md'
const LAST = 6 // with step 7 the old tokens end
const BOB = { username: 'bob', password: 'secret' }

interface LegacyClient {
  readonly id: string
  readonly secret: string
  readonly redirectUri: string
}
const SAMPLR: LegacyClient = { id: 'abc123', secret: 'ssh-secret', redirectUri: 'https://samplr.example/callback' }
const REPORTS: LegacyClient = { id: 'xyz123', secret: 'ssh-password', redirectUri: 'https://reports.example/callback' }
/** It has no secret. */
const PHONE: LegacyClient = { id: 'phone', secret: '', redirectUri: 'https://phone.example/callback' }

type Json = Readonly<Record<string, unknown>>
interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: Json
}

/** How a client of the old days sends its secret. */
type Way = 'basic' | 'body' | 'json'
const WAYS: readonly Way[] = ['basic', 'body', 'json']

async function ask(url: string, init: RequestInit): Promise<Reply> {
  const response = await fetch(url, init)
  const text = await response.text()
  let json: Json = {}
  try {
    json = JSON.parse(text)
  } catch {}
  return { status: response.status, headers: response.headers, text, json }
}

function request(origin: string, form: Json, client: LegacyClient = SAMPLR, way: Way = 'basic'): Promise<Reply> {
  const url = `${origin}/oauth/token`
  const all = way === 'basic' ? form : { ...form, client_id: client.id, client_secret: client.secret }
  const headers: Record<string, string> =
    way === 'basic' ? { Authorization: basicHeader(client.id, client.secret) } : {}
  if (way === 'json') {
    headers['Content-Type'] = 'application/json'
    return ask(url, { method: 'POST', headers, body: JSON.stringify(all) })
  }
  return ask(url, { method: 'POST', headers, body: new URLSearchParams(all as Record<string, string>) })
}

/** Sends a form as it is. */
const send = (origin: string, form: Record<string, string>): Promise<Reply> =>
  ask(`${origin}/oauth/token`, { method: 'POST', body: new URLSearchParams(form) })

const api = (origin: string, path: string, token: unknown): Promise<Reply> =>
  ask(`${origin}/api/${path}`, { headers: { Authorization: `Bearer ${token}` } })

function authorizeAt(origin: string, { id, redirectUri }: LegacyClient, more: Record<string, string> = {}) {
  const request = { response_type: 'code', client_id: id, redirect_uri: redirectUri, state: 'xyz', ...more }
  return createFormBrowser(origin).authorize(`${origin}/dialog/authorize?${new URLSearchParams(request)}`, BOB)
}

async function codeAt(origin: string, client = SAMPLR, more?: Record<string, string>): Promise<string> {
  const url = await authorizeAt(origin, client, more)
  assert.equal(url.searchParams.get('state'), 'xyz')
  const code = url.searchParams.get('code')
  assert.ok(code, url.href)
  return code
}

const redeem = (origin: string, code: string, client?: LegacyClient, way?: Way) =>
  request(origin, { grant_type: 'authorization_code', code, redirect_uri: (client ?? SAMPLR).redirectUri }, client, way)
const refresh = (origin: string, token: unknown, client?: LegacyClient, way?: Way) =>
  request(origin, { grant_type: 'refresh_token', refresh_token: token }, client, way)

/** What clients hold that got it from one state of the server: enough to try it at every other. */
interface Holdings {
  readonly codes: string[]
  readonly refreshTokens: string[]
  readonly accessToken: string
  readonly clientToken: string
}

/** `each`: how many codes and refresh tokens of them. */
async function holdingsFrom(origin: string, each = 1): Promise<Holdings> {
  const codes: string[] = []
  const refreshTokens: string[] = []
  let accessToken = ''
  for (let count = 0; count < each; count += 1) {
    codes.push(await codeAt(origin))
    const { status, json, text } = await redeem(origin, await codeAt(origin))
    assert.equal(status, 200, text)
    refreshTokens.push(String(json['refresh_token']))
    accessToken = String(json['access_token'])
  }
  const own = await request(origin, { grant_type: 'client_credentials' })
  assert.equal(own.status, 200, own.text)
  return { codes, refreshTokens, accessToken, clientToken: String(own.json['access_token']) }
}

const take = (from: string[]): string => from.shift() ?? assert.fail('nothing left to try')

async function assertUser(origin: string, token: unknown, what: string): Promise<void> {
  const { status, json, text } = await api(origin, 'userinfo', token)
  assert.deepEqual([status, json['name']], [200, 'Bob Smith'], `${what}: the API says ${status} ${text}`)
}

/** That the server serves what was issued by some state of it, in every way clients may send their secret. */
async function assertServes(origin: string, held: Holdings, way: Way): Promise<void> {
  await assertUser(origin, held.accessToken, 'an access token')
  const own = await api(origin, 'clientinfo', held.clientToken)
  assert.deepEqual([own.status, own.json['name']], [200, 'Samplr'], own.text)

  const redeemed = await redeem(origin, take(held.codes), SAMPLR, way)
  assert.equal(redeemed.status, 200, `a code: ${redeemed.text}`)
  await assertUser(origin, redeemed.json['access_token'], 'the access token of a code')

  for (const token of [take(held.refreshTokens), redeemed.json['refresh_token']]) {
    const first = await refresh(origin, token, SAMPLR, way)
    assert.equal(first.status, 200, `a refresh token: ${first.text}`)
    await assertUser(origin, first.json['access_token'], 'a refreshed access token')
    const second = await refresh(origin, first.json['refresh_token'], SAMPLR, way)
    assert.equal(second.status, 200, `the next refresh token: ${second.text}`)
    await assertUser(origin, second.json['access_token'], 'an access token refreshed twice')
  }
}

describe('an application in the style of the oauth2orize examples, migrated by docs/adopting.md', () => {
  let migration: Migration
  const routes: Route[] = []
  const held = new Map<number, Holdings>()

  async function start(step: number, way?: 'back'): Promise<string> {
    const route = await listen(createServer(migration.load(step, way)))
    routes.push(route)
    return new URL(route.url).origin
  }

  before(async () => {
    migration = await prepareMigration(root, PAGE, join(root, '.tmp/adopting'))
  })
  after(() => Promise.all(routes.map(({ close }) => close())))

  test('the page has six steps, and one for the end; each is there to be applied', () => {
    assert.deepEqual(migration.steps, [1, 2, 3, 4, 5, 6, 7])
  })

  test('before: the legacy server serves its clients', async () => {
    const origin = await start(0)
    held.set(0, await holdingsFrom(origin, 10))
    for (const way of WAYS) await assertServes(origin, await holdingsFrom(origin), way)
    const trusted = await redeem(origin, await codeAt(origin, REPORTS), REPORTS)
    assert.equal(trusted.status, 200)
  })

  test('step 1: findClient has the clients, and undefined for those that are not there, where the table calls back an error', async () => {
    const { findClient } = migration.require('clients.cjs') as { findClient(id: string): Promise<Json | undefined> }
    assert.equal(await findClient('nobody'), undefined)
    const client = await findClient('abc123')
    assert.deepEqual(
      [client?.['client_id'], client?.['redirect_uris'], client?.['id'], client?.['name']],
      ['abc123', ['https://samplr.example/callback'], '1', 'Samplr'],
    )
  })

  for (let step = 2; step <= LAST; step += 1) {
    test(`after step ${step} everything works that was issued before it or is issued now`, async () => {
      const origin = await start(step)
      for (const [from, holdings] of held) {
        for (const way of from === 0 ? (['basic'] as const) : (['body'] as const))
          await assertServes(origin, holdings, way)
      }
      for (const way of WAYS) await assertServes(origin, await holdingsFrom(origin), way)
      held.set(step, await holdingsFrom(origin, 8))

      const password = await request(origin, { grant_type: 'password', ...BOB })
      assert.equal(password.status, 200, password.text)
      await assertUser(origin, password.json['access_token'], 'the access token of a password')
      const again = await refresh(origin, password.json['refresh_token'])
      assert.equal(again.status, 200, again.text)

      const trusted = await redeem(origin, await codeAt(origin, REPORTS), REPORTS)
      assert.equal(trusted.status, 200, 'a trusted client, whose users are never asked')
      assert.equal((await refresh(origin, trusted.json['refresh_token'], REPORTS)).status, 200)

      assert.equal((await api(origin, 'userinfo', 'made-up')).status, 401)
      assert.equal((await refresh(origin, 'made-up')).json['error'], step < 2 ? undefined : 'invalid_grant')
      assert.equal((await refresh(origin, take([...(held.get(0)?.refreshTokens ?? [])]), REPORTS)).status, 400)
    })
  }

  test('the way back from step 2: a plain chain with errorResponse() challenges, says no-store, and serves everyone', async () => {
    const origin = await start(2, 'back')
    for (const way of ['basic', 'body'] as const) await assertServes(origin, await holdingsFrom(origin), way)
    const none = await fetch(`${origin}/oauth/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    })
    const wrong = await request(origin, { grant_type: 'client_credentials' }, { ...SAMPLR, secret: 'wrong' })
    assert.deepEqual(
      [none.status, (await none.json()).error, none.headers.get('cache-control')],
      [400, 'invalid_client', 'no-store'],
    )
    assert.deepEqual(
      [wrong.status, wrong.json['error'], wrong.headers.get('cache-control')],
      [401, 'invalid_client', 'no-store'],
    )
    assert.match(wrong.headers.get('www-authenticate') ?? '', /^Basic realm=/)
  })

  test('JSON that does not parse is a JSON error without a stack after step 2 and its way back', async () => {
    for (const way of [undefined, 'back'] as const) {
      const origin = await start(2, way)
      const headers = { 'Content-Type': 'application/json', Authorization: basicHeader(SAMPLR.id, SAMPLR.secret) }
      const { status, json, text } = await ask(`${origin}/oauth/token`, { method: 'POST', headers, body: '{' })
      assert.deepEqual([status, json['error']], [400, 'invalid_request'], text)
      assert.doesNotMatch(text, /SyntaxError|node_modules/)
      assert.equal((await request(origin, { grant_type: 'client_credentials' }, SAMPLR, 'json')).status, 200)
    }
  })

  test('O29: two credentials at once are refused, by the endpoint and by the plain chain, in any order', async () => {
    for (const origin of [await start(2), await start(2, 'back')]) {
      const two = { grant_type: 'client_credentials', client_id: REPORTS.id, client_secret: REPORTS.secret }
      const wrongHeader = await request(origin, two, { ...SAMPLR, secret: 'wrong' })
      assert.equal(wrongHeader.status, 401, wrongHeader.text)
      const form = new URLSearchParams({
        ...two,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: 'e30.e30.e30',
      })
      const both = await ask(`${origin}/oauth/token`, { method: 'POST', body: form })
      assert.ok([400, 401].includes(both.status), both.text)
    }
  })

  test('the way back from step 4: who has refreshed since keeps working, and so does who has not', async () => {
    const forward = await start(4)
    const issuedNow = await holdingsFrom(forward, 2)
    const moved = await refresh(forward, take(issuedNow.refreshTokens))
    const origin = await start(4, 'back')
    const again = await refresh(origin, moved.json['refresh_token'])
    assert.equal(again.status, 200, again.text)
    await assertUser(origin, again.json['access_token'], 'a token refreshed after the way back')
    await assertServes(origin, issuedNow, 'basic')
    assert.equal((await refresh(origin, 'made-up')).json['error'], 'invalid_grant')
    assert.equal((await request(origin, { grant_type: 'refresh_token' })).json['error'], 'invalid_request')
  })

  for (const step of [5, 6]) {
    test(`the way back from step ${step}: sessions and access tokens go on`, async () => {
      const forward = await holdingsFrom(await start(step))
      const origin = await start(step - 1)
      await assertUser(origin, forward.accessToken, 'an access token')
      assert.equal((await api(origin, 'clientinfo', forward.clientToken)).status, 200)
      const again = await refresh(origin, take(forward.refreshTokens))
      assert.equal(again.status, 200, again.text)
      await assertUser(origin, again.json['access_token'], 'a refreshed token')
      const expected = step === 5 ? 400 : 200 // a code of step 5 is unknown to step 4, as the page says
      assert.equal((await redeem(origin, take(forward.codes))).status, expected)
    })
  }

  test('step 7: only what was issued the new way works, and the program is examples/existing-application/adopted.cjs', async () => {
    const origin = await start(7)
    for (const way of WAYS) await assertServes(origin, await holdingsFrom(origin), way)
    const old = held.get(0) ?? assert.fail()
    assert.equal((await api(origin, 'userinfo', old.accessToken)).status, 401)
    assert.equal((await refresh(origin, take(old.refreshTokens))).json['error'], 'invalid_grant')
    assert.equal((await redeem(origin, take(old.codes))).json['error'], 'invalid_grant')
    const adopted = readFileSync(join(root, 'examples/existing-application/adopted.cjs'), 'utf8')
    assert.equal(adopted, migration.sources.get(7), 'adopted.cjs is not what the page makes of server.cjs')
  })

  test('a user who denies is sent back to the client, and one who logs out everywhere ends the new sessions', async () => {
    const origin = await start(5)
    const { id, redirectUri } = SAMPLR
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: id,
      redirect_uri: redirectUri,
      prompt: 'consent',
    })
    const url = await createFormBrowser(origin).authorize(`${origin}/dialog/authorize?${query}`, BOB, 'cancel')
    assert.equal(url.searchParams.get('error'), 'access_denied')

    const browser = createFormBrowser(origin)
    const login = await browser.submit(await browser.visit(`${origin}/login`), '/login', BOB)
    assert.equal(login.status, 200)
    const page = await browser.visit(`${origin}/dialog/authorize?${query}`)
    const neither = await browser.submit(page, '/decision')
    assert.equal(neither.redirectedTo?.searchParams.get('error'), 'access_denied', 'a form without its allow button')

    const tokens = await redeem(origin, await codeAt(origin))
    const { sessions } = migration.require('tokens.cjs') as {
      sessions: { endAll(s: string, t: string): Promise<number> }
    }
    assert.ok((await sessions.endAll('1', 'oauth2')) > 0)
    assert.equal((await refresh(origin, tokens.json['refresh_token'])).json['error'], 'invalid_grant')
    assert.equal((await api(origin, 'userinfo', tokens.json['access_token'])).status, 401)
  })

  for (const step of [5, 6, 7]) {
    test(`after step ${step} no client refreshes or redeems a code whose user has withdrawn consent`, async () => {
      const origin = await start(step)
      const { consents, disconnect } = migration.require('consents.cjs') as {
        consents: { withdraw(subject: string, client: string): Promise<boolean> }
        disconnect(user: string, client: string): Promise<void>
      }
      const first = await redeem(origin, await codeAt(origin))
      const kept = await refresh(origin, first.json['refresh_token'])
      assert.equal(kept.status, 200, kept.text)
      const code = await codeAt(origin)
      assert.equal(await consents.withdraw('1', SAMPLR.id), true)
      assert.equal((await refresh(origin, kept.json['refresh_token'])).json['error'], 'invalid_grant')
      assert.equal((await redeem(origin, code)).json['error'], 'invalid_grant')

      const again = await redeem(origin, await codeAt(origin))
      const password = await request(origin, { grant_type: 'password', ...BOB })
      const trusted = await redeem(origin, await codeAt(origin, REPORTS), REPORTS)
      await disconnect('1', SAMPLR.id)
      for (const { json } of [again, step === 5 ? again : password]) {
        assert.equal((await refresh(origin, json['refresh_token'])).json['error'], 'invalid_grant')
        assert.equal((await api(origin, 'userinfo', json['access_token'])).status, 401)
      }
      assert.equal((await refresh(origin, trusted.json['refresh_token'], REPORTS)).status, 200, 'another client')
    })
  }

  test('with numeric user ids, the API finds the user of a new token if it converts sub back', async () => {
    const folder = join(root, '.tmp/adopting_numbers')
    const numeric = await prepareMigration(root, PAGE, folder)
    const change = (file: string, from: string | RegExp, to: string): void => {
      const path = join(folder, file)
      const before = readFileSync(path, 'utf8')
      const text = before.replaceAll(from, to)
      assert.notEqual(text, before, file)
      writeFileSync(path, text)
    }
    change('db.cjs', /id: '(\d)', username/g, 'id: $1, username')
    const shown = /\/\/ if ids are numbers: (.*)/.exec(numeric.sources.get(3) ?? '')?.[1] ?? assert.fail()
    for (const step of [4, 5, 7]) {
      change(`server${step}.cjs`, 'db.users.find(sub,', `db.users.find(${shown},`)
      const route = await listen(createServer(numeric.load(step)))
      routes.push(route)
      const { origin } = new URL(route.url)
      const tokens = await redeem(origin, await codeAt(origin))
      const again = await refresh(origin, tokens.json['refresh_token'])
      assert.equal(again.status, 200, again.text)
      await assertUser(origin, again.json['access_token'], `a token after step ${step}`)
    }
  })

  test('a client with a key may come after step 2', async () => {
    const db = migration.require('db.cjs') as { clients: { rows: object[] } }
    const robot = await createTestClient({ clientId: 'robot', issuer: 'https://auth.example.com' })
    db.clients.rows.push({ id: '4', name: 'Robot', clientId: 'robot', clientSecret: null, jwks: robot.jwks })
    const origin = await start(2)
    const form = { grant_type: 'password', ...BOB }
    const answer = await send(origin, {
      ...form,
      ...(await robot.parameters({ audience: 'https://auth.example.com' })),
    })
    assert.equal(answer.status, 200, answer.text)
    for (const id of [SAMPLR.id, 'robot'])
      assert.equal((await send(origin, { ...form, client_id: id })).json['error'], 'invalid_client', id)
  })

  test('a public client never gets a token without a code and its verifier, after no step and no way back', async () => {
    const oldCode = await codeAt(await start(4), PHONE)
    for (const [step, way] of [[2], [2, 'back'], [3], [4], [4, 'back'], [5], [6], [7]] as const) {
      const origin = await start(step, way)
      for (const secret of [{}, { client_secret: '' }]) {
        for (const form of [
          { grant_type: 'client_credentials' },
          { grant_type: 'password', ...BOB },
          { grant_type: 'authorization_code', code: oldCode, redirect_uri: PHONE.redirectUri },
        ]) {
          const { status, json, text } = await send(origin, { ...form, ...secret, client_id: PHONE.id })
          assert.ok(status === 400 || status === 401, `step ${step} ${way}: ${JSON.stringify(form)}: ${text}`)
          assert.equal(json['access_token'], undefined)
          const expected = form.grant_type === 'authorization_code' ? 'invalid_grant' : 'unauthorized_client'
          if (step >= 5) assert.equal(json['error'], expected, text)
        }
      }
    }
  })

  for (const step of [5, 6, 7]) {
    test(`after step ${step} a public client gets tokens for a code with PKCE, and no code without it`, async () => {
      const origin = await start(step)
      const { verifier, challenge } = newPkce()
      const code = await codeAt(origin, PHONE, { code_challenge: challenge, code_challenge_method: 'S256' })
      const form = { grant_type: 'authorization_code', code, redirect_uri: PHONE.redirectUri, client_id: PHONE.id }
      assert.equal((await send(origin, form)).json['error'], 'invalid_request')
      const tokens = await send(origin, { ...form, code_verifier: verifier })
      assert.equal(tokens.status, 200, tokens.text)
      await assertUser(origin, tokens.json['access_token'], 'the access token of a public client')
      const refresh_token = String(tokens.json['refresh_token'])
      const again = await send(origin, { grant_type: 'refresh_token', refresh_token, client_id: PHONE.id })
      assert.equal(again.status, 200, again.text)

      const refused = await authorizeAt(origin, PHONE)
      assert.equal(refused.searchParams.get('error'), 'invalid_request')
    })
  }
})
