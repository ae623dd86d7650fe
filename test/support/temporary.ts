import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder for one test run, and its removal. */
export function temporaryFolder(label: string): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), `${label}-`))
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) }
}

/** A TCP port of the loopback interface that was free a moment ago. */
export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })

/** Asks again and again until the answer is not `false`, or gives up after `seconds`. */
export async function eventually<T>(what: string, ask: () => Promise<T | false>, seconds = 20): Promise<T> {
  let last: unknown
  for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
    try {
      const answer = await ask()
      if (answer !== false) return answer
    } catch (cause) {
      last = cause
    }
    await new Promise((resolve) => setTimeout(resolve, 40))
  }
  throw new Error(`${what}: not within ${seconds} s`, { cause: last })
}
