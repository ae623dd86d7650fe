// Builds the documentation site and proves it in Chromium: every link and anchor, the code, the search, phone width,
// dark mode, and that no page asks another host for anything. `npm run check:site [folder for screenshots]`
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { BrowserContext, Page } from 'playwright-core'
import { startChromium } from '../test/support/chromium.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const site = join(root, '.tmp/site')
const screenshots = process.argv[2]

const { status, stdout, stderr } = spawnSync('npm', ['run', '--silent', 'docs:site'], { cwd: root, encoding: 'utf8' })
if (status !== 0) {
  console.error(stdout, stderr)
  process.exit(1)
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
}
const fileOf = (path: string): string | undefined => {
  const wanted = join(site, normalize(decodeURIComponent(path)))
  return [wanted, join(wanted, 'index.html'), `${wanted}.html`].find((name) => existsSync(name) && extname(name) !== '')
}
const server = createServer((request, response) => {
  const file = fileOf(new URL(request.url ?? '/', 'http://site').pathname)
  response.writeHead(file === undefined ? 404 : 200, {
    'Content-Type': TYPES[extname(file ?? '')] ?? 'text/plain',
    // Their names are digests of what is in them: a browser loads each once.
    ...(file?.startsWith(join(site, 'assets/')) && { 'Cache-Control': 'max-age=3600, immutable' }),
  })
  response.end(file === undefined ? 'not found' : readFileSync(file))
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
const browser = await startChromium()

const elsewhere: string[] = []
const complaints: string[] = []
/** A tab whose requests to other hosts and whose errors are noted. */
async function watched(context: BrowserContext): Promise<Page> {
  const page = await context.newPage()
  page.on('request', (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith('data:')) elsewhere.push(request.url())
  })
  page.on('pageerror', (error) => complaints.push(`${page.url()}: ${error.message}`))
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(`${page.url()}: ${message.text()}`)
  })
  return page
}
async function open(path: string, options: Parameters<typeof browser.newContext>[0] = {}): Promise<Page> {
  const page = await watched(await browser.newContext(options))
  await page.goto(origin + path, { waitUntil: 'networkidle' })
  return page
}
const shoot = async (page: Page, name: string): Promise<void> => {
  if (screenshots !== undefined) await page.screenshot({ path: join(screenshots, `${name}.png`) })
}

after(async () => {
  await browser.close()
  server.close()
})

const pages = readdirSync(site, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.html'))

test('every link of every page leads to a page, and to a heading that is there', () => {
  const htmlOf = new Map(pages.map((name) => [join(site, name), readFileSync(join(site, name), 'utf8')]))
  const idsOf = new Map(
    [...htmlOf].map(([file, html]) => [file, new Set([...html.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id))]),
  )
  const dead: string[] = []
  let links = 0
  for (const name of pages)
    for (const [, href = ''] of (htmlOf.get(join(site, name)) ?? '').matchAll(/<a [^>]*?href="([^"]*)"/g)) {
      if (/^[a-z]+:/.test(href)) continue
      links += 1
      const { pathname, hash } = new URL(href.replaceAll('&amp;', '&'), `http://site/${name}`)
      const target = fileOf(pathname)
      const id = decodeURIComponent(hash.slice(1)).replaceAll('&', '&amp;')
      if (target === undefined || (id !== '' && !idsOf.get(target)?.has(id))) dead.push(`${name}: ${href}`)
    }
  assert.deepEqual(dead, [])
  assert.ok(pages.length > 60 && links > 2000, `${pages.length} pages, ${links} links`)
})

test('the start page says what it is, for whom, and shows the code', async () => {
  const page = await open('/')
  const text = await page.locator('.VPContent').innerText()
  assert.match(text, /Passport, oauth2orize and Express/)
  assert.match(text, /npm install passport-client-assertion-jwt/)
  assert.ok((await page.locator('.language-ts code span[style]').count()) > 20, 'the code has colours')
  await shoot(page, 'start')
  await page.getByRole('link', { name: 'Copy a whole token route' }).click()
  await page.waitForURL(/start/)
  assert.match(await page.locator('h1').innerText(), /passport-client-assertion-jwt/)
  await shoot(page, 'readme')
})

test('a code block has a button that copies it', async () => {
  const page = await open('/start.html', { permissions: ['clipboard-read', 'clipboard-write'] })
  await page.locator('.language-sh button.copy').first().click({ force: true })
  const copied = await page.evaluate('navigator.clipboard.readText()')
  assert.match(String(copied), /npm install/)
})

test('the search finds a page by a word in it and opens it', async () => {
  const page = await open('/')
  await page.locator('.VPNavBarSearch button').first().click()
  await page.locator('#localsearch-input').fill('assertion_replayed')
  const first = page.locator('#localsearch-list .result').first()
  await first.waitFor()
  await shoot(page, 'search')
  await first.click()
  await page.waitForURL((url) => url.pathname !== '/')
  await page.locator('main', { hasText: 'assertion_replayed' }).waitFor()
})

test('dark mode has dark pages with readable code', async () => {
  const page = await open('/assertions.html', { colorScheme: 'dark' })
  const darkness = await page.evaluate(
    `[document.body, document.querySelector('main a'), document.querySelector('main div[class*=language-]')].map((each) => getComputedStyle(each)[each === document.body ? 'backgroundColor' : 'color'])`,
  )
  const [background = ''] = darkness as string[]
  assert.ok(
    (background.match(/\d+/g) ?? []).slice(0, 3).every((part) => Number(part) < 64),
    background,
  )
  await shoot(page, 'dark')
})

test('no page is wider than a phone', async () => {
  const phone = { viewport: { width: 375, height: 800 } }
  const page = await open('/security.html', phone)
  const wide: string[] = []
  const visit = async (context: BrowserContext, names: string[]): Promise<void> => {
    const own = await watched(context)
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      await own.goto(`${origin}/${name}`, { waitUntil: 'load' })
      const width = await own.evaluate('document.scrollingElement.scrollWidth')
      if (Number(width) > 375) wide.push(`${name}: ${width}`)
    }
  }
  const visitInTabs = (context: BrowserContext, names: string[]) =>
    Promise.all(Array.from({ length: 3 }, () => visit(context, names)))
  const left = pages.filter((each) => !/^(source|404)/.test(each))
  // The reference is one page a name, all of one kind: their scripts take ten times as long as the pages, and change no width.
  await visitInTabs(
    page.context(),
    left.filter((each) => !each.startsWith('api/')),
  )
  const withoutScripts = await browser.newContext({ ...phone, javaScriptEnabled: false })
  await visitInTabs(
    withoutScripts,
    left.filter((each) => each.startsWith('api/')),
  )
  await shoot(page, 'phone')
  assert.deepEqual(wide, [])
})

test('pages ask no other host for anything, and have no error', () => {
  assert.deepEqual(elsewhere, [])
  assert.deepEqual(complaints, [])
})
