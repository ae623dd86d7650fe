import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuthorizationCode } from '../../lib/code/code_record.ts'
import type { CodeStore } from '../../lib/code/code_store.ts'
import { createCodes } from '../../lib/code/codes.ts'
import { createIntrospection } from '../../lib/endpoints/introspection.ts'
import { OAuthError } from '../../lib/errors.ts'
import { authorizationCode } from '../../lib/exchanges/authorization_code.ts'
import type { TokenResponse } from '../../lib/exchanges/exchange.ts'
import { refreshToken } from '../../lib/exchanges/refresh_token.ts'
import { createSessions } from '../../lib/session/sessions.ts'
import { createMemorySessionStore } from '../../lib/stores/memory.ts'
import { createTokens } from '../../lib/token/token_set.ts'
import { pkcePair } from '../support/authorization_app.ts'
import { everySchedule } from '../support/schedules.ts'

// D4: a code is redeemed and presented again, while store calls fail before or after they took effect, or take effect late.

const NOW = 1_800_000_000
const ISSUER = 'https://as.example'
const app = {
  client_id: 'app',
  client_secret: 'x'.repeat(40),
  grant_types: ['authorization_code', 'refresh_token'],
  scope: 'read',
}
const tokens = createTokens({ issuer: ISSUER, baseSecret: 'b'.repeat(32), accessTokenAlgorithm: 'HS256' })
const { verifier, challenge } = pkcePair()
const clock = () => NOW

/** As the store of a database: every verb is atomic. (The memory store takes its time to spend, on purpose.) */
function plainCodeStore(): CodeStore {
  const codes = new Map<string, AuthorizationCode>()
  return {
    async add(code) {
      codes.set(code.id, code)
      return 'added'
    },
    find: async (id) => codes.get(id),
    countFailure: async () => 0,
    async spend(id) {
      const code = codes.get(id)
      if (code === undefined) return 'unknown'
      if (code.spent) return 'already_spent'
      codes.set(id, { ...code, spent: true })
      return 'spent'
    },
  }
}

type Call = (act: () => Promise<unknown>) => Promise<unknown>

/** Both stores as one object, each of whose calls goes through `call`. */
function stores(call: Call) {
  const [codes, sessions] = [plainCodeStore(), createMemorySessionStore({ clock })]
  const wrapped = <Store extends object>(store: Store): Store =>
    Object.fromEntries(
      Object.entries(store).map(([name, verb]) => [
        name,
        (...given: unknown[]) => call(() => (verb as (...all: unknown[]) => Promise<unknown>)(...given)),
      ]),
    ) as Store
  return { codes, sessions, all: wrapped({ ...codes, ...sessions }) }
}
type All = CodeStore & ReturnType<typeof createMemorySessionStore>

const redeemWith = (store: All, code: string): Promise<TokenResponse> =>
  authorizationCode({ codes: store, sessions: createSessions({ store, clock }), tokens }).run({
    client: app,
    parameters: { code, code_verifier: verifier },
    now: NOW,
    context: {},
  })

const issueIn = (store: CodeStore): Promise<string> =>
  createCodes({ store, issuer: ISSUER }).issue(
    {
      subject: 'alice',
      clientId: 'app',
      scope: 'read',
      redirectUri: 'https://app.example',
      redirectUriWasSent: true,
      codeChallenge: challenge,
    },
    NOW,
  )

type Result = { readonly issued: TokenResponse } | 'refused' | 'fault'
const resultOf = (error: unknown): Result => {
  assert.ok(error instanceof OAuthError, String(error))
  if (error.status === 503) return 'fault'
  assert.equal(error.code, 'invalid_grant')
  return 'refused'
}
const redeemed = (store: All, code: string): Promise<Result> =>
  redeemWith(store, code).then((issued) => ({ issued }), resultOf)

/** Neither token works: the one introspects as inactive, the other is refused. */
async function isDead(
  store: ReturnType<typeof createMemorySessionStore>,
  issued: TokenResponse,
  message: string,
): Promise<void> {
  const sessions = createSessions({ store, clock })
  const introspect = createIntrospection({ sessions, tokens, mayAsk: () => true })
  const ask = { client: app, now: NOW, context: {} }
  for (const token of [issued.access_token, issued.refresh_token ?? ''])
    assert.equal((await introspect({ ...ask, parameters: { token } })).active, false, message)
  const parameters = { refresh_token: issued.refresh_token ?? '' }
  await assert.rejects(
    refreshToken({ sessions, tokens }).run({ ...ask, parameters }),
    { code: 'invalid_grant' },
    message,
  )
}

const FAULTS = ['none', 'before', 'after', 'late'] as const

test('D4: three redemptions one after the other, up to three faults: after an acknowledged replay no token works', async () => {
  let [runs, replays] = [0, 0]
  let choices: { readonly of: number; taken: number }[] = []
  for (;;) {
    let [step, faults] = [0, 0]
    let story = ''
    const late: (() => Promise<unknown>)[] = []
    const choose = (of: number): number => {
      const choice = choices[step] ?? { of, taken: 0 }
      choices[step] = choice
      step += 1
      return choice.taken
    }
    const settle = async () => {
      for (const act of late.splice(0)) await act()
    }
    const { codes, sessions, all } = stores(async (act) => {
      if (late.length > 0 && choose(2) === 1) {
        story += ' (late effect)'
        await settle()
      }
      const fault = FAULTS[faults < 3 ? choose(FAULTS.length) : 0] ?? 'none'
      story += ` ${fault}`
      if (fault === 'none') return act()
      faults += 1
      if (fault === 'after') await act()
      if (fault === 'late') late.push(act)
      throw new Error('the connection was cut')
    })
    const code = await issueIn(codes)
    const results: Result[] = []
    for (let request = 0; request < 3; request += 1) {
      story += ' |'
      const result = await redeemed(all, code)
      results.push(result)
      story += ` ${typeof result === 'string' ? result : 'tokens'}`
      const issued = results.slice(0, -1).flatMap((each) => (typeof each === 'string' ? [] : [each.issued]))
      assert.ok(issued.length + (typeof result === 'string' ? 0 : 1) <= 1, `two were answered with tokens:${story}`)
      if (result === 'refused') for (const each of issued) await isDead(sessions, each, story)
    }
    await settle()
    const at = results.findIndex((each) => typeof each !== 'string')
    const winner = results[at]
    if (winner !== undefined && typeof winner !== 'string' && results.slice(at + 1).includes('refused')) {
      replays += 1
      await isDead(sessions, winner.issued, `after all late effects:${story}`)
    }
    runs += 1
    choices = choices.slice(0, step)
    while (choices.length > 0) {
      const last = choices[choices.length - 1]
      if (last !== undefined && last.taken + 1 < last.of) {
        last.taken += 1
        break
      }
      choices = choices.slice(0, -1)
    }
    if (choices.length === 0) break
  }
  assert.ok(runs > 1000 && replays > 30, `${runs} runs, ${replays} with a replay`)
})

test('D4: two redemptions at once in every interleaving, one call of them faulty, then a replay: no token works', async () => {
  let replays = 0
  for (const fault of FAULTS) {
    for (let faulty = 0; faulty < (fault === 'none' ? 1 : 6); faulty += 1) {
      for (const settlesLater of fault === 'late' ? [false, true] : [false]) {
        let world: {
          sessions: ReturnType<typeof createMemorySessionStore>
          plain: All
          code: string
          late: (() => Promise<unknown>)[]
        }
        await everySchedule<All, Result>(
          async () => {
            let calls = 0
            const late: (() => Promise<unknown>)[] = []
            const { codes, sessions, all } = stores(async (act) => {
              calls += 1
              if (fault === 'none' || calls - 1 !== faulty) return act()
              if (fault === 'after') await act()
              if (fault === 'late') late.push(act)
              throw new Error('the connection was cut')
            })
            const code = await issueIn(codes)
            world = { sessions, plain: { ...codes, ...sessions }, code, late }
            const node = (store: All) => redeemed(store, code)
            return { store: all as All, nodes: [node, node] }
          },
          async (outcomes, _store, schedule) => {
            const { sessions, plain, code, late } = world
            const settle = async () => {
              for (const act of late.splice(0)) await act()
            }
            if (!settlesLater) await settle()
            const results = outcomes.map((outcome) =>
              'value' in outcome ? outcome.value : assert.fail(String(outcome.error)),
            )
            const issued = results.flatMap((each) => (typeof each === 'string' ? [] : [each.issued]))
            assert.ok(issued.length <= 1)
            const replay = await redeemed(plain, code)
            await settle()
            if (replay !== 'refused') return
            replays += 1
            for (const each of issued) await isDead(sessions, each, `${fault} ${faulty} ${schedule}`)
          },
        )
      }
    }
  }
  assert.ok(replays > 100, `${replays} replays`)
})
