import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { type RunningExample, startExample } from '../support/example.ts'
import { ALICE, BOB, USERS } from '../support/example_clients.ts'
import { createFormBrowser, type FormBrowser, type Visit } from '../support/form_browser.ts'
import { newPkce } from '../support/pkce.ts'

const REDIRECT_URI = 'https://app.example.com/cb?keep=a%2Fb+c'
const NASTY = `"><script>alert(1)</script>'&lt;`

describe('the pages', () => {
  let example: RunningExample
  let browser: FormBrowser

  before(async () => {
    const client = (client_id: string, more: object = {}) => ({
      client_id,
      client_name: `App ${client_id}`,
      token_endpoint_auth_method: 'none',
      redirect_uris: [REDIRECT_URI],
      grant_types: ['authorization_code', 'refresh_token'],
      scope: 'profile email',
      ...more,
    })
    example = await startExample({
      users: [...USERS, { sub: 'u3', username: 'mallory', password: 'm', name: NASTY }],
      clients: [
        client('one'),
        client('two'),
        client('nasty', { client_name: NASTY, scope: "profile <b>'&" }),
        client('native', {
          redirect_uris: [
            'http://127.0.0.1/cb',
            'http://[::1]:1/cb',
            'http://localhost:5000/cb',
            'http://app.example.com/cb',
          ],
        }),
        client('wide', { scope: 'profile email notes.write' }),
        client('phone', { redirect_uris: ['http://localhost/callback'], application_type: 'native' }),
        client('browser', { redirect_uris: ['http://localhost/callback'], application_type: 'web' }),
        client('bidi', { client_name: 'Pay \u202egpj.live\u202c pal\u2066\u0007' }),
        client('several', { redirect_uris: ['https://app.example.com/1', 'https://app.example.com/2'] }),
        client('machine', { grant_types: ['client_credentials'] }),
      ],
    })
    browser = createFormBrowser(example.url)
  })
  after(() => example?.stop())

  const { challenge, verifier } = newPkce()
  const authorizationUrl = (parameters: Readonly<Record<string, string | undefined>> = {}): string => {
    const all = {
      response_type: 'code',
      client_id: 'one',
      redirect_uri: REDIRECT_URI,
      scope: 'profile',
      state: 'st&te',
      code_challenge: challenge,
      code_challenge_method: 'S256',
      ...parameters,
    }
    const present = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined)
    return `${example.url}/authorize?${new URLSearchParams(present)}`
  }
  const hasField = (page: Visit, name: string): boolean => page.forms.some(({ fields }) => name in fields)

  /** A browser in which `user` is logged in. */
  async function loggedIn(user: { readonly username: string; readonly password: string }): Promise<FormBrowser> {
    const fresh = createFormBrowser(example.url)
    const page = await fresh.submit(await fresh.visit(`${example.url}/account`), '/login', user)
    assert.equal(page.status, 200)
    return fresh
  }

  async function redeem(arrival: URL, clientId = 'one') {
    const response = await fetch(`${example.url}/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        client_id: clientId,
        redirect_uri: REDIRECT_URI,
        code: arrival.searchParams.get('code') ?? '',
        code_verifier: verifier,
      }),
    })
    assert.equal(response.status, 200)
    return (await response.json()) as { access_token: string; refresh_token: string }
  }
  const refreshStatus = async (refresh_token: string, clientId = 'one'): Promise<number> => {
    const body = new URLSearchParams({ grant_type: 'refresh_token', client_id: clientId, refresh_token })
    return (await fetch(`${example.url}/token`, { method: 'POST', body })).status
  }

  describe('the authorization endpoint', () => {
    test('a user who is not logged in gets a form with username and password', async () => {
      const page = await browser.visit(authorizationUrl())
      assert.equal(page.status, 200)
      assert.ok(hasField(page, 'username') && hasField(page, 'password'))
      assert.ok(page.forms.every(({ method }) => method === 'POST'))
    })

    test('a logged-in user gets a form with transaction_id, an allow button and a deny button named cancel', async () => {
      const page = await (await loggedIn(ALICE)).visit(authorizationUrl())
      const form = page.forms.find(({ fields }) => 'transaction_id' in fields)
      assert.deepEqual(Object.keys(form?.buttons ?? {}), ['allow', 'cancel'])
    })

    test('A22 the code comes back with state and iss, behind the query of the registered URI, byte for byte', async () => {
      const arrival = await createFormBrowser(example.url).authorize(authorizationUrl(), ALICE)
      assert.ok(arrival.href.startsWith(`${REDIRECT_URI}&code=`), arrival.href)
      assert.equal(arrival.searchParams.get('state'), 'st&te')
      assert.equal(arrival.searchParams.get('iss'), example.url)
      await redeem(arrival)
    })

    test('the request may come by POST, also from another site', async () => {
      const [address = '', query = ''] = authorizationUrl().split('?')
      const init = { method: 'POST', body: query, headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }
      const page = await browser.visit(address, init)
      assert.ok(hasField(page, 'password'))
      const consent = await browser.submit(page, '/login', BOB)
      assert.ok(hasField(consent, 'transaction_id'), 'goes on with the same request')
      const again = await browser.visit(address, {
        ...init,
        headers: { ...init.headers, 'Sec-Fetch-Site': 'cross-site' },
      })
      assert.ok(hasField(again, 'transaction_id'))
      const stranger = await fetch(address, {
        ...init,
        headers: { ...init.headers, 'Sec-Fetch-Site': 'cross-site' },
        redirect: 'manual',
      })
      assert.equal(stranger.status, 303, 'a link brings the login along, a form of another site does not')
    })

    for (const [title, parameters, error] of [
      ['no PKCE', { code_challenge: undefined, code_challenge_method: undefined }, 'invalid_request'],
      ['PKCE with plain', { code_challenge_method: 'plain' }, 'invalid_request'],
      ['PKCE without a method', { code_challenge_method: undefined }, 'invalid_request'],
      ['another response type', { response_type: 'token' }, 'unsupported_response_type'],
      ['no response type', { response_type: '' }, 'invalid_request'],
      ['a scope the client has not', { scope: 'profile admin' }, 'invalid_scope'],
      ['a client without that grant', { client_id: 'machine' }, 'unauthorized_client'],
    ] as const) {
      test(`${title} is told to the client: ${error}`, async () => {
        const page = await createFormBrowser(example.url).visit(authorizationUrl(parameters))
        assert.equal(page.redirectedTo?.searchParams.get('error'), error)
        assert.equal(page.redirectedTo?.searchParams.get('state'), 'st&te')
        assert.equal(page.redirectedTo?.searchParams.get('iss'), example.url)
      })
    }

    for (const [title, parameters] of [
      ['an unknown client', { client_id: 'nobody' }],
      ['no client', { client_id: undefined }],
      ['a redirect URI of somebody else', { redirect_uri: 'https://evil.example/cb' }],
      ['a redirect URI with more behind it', { redirect_uri: `${REDIRECT_URI}/../x` }],
      ['a redirect URI in other case', { redirect_uri: REDIRECT_URI.replace('/cb', '/CB') }],
      ['no redirect URI where the client has two', { client_id: 'several', redirect_uri: undefined }],
      ['a registered http URI on another host', { client_id: 'native', redirect_uri: 'http://app.example.com/cb' }],
      ['another port of localhost', { client_id: 'native', redirect_uri: 'http://localhost:5001/cb' }],
      ['another loopback address', { client_id: 'native', redirect_uri: 'http://127.0.0.2/cb' }],
    ] as const) {
      test(`${title} is shown to the person, and nobody is redirected`, async () => {
        const page = await createFormBrowser(example.url).visit(authorizationUrl(parameters))
        assert.equal(page.status, 400)
        assert.equal(page.redirectedTo, undefined)
        assert.match(page.headers.get('Content-Type') ?? '', /^text\/html/)
      })
    }

    test('RU1: another port of localhost is accepted for a native application only, and never another host', async () => {
      for (const [client_id, redirect_uri, status] of [
        ['phone', 'http://localhost:53076/callback', 200],
        ['phone', 'http://localhost/callback', 200],
        ['phone', 'http://127.0.0.1:53076/callback', 400],
        ['phone', 'http://localhost:53076/other', 400],
        ['phone', 'https://localhost:53076/callback', 400],
        ['browser', 'http://localhost:53076/callback', 400],
        ['browser', 'http://localhost/callback', 200],
      ] as const) {
        const page = await createFormBrowser(example.url).visit(authorizationUrl({ client_id, redirect_uri }))
        assert.equal(page.status, status, `${client_id} ${redirect_uri}`)
      }
      const native = { client_id: 'phone', redirect_uri: 'http://localhost:53076/callback' }
      const arrival = await createFormBrowser(example.url).authorize(authorizationUrl(native), ALICE)
      assert.ok(arrival.href.startsWith('http://localhost:53076/callback?code='))
    })

    for (const redirectUri of ['http://127.0.0.1:61234/cb', 'http://[::1]:61234/cb', 'http://localhost:5000/cb']) {
      test(`RFC 8252 §7.3: ${redirectUri} is taken`, async () => {
        const arrival = await (await loggedIn(ALICE)).authorize(
          authorizationUrl({ client_id: 'native', redirect_uri: redirectUri }),
          ALICE,
        )
        assert.ok(arrival.href.startsWith(`${redirectUri}?code=`))
      })
    }

    test('a long state comes back as it was sent, through login and consent', async () => {
      const state = 'é%+&"<'.repeat(1500)
      const arrival = await createFormBrowser(example.url).authorize(
        authorizationUrl({ state: state.slice(0, 2000) }),
        BOB,
        'cancel',
      )
      assert.equal(arrival.searchParams.get('state'), state.slice(0, 2000))
    })

    test('a question mark in the query goes through login and consent too', async () => {
      const url = `${authorizationUrl({ state: undefined })}&state=a?b`
      const arrival = await createFormBrowser(example.url).authorize(url.replace('client_id', 'x=?&client_id'), ALICE)
      assert.equal(arrival.searchParams.get('state'), 'a?b')
      assert.ok(arrival.searchParams.get('code'))
    })

    test('an empty parameter counts as absent, resource is accepted', async () => {
      const url = `${authorizationUrl({ redirect_uri: '', scope: '', state: '' })}&resource=https://api.example.com&resource=https://b.example.com`
      const arrival = await (await loggedIn(ALICE)).authorize(url, ALICE)
      assert.ok(arrival.href.startsWith(REDIRECT_URI))
      assert.equal(arrival.searchParams.has('state'), false)
    })
  })

  describe('consent', () => {
    test('is remembered for the same and for fewer scopes, asked for new ones, and extended by them', async () => {
      const alice = await loggedIn(ALICE)
      await alice.authorize(authorizationUrl({ client_id: 'two' }), ALICE)
      const known = await alice.visit(authorizationUrl({ client_id: 'two' }))
      assert.ok(known.redirectedTo?.searchParams.get('code'))
      const more = await alice.visit(authorizationUrl({ client_id: 'two', scope: 'email' }))
      assert.ok(hasField(more, 'transaction_id'))
      await alice.submit(more, '/decision', {}, 'allow')
      const both = await alice.visit(authorizationUrl({ client_id: 'two', scope: 'email profile' }))
      assert.ok(both.redirectedTo?.searchParams.get('code'))
    })

    test('of one user says nothing of another, nor of another client', async () => {
      const alice = await loggedIn(ALICE)
      await alice.authorize(authorizationUrl({ client_id: 'two' }), ALICE)
      const bob = await loggedIn(BOB)
      assert.ok(hasField(await bob.visit(authorizationUrl({ client_id: 'two' })), 'transaction_id'))
      assert.ok(hasField(await alice.visit(authorizationUrl({ client_id: 'nasty' })), 'transaction_id'))
    })

    for (const fields of [{ allow: 'no' }, { allow: 'Allow' }, { allow: '' }, {}, { allow: 'allow', cancel: 'x' }]) {
      test(`A27: ${JSON.stringify(fields)} is no consent: only the value of the allow button allows`, async () => {
        const bob = await loggedIn(BOB)
        const page = await bob.visit(authorizationUrl({ client_id: 'nasty' }))
        const answer = await bob.submit(page, '/decision', fields)
        assert.equal(answer.redirectedTo?.searchParams.get('error'), 'access_denied')
        assert.equal(answer.redirectedTo?.searchParams.has('code'), false)
        assert.ok(hasField(await bob.visit(authorizationUrl({ client_id: 'nasty' })), 'transaction_id'))
      })
    }

    test('the page says how the request relates to what was allowed before', async () => {
      const alice = await loggedIn(ALICE)
      const ask = (scope: string, prompt?: string): Promise<Visit> =>
        alice.visit(authorizationUrl({ client_id: 'wide', scope, prompt }))
      const first = await ask('profile email')
      assert.match(first.text, /<p>It asks for permission to:<\/p>/)
      assert.doesNotMatch(first.text, /<em>new<\/em>/)
      await alice.submit(first, '/decision', {}, 'allow')
      for (const scope of ['profile email', 'profile']) {
        const again = await ask(scope, 'consent')
        assert.match(again.text, /You allowed this before\. It asks again for permission to:/, scope)
        assert.doesNotMatch(again.text, /more than you allowed|<em>new<\/em>/, scope)
      }
      const more = await ask('profile notes.write')
      assert.match(more.text, /It asks for more than you allowed before:/)
      assert.equal(more.text.match(/<em>new<\/em>/g)?.length, 1)
      assert.match(more.text, /<code>notes\.write<\/code><\/span><em>new<\/em>/)
    })

    test('denied is not remembered', async () => {
      const bob = await loggedIn(BOB)
      const arrival = await bob.authorize(authorizationUrl(), BOB, 'cancel')
      assert.equal(arrival.searchParams.get('error'), 'access_denied')
      assert.ok(hasField(await bob.visit(authorizationUrl()), 'transaction_id'))
    })

    test('O43 a form sent twice gives one code', async () => {
      const bob = await loggedIn(BOB)
      const page = await bob.visit(
        authorizationUrl({ client_id: 'several', redirect_uri: 'https://app.example.com/1' }),
      )
      const answers = await Promise.all([1, 2, 3].map(() => bob.submit(page, '/decision', {}, 'allow')))
      const codes = answers.filter(({ redirectedTo }) => redirectedTo?.searchParams.has('code'))
      assert.equal(codes.length, 1)
      assert.ok(answers.every(({ status }) => status < 500))
    })

    test('O44 one user can not decide for another', async () => {
      const [alice, mallory] = [await loggedIn(ALICE), await loggedIn({ username: 'mallory', password: 'm' })]
      const forAlice = await alice.visit(authorizationUrl({ client_id: 'nasty' }))
      const transaction_id = forAlice.forms[0]?.fields['transaction_id'] ?? ''
      const own = await mallory.visit(authorizationUrl({ client_id: 'nasty' }))
      const answer = await mallory.submit(own, '/decision', { transaction_id }, 'allow')
      assert.equal(answer.status, 403)
      assert.equal(answer.redirectedTo, undefined)
    })

    for (const transaction_id of ['', '__proto__', 'constructor', 'x'.repeat(60_000), '\u0000']) {
      test(`O53 transaction_id ${JSON.stringify(transaction_id.slice(0, 20))} is refused with a page`, async () => {
        const bob = await loggedIn(BOB)
        const page = await bob.visit(authorizationUrl())
        const answer = await bob.submit(page, '/decision', { transaction_id }, 'allow')
        assert.equal(answer.status, 400)
        assert.match(answer.headers.get('Content-Type') ?? '', /^text\/html/)
      })
    }
  })

  describe('the account page', () => {
    test('shows one row for each live session: client, scopes, since when, last used', async () => {
      const bob = await loggedIn(BOB)
      await redeem(await bob.authorize(authorizationUrl({ scope: 'profile email' }), BOB))
      const tokens = await redeem(await bob.authorize(authorizationUrl({ client_id: 'two' }), BOB), 'two')
      const page = await bob.visit(`${example.url}/account`)
      const rows = page.forms.filter(({ action }) => action.endsWith('/account/disconnect'))
      assert.equal(rows.length, 2)
      assert.match(
        page.text,
        /App one <code>one<[\s\S]*Know your e-mail address <code>email<[\s\S]*Know your name <code>profile<[\s\S]*<time[\s\S]*<time[\s\S]*App two/,
      )
      await fetch(`${example.url}/revoke`, {
        method: 'POST',
        body: new URLSearchParams({ token: tokens.refresh_token, client_id: 'two' }),
      })
      assert.doesNotMatch((await bob.visit(`${example.url}/account`)).text, /App two/)
      await bob.submit(page, '/account/disconnect-all')
    })

    test('the rows are grouped by app, with a form for each session', async () => {
      const bob = await loggedIn(BOB)
      for (const id of ['one', 'two', 'one', 'one', 'two'])
        await redeem(await bob.authorize(authorizationUrl({ client_id: id }), BOB), id)
      const page = await bob.visit(`${example.url}/account`)
      const groups = page.text.match(/<tbody>[\s\S]*?<\/tbody>/g) ?? []
      assert.equal(groups.length, 2)
      for (const [at, [name, count]] of (
        [
          ['App one', 3],
          ['App two', 2],
        ] as const
      ).entries()) {
        const group: string = groups[at] ?? ''
        assert.equal(group.match(/<tr>/g)?.length, count)
        assert.equal(group.match(/<th /g)?.length, 1, 'one heading')
        assert.match(group, new RegExp(`<th scope="rowgroup" rowspan="${count}">${name} .*${count} connections`))
        assert.equal(group.match(/action="\/account\/disconnect"/g)?.length, count)
      }
      const ids = page.forms.flatMap(({ fields }) => fields['session'] ?? [])
      assert.equal(new Set(ids).size, 5)
      const after = await bob.submit(page, '/account/disconnect', { session: ids[1] ?? '' })
      assert.deepEqual(
        after.forms.flatMap(({ fields }) => fields['session'] ?? []),
        ids.filter((_, at) => at !== 1),
      )
      await bob.submit(page, '/account/disconnect-all')
    })

    test('has the forms of the contract also where no app is connected', async () => {
      const bob = await loggedIn(BOB)
      const page = await bob.visit(`${example.url}/account`)
      assert.match(page.text, /No app is connected/)
      const paths = page.forms.map(({ action }) => new URL(action, page.url).pathname).sort()
      assert.deepEqual(paths, ['/account/disconnect-all', '/account/logout-everywhere', '/logout'])
    })

    test('disconnect ends that session and forgets the consent for that client', async () => {
      const bob = await loggedIn(BOB)
      const one = await redeem(await bob.authorize(authorizationUrl(), BOB))
      const two = await redeem(await bob.authorize(authorizationUrl({ client_id: 'two' }), BOB), 'two')
      const page = await bob.visit(`${example.url}/account`)
      const after = await bob.submit(page, '/account/disconnect') // the first row: the older one
      assert.equal(new URL(after.url).pathname, '/account')
      assert.equal(await refreshStatus(one.refresh_token), 400)
      assert.equal(await refreshStatus(two.refresh_token, 'two'), 200)
      assert.ok(hasField(await bob.visit(authorizationUrl()), 'transaction_id'), 'asked again')
      assert.ok((await bob.visit(authorizationUrl({ client_id: 'two' }))).redirectedTo, 'not asked')
      await bob.submit(after, '/account/disconnect-all')
    })

    test('a code that was issued before the app was disconnected opens nothing any more', async () => {
      for (const path of ['/account/disconnect', '/account/disconnect-all']) {
        const bob = await loggedIn(BOB)
        await redeem(await bob.authorize(authorizationUrl(), BOB))
        const arrival = await bob.authorize(authorizationUrl(), BOB)
        await bob.submit(await bob.visit(`${example.url}/account`), path)
        const body = new URLSearchParams({
          grant_type: 'authorization_code',
          client_id: 'one',
          redirect_uri: REDIRECT_URI,
          code: arrival.searchParams.get('code') ?? '',
          code_verifier: verifier,
        })
        const answer = await fetch(`${example.url}/token`, { method: 'POST', body })
        assert.deepEqual(
          [answer.status, ((await answer.json()) as { error: string }).error],
          [400, 'invalid_grant'],
          path,
        )
        assert.match((await bob.visit(`${example.url}/account`)).text, /No app is connected/)
      }
    })

    test('nobody disconnects an app of somebody else, nor a login', async () => {
      const [alice, bob] = [await loggedIn(ALICE), await loggedIn(BOB)]
      const { refresh_token, access_token } = await redeem(await alice.authorize(authorizationUrl(), ALICE))
      const { sid } = JSON.parse(Buffer.from(access_token.split('.')[1] ?? '', 'base64url').toString())
      await redeem(await bob.authorize(authorizationUrl(), BOB))
      const page = await bob.visit(`${example.url}/account`)
      const answer = await bob.submit(page, '/account/disconnect', { session: sid })
      assert.ok(answer.status < 500)
      assert.equal(await refreshStatus(refresh_token), 200)
      await bob.submit(page, '/account/disconnect-all')
      assert.equal(await refreshStatus(refresh_token), 200)
    })

    test('disconnect-all leaves logins, logout-everywhere leaves apps', async () => {
      const [here, there] = [await loggedIn(BOB), await loggedIn(BOB)]
      const { refresh_token } = await redeem(await here.authorize(authorizationUrl(), BOB))
      const page = await here.visit(`${example.url}/account`)
      await here.submit(page, '/account/logout-everywhere')
      for (const each of [here, there]) assert.ok(hasField(await each.visit(`${example.url}/account`), 'password'))
      assert.equal(await refreshStatus(refresh_token), 200)
      const again = await loggedIn(BOB)
      const after = await again.submit(await again.visit(`${example.url}/account`), '/account/disconnect-all')
      assert.match(after.text, /No app is connected/)
      assert.equal(await refreshStatus(refresh_token), 400)
      assert.match((await again.visit(`${example.url}/account`)).text, /Hello Bob/)
    })

    test('logout ends this login only; what the cookie stood for is over', async () => {
      const [here, there] = [await loggedIn(BOB), await loggedIn(BOB)]
      const stolen = new Map(here.cookies)
      const page = await here.visit(`${example.url}/account`)
      await here.submit(page, '/logout')
      for (const [name, value] of stolen) here.cookies.set(name, value)
      assert.ok(hasField(await here.visit(`${example.url}/account`), 'password'))
      assert.match((await there.visit(`${example.url}/account`)).text, /Hello Bob/)
    })

    test('who logs in gets a new cookie value, whatever the browser brought along', async () => {
      const alice = await loggedIn(ALICE)
      const before = new Map(alice.cookies)
      const page = await createFormBrowser(example.url).visit(`${example.url}/account`)
      assert.ok(page.headers.getSetCookie().every((line) => /; HttpOnly; SameSite=Lax$/.test(line)))
      const name = [...before.keys()].find((each) => each.startsWith('login')) ?? ''
      const again = createFormBrowser(example.url)
      again.cookies.set(name, 'A'.repeat(43))
      await again.submit(await again.visit(`${example.url}/account`), '/login', ALICE)
      assert.notEqual(again.cookies.get(name), 'A'.repeat(43))
      assert.notEqual(again.cookies.get(name), before.get(name))
    })
  })

  describe('every form', () => {
    const forms: readonly (readonly [path: string, fields: Readonly<Record<string, string>>])[] = [
      ['/login', { username: 'alice', password: 'wonderland' }],
      ['/authorize/decision', { transaction_id: 'x' }],
      ['/account/disconnect', { session: 'x' }],
      ['/account/disconnect-all', {}],
      ['/account/logout-everywhere', {}],
      ['/logout', {}],
    ]
    for (const [path, fields] of forms) {
      test(`POST ${path} is refused without the guard, with a wrong one, with that of another browser, from another site`, async () => {
        const alice = await loggedIn(ALICE)
        const bob = await loggedIn(BOB)
        const guard = (await alice.visit(`${example.url}/account`)).forms[0]?.fields['form_guard'] ?? ''
        const foreign = (await bob.visit(`${example.url}/account`)).forms[0]?.fields['form_guard'] ?? ''
        const post = (more: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>> = {}) =>
          alice.visit(example.url + path, {
            method: 'POST',
            headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
            body: new URLSearchParams({ ...fields, ...more }).toString(),
          })
        for (const [more, headers] of [
          [{}, {}],
          [{ form_guard: 'x' }, {}],
          [{ form_guard: foreign }, {}],
          [{ form_guard: guard }, { 'Sec-Fetch-Site': 'cross-site' }],
          [{ form_guard: guard }, { 'Sec-Fetch-Site': 'same-site' }],
        ] as const) {
          const answer = await post(more, headers)
          assert.equal(answer.status, 403, JSON.stringify([more, headers]))
        }
        assert.match((await alice.visit(`${example.url}/account`)).text, /Hello Alice/)
        assert.notEqual((await post({ form_guard: guard }, { 'Sec-Fetch-Site': 'same-origin' })).status, 403)
      })

      test(`POST ${path} with more than 64 KiB is answered with 413, with JSON with 415`, async () => {
        const large = await fetch(example.url + path, {
          method: 'POST',
          body: new URLSearchParams({ ...fields, more: 'x'.repeat(65_536) }),
        })
        assert.equal(large.status, 413)
        assert.match(large.headers.get('Content-Type') ?? '', /^text\/html/)
        const json = await fetch(example.url + path, {
          method: 'POST',
          body: '{"',
          headers: { 'Content-Type': 'application/json' },
        })
        assert.equal(json.status, 415)
      })
    }

    test('more than 64 KiB is answered with 413, whatever its type', async () => {
      const body = 'x'.repeat(70_000)
      for (const path of ['/authorize', '/token', '/revoke', '/introspect', '/login', '/account/disconnect'])
        for (const type of [
          'text/plain',
          'application/json',
          'application/x-www-form-urlencoded',
          'multipart/form-data',
        ]) {
          const headers = { 'Content-Type': type }
          const { status } = await fetch(`${example.url}${path}`, { method: 'POST', headers, body })
          assert.equal(status, 413, `${path} ${type}`)
        }
    })

    test('POST /authorize with more than 64 KiB is answered with 413', async () => {
      const body = new URLSearchParams({ state: 'x'.repeat(65_536) })
      assert.equal((await fetch(`${example.url}/authorize`, { method: 'POST', body })).status, 413)
    })

    test('the credentials are taken from the form only, never from the URL', async () => {
      const page = await browser.visit(`${example.url}/account`)
      const fresh = createFormBrowser(example.url)
      const form = await fresh.visit(`${example.url}/account`)
      const answer = await fresh.visit(`${example.url}/login?username=alice&password=wonderland`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ form_guard: form.forms[0]?.fields['form_guard'] ?? '' }).toString(),
      })
      assert.ok(hasField(answer, 'password'))
      assert.ok(page.status === 200)
    })

    test('the login goes on to an authorization request of this server, and nowhere else', async () => {
      for (const authorization_request of [
        '//evil.example',
        'https://evil.example',
        '\r\nX: y',
        '%0d%0a',
        '#@evil.example/',
      ]) {
        const fresh = createFormBrowser(example.url)
        const page = await fresh.visit(`${example.url}/account`)
        const answer = await fresh.submit(page, '/login', { ...ALICE, authorization_request })
        assert.equal(answer.redirectedTo, undefined)
        assert.equal(new URL(answer.url).pathname, '/authorize')
        assert.equal(answer.status, 400)
      }
    })
  })

  describe('A30, A31: prompt', () => {
    test('none without a login, or without consent, is told to the client, and no form is shown', async () => {
      const nobody = await createFormBrowser(example.url).visit(authorizationUrl({ prompt: 'none' }))
      assert.equal(nobody.redirectedTo?.searchParams.get('error'), 'login_required')
      assert.equal(nobody.redirectedTo?.searchParams.get('state'), 'st&te')
      const alice = await loggedIn(ALICE)
      const unasked = await alice.visit(authorizationUrl({ client_id: 'nasty', prompt: 'none' }))
      assert.equal(unasked.redirectedTo?.searchParams.get('error'), 'consent_required')
      await alice.authorize(authorizationUrl({ client_id: 'two' }), ALICE)
      const allowed = await alice.visit(authorizationUrl({ client_id: 'two', prompt: 'none' }))
      assert.ok(allowed.redirectedTo?.searchParams.get('code'))
    })

    test('none in a form of another site: the login counts, because a redirect comes first', async () => {
      const alice = await loggedIn(ALICE)
      await alice.authorize(authorizationUrl({ client_id: 'two' }), ALICE)
      const [address = '', body = ''] = authorizationUrl({ client_id: 'two', prompt: 'none' }).split('?')
      const response = await fetch(address, {
        method: 'POST',
        body,
        headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'Sec-Fetch-Site': 'cross-site' },
        redirect: 'manual',
      })
      assert.equal(response.status, 303)
      const page = await alice.visit(new URL(response.headers.get('Location') ?? '', example.url).href)
      assert.ok(page.redirectedTo?.searchParams.get('code'))
    })

    test('login asks a logged-in user for the password once, then goes on', async () => {
      const alice = await loggedIn(ALICE)
      await alice.authorize(authorizationUrl({ client_id: 'two' }), ALICE)
      for (const prompt of ['login', 'select_account', 'login consent']) {
        const page = await alice.visit(authorizationUrl({ client_id: 'two', prompt }))
        assert.ok(hasField(page, 'password'), prompt)
        const wrong = await alice.submit(page, '/login', { ...ALICE, password: 'wrong' })
        assert.ok(hasField(wrong, 'password'), prompt)
        const after = await alice.submit(wrong, '/login', ALICE)
        if (prompt === 'login consent') assert.ok(hasField(after, 'transaction_id'), 'consent is still asked for')
        else assert.ok(after.redirectedTo?.searchParams.get('code'), prompt)
      }
    })

    test('login lets another user log in', async () => {
      const alice = await loggedIn(ALICE)
      const consent = await alice.visit(authorizationUrl({ client_id: 'nasty' }))
      const other = /<a href="([^"]+)">not you\?<\/a>/.exec(consent.text)?.[1]?.replaceAll('&amp;', '&') ?? ''
      const form = await alice.visit(new URL(other, example.url).href)
      const page = await alice.submit(form, '/login', BOB)
      assert.match(page.text, /You are logged in as Bob Martin/)
    })

    test('consent asks again', async () => {
      const alice = await loggedIn(ALICE)
      await alice.authorize(authorizationUrl({ client_id: 'two' }), ALICE)
      const page = await alice.visit(authorizationUrl({ client_id: 'two', prompt: 'consent' }))
      assert.ok(hasField(page, 'transaction_id'))
      assert.ok((await alice.submit(page, '/decision', {}, 'allow')).redirectedTo?.searchParams.get('code'))
    })

    test('resource keeps all its values through the login', async () => {
      const url = `${authorizationUrl({ prompt: 'login' })}&resource=https://a.example&resource=https://b.example`
      const page = await browser.visit(url)
      const request = new URLSearchParams(page.forms[0]?.fields['authorization_request'])
      assert.deepEqual(request.getAll('resource'), ['https://a.example', 'https://b.example'])
      assert.equal(request.has('prompt'), false)
    })
  })

  describe('A37: several tabs in one browser', () => {
    /** Sends a form of a page as a browser of today does, or as one that does not say where forms come from. */
    const send = (
      of: FormBrowser,
      page: Visit,
      fields: Readonly<Record<string, string>>,
      site?: string,
    ): Promise<Visit> => {
      const form = page.forms[0]
      return of.visit(form?.action ?? '', {
        method: 'POST',
        headers: {
          'Content-Type': 'application/x-www-form-urlencoded',
          ...(site === undefined ? {} : { 'Sec-Fetch-Site': site }),
        },
        body: new URLSearchParams({ ...form?.fields, ...fields }).toString(),
      })
    }
    /** Opens login forms as tabs of a fresh browser do that load at once: no request has a cookie, the last one wins. */
    async function tabs(count: number) {
      const fresh = createFormBrowser(example.url)
      const pages: Visit[] = []
      for (let tab = 0; tab < count; tab += 1) {
        fresh.cookies.clear()
        pages.push(await fresh.visit(authorizationUrl({ client_id: 'two', state: `tab ${tab}`, prompt: 'consent' })))
      }
      return { fresh, pages }
    }

    test('A37: every tab logs in, allows, and arrives with its own request', async () => {
      const { fresh, pages } = await tabs(3)
      const consents: Visit[] = []
      for (const page of pages) consents.push(await send(fresh, page, ALICE, 'same-origin'))
      for (const [tab, page] of consents.entries()) {
        const arrival = await send(fresh, page, { allow: 'allow' }, 'same-origin')
        assert.ok(arrival.redirectedTo?.searchParams.get('code'), `tab ${tab}: ${arrival.text}`)
        assert.equal(arrival.redirectedTo?.searchParams.get('state'), `tab ${tab}`)
      }
    })

    test('A37: logging in twice as the same user keeps the login, as another user replaces it', async () => {
      const fresh = await loggedIn(ALICE)
      const before = new Map(fresh.cookies)
      const page = await fresh.visit(`${example.url}/login`)
      await fresh.submit(page, '/login', ALICE)
      assert.deepEqual(fresh.cookies, before)
      await fresh.submit(page, '/login', BOB)
      assert.notDeepEqual(fresh.cookies, before)
      const old = createFormBrowser(example.url)
      for (const [name, value] of before) old.cookies.set(name, value)
      assert.ok(hasField(await old.visit(`${example.url}/account`), 'password'), 'the login of alice is over')
    })

    test('A37: a refused form offers to start again with its request', async () => {
      const follow = (of: FormBrowser, { text }: Visit): Promise<Visit> => {
        const href = /<a href="([^"]+)">Start again<\/a>/.exec(text)?.[1]?.replaceAll('&amp;', '&') ?? ''
        return of.visit(new URL(href, example.url).href)
      }
      const { fresh, pages } = await tabs(2)
      const [first = assert.fail()] = pages
      const refused = await send(fresh, first, ALICE) // its cookie was overwritten by that of the second tab
      assert.equal(refused.status, 403)
      const login = await follow(fresh, refused)
      const consent = await send(fresh, login, ALICE)
      assert.ok(hasField(consent, 'transaction_id'))
      const form = await send(fresh, consent, { allow: 'allow', form_guard: 'x' })
      assert.equal(form.status, 403)
      const arrival = await send(fresh, await follow(fresh, form), { allow: 'allow' })
      assert.equal(arrival.redirectedTo?.searchParams.get('state'), 'tab 0')

      // the form of a user who has logged out, or of another one
      const again = await fresh.visit(authorizationUrl({ client_id: 'two', state: 'later', prompt: 'consent' }))
      await fresh.submit(await fresh.visit(`${example.url}/account`), '/logout')
      const asked = await send(fresh, again, { allow: 'allow' }, 'same-origin')
      assert.ok(hasField(asked, 'password'))
      const bob = await send(fresh, asked, BOB, 'same-origin')
      assert.equal(new URLSearchParams(bob.forms[0]?.fields['authorization_request']).get('state'), 'later')
      const foreign = await send(fresh, again, { allow: 'allow' }, 'same-origin')
      assert.equal(foreign.status, 403)
      assert.match((await follow(fresh, foreign)).text, /You are logged in as Bob Martin/)
    })

    test('A37, A28: a form that was sent twice leads on, also where the first response was lost', async () => {
      const alice = await loggedIn(ALICE)
      const page = await alice.visit(authorizationUrl({ client_id: 'wide', state: 'double' }))
      await alice.submit(page, '/decision', {}, 'allow')
      const second = await alice.submit(page, '/decision', {}, 'allow')
      assert.equal(second.redirectedTo, undefined)
      const target = /<meta http-equiv="refresh" content="1;url=([^"]+)">/.exec(second.text)?.[1] ?? ''
      const arrival = await alice.visit(new URL(target.replaceAll('&amp;', '&'), example.url).href)
      assert.equal(arrival.redirectedTo?.searchParams.get('state'), 'double')
      assert.ok(arrival.redirectedTo?.searchParams.get('code'))
      const denied = await alice.submit(page, '/decision', {}, 'cancel')
      assert.doesNotMatch(denied.text, /http-equiv/)
      const link = /<a href="([^"]+)">Start again<\/a>/.exec(denied.text)?.[1]?.replaceAll('&amp;', '&') ?? ''
      assert.ok((await alice.visit(new URL(link, example.url).href)).redirectedTo?.searchParams.get('code'))
    })
  })

  describe('what is shown', () => {
    test('is escaped: names of clients and users, scopes, what was typed', async () => {
      const mallory = await loggedIn({ username: 'mallory', password: 'm' })
      const pages = [
        await browser.visit(authorizationUrl({ client_id: 'nasty' })),
        await mallory.visit(authorizationUrl({ client_id: 'nasty', scope: "profile <b>'&" })),
        await mallory.visit(`${example.url}/account`),
        await browser.visit(authorizationUrl({ client_id: NASTY })),
      ]
      const fresh = createFormBrowser(example.url)
      pages.push(
        await fresh.submit(await fresh.visit(`${example.url}/account`), '/login', { username: NASTY, password: NASTY }),
      )
      for (const { text } of pages) {
        assert.doesNotMatch(text, /<script|<b>/)
        assert.doesNotMatch(text, /undefined|\[object/)
      }
      assert.match(pages[1]?.text ?? '', /&lt;script&gt;/)
    })

    test('has client names without characters that change the direction of the text', async () => {
      const mallory = await loggedIn({ username: 'mallory', password: 'm' })
      for (const of of [browser, mallory]) {
        const { text } = await of.visit(authorizationUrl({ client_id: 'bidi' }))
        assert.match(text, /Pay gpj\.live pal/)
        assert.doesNotMatch(text, /[\u202a-\u202e\u2066-\u2069]/)
        assert.equal(text.includes('\u0007'), false)
      }
    })

    test('carries a strict policy: no scripts, no framing, nothing kept, no referrer', async () => {
      for (const path of ['/account', '/authorize', authorizationUrl().slice(example.url.length), '/']) {
        const { headers } = await fetch(example.url + path)
        const policy = headers.get('Content-Security-Policy') ?? ''
        assert.match(policy, /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]+';/)
        assert.match(policy, /; base-uri 'none'; frame-ancestors 'none'$/)
        assert.doesNotMatch(policy, /unsafe|script-src/)
        assert.equal(headers.get('Cache-Control'), 'no-store')
        assert.equal(headers.get('Referrer-Policy'), 'no-referrer')
        assert.equal(headers.get('X-Content-Type-Options'), 'nosniff')
        assert.equal(headers.get('X-Powered-By'), null)
      }
    })

    test('A29: pages whose forms lead to a client have no form-action, all others have that of this server', async () => {
      const policyOf = ({ headers }: Visit): string => headers.get('Content-Security-Policy') ?? ''
      const bob = await loggedIn(BOB)
      const failed = createFormBrowser(example.url)
      const login = await failed.visit(authorizationUrl({ client_id: 'two' }))
      for (const page of [
        login,
        await failed.submit(login, '/login', { username: 'bob', password: 'wrong' }),
        await browser.visit(`${example.url}/login`),
        await bob.visit(authorizationUrl({ client_id: 'nasty' })),
      ]) {
        assert.equal(page.status, 200)
        assert.doesNotMatch(policyOf(page), /form-action/)
        assert.ok(
          page.forms.every(({ action }) => action.startsWith(`${example.url}/`)),
          'a fixed action of this server',
        )
      }
      for (const page of [await bob.visit(`${example.url}/account`), await browser.visit(`${example.url}/authorize`)])
        assert.match(policyOf(page), /; form-action 'self';/)
    })

    test('is not stored, whatever it is: pages, redirects, refused forms, what is not there', async () => {
      const [address = '', body = ''] = authorizationUrl().split('?')
      const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
      for (const [url, init] of [
        [`${example.url}/`, {}],
        [`${example.url}/login`, {}],
        [`${example.url}/login`, { method: 'POST', headers: form, body: 'username=alice' }],
        [`${example.url}/login`, { method: 'POST', headers: form, body: 'x'.repeat(70_000) }],
        [
          `${example.url}/account/disconnect`,
          { method: 'POST', headers: { ...form, 'Sec-Fetch-Site': 'same-origin' } },
        ],
        [address, { method: 'POST', headers: { ...form, 'Sec-Fetch-Site': 'cross-site' }, body }],
        [authorizationUrl({ prompt: 'none' }), {}],
        [`${example.url}/nowhere`, {}],
        [`${example.url}/%`, {}],
      ] as const) {
        const { headers, status } = await fetch(url, { redirect: 'manual', ...init })
        assert.match(headers.get('Cache-Control') ?? '', /no-store/, `${url} ${status}`)
      }
      const login = await fetch(`${example.url}/login`, {
        method: 'POST',
        headers: { ...form, 'Sec-Fetch-Site': 'same-origin' },
        body: new URLSearchParams(ALICE),
        redirect: 'manual',
      })
      assert.deepEqual([login.status, login.headers.get('Cache-Control')], [303, 'no-store'])
    })

    test('is the same for HEAD, without a body', async () => {
      for (const path of ['/', '/login', '/account', '/authorize', authorizationUrl().slice(example.url.length)]) {
        const [head, get] = [await fetch(example.url + path, { method: 'HEAD' }), await fetch(example.url + path)]
        assert.equal(head.status, get.status, path)
        for (const name of ['Content-Type', 'Content-Security-Policy', 'Cache-Control'])
          assert.equal(head.headers.get(name), get.headers.get(name), `${path} ${name}`)
        assert.equal(await head.text(), '')
      }
    })

    test('for another method is 405 with Allow, and nobody keeps it', async () => {
      for (const [path, allow] of [
        ['/authorize', 'GET, POST, HEAD, OPTIONS'],
        ['/authorize/decision', 'POST, OPTIONS'],
        ['/login', 'GET, POST, HEAD, OPTIONS'],
        ['/logout', 'POST, OPTIONS'],
        ['/account', 'GET, HEAD, OPTIONS'],
        ['/account/disconnect', 'POST, OPTIONS'],
        ['/account/disconnect-all', 'POST, OPTIONS'],
        ['/account/logout-everywhere', 'POST, OPTIONS'],
        ['/jwks.json', 'GET, HEAD, OPTIONS'],
        ['/.well-known/oauth-authorization-server', 'GET, HEAD, OPTIONS'],
      ] as const)
        for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS']) {
          if (method !== 'OPTIONS' && allow.includes(method)) continue
          const answer = await fetch(`${example.url}${path}`, { method })
          assert.equal(answer.status, method === 'OPTIONS' ? 204 : 405, `${method} ${path}`)
          assert.equal(answer.headers.get('allow'), allow, `${method} ${path}`)
          if (method !== 'OPTIONS') assert.match(answer.headers.get('cache-control') ?? '', /no-store/, path)
        }
    })

    test('for a path that is not there is 404 in plain text; bad paths, cookies and bodies are never a 500', async () => {
      const missing = await fetch(`${example.url}/nowhere`)
      assert.equal(missing.status, 404)
      assert.match(missing.headers.get('Content-Type') ?? '', /^text\/plain/)
      for (const path of [
        '/%',
        '/%ff',
        '/account/%',
        '/authorize/%2e%2e',
        '//evil.example/account',
        '/authorize?%',
        '/authorize?client_id=%ff',
      ])
        assert.ok((await fetch(example.url + path, { redirect: 'manual' })).status < 500, path)
      const name = [...(await loggedIn(ALICE)).cookies.keys()].find((each) => each.startsWith('login')) ?? ''
      for (const cookie of [
        `${name}=`,
        `${name}`,
        `${name}=%`,
        `${name}=__proto__`,
        '=;;=',
        `${name}=${'x'.repeat(4000)}`,
        `${name}=${'A'.repeat(43)}`,
      ]) {
        const response = await fetch(`${example.url}/account`, { headers: { Cookie: cookie } })
        assert.equal(response.status, 200, cookie)
        assert.match(await response.text(), /name="password"/)
      }
    })
  })
})

test('the README names the buttons of the consent form as the page has them', () => {
  const read = (file: string): string => readFileSync(new URL(`../../examples/${file}`, import.meta.url), 'utf8')
  for (const attributes of ['name="allow" value="allow"', 'name="cancel"'])
    assert.ok(read('pages.ts').includes(attributes))
  const readme = read('README.md')
  assert.ok(readme.includes('`name="allow" value="allow"`') && readme.includes('is named `cancel`'))
})
