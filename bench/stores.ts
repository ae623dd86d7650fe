import type { ReplayRegister } from '../lib/assertion/replay.ts'
import type { CodeStore } from '../lib/code/store.ts'
import type { SessionStore } from '../lib/session/store.ts'
import { memoryStores } from '../lib/stores/memory.ts'

/** A database of the benchmark's own. */
export interface RunningStore {
  /** Empties it and answers its URL. */
  empty(): Promise<string>
  end(): Promise<void>
}

export interface Stores {
  readonly replayRegister: ReplayRegister
  readonly codeStore: CodeStore
  readonly sessionStore: SessionStore
}

export async function startStore(kind: string): Promise<RunningStore> {
  if (kind === 'memory') return { empty: async () => 'memory:', end: async () => {} }
  throw new Error(`no store ${kind} yet`)
}

/** The stores behind a URL that `empty` answered. */
export async function openStores(url: string): Promise<Stores> {
  if (url === 'memory:') return memoryStores({ maximumAssertionsPerClient: 2 ** 24 })
  throw new Error(`no store for ${url}`)
}
