import type { RequestContext } from '../client.ts'
import { refusal } from '../errors.ts'
import { callHook } from '../hooks.ts'
import { isIssuer, requireIssuer, warnOfInsecureIssuer } from '../issuer.ts'
import { badOption } from '../options.ts'
import type { Check, ServerNames } from './attempt.ts'
import { isTyped } from './header.ts'
import { type AssertionRules, isTextList, type RuleOptions, type ServerName } from './rules.ts'

const isName = (value: unknown): value is string =>
  typeof value === 'string' && URL.canParse(value) && !value.includes('#')

function checkName(option: string, value: ServerName | undefined): void {
  if (value === undefined || typeof value === 'function' || isName(value)) return
  throw badOption(option, 'an absolute URL without a fragment, or a function that returns one', value)
}

/** The issuer of a request. A function is the application's: what it returns is checked each time. */
function issuerOf(name: ServerName, context: RequestContext): string {
  if (typeof name !== 'function') return name
  const value = callHook<string>('issuer', () => name(context), isIssuer, 'an issuer identifier at once')
  warnOfInsecureIssuer(value)
  return value
}

function named(option: string, name: ServerName | undefined, context: RequestContext): string | undefined {
  if (typeof name !== 'function') return name
  return callHook(option, () => name(context), isName, 'an absolute URL at once')
}

function namesFor(options: RuleOptions, rules: AssertionRules, context: RequestContext): ServerNames {
  const issuer = issuerOf(options.issuer, context)
  const { audience } = options
  if (audience !== undefined) {
    const listed =
      typeof audience === 'function'
        ? callHook<readonly string[]>('audience', () => audience(context), isTextList, 'an array of strings at once')
        : audience
    return { issuer, audiences: listed, typedAudiences: listed, takesEndpoint: false }
  }
  const audiences = [issuer]
  const add = (name: string | undefined): void => {
    if (name !== undefined) audiences.push(name)
  }
  if (rules.addressedTo !== 'issuer') add(named('tokenEndpoint', options.tokenEndpoint, context))
  if (rules.addressedTo === 'pushed_authorization_request_endpoint')
    add(named('pushedAuthorizationRequestEndpoint', options.pushedAuthorizationRequestEndpoint, context))
  return {
    issuer,
    audiences,
    typedAudiences: rules.typNarrowsAudience ? [issuer] : audiences,
    takesEndpoint: rules.addressedTo !== 'issuer',
  }
}

/**
 * What this server may be called in `aud` (RFC 7523 §3 point 3, RFC 10070 §4), from configuration alone, never from
 * the request's `Host`. Computed once, unless an option is a function. Throws a `TypeError` for an option that is not possible.
 */
export function serverNames(options: RuleOptions, rules: AssertionRules): (context: RequestContext) => ServerNames {
  if (typeof options.issuer !== 'function') requireIssuer(options.issuer)
  checkName('tokenEndpoint', options.tokenEndpoint)
  checkName('pushedAuthorizationRequestEndpoint', options.pushedAuthorizationRequestEndpoint)
  if (options.audience !== undefined && typeof options.audience !== 'function' && !isTextList(options.audience))
    throw badOption('audience', 'a non-empty array of strings, or a function that returns one', options.audience)
  const perRequest = [
    options.issuer,
    options.tokenEndpoint,
    options.pushedAuthorizationRequestEndpoint,
    options.audience,
  ].some((name) => typeof name === 'function')
  if (perRequest) return (context) => namesFor(options, rules, context)
  const names = namesFor(options, rules, {})
  return () => names
}

/**
 * `aud` names this server, byte for byte (RFC 3986 §6.2.1): no slash, case, port or percent-encoding is evened out.
 */
function checkAudience(
  aud: unknown,
  form: AssertionRules['audienceForm'],
  accepted: readonly string[],
  endpoint: string | undefined,
): void {
  const isAccepted = (value: unknown): boolean =>
    typeof value === 'string' && (accepted.includes(value) || (endpoint !== undefined && value === endpoint))
  if (typeof aud === 'string') {
    if (isAccepted(aud)) return
  } else if (Array.isArray(aud) && form === 'sole') {
    if (aud.length === 1 && isAccepted(aud[0])) return
  } else if (Array.isArray(aud) && form === 'containing') {
    if (aud.every((each) => typeof each === 'string') && aud.some(isAccepted)) return
  }
  const expected = endpoint === undefined ? accepted : [...accepted, endpoint]
  const wanted = `${form === 'string' ? 'the string' : form === 'sole' ? 'only' : 'among others'} ${expected.join(' or ')}`
  throw refusal('assertion_audience_mismatch', { detail: `expected aud to be ${wanted}, got ${shown(aud)}` })
}

const shown = (aud: unknown): string => (aud === undefined ? 'none' : JSON.stringify(aud).slice(0, 300))

export const AUDIENCE_CHECK: Check = {
  name: 'aud',
  title: 'aud names this server',
  needs: ['envelope'],
  run(attempt) {
    const { parts, context, rules, audience } = attempt
    const { claims, header } = attempt.envelope
    const names = parts.namesFor(context)
    attempt.names = names
    const narrowed = rules.typNarrowsAudience && isTyped(header)
    const accepted = audience ?? (narrowed ? names.typedAudiences : names.audiences)
    const another = audience === undefined && names.takesEndpoint && !narrowed ? context.endpoint : undefined
    checkAudience(claims.aud, rules.audienceForm, accepted, another)
  },
  report: ({ envelope }) => JSON.stringify(envelope.claims['aud']),
}
