import { refusal } from '../errors.ts'

/** Resources of one request, and characters of one of them. */
export const MOST_RESOURCES = 8
const MOST_CHARACTERS = 512

// RFC 3986 §4.3: a scheme and the characters of a URI, without a fragment. Nothing that a parser would repair or drop.
const ABSOLUTE_URI = /^[a-z][a-z0-9+.-]*:[\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+$/i

/** Whether a value can be a resource indicator (RFC 8707 §2): an absolute URI without a fragment. */
export const isResourceIndicator = (value: unknown): value is string =>
  typeof value === 'string' &&
  value.length <= MOST_CHARACTERS &&
  ABSOLUTE_URI.test(value) &&
  (!/^https?:/i.test(value) || (/^https?:\/\/[^/?]/i.test(value) && URL.canParse(value)))

/** Whether a value is an array of resource indicators. */
export const areResourceIndicators = (values: unknown): values is readonly string[] =>
  Array.isArray(values) && values.every(isResourceIndicator)

/** The URI as it is compared: without one slash at its end, unless the comparison is exact. */
export const comparable = (uri: string, isExact: boolean): string =>
  isExact || !uri.endsWith('/') ? uri : uri.slice(0, -1)

/**
 * The values of a `resource` parameter: several are joined by spaces, as the form readers do, because no URI has any.
 * Throws `invalid_target` for too many or too long ones, and for anything that is not an absolute URI without a fragment.
 */
export function parseResourceParameter(sent: string | undefined, clientId: string): readonly string[] {
  if (sent === undefined) return []
  const malformed = (detail: string) => refusal('resource_malformed', { clientId, detail })
  // before it is split: a parameter may be as long as a body
  if (sent.length > (MOST_CHARACTERS + 1) * MOST_RESOURCES)
    throw malformed(`expected at most ${MOST_RESOURCES} resources of ${MOST_CHARACTERS} characters`)
  const values = sent.split(' ').filter((each) => each !== '')
  if (values.length > MOST_RESOURCES) throw malformed(`expected at most ${MOST_RESOURCES}, got ${values.length}`)
  if (!areResourceIndicators(values))
    throw malformed(`expected absolute URIs without a fragment, of at most ${MOST_CHARACTERS} characters`)
  return values
}
