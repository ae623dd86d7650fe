import { badOption, checkOptions } from '../options.ts'
import { type Key, type KeyInput, type PublicJwk, preparedKey } from './key.ts'

/** Keys by `kid`, one of which signs. It never changes; rotation makes a new one. */
export interface Keyset {
  /** The key that signs new tokens. */
  readonly signingKey: Key
  /** All keys by their `kid`. Each of them verifies tokens. */
  readonly keys: ReadonlyMap<string, Key>
}

/**
 * A keyset of the application's own keys. The first one signs, or the one named by `signWith`; every one verifies. To
 * rotate: add the new key, publish its public half for as long as resource servers cache it, let it sign, and drop the
 * old one when its tokens have expired. A key with the `kid` `kid_not_set.<alg>` (`kid_not_set.HS256`) verifies tokens of
 * that algorithm that name no key, as an older system may have made them; without one they are refused. RSA keys need
 * 2048 bits, HMAC secrets the length of their digest (RFC 7518).
 *
 * @example
 * ```ts
 * import { createKeyset } from 'passport-client-assertion-jwt'
 *
 * keyset: createKeyset(
 *   [
 *     { kid: '2026', key: made().privateKey },
 *     { kid: '2027', key: made().privateKey },
 *   ],
 *   { signWith: '2026' }, // '2027' is already published; sign with it from the next deployment on
 * ),
 * ```
 */
export function createKeyset(keys: readonly KeyInput[], options: { readonly signWith?: string } = {}): Keyset {
  checkOptions('createKeyset', options, ['signWith'])
  if (!Array.isArray(keys) || keys.length === 0) throw badOption('keys', 'a non-empty array of keys', keys)
  return keysetOf(
    (keys as readonly KeyInput[]).map((key, at) => preparedKey(key, `keys[${at}]`)),
    options.signWith,
  )
}

/** A keyset of prepared keys. */
export function keysetOf(prepared: readonly Key[], signWith = prepared[0]?.kid): Keyset {
  const byKid = new Map<string, Key>()
  for (const key of prepared) {
    if (byKid.has(key.kid)) throw badOption('kid', 'different for each key', key.kid)
    byKid.set(key.kid, key)
  }
  const signingKey = byKid.get(signWith ?? '')
  if (signingKey === undefined) throw badOption('signWith', 'the kid of one of the keys', signWith)
  if (signingKey.privateKey === undefined) throw badOption('signWith', 'the kid of a private key', signWith)
  return { signingKey, keys: byKid }
}

/** What `jwks_uri` shows: the public halves of a keyset. HMAC keys have none and are left out. */
export const exportPublicJwks = (keyset: Keyset): { keys: PublicJwk[] } => ({
  keys: [...keyset.keys.values()].flatMap(({ publicJwk }) => (publicJwk === undefined ? [] : [publicJwk])),
})
