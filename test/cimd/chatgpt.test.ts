import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { type CryptoKey, exportJWK, generateKeyPair } from 'jose'
import * as client from 'openid-client'
import type { ClientDocuments } from '../../lib/cimd/index.ts'
import {
  createAssertionVerifier,
  createAuthorizationCodeExchange,
  createRefreshTokenExchange,
  createTokenEndpoint,
  type FindClient,
} from '../../lib/index.ts'
import { createMemoryStores } from '../../lib/stores/memory.ts'
import { type AuthorizationApp, authorizationApp, ISSUER, redirected } from '../support/authorization_app.ts'
import { type DocumentHost, document, documentsOf, startDocumentHost } from '../support/document_host.ts'

const REDIRECT_URI = 'https://chatgpt.com/connector_platform_oauth_redirect'

let host: DocumentHost
let documents: ClientDocuments
let findClient: FindClient
let app: AuthorizationApp
let server: Server
let tokenEndpoint: string
/** An offset to the clock of this machine: openid-client signs by that one. */
let offset = 0
const clock = () => Math.floor(Date.now() / 1000) + offset

const REGISTERED_KEYS = 'https://keys.test'

before(async () => {
  host = await startDocumentHost()
  documents = documentsOf(host, { clock })
  const registered = {
    client_id: 'registered',
    token_endpoint_auth_method: 'private_key_jwt',
    jwks_uri: `${REGISTERED_KEYS}:${host.port}/registered`,
    redirect_uris: [REDIRECT_URI],
    grant_types: ['authorization_code', 'refresh_token'],
    scope: 'read write',
  }
  findClient = documents.findClient((clientId) => (clientId === 'registered' ? registered : undefined))
  const stores = createMemoryStores({ clock })
  app = await authorizationApp({ stores, now: clock, options: { findClient } })
  const parts = { sessions: app.sessions, tokens: app.tokens, clock }
  const verifyAssertion = createAssertionVerifier({
    issuer: ISSUER,
    tokenEndpoint: `${ISSUER}/token`,
    findClient,
    replayRegister: stores.replayRegister,
    clock,
    keySets: {
      ca: host.ca,
      lookup: host.lookup,
      isAllowedAddress: (address) => address === '127.0.0.1',
      cooldownSeconds: 1,
    },
  })
  const endpoint = createTokenEndpoint({
    findClient,
    verifyAssertion,
    exchanges: [
      createAuthorizationCodeExchange({ ...parts, codes: stores.codeStore }),
      createRefreshTokenExchange(parts),
    ],
    clock,
  })
  server = createServer((request, response) => endpoint(request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  tokenEndpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`
})
after(async () => {
  server?.closeAllConnections()
  server?.close()
  await app?.close()
  await host?.close()
})

async function makeKey(kid: string): Promise<{ key: CryptoKey; kid: string; jwk: object }> {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true })
  return { key: privateKey, kid, jwk: { ...(await exportJWK(publicKey)), kid, use: 'sig', alg: 'RS256' } }
}

/** openid-client as the client, with a key of its own. */
function configure(clientId: string, { key, kid }: { key: CryptoKey; kid: string }): client.Configuration {
  const metadata = {
    issuer: ISSUER,
    authorization_endpoint: `${ISSUER}/authorize`,
    token_endpoint: `${ISSUER}/token`,
    authorization_response_iss_parameter_supported: true,
  }
  const config = new client.Configuration(
    metadata,
    clientId,
    { token_endpoint_auth_method: 'private_key_jwt' },
    client.PrivateKeyJwt(
      { key, kid },
      {
        // ChatGPT's audience
        [client.modifyAssertion]: (_header, payload) => {
          payload['aud'] = `${ISSUER}/token`
          payload['iat'] = clock()
          payload['nbf'] = clock()
          payload['exp'] = clock() + 60
        },
      },
    ),
  )
  // the server listens elsewhere than its issuer says
  config[client.customFetch] = (url, options) =>
    fetch(url.replace(`${ISSUER}/token`, tokenEndpoint), options as RequestInit)
  return config
}

async function connect(config: client.Configuration, clientId: string) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expectedState = client.randomState()
  const url = client.buildAuthorizationUrl(config, {
    client_id: clientId,
    redirect_uri: REDIRECT_URI,
    scope: 'read',
    state: expectedState,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  })
  const arrival = redirected(await app.decide(Object.fromEntries(url.searchParams)))
  return client.authorizationCodeGrant(config, arrival, { pkceCodeVerifier, expectedState })
}

/** ChatGPT's document, with the URLs of this host. */
function publishChatGpt(path: string, keys: string): string {
  const client_id = host.url(path, 'chatgpt.com')
  host.at.set(
    path,
    document({
      client_id,
      client_name: 'ChatGPT',
      client_uri: 'https://chatgpt.com/',
      redirect_uris: [REDIRECT_URI],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
      token_endpoint_auth_signing_alg: 'RS256',
      jwks_uri: host.url(keys, 'chatgpt.com'),
    }),
  )
  return client_id
}

/** The error code of a response, or its status: openid-client does not read the body of a 503. */
const outcomeOf = (request: Promise<unknown>): Promise<string> =>
  request.then(
    () => 'accepted',
    (error: Error) => {
      if (error instanceof client.ResponseBodyError) return error.error
      return String(error.cause instanceof Response ? error.cause.status : error)
    },
  )

test('openid-client as ChatGPT: RS256, jwks_uri, and a key rotation between code and refresh', async () => {
  const first = await makeKey('first')
  const second = await makeKey('second')
  host.at.set('/keys', document({ keys: [first.jwk] }))
  const clientId = publishChatGpt('/oauth/client.json', '/keys')
  const tokens = await connect(configure(clientId, first), clientId)
  assert.equal(tokens.scope, 'read')
  host.at.set('/keys', document({ keys: [second.jwk] }))
  offset += 2
  const rotated = await client.refreshTokenGrant(configure(clientId, second), tokens.refresh_token ?? '')
  assert.ok(rotated.access_token)
  // the key that was withdrawn is of no use, and neither is no key at all
  await assert.rejects(client.refreshTokenGrant(configure(clientId, first), rotated.refresh_token ?? ''), {
    error: 'invalid_client',
  })
  const response = await fetch(tokenEndpoint, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: rotated.refresh_token ?? '',
      client_id: clientId,
    }),
  })
  assert.equal(response.status, 400)
  assert.equal(((await response.json()) as { error: string }).error, 'invalid_client')
})

test('CD18 CD40: while chatgpt.com is down its users stay connected, and without a kept document it is a 503', async () => {
  const key = await makeKey('down')
  host.at.set('/keys-down', document({ keys: [key.jwk] }))
  const clientId = publishChatGpt('/oauth/down.json', '/keys-down')
  const config = configure(clientId, key)
  const tokens = await connect(config, clientId)
  let refreshToken = tokens.refresh_token ?? ''
  for (const status of [503, 404]) {
    host.at.set('/oauth/down.json', document('', {}, status))
    offset += 601
    const refreshed = await client.refreshTokenGrant(config, refreshToken)
    refreshToken = refreshed.refresh_token ?? ''
    documents.forget(clientId)
    assert.equal(await outcomeOf(client.refreshTokenGrant(config, refreshToken)), '503', String(status))
    publishChatGpt('/oauth/down.json', '/keys-down')
    documents.forget(clientId)
    refreshToken = (await client.refreshTokenGrant(config, refreshToken)).refresh_token ?? ''
  }
  host.at.set('/oauth/down.json', document('', {}, 410))
  offset += 601
  assert.equal(await outcomeOf(client.refreshTokenGrant(config, refreshToken)), 'invalid_client')
})

test('CD25 CD40: while the key set of a document is down, also during a rotation, it is a 503', async () => {
  const [old, fresh] = [await makeKey('old'), await makeKey('fresh')]
  host.at.set('/keys-flaky', document({ keys: [old.jwk] }))
  const clientId = publishChatGpt('/oauth/flaky.json', '/keys-flaky')
  const tokens = await connect(configure(clientId, old), clientId)
  const refreshToken = tokens.refresh_token ?? ''
  for (const glitch of [document('', {}, 500), document('', {}, 404), document('{"keys":', {})]) {
    host.at.set('/keys-flaky', glitch)
    offset += 20 // the kept set does not have the new key
    assert.equal(await outcomeOf(client.refreshTokenGrant(configure(clientId, fresh), refreshToken)), '503')
  }
  offset += 601 // no set is kept
  for (const key of [old, fresh])
    assert.equal(await outcomeOf(client.refreshTokenGrant(configure(clientId, key), refreshToken)), '503')
  host.at.set('/keys-flaky', document({ keys: [fresh.jwk] }))
  offset += 20
  const stranger = await makeKey('fresh')
  assert.equal(
    await outcomeOf(client.refreshTokenGrant(configure(clientId, stranger), refreshToken)),
    'invalid_client',
    'a wrong signature is still one',
  )
  assert.equal(await outcomeOf(client.refreshTokenGrant(configure(clientId, fresh), refreshToken)), 'accepted')
})

test('CD25: key sets of strangers use bounds of their own; registered clients are not affected', async () => {
  const key = await makeKey('registered')
  host.at.set('/registered', document({ keys: [key.jwk] }))
  const config = configure('registered', key)
  const tokens = await connect(config, 'registered')
  const requestsFor = (path: string): number => host.requests.filter((each) => each.endsWith(` ${path}`)).length
  const before = requestsFor('/registered')
  // Strangers: 40 documents, each with its own key set on one host, which never responds.
  host.at.set('*', () => {})
  const stranger = await makeKey('stranger')
  const ids = Array.from({ length: 25 }, (_, at) => publishChatGpt(`/oauth/stranger-${at}.json`, `/silent-${at}`))
  const outcomes = await Promise.all([
    ...ids.map((id) => outcomeOf(client.refreshTokenGrant(configure(id, stranger), 'x'))),
    // meanwhile
    client.refreshTokenGrant(config, tokens.refresh_token ?? '').then(({ access_token }) => typeof access_token),
  ])
  assert.equal(outcomes.pop(), 'string')
  assert.deepEqual(new Set(outcomes), new Set(['503']))
  assert.equal(requestsFor('/registered'), before, 'the key set of the registered client is still kept')
  const silent = host.requests.filter((each) => each.includes('/silent-')).length
  assert.ok(silent > 0 && silent <= 8, `${silent} requests: 4 at once, and 4 when those have failed`)
  host.at.delete('*')
})
