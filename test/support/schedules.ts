/**
 * Runs every interleaving of the store calls that several nodes make. A node's store holds each call back until the
 * schedule lets it through; whenever all nodes stand still, waiting or finished, the schedule picks the next one.
 */

/** Something a node does, with stores that wait. */
export type Node<Store, Result> = (store: Store) => Promise<Result>

export type Outcome<Result> = { readonly value: Result } | { readonly error: unknown }

interface Waiting {
  readonly node: number
  release(): void
}

/** A store each of whose functions waits for its turn before it asks `store`. */
function held<Store extends object>(store: Store, wait: () => Promise<void>): Store {
  const entries = Object.entries(store).map(([name, verb]) => [
    name,
    async (...given: unknown[]): Promise<unknown> => {
      await wait()
      return (verb as (...given: unknown[]) => unknown)(...given)
    },
  ])
  return Object.fromEntries(entries) as Store
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/**
 * Calls `check` after each possible interleaving of the nodes' store calls, and answers how many there were. `prepare`
 * makes a fresh world for each: the store, and one function for each node.
 */
export async function everySchedule<Store extends object, Result>(
  prepare: () => Promise<{ readonly store: Store; readonly nodes: readonly Node<Store, Result>[] }>,
  check: (outcomes: readonly Outcome<Result>[], store: Store, schedule: string) => Promise<void>,
): Promise<number> {
  let count = 0
  // A schedule is a list of choices; the next one differs in the last choice that had another possibility.
  let choices: { readonly of: number; taken: number }[] = []
  for (;;) {
    const { store, nodes } = await prepare()
    const waiting: Waiting[] = []
    const outcomes: (Outcome<Result> | undefined)[] = nodes.map(() => undefined)
    nodes.forEach((node, at) => {
      const wait = (): Promise<void> => new Promise((release) => waiting.push({ node: at, release }))
      node(held(store, wait)).then(
        (value) => {
          outcomes[at] = { value }
        },
        (error: unknown) => {
          outcomes[at] = { error }
        },
      )
    })
    let schedule = ''
    for (let step = 0; ; step += 1) {
      let turns = 0
      while (waiting.length + outcomes.filter((each) => each !== undefined).length < nodes.length) {
        await turn()
        turns += 1
        if (turns > 10_000) throw new Error(`a node neither waits for the store nor ends: ${schedule}`)
      }
      if (waiting.length === 0) break
      waiting.sort((one, other) => one.node - other.node)
      const choice = choices[step] ?? { of: waiting.length, taken: 0 }
      choices[step] = choice
      const [next] = waiting.splice(choice.taken, 1)
      schedule += next?.node
      next?.release()
      await turn()
    }
    count += 1
    await check(outcomes as Outcome<Result>[], store, schedule)
    while (choices.length > 0) {
      const last = choices[choices.length - 1]
      if (last !== undefined && last.taken + 1 < last.of) {
        last.taken += 1
        break
      }
      choices = choices.slice(0, -1)
    }
    if (choices.length === 0) return count
  }
}
