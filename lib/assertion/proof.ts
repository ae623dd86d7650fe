import type { Client } from '../client.ts'
import { type OAuthError, refusal } from '../errors.ts'
import { publish } from '../events.ts'
import type { Algorithm } from '../keys/algorithms.ts'
import { candidatesIn, explainNoCandidates, type Jwk, keyIdOf, MOST_CHECKS, readInlineKeys } from '../keys/jwks.ts'
import type { KeySets, RemoteKeySet } from '../keys/key_sets.ts'
import type { PublicKeys } from '../keys/public_keys.ts'
import { isMacOf, isSignedBy, isSignedByInPool, type VerificationPlace } from '../keys/signature.ts'
import { isPromise } from '../maybe_promise.ts'
import { readOptional } from '../optional.ts'
import type { Envelope } from './envelope.ts'
import type { AssertionRules } from './rules.ts'
import { macKeys } from './secrets.ts'

/** What the proof of possession needs of the verifier. */
export interface ProofParts {
  readonly publicKeys: PublicKeys
  readonly keySets: KeySets
  readonly verification: VerificationPlace
  readonly misconfiguredClient: 'error' | 'refuse'
}

/** One assertion whose every other check passed. */
export interface Claimed {
  readonly envelope: Envelope
  readonly alg: string
  readonly algorithm: Algorithm
  readonly kid: string | undefined
  readonly client: Client
  readonly now: number
  readonly rules: AssertionRules
}

/** The key that made the signature, by its id where it has one. */
export interface Proof {
  readonly kid: string | undefined
}

const proofBy = (jwk: Jwk): Proof => ({ kid: keyIdOf(jwk) })

/** Why no key proved anything. */
function noProof(
  claimed: Claimed,
  keys: readonly Jwk[],
  candidates: readonly Jwk[],
  problems: readonly string[],
): OAuthError {
  const { alg, algorithm, kid, client, rules } = claimed
  const which = `${alg}${kid === undefined ? '' : ` with kid ${JSON.stringify(kid.slice(0, 120))}`}`
  const clientId = client.client_id
  if (candidates.length === 0) {
    const why = explainNoCandidates(keys, alg, algorithm, kid, rules.edDsaAlias)
    const excluded =
      why === undefined ? '' : kid === undefined ? `: ${why}` : `; the key with that kid is excluded: ${why}`
    return refusal('key_not_found', { clientId, detail: `the client has no key for checking ${which}${excluded}` })
  }
  if (problems.length < candidates.length)
    return refusal('assertion_signature_wrong', { clientId, detail: `no key for ${which} verifies the signature` })
  const why = [...new Set(problems)].join('; ')
  return refusal('key_unusable', { clientId, detail: `the key for ${which} cannot be used: ${why}` })
}

/** Tries the keys in turn; at once where they are ready, later where one must be imported or the thread pool works. */
function tryKeys(
  parts: ProofParts,
  claimed: Claimed,
  candidates: readonly Jwk[],
  problems: string[],
): Proof | undefined | Promise<Proof | undefined> {
  let checks = 0
  for (const [index, jwk] of candidates.entries()) {
    const key = parts.publicKeys.get(jwk, claimed.alg)
    if (isPromise(key) || parts.verification === 'pool')
      return tryKeysLater(parts, claimed, candidates.slice(index), checks, problems)
    if ('unusable' in key) problems.push(key.unusable)
    else if (isSignedBy(claimed.envelope, claimed.algorithm, key)) return proofBy(jwk)
    else if (++checks === MOST_CHECKS) break
  }
  return undefined
}

async function tryKeysLater(
  parts: ProofParts,
  { envelope, algorithm, alg }: Claimed,
  candidates: readonly Jwk[],
  checksBefore: number,
  problems: string[],
): Promise<Proof | undefined> {
  const check = parts.verification === 'pool' ? isSignedByInPool : isSignedBy
  let checks = checksBefore
  for (const jwk of candidates) {
    const key = await parts.publicKeys.get(jwk, alg)
    if ('unusable' in key) problems.push(key.unusable)
    else if (await check(envelope, algorithm, key)) return proofBy(jwk)
    else if (++checks === MOST_CHECKS) break
  }
  return undefined
}

/** The proof by a key of this set, or the refusal that says why there is none. */
function proofIn(
  parts: ProofParts,
  claimed: Claimed,
  keys: readonly Jwk[],
): Proof | OAuthError | Promise<Proof | OAuthError> {
  const { alg, algorithm, kid, client, rules } = claimed
  const candidates = candidatesIn(keys, alg, algorithm, kid, rules.edDsaAlias)
  const problems: string[] = []
  const judged = (proof: Proof | undefined): Proof | OAuthError => {
    for (const problem of problems)
      publish('client.warning', () => ({ clientId: client.client_id, detail: `a key was skipped: ${problem}` }))
    return proof ?? noProof(claimed, keys, candidates, problems)
  }
  const proof = tryKeys(parts, claimed, candidates, problems)
  return isPromise(proof) ? proof.then(judged) : judged(proof)
}

const proofOrThrow = (outcome: Proof | OAuthError): Proof => {
  if ('kid' in outcome) return outcome
  throw outcome
}

/** The proof by a key of the client's `jwks_uri`, which is asked once more where the keys at hand do not do. */
async function proofFromRemote(parts: ProofParts, claimed: Claimed, uri: string): Promise<Proof> {
  const { client, now } = claimed
  const fetched = async (pending: RemoteKeySet | Promise<RemoteKeySet>): Promise<RemoteKeySet> => await pending
  const set = await fetched(parts.keySets.get(uri, now, client.client_id))
  const outcome = await proofIn(parts, claimed, set.keys)
  if ('kid' in outcome) return outcome
  const renewed = await parts.keySets.renew(uri, set, now, client.client_id)
  return proofOrThrow(renewed === undefined ? outcome : await proofIn(parts, claimed, renewed.keys))
}

function proofBySignature(parts: ProofParts, claimed: Claimed): Proof | Promise<Proof> {
  const { client } = claimed
  const clientId = client.client_id
  const jwks: unknown = readOptional(client.jwks)
  const uri: unknown = readOptional(client.jwks_uri)
  if (jwks !== undefined && uri !== undefined)
    throw refusal(parts.misconfiguredClient === 'error' ? 'misconfigured' : 'client_misconfigured', {
      clientId,
      detail: 'the client has both jwks and jwks_uri (RFC 7591 section 2 forbids it)',
    })
  if (uri !== undefined) {
    if (typeof uri === 'string') return proofFromRemote(parts, claimed, uri)
    throw refusal('client_misconfigured', { clientId, detail: 'jwks_uri is not a string' })
  }
  if (jwks === undefined)
    throw refusal('client_keys_missing', { clientId, detail: 'the client has neither jwks nor jwks_uri' })
  const keys = readInlineKeys(jwks, parts.keySets.maxKeys)
  if (typeof keys === 'string')
    throw refusal('key_set_malformed', { clientId, detail: `the jwks of the client cannot be read: ${keys}` })
  const outcome = proofIn(parts, claimed, keys)
  return isPromise(outcome) ? outcome.then(proofOrThrow) : proofOrThrow(outcome)
}

function proofByMac(parts: ProofParts, claimed: Claimed): Proof {
  const { client, alg, algorithm, kid, now, rules, envelope } = claimed
  const clientId = client.client_id
  for (const key of macKeys(client, alg, algorithm, kid, now, rules, parts.keySets.maxKeys)) {
    if (!isMacOf(envelope, algorithm, key.secret)) continue
    if (key.isShort)
      publish('client.warning', () => ({ clientId, detail: `a secret shorter than ${alg} demands was accepted` }))
    return { kid: key.kid }
  }
  throw refusal('assertion_signature_wrong', { clientId, detail: `no secret of the client verifies the ${alg} MAC` })
}

/** Checks that the client made the assertion, with the keys or secrets registered for it and with nothing else. */
export const prove = (parts: ProofParts, claimed: Claimed): Proof | Promise<Proof> =>
  claimed.algorithm.kind === 'mac' ? proofByMac(parts, claimed) : proofBySignature(parts, claimed)
