import { KeyObject, sign, X509Certificate } from 'node:crypto'
import { generateKeyPair } from 'jose'

/** A certificate of a server's own, and its key, both PEM. */
export interface ServerCertificate {
  readonly cert: string
  readonly key: string
}

/** One DER element (X.690): its tag, the length of what is in it, and that. */
function der(tag: number, ...contents: readonly (Buffer | readonly number[])[]): Buffer {
  const content = Buffer.concat(contents.map((each) => Buffer.from(each)))
  const length = content.length
  const octets = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...octets]), content])
}

const SEQUENCE = 0x30
const oid = (...octets: readonly number[]): Buffer => der(0x06, octets)
const utcTime = (moment: Date): Buffer =>
  der(0x17, Buffer.from(`${moment.toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`))

const ECDSA_WITH_SHA256 = der(SEQUENCE, oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))

/** A self-signed certificate for these host names and IPv4 addresses (RFC 5280), good for a day, its own authority. */
export async function selfSigned(names: readonly string[]): Promise<ServerCertificate> {
  const pair = await generateKeyPair('ES256', { extractable: true })
  const key = KeyObject.from(pair.privateKey)
  const spki = KeyObject.from(pair.publicKey).export({ type: 'spki', format: 'der' })
  const name = der(SEQUENCE, der(0x31, der(SEQUENCE, oid(0x55, 0x04, 0x03), der(0x0c, Buffer.from('test')))))
  const alternatives = names.map((each) =>
    /^[\d.]+$/.test(each) ? der(0x87, each.split('.').map(Number)) : der(0x82, Buffer.from(each)),
  )
  const extensions = der(
    SEQUENCE,
    der(SEQUENCE, oid(0x55, 0x1d, 0x11), der(0x04, der(SEQUENCE, ...alternatives))),
    der(SEQUENCE, oid(0x55, 0x1d, 0x13), der(0x04, der(SEQUENCE, der(0x01, [0xff])))),
  )
  const hour = 3_600_000
  const body = der(
    SEQUENCE,
    der(0xa0, der(0x02, [2])),
    der(0x02, [1]),
    ECDSA_WITH_SHA256,
    name,
    der(SEQUENCE, utcTime(new Date(Date.now() - hour)), utcTime(new Date(Date.now() + 24 * hour))),
    name,
    spki,
    der(0xa3, extensions),
  )
  const certificate = der(SEQUENCE, body, ECDSA_WITH_SHA256, der(0x03, [0], sign('sha256', body, key)))
  return {
    cert: new X509Certificate(certificate).toString(),
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}
