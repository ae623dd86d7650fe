import { createHmac, hash, randomBytes, scrypt } from 'node:crypto'
import type { Client, UnreadableMember } from './client.ts'
import { isSameOctets } from './constant_time.ts'
import { unavailable } from './errors.ts'
import { isAbsent } from './optional.ts'
import { POOL_THREADS } from './thread_pool.ts'

/**
 * A secret at rest: `scrypt$` cost, salt and key, as `hashClientSecret` writes it. What has not exactly this form is a
 * secret in plain text.
 */
const HASHED = /^scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9_-]{16,86})\$([A-Za-z0-9_-]{43})$/

/** What `generateClientSecret` stores of a secret of 256 random bits: nobody can try so many, so one round is enough. */
const FAST_HASHED = /^sha256\$([A-Za-z0-9_-]{43})$/

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

/** A hash that this version cannot verify, because of its cost. No secret matches it. */
const isForeignHash = (value: string | Uint8Array): boolean =>
  typeof value === 'string' && HASHED.test(value) && parseHashed(value) === undefined

/** Whether a stored secret is a hash. A hashed secret can be compared, but can be no key: not for `client_secret_jwt`. */
export const isHashedSecret = (value: unknown): value is string =>
  typeof value === 'string' && (HASHED.test(value) || FAST_HASHED.test(value))

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

/** Derivations at once: half of the threads of Node's pool, which also checks signatures. */
const MOST_DERIVATIONS = Math.max(1, Math.floor(POOL_THREADS / 2))
/** Derivations that wait for one of those. */
const MOST_WAITING = 32

let underWay = 0
const waiting: (() => void)[] = []

/**
 * Derives for a request whose client is not authenticated yet: with at most half of the thread pool, and from a queue of
 * at most 32. Rejects with a 503 when the queue is full.
 */
async function deriveInTurn(secret: string, salt: Buffer, cost: ScryptCost): Promise<Buffer> {
  if (underWay >= MOST_DERIVATIONS) {
    if (waiting.length >= MOST_WAITING)
      throw unavailable(new Error(`${MOST_WAITING} client secrets wait to be checked already`))
    await new Promise<void>((go) => waiting.push(go)) // whoever goes hands over its place
  } else underWay += 1
  try {
    return await derive(secret, salt, cost)
  } finally {
    const next = waiting.shift()
    if (next === undefined) underWay -= 1
    else next()
  }
}

const fastHash = (secret: string): Buffer => hash('sha256', secret, 'buffer')

/**
 * Makes a client secret of 256 random bits. `secret` is for the client, and `hash` is stored in `client_secret`. Checking
 * it takes microseconds; a secret that a person chose needs `hashClientSecret`. Not for clients that use
 * `client_secret_jwt`: that secret is a key, and the server needs it as it is.
 *
 * @example
 * ```ts
 * import { generateClientSecret } from 'passport-client-assertion-jwt'
 *
 * const { secret, hash } = generateClientSecret() // the secret goes to the client, once
 * const client = { client_id: 'shop', client_secret: hash }
 * ```
 */
export function generateClientSecret(): { readonly secret: string; readonly hash: string } {
  const secret = randomBytes(32).toString('base64url')
  return { secret, hash: `sha256$${fastHash(secret).toString('base64url')}` }
}

/**
 * Hashes a client secret for storage, with scrypt (RFC 7914) and a random salt of 16 bytes. Store the result in
 * `client_secret` instead of the secret. Not for clients that use `client_secret_jwt`: that secret is a key, and the
 * server needs it as it is.
 *
 * @example
 * ```ts
 * import { hashClientSecret } from 'passport-client-assertion-jwt'
 *
 * export async function hashSecretOf(client: Client & { client_secret: string }): Promise<Client> {
 *   return { ...client, client_secret: await hashClientSecret(client.client_secret) }
 * }
 * ```
 */
export async function hashClientSecret(secret: string): Promise<string> {
  if (typeof secret !== 'string' || secret === '') throw new TypeError('a client secret must be a non-empty string')
  const salt = randomBytes(16)
  const key = await derive(secret, salt, DEFAULT_COST)
  const { logN, blockSize, parallelization } = DEFAULT_COST
  const cost = `ln=${logN},r=${blockSize},p=${parallelization}`
  return `scrypt$${cost}$${salt.toString('base64url')}$${key.toString('base64url')}`
}

/**
 * A time of a record, in epoch seconds: absent means never, as 0 does. A number, digits, a `BigInt` and a `Date`, as
 * databases return them. Anything else is no time (`NaN`).
 */
function momentOf(value: unknown): number {
  if (isAbsent(value)) return 0
  if (typeof value === 'number' || typeof value === 'bigint') return Number(value)
  if (value instanceof Date) return value.getTime() / 1000
  return typeof value === 'string' && /^\d{1,15}(\.\d{1,9})?$/.test(value) ? Number(value) : Number.NaN
}

/** Finds an expiry of the secrets of a record that would be misread. */
export function findUnreadableExpiry({
  client_secret: secret,
  client_secret_expires_at: expiresAt,
}: Client): UnreadableMember | undefined {
  if (isAbsent(secret) && isAbsent(expiresAt)) return undefined
  const moments: unknown[] = [expiresAt]
  if (Array.isArray(secret))
    for (const each of secret) moments.push((each as { expires_at?: unknown } | null)?.expires_at)
  return moments.some((moment) => Number.isNaN(momentOf(moment)))
    ? {
        member: 'client_secret_expires_at',
        detail: 'is not a time: epoch seconds, as a number or BigInt, or a valid Date',
      }
    : undefined
}

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

/** Secrets that were right before, and are not derived again. Only a right one gets here, so no flood pushes them out. */
const MOST_REMEMBERED = 10_000

/** A hash of the record, parsed, and the text of it. */
interface StoredHash {
  readonly text: string
  readonly hashed: Hashed
  readonly isExpired: boolean
}

/** Makes a `SecretComparison`. */
export function createSecretComparison(): SecretComparison {
  // Learned from the records: every failure costs as many derivations as the client with the most hashes does.
  let mostHashes = 0
  let costSeen = DEFAULT_COST
  const right = new Map<string, Buffer>()
  const processKey = randomBytes(32)
  const tagOf = (presented: string): Buffer => createHmac('sha256', processKey).update(presented).digest()

  async function isRight({ text, hashed }: StoredHash, presented: string): Promise<boolean> {
    const known = right.get(text)
    if (known !== undefined && isSameOctets(tagOf(presented), known)) return true
    const key = await deriveInTurn(presented, hashed.salt, hashed.cost)
    if (!isSameOctets(key, hashed.key)) return false
    if (right.size >= MOST_REMEMBERED) right.clear()
    right.set(text, tagOf(presented))
    return true
  }

  async function verifyHashed(
    hashes: readonly StoredHash[],
    presented: string,
    sofar: SecretVerdict,
  ): Promise<SecretVerdict> {
    let verdict = sofar
    for (const stored of hashes) {
      if (await isRight(stored, presented)) verdict = better(verdict, stored.isExpired)
      if (verdict === 'right') return verdict
    }
    for (let count = hashes.length; count < mostHashes; count += 1)
      await deriveInTurn(presented, randomBytes(16), costSeen)
    return verdict
  }

  return {
    verify(client, presented, now) {
      const secrets = client === undefined ? [] : secretsOf(client)
      const octets = octetsOf(presented)
      const hashes: StoredHash[] = []
      let verdict: SecretVerdict = 'wrong'
      for (const { value, expiresAt } of secrets.length === 0 ? NOBODY : secrets) {
        const isExpired = isSecretExpired(expiresAt, now)
        const hashed = typeof value === 'string' ? parseHashed(value) : undefined
        const fast = typeof value === 'string' ? FAST_HASHED.exec(value)?.[1] : undefined
        if (hashed !== undefined) hashes.push({ text: value as string, hashed, isExpired })
        else if (fast !== undefined) {
          if (isSameOctets(fastHash(presented), Buffer.from(fast, 'base64url'))) verdict = better(verdict, isExpired)
        } else if (isSameOctets(octets, octetsOf(value)) && !isForeignHash(value)) verdict = better(verdict, isExpired)
      }
      const [first] = hashes
      if (first !== undefined) costSeen = first.hashed.cost
      mostHashes = Math.max(mostHashes, hashes.length)
      return verdict === 'right' || mostHashes === 0 ? verdict : verifyHashed(hashes, presented, verdict)
    },
  }
}

const better = (verdict: SecretVerdict, expired: boolean): SecretVerdict =>
  verdict === 'right' || !expired ? 'right' : 'expired'
