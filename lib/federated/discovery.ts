import { getDocument } from '../remote/document.ts'
import type { RemoteRequest } from '../remote/request.ts'
import { parseJsonObject, skipByteOrderMark } from '../remote/strict_json.ts'
import { documentUrl } from '../remote/url.ts'

/** Finds the `jwks_uri` of an issuer. Resolves with it, or rejects if there is no document that can be used. */
export type FindJwksUri = (now: number) => string | Promise<string>

const LIFETIME_SECONDS = 3600
/** How long a `jwks_uri` is used while the document cannot be fetched again. */
const STALE_SECONDS = 86_400
const COOLDOWN_SECONDS = 30

/** Where the document of an issuer is (OpenID Connect Discovery §4). */
const documentOf = (issuer: string): string => `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`

/** Whether the document can be fetched from there. */
export const isDiscoverable = (issuer: string, allowHttpLoopback: boolean): boolean =>
  documentUrl(documentOf(issuer), allowHttpLoopback) !== undefined

/**
 * Reads the document (RFC 8414 §3.3): it is that of this issuer, and its keys are at the host of the issuer, so that
 * another host cannot become the issuer by one wrong answer.
 */
function readJwksUri(body: Buffer, issuer: string): string {
  const { issuer: named, jwks_uri: uri } = parseJsonObject(skipByteOrderMark(body))
  if (named !== issuer) throw new Error('the document is that of another issuer')
  if (typeof uri !== 'string' || !URL.canParse(uri)) throw new Error('the document has no jwks_uri')
  if (new URL(uri).host !== new URL(issuer).host) throw new Error('its jwks_uri is at another host: set jwksUri')
  return uri
}

/** Makes the function for one issuer. It asks once at a time, and after a failure not before some seconds have passed. */
export function createDiscovery(issuer: string, request: RemoteRequest): FindJwksUri {
  let found: { readonly uri: string; readonly at: number } | undefined
  let failed: { readonly why: Error; readonly at: number } | undefined
  let pending: Promise<string> | undefined
  const isWithin = (at: number, seconds: number, now: number): boolean => now < at + seconds && now > at - 60

  const fallBack = (why: Error, now: number): string => {
    if (found !== undefined && isWithin(found.at, STALE_SECONDS, now)) return found.uri
    throw why
  }

  const ask = async (now: number): Promise<string> => {
    try {
      const url = documentUrl(documentOf(issuer), request.allowHttpLoopback) as URL // checked at construction
      const uri = readJwksUri((await getDocument(url, request)).body, issuer)
      found = { uri, at: now }
      failed = undefined
      return uri
    } catch (error) {
      const why = error instanceof Error ? error : new Error('the request failed')
      failed = { why, at: now }
      return fallBack(why, now)
    } finally {
      pending = undefined
    }
  }

  return (now) => {
    if (found !== undefined && isWithin(found.at, LIFETIME_SECONDS, now)) return found.uri
    if (pending !== undefined) return pending
    if (failed !== undefined && isWithin(failed.at, COOLDOWN_SECONDS, now)) return fallBack(failed.why, now)
    pending = ask(now)
    return pending
  }
}
