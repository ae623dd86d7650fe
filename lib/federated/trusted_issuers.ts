import type { Attempt, TrustedIssuers, Way } from '../assertion/attempt.ts'
import { ASSERTION_TYPE } from '../assertion/presented.ts'
import { refusal } from '../errors.ts'
import { allowedAlgorithms } from '../keys/algorithms.ts'
import { type Jwk, readInlineKeys } from '../keys/jwks.ts'
import type { KeySetOptions } from '../keys/key_sets.ts'
import { badOption, booleanOption, checkOptions, oneOf, optionNames, wholeNumber } from '../options.ts'
import { documentUrl } from '../remote/url.ts'
import { isDiscoverable } from './discovery.ts'
import { createIssuerKeys, svidKeys } from './issuer_keys.ts'
import { federatedChecks, type IssuerParts, prove } from './way.ts'

/** An issuer whose tokens are accepted, as a plain object. Presets: `kubernetes()`, `githubActions()` and others. */
export interface TrustedIssuer {
  /** The exact `iss` of the issuer's tokens. For SPIFFE: the trust domain, such as `spiffe://example.org`. */
  readonly issuer: string
  /** The issuer's public keys. Set exactly one of `jwks`, `jwksUri` and `discovery`. */
  readonly jwks?:
    | {
        /** The public keys, each a JWK (RFC 7517 §4). */
        readonly keys: readonly Readonly<Record<string, unknown>>[]
      }
    | undefined
  /** The `https` URL of the issuer's key set. It is fetched when a key is needed, and cached. */
  readonly jwksUri?: string | undefined
  /**
   * Whether to find the key set through the issuer's discovery document. Its `jwks_uri` must be on the host of the
   * issuer. Default `false`.
   */
  readonly discovery?: boolean | undefined
  /** The asymmetric JOSE algorithms that the issuer's tokens may use. Default `['RS256', 'ES256']`. */
  readonly algorithms?: readonly string[] | undefined
  /**
   * Maximum seconds from `iat` to `exp`, 1 to 86400. Default 3660, because Kubernetes issues tokens for 3607 seconds.
   */
  readonly maxLifetimeSeconds?: number | undefined
  /**
   * `once`: each token is accepted once and must have a `jti`. `allow`: a token is accepted until it expires. Default
   * `allow`.
   */
  readonly replay?: 'once' | 'allow' | undefined
  /** Whether the tokens are JWT-SVIDs of a SPIFFE trust domain. Default `false`. */
  readonly spiffe?: boolean | undefined
  /**
   * How the keys are fetched and cached. Takes the same members as the option `keySets` of `createAssertionVerifier`.
   */
  readonly remote?: KeySetOptions | undefined
}

/** The names of the members, for the presets. */
export const TRUSTED_ISSUER_OPTIONS = optionNames<TrustedIssuer>({
  issuer: true,
  jwks: true,
  jwksUri: true,
  discovery: true,
  algorithms: true,
  maxLifetimeSeconds: true,
  replay: true,
  spiffe: true,
  remote: true,
})

/** The `client_assertion_type` of JWT-SVIDs (draft-ietf-oauth-spiffe-client-auth). */
const SPIFFE_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe'

const DEFAULT_ALGORITHMS = ['RS256', 'ES256']
const MOST_CHARACTERS = 600
const TRUST_DOMAIN = /^(?:spiffe:\/\/)?([a-z0-9._-]{1,255})$/
/** SPIFFE ID §2: a trust domain and a path of segments. */
const SPIFFE_ID = /^spiffe:\/\/([a-z0-9._-]{1,255})(?:\/[A-Za-z0-9._-]+)+$/
const MOST_SPIFFE_ID_BYTES = 2048

/** One issuer, judged, with what is needed to accept its tokens. */
interface IssuerEntry extends IssuerParts {
  readonly algorithms: readonly string[]
  readonly maxLifetimeSeconds: number
  readonly replay: 'once' | 'allow'
  readonly trustDomain: string | undefined
}

function readKeys(option: string, { issuer, jwks, jwksUri, discovery, remote = {}, spiffe }: TrustedIssuer) {
  const discovers = booleanOption(`${option}.discovery`, discovery, false)
  const given = [jwks !== undefined, jwksUri !== undefined, discovers].filter(Boolean).length
  if (given !== 1) throw badOption(option, 'an issuer with exactly one of jwks, jwksUri and discovery: true', issuer)
  checkOptions(`${option}.remote`, remote, Object.keys(remote)) // an object; createKeySets checks its members
  const { allowHttpLoopback = false } = remote
  if (jwks !== undefined) {
    const read = readInlineKeys(jwks, 1000)
    if (typeof read === 'string') throw badOption(`${option}.jwks`, `a key set (${read})`, jwks)
    const keys: readonly Jwk[] = spiffe === true ? svidKeys(read) : read
    if (keys.length === 0)
      throw badOption(`${option}.jwks`, `a key set with keys${spiffe ? ' of the use jwt-svid' : ''}`, jwks)
    return keys
  }
  if (jwksUri !== undefined && (typeof jwksUri !== 'string' || documentUrl(jwksUri, allowHttpLoopback) === undefined))
    throw badOption(`${option}.jwksUri`, 'an https URL without user information', jwksUri)
  if (discovers && spiffe === true) throw badOption(`${option}.discovery`, 'absent for SPIFFE: set jwksUri', true)
  if (discovers && !isDiscoverable(issuer, allowHttpLoopback))
    throw badOption(`${option}.issuer`, 'an https URL if discovery is set', issuer)
  return createIssuerKeys(issuer, jwksUri, remote, spiffe === true)
}

function readIssuer(given: unknown, index: number): IssuerEntry {
  const option = `issuers[${index}]`
  checkOptions(option, given, TRUSTED_ISSUER_OPTIONS)
  const trusted = given as TrustedIssuer
  const { issuer } = trusted
  if (typeof issuer !== 'string' || issuer === '' || issuer.length > MOST_CHARACTERS)
    throw badOption(`${option}.issuer`, `a string of 1 to ${MOST_CHARACTERS} characters`, issuer)
  const isSpiffe = booleanOption(`${option}.spiffe`, trusted.spiffe, false)
  const trustDomain = isSpiffe ? TRUST_DOMAIN.exec(issuer)?.[1] : undefined
  if (isSpiffe && trustDomain === undefined)
    throw badOption(`${option}.issuer`, 'a SPIFFE trust domain, such as spiffe://example.org', issuer)
  return {
    issuer,
    trustDomain,
    keys: readKeys(option, trusted),
    algorithms: allowedAlgorithms(trusted.algorithms ?? DEFAULT_ALGORITHMS, ['private_key_jwt']),
    maxLifetimeSeconds: wholeNumber(`${option}.maxLifetimeSeconds`, trusted.maxLifetimeSeconds, 3660, 1, 86_400),
    replay: oneOf(`${option}.replay`, trusted.replay, 'allow', ['once', 'allow']),
  }
}

/** Reads the list. Throws a `TypeError` that names what cannot be used. */
function readIssuers(list: unknown): readonly IssuerEntry[] {
  if (!Array.isArray(list) || list.length === 0) throw badOption('issuers', 'a non-empty array of issuers', list)
  const entries = list.map(readIssuer)
  const names = entries.map(({ issuer, trustDomain }) =>
    trustDomain === undefined ? issuer : `spiffe://${trustDomain}`,
  )
  const repeated = names.find((name, at) => names.indexOf(name) !== at)
  if (repeated !== undefined) throw badOption('issuers', 'an array with each issuer once', repeated)
  return entries
}

const wayOf = (entry: IssuerEntry): Way => ({
  issuer: entry.issuer,
  rulesFrom: (rules) => ({
    ...rules,
    algorithms: entry.algorithms,
    algorithmsFor: () => entry.algorithms,
    typNarrowsAudience: false,
    audienceForm: 'sole',
    requireIssuerIsSubject: false,
    jti: entry.replay === 'once' ? 'required' : 'optional',
    requireKeyId: false,
    requireRegisteredJku: false,
    requireUniqueKeyId: false,
    typ: 'checked',
    maxLifetimeSeconds: entry.maxLifetimeSeconds,
    longLifetime: 'refused',
    requireIat: false,
    allowReuse: entry.replay === 'allow',
  }),
  prove: (attempt) => prove(attempt, entry),
  checks: federatedChecks(entry),
})

const spiffeIdOf = ({ envelope }: Attempt): RegExpExecArray | null => {
  const { sub } = envelope.claims
  return typeof sub === 'string' && sub.length <= MOST_SPIFFE_ID_BYTES ? SPIFFE_ID.exec(sub) : null
}

/**
 * Creates the option `trustedIssuers` of `createAssertionVerifier`: the issuers whose tokens clients may use to
 * authenticate.
 *
 * An assertion whose `iss` is one of these issuers, or a JWT-SVID of a trusted domain, must follow the rules of that
 * issuer. It must also match the `federated_credentials` of the client. All other assertions follow the rules of the
 * verifier.
 *
 * Throws a `TypeError` that names the invalid issuer or option.
 *
 * @example
 * ```ts
 * import { createTrustedIssuers } from 'passport-client-assertion-jwt/federated'
 *
 * trustedIssuers: createTrustedIssuers([kubernetes({ issuer: 'https://oidc.cluster.example.com' }), githubActions()]),
 * ```
 */
export function createTrustedIssuers(issuers: readonly TrustedIssuer[]): TrustedIssuers {
  const entries = readIssuers(issuers)
  const byIssuer = new Map<unknown, Way>()
  const byTrustDomain = new Map<string, Way>()
  for (const entry of entries)
    if (entry.trustDomain === undefined) byIssuer.set(entry.issuer, wayOf(entry))
    else byTrustDomain.set(entry.trustDomain, wayOf(entry))

  const findBySubject = (attempt: Attempt): Way | undefined => byTrustDomain.get(spiffeIdOf(attempt)?.[1] ?? '')

  return {
    issuers: Object.freeze(entries.map(({ issuer }) => issuer)),
    algorithms: Object.freeze([...new Set(entries.flatMap(({ algorithms }) => algorithms))]),
    hasReplayProtection: entries.some(({ replay }) => replay === 'once'),
    assertionTypes: byTrustDomain.size === 0 ? [] : [SPIFFE_TYPE],
    findWay(attempt) {
      const { type, envelope, parameter } = attempt
      if (type === SPIFFE_TYPE) {
        const way = findBySubject(attempt)
        if (way !== undefined) return way
        throw refusal('assertion_issuer_mismatch', {
          clientId: parameter,
          detail: 'expected sub to be a SPIFFE ID of a trusted trust domain',
        })
      }
      const way = byIssuer.get(envelope?.claims['iss'])
      // without a type the assertion alone was given, to be explained
      return way ?? (type === ASSERTION_TYPE || envelope === undefined ? undefined : findBySubject(attempt))
    },
  }
}
