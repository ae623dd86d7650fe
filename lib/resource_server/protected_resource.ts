import type { Dpop } from '../dpop/dpop.ts'
import { createDocumentEndpoint } from '../endpoints/metadata.ts'
import type { CorsOptions } from '../http/cors.ts'
import type { Next, Request, Response } from '../http/message.ts'
import { requireIssuer } from '../issuer.ts'
import { badOption, checkOptions, optionNames, requireVerbs } from '../options.ts'
import { requireResourceUri } from '../resource_uri.ts'
import { parseScope } from '../scope.ts'

/**
 * The options of `createProtectedResource`.
 *
 * @inline
 */
export interface ProtectedResourceOptions {
  /** The URI of the API, the same as in the verifier: an http(s) URL without a fragment. */
  readonly resource: string
  /** The issuer identifiers of the authorization servers whose tokens the API accepts. */
  readonly issuer: string | readonly string[]
  /** The scope values that the API uses. Default: not published. */
  readonly scopes?: readonly string[] | undefined
  /** The name of the API that clients may show to users. Default: not published. */
  readonly name?: string | undefined
  /**
   * The option `dpop` of the verifier. The document then contains the algorithms of DPoP proofs. It also says whether
   * tokens must be bound to a key, which the option `required` of `createDpop` sets. Default: neither is published.
   */
  readonly dpop?: Dpop | undefined
  /** More members of the document (RFC 9728 §2). They replace the members above, except for `resource`. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined
  /** `false`: the response has no CORS headers. Default: any origin may read the document. */
  readonly cors?: CorsOptions | false | undefined
  /** Seconds for which the document may be cached. Default 300. */
  readonly maxAgeSeconds?: number | undefined
}

/** The metadata document of a protected resource (RFC 9728), ready to be served. */
export interface ProtectedResource {
  /** The path on the host of the resource at which clients look for the document. */
  readonly path: string
  /** The URL of the document. Challenges contain it as `resource_metadata`. */
  readonly url: string
  /** Serves the document: for `app.all(path, handler)` in Express 4 and 5, or for `node:http`. */
  readonly handler: (request: Request, response: Response, next?: Next) => void
}

const NAMES = optionNames<ProtectedResourceOptions>({
  resource: true,
  issuer: true,
  scopes: true,
  name: true,
  dpop: true,
  extra: true,
  cors: true,
  maxAgeSeconds: true,
})

const WELL_KNOWN = '/.well-known/oauth-protected-resource'

/** Whether a resource has a place for its document: http(s) URLs have one, `urn:…` does not. */
export const isWebResource = (resource: string): boolean => /^https?:\/\//i.test(resource)

/** Where the document of a resource is (RFC 9728 §3.1): the well-known name goes between its host and its path. */
export function locateDocument(resource: string): { readonly path: string; readonly url: string } {
  const { origin, pathname, search } = new URL(resource)
  const path = WELL_KNOWN + pathname.replace(/\/$/, '')
  return { path, url: origin + path + search }
}

function readScopes(scopes: unknown): readonly string[] | undefined {
  if (scopes === undefined) return undefined
  const isScope = (each: unknown): each is string => typeof each === 'string' && parseScope(each)?.length === 1
  if (Array.isArray(scopes) && scopes.every(isScope)) return scopes
  throw badOption('scopes', 'an array of scope values', scopes)
}

/** RFC 9728 §2. */
const proofMembers = ({ algorithms, isRequired }: Dpop) => ({
  dpop_signing_alg_values_supported: [...algorithms],
  dpop_bound_access_tokens_required: isRequired,
})

/**
 * Creates the metadata document that tells clients which authorization server an API uses (RFC 9728). Mount its
 * `handler` at its `path`. `requireAccessToken` puts the URL of the document into every challenge.
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { createProtectedResource } from 'passport-client-assertion-jwt/resource-server'
 *
 * const document = createProtectedResource({ resource, issuer, scopes: ['notes.read', 'notes.write'] })
 * ```
 */
export function createProtectedResource(options: ProtectedResourceOptions): ProtectedResource {
  checkOptions('createProtectedResource', options, NAMES)
  const { issuer, name, dpop, extra, cors, maxAgeSeconds } = options
  const resource = requireResourceUri(options.resource)
  if (!isWebResource(resource)) throw badOption('resource', 'an http or https URL', resource)
  const issuers: readonly unknown[] = Array.isArray(issuer) ? issuer : [issuer]
  if (issuers.length === 0) throw badOption('issuer', 'an issuer, or a non-empty array of them', issuer)
  for (const each of issuers) requireIssuer(each)
  if (name !== undefined && typeof name !== 'string') throw badOption('name', 'a string', name)
  const scopes = readScopes(options.scopes)
  if (dpop !== undefined) requireVerbs('dpop', dpop, ['checkProof', 'spendProof', 'getNonce'])
  if (extra !== undefined && (typeof extra !== 'object' || extra === null || Array.isArray(extra)))
    throw badOption('extra', 'an object', extra)
  const document = {
    authorization_servers: [...issuers],
    ...(scopes === undefined ? {} : { scopes_supported: [...scopes] }),
    bearer_methods_supported: ['header'],
    ...(name === undefined ? {} : { resource_name: name }),
    ...(dpop === undefined ? {} : proofMembers(dpop)),
    ...extra,
    resource,
  }
  const handler = createDocumentEndpoint(document, { cors, maxAgeSeconds })
  return { ...locateDocument(resource), handler }
}
