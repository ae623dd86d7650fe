import { randomInt } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder for one test run, and its removal. */
export function temporaryFolder(label: string): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), `${label}-`))
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) }
}

const canListen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })

/**
 * A TCP port of the loopback interface that was free a moment ago. It is below the range that connections take theirs
 * from, so that it is still free when a server that was killed comes back to it. The bus of a Redis cluster is at the
 * port plus 10000.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = randomInt(10_000, 20_000)
    if ((await canListen(port)) && (await canListen(port + 10_000))) return port
  }
  throw new Error('no port of 127.0.0.1 between 10000 and 20000 is free')
}

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
