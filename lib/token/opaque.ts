import { createCipheriv, createDecipheriv, createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import { newIdentifier } from '../identifier.ts'
import { readServerSecrets } from '../server_secrets.ts'
import { type BaseSecret, derived } from './derived_keys.ts'
import type { Claims } from './jwt.ts'

const SALT_OCTETS = 16
const TAG_OCTETS = 16
/** What names the key that sealed a token, so that no other is tried. */
const NAME_OCTETS = 6
const NONCE_OCTETS = 12
/** Tokens sealed with one key. Of so few random nonces two are alike with a probability below 2^-57. */
const SEALS_OF_A_KEY = 2 ** 20
const HEAD_OCTETS = NAME_OCTETS + SALT_OCTETS + NONCE_OCTETS
const LONGEST = 16_384

interface SealingKey {
  readonly name: Buffer
  readonly secret: Buffer
}

/** Seals claims into tokens that say nothing to anybody else, and opens them again. */
export interface OpaqueCodec {
  seal(claims: Claims): string
  /** The claims, when this server sealed them. Judges no claim. */
  open(token: string): Claims | undefined
}

/** The key in use for sealing: derived from the secret and a random salt, which every token carries in front. */
interface SealingKeyInUse {
  readonly key: KeyObject
  /** Name and salt. */
  readonly prefix: Buffer
  left: number
}

const randomOctets = (octets: number): Buffer => Buffer.from(newIdentifier(octets), 'base64url')

/**
 * Opaque access tokens without a store: the claims, encrypted and authenticated with AES-256-GCM under a random nonce,
 * base64url. GCM bounds how many messages one key may take with random nonces, so each process derives keys of its own
 * (HMAC-SHA-256 of 16 random bytes under the derived secret) and a new one after 2^20 tokens. Of several base secrets
 * the first seals and every one opens.
 */
export function opaqueCodec(secrets: BaseSecret | readonly BaseSecret[]): OpaqueCodec {
  const keys = readServerSecrets('baseSecret', secrets).map(
    (secret): SealingKey => ({
      name: derived(secret, 'opaque access token name', NAME_OCTETS),
      secret: derived(secret, 'opaque access token', 32),
    }),
  )
  const [sealing] = keys
  if (sealing === undefined) throw new TypeError('an opaque codec needs a secret')
  const keyOf = ({ secret }: SealingKey, salt: Buffer): KeyObject =>
    createSecretKey(createHmac('sha256', secret).update(salt).digest())

  let inUse: SealingKeyInUse | undefined
  const sealingKey = (): SealingKeyInUse => {
    if (inUse === undefined || inUse.left === 0) {
      const salt = randomOctets(SALT_OCTETS)
      inUse = { key: keyOf(sealing, salt), prefix: Buffer.concat([sealing.name, salt]), left: SEALS_OF_A_KEY }
    }
    inUse.left -= 1
    return inUse
  }

  return {
    seal(claims) {
      const { key, prefix } = sealingKey()
      const nonce = randomOctets(NONCE_OCTETS)
      const cipher = createCipheriv('aes-256-gcm', key, nonce)
      const sealed = cipher.update(JSON.stringify(claims))
      cipher.final() // of a stream cipher nothing is left to come
      return Buffer.concat([prefix, nonce, sealed, cipher.getAuthTag()]).toString('base64url')
    },
    open(token) {
      if (token.length > LONGEST) return undefined
      const octets = Buffer.from(token, 'base64url')
      if (octets.length <= HEAD_OCTETS + TAG_OCTETS || octets.toString('base64url') !== token) return undefined
      const name = octets.subarray(0, NAME_OCTETS)
      const key = keys.find((each) => each.name.equals(name))
      if (key === undefined) return undefined
      const salt = octets.subarray(NAME_OCTETS, NAME_OCTETS + SALT_OCTETS)
      const nonce = octets.subarray(NAME_OCTETS + SALT_OCTETS, HEAD_OCTETS)
      const decipher = createDecipheriv('aes-256-gcm', keyOf(key, salt), nonce, { authTagLength: TAG_OCTETS })
      decipher.setAuthTag(octets.subarray(-TAG_OCTETS))
      try {
        const opened = [decipher.update(octets.subarray(HEAD_OCTETS, -TAG_OCTETS)), decipher.final()]
        return JSON.parse(Buffer.concat(opened).toString()) as Claims
      } catch {
        return undefined
      }
    },
  }
}
