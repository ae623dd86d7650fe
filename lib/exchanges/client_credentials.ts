import { requireVerbs } from '../options.ts'
import type { Resources } from '../resource/resources.ts'
import { allowedScope, requestedScope, type ScopeRules, scopeRules } from '../scope.ts'
import type { Tokens } from '../token/token_set.ts'
import { askContext, type ContextOption, requireContext, withMembers } from './context.ts'
import { type Exchange, requireGrant } from './exchange.ts'
import { requireResources } from './token_target.ts'

const GRANT_TYPE = 'client_credentials'

/**
 * The options of `createClientCredentialsExchange`.
 *
 * @inline
 */
export interface ClientCredentialsOptions extends ScopeRules, ContextOption {
  /** What `createTokens` returned. */
  readonly tokens: Tokens
  /**
   * The resources that tokens can be limited to (RFC 8707): what `createResources` returned. `resource` may then name some of
   * those in the client's record, or any if the record has none. Default: none, and `resource` has no effect.
   */
  readonly resources?: Resources | undefined
}

/**
 * RFC 6749 §4.4: an access token for the client itself, whose `sub` is the client. No session is kept and no refresh
 * token given. Without `scope` the client gets all it is registered for; a public client gets nothing, whatever
 * it is registered for.
 */
export function clientCredentials(options: ClientCredentialsOptions): Exchange {
  const { tokens, resources } = options
  requireResources(resources)
  const { context: contextHook } = options
  requireContext(contextHook)
  requireVerbs('tokens', tokens, ['issueForClient'])
  const rules = scopeRules(options)
  return {
    grantType: GRANT_TYPE,
    async run({ client, parameters, now, context, proof }) {
      const clientId = client.client_id
      requireGrant(client, GRANT_TYPE)
      const asked = requestedScope(allowedScope(client, rules), parameters['scope'], clientId, rules)
      const target = resources && (await resources.targetOfClient(parameters['resource'], asked, client))
      const { scope, audience } = target ?? { scope: asked, audience: undefined }
      const about = contextHook && { client, subject: clientId, scope, grantType: GRANT_TYPE, now }
      const members = about && (await askContext(contextHook, { ...context, ...about }))
      const special = { scope, audience, now, context, grantType: GRANT_TYPE, proof }
      return withMembers(await tokens.issueForClient(client, special), members)
    },
  }
}
