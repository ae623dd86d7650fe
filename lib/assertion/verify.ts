import type { AuthenticatedClient, Client, FindClient } from '../client.ts'
import { type Clock, systemClock } from '../clock.ts'
import { asOAuthError, OAuthError, refusal } from '../errors.ts'
import { publish, publishFailure } from '../events.ts'
import { timeOf } from '../hooks.ts'
import type { AssertionMethod } from '../keys/algorithms.ts'
import { createDocumentKeySets, createKeySets, type KeySetOptions, type KeySets } from '../keys/key_sets.ts'
import { createPublicKeys } from '../keys/public_keys.ts'
import type { VerificationPlace } from '../keys/signature.ts'
import { badOption, checkOptions, oneOf, optionNames, requireFunction, requireVerbs, wholeNumber } from '../options.ts'
import type { ReplayRegister } from '../replay_register.ts'
import { type AssertionCheck, readChecks } from './application_checks.ts'
import {
  type AssertionContext,
  type Attempt,
  beginAttempt,
  type Check,
  type TrustedIssuers,
  type VerifierParts,
} from './attempt.ts'
import { serverNames } from './audience.ts'
import { orderChecks } from './checks.ts'
import { ASSERTION_TYPE } from './presented.ts'
import { type PerClient, type RuleOptions, rulesOf } from './rules.ts'

export type { AssertionCheck } from './application_checks.ts'
export type { AssertionContext } from './attempt.ts'

/**
 * Verifies the client assertion in the parameters of a request (RFC 7521 §4.2, RFC 7523 §3) and resolves with the
 * authenticated client. An accepted assertion is used up. Always rejects with an `OAuthError`:
 *
 * - `invalid_request` if the request does not contain exactly one client assertion and no other credentials;
 * - `invalid_client` if the assertion is malformed or not valid, or does not fit the client's registration;
 * - `temporarily_unavailable` (503) if the client look-up or the replay register fails;
 * - `server_error` (500) if the client's record or an option is wrong.
 *
 * It does not check that the request was a POST with a form body, nor `grant_type`, scope or other parameters. It reads
 * only own members of `parameters`, so you can pass a body from any parser.
 */
export type VerifyAssertion<C extends Client = Client> = (
  parameters: Readonly<Record<string, unknown>>,
  context?: AssertionContext,
) => Promise<AuthenticatedClient<C>>

/** A verifier, with the values that the server's metadata needs (RFC 8414 §2). */
export interface AssertionVerifier<C extends Client = Client> extends VerifyAssertion<C> {
  /** For `token_endpoint_auth_signing_alg_values_supported`. */
  readonly algorithms: readonly string[]
  /** The assertion methods for `token_endpoint_auth_methods_supported`. */
  readonly methods: readonly AssertionMethod[]
  /** The values of `client_assertion_type` that it accepts. */
  readonly assertionTypes: readonly string[]
}

/** The options of `createAssertionVerifier`. */
export interface AssertionVerifierOptions<C extends Client = Client> extends RuleOptions {
  /** Looks up the client by the assertion's `sub`. */
  readonly findClient: FindClient<C>
  /**
   * Stores which assertions were used. `false` disables replay protection. Required, unless `jti` is optional; then the
   * default is `false`.
   */
  readonly replayRegister?: ReplayRegister | false | undefined
  /** Returns the rules that differ for one client. Synchronous; called once for each assertion of a known client. */
  readonly perClient?: PerClient<C> | undefined
  /**
   * The response if a record has both `jwks` and `jwks_uri`, which RFC 7591 §2 forbids. `error` (default): `server_error`
   * (500). `refuse`: `invalid_client`.
   */
  readonly misconfiguredClient?: 'error' | 'refuse' | undefined
  /**
   * Where public-key signatures are verified. `sync`: on this thread. `pool` (default): in the thread pool of Node.js while it
   * has a free thread, otherwise on this thread.
   */
  readonly verification?: VerificationPlace | undefined
  /** Your own checks, in order. They run after all other checks, before the `jti` is marked as used. Default: none. */
  readonly checks?: readonly AssertionCheck<C>[] | undefined
  /**
   * Issuers whose tokens clients may authenticate with: `createTrustedIssuers` of `./federated`. Default: none. Their
   * tokens are verified with the rules of the issuer. The `iss` of an assertion decides which rules apply.
   */
  readonly trustedIssuers?: TrustedIssuers | undefined
  /** How remote key sets (`jwks_uri`) are fetched and cached. */
  readonly keySets?: KeySetOptions | undefined
  /** Maximum number of cached public keys, 16 to 1000000. Default 20000; each takes about 5 KiB. */
  readonly keyCacheSize?: number | undefined
  /** Returns the time in epoch seconds. Default: the system clock. */
  readonly clock?: Clock | undefined
}

/** The options of `createAssertionVerifier`, for constructors that pass theirs on. */
export const VERIFIER_OPTIONS = optionNames<AssertionVerifierOptions>({
  profile: true,
  issuer: true,
  tokenEndpoint: true,
  pushedAuthorizationRequestEndpoint: true,
  audience: true,
  audienceForm: true,
  requireIssuerIsSubject: true,
  jti: true,
  algorithms: true,
  methods: true,
  edDsaAlias: true,
  typ: true,
  requireKeyId: true,
  requireClientId: true,
  maxLifetimeSeconds: true,
  longLifetime: true,
  requireIat: true,
  clockToleranceSeconds: true,
  maxAssertionBytes: true,
  findClient: true,
  replayRegister: true,
  perClient: true,
  misconfiguredClient: true,
  verification: true,
  checks: true,
  trustedIssuers: true,
  keySets: true,
  keyCacheSize: true,
  clock: true,
})

const ownVerifiers = new WeakSet<object>()

/**
 * Whether `createAssertionVerifier` made this function. Then it resolves with a client, and rejects with an `OAuthError` that it has
 * published; a function of the application may do anything. It bounds each call of the application, but not all of them together.
 */
export const isOwnVerifier = (verify: object): boolean => ownVerifiers.has(verify)

/** Whatever happened, as a refusal that names the client as far as it is known. */
function asRefusal(error: unknown, clientId: string | undefined): OAuthError {
  const known = asOAuthError(error, clientId)
  if (known.clientId !== undefined || clientId === undefined) return known
  const { code, reason, message, detail, status, headers, cause } = known
  return new OAuthError(code, {
    description: message,
    status,
    headers,
    clientId,
    ...(reason === undefined ? {} : { reason }),
    ...(detail === undefined ? {} : { detail }),
    ...(cause === undefined ? {} : { cause }),
  })
}

/**
 * Creates a function that verifies client assertions. It needs no framework: pass it the parameters of a request, from any
 * parser. Create one verifier per process and reuse it, because it caches keys and key sets.
 *
 * Throws a `TypeError` that names the option if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { createAssertionVerifier } from 'passport-client-assertion-jwt'
 *
 * const verifyAssertion = createAssertionVerifier({
 *   issuer,
 *   tokenEndpoint: `${issuer}/token`,
 *   findClient,
 *   replayRegister,
 * })
 * ```
 */
export function createAssertionVerifier<C extends Client = Client>(
  options: AssertionVerifierOptions<C>,
): AssertionVerifier<C> {
  checkOptions('createAssertionVerifier', options, VERIFIER_OPTIONS)
  return assertionVerifierOf(options)
}

function requireTrustedIssuers(
  trustedIssuers: TrustedIssuers,
  register: unknown,
  methods: readonly AssertionMethod[],
): void {
  requireVerbs('trustedIssuers', trustedIssuers, ['findWay'])
  if (trustedIssuers.hasReplayProtection && register === false)
    throw badOption('replayRegister', "a replay register if a trusted issuer has replay: 'once'", false)
  if (!methods.includes('private_key_jwt'))
    throw badOption('methods', "an array with 'private_key_jwt' if trustedIssuers is set", methods)
}

/** `createAssertionVerifier` for constructors that have checked the names of their options, and have more of them. */
export function assertionVerifierOf<C extends Client>(options: AssertionVerifierOptions<C>): AssertionVerifier<C> {
  const rules = rulesOf(options)
  const namesFor = serverNames(options, rules)
  requireFunction('findClient', options.findClient)
  const { perClient, clock = systemClock } = options
  if (perClient !== undefined) requireFunction('perClient', perClient)
  requireFunction('clock', clock)
  const register = options.replayRegister ?? (rules.jti === 'optional' ? false : undefined)
  if (register !== false) requireVerbs('replayRegister', register, ['remember'])
  let documentKeySets: KeySets | undefined
  const { trustedIssuers } = options
  if (trustedIssuers !== undefined) requireTrustedIssuers(trustedIssuers, register, rules.methods)
  const parts: VerifierParts = {
    rules,
    namesFor,
    findClient: options.findClient,
    perClient: perClient as PerClient<Client> | undefined,
    replayRegister: register as ReplayRegister | false,
    misconfiguredClient: oneOf('misconfiguredClient', options.misconfiguredClient, 'error', ['error', 'refuse']),
    publicKeys: createPublicKeys(wholeNumber('keyCacheSize', options.keyCacheSize, 20_000, 16, 1_000_000)),
    keySets: createKeySets(options.keySets),
    documentKeySets: () => {
      documentKeySets ??= createDocumentKeySets(options.keySets)
      return documentKeySets
    },
    verification: oneOf('verification', options.verification, 'pool', ['sync', 'pool']),
    trustedIssuers,
  }
  const order = orderChecks(perClient !== undefined, readChecks(options.checks), trustedIssuers)
  const verify: VerifyAssertion<C> = async (parameters, context = {}) => {
    let attempt: Attempt | undefined
    try {
      const now = context.now ?? timeOf(clock)
      if (!Number.isFinite(now)) throw refusal('misconfigured', { detail: 'the clock must return a number' }) // no time is past it
      attempt = beginAttempt(parts, parameters, context, now)
      for (const { run } of order.opening) run(attempt) // none of them waits
      const following = order.following(attempt)
      // by index: an iterator makes an object for each check here, because the loop may wait
      for (let index = 0; index < following.length; index += 1) {
        const pending = (following[index] as Check).run(attempt)
        if (pending !== undefined) await pending
      }
    } catch (error) {
      throw publishFailure(asRefusal(error, attempt?.clientId ?? attempt?.parameter), attempt?.kid)
    }
    const { client, clientId, authentication } = attempt
    const { method, alg, kid, issuer, claims } = authentication
    publish('client.authenticated', () => {
      const event = { clientId, method, alg, kid }
      return issuer === undefined ? event : { ...event, issuer, subject: String(claims?.['sub']) }
    })
    return { client: client as C, authentication }
  }
  const algorithms =
    trustedIssuers === undefined
      ? rules.algorithms
      : Object.freeze([...new Set([...rules.algorithms, ...trustedIssuers.algorithms])])
  ownVerifiers.add(verify)
  return Object.assign(verify, {
    algorithms,
    methods: rules.methods,
    assertionTypes: Object.freeze([ASSERTION_TYPE, ...(trustedIssuers?.assertionTypes ?? [])]),
  })
}
