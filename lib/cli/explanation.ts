import type { AssertionCheck } from '../assertion/application_checks.ts'
import { readChecks } from '../assertion/application_checks.ts'
import {
  type Attempt,
  beginAttempt,
  type Check,
  type TrustedIssuers,
  type VerifierParts,
} from '../assertion/attempt.ts'
import { serverNames } from '../assertion/audience.ts'
import { orderChecks } from '../assertion/checks.ts'
import { type RuleOptions, rulesOf } from '../assertion/rules.ts'
import type { Client, JwkSet } from '../client.ts'
import { OAuthError, type Reason } from '../errors.ts'
import { createPublicKeys } from '../keys/public_keys.ts'

/** What became of one check. `skipped` means that something it needs was not given, or failed before. */
export interface CheckResult {
  /** Stable name for machines. */
  readonly name: string
  readonly title: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  /** Of a failed check: the verifier's reason. */
  readonly reason?: Reason
  /** What was expected and what was found, or why the check was skipped. Never a secret, never the signature. */
  readonly detail?: string
}

/** What is known about the assertion and the server it is meant for. */
export interface Question {
  readonly assertion: string
  readonly options: RuleOptions & { readonly checks?: readonly AssertionCheck[] | undefined }
  /** The client's record. Without it `jwks` alone proves the signature, and the registration is not looked at. */
  readonly client?: Client | undefined
  /** Public keys instead of those of the record. */
  readonly jwks?: JwkSet | undefined
  /** The issuers whose tokens the server accepts as assertions. Their remote keys are not fetched. */
  readonly trustedIssuers?: TrustedIssuers | undefined
  /** Those of them whose keys are remote. */
  readonly issuersWithoutKeys?: readonly string[] | undefined
  /** The advertised URL of the endpoint that is called, if it is not the token endpoint. */
  readonly endpoint?: string | undefined
  /** Epoch seconds. */
  readonly now: number
}

/** Every check in the order of the verifier, and what the assertion says of itself. */
export interface Explanation {
  /** `undecided`: nothing failed, but without the client's record or keys not everything could be checked. */
  readonly verdict: 'accepted' | 'refused' | 'undecided'
  /** Of the first check that failed: what the verifier would have refused with. */
  readonly reason: Reason | undefined
  readonly checks: readonly CheckResult[]
  /** The trusted issuer whose way the assertion took; `undefined`: that of assertions that clients make themselves. */
  readonly issuer: string | undefined
  readonly header: Readonly<Record<string, unknown>> | undefined
  readonly claims: Readonly<Record<string, unknown>> | undefined
}

/** Thrown inside a check that cannot be carried out. */
class Skip {
  readonly why: string
  constructor(why: string) {
    this.why = why
  }
}

const skip = (why: string) => (): never => {
  throw new Skip(why)
}

/** Why a check is skipped that needs what an earlier one should have found. */
const WHY_SKIPPED: Readonly<Partial<Record<keyof Attempt, string>>> = {
  assertion: 'too large to be read',
  envelope: 'the assertion cannot be read',
  algorithm: 'the algorithm is not accepted',
  clientId: 'there is no usable sub',
  client: 'no client record was given (--client; for the signature alone --jwks)',
}

/** The record to check with: the client's, with other keys if they are given; or one made up around those keys. */
function recordFor({ client, jwks }: Question, { clientId, algorithm, issuer }: Attempt): Client | undefined {
  if (issuer !== undefined) return client // the keys are those of the issuer
  if (client === undefined)
    return clientId === undefined || algorithm === undefined || jwks === undefined
      ? undefined
      : { client_id: clientId, token_endpoint_auth_method: algorithm.method, jwks }
  if (jwks === undefined) return client
  const { jwks_uri: _, ...rest } = client
  return { ...rest, jwks }
}

/** Carries out one check. Faults of this program are thrown. */
async function resultOf(check: Check, attempt: Attempt): Promise<CheckResult> {
  const title = typeof check.title === 'string' ? check.title : check.title(attempt.rules)
  const { name } = check
  const lacking = check.needs.find((member) => attempt[member] === undefined)
  // What cannot be read has no client either: the first thing that is missing is the reason for all.
  const missing =
    lacking && (['assertion', 'envelope', lacking] as const).find((member) => attempt[member] === undefined)
  if (missing !== undefined)
    return { name, title, outcome: 'skipped', detail: WHY_SKIPPED[missing] ?? `${missing} is not known` }
  try {
    await check.run(attempt)
    const detail = check.report?.(attempt)
    return { name, title, outcome: 'passed', ...(detail === undefined ? {} : { detail }) }
  } catch (error) {
    const thrown = error instanceof OAuthError && error.cause instanceof Skip ? error.cause : error
    if (thrown instanceof Skip) return { name, title, outcome: 'skipped', detail: thrown.why }
    if (!(thrown instanceof OAuthError) || thrown.reason === undefined) throw thrown
    return { name, title, outcome: 'failed', reason: thrown.reason, detail: thrown.detail ?? thrown.message }
  }
}

/**
 * Carries out every check of the verifier on an assertion, in its order, and goes on after one that fails. Left out are
 * the checks of the request around it and of the replay register. It fetches nothing and reads no clock.
 *
 * @throws TypeError naming the option that is not possible, like `createAssertionVerifier`
 */
export async function explainAssertion(question: Question): Promise<Explanation> {
  const { assertion, options, client, endpoint, now, trustedIssuers, issuersWithoutKeys = [] } = question
  const rules = rulesOf(options)
  const noRecord = skip(WHY_SKIPPED.client ?? '')
  const noFetch = skip('the client has a jwks_uri, which is not fetched here: pass its keys with --jwks')
  const keySets = {
    maxKeys: 100,
    get: noFetch,
    renew: async () => undefined,
    confirm: () => {},
    findProblem: () => undefined,
  }
  const parts: VerifierParts = {
    rules,
    namesFor: serverNames(options, rules),
    findClient: client === undefined ? noRecord : () => recordFor(question, attempt),
    perClient: undefined,
    replayRegister: false,
    misconfiguredClient: 'refuse',
    publicKeys: createPublicKeys(64),
    keySets,
    documentKeySets: () => keySets,
    verification: 'sync',
    trustedIssuers,
  }
  const attempt = beginAttempt(parts, {}, { now, endpoint }, now)
  attempt.presented = assertion
  const checks: CheckResult[] = []
  const carryOut = async (check: Check): Promise<void> => {
    if (check.online || check.applies?.(attempt.rules) === false) return
    if (check.name === 'signature' && issuersWithoutKeys.includes(attempt.issuer ?? '')) {
      const detail = 'the keys of the issuer are not fetched here: pass them with --jwks'
      checks.push({ name: check.name, title: String(check.title), outcome: 'skipped', detail })
      return
    }
    // A record of another client, and keys without a record, are enough to go on with.
    if (check.name === 'signature' || (client !== undefined && check.name === 'registration'))
      attempt.client ??= recordFor(question, attempt) as Client
    checks.push(await resultOf(check, attempt))
  }
  const order = orderChecks(false, readChecks(options.checks), trustedIssuers)
  for (const check of order.opening) await carryOut(check)
  const following = order.following(attempt)
  // the parameter client_id names the client of a trusted issuer's token
  if (attempt.issuer !== undefined && client !== undefined) attempt.clientId = client.client_id
  for (const check of following) await carryOut(check)
  const failed = checks.find(({ outcome }) => outcome === 'failed')
  const isComplete = checks.every(({ outcome }) => outcome !== 'skipped')
  return {
    verdict: failed ? 'refused' : isComplete ? 'accepted' : 'undecided',
    reason: failed?.reason,
    checks,
    issuer: attempt.issuer,
    header: attempt.envelope?.header,
    claims: attempt.envelope?.claims,
  }
}
