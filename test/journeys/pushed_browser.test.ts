import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { startChromium } from '../support/chromium.ts'
import { type RunningExample, startExample } from '../support/example.ts'
import { USERS } from '../support/example_clients.ts'
import { newPkce } from '../support/pkce.ts'
import { chromium, without } from '../support/programs.ts'

/** An app whose callback responds when it is told to, or at once. */
async function startApp() {
  const arrivals: URL[] = []
  let held: ServerResponse[] | undefined
  const respond = (response: ServerResponse, title: string) => {
    response.setHeader('Content-Type', 'text/html')
    response.end(`<!doctype html><title>${title}</title><h1>${title}</h1>`)
  }
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', `http://${request.headers.host}`)
    if (url.pathname !== '/callback') return respond(response, 'Home of the app')
    arrivals.push(url)
    if (held === undefined) respond(response, 'Back at the app')
    else held.push(response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    origin,
    arrivals,
    hold() {
      held = []
    },
    release() {
      const all = held ?? []
      held = undefined
      for (const response of all) respond(response, 'Back at the app')
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

describe('a pushed request in Chromium', { skip: without(chromium) }, () => {
  let browser: Browser
  let page: Page
  let app: Awaited<ReturnType<typeof startApp>>
  let example: RunningExample
  before(async () => {
    browser = await startChromium()
    app = await startApp()
    const client = {
      client_id: 'app',
      client_name: 'The app',
      client_uri: `${app.origin}/`,
      token_endpoint_auth_method: 'none',
      redirect_uris: [`${app.origin}/callback`],
      grant_types: ['authorization_code'],
      scope: 'profile',
    }
    example = await startExample({ users: USERS, clients: [client], environment: { REQUIRE_PAR: 'on' } })
    page = await (await browser.newContext()).newPage()
    await page.goto(`${example.url}/account`)
    await page.fill('input[name=username]', 'alice')
    await page.fill('input[name=password]', 'wonderland')
    await page.click('text=Log in >> nth=-1')
  })
  beforeEach(() => {
    app.release()
    app.arrivals.length = 0
  })
  after(async () => {
    await browser?.close()
    await example?.stop()
    await app?.close()
  })

  /** Pushes a request, and opens its consent page. */
  async function openConsent(): Promise<{ readonly verifier: string }> {
    const { challenge, verifier } = newPkce()
    const response = await fetch(`${example.url}/par`, {
      method: 'POST',
      body: new URLSearchParams({
        response_type: 'code',
        client_id: 'app',
        redirect_uri: `${app.origin}/callback`,
        prompt: 'consent',
        state: 's',
        code_challenge: challenge,
        code_challenge_method: 'S256',
      }),
    })
    const { request_uri } = (await response.json()) as { request_uri: string }
    await page.goto(`${example.url}/authorize?${new URLSearchParams({ client_id: 'app', request_uri })}`)
    assert.equal(await page.title(), 'Allow The app?')
    app.arrivals.length = 0
    return { verifier }
  }

  async function redeem(verifier: string): Promise<number> {
    const response = await fetch(`${example.url}/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        client_id: 'app',
        code: app.arrivals.at(-1)?.searchParams.get('code') ?? '',
        code_verifier: verifier,
      }),
    })
    return response.status
  }

  /** Waits for the page of the app. The browser aborts the navigation of the first click, which `waitForURL` would report. */
  const backAtApp = async () => {
    const title = () => page.title().catch(() => undefined)
    for (let round = 0; round < 400 && (await title()) !== 'Back at the app'; round += 1)
      await new Promise((resolve) => setTimeout(resolve, 25))
    assert.equal(await title(), 'Back at the app')
    assert.ok(page.url().startsWith(`${app.origin}/callback?`))
  }

  const arrived = async (count: number) => {
    for (let round = 0; round < 200 && app.arrivals.length < count; round += 1)
      await new Promise((resolve) => setTimeout(resolve, 25))
    assert.equal(app.arrivals.length, count)
  }

  /** Clicks where the button is, also while the browser is about to leave the page. */
  async function clickTwice(name: 'allow' | 'cancel', between: () => Promise<unknown>) {
    const box = await page.locator(`button[name=${name}]`).boundingBox()
    assert.ok(box)
    const click = () => page.mouse.click(box.x + box.width / 2, box.y + box.height / 2)
    await click()
    await between()
    await click()
  }

  test('PA7: a double click on Allow leads to the app, with one code that works', async () => {
    const { verifier } = await openConsent()
    await page.dblclick('button[name=allow]')
    await backAtApp()
    assert.equal(new Set(app.arrivals.map(({ searchParams }) => searchParams.get('code'))).size, 1)
    assert.equal(await redeem(verifier), 200)
  })

  test('PA7: a second click while the app is slow leads to the app, with the same code', async () => {
    const { verifier } = await openConsent()
    app.hold()
    await clickTwice('allow', () => arrived(1))
    await arrived(2)
    app.release()
    await backAtApp()
    const [first, second] = app.arrivals.map(({ searchParams }) => searchParams.get('code'))
    assert.ok(first)
    assert.equal(second, first)
    assert.equal(await redeem(verifier), 200)
  })

  test('PA7: a second click after the app has redeemed the code leads to a page with a way back to the app', async () => {
    const { verifier } = await openConsent()
    app.hold()
    await clickTwice('allow', async () => {
      await arrived(1)
      assert.equal(await redeem(verifier), 200)
    })
    await page.click('text=Go to The app')
    app.release()
    assert.equal(await page.title(), 'Home of the app')
    assert.equal(app.arrivals.length, 1)
  })

  test('PA7: a double click on Deny leads to the app, with access_denied', async () => {
    await openConsent()
    app.hold()
    await clickTwice('cancel', () => arrived(1))
    await arrived(2)
    app.release()
    await page.waitForURL(`${app.origin}/callback?**`)
    for (const { searchParams } of app.arrivals)
      assert.deepEqual([searchParams.get('error'), searchParams.get('state')], ['access_denied', 's'])
  })

  test('PA7: the back button after the decision shows a page with a way back to the app', async () => {
    await openConsent()
    await page.click('button[name=allow]')
    assert.equal(await page.title(), 'Back at the app')
    await page.goBack()
    assert.match((await page.textContent('main')) ?? '', /was used before/)
    await page.click('text=Go to The app')
    assert.equal(await page.title(), 'Home of the app')
  })
})
