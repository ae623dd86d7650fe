export interface RunningStore {
  /** Empties it and answers its URL. */
  empty(): Promise<string>
  end(): Promise<void>
}

export async function startStore(kind: string): Promise<RunningStore> {
  if (kind === 'memory') return { empty: async () => 'memory:', end: async () => {} }
  throw new Error(`no store ${kind} yet`)
}
