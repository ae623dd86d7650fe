// What the harness, the load generator and the servers agree on.
import { createHash } from 'node:crypto'
import type { Client } from '../lib/client.ts'

export const ISSUER = 'https://as.example'
export const RESOURCE = 'https://api.example'
export const REDIRECT_URI = 'https://client.example/callback'
export const SUBJECT = 'user-1'
export const VERIFIER = 'a-verifier-of-the-benchmark-0123456789-abcdefgh'
export const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url')

/** How the client proves who it is. */
export type Method = 'es256' | 'rs256' | 'eddsa' | 'hs256' | 'basic'
export type Grant = 'client_credentials' | 'refresh_token' | 'authorization_code'
export type TokenFormat = 'opaque' | 'jwt'

/** What one server process is started with. */
export interface Setting {
  readonly grant: Grant
  readonly method: Method
  readonly tokens: TokenFormat
  /** Private ES256 JWK with which JWT access tokens are signed. */
  readonly tokenKey: Readonly<Record<string, string>>
  /** One client per method. `client_id` is the method's name. */
  readonly clients: readonly Client[]
  /** How many refresh tokens or codes the server has to make before it is asked for them. */
  readonly seeds: number
  /** Whether look-ups hand out one object or a fresh deep copy each time. */
  readonly records: 'one' | 'fresh'
  /** How many clients, sessions and assertion ids are there already. */
  readonly population: { readonly clients: number; readonly sessions: number; readonly jtis: number }
  /** `memory:`, `redis://…` or `postgres://…` */
  readonly store: string
}

/** What a server tells of itself. CPU from the operating system, in microseconds, all threads. */
export interface Usage {
  readonly cpuMicroseconds: number
  readonly rssBytes: number
  readonly heapBytes: number
  /** Round trips to the store's server so far. */
  readonly roundTrips: number
}

export type FromServer =
  | { readonly kind: 'ready'; readonly port: number; readonly seeds: readonly string[] }
  | ({ readonly kind: 'usage' } & Usage)

/** Name of client `index` of the population. The first is the one all requests come from, unless they are spread. */
export const populationClientId = (method: Method, index: number): string =>
  index === 0 ? method : `${method}-${index}`
