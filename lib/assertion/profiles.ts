import { ALL_ALGORITHMS } from '../keys/algorithms.ts'

/** The sets of rules that come as a bundle. Single options override what a profile says. */
export type AssertionProfile = 'oidc' | 'rfc7523' | 'rfc10070' | 'fapi1' | 'fapi2' | 'smart'

/** In which form `aud` may come: one value (alone or alone in an array), a plain string, or an array that has one. */
export type AudienceForm = 'sole' | 'string' | 'containing'

/** What a profile decides. Each member is the option of the same name. */
export interface ProfileRules {
  /** Which of the server's own names an assertion may be addressed to. */
  readonly addressedTo: 'issuer' | 'token_endpoint' | 'pushed_authorization_request_endpoint'
  /** Whether `typ: client-authentication+jwt` says that the assertion is addressed to the issuer (RFC 10070 §4). */
  readonly typNarrowsAudience: boolean
  /**
   * The form of `aud` that is accepted: `sole` one value, alone or in an array; `string` a plain string; `containing`
   * an array with other values too.
   */
  readonly audienceForm: AudienceForm
  /** Whether `iss` must equal `sub` (RFC 7523 §3). */
  readonly requireIssuerIsSubject: boolean
  /** Whether an assertion must have a `jti`. */
  readonly jti: 'required' | 'optional'
  /** The JOSE algorithms that are accepted. */
  readonly algorithms: readonly string[]
  /** Whether the header must have a `kid`. */
  readonly requireKeyId: boolean
  /** Whether a `jku` header must be the registered `jwks_uri`. It is never fetched; other profiles ignore it. */
  readonly requireRegisteredJku: boolean
  /** Whether a key set that has two keys with the `kid` of the assertion is refused. Other profiles try both. */
  readonly requireUniqueKeyId: boolean
  /** `capped`: a long-lived assertion is accepted while it is fresh. `refused`: it is not accepted at all. */
  readonly longLifetime: 'capped' | 'refused'
  /** The upper bound of the option `clockToleranceSeconds`: FAPI 2.0 §5.3.2.1 refuses more than a minute. */
  readonly mostClockToleranceSeconds: number
}

const OIDC: ProfileRules = {
  addressedTo: 'token_endpoint',
  typNarrowsAudience: true,
  audienceForm: 'sole',
  requireIssuerIsSubject: true,
  jti: 'required',
  algorithms: ALL_ALGORITHMS,
  requireKeyId: false,
  requireRegisteredJku: false,
  requireUniqueKeyId: false,
  longLifetime: 'capped',
  mostClockToleranceSeconds: 300,
}

/** The profiles, each as what it changes. `addressedTo` names the widest: each one includes those before it. */
export const PROFILES: Readonly<Record<AssertionProfile, ProfileRules>> = {
  oidc: OIDC,
  rfc7523: { ...OIDC, requireIssuerIsSubject: false, jti: 'optional' },
  rfc10070: { ...OIDC, addressedTo: 'issuer' },
  fapi1: {
    ...OIDC,
    addressedTo: 'pushed_authorization_request_endpoint',
    typNarrowsAudience: false,
    audienceForm: 'containing',
    algorithms: ['PS256', 'ES256'],
  },
  fapi2: {
    ...OIDC,
    addressedTo: 'issuer',
    audienceForm: 'string',
    algorithms: ['PS256', 'ES256', 'Ed25519'],
    mostClockToleranceSeconds: 60,
  },
  smart: {
    ...OIDC,
    typNarrowsAudience: false,
    algorithms: ['RS384', 'ES384'],
    requireKeyId: true,
    requireRegisteredJku: true,
    requireUniqueKeyId: true,
    longLifetime: 'refused',
  },
}
