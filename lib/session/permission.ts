import { isStrings } from '../optional.ts'
import { badOption } from '../options.ts'
import { formatScope, parseScope } from '../scope.ts'
import type { Permission } from './session.ts'

/**
 * Returns a subject. Throws a `TypeError` unless it is a string: a number, as databases have it, would be another key in
 * some stores and another `sub` in tokens (RFC 7519 §4.1.2).
 */
export function checkedSubject(subject: unknown): string {
  if (typeof subject === 'string') return subject
  const hint = typeof subject === 'number' || typeof subject === 'bigint' ? ' (write String(id))' : ''
  throw badOption('subject', `a string${hint}`, subject)
}

/**
 * Returns the permission in the form of our records, its scope sorted and without repeats. Throws a `TypeError` that
 * names the member that is no string, or the scope that is malformed. The one judgement for sessions and consents.
 */
export function checkedPermission(permission: Permission): Permission {
  if (typeof permission !== 'object' || permission === null) throw badOption('permission', 'an object', permission)
  const { subject, clientId, scope } = permission
  checkedSubject(subject)
  if (typeof clientId !== 'string') throw badOption('clientId', 'a string', clientId)
  if (typeof scope !== 'string') {
    throw badOption('scope', `a string${Array.isArray(scope) ? " (write scope.join(' '))" : ''}`, scope)
  }
  const values = parseScope(scope)
  if (values === undefined) throw badOption('scope', 'scope values separated by spaces (RFC 6749 §3.3)', scope)
  const resources = checkedResources(permission.resources)
  const checked = { subject, clientId, scope: formatScope(values) }
  return resources === undefined ? checked : { ...checked, resources }
}

/** The resources of a permission, each once; `undefined` for none. Throws a `TypeError` unless they are strings. */
function checkedResources(resources: unknown): readonly string[] | undefined {
  if (resources === undefined || resources === null) return undefined
  if (!isStrings(resources) || resources.includes('')) throw badOption('resources', 'an array of strings', resources)
  return resources.length === 0 ? undefined : [...new Set(resources)]
}
