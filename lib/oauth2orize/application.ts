// How long functions of the application are waited for, and how its stores are called.

import { OAuthError, unavailable } from '../errors.ts'
import { outcomeOf } from '../hooks.ts'
import { requireFunction, wholeNumber } from '../options.ts'

/**
 * The option that limits how long the authorization side waits for your functions.
 *
 * @inline
 */
export interface TimeLimitOptions {
  /**
   * Milliseconds to wait for one of your functions, 100 to 30000. Default 10000. A function that has not settled by
   * then counts as failed.
   */
  readonly timeoutMilliseconds?: number | undefined
}

/** The time limit among the options, checked. */
export const timeLimitOf = ({ timeoutMilliseconds }: TimeLimitOptions): number =>
  wholeNumber('timeoutMilliseconds', timeoutMilliseconds, 10_000, 100, 30_000)

/** Throws a `TypeError` unless the options that are there are functions. */
export function requireOptionalFunctions(options: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(options)) if (value !== undefined) requireFunction(name, value)
}

/**
 * Calls a store or look-up that may be the application's. Whatever it throws is a server error (fault) and becomes a 503,
 * unless it is an `OAuthError`, as this package's own parts throw them. `detail` says for operators what was asked.
 */
export async function askStore<T>(milliseconds: number, ask: () => T | Promise<T>, detail?: string): Promise<T> {
  const outcome = await outcomeOf(milliseconds, ask)
  if ('result' in outcome) return outcome.result
  throw outcome.thrown instanceof OAuthError ? outcome.thrown : unavailable(outcome.thrown, detail)
}

/**
 * Calls a function that takes a callback, and resolves when it calls back. Rejects with what it is called with or throws,
 * as it is, and if the time is over.
 */
export async function callInTime(milliseconds: number, call: (done: (error?: unknown) => void) => void): Promise<void> {
  const outcome = await outcomeOf(
    milliseconds,
    () => new Promise<void>((resolve, reject) => call((error) => (error ? reject(error) : resolve()))),
  )
  if ('thrown' in outcome) throw outcome.thrown
}
