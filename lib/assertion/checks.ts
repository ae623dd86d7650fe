import type { Attempt, Check, TrustedIssuers, Way } from './attempt.ts'
import { AUDIENCE_CHECK } from './audience.ts'
import { CLAIM_CHECKS, IDENTITY_CHECKS, ISSUER_CHECK, TIME_LEFT_CHECK } from './claims.ts'
import { HEADER_CHECKS, OWN_HEADER_CHECKS } from './header.ts'
import { PRESENTED_CHECKS } from './presented.ts'
import { SIGNATURE_CHECK } from './proof.ts'
import { CLIENT_CHECK, JKU_CHECK, REGISTRATION_CHECK } from './registration.ts'
import { REPLAY_CHECK } from './replay.ts'
import type { AssertionRules } from './rules.ts'

const BEFORE_CLIENT = [...HEADER_CHECKS, ...IDENTITY_CHECKS]
/** The checks before the look-up whose rules `perClient` may change. With `perClient` they come after the look-up. */
const OWN = [...OWN_HEADER_CHECKS, ISSUER_CHECK]
const AFTER_CLIENT = [REGISTRATION_CHECK, JKU_CHECK, AUDIENCE_CHECK, ...CLAIM_CHECKS, SIGNATURE_CHECK]
/** Everything that can be refused without using the assertion up has been refused before these. */
const LAST = [TIME_LEFT_CHECK, REPLAY_CHECK]

/** Every check of an assertion, in order. */
export interface CheckOrder {
  /** The checks that open the assertion. They are the same for all. */
  readonly opening: readonly Check[]
  /** The checks after those: for an assertion of a trusted issuer its way, and for any other the client's own. */
  following(attempt: Attempt): readonly Check[]
}

/**
 * Puts the checks in order. The verifier stops at the first that fails, `explain` goes on to the end. The checks of the
 * application (`own`) come after the signature and before the `jti` is used.
 */
export function orderChecks(
  hasPerClient: boolean,
  own: readonly Check[] = [],
  trustedIssuers?: TrustedIssuers,
): CheckOrder {
  const usual: readonly Check[] = Object.freeze([
    ...BEFORE_CLIENT,
    ...(hasPerClient ? [CLIENT_CHECK, ...OWN] : [...OWN, CLIENT_CHECK]),
    ...AFTER_CLIENT,
    ...own,
    ...LAST,
  ])
  const ways = new Map<Way, { readonly checks: readonly Check[]; readonly rules: AssertionRules }>()
  return {
    opening: PRESENTED_CHECKS,
    following(attempt) {
      const way = trustedIssuers?.findWay(attempt)
      if (way === undefined) return usual
      let known = ways.get(way)
      if (known === undefined) {
        known = { checks: [...way.checks, ...own, ...LAST], rules: way.rulesFrom(attempt.parts.rules) }
        ways.set(way, known)
      }
      attempt.issuer = way.issuer
      attempt.rules = known.rules
      return known.checks
    },
  }
}
