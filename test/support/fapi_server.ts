import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { addFapi, type FapiOptions } from '../../examples/recipes/fapi/fapi.ts'
import { createApplication } from '../../examples/recipes/mcp-users/application.ts'
import type { Client } from '../../lib/client.ts'
import { createProver, type ProofOverrides, type Prover } from './dpop.ts'
import { createFormBrowser, type FormBrowser } from './form_browser.ts'
import { newPkce } from './pkce.ts'

export const ALICE = { username: 'alice', password: 'wonderland' }
export const REDIRECT_URI = 'https://app.example.com/callback'
const BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

export type Form = Readonly<Record<string, string>>
export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly body: Readonly<Record<string, unknown>>
}

/** What differs from a sound client assertion. */
export interface AssertionOverrides {
  readonly claims?: Readonly<Record<string, unknown>>
  readonly alg?: string
  /** Signed with the key of this client, instead of that of the client it names. */
  readonly keyOf?: FapiClient
}

export interface FapiClient {
  readonly id: string
  /** The parameters that authenticate the client. */
  authentication(overrides?: AssertionOverrides): Promise<Form>
  readonly keys: Readonly<Record<string, Awaited<ReturnType<typeof generateKeyPair>>>>
  readonly record: Client
}

async function createClient(id: string, issuer: () => string): Promise<FapiClient> {
  const keys = { ES256: await generateKeyPair('ES256'), RS256: await generateKeyPair('RS256') }
  const jwks = await Promise.all(
    Object.entries(keys).map(async ([alg, { publicKey }]) => ({ ...(await exportJWK(publicKey)), kid: alg })),
  )
  const client: FapiClient = {
    id,
    keys,
    record: {
      client_id: id,
      client_name: `Client ${id}`,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: jwks },
      redirect_uris: [REDIRECT_URI],
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      scope: 'accounts payments',
    } as Client,
    async authentication({ claims = {}, alg = 'ES256', keyOf = client } = {}) {
      const now = Math.floor(Date.now() / 1000)
      const sound = { iss: id, sub: id, aud: issuer(), jti: randomUUID(), iat: now, nbf: now, exp: now + 60 }
      const payload = JSON.parse(JSON.stringify({ ...sound, ...claims })) as JWTPayload
      const { privateKey } = keyOf.keys[alg] as NonNullable<(typeof keyOf.keys)[string]>
      const jwt = await new SignJWT(payload).setProtectedHeader({ alg, kid: alg }).sign(privateKey)
      return { client_id: id, client_assertion_type: BEARER, client_assertion: jwt }
    },
  }
  return client
}

/** A code, and what its redemption needs. */
export interface Grant {
  readonly code: string
  readonly verifier: string
  readonly arrival: URL
}

export interface FapiServer {
  readonly issuer: string
  readonly one: FapiClient
  readonly two: FapiClient
  /** A sound authorization request of the client. Its verifier is `VERIFIER` of the grant that `authorize` returns. */
  request(client?: FapiClient, more?: Readonly<Record<string, string | undefined>>): { form: Form; verifier: string }
  post(path: string, form: Form, proof?: string): Promise<Reply>
  push(form: Form, options?: { client?: FapiClient; proof?: string; assertion?: AssertionOverrides }): Promise<Reply>
  /** The URL that the browser is sent to. */
  urlOf(requestUri: unknown, client?: FapiClient): string
  browser(): FormBrowser
  /** Pushes a request, and gets it allowed by Alice. */
  authorize(client?: FapiClient, more?: Readonly<Record<string, string | undefined>>, proof?: string): Promise<Grant>
  token(form: Form, options?: { client?: FapiClient; proof?: string; assertion?: AssertionOverrides }): Promise<Reply>
  redeem(
    grant: Grant,
    options?: { client?: FapiClient; proof?: string; more?: Readonly<Record<string, string | undefined>> },
  ): Promise<Reply>
  prover(alg?: string): Promise<Prover>
  proof(prover: Prover, claims?: object, overrides?: ProofOverrides): Promise<string>
  /** A proof for the API. */
  apiProof(prover: Prover, token: unknown, claims?: object, overrides?: ProofOverrides): Promise<string>
  api(authorization: string, proofs?: readonly string[], path?: string): Promise<Response>
  close(): Promise<void>
}

const defined = (form: Readonly<Record<string, string | undefined>>): Form =>
  Object.fromEntries(Object.entries(form).filter((entry): entry is [string, string] => entry[1] !== undefined))

/** The recipe examples/recipes/fapi on a free port, with two clients. */
export async function startFapiServer(options: Partial<FapiOptions> = {}): Promise<FapiServer> {
  const secret = '0123456789abcdef0123456789abcdef0123456789abcdef'
  const application = createApplication({ sessionSecret: secret })
  const server = createServer((request: IncomingMessage, response: ServerResponse) =>
    application.app(request, response),
  ).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const [one, two] = await Promise.all([createClient('one', () => issuer), createClient('two', () => issuer)])
  const clients = [one, two].map(({ record }) => record)
  const findClient = (id: string) => clients.find(({ client_id }) => client_id === id)
  addFapi(application, { issuer, baseSecret: secret, findClient, ...options })
  const clock = () => Math.floor(Date.now() / 1000)

  const world: FapiServer = {
    issuer,
    one,
    two,
    request(client = one, more = {}) {
      const { challenge, verifier } = newPkce()
      const sound = {
        response_type: 'code',
        client_id: client.id,
        redirect_uri: REDIRECT_URI,
        scope: 'accounts',
        state: 'a state',
        code_challenge: challenge,
        code_challenge_method: 'S256',
      }
      return { form: defined({ ...sound, ...more }), verifier }
    },
    async post(path, form, proof) {
      const headers = new Headers(proof === undefined ? {} : { DPoP: proof })
      const response = await fetch(issuer + path, { method: 'POST', headers, body: new URLSearchParams(form) })
      const body = (await response.json()) as Reply['body']
      return { status: response.status, headers: response.headers, body }
    },
    async push(form, { client = one, proof, assertion } = {}) {
      return world.post('/par', { ...form, ...(await client.authentication(assertion)) }, proof)
    },
    urlOf(requestUri, client = one) {
      const query = new URLSearchParams({ client_id: client.id, request_uri: String(requestUri) })
      return `${issuer}/authorize?${query}`
    },
    browser: () => createFormBrowser(issuer),
    async authorize(client = one, more = {}, proof) {
      const { form, verifier } = world.request(client, more)
      const pushed = await world.push(form, { client, ...(proof === undefined ? {} : { proof }) })
      if (pushed.status !== 201) throw new Error(JSON.stringify(pushed.body))
      const arrival = await world.browser().authorize(world.urlOf(pushed.body['request_uri'], client), ALICE)
      return { arrival, verifier, code: arrival.searchParams.get('code') ?? '' }
    },
    async token(form, { client = one, proof, assertion } = {}) {
      return world.post('/token', { ...form, ...(await client.authentication(assertion)) }, proof)
    },
    redeem({ code, verifier }, { more = {}, ...rest } = {}) {
      const sound = { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: REDIRECT_URI }
      return world.token(defined({ ...sound, ...more }), rest)
    },
    prover: (alg) => createProver(clock, alg),
    proof: (prover, claims = {}, overrides = {}) =>
      prover.proof({ ...overrides, claims: { htu: `${issuer}/token`, ...claims } }),
    apiProof(prover, token, claims = {}, overrides = {}) {
      const ath = createHash('sha256').update(String(token)).digest('base64url')
      return prover.proof({ ...overrides, claims: { htm: 'GET', htu: `${issuer}/accounts`, ath, ...claims } })
    },
    async api(authorization, proofs = [], path = '/accounts') {
      const headers = new Headers({ authorization })
      for (const proof of proofs) headers.append('DPoP', proof)
      return fetch(issuer + path, { headers })
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return world
}

/** The name of a module of the plan fapi2-security-profile-final-test-plan. */
export const moduleName = (name: string): string => `fapi2-security-profile-final-${name}`
