import { type Client, grantTypesOf, isPublicClient, redirectUrisOf } from '../client.ts'
import type { Dpop } from '../dpop/dpop.ts'
import { type OAuthError, refusal } from '../errors.ts'
import type { FormParameters } from '../parameters.ts'
import { allowedScope, parseScope, registeredPart, requestedScope, type ScopeRules } from '../scope.ts'
import { isCodeChallenge } from './code_challenge.ts'
import { checkPrompt } from './prompt.ts'
import { isSameRedirectUri, isUsableRedirectUri, type RedirectUriRules } from './redirect_uri.ts'

/**
 * For whom PKCE is required (RFC 7636, RFC 9700 §2.1.1): for all clients, for public clients, or for none. Where it is
 * not required it may be used, and is then enforced at the token endpoint. `S256` is the only method, `plain` never is.
 */
export type PkcePolicy = 'all' | 'public' | 'optional'

/** What an authorization request may ask for. */
export interface AuthorizationRules extends RedirectUriRules, ScopeRules {
  /** Default `'all'`. */
  readonly pkce?: PkcePolicy | undefined
  /** All scope values this server knows. Default: whatever clients are registered for. */
  readonly scopesSupported?: readonly string[] | undefined
  /** What a request without `scope` asks for: all the client is registered for (default), or nothing but an error. */
  readonly missingScope?: 'registered' | 'refuse' | undefined
  /**
   * What happens to requested scope values that the client may not ask for: the request is refused with `invalid_scope`
   * (default), or they are left out (RFC 6749 §3.3). The token response then names the scope that was granted.
   */
  readonly excessScope?: 'refuse' | 'narrow' | undefined
  /**
   * Response types that grants of the application serve in addition to `code`: `['token']`. Default: none. PKCE is required
   * only for types that contain `code`.
   */
  readonly responseTypes?: readonly string[] | undefined
  /**
   * Binds codes to the key that the parameter `dpop_jkt` names (RFC 9449 §10): what `createDpop` returned, which the token
   * endpoint must have as well. Default: the parameter is ignored.
   */
  readonly dpop?: Dpop | undefined
}

/** The parameters that the authorization endpoint judges: each may be sent once. */
export const JUDGED_PARAMETERS: readonly string[] = [
  'response_type',
  'client_id',
  'redirect_uri',
  'scope',
  'state',
  'code_challenge',
  'code_challenge_method',
  'response_mode',
  'nonce',
  'prompt',
  'max_age',
  'login_hint',
  'dpop_jkt',
]

/** The parameters of an authorization request as they were sent (RFC 6749 §4.1.1). What was sent empty is absent. */
export interface AuthorizationParameters {
  /** The value of each parameter that was sent once. */
  readonly values: FormParameters
  /** Names of parameters that were repeated, bracketed or not text; they have no value here. */
  readonly unsound: readonly string[]
}

/** A sound request, with everything that depends on the client filled in. */
export interface AuthorizationRequest {
  readonly redirectUri: string
  readonly redirectUriWasSent: boolean
  /** Sorted, separated by single spaces; '' for none. */
  readonly scope: string
  readonly codeChallenge: string | undefined
  /** The thumbprint of the key that must redeem the code. */
  readonly keyThumbprint?: string | undefined
  /** The registered URIs of the resources it is for; absent for none. */
  readonly resources?: readonly string[] | undefined
}

/** The redirect URI of a request, or the error to show to the person: nothing is known yet that is safe to redirect to. */
export type RedirectTarget =
  | { readonly redirectUri: string; readonly redirectUriWasSent: boolean }
  | { readonly refused: OAuthError }

const unsoundError = (name: string, clientId: string | undefined) =>
  refusal('parameter_malformed', {
    clientId,
    description: `The parameter ${name} is repeated or malformed.`,
    detail: `${name} must be sent once, as plain text`,
  })

const missingError = (name: string, clientId: string | undefined) =>
  refusal('parameter_missing', { clientId, description: `The parameter ${name} is missing.` })

/** The `client_id` of a request. Throws an `OAuthError` to show to the person: whom to send it to is not known. */
export function requestedClientId({ values, unsound }: AuthorizationParameters): string {
  if (unsound.includes('client_id')) throw unsoundError('client_id', undefined)
  const clientId = values['client_id']
  if (clientId === undefined) throw missingError('client_id', undefined)
  return clientId
}

const FREE_PORTS = 'http://127.0.0.1 and http://[::1] (of http://localhost for application_type native)'

/** The refusal of a client that is registered for no grant of this endpoint; `undefined` for any other client. */
export function grantRefusal(client: Client): OAuthError | undefined {
  const grantTypes = grantTypesOf(client)
  if (grantTypes.includes('authorization_code') || grantTypes.includes('implicit')) return undefined
  const detail = 'the client lacks authorization_code'
  return refusal('grant_type_not_registered', { clientId: client.client_id, detail })
}

/**
 * Where the response to a request may go: the `redirect_uri` it carries if the client registered it, or the only one the
 * client has. Never a URI that is not registered, nor a registered one that the rules do not allow (RFC 6749 §3.1.2.4).
 * Without such a URI, a client without a grant for it is refused for that: it had no reason to register one.
 */
export function redirectTarget(
  parameters: AuthorizationParameters,
  client: Client,
  rules: RedirectUriRules = {},
): RedirectTarget {
  const target = findTarget(parameters, client, rules)
  const refused = 'refused' in target ? grantRefusal(client) : undefined
  return refused === undefined ? target : { refused }
}

function findTarget(
  { values, unsound }: AuthorizationParameters,
  client: Client,
  rules: RedirectUriRules,
): RedirectTarget {
  const clientId = client.client_id
  if (unsound.includes('redirect_uri')) return { refused: unsoundError('redirect_uri', clientId) }
  const sent = values['redirect_uri']
  const registered = redirectUrisOf(client)
  const only = registered.length === 1 ? registered[0] : undefined
  if (sent === undefined && only === undefined) return { refused: missingError('redirect_uri', clientId) }
  const redirectUri = sent ?? only ?? ''
  const isNative = client.application_type === 'native'
  const matches = registered.some((each) => isSameRedirectUri(redirectUri, each, isNative))
  if (!matches || !isUsableRedirectUri(redirectUri, rules)) {
    return {
      refused: refusal('redirect_uri_not_registered', {
        clientId,
        description: matches
          ? 'This server does not redirect to this URI, although it is registered: it must be https, http on a loopback address, or of an allowed scheme.'
          : 'The redirect URI is not one that the application has registered.',
        detail: matches
          ? 'the redirect_uri is registered, but it is neither https, nor http on a loopback address, nor of a scheme in the option privateUseSchemes'
          : `the redirect_uri must equal a registered one; only the port of ${FREE_PORTS} is free`,
      }),
    }
  }
  return { redirectUri, redirectUriWasSent: sent !== undefined }
}

/** Whether a response type asks for an authorization code, alone or with others. */
export const asksForCode = (type: string | undefined): boolean => (type ?? '').split(' ').includes('code')

/** The values of a response type in one order: `token code` is `code token` (RFC 6749 §3.1.1). */
const inOrder = (type: string): string => type.split(' ').sort().join(' ')

/**
 * Everything about a request that the client may be told by redirect (RFC 6749 §4.1.2.1), in this order: parameters
 * repeated or malformed, response type, the client's grant types, prompt, response mode, scope, PKCE. Rejects by throwing an
 * `OAuthError`. Does not judge the client id and redirect URI, which `redirectTarget` did before.
 */
export function judgeAuthorizationRequest(
  parameters: AuthorizationParameters,
  client: Client,
  target: { readonly redirectUri: string; readonly redirectUriWasSent: boolean },
  rules: AuthorizationRules = {},
): AuthorizationRequest {
  const { values, unsound } = parameters
  const clientId = client.client_id
  const [first] = unsound
  if (first !== undefined) throw unsoundError(first, clientId)
  judgeResponseType(values['response_type'], client, rules)
  checkPrompt(values, clientId)
  const mode = values['response_mode']
  if (mode !== undefined && mode !== 'query' && values['response_type'] === 'code') {
    throw refusal('response_mode_unsupported', { clientId, detail: 'response_mode must be query, or absent' })
  }
  const scope = judgeScope(values['scope'], client, rules)
  const codeChallenge = asksForCode(values['response_type']) ? judgeChallenge(values, client, rules.pkce) : undefined
  const keyThumbprint = rules.dpop === undefined ? undefined : judgeThumbprint(values, clientId)
  return { ...target, scope, codeChallenge, ...(keyThumbprint === undefined ? undefined : { keyThumbprint }) }
}

function judgeResponseType(type: string | undefined, client: Client, rules: AuthorizationRules): void {
  const clientId = client.client_id
  if (type === undefined) throw missingError('response_type', clientId)
  const offered = ['code', ...(rules.responseTypes ?? [])]
  if (!offered.some((each) => inOrder(each) === inOrder(type))) {
    throw refusal('response_type_unsupported', { clientId, detail: `offered: ${offered.join(', ')}` })
  }
  const grantTypes = grantTypesOf(client)
  if (grantTypes.includes('authorization_code')) return
  if (asksForCode(type)) {
    throw refusal('grant_type_not_registered', { clientId, detail: 'the client lacks authorization_code' })
  }
  if (!grantTypes.includes('implicit')) {
    throw refusal('grant_type_not_registered', { clientId, detail: 'the client lacks implicit' })
  }
}

/** The scope a client may ask for: what it is registered for or else the default, as far as the server offers it. */
export function offeredScope(client: Client, rules: AuthorizationRules): string {
  const allowed = allowedScope(client, rules)
  const { scopesSupported } = rules
  return scopesSupported ? registeredPart(allowed, scopesSupported.join(' ')) : allowed
}

function judgeScope(sent: string | undefined, client: Client, rules: AuthorizationRules): string {
  const clientId = client.client_id
  // Nothing but separators is as good as absent.
  if (rules.missingScope === 'refuse' && parseScope(sent ?? '', rules)?.length === 0) {
    throw missingError('scope', clientId)
  }
  return requestedScope(offeredScope(client, rules), sent, clientId, rules, rules.excessScope)
}

/** SHA-256 in base64url. */
const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/

/** The thumbprint in `dpop_jkt` of a request, or `undefined` where there is none. Throws an `OAuthError`. */
export function judgeThumbprint(values: FormParameters, clientId: string): string | undefined {
  const thumbprint = values['dpop_jkt']
  if (thumbprint === undefined || THUMBPRINT.test(thumbprint)) return thumbprint
  throw refusal('parameter_malformed', {
    clientId,
    description: 'The parameter dpop_jkt must be 43 characters of base64url.',
    detail: `got ${thumbprint.length} characters`,
  })
}

/** The challenge of a request, or `undefined` where there is none and none is required. Throws an `OAuthError`. */
export function judgeChallenge(values: FormParameters, client: Client, pkce: PkcePolicy = 'all'): string | undefined {
  const clientId = client.client_id
  const challenge = values['code_challenge']
  const method = values['code_challenge_method']
  if (challenge === undefined) {
    if (method !== undefined) throw missingError('code_challenge', clientId)
    if (pkce === 'all' || (pkce === 'public' && isPublicClient(client))) {
      throw refusal('pkce_required', {
        clientId,
        description: 'The parameter code_challenge is missing (PKCE is required).',
      })
    }
    return undefined
  }
  if (method !== 'S256') {
    throw refusal('code_challenge_method_unsupported', {
      clientId,
      description: 'The parameter code_challenge_method must be S256.',
      detail: method === undefined ? 'it is missing, which means plain' : 'got another method',
    })
  }
  if (!isCodeChallenge(challenge)) {
    throw refusal('code_challenge_malformed', {
      clientId,
      description: 'The parameter code_challenge must be 43 characters of base64url.',
    })
  }
  return challenge
}
