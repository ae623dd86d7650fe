/** What the command line may touch of its process, passed in so that tests can observe it. */
export interface Io {
  /** Writes to standard output. */
  readonly out: (text: string) => void
  /** Writes to standard error. */
  readonly err: (text: string) => void
  /** Reads all of standard input. */
  readonly readInput: () => Promise<string>
  /** Reads a page of docs/, which the package contains; `undefined` if it cannot be read. */
  readonly readDocument: (name: string) => string | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Whether standard output is a terminal. */
  readonly isTerminal: boolean
}

/** The command was called in a way that cannot be carried out: one line for the user, exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Exit statuses: all well; the assertion is refused; the command could not be carried out; not all could be checked. */
export const EXIT = { fine: 0, refused: 1, usage: 2, undecided: 3 } as const
