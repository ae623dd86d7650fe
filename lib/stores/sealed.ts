import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import { isSameOctets } from '../constant_time.ts'
import { readServerSecrets } from '../server_secrets.ts'

/** Signs what is kept outside, and gives back only what carries a signature of ours. */
export interface Seal {
  /** `signature.json`, the signature in base64url. */
  close(kind: string, id: string, json: string): string
  /** The JSON, verified before anything reads it. Throws where no key verifies it. */
  open(kind: string, id: string, sealed: string): string
}

/**
 * HMAC-SHA256 with the first of `secrets`; any of them verifies. The signature covers kind and id, so a record cannot
 * replace another. It does not cover age: a writer to the store can restore an older record.
 */
export function createSeal(secrets: unknown): Seal {
  const [first, ...others] = readServerSecrets('signingKeys', secrets)
  const signing = createSecretKey(first)
  const keys = [signing, ...others.map((secret) => createSecretKey(secret))]

  const signature = (key: KeyObject, kind: string, id: string, json: string): string =>
    createHmac('sha256', key).update(`${kind}:${id.length}:${id}${json}`).digest('base64url')

  return {
    close: (kind, id, json) => `${signature(signing, kind, id, json)}.${json}`,
    open(kind, id, sealed) {
      const dot = sealed.indexOf('.')
      const presented = Buffer.from(sealed.slice(0, Math.max(dot, 0)))
      const json = sealed.slice(dot + 1)
      for (const key of keys) {
        const expected = Buffer.from(signature(key, kind, id, json))
        if (isSameOctets(presented, expected)) return json
      }
      throw new Error(`none of the signing keys verifies a ${kind} record`)
    },
  }
}
