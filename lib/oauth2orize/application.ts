// How functions of the application are called: each in time, and none of their mistakes becomes anything but an OAuthError.

import type { Clock } from '../clock.ts'
import { awaitAnswer, OAuthError, refusal, unavailable } from '../errors.ts'
import { isPromise } from '../maybe_promise.ts'
import { requireFunction, wholeNumber } from '../options.ts'

/** The option that limits how long the parts of the authorization side wait for functions of the application. */
export interface TimeLimitOptions {
  /**
   * Milliseconds after which a function of the application that has not settled counts as failed. Default 10 000, from
   * 100 to 30 000.
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

/** What an option must return. */
export const returnedWrong = (option: string, expected: string): OAuthError =>
  refusal('misconfigured', { detail: `the option '${option}' must return ${expected}` })

/** What came of calling a function of the application: its result, or what it threw, rejected with, or a timeout. */
type Outcome<T> = { readonly result: T } | { readonly thrown: unknown }

async function outcomeOf<T>(milliseconds: number, ask: () => T | Promise<T>): Promise<Outcome<T>> {
  let answer: T | Promise<T>
  try {
    answer = ask()
  } catch (thrown) {
    return { thrown }
  }
  if (!isPromise(answer)) return { result: answer }
  return awaitAnswer(answer, (result): Outcome<T> => ({ result }), milliseconds).catch(({ cause }) => ({
    thrown: cause,
  }))
}

/** Calls a hook of the application. An `OAuthError` passes; whatever else it throws is a server error. */
export async function askHook<T>(option: string, milliseconds: number, ask: () => T | Promise<T>): Promise<T> {
  const outcome = await outcomeOf(milliseconds, ask)
  if ('result' in outcome) return outcome.result
  const { thrown: cause } = outcome
  if (cause instanceof OAuthError) throw cause
  throw refusal('unexpected', {
    cause,
    detail: `the option '${option}' threw, rejected, or did not settle within ${milliseconds} ms`,
  })
}

/**
 * Calls a store or look-up that may be the application's. Whatever it throws is a server error (fault) and becomes a 503,
 * unless it is an `OAuthError`, as this package's own parts throw them.
 */
export async function askStore<T>(milliseconds: number, ask: () => T | Promise<T>): Promise<T> {
  const outcome = await outcomeOf(milliseconds, ask)
  if ('result' in outcome) return outcome.result
  throw outcome.thrown instanceof OAuthError ? outcome.thrown : unavailable(outcome.thrown)
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

/** The time of the application's clock in epoch seconds. */
export function timeOf(clock: Clock): number {
  let now: unknown
  try {
    now = clock()
  } catch (cause) {
    throw refusal('unexpected', { cause, detail: "the option 'clock' threw" })
  }
  if (isPromise(now)) Promise.resolve(now).catch(() => undefined) // it is refused below, and may still reject
  if (typeof now !== 'number' || !Number.isSafeInteger(now)) throw returnedWrong('clock', 'whole epoch seconds')
  return now
}
