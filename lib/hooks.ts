// How functions of the application are called: each in time, and none of their mistakes becomes anything but an OAuthError.

import type { Clock } from './clock.ts'
import { answerOf, awaitAnswer, OAuthError, refusal } from './errors.ts'
import { ignoreRejection, isPromise } from './maybe_promise.ts'

/** What an option must return. */
export const returnedWrong = (option: string, expected: string): OAuthError =>
  refusal('misconfigured', { detail: `the option '${option}' must return ${expected}` })

/** What came of calling a function of the application: its result, or what it threw, rejected with, or a timeout. */
type Outcome<T> = { readonly result: T } | { readonly thrown: unknown }

/** Calls a function of the application, and waits at most `milliseconds` for what it promises. Never rejects. */
export async function outcomeOf<T>(milliseconds: number, ask: () => T | Promise<T>): Promise<Outcome<T>> {
  let answer: T | Promise<T>
  try {
    answer = ask()
  } catch (thrown) {
    return { thrown }
  }
  if (!isPromise(answer)) return { result: answer }
  return awaitAnswer<T, Outcome<T>>(
    answer,
    (result) => ({ result }),
    milliseconds,
    (thrown) => ({ thrown }),
  )
}

const failed = (option: string, cause: unknown, milliseconds: number): OAuthError =>
  cause instanceof OAuthError
    ? cause
    : refusal('unexpected', {
        cause,
        detail: `the option '${option}' threw, rejected, or did not settle within ${milliseconds} ms`,
      })

/** How long a function of the application is waited for where no option says so. */
export const MOST_HOOK_MILLISECONDS = 30_000

/** Calls a hook of the application. An `OAuthError` passes; whatever else it throws is a server error. */
export async function askHook<T>(option: string, milliseconds: number, ask: () => T | Promise<T>): Promise<T> {
  const outcome = await outcomeOf(milliseconds, ask)
  if ('result' in outcome) return outcome.result
  throw failed(option, outcome.thrown, milliseconds)
}

/** Asks a hook that says yes or no. What fails is a 503; anything but a boolean is `misconfigured`, and never a "no". */
export async function askYesOrNo(option: string, ask: () => boolean | Promise<boolean>): Promise<boolean> {
  const answer: unknown = await answerOf(ask)
  if (typeof answer === 'boolean') return answer
  throw returnedWrong(option, 'true or false')
}

/** Calls a hook that must return at once. `isSound` judges what it returns; `expected` says what that is. */
export function callHook<T>(
  option: string,
  ask: () => unknown,
  isSound: (value: unknown) => boolean,
  expected: string,
): T {
  let value: unknown
  try {
    value = ask()
  } catch (cause) {
    throw cause instanceof OAuthError ? cause : refusal('unexpected', { cause, detail: `the option '${option}' threw` })
  }
  if (isSound(value)) return value as T
  ignoreRejection(value)
  throw returnedWrong(option, expected)
}

/** The time of the application's clock in whole epoch seconds. A fraction, as in `Date.now() / 1000`, is cut off. */
export const timeOf = (clock: Clock): number => Math.floor(callHook('clock', clock, Number.isFinite, 'epoch seconds'))
