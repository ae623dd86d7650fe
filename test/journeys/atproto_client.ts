// The OAuth client of atproto: a metadata document, pushed requests and DPoP with nonces, all at once. atproto.test.ts runs this file,
// because the client needs Node 22.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { JoseKey, NodeOAuthClient, type NodeSavedSession, type NodeSavedState } from '@atproto/oauth-client-node'
import express, { type ErrorRequestHandler, type Request, type RequestHandler } from 'express'
import { decodeJwt } from 'jose'
import oauth2orize from 'oauth2orize'
import { createAssertionVerifier } from '../../lib/assertion/verify.ts'
import { createClientAuthenticator } from '../../lib/client_authentication/authenticator.ts'
import { createConsents } from '../../lib/consent/consents.ts'
import { createDpop } from '../../lib/dpop/index.ts'
import { createDocumentEndpoint, createMetadata, getWellKnownPaths } from '../../lib/endpoints/metadata.ts'
import { createPushedAuthorizationEndpoint } from '../../lib/endpoints/pushed_authorization_request.ts'
import { createRevocationEndpoint } from '../../lib/endpoints/revocation.ts'
import { createTokenEndpoint } from '../../lib/endpoints/token.ts'
import { createAuthorizationCodeExchange, createRefreshTokenExchange } from '../../lib/oauth2orize/exchanges.ts'
import { createAuthorizationSide } from '../../lib/oauth2orize/index.ts'
import { createPushedRequests } from '../../lib/pushed/pushed_requests.ts'
import {
  type AccessToken,
  createAccessTokenVerifier,
  createProtectedResource,
  requireAccessToken,
} from '../../lib/resource_server/index.ts'
import { createSessions } from '../../lib/session/sessions.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { createTokens, type Tokens } from '../../lib/token/token_set.ts'
import { type DocumentHost, document, documentsOf, startDocumentHost } from '../support/document_host.ts'

const ISSUER = 'https://as.example'
const DID = 'did:web:alice.example'
const REDIRECT_URI = 'https://app.test/callback'
const SECRET = 's'.repeat(40)
const METHODS = ['private_key_jwt', 'none'] as const

/** Tokens whose response names the user, as atproto requires: its servers put the DID of the account there. */
const withSubject = (tokens: Tokens): Tokens => ({
  ...tokens,
  issue: async (session, options) => ({ ...(await tokens.issue(session, options)), sub: session.subject }),
})

/** An authorization server of this package, with an API, whose only user is logged in. */
async function startServer(host: DocumentHost) {
  const { replayRegister, codeStore: codes, sessionStore: store } = createMemoryStores()
  const documents = documentsOf(host, {
    scope: 'atproto notes',
    enforces: ['dpop_bound_access_tokens', 'require_pushed_authorization_requests'],
  })
  const findClient = documents.findClient()
  const tokenEndpoint = `${ISSUER}/token`
  const verifyAssertion = createAssertionVerifier({ issuer: ISSUER, tokenEndpoint, findClient, replayRegister })
  const authenticateClient = createClientAuthenticator({ findClient, verifyAssertion, methods: METHODS })
  const dpop = createDpop({ tokenEndpoint, replayRegister, required: true, nonceSecret: SECRET })
  const sessions = createSessions({ store })
  const tokens = createTokens({ issuer: ISSUER, baseSecret: SECRET })
  const exchange = { sessions, tokens: withSubject(tokens) }
  const exchanges = [createAuthorizationCodeExchange({ codes, ...exchange }), createRefreshTokenExchange(exchange)]
  const token = createTokenEndpoint({ authenticateClient, exchanges, dpop })
  const pushed = createPushedRequests({ store, required: true })
  const par = createPushedAuthorizationEndpoint(pushed, { authenticateClient, dpop, endpoint: `${ISSUER}/par` })
  const revocation = createRevocationEndpoint({ authenticateClient, sessions, tokens, endpoint: `${ISSUER}/revoke` })
  const side = createAuthorizationSide({
    ...{ issuer: ISSUER, findClient, codes, replayRegister, secret: SECRET, pushed, dpop },
    consents: createConsents({ store }),
  })
  const server = oauth2orize.createServer({ store: side.transactions })
  server.grant(side.grant)
  const metadata = createMetadata({
    issuer: ISSUER,
    authorizationEndpoint: '/authorize',
    token: { url: '/token', endpoint: token },
    pushed: { url: '/par', endpoint: par },
    revocation: { url: '/revoke', endpoint: revocation },
    scopes: ['atproto', 'notes'],
    extra: documents.metadata,
  })
  const resource = createProtectedResource({ resource: ISSUER, issuer: ISSUER, dpop })
  const verifier = createAccessTokenVerifier({ issuer: ISSUER, resource: ISSUER, keys: { tokens, sessions }, dpop })

  const app = express()
  app.use('/par', par as RequestHandler)
  app.use('/token', token as RequestHandler)
  app.use('/revoke', revocation as RequestHandler)
  app.all(getWellKnownPaths(ISSUER).all, createDocumentEndpoint(metadata))
  app.all(resource.path, resource.handler)
  app.get('/xrpc/whoami', requireAccessToken(verifier, { scope: 'notes' }) as RequestHandler, (request, response) => {
    response.json({ did: (request as Request & { auth: AccessToken }).auth.subject })
  })
  app.use(express.urlencoded({ extended: false }), (request, _response, next) => {
    request.user = { sub: DID }
    next()
  })
  app.get('/authorize', server.authorization(side.validate, side.immediate), (request, response) => {
    response.json({ transaction_id: (request as Request & { oauth2: { transactionID: string } }).oauth2.transactionID })
  })
  app.post('/authorize/decision', server.decision(side.decision))
  app.use(side.errors as ErrorRequestHandler)

  const listening = createServer(app).listen(0, '127.0.0.1')
  await once(listening, 'listening')
  const origin = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`
  /** `https://as.example` is that server; the requests that were sent to it are kept. */
  const requests: Request['headers'][] = []
  const paths: string[] = []
  const reach: typeof fetch = async (input, init) => {
    const request = new globalThis.Request(input, init)
    assert.ok(request.url.startsWith(ISSUER), `an unexpected request: ${request.url}`)
    paths.push(`${request.method} ${new URL(request.url).pathname}`)
    requests.push(Object.fromEntries(request.headers))
    const { method, headers } = request
    const body = method === 'POST' ? await request.text() : null
    return fetch(request.url.replace(ISSUER, origin), { method, headers, body, redirect: 'manual' })
  }
  return {
    fetch: reach,
    paths,
    /** The user opens the URL and allows the request. */
    async allow(url: URL): Promise<URLSearchParams> {
      const page = await reach(url)
      const { transaction_id } = (await page.json()) as { transaction_id: string }
      const body = new URLSearchParams({ transaction_id, allow: 'allow' })
      const decided = await reach(`${ISSUER}/authorize/decision`, { method: 'POST', body })
      const arrival = new URL(decided.headers.get('location') ?? '')
      assert.equal(arrival.origin + arrival.pathname, REDIRECT_URI)
      return arrival.searchParams
    },
    async close() {
      listening.closeAllConnections()
      listening.close()
      await once(listening, 'close')
    },
  }
}

const mapStore = <T>() => {
  const all = new Map<string, T>()
  return {
    all,
    get: async (key: string) => all.get(key),
    set: async (key: string, value: T) => void all.set(key, value),
    del: async (key: string) => void all.delete(key),
  }
}

describe('@atproto/oauth-client-node', () => {
  let host: DocumentHost
  let server: Awaited<ReturnType<typeof startServer>>
  before(async () => {
    host = await startDocumentHost()
    server = await startServer(host)
  })
  after(async () => {
    await server?.close()
    await host?.close()
  })

  /** A client with a published document. Handles and DIDs are resolved by a function of the test. */
  async function createClient(method: (typeof METHODS)[number]) {
    const key = await JoseKey.generate(['ES256'], 'key-1')
    const path = `/${method}.json`
    const clientMetadata = {
      client_id: host.url(path) as `https://${string}/${string}`,
      client_name: 'An app of atproto',
      redirect_uris: [REDIRECT_URI] as [typeof REDIRECT_URI],
      grant_types: ['authorization_code', 'refresh_token'] as ['authorization_code', 'refresh_token'],
      response_types: ['code'] as ['code'],
      scope: 'atproto notes',
      application_type: 'web' as const,
      token_endpoint_auth_method: method,
      dpop_bound_access_tokens: true,
      ...(method === 'none'
        ? {}
        : { token_endpoint_auth_signing_alg: 'ES256', jwks: { keys: [key.publicJwk as never] } }),
    }
    host.at.set(path, document(clientMetadata))
    const sessions = mapStore<NodeSavedSession>()
    const pds = { id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: ISSUER }
    const didDoc = { id: DID, alsoKnownAs: ['at://alice.example'], service: [pds] } as never
    const client = new NodeOAuthClient({
      clientMetadata: clientMetadata as never,
      ...(method === 'none' ? {} : { keyset: [key] }),
      stateStore: mapStore<NodeSavedState>(),
      sessionStore: sessions,
      identityResolver: { resolve: async () => ({ did: DID, handle: 'alice.example', didDoc }) } as never,
      requestLock: async (_name, use) => use(),
      fetch: server.fetch,
    })
    return { client, sessions }
  }

  for (const method of METHODS)
    test(`${method}: from the handle of a user to the API, a refresh and a revocation`, async () => {
      const { client, sessions } = await createClient(method)
      server.paths.length = 0
      const url = await client.authorize('alice.example', { scope: 'atproto notes', state: 'of the app' })
      assert.deepEqual([...url.searchParams.keys()], ['client_id', 'request_uri'])
      assert.ok(server.paths.filter((path) => path === 'POST /par').length >= 1)

      const arrival = await server.allow(url)
      assert.equal(arrival.get('iss'), ISSUER)
      const { session, state } = await client.callback(arrival)
      assert.deepEqual([session.did, state], [DID, 'of the app'])
      const stored = () => {
        const saved = sessions.all.get(DID)
        assert.ok(saved)
        return saved.tokenSet
      }
      const first = stored()
      assert.deepEqual([first.token_type, first.sub, first.iss], ['DPoP', DID, ISSUER])
      assert.ok((decodeJwt(first.access_token)['cnf'] as { jkt: string }).jkt)
      const call = async () => session.fetchHandler('/xrpc/whoami')
      assert.deepEqual(await (await call()).json(), { did: DID })
      const stolen = await server.fetch(`${ISSUER}/xrpc/whoami`, {
        headers: { authorization: `Bearer ${first.access_token}` },
      })
      assert.equal(stolen.status, 401, 'without the key')

      const restored = await client.restore(DID, true)
      const second = stored()
      assert.notEqual(second.access_token, first.access_token)
      assert.deepEqual(
        decodeJwt(second.access_token)['cnf'],
        decodeJwt(first.access_token)['cnf'],
        'the same key after the refresh',
      )
      assert.deepEqual(await (await restored.fetchHandler('/xrpc/whoami')).json(), { did: DID })

      await client.revoke(DID)
      assert.equal(server.paths.at(-1), 'POST /revoke')
      assert.equal(sessions.all.size, 0)
      const { response } = await withToken(second.access_token)
      assert.equal(response.status, 401, 'revoked')
    })

  const withToken = async (token: string) => {
    const headers = { authorization: `DPoP ${token}`, dpop: 'none' }
    return { response: await server.fetch(`${ISSUER}/xrpc/whoami`, { headers }) }
  }
})
