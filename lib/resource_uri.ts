import { badOption } from './options.ts'

/** A longer resource identifier than this is refused. */
const MOST_CHARACTERS = 512
// Printable ASCII without # and \. The URL parser would drop blanks and line breaks, and read \ as /.
const ABSOLUTE_URI = /^[a-z][a-z0-9+.-]*:[\x21\x22\x24-\x5b\x5d-\x7e]+$/i

/** Whether a value can identify a resource (RFC 8707 §2): an absolute URI without a fragment, at most 512 characters. */
const isResourceUri = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= MOST_CHARACTERS && ABSOLUTE_URI.test(value) && URL.canParse(value)

const withoutSlash = (uri: string): string => (uri.endsWith('/') ? uri.slice(0, -1) : uri)

/**
 * Whether two identifiers name one resource: compared as strings, and one slash at the end counts on neither side. Case of
 * the host, default port and percent-encoding are not normalised.
 */
export const isSameResource = (one: string, other: string): boolean =>
  one === other || withoutSlash(one) === withoutSlash(other)

/** Returns `value`. Throws a `TypeError` that names the option unless `value` can identify a resource. */
export function requireResourceUri(value: unknown, option = 'resource'): string {
  if (!isResourceUri(value))
    throw badOption(option, `an absolute URI without fragment, at most ${MOST_CHARACTERS} characters`, value)
  return value
}
