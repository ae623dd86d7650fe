// What docs/operating.md says, run.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import express, { type RequestHandler } from 'express'
import { createTokenEndpoint, createTokens, onEvent, REASONS, readFormBody, respondWithError } from '../../lib/index.ts'
import { ASSERTION_TYPE } from '../support/assertions.ts'
import { loadProgram } from '../support/page_programs.ts'
import { rowsOf } from '../support/page_tables.ts'
import { newSession } from '../support/records.ts'
import { basicHeader, listen, post } from '../support/token_route.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const PAGE = 'docs/operating.md'
const page = readFileSync(join(root, PAGE), 'utf8')

describe('docs/operating.md', () => {
  test('its alarms name events and reasons that exist', () => {
    const alarms = page.slice(page.indexOf('\n## Alarms'), page.indexOf('\n## Rate limits'))
    const events = rowsOf(join(root, PAGE), 'Alarms').map((row) => row.replaceAll('`', ''))
    assert.ok(events.length >= 15)
    for (const event of events) onEvent(event as never, () => undefined)()
    const reasons = [...alarms.matchAll(/`([a-z]+(?:_[a-z]+)+)`/g)].map(([, name = '']) => name)
    const settings = new Set(['jwks_uri'])
    for (const reason of reasons.filter((name) => !settings.has(name)))
      assert.ok((REASONS as readonly string[]).includes(reason), reason)
  })

  test('its counters and log lines cover every event but those that say how a session was chosen', () => {
    const listened = new Set([...page.matchAll(/onEvent\('([\w.]+)'/g)].map(([, name]) => name))
    const declared = [...readFileSync(join(root, 'lib/events.ts'), 'utf8').matchAll(/^ {2}'([\w.]+)': /gm)].map(
      ([, name]) => name,
    )
    assert.deepEqual(
      declared.filter((name) => !listened.has(name)),
      [],
    )
  })

  test('the limit for /token is by claimed client and address, before the client is looked up', async () => {
    const { limit } = (await loadProgram(root, PAGE, 'perAddress')) as { limit: RequestHandler }
    let looked = 0
    const findClient = () => {
      looked += 1
      return undefined
    }
    const app = express()
    app.use('/token', readFormBody(), limit, createTokenEndpoint({ findClient, exchanges: [] }), respondWithError())
    const route = await listen(createServer(app))
    const payload = Buffer.from(JSON.stringify({ sub: 'signer' })).toString('base64url')
    const signed = { client_assertion_type: ASSERTION_TYPE, client_assertion: `e30.${payload}.e30` }
    try {
      for (const [form, headers] of [
        [{ client_id: 'body', client_secret: 'x' }, {}],
        [{}, { Authorization: basicHeader('basic', 'x') }],
        [signed, {}],
      ] as const) {
        // at once, so that a slow machine does not spread them over more than a second
        const answers = await Promise.all(
          Array.from({ length: 25 }, () => post(route.url, form as Record<string, string>, headers)),
        )
        const limited = answers.filter(({ status }) => status === 429)
        assert.ok(limited.length >= 1 && limited.length <= 5, `${limited.length} of 25 were limited`)
        assert.equal(limited[0]?.headers.get('retry-after'), '1')
        assert.equal(limited[0]?.json.error, 'temporarily_unavailable')
      }
      assert.ok(looked > 0 && looked <= 66, `${looked} look-ups`)
      assert.notEqual((await post(route.url, { client_id: 'another', client_secret: 'x' })).status, 429)
    } finally {
      await route.close()
    }
  })

  test('J7: with the three steps of the page every process accepts what a process one step before or after it issued', async () => {
    const secret = { old: 'o'.repeat(43), new: 'n'.repeat(43) }
    const rows = rowsOf(join(root, PAGE), 'Rotating keys and secrets')
    assert.deepEqual(rows.slice(0, 3), ['1', '2', '3'])
    const steps = [...page.matchAll(/^\| \d \| `\[(.*?)\]`/gm)].map(([, names = '']) => names.split(', '))
    assert.deepEqual(steps, [['old', 'new'], ['new', 'old'], ['new']])
    const issuer = 'https://as.example.com'
    const processes = [['old'], ...steps].map((names) =>
      createTokens({ issuer, baseSecret: names.map((name) => secret[name as 'old' | 'new']) }),
    )
    const now = Math.floor(Date.now() / 1000)
    const client = { client_id: 'client-of-usual-length', grant_types: ['refresh_token'] }
    const issue = (at: (typeof processes)[number]) =>
      at.issue(newSession(), { client, scope: 'email', generation: 1, now, context: {} })
    for (const [index, process] of processes.entries()) {
      const next = processes[index + 1]
      if (next === undefined) continue
      const [ofThis, ofNext] = [await issue(process), await issue(next)]
      // From step 2 to step 3 only what the new secret signed is still good, after the wait.
      const accepted = index === 0 || index === 1 ? [ofThis, ofNext] : [await issue(process), ofNext]
      for (const [at, tokens] of [
        [next, accepted[0]],
        [process, accepted[1]],
      ] as const) {
        assert.ok(await at.readRefreshToken(tokens?.refresh_token ?? ''), `a refresh token, step ${index}`)
        assert.ok(await at.verifyAccessToken(tokens?.access_token ?? '', now), `an access token, step ${index}`)
      }
    }
    // The shortcut that scaling.md used to name: a process with the new secret first, beside one that does not know it.
    const [before, , swapped] = processes
    const early = await issue(swapped ?? assert.fail())
    assert.equal(await before?.readRefreshToken(early.refresh_token ?? ''), undefined)
  })
})
