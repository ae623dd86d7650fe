import { bindingOf } from '../binding.ts'
import { type Client, type FindClient, grantTypesOf, isPublicClient, type RequestContext } from '../client.ts'
import { ClientDocumentUnreachable, isClientDocument } from '../client_document.ts'
import { lookUpClient } from '../client_lookup.ts'
import { OAuthError, refusal } from '../errors.ts'
import { askYesOrNo } from '../hooks.ts'
import { isInstance } from '../instance.ts'
import { checkOptions, optionNames, requireFunction, requireVerbs } from '../options.ts'
import { type FormParameters, requiredParameter } from '../parameters.ts'
import type { Resources } from '../resource/resources.ts'
import type { Permits } from '../session/permits.ts'
import type { Session } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { type AccessTokenClaims, isBoundToKey, type RefreshTokenClaims } from '../token/token_claims.ts'
import type { Tokens } from '../token/token_set.ts'
import { checkEndpointOptions } from './authentication.ts'
import { type ClientEndpointOptions, clientEndpoint } from './client_endpoint.ts'
import type { RequestHandler } from './shell.ts'
import type { EndpointFacts } from './turn.ts'

/** A request about a token, whose client is authenticated and whose parameters are sound. */
export interface TokenRequest {
  /** The authenticated client. */
  readonly client: Client
  /** The form parameters of the request. Each was sent once. */
  readonly parameters: FormParameters
  /** The one reading of the clock for this request, epoch seconds. */
  readonly now: number
  /** The request and the endpoint, for your hooks. */
  readonly context: RequestContext
}

/** What introspection says of an active token (RFC 7662 §2.2). */
interface ActiveToken {
  /** `true`: the token is valid now. */
  readonly active: true
  /** '' for none. */
  readonly scope: string
  /** The client that the token was issued to. */
  readonly client_id: string
  /** The user, or for `client_credentials` the client. */
  readonly sub: string
  /** When the token expires, epoch seconds. */
  readonly exp: number
  /** When the token was issued, epoch seconds. */
  readonly iat: number
  /** The issuer identifier of this server. */
  readonly iss: string
  /** `Bearer` or `DPoP` for an access token, `refresh_token` for a refresh token. */
  readonly token_type: 'Bearer' | 'DPoP' | 'refresh_token' | (string & {})
  readonly [claim: string]: unknown
}

/** What introspection says of a token (RFC 7662 §2.2). Of one that is not active it says only that. */
export type IntrospectionResponse =
  | {
      /** `false`: the token is unknown, expired, revoked, or not for this client to ask about. */
      readonly active: false
    }
  | ActiveToken

/** Answers `introspection_endpoint` requests; see `createIntrospection`. */
export type Introspect = (request: TokenRequest) => Promise<IntrospectionResponse>

/**
 * The options of `createIntrospection`.
 *
 * @inline
 */
interface IntrospectionOptions {
  /** What `createSessions` returned. A token is active only while its session is. */
  readonly sessions: Pick<Sessions, 'get' | 'accepts' | 'isAccessTokenRevoked'>
  /** What `createTokens` returned. It verifies the tokens. */
  readonly tokens: Pick<Tokens, 'verifyAccessToken' | 'readRefreshToken'>
  /** Finds the client of a token. Without it the client counts as registered, and `perClient` gets its id alone. */
  readonly findClient?: FindClient | undefined
  /** The hook of the refresh token exchange, if it has one. It is asked about each token that has a session. */
  readonly permits?: Permits | undefined
  /**
   * Returns whether a client may ask about an active token; `token` is the response that it would receive. Only `true` allows
   * it. If the function rejects, the endpoint responds with 503. Default: a client may ask about all access tokens and about the
   * refresh tokens issued to it. Clients that wrote their own record (`isClientDocument`: a metadata document or
   * dynamic registration) may not ask, because anyone can do that: they are refused with `client_not_confidential`. With `resources`, a client whose record lists resources may ask only
   * about access tokens for one of them.
   */
  readonly mayAsk?: ((client: Client, token: ActiveToken) => boolean | Promise<boolean>) | undefined
  /** The resources that tokens are limited to (RFC 8707): what `createResources` returned. Default: none. */
  readonly resources?: Pick<Resources, 'isForClient'> | undefined
}

const NAMES = optionNames<IntrospectionOptions>({
  sessions: true,
  tokens: true,
  findClient: true,
  permits: true,
  mayAsk: true,
  resources: true,
})

/**
 * The client of a token. A document that cannot be read at the moment says nothing about tokens that were issued: then the
 * client counts as registered, and its id alone is known.
 */
async function findDocumentClient(
  findClient: FindClient,
  client_id: string,
  context: RequestContext,
): Promise<Client | OAuthError> {
  try {
    return await lookUpClient(findClient, client_id, context)
  } catch (error) {
    if (error instanceof OAuthError && isInstance(error.cause, ClientDocumentUnreachable)) return { client_id }
    throw error
  }
}

const INACTIVE: IntrospectionResponse = { active: false }

const scopeText = (scope: unknown): string =>
  Array.isArray(scope) ? scope.join(' ') : typeof scope === 'string' ? scope : ''

/**
 * Makes the function that returns the state of an access or refresh token of this server (RFC 7662). A confidential client may ask
 * about all access tokens, because resource servers ask about other clients' tokens, and about the refresh tokens issued to it;
 * `mayAsk` changes that. For other clients the token is inactive. A public client may not ask (RFC 7662 §2.1: token scanning).
 *
 * - An access token is active until it expires, is revoked, or its session ends. The response has all its claims.
 * - A refresh token is active while the token endpoint would accept it; a superseded one is not active. Introspection does not
 *   change the session. `token_type` is `refresh_token`; `scope` and `exp` are those of the session.
 * - With `findClient`, the tokens of a client that no longer exists are inactive, and so are the refresh tokens of a client that
 *   may not use them. With `permits`, so are the tokens of a session that the application no longer permits.
 *
 * Tokens for `adopt` are inactive here. `token_type_hint` is ignored: the token shows its kind.
 *
 * @example
 * ```ts
 * import { createIntrospection } from 'passport-client-assertion-jwt'
 *
 * const introspect = createIntrospection({ sessions, tokens })
 * export const both = createClientEndpoint(
 *   (request) => (request.parameters['action'] === 'revoke' ? revoke(request) : introspect(request)),
 *   { authenticateClient, path: '/token-state' },
 * )
 * ```
 */
export function createIntrospection(options: IntrospectionOptions): Introspect {
  checkOptions('createIntrospection', options, NAMES)
  return introspection(options)
}

/** Introspection with options that are checked already. */
function introspection(options: IntrospectionOptions): Introspect {
  const { sessions, tokens, findClient, permits, resources } = options
  if (resources !== undefined) requireVerbs('resources', resources, ['isForClient'])
  const { mayAsk = resources === undefined ? mayAskByDefault : mayAskWith(resources) } = options
  requireVerbs('sessions', sessions, ['get', 'accepts', 'isAccessTokenRevoked'])
  requireVerbs('tokens', tokens, ['verifyAccessToken', 'readRefreshToken'])
  if (findClient !== undefined) requireFunction('findClient', findClient)
  if (permits !== undefined) requireFunction('permits', permits)
  requireFunction('mayAsk', mayAsk)

  /** The client of a token, as far as it can be known; `undefined` if it no longer exists. */
  async function clientOf(client_id: string, context: RequestContext): Promise<Client | undefined> {
    if (findClient === undefined) return { client_id }
    const client = await findDocumentClient(findClient, client_id, context)
    if (!(client instanceof OAuthError)) return client
    if (client.reason === 'client_unknown' || client.reason === 'client_document_refused') return undefined
    throw refusal('misconfigured', { clientId: client_id, detail: client.detail })
  }

  async function isPermitted(session: Session, client: Client, context: RequestContext): Promise<boolean> {
    if (permits === undefined) return true
    const { subject, clientId, scope } = session
    const permission = { subject, clientId, scope, ...bindingOf({ resources: session.resources }) }
    return askYesOrNo('permits', () => permits(permission, { ...context, client, session }))
  }

  async function ofAccessToken(
    claims: AccessTokenClaims,
    { now, context }: TokenRequest,
  ): Promise<IntrospectionResponse> {
    const { sid, jti, client_id } = claims
    const [revoked, session, client] = await Promise.all([
      sessions.isAccessTokenRevoked(jti, now),
      sid === undefined ? undefined : sessions.get(sid, now),
      clientOf(client_id, context),
    ])
    if (revoked || client === undefined) return INACTIVE
    if (sid !== undefined && (session === undefined || !(await isPermitted(session, client, context)))) return INACTIVE
    const token_type = isBoundToKey(claims) ? 'DPoP' : 'Bearer'
    return { ...claims, active: true, scope: scopeText(claims.scope), token_type }
  }

  async function ofRefreshToken(
    claims: RefreshTokenClaims,
    { now, context }: TokenRequest,
  ): Promise<IntrospectionResponse> {
    const { g, styp, sid, iss, client_id, jti, iat } = claims
    const session = await sessions.get(sid, now)
    if (session === undefined || session.type !== styp || session.clientId !== client_id) return INACTIVE
    const client = await clientOf(client_id, context)
    if (client === undefined || !sessions.accepts(session, g, { client, now })) return INACTIVE
    if (findClient !== undefined && !grantTypesOf(client).includes('refresh_token')) return INACTIVE
    if (!(await isPermitted(session, client, context))) return INACTIVE
    const { subject: sub, scope, refreshExpiresAt: exp } = session
    const { keyThumbprint: jkt } = session
    const bound = jkt === undefined ? undefined : { cnf: { jkt } }
    return { active: true, scope, client_id, sub, exp, iat, iss, jti, sid, styp, token_type: 'refresh_token', ...bound }
  }

  async function stateOf(token: string, request: TokenRequest): Promise<IntrospectionResponse> {
    const refresh = await tokens.readRefreshToken(token)
    if (refresh !== undefined) return ofRefreshToken(refresh, request)
    const access = await tokens.verifyAccessToken(token, request.now)
    return access === undefined ? INACTIVE : ofAccessToken(access, request)
  }

  return async (request) => {
    const { client, parameters } = request
    if (isPublicClient(client)) {
      throw refusal('client_not_confidential', {
        clientId: client.client_id,
        detail: 'a public client may not introspect tokens',
      })
    }
    if (options.mayAsk === undefined && isClientDocument(client)) {
      throw refusal('client_not_confidential', {
        clientId: client.client_id,
        detail: 'a client that wrote its own record may not introspect tokens unless mayAsk allows it',
      })
    }
    const token = await stateOf(requiredParameter(parameters, 'token'), request)
    if (!token.active) return INACTIVE
    return (await askYesOrNo('mayAsk', () => mayAsk(client, token))) ? token : INACTIVE
  }
}

/** A resource server asks about access tokens; a refresh token is nobody's business but its client's. */
const mayAskByDefault = (client: Client, token: ActiveToken): boolean =>
  token.token_type !== 'refresh_token' || token.client_id === client.client_id

/** A resource server whose record names its resources learns only of tokens for them (RFC 7662 §4). */
const mayAskWith =
  (resources: Pick<Resources, 'isForClient'>) =>
  async (client: Client, token: ActiveToken): Promise<boolean> =>
    mayAskByDefault(client, token) &&
    (token.token_type === 'refresh_token' || (await resources.isForClient(client, token['aud'])))

/**
 * Makes the introspection endpoint (RFC 7662), with the client authentication of the token endpoint: for bare `node:http`,
 * or a middleware of Express 4 and 5. It responds as `createIntrospection` says.
 *
 * @example
 * ```ts
 * import { createIntrospectionEndpoint } from 'passport-client-assertion-jwt'
 *
 * export const introspection = createIntrospectionEndpoint({ authenticateClient, sessions, tokens, path: '/introspect' })
 * ```
 */
export function createIntrospectionEndpoint(
  options: IntrospectionOptions & ClientEndpointOptions,
): RequestHandler & EndpointFacts {
  checkEndpointOptions('createIntrospectionEndpoint', options, NAMES)
  const endpoint = clientEndpoint(introspection(options), options)
  // Public clients may not ask, so the metadata document must not say that they may.
  return Object.assign(endpoint, { methods: endpoint.methods.filter((method) => method !== 'none') })
}
