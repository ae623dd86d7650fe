// A small OAuth 2.1 authorization server that shows the package at work: `npm run example`. README.md explains the
// variables it reads. Copy token-route.ts; the rest is what an application has already, or what surrounds the package.
import { scryptSync } from 'node:crypto'
import { once } from 'node:events'
import type { Server } from 'node:http'
import { createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net'
import express from 'express'
import { createExpressServer } from 'passport-client-assertion-jwt'
import { authorizationServer } from './authorization_server.ts'
import { readSettings, type Settings, UnusableSetting } from './settings.ts'
import { openStores, type Stores } from './stores.ts'

/** How long open requests may take to finish when the server ends. */
const GRACE_MILLISECONDS = 10_000

/** After a login the browser sends the whole authorization request in its URL. */
const MOST_HEADER_BYTES = 65_536

/** Returns at least 32 bytes. A shorter secret is stretched, which does not make it harder to guess. */
const stretched = (secret: string): Uint8Array =>
  Buffer.byteLength(secret) < 32 ? scryptSync(secret, 'base secret of the example', 32) : Buffer.from(secret)

async function start(): Promise<void> {
  const settings = await readSettings(process.env)
  const baseSecret = stretched(settings.baseSecret)
  const stores = await openStores(settings.storeUrl, baseSecret).catch((error: Error) => {
    throw new UnusableSetting('STORE_URL', error.message)
  })
  const app = express()
  const server = createExpressServer(app, { maxHeaderSize: MOST_HEADER_BYTES })
  const connections = new Set<Socket>()
  server.on('connection', (connection: Socket) => {
    connections.add(connection)
    connection.once('close', () => connections.delete(connection))
  })
  const listeners = await listen(server, settings).catch(async (error: Error) => {
    await stores.close()
    throw error
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : settings.port
  const url = `http://localhost:${port}`
  const issuer = settings.issuer ?? url
  authorizationServer(app, { ...settings, issuer, baseSecret, ...stores })
  for (const warning of settings.warnings) console.warn(`warning: ${warning}`)
  const ending = { begun: false } // npm forwards a signal that the process may have received already
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (!ending.begun) void end(server, listeners, connections, stores)
      ending.begun = true
    })
  console.log(`The authorization server listens on ${url}${issuer === url ? '' : ` and is ${issuer}`}`)
  if (process.stdout.isTTY) showWhatToTry(issuer, settings)
}

/** Listens on the loopback interface, on IPv4 and IPv6. Connections of the second listener are passed to the server. */
async function listen(server: Server, settings: Settings, attempts = 10): Promise<readonly NetServer[]> {
  const { port } = settings
  server.listen(port, '127.0.0.1')
  await once(server, 'listening').catch((error: NodeJS.ErrnoException) => {
    throw new UnusableSetting('PORT', `cannot listen on ${port} (${error.code ?? error.message})`)
  })
  const address = server.address()
  const second = createNetServer((socket) => server.emit('connection', socket))
  second.listen({ port: typeof address === 'object' ? address?.port : port, host: '::1' })
  const problem: NodeJS.ErrnoException | undefined = await once(second, 'listening').then(
    () => undefined,
    (error) => error,
  )
  if (problem === undefined) return [server, second]
  if (problem.code === 'EADDRNOTAVAIL' || problem.code === 'EAFNOSUPPORT') return [server] // a machine without IPv6
  // Another program listens there: browsers that try ::1 first would send passwords to it.
  server.close()
  await once(server, 'close')
  if (port === 0 && attempts > 1) return listen(server, settings, attempts - 1)
  throw new UnusableSetting('PORT', `cannot listen on ${port} of ::1 (${problem.code ?? problem.message})`)
}

/** Accepts no new connections, responds to open requests, closes the stores, and ends the process. */
async function end(
  server: Server,
  listeners: readonly NetServer[],
  connections: ReadonlySet<Socket>,
  stores: Stores,
): Promise<void> {
  const closed = Promise.all(listeners.map((listener) => once(listener, 'close')))
  for (const listener of listeners) listener.close()
  // Closes idle connections, and those that browsers open in advance: node:http counts them as busy, although nothing was
  // ever sent on them.
  const idle = setInterval(() => {
    server.closeIdleConnections()
    for (const connection of connections) if (connection.bytesRead === 0) connection.destroy()
  }, 50)
  const late = setTimeout(() => server.closeAllConnections(), GRACE_MILLISECONDS)
  await closed
  clearInterval(idle)
  clearTimeout(late)
  await stores.close()
  process.exit(0)
}

function showWhatToTry(issuer: string, { clients }: Settings): void {
  console.log(`
The metadata document:      curl ${issuer}/.well-known/oauth-authorization-server
Your account (alice, wonderland): ${issuer}/account`)
  if (clients.find('robot'))
    console.log(`An access token:            curl -u robot:'the secret of this month' -d grant_type=client_credentials ${issuer}/token
A whole client, in the browser: npm run example:client`)
  console.log('\nMore in examples/README.md. Stop with Ctrl+C.')
}

start().catch((error: unknown) => {
  if (!(error instanceof UnusableSetting)) throw error
  console.error(error.message)
  process.exitCode = 1
})
