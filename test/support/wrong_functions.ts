// Functions of an application that are wrong in every way, and what came of a call that needs one.
import assert from 'node:assert/strict'
import { mock } from 'node:test'
import { OAuthError } from '../../lib/errors.ts'

export type Given = (...given: never[]) => unknown

/** A function that the package takes, and a call that needs it. */
export interface Row {
  /** The options, as `functionOptions` names them. */
  readonly covers: readonly string[]
  /** Makes the call and says what came of it: `ok`, or status, reason and detail of the error. */
  use(hook: Given): Promise<string>
  /** A function that is right. */
  readonly right: Given
  /** What comes of it. Default `ok`. */
  readonly ends?: RegExp
  /** Wrong things to return. */
  readonly wrong?: readonly unknown[]
  /** What comes of these. */
  readonly refused: RegExp
  /** What comes of a function that throws or rejects. Default: as `refused`. */
  readonly fails?: RegExp
  /** What comes of one that never settles. Default: as `fails`. */
  readonly never?: RegExp
  /** A promise is wrong, whatever it resolves to. */
  readonly sync?: boolean
  /** The time limits are short: no clock is moved. */
  readonly real?: boolean
}

/** What came of a call. */
export async function outcomeOf(call: () => unknown): Promise<string> {
  try {
    await call()
    return 'ok'
  } catch (error) {
    return describeError(error)
  }
}

/** An error of the protocol as status, reason, detail and cause; any other as `bare`. */
export function describeError(error: unknown): string {
  if (!(error instanceof OAuthError)) return `bare ${textOf(error)}`
  const { status, reason, code, message, detail = '', cause = '' } = error
  if (message.includes('secret text')) return 'shows what was thrown'
  return `${status} ${reason ?? code} ${detail} ${textOf(cause)}`.trim()
}

export function textOf(value: unknown): string {
  try {
    return String(value)
  } catch {
    return 'what cannot be read'
  }
}

const thrown = new Error('secret text')
const throws = (what: unknown) => (): never => {
  throw what
}
// biome-ignore-start lint/suspicious/noThenProperty: broken promises of an application
/** Things to throw that throw in turn when they are looked at. */
export const HOSTILE: readonly (readonly [string, () => unknown])[] = [
  [
    'an object whose members throw',
    () => {
      const hostile = {}
      for (const name of ['name', 'message', 'code', 'status', 'statusCode', 'type', 'reason', 'stack', 'cause'])
        Object.defineProperty(hostile, name, { get: throws(thrown) })
      return hostile
    },
  ],
  ['an error whose message throws', () => Object.defineProperty(new Error(), 'message', { get: throws(thrown) })],
  [
    'a revoked proxy',
    () => {
      const { proxy, revoke } = Proxy.revocable({}, {})
      revoke()
      return proxy
    },
  ],
]

const FAILURES: readonly (readonly [string, Given])[] = [
  ['throws an error', throws(thrown)],
  ['throws a string', throws('secret text')],
  ['throws undefined', throws(undefined)],
  ['throws null', throws(null)],
  ...HOSTILE.map(([what, make]): readonly [string, Given] => [`throws ${what}`, () => throws(make())()]),
]
const REJECTIONS: readonly (readonly [string, Given])[] = [
  ['rejects', () => Promise.reject(thrown)],
  ['rejects with nothing', () => Promise.reject()],
  ...HOSTILE.map(([what, make]): readonly [string, Given] => [`rejects with ${what}`, () => Promise.reject(make())]),
  ['returns a thenable that throws', () => ({ then: throws(thrown) })],
]
// biome-ignore-end lint/suspicious/noThenProperty: broken promises of an application

const wait = setTimeout
const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => wait(resolve, milliseconds))
const MOST_ROUNDS = 100

/** With a clock of the test that is moved beyond all time limits. */
async function inTime(call: () => Promise<string>): Promise<string> {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    let outcome: string | undefined
    const pending = call().then((value) => {
      outcome = value
    })
    for (let round = 0; round < MOST_ROUNDS && outcome === undefined; round += 1) {
      await pause(5)
      mock.timers.tick(31_000)
    }
    if (outcome === undefined) return 'hangs'
    await pending
    return outcome
  } finally {
    mock.timers.reset()
  }
}

/** Hands the function in right, and wrong in every way. */
export async function checkRow(row: Row): Promise<void> {
  const { use, right, ends = /^ok$/, wrong = [], refused, fails = refused, never = fails, sync = false } = row
  const unhandled: unknown[] = []
  const note = (reason: unknown): unknown => unhandled.push(reason)
  process.on('unhandledRejection', note)
  process.on('uncaughtException', note)
  const problems: string[] = []
  const check = async (what: string, hook: Given, expected: RegExp, run = use): Promise<void> => {
    const outcome = await run(hook)
    if (!expected.test(outcome)) problems.push(`${what}: expected ${expected}, got ${outcome}`)
    await new Promise((resolve) => setImmediate(resolve))
    for (const each of unhandled.splice(0)) problems.push(`${what}: unhandled ${String(each)}`)
  }
  try {
    await check('right', right, ends)
    await check('right, with other parameters', (_a, _b, _c, _d, _e, _f) => right(_a, _b, _c, _d, _e, _f), ends)
    for (const value of wrong) {
      await check(`returns ${shown(value)}`, () => value, refused)
      await check(`resolves to ${shown(value)}`, async () => value, refused)
    }
    for (const [what, way] of FAILURES) await check(what, way, fails)
    for (const [what, way] of REJECTIONS) await check(what, way, sync ? refused : fails)
    const silent = (): Promise<never> => new Promise(() => {})
    const run = row.real ? use : (hook: Given) => inTime(() => use(hook))
    await check('never settles', silent, sync ? refused : never, run)
    // biome-ignore lint/suspicious/noThenProperty: a broken promise of an application
    const nested = () => ({ then: (yes: (value: unknown) => void) => yes(silent()) })
    await check('resolves to a promise that never settles', nested, sync ? refused : never, run)
  } finally {
    await new Promise((resolve) => setTimeout(resolve, 5))
    process.off('unhandledRejection', note)
    process.off('uncaughtException', note)
  }
  assert.deepEqual([...problems, ...unhandled.map(String)], [])
}

const shown = (value: unknown): string => {
  try {
    return `${typeof value} ${String(value)}`
  } catch {
    return typeof value
  }
}
