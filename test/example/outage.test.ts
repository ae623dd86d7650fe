import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type RunningExample, runExample, startExample } from '../support/example.ts'
import { ALICE, PUBLIC_APP, USERS } from '../support/example_clients.ts'
import { createFormBrowser, type FormBrowser } from '../support/form_browser.ts'
import { newPkce } from '../support/pkce.ts'
import { startPostgres } from '../support/postgres_server.ts'
import { postgresServer, redisServer, without } from '../support/programs.ts'
import { startRedis } from '../support/redis_server.ts'

const [REDIRECT_URI = ''] = PUBLIC_APP.redirect_uris
const BASE_SECRET = 'one secret for all the nodes of this server'

for (const [program, start] of [
  [redisServer, startRedis],
  [postgresServer, startPostgres],
] as const) {
  describe(`the server on ${program.name}`, { skip: without(program) }, () => {
    let store: Awaited<ReturnType<typeof start>>
    let example: RunningExample
    let alice: FormBrowser

    before(async () => {
      store = await start()
      example = await startExample({
        clients: [PUBLIC_APP],
        users: USERS,
        environment: { STORE_URL: store.url, BASE_SECRET },
      })
      alice = createFormBrowser(example.url)
      await alice.submit(await alice.visit(`${example.url}/account`), '/login', ALICE)
    })
    after(async () => {
      await example?.stop()
      await store?.stop()
    })

    /** A second process of the same issuer on the same store. */
    const startOther = (baseSecret: string): Promise<RunningExample> =>
      startExample({
        clients: [PUBLIC_APP],
        users: USERS,
        environment: {
          STORE_URL: store.url,
          BASE_SECRET: baseSecret,
          ISSUER: `http://localhost:${new URL(example.url).port}`,
        },
      })

    const post = (parameters: Readonly<Record<string, string>>): Promise<Response> =>
      fetch(`${example.url}/token`, { method: 'POST', body: new URLSearchParams({ client_id: 'app', ...parameters }) })

    async function connect(): Promise<string> {
      const { verifier, challenge } = newPkce()
      const query = `response_type=code&client_id=app&redirect_uri=${REDIRECT_URI}&code_challenge=${challenge}&code_challenge_method=S256`
      const arrival = await alice.authorize(`${example.url}/authorize?${query}`, ALICE)
      const code = arrival.searchParams.get('code') ?? ''
      const response = await post({
        grant_type: 'authorization_code',
        code,
        redirect_uri: REDIRECT_URI,
        code_verifier: verifier,
      })
      assert.equal(response.status, 200)
      return ((await response.json()) as { refresh_token: string }).refresh_token
    }

    /** Everything that needs the store, at once, and how long it took. */
    async function askEverything(refresh_token: string) {
      const begun = Date.now()
      const form = (await createFormBrowser(example.url).visit(`${example.url}/`)).status
      assert.equal(form, 200, 'what needs no store is answered')
      const [token, account, authorize] = await Promise.all([
        post({ grant_type: 'refresh_token', refresh_token }),
        alice.visit(`${example.url}/account`),
        alice.visit(
          `${example.url}/authorize?client_id=app&response_type=code&code_challenge_method=S256&code_challenge=${newPkce().challenge}`,
        ),
      ])
      return { token, account, authorize, seconds: (Date.now() - begun) / 1000 }
    }

    for (const [what, lose, recover] of [
      ['hangs', async () => store.process().suspend(), async () => store.process().resume()],
      ['is gone', async () => store.process().kill(), async () => store.restart()],
    ] as const) {
      test(`a store that ${what}: 503 within 5 seconds, as JSON and as pages; when it is back all goes on`, async () => {
        const refreshToken = await connect()
        await lose()
        const { token, account, authorize, seconds } = await askEverything(refreshToken)
        await recover()
        assert.ok(seconds < 5, `${seconds} s`)
        assert.equal(token.status, 503)
        assert.ok(token.headers.get('Retry-After'))
        const body = (await token.json()) as Record<string, unknown>
        assert.equal(body['error'], 'temporarily_unavailable')
        assert.doesNotMatch(JSON.stringify(body), /127\.0\.0\.1|ECONN|redis|postgres/i)
        assert.equal(account.status, 503)
        assert.ok(account.headers.get('Retry-After'))
        assert.match(account.text, /The server is not available right now/)
        assert.doesNotMatch(account.text, /127\.0\.0\.1|ECONN|redis|postgres/i)
        // the client is told where that is safe
        const told = authorize.redirectedTo?.searchParams.get('error')
        assert.ok(authorize.status === 503 || told === 'temporarily_unavailable', `${authorize.status} ${told}`)

        const deadline = Date.now() + 15_000
        let status = 0
        while (status !== 200 && Date.now() < deadline) {
          status = (await post({ grant_type: 'refresh_token', refresh_token: refreshToken })).status
          if (status !== 200) await new Promise((resolve) => setTimeout(resolve, 250))
        }
        assert.equal(status, 200, 'the refresh token is as good as before')
        assert.match((await alice.visit(`${example.url}/account`)).text, /Hello Alice/)
      })
    }

    test('a second process with the same store and secret is the same server: logins, consents, codes and tokens', async () => {
      const other = await startOther(BASE_SECRET)
      try {
        const refreshToken = await connect()
        const elsewhere = createFormBrowser(other.url)
        for (const [name, value] of alice.cookies) elsewhere.cookies.set(name, value)
        const page = await elsewhere.visit(`${other.url}/account`)
        assert.match(page.text, /Hello Alice/)
        const refreshed = await fetch(`${other.url}/token`, {
          method: 'POST',
          body: new URLSearchParams({ client_id: 'app', grant_type: 'refresh_token', refresh_token: refreshToken }),
        })
        assert.equal(refreshed.status, 200)
        // a form of one process, sent to the other
        const here = await alice.visit(`${example.url}/account`)
        const form = here.forms.find(({ action }) => action.endsWith('/disconnect-all'))
        const answer = await elsewhere.visit(`${other.url}/account/disconnect-all`, {
          method: 'POST',
          body: new URLSearchParams(form?.fields),
        })
        assert.match(answer.text, /No app is connected/)
        const { refresh_token } = (await refreshed.json()) as { refresh_token: string }
        assert.equal((await post({ grant_type: 'refresh_token', refresh_token })).status, 400)
      } finally {
        await other.stop()
      }
    })

    test('another BASE_SECRET on the same store: old logins may end, everybody can go on', async () => {
      await connect() // a login and a consent under the first secret
      const other = await startOther('another secret than that of the other nodes')
      try {
        const browser = createFormBrowser(other.url)
        for (const [name, value] of alice.cookies) browser.cookies.set(name, value)
        assert.equal((await browser.visit(`${other.url}/account`)).status, 200)
        const query = `response_type=code&client_id=app&redirect_uri=${REDIRECT_URI}&code_challenge=${newPkce().challenge}&code_challenge_method=S256`
        const arrival = await browser.authorize(`${other.url}/authorize?${query}`, ALICE)
        assert.ok(arrival.searchParams.get('code'), arrival.href)
      } finally {
        await other.stop()
      }
    })

    test('a hidden input that no database can keep is no fault', async () => {
      await connect()
      const account = await alice.visit(`${example.url}/account`)
      const answer = await alice.submit(account, '/account/disconnect', { session: 'a\0b' })
      assert.ok(answer.status < 500, `${answer.status}`)
    })
  })
}

const UNUSABLE = [
  'redis://:hush@127.0.0.1:1',
  'postgres://me:hush@127.0.0.1:1/db',
  'postgres://me:hush#hush@127.0.0.1:1/db', // what is no URL, because the password is not encoded
  'postgres://me:hush@hush#hush@127.0.0.1:1/db', // the same, where what is before the sign can be a host
  'postgres://me:12/hush@127.0.0.1:1/db',
  'pglite:/proc/nowhere',
]
for (const url of UNUSABLE) {
  test(`${url}: a store that can not be opened ends the process with status 1 and one line`, async () => {
    const { status, stderr } = await runExample({ environment: { STORE_URL: url } })
    assert.equal(status, 1)
    assert.match(stderr, /^STORE_URL: [^\n]+\n$/)
    assert.doesNotMatch(stderr, /hush/)
  })
}
