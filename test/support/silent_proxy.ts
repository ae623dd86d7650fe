import { createServer, connect as open, type Socket } from 'node:net'

/** A TCP proxy that can lose its network: what is open then stays silent for ever, as after the death of a host. */
export interface SilentProxy {
  readonly port: number
  /** From now on everything is swallowed, also what new connections send. */
  swallow(): void
  /** New connections work again; the old ones stay silent. */
  heal(): void
  close(): void
}

export async function startSilentProxy(target: number): Promise<SilentProxy> {
  let swallowing = false
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    sockets.add(near)
    near.on('error', () => undefined)
    if (swallowing) {
      near.resume() // read, acknowledged and never answered
      return
    }
    const far = open(target, '127.0.0.1')
    sockets.add(far)
    far.on('error', () => near.destroy())
    let silent = false
    silenced.push(() => (silent = true))
    near.on('data', (data) => silent || far.write(data))
    far.on('data', (data) => silent || near.write(data))
    near.on('close', () => far.destroy())
    far.on('close', () => silent || near.destroy())
  })
  const silenced: (() => void)[] = []
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as { port: number }).port,
    swallow() {
      swallowing = true
      for (const silence of silenced) silence()
    },
    heal() {
      swallowing = false
    },
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
