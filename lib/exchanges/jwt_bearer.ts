import type { Client, RequestContext } from '../client.ts'
import { answerOf, OAuthError, type Reason, refusal } from '../errors.ts'
import { requireFunction, requireVerbs, wholeNumber } from '../options.ts'
import { requiredParameter } from '../parameters.ts'
import { areResourceIndicators, MOST_RESOURCES } from '../resource/indicator.ts'
import type { Resources, TokenTarget } from '../resource/resources.ts'
import { allowedScope, registeredPart, registeredScope, requestedScope, type ScopeRules, scopeRules } from '../scope.ts'
import type { Tokens } from '../token/token_set.ts'
import { askContext, type ContextOption, requireContext, withMembers } from './context.ts'
import { type Exchange, requireGrant } from './exchange.ts'
import { requireResources } from './token_target.ts'

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const LONGEST_SECONDS = 86_400

/** An assertion about a user that an issuer signed, verified and not yet used up. */
export interface IdentityAssertion {
  readonly issuer: string
  readonly sub: string
  readonly claims: Readonly<Record<string, unknown>>
  /** Takes note that it is used. Rejects if it was used before. */
  spend(): Promise<void>
}

/** Verifies an assertion for a client. Rejects with an `OAuthError`. */
export type VerifyIdentityAssertion = (
  assertion: string,
  facts: { readonly client: Client; readonly now: number; readonly context: RequestContext },
) => Promise<IdentityAssertion>

/**
 * The options that say what an assertion is exchanged for.
 *
 * @inline
 */
export interface JwtBearerOptions extends ScopeRules, ContextOption {
  /** What `createTokens` returned. */
  readonly tokens: Tokens
  /**
   * Returns the user of this server that the issuer means, `undefined` if there is none. Find users by `issuer` and `sub`
   * together. An `email` is whatever the issuer lets it be, so finding users by it is taking over accounts.
   */
  readonly subjectOf: (facts: {
    /** The `iss` of the assertion: one of the trusted issuers. */
    readonly issuer: string
    /** The `sub` of the assertion: the user at that issuer. */
    readonly sub: string
    /** All claims of the assertion, verified. */
    readonly claims: Readonly<Record<string, unknown>>
    /** The authenticated client that presents the assertion. */
    readonly client: Client
  }) => string | undefined | null | Promise<string | undefined | null>
  /**
   * The resources that tokens can be limited to (RFC 8707): what `createResources` returned. The token is for those that the
   * assertion names, or the part of them that the parameter `resource` names. Of an assertion that names none, `resource` may
   * name those of the client's record, or any. Default: none; then an assertion that names resources is `invalid_target`.
   */
  readonly resources?: Resources | undefined
  /** Seconds an access token lives, at most as long as others. Default 300. */
  readonly accessTokenLifetimeSeconds?: number | undefined
}

const invalidGrant = (reason: Reason, clientId: string, detail: string): OAuthError =>
  new OAuthError('invalid_grant', { reason, clientId, detail })

/** Whether a claim `cnf` names this key, and nothing else (RFC 9449 §6.1). */
const isBoundTo = (cnf: unknown, thumbprint: string | undefined): boolean => {
  if (typeof cnf !== 'object' || cnf === null || thumbprint === undefined) return false
  return Object.keys(cnf).join() === 'jkt' && (cnf as { readonly jkt?: unknown }).jkt === thumbprint
}

/** The resources that the assertion names; `undefined` if it names none. */
function namedResources(claim: unknown, clientId: string): readonly string[] | undefined {
  if (claim === undefined) return undefined
  const list = Array.isArray(claim) ? claim : [claim]
  if (list.length > 0 && list.length <= MOST_RESOURCES && areResourceIndicators(list)) return list
  throw refusal('resource_malformed', {
    clientId,
    detail: `the claim resource must be an absolute URI without a fragment, or an array of 1 to ${MOST_RESOURCES}`,
  })
}

/**
 * RFC 7523 §2.1 for assertions about users (ID-JAG): an access token for the user whom the issuer means, for one of the
 * resources it names. No session is kept and no refresh token given: the client asks its issuer again.
 */
export function jwtBearer(options: JwtBearerOptions, verify: VerifyIdentityAssertion): Exchange {
  const { tokens, subjectOf, resources, context: contextHook } = options
  requireVerbs('tokens', tokens, ['issueForClient'])
  requireFunction('subjectOf', subjectOf)
  requireResources(resources)
  requireContext(contextHook)
  const rules = scopeRules(options)
  const longest = wholeNumber('accessTokenLifetimeSeconds', options.accessTokenLifetimeSeconds, 300, 1, LONGEST_SECONDS)
  const lifetimeSeconds = Math.min(longest, tokens.accessTokenLifetimeSeconds)

  const scopeFor = (client: Client, claim: unknown, parameter: string | undefined): string => {
    const clientId = client.client_id
    const registered = allowedScope(client, rules)
    const claimed = claim === undefined ? registered : typeof claim === 'string' ? registeredScope(claim) : undefined
    if (claimed === undefined) throw refusal('scope_malformed', { clientId, detail: 'the claim scope is malformed' })
    const granted = registeredPart(claimed, registered)
    if (granted === '' && claimed !== '')
      throw refusal('scope_exceeded', { clientId, detail: `expected a scope out of: ${registered || 'none'}` })
    return requestedScope(granted, parameter, clientId, rules)
  }

  /** What the token is limited to: the resources that the assertion names, or the part of them that the request names. */
  const targetOf = (
    named: readonly string[] | undefined,
    sent: string | undefined,
    scope: string,
    about: { readonly client: Client; readonly subject: string },
  ): TokenTarget | Promise<TokenTarget> => {
    if (named === undefined)
      return resources === undefined
        ? { scope, audience: undefined }
        : resources.targetOfClient(sent, scope, about.client)
    if (resources !== undefined) return resources.target(named, sent, scope, about)
    throw refusal('resource_unknown', {
      clientId: about.client.client_id,
      detail: 'the assertion is for resources, and the exchange has no option resources',
    })
  }

  return {
    grantType: GRANT_TYPE,
    async run({ client, parameters, now, context, proof }) {
      const clientId = client.client_id
      requireGrant(client, GRANT_TYPE, false)
      const assertion = await verify(requiredParameter(parameters, 'assertion'), { client, now, context })
      const { issuer, sub, claims } = assertion
      if (claims['client_id'] !== clientId)
        throw invalidGrant('client_id_mismatch', clientId, 'the assertion was issued to another client')
      if (claims['authorization_details'] !== undefined)
        throw invalidGrant('client_rejected', clientId, 'the claim authorization_details is not supported here')
      if (claims['cnf'] !== undefined && !isBoundTo(claims['cnf'], proof?.thumbprint))
        throw invalidGrant(
          'client_rejected',
          clientId,
          'the assertion is bound to a key that the request does not prove',
        )
      if (parameters['authorization_details'] !== undefined)
        throw refusal('parameter_malformed', { clientId, detail: 'authorization_details is not supported here' })
      const named = namedResources(claims['resource'], clientId)
      const granted = scopeFor(client, claims['scope'], parameters['scope'])
      const subject: unknown = await answerOf(() => subjectOf({ issuer, sub, claims, client }))
      if (subject === undefined || subject === null)
        throw invalidGrant('assertion_subject_malformed', clientId, 'subjectOf found no user for the assertion')
      if (typeof subject !== 'string' || subject === '')
        throw refusal('misconfigured', { clientId, detail: 'subjectOf must return a non-empty string or undefined' })
      const target = await targetOf(named, parameters['resource'], granted, { client, subject })
      const about = { client, subject, scope: target.scope, grantType: GRANT_TYPE, now }
      const members = contextHook && (await askContext(contextHook, { ...context, ...about }))
      await assertion.spend()
      const { scope, audience } = target
      const special = { scope, audience, now, context, grantType: GRANT_TYPE, subject, lifetimeSeconds, proof }
      const issued = await tokens.issueForClient(client, special)
      return withMembers(issued, members)
    },
  }
}
