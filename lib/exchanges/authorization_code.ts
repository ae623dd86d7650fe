import { bindingOf } from '../binding.ts'
import { type Client, grantTypesOf, isPublicClient } from '../client.ts'
import { isCodeVerifier } from '../code/code_challenge.ts'
import type { AuthorizationCode } from '../code/code_record.ts'
import type { CodeStore } from '../code/code_store.ts'
import { createCodes } from '../code/codes.ts'
import { refusal } from '../errors.ts'
import { oneOf, requireFunction, requireVerbs } from '../options.ts'
import { requiredParameter } from '../parameters.ts'
import type { TokenTarget } from '../resource/resources.ts'
import { requestedScope, type ScopeRules, scopeRules } from '../scope.ts'
import type { Permits } from '../session/permits.ts'
import type { Session } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import type { Tokens } from '../token/token_set.ts'
import { askContext, type ContextOption, requireContext, withMembers } from './context.ts'
import { type Exchange, requireGrant } from './exchange.ts'
import { type ResourcesOption, requireResources, tokenTarget } from './token_target.ts'

const GRANT_TYPE = 'authorization_code'

/**
 * The options of `createAuthorizationCodeExchange`.
 *
 * @inline
 */
export interface AuthorizationCodeOptions extends ScopeRules, ContextOption, ResourcesOption {
  /** The store of codes: the same as on the authorization side. */
  readonly codes: CodeStore
  /** What `createSessions` returned. Each code opens a session. */
  readonly sessions: Sessions
  /** What `createTokens` returned. */
  readonly tokens: Tokens
  /**
   * Called before the session is opened, and again before the code is used up. Return `false` to refuse. Default: every
   * code is accepted until it expires.
   */
  readonly permits?: Permits | undefined
  /**
   * What happens to the slower of two concurrent requests that redeem the same code with all proofs. `'refuse'` (default):
   * it is only refused, because browser applications in development mode send each request twice. `'end'`: it is treated
   * as a replay, which ends the session of the code.
   */
  readonly onSimultaneousRedemption?: 'end' | 'refuse' | undefined
  /**
   * The effect of a `scope` parameter in the token request. `'ignore'` (default): none, because RFC 6749 §4.1.3 does not
   * define it. `'narrow'`, as in CharonOauth2: the access token gets only this scope; the session and its refresh token
   * keep the granted scope. A larger scope is `invalid_scope`, and the code stays valid.
   */
  readonly scopeParameter?: 'ignore' | 'narrow' | undefined
  /**
   * What happens to older sessions of the same user and client. `'keep'` (default): nothing. `'end_older'`: they end, so a
   * client has one session for each user. This also disconnects the client on the user's other devices.
   */
  readonly onNewGrant?: 'keep' | 'end_older' | undefined
}

/**
 * RFC 6749 §4.1.3 with PKCE (RFC 7636 §4.6). In this order: the client's grant, the form of the parameters, the code's
 * client, its expiry, redirect URI, verifier, `permits`; then the session that the code names is opened, `permits` asked
 * again, and the code spent, last: of several requests at once exactly one spends it, and that one is answered with tokens. What is refused
 * before leaves the code as it was, but a wrong verifier is counted and the fifth kills the code.
 *
 * The tokens get the scope of the authorization request; a `scope` parameter here is ignored unless `scopeParameter`
 * says otherwise. A replay with all proofs ends the session, also one that is being opened at that moment by another
 * process.
 */
export function authorizationCode(options: AuthorizationCodeOptions): Exchange {
  const { sessions, tokens, permits, resources } = options
  requireResources(resources)
  const { context: contextHook } = options
  requireContext(contextHook)
  const codes = createCodes({ store: options.codes, issuer: tokens?.issuer })
  requireVerbs('sessions', sessions, ['open', 'get', 'end'])
  requireVerbs('tokens', tokens, ['issue'])
  if (permits !== undefined) requireFunction('permits', permits)
  const onSimultaneous = oneOf('onSimultaneousRedemption', options.onSimultaneousRedemption, 'refuse', [
    'end',
    'refuse',
  ])
  const scopeParameter = oneOf('scopeParameter', options.scopeParameter, 'ignore', ['ignore', 'narrow'])
  const onNewGrant = oneOf('onNewGrant', options.onNewGrant, 'keep', ['keep', 'end_older'])
  if (onNewGrant === 'end_older') requireVerbs('sessions', sessions, ['list'])
  const rules = scopeRules(options)

  return {
    grantType: GRANT_TYPE,
    async run({ client, parameters, now, context, proof }) {
      const keyThumbprint = proof?.thumbprint
      const clientId = client.client_id
      requireGrant(client, GRANT_TYPE)
      const code = requiredParameter(parameters, 'code')
      const codeVerifier = parameters['code_verifier']
      if (codeVerifier !== undefined && !isCodeVerifier(codeVerifier)) {
        throw refusal('code_verifier_malformed', {
          clientId,
          description: 'The parameter code_verifier must be 43 to 128 unreserved characters.',
          detail: `got ${codeVerifier.length} characters`,
        })
      }
      const requested = scopeParameter === 'narrow' ? parameters['scope'] : undefined
      let target: TokenTarget = { scope: '', audience: undefined }
      let session: Session | undefined
      let members: Readonly<Record<string, unknown>> | undefined
      const redemption = await codes.redeem(
        code,
        { client, redirectUri: parameters['redirect_uri'], codeVerifier, keyThumbprint },
        {
          now,
          onSimultaneous,
          permits:
            permits &&
            (({ subject, scope, resources }) =>
              permits({ subject, clientId, scope, ...bindingOf({ resources }) }, { ...context, client })),
          prepare: async (found) => {
            const scope = requestedScope(found.scope, requested, clientId, rules)
            target = await tokenTarget(resources, found, parameters['resource'], scope, client)
            session = await openedSession(found, client, now, isPublicClient(client) ? keyThumbprint : undefined)
            if (contextHook === undefined || session === undefined) return
            const { subject } = found
            const about = { client, subject, scope: target.scope, session, grantType: GRANT_TYPE, now }
            members = await askContext(contextHook, { ...context, ...about })
          },
        },
      )
      if (redemption.outcome === 'refused') {
        const { error, endSession } = redemption
        if (endSession) await sessions.end(endSession.id, now, { markerExpiresAt: endSession.markerExpiresAt })
        throw error
      }
      if (session === undefined) {
        throw refusal('code_spent', { clientId, detail: 'the session of the code was ended before it was opened' })
      }
      const opened: Session = session
      const { newest: generation } = opened
      return withTokens(opened, async () => {
        if (onNewGrant === 'end_older') await endOlder(opened, now)
        const { scope, audience } = target
        const issued = { client, scope, audience, generation, now, context, grantType: GRANT_TYPE, proof }
        return withMembers(await tokens.issue(opened, issued), members)
      })
    },
  }

  /** The session that the code names: opened here, or by another request with the same code a moment ago. */
  async function openedSession(
    code: AuthorizationCode,
    client: Client,
    now: number,
    keyThumbprint: string | undefined,
  ): Promise<Session | undefined> {
    const { subject, clientId, scope, resources, sessionId, extra } = code
    // A session that nobody can refresh is of no use beyond its one access token.
    const idleLifetimeSeconds = grantTypesOf(client).includes('refresh_token')
      ? undefined
      : tokens.accessTokenLifetimeSeconds
    const opened = await sessions.open(
      { subject, clientId, scope, resources },
      { now, id: sessionId, client, extra, idleLifetimeSeconds, issuer: tokens.issuer, keyThumbprint },
    )
    const session = opened ?? (await sessions.get(sessionId, now))
    if (session !== undefined && session.keyThumbprint !== keyThumbprint) {
      throw refusal('dpop_key_mismatch', { clientId, detail: 'another request with this code had another key' })
    }
    return session
  }

  /** Ends the older sessions of the same user and client. Of two grants at once the later session stays. */
  async function endOlder(opened: Session, now: number): Promise<void> {
    const all = await sessions.list(opened.subject, opened.type, now)
    const isOlder = ({ id, clientId, createdAt }: Session): boolean =>
      clientId === opened.clientId &&
      (createdAt < opened.createdAt || (createdAt === opened.createdAt && id < opened.id))
    await Promise.all(all.filter(isOlder).map(({ id }) => sessions.end(id, now)))
  }

  /** A session whose tokens nobody received stays useless for ever: it is ended, if that can be done. */
  async function withTokens<T>(session: Session, issue: () => Promise<T>): Promise<T> {
    try {
      return await issue()
    } catch (cause) {
      await sessions.end(session.id).catch(() => false)
      throw cause
    }
  }
}
