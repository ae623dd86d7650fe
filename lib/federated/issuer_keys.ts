import type { KeySource } from '../assertion/proof.ts'
import type { Jwk } from '../keys/jwks.ts'
import { createKeySets, type KeySetOptions, type RemoteKeySet, renewOrThrow } from '../keys/key_sets.ts'
import { readRemoteOptions } from '../remote/request.ts'
import { parseJsonObject, skipByteOrderMark } from '../remote/strict_json.ts'
import { createDiscovery, type FindJwksUri } from './discovery.ts'

/** How long keys of an issuer that is down are used after their lifetime. */
const STALE_IF_ERROR_SECONDS = 3600

/** The hint of a SPIFFE bundle on its lifetime (SPIFFE Trust Domain and Bundle §4.1.2). */
function readRefreshHint(body: Buffer): number | undefined {
  const { spiffe_refresh_hint: hint } = parseJsonObject(skipByteOrderMark(body))
  return typeof hint === 'number' && Number.isFinite(hint) && hint >= 0 ? hint : undefined
}

/** Makes keys for JWT-SVIDs usable for signatures, and leaves out all others of a SPIFFE bundle. */
export const svidKeys = (keys: readonly Jwk[]): readonly Jwk[] =>
  keys.filter(({ use }) => use === 'jwt-svid').map(({ use: _, ...jwk }) => jwk)

/** The issuer's keys were not to be had. */
export class IssuerFailure extends Error {}

const failureOf = (cause: unknown): IssuerFailure => {
  const { detail, message } = cause as { readonly detail?: string | undefined; readonly message?: string }
  return new IssuerFailure(detail ?? message ?? 'the request failed', { cause })
}

/**
 * The remote keys of one issuer, kept apart from those of all others. `get` and `renew` reject with an `IssuerFailure`
 * if the issuer does not respond as it should: that is never the client's mistake.
 */
export function createIssuerKeys(
  issuer: string,
  jwksUri: string | undefined,
  options: KeySetOptions,
  isSpiffe: boolean,
): KeySource {
  const keySets = createKeySets(
    { staleIfErrorSeconds: STALE_IF_ERROR_SECONDS, maxSets: 4, ...options },
    isSpiffe ? readRefreshHint : undefined,
  )
  const findJwksUri: FindJwksUri =
    jwksUri === undefined
      ? createDiscovery(issuer, readRemoteOptions('remote', options, { accept: 'application/json' }))
      : () => jwksUri
  const selected = new WeakMap<readonly Jwk[], readonly Jwk[]>()
  /** Which set the keys that were handed out are of. */
  const origins = new WeakMap<readonly Jwk[], { readonly uri: string; readonly set: RemoteKeySet }>()
  let lastUri = ''
  const handOut = (uri: string, set: RemoteKeySet): RemoteKeySet => {
    const keys = isSpiffe ? (selected.get(set.keys) ?? svidKeys(set.keys)) : set.keys
    selected.set(set.keys, keys)
    origins.set(keys, { uri, set })
    return { ...set, keys }
  }

  return {
    async get(now, clientId) {
      try {
        const uri = await findJwksUri(now)
        lastUri = uri
        return handOut(uri, await keySets.get(uri, now, clientId))
      } catch (cause) {
        throw failureOf(cause)
      }
    },
    async renew(seen, now, clientId) {
      const origin = origins.get(seen.keys)
      if (origin === undefined) return undefined
      const { uri, set } = origin
      const toError = (problem: string) => new IssuerFailure(problem)
      const renewed = await renewOrThrow(keySets, uri, set, now, clientId, toError)
      return renewed === undefined ? undefined : handOut(uri, renewed)
    },
    confirm: () => keySets.confirm(lastUri),
  }
}
