/**
 * Whether an optional member of a client record or a key is absent. Databases and tools write `null`, `""` and `[]`
 * for a member that has no value.
 */
export const isAbsent = (value: unknown): value is undefined | null | '' | readonly never[] =>
  value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0)

/** Reads an optional member of a client record or a key: `undefined` for every spelling of absent. */
export const readOptional = <T>(value: T): Exclude<T, null | undefined> | undefined =>
  isAbsent(value) ? undefined : (value as Exclude<T, null | undefined>)

/** Whether a value is a string. */
export const isString = (value: unknown): value is string => typeof value === 'string'

/** Whether a value is an array of strings. A string is not one: `includes` would find its parts. */
export const isStrings = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every(isString)

/**
 * Whether a boolean member of a client record makes a demand. Everything except `false` and absent does: a value that a
 * database writes for `true`, such as `1`, must not switch the demand off.
 */
export const isDemanded = (value: unknown): boolean => value !== undefined && value !== null && value !== false
