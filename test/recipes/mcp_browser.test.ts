// The recipe mcp-users in a real browser: the login of the application, the consent page, the way back to the client.
// With SCREENSHOTS set to a folder, the pages are kept there as pictures.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { type Callback, startCallback } from '../support/callback.ts'
import { startChromium } from '../support/chromium.ts'
import { type Connection, connect, createStore, MCP_CLIENTS, type Store } from '../support/mcp_clients.ts'
import {
  ALICE,
  authorizationUrl,
  CLAUDE_CODE,
  type DocumentHost,
  type McpWorld,
  startDocumentHost,
  startMcpWorld,
} from '../support/mcp_world.ts'
import { chromium, without } from '../support/programs.ts'

const SIZES = {
  desktop: { width: 1280, height: 800 },
  phone: { width: 360, height: 740 },
}

for (const [size, viewport] of Object.entries(SIZES))
  describe(`recipe mcp-users in Chromium, ${size}`, { skip: without(chromium) }, () => {
    let browser: Browser
    let documents: DocumentHost
    let world: McpWorld
    let callback: Callback
    before(async () => {
      browser = await startChromium()
      documents = await startDocumentHost()
      world = await startMcpWorld(documents.options, 'localhost')
      callback = await startCallback()
    })
    after(async () => {
      await browser?.close()
      await callback?.close()
      await world?.close()
      await documents?.close()
    })

    const keepPicture = async (page: Page, name: string): Promise<void> => {
      const folder = process.env['SCREENSHOTS']
      if (folder !== undefined) await page.screenshot({ path: join(folder, `${size}-${name}.png`), fullPage: true })
    }

    /** A phone shows a page without a viewport as wide as a desktop's, and tiny. */
    const openPage = (): Promise<Page> => browser.newPage({ viewport, isMobile: size === 'phone' })

    /** No page is wider than the screen, and none is shown smaller than it is. */
    const assertFits = async (page: Page): Promise<void> => {
      const widths = await page.evaluate('[document.documentElement.scrollWidth, window.innerWidth]')
      const [content = 0, shown = 0] = widths as readonly number[]
      assert.ok(content <= viewport.width, `${content} pixels wide`)
      assert.equal(shown, viewport.width)
    }

    const textOf = async (page: Page): Promise<string> => (await page.textContent('body')) ?? ''

    /** Opens the URLs that a client hands to the browser; `answer` is what the person does on the pages. */
    const storeOf = (clientId: string, answer: (page: Page) => Promise<void>): Store =>
      createStore(clientId, callback.url, async (url) => {
        const page = await openPage()
        try {
          await page.goto(url.href)
          await answer(page)
          const arrival = callback.arrivals.at(-1)
          assert.ok(arrival)
          return arrival
        } finally {
          await page.close()
        }
      })

    async function logIn(page: Page): Promise<void> {
      assert.equal(await page.title(), 'Log in')
      await page.fill('input[name=username]', ALICE.username)
      await page.fill('input[name=password]', ALICE.password)
      await page.click('button')
    }

    for (const client of MCP_CLIENTS)
      test(`${client.name}: the user logs in, sees both hosts and the warning, and allows`, async () => {
        const clientId = documents.publish('/claude-code.json', CLAUDE_CODE)
        const store = storeOf(clientId, async (page) => {
          await keepPicture(page, 'login')
          await assertFits(page)
          await logIn(page)
          const text = await textOf(page)
          assert.match(text, /apps\.example/)
          assert.match(text, /127\.0\.0\.1/)
          assert.match(text, /program on your own computer/)
          assert.match(text, /calls itself “Claude Code”/)
          assert.match(text, /Read your notes/)
          assert.doesNotMatch(text, /Add notes/)
          await keepPicture(page, 'consent-loopback')
          await assertFits(page)
          await page.click('button[name=allow]')
          assert.equal(await page.title(), 'Back at the app')
        })
        const connection: Connection = await connect(client, world.resource, store)
        assert.match(await connection.call('list_notes'), /caterpillar/)
        await connection.close()
      })

    test('a client on the web: both hosts and no warning; a name full of HTML is text', async () => {
      const clientId = documents.publish('/web.json', {
        client_name: `<img src=x onerror=alert(1)> & ${'Co'.repeat(45)}`,
        redirect_uris: ['https://assistant.example/oauth/callback'],
        token_endpoint_auth_method: 'none',
      })
      const url = authorizationUrl(world, {
        client_id: clientId,
        redirect_uri: 'https://assistant.example/oauth/callback',
        scope: 'notes.read notes.write',
      })
      const page = await openPage()
      await page.goto(url)
      await logIn(page)
      const text = await textOf(page)
      assert.match(text, /apps\.example/)
      assert.match(text, /assistant\.example/)
      assert.ok(text.includes(`<img src=x onerror=alert(1)> & ${'Co'.repeat(45)}`))
      assert.doesNotMatch(text, /your own computer/)
      assert.equal(await page.locator('img').count(), 0)
      await keepPicture(page, 'consent-web')
      await assertFits(page)
      await page.close()
    })

    test('the page for a client without a document, or with one that is refused, says so and fits the screen', async () => {
      const refused = documents.publish('/secret.json', { ...CLAUDE_CODE, client_secret: 'x' })
      const page = await openPage()
      for (const [client_id, sentence] of [
        [refused.replace('secret', 'missing'), 'There is no metadata document at the client_id of the application.'],
        [refused, 'The metadata document of the application is not accepted here.'],
      ] as const) {
        const query = new URLSearchParams({ response_type: 'code', client_id })
        const response = await page.goto(`${world.issuer}/authorize?${query}`)
        assert.equal(response?.status(), 400)
        assert.ok((await textOf(page)).includes(sentence))
        await keepPicture(page, 'refused')
        await assertFits(page)
      }
      await page.close()
    })

    test('a user who cancels sends the client back with access_denied', async () => {
      const clientId = documents.publish('/claude-code.json', CLAUDE_CODE)
      const store = storeOf(clientId, async (page) => {
        await logIn(page)
        await page.click('button[name=cancel]')
        assert.equal(await page.title(), 'Back at the app')
      })
      const [client] = MCP_CLIENTS
      assert.ok(client)
      await assert.rejects(connect(client, world.resource, store))
      assert.equal(store.store.response.get('error'), 'access_denied')
      assert.equal(store.store.response.get('code'), null)
    })
  })
