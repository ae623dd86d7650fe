// The client records of docs/workloads.md, as they stand there, with tokens in the shapes of the platforms. Local stand-ins
// serve what the platforms serve: discovery documents, keys and a SPIFFE bundle.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createAssertionVerifier } from '../../lib/assertion/verify.ts'
import type { Client } from '../../lib/client.ts'
import {
  createTrustedIssuers,
  entra,
  githubActions,
  gitlab,
  google,
  kubernetes,
  spiffe,
} from '../../lib/federated/index.ts'
import { NOW, newKey, outcomeOf, type TestKey, testRegister } from '../support/assertions.ts'
import { blocksOf } from '../support/markdown.ts'
import { githubToken, kubernetesToken, spiffeToken, tokenBy } from '../support/platform_tokens.ts'

const root = join(fileURLToPath(new URL('.', import.meta.url)), '../..')
const AUTH = 'https://auth.example.com' // the server of the page
const CLUSTER = 'https://oidc.cluster.example.com'
const GITHUB = 'https://token.actions.githubusercontent.com'
const BUNDLE = 'https://spire.example.org:8443'
const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const JWT_SPIFFE = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe'

/** The records of the page: its blocks of JSON that have a client_id. */
const records = blocksOf(root, 'docs/workloads.md')
  .filter(({ language }) => language === 'json')
  .map(({ code }) => JSON.parse(code) as Client)
  .filter(({ client_id }) => client_id !== undefined)

let rsa: TestKey
let ec: TestKey
before(async () => {
  rsa = await newKey('RS256', 'issuer-key')
  ec = await newKey('ES256', 'issuer-key')
})

/** The server of the page, whose requests to platforms reach the stand-ins. */
function setting() {
  const requests: string[] = []
  const fetchStandIn = async (url: string | URL | Request): Promise<Response> => {
    requests.push(String(url))
    for (const issuer of [CLUSTER, GITHUB]) {
      if (String(url) === `${issuer}/.well-known/openid-configuration`)
        return Response.json({ issuer, jwks_uri: `${issuer}/keys` })
      if (String(url) === `${issuer}/keys`) return Response.json({ keys: [rsa.jwk] })
    }
    if (String(url).replace(/\/$/, '') === BUNDLE)
      return Response.json({ keys: [{ ...ec.jwk, use: 'jwt-svid' }], spiffe_refresh_hint: 300 })
    return new Response('', { status: 404 })
  }
  const remote = { fetch: fetchStandIn }
  const verify = createAssertionVerifier({
    issuer: AUTH,
    findClient: (clientId) => records.find(({ client_id }) => client_id === clientId),
    replayRegister: testRegister(),
    clock: () => NOW,
    trustedIssuers: createTrustedIssuers([
      { ...kubernetes({ issuer: CLUSTER }), remote },
      { ...githubActions(), remote },
      { ...spiffe({ trustDomain: 'example.org', jwksUri: BUNDLE }), remote },
    ]),
  })
  const outcome = (client_assertion: string, form: Readonly<Record<string, string>>) =>
    outcomeOf(
      verify({ grant_type: 'client_credentials', client_assertion_type: JWT_BEARER, ...form, client_assertion }),
    )
  return { outcome, requests }
}

const times = { iat: NOW, nbf: NOW, exp: NOW + 300, aud: AUTH }

test('the records of docs/workloads.md are those of a pod, a job and a SPIFFE workload', () => {
  assert.deepEqual(
    records.map(({ client_id }) => client_id),
    ['ledger', 'deployment', 'spiffe://example.org/ns/payments/ledger'],
  )
})

test('the record for Kubernetes accepts the token of its service account again and again, and of no other', async () => {
  const { outcome, requests } = setting()
  const client_id = 'ledger'
  const pod = (changes: object = {}) =>
    tokenBy(rsa, kubernetesToken, {
      ...{ ...times, iss: CLUSTER, exp: NOW + 3600, aud: [AUTH], sub: 'system:serviceaccount:payments:ledger' },
      ...changes,
    })
  assert.equal(await outcome(pod(), { client_id }), 'accepted')
  assert.equal(await outcome(pod(), { client_id }), 'accepted')
  assert.equal(
    await outcome(pod({ sub: 'system:serviceaccount:payments:other' }), { client_id }),
    'federated_credential_mismatch',
  )
  assert.equal(
    await outcome(pod({ aud: ['https://kubernetes.default.svc'] }), { client_id }),
    'assertion_audience_mismatch',
  )
  assert.deepEqual(requests, [`${CLUSTER}/.well-known/openid-configuration`, `${CLUSTER}/keys`])
})

test('the record for GitHub Actions accepts the token of a job on its branch and environment once', async () => {
  const { outcome } = setting()
  const client_id = 'deployment'
  const claims = { repository_id: '74', environment: 'prod', ref: 'refs/heads/main' }
  const job = (changes: object = {}) =>
    tokenBy(rsa, githubToken, { ...times, iss: GITHUB, ...claims, jti: 'job-1', ...changes })
  assert.equal(await outcome(job({ ref: 'refs/heads/else' }), { client_id }), 'federated_credential_mismatch')
  assert.equal(await outcome(job({ repository_id: '75' }), { client_id }), 'federated_credential_mismatch')
  assert.equal(await outcome(job(), { client_id }), 'accepted')
  assert.equal(await outcome(job(), { client_id }), 'assertion_replayed')
})

test('the record for SPIFFE accepts the JWT-SVID of its workload without client_id', async () => {
  const { outcome } = setting()
  const form = { client_assertion_type: JWT_SPIFFE }
  const svid = (changes: object = {}) =>
    tokenBy(ec, spiffeToken, {
      ...{ iat: NOW, exp: NOW + 300, aud: [AUTH], sub: 'spiffe://example.org/ns/payments/ledger' },
      ...changes,
    })
  assert.equal(await outcome(svid(), form), 'accepted')
  assert.equal(await outcome(svid({ sub: 'spiffe://example.org/ns/payments/other' }), form), 'client_unknown')
  assert.equal(await outcome(svid({ sub: 'spiffe://else.example/ledger' }), form), 'assertion_issuer_mismatch')
})

test('the table of presets in docs/workloads.md has what each preset returns', () => {
  const presets = {
    kubernetes: kubernetes({ issuer: CLUSTER }),
    githubActions: githubActions(),
    gitlab: gitlab(),
    entra: entra({ tenant: '00000000-0000-4000-8000-000000000000' }),
    google: google(),
    spiffe: spiffe({ trustDomain: 'example.org' }),
  }
  const page = readFileSync(join(root, 'docs/workloads.md'), 'utf8')
  const [, table = ''] = /^\| preset \|.*\n\| --- .*\n((?:\|.*\n)+)/m.exec(page) ?? []
  const rows = table.split('\n').filter(Boolean)
  const expected = Object.entries(presets).map(
    ([name, { algorithms = [], maxLifetimeSeconds = 0, replay, discovery }]) => [
      `\`${name}\``,
      algorithms.map((each) => `\`${each}\``).join(', '),
      maxLifetimeSeconds > 9999 ? maxLifetimeSeconds.toLocaleString('en-US') : String(maxLifetimeSeconds),
      `\`${replay}\``,
      discovery === true,
    ],
  )
  assert.deepEqual(
    rows.map((row) => {
      const [name, algorithms, lifetime, replay, keys] = row.slice(2, -2).split(' | ')
      return [name, algorithms, lifetime, replay, keys === 'discovery']
    }),
    expected,
  )
})
