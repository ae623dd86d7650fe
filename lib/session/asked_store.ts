import { answerOf } from '../errors.ts'
import { expectCount, expectOutcome } from '../options.ts'
import type { SessionStore } from './session_store.ts'
import { readSession, readSessions } from './upgrade.ts'

/**
 * A session store that is asked in time and whose answers are judged: whatever this package stores, it asks through one. What
 * the store throws, does not answer, or answers outside its contract becomes a 503.
 */
export const askedStore = (store: SessionStore): SessionStore => ({
  create: (session) =>
    answerOf(
      () => store.create(session),
      (outcome) => expectOutcome('create', outcome, ['created', 'gone']),
    ),
  get: (id) => answerOf(() => store.get(id), readSession),
  save: (session) =>
    answerOf(
      () => store.save(session),
      (outcome) => expectOutcome('save', outcome, ['saved', 'conflict', 'gone']),
    ),
  end: (id, markerExpiresAt) =>
    answerOf(
      () => store.end(id, markerExpiresAt),
      (outcome) => expectOutcome('end', outcome, ['ended', 'unknown']),
    ),
  list: (subject, type) => answerOf(() => store.list(subject, type), readSessions),
  endAll: (subject, type) =>
    answerOf(
      () => store.endAll(subject, type),
      (count) => expectCount('endAll', count),
    ),
})
