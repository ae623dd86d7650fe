const NOT_STORED = /(?:^|[\s,])no-(?:store|cache)(?=[\s,;=]|$)/i
const SHARED_AGE = /(?:^|[\s,])s-maxage\s*=\s*"?(\d{1,9})/i
const AGE = /(?:^|[\s,])max-age\s*=\s*"?(\d{1,9})/i

/**
 * Reads how many seconds a response may be used (RFC 9111 §5.2.2): `max-age`, for a shared cache `s-maxage` before it,
 * and 0 for `no-store` and `no-cache`. Returns `undefined` if the header says nothing about it. The caller sets bounds.
 */
export function readLifetimeSeconds(cacheControl: string | undefined, isShared = false): number | undefined {
  if (cacheControl === undefined) return undefined
  if (NOT_STORED.test(cacheControl)) return 0
  const age = (isShared ? SHARED_AGE.exec(cacheControl) : null) ?? AGE.exec(cacheControl)
  return age === null ? undefined : Number(age[1])
}
