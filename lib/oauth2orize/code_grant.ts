import type { Client } from '../client.ts'
import { recordProblem } from '../client_lookup.ts'
import { type Clock, systemClock } from '../clock.ts'
import { judgeChallenge, judgeThumbprint, offeredScope } from '../code/authorization_request.ts'
import type { CodeStore } from '../code/code_store.ts'
import { createCodes } from '../code/codes.ts'
import type { Consents } from '../consent/consents.ts'
import { asError, type OAuthError, refusal } from '../errors.ts'
import { askHook, returnedWrong, timeOf } from '../hooks.ts'
import type { Verbosity } from '../http/error_response.ts'
import { requireIssuer } from '../issuer.ts'
import { checkOptions, oneOf, optionNames, requireFunction, requireVerbs } from '../options.ts'
import type { FormParameters } from '../parameters.ts'
import type { PushedRequests } from '../pushed/pushed_requests.ts'
import { formatScope, isScopeWithin, parseScope, scopeRules } from '../scope.ts'
import { askStore, callInTime, requireOptionalFunctions, type TimeLimitOptions, timeLimitOf } from './application.ts'
import { type Oauth2orizeRequest, type ParametersRequest, parametersOf } from './authorization_parameters.ts'
import { type AuthorizationResponse, redirectError, sendToClient, VERBOSITIES } from './authorization_response.ts'
import type { ValidateAuthorizationOptions } from './authorize.ts'
import { checkDpop } from './dpop_option.ts'
import { parseRequest } from './pkce_extension.ts'
import { pkcePolicyFor, pkceRule } from './pkce_policy.ts'
import { createPushedParser } from './pushed_parser.ts'
import type { RepeatedForms } from './repeated_forms.ts'
import { sentFormOf } from './sent_form.ts'
import type { Oauth2orizeTransaction } from './transactions.ts'
import { type SubjectOf, subjectOfUser } from './user.ts'

/** What your hook `extra` adds to the session. */
type Extra = Readonly<Record<string, unknown>>

/**
 * The options of `createCodeGrant`. An option that `validateAuthorization` has too must have the same value there,
 * because the request is checked again before its code is issued.
 *
 * @inline
 */
export interface CodeGrantOptions<User = unknown>
  extends TimeLimitOptions,
    Pick<ValidateAuthorizationOptions, 'pkce' | 'dpop' | 'defaultScope' | 'resources'> {
  /** The issuer identifier of this server, for the `iss` response parameter (RFC 9207). */
  readonly issuer: string
  /** The store of authorization codes. Pass the same store to the authorization code exchange. */
  readonly codes: CodeStore
  /** Remembers what the user allows. Default: consent is not remembered, and the user is asked every time. */
  readonly consents?: Pick<Consents, 'remember'> | undefined
  /** Returns the subject identifier of a user. Default: `user.sub`, or `user.id` if there is no `sub`. */
  readonly subjectOf?: SubjectOf<User> | undefined
  /** Seconds for which a code is valid, 1 to 86400. Default 60. CharonOauth2: `grant_ttl`. */
  readonly codeLifetimeSeconds?: number | undefined
  /** Seconds for which a code is kept after it expires, so that a replay is detected; 0 to 31536000. Default 1800. */
  readonly keepSpentCodeSeconds?: number | undefined
  /** Returns data that the session keeps, such as `nonce` or `auth_time`: a plain JSON object. Default: none. */
  readonly extra?:
    | ((transaction: {
        /** The authorization request. */
        readonly request: Oauth2orizeRequest
        /** The user who allowed the request: `req.user` of Passport. */
        readonly user: User
      }) => Extra | Promise<Extra>)
    | undefined
  /** How much detail error responses contain: `minimal`, `normal` (a fixed sentence) or `debug`. Default `normal`. */
  readonly verbosity?: Verbosity | undefined
  /** Returns the current time in epoch seconds. Default: the system clock. */
  readonly clock?: Clock | undefined
}

/** The names of the options, for the constructors that have them all. */
export const GRANT_OPTIONS = optionNames<CodeGrantOptions>({
  issuer: true,
  codes: true,
  consents: true,
  subjectOf: true,
  pkce: true,
  defaultScope: true,
  dpop: true,
  resources: true,
  codeLifetimeSeconds: true,
  keepSpentCodeSeconds: true,
  extra: true,
  verbosity: true,
  clock: true,
  timeoutMilliseconds: true,
})

/**
 * A grant for `server.grant(…)`. It is an object and cannot be called. The call signature is declared only because
 * oauth2orize's type declarations require functions.
 */
export interface Oauth2orizeGrant {
  (...parameters: unknown[]): void
  /** The grant is registered for all response types; its handlers check the type themselves. */
  readonly name: '*'
  /**
   * Parses a request and returns it. With the option `pushed` of `createAuthorizationSide`, it calls `done` instead.
   */
  request(
    request: ParametersRequest,
    done?: (error: Error | null, request?: Oauth2orizeRequest) => void,
  ): Oauth2orizeRequest | undefined
  /** Responds to a request that the user has decided on. */
  response(
    transaction: Oauth2orizeTransaction,
    response: AuthorizationResponse,
    complete: (done: (error?: unknown) => void) => void,
    next: (error?: unknown) => void,
  ): void
  /** Redirects an error to the client if the client may receive it; passes all other errors to `next`. */
  error(
    error: unknown,
    transaction: Oauth2orizeTransaction,
    response: AuthorizationResponse,
    next: (error?: unknown) => void,
  ): void
}

/**
 * Creates the grant that responds to `response_type=code` (RFC 6749 §4.1.2): `server.grant(createCodeGrant({ … }))`. It
 * contains the parser of `createRequestParser`, so you need no second registration. `validateAuthorization` checks the
 * response type, because oauth2orize's errors about it never reach the client.
 *
 * When the user allows the request, the grant remembers the consent, issues a code, and redirects with `state` and
 * `iss`. If your decision sets `req.oauth2.res.scope`, that scope is granted; it must be within the requested scope.
 *
 * A denial, and any error before the redirect that the client may receive, is redirected too. You need no error handler
 * for these. All other errors go to `respondWithAuthorizationError`, or to oauth2orize's `authorizationErrorHandler()`.
 *
 * Throws a `TypeError` if an option is unknown or invalid.
 *
 * @example
 * ```ts
 * import { createCodeGrant } from 'passport-client-assertion-jwt/oauth2orize'
 *
 * const server = oauth2orize.createServer({ store: transactions })
 * server.grant(createCodeGrant({ issuer, codes, consents }))
 * ```
 */
export function createCodeGrant<User = unknown>(options: CodeGrantOptions<User>): Oauth2orizeGrant {
  checkOptions('createCodeGrant', options, GRANT_OPTIONS)
  return createGrant(options)
}

/** What the authorization side adds. */
interface GrantSide {
  readonly pushed?: PushedRequests | undefined
  readonly repeatedForms?: RepeatedForms | undefined
}

/** `createCodeGrant` for options that may have more names. */
export function createGrant<User>(options: CodeGrantOptions<User> & GrantSide): Oauth2orizeGrant {
  const { issuer, consents, subjectOf, extra, defaultScope, dpop, resources, clock = systemClock } = options
  const { pushed, repeatedForms } = options
  requireIssuer(issuer)
  checkDpop(dpop)
  if (consents !== undefined) requireVerbs('consents', consents, ['remember'])
  if (resources !== undefined) requireVerbs('resources', resources, ['request', 'confirm'])
  requireOptionalFunctions({ subjectOf, extra })
  requireFunction('clock', clock)
  scopeRules({ defaultScope })
  const rule = pkceRule(options.pkce)
  const verbosity = oneOf('verbosity', options.verbosity, 'normal', VERBOSITIES)
  const milliseconds = timeLimitOf(options)
  const codes = createCodes({
    store: options.codes,
    issuer,
    ...(options.codeLifetimeSeconds === undefined ? {} : { codeLifetimeSeconds: options.codeLifetimeSeconds }),
    ...(options.keepSpentCodeSeconds === undefined ? {} : { keepSpentCodeSeconds: options.keepSpentCodeSeconds }),
  })

  async function issue(transaction: Oauth2orizeTransaction): Promise<string> {
    const { client, redirectURI, req: request = {}, user, res: decision = {} } = transaction
    if (client === undefined || redirectURI === undefined) {
      throw refusal('misconfigured', { detail: 'the transaction has no client or no redirect URI' })
    }
    const form = sentFormOf(request)
    if (decision.allow !== true) {
      await spendPushed(request, client)
      if (form !== undefined) await repeatedForms?.recordDenial(form)
      throw refusal('user_denied', { clientId: client.client_id, description: 'The user has denied the request.' })
    }
    const { values } = parametersOf(request)
    checkClient(client, values)
    const clientId = client.client_id
    const subject = await subjectOfUser(user, { subjectOf }, values, milliseconds)
    const codeChallenge = judgeChallenge(values, client, await pkcePolicyFor(rule, client, milliseconds))
    const scope = grantedScope(request, decision.scope)
    if (!isScopeWithin(scope, offeredScope(client, { defaultScope }))) {
      throw refusal('scope_exceeded', { clientId, detail: 'the client may no longer request this scope' })
    }
    const bound = await boundResources(request, scope, client, subject)
    const carried = extra && (await askHook('extra', milliseconds, () => extra({ request, user: user as User })))
    if (!isPlain(carried)) throw returnedWrong('extra', 'an object of plain JSON, or undefined')
    const now = timeOf(clock)
    // Consent that was only found is not given again: the user may be taking it back at this very moment.
    if (consents !== undefined && decision.remembered !== true)
      await askStore(milliseconds, () => consents.remember({ subject, clientId, scope, ...bound }, { client }))
    const permission = {
      subject,
      clientId,
      scope,
      redirectUri: redirectURI,
      redirectUriWasSent: values['redirect_uri'] !== undefined,
      codeChallenge,
      keyThumbprint: dpop === undefined ? undefined : judgeThumbprint(values, clientId),
      extra: carried,
      ...bound,
    }
    await spendPushed(request, client)
    const code = form && repeatedForms?.codeOf(form)
    return askStore(milliseconds, () => codes.issue(permission, now, code))
  }

  /** What the request was judged to be for, if the server still knows it. Other validate functions than ours judge nothing. */
  async function boundResources(request: Oauth2orizeRequest, scope: string, client: Client, subject: string) {
    const { resources: judged } = request
    if (resources === undefined) {
      if (judged === undefined) return undefined
      throw refusal('misconfigured', { detail: 'the request is for resources, but the option resources is not set' })
    }
    const context = { client, subject }
    if (judged !== undefined) {
      await askStore(milliseconds, () => resources.confirm(judged, context))
      return { resources: judged }
    }
    const sent = parametersOf(request).values['resource']
    const asked = await askStore(milliseconds, () => resources.request(sent, scope, context))
    return asked.length === 0 ? undefined : { resources: asked }
  }

  /** For requests that no form of ours was made of, because the user had allowed them before: those are used up here. */
  async function spendPushed({ pushedRequest }: Oauth2orizeRequest, { client_id: clientId }: Client): Promise<void> {
    if (pushedRequest === undefined) return
    if (pushed === undefined) {
      throw refusal('misconfigured', { clientId, detail: 'the request was pushed, but the option pushed is not set' })
    }
    await askStore(milliseconds, () => pushed.spend(pushedRequest, clientId))
  }

  const grant = {
    name: '*',
    request: pushed === undefined ? parseRequest : createPushedParser(pushed, clock, milliseconds),
    // Four parameters: oauth2orize gives `complete` to such a handler only.
    response(transaction, response, complete, next) {
      if (transaction.req?.type !== 'code') {
        next()
        return
      }
      respond(transaction, response, complete).catch((error: unknown) => {
        // Not every application has an error handler behind the decision: the oauth2orize examples have none.
        if (!redirectError(error, transaction, response, { issuer, verbosity })) next(asError(error))
      })
    },
    error(error, transaction, response, next) {
      if (!redirectError(error, transaction, response, { issuer, verbosity })) next(error)
    },
  } satisfies Pick<Oauth2orizeGrant, 'name' | 'response' | 'error'> & { readonly request: unknown }

  async function respond(
    transaction: Oauth2orizeTransaction,
    response: AuthorizationResponse,
    complete: (done: (error?: unknown) => void) => void,
  ): Promise<void> {
    const code = await issue(transaction)
    await callInTime(milliseconds, complete)
    if (response.headersSent) return // the application has responded itself
    sendToClient(response, transaction.redirectURI ?? '', { code, state: stateOf(transaction), iss: issuer })
  }

  return grant as unknown as Oauth2orizeGrant
}

/**
 * Throws unless the client of a transaction is the record that the request was made for. oauth2orize's own session store
 * brings what `deserializeClient` returned.
 */
function checkClient(client: Client, values: FormParameters): void {
  const problem = clientProblem(client, values['client_id'])
  if (problem !== undefined) throw wrongClient(problem)
}

function clientProblem(client: unknown, requested: string | undefined): string | undefined {
  const { client_id: clientId } = Object(client) as Partial<Client>
  if (typeof clientId !== 'string' || clientId === '') return 'it has no client_id'
  if (requested !== undefined && clientId !== requested) return 'its client_id is not the one of the request'
  return recordProblem(client)
}

const wrongClient = (problem: string): OAuthError =>
  refusal('misconfigured', {
    detail: `the client of the transaction is wrong: ${problem}. If oauth2orize keeps transactions in the session, deserializeClient must return the record that findClient returns, with client_id`,
  })

const stateOf = ({ req }: Oauth2orizeTransaction): string | undefined => parametersOf(req ?? {}).values['state']

/** Whether the session can carry it: an object whose JSON can be stored; absent is fine. */
function isPlain(extra: unknown): boolean {
  if (extra === undefined || extra === null) return true
  if (typeof extra !== 'object' || Array.isArray(extra)) return false
  try {
    return JSON.stringify(extra).startsWith('{')
  } catch {
    return false // BigInt, or a circle
  }
}

/** The scope the user allowed: what the application says, within what was requested; by default all of that. */
function grantedScope(request: Oauth2orizeRequest, decided: unknown): string {
  const requested = formatScope(parseScope((request.scope ?? []).join(' ')) ?? [])
  if (decided === undefined) return requested
  const text = Array.isArray(decided) ? decided.join(' ') : decided
  const values = typeof text === 'string' ? parseScope(text) : undefined
  if (values === undefined) {
    throw refusal('misconfigured', {
      detail: 'the scope of the decision must be scope values, as a string or an array',
    })
  }
  const scope = formatScope(values)
  if (!isScopeWithin(scope, requested)) {
    throw refusal('scope_exceeded', { detail: 'the decision allows a scope that was not requested' })
  }
  return scope
}
