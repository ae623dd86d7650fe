import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createLoginLimit } from '../../examples/login_limit.ts'
import { type RunningExample, startExample } from '../support/example.ts'
import { ALICE, BOB, USERS } from '../support/example_clients.ts'
import { createFormBrowser, type Visit } from '../support/form_browser.ts'

describe('failed logins over HTTP', () => {
  let example: RunningExample
  before(async () => {
    const unicode = { sub: 'u3', username: 'zoë', password: 'Ünïcode', name: 'Zoë' }
    example = await startExample({ users: [...USERS, unicode], clients: [] })
  })
  after(() => example?.stop())

  const attempt = async (username: string, password: string): Promise<Visit> => {
    const browser = createFormBrowser(example.url)
    return browser.submit(await browser.visit(`${example.url}/login`), '/login', { username, password })
  }
  const isLoggedIn = ({ text }: Visit): boolean => /Hello /.test(text)

  test('after ten failures an account is refused with 429, Retry-After and a page, also with the right password', async () => {
    for (let failure = 1; failure <= 10; failure += 1) {
      const page = await attempt('alice', `guess ${failure}`)
      assert.equal(page.status, 200, `failure ${failure}`)
      assert.match(page.text, /role="alert">The user name or the password is wrong/)
    }
    for (const password of ['guess 11', ALICE.password]) {
      const page = await attempt('alice', password)
      assert.equal(page.status, 429)
      const seconds = Number(page.headers.get('Retry-After'))
      assert.ok(seconds > 20 && seconds <= 30, `${seconds} s`)
      assert.match(page.text, /Too many failed logins\. Wait \d+ seconds, then try again\./)
      assert.ok(page.forms.some(({ fields }) => fields['username'] === 'alice' && 'password' in fields))
    }
    assert.ok(isLoggedIn(await attempt(BOB.username, BOB.password)), 'another account is not concerned')
  })

  test('an account that does not exist is refused in the same way', async () => {
    const statuses = new Set<number>()
    for (let failure = 1; failure <= 10; failure += 1) statuses.add((await attempt('nobody', 'x')).status)
    assert.deepEqual([...statuses], [200])
    assert.equal((await attempt('nobody', 'x')).status, 429)
  })

  test('guesses that are sent at once are counted before they are checked', async () => {
    const pages = await Promise.all(Array.from({ length: 40 }, (_, at) => attempt('zoë', `guess ${at}`)))
    assert.equal(pages.filter(({ status }) => status === 200).length, 10)
    assert.equal(pages.filter(({ status }) => status === 429).length, 30)
  })

  test('successful logins are never limited, and forget the failures before them', async () => {
    for (let round = 0; round < 3; round += 1) {
      for (let failure = 0; failure < 6; failure += 1) await attempt(BOB.username, 'wrong')
      assert.ok(isLoggedIn(await attempt(BOB.username, BOB.password)), `round ${round}`)
    }
    const pages = await Promise.all(Array.from({ length: 60 }, () => attempt(BOB.username, BOB.password)))
    assert.ok(pages.every(isLoggedIn))
  })

  test('a header that says where a request comes from is not believed', async () => {
    for (let failure = 0; failure < 12; failure += 1) {
      const browser = createFormBrowser(example.url)
      const form = (await browser.visit(`${example.url}/login`)).forms[0]
      const { status } = await browser.visit(`${example.url}/login`, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/x-www-form-urlencoded',
          ...{ 'X-Forwarded-For': `192.0.2.${failure}`, Forwarded: `for=192.0.2.${failure}` },
        },
        body: new URLSearchParams({ ...form?.fields, username: 'carol', password: 'x' }).toString(),
      })
      assert.equal(status, failure < 10 ? 200 : 429)
    }
  })
})

describe('the limit', () => {
  const fail = async (limit: ReturnType<typeof createLoginLimit>, count: number): Promise<number[]> => {
    const answers: number[] = []
    for (let at = 0; at < count; at += 1) answers.push(await limit.attempt('alice', '192.0.2.1'))
    return answers
  }

  test('failures are forgotten after a minute', async (t) => {
    t.mock.timers.enable({ apis: ['Date', 'setTimeout'] })
    const limit = createLoginLimit()
    assert.ok((await fail(limit, 10)).every((seconds) => seconds === 0))
    t.mock.timers.tick(61_000)
    assert.ok((await fail(limit, 10)).every((seconds) => seconds === 0))
  })

  test('each pause is twice as long as the one before, up to 15 minutes, and attempts do not prolong it', async (t) => {
    t.mock.timers.enable({ apis: ['Date', 'setTimeout'] })
    const limit = createLoginLimit()
    for (const pause of [30, 60, 120, 240, 480, 900, 900]) {
      assert.ok(
        (await fail(limit, 10)).every((seconds) => seconds === 0),
        `before ${pause}`,
      )
      assert.deepEqual(await fail(limit, 2), [pause, pause])
      t.mock.timers.tick(1000 * (pause - 10))
      assert.deepEqual(await fail(limit, 1), [10])
      t.mock.timers.tick(10_000)
    }
  })

  test('another account and another address are counted apart', async () => {
    const limit = createLoginLimit()
    await fail(limit, 11)
    assert.equal(await limit.attempt('alice', '192.0.2.2'), 0)
    assert.equal(await limit.attempt('bob', '192.0.2.1'), 0)
    assert.ok((await limit.attempt('alice', '192.0.2.1')) > 0)
  })
})
