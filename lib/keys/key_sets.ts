import { type OAuthError, refusal, unavailable } from '../errors.ts'
import { badOption, checkOptions, optionNames, wholeNumber } from '../options.ts'
import { createRequestBudget } from '../remote/budget.ts'
import { readLifetimeSeconds } from '../remote/cache_control.ts'
import { getDocument } from '../remote/document.ts'
import { RemoteFailure } from '../remote/failure.ts'
import { type AdmitRequest, createRateLimit } from '../remote/rate.ts'
import { REMOTE_OPTIONS, type RemoteDocument, type RemoteOptions, readRemoteOptions } from '../remote/request.ts'
import { documentUrl, MOST_URL_CHARACTERS } from '../remote/url.ts'
import { countProblem, type Jwk, parseKeySet } from './jwks.ts'

/**
 * How remote key sets (`jwks_uri`) are fetched and cached.
 *
 * @inline
 */
export interface KeySetOptions extends RemoteOptions {
  /** The maximum number of keys in a set, also in the `jwks` of a client record. 1 to 1000, default 100. */
  readonly maxKeys?: number | undefined
  /**
   * How long a set is used, 60 to 3600 seconds. Default 600. `max-age` of the response overrides it, within
   * 60 (or `cooldownSeconds`, if that is more) to 3600; `no-store` and `no-cache` count as 0. A key that was withdrawn is
   * refused after this time at the latest.
   */
  readonly cacheLifetimeSeconds?: number | undefined
  /**
   * The minimum time between two requests to one URI, also after a failure: 1 to 3600 seconds, and at most
   * `cacheLifetimeSeconds`. Default 30. It doubles with each consecutive failure, up to ten times as long.
   */
  readonly cooldownSeconds?: number | undefined
  /** How long a set may be used after its lifetime if it cannot be fetched, 0 to 86400. Default 0: not at all. */
  readonly staleIfErrorSeconds?: number | undefined
  /**
   * The maximum number of cached sets, 1 to 1000000. Default 1000. Set it to at least the number of clients with a `jwks_uri`.
   * Sets that have verified a signature are kept longer than others.
   */
  readonly maxSets?: number | undefined
  /** The maximum number of concurrent requests, 1 to 1000. Default 64. Others wait at most `timeoutMilliseconds`. */
  readonly maxRequests?: number | undefined
  /** The maximum number of concurrent requests to one host, 1 to 1000. Default 16. */
  readonly maxRequestsPerHost?: number | undefined
}

const NAMES = optionNames<KeySetOptions>({
  ...REMOTE_OPTIONS,
  maxKeys: true,
  cacheLifetimeSeconds: true,
  cooldownSeconds: true,
  staleIfErrorSeconds: true,
  maxSets: true,
  maxRequests: true,
  maxRequestsPerHost: true,
})

/** The keys that a `jwks_uri` had at one time. */
export interface RemoteKeySet {
  readonly keys: readonly Jwk[]
  readonly fetchedAt: number
  readonly expiresAt: number
  /** Whether a key of the URI has verified a signature: only its client can bring that about. */
  readonly isProven: boolean
}

/** The remote key sets of all clients, one for each `jwks_uri`. */
export interface KeySets {
  /** The most keys in a set, which holds for the sets in client records as well. */
  readonly maxKeys: number
  /** Returns the set, at once if it is kept and within its lifetime. Throws or rejects if it cannot be fetched. */
  get(uri: string, now: number, clientId: string): RemoteKeySet | Promise<RemoteKeySet>
  /** Fetches a set other than the one that did not do; `undefined` if there is none, or it was requested just now. */
  renew(uri: string, seen: RemoteKeySet, now: number, clientId: string): Promise<RemoteKeySet | undefined>
  /** Notes that a key of the set has verified a signature, so that sets without proof are dropped first. */
  confirm(uri: string): void
  /** Why the last request to this URI failed; `undefined` if it did not. */
  findProblem(uri: string): string | undefined
}

/** The requests to one URI. Kept apart from the set, so that it can be dropped without forgetting them. */
interface Contact {
  /** When the URI was last requested, whatever came of it. */
  askedAt: number | undefined
  /** Failures in a row. */
  failures: number
  /** The request under way, which all callers wait for. */
  pending: Promise<void> | undefined
  problem: string
  /** Whether the last attempt was not made because too many others were under way. */
  isBusy: boolean
}

const LEAST_LIFETIME_SECONDS = 60
const MOST_LIFETIME_SECONDS = 3600
/** How often the cool-down doubles at most, and how many times as long it gets. */
const MOST_COOLDOWNS = 10
/** How far back a clock may be set before what was noted by it no longer counts. */
const CLOCK_STEP_SECONDS = 60
/** Contacts are kept for this many sets as many; each takes some 300 bytes, and it is forgotten when it has cooled down. */
const CONTACTS_PER_SET = 4
const LEAST_CONTACTS = 10_000

const notAllowed = (clientId: string): OAuthError =>
  refusal('key_set_uri_not_allowed', { clientId, detail: 'jwks_uri must be an https URL without user information' })

/** Whether less than `seconds` have passed since then, on a clock that may have been set back. */
const isWithin = (since: number | undefined, seconds: number, now: number): boolean =>
  since !== undefined && now < since + seconds && now > since - CLOCK_STEP_SECONDS

/** Whether a set is within its lifetime, or not longer past it than this. */
const isUsable = ({ fetchedAt, expiresAt }: RemoteKeySet, now: number, graceSeconds = 0): boolean =>
  isWithin(fetchedAt, expiresAt - fetchedAt + graceSeconds, now)

/** The sets that are kept: the ones with a proof are dropped only for others with a proof. */
function createShelf(most: number) {
  const proven = new Map<string, RemoteKeySet>()
  const others = new Map<string, RemoteKeySet>()
  /** Some room is left for sets without proof, or no new client could ever give one. */
  const mostProven = most - Math.ceil(most / 10)
  const oldest = (sets: ReadonlyMap<string, RemoteKeySet>): string | undefined => sets.keys().next().value

  return {
    get: (uri: string): RemoteKeySet | undefined => proven.get(uri) ?? others.get(uri),
    /** Keeps a set. Returns the URI of a set with proof that was dropped for it. */
    put(uri: string, set: RemoteKeySet): string | undefined {
      if (proven.delete(uri)) {
        proven.set(uri, { ...set, isProven: true })
        return undefined
      }
      others.delete(uri)
      let dropped: string | undefined
      if (proven.size + others.size >= most) {
        const from = others.size > 0 ? others : proven
        const last = oldest(from) as string
        if (from.get(last)?.isProven) dropped = last
        from.delete(last)
      }
      others.set(uri, set)
      return dropped
    },
    confirm(uri: string): void {
      const set = others.get(uri)
      if (set === undefined) return
      const confirmed = { ...set, isProven: true }
      if (mostProven === 0) {
        others.set(uri, confirmed)
        return
      }
      others.delete(uri)
      proven.set(uri, confirmed)
      if (proven.size <= mostProven) return
      const last = oldest(proven) as string
      others.set(last, proven.get(last) as RemoteKeySet)
      proven.delete(last)
    },
  }
}

/**
 * `renew` for those to whom keys that cannot be fetched are a fault, not the mistake of a client: throws what `toError`
 * makes of the problem.
 */
export async function renewOrThrow(
  keySets: Pick<KeySets, 'renew' | 'findProblem'>,
  uri: string,
  seen: RemoteKeySet,
  now: number,
  clientId: string,
  toError: (problem: string) => Error,
): Promise<RemoteKeySet | undefined> {
  const renewed = await keySets.renew(uri, seen, now, clientId)
  const problem = renewed === undefined ? keySets.findProblem(uri) : undefined
  if (problem !== undefined) throw toError(problem)
  return renewed
}

/** Reads what a set itself says of its lifetime, in seconds; it counts before `Cache-Control`. */
type ReadHint = (body: Buffer) => number | undefined

/**
 * Keeps remote key sets: one request at a time for each URI, with a lifetime and a cool-down, in bounded number. What is
 * fetched for unauthenticated requests cannot displace the sets of clients that have authenticated.
 */
export function createKeySets(options: KeySetOptions = {}, readHint: ReadHint = () => undefined): KeySets {
  checkOptions('keySets', options, NAMES)
  return keySetsOf(options, () => true, readHint)
}

/** The most sets and requests for clients that describe themselves: anybody can make this server request a URL. */
const OF_DOCUMENTS = { maxSets: 1000, maxRequests: 16, maxRequestsPerHost: 4 }
const RATE_OF_DOCUMENTS = { maxRequestsPerMinute: 300, maxRequestsPerHostPerMinute: 30 }

/** `createKeySets` for clients that describe themselves, with tighter bounds. The options are checked already. */
export function createDocumentKeySets(options: KeySetOptions = {}): KeySets {
  const least = (name: keyof typeof OF_DOCUMENTS): number =>
    Math.min(options[name] ?? OF_DOCUMENTS[name], OF_DOCUMENTS[name])
  const bounds = {
    maxSets: least('maxSets'),
    maxRequests: least('maxRequests'),
    maxRequestsPerHost: least('maxRequestsPerHost'),
  }
  return keySetsOf({ ...options, ...bounds }, createRateLimit(RATE_OF_DOCUMENTS), () => undefined)
}

function keySetsOf(options: KeySetOptions, admit: AdmitRequest, readHint: ReadHint): KeySets {
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
  const maxSets = number('maxSets', 1000, 1, 1_000_000)
  const shelf = createShelf(maxSets)
  const contacts = new Map<string, Contact>()
  const mostContacts = Math.max(LEAST_CONTACTS, CONTACTS_PER_SET * maxSets)
  const budget = createRequestBudget({
    maxRequests: number('maxRequests', 64, 1, 1000),
    maxRequestsPerHost: number('maxRequestsPerHost', 16, 1, 1000),
    waitMilliseconds: request.timeoutMilliseconds,
  })

  const cooldownOf = ({ failures }: Contact): number =>
    cooldown * Math.min(2 ** Math.max(0, failures - 1), MOST_COOLDOWNS)

  /** Forgets some contacts that no longer matter, starting with the oldest; the others get to the end of the line. */
  const sweep = (now: number): void => {
    let steps = 0
    for (const [uri, contact] of contacts) {
      contacts.delete(uri)
      const matters = contact.pending !== undefined || isWithin(contact.askedAt, 2 * cooldownOf(contact), now)
      if (matters) contacts.set(uri, contact)
      if (++steps === 4) return
    }
  }

  const createContact = (uri: string, now: number): Contact => {
    sweep(now)
    if (contacts.size >= mostContacts) throw unavailable(new Error(`more than ${mostContacts} key sets were requested`))
    const contact = { askedAt: undefined, failures: 0, pending: undefined, problem: '', isBusy: false }
    contacts.set(uri, contact)
    return contact
  }

  /** No shorter than the time in which the URI cannot be requested again. */
  const lifetimeOf = ({ body, cacheControl }: RemoteDocument): number => {
    const asked = readHint(body) ?? readLifetimeSeconds(cacheControl)
    return asked === undefined
      ? usualLifetime
      : Math.min(Math.max(asked, LEAST_LIFETIME_SECONDS, cooldown), MOST_LIFETIME_SECONDS)
  }

  const read = (document: RemoteDocument, now: number): RemoteKeySet => {
    const keys = parseKeySet(document.body)
    const problem = typeof keys === 'string' ? keys : countProblem(keys, maxKeys)
    if (typeof keys === 'string' || problem !== undefined) throw new Error(`the response is not a key set: ${problem}`)
    return { keys, fetchedAt: now, expiresAt: now + lifetimeOf(document), isProven: false }
  }

  const ask = async (uri: string, url: URL, contact: Contact, now: number): Promise<void> => {
    try {
      const document = await budget.run(url.host, () => {
        contact.askedAt = now
        return getDocument(url, request)
      })
      const dropped = shelf.put(uri, read(document, now))
      contact.failures = 0
      contact.problem = ''
      contact.isBusy = false
      // Its client has authenticated and is one too many for maxSets: it may be requested again at once.
      const displaced = dropped === undefined ? undefined : contacts.get(dropped)
      if (displaced !== undefined) displaced.askedAt = undefined
    } catch (problem) {
      contact.problem = problem instanceof Error ? problem.message : 'the request failed'
      contact.isBusy = problem instanceof RemoteFailure && problem.problem === 'busy'
      if (!contact.isBusy) contact.failures += 1
    } finally {
      contact.pending = undefined
    }
  }

  /** Requests the URI, or waits for the request under way. Does nothing while it cools down. */
  const refresh = async (uri: string, now: number, clientId: string): Promise<Contact> => {
    let contact = contacts.get(uri)
    if (contact?.pending === undefined) {
      if (contact !== undefined && isWithin(contact.askedAt, cooldownOf(contact), now)) return contact
      const url = documentUrl(uri, request.allowHttpLoopback)
      if (url === undefined) throw notAllowed(clientId)
      if (!admit(url.hostname, now)) throw unavailable(new Error('too many key sets were requested within a minute'))
      contact ??= createContact(uri, now)
      contact.pending = ask(uri, url, contact, now)
    }
    await contact.pending
    return contact
  }

  const getLater = async (uri: string, now: number, clientId: string): Promise<RemoteKeySet> => {
    const contact = await refresh(uri, now, clientId)
    const set = shelf.get(uri)
    if (set !== undefined && isUsable(set, now, staleIfError)) return set
    if (contact.isBusy) throw unavailable(new Error(contact.problem))
    const why = contact.problem || 'it was requested just now'
    throw refusal('key_set_unavailable', { clientId, detail: `the key set at jwks_uri cannot be fetched: ${why}` })
  }

  return {
    maxKeys,
    get(uri, now, clientId) {
      if (uri.length > MOST_URL_CHARACTERS) throw notAllowed(clientId)
      const set = shelf.get(uri)
      return set !== undefined && isUsable(set, now) ? set : getLater(uri, now, clientId)
    },
    async renew(uri, seen, now, clientId) {
      // A confirmed set is a copy: what was fetched tells whether it is another one.
      if (shelf.get(uri)?.keys === seen.keys) await refresh(uri, now, clientId)
      const set = shelf.get(uri)
      return set !== undefined && set.keys !== seen.keys && isUsable(set, now) ? set : undefined
    },
    confirm: shelf.confirm,
    findProblem: (uri) => contacts.get(uri)?.problem || undefined,
  }
}
