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
import type { Page } from 'playwright-core'
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
  response.writeHead(file === undefined ? 404 : 200, { 'Content-Type': TYPES[extname(file ?? '')] ?? 'text/plain' })
  response.end(file === undefined ? 'not found' : readFileSync(file))
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
const browser = await startChromium()

const elsewhere: string[] = []
const complaints: string[] = []
async function open(path: string, options: Parameters<typeof browser.newContext>[0] = {}): Promise<Page> {
  const page = await (await browser.newContext(options)).newPage()
  page.on('request', (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith('data:')) elsewhere.push(request.url())
  })
  page.on('pageerror', (error) => complaints.push(`${path}: ${error.message}`))
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(`${path}: ${message.text()}`)
  })
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
  const htmlOf = new Map(pages.map((name) => [name, readFileSync(join(site, name), 'utf8')]))
  const dead: string[] = []
  let links = 0
  for (const [name, html] of htmlOf)
    for (const [, href = ''] of html.matchAll(/<a [^>]*?href="([^"]*)"/g)) {
      if (/^[a-z]+:/.test(href)) continue
      links += 1
      const { pathname, hash } = new URL(href.replaceAll('&amp;', '&'), `http://site/${name}`)
      const target = fileOf(pathname)
      const there = target === undefined ? undefined : readFileSync(target, 'utf8')
      const id = decodeURIComponent(hash.slice(1))
      if (there === undefined || (id !== '' && !there.includes(`id="${id.replaceAll('&', '&amp;')}"`)))
        dead.push(`${name}: ${href}`)
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
  await page.locator('#localsearch-input').fill('jti_seen_before')
  const first = page.locator('#localsearch-list .result').first()
  await first.waitFor()
  await shoot(page, 'search')
  await first.click()
  await page.waitForURL((url) => url.pathname !== '/')
  assert.match(await page.locator('main').innerText(), /jti/)
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
  const page = await open('/', { viewport: { width: 375, height: 800 } })
  const wide: string[] = []
  for (const name of pages.filter((each) => !/^(source|404)/.test(each))) {
    await page.goto(`${origin}/${name}`, { waitUntil: 'load' })
    const width = await page.evaluate('document.scrollingElement.scrollWidth')
    if (Number(width) > 375) wide.push(`${name}: ${width}`)
  }
  await page.goto(`${origin}/security.html`, { waitUntil: 'networkidle' })
  await shoot(page, 'phone')
  assert.deepEqual(wide, [])
})

test('pages ask no other host for anything, and have no error', () => {
  assert.deepEqual(elsewhere, [])
  assert.deepEqual(complaints, [])
})
