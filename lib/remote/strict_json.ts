import { isUtf8 } from 'node:buffer'

/** Deeper than any claim set in use; keeps code that walks the claims recursively from running out of stack. */
const MOST_LEVELS = 32

/**
 * The members of an object in a JSON text, and of every object below it. The text is known to be valid JSON, so that
 * colons outside strings are exactly the name separators (RFC 8259 §4).
 */
function membersWritten(text: string): number {
  let count = 0
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit === 0x3a) count++
    else if (unit === 0x22) {
      for (at++; text.charCodeAt(at) !== 0x22; at++) if (text.charCodeAt(at) === 0x5c) at++
    }
  }
  return count
}

/**
 * A number not below `membersWritten`, and mostly the same, at a fraction of its price: the colons that no slash
 * follows. A value does not begin with a slash, so those in `https://…` separate no names.
 */
function membersWrittenAtMost(text: string): number {
  let count = 0
  for (let at = text.indexOf(':'); at !== -1; at = text.indexOf(':', at + 1))
    if (text.charCodeAt(at + 1) !== 0x2f) count++
  return count
}

/** The same count in what was parsed. Lower where a name was repeated, since the last one wins. -1 when too deep. */
function membersParsed(root: object, mostLevels: number): number {
  let count = 0
  let level: object[] = [root]
  for (let levels = 1; level.length > 0; levels++) {
    if (levels > mostLevels) return -1
    const next: object[] = []
    for (const value of level) {
      const inner: unknown[] = Object.values(value)
      if (!Array.isArray(value)) count += inner.length
      for (const each of inner) if (typeof each === 'object' && each !== null) next.push(each)
    }
    level = next
  }
  return count
}

/** The bytes without a UTF-8 byte order mark at their start, which parsers may skip (RFC 8259 §8.1). */
export const skipByteOrderMark = (bytes: Buffer): Buffer =>
  bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes

/**
 * The JSON object in these bytes, strictly: valid UTF-8 without a byte order mark, an object at the top, every member
 * name once at every level (RFC 7515 §10.12), at most 32 levels, or as many as `mostLevels` says. Takes time linear in the input. Throws `SyntaxError`
 * with a message that says what is wrong and quotes nothing.
 */
export function parseJsonObject(octets: Buffer, mostLevels = MOST_LEVELS): Readonly<Record<string, unknown>> {
  if (!isUtf8(octets)) throw new SyntaxError('is not valid UTF-8')
  const text = octets.toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new SyntaxError('is not valid JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new SyntaxError('is not a JSON object')
  const members = membersParsed(value, mostLevels)
  if (members === -1) throw new SyntaxError(`is nested deeper than ${mostLevels} levels`)
  if (members !== membersWrittenAtMost(text) && members !== membersWritten(text))
    throw new SyntaxError('repeats a member name')
  return value as Readonly<Record<string, unknown>>
}
