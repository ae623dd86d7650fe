import type { LookupFunction } from 'node:net'
import { badOption, booleanOption, requireFunction, wholeNumber } from '../options.ts'
import type { IsAllowedAddress } from './address.ts'

/**
 * The options that say how documents are fetched. Features with remote documents take these under their own names.
 *
 * @inline
 */
export interface RemoteOptions {
  /** Whether `http:` is taken for hosts on the loopback interface. For tests and development. Default `false`. */
  readonly allowHttpLoopback?: boolean | undefined
  /**
   * Whether an address may be connected to. Replaces the rule that only public addresses are allowed. Asked when a name
   * is resolved and again for the connected socket. Loosen it for servers inside one's own network, by exact address:
   * `(address) => address === '10.0.0.7' || isPublicAddress(address)`.
   */
  readonly isAllowedAddress?: IsAllowedAddress | undefined
  /** Certificate authorities (PEM) instead of those of Node.js, as for `tls.connect`. Cannot be combined with `fetch`. */
  readonly ca?: string | Buffer | readonly (string | Buffer)[] | undefined
  /**
   * Resolves host names (`net.connect`'s `lookup`). What it finds is checked all the same. Default: the hosts file and
   * DNS queries that end with the request. `dns.lookup` asks the other sources of the system as well, but occupies a
   * thread of the pool of Node.js while a name server is silent.
   */
  readonly lookup?: LookupFunction | undefined
  /**
   * Your own fetch function, for example for a proxy. Size, time, status, redirects and content are
   * checked all the same; which addresses it connects to is then its own duty.
   */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** Milliseconds for the whole of a request, 100 to 30000. Default 3000. */
  readonly timeoutMilliseconds?: number | undefined
  /** The largest response in bytes, 1024 to 1048576. Default 65536. */
  readonly maxBytes?: number | undefined
}

/** The names of the options, for the constructors that have them all. */
export const REMOTE_OPTIONS: Readonly<Record<keyof RemoteOptions, true>> = {
  allowHttpLoopback: true,
  isAllowedAddress: true,
  ca: true,
  lookup: true,
  fetch: true,
  timeoutMilliseconds: true,
  maxBytes: true,
}

/** What the feature, not the application, decides about its requests. */
export interface RequestKind {
  /** The `Accept` header. */
  readonly accept: string
  /** Whether a `Content-Type` is acceptable. Default: any is. */
  readonly isContentType?: ((contentType: string | undefined) => boolean) | undefined
}

/** How one kind of document is requested: `readRemoteOptions` makes it. */
export interface RemoteRequest extends RequestKind {
  readonly allowHttpLoopback: boolean
  readonly timeoutMilliseconds: number
  readonly maxBytes: number
  readonly isAllowedAddress: IsAllowedAddress | undefined
  readonly ca: RemoteOptions['ca']
  /** Resolves names instead of the system, in the form `net.connect` takes. */
  readonly lookup: LookupFunction | undefined
  readonly fetch: typeof globalThis.fetch | undefined
}

/** A document as its server sent it. */
export interface RemoteDocument {
  readonly body: Buffer
  /** `Cache-Control`, unparsed. */
  readonly cacheControl: string | undefined
  /** `Content-Type`, unparsed. */
  readonly contentType: string | undefined
}

const isCertificate = (ca: unknown): boolean =>
  ca === undefined ||
  (Array.isArray(ca) ? ca : [ca]).every((each) => typeof each === 'string' || each instanceof Uint8Array)

/** Checks the options. `prefix` names them in a `TypeError`: `keySets` for `keySets.timeoutMilliseconds`. */
export function readRemoteOptions(prefix: string, options: RemoteOptions, kind: RequestKind): RemoteRequest {
  for (const name of ['isAllowedAddress', 'lookup', 'fetch'] as const)
    if (options[name] !== undefined) requireFunction(`${prefix}.${name}`, options[name])
  if (!isCertificate(options.ca))
    throw badOption(`${prefix}.ca`, 'a PEM string, a Buffer or an array of these', options.ca)
  return {
    ...kind,
    allowHttpLoopback: booleanOption(`${prefix}.allowHttpLoopback`, options.allowHttpLoopback, false),
    timeoutMilliseconds: wholeNumber(`${prefix}.timeoutMilliseconds`, options.timeoutMilliseconds, 3000, 100, 30_000),
    maxBytes: wholeNumber(`${prefix}.maxBytes`, options.maxBytes, 65_536, 1024, 1_048_576),
    isAllowedAddress: options.isAllowedAddress,
    ca: options.ca,
    lookup: options.lookup,
    fetch: options.fetch,
  }
}
