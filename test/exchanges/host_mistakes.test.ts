import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCodes } from '../../lib/code/codes.ts'
import { createSessions } from '../../lib/session/sessions.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { createTokens } from '../../lib/token/token_set.ts'

// Whatever a store or hook of the application returns, it is never the client's mistake.

const NOW = 1_800_000_000
const client = { client_id: 'app', client_secret: 'x'.repeat(40) }
const permission = { subject: 'alice', clientId: 'app', scope: '' }
const WRONG = [undefined, null, true, 1, '', 'yes', {}, []] as never[]

test('a store verb that returns the wrong thing is a 503, never an invalid_grant', async () => {
  for (const wrong of WRONG) {
    const { codeStore, sessionStore } = createMemoryStores({ clock: () => NOW })
    const code = await createCodes({ store: codeStore }).issue(
      { ...permission, redirectUri: 'https://app.example', redirectUriWasSent: false, codeChallenge: undefined },
      NOW,
    )
    const codes = createCodes({ store: { ...codeStore, spend: async () => wrong } })
    const presented = { client, redirectUri: undefined, codeVerifier: undefined }
    await assert.rejects(codes.redeem(code, presented, { now: NOW }), { status: 503 }, String(wrong))

    const session = await createSessions({ store: sessionStore, clock: () => NOW }).open(permission)
    const creates = createSessions({ store: { ...sessionStore, create: async () => wrong }, clock: () => NOW })
    await assert.rejects(creates.open(permission), { status: 503 }, String(wrong))
    const saves = createSessions({ store: { ...sessionStore, save: async () => wrong }, clock: () => NOW })
    const refresh = saves.refresh({ sessionId: session?.id ?? '', generation: 1 }, { client, now: NOW + 100 })
    await assert.rejects(refresh, { status: 503 }, String(wrong))
    if (wrong === undefined || wrong === null) continue
    const gets = createSessions({ store: { ...sessionStore, get: async () => wrong }, clock: () => NOW })
    await assert.rejects(gets.get('s'), { status: 503 }, String(wrong))
    if (Array.isArray(wrong)) continue
    const lists = createSessions({ store: { ...sessionStore, list: async () => wrong }, clock: () => NOW })
    await assert.rejects(lists.list('alice', 'oauth2'), { status: 503 }, String(wrong))
  }
})

test('a claims hook that returns something that is no object is named as misconfigured', async () => {
  for (const wrong of ['admin', 7, true, ['a']] as never[]) {
    for (const claims of [() => wrong, async () => wrong]) {
      const tokens = createTokens({ issuer: 'https://as.example', baseSecret: 'b'.repeat(32), claims })
      const issue = tokens.issueForClient(client, { scope: '', now: NOW, context: {} })
      await assert.rejects(issue, { status: 500, reason: 'misconfigured', detail: /'claims'/ })
    }
  }
})
