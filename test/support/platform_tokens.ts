import { base64url, ISSUER, jws, NOW, type TestKey } from './assertions.ts'

// Tokens in the shapes that platforms document, made for tests: all members, invented values.

export interface PlatformToken {
  readonly issuer: string
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
}

/** A projected token of a service account (kubernetes.io, "Managing Service Accounts"). */
export const kubernetesToken: PlatformToken = {
  issuer: 'https://kubernetes.default.svc.cluster.local',
  header: {},
  claims: {
    aud: [ISSUER],
    exp: NOW + 3607 - 600,
    iat: NOW - 600,
    nbf: NOW - 600,
    iss: 'https://kubernetes.default.svc.cluster.local',
    jti: 'aed34954-b33a-4142-b1ec-389d6bbb4936',
    'kubernetes.io': {
      namespace: 'payments',
      node: { name: 'node-1', uid: '646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1' },
      pod: { name: 'ledger-7d9c', uid: '5e0bd49b-f040-43b0-99b7-22765a53f7f3' },
      serviceaccount: { name: 'ledger', uid: '14ee3fa4-a7e2-420f-9f9a-dbc4507c3798' },
      warnafter: NOW + 3000,
    },
    sub: 'system:serviceaccount:payments:ledger',
  },
}

/** docs.github.com, "OpenID Connect reference". */
export const githubToken: PlatformToken = {
  issuer: 'https://token.actions.githubusercontent.com',
  header: { typ: 'JWT', x5t: 'eKtN1x3ZkY' },
  claims: {
    jti: 'example-id',
    sub: 'repo:octo-org/octo-repo:environment:prod',
    environment: 'prod',
    aud: ISSUER,
    ref: 'refs/heads/main',
    sha: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4',
    repository: 'octo-org/octo-repo',
    repository_owner: 'octo-org',
    actor_id: '12',
    repository_visibility: 'private',
    repository_id: '74',
    repository_owner_id: '65',
    run_id: '30433642',
    run_number: '10',
    run_attempt: '2',
    runner_environment: 'github-hosted',
    actor: 'octocat',
    workflow: 'example-workflow',
    head_ref: '',
    base_ref: '',
    event_name: 'workflow_dispatch',
    ref_type: 'branch',
    job_workflow_ref: 'octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main',
    iss: 'https://token.actions.githubusercontent.com',
    nbf: NOW - 600,
    exp: NOW + 300,
    iat: NOW,
  },
}

/** docs.gitlab.com, "OpenID Connect (OIDC) Authentication Using ID Tokens". */
export const gitlabToken: PlatformToken = {
  issuer: 'https://gitlab.com',
  header: { typ: 'JWT' },
  claims: {
    namespace_id: '72',
    namespace_path: 'my-group',
    project_id: '20',
    project_path: 'my-group/my-project',
    user_id: '1',
    user_login: 'sample-user',
    user_email: 'sample-user@example.com',
    pipeline_id: '574',
    pipeline_source: 'push',
    job_id: '302',
    ref: 'feature-branch-1',
    ref_type: 'branch',
    ref_protected: 'false',
    runner_id: 1,
    runner_environment: 'self-hosted',
    sha: '714a629c0b401fdce83e847fc9589983fc6f46bc',
    jti: '0ee1f7c4-b9ea-4a5b-9a5a-b9ad6d6e8e8e',
    iss: 'https://gitlab.com',
    iat: NOW,
    nbf: NOW - 5,
    exp: NOW + 3600,
    sub: 'project_path:my-group/my-project:ref_type:branch:ref:feature-branch-1',
    aud: ISSUER,
  },
}

const TENANT = '9122040d-6c67-4c5b-b112-36a304b66dad'

/** learn.microsoft.com, "Access token claims reference", a managed identity, version 2.0. */
export const entraToken: PlatformToken = {
  issuer: `https://login.microsoftonline.com/${TENANT}/v2.0`,
  header: { typ: 'JWT', x5t: 'nOo3ZDrODXEK1jKWhXslHR_KXEg' },
  claims: {
    aud: ISSUER,
    iss: `https://login.microsoftonline.com/${TENANT}/v2.0`,
    iat: NOW - 300,
    nbf: NOW - 300,
    exp: NOW - 300 + 86_400,
    aio: 'k2RgYPj0+ZK',
    azp: '11111111-2222-3333-4444-555555555555',
    azpacr: '2',
    idtyp: 'app',
    oid: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
    rh: '0.AXkA',
    sub: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
    tid: TENANT,
    uti: 'bYbSn1HvR0u4',
    ver: '2.0',
  },
}

/** cloud.google.com, an ID token of the metadata server. */
export const googleToken: PlatformToken = {
  issuer: 'https://accounts.google.com',
  header: { typ: 'JWT' },
  claims: {
    aud: ISSUER,
    azp: '104587215467985423178',
    email: 'ledger@project-1.iam.gserviceaccount.com',
    email_verified: true,
    exp: NOW + 3600,
    iat: NOW,
    iss: 'https://accounts.google.com',
    sub: '104587215467985423178',
  },
}

/** A JWT-SVID as SPIRE issues it: no `iss`, no `jti`. */
export const spiffeToken: PlatformToken = {
  issuer: 'spiffe://example.org',
  header: { typ: 'JWT' },
  claims: { sub: 'spiffe://example.org/ns/payments/ledger', aud: [ISSUER], exp: NOW + 300, iat: NOW },
}

/** The token, signed by the issuer's key, with what a test changes; `undefined` takes a member out. */
export const tokenBy = (
  key: TestKey,
  { header, claims }: PlatformToken,
  changes: Readonly<Record<string, unknown>> = {},
  headerChanges: Readonly<Record<string, unknown>> = {},
): string =>
  jws(
    JSON.stringify({ alg: key.alg, kid: 'issuer-key', ...header, ...headerChanges }),
    JSON.stringify({ ...claims, ...changes }),
    key.alg,
    key.privateKey,
  )

/** An unsecured token with the same claims. */
export const unsigned = ({ claims }: PlatformToken): string =>
  `${base64url('{"alg":"none"}')}.${base64url(JSON.stringify(claims))}.`
