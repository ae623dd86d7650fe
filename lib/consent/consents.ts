import { createHash } from 'node:crypto'
import type { Client } from '../client.ts'
import { type Clock, systemClock } from '../clock.ts'
import { refusal } from '../errors.ts'
import { timeOf } from '../hooks.ts'
import { requireIssuer } from '../issuer.ts'
import { readOptional } from '../optional.ts'
import { checkOptions, optionNames, requireFunction, requireVerbs, wholeNumber } from '../options.ts'
import { formatScope, isScopeWithin, registeredPart, registeredScope } from '../scope.ts'
import { askedStore } from '../session/asked_store.ts'
import { checkedPermission, checkedSubject } from '../session/permission.ts'
import { isLive, openedSession, type Permission, type Session } from '../session/session.ts'
import type { SessionStore } from '../session/session_store.ts'

/** The type of the session store's records that hold consent. */
const CONSENT = 'consent'

const DAY = 86_400
const DEFAULT_LIFETIME_SECONDS = 3650 * DAY
const MOST_ATTEMPTS = 6

/**
 * How long a record stays beyond the lifetime of its consent. A store may keep what has expired, and then creates no
 * record of that id: consent that has lapsed could not be given again. So it is given again in the record that is there.
 */
const KEPT_SECONDS = 3650 * DAY

/** The permissions that a user has given a client in all requests. Times are epoch seconds. */
export interface Consent {
  /** The client that received the permission. */
  readonly clientId: string
  /** All scope values that the user has allowed, separated by spaces; '' for none. */
  readonly scope: string
  /** The resources the consent is for (RFC 8707); absent without resources. */
  readonly resources?: readonly string[]
  /** When the user first gave consent. */
  readonly since: number
  /** When the user last gave consent. The lifetime counts from here. */
  readonly extendedAt: number
}

/**
 * The options of `createConsents`.
 *
 * @inline
 */
export interface ConsentsOptions {
  /** The session store: consent is a record of type `consent` in it, shared by all processes that share the store. */
  readonly store: SessionStore
  /**
   * Seconds after which consent expires if it is not extended. A change also applies to existing consent. Default
   * 315 360 000 (ten years), at least 60. Its record is kept ten years longer, so that consent can be given again.
   */
  readonly consentLifetimeSeconds?: number | undefined
  /**
   * The issuer identifier of this server. Set it if several issuers share a store: each issuer then has its own consents.
   * Consent stored without an issuer is asked again. Default: all issuers share the consents.
   */
  readonly issuer?: string | undefined
  /** The source of the time. Default: the clock of this machine. */
  readonly clock?: Clock | undefined
}

const OPTIONS = optionNames<ConsentsOptions>({ store: true, consentLifetimeSeconds: true, issuer: true, clock: true })

/**
 * Remembers what users have allowed clients. Consent only decides whether the user is asked again. It never widens a token:
 * the scope of a token comes from the request that it was issued for.
 *
 * All functions reject with 503 if the store fails, and with a `TypeError` for a subject, client or scope that is not a
 * string. Do not end records of type `consent` with the store's `end` or
 * `endAll`, because their markers prevent the consent from being stored again. Use `withdraw`.
 */
export interface Consents {
  /**
   * Returns whether the user has allowed this client every value of `scope`. Without any consent, not even the empty scope is
   * allowed. You can pass it as `permits` of the exchanges. If you pass the client, values that its `scope` no longer has
   * are removed from the consent; if the client gets a value back, the user is asked again.
   */
  allows(permission: Permission, context?: ConsentContext): Promise<boolean>
  /** Adds to the consent of the user. If you pass the client, removes values that its `scope` no longer has. Concurrent calls are both stored. */
  remember(permission: Permission, context?: ConsentContext): Promise<void>
  /** Removes the consent of the user for this client. Resolves with `false` if there was none. */
  withdraw(subject: string, clientId: string): Promise<boolean>
  /** Removes the consent of the user for all clients, and resolves with the number of clients. */
  withdrawAll(subject: string): Promise<number>
  /** Resolves with the consents of a user, oldest first. Use it for an account page. */
  list(subject: string): Promise<readonly Consent[]>
}

/** What `allows` and `remember` may know beyond the permission. */
interface ConsentContext {
  /** The client's record as it is now. */
  readonly client?: Client | undefined
}

/** What of an allowed scope the client may still ask for. A record without `scope`, or with a malformed one, says nothing about it. */
const keptScope = (allowed: string, context: ConsentContext | undefined): string => {
  const scope: unknown = readOptional(context?.client?.scope)
  const registered = typeof scope === 'string' ? registeredScope(scope) : undefined
  return registered === undefined ? allowed : registeredPart(allowed, registered)
}

/** One record for each user and client (and issuer): its id says nothing about them, and no two of them share it. */
const consentId = (...whose: readonly string[]): string =>
  `consent:${createHash('sha256').update(JSON.stringify(whose)).digest('base64url')}`

/** A record whose consent was withdrawn stays, with this on it, so that consent can be given anew. */
const isWithdrawn = (record: Session): boolean => record.extra['withdrawn'] === true

/** The scope values of both, sorted, each once. */
const union = (one: string, other: string): string =>
  formatScope([...new Set(`${one} ${other}`.split(' '))].filter((value) => value !== '').sort())

/** Resources that one consent remembers. The oldest are forgotten, and asked about again. */
const MOST_RESOURCES = 100

type Extra = Session['extra']
type ScopeByResource = Readonly<Record<string, string>>

/** The scope allowed at each resource; `undefined` for a consent that was given for none. */
function resourcesOf(extra: Extra): ScopeByResource | undefined {
  const { resources } = extra
  return typeof resources === 'object' && resources !== null ? (resources as ScopeByResource) : undefined
}

/** The scope allowed without any resource. A consent that has no resources is altogether of this kind. */
function unboundOf({ scope, extra }: Pick<Session, 'scope' | 'extra'>): string | undefined {
  if (resourcesOf(extra) === undefined) return scope
  return typeof extra['unbound'] === 'string' ? extra['unbound'] : undefined
}

/** The scope that was allowed at each of the resources, or without any; `undefined` where nothing was. */
function allowedFor(
  record: Pick<Session, 'scope' | 'extra'>,
  resources: readonly string[] | undefined,
): readonly (string | undefined)[] {
  if (resources === undefined || resources.length === 0) return [unboundOf(record)]
  const known = resourcesOf(record.extra) ?? {}
  return resources.map((each) => (Object.hasOwn(known, each) ? known[each] : undefined))
}

/** What `extra` says of resources, with each scope changed. */
function mapResources({ extra }: Pick<Session, 'extra'>, change: (scope: string) => string): Extra {
  const resources = resourcesOf(extra)
  if (resources === undefined) return extra
  const changed = Object.fromEntries(Object.entries(resources).map(([uri, scope]) => [uri, change(String(scope))]))
  const { unbound } = extra
  return { ...extra, resources: changed, ...(typeof unbound === 'string' ? { unbound: change(unbound) } : {}) }
}

/** The `extra` of a consent that is extended by a scope, at resources or without any. */
function withResources(
  before: Pick<Session, 'scope' | 'extra'> | undefined,
  scope: string,
  resources: readonly string[] = [],
): Extra {
  const known = before === undefined ? undefined : resourcesOf(before.extra)
  if (resources.length === 0 && known === undefined) return {}
  const unbound = before === undefined ? undefined : unboundOf(before)
  const kept = Object.entries(known ?? {}).filter(([uri]) => !resources.includes(uri))
  const added = resources.map((uri) => [
    uri,
    union(known && Object.hasOwn(known, uri) ? (known[uri] ?? '') : '', scope),
  ])
  const withoutAny = resources.length > 0 ? unbound : union(unbound ?? '', scope)
  return {
    resources: Object.fromEntries([...kept, ...added].slice(-MOST_RESOURCES)),
    ...(withoutAny === undefined ? {} : { unbound: withoutAny }),
  }
}

/**
 * Creates the functions that remember consent in `store`.
 *
 * @example
 * ```ts
 * import { createConsents } from 'passport-client-assertion-jwt'
 *
 * const authorization = createAuthorizationSide<User>({
 *   issuer,
 *   findClient: (clientId) => (clientId === client.client_id ? client : undefined),
 *   codes: codeStore,
 *   consents: createConsents({ store: sessionStore }),
 *   replayRegister,
 *   secret: process.env['BASE_SECRET'] ?? '', // at least 32 random bytes, the same in all processes
 *   authenticatedAt: (user) => user.loggedInAt,
 * })
 * ```
 */
export function createConsents(options: ConsentsOptions): Consents {
  checkOptions('createConsents', options, OPTIONS)
  const { clock = systemClock, issuer } = options
  if (issuer !== undefined) requireIssuer(issuer)
  requireVerbs('store', options.store, ['create', 'get', 'save', 'list'])
  const store = askedStore(options.store)
  requireFunction('clock', clock)
  const lifetime = wholeNumber(
    'consentLifetimeSeconds',
    options.consentLifetimeSeconds,
    DEFAULT_LIFETIME_SECONDS,
    60,
    36_500 * DAY,
  )

  const idOf = (subject: string, clientId: string): string =>
    issuer === undefined ? consentId(subject, clientId) : consentId(subject, clientId, issuer)

  async function read(id: string, now: number): Promise<Session | undefined> {
    const record = await store.get(id)
    return record !== undefined && record.type === CONSENT && isLive(record, now) ? record : undefined
  }

  /** Whether the consent stands: it was neither withdrawn, nor last extended a lifetime ago. */
  const stands = (record: Session, now: number): boolean => !isWithdrawn(record) && now < record.refreshedAt + lifetime

  async function allows(permission: Permission, context?: ConsentContext): Promise<boolean> {
    const { subject, clientId, scope } = checkedPermission(permission)
    const now = timeOf(clock)
    const record = await read(idOf(subject, clientId), now)
    if (record === undefined || !stands(record, now)) return false
    const kept = keptScope(record.scope, context)
    if (kept !== record.scope) await strip({ subject, clientId, scope: '' }, context)
    return allowedFor(record, permission.resources).every(
      (allowed) => allowed !== undefined && isScopeWithin(scope, keptScope(allowed, context)),
    )
  }

  /** Takes out of a consent what its client is not registered for any more. */
  async function strip(permission: Permission, context: ConsentContext | undefined): Promise<void> {
    await change(
      permission,
      (record) => {
        const scope = keptScope(record.scope, context)
        return scope === record.scope
          ? undefined
          : { scope, extra: mapResources(record, (each) => keptScope(each, context)) }
      },
      'leave',
    )
  }

  /** Reads, decides and saves until no other process interferes. `decide` gives `undefined` for "leave it as it is". */
  async function change(
    { subject, clientId, scope, resources }: Permission,
    decide: (record: Session, now: number) => Partial<Session> | undefined,
    missing: 'create' | 'leave',
  ): Promise<boolean> {
    const id = idOf(subject, clientId)
    for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt += 1) {
      const now = timeOf(clock)
      const record = await read(id, now)
      if (record === undefined) {
        if (missing === 'leave') return false
        const lifetimes = { idleSeconds: lifetime + KEPT_SECONDS, absoluteSeconds: undefined }
        const opened = openedSession(
          { subject, clientId, scope },
          { id, type: CONSENT, now, lifetimes, extra: withResources(undefined, scope, resources), issuer },
        )
        if ((await store.create(opened)) === 'created') return true
        continue
      }
      const changed = decide(record, now)
      if (changed === undefined) return false
      if ((await store.save({ ...record, ...changed })) === 'saved') return true
    }
    throw refusal('contention', {
      clientId,
      detail:
        'the consent could not be saved: concurrent requests changed it, or its record was removed from the store',
      headers: { 'Retry-After': '1' },
    })
  }

  async function withdraw(subject: string, clientId: string): Promise<boolean> {
    return change(
      checkedPermission({ subject, clientId, scope: '' }),
      (record, now) => (stands(record, now) ? { scope: '', extra: { withdrawn: true } } : undefined),
      'leave',
    )
  }

  async function live(subject: string): Promise<readonly Session[]> {
    checkedSubject(subject)
    const now = timeOf(clock)
    const records = await store.list(subject, CONSENT)
    return records.filter((record) => record.issuer === issuer && isLive(record, now) && stands(record, now))
  }

  return {
    allows,
    async remember(permission, context) {
      const checked = checkedPermission(permission)
      const { scope } = checked
      await change(
        checked,
        (record, now) => {
          const isExtended = stands(record, now)
          const kept = isExtended ? keptScope(record.scope, context) : ''
          const before = isExtended
            ? { ...record, scope: kept, extra: mapResources(record, (each) => keptScope(each, context)) }
            : undefined
          const isCovered = (allowed: string | undefined) => allowed !== undefined && isScopeWithin(scope, allowed)
          if (before !== undefined && kept === record.scope && allowedFor(before, checked.resources).every(isCovered))
            return undefined
          return {
            createdAt: isExtended ? record.createdAt : now,
            scope: union(kept, scope),
            extra: withResources(before, scope, checked.resources),
            refreshedAt: now,
            refreshExpiresAt: now + lifetime + KEPT_SECONDS,
          }
        },
        'create',
      )
    },
    withdraw,
    async withdrawAll(subject) {
      const records = await live(subject)
      const withdrawn = await Promise.all(records.map(({ clientId }) => withdraw(subject, clientId)))
      return withdrawn.filter(Boolean).length
    },
    async list(subject) {
      const records = await live(subject)
      return records.map(({ clientId, scope, extra, createdAt, refreshedAt }) => ({
        clientId,
        scope,
        ...(resourcesOf(extra) === undefined ? {} : { resources: Object.keys(resourcesOf(extra) ?? {}) }),
        since: createdAt,
        extendedAt: refreshedAt,
      }))
    },
  }
}
