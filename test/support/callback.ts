import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A client's redirect URI: a page that says that the user has arrived, and what with. */
export interface Callback {
  readonly url: string
  /** What the client was sent, newest last. */
  readonly arrivals: readonly URL[]
  close(): Promise<void>
}

export async function startCallback(host = '127.0.0.1'): Promise<Callback> {
  const arrivals: URL[] = []
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', `http://${request.headers.host}`)
    if (url.pathname === '/callback') arrivals.push(url)
    response.setHeader('Content-Type', 'text/html')
    response.end('<!doctype html><title>Back at the app</title><h1>Back at the app</h1>')
  })
  server.listen(0, host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${host}:${port}/callback`,
    arrivals,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
