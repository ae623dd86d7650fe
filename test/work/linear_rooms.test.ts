// A1, what the rooms beside the token endpoint read: proofs, access tokens, challenges, documents, resources, federated tokens.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createAssertionVerifier } from '../../lib/assertion/verify.ts'
import { readClientMetadata } from '../../lib/cimd/index.ts'
import { createDpop } from '../../lib/dpop/index.ts'
import { createTrustedIssuers } from '../../lib/federated/index.ts'
import { createPushedRequests } from '../../lib/pushed/pushed_requests.ts'
import { readLifetimeSeconds } from '../../lib/remote/cache_control.ts'
import { parseResourceParameter } from '../../lib/resource/indicator.ts'
import { readCredentials } from '../../lib/resource_server/credentials.ts'
import { createAccessTokenVerifier, createBearerVerify, createChallenge } from '../../lib/resource_server/index.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { inOneOfThree } from '../support/measurement.ts'

const SIZES = [16_000, 32_000, 64_000] as const
/** Below this, what is measured is noise. */
const NOISE_MILLISECONDS = 20
const MOST_MILLISECONDS = 250

const issuer = 'https://as.example'
const now = 1_800_000_000
const stores = createMemoryStores({ clock: () => now })
const dpop = createDpop({ tokenEndpoint: `${issuer}/token`, replayRegister: stores.replayRegister })
const verifier = createAccessTokenVerifier({ issuer, resource: 'https://api.example', keys: { jwks: { keys: [] } } })
const bearer = createBearerVerify(verifier)
const trustedIssuers = createTrustedIssuers([{ issuer: 'https://idp.example', jwksUri: 'https://idp.example/keys' }])
const verifyAssertion = createAssertionVerifier({
  ...{ issuer, tokenEndpoint: `${issuer}/token`, findClient: () => undefined, maxAssertionBytes: 1_048_576 },
  ...{ replayRegister: stores.replayRegister, trustedIssuers, clock: () => now },
})
const pushed = createPushedRequests({ store: stores.sessionStore })
pushed.connect({ issuer, judge: async () => undefined, replayRegister: stores.replayRegister } as never)

const base64url = (text: string): string => Buffer.from(text).toString('base64url')
const jwtOf = (claims: object): string =>
  `${base64url('{"alg":"ES256","typ":"dpop+jwt"}')}.${base64url(JSON.stringify(claims))}.${'A'.repeat(86)}`
const metadataOf = (members: object): string =>
  JSON.stringify({ redirect_uris: ['https://app.example/cb'], token_endpoint_auth_method: 'none', ...members })
const request = (authorization: string) => ({ headers: { authorization }, rawHeaders: [] }) as never

/** What reads a text of a request or of somebody's document. */
const READERS: Readonly<Record<string, (text: string) => unknown>> = {
  'a DPoP proof': (text) => dpop.checkProof(text, { method: 'POST', url: `${issuer}/token`, now }),
  'htu of a proof': (text) => dpop.checkProof(jwtOf({ htu: text }), { method: 'POST', url: `${issuer}/token`, now }),
  'the URL that a proof is compared with': (text) => dpop.checkProof('x', { method: 'GET', url: text, now }),
  'the credentials of a resource server': (text) => readCredentials(request(`Bearer ${text}`)),
  'another scheme at a resource server': (text) => readCredentials(request(text)),
  'an access token': (text) => verifier.verify(text, { now }),
  'an access token of passport-http-bearer': (text) => new Promise((resolve) => bearer(text, resolve)),
  'a challenge': (text) =>
    createChallenge({ code: 'invalid_token', message: text } as never, { scope: text, realm: text }),
  'a metadata document': (text) => readClientMetadata(text, { clientId: 'c', scope: 'read' }),
  'client_name of a document': (text) =>
    readClientMetadata(metadataOf({ client_name: text }), { clientId: 'c', scope: 'read' }),
  'scope of a document': (text) => readClientMetadata(metadataOf({ scope: text }), { clientId: 'c', scope: 'read' }),
  'redirect_uris of a document': (text) =>
    readClientMetadata(metadataOf({ redirect_uris: [text] }), { clientId: 'c', scope: 'read' }),
  resource: (text) => parseResourceParameter(text, 'c'),
  'Cache-Control of a document': (text) => readLifetimeSeconds(text, true),
  'a federated token': (text) =>
    verifyAssertion({
      client_assertion: jwtOf({ iss: 'https://idp.example', sub: text, aud: text }),
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_id: text,
    }),
  'a pushed request': (text) => pushed.push({ client_id: 'c' }, { client_id: 'c', scope: text, state: text }, now),
  'a request_uri': (text) => pushed.load('c', `urn:ietf:params:oauth:request_uri:${text}`, now),
}

const UNITS = [
  'a',
  ' ',
  '.',
  '=',
  '"',
  '\\',
  '/',
  ',',
  '%4',
  '[',
  '{"a":',
  'a ',
  'https://',
  'no-',
  'max-age=',
  '\u200d',
  'é',
]

async function bestOf(run: () => unknown): Promise<number> {
  let best = Number.POSITIVE_INFINITY
  for (let attempt = 0; attempt < 4 && best > NOISE_MILLISECONDS / 4; attempt += 1) {
    const start = process.cpuUsage()
    // refusing is fine, and what it costs counts
    await Promise.resolve()
      .then(run)
      .catch(() => undefined)
    const { user, system } = process.cpuUsage(start)
    best = Math.min(best, (user + system) / 1000)
  }
  return best
}

describe('time grows no faster than the input', () => {
  for (const [name, read] of Object.entries(READERS))
    test(name, async () => {
      for (const unit of UNITS)
        await inOneOfThree(async () => {
          const took: number[] = []
          for (const size of SIZES) took.push(await bestOf(() => read(unit.repeat(size / unit.length))))
          const [one = 0, , four = 0] = took
          const shown = `${JSON.stringify(unit)}: ${took.map((each) => each.toFixed(1)).join(', ')} ms`
          assert.ok(four < MOST_MILLISECONDS, shown)
          assert.ok(four < NOISE_MILLISECONDS || four < 10 * one, shown)
        })
    })
})
