/** Whether a value is a promise, of any implementation. Steps that are done at once cost no turn of the event loop. */
export const isPromise = <T>(value: T | Promise<T>): value is Promise<T> =>
  typeof (value as { readonly then?: unknown } | null | undefined)?.then === 'function'

/**
 * For a value that must be there at once. The function that judges the value refuses a promise; what the promise rejects
 * with later must not end the process.
 */
export function ignoreRejection<T>(value: T): T {
  if (isPromise(value)) Promise.resolve(value).catch(() => undefined)
  return value
}
