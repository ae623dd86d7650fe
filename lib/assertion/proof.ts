import type { ClientAuthentication } from '../client.ts'
import { isClientDocument } from '../client_document.ts'
import { OAuthError, refusal } from '../errors.ts'
import { publish } from '../events.ts'
import { TWO_ROOTS_OF_TRUST } from '../federated_credentials.ts'
import { candidatesIn, explainNoCandidates, type Jwk, keyIdOf, MOST_CHECKS, readInlineKeys } from '../keys/jwks.ts'
import { type RemoteKeySet, renewOrThrow } from '../keys/key_sets.ts'
import type { PublicKey } from '../keys/public_keys.ts'
import { checkSignature, isMacOf } from '../keys/signature.ts'
import { isPromise } from '../maybe_promise.ts'
import { isAbsent, readOptional } from '../optional.ts'
import type { Attempt, Check } from './attempt.ts'
import { macKeys } from './secrets.ts'

/** The key that made the signature, by its id where it has one. */
export interface Proof {
  readonly kid: string | undefined
}

const proofBy = (jwk: Jwk): Proof => ({ kid: keyIdOf(jwk) })

/** Why no key proved anything. */
function noProof(
  attempt: Attempt,
  keys: readonly Jwk[],
  candidates: readonly Jwk[],
  problems: readonly string[],
): OAuthError {
  const { alg, algorithm, kid, client, rules } = attempt
  const which = `${alg}${kid === undefined ? '' : ` with kid ${JSON.stringify(kid.slice(0, 120))}`}`
  const clientId = client.client_id
  if (candidates.length === 0) {
    const why = explainNoCandidates(keys, alg, algorithm, kid, rules.edDsaAlias)
    const excluded =
      why === undefined ? '' : kid === undefined ? `: ${why}` : `; the key with that kid is excluded: ${why}`
    return refusal('key_not_found', { clientId, detail: `the client has no key that can verify ${which}${excluded}` })
  }
  if (problems.length < candidates.length)
    return refusal('assertion_signature_wrong', { clientId, detail: `no key for ${which} verifies the signature` })
  const why = [...new Set(problems)].join('; ')
  return refusal('key_unusable', { clientId, detail: `the key for ${which} cannot be used: ${why}` })
}

/** Tries the keys in turn, from this one on: at once while keys are ready and checked on this thread, later otherwise. */
function tryKeys(
  attempt: Attempt,
  candidates: readonly Jwk[],
  problems: string[],
  from = 0,
): Proof | undefined | Promise<Proof | undefined> {
  const { parts, envelope, algorithm, alg } = attempt
  const check = (key: PublicKey): boolean | Promise<boolean> => {
    if (!('unusable' in key)) return checkSignature(parts.verification, envelope, algorithm, key)
    problems.push(key.unusable)
    return false
  }
  for (let index = from; index < candidates.length && index - problems.length < MOST_CHECKS; index += 1) {
    const jwk = candidates[index] as Jwk
    const key = parts.publicKeys.get(jwk, alg)
    const isSigned = isPromise(key) ? key.then(check) : check(key)
    if (isPromise(isSigned))
      return isSigned.then((isProven) => (isProven ? proofBy(jwk) : tryKeys(attempt, candidates, problems, index + 1)))
    if (isSigned) return proofBy(jwk)
  }
  return undefined
}

/** Where the keys of one party come from. */
export interface KeySource {
  /** Returns the keys, at once if they are kept. Throws or rejects if they cannot be fetched. */
  get(now: number, clientId: string): RemoteKeySet | Promise<RemoteKeySet>
  /** Fetches keys other than those that did not do; `undefined` if there are none, or they were requested just now. */
  renew(seen: RemoteKeySet, now: number, clientId: string): Promise<RemoteKeySet | undefined>
  /** Notes that one of the keys has verified a signature. */
  confirm(): void
}

/** The proof by a key of this set, or the refusal that says why there is none. */
export function proofIn(attempt: Attempt, keys: readonly Jwk[]): Proof | OAuthError | Promise<Proof | OAuthError> {
  const { alg, algorithm, kid, client, rules } = attempt
  if (rules.requireUniqueKeyId && kid !== undefined && keys.filter((jwk) => jwk['kid'] === kid).length > 1)
    return refusal('key_unusable', {
      clientId: client.client_id,
      detail: `more than one key of the client has the kid ${JSON.stringify(kid.slice(0, 120))}`,
    })
  const candidates = candidatesIn(keys, alg, algorithm, kid, rules.edDsaAlias)
  const problems: string[] = []
  const judged = (proof: Proof | undefined): Proof | OAuthError => {
    for (const problem of problems)
      publish('client.warning', () => ({ clientId: client.client_id, detail: `a key was skipped: ${problem}` }))
    return proof ?? noProof(attempt, keys, candidates, problems)
  }
  const proof = tryKeys(attempt, candidates, problems)
  return isPromise(proof) ? proof.then(judged) : judged(proof)
}

export const proofOrThrow = (outcome: Proof | OAuthError): Proof => {
  if ('kid' in outcome) return outcome
  throw outcome
}

/** The keys cannot be fetched, which says nothing about the client: 503. */
export const keysUnavailable = (
  clientId: string | undefined,
  detail: string | undefined,
  cause?: unknown,
): OAuthError =>
  new OAuthError('temporarily_unavailable', {
    reason: 'key_set_unavailable',
    clientId,
    detail,
    cause,
    headers: { 'Retry-After': '5' },
  })

/** The proof by a key of a remote set, which is fetched again if the known keys verify nothing. */
export async function proofFromRemote(attempt: Attempt, source: KeySource): Promise<Proof> {
  const { client, now } = attempt
  const set = await source.get(now, client.client_id)
  const outcome = await proofIn(attempt, set.keys)
  if ('kid' in outcome) {
    if (!set.isProven) source.confirm()
    return outcome
  }
  const renewed = await source.renew(set, now, client.client_id)
  if (renewed === undefined) throw outcome
  const proof = proofOrThrow(await proofIn(attempt, renewed.keys))
  source.confirm()
  return proof
}

/** The keys at the `jwks_uri` of a registered client. If they cannot be fetched, that is `invalid_client`. */
function sourceAt({ parts: { keySets } }: Attempt, uri: string): KeySource {
  return {
    get: (now, clientId) => keySets.get(uri, now, clientId),
    renew: (seen, now, clientId) => keySets.renew(uri, seen, now, clientId),
    confirm: () => keySets.confirm(uri),
  }
}

/**
 * The keys at the `jwks_uri` of a client that describes itself. If they cannot be fetched, that is a 503, as for its document,
 * because MCP clients discard their tokens on `invalid_client`; and it may have changed its keys meanwhile.
 */
function documentSourceAt({ parts }: Attempt, uri: string): KeySource {
  const keySets = parts.documentKeySets()
  return {
    async get(now, clientId) {
      try {
        return await keySets.get(uri, now, clientId)
      } catch (error) {
        const isUnavailable = error instanceof OAuthError && error.reason === 'key_set_unavailable'
        throw isUnavailable ? keysUnavailable(error.clientId, error.detail, error) : error
      }
    },
    renew: (seen, now, clientId) =>
      renewOrThrow(keySets, uri, seen, now, clientId, (problem) =>
        keysUnavailable(clientId, `the key set at jwks_uri cannot be fetched: ${problem}`),
      ),
    confirm: () => keySets.confirm(uri),
  }
}

function proofBySignature(attempt: Attempt): Proof | Promise<Proof> {
  const { parts, client } = attempt
  const clientId = client.client_id
  const jwks: unknown = readOptional(client.jwks)
  const uri: unknown = readOptional(client.jwks_uri)
  if (parts.trustedIssuers !== undefined && !isAbsent(client.federated_credentials) && (jwks ?? uri) !== undefined)
    throw refusal('client_misconfigured', { clientId, detail: TWO_ROOTS_OF_TRUST })
  if (jwks !== undefined && uri !== undefined)
    throw refusal(parts.misconfiguredClient === 'error' ? 'misconfigured' : 'client_misconfigured', {
      clientId,
      detail: 'the client has both jwks and jwks_uri (RFC 7591 section 2 forbids it)',
    })
  if (uri !== undefined) {
    if (typeof uri === 'string')
      return proofFromRemote(attempt, (isClientDocument(client) ? documentSourceAt : sourceAt)(attempt, uri))
    throw refusal('client_misconfigured', { clientId, detail: 'jwks_uri is not a string' })
  }
  if (jwks === undefined)
    throw refusal('client_keys_missing', { clientId, detail: 'the client has neither jwks nor jwks_uri' })
  const keys = readInlineKeys(jwks, parts.keySets.maxKeys)
  if (typeof keys === 'string')
    throw refusal('key_set_malformed', { clientId, detail: `the jwks of the client cannot be read: ${keys}` })
  const outcome = proofIn(attempt, keys)
  return isPromise(outcome) ? outcome.then(proofOrThrow) : proofOrThrow(outcome)
}

function proofByMac({ parts, client, alg, algorithm, kid, now, rules, envelope }: Attempt): Proof {
  const clientId = client.client_id
  for (const key of macKeys(client, alg, algorithm, kid, now, rules, parts.keySets.maxKeys)) {
    if (!isMacOf(envelope, algorithm, key.secret)) continue
    if (key.isShort)
      publish('client.warning', () => ({ clientId, detail: `a secret shorter than ${alg} requires was accepted` }))
    return { kid: key.kid }
  }
  throw refusal('assertion_signature_wrong', { clientId, detail: `no secret of the client verifies the ${alg} MAC` })
}

/** Notes how the client was authenticated: what the application sees of it. */
export function describe(attempt: Attempt, proof: Proof): void {
  const { algorithm, alg, jti, envelope, issuer } = attempt
  const found: { -readonly [Member in keyof ClientAuthentication]: ClientAuthentication[Member] } = {
    method: algorithm.method,
    alg,
    claims: envelope.claims,
    header: envelope.header,
  }
  if (proof.kid !== undefined) found.kid = proof.kid
  if (jti !== undefined) found.jti = jti
  if (issuer !== undefined) found.issuer = issuer
  attempt.authentication = found
}

/** The client made the assertion: with the keys or secrets registered for it and with nothing else. */
export const SIGNATURE_CHECK: Check = {
  name: 'signature',
  title: 'A key of the client verifies the signature',
  needs: ['envelope', 'algorithm', 'client'],
  run(attempt) {
    const proof = attempt.algorithm.kind === 'mac' ? proofByMac(attempt) : proofBySignature(attempt)
    if (isPromise(proof)) return proof.then((made) => describe(attempt, made))
    return describe(attempt, proof)
  },
  report: ({ authentication: { kid } }) => (kid === undefined ? undefined : `the key ${kid}`),
}
