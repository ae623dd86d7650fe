import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { createRevocationEndpoint, createSessions, createTokenEndpoint, createTokens } from '../../lib/index.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { applicationPassport, basicHeader, echo, listen, post, SECRET } from '../support/token_route.ts'

const BASIC = { Authorization: basicHeader('any', SECRET) }
const tokens = createTokens({ issuer: 'https://as.example', baseSecret: 'x'.repeat(64) })
const sessions = createSessions({ store: createMemoryStores().sessionStore })
const FORM = { grant_type: 'echo', token: 'unknown' }

// A file of its own: a process warns once of each kind.
test('a fault that nobody listens for is warned of once for each kind', async () => {
  const warned: string[] = []
  const onWarning = (warning: Error & { code?: string }): void => {
    if (warning.code === 'CLIENT_ASSERTION_JWT_FAULT') warned.push(warning.message)
  }
  process.on('warning', onWarning)
  const passport = applicationPassport()
  const failing = async () => {
    throw new Error('connect ECONNREFUSED 10.9.8.7')
  }
  for (const endpoint of [
    createTokenEndpoint({ exchanges: [echo], passport, strategies: { basic: 'no-such-strategy' } }),
    createRevocationEndpoint({ findClient: failing, sessions, tokens }),
  ]) {
    const route = await listen(createServer(endpoint))
    for (let times = 0; times < 3; times += 1) assert.ok((await post(route.url, FORM, BASIC)).status >= 500)
    await route.close()
  }
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', onWarning)
  assert.equal(warned.length, 2, warned.join(' '))
  assert.match(warned[0] ?? '', /no-such-strategy/)
  assert.match(warned[1] ?? '', /10\.9\.8\.7/)
})
