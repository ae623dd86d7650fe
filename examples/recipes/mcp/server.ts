// An MCP server that is its own authorization server: its token endpoint for the client credentials grant, written by hand on
// node:http with the assertion verifier, and its MCP endpoint behind the resource-server entry. Proved in
// test/recipes/mcp.test.ts with the client of the MCP TypeScript SDK and its private_key_jwt provider.
import { createHash, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import {
  type AssertionVerifier,
  createAssertionVerifier,
  type FindClient,
  OAuthError,
  type ReplayRegister,
} from 'passport-client-assertion-jwt'
import {
  type AccessToken,
  createAccessTokenVerifier,
  createProtectedResource,
  requireAccessToken,
} from 'passport-client-assertion-jwt/resource-server'

const LIMIT_BYTES = 65_536
const TOKEN_LIFETIME_SECONDS = 300

/** Serves MCP itself, after the access token was accepted: `StreamableHTTPServerTransport` of the SDK, for instance. */
export type ServeMcp = (request: IncomingMessage, response: ServerResponse, clientId: string) => void

export interface McpOptions {
  /** Origin under which the world reaches this server; it is the issuer as well. */
  readonly origin: string
  readonly findClient: FindClient
  readonly replayRegister: ReplayRegister
  readonly serveMcp: ServeMcp
}

interface IssuedToken {
  readonly clientId: string
  readonly expiresAt: number
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url')
const nowSeconds = (): number => Math.floor(Date.now() / 1000)

function send(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', ...headers })
  response.end(JSON.stringify(body))
}

/** Reads the form of a request. The values of a repeated name become an array, which the verifier rejects. */
async function formOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > LIMIT_BYTES) throw new OAuthError('invalid_request', { status: 413 })
    chunks.push(chunk)
  }
  return parseForm(Buffer.concat(chunks).toString('utf8'))
}

/** One pass over the pairs: `getAll` for each name would search all of them once per name. */
export function parseForm(body: string): Record<string, unknown> {
  const form: Record<string, string | string[]> = Object.create(null)
  for (const [name, value] of new URLSearchParams(body)) {
    const before = form[name]
    if (before === undefined) form[name] = value
    else if (typeof before === 'string') form[name] = [before, value]
    else before.push(value)
  }
  return form
}

/** The token endpoint: authenticate first, then look at what is asked for. */
async function token(
  verify: AssertionVerifier,
  issued: Map<string, IssuedToken>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    if (request.method !== 'POST') throw new OAuthError('invalid_request', { status: 405, headers: { Allow: 'POST' } })
    const form = await formOf(request)
    const { client } = await verify(form, { request })
    if (form['grant_type'] !== 'client_credentials') throw new OAuthError('unsupported_grant_type')
    if (!client.grant_types?.includes('client_credentials')) throw new OAuthError('unauthorized_client')
    const now = nowSeconds()
    for (const [id, { expiresAt }] of issued) {
      if (expiresAt > now) break // all live equally long, so the oldest come first
      issued.delete(id)
    }
    const accessToken = randomBytes(32).toString('base64url')
    issued.set(sha256(accessToken), { clientId: client.client_id, expiresAt: now + TOKEN_LIFETIME_SECONDS })
    send(response, 200, { access_token: accessToken, token_type: 'Bearer', expires_in: TOKEN_LIFETIME_SECONDS })
  } catch (cause) {
    const error = cause instanceof OAuthError ? cause : new OAuthError('server_error', { cause })
    send(response, error.status, { error: error.code, error_description: error.message }, { ...error.headers })
  }
}

/** What RFC 7662 says of a token: the tokens of this server are random strings, not JWTs. */
function introspect(issued: ReadonlyMap<string, IssuedToken>, resource: string, token: string): object {
  const found = issued.get(sha256(token))
  if (found === undefined) return { active: false }
  const { clientId, expiresAt } = found
  return { active: true, token_type: 'Bearer', client_id: clientId, sub: clientId, aud: resource, exp: expiresAt }
}

export function createMcpServer({ origin, findClient, replayRegister, serveMcp }: McpOptions): Server {
  const tokenEndpoint = `${origin}/token`
  const verify = createAssertionVerifier({ issuer: origin, tokenEndpoint, findClient, replayRegister })
  const issued = new Map<string, IssuedToken>()

  // The resource: a request needs an access token, and a challenge leads to the document (RFC 9728), which leads to this server.
  const resource = `${origin}/mcp`
  const keys = { introspect: (accessToken: string) => introspect(issued, resource, accessToken) }
  const protect = requireAccessToken(createAccessTokenVerifier({ issuer: origin, resource, keys }))
  const document = createProtectedResource({ resource, issuer: origin })

  // RFC 8414: from the issuer to the token endpoint.
  const serverMetadata = {
    issuer: origin,
    token_endpoint: tokenEndpoint,
    authorization_endpoint: `${origin}/authorize`, // not offered, but the SDK refuses metadata without one
    grant_types_supported: ['client_credentials'],
    response_types_supported: [],
    token_endpoint_auth_methods_supported: verify.methods,
    token_endpoint_auth_signing_alg_values_supported: verify.algorithms,
  }

  return createServer((request, response) => {
    const [path] = (request.url ?? '/').split('?', 1)
    if (path === '/token') return void token(verify, issued, request, response)
    if (path === document.path) return document.handler(request, response)
    if (path === '/.well-known/oauth-authorization-server') return send(response, 200, serverMetadata)
    if (path !== '/mcp') return send(response, 404, {})
    return protect(request, response, () => {
      const { clientId } = (request as IncomingMessage & { readonly auth: AccessToken }).auth
      serveMcp(request, response, clientId)
    })
  })
}
