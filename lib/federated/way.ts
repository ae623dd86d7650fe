import type { Attempt, Check } from '../assertion/attempt.ts'
import { AUDIENCE_CHECK } from '../assertion/audience.ts'
import { CLAIM_CHECKS } from '../assertion/claims.ts'
import { HEADER_CHECKS, OWN_HEADER_CHECKS, shown } from '../assertion/header.ts'
import {
  describe,
  type KeySource,
  keysUnavailable,
  proofFromRemote,
  proofIn,
  proofOrThrow,
} from '../assertion/proof.ts'
import { CLIENT_CHECK, REGISTRATION_CHECK } from '../assertion/registration.ts'
import { type OAuthError, refusal } from '../errors.ts'
import { readFederatedCredentials, TWO_ROOTS_OF_TRUST } from '../federated_credentials.ts'
import type { Jwk } from '../keys/jwks.ts'
import { isAbsent } from '../optional.ts'
import { IssuerFailure } from './issuer_keys.ts'

/** What the checks need to know of an issuer. */
export interface IssuerParts {
  readonly issuer: string
  /** The keys themselves, or where they come from. */
  readonly keys: readonly Jwk[] | KeySource
  /** The SPIFFE trust domain, if it is one. */
  readonly trustDomain: string | undefined
}

/** The client is who the parameter `client_id` names; without it, for SPIFFE, who the SPIFFE ID names. */
function nameClient(attempt: Attempt, isSpiffe: boolean): void {
  const { parameter, envelope } = attempt
  const { sub } = envelope.claims
  if (typeof sub !== 'string' || sub === '')
    throw refusal('assertion_subject_malformed', {
      clientId: parameter,
      detail: `expected sub to be a non-empty string, got ${shown(sub)}`,
    })
  if (parameter === undefined && !isSpiffe)
    throw refusal('parameter_missing', {
      description: 'The parameter client_id is missing.',
      detail: 'a token of a trusted issuer needs the parameter client_id',
    })
  attempt.clientId = parameter ?? sub
}

/** One entry of the record fits the assertion. The audiences of those that fit are the ones accepted. */
function matchCredential(attempt: Attempt, { issuer, trustDomain }: IssuerParts): void {
  const { client, envelope, parts, context } = attempt
  const { claims } = envelope
  const clientId = client.client_id
  const misconfigured = (detail: string): OAuthError => refusal('client_misconfigured', { clientId, detail })
  const credentials = readFederatedCredentials(client)
  if (typeof credentials === 'string') throw misconfigured(credentials)
  const hasKeys = !isAbsent(client.jwks) || !isAbsent(client.jwks_uri)
  if (hasKeys && credentials.length > 0) throw misconfigured(TWO_ROOTS_OF_TRUST)
  const own = parts.namesFor(context).issuer
  const mine = credentials.filter((each) => each.issuer === issuer)
  const matching = mine.filter(
    (each) =>
      (each.subject === undefined || each.subject === claims['sub']) &&
      each.claims.every(([name, value]) => Object.hasOwn(claims, name) && claims[name] === value),
  )
  const isItself = trustDomain !== undefined && !hasKeys && credentials.length === 0 && claims['sub'] === clientId
  if (matching.length === 0 && !isItself)
    throw refusal('federated_credential_mismatch', {
      clientId,
      detail:
        mine.length === 0
          ? `the client has no federated credential of the issuer ${shown(issuer)}`
          : `expected sub and claims of one of the client's ${mine.length} federated credentials, got sub ${shown(claims['sub'])}`,
    })
  const audiences = matching.flatMap(({ audience }) => audience ?? attempt.audience ?? [own])
  attempt.audience = isItself ? (attempt.audience ?? [own]) : audiences
}

/** JWT-SVID §2: `typ` is absent, `JWT` or `JOSE`. */
function checkSvidTyp({ envelope }: Attempt): void {
  const { typ } = envelope.header
  if (typ === undefined || (typeof typ === 'string' && /^(?:jwt|jose)$/i.test(typ))) return
  throw refusal('assertion_typ_not_allowed', { detail: `expected typ absent, JWT or JOSE, got ${shown(typ)}` })
}

const isSource = (keys: readonly Jwk[] | KeySource): keys is KeySource => 'get' in keys

/** An issuer that does not respond as it should is the operator's: 503, and not the client's mistake. */
const asUnavailable = (error: unknown, issuer: string, clientId: string): unknown =>
  error instanceof IssuerFailure
    ? keysUnavailable(clientId, `the keys of the issuer ${shown(issuer)} are not available: ${error.message}`, error)
    : error

/** A key of the issuer verifies the signature; no other key is tried. */
export async function prove(attempt: Attempt, { issuer, keys }: IssuerParts): Promise<void> {
  try {
    const proof = isSource(keys) ? await proofFromRemote(attempt, keys) : proofOrThrow(await proofIn(attempt, keys))
    describe(attempt, proof)
  } catch (error) {
    throw asUnavailable(error, issuer, attempt.client.client_id)
  }
}

/** The checks of the assertions of one issuer. */
export function federatedChecks(parts: IssuerParts): readonly Check[] {
  const { issuer, trustDomain } = parts
  const isSpiffe = trustDomain !== undefined
  const [typ, ...otherHeaders] = OWN_HEADER_CHECKS as [Check, ...Check[]]

  return [
    {
      name: 'trusted_issuer',
      title: isSpiffe ? 'A JWT-SVID from a trusted trust domain' : 'A token from a trusted issuer (iss)',
      needs: ['envelope'],
      run: () => {}, // that is why these are the checks
      report: () => issuer,
    },
    ...HEADER_CHECKS,
    {
      name: 'client_id',
      title: 'The parameter client_id names the client',
      needs: ['envelope'],
      run: (attempt) => nameClient(attempt, isSpiffe),
      online: true,
    },
    CLIENT_CHECK,
    isSpiffe ? { ...typ, run: checkSvidTyp } : typ,
    ...otherHeaders,
    REGISTRATION_CHECK,
    {
      name: 'federated_credential',
      title: 'A federated credential of the client matches (issuer, sub, claims)',
      needs: ['envelope', 'client'],
      run: (attempt) => matchCredential(attempt, parts),
      report: ({ envelope }) => String(envelope.claims['sub']),
    },
    { ...AUDIENCE_CHECK, needs: ['envelope', 'audience'] },
    ...CLAIM_CHECKS,
    {
      name: 'signature',
      title: 'A key of the issuer verifies the signature',
      needs: ['envelope', 'algorithm', 'client'],
      run: (attempt) => prove(attempt, parts),
      report: ({ authentication: { kid } }) => (kid === undefined ? undefined : `the key ${kid}`),
    },
  ]
}
