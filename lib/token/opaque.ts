import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'
import { newIdentifier } from '../identifier.ts'
import type { Claims } from './jwt.ts'
import { type BaseSecret, baseSecrets, derived } from './keyset.ts'

const SALT_OCTETS = 16
const TAG_OCTETS = 16
/** What names the key that sealed a token, so that no other is tried. */
const NAME_OCTETS = 6
/** Each key seals one message, so its nonce need not differ. */
const NONCE = Buffer.alloc(12)
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

/**
 * Opaque access tokens without a store: the claims, encrypted and authenticated with AES-256-GCM, base64url. The key is
 * a new one for each token (HMAC-SHA-256 of 16 random octets under the derived key), because GCM bounds how many
 * messages one key may take with random nonces. Of several base secrets the first seals and every one opens.
 */
export function opaqueCodec(secrets: BaseSecret | readonly BaseSecret[]): OpaqueCodec {
  const keys = baseSecrets(secrets).map(
    (secret): SealingKey => ({
      name: derived(secret, 'opaque access token name', NAME_OCTETS),
      secret: derived(secret, 'opaque access token', 32),
    }),
  )
  const [sealing] = keys
  if (sealing === undefined) throw new TypeError('an opaque codec needs a secret')
  const keyOf = ({ secret }: SealingKey, salt: Buffer): Buffer => createHmac('sha256', secret).update(salt).digest()

  return {
    seal(claims) {
      const salt = Buffer.from(newIdentifier(SALT_OCTETS), 'base64url')
      const cipher = createCipheriv('aes-256-gcm', keyOf(sealing, salt), NONCE)
      const sealed = [cipher.update(JSON.stringify(claims)), cipher.final()]
      return Buffer.concat([sealing.name, salt, ...sealed, cipher.getAuthTag()]).toString('base64url')
    },
    open(token) {
      if (token.length > LONGEST) return undefined
      const octets = Buffer.from(token, 'base64url')
      if (octets.length <= NAME_OCTETS + SALT_OCTETS + TAG_OCTETS || octets.toString('base64url') !== token) {
        return undefined
      }
      const name = octets.subarray(0, NAME_OCTETS)
      const key = keys.find((each) => each.name.equals(name))
      if (key === undefined) return undefined
      const salt = octets.subarray(NAME_OCTETS, NAME_OCTETS + SALT_OCTETS)
      const decipher = createDecipheriv('aes-256-gcm', keyOf(key, salt), NONCE, { authTagLength: TAG_OCTETS })
      decipher.setAuthTag(octets.subarray(-TAG_OCTETS))
      try {
        const opened = [decipher.update(octets.subarray(NAME_OCTETS + SALT_OCTETS, -TAG_OCTETS)), decipher.final()]
        return JSON.parse(Buffer.concat(opened).toString()) as Claims
      } catch {
        return undefined
      }
    },
  }
}
