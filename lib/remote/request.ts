import type { LookupFunction } from 'node:net'
import { badOption, booleanOption, requireFunction, wholeNumber } from '../options.ts'
import type { IsAllowedAddress } from './address.ts'

/** The options that say how documents are fetched. Features with remote documents take these under their own names. */
export interface RemoteOptions {
  readonly allowHttpLoopback?: boolean | undefined
  readonly isAllowedAddress?: IsAllowedAddress | undefined
  readonly ca?: string | Buffer | readonly (string | Buffer)[] | undefined
  readonly lookup?: LookupFunction | undefined
  readonly fetch?: typeof globalThis.fetch | undefined
  readonly timeoutMilliseconds?: number | undefined
  readonly maxBytes?: number | undefined
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
  if (!isCertificate(options.ca)) throw badOption(`${prefix}.ca`, 'PEM text, a Buffer or an array of these', options.ca)
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
