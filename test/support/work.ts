// Counts the work that a function does, in place of the time it takes: the calls of the built-in methods that touch
// data, weighed by how many characters or octets each looks at. Methods are wrapped while the function runs.

/** What was counted. */
export interface Work {
  /** Calls of methods of maps and sets. */
  lookUps: number
  /** Characters, octets and entries that methods of texts, buffers, arrays and expressions looked at, at most. */
  looked: number
}

type Method = (this: unknown, ...parameters: unknown[]) => unknown
type Weigh = (self: unknown, parameters: readonly unknown[], answer: unknown) => number

const lengthOf = (value: unknown): number => {
  const length = (value as { readonly length?: unknown } | null | undefined)?.length
  return typeof length === 'number' ? length : 0
}
const all: Weigh = (self) => lengthOf(self)
const first: Weigh = (_self, [text]) => lengthOf(text)
const made: Weigh = (_self, _parameters, answer) => lengthOf(answer)
/** From the given position to the answer, or to the end where there was none. */
const searched: Weigh = (self, [, from], answer) => {
  const begin = typeof from === 'number' ? from : 0
  return (typeof answer === 'number' && answer >= 0 ? answer : lengthOf(self)) - begin + 1
}

const WEIGHED: readonly (readonly [object, Readonly<Record<string, Weigh>>])[] = [
  [
    String.prototype,
    {
      ...{ indexOf: searched, includes: all, split: all, replaceAll: all, replace: all, trim: all },
      ...{ slice: made, substring: made, toLowerCase: all, startsWith: first, endsWith: first, match: all },
    },
  ],
  [RegExp.prototype, { test: first, exec: first }],
  [
    Array.prototype,
    {
      includes: all,
      indexOf: all,
      flatMap: all,
      map: all,
      filter: all,
      every: all,
      some: all,
      sort: all,
      join: all,
      concat: all,
      find: all,
    },
  ],
  [Uint8Array.prototype, { includes: all, indexOf: all, subarray: () => 1 }],
  [Buffer.prototype, { toString: made, equals: all }],
  [JSON, { parse: first, stringify: made }],
  [Object, { keys: made, values: made, entries: made }],
  [globalThis, { decodeURIComponent: first }],
]

const one: Weigh = () => 1
const LOOKED_UP: readonly (readonly [object, Readonly<Record<string, Weigh>>])[] = [
  [Map.prototype, { get: one, set: one, has: one, delete: one }],
  [Set.prototype, { add: one, has: one, delete: one }],
]

/** Runs `act`, which must come to its end before this answers, and says what it did. */
export async function workOf(act: () => unknown): Promise<Work> {
  const work: Work = { lookUps: 0, looked: 0 }
  const undo: (() => void)[] = []
  const wrap = (kind: keyof Work, table: typeof WEIGHED): void => {
    for (const [owner, methods] of table)
      for (const [name, weigh] of Object.entries(methods)) {
        const own = Object.hasOwn(owner, name)
        const method = (owner as Record<string, Method>)[name] as Method
        const counting: Method = function counting(this: unknown, ...parameters) {
          const answer = method.apply(this, parameters)
          work[kind] += weigh(this, parameters, answer)
          return answer
        }
        Object.defineProperty(owner, name, { value: counting, configurable: true, writable: true })
        undo.push(() => {
          if (own) Object.defineProperty(owner, name, { value: method, configurable: true, writable: true })
          else delete (owner as Record<string, unknown>)[name]
        })
      }
  }
  wrap('looked', WEIGHED)
  wrap('lookUps', LOOKED_UP)
  try {
    await act()
  } catch {
    // what is refused has done its work too
  } finally {
    for (const each of undo.reverse()) each()
  }
  return work
}
