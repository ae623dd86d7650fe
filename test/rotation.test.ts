import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, test } from 'node:test'
import { createClient } from 'redis'
import { refreshToken } from '../lib/exchanges/refresh_token.ts'
import { createSessions } from '../lib/session/sessions.ts'
import { createMemoryStores } from '../lib/stores/memory.ts'
import { createRedisStores } from '../lib/stores/redis.ts'
import { createKeyset } from '../lib/token/keyset.ts'
import { createTokens, type TokensOptions } from '../lib/token/token_set.ts'
import { redisServer, without } from './support/programs.ts'
import { newCode, newSession } from './support/records.ts'
import { startRedis } from './support/redis_server.ts'

// J7: three steps, each on all nodes before the next. Two nodes are at most one step apart, and each accepts all the other makes.

const [OLD, NEW] = ['the old secret of this server, 32 bytes', 'the new secret of this server, 32 bytes']
const STEPS = [[OLD], [OLD, NEW], [NEW, OLD], [NEW]] as const
const NEIGHBOURS = [
  [0, 1],
  [1, 2],
  [2, 3],
] as const
const NOW = 1_800_000_000
const app = { client_id: 'app', scope: 'read', grant_types: ['refresh_token'] }

const pem = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'pem', type: 'pkcs8' })
const keys: Readonly<Record<string, string>> = { [OLD]: String(pem()), [NEW]: String(pem()) }
const keysetOf = (step: readonly string[]) => createKeyset(step.map((name) => ({ key: keys[name] ?? '' })))

const KINDS: Readonly<Record<string, (step: readonly string[]) => Partial<TokensOptions>>> = {
  'baseSecret, JWT access tokens': (step) => ({ baseSecret: step }),
  'baseSecret, opaque access tokens': (step) => ({ baseSecret: step, accessTokenFormat: 'opaque' }),
  'keysets of the application': (step) => ({ keyset: keysetOf(step) }),
}

for (const [kind, optionsOf] of Object.entries(KINDS)) {
  test(`J7: ${kind}: each node accepts what its neighbour makes, at every step`, async () => {
    const { sessionStore: store } = createMemoryStores({ clock: () => NOW })
    const nodes = STEPS.map((step) => {
      const sessions = createSessions({ store, clock: () => NOW })
      const tokens = createTokens({ issuer: 'https://as.example', ...optionsOf(step) })
      return { sessions, tokens, exchange: refreshToken({ sessions, tokens }) }
    })
    for (const pair of NEIGHBOURS) {
      for (const [maker, reader] of [pair, [...pair].reverse()] as [number, number][]) {
        const [made, read] = [nodes[maker], nodes[reader]]
        assert.ok(made && read)
        const session = await made.sessions.open({ subject: 'alice', clientId: 'app', scope: 'read' })
        assert.ok(session)
        const issue = { client: app, scope: 'read', generation: 1, now: NOW, context: {} }
        const { access_token, refresh_token = '' } = await made.tokens.issue(session, issue)
        const message = `made at step ${maker}, read at step ${reader}`
        assert.ok(await read.tokens.verifyAccessToken(access_token, NOW), message)
        const asked = { client: app, parameters: { refresh_token }, now: NOW, context: {} }
        const answer = await read.exchange.run(asked)
        assert.ok(await made.tokens.verifyAccessToken(answer.access_token, NOW), message)
        assert.ok(await made.exchange.run({ ...asked, parameters: { refresh_token: answer.refresh_token ?? '' } }))
      }
    }
  })
}

test('J7: the first key signs: at step [old, new] still the old one, and both are published', async () => {
  const sign = async (step: readonly string[]) => {
    const tokens = createTokens({ issuer: 'https://as.example', baseSecret: step })
    const { access_token } = await tokens.issueForClient(app, { scope: '', now: NOW, context: {} })
    const { kid } = JSON.parse(Buffer.from(access_token.split('.')[0] ?? '', 'base64url').toString())
    return { kid, published: tokens.jwks().keys.map((key) => key['kid']) }
  }
  const [before, first, second] = [await sign([OLD]), await sign([OLD, NEW]), await sign([NEW, OLD])]
  assert.equal(first.kid, before.kid)
  assert.notEqual(second.kid, before.kid)
  assert.ok(first.published.includes(second.kid), 'published before it signs')
})

describe('J7: signingKeys of the Redis stores', { skip: without(redisServer) }, () => {
  test('each node reads and saves the records of its neighbour, at every step', async () => {
    const server = await startRedis()
    const client = createClient({ url: server.url })
    await client.connect()
    try {
      const nodes = STEPS.map((signingKeys) =>
        createRedisStores({ command: (args) => client.sendCommand(args), signingKeys }),
      )
      for (const pair of NEIGHBOURS) {
        for (const [maker, reader] of [pair, [...pair].reverse()] as [number, number][]) {
          const [made, read] = [nodes[maker], nodes[reader]]
          assert.ok(made && read)
          const [session, code] = [newSession(), newCode()]
          await made.sessionStore.create(session)
          await made.codeStore.add(code)
          assert.ok(await read.codeStore.find(code.id))
          const found = await read.sessionStore.get(session.id)
          assert.ok(found, `made at step ${maker}, read at step ${reader}`)
          assert.equal(await read.sessionStore.save({ ...found, newest: 2 }), 'saved')
          assert.equal((await made.sessionStore.get(session.id))?.newest, 2)
        }
      }
    } finally {
      client.destroy()
      await server.stop()
    }
  })
})
