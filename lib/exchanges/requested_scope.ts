import { refusal } from '../errors.ts'
import { formatScope, isScopeWithin, parseScope, type ScopeRules } from '../scope.ts'

/**
 * The scope of one access token: what was granted or, where the request names a `scope`, that part of it. A scope of
 * nothing but separators asks for nothing in particular. Throws `invalid_scope` for a malformed one, and for one that
 * goes beyond what was granted.
 */
export function requestedScope(
  granted: string,
  requested: string | undefined,
  clientId: string,
  rules: ScopeRules,
): string {
  if (requested === undefined) return granted
  const values = parseScope(requested, rules)
  if (values === undefined) throw refusal('scope_malformed', { clientId })
  const scope = formatScope(values)
  if (!isScopeWithin(scope, granted)) {
    throw refusal('scope_exceeded', { clientId, detail: `expected no more than: ${granted || 'none'}` })
  }
  return scope === '' ? granted : scope
}
