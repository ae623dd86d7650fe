// Checks on options at construction. Each names the option and what it got, and never shows a value that may be secret.

import { WrongAnswer } from './errors.ts'

/** What kind of value it is, without its content. */
const kindOf = (value: unknown): string => {
  if (value === null || value === undefined) return String(value)
  return Array.isArray(value) ? 'an array' : `${/^[aeiou]/.test(typeof value) ? 'an' : 'a'} ${typeof value}`
}

/** A value in short, for messages: a string in quotes and cut off, and of other things their kind. */
export const shown = (value: unknown): string => {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : kindOf(value)
}

/** A `TypeError` that names the option, what was expected, and what came. */
export const badOption = (name: string, expected: string, got: unknown, more = ''): TypeError =>
  new TypeError(`option '${name}' must be ${expected}, got ${shown(got)}${more}`)

/** The kind and the length of a value that may be secret: the length tells an unset variable from a short secret. */
function kindAndLengthOf(value: unknown): string {
  if (value === '') return 'an empty string'
  if (typeof value === 'string') return `a string of ${Buffer.byteLength(value)} bytes`
  return value instanceof Uint8Array ? `${value.length} bytes` : kindOf(value)
}

/** A `TypeError` for a secret option: only the kind and the length of what came are shown. */
export const badSecretOption = (name: string, expected: string, got: unknown): TypeError =>
  new TypeError(`option '${name}' must be ${expected}, got ${kindAndLengthOf(got)}`)

/**
 * The names of the options of `T`, for `checkOptions`. The argument has a member for each of them: an option that is
 * missing here, or that `T` does not have, does not compile.
 */
export const optionNames = <T>(names: Readonly<Record<keyof T, true>>): readonly string[] => Object.keys(names)

/** How many characters have to be added, removed or replaced to make one name of the other, as far as it is below 4. */
function distanceBetween(one: string, other: string): number {
  if (Math.abs(one.length - other.length) > 3) return 4
  let before = Array.from({ length: other.length + 1 }, (_, at) => at)
  for (let row = 1; row <= one.length; row += 1) {
    const now = [row]
    for (let column = 1; column <= other.length; column += 1) {
      const replaced = (before[column - 1] ?? 0) + (one[row - 1] === other[column - 1] ? 0 : 1)
      now.push(Math.min(replaced, (before[column] ?? 0) + 1, (now[column - 1] ?? 0) + 1))
    }
    before = now
  }
  return before[other.length] ?? 4
}

/** The known option that an unknown name was probably meant to be. Other servers have `accessTokenTTL` and `access_token_ttl`. */
function similarName(name: string, known: readonly string[]): string | undefined {
  const lower = name.toLowerCase().replaceAll('_', '').replace(/ttl$/, 'lifetime')
  const [closest] = known
    .map((each) => ({ each, distance: distanceBetween(lower, each.toLowerCase()) }))
    .filter(({ distance }) => distance <= Math.min(3, Math.floor(name.length / 3)))
    .sort((a, b) => a.distance - b.distance)
  const longer = known.find((each) => name.length > 3 && each.toLowerCase().startsWith(lower))
  if (closest !== undefined && (closest.distance < 2 || longer === undefined)) return closest.each
  return longer ?? known.find((each) => each.length > 3 && lower.startsWith(each.toLowerCase()))
}

/**
 * Throws a `TypeError` unless `options` is an object whose members are all among `known`. `caller` is the function as the
 * application calls it, `createTokens`. Options that are `undefined` count as absent, known or not.
 */
export function checkOptions(caller: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new TypeError(`${caller} needs an object with options, got ${shown(options)}`)
  if (Object.hasOwn(options, '_events'))
    throw new TypeError(`${caller} needs an object with options, got a request: call it, and use what it returns`)
  for (const name of Object.keys(options)) {
    if (known.includes(name) || (options as Readonly<Record<string, unknown>>)[name] === undefined) continue
    const similar = similarName(name.slice(0, 64), known)
    const hint =
      similar === undefined ? `${caller} has: ${[...new Set(known)].join(', ')}.` : `Did you mean "${similar}"?`
    throw new TypeError(`Unknown option "${name.slice(0, 64)}". ${hint}`)
  }
}

/** Throws if one of `names` is given, which has no effect next to `other`: an option that is quoted, or its value as well. */
export function refuseIneffective(caller: string, options: object, names: readonly string[], other: string): void {
  const name = names.find((each) => (options as Readonly<Record<string, unknown>>)[each] !== undefined)
  if (name !== undefined) throw new TypeError(`${caller}: option '${name}' has no effect with ${other}`)
}

/** `value`, or `fallback` where it is absent; throws unless it is a whole number within the bounds. */
export function wholeNumber(name: string, value: unknown, fallback: number, least: number, most: number): number {
  if (value === undefined) return fallback
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
  throw badOption(name, `a whole number from ${least} to ${most}`, value)
}

/** `value`; throws unless it is a moment in whole seconds, as stores take it. */
export function epochSeconds(name: string, value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw badOption(name, 'a time in whole epoch seconds', value)
}

/** `value`, or `fallback` where it is absent; throws unless it is one of `allowed`. */
export function oneOf<T extends string>(name: string, value: unknown, fallback: T, allowed: readonly T[]): T {
  if (value === undefined) return fallback
  if ((allowed as readonly unknown[]).includes(value)) return value as T
  throw badOption(name, `one of ${allowed.map((each) => `'${each}'`).join(', ')}`, value)
}

/** `value`, or `fallback` where it is absent; throws unless it is a boolean. */
export function booleanOption(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback
  if (typeof value === 'boolean') return value
  throw badOption(name, 'a boolean', value)
}

/** What a store returned; throws, which the caller makes a 503, unless it is one of the outcomes of that verb. */
export function expectOutcome<T extends string>(verb: string, value: T, outcomes: readonly T[]): T {
  if (outcomes.includes(value)) return value
  throw new WrongAnswer(`${verb} of the store must return one of ${outcomes.join(', ')}`, `, got ${shown(value)}`)
}

/** What a store counted; throws, which the caller makes a 503, unless it is a number. */
export function expectCount(verb: string, value: number): number {
  if (Number.isSafeInteger(value)) return value
  throw new WrongAnswer(`${verb} of the store must return a whole number`, `, got ${shown(value)}`)
}

/** Throws unless `value` is a function. */
export function requireFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw badOption(name, 'a function', value)
}

/** Throws unless an advertised URL is absent, or one. */
export function checkEndpoint(value: unknown): void {
  if (value !== undefined && !(typeof value === 'string' && URL.canParse(value)))
    throw badOption('endpoint', 'the advertised URL of the endpoint', value)
}

/** Throws unless `value` is an object that has a function under each of `verbs`. */
export function requireVerbs(name: string, value: unknown, verbs: readonly string[]): void {
  const missing =
    typeof value !== 'object' || value === null
      ? verbs
      : verbs.filter((verb) => typeof (value as Record<string, unknown>)[verb] !== 'function')
  if (missing.length === 0) return
  const without = missing.length === verbs.length ? '' : ` without ${missing.join(', ')}`
  throw badOption(name, `an object with the functions ${verbs.join(', ')}`, value, without)
}
