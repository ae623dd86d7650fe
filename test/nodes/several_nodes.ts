import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openStores, type Stores } from '../../examples/stores.ts'
import { codeChallengeOf } from '../../lib/code/code_challenge.ts'
import { createCodes } from '../../lib/code/codes.ts'
import { createConsents } from '../../lib/consent/consents.ts'
import {
  type Answer,
  assertionForm,
  BASE_SECRET,
  inParallel,
  type Nodes,
  REDIRECT_URI,
  startNodes,
} from '../support/nodes.ts'
import type { RunningProcess } from '../support/processes.ts'
import { eventually } from '../support/temporary.ts'

const NODES = 4
const CODES = 1000
const ASSERTIONS = 1000
const CHAINS = 500

const VERIFIER = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'

/** A store server that can be killed, started again, stopped and continued. */
export interface StoreServer {
  readonly url: string
  process(): RunningProcess
  restart(): Promise<void>
  stop(): Promise<void>
}

const nodesOf = Array.from({ length: NODES }, (_, node) => node)
const isServerError = ({ status }: Answer) => status >= 500
const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/**
 * Holds several processes of the example on one store to what one process promises: under load, and while parts of it
 * are killed and stopped.
 */
export function severalNodes(name: string, skip: string | false, startStore: () => Promise<StoreServer>): void {
  describe(`four processes on one ${name}`, { skip }, () => {
    let server: StoreServer
    let stores: Stores
    let nodes: Nodes
    before(async () => {
      server = await startStore()
      stores = await openStores(server.url, Buffer.from(BASE_SECRET))
      nodes = await startNodes(NODES, server.url)
    })
    after(async () => {
      await nodes?.stop()
      await stores?.close()
      await server?.stop()
    })

    /** Codes as the authorization endpoint issues them, put into the store that the nodes share. */
    const issueCodes = async (count: number): Promise<string[]> => {
      const codes = createCodes({ store: stores.codeStore, codeLifetimeSeconds: 600 })
      const consents = createConsents({ store: stores.sessionStore })
      for (let user = 0; user < 20; user += 1)
        await consents.remember({ subject: `user-${user}`, clientId: 'app', scope: 'profile' })
      const issued: string[] = []
      await inParallel(Array.from({ length: count }), 16, async (_, at) => {
        const permission = {
          subject: `user-${at % 20}`,
          clientId: 'app',
          scope: 'profile',
          redirectUri: REDIRECT_URI,
          redirectUriWasSent: true,
          codeChallenge: codeChallengeOf(VERIFIER),
        }
        issued[at] = await codes.issue(permission, Math.floor(Date.now() / 1000))
      })
      return issued
    }
    const redeem = (node: number, code: string) =>
      nodes.post(node, '/token', {
        grant_type: 'authorization_code',
        code,
        redirect_uri: REDIRECT_URI,
        code_verifier: VERIFIER,
      })
    const refresh = (node: number, token: string) =>
      nodes.post(node, '/token', { grant_type: 'refresh_token', refresh_token: token })
    const refreshTokenOf = ({ body }: Answer): string => String(body['refresh_token'])
    /** Asks again while there is no answer, or 503: connections are being made again. */
    const answered = (ask: () => Promise<Answer>): Promise<Answer> =>
      eventually('an answer', async () => {
        const answer = await ask()
        return answer.status !== 0 && answer.status !== 503 && answer
      })
    const anyNode = () => Math.floor(Math.random() * NODES)

    test(`${CODES} codes, each redeemed at all nodes at once`, async (t) => {
      const codes = await issueCodes(CODES)
      const winners: number[] = []
      let faults = 0
      const alive: string[] = []
      const started = performance.now()
      await inParallel(codes, 12, async (code) => {
        const answers = await Promise.all(nodesOf.map((node) => redeem(node, code)))
        winners.push(answers.filter(({ status }) => status === 200).length)
        faults += answers.filter(isServerError).length
        for (const answer of answers) {
          if (answer.status === 200) alive.push(refreshTokenOf(answer))
          else assert.equal(answer.body['error'], 'invalid_grant')
        }
      })
      const seconds = (performance.now() - started) / 1000
      const count = (number: number) => winners.filter((each) => each === number).length
      t.diagnostic(
        `${name}: ${CODES} codes x ${NODES}: one winner ${count(1)}, none ${count(0)}, 5xx ${faults}, ${seconds.toFixed(1)} s`,
      )
      assert.equal(faults, 0)
      assert.equal(count(1), CODES)
    })

    test(`${ASSERTIONS} assertions, each presented to all nodes at once`, async (t) => {
      let [single, faults] = [0, 0]
      const started = performance.now()
      await inParallel(Array.from({ length: ASSERTIONS }, assertionForm), 12, async (form) => {
        const answers = await Promise.all(nodesOf.map((node) => nodes.post(node, '/token', form)))
        const accepted = answers.filter(({ status }) => status === 200).length
        if (accepted === 1) single += 1
        faults += answers.filter(isServerError).length
        for (const { status, body } of answers)
          assert.equal(body['error'], status === 200 ? undefined : 'invalid_client')
      })
      const seconds = (performance.now() - started) / 1000
      t.diagnostic(
        `${name}: ${ASSERTIONS} assertions x ${NODES}: one winner ${single}, 5xx ${faults}, ${seconds.toFixed(1)} s`,
      )
      assert.equal(faults, 0)
      assert.equal(single, ASSERTIONS)
    })

    test(`${CHAINS} refresh chains, each refreshed at two nodes at once`, async (t) => {
      const codes = await issueCodes(CHAINS)
      const refused: Answer[] = []
      let refreshes = 0
      const started = performance.now()
      await inParallel(codes, 12, async (code, at) => {
        const opened = await redeem(at % NODES, code)
        assert.equal(opened.status, 200)
        let token = refreshTokenOf(opened)
        for (let round = 0; round < 3; round += 1) {
          const first = anyNode()
          const answers = await Promise.all([refresh(first, token), refresh((first + 1 + round) % NODES, token)])
          refreshes += answers.length
          refused.push(...answers.filter(({ status }) => status !== 200))
          token = refreshTokenOf(answers[Math.random() < 0.5 ? 0 : 1] as Answer)
        }
      })
      const seconds = (performance.now() - started) / 1000
      t.diagnostic(
        `${name}: ${CHAINS} chains, ${refreshes} racing refreshes: refused ${refused.length}, ${seconds.toFixed(1)} s`,
      )
      assert.deepEqual(refused, [])
    })

    test('nodes and the store are killed and stopped under load: nothing is accepted twice, no honest session is lost, what was ended stays ended', async (t) => {
      const [codes, chainCodes, endedCodes] = [await issueCodes(600), await issueCodes(60), await issueCodes(200)]
      const acceptedCodes = new Map<string, number>()
      const acceptedAssertions = new Map<string, number>()
      const chains: string[] = []
      for (const code of chainCodes) chains.push(refreshTokenOf(await redeem(anyNode(), code)))
      const ended: string[] = []
      const lost: Answer[] = []
      const counts = { ok: 0, unavailable: 0, broken: 0 }
      let running = true
      const note = (answer: Answer): Answer => {
        if (answer.status === 0) counts.broken += 1
        else if (isServerError(answer)) {
          counts.unavailable += 1
          assert.equal(answer.status, 503)
        } else counts.ok += 1
        return answer
      }
      const accepted = (map: Map<string, number>, key: string, { status }: Answer) => {
        if (status === 200) map.set(key, (map.get(key) ?? 0) + 1)
      }

      // An honest client each: it refreshes now and then, and asks again with the same token where it got no answer.
      const chainLoad = chains.map(async (_, at) => {
        while (running) {
          const answer = note(await refresh(anyNode(), chains[at] as string))
          if (answer.status === 200) chains[at] = refreshTokenOf(answer)
          else if (answer.status !== 0 && answer.status !== 503) {
            lost.push(answer)
            return
          }
          await sleep(150 + 200 * Math.random())
        }
      })
      // Each code and each assertion at two nodes at once, and a third time later.
      const oneTimeLoad = [0, 1, 2, 3].map(async (worker) => {
        const again: (() => Promise<void>)[] = []
        while (running) {
          const code = codes.pop()
          if (code !== undefined) {
            const present = async (node: number) => accepted(acceptedCodes, code, note(await redeem(node, code)))
            await Promise.all([present(worker), present((worker + 1) % NODES)])
            again.push(() => present(anyNode()))
          }
          const form = assertionForm()
          const present = async (node: number) =>
            accepted(acceptedAssertions, form['client_assertion'] ?? '', note(await nodes.post(node, '/token', form)))
          await Promise.all([present(worker), present((worker + 2) % NODES)])
          again.push(() => present(anyNode()))
          await sleep(20)
        }
        return again
      })
      // Sessions that are opened and ended: what was acknowledged as ended must stay so.
      const endLoad = (async () => {
        while (running) {
          const code = endedCodes.pop()
          if (code === undefined) return
          const opened = note(await redeem(anyNode(), code))
          if (opened.status === 200) {
            const token = refreshTokenOf(opened)
            if (note(await nodes.post(anyNode(), '/revoke', { token })).status === 200) ended.push(token)
          }
          await sleep(60)
        }
      })()

      const waits: number[] = []
      const timed = async (ask: Promise<Answer>): Promise<Answer> => {
        const asked = performance.now()
        const answer = await ask
        waits.push((performance.now() - asked) / 1000)
        return answer
      }
      let hung: readonly Answer[] = []
      try {
        await sleep(1000)
        await Promise.all([nodes.replace(1), sleep(1500)])
        await server.process().kill()
        await sleep(400)
        await server.restart()
        await sleep(1500)
        server.process().suspend()
        await sleep(200)
        hung = await Promise.all([
          ...nodesOf.map((node) => timed(refresh(node, chains[0] as string))),
          ...nodesOf.map((node) => timed(nodes.post(node, '/token', assertionForm()))),
          ...nodesOf.map((node) => timed(nodes.post(node, '/introspect', { token: chains[0] as string }))),
        ])
        await sleep(1000)
        server.process().resume()
        await sleep(1000)
        await Promise.all([
          nodes.replace(2),
          server
            .process()
            .kill()
            .then(() => server.restart()),
        ])
        await sleep(1500)
      } finally {
        // The load ends whatever failed, and so does the test.
        running = false
        server.process().resume()
      }
      // The median: on a busy machine single answers wait for their turn, which is not the store's doing.
      const hungSeconds = waits.sort((a, b) => a - b)[Math.floor(waits.length / 2)] ?? 0
      await Promise.all(chainLoad)
      await endLoad
      const again = (await Promise.all(oneTimeLoad)).flat()

      // Everything is well again: now all that was presented before is presented once more.
      for (const node of nodesOf) await answered(() => refresh(node, chains[0] as string))
      await inParallel(again, 8, (present) => present())
      await inParallel(chains, 4, async (token) => {
        const answer = await answered(() => refresh(anyNode(), token))
        if (answer.status !== 200) lost.push(answer)
      })
      let revived = 0
      await inParallel(ended, 4, async (token) => {
        const answer = await answered(() => refresh(anyNode(), token))
        if (answer.body['error'] !== 'invalid_grant') revived += 1
      })
      const twice = (map: Map<string, number>) => [...map.values()].filter((count) => count > 1).length

      t.diagnostic(
        `${name}, faults: ${counts.ok} answered, ${counts.unavailable} times 503, ${counts.broken} connections broken; ` +
          `${acceptedCodes.size} codes (twice: ${twice(acceptedCodes)}), ${acceptedAssertions.size} assertions (twice: ${twice(acceptedAssertions)}), ` +
          `${chains.length} chains (lost: ${lost.length}), ${ended.length} ended (revived: ${revived}); 503 for a store that hangs after ${hungSeconds.toFixed(1)} s`,
      )
      for (const { status, retryAfter, body } of hung) {
        assert.equal(status, 503)
        assert.match(retryAfter ?? '', /^\d+$/)
        assert.equal(body['error'], 'temporarily_unavailable')
      }
      assert.ok(hungSeconds < 5, `a store that hangs was noticed after ${hungSeconds} s`)
      assert.ok(counts.unavailable + counts.broken > 0, 'the faults were felt')
      assert.ok(acceptedCodes.size > 20 && acceptedAssertions.size > 20 && ended.length > 5)
      assert.equal(twice(acceptedCodes), 0)
      assert.equal(twice(acceptedAssertions), 0)
      assert.deepEqual(lost, [])
      assert.equal(revived, 0)
    })
  })
}
