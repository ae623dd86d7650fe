// Makes the application in application.ts the authorization server of its own MCP server: users log in as they always did,
// allow an MCP client, and its tools run as that user. docs/mcp.md explains each part.
import { toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, fromJsonSchema, McpServer, requireScopes } from '@modelcontextprotocol/server'
import type { ErrorRequestHandler, Request, RequestHandler } from 'express'
import oauth2orize from 'oauth2orize'
import {
  createAssertionVerifier,
  createAuthorizationCodeExchange,
  createClientAuthenticator,
  createConsents,
  createDocumentEndpoint,
  createMetadata,
  createRefreshTokenExchange,
  createResources,
  createRevocationEndpoint,
  createSessions,
  createTokenEndpoint,
  createTokens,
  getWellKnownPaths,
} from 'passport-client-assertion-jwt'
import { askAgainForDocuments, createClientDocuments, describeClient } from 'passport-client-assertion-jwt/cimd'
import {
  createAuthorizationSide,
  getRetryQuery,
  type Oauth2orizeTransaction,
} from 'passport-client-assertion-jwt/oauth2orize'
import {
  createAccessTokenVerifier,
  createProtectedResource,
  requireAccessToken,
} from 'passport-client-assertion-jwt/resource-server'
import { createMemoryStores } from 'passport-client-assertion-jwt/stores/memory'
import { type Application, escapeHtml, sendPage, type User } from './application.ts'

/** What an MCP client may ask for, and what the consent page calls it. */
const SCOPES: Readonly<Record<string, string>> = { 'notes.read': 'Read your notes', 'notes.write': 'Add notes' }
const WARNING = `<p class="warning"><b>This is a program on your own computer.</b> Any program there can claim to be this app.
Allow it only if you have just started it yourself.</p>`

const transactionOf = (request: Request): Required<Oauth2orizeTransaction> =>
  (request as Request & { oauth2: Required<Oauth2orizeTransaction> }).oauth2

export interface McpOptions {
  /** The origin of the application, such as `https://notes.example.com`. */
  readonly issuer: string
  /** At least 32 random bytes, the same on every process. */
  readonly baseSecret: string
  /** Which clients may connect, and how their documents are fetched. */
  readonly documents?: Partial<Parameters<typeof createClientDocuments>[0]>
  /** How the key sets of clients with `private_key_jwt` are fetched. */
  readonly keySets?: Parameters<typeof createAssertionVerifier>[0]['keySets']
}

export function addMcp({ app, requireLogin, findUser }: Application, options: McpOptions): void {
  const { issuer, baseSecret, keySets } = options
  const resource = `${issuer}/mcp`

  // Clients: each is a document at the URL that is its client_id.
  const documents = createClientDocuments({ scope: Object.keys(SCOPES).join(' '), ...options.documents })
  const findClient = documents.findClient()

  // The authorization server: stores, tokens, grants.
  const { replayRegister, codeStore: codes, sessionStore: store } = createMemoryStores() // one process: docs/scaling.md
  const sessions = createSessions({ store })
  const tokens = createTokens({ issuer, baseSecret })
  const consents = createConsents({ store })
  const resources = createResources([{ uri: resource, scopes: Object.keys(SCOPES) }])
  const permits = ({ subject }: { readonly subject: string }): boolean => findUser(subject) !== undefined
  const tokenEndpoint = `${issuer}/token`
  const verifyAssertion = createAssertionVerifier({ issuer, tokenEndpoint, findClient, replayRegister, keySets })
  const methods = ['private_key_jwt', 'none'] as const
  const authenticateClient = createClientAuthenticator({ findClient, verifyAssertion, methods })
  const token = createTokenEndpoint({
    authenticateClient,
    exchanges: [
      createAuthorizationCodeExchange({ codes, sessions, tokens, resources, permits }),
      createRefreshTokenExchange({ sessions, tokens, resources, permits }),
    ],
  })
  const revocation = createRevocationEndpoint({ authenticateClient, sessions, tokens, endpoint: `${issuer}/revoke` })
  const parts = { issuer, findClient, codes, consents, replayRegister, resources }
  const authorization = createAuthorizationSide({ ...parts, secret: baseSecret, askAgain: askAgainForDocuments })
  const server = oauth2orize.createServer({ store: authorization.transactions })
  server.grant(authorization.grant)

  const askForConsent: RequestHandler = (request, response) => {
    const { client, redirectURI, transactionID, req } = transactionOf(request)
    const { name, host, redirectHost, isLoopback } = describeClient(client, redirectURI)
    const scopes = (req.scope ?? []).map((scope) => `<li>${escapeHtml(SCOPES[scope] ?? scope)}</li>`)
    const body = `<p>An app asks for access to the notes of ${escapeHtml((request.user as User).name)}.
It is described at <b>${escapeHtml(host ?? issuer)}</b>, where it calls itself “${escapeHtml(name ?? 'an app')}”.
Nobody has checked this name.</p>
<p>It wants to:</p><ul>${scopes.join('')}</ul>
<p>If you allow it, the access goes to <b>${escapeHtml(redirectHost)}</b>.</p>
${isLoopback ? WARNING : ''}
<form method="post" action="/authorize/decision">
<input type="hidden" name="transaction_id" value="${escapeHtml(transactionID)}">
<button name="allow" value="allow">Allow</button><button name="cancel" value="cancel">Cancel</button>
</form>`
    sendPage(response, 'Allow access to your notes?', body)
  }
  /** Nobody is logged in, or the client asked for a new login (`prompt=login`). Afterwards the request goes on. */
  const logInFirst: ErrorRequestHandler = (error, request, response, next) => {
    if (error?.reason !== 'user_not_logged_in') return next(error)
    request.session.returnTo = `/authorize${getRetryQuery(error)}`
    response.redirect(303, '/login')
  }

  app.get('/authorize', server.authorization(authorization.validate, authorization.immediate), askForConsent)
  app.post('/authorize/decision', requireLogin, server.decision(authorization.decision))
  app.use('/authorize', logInFirst, authorization.errors)
  app.use('/token', token)
  app.use('/revoke', revocation)
  app.all('/jwks', createDocumentEndpoint(tokens.jwks()))
  const metadata = createMetadata({
    issuer,
    authorizationEndpoint: '/authorize',
    jwksUri: '/jwks',
    token: { url: '/token', endpoint: token },
    revocation: { url: '/revoke', endpoint: revocation },
    scopes: Object.keys(SCOPES),
    resources,
    extra: documents.metadata,
  })
  app.all(getWellKnownPaths(issuer).all, createDocumentEndpoint(metadata))

  // The MCP server: a resource whose tools run as the user of the token.
  const verifier = createAccessTokenVerifier({ issuer, resource, keys: { tokens, sessions } })
  const document = createProtectedResource({ resource, issuer, scopes: Object.keys(SCOPES), name: 'Notes' })
  app.all(document.path, document.handler)
  const mcp = toNodeHandler(createMcpHandler(({ authInfo }) => createTools(findUser(String(authInfo?.extra?.['sub'])))))
  app.all('/mcp', requireAccessToken(verifier, { scope: 'notes.read' }), mcp)
}

function createTools(user: User | undefined): McpServer {
  if (user === undefined) throw new Error('the user of an access token is gone, but not its session')
  const server = new McpServer({ name: 'notes', version: '1.0.0' })
  const text = (value: string) => ({ content: [{ type: 'text' as const, text: value }] })
  server.registerTool('list_notes', { description: 'Lists the notes' }, () => text(user.notes.join('\n')))
  const properties = { note: { type: 'string', maxLength: 1000 } } as const
  const inputSchema = fromJsonSchema<{ note: string }>({ type: 'object', properties, required: ['note'] })
  const scopeChallenge = requireScopes('notes.read', 'notes.write') // without them: 403, and the client asks for more
  server.registerTool('add_note', { description: 'Adds a note', inputSchema, scopeChallenge }, ({ note }) => {
    user.notes.push(note)
    return text('Added.')
  })
  return server
}
