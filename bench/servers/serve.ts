// The frame of every server of the benchmark: reads its setting, listens, answers the harness.
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { roundTrips } from '../round_trips.ts'
import type { FromServer, Setting } from '../setting.ts'

export interface Started {
  readonly server: Server
  /** Refresh tokens or codes, as many as the setting asks for. */
  readonly seeds?: readonly string[]
}

const tell = (message: FromServer): void => {
  process.send?.(message)
}

/** Runs one server until the harness says `stop`. */
export function serve(start: (setting: Setting, variant: string) => Promise<Started> | Started): void {
  const [variant = '', setting = '{}'] = process.argv.slice(2)
  process.env['NODE_ENV'] = 'production' // what a deployment has; Express and others read it
  process.on('message', (message) => {
    if (message === 'stop') process.exit(0)
    const { user, system } = process.cpuUsage()
    const { rss, heapUsed } = process.memoryUsage()
    tell({
      kind: 'usage',
      cpuMicroseconds: user + system,
      rssBytes: rss,
      heapBytes: heapUsed,
      roundTrips: roundTrips.count,
    })
  })
  process.once('disconnect', () => process.exit(0))
  void (async () => {
    const { server, seeds = [] } = await start(JSON.parse(setting) as Setting, variant)
    server.listen(0, '127.0.0.1', () => tell({ kind: 'ready', port: (server.address() as AddressInfo).port, seeds }))
  })()
}
