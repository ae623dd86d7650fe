import type { Check } from './attempt.ts'
import { AUDIENCE_CHECK } from './audience.ts'
import { CLAIM_CHECKS, IDENTITY_CHECKS, ISSUER_CHECK, TIME_LEFT_CHECK } from './claims.ts'
import { HEADER_CHECKS, OWN_HEADER_CHECKS } from './header.ts'
import { PRESENTED_CHECKS } from './presented.ts'
import { SIGNATURE_CHECK } from './proof.ts'
import { CLIENT_CHECK, JKU_CHECK, REGISTRATION_CHECK } from './registration.ts'
import { REPLAY_CHECK } from './replay.ts'

const BEFORE_CLIENT = [...PRESENTED_CHECKS, ...HEADER_CHECKS, ...IDENTITY_CHECKS]
/** The checks before the look-up whose rules `perClient` may change. With `perClient` they come after the look-up. */
const OWN = [...OWN_HEADER_CHECKS, ISSUER_CHECK]
const AFTER_CLIENT = [REGISTRATION_CHECK, JKU_CHECK, AUDIENCE_CHECK, ...CLAIM_CHECKS, SIGNATURE_CHECK]
/** Everything that can be refused without using the assertion up has been refused before these. */
const LAST = [TIME_LEFT_CHECK, REPLAY_CHECK]

/**
 * Every check of an assertion, in order. The verifier stops at the first that fails, `explain` goes on to the end. The
 * checks of the application (`own`) come after the signature and before the `jti` is used.
 */
export const orderChecks = (hasPerClient: boolean, own: readonly Check[] = []): readonly Check[] =>
  Object.freeze([
    ...BEFORE_CLIENT,
    ...(hasPerClient ? [CLIENT_CHECK, ...OWN] : [...OWN, CLIENT_CHECK]),
    ...AFTER_CLIENT,
    ...own,
    ...LAST,
  ])
