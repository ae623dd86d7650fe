import { bindingOf } from '../binding.ts'
import type { Client } from '../client.ts'
import { refusal } from '../errors.ts'
import { askYesOrNo } from '../hooks.ts'
import { isAbsent } from '../optional.ts'
import { requireFunction, requireVerbs } from '../options.ts'
import { requiredParameter } from '../parameters.ts'
import {
  allowedScope,
  formatScope,
  parseScope,
  registeredPart,
  requestedScope,
  type ScopeRules,
  scopeRules,
} from '../scope.ts'
import type { Permits } from '../session/permits.ts'
import { OAUTH2_SESSION, type Session } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { type Adopt, adoptedSessionId, askAdopt, oldSessionOf, rememberedUntil } from '../token/adopted_token.ts'
import type { Tokens } from '../token/token_set.ts'
import { askContext, type ContextOption, requireContext, withMembers } from './context.ts'
import { type Exchange, type ExchangeRequest, requireGrant } from './exchange.ts'
import { type ResourcesOption, requireResources, tokenTarget } from './token_target.ts'

const GRANT_TYPE = 'refresh_token'

/**
 * The options of `createRefreshTokenExchange`.
 *
 * @inline
 */
export interface RefreshTokenOptions extends ScopeRules, ContextOption, ResourcesOption {
  /** What `createSessions` returned: the same as for the authorization code exchange. */
  readonly sessions: Sessions
  /** What `createTokens` returned: it must verify the refresh tokens that it issued. */
  readonly tokens: Tokens
  /** Called before the session changes. Return `false` to refuse. Default: every active session is allowed. */
  readonly permits?: Permits | undefined
  /**
   * Accepts refresh tokens that your application issued before it used this package, so users do not have to log in again.
   * The exchange opens one session for each token; the old token is its generation 0. When the session is open, it
   * decides: if a response is lost, the client can retry, and the old token is superseded when the new one is used. The hook
   * is called for tokens that were not signed with a key of this server, from an authenticated client with this grant. With
   * the hook, each of these tokens costs one read of the store. If the hook returns the old session (`sid`), one session is
   * opened for all its tokens, the hook is called for each of them, and `sessions.endAll` also ends sessions not adopted yet.
   */
  readonly adopt?: Adopt | undefined
}

/** What a refresh token names: a session as it stands, or one that is still to be opened for it; and a generation. */
interface Presented {
  readonly subject: string
  readonly scope: string
  readonly resources: readonly string[] | undefined
  readonly session: Session | undefined
  readonly generation: number
  /** The rank of an adopted token among those of its old session. */
  readonly rank?: number | undefined
  /** The token was made by the application's old code: it is replaced by one of this server, also where none rotates. */
  readonly isAdopted: boolean
  open(): Promise<Session>
}

/**
 * RFC 6749 §6, with rotation (RFC 9700 §4.14.2). The order is the policy: whatever is refused before the last step
 * changes nothing. The requested scope may only narrow, and only this access token: the refresh token keeps its own.
 * What the client is no longer registered for is left out of both, and of what `permits` is asked.
 */
export function refreshToken(options: RefreshTokenOptions): Exchange {
  const { sessions, tokens, permits, adopt, resources } = options
  requireResources(resources)
  const { context: contextHook } = options
  requireContext(contextHook)
  requireVerbs('sessions', sessions, ['open', 'get', 'refresh'])
  requireVerbs('tokens', tokens, ['issue', 'readRefreshToken'])
  if (permits !== undefined) requireFunction('permits', permits)
  if (adopt !== undefined) requireFunction('adopt', adopt)
  const rules = scopeRules(options)

  /** What a token of this server names, or one that is adopted. */
  async function presentedBy(token: string, request: ExchangeRequest): Promise<Presented> {
    const { client, now } = request
    const clientId = client.client_id
    // Its `exp` is not looked at: the session that slid on since the token was issued decides when it ends.
    const claims = await tokens.readRefreshToken(token)
    if (claims === undefined) {
      if (adopt !== undefined) return adopted(token, adopt, request)
      throw refusal('refresh_token_malformed', { clientId, detail: 'not a refresh token of this server' })
    }
    if (claims.client_id !== clientId) {
      throw refusal('refresh_token_client_mismatch', { clientId, detail: 'the token was issued to another client' })
    }
    if (claims.styp !== OAUTH2_SESSION) throw wrongType(clientId, claims.styp)
    return live(await sessions.get(claims.sid, now), client, claims.g)
  }

  async function adopted(
    token: string,
    recognise: Adopt,
    { client, now, context }: ExchangeRequest,
  ): Promise<Presented> {
    const clientId = client.client_id
    const id = adoptedSessionId(token)
    const known = await sessions.get(id, now)
    if (known !== undefined) {
      const presented = live(known, client, 0, true)
      // opens nothing, but sees to it that what opened it is remembered: the request that did may have failed after it
      await sessions.open(known, { id, client, now, rememberUntil: rememberedUntil({}, now) })
      return presented
    }
    const old = await askAdopt(recognise, token, { ...context, client, now })
    if (old === undefined) {
      throw refusal('refresh_token_malformed', { clientId, detail: 'neither of this server nor adopted' })
    }
    if (old.clientId !== clientId) {
      throw refusal('refresh_token_client_mismatch', { clientId, detail: 'the token was issued to another client' })
    }
    const { subject, extra, resources: oldResources } = old
    const rememberUntil = rememberedUntil(old, now)
    if (now >= rememberUntil) {
      throw refusal('refresh_token_expired', { clientId, detail: `the adopted token expired at ${rememberUntil}` })
    }
    const scope = formatScope(parseScope(old.scope) ?? [])
    const oldSession = oldSessionOf(old)
    const { rank } = oldSession ?? {}
    const open = async (): Promise<Session> => {
      const sessionId = oldSession?.id ?? id
      const opened = await sessions.open(
        { subject, clientId, scope, resources: oldResources },
        { id: sessionId, client, now, extra, rememberUntil, issuer: tokens.issuer, adopted: oldSession },
      )
      // Not opened: another request with this token was faster, or its session was ended before.
      return opened ?? live(await sessions.get(sessionId, now), client, 0, true).open()
    }
    // The session of another token of the same old session says what is granted.
    const joined = oldSession === undefined ? undefined : await sessions.get(oldSession.id, now)
    if (joined !== undefined) return { ...live(joined, client, 0, true), rank, open }
    return { subject, scope, resources: oldResources, session: undefined, generation: 0, rank, isAdopted: true, open }
  }

  /** The session, when it is there and this client's. */
  function live(session: Session | undefined, client: Client, generation: number, isAdopted = false): Presented {
    const clientId = client.client_id
    const { issuer } = tokens
    if (session === undefined || (session.issuer !== undefined && session.issuer !== issuer)) {
      throw refusal('session_not_found', { clientId, detail: 'the session is unknown, ended or expired' })
    }
    if (session.type !== OAUTH2_SESSION) throw wrongType(clientId, session.type)
    if (session.clientId !== clientId) {
      throw refusal('refresh_token_client_mismatch', { clientId, detail: "the session is another client's" })
    }
    const { subject, scope, resources } = session
    return { subject, scope, resources, session, generation, isAdopted, open: async () => session }
  }

  const wrongType = (clientId: string, type: string) =>
    refusal('session_type_mismatch', { clientId, detail: `expected a session of type oauth2, got '${type}'` })

  return {
    grantType: GRANT_TYPE,
    async run(request) {
      const { client, parameters, now, context, proof } = request
      const clientId = client.client_id
      requireGrant(client, GRANT_TYPE)
      const presented = await presentedBy(requiredParameter(parameters, 'refresh_token'), request)
      const { subject, generation, rank } = presented
      const granted = registeredPart(presented.scope, allowedScope(client, rules))
      if (permits !== undefined) {
        const known = presented.session === undefined ? {} : { session: presented.session }
        const permission = { subject, clientId, scope: granted, ...bindingOf({ resources: presented.resources }) }
        if (!(await askYesOrNo('permits', () => permits(permission, { ...context, client, ...known })))) {
          throw refusal('permission_withdrawn', { clientId, detail: 'the application no longer permits it' })
        }
      }
      const scope = requestedScope(granted, parameters['scope'], clientId, rules)
      const target = await tokenTarget(resources, presented, parameters['resource'], scope, client)
      const session = await presented.open()
      const about = contextHook && { client, subject, scope: target.scope, session, grantType: GRANT_TYPE, now }
      const members = about && (await askContext(contextHook, { ...context, ...about }))
      // What the client lost stays lost: it asks the user again. A record without scope may be a mistake, and takes nothing.
      const kept = isAbsent(client.scope) ? undefined : granted
      const moved = await sessions.refresh(
        { sessionId: session.id, generation, rank, session },
        { client, now, scope: kept, keyThumbprint: proof?.thumbprint },
      )
      const issued = await tokens.issue(moved.session, {
        client,
        scope: target.scope,
        audience: target.audience,
        generation: moved.keepsToken && !presented.isAdopted ? undefined : moved.generation,
        now,
        context,
        grantType: GRANT_TYPE,
        proof,
      })
      return withMembers(issued, members)
    },
  }
}
