import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { startChromium } from '../support/chromium.ts'
import { type RunningExample, startExample } from '../support/example.ts'
import { ALICE, USERS } from '../support/example_clients.ts'
import { newPkce } from '../support/pkce.ts'
import { chromium, without } from '../support/programs.ts'

/** A client whose callback sends the browser on: to another origin, or to an app of the device. */
interface Hops {
  readonly origin: string
  /** Path and query of every request, oldest first. */
  readonly seen: string[]
  close(): Promise<void>
}

async function startHops(next: (url: URL) => string | undefined): Promise<Hops> {
  const seen: string[] = []
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', `http://${request.headers.host}`)
    if (url.pathname === '/favicon.ico') return response.writeHead(404).end()
    seen.push(url.pathname + url.search)
    const location = next(url)
    if (location !== undefined) return response.writeHead(302, { Location: location }).end()
    response.setHeader('Content-Type', 'text/html')
    return response.end('<!doctype html><title>Back at the app</title><h1>Back at the app</h1>')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

describe('in Chromium', { skip: without(chromium) }, () => {
  let browser: Browser
  let example: RunningExample
  let last: Hops
  let broker: Hops
  let context: BrowserContext
  const messages: string[] = []

  before(async () => {
    last = await startHops(() => undefined)
    const other = last.origin.replace('127.0.0.1', 'localhost')
    broker = await startHops(({ pathname, search }) => {
      if (pathname === '/broker') return `${other}/middle${search}`
      if (pathname === '/to-app') return `com.example.app:/done${search}`
      return undefined
    })
    const client = (client_id: string, path: string) => ({
      client_id,
      client_name: `App ${client_id}`,
      token_endpoint_auth_method: 'none',
      redirect_uris: [`${broker.origin}${path}`],
      scope: 'profile notes.write',
    })
    example = await startExample({
      users: USERS,
      clients: [
        client('broker', '/broker'),
        client('to-app', '/to-app'),
        client('plain', '/plain'),
        client('twice', '/plain'),
      ],
    })
    browser = await startChromium()
  })
  after(async () => {
    await browser?.close()
    await example?.stop()
    await broker?.close()
    await last?.close()
  })

  const authorizationUrl = (client_id: string, path: string, more: Readonly<Record<string, string>> = {}): string =>
    `${example.url}/authorize?${new URLSearchParams({
      response_type: 'code',
      client_id,
      redirect_uri: `${broker.origin}${path}`,
      scope: 'profile',
      code_challenge: newPkce().challenge,
      code_challenge_method: 'S256',
      ...more,
    })}`
  async function freshPage(): Promise<Page> {
    await context?.close()
    context = await browser.newContext()
    messages.length = 0
    broker.seen.length = 0
    last.seen.length = 0
    return watched(await context.newPage())
  }
  const watched = (page: Page): Page => page.on('console', (message) => void messages.push(message.text()))
  const logIn = async (page: Page): Promise<void> => {
    await page.fill('input[name=username]', ALICE.username)
    await page.fill('input[name=password]', ALICE.password)
    await page.click('button.primary')
  }

  /** Waits for the page of the client; pages of the example allow no script that could. */
  const arrived = async (page: Page): Promise<void> => {
    for (let wait = 0; wait < 100; wait += 1) {
      if ((await page.title().catch(() => '')) === 'Back at the app') return
      await page.waitForTimeout(100)
    }
    assert.fail(`still at ${page.url()}`)
  }

  for (const [title, path, client] of [
    ['to another origin', '/broker', 'broker'],
    ['to a private-use scheme', '/to-app', 'to-app'],
  ] as const) {
    test(`A29: a client that redirects on ${title} is reached after the consent form, and after the login form`, async () => {
      let page = await freshPage()
      let requested: string[] = []
      const watch = (): Page => page.on('request', (request) => void requested.push(request.url()))
      watch()
      const isDone = (): boolean =>
        client === 'broker'
          ? last.seen.some((url) => url.startsWith('/middle?code='))
          : requested.some((url) => url.startsWith('com.example.app:/done?code='))
      const arrive = async (): Promise<void> => {
        for (let wait = 0; wait < 50 && !isDone(); wait += 1) await page.waitForTimeout(100)
        assert.ok(isDone(), `${title}: ${messages.join('\n')}`)
        assert.doesNotMatch(messages.join('\n'), /Content Security Policy/)
      }
      await page.goto(authorizationUrl(client, path))
      await logIn(page)
      await page.click('button[name=allow]', { noWaitAfter: true })
      await arrive()

      // The consent is remembered, so this time the chain follows the login form, also after a failed attempt.
      page = await freshPage()
      requested = []
      watch()
      await page.goto(authorizationUrl(client, path))
      await page.fill('input[name=username]', ALICE.username)
      await page.fill('input[name=password]', 'wrong')
      await page.click('button.primary')
      await logIn(page)
      await arrive()
    })
  }

  test('A37: three tabs that open at once in a fresh browser all log in, allow, and arrive', async () => {
    for (let round = 0; round < 3; round += 1) {
      await freshPage()
      const pages = await Promise.all([1, 2, 3].map(() => context.newPage()))
      await Promise.all(
        pages.map((page, tab) =>
          page.goto(authorizationUrl('plain', '/plain', { state: `tab-${tab}`, prompt: 'consent' })),
        ),
      )
      await Promise.all(pages.map(logIn))
      for (const page of pages) await page.waitForSelector('button[name=allow]')
      await Promise.all(pages.map((page) => page.click('button[name=allow]')))
      for (const page of pages) await arrived(page)
      const states = broker.seen.map((url) => new URL(url, broker.origin).searchParams)
      assert.deepEqual(states.map((each) => each.get('state')).sort(), ['tab-0', 'tab-1', 'tab-2'])
      assert.ok(states.every((each) => each.has('code')))
    }
  })

  test('A37: two clicks on a button arrive', async () => {
    const page = await freshPage()
    await page.goto(authorizationUrl('twice', '/plain'))
    await page.fill('input[name=username]', ALICE.username)
    await page.fill('input[name=password]', ALICE.password)
    await page.dblclick('button.primary')
    await page.waitForSelector('button[name=allow]')
    await page.dblclick('button[name=allow]', { noWaitAfter: true })
    await arrived(page)
    assert.ok(broker.seen.at(-1)?.startsWith('/plain?code='))
  })

  test('A37: the back button leads to forms that work', async () => {
    const page = await freshPage()
    const url = authorizationUrl('plain', '/plain', { prompt: 'consent' })
    await page.goto(url)
    await logIn(page)
    await page.waitForSelector('button[name=allow]')
    await page.goBack()
    if (await page.isVisible('input[name=password]')) await logIn(page)
    await page.click('button[name=allow]')
    await arrived(page)
    await page.goBack()
    await page.click('button[name=allow]')
    await arrived(page)
    assert.equal(broker.seen.filter((each) => each.includes('code=')).length, 2)
  })

  test('at 375 pixels a scope value that fits on a line is not broken', async () => {
    const page = await freshPage()
    await page.setViewportSize({ width: 375, height: 700 })
    await page.goto(authorizationUrl('plain', '/plain', { scope: 'profile notes.write', prompt: 'consent' }))
    await logIn(page)
    await page.waitForSelector('.scopes code')
    const lines = 'Array.from(document.querySelectorAll(".scopes code"), (code) => code.offsetHeight)'
    const measured = (await page.evaluate(lines)) as number[]
    assert.ok(
      measured.every((height) => height < 30),
      `one line each, not ${measured}`,
    )
  })
})
