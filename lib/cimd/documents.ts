import type { Client, FindClient } from '../client.ts'
import { ClientDocumentUnreachable, DOCUMENT_METHODS } from '../client_document.ts'
import { type Clock, systemClock } from '../clock.ts'
import { answerOf, refusal } from '../errors.ts'
import { publish } from '../events.ts'
import { timeOf } from '../hooks.ts'
import { requireIssuer } from '../issuer.ts'
import { ignoreRejection, isPromise } from '../maybe_promise.ts'
import { badOption, booleanOption, checkOptions, optionNames, requireFunction, wholeNumber } from '../options.ts'
import { isLoopbackAddress } from '../remote/address.ts'
import { createRequestBudget } from '../remote/budget.ts'
import { readLifetimeSeconds } from '../remote/cache_control.ts'
import { getDocument } from '../remote/document.ts'
import { networkFailure, type RemoteFailure } from '../remote/failure.ts'
import { createRateLimit } from '../remote/rate.ts'
import { type RemoteDocument, type RemoteOptions, type RemoteRequest, readRemoteOptions } from '../remote/request.ts'
import { isLoopbackHost, readClientUrl } from './client_id_url.ts'
import {
  type ClientMetadata,
  type ClientMetadataOptions,
  METADATA_OPTIONS,
  readClientDocument,
  readMetadataRules,
} from './client_metadata.ts'

/**
 * Options for the requests that fetch documents.
 *
 * @inline
 */
type DocumentRemoteOptions = Omit<RemoteOptions, 'allowHttpLoopback' | 'maxBytes'>

/** Limits on the number of requests for documents. */
interface DocumentBudget {
  /** Maximum number of requests at the same time, 1 to 1000. Default 16. */
  readonly maxRequests?: number | undefined
  /** Maximum number of requests to one host at the same time, 1 to 1000. Default 4. */
  readonly maxRequestsPerHost?: number | undefined
  /** Maximum number of requests per minute, 1 to 1000000. Default 300. */
  readonly maxRequestsPerMinute?: number | undefined
  /** Maximum number of requests to one host per minute, 1 to 1000000. Default 30. */
  readonly maxRequestsPerHostPerMinute?: number | undefined
}

/** The options of `createClientDocuments`. */
export interface ClientDocumentOptions extends ClientMetadataOptions {
  /**
   * Decides whether a document at this URL is accepted: allow or block hosts here. It is called before every use of a
   * document. Only `true` accepts the URL; if the function throws or rejects, the response is 503. Default: every URL
   * is accepted.
   */
  readonly isAllowed?: ((url: URL) => boolean | Promise<boolean>) | undefined
  /** How documents are fetched: addresses, certificates, time limit. Default: public addresses only, 3 seconds. */
  readonly remote?: DocumentRemoteOptions | undefined
  /** Maximum size of a document in bytes, 1024 to 65536. Default 10240. */
  readonly maxBytes?: number | undefined
  /** Whether a document may have a `Content-Type` other than JSON. Default `false`. */
  readonly anyContentType?: boolean | undefined
  /**
   * Seconds for which a document is cached if its response has no lifetime in `Cache-Control`, 60 to 86400. Default
   * 600. A lifetime in `Cache-Control` takes precedence, limited to the same range.
   */
  readonly cacheLifetimeSeconds?: number | undefined
  /** Seconds for which an expired document is still used while its host fails, 0 to 604800. Default 86400. */
  readonly staleIfErrorSeconds?: number | undefined
  /** Minimum seconds between two requests for the same URL, 1 to 3600. Default 5. */
  readonly cooldownSeconds?: number | undefined
  /** Limits on the number of requests. The defaults protect your server and the hosts that it contacts. */
  readonly budget?: DocumentBudget | undefined
  /** Maximum number of cached documents, 1 to 1000000. Default 1000. */
  readonly maxDocuments?: number | undefined
  /**
   * For development: whether `http:` URLs and hosts on the loopback interface are accepted. If `true`, `issuer` is
   * required and must be on the loopback interface too. Default `false`.
   */
  readonly allowLoopback?: boolean | undefined
  /** The issuer identifier of this server. Required only with `allowLoopback`. */
  readonly issuer?: string | undefined
  /** Returns the current time in epoch seconds. Default: the system clock. */
  readonly clock?: Clock | undefined
}

const NAMES = optionNames<ClientDocumentOptions>({
  ...METADATA_OPTIONS,
  isAllowed: true,
  remote: true,
  maxBytes: true,
  anyContentType: true,
  cacheLifetimeSeconds: true,
  staleIfErrorSeconds: true,
  cooldownSeconds: true,
  budget: true,
  maxDocuments: true,
  allowLoopback: true,
  issuer: true,
  clock: true,
})
const REMOTE_NAMES = optionNames<DocumentRemoteOptions>({
  ca: true,
  lookup: true,
  fetch: true,
  isAllowedAddress: true,
  timeoutMilliseconds: true,
})
const BUDGET_NAMES = optionNames<DocumentBudget>({
  maxRequests: true,
  maxRequestsPerHost: true,
  maxRequestsPerMinute: true,
  maxRequestsPerHostPerMinute: true,
})

/** Finds clients by their metadata documents: what `createClientDocuments` returns. */
export interface ClientDocuments {
  /**
   * Returns the function for every option `findClient` of this package. It calls `registered` first, and then fetches
   * the document at the `client_id`. Omit `registered` if you have no registered clients.
   */
  findClient(registered?: FindClient): FindClient
  /** Pass this as the option `extra` of `createMetadata`. It contains `client_id_metadata_document_supported`. */
  readonly metadata: {
    /** Tells clients that they may use the URL of a metadata document as `client_id`. */
    readonly client_id_metadata_document_supported: true
  }
  /** Removes the document of a client from the cache, so that the next request fetches it again. */
  forget(clientId: string): void
}

/** A valid document. */
interface Kept {
  readonly client: Client
  readonly readAt: number
  readonly expiresAt: number
  /** Whether the last request for it failed: then nobody waits for the next one. */
  isFailing: boolean
}

/** What came of the last request for a document: a refusal with its reason, or no document that could be judged. */
type Outcome = Kept | { readonly refused: string } | 'unreachable' | 'missing'

/** The requests for one document. */
interface Contact {
  readonly askedAt: number
  /** The request under way, which all callers wait for. */
  pending: Promise<Outcome> | undefined
  outcome: Outcome
}

const LEAST_LIFETIME_SECONDS = 60
const MOST_LIFETIME_SECONDS = 86_400
/** How far back the clock may be set before what was noted by it no longer counts. */
const CLOCK_STEP_SECONDS = 60

/** Whether less than `seconds` have passed since then, on a clock that may have been set back. */
const isWithin = (since: number, seconds: number, now: number): boolean =>
  now < since + seconds && now > since - CLOCK_STEP_SECONDS

const isJson = (contentType: string | undefined): boolean =>
  /^application\/(?:[^\s;/+]+\+)*json\s*(?:;|$)/i.test(contentType ?? '')

const refuse = (clientId: string, detail: string) =>
  refusal('client_document_refused', {
    clientId,
    detail,
    description: 'The metadata document of the application is not accepted here.',
  })

/** Whether an issuer is on the loopback interface. */
const isLoopbackIssuer = (issuer: string): boolean => isLoopbackHost(new URL(issuer))

function readLoopback({ allowLoopback, issuer }: ClientDocumentOptions): boolean {
  const allowed = booleanOption('allowLoopback', allowLoopback, false)
  if (issuer !== undefined) requireIssuer(issuer)
  if (allowed && (issuer === undefined || !isLoopbackIssuer(issuer)))
    throw badOption('issuer', 'on the loopback interface if allowLoopback is set', issuer)
  return allowed
}

function readBudget(budget: DocumentBudget, waitMilliseconds: number) {
  checkOptions('budget', budget, BUDGET_NAMES)
  const number = (name: keyof DocumentBudget, fallback: number, most: number): number =>
    wholeNumber(`budget.${name}`, budget[name], fallback, 1, most)
  return {
    atOnce: createRequestBudget({
      maxRequests: number('maxRequests', 16, 1000),
      maxRequestsPerHost: number('maxRequestsPerHost', 4, 1000),
      waitMilliseconds,
    }),
    admit: createRateLimit({
      maxRequestsPerMinute: number('maxRequestsPerMinute', 300, 1_000_000),
      maxRequestsPerHostPerMinute: number('maxRequestsPerHostPerMinute', 30, 1_000_000),
    }),
  }
}

/** A host on the loopback interface is connected to there, and nowhere else. */
const requestFor = (url: URL, request: RemoteRequest): RemoteRequest =>
  isLoopbackHost(url) && request.isAllowedAddress === undefined
    ? { ...request, isAllowedAddress: isLoopbackAddress }
    : request

/** The application may change what it gets. The keys stay the same object: imported keys are found by it. */
function copyOf(client: Client): Client {
  const { redirect_uris: uris = [], grant_types: grants = [] } = client
  return { ...client, redirect_uris: [...uris], grant_types: [...grants] }
}

const keysOf = ({ jwks, jwks_uri: uri }: Client): string => JSON.stringify([jwks, uri])

function publishRead(kept: Kept, before: Kept | undefined, bytes: number, milliseconds: number): void {
  const { client, expiresAt } = kept
  const differs = (read: (client: Client) => unknown): boolean =>
    before !== undefined && read(before.client) !== read(client)
  publish('client_document.read', () => ({
    clientId: client.client_id,
    bytes,
    milliseconds,
    expiresAt,
    redirectUrisChanged: differs(({ redirect_uris: uris }) => JSON.stringify(uris)),
    keysChanged: differs(keysOf),
    methodChanged: differs(({ token_endpoint_auth_method: method }) => method),
  }))
}

/**
 * Creates the look-up for clients whose `client_id` is the URL of a Client ID Metadata Document
 * (draft-ietf-oauth-client-id-metadata-document-03). ChatGPT, Claude, VS Code and other MCP clients use such a document
 * and need no registration. Create one look-up per process, and pass `findClient(yours)` wherever you passed `yours`.
 *
 * - A registered client takes precedence: its record is never fetched from the web.
 * - Each document is fetched by one request at a time, without redirects, and from public addresses only. The time,
 *   size and number of requests are limited.
 * - While the host fails, the last valid document is used, without waiting for the next attempt.
 * - If the document is invalid or was withdrawn (410), the client is refused with the reason `client_document_refused`.
 * - If the document cannot be fetched, the response is 503. It is never `invalid_client`, because clients discard their
 *   tokens on that error.
 * - A missing document (404) is treated like one that cannot be fetched, because hosts also respond with 404 during an
 *   outage. The authorization endpoint then shows `client_document_refused`.
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { createClientDocuments } from 'passport-client-assertion-jwt/cimd'
 *
 * const documents = createClientDocuments({ scope: 'notes.read notes.write' })
 * const findClient = documents.findClient(findRegisteredClient)
 * ```
 */
export function createClientDocuments(options: ClientDocumentOptions): ClientDocuments {
  checkOptions('createClientDocuments', options, NAMES)
  const { isAllowed, remote = {}, clock = systemClock } = options
  if (isAllowed !== undefined) requireFunction('isAllowed', isAllowed)
  requireFunction('clock', clock)
  checkOptions('remote', remote, REMOTE_NAMES)
  const rules = readMetadataRules(options, readLoopback(options))
  const isContentType = booleanOption('anyContentType', options.anyContentType, false) ? undefined : isJson
  const request = readRemoteOptions(
    'remote',
    { ...remote, maxBytes: wholeNumber('maxBytes', options.maxBytes, 10_240, 1024, 65_536) },
    { accept: 'application/json', isContentType },
  )
  const usualLifetime = wholeNumber(
    'cacheLifetimeSeconds',
    options.cacheLifetimeSeconds,
    600,
    LEAST_LIFETIME_SECONDS,
    MOST_LIFETIME_SECONDS,
  )
  const staleIfError = wholeNumber('staleIfErrorSeconds', options.staleIfErrorSeconds, 86_400, 0, 604_800)
  const cooldown = wholeNumber('cooldownSeconds', options.cooldownSeconds, 5, 1, 3600)
  const maxDocuments = wholeNumber('maxDocuments', options.maxDocuments, 1000, 1, 1_000_000)
  const { atOnce, admit } = readBudget(options.budget ?? {}, request.timeoutMilliseconds)
  /** The ones used longest ago come first. */
  const documents = new Map<string, Kept>()
  /** The ones requested longest ago come first. The budget bounds how many there are within a cool-down. */
  const contacts = new Map<string, Contact>()

  const getKept = (clientId: string): Kept | undefined => {
    const kept = documents.get(clientId)
    if (kept === undefined) return undefined
    documents.delete(clientId)
    documents.set(clientId, kept)
    return kept
  }

  const keep = (clientId: string, kept: Kept): void => {
    documents.delete(clientId)
    documents.set(clientId, kept)
    if (documents.size > maxDocuments) documents.delete(documents.keys().next().value as string)
  }

  const isFresh = ({ readAt, expiresAt }: Kept, now: number, grace = 0): boolean =>
    isWithin(readAt, expiresAt - readAt + grace, now)

  const lifetimeOf = ({ cacheControl }: RemoteDocument): number => {
    const asked = readLifetimeSeconds(cacheControl, true)
    return asked === undefined
      ? usualLifetime
      : Math.min(Math.max(asked, LEAST_LIFETIME_SECONDS), MOST_LIFETIME_SECONDS)
  }

  /** Forgets the requests that have cooled down. */
  const sweep = (now: number): void => {
    for (const [clientId, contact] of contacts) {
      if (contact.pending !== undefined || isWithin(contact.askedAt, cooldown, now)) return
      contacts.delete(clientId)
    }
  }

  const refused = (clientId: string, why: string): Outcome => {
    publish('client_document.refused', () => ({ clientId, detail: why }))
    return { refused: why }
  }

  const judge = (clientId: string, url: URL, document: RemoteDocument, now: number, startedAt: number): Outcome => {
    const metadata: ClientMetadata = readClientDocument(document.body, clientId, url, rules)
    if ('refused' in metadata) return refused(clientId, metadata.refused)
    const kept = { client: metadata.client, readAt: now, expiresAt: now + lifetimeOf(document), isFailing: false }
    for (const detail of metadata.warnings) publish('client.warning', () => ({ clientId, detail }))
    publishRead(kept, documents.get(clientId), document.body.length, Math.round(performance.now() - startedAt))
    return kept
  }

  const isStaleUsable = (clientId: string, now: number): boolean => {
    const kept = documents.get(clientId)
    return kept !== undefined && isFresh(kept, now, staleIfError)
  }

  /** Every failure takes as long as the slowest one: how fast it was would tell something about the network here. */
  const outcomeOfFailure = async (clientId: string, failure: RemoteFailure, now: number, startedAt: number) => {
    if (failure.status === 410) return refused(clientId, 'the document was withdrawn (status 410)')
    const isStaleUsed = isStaleUsable(clientId, now)
    const kept = documents.get(clientId)
    if (kept !== undefined) kept.isFailing = true
    publish('client_document.unreachable', () => ({ clientId, detail: failure.message, isStaleUsed }))
    if (failure.status === 404) return 'missing'
    const left = startedAt + request.timeoutMilliseconds - performance.now()
    if (!isStaleUsed && failure.problem !== 'busy' && left > 0)
      await new Promise((resolve) => setTimeout(resolve, left))
    return 'unreachable'
  }

  const ask = async (clientId: string, url: URL, contact: Contact, now: number): Promise<Outcome> => {
    let startedAt = performance.now()
    let isBusy = false
    let outcome: Outcome = 'unreachable'
    try {
      let document: RemoteDocument | undefined
      let failure: RemoteFailure | undefined
      try {
        document = await atOnce.run(url.hostname, () => {
          startedAt = performance.now()
          return getDocument(url, requestFor(url, request))
        })
      } catch (error) {
        failure = networkFailure(error)
        isBusy = failure.problem === 'busy'
      }
      outcome =
        document === undefined
          ? await outcomeOfFailure(clientId, failure as RemoteFailure, now, startedAt)
          : judge(clientId, url, document, now, startedAt)
      return outcome
    } finally {
      contact.pending = undefined
      contact.outcome = outcome
      // `forget` has made room for another contact
      if (contacts.get(clientId) === contact) {
        if (isBusy) contacts.delete(clientId)
        if (typeof outcome === 'object') {
          if ('client' in outcome) keep(clientId, outcome)
          else documents.delete(clientId)
        }
      }
    }
  }

  /** Requests the document, or waits for the request under way. Within the cool-down the last outcome counts. */
  const outcomeFor = (clientId: string, url: URL, now: number): Outcome | Promise<Outcome> => {
    const known = contacts.get(clientId)
    if (known?.pending !== undefined) return known.pending
    if (known !== undefined && isWithin(known.askedAt, cooldown, now)) return known.outcome
    if (!admit(url.hostname, now)) {
      const isStaleUsed = isStaleUsable(clientId, now)
      const detail = 'too many documents were requested within a minute'
      publish('client_document.unreachable', () => ({ clientId, detail, isStaleUsed }))
      return 'unreachable'
    }
    contacts.delete(clientId)
    sweep(now)
    const contact: Contact = { askedAt: now, pending: undefined, outcome: 'unreachable' }
    contacts.set(clientId, contact)
    contact.pending = ask(clientId, url, contact, now)
    return contact.pending
  }

  const readDocument = async (clientId: string, url: URL, now: number): Promise<Client> => {
    const pending = outcomeFor(clientId, url, now)
    const last = getKept(clientId)
    if (isPromise(pending) && last?.isFailing === true && isFresh(last, now, staleIfError)) {
      ignoreRejection(pending)
      return copyOf(last.client)
    }
    const outcome = await pending
    if (typeof outcome === 'object') {
      if ('client' in outcome) return copyOf(outcome.client)
      throw refuse(clientId, outcome.refused)
    }
    const kept = getKept(clientId)
    if (kept !== undefined && isFresh(kept, now, staleIfError)) return copyOf(kept.client)
    throw new ClientDocumentUnreachable(outcome === 'missing')
  }

  const findDocument = (clientId: string, url: URL): Client | Promise<Client> => {
    const now = timeOf(clock)
    const kept = getKept(clientId)
    return kept !== undefined && isFresh(kept, now) ? copyOf(kept.client) : readDocument(clientId, url, now)
  }

  const findAllowed = async (
    clientId: string,
    url: URL,
    allows: NonNullable<ClientDocumentOptions['isAllowed']>,
  ): Promise<Client | undefined> =>
    (await answerOf(() => allows(url))) === true ? findDocument(clientId, url) : undefined

  const fromDocument = (clientId: string): Client | undefined | Promise<Client | undefined> => {
    const url = readClientUrl(clientId, rules)
    if (url === undefined) return undefined
    return isAllowed === undefined ? findDocument(clientId, url) : findAllowed(clientId, url, isAllowed)
  }

  const flag = { client_id_metadata_document_supported: true } as const
  const metadata = { ...flag, [DOCUMENT_METHODS]: rules.methods }

  return {
    findClient(registered = () => undefined) {
      requireFunction('registered', registered)
      return (clientId, context) => {
        const found = registered(clientId, context)
        if (!isPromise(found)) return found ?? fromDocument(clientId)
        return Promise.resolve(found).then((client) => client ?? fromDocument(clientId))
      }
    },
    metadata,
    forget(clientId) {
      documents.delete(clientId)
      contacts.delete(clientId)
    },
  }
}
