import { isLive, type Session } from './session.ts'

/** The part of a session that a refresh moves on. */
export type GenerationState = Pick<
  Session,
  'newest' | 'confirmed' | 'firstChild' | 'previous' | 'newestAt' | 'confirmedAt'
>

/**
 * What becomes of a presented refresh token.
 *
 * - `confirm`: a child of the confirmed generation came: its holder received it, so what is older than its parent dies.
 * - `retry`: the confirmed generation itself came again, so the answer to it was lost: it gets a sibling.
 * - `join`: another request of the same holder got there first, within the overlap.
 * - `reuse`: a token that was superseded for good: two parties hold tokens of this session.
 * - `refuse`: the session is over.
 *
 * `generation` is the one of the token to issue. `change` is what to save; a join without one writes nothing.
 */
export type RefreshDecision =
  | { readonly outcome: 'confirm'; readonly generation: number; readonly change: Partial<GenerationState> }
  | { readonly outcome: 'retry'; readonly generation: number; readonly change: Partial<GenerationState> }
  | {
      readonly outcome: 'join'
      readonly generation: number
      readonly change: Pick<GenerationState, 'newest'> | undefined
    }
  | { readonly outcome: 'reuse' }
  | { readonly outcome: 'refuse' }

/**
 * Decides on a refresh token of generation `g`: pure, and the first step that holds. The steps and the proofs are in
 * `docs/decisions/0003-refresh-decision.md`; in short, a generation counts as received only when a token of it is presented.
 *
 * `overlapSeconds` is the join window. A `g` above `newest` is one this server signed and its store lost again (a
 * fail-over): steps 2 and 3 take it, and the session heals.
 */
export function decideRefresh(session: Session, g: number, now: number, overlapSeconds: number): RefreshDecision {
  const { newest, confirmed, firstChild, previous, newestAt, confirmedAt } = session
  // 1. over
  if (!isLive(session, now)) return { outcome: 'refuse' }
  if (g >= firstChild) {
    // 2. too soon to tell apart from the request that was just served: a token of the same generation. Not of a younger
    // sibling, which the confirmation of this one would kill while its holder has nothing else.
    if (now - newestAt <= overlapSeconds) {
      return { outcome: 'join', generation: g, change: g > newest ? { newest: g } : undefined }
    }
    // 3. the answer arrived
    const next = Math.max(newest, g) + 1
    return {
      outcome: 'confirm',
      generation: next,
      change: {
        previous: confirmed,
        confirmed: g,
        newest: next,
        firstChild: next,
        newestAt: now,
        confirmedAt: now,
      },
    }
  }
  if (g === confirmed) {
    // 4. and 5. the answer is on its way, or it was lost
    return now - newestAt <= overlapSeconds
      ? { outcome: 'join', generation: newest, change: undefined }
      : { outcome: 'retry', generation: newest + 1, change: { newest: newest + 1, newestAt: now } }
  }
  // 6. a straggler, sent before the confirmation
  if (g >= previous && now - confirmedAt <= overlapSeconds) {
    return { outcome: 'join', generation: newest, change: undefined }
  }
  // 7.
  return { outcome: 'reuse' }
}
