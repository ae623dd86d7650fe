import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { type Callback, startCallback } from '../support/callback.ts'
import { startChromium } from '../support/chromium.ts'
import { type RunningExample, startExample } from '../support/example.ts'
import { newPkce } from '../support/pkce.ts'
import { chromium, without } from '../support/programs.ts'

const users = [
  { sub: 'u1', username: 'alice', password: 'wonderland', name: 'Alice <b>Liddell</b>' },
  { sub: 'u2', username: 'bob', password: 'builder', name: 'Bob' },
]

let browser: Browser
before(async () => {
  if (!without(chromium)) browser = await startChromium()
})
after(() => browser?.close())

for (const scripts of [true, false]) {
  describe(`in Chromium, scripts ${scripts ? 'on' : 'off'}`, { skip: without(chromium) }, () => {
    let callback: Callback
    let example: RunningExample
    let context: BrowserContext
    let page: Page
    const violations: string[] = []

    before(async () => {
      callback = await startCallback()
      const client = (id: string, name: string) => ({
        client_id: id,
        client_name: name,
        token_endpoint_auth_method: 'none',
        redirect_uris: [callback.url],
        grant_types: ['authorization_code', 'refresh_token'],
        scope: 'profile email notes.read',
      })
      example = await startExample({ users, clients: [client('one', 'App <One>'), client('two', 'App Two')] })
      context = await newContext()
      page = await newPage(context)
    })
    after(async () => {
      await context?.close()
      await example?.stop()
      await callback?.close()
    })

    const newContext = () => browser.newContext({ javaScriptEnabled: scripts })
    async function newPage(of: BrowserContext): Promise<Page> {
      const opened = await of.newPage()
      opened.on('console', (message) => {
        if (/Content Security Policy|Refused to/.test(message.text())) violations.push(message.text())
      })
      return opened
    }

    function authorizationUrl(clientId: string, scope: string): { readonly url: string; readonly verifier: string } {
      const { verifier, challenge } = newPkce()
      const url = new URL(`${example.url}/authorize`)
      url.search = new URLSearchParams({
        response_type: 'code',
        client_id: clientId,
        redirect_uri: callback.url,
        scope,
        state: 'a state & more',
        code_challenge: challenge,
        code_challenge_method: 'S256',
      }).toString()
      return { url: url.href, verifier }
    }

    const textOf = async (at: Page, selector: string): Promise<string> => (await at.textContent(selector)) ?? ''

    const logIn = async (name: string, password: string, at: Page = page): Promise<void> => {
      await at.fill('input[name=username]', name)
      await at.fill('input[name=password]', password)
      await at.click('text=Log in >> nth=-1')
    }

    const redeem = async (verifier: string, clientId: string) => {
      const arrival = callback.arrivals.at(-1)
      assert.equal(arrival?.searchParams.get('state'), 'a state & more')
      assert.equal(arrival?.searchParams.get('iss'), example.url)
      const response = await fetch(`${example.url}/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'authorization_code',
          code: arrival?.searchParams.get('code') ?? '',
          redirect_uri: callback.url,
          code_verifier: verifier,
          client_id: clientId,
        }),
      })
      assert.equal(response.status, 200)
      return (await response.json()) as { access_token: string; refresh_token: string; scope: string }
    }

    const refresh = async (token: string, clientId: string): Promise<Response> =>
      fetch(`${example.url}/token`, {
        method: 'POST',
        body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token, client_id: clientId }),
      })

    /** Goes all the way, whatever is asked on the way, and comes back with tokens. */
    async function connect(clientId: string, scope: string) {
      const { url, verifier } = authorizationUrl(clientId, scope)
      await page.goto(url)
      if (await page.isVisible('button[name=allow]')) await page.click('button[name=allow]')
      assert.equal(await page.title(), 'Back at the app')
      return redeem(verifier, clientId)
    }

    test('a user logs in, allows, and arrives at the client', async () => {
      const { url, verifier } = authorizationUrl('one', 'profile email')
      await page.goto(url)
      assert.match(await textOf(page, 'main'), /App <One>/)
      await logIn('alice', 'wrong')
      assert.match(await textOf(page, '[role=alert]'), /user name or the password is wrong/)
      assert.equal(await page.inputValue('input[name=username]'), 'alice')
      await logIn('alice', 'wonderland')
      assert.equal(await page.title(), 'Allow App <One>?')
      assert.match(await textOf(page, 'main'), /You are logged in as Alice <b>Liddell<\/b>/)
      assert.deepEqual(await page.locator('.scopes li').allTextContents(), [
        'Know your e-mail address email',
        'Know your name profile',
      ])
      await page.click('button[name=allow]')
      assert.equal(await page.title(), 'Back at the app')
      assert.equal((await redeem(verifier, 'one')).scope, 'email profile')
    })

    test('who has allowed a client is not asked again for the same scopes, but for new ones', async () => {
      await page.goto(authorizationUrl('one', 'email').url)
      assert.equal(await page.title(), 'Back at the app')
      await page.goto(authorizationUrl('one', 'email notes.read').url)
      assert.deepEqual(await page.locator('.scopes li').allTextContents(), [
        'Know your e-mail address email',
        'Read your notes notes.readnew',
      ])
    })

    test('who denies arrives at the client with access_denied', async () => {
      await page.goto(authorizationUrl('two', 'profile').url)
      await page.click('button[name=cancel]')
      assert.equal(await page.title(), 'Back at the app')
      const arrival = callback.arrivals.at(-1)
      assert.equal(arrival?.searchParams.get('error'), 'access_denied')
      assert.equal(arrival?.searchParams.get('state'), 'a state & more')
      assert.equal(arrival?.searchParams.get('code'), null)
    })

    test('the account page shows the connected app, and disconnecting it ends its tokens and forgets the consent', async () => {
      const tokens = await connect('two', 'profile')
      await page.goto(`${example.url}/account`)
      const row = page.locator('tr', { hasText: 'App Two' })
      assert.match((await row.textContent()) ?? '', /Know your name/)
      await row.locator('button').click()
      assert.equal(await page.locator('tr', { hasText: 'App Two' }).count(), 0)
      assert.equal(await page.locator('tr', { hasText: 'App <One>' }).count(), 1)
      assert.equal((await refresh(tokens.refresh_token, 'two')).status, 400)
      await page.goto(authorizationUrl('two', 'profile').url)
      assert.equal(await page.title(), 'Allow App Two?')
    })

    test('"Disconnect all apps" leaves the user logged in', async () => {
      const one = await connect('one', 'profile')
      const two = await connect('two', 'profile')
      await page.goto(`${example.url}/account`)
      await page.click('text=Disconnect all apps')
      assert.match(await textOf(page, 'main'), /No app is connected/)
      for (const [clientId, { refresh_token }] of [
        ['one', one],
        ['two', two],
      ] as const)
        assert.equal((await refresh(refresh_token, clientId)).status, 400, clientId)
      await page.reload()
      assert.match(await textOf(page, 'h1'), /Hello/)
    })

    test('"Log out everywhere" ends the logins of all browsers and leaves apps and other users alone', async () => {
      const { refresh_token } = await connect('one', 'profile')
      const contexts = [await newContext(), await newContext()]
      const [other, bob] = [await newPage(contexts[0] as BrowserContext), await newPage(contexts[1] as BrowserContext)]
      await other.goto(`${example.url}/account`)
      await logIn('alice', 'wonderland', other)
      assert.match(await textOf(other, 'h1'), /Hello Alice/)
      await bob.goto(`${example.url}/account`)
      await logIn('bob', 'builder', bob)
      await page.goto(`${example.url}/account`)
      await page.click('text=Log out everywhere')
      assert.match(await textOf(page, 'h1'), /logged out/)
      for (const each of [page, other]) {
        await each.goto(`${example.url}/account`)
        assert.equal(await textOf(each, 'h1'), 'Log in')
      }
      await bob.reload()
      assert.match(await textOf(bob, 'h1'), /Hello Bob/)
      assert.equal((await refresh(refresh_token, 'one')).status, 200)
      for (const each of contexts) await each.close()
    })

    test('"Log out" ends this login only', async () => {
      await page.goto(`${example.url}/account`)
      await logIn('alice', 'wonderland')
      const context2 = await newContext()
      const other = await newPage(context2)
      await other.goto(`${example.url}/account`)
      await logIn('alice', 'wonderland', other)
      await page.click('text=Log out >> nth=0')
      await page.goto(`${example.url}/account`)
      assert.equal(await textOf(page, 'h1'), 'Log in')
      await other.reload()
      assert.match(await textOf(other, 'h1'), /Hello Alice/)
      await context2.close()
    })

    const testWithScripts = scripts ? test : () => undefined // measuring takes a script
    testWithScripts('every page fits a phone of 320 pixels', async () => {
      await page.setViewportSize({ width: 320, height: 640 })
      const overflow = (): Promise<number> =>
        page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
      const { url } = authorizationUrl('two', 'profile email notes.read')
      await page.goto(url)
      assert.equal(await overflow(), 0, 'login')
      await logIn('alice', 'wonderland')
      assert.equal(await page.title(), 'Allow App Two?')
      assert.equal(await overflow(), 0, 'consent')
      await page.goto(`${example.url}/account`)
      assert.equal(await overflow(), 0, 'account')
    })

    test('no page broke its own Content-Security-Policy', () => {
      assert.deepEqual(violations, [])
    })
  })
}
