import { randomBytes, scrypt } from 'node:crypto'
import type { Client } from './client.ts'
import { isSameOctets } from './constant_time.ts'

/**
 * A secret at rest: `scrypt$` cost, salt and key, as `hashClientSecret` writes it. What has not exactly this form is a
 * secret in plain text.
 */
const HASHED = /^scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9_-]{16,86})\$([A-Za-z0-9_-]{43})$/

interface Hashed {
  readonly cost: ScryptCost
  readonly salt: Buffer
  readonly key: Buffer
}

interface ScryptCost {
  /** Binary logarithm of scrypt's N. */
  readonly logN: number
  readonly blockSize: number
  readonly parallelization: number
}

/** Node's own default: 16 MiB and some 40 ms. A secret of 256 random bits would need none; a chosen one does. */
const DEFAULT_COST: ScryptCost = { logN: 14, blockSize: 8, parallelization: 1 }

const KEY_OCTETS = 32

/** A hash that this version can not compare with: of a cost it does not take. No secret is right by it. */
const isForeignHash = (value: string | Uint8Array): boolean => isHashedSecret(value) && parseHashed(value) === undefined

/** Whether a stored secret is a hash. A hashed secret can be compared, but can be no key: not for `client_secret_jwt`. */
export const isHashedSecret = (value: unknown): value is string => typeof value === 'string' && HASHED.test(value)

function parseHashed(value: string): Hashed | undefined {
  if (!value.startsWith('scrypt$')) return undefined
  const [, logN, blockSize, parallelization, salt, key] = HASHED.exec(value) ?? []
  if (salt === undefined || key === undefined) return undefined
  const cost = { logN: Number(logN), blockSize: Number(blockSize), parallelization: Number(parallelization) }
  if (cost.logN < 1 || cost.logN > 20 || cost.blockSize < 1 || cost.parallelization < 1) return undefined
  return { cost, salt: Buffer.from(salt, 'base64url'), key: Buffer.from(key, 'base64url') }
}

const derive = (secret: string, salt: Buffer, cost: ScryptCost): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const N = 2 ** cost.logN
    const options = {
      N,
      r: cost.blockSize,
      p: cost.parallelization,
      maxmem: 128 * cost.blockSize * (N + cost.parallelization) * 2,
    }
    scrypt(secret, salt, KEY_OCTETS, options, (error, key) => (error === null ? resolve(key) : reject(error)))
  })

/**
 * Hashes a client secret for storage, with scrypt (RFC 7914) and a random salt of 16 octets. The result stands in
 * `client_secret` in place of the secret. Not for clients that use `client_secret_jwt`: that secret is a key, and the
 * server needs it as it is.
 */
export async function hashClientSecret(secret: string): Promise<string> {
  if (typeof secret !== 'string' || secret === '') throw new TypeError('a client secret must be a non-empty string')
  const salt = randomBytes(16)
  const key = await derive(secret, salt, DEFAULT_COST)
  const { logN, blockSize, parallelization } = DEFAULT_COST
  const cost = `ln=${logN},r=${blockSize},p=${parallelization}`
  return `scrypt$${cost}$${salt.toString('base64url')}$${key.toString('base64url')}`
}

/** A moment of a record: absent means never, as 0 does. What is no number, nor text of one, is no moment (`NaN`). */
const momentOf = (value: unknown): number =>
  value === undefined || value === null
    ? 0
    : typeof value === 'number'
      ? value
      : typeof value === 'string' && value !== ''
        ? Number(value)
        : Number.NaN

/** The secrets on a client's record, with their expiry. An entry without its own follows `client_secret_expires_at`. */
export function secretsOf(client: Client): readonly { value: string | Uint8Array; expiresAt: number }[] {
  const { client_secret: secret, client_secret_expires_at: expiresAt } = client
  if (secret === undefined || secret === null) return []
  if (typeof secret === 'string' || secret instanceof Uint8Array) {
    return secret.length === 0 ? [] : [{ value: secret, expiresAt: momentOf(expiresAt) }]
  }
  if (!Array.isArray(secret)) return []
  return (secret as readonly { value?: unknown; expires_at?: unknown }[]).flatMap((each) => {
    const value = each?.value
    if (typeof value !== 'string' && !(value instanceof Uint8Array)) return []
    return value.length === 0 ? [] : [{ value, expiresAt: momentOf(each.expires_at ?? expiresAt) }]
  })
}

/** Whether a secret has ended: from its moment on, without tolerance; 0 is never (RFC 7591 §3.2.1). */
export const isSecretExpired = (expiresAt: number, now: number): boolean => expiresAt !== 0 && !(now < expiresAt)

export type SecretVerdict = 'right' | 'expired' | 'wrong'

/** Compares presented secrets with stored ones. Made once, so that it can learn what hashing costs here. */
export interface SecretComparison {
  /**
   * Whether `presented` is one of the client's secrets. `client` is `undefined` for one that does not exist, which
   * takes about as long: also a key derivation, once one was seen. Text is compared as UTF-8, in constant time.
   * @param now Epoch seconds.
   */
  verify(client: Client | undefined, presented: string, now: number): SecretVerdict | Promise<SecretVerdict>
}

const octetsOf = (value: string | Uint8Array): Uint8Array => (typeof value === 'string' ? Buffer.from(value) : value)

/** What a client that does not exist is compared with. */
const NOBODY = [{ value: randomBytes(32), expiresAt: 0 }]

/** Makes a `SecretComparison`. */
export function createSecretComparison(): SecretComparison {
  // Learned from the records: where some secrets are hashed, every failure has to cost one derivation.
  let costSeen: ScryptCost | undefined

  async function verifyHashed(
    hashes: readonly { hashed: Hashed; expired: boolean }[],
    presented: string,
    sofar: SecretVerdict,
  ): Promise<SecretVerdict> {
    let verdict = sofar
    for (const { hashed, expired } of hashes) {
      const key = await derive(presented, hashed.salt, hashed.cost)
      if (isSameOctets(key, hashed.key)) verdict = better(verdict, expired)
    }
    return verdict
  }

  return {
    verify(client, presented, now) {
      const secrets = client === undefined ? [] : secretsOf(client)
      const octets = octetsOf(presented)
      const hashes: { hashed: Hashed; expired: boolean }[] = []
      let verdict: SecretVerdict = 'wrong'
      for (const { value, expiresAt } of secrets.length === 0 ? NOBODY : secrets) {
        const hashed = typeof value === 'string' ? parseHashed(value) : undefined
        const expired = isSecretExpired(expiresAt, now)
        if (hashed !== undefined) hashes.push({ hashed, expired })
        else if (isSameOctets(octets, octetsOf(value)) && !isForeignHash(value)) verdict = better(verdict, expired)
      }
      const first = hashes[0]
      if (first !== undefined) costSeen = first.hashed.cost
      if (verdict === 'right' || (first === undefined && costSeen === undefined)) return verdict
      if (first !== undefined) return verifyHashed(hashes, presented, verdict)
      const failed = verdict
      return derive(presented, randomBytes(16), costSeen ?? DEFAULT_COST).then(() => failed)
    },
  }
}

const better = (verdict: SecretVerdict, expired: boolean): SecretVerdict =>
  verdict === 'right' || !expired ? 'right' : 'expired'
