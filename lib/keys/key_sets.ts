import type { LookupFunction } from 'node:net'
import { type OAuthError, refusal } from '../errors.ts'
import { badOption, checkOptions, optionNames, wholeNumber } from '../options.ts'
import type { IsAllowedAddress } from '../remote/address.ts'
import { createBoundedCache } from '../remote/bounded_cache.ts'
import { getDocument } from '../remote/document.ts'
import { type RemoteDocument, readRemoteOptions } from '../remote/request.ts'
import { documentUrl, MOST_URL_CHARACTERS } from '../remote/url.ts'
import { countProblem, type Jwk, parseKeySet } from './jwks.ts'

/** How remote key sets (`jwks_uri`) are fetched and kept. */
export interface KeySetOptions {
  /** Whether `http:` is taken for hosts on the loopback interface. For tests and development. Default `false`. */
  readonly allowHttpLoopback?: boolean | undefined
  /**
   * Whether an address may be connected to, in place of the rule that it is on the public internet. Asked when a name
   * is resolved and again for the connected socket. Loosen it for key servers inside one's own network, by exact address:
   * `(address) => address === '10.0.0.7' || isPublicAddress(address)`.
   */
  readonly isAllowedAddress?: IsAllowedAddress | undefined
  /** Certificate authorities (PEM) in place of those of Node.js, as for `tls.connect`. Not with a `fetch` of one's own. */
  readonly ca?: string | Buffer | readonly (string | Buffer)[] | undefined
  /** Resolves host names in place of the system (`net.connect`'s `lookup`). What it finds is checked all the same. */
  readonly lookup?: LookupFunction | undefined
  /**
   * Fetches in place of this package, for instance through a proxy. Size, time, status, redirects and content are
   * checked all the same; which addresses it connects to is then its own duty.
   */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** Milliseconds for the whole of a request, 100 to 30000. Default 3000. */
  readonly timeoutMilliseconds?: number | undefined
  /** Largest answer in octets, 1024 to 1048576. Default 65536. */
  readonly maxBytes?: number | undefined
  /** The most keys in a set, also in the `jwks` of a client record: 1 to 1000. Default 100. */
  readonly maxKeys?: number | undefined
  /**
   * How long a set is used, 60 to 3600 seconds. Default 600. `max-age` of the answer takes its place, within 60 (or
   * `cooldownSeconds`, if that is more) to 3600. A key that was withdrawn is refused after this time at the latest.
   */
  readonly cacheLifetimeSeconds?: number | undefined
  /**
   * Least time between two requests to one URI, also after a failure: 1 to 3600 seconds, and no more than
   * `cacheLifetimeSeconds`. Default 30.
   */
  readonly cooldownSeconds?: number | undefined
  /** How long a set may be used after its time when it can not be fetched, 0 to 86400. Default 0: not at all. */
  readonly staleIfErrorSeconds?: number | undefined
  /** Most URIs that are remembered, 1 to 1000000. Default 1000. */
  readonly maxSets?: number | undefined
}

const NAMES = optionNames<KeySetOptions>({
  allowHttpLoopback: true,
  isAllowedAddress: true,
  ca: true,
  lookup: true,
  fetch: true,
  timeoutMilliseconds: true,
  maxBytes: true,
  maxKeys: true,
  cacheLifetimeSeconds: true,
  cooldownSeconds: true,
  staleIfErrorSeconds: true,
  maxSets: true,
})

/** The keys that a `jwks_uri` gave at one moment. */
export interface RemoteKeySet {
  readonly keys: readonly Jwk[]
  readonly fetchedAt: number
  readonly expiresAt: number
}

/** The remote key sets of all clients, one for each `jwks_uri`. */
export interface KeySets {
  /** The most keys in a set, which holds for the sets in client records as well. */
  readonly maxKeys: number
  /** The set in its time: at once where it is at hand. Refuses where it can not be had. */
  get(uri: string, now: number, clientId: string): RemoteKeySet | Promise<RemoteKeySet>
  /** A set other than the one that did not do; `undefined` where there is none, or it was asked for just now. */
  renew(uri: string, seen: RemoteKeySet, now: number, clientId: string): Promise<RemoteKeySet | undefined>
}

/** What is known of one URI. */
interface Entry {
  set: RemoteKeySet | undefined
  /** When it was last asked, whatever came of it. */
  askedAt: number | undefined
  /** The request under way, which all who need it wait for. */
  pending: Promise<void> | undefined
  problem: string
}

const LEAST_LIFETIME_SECONDS = 60
const MOST_LIFETIME_SECONDS = 3600
/** How far back a clock may be set before what was noted by it no longer counts. */
const CLOCK_STEP_SECONDS = 60

/** The lifetime that an answer asks for, within bounds: no shorter than the time in which it can not be asked for again. */
function lifetimeOf(cacheControl: string | undefined, usual: number, cooldown: number): number {
  const age = cacheControl === undefined ? null : /(?:^|[\s,])max-age\s*=\s*"?(\d{1,9})/i.exec(cacheControl)
  if (age === null) return usual
  return Math.min(Math.max(Number(age[1]), LEAST_LIFETIME_SECONDS, cooldown), MOST_LIFETIME_SECONDS)
}

const notAllowed = (clientId: string): OAuthError =>
  refusal('key_set_uri_not_allowed', { clientId, detail: 'jwks_uri must be an https URL without user information' })

/** Whether less than `seconds` have passed since then, on a clock that may have been set back. */
const isWithin = (since: number | undefined, seconds: number, now: number): boolean =>
  since !== undefined && now < since + seconds && now > since - CLOCK_STEP_SECONDS

/** Whether a set is in its time, or not longer past it than this. */
const isUsable = ({ fetchedAt, expiresAt }: RemoteKeySet, now: number, graceSeconds = 0): boolean =>
  isWithin(fetchedAt, expiresAt - fetchedAt + graceSeconds, now)

/** Keeps remote key sets: one request at a time for each URI, with a lifetime and a cool-down, in bounded number. */
export function createKeySets(options: KeySetOptions = {}): KeySets {
  checkOptions('keySets', options, NAMES)
  const number = (name: keyof KeySetOptions, fallback: number, least: number, most: number): number =>
    wholeNumber(`keySets.${name}`, options[name], fallback, least, most)
  const request = readRemoteOptions('keySets', options, { accept: 'application/jwk-set+json, application/json' })
  const maxKeys = number('maxKeys', 100, 1, 1000)
  const usualLifetime = number('cacheLifetimeSeconds', 600, LEAST_LIFETIME_SECONDS, MOST_LIFETIME_SECONDS)
  const cooldown = number('cooldownSeconds', 30, 1, 3600)
  if (cooldown > usualLifetime) {
    throw badOption('keySets.cooldownSeconds', `at most cacheLifetimeSeconds (${usualLifetime})`, cooldown)
  }
  const staleIfError = number('staleIfErrorSeconds', 0, 0, 86_400)
  const entries = createBoundedCache<Entry>(number('maxSets', 1000, 1, 1_000_000))

  const entryOf = (uri: string): Entry => {
    const known = entries.get(uri)
    if (known !== undefined) return known
    const entry: Entry = { set: undefined, askedAt: undefined, pending: undefined, problem: '' }
    entries.set(uri, entry)
    return entry
  }

  const read = ({ body, cacheControl }: RemoteDocument, now: number): RemoteKeySet => {
    const keys = parseKeySet(body)
    const problem = typeof keys === 'string' ? keys : countProblem(keys, maxKeys)
    if (typeof keys === 'string' || problem !== undefined) throw new Error(`the response is no key set: ${problem}`)
    return { keys, fetchedAt: now, expiresAt: now + lifetimeOf(cacheControl, usualLifetime, cooldown) }
  }

  const ask = async (url: URL, entry: Entry, now: number): Promise<void> => {
    try {
      entry.set = read(await getDocument(url, request), now)
      entry.problem = ''
    } catch (problem) {
      entry.problem = problem instanceof Error ? problem.message : 'the request failed'
    } finally {
      entry.pending = undefined
    }
  }

  /** Asks the URI, or waits for the one who does. Nothing happens while it cools down. */
  const refresh = async (uri: string, entry: Entry, now: number, clientId: string): Promise<void> => {
    if (entry.pending === undefined) {
      if (isWithin(entry.askedAt, cooldown, now)) return
      const url = documentUrl(uri, request.allowHttpLoopback)
      if (url === undefined) throw notAllowed(clientId)
      entry.askedAt = now
      entry.pending = ask(url, entry, now)
    }
    await entry.pending
  }

  const getLater = async (uri: string, entry: Entry, now: number, clientId: string): Promise<RemoteKeySet> => {
    await refresh(uri, entry, now, clientId)
    const { set } = entry
    if (set !== undefined && isUsable(set, now, staleIfError)) return set
    throw refusal('key_set_unavailable', {
      clientId,
      detail: `the key set at jwks_uri can not be had: ${entry.problem || 'it was asked for just now'}`,
    })
  }

  return {
    maxKeys,
    get(uri, now, clientId) {
      if (uri.length > MOST_URL_CHARACTERS) throw notAllowed(clientId)
      const entry = entryOf(uri)
      const { set } = entry
      return set !== undefined && isUsable(set, now) ? set : getLater(uri, entry, now, clientId)
    },
    async renew(uri, seen, now, clientId) {
      const entry = entryOf(uri)
      if (entry.set === seen) await refresh(uri, entry, now, clientId)
      const { set } = entry
      return set !== undefined && set !== seen && isUsable(set, now) ? set : undefined
    },
  }
}
