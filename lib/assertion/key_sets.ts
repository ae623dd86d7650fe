import { refusal } from '../errors.ts'
import type { Jwk } from './jwks.ts'

/** How remote key sets are fetched and kept. */
export interface KeySetOptions {
  /** Whether `http:` is taken for hosts on the loopback interface. For tests and development. Default `false`. */
  readonly allowHttpLoopback?: boolean
}

/** The keys that a `jwks_uri` gave at one moment. */
export interface RemoteKeySet {
  readonly keys: readonly Jwk[]
}

/** The remote key sets of all clients, one for each `jwks_uri`. */
export interface KeySets {
  get(uri: string, now: number, clientId: string): RemoteKeySet | Promise<RemoteKeySet>
  renew(uri: string, seen: RemoteKeySet, now: number, clientId: string): Promise<RemoteKeySet | undefined>
}

export function createKeySets(_options: KeySetOptions = {}): KeySets {
  return {
    get: (_uri, _now, clientId) => {
      throw refusal('key_set_unavailable', { clientId })
    },
    renew: async () => undefined,
  }
}
