import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openStores, type Stores } from '../../examples/stores.ts'
import { createBoundedCalls } from '../../lib/stores/bounded_calls.ts'
import { startPostgres } from '../support/postgres_server.ts'
import { childrenOf } from '../support/processes.ts'
import { postgresServer, redisServer, without } from '../support/programs.ts'
import { newCode, newSession } from '../support/records.ts'
import { startRedis } from '../support/redis_server.ts'
import { eventually, freePort } from '../support/temporary.ts'

const baseSecret = Buffer.alloc(32, 7)

const servers = {
  Redis: { start: startRedis, missing: without(redisServer) },
  PostgreSQL: { start: startPostgres, missing: without(postgresServer) },
} as const

for (const [name, { start, missing }] of Object.entries(servers)) {
  describe(`${name}, as the example opens it`, { skip: missing }, () => {
    let server: Awaited<ReturnType<typeof start>>
    let stores: Stores
    before(async () => {
      server = await start()
      stores = await openStores(server.url, baseSecret)
    })
    after(async () => {
      await server?.stop()
      await stores?.close()
    })

    /** Asks all verbs: each must reject within five seconds. */
    const refusesEverything = async () => {
      const session = newSession()
      const code = newCode()
      const { replayRegister, codeStore, sessionStore } = stores
      const asked = performance.now()
      const answers = await Promise.allSettled([
        replayRegister.remember('i', 'c', code.id, code.expiresAt),
        ...[codeStore.add(code), codeStore.find(code.id), codeStore.spend(code.id), codeStore.countFailure(code.id)],
        ...[sessionStore.create(session), sessionStore.get(session.id), sessionStore.save(session)],
        sessionStore.end(session.id, session.refreshExpiresAt),
        sessionStore.list(session.subject, session.type),
        sessionStore.endAll(session.subject, session.type),
      ])
      const seconds = (performance.now() - asked) / 1000
      assert.ok(
        answers.every(({ status }) => status === 'rejected'),
        JSON.stringify(answers.map(({ status }) => status)),
      )
      assert.ok(seconds < 5, `${seconds} s`)
      return seconds
    }
    const worksAgain = () =>
      eventually('the store answers again', async () => {
        const session = newSession()
        if ((await stores.sessionStore.create(session)) !== 'created') return false
        assert.deepEqual(await stores.sessionStore.get(session.id), session)
        return true
      })

    test('killed: every verb rejects; started again: works without a restart of ours, and what was there is there', async () => {
      const [kept, ended, code] = [newSession(), newSession(), newCode()]
      for (const session of [kept, ended]) await stores.sessionStore.create(session)
      await stores.sessionStore.end(ended.id, ended.refreshExpiresAt)
      await stores.codeStore.add(code)
      await stores.codeStore.spend(code.id)
      await stores.replayRegister.remember('i', 'c', code.id, code.expiresAt)

      const { pid } = server.process()
      const children = childrenOf(pid)
      await server.process().kill()
      // a child of PostgreSQL that still serves its connection has not been killed yet
      await eventually('the children have ended', async () => !children.some(isRunning))
      await refusesEverything()
      await server.restart()
      await worksAgain()

      assert.deepEqual(await stores.sessionStore.get(kept.id), kept)
      assert.equal(await stores.sessionStore.create(ended), 'gone')
      assert.equal(await stores.codeStore.spend(code.id), 'already_spent')
      assert.equal(await stores.replayRegister.remember('i', 'c', code.id, code.expiresAt), false)
    })

    test('stopped: every verb rejects in time, calls do not pile up; going on: works again', async (t) => {
      server.process().suspend()
      const seconds = await refusesEverything()
      global.gc?.()
      const before = process.memoryUsage().heapUsed
      let [atOnce, late] = [0, 0]
      await Promise.all(
        Array.from({ length: 20_000 }, () =>
          stores.sessionStore.get('x').catch(({ message }: Error) => {
            if (message.includes('no more are made')) atOnce += 1
            else late += 1
          }),
        ),
      )
      const octets = process.memoryUsage().heapUsed - before
      t.diagnostic(
        `${name} stopped: rejected after ${seconds.toFixed(1)} s; of 20,000 calls ${late} waited, ${atOnce} were refused at once, ${(octets / 1e6).toFixed(0)} MB`,
      )
      assert.equal(atOnce + late, 20_000, 'none was answered')
      assert.ok(late <= 4096 + 10, `${late} waited`)
      server.process().resume()
      await worksAgain()
    })
  })
}

test('a store that can not be reached at the start is named, without its password', async () => {
  const port = await freePort()
  for (const scheme of ['redis', 'postgres']) {
    const url = `${scheme}://user:topsecret@127.0.0.1:${port}`
    await assert.rejects(openStores(url, baseSecret), (error: Error) => {
      assert.match(error.message, new RegExp(`${scheme}://127.0.0.1:${port}.*ECONNREFUSED`))
      assert.doesNotMatch(error.message, /topsecret/)
      return true
    })
  }
})

const isRunning = (pid: number): boolean => existsSync(`/proc/${pid}`)

describe('pglite', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pglite-'))
  after(() => rmSync(folder, { recursive: true, force: true }))

  test('keeps what it was given, and belongs to one process at a time', async () => {
    const url = `pglite:${join(folder, 'new', 'data')}`
    const first = await openStores(url, baseSecret)
    const session = newSession()
    assert.equal(await first.sessionStore.create(session), 'created')
    await assert.rejects(openStores(url, baseSecret), /in use/)
    await first.close()
    const second = await openStores(url, baseSecret)
    assert.deepEqual(await second.sessionStore.get(session.id), session)
    await second.close()
    await assert.rejects(openStores('pglite:', baseSecret), /folder/)
  })
})

test('a call is answered, rejected at its time, or refused where too many are waiting', async () => {
  const bounded = createBoundedCalls('the store', { timeoutMilliseconds: 30, maximumPending: 2 })
  assert.equal(await bounded(async () => 1), 1)
  await assert.rejects(
    bounded(() => {
      throw new Error('at once')
    }),
    /at once/,
  )
  let answer: (() => void) | undefined
  const slow = bounded(() => new Promise<void>((resolve) => (answer = resolve)))
  const never = bounded(() => new Promise(() => undefined))
  await assert.rejects(
    bounded(async () => 2),
    /has not answered 2 calls/,
  )
  await assert.rejects(slow, /did not answer within 30 ms/)
  await assert.rejects(never, /did not answer within 30 ms/)
  await assert.rejects(
    bounded(async () => 2),
    /has not answered/,
    'the calls still wait, though nobody waits for them',
  )
  answer?.()
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(await bounded(async () => 3), 3)
})
