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
 * Service accounts of one Kubernetes cluster: `issuer` is its `--service-account-issuer`. Tokens live for an hour, and the
 * pod reads the same one again for each request. A cluster names its keys at another host than its issuer unless its
 * `--service-account-jwks-uri` says otherwise: set `jwksUri` then, and `remote` for its certificate authority and address.
 */
export const kubernetes = ({ issuer, ...changes }: TrustedIssuer): TrustedIssuer =>
  withKeys(
    { issuer, discovery: true, algorithms: ['RS256', 'ES256'], maxLifetimeSeconds: 3660, replay: 'allow' },
    changes,
  )

/** GitHub Actions. A job fetches a token for each use, so each is accepted once. For GitHub Enterprise set `issuer`. */
export const githubActions = (changes: Partial<TrustedIssuer> = {}): TrustedIssuer => {
  const { issuer = 'https://token.actions.githubusercontent.com', ...others } = changes
  return withKeys({ issuer, discovery: true, algorithms: ['RS256'], maxLifetimeSeconds: 1200, replay: 'once' }, others)
}

/** ID tokens of GitLab CI/CD, of gitlab.com or another instance. A job has one token, which lives as long as the job may. */
export const gitlab = (changes: Partial<TrustedIssuer> = {}): TrustedIssuer => {
  const { issuer = 'https://gitlab.com', ...others } = changes
  return withKeys({ issuer, discovery: true, algorithms: ['RS256'], maxLifetimeSeconds: 3660, replay: 'allow' }, others)
}

/** Managed identities and applications of one Microsoft Entra tenant. Tokens of managed identities live for a day. */
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

/** Service accounts of Google Cloud. Their keys are at another host than the issuer. */
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

/** JWT-SVIDs of one SPIFFE trust domain, with its bundle as `jwks` or at `jwksUri`. */
export const spiffe = ({ trustDomain, ...changes }: { readonly trustDomain: string } & Changes): TrustedIssuer => ({
  issuer: `spiffe://${trustDomain}`,
  spiffe: true,
  algorithms: ['RS256', 'ES256', 'ES384'],
  maxLifetimeSeconds: 3660,
  replay: 'allow',
  ...changes,
})
