import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { booleanOption, checkOptions, wholeNumber } from '../options.ts'

/** The two functions of a test runner that a contract needs, as in node:test, Vitest, Jest and Mocha. */
export interface ContractRunner {
  /** Groups tests under a title. */
  readonly describe: (title: string, body: () => void) => unknown
  /** Adds a test. */
  readonly it: (title: string, body: () => Promise<void>) => unknown
}

/**
 * What a contract cannot find out from the store.
 *
 * @inline
 */
export interface ContractOptions {
  /**
   * Whether the store has a connection that can break. `true`: `open` must return `disconnect`, or the test of a broken
   * connection fails. `false`: this test is left out. Default `true`.
   */
  readonly connection?: boolean | undefined
  /** How many valid codes your code store keeps per user and client. Default: this limit is not tested. */
  readonly maximumCodesPerUser?: number | undefined
}

/** The options, checked and complete. */
export function contractOptions(caller: string, options: ContractOptions) {
  checkOptions(caller, options, ['connection', 'maximumCodesPerUser'])
  const { maximumCodesPerUser: most } = options
  return {
    connection: booleanOption('connection', options.connection, true),
    maximumCodesPerUser: most === undefined ? undefined : wholeNumber('maximumCodesPerUser', most, 1, 1, 1_000_000),
  }
}

/** A store that was opened for one test. */
export interface OpenedStore<Store> {
  /** The store under test. */
  readonly store: Store
  /** A second store with the same data over another connection, like that of another node. Default: `store` itself. */
  readonly other?: Store | undefined
  /** Returns the store's time in epoch seconds, with fractions if the store has them. Default: the system clock. */
  readonly now?: (() => number) | undefined
  /** Resolves when the store's time has reached `moment` (epoch seconds): moves the clock, or waits. Default: waits. */
  readonly waitUntil?: ((moment: number) => Promise<void>) | undefined
  /**
   * Breaks the connection permanently. After that, every function of the store must reject. Not needed with
   * `connection: false`.
   */
  readonly disconnect?: (() => Promise<void>) | undefined
  /** Called at the end of the test, even if the test failed. Default: nothing is closed. */
  readonly close?: (() => Promise<void>) | undefined
}

/**
 * Opens the store under test. It is called once for each test. Tests may share data, because each test uses new ids.
 */
export type OpenStore<Store> = () => Promise<OpenedStore<Store>> | OpenedStore<Store>

/** What a test of a contract is handed: every default filled in. */
export interface Subject<Store> {
  readonly store: Store
  readonly other: Store
  readonly now: () => number
  readonly waitUntil: (moment: number) => Promise<void>
}

const waitUntil = async (moment: number): Promise<void> => {
  for (let left = 1; left > 0; ) {
    left = moment * 1000 - Date.now()
    if (left > 0) await new Promise((resolve) => setTimeout(resolve, left))
  }
}

/** A test body that has its store opened before and closed after it. */
export const withStore =
  <Store>(open: OpenStore<Store>, body: (subject: Subject<Store>) => Promise<void>) =>
  async (): Promise<void> => {
    const opened = await open()
    try {
      await body({
        store: opened.store,
        other: opened.other ?? opened.store,
        now: opened.now ?? (() => Date.now() / 1000),
        waitUntil: opened.waitUntil ?? waitUntil,
      })
    } finally {
      await opened.close?.()
    }
  }

/** The same for a test that breaks the connection. Where it is not told how, it fails: green would say that it ran. */
export const withBrokenStore =
  <Store>(open: OpenStore<Store>, body: (store: Store) => Promise<void>) =>
  async (): Promise<void> => {
    const opened = await open()
    try {
      if (opened.disconnect === undefined)
        throw new Error(
          'open returned no disconnect: return it, or pass { connection: false } if no connection can break',
        )
      await opened.disconnect()
      await body(opened.store)
    } finally {
      await opened.close?.()
    }
  }

/** A copy by way of JSON: without members that are `undefined`, and of this realm, which Jest makes another than Node's own. */
export const asJson = <T>(value: T): T => (value === undefined ? value : JSON.parse(JSON.stringify(value)))

/** Holds that two values are the same as JSON. A strict comparison would tell realms, and absent from `undefined`, apart. */
export const alike = (actual: unknown, expected: unknown, message?: string): void =>
  assert.deepEqual(asJson(actual), asJson(expected), message)

/** A name that no other test uses. */
export const unique = (label: string): string => `${label}-${randomBytes(9).toString('base64url')}`

/** How often a value occurs. */
export const occurrences = <T>(values: readonly T[], value: T): number => values.filter((each) => each === value).length

/** Callers at once in the tests of concurrency. */
const CALLERS = 16

/** Asks both connections in turn, all at once. */
export const allAtOnce = <Store, T>(
  { store, other }: Subject<Store>,
  ask: (store: Store, caller: number) => Promise<T>,
): Promise<T[]> => Promise.all(Array.from({ length: CALLERS }, (_, caller) => ask(caller % 2 ? other : store, caller)))

/** Texts that have been mistaken for something else somewhere. */
export const AWKWARD = [
  `quote ' double " back \\ slash / percent %s $1 ? :name`,
  'brace {tag} {} }{ colon : star * bracket [a]',
  'line\nfeed\r\ttab and space ',
  'ünïcödé ☃ 😀 \u2028',
  '__proto__',
  'x'.repeat(600),
] as const
