// Checks on options at construction. Each names the option and what it got, and never shows a value that may be secret.

const shown = (value: unknown): string => {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)
  if (typeof value === 'number' || typeof value === 'boolean' || value === null || value === undefined)
    return String(value)
  return Array.isArray(value) ? 'an array' : `${/^[aeiou]/.test(typeof value) ? 'an' : 'a'} ${typeof value}`
}

/** A `TypeError` that names the option, what was expected, and what came. */
export const badOption = (name: string, expected: string, got: unknown): TypeError =>
  new TypeError(`option '${name}' must be ${expected}, got ${shown(got)}`)

/** A `TypeError` for a secret option: only the kind of what came is shown. */
export const badSecretOption = (name: string, expected: string, got: unknown): TypeError =>
  new TypeError(`option '${name}' must be ${expected}, got ${got === undefined ? 'undefined' : `a ${typeof got}`}`)

/** `value`, or `fallback` where it is absent; throws unless it is a whole number within the bounds. */
export function wholeNumber(name: string, value: unknown, fallback: number, least: number, most: number): number {
  if (value === undefined) return fallback
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
  throw badOption(name, `a whole number from ${least} to ${most}`, value)
}

/** `value`; throws unless it is a moment in whole seconds, as stores take it. */
export function epochSeconds(name: string, value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw badOption(name, 'a moment in whole epoch seconds', value)
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

/** Throws unless `value` is a function. */
export function requireFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw badOption(name, 'a function', value)
}

/** Throws unless `value` is an object that has a function under each of `verbs`. */
export function requireVerbs(name: string, value: unknown, verbs: readonly string[]): void {
  const missing =
    typeof value !== 'object' || value === null
      ? verbs
      : verbs.filter((verb) => typeof (value as Record<string, unknown>)[verb] !== 'function')
  if (missing.length > 0) throw badOption(name, `an object with the functions ${verbs.join(', ')}`, value)
}
