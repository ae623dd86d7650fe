import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { askAgainForDocuments, describeClient } from '../../lib/cimd/index.ts'
import { isSameRedirectUri } from '../../lib/code/redirect_uri.ts'
import { type DocumentHost, document, documentsOf, startDocumentHost } from '../support/document_host.ts'

let host: DocumentHost
before(async () => {
  host = await startDocumentHost()
})
after(() => host.close())

const CODE_AND_REFRESH = ['authorization_code', 'refresh_token']
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const chatGpt = {
  client_name: 'ChatGPT',
  redirect_uris: ['https://chatgpt.com/connector_platform_oauth_redirect'],
  grant_types: CODE_AND_REFRESH,
  response_types: ['code'],
  token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
  token_endpoint_auth_signing_alg: 'RS256',
}

/** The documents of clients in the shape in which they are published, on hosts of these names here. */
const CLIENTS: Readonly<
  Record<
    string,
    { at: readonly [string, string]; members: object; method: string; redirects: readonly string[]; isNative: boolean }
  >
> = {
  ChatGPT: {
    at: ['chatgpt.com', '/oauth/client.json'],
    members: { ...chatGpt, token_endpoint_auth_method: 'private_key_jwt' },
    method: 'private_key_jwt',
    redirects: chatGpt.redirect_uris,
    isNative: false,
  },
  'an app of ChatGPT': {
    at: ['chatgpt.com', '/oauth/app-1/client.json'],
    members: chatGpt, // only the list
    method: 'private_key_jwt',
    redirects: chatGpt.redirect_uris,
    isNative: false,
  },
  Claude: {
    at: ['claude.ai', '/oauth/mcp-oauth-client-metadata'],
    members: {
      client_name: 'Claude',
      redirect_uris: ['https://claude.ai/api/mcp/auth_callback'],
      grant_types: [...CODE_AND_REFRESH, JWT_BEARER],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    },
    method: 'none',
    redirects: ['https://claude.ai/api/mcp/auth_callback'],
    isNative: false,
  },
  'Claude Code': {
    at: ['claude.ai', '/oauth/claude-code-client-metadata'],
    members: {
      client_name: 'Claude Code',
      redirect_uris: ['http://localhost/callback', 'http://127.0.0.1/callback'],
      grant_types: CODE_AND_REFRESH,
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    },
    method: 'none',
    redirects: ['http://localhost:51763/callback', 'http://127.0.0.1:3118/callback'],
    isNative: true,
  },
  'VS Code': {
    at: ['vscode.dev', '/oauth/client-metadata.json'],
    members: {
      client_name: 'Visual Studio Code',
      redirect_uris: ['http://127.0.0.1:33418/', 'https://vscode.dev/redirect'],
      grant_types: CODE_AND_REFRESH,
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    },
    method: 'none',
    redirects: ['http://127.0.0.1:33418/', 'http://127.0.0.1:50123/', 'https://vscode.dev/redirect'],
    isNative: false,
  },
  opencode: {
    at: ['opencode.ai', '/oauth/client.json'],
    members: {
      client_name: 'opencode',
      application_type: 'native',
      redirect_uris: ['http://127.0.0.1:19876/mcp/oauth/callback', 'http://localhost:19876/mcp/oauth/callback'],
      grant_types: CODE_AND_REFRESH,
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    },
    method: 'none',
    redirects: ['http://127.0.0.1:1/mcp/oauth/callback', 'http://localhost:2/mcp/oauth/callback'],
    isNative: true,
  },
}

for (const [name, { at, members, method, redirects, isNative }] of Object.entries(CLIENTS)) {
  test(`RU1 RU2 CD42: ${name} connects with the document that it publishes`, async () => {
    const [domain, path] = at
    const client_id = host.url(path, domain)
    const keys = domain === 'chatgpt.com' ? { jwks_uri: host.url('/oauth/jwks.json', domain) } : {}
    host.at.set(path, document({ client_id, ...members, ...keys }))
    const client = await documentsOf(host).findClient()(client_id, {})
    assert.ok(client)
    assert.equal(client.token_endpoint_auth_method, method)
    assert.deepEqual(client.grant_types, CODE_AND_REFRESH)
    assert.equal(client.application_type === 'native', isNative)
    for (const uri of redirects) {
      assert.ok(
        client.redirect_uris?.some((each) => isSameRedirectUri(uri, each, isNative)),
        uri,
      )
      const { isLoopback, nameIsSelfGiven } = describeClient(client, uri)
      assert.deepEqual([isLoopback, nameIsSelfGiven], [uri.startsWith('http:'), true])
      if (isLoopback) assert.equal(askAgainForDocuments(client, { redirectURI: uri }), true)
    }
    for (const uri of ['http://[::1]:1/callback', 'http://evil.test/callback', `${redirects[0]}x`])
      assert.equal(
        client.redirect_uris?.some((each) => isSameRedirectUri(uri, each, isNative)),
        false,
        uri,
      )
  })
}
