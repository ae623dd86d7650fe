import { createSocket } from 'node:dgram'
import { once } from 'node:events'

/** A DNS server on 127.0.0.1 that knows some names, is silent about others, and denies the rest. */
export interface NameServer {
  /** For `dns.setServers`. */
  readonly address: string
  /** The names that were asked for, `A` and `AAAA` each. */
  readonly questions: readonly string[]
  close(): void
}

const A = 1
const AAAA = 28

/** The name and the type of the first question of a message (RFC 1035 §4.1.2). */
function questionOf(message: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), type: message.readUInt16BE(at + 1), end: at + 5 }
}

/**
 * Starts a name server. `answers` has the IPv4 and IPv6 addresses of names; `isSilent` says which questions get no
 * response; all other names do not exist.
 */
export async function startNameServer(
  answers: Readonly<Record<string, readonly string[]>>,
  isSilent: (name: string, family: 4 | 6) => boolean,
): Promise<NameServer> {
  const questions: string[] = []
  const socket = createSocket('udp4')
  socket.on('message', (message, peer) => {
    const { name, type, end } = questionOf(message)
    questions.push(`${name} ${type === A ? 'A' : 'AAAA'}`)
    if (isSilent(name, type === AAAA ? 6 : 4)) return
    const known = answers[name]
    const addresses = (known ?? []).filter((address) => address.includes(':') === (type === AAAA))
    const records = addresses.map((address) => {
      const bytes = address.includes(':')
        ? Buffer.from(address.replace('::1', `${'0'.repeat(31)}1`), 'hex')
        : Buffer.from(address.split('.').map(Number))
      const record = Buffer.alloc(12)
      record.writeUInt16BE(0xc00c, 0)
      record.writeUInt16BE(type, 2)
      record.writeUInt16BE(1, 4)
      record.writeUInt32BE(1, 6)
      record.writeUInt16BE(bytes.length, 10)
      return Buffer.concat([record, bytes])
    })
    const head = Buffer.from(message.subarray(0, end))
    head.writeUInt16BE(known === undefined ? 0x8183 : 0x8180, 2)
    head.writeUInt16BE(records.length, 6)
    head.writeUInt32BE(0, 8)
    socket.send(Buffer.concat([head, ...records]), peer.port, peer.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return { address: `127.0.0.1:${socket.address().port}`, questions, close: () => void socket.close() }
}
