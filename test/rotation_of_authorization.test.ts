// C15 on the authorization side: while the secret is changed in three steps, two nodes at neighbouring steps finish what the
// other has begun: consent forms, codes, pushed requests, and proofs with a nonce. `rotation.test.ts` has tokens and records.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createDpop } from '../lib/dpop/index.ts'
import { createMemoryStores } from '../lib/stores/memory.ts'
import { authorizationApp, pkcePair } from './support/authorization_app.ts'
import { createProver, TOKEN_ENDPOINT } from './support/dpop.ts'

const [OLD, NEW] = ['the old secret of this server, 32 bytes', 'the new secret of this server, 32 bytes']
const STEPS: readonly (readonly string[])[] = [[OLD], [OLD, NEW], [NEW, OLD], [NEW]]
/** The step of the node that begins, and of the one that goes on. */
const PAIRS: readonly (readonly [number, number])[] = [
  [0, 1],
  [1, 0],
  [1, 2],
  [2, 1],
  [2, 3],
  [3, 2],
]
const REDIRECT_URI = 'https://client.example/cb'
const BASIC = `Basic ${Buffer.from(`web:${'x'.repeat(40)}`).toString('base64')}`
const clock = (): number => Math.floor(Date.now() / 1000)

type App = Awaited<ReturnType<typeof authorizationApp>>

describe('the secret is changed in three steps', () => {
  let apps: readonly App[]
  before(async () => {
    const stores = createMemoryStores()
    apps = await Promise.all(STEPS.map((secret) => authorizationApp({ stores, options: { secret }, pushed: {} })))
  })
  after(() => Promise.all(apps.map((app) => app.close())))

  const pairOf = ([one, other]: readonly [number, number]) => {
    const [first, second] = [apps[one], apps[other]]
    assert.ok(first && second)
    return { first, second }
  }
  /** What the form of one node carries. */
  const formOf = async (response: Response): Promise<string> => {
    const text = await response.text()
    assert.equal(response.status, 200, text)
    return (JSON.parse(text) as { transaction_id: string }).transaction_id
  }
  const requestWith = (challenge: string) => ({
    response_type: 'code',
    client_id: 'web',
    redirect_uri: REDIRECT_URI,
    scope: 'read',
    state: 's',
    code_challenge: challenge,
    code_challenge_method: 'S256',
  })
  /** The code that a decision leads to. */
  const codeOf = (response: Response): string => {
    assert.equal(response.status, 303)
    const { searchParams } = new URL(response.headers.get('location') ?? '')
    return searchParams.get('code') ?? assert.fail(String(searchParams))
  }

  for (const [index, pair] of PAIRS.entries()) {
    const name = `begun at [${STEPS[pair[0]]?.map((each) => each.slice(4, 7))}], continued at [${STEPS[pair[1]]?.map((each) => each.slice(4, 7))}]`

    test(`a consent form ${name}, and its code is redeemed at either`, async () => {
      const { first, second } = pairOf(pair)
      for (const [redeemer, user] of [
        [first, `form-a-${index}`],
        [second, `form-b-${index}`],
      ] as const) {
        const { verifier, challenge } = pkcePair()
        const transaction_id = await formOf(await first.authorizeWith(requestWith(challenge), user))
        const code = codeOf(await second.post('/authorize/decision', { transaction_id }, user))
        const proofs = { code, redirect_uri: REDIRECT_URI, code_verifier: verifier }
        assert.ok((await redeemer.redeem('web', { grant_type: 'authorization_code', ...proofs })).access_token)
        const again = await first.post('/authorize/decision', { transaction_id }, user)
        assert.equal(
          new URL(again.headers.get('location') ?? 'https://none.example').searchParams.get('code'),
          null,
          'decided once',
        )
      }
    })

    test(`a pushed request ${name}, decided at the first`, async () => {
      const { first, second } = pairOf(pair)
      const user = `pushed-${index}`
      const { verifier, challenge } = pkcePair()
      const response = await fetch(`${first.base}/par`, {
        method: 'POST',
        headers: { authorization: BASIC },
        body: new URLSearchParams(requestWith(challenge)),
      })
      const { request_uri } = (await response.json()) as { request_uri: string }
      const transaction_id = await formOf(await second.authorizeWith({ client_id: 'web', request_uri }, user))
      const code = codeOf(await first.post('/authorize/decision', { transaction_id }, user))
      const proofs = { code, redirect_uri: REDIRECT_URI, code_verifier: verifier }
      assert.ok((await second.redeem('web', { grant_type: 'authorization_code', ...proofs })).access_token)
    })

    test(`a DPoP nonce ${name}`, async () => {
      const { replayRegister } = createMemoryStores()
      const [maker, reader] = pair.map((step) =>
        createDpop({ tokenEndpoint: TOKEN_ENDPOINT, replayRegister, nonceSecret: STEPS[step] as string[] }),
      )
      const now = clock()
      const proof = await (await createProver(clock)).proof({ claims: { nonce: maker?.getNonce(now) } })
      assert.ok(await reader?.checkProof(proof, { method: 'POST', url: TOKEN_ENDPOINT, now }))
    })
  }

  test('a form of a node two steps away is refused, so the steps cannot be skipped', async () => {
    const { first, second } = pairOf([0, 3])
    const transaction_id = await formOf(await first.authorizeWith(requestWith(pkcePair().challenge), 'skipped'))
    const refused = await second.post('/authorize/decision', { transaction_id }, 'skipped')
    assert.equal(refused.status, 400)
    assert.equal(refused.headers.get('location'), null)
  })
})
