import type { AuthenticatedClient, Client, ClientAuthentication, FindClient, RequestContext } from '../client.ts'
import { type Clock, systemClock } from '../clock.ts'
import { answerOf, OAuthError, refusal, unavailable } from '../errors.ts'
import { publish } from '../events.ts'
import { badOption, oneOf, requireFunction, requireVerbs, wholeNumber } from '../options.ts'
import { type Algorithm, type AssertionMethod, algorithmNamed, isSameAlgorithm } from './algorithms.ts'
import { checkAudience, type ServerNames, serverNames } from './audience.ts'
import { checkId, checkIssuer, checkSubject, checkTimes } from './claims.ts'
import { type Envelope, openEnvelope } from './envelope.ts'
import { checkAlgorithm, checkExtensions, checkKeyId, checkTyp, isTyped } from './header.ts'
import { createKeySets, type KeySetOptions } from './key_sets.ts'
import { presentedAssertion } from './presented.ts'
import { isPromise, type Proof, type ProofParts, prove } from './proof.ts'
import { createPublicKeys } from './public_keys.ts'
import type { ReplayRegister } from './replay.ts'
import { type AssertionRules, type PerClient, type RuleOptions, rulesForClient, rulesOf } from './rules.ts'
import type { VerificationPlace } from './signature.ts'

/** What the endpoint that is called knows of the request. */
export interface AssertionContext extends RequestContext {
  /** The moment of the request, in epoch seconds. Default: the verifier's clock. */
  readonly now?: number
  /**
   * The advertised URL of the endpoint that is called, where that is not the token endpoint. Profiles that take the
   * token endpoint's URL as an audience take this one too. From configuration, never from the request.
   */
  readonly endpoint?: string
}

/**
 * Checks the client assertion among the parameters of a request (RFC 7521 §4.2, RFC 7523 §3) and resolves with the
 * client that it vouches for. An assertion that passed is spent. Rejects with `OAuthError`, always:
 *
 * - `invalid_request` where the request is no single, well-formed presentation of a JWT client assertion;
 * - `invalid_client` where the assertion or the client's registration does not hold;
 * - `temporarily_unavailable` (503) where the client look-up or the replay register failed;
 * - `server_error` (500) where the client's record or an option contradicts itself.
 *
 * Does not check: that the request was a POST with a form body (the caller read it), `grant_type`, scope, or anything
 * else that is asked for. Reads own members of `parameters` only, so that a parsed body of any kind may be handed in.
 */
export type VerifyAssertion<C extends Client = Client> = (
  parameters: Readonly<Record<string, unknown>>,
  context?: AssertionContext,
) => Promise<AuthenticatedClient<C>>

/** A verifier, with what the server's metadata has to say of it (RFC 8414 §2). */
export interface AssertionVerifier<C extends Client = Client> extends VerifyAssertion<C> {
  /** For `token_endpoint_auth_signing_alg_values_supported`. */
  readonly algorithms: readonly string[]
  /** The assertion methods for `token_endpoint_auth_methods_supported`. */
  readonly methods: readonly AssertionMethod[]
}

/** The options of `createAssertionVerifier`. */
export interface AssertionVerifierOptions<C extends Client = Client> extends RuleOptions {
  /** Looks the client up by the assertion's `sub`. */
  readonly findClient: FindClient<C>
  /**
   * Remembers which assertions were used. `false` turns the protection off, knowingly. May be left out only where
   * `jti` is optional, which comes to the same.
   */
  readonly replayRegister?: ReplayRegister | false
  /** Rules of one client, where they differ. Called once for each assertion of a known client; synchronous. */
  readonly perClient?: PerClient<C>
  /**
   * What a record that has both `jwks` and `jwks_uri` comes to (RFC 7591 §2 forbids it): `error`, a `server_error` that
   * makes itself noticed; `refuse`, `invalid_client` like any other failure. Default `error`.
   */
  readonly misconfiguredClient?: 'error' | 'refuse'
  /** Where public-key signatures are checked: on this thread, or in the thread pool of Node.js. Default `sync`. */
  readonly verification?: VerificationPlace
  /** How remote key sets (`jwks_uri`) are fetched and kept. */
  readonly keySets?: KeySetOptions
  /** Most imported public keys that are kept, 16 to 1000000. Default 20000; each takes some 2 KiB. */
  readonly keyCacheSize?: number
  /** Tells the time where the context does not. Default: the clock of this machine. */
  readonly clock?: Clock
}

/** The parts one verifier works with. */
interface Parts<C extends Client> extends ProofParts {
  readonly rules: AssertionRules
  readonly namesFor: (context: RequestContext) => ServerNames
  readonly findClient: FindClient<C>
  readonly replayRegister: ReplayRegister | false
  readonly perClient: PerClient<C> | undefined
  readonly clock: Clock
}

/** What is known of a request so far, for the event that tells of its end. */
interface Trace {
  clientId: string | undefined
  kid: string | undefined
}

/** The client's record. Look-ups that answer at once cost no turn of the event loop. */
function lookUp<C extends Client>(
  find: FindClient<C>,
  clientId: string,
  context: RequestContext,
): C | undefined | null | Promise<C | undefined | null> {
  try {
    const found = find(clientId, context)
    return isPromise(found) ? answerOf(() => found) : found
  } catch (cause) {
    throw unavailable(cause)
  }
}

/** The record is one, and of the very client that was asked for: a database may compare without regard to case. */
export function checkClient<C extends Client>(found: C | undefined | null, clientId: string): C {
  if (found === undefined || found === null)
    throw refusal('client_unknown', { clientId, detail: `no client has the id ${JSON.stringify(clientId)}` })
  if (typeof found !== 'object' || typeof found.client_id !== 'string')
    throw refusal('client_misconfigured', { clientId, detail: 'findClient gave no record with a client_id' })
  if (found.client_id !== clientId)
    throw refusal('client_unknown', { clientId, detail: 'findClient gave the record of another client_id' })
  return found
}

/** A member of a client's record that should be a name, for operators. It may be anything. */
const named = (value: unknown): string =>
  typeof value === 'string'
    ? JSON.stringify(value)
    : value === undefined
      ? 'nothing'
      : `a value of type ${typeof value}`

/** The client is registered for this method and, where it says so, for this algorithm (RFC 7591 §2). */
export function checkRegistration(client: Client, alg: string, algorithm: Algorithm, rules: AssertionRules): void {
  const clientId = client.client_id
  const registered: unknown = client.token_endpoint_auth_method
  if (registered !== algorithm.method || !rules.methods.includes(algorithm.method))
    throw refusal('client_method_mismatch', {
      clientId,
      detail: `alg ${alg} is one of ${algorithm.method}, the client is registered for ${named(registered)}`,
    })
  const only: unknown = client.token_endpoint_auth_signing_alg
  if (only === undefined || only === null) return
  if (typeof only !== 'string' || !isSameAlgorithm(alg, only, rules.edDsaAlias))
    throw refusal('client_algorithm_mismatch', { clientId, detail: `expected alg ${named(only)}, got ${alg}` })
}

/** The rules and audiences that hold for this client. */
function settle<C extends Client>(parts: Parts<C>, client: C): { rules: AssertionRules; audience?: readonly string[] } {
  const { rules, perClient } = parts
  if (perClient === undefined) return { rules }
  try {
    const own = perClient(client)
    if (own === undefined || own === null) return { rules }
    const settled = rulesForClient(rules, own)
    return own.audience === undefined ? { rules: settled } : { rules: settled, audience: own.audience }
  } catch (cause) {
    throw refusal('misconfigured', { clientId: client.client_id, detail: 'perClient failed', cause })
  }
}

/** `aud` names this server, or the endpoint that is called. */
export function checkAddressee(
  { claims, header }: Envelope,
  names: ServerNames,
  context: AssertionContext,
  rules: AssertionRules,
  own: readonly string[] | undefined,
): void {
  const narrowed = rules.typNarrowsAudience && isTyped(header)
  const accepted = own ?? (narrowed ? names.typedAudiences : names.audiences)
  const endpoint = own === undefined && names.takesEndpoint && !narrowed ? context.endpoint : undefined
  checkAudience(claims.aud, rules.audienceForm, accepted, endpoint)
}

/** Takes note of the assertion, once. Everything that could be refused without this has been. */
async function spend(
  register: ReplayRegister,
  issuer: string,
  clientId: string,
  jti: string,
  expiresAt: number,
): Promise<void> {
  const isFirst: unknown = await answerOf(() => register.remember(issuer, clientId, jti, expiresAt))
  if (isFirst === true) return
  if (isFirst === false)
    throw refusal('assertion_replayed', { clientId, detail: 'an assertion with this jti was used before' })
  throw unavailable(new TypeError(`replayRegister.remember must resolve with a boolean, got ${typeof isFirst}`))
}

/** The steps in order: shape, header, subject, client, registration, claims, keys and signature, replay. */
async function authenticate<C extends Client>(
  parts: Parts<C>,
  parameters: Readonly<Record<string, unknown>>,
  context: AssertionContext,
  trace: Trace,
): Promise<AuthenticatedClient<C>> {
  const startedAt = performance.now()
  const now = context.now ?? parts.clock()
  const { assertion, clientId: parameter } = presentedAssertion(parameters, context.request, parts.rules)
  trace.clientId = parameter
  const envelope = openEnvelope(assertion)
  const { header, claims } = envelope

  const alg = checkAlgorithm(header, parts.rules)
  checkExtensions(header)
  const kid = checkKeyId(header)
  trace.kid = kid
  const clientId = checkSubject(claims)
  trace.clientId = clientId
  if (parameter !== undefined && parameter !== clientId)
    throw refusal('client_id_mismatch', {
      detail: `expected the parameter client_id to equal sub (${JSON.stringify(clientId)}), got ${JSON.stringify(parameter)}`,
    })
  if (parts.perClient === undefined) checkOwnRules(envelope, kid, clientId, parts.rules)

  const looked = lookUp(parts.findClient, clientId, context)
  const client = checkClient(isPromise(looked) ? await looked : looked, clientId)
  const { rules, audience } = settle(parts, client)
  if (parts.perClient !== undefined) checkOwnRules(envelope, kid, clientId, rules)
  const algorithm = algorithmNamed(alg) as Algorithm
  checkRegistration(client, alg, algorithm, rules)

  const names = parts.namesFor(context)
  checkAddressee(envelope, names, context, rules, audience)
  const expiresAt = checkTimes(claims, now, rules)
  const jti = checkId(claims, rules)

  const proving = prove(parts, { envelope, alg, algorithm, kid, client, now, rules })
  const proof = isPromise(proving) ? await proving : proving

  // What was slow (a look-up, a key set) may have outlasted the assertion, and the register forgets what has expired.
  const waitedSeconds = Math.floor((performance.now() - startedAt) / 1000)
  if (waitedSeconds > 0) checkTimes(claims, now + waitedSeconds, rules)
  if (jti !== undefined && parts.replayRegister !== false && !rules.allowReuse) {
    const forgetAt = Math.ceil(expiresAt + rules.clockToleranceSeconds) + 1
    await spend(parts.replayRegister, names.issuer, clientId, jti, forgetAt)
  }
  const authentication = describe(algorithm.method, alg, proof, jti, envelope)
  publish('client.authenticated', () => ({ clientId, method: algorithm.method, alg, kid: proof.kid }))
  return { client, authentication }
}

/** The checks of header and subject that `perClient` may have loosened, and so come after the look-up where it is. */
function checkOwnRules(
  { header, claims }: Envelope,
  kid: string | undefined,
  subject: string,
  rules: AssertionRules,
): void {
  checkTyp(header, rules)
  if (rules.requireKeyId && kid === undefined)
    throw refusal('assertion_key_id_missing', { detail: 'expected a kid in the header, got none' })
  checkIssuer(claims, subject, rules)
}

const describe = (
  method: AssertionMethod,
  alg: string,
  proof: Proof,
  jti: string | undefined,
  { claims, header }: Envelope,
): ClientAuthentication => ({
  method,
  alg,
  ...(proof.kid === undefined ? {} : { kid: proof.kid }),
  ...(jti === undefined ? {} : { jti }),
  claims,
  header,
})

/** Whatever happened, as a refusal that names the client as far as it is known. */
function asRefusal(error: unknown, { clientId }: Trace): OAuthError {
  if (!(error instanceof OAuthError)) return refusal('unexpected', { cause: error, ...(clientId ? { clientId } : {}) })
  if (error.clientId !== undefined || clientId === undefined) return error
  const { code, reason, message, detail, status, headers, cause } = error
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
 * Makes the function that checks client assertions. Framework-free: hand it the parameters of a request, from whatever
 * parsed them. Keep one for the life of the process; its caches of keys and key sets are what makes it quick.
 *
 * Throws `TypeError` naming the option that can not be.
 */
export function createAssertionVerifier<C extends Client = Client>(
  options: AssertionVerifierOptions<C>,
): AssertionVerifier<C> {
  if (typeof options !== 'object' || options === null) throw badOption('options', 'an object', options)
  const rules = rulesOf(options)
  const namesFor = serverNames(options, rules)
  requireFunction('findClient', options.findClient)
  if (options.perClient !== undefined) requireFunction('perClient', options.perClient)
  if (options.clock !== undefined) requireFunction('clock', options.clock)
  const register = options.replayRegister ?? (rules.jti === 'optional' ? false : undefined)
  if (register !== false) requireVerbs('replayRegister', register, ['remember'])
  const parts: Parts<C> = {
    rules,
    namesFor,
    findClient: options.findClient,
    replayRegister: register as ReplayRegister | false,
    perClient: options.perClient,
    misconfiguredClient: oneOf('misconfiguredClient', options.misconfiguredClient, 'error', ['error', 'refuse']),
    verification: oneOf('verification', options.verification, 'sync', ['sync', 'pool']),
    publicKeys: createPublicKeys(wholeNumber('keyCacheSize', options.keyCacheSize, 20_000, 16, 1_000_000)),
    keySets: createKeySets(options.keySets),
    clock: options.clock ?? systemClock,
  }
  const verify = async (
    parameters: Readonly<Record<string, unknown>>,
    context: AssertionContext = {},
  ): Promise<AuthenticatedClient<C>> => {
    const trace: Trace = { clientId: undefined, kid: undefined }
    try {
      return await authenticate(parts, parameters, context, trace)
    } catch (error) {
      const refused = asRefusal(error, trace)
      const { reason, detail, clientId } = refused
      publish('client.refused', () => ({ clientId, reason, detail, kid: trace.kid }))
      throw refused
    }
  }
  return Object.assign(verify, { algorithms: rules.algorithms, methods: rules.methods })
}
