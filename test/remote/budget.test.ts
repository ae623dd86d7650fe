import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRequestBudget } from '../../lib/remote/budget.ts'
import { readLifetimeSeconds } from '../../lib/remote/cache_control.ts'
import { RemoteFailure } from '../../lib/remote/failure.ts'

const isBusy = (error: unknown): boolean => error instanceof RemoteFailure && error.problem === 'busy'

test('R78: requests under way are bounded in all and for each host, and hosts take turns', async () => {
  const budget = createRequestBudget({ maxRequests: 4, maxRequestsPerHost: 2, waitMilliseconds: 5000 })
  const order: string[] = []
  const running = new Map<string, number>()
  let most = 0
  let mostOfHost = 0
  const request = (host: string, name: string) =>
    budget.run(host, async () => {
      order.push(name)
      running.set(host, (running.get(host) ?? 0) + 1)
      most = Math.max(
        most,
        [...running.values()].reduce((sum, each) => sum + each, 0),
      )
      mostOfHost = Math.max(mostOfHost, ...running.values())
      await new Promise((resolve) => setTimeout(resolve, 5))
      running.set(host, (running.get(host) ?? 0) - 1)
      return name
    })
  const all = [
    ...Array.from({ length: 10 }, (_, index) => request('many.example', `many-${index}`)),
    request('one.example', 'one'),
    request('two.example', 'two'),
  ]
  assert.deepEqual((await Promise.all(all)).length, 12)
  assert.deepEqual([most, mostOfHost], [4, 2])
  assert.ok(order.indexOf('one') < 4 && order.indexOf('two') < 4, order.join())
})

test('R78: a request that waits too long, or behind too many, is refused; a failure frees its place', async () => {
  const budget = createRequestBudget({ maxRequests: 1, maxRequestsPerHost: 1, waitMilliseconds: 50 })
  let release = (): void => {}
  const held = budget.run('a.example', () => new Promise<void>((resolve) => (release = resolve)))
  await assert.rejects(
    budget.run('a.example', async () => {}),
    isBusy,
  )
  await assert.rejects(
    budget.run('b.example', async () => {}),
    isBusy,
  )
  const waiting = Array.from({ length: 1000 }, (_, index) =>
    assert.rejects(
      budget.run(`${index}.example`, async () => {}),
      isBusy,
    ),
  )
  const startedAt = performance.now()
  await assert.rejects(
    budget.run('c.example', async () => {}),
    isBusy,
  )
  assert.ok(performance.now() - startedAt < 40, 'at once')
  await Promise.all(waiting)
  release()
  await held
  await assert.rejects(
    budget.run('a.example', () => Promise.reject(new Error('x'))),
    { message: 'x' },
  )
  assert.equal(await budget.run('a.example', async () => 5), 5)
})

test('R60: no-store and no-cache are a lifetime of 0; s-maxage counts for a shared cache', () => {
  for (const [header, own, shared] of [
    [undefined, undefined, undefined],
    ['', undefined, undefined],
    ['public', undefined, undefined],
    ['max-age=90', 90, 90],
    ['public, Max-Age = "90"', 90, 90],
    ['s-maxage=5, max-age=90', 90, 5],
    ['x-max-age=5', undefined, undefined],
    ['no-store', 0, 0],
    ['max-age=90, No-Cache', 0, 0],
    ['no-cache="set-cookie", max-age=90', 0, 0],
    ['private,no-store,max-age=3600', 0, 0],
    ['x-no-store, no-storey', undefined, undefined],
    ['max-age=-1', undefined, undefined],
  ] as const) {
    assert.equal(readLifetimeSeconds(header), own, header)
    assert.equal(readLifetimeSeconds(header, true), shared, header)
  }
})
