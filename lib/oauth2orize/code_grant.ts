import { scopeOf } from '../client.ts'
import { type Clock, systemClock } from '../clock.ts'
import { judgeChallenge, type PkcePolicy } from '../code/authorization_request.ts'
import { createCodes } from '../code/codes.ts'
import type { CodeStore } from '../code/store.ts'
import type { Consents } from '../consent/consents.ts'
import { asError, refusal } from '../errors.ts'
import type { Verbosity } from '../http/error_response.ts'
import { requireIssuer } from '../issuer.ts'
import { oneOf, requireFunction, requireVerbs } from '../options.ts'
import { formatScope, isScopeWithin, parseScope } from '../scope.ts'
import {
  askHook,
  askStore,
  requireOptionalFunctions,
  returnedWrong,
  type TimeLimitOptions,
  timeLimitOf,
  timeOf,
} from './application.ts'
import { type Oauth2orizeRequest, type ParametersRequest, parametersOf } from './authorization_parameters.ts'
import { type AuthorizationResponse, redirectError, sendToClient, VERBOSITIES } from './authorization_response.ts'
import { parseRequest } from './pkce_extension.ts'
import type { Oauth2orizeTransaction } from './transactions.ts'
import { type SubjectOf, subjectOfUser } from './user.ts'

/** What the session is to carry. */
type Extra = Readonly<Record<string, unknown>>

/** The options of `codeGrant`. */
export interface CodeGrantOptions<User = unknown> extends TimeLimitOptions {
  /** The issuer identifier of this server, for the `iss` response parameter (RFC 9207). */
  readonly issuer: string
  readonly codes: CodeStore
  /** Where what the user allows is remembered. Without it the user is asked every time. */
  readonly consents?: Pick<Consents, 'remember'> | undefined
  /** The user's subject identifier. Default: its `sub`, or else its `id`. */
  readonly subjectOf?: SubjectOf<User> | undefined
  /** The same as `validateAuthorization` has: no code is issued without the challenge it asks for. Default `'all'`. */
  readonly pkce?: PkcePolicy | undefined
  /** Seconds a code lives. Default 60, from 1 to 86 400. CharonOauth2: `grant_ttl`. */
  readonly codeLifetimeSeconds?: number | undefined
  /** Seconds a code is kept after its expiry, so that a replay is recognised. Default 1800. */
  readonly keepSpentCodeSeconds?: number | undefined
  /** What the session is to carry from here (`nonce`, `auth_time`, …): plain JSON. */
  readonly extra?:
    | ((transaction: { readonly request: Oauth2orizeRequest; readonly user: User }) => Extra | Promise<Extra>)
    | undefined
  /** How much of an error the client is told. Default `'normal'`: a fixed sentence. */
  readonly verbosity?: Verbosity | undefined
  readonly clock?: Clock | undefined
}

/**
 * A grant as `server.grant(…)` takes it: an object. The call signature is not there; it is declared because oauth2orize's
 * type declarations say that grants are functions.
 */
export interface Oauth2orizeGrant {
  (...parameters: unknown[]): void
  /** For all response types; the handlers look at the type themselves. */
  readonly name: '*'
  /** Reads a request. */
  request(request: ParametersRequest): Required<Oauth2orizeRequest>
  /** Answers one that the user has decided on. */
  response(
    transaction: Oauth2orizeTransaction,
    response: AuthorizationResponse,
    complete: (done: (error?: unknown) => void) => void,
    next: (error?: unknown) => void,
  ): void
  /** Redirects with an error that is the client's business. */
  error(
    error: unknown,
    transaction: Oauth2orizeTransaction,
    response: AuthorizationResponse,
    next: (error?: unknown) => void,
  ): void
}

/**
 * The grant that answers `response_type=code` (RFC 6749 §4.1.2): `server.grant(codeGrant({ … }))`. It reads requests with
 * `pkceRequestParser`, so no second registration is needed, and oauth2orize's checks on the response type, whose errors
 * never reach the client, are left to `validateAuthorization`.
 *
 * When the user has allowed the request it remembers the consent, issues a code and redirects, with `state` and `iss`.
 * `req.oauth2.res.scope`, where the application's decision sets it, is the granted scope, within the requested one.
 * Whatever fails before the redirect goes to `authorizationErrors`, or to oauth2orize's `authorizationErrorHandler()`.
 */
export function codeGrant<User = unknown>(options: CodeGrantOptions<User>): Oauth2orizeGrant {
  const { issuer, consents, subjectOf, extra, clock = systemClock } = options
  requireIssuer(issuer)
  if (consents !== undefined) requireVerbs('consents', consents, ['remember'])
  requireOptionalFunctions({ subjectOf, extra })
  requireFunction('clock', clock)
  const pkce = oneOf('pkce', options.pkce, 'all', ['all', 'public', 'optional'])
  const verbosity = oneOf('verbosity', options.verbosity, 'normal', VERBOSITIES)
  const milliseconds = timeLimitOf(options)
  const codes = createCodes({
    store: options.codes,
    ...(options.codeLifetimeSeconds === undefined ? {} : { codeLifetimeSeconds: options.codeLifetimeSeconds }),
    ...(options.keepSpentCodeSeconds === undefined ? {} : { keepSpentCodeSeconds: options.keepSpentCodeSeconds }),
  })

  async function issue(transaction: Oauth2orizeTransaction): Promise<string> {
    const { client, redirectURI, req: request = {}, user, res: decision = {} } = transaction
    if (client === undefined || redirectURI === undefined) {
      throw refusal('misconfigured', { detail: 'the transaction has no client or no redirect URI' })
    }
    const clientId = client.client_id
    if (decision.allow !== true)
      throw refusal('user_denied', { clientId, description: 'The user has denied the request.' })
    const { values } = parametersOf(request)
    const subject = await subjectOfUser(user, { subjectOf }, values, milliseconds)
    const codeChallenge = judgeChallenge(values, client, pkce)
    const scope = grantedScope(request, decision.scope)
    if (!isScopeWithin(scope, formatScope(parseScope(scopeOf(client)) ?? []))) {
      throw refusal('scope_exceeded', { clientId, detail: 'the client may no longer ask for it' })
    }
    // Consent that was only found is not given again: the user may be taking it back at this very moment.
    if (consents !== undefined && decision.remembered !== true)
      await askStore(milliseconds, () => consents.remember({ subject, clientId, scope }, { client }))
    const carried = extra && (await askHook('extra', milliseconds, () => extra({ request, user: user as User })))
    if (!isPlain(carried)) throw returnedWrong('extra', 'an object of plain JSON, or undefined')
    const permission = {
      subject,
      clientId,
      scope,
      redirectUri: redirectURI,
      redirectUriWasSent: values['redirect_uri'] !== undefined,
      codeChallenge,
      extra: carried,
    }
    const now = timeOf(clock)
    return askStore(milliseconds, () => codes.issue(permission, now))
  }

  const grant = {
    name: '*',
    request: parseRequest,
    // Four parameters: oauth2orize gives `complete` to such a handler only.
    response(transaction, response, complete, next) {
      if (transaction.req?.type !== 'code') {
        next()
        return
      }
      issue(transaction)
        .then((code) => {
          const answer = { code, state: stateOf(transaction), iss: issuer }
          complete((error) => {
            if (error) next(error)
            else sendToClient(response, transaction.redirectURI ?? '', answer)
          })
        })
        .catch((error: unknown) => next(asError(error)))
    },
    error(error, transaction, response, next) {
      if (!redirectError(error, transaction, response, { issuer, verbosity })) next(error)
    },
  } satisfies Pick<Oauth2orizeGrant, 'name' | 'request' | 'response' | 'error'>
  return grant as unknown as Oauth2orizeGrant
}

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
  const scope = values === undefined ? undefined : formatScope(values)
  if (scope === undefined || !isScopeWithin(scope, requested)) {
    throw refusal('scope_exceeded', { detail: 'the decision allows a scope that was not requested' })
  }
  return scope
}
