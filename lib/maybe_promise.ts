/** Whether a value is a promise, of any implementation. Steps that are done at once cost no turn of the event loop. */
export const isPromise = <T>(value: T | Promise<T>): value is Promise<T> =>
  typeof (value as { readonly then?: unknown } | null | undefined)?.then === 'function'
