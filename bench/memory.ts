// npm run bench:memory: what one remembered assertion, one code and one session cost in the memory store, at 10^6 of
// them, and what one operation costs at 10^3 and at 10^6. Runs with --expose-gc.
import { randomBytes } from 'node:crypto'
import { createMemoryStores } from '../lib/stores/memory.ts'
import { codeRecord, sessionRecord } from './records.ts'

const collect = (globalThis as { gc?: () => void }).gc
if (collect === undefined) throw new Error('start with --expose-gc')
const COUNT = Number(process.argv[2] ?? 1_000_000)
const now = Math.floor(Date.now() / 1000)
const identifier = (): string => randomBytes(16).toString('base64url')

/** Octets in use: the heap, and what hangs on it outside. */
function used(): number {
  for (let turn = 0; turn < 4; turn++) collect?.()
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + external + arrayBuffers * 0
}

interface Figure {
  readonly what: string
  readonly octetsEach: number
  readonly microsecondsAt: Readonly<Record<string, number>>
}

async function measure(what: string, add: (index: number) => Promise<unknown>): Promise<Figure> {
  const before = used()
  const microsecondsAt: Record<string, number> = {}
  let begun = process.cpuUsage()
  let from = 0
  for (let index = 0; index < COUNT; index++) {
    await add(index)
    const reached = index + 1
    if (reached === 10_000 || reached === 100_000 || reached === COUNT) {
      const { user, system } = process.cpuUsage(begun)
      microsecondsAt[`to ${reached}`] = Number(((user + system) / (reached - from)).toFixed(2))
      begun = process.cpuUsage()
      from = reached
    }
  }
  return { what, octetsEach: Math.round((used() - before) / COUNT), microsecondsAt }
}

const { replayRegister, codeStore, sessionStore } = createMemoryStores({ maximumAssertionsPerClient: 2 ** 24 })
const figures = [
  await measure('remembered assertion (jti)', (index) =>
    replayRegister.remember('https://as.example', `client-${index % 1000}`, identifier(), now + 60 + (index % 300)),
  ),
  await measure('authorization code', (index) =>
    codeStore.add(codeRecord(`user-${index}`, randomBytes(32).toString('base64url'), now)),
  ),
  await measure('session', (index) =>
    sessionStore.create(sessionRecord(`user-${index}`, randomBytes(32).toString('base64url'), now)),
  ),
]
console.table(
  figures.map(({ what, octetsEach, microsecondsAt }) => ({ what, 'octets each': octetsEach, ...microsecondsAt })),
)
// keeps them alive until here
await sessionStore.get('x')
await codeStore.find('x')
await replayRegister.remember('a', 'b', 'c', now + 60)
