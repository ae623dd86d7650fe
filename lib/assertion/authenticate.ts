import type { AuthenticatedClient, Client, ClientAuthentication, FindClient, RequestContext } from '../client.ts'
import { lookUpClient } from '../client_lookup.ts'
import type { Clock } from '../clock.ts'
import { answerOf, refusal, unavailable } from '../errors.ts'
import { publish } from '../events.ts'
import { type Algorithm, type AssertionMethod, algorithmNamed } from '../keys/algorithms.ts'
import { isPromise } from '../maybe_promise.ts'
import { checkAddressee, type ServerNames } from './audience.ts'
import { checkId, checkIssuer, checkSubject, checkTimes } from './claims.ts'
import { checkRegistration, foundClient, settle } from './client_record.ts'
import { type Envelope, openEnvelope } from './envelope.ts'
import { checkAlgorithm, checkExtensions, checkKeyId, checkKeyIdPresent, checkTyp } from './header.ts'
import { presentedAssertion } from './presented.ts'
import { type Proof, type ProofParts, prove } from './proof.ts'
import type { ReplayRegister } from './replay.ts'
import type { AssertionRules, PerClient } from './rules.ts'

/** What the endpoint that is called knows of the request. */
export interface AssertionContext extends RequestContext {
  /** The moment of the request, in epoch seconds. Default: the verifier's clock. */
  readonly now?: number | undefined
  /**
   * The advertised URL of the endpoint that is called, where that is not the token endpoint. Profiles that take the
   * token endpoint's URL as an audience take this one too. From configuration, never from the request.
   */
  readonly endpoint?: string | undefined
  /** The assertion methods this endpoint takes, of those the verifier has. Default: all of them. */
  readonly methods?: readonly string[] | undefined
}

/** The parts one verifier works with. */
export interface VerifierParts<C extends Client> extends ProofParts {
  readonly rules: AssertionRules
  readonly namesFor: (context: RequestContext) => ServerNames
  readonly findClient: FindClient<C>
  readonly replayRegister: ReplayRegister | false
  readonly perClient: PerClient<C> | undefined
  readonly clock: Clock
}

/** What is known of a request so far, for the event that tells of its end. */
export interface Trace {
  clientId: string | undefined
  kid: string | undefined
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
export async function authenticate<C extends Client>(
  parts: VerifierParts<C>,
  parameters: Readonly<Record<string, unknown>>,
  context: AssertionContext,
  trace: Trace,
): Promise<AuthenticatedClient<C>> {
  const startedAt = performance.now()
  const now = context.now ?? parts.clock()
  if (!Number.isFinite(now)) throw refusal('misconfigured', { detail: 'the clock gave no number' }) // no moment is past it
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

  const looked = lookUpClient(parts.findClient, clientId, context)
  const client = foundClient(isPromise(looked) ? await looked : looked)
  const { rules, audience } = settle(parts.rules, parts.perClient, client)
  if (parts.perClient !== undefined) checkOwnRules(envelope, kid, clientId, rules)
  const algorithm = algorithmNamed(alg) as Algorithm
  checkRegistration(client, alg, algorithm, context.methods ?? rules.methods, rules)

  const names = parts.namesFor(context)
  checkAddressee(envelope, names, context.endpoint, rules, audience)
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
  checkKeyIdPresent(kid, rules)
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
