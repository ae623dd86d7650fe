import type { TrustedIssuer } from './trusted_issuers.ts'

// Each preset is plain data: what a platform's documentation says of its tokens. Spread it to change a member.

type Changes = Partial<Omit<TrustedIssuer, 'issuer'>>

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
export const kubernetes = ({ issuer, ...changes }: TrustedIssuer): TrustedIssuer =>
  withKeys(
    { issuer, discovery: true, algorithms: ['RS256', 'ES256'], maxLifetimeSeconds: 3660, replay: 'allow' },
    changes,
  )

/**
 * Returns the trusted issuer for GitHub Actions. A job fetches a token for each use, so each token is accepted once.
 * For GitHub Enterprise, set `issuer`.
 */
export const githubActions = (changes: Partial<TrustedIssuer> = {}): TrustedIssuer => {
  const { issuer = 'https://token.actions.githubusercontent.com', ...others } = changes
  return withKeys({ issuer, discovery: true, algorithms: ['RS256'], maxLifetimeSeconds: 1200, replay: 'once' }, others)
}

/**
 * Returns the trusted issuer for ID tokens of GitLab CI/CD. For an instance other than gitlab.com, set `issuer`. A job
 * has one token, which is valid for as long as the job may run.
 */
export const gitlab = (changes: Partial<TrustedIssuer> = {}): TrustedIssuer => {
  const { issuer = 'https://gitlab.com', ...others } = changes
  return withKeys({ issuer, discovery: true, algorithms: ['RS256'], maxLifetimeSeconds: 3660, replay: 'allow' }, others)
}

/**
 * Returns the trusted issuer for managed identities and applications of one Microsoft Entra tenant. Tokens of managed
 * identities are valid for a day.
 */
export const entra = ({ tenant, ...changes }: { readonly tenant: string } & Changes): TrustedIssuer =>
  withKeys(
    {
      issuer: `https://login.microsoftonline.com/${tenant}/v2.0`,
      discovery: true,
      algorithms: ['RS256'],
      maxLifetimeSeconds: 86_400,
      replay: 'allow',
    },
    changes,
  )

/** Returns the trusted issuer for service accounts of Google Cloud. Its keys are on another host than the issuer. */
export const google = (changes: Changes = {}): TrustedIssuer =>
  withKeys(
    {
      issuer: 'https://accounts.google.com',
      jwksUri: 'https://www.googleapis.com/oauth2/v3/certs',
      algorithms: ['RS256'],
      maxLifetimeSeconds: 3660,
      replay: 'allow',
    },
    changes,
  )

/**
 * Returns the trusted issuer for JWT-SVIDs of one SPIFFE trust domain. Pass the trust bundle as `jwks`, or its URL as
 * `jwksUri`.
 */
export const spiffe = ({ trustDomain, ...changes }: { readonly trustDomain: string } & Changes): TrustedIssuer => ({
  issuer: `spiffe://${trustDomain}`,
  spiffe: true,
  algorithms: ['RS256', 'ES256', 'ES384'],
  maxLifetimeSeconds: 3660,
  replay: 'allow',
  ...changes,
})
