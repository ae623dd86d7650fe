import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decideRefresh, type RefreshDecision } from '../../lib/session/refresh_decision.ts'
import { isLive, openedSession, type Session } from '../../lib/session/session.ts'

const OVERLAP = 10
const START = 1000
const YEAR = 365 * 86_400

const opened = (now = START): Session =>
  openedSession(
    { subject: 'alice', clientId: 'app', scope: 'read' },
    { id: 's', type: 'oauth2', now, lifetimes: { idleSeconds: YEAR, absoluteSeconds: undefined }, extra: {} },
  )

/** A session whose generation state is `state`, and `presented` against it. */
const decided = (state: Partial<Session>, g: number, now: number, overlap = OVERLAP): RefreshDecision =>
  decideRefresh({ ...opened(), ...state }, g, now, overlap)

/** What a session becomes, and the token its holder is sent: `undefined` for a refusal. */
function presented(
  session: Session,
  g: number,
  now: number,
  overlap = OVERLAP,
): { readonly session: Session; readonly token: number | undefined } {
  const decision = decideRefresh(session, g, now, overlap)
  if (decision.outcome === 'refuse') return { session, token: undefined }
  if (decision.outcome === 'reuse') return { session: { ...session, endedAt: now }, token: undefined }
  return { session: { ...session, ...decision.change }, token: decision.generation }
}

test('a new session has issued generation 1 and confirmed none', () => {
  const { newest, confirmed, firstChild, previous, newestAt, confirmedAt, lockVersion } = opened()
  assert.deepEqual(
    { newest, confirmed, firstChild, previous, newestAt, confirmedAt, lockVersion },
    { newest: 1, confirmed: 0, firstChild: 1, previous: 1, newestAt: START, confirmedAt: START, lockVersion: 0 },
  )
})

// The state after generation 1 was confirmed at 2000 and 2 was issued for it.
const MOVED = { newest: 2, confirmed: 1, firstChild: 2, previous: 0, newestAt: 2000, confirmedAt: 2000 }
// The same after a lost answer: 3 is a sibling of 2, issued at 3000.
const RETRIED = { ...MOVED, newest: 3, newestAt: 3000 }
// And after 3 was confirmed at 4000: 2 is a superseded sibling, 4 the newest.
const SETTLED = { newest: 4, confirmed: 3, firstChild: 4, previous: 1, newestAt: 4000, confirmedAt: 4000 }

const join = (generation: number) => ({ outcome: 'join' as const, generation, change: undefined })

for (const [title, state, g, now, expected] of [
  ['step 1: an ended session refuses', { ...MOVED, endedAt: 2500 }, 2, 2600, { outcome: 'refuse' }],
  ['step 1: past its idle end it refuses', { ...MOVED, refreshExpiresAt: 2600 }, 2, 2600, { outcome: 'refuse' }],
  ['step 1: past its absolute end it refuses', { ...MOVED, expiresAt: 2600 }, 2, 2600, { outcome: 'refuse' }],
  [
    'step 1: a second before either end it goes on',
    { ...MOVED, refreshExpiresAt: 2601, expiresAt: 2601 },
    2,
    2600,
    {
      outcome: 'confirm',
      generation: 3,
      change: { previous: 1, confirmed: 2, newest: 3, firstChild: 3, newestAt: 2600, confirmedAt: 2600 },
    },
  ],
  [
    'step 1 comes before step 7: reuse of an ended session is only refused',
    { ...SETTLED, endedAt: 5000 },
    1,
    6000,
    { outcome: 'refuse' },
  ],
  ['step 2: the newest within the overlap joins', MOVED, 2, 2010, join(2)],
  ['step 2: a child that is not the newest joins itself', RETRIED, 2, 3010, join(2)],
  [
    'step 2, G5: a generation the store forgot joins itself, and is saved',
    MOVED,
    5,
    2010,
    { outcome: 'join', generation: 5, change: { newest: 5 } },
  ],
  [
    'step 3: the newest after the overlap confirms',
    MOVED,
    2,
    2011,
    {
      outcome: 'confirm',
      generation: 3,
      change: { previous: 1, confirmed: 2, newest: 3, firstChild: 3, newestAt: 2011, confirmedAt: 2011 },
    },
  ],
  [
    'step 3: a child that is not the newest confirms, and its siblings die',
    RETRIED,
    2,
    3011,
    {
      outcome: 'confirm',
      generation: 4,
      change: { previous: 1, confirmed: 2, newest: 4, firstChild: 4, newestAt: 3011, confirmedAt: 3011 },
    },
  ],
  [
    'step 3, G5: a generation the store forgot confirms',
    MOVED,
    7,
    2011,
    {
      outcome: 'confirm',
      generation: 8,
      change: { previous: 1, confirmed: 7, newest: 8, firstChild: 8, newestAt: 2011, confirmedAt: 2011 },
    },
  ],
  ['step 4: the confirmed one within the overlap joins', MOVED, 1, 2010, join(2)],
  [
    'step 5: the confirmed one after the overlap gets a sibling',
    MOVED,
    1,
    2011,
    { outcome: 'retry', generation: 3, change: { newest: 3, newestAt: 2011 } },
  ],
  ['step 6: a straggler of the generation before joins', SETTLED, 1, 4010, join(4)],
  ['step 6: a superseded sibling joins within the overlap', SETTLED, 2, 4010, join(4)],
  ['step 7: the generation before, after the overlap, is reuse', SETTLED, 1, 4011, { outcome: 'reuse' }],
  ['step 7: a superseded sibling, after the overlap, is reuse', SETTLED, 2, 4011, { outcome: 'reuse' }],
  [
    'step 7: a retry does not prolong the time of stragglers',
    { ...SETTLED, newest: 5, newestAt: 4020 },
    1,
    4025,
    { outcome: 'reuse' },
  ],
  ['step 7: what is older than the generation before is reuse at once', SETTLED, 0, 4000, { outcome: 'reuse' }],
] as const) {
  test(`X1: ${title}`, () => assert.deepEqual(decided(state, g, now), expected))
}

test('an overlap of 0 joins only within the same second', () => {
  assert.equal(decided(MOVED, 2, 2000, 0).outcome, 'join')
  assert.equal(decided(MOVED, 2, 2001, 0).outcome, 'confirm')
  assert.equal(decided(MOVED, 1, 2001, 0).outcome, 'retry')
})

test('X9: a node whose clock is behind only joins for longer; it refuses nothing newer than the generation before', () => {
  for (const g of [1, 2, 3]) assert.notEqual(decided(RETRIED, g, 1500).outcome, 'reuse')
})

test('G9: a lost answer may be retried after 11 s, a day or 50 days, again and again', () => {
  for (const gap of [11, 86_400, 50 * 86_400]) {
    let session = { ...opened(), ...MOVED }
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      const answer = presented(session, 1, 2000 + attempt * gap)
      assert.notEqual(answer.token, undefined)
      session = { ...session, ...answer.session }
    }
    assert.notEqual(presented(session, session.newest, 2000 + 6 * gap).token, undefined)
  }
})

test('B4: a holder who always comes within the overlap of the other is not seen', () => {
  // Stated, because it is the price of every leeway scheme: the join window cannot tell two tabs from two parties.
  let session = opened()
  let victim = 1
  let now = START
  for (let round = 0; round < 50; round += 1) {
    now += 900
    const first = presented(session, victim, now)
    const thief = presented(first.session, victim, now + 5)
    assert.ok(first.token !== undefined && thief.token !== undefined, 'refused')
    session = thief.session
    victim = first.token
  }
})

test('B1: an honest client, one request at a time, is never refused, whatever answers are lost and however late it retries', () => {
  let presentations = 0
  const walk = (session: Session, held: number, now: number, left: number): void => {
    if (left === 0) return
    for (const gap of [5, 100]) {
      const answer = presented(session, held, now + gap)
      presentations += 1
      assert.ok(answer.token !== undefined, `refused: generation ${held} at ${now + gap - START}`)
      walk(answer.session, held, now + gap, left - 1) // lost
      walk(answer.session, answer.token, now + gap, left - 1) // received
    }
  }
  walk(opened(), 1, START, 9)
  assert.equal(presentations, (2 * (4 ** 9 - 1)) / 3) // every pattern of nine requests, each shared beginning once
})

test('B1: nor at the edges of the overlap, nor when a request is delivered twice', () => {
  const walk = (session: Session, held: number, now: number, left: number): void => {
    if (left === 0) return
    for (const gap of [0, 1, 10, 11]) {
      const first = presented(session, held, now + gap)
      assert.ok(first.token !== undefined, 'refused')
      walk(first.session, held, now + gap, left - 1)
      walk(first.session, first.token, now + gap, left - 1)
      const again = presented(first.session, held, now + gap)
      assert.ok(again.token !== undefined, 'refused')
      walk(again.session, again.token, now + gap, left - 1)
    }
  }
  walk(opened(), 1, START, 5)
})

/** Bursts of requests with one token, each a list of pauses between them; the client keeps any answer, or none. */
function burstsNeverRefused(gaps: readonly number[], bursts: readonly (readonly number[])[], length: number): number {
  let presentations = 0
  const walk = (session: Session, held: number, now: number, left: number): void => {
    if (left === 0) return
    for (const gap of gaps) {
      for (const burst of bursts) {
        let at = now + gap
        let current = session
        const answers = new Set([held])
        for (const pause of [0, ...burst]) {
          at += pause
          const answer = presented(current, held, at)
          presentations += 1
          if (answer.token === undefined) assert.fail(`refused: generation ${held} at ${at - START}`)
          current = answer.session
          answers.add(answer.token)
        }
        for (const kept of answers) walk(current, kept, at, left - 1)
      }
    }
  }
  walk(opened(), 1, START, length)
  return presentations
}

test('B2: a client that refreshes twice at once is never refused, whichever answer it keeps, or none', () => {
  let presentations = 0
  for (const apart of [0, 1, 3, 5, 9, OVERLAP]) presentations += burstsNeverRefused([5, 100], [[apart]], 8)
  assert.ok(presentations > 90_000, `only ${presentations} presentations`)
})

test('B2: nor when the two arrive on either side of the end of a join window', () => {
  burstsNeverRefused([0, 5, 10, 11], [[0], [1]], 4)
  burstsNeverRefused([1, 6, 11, 100], [[], [5], [10]], 4)
})

test('B2: nor when three tabs refresh at once, in between single requests', () => {
  burstsNeverRefused([1, 11], [[], [1, 1], [5, 5], [1, 9], [9, 1]], 4)
})

/** The sessions, and the token in the client's hand, after every serial history of `length` requests or fewer. */
function* histories(length: number): Generator<{ session: Session; held: number; now: number }> {
  const level: { session: Session; held: number; now: number }[] = [{ session: opened(), held: 1, now: START }]
  yield* level
  for (let round = 0; round < length; round += 1) {
    for (const { session, held, now } of level.splice(0)) {
      for (const gap of [5, 100]) {
        const answer = presented(session, held, now + gap)
        for (const next of [held, answer.token ?? held])
          level.push({ session: answer.session, held: next, now: now + gap })
      }
    }
    yield* level
  }
}

test('B3: with two holders more than the overlap apart, the third change of hands always ends the session', () => {
  let longest = 0
  let checked = 0
  for (const start of histories(4)) {
    // Every sequence of moves: the victim (0) or the attacker (1), both beginning with the token that was stolen.
    const walk = (
      session: Session,
      hands: readonly number[],
      now: number,
      last: number | undefined,
      changes: number,
      left: number,
    ) => {
      if (left === 0) return
      for (const party of [0, 1]) {
        const changed = changes + (last === undefined || party === last ? 0 : 1) // the first move is none
        for (const gap of [OVERLAP + 1, 100]) {
          const answer = presented(session, hands[party] ?? 0, now + gap)
          checked += 1
          if (answer.token === undefined) {
            assert.ok(!isLive(answer.session, now + gap), 'refused, and ended')
            longest = Math.max(longest, changes)
            continue
          }
          assert.ok(changed < 3, `the session outlived change of hands ${changed}`)
          const token = answer.token
          walk(
            answer.session,
            hands.map((held, at) => (at === party ? token : held)),
            now + gap,
            party,
            changed,
            left - 1,
          )
        }
      }
    }
    walk(start.session, [start.held, start.held], start.now, undefined, 0, 5)
  }
  assert.equal(longest, 2, 'at best victim, attacker, victim go unseen')
  assert.ok(checked > 50_000)
})

test('G5: a store that loses its last write in a fail-over never makes an honest client a thief', () => {
  const walk = (session: Session, before: Session, held: number, now: number, left: number): void => {
    if (left === 0) return
    for (const gap of [5, 100]) {
      for (const current of new Set([session, before])) {
        const answer = presented(current, held, now + gap)
        assert.ok(answer.token !== undefined, `refused: generation ${held} at ${now + gap - START}`)
        walk(answer.session, current, held, now + gap, left - 1)
        walk(answer.session, current, answer.token, now + gap, left - 1)
      }
    }
  }
  walk(opened(), opened(), 1, START, 6)
})

test('two holders are still told apart after a fail-over', () => {
  const first = presented(opened(), 1, 2000) // confirm, lost by the store
  assert.equal(first.token, 2)
  const second = presented(opened(), 2, 3000) // heals: 2 is confirmed
  assert.equal(second.token, 3)
  assert.equal(presented(presented(second.session, 3, 4000).session, 1, 5000).token, undefined)
})
