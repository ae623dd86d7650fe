import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose'
import { createAssertionVerifier } from '../../lib/assertion/verify.ts'
import type { Client } from '../../lib/client.ts'
import { createClientAuthenticator } from '../../lib/client_authentication/authenticator.ts'
import { createCodes } from '../../lib/code/codes.ts'
import { createDpop, type DpopOptions } from '../../lib/dpop/dpop.ts'
import { createIntrospectionEndpoint } from '../../lib/endpoints/introspection.ts'
import { createTokenEndpoint } from '../../lib/endpoints/token.ts'
import {
  createAuthorizationCodeExchange,
  createClientCredentialsExchange,
  createRefreshTokenExchange,
} from '../../lib/oauth2orize/exchanges.ts'
import { createSessions } from '../../lib/session/sessions.ts'
import { createMemoryStores, type MemoryStores } from '../../lib/stores/memory.ts'
import { createFakeClock, type FakeClock } from '../../lib/testing/fake_clock.ts'
import { createTestClient, type TestClient } from '../../lib/testing/test_client.ts'
import { createTokens } from '../../lib/token/token_set.ts'
import { newPkce } from './pkce.ts'

export const ISSUER = 'https://as.example'
export const TOKEN_ENDPOINT = `${ISSUER}/token`
const REDIRECT = 'https://client.example/cb'
const SECRET = 's'.repeat(40)

/** What a proof has in place of the sound members; what is `undefined` is left out. */
export interface ProofOverrides {
  readonly header?: Readonly<Record<string, unknown>>
  readonly claims?: Readonly<Record<string, unknown>>
  /** The text of the token, changed. */
  readonly change?: (jwt: string) => string
}

export interface Prover {
  readonly thumbprint: string
  proof(overrides?: ProofOverrides): Promise<string>
}

/** A client's key, and the proofs that it makes at the time of `clock`. */
export async function createProver(clock: () => number, alg = 'ES256'): Promise<Prover> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(publicKey)
  return {
    thumbprint: await calculateJwkThumbprint(jwk),
    async proof({ header, claims, change = (jwt: string) => jwt } = {}) {
      const sound = { jti: crypto.randomUUID(), htm: 'POST', htu: TOKEN_ENDPOINT, iat: clock() }
      const all = { typ: 'dpop+jwt', alg, jwk, ...header }
      const jwt = await new SignJWT({ ...sound, ...claims })
        .setProtectedHeader(JSON.parse(JSON.stringify(all)))
        .sign(privateKey, { crit: { foreign: false } })
      return change(jwt)
    },
  }
}

export interface DpopServer {
  readonly clock: FakeClock
  readonly stores: MemoryStores
  readonly keyed: TestClient
  readonly sessions: ReturnType<typeof createSessions>
  /** A code of the client, and the parameters that redeem it. */
  code(clientId: string, keyThumbprint?: string): Promise<Record<string, string>>
  token(
    client: 'keyed' | 'public' | 'secret' | 'bound' | { readonly assertion: string },
    parameters: Readonly<Record<string, string>>,
    proof?: string | readonly string[],
    headers?: Readonly<Record<string, string>>,
  ): Promise<{ readonly status: number; readonly headers: Headers; readonly body: Record<string, unknown> }>
  introspect(token: string): Promise<Record<string, unknown>>
}

/** A token endpoint with DPoP on `node:http`, its introspection endpoint, and clients of each kind. */
export async function startDpopServer(
  context: Pick<TestContext, 'after'>,
  options: Partial<DpopOptions> & {
    readonly stores?: MemoryStores
    readonly clock?: FakeClock
    /** The member `dpop_bound_access_tokens` of the client `bound`. Default `true`. */
    readonly bound?: unknown
  } = {},
): Promise<DpopServer> {
  const {
    stores = createMemoryStores(),
    clock = createFakeClock(Math.floor(Date.now() / 1000)),
    bound = true,
    ...dpopOptions
  } = options
  const { codeStore, sessionStore, replayRegister } = stores
  const GRANTS = ['authorization_code', 'refresh_token', 'client_credentials']
  const common = { grant_types: GRANTS, scope: 'read', redirect_uris: [REDIRECT] }
  const keyed = await createTestClient({ issuer: ISSUER, clientId: 'keyed', client: common, clock })
  const clients: Readonly<Record<string, Client>> = {
    keyed: keyed.client,
    public: { client_id: 'public', token_endpoint_auth_method: 'none', ...common },
    secret: { client_id: 'secret', client_secret: SECRET, ...common },
    bound: { client_id: 'bound', client_secret: SECRET, dpop_bound_access_tokens: bound as boolean, ...common },
  }
  const findClient = (clientId: string) => clients[clientId]
  const sessions = createSessions({ store: sessionStore })
  const tokens = createTokens({ issuer: ISSUER, baseSecret: 'b'.repeat(32) })
  const verifyAssertion = createAssertionVerifier({
    issuer: ISSUER,
    tokenEndpoint: TOKEN_ENDPOINT,
    findClient,
    replayRegister,
    clock,
  })
  const authenticateClient = createClientAuthenticator({ findClient, verifyAssertion })
  const endpoint = createTokenEndpoint({
    authenticateClient,
    exchanges: [
      createAuthorizationCodeExchange({ codes: codeStore, sessions, tokens }),
      createRefreshTokenExchange({ sessions, tokens }),
      createClientCredentialsExchange({ tokens }),
    ],
    dpop: createDpop({ tokenEndpoint: TOKEN_ENDPOINT, replayRegister, ...dpopOptions }),
    path: '/token',
    clock,
    verbosity: 'debug',
  })
  const introspection = createIntrospectionEndpoint({ authenticateClient, sessions, tokens, clock })
  const server = createServer(((request, response) =>
    endpoint(request, response, () => introspection(request, response))) as RequestListener).listen(0, '127.0.0.1')
  context.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await new Promise((resolve) => server.once('listening', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const post = async (path: string, headers: Headers, body: Readonly<Record<string, string>>) => {
    const response = await fetch(url + path, { method: 'POST', headers, body: new URLSearchParams(body) })
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as Record<string, unknown>,
    }
  }
  const basic = (id: string): string => `Basic ${Buffer.from(`${id}:${SECRET}`).toString('base64')}`

  return {
    clock,
    stores,
    keyed,
    sessions,
    async code(clientId, keyThumbprint) {
      const { verifier, challenge } = newPkce()
      const permission = { subject: 'alice', clientId, scope: 'read', redirectUri: REDIRECT, redirectUriWasSent: true }
      const code = await createCodes({ store: codeStore }).issue(
        { ...permission, codeChallenge: challenge, keyThumbprint },
        clock(),
      )
      return { grant_type: 'authorization_code', code, redirect_uri: REDIRECT, code_verifier: verifier }
    },
    async token(client, parameters, proof, more = {}) {
      const headers = new Headers(more)
      for (const each of typeof proof === 'string' ? [proof] : (proof ?? [])) headers.append('DPoP', each)
      if (client === 'secret' || client === 'bound') headers.set('Authorization', basic(client))
      if (client === 'public') return post('/token', headers, { ...parameters, client_id: 'public' })
      if (client === 'keyed') return post('/token', headers, { ...parameters, ...(await keyed.parameters()) })
      if (typeof client === 'string') return post('/token', headers, parameters)
      const client_assertion_type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
      return post('/token', headers, { ...parameters, client_assertion_type, client_assertion: client.assertion })
    },
    async introspect(token) {
      return (await post('/introspect', new Headers({ Authorization: basic('secret') }), { token })).body
    },
  }
}
