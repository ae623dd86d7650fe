import { refusal } from '../errors.ts'
import { badOption } from '../options.ts'
import { formatScope, isScopeList } from '../scope.ts'
import { isResourceIndicator } from './indicator.ts'

/** A resource that access tokens can be limited to: a resource server, or a part of one. */
export interface Resource {
  /** The resource indicator, spelled as in tokens and metadata: an absolute URI without a fragment. */
  readonly uri: string
  /** The scope values that tokens for this resource may have. Default: any. */
  readonly scopes?: readonly string[] | undefined
  /** The `aud` of access tokens for this resource. Default: `uri`. */
  readonly audience?: string | undefined
}

/** Throws a `TypeError` that names the member unless the value is a resource. `name` is the option it came from. */
export function checkResource(name: string, value: unknown): Resource {
  if (typeof value !== 'object' || value === null) throw badOption(name, 'an object with the member uri', value)
  const { uri, scopes, audience } = value as Readonly<Record<string, unknown>>
  if (!isResourceIndicator(uri)) throw badOption(`${name}.uri`, 'an absolute URI without a fragment', uri)
  const hasScopes = scopes !== undefined && scopes !== null
  if (hasScopes && !isScopeList(scopes)) throw badOption(`${name}.scopes`, 'an array of scope values', scopes)
  if (audience !== undefined && audience !== null && (typeof audience !== 'string' || audience === ''))
    throw badOption(`${name}.audience`, 'a non-empty string', audience)
  return {
    uri,
    scopes: hasScopes ? [...scopes] : undefined,
    audience: typeof audience === 'string' ? audience : undefined,
  }
}

/**
 * The part of a scope that the resources of a token know, if all of them name scopes. Throws `invalid_scope` if nothing is
 * left of a scope that is not empty.
 */
export function limitScope(scope: string, resources: readonly Resource[], clientId: string): string {
  if (scope === '' || resources.length === 0) return scope
  const known = new Set<string>()
  for (const { scopes } of resources) {
    if (scopes === undefined) return scope
    for (const each of scopes) known.add(each)
  }
  const limited = formatScope(scope.split(' ').filter((each) => known.has(each)))
  if (limited !== '') return limited
  const detail = `allowed scope of the requested resources: ${formatScope([...known]) || 'none'}`
  throw refusal('scope_exceeded', { clientId, detail })
}

/** The audience of a resource. */
export const audienceOf = ({ audience, uri }: Resource): string => audience ?? uri
