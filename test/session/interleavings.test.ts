import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OAuthError } from '../../lib/errors.ts'
import type { RefreshedSession } from '../../lib/session/refresh.ts'
import type { Session } from '../../lib/session/session.ts'
import type { SessionStore } from '../../lib/session/session_store.ts'
import { createSessions } from '../../lib/session/sessions.ts'
import { createMemorySessionStore } from '../../lib/stores/memory.ts'
import { everySchedule, type Node, type Outcome } from '../support/schedules.ts'

// Every node is a Sessions of its own over one memory store. A refresh reads, decides, and compares and sets.

const client = { client_id: 'app' }
const permission = { subject: 'alice', clientId: 'app', scope: 'read' }
const START = 1_800_000_000

type Result = RefreshedSession | Session | boolean | number | string | undefined

const refresh =
  (generation: number, now: number): Node<SessionStore, Result> =>
  (store) =>
    createSessions({ store }).refresh({ sessionId: 's', generation }, { client, now })

const end = (now: number): Node<SessionStore, Result> => {
  return (store) => createSessions({ store }).end('s', now)
}

const endAll: Node<SessionStore, Result> = (store) => createSessions({ store }).endAll('alice', 'oauth2')

const open = (now: number): Node<SessionStore, Result> => {
  return (store) => createSessions({ store }).open(permission, { id: 's', now })
}

/** A store from which an operator may delete a record outright, as no verb of the contract does. */
type DeletableStore = SessionStore & { delete(id: string): Promise<void> }

function deletable(store: SessionStore): DeletableStore {
  const deleted = new Set<string>()
  return {
    ...store,
    get: async (id) => (deleted.has(id) ? undefined : store.get(id)),
    save: async (session) => (deleted.has(session.id) ? 'gone' : store.save(session)),
    delete: async (id) => {
      deleted.add(id)
    },
  }
}

const remove: Node<SessionStore, Result> = async (store) => {
  await (store as DeletableStore).delete('s')
  return 'deleted'
}

/** A world whose session has been through `history`, each a generation and the moment it was presented. */
const world = (nodes: readonly Node<SessionStore, Result>[], history: readonly (readonly [number, number])[] = []) => {
  return async () => {
    const store = deletable(createMemorySessionStore({ clock: () => START }))
    const sessions = createSessions({ store })
    assert.ok(await sessions.open(permission, { id: 's', now: START }))
    for (const [generation, now] of history) await sessions.refresh({ sessionId: 's', generation }, { client, now })
    return { store: store as SessionStore, nodes }
  }
}

const outcomeOf = (outcome: Outcome<Result> | undefined): string => {
  assert.ok(outcome !== undefined)
  if ('error' in outcome) {
    assert.ok(outcome.error instanceof OAuthError, String(outcome.error))
    return outcome.error.code
  }
  return typeof outcome.value === 'object' && 'outcome' in outcome.value ? outcome.value.outcome : String(outcome.value)
}

const outcomesOf = (outcomes: readonly Outcome<Result>[]): string[] => outcomes.map(outcomeOf).sort()

const LATER = START + 1000

test('X1: two nodes with the same newest token: one confirms, one joins, and the session stands alike in all 6 schedules', async () => {
  const states = new Set<string>()
  const count = await everySchedule(world([refresh(1, LATER), refresh(1, LATER)]), async (outcomes, store) => {
    assert.deepEqual(outcomesOf(outcomes), ['confirm', 'join'])
    states.add(JSON.stringify(await store.get('s')))
  })
  assert.equal(states.size, 1)
  assert.equal(count, 6)
})

test('X1: three nodes with the same newest token: one confirms, two join, in every schedule', async () => {
  const states = new Set<string>()
  const count = await everySchedule(
    world([refresh(1, LATER), refresh(1, LATER), refresh(1, LATER)]),
    async (outcomes, store) => {
      assert.deepEqual(outcomesOf(outcomes), ['confirm', 'join', 'join'])
      states.add(JSON.stringify(await store.get('s')))
    },
  )
  assert.equal(states.size, 1)
  assert.equal(count, 150)
})

test('X1: the newest token and a retry of its parent: nobody is refused', async () => {
  const seen = new Set<string>()
  await everySchedule(world([refresh(2, LATER), refresh(1, LATER)], [[1, START + 100]]), async (outcomes) => {
    seen.add(outcomesOf(outcomes).join())
  })
  assert.deepEqual([...seen].sort(), ['confirm,join', 'join,retry'])
})

test('X1: the newest token twice and a retry of its parent: nobody is refused', async () => {
  await everySchedule(
    world([refresh(2, LATER), refresh(1, LATER), refresh(2, LATER)], [[1, START + 100]]),
    async (outcomes, _store, schedule) => {
      for (const outcome of outcomesOf(outcomes)) assert.match(outcome, /^(confirm|join|retry)$/, schedule)
    },
  )
})

for (const [title, ending] of [
  ['X4: an end', end(LATER)],
  ['X4: an end of all', endAll],
  ['ST9: a delete', remove],
] as const) {
  test(`${title} wins over a refresh in flight: the session never comes back`, async () => {
    const seen = new Set<string>()
    await everySchedule(world([refresh(1, LATER), ending]), async (outcomes, store, schedule) => {
      seen.add(outcomeOf(outcomes[0]))
      assert.equal(await store.get('s'), undefined, schedule)
      assert.deepEqual(await createSessions({ store }).open(permission, { id: 's', now: LATER }), undefined, schedule)
    })
    assert.deepEqual([...seen].sort(), ['confirm', 'invalid_grant'])
  })

  test(`${title} wins over two refreshes in flight`, async () => {
    await everySchedule(world([refresh(1, LATER), ending, refresh(1, LATER)]), async (outcomes, store, schedule) => {
      assert.equal(await store.get('s'), undefined, schedule)
      for (const outcome of [outcomes[0], outcomes[2]]) {
        assert.match(outcomeOf(outcome), /^(confirm|join|invalid_grant)$/, schedule)
      }
    })
  })
}

test('two nodes end a session while a third refreshes it', async () => {
  await everySchedule(world([end(LATER), endAll, refresh(1, LATER)]), async (_outcomes, store, schedule) => {
    assert.equal(await store.get('s'), undefined, schedule)
  })
})

test('X1: the newest token and a reused one: the session always ends', async () => {
  const history = [
    [1, START + 100],
    [2, START + 200],
    [3, START + 300],
  ] as const
  const count = await everySchedule(world([refresh(4, LATER), refresh(1, LATER)], history), async (outcomes, store) => {
    assert.equal(outcomeOf(outcomes[1]), 'invalid_grant')
    assert.equal(await store.get('s'), undefined)
  })
  assert.ok(count >= 6)
})

test('X6: a session that is ended while it is being opened is not live afterwards', async () => {
  const prepare = async () => ({
    store: createMemorySessionStore({ clock: () => START }),
    nodes: [open(START), end(START)] as const,
  })
  const count = await everySchedule(prepare, async (_outcomes, store) => {
    assert.equal(await store.get('s'), undefined)
  })
  assert.equal(count, 2)
})

test('two nodes open a session of one id: one of them does', async () => {
  const prepare = async () => ({
    store: createMemorySessionStore({ clock: () => START }),
    nodes: [open(START), open(START)] as const,
  })
  await everySchedule(prepare, async (outcomes) => {
    assert.equal(outcomes.filter((each) => 'value' in each && each.value !== undefined).length, 1)
  })
})

test('X4: all sessions of a subject are ended while one of them is being opened and one refreshed', async () => {
  await everySchedule(
    async () => {
      const { store, nodes } = await world([refresh(1, LATER), endAll])()
      const opening: Node<SessionStore, Result> = (held) =>
        createSessions({ store: held }).open({ ...permission }, { id: 'other', now: LATER })
      return { store, nodes: [...nodes, opening] }
    },
    async (outcomes, store, schedule) => {
      assert.equal(await store.get('s'), undefined, schedule)
      // 'other' is live only when it was opened after the end.
      const live = (await store.get('other')) !== undefined
      assert.equal(live, schedule.indexOf('2') > schedule.lastIndexOf('1'), schedule)
      assert.equal(outcomes.length, 3)
    },
  )
})
