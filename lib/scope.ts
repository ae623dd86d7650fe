import type { Client } from './client.ts'
import { refusal } from './errors.ts'
import { readOptional } from './optional.ts'
import { badOption, booleanOption } from './options.ts'

// RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ), separated by single spaces.
const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/** A longer scope is nobody's: it is refused before work is put into it. */
const MOST_CHARACTERS = 8192

/** How the `scope` parameters of requests are read. */
export interface ScopeRules {
  /**
   * Whether `read,write` in a request is two values, as CharonOauth2 has it, and not one. Default false: RFC 6749 §3.3
   * has spaces only, and a comma belongs to the value. Scopes that are registered or stored are separated by spaces in
   * either case, and so is the response; a value that contains a comma cannot be requested then.
   */
  readonly commaSeparatesScope?: boolean | undefined
  /** The scope of clients whose record has no `scope`, separated by spaces. Default: none. The same on all sides. */
  readonly defaultScope?: string | undefined
}

/** The checked rules among the options of something that reads `scope` parameters. */
export const scopeRules = ({ commaSeparatesScope, defaultScope }: ScopeRules): ScopeRules => {
  if (defaultScope !== undefined && (typeof defaultScope !== 'string' || parseScope(defaultScope) === undefined))
    throw badOption('defaultScope', 'scope values separated by spaces', defaultScope)
  return { commaSeparatesScope: booleanOption('commaSeparatesScope', commaSeparatesScope, false), defaultScope }
}

/**
 * The scope values of a `scope` parameter, sorted and without repeats. Runs of spaces count as one separator, nothing
 * else separates unless the rules say so. `undefined` when a value holds a character that RFC 6749 §3.3 does not allow,
 * and for more than 8192 characters.
 */
export function parseScope(scope: string, rules: ScopeRules = {}): string[] | undefined {
  if (scope.length > MOST_CHARACTERS) return undefined
  const spaced = rules.commaSeparatesScope === true ? scope.replaceAll(',', ' ') : scope
  if (SCOPE_TOKEN.test(spaced)) return [spaced] // one value, as most requests have it
  const values = new Set<string>()
  for (const value of spaced.split(' ')) {
    if (value === '') continue
    if (!SCOPE_TOKEN.test(value)) return undefined
    values.add(value)
  }
  return [...values].sort()
}

/** Whether a value is an array of single scope values. */
export const isScopeList = (values: unknown): values is readonly string[] =>
  Array.isArray(values) &&
  values.every((each) => typeof each === 'string' && each.length <= MOST_CHARACTERS && SCOPE_TOKEN.test(each))

const MOST_REMEMBERED = 512
const remembered = new Map<string, string | undefined>()

/**
 * The scope a client is registered for, in the form of our records; `undefined` where it is malformed. Registered
 * scopes are few and come again with every request, so the last ones are remembered. Not for what requests bring.
 */
export function registeredScope(scope: string): string | undefined {
  const known = remembered.get(scope)
  if (known !== undefined) return known
  const values = parseScope(scope)
  const formatted = values === undefined ? undefined : formatScope(values)
  if (remembered.size >= MOST_REMEMBERED) remembered.clear()
  if (scope.length <= 1024) remembered.set(scope, formatted)
  return formatted
}

/**
 * The scope a client may use, in the form of our records: what its record says, or else the default of the server, or else
 * none. Every endpoint reads it with this function. Throws `misconfigured` if the record's scope is malformed.
 */
export function allowedScope({ client_id: clientId, scope }: Client, { defaultScope = '' }: ScopeRules): string {
  const registered: unknown = readOptional(scope) ?? defaultScope
  const allowed = typeof registered === 'string' ? registeredScope(registered) : undefined
  if (allowed !== undefined) return allowed
  throw refusal('misconfigured', { clientId, detail: "the client's registered scope is malformed" })
}

/** Scope values as one string, the form of the wire and of our records. */
export const formatScope = (values: readonly string[]): string => values.join(' ')

/** Whether every value of `inner` is one of `outer`. Both are scope strings of our records. */
export function isScopeWithin(inner: string, outer: string): boolean {
  if (inner === '' || inner === outer) return true
  if (inner.length > outer.length) return false // both have no repeats
  if (!inner.includes(' ')) return ` ${outer} `.includes(` ${inner} `)
  const allowed = new Set(outer.split(' '))
  return inner.split(' ').every((value) => allowed.has(value))
}

/** The values of a granted scope that a client is still registered for. `registered` is its record's `scope`. */
export function registeredPart(granted: string, registered: string): string {
  if (isScopeWithin(granted, registeredScope(registered) ?? '')) return granted // nearly always
  const values = new Set(registered.split(' '))
  return granted
    .split(' ')
    .filter((value) => value !== '' && values.has(value))
    .join(' ')
}

/**
 * The scope that a request is for: what is allowed or, where the request names a `scope`, that part of it. A scope of
 * nothing but separators asks for nothing in particular. Throws `invalid_scope` for a malformed one. Values beyond what is
 * allowed are refused with `invalid_scope` too, or left out, as `excess` says; nothing may be left then.
 */
export function requestedScope(
  allowed: string,
  requested: string | undefined,
  clientId: string,
  rules: ScopeRules,
  excess: 'refuse' | 'narrow' = 'refuse',
): string {
  if (requested === undefined) return allowed
  const values = parseScope(requested, rules)
  if (values === undefined) {
    throw refusal('scope_malformed', {
      clientId,
      detail: 'a scope value contains a character that RFC 6749 §3.3 does not allow',
    })
  }
  if (excess === 'narrow' && values.length > 0) return registeredPart(formatScope(values), allowed)
  const scope = formatScope(values)
  if (!isScopeWithin(scope, allowed)) {
    throw refusal('scope_exceeded', { clientId, detail: `allowed scope: ${allowed || 'none'}` })
  }
  return scope === '' ? allowed : scope
}
