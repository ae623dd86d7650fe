import { badOption, checkOptions } from '../options.ts'
import { TRUSTED_ISSUER_OPTIONS, type TrustedIssuer } from './trusted_issuers.ts'

// Each preset is plain data: what a platform's documentation says of its tokens. Spread it to change a member. So a preset
// checks names, and what it makes the issuer of; `createTrustedIssuers` checks the rest.

type Changes = Partial<Omit<TrustedIssuer, 'issuer'>>

/** The members of a preset that has its own issuer. */
const CHANGES = TRUSTED_ISSUER_OPTIONS.filter((name) => name !== 'issuer')

/** The keys by discovery, unless they are named. */
const withKeys = (preset: TrustedIssuer, changes: Changes = {}): TrustedIssuer => ({
  ...preset,
  ...(changes.jwks === undefined && changes.jwksUri === undefined ? {} : { discovery: undefined, jwksUri: undefined }),
  ...changes,
})

/**
 * Returns the trusted issuer for the service accounts of one Kubernetes cluster. `issuer` is the cluster's
 * `--service-account-issuer`. Tokens live for an hour, and a pod sends the same token with each request.
 *
 * Unless `--service-account-jwks-uri` is set, the discovery document of a cluster names a key set on another host than
 * the issuer. In this case set `jwksUri`, and set `remote` for the cluster's certificate authority and address.
 */
export const kubernetes = (trusted: TrustedIssuer): TrustedIssuer => {
  checkOptions('kubernetes', trusted, TRUSTED_ISSUER_OPTIONS)
  const { issuer, ...changes } = trusted
  return withKeys(
    { issuer, discovery: true, algorithms: ['RS256', 'ES256'], maxLifetimeSeconds: 3660, replay: 'allow' },
    changes,
  )
}

/**
 * Returns the trusted issuer for GitHub Actions. A job fetches a token for each use, so each token is accepted once.
 * For GitHub Enterprise, set `issuer`.
 */
export const githubActions = (changes: Partial<TrustedIssuer> = {}): TrustedIssuer => {
  checkOptions('githubActions', changes, TRUSTED_ISSUER_OPTIONS)
  const { issuer = 'https://token.actions.githubusercontent.com', ...others } = changes
  return withKeys({ issuer, discovery: true, algorithms: ['RS256'], maxLifetimeSeconds: 1200, replay: 'once' }, others)
}

/**
 * Returns the trusted issuer for ID tokens of GitLab CI/CD. For an instance other than gitlab.com, set `issuer`. A job
 * has one token, which is valid for as long as the job may run.
 */
export const gitlab = (changes: Partial<TrustedIssuer> = {}): TrustedIssuer => {
  checkOptions('gitlab', changes, TRUSTED_ISSUER_OPTIONS)
  const { issuer = 'https://gitlab.com', ...others } = changes
  return withKeys({ issuer, discovery: true, algorithms: ['RS256'], maxLifetimeSeconds: 3660, replay: 'allow' }, others)
}

/** A tenant by its id. In `iss` there is nothing else: neither a domain nor `common`. */
const TENANT_ID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i

/**
 * Returns the trusted issuer for managed identities and applications of one Microsoft Entra tenant. `tenant` is the id of
 * the tenant, a UUID. Tokens of managed identities are valid for a day.
 */
export const entra = (changes: { readonly tenant: string } & Changes): TrustedIssuer => {
  checkOptions('entra', changes, ['tenant', ...CHANGES])
  const { tenant, ...others } = changes
  if (typeof tenant !== 'string' || !TENANT_ID.test(tenant)) throw badOption('tenant', 'the UUID of a tenant', tenant)
  return withKeys(
    {
      issuer: `https://login.microsoftonline.com/${tenant.toLowerCase()}/v2.0`,
      discovery: true,
      algorithms: ['RS256'],
      maxLifetimeSeconds: 86_400,
      replay: 'allow',
    },
    others,
  )
}

/** Returns the trusted issuer for service accounts of Google Cloud. Its keys are on another host than the issuer. */
export const google = (changes: Changes = {}): TrustedIssuer => {
  checkOptions('google', changes, CHANGES)
  return withKeys(
    {
      issuer: 'https://accounts.google.com',
      jwksUri: 'https://www.googleapis.com/oauth2/v3/certs',
      algorithms: ['RS256'],
      maxLifetimeSeconds: 3660,
      replay: 'allow',
    },
    changes,
  )
}

/**
 * Returns the trusted issuer for JWT-SVIDs of one SPIFFE trust domain. Pass the trust bundle as `jwks`, or its URL as
 * `jwksUri`.
 */
export const spiffe = (changes: { readonly trustDomain: string } & Changes): TrustedIssuer => {
  checkOptions('spiffe', changes, ['trustDomain', ...CHANGES])
  const { trustDomain, ...others } = changes
  if (typeof trustDomain !== 'string') throw badOption('trustDomain', 'the name of a trust domain', trustDomain)
  return {
    issuer: `spiffe://${trustDomain}`,
    spiffe: true,
    algorithms: ['RS256', 'ES256', 'ES384'],
    maxLifetimeSeconds: 3660,
    replay: 'allow',
    ...others,
  }
}
