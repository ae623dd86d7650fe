import type { Client, ClientAuthentication, FindClient, RequestContext } from '../client.ts'
import type { Algorithm } from '../keys/algorithms.ts'
import type { KeySets } from '../keys/key_sets.ts'
import type { PublicKeys } from '../keys/public_keys.ts'
import type { VerificationPlace } from '../keys/signature.ts'
import type { ReplayRegister } from '../replay_register.ts'
import type { Envelope } from './envelope.ts'
import type { AssertionRules, PerClient } from './rules.ts'

/** The context of one verification. */
export interface AssertionContext extends RequestContext {
  /** The time of the request, in epoch seconds. Default: the verifier's clock. */
  readonly now?: number | undefined
  /**
   * The advertised URL of the endpoint that is called, if it is not the token endpoint. Profiles that accept the token
   * endpoint's URL as an audience accept this one too. From configuration, never from the request.
   */
  readonly endpoint?: string | undefined
  /** The assertion methods this endpoint accepts, of those the verifier has. Default: all of them. */
  readonly methods?: readonly string[] | undefined
}

/** The names this server goes by in one request. */
export interface ServerNames {
  readonly issuer: string
  /** What `aud` may be. */
  readonly audiences: readonly string[]
  /** What `aud` may be when `typ` is `client-authentication+jwt`. */
  readonly typedAudiences: readonly string[]
  /** Whether the URL of the endpoint that is called is one more. */
  readonly takesEndpoint: boolean
}

/** What is done with the assertions of one trusted issuer, instead of those that clients made themselves. */
export interface Way {
  readonly issuer: string
  /** The rules for them, made of those of the verifier. `perClient` may change them. */
  readonly rulesFrom: (rules: AssertionRules) => AssertionRules
  /** Checks the signature with the keys of the issuer. */
  readonly prove: (attempt: Attempt) => Promise<void>
  /** In order, after those that open the assertion and before those of the application. */
  readonly checks: readonly Check[]
}

/** Issuers whose tokens clients may authenticate with: `createTrustedIssuers` makes it. */
export interface TrustedIssuers {
  /** The issuer identifiers of all of them. */
  readonly issuers: readonly string[]
  /** The JOSE algorithms of all of them, for the metadata. */
  readonly algorithms: readonly string[]
  /** Whether tokens of one of them are accepted once only, which needs a replay register. */
  readonly hasReplayProtection: boolean
  /** Values of `client_assertion_type` beside the usual one. */
  readonly assertionTypes: readonly string[]
  /** @internal */
  readonly findWay: (attempt: Attempt) => Way | undefined
}

/** The parts one verifier works with. */
export interface VerifierParts {
  readonly rules: AssertionRules
  readonly namesFor: (context: RequestContext) => ServerNames
  readonly findClient: FindClient
  readonly perClient: PerClient<Client> | undefined
  readonly replayRegister: ReplayRegister | false
  readonly misconfiguredClient: 'error' | 'refuse'
  readonly publicKeys: PublicKeys
  readonly keySets: KeySets
  /** The key sets of clients that describe themselves: apart, so that strangers cannot use up the bounds of the others. */
  readonly documentKeySets: () => KeySets
  readonly verification: VerificationPlace
  readonly trustedIssuers: TrustedIssuers | undefined
}

/**
 * One attempt of a client to authenticate, from the parameters of its request to what is known when it succeeded. Each
 * check reads what the checks before it found, and adds what it finds.
 */
export interface Attempt {
  readonly parts: VerifierParts
  readonly parameters: Readonly<Record<string, unknown>>
  readonly context: AssertionContext
  /** The time of the request, in epoch seconds. */
  readonly now: number
  readonly startedAt: number
  /** The parameter `client_assertion`, of any length. */
  presented: string
  /** The parameter `client_assertion_type`. */
  type: string | undefined
  /** The parameter `client_id`. */
  parameter: string | undefined
  assertion: string
  envelope: Envelope
  alg: string
  algorithm: Algorithm
  kid: string | undefined
  /** The trusted issuer of the assertion, if the client did not make it itself. */
  issuer: string | undefined
  /** The `sub` of the assertion; of one of a trusted issuer what the parameter `client_id` says. */
  clientId: string
  client: Client
  /** The rules for this client; those of the verifier until the client is known. */
  rules: AssertionRules
  /** The audiences for this client alone. */
  audience: readonly string[] | undefined
  names: ServerNames
  /** The end of the assertion in epoch seconds, without the tolerance for clocks. */
  expiresAt: number
  jti: string | undefined
  authentication: ClientAuthentication
}

/** What the checks find. */
type Finding = Exclude<keyof Attempt, 'parts' | 'parameters' | 'context' | 'now' | 'startedAt' | 'rules'>

/** One check of the verifier, which `explain` carries out too. */
export interface Check {
  /** A stable name for machines. */
  readonly name: string
  readonly title: string | ((rules: AssertionRules) => string)
  /** What earlier checks must have found. */
  readonly needs: readonly Finding[]
  /** Throws the refusal if the check fails. Returns a promise only if it has to wait. */
  readonly run: (attempt: Attempt) => void | Promise<void>
  /** What a passed check reports to operators. Never a secret, never the signature. */
  readonly report?: (attempt: Attempt) => string | undefined
  /** Whether the check says anything under these rules. Default: it always does. */
  readonly applies?: (rules: AssertionRules) => boolean
  /** Whether it needs more than an assertion and a client: the request, or a store. `explain` leaves these checks out. */
  readonly online?: true
}

/**
 * An attempt of which nothing is known yet. It is one literal, so that all attempts have the same members in the same
 * order: objects that are put together from parts are several times as slow.
 */
export const beginAttempt = (
  parts: VerifierParts,
  parameters: Readonly<Record<string, unknown>>,
  context: AssertionContext,
  now: number,
): Attempt => {
  const attempt: Omit<Attempt, Finding> & Record<Finding, undefined> = {
    parts,
    parameters,
    context,
    now,
    startedAt: performance.now(),
    rules: parts.rules,
    presented: undefined,
    type: undefined,
    parameter: undefined,
    assertion: undefined,
    envelope: undefined,
    alg: undefined,
    algorithm: undefined,
    kid: undefined,
    issuer: undefined,
    clientId: undefined,
    client: undefined,
    audience: undefined,
    names: undefined,
    expiresAt: undefined,
    jti: undefined,
    authentication: undefined,
  }
  return attempt as unknown as Attempt
}
