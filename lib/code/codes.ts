import { type Binding, bindingOf } from '../binding.ts'
import type { Client } from '../client.ts'
import { answerOf, type OAuthError, type Reason, refusal } from '../errors.ts'
import { publish } from '../events.ts'
import { askYesOrNo } from '../hooks.ts'
import { newIdentifier } from '../identifier.ts'
import { expectCount, expectOutcome, requireVerbs, wholeNumber } from '../options.ts'
import {
  type AuthorizationCode,
  BOUND_CODE_VERSION,
  CODE_VERSION,
  type CodeProof,
  codeId,
  isCode,
  isProofConclusive,
  type PresentedProofs,
  proofOf,
  readableCode,
} from './code_record.ts'
import type { CodeStore } from './code_store.ts'

/** Wrong verifiers after which a code is dead. */
const MOST_FAILURES = 5

const DEFAULT_LIFETIME_SECONDS = 60
const LONGEST_LIFETIME_SECONDS = 86_400
const DEFAULT_KEEP_SECONDS = 1800
const LONGEST_KEEP_SECONDS = 86_400 * 365

export interface CodesOptions {
  readonly store: CodeStore
  /** The issuer identifier: codes of other issuers on the same store are unknown. Default: codes have no issuer. */
  readonly issuer?: string | undefined
  /** Seconds for which a code can be redeemed. Default 60, from 1 to 86 400; RFC 6749 §4.1.2 recommends 600 at most. CharonOauth2: `grant_ttl`. */
  readonly codeLifetimeSeconds?: number
  /** Seconds for which a redeemed code is kept after its expiry, so that a replay is recognised. Default 1800, 0 to a year. */
  readonly keepSpentCodeSeconds?: number
}

/** What a user allowed, and how the client asked for it. */
export interface CodePermission extends Binding {
  readonly subject: string
  readonly clientId: string
  /** The granted scope, sorted, separated by single spaces; '' for none. */
  readonly scope: string
  readonly redirectUri: string
  readonly redirectUriWasSent: boolean
  readonly codeChallenge: string | undefined
  /** What the session is to carry: plain JSON. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined
}

/** What came of redeeming a code. */
export type Redemption =
  | { readonly outcome: 'spent'; readonly code: AuthorizationCode }
  /**
   * Refused. `endSession` is there when the code was spent before and this request proved client, redirect URI and
   * verifier: the caller then ends that session, also while it is being opened elsewhere (RFC 6749 §4.1.2).
   */
  | {
      readonly outcome: 'refused'
      readonly error: OAuthError
      readonly endSession?: { readonly id: string; readonly markerExpiresAt: number }
    }

/** How a code is redeemed, beyond what was presented. */
export interface RedeemOptions {
  readonly now: number
  /**
   * Whether the user's permission still stands. Asked before `prepare` and, where there is one, again after it: who takes the
   * permission back and then ends all sessions leaves none behind. Default: it does.
   */
  readonly permits?: ((code: AuthorizationCode) => boolean | Promise<boolean>) | undefined
  /**
   * Done after `permits` and before the code is spent: what must be there for the one request that spends it. Requests at
   * once may all come here. A rejection leaves the code as it was.
   */
  readonly prepare?: ((code: AuthorizationCode) => Promise<void>) | undefined
  /**
   * What to do when two requests with all proofs found the code unspent and this one was the slower: only refuse it
   * (`'refuse'`, the default), or treat it as a replay.
   */
  readonly onSimultaneous?: 'end' | 'refuse' | undefined
}

export interface Codes {
  /**
   * Issues a code: 32 random bytes, base64url. The store sees its SHA-256 only. Rejects with 503 if the store fails, or
   * if the user has too many live codes of this client (`too_many_codes`). `code`: another one, which was not issued before.
   */
  issue(permission: CodePermission, now: number, code?: string): Promise<string>
  /** Whether a code can still be redeemed, or cannot any more. Rejects with 503 if the store fails. */
  stateOf(code: string, now: number): Promise<'unknown' | 'unused' | 'over'>
  /**
   * Redeems a code: looks at everything that can refuse it, then spends it in one atomic step. A wrong verifier is
   * counted if client and redirect URI are right; the fifth kills the code. Rejects with 503 if the store fails.
   */
  redeem(code: string, presented: PresentedProofs, options: RedeemOptions): Promise<Redemption>
}

const REFUSAL_OF_PROOF: Readonly<
  Record<Exclude<CodeProof, 'proven'>, readonly [reason: Reason, description: string | undefined, detail: string]>
> = {
  another_client: ['code_of_another_client', undefined, 'the code was issued to another client'],
  redirect_uri_missing: [
    'parameter_missing',
    'The parameter redirect_uri is missing.',
    'redirect_uri is required, because the authorization request carried it and the code has no code_challenge',
  ],
  redirect_uri_wrong: [
    'redirect_uri_mismatch',
    undefined,
    'redirect_uri must equal the one of the authorization request, byte for byte',
  ],
  verifier_missing: ['parameter_missing', 'The parameter code_verifier is missing.', 'the code has a code_challenge'],
  verifier_unexpected: [
    'code_verifier_unexpected',
    'A code_verifier was sent for a code that was requested without a code_challenge.',
    'the authorization request carried no code_challenge',
  ],
  verifier_wrong: ['code_verifier_wrong', undefined, 'the S256 digest of code_verifier is not the code_challenge'],
  key_wrong: [
    'dpop_key_mismatch',
    undefined,
    'the code is bound to another key, by dpop_jkt or the proof of a pushed request',
  ],
}

/** Makes the functions that issue and redeem authorization codes. They are the only users of the code store. */
export function createCodes(options: CodesOptions): Codes {
  const { store, issuer } = options
  requireVerbs('codes', store, ['add', 'find', 'countFailure', 'spend']) // the name it has for applications
  const lifetime = wholeNumber(
    'codeLifetimeSeconds',
    options.codeLifetimeSeconds,
    DEFAULT_LIFETIME_SECONDS,
    1,
    LONGEST_LIFETIME_SECONDS,
  )
  const keep = wholeNumber(
    'keepSpentCodeSeconds',
    options.keepSpentCodeSeconds,
    DEFAULT_KEEP_SECONDS,
    0,
    LONGEST_KEEP_SECONDS,
  )

  async function issue(permission: CodePermission, now: number, code = newIdentifier()): Promise<string> {
    const sessionId = newIdentifier()
    const { subject, clientId, extra = {} } = permission
    const expiresAt = now + lifetime
    const binding = bindingOf(permission)
    const answer = await answerOf(
      () =>
        store.add({
          id: codeId(code),
          clientId,
          subject,
          scope: permission.scope,
          redirectUri: permission.redirectUri,
          redirectUriWasSent: permission.redirectUriWasSent,
          codeChallenge: permission.codeChallenge,
          sessionId,
          issuedAt: now,
          expiresAt,
          keepUntil: expiresAt + keep,
          failures: 0,
          spent: false,
          extra,
          version: binding === undefined ? CODE_VERSION : BOUND_CODE_VERSION,
          ...(issuer === undefined ? {} : { issuer }),
          ...binding,
        }),
      // stores for version 0.1.0 returned nothing
      (outcome) => expectOutcome('add', outcome === undefined ? 'added' : outcome, ['added', 'too_many']),
    )
    if (answer === 'too_many') {
      throw refusal('too_many_codes', {
        clientId,
        detail: 'the user has too many codes of this client that are neither redeemed nor expired',
        headers: { 'Retry-After': String(lifetime) },
      })
    }
    publish('code.issued', () => ({ clientId, subject, sessionId }))
    return code
  }

  const spend = (id: string): ReturnType<CodeStore['spend']> =>
    answerOf(
      () => store.spend(id),
      (outcome) => expectOutcome('spend', outcome, ['spent', 'already_spent', 'unknown']),
    )

  const findRecord = (id: string): Promise<AuthorizationCode | undefined> =>
    answerOf(
      () => store.find(id),
      (stored) => (stored === undefined ? undefined : readableCode(stored)),
    )

  async function stateOf(code: string, now: number): Promise<'unknown' | 'unused' | 'over'> {
    const found = await findRecord(codeId(code))
    if (found === undefined) return 'unknown'
    return found.spent || found.failures >= MOST_FAILURES || found.expiresAt < now ? 'over' : 'unused'
  }

  async function redeem(code: string, presented: PresentedProofs, redeeming: RedeemOptions): Promise<Redemption> {
    const { client } = presented
    const { now, permits, prepare, onSimultaneous = 'refuse' } = redeeming
    if (!isCode(code)) return refused('code_unknown', client, 'a code is 43 characters of base64url')
    const id = codeId(code)
    const found = await findRecord(id)
    if (found === undefined || found.keepUntil < now) return refused('code_unknown', client, 'no such code')
    if (issuer !== undefined && found.issuer !== undefined && found.issuer !== issuer)
      return refused('code_unknown', client, 'the code is of another issuer')
    const proof = proofOf(found, presented)
    if (proof === 'another_client') {
      if (found.spent) published(found, false)
      return refusedFor(proof, client)
    }
    if (found.failures >= MOST_FAILURES) return dead(found, proof, client)
    if (found.spent) return replayed(found, proof, client)
    if (found.expiresAt < now) {
      return refused('code_expired', client, `the code expired ${now - found.expiresAt} s ago`)
    }
    if (proof === 'verifier_wrong') await countFailure(id)
    if (proof !== 'proven') return refusedFor(proof, client)
    const isWithdrawn = permits && (async () => !(await askYesOrNo('permits', () => permits(found))))
    if (await isWithdrawn?.()) return withdrawn(client)
    if (prepare !== undefined) {
      await prepare(found)
      if (await isWithdrawn?.()) return { ...withdrawn(client), endSession: sessionToEnd(found) }
    }
    const answer = await spend(id)
    if (answer === 'spent') {
      const { clientId, subject, sessionId } = found
      publish('code.spent', () => ({ clientId, subject, sessionId }))
      return { outcome: 'spent', code: found }
    }
    if (answer === 'unknown') return refused('code_unknown', client, 'the code was forgotten meanwhile')
    return onSimultaneous === 'end'
      ? replayed(found, proof, client)
      : refused('code_spent', client, 'another request with the same proofs was faster')
  }

  /** The failure that reaches the limit also spends the code, so that no request that has already read it succeeds. */
  async function countFailure(id: string): Promise<void> {
    const failures = await answerOf(
      () => store.countFailure(id),
      (count) => expectCount('countFailure', count),
    )
    if (failures >= MOST_FAILURES) await spend(id)
  }

  function dead(found: AuthorizationCode, proof: CodeProof, client: Client): Redemption {
    return {
      ...refused('code_dead', client, `${MOST_FAILURES} wrong verifiers were presented for the code`),
      // It may have been redeemed just before it died; if it was not, there is no session to end.
      ...endSession(found, proof, client),
    }
  }

  function replayed(found: AuthorizationCode, proof: CodeProof, client: Client): Redemption {
    const ending = endSession(found, proof, client)
    published(found, ending !== undefined)
    return {
      ...refused(
        'code_spent',
        client,
        ending
          ? 'the code was redeemed before; its session ends'
          : 'the code was redeemed before; this request lacks the proofs to end its session',
      ),
      ...ending,
    }
  }

  return { issue, stateOf, redeem }
}

const published = ({ clientId, subject, sessionId }: AuthorizationCode, proven: boolean): void =>
  publish('code.replayed', () => ({ clientId, subject, sessionId, proven }))

const endSession = (found: AuthorizationCode, proof: CodeProof, client: Client) =>
  proof === 'proven' && isProofConclusive(found, client) ? { endSession: sessionToEnd(found) } : undefined

const sessionToEnd = ({ sessionId, keepUntil }: AuthorizationCode) => ({ id: sessionId, markerExpiresAt: keepUntil })

const withdrawn = (client: Client) =>
  refused('permission_withdrawn', client, 'the permission the code was issued for no longer stands')

const refused = (reason: Reason, client: Client, detail: string) =>
  ({ outcome: 'refused', error: refusal(reason, { clientId: client.client_id, detail }) }) as const

function refusedFor(proof: Exclude<CodeProof, 'proven'>, client: Client): Redemption {
  const [reason, description, detail] = REFUSAL_OF_PROOF[proof]
  const error = refusal(reason, {
    clientId: client.client_id,
    detail,
    ...(description === undefined ? {} : { description }),
  })
  return { outcome: 'refused', error }
}
