import type { Client } from '../client.ts'
import { answerOf, refusal } from '../errors.ts'
import { isAbsent } from '../optional.ts'
import { badOption, booleanOption, checkOptions, oneOf, optionNames } from '../options.ts'
import { areResourceIndicators, comparable, isResourceIndicator, parseResourceParameter } from './indicator.ts'
import { audienceOf, checkResource, limitScope, type Resource } from './resource.ts'

/** The client and the user that request a resource. */
export interface ResourceContext {
  /** The client that requests the resource. */
  readonly client: Client
  /** The user; for `client_credentials`, the client. Absent if no user is known to be logged in. */
  readonly subject?: string | undefined
}

/**
 * Looks up a resource, for servers with a resource for each tenant. It receives the URI without a slash at its end,
 * unless `trailingSlash` is `'exact'`. Return `undefined` or `null` if the resource is unknown. If the function throws
 * or rejects, the response is 503.
 */
type FindResource = (
  uri: string,
  context: ResourceContext,
) => Resource | undefined | null | Promise<Resource | undefined | null>

/**
 * The options of `createResources`.
 *
 * @inline
 */
interface ResourcesOptions {
  /**
   * The URI or URIs that apply to an authorization request without `resource`. Default: the only resource; with several
   * resources, none. `[]`: none. A token without resources has the audience of `createTokens`.
   */
  readonly default?: string | readonly string[] | undefined
  /** Whether a request without `resource` is refused if no default applies. Default `false`. */
  readonly required?: boolean | undefined
  /**
   * `'ignore'`: one slash at the end of a URI makes no difference. `'exact'`: URIs must match exactly. Default
   * `'ignore'`.
   */
  readonly trailingSlash?: 'ignore' | 'exact' | undefined
  /**
   * `'list'`: a token may be for several resources. `'refuse'`: each token request must name one resource. Default
   * `'list'`.
   */
  readonly several?: 'list' | 'refuse' | undefined
  /**
   * What happens to a `resource` that is malformed, unknown or not granted. `'refuse'`: the request is refused with
   * `invalid_target`. `'ignore'`: the parameter is treated as absent, for servers whose clients already send values
   * that have no effect. Default `'refuse'`.
   */
  readonly unknown?: 'refuse' | 'ignore' | undefined
}

const NAMES = optionNames<ResourcesOptions>({
  default: true,
  required: true,
  trailingSlash: true,
  several: true,
  unknown: true,
})
const RESOURCE = optionNames<Resource>({ uri: true, scopes: true, audience: true })

/** The audience and scope of an access token. */
export interface TokenTarget {
  /** The `aud` of the token; `undefined` for the audience of `createTokens`. */
  readonly audience: string | readonly string[] | undefined
  /** The scope of the token, as values separated by spaces; `''` for none. */
  readonly scope: string
}

/** The resources of a server (RFC 8707): what `createResources` returns. */
export interface Resources {
  /** The URIs of all resources, for the metadata document. Empty if a function looks resources up. */
  readonly uris: readonly string[]
  /**
   * Resolves with the registered URIs of the resources that an authorization request names, or of the default
   * resources. `scope` is the requested scope. Rejects with `invalid_target`, or with `invalid_scope` if the resources
   * allow none of the scope.
   */
  request(sent: string | undefined, scope: string, context: ResourceContext): Promise<readonly string[]>
  /**
   * Checks again the URIs that `request` returned for a request. Rejects with `invalid_target` if any is no longer
   * known.
   */
  confirm(uris: readonly string[], context: ResourceContext): Promise<void>
  /**
   * Resolves with the audience and scope of a token of a grant. The token is for the resources that the token request
   * names, or else for all granted resources. Granted resources that are no longer known are left out. Rejects with
   * `invalid_target` or `invalid_scope`.
   */
  target(
    granted: readonly string[] | undefined,
    sent: string | undefined,
    scope: string,
    context: ResourceContext,
  ): Promise<TokenTarget>
  /**
   * Resolves with the audience and scope of a token that no user granted (`client_credentials`). If the client record
   * has `resources`, the token is limited to them. Rejects with `invalid_target` or `invalid_scope`.
   */
  targetOfClient(sent: string | undefined, scope: string, client: Client): Promise<TokenTarget>
  /**
   * Resolves with whether a client may see a token with this `aud`. If the client record has `resources`, the token
   * must be for one of them.
   */
  isForClient(client: Client, aud: unknown): Promise<boolean>
}

/**
 * Creates the set of resources that access tokens can be limited to (RFC 8707). Pass an array, or a function that looks
 * up a resource for each tenant. Pass the result as `resources` to `createAuthorizationSide`, to the exchanges, to
 * introspection and to `createMetadata`:
 *
 * ```ts
 * const resources = createResources([
 *   { uri: 'https://api.example/mcp', scopes: ['tools'] },
 *   { uri: 'https://api.example/files', scopes: ['read', 'write'] },
 * ])
 * ```
 *
 * Codes, sessions, access tokens and remembered consent are then limited to the resources that the client requested.
 *
 * Throws a `TypeError` if a resource or an option is invalid.
 *
 * @example
 * ```ts
 * import { createResources } from 'passport-client-assertion-jwt'
 *
 * const resources = createResources([
 *   { uri: 'https://api.example/mcp', scopes: ['tools'] },
 *   { uri: 'https://api.example/files', scopes: ['read', 'write'] },
 * ])
 * ```
 */
export function createResources(list: readonly Resource[] | FindResource, options: ResourcesOptions = {}): Resources {
  checkOptions('createResources', options, NAMES)
  const isExact = oneOf('trailingSlash', options.trailingSlash, 'ignore', ['ignore', 'exact']) === 'exact'
  const several = oneOf('several', options.several, 'list', ['list', 'refuse'])
  const isLenient = oneOf('unknown', options.unknown, 'refuse', ['refuse', 'ignore']) === 'ignore'
  const isRequired = booleanOption('required', options.required, false)
  const keyOf = (uri: string): string => comparable(uri, isExact)
  const known = typeof list === 'function' ? undefined : knownResources(list, keyOf)
  const uris = known === undefined ? [] : [...known.values()].map(({ uri }) => uri)
  const defaults = defaultsOf(options.default, uris, known && ((uri) => known.has(keyOf(uri))))

  async function find(key: string, context: ResourceContext): Promise<Resource | undefined> {
    if (known !== undefined) return known.get(key)
    const found = await answerOf(() => (list as FindResource)(key, context))
    if (found === undefined || found === null) return undefined
    const resource = judged(found)
    if (keyOf(resource.uri) === key) return resource
    throw refusal('misconfigured', { detail: 'the function of createResources returned a resource with another uri' })
  }

  /** The resources of these URIs, each once, without those that are not known. */
  async function findAll(all: readonly string[], context: ResourceContext): Promise<readonly Resource[]> {
    const keys = [...new Set(all.map(keyOf))]
    const found = await Promise.all(keys.map((key) => find(key, context)))
    return found.filter((each) => each !== undefined)
  }

  const unknown = (clientId: string) =>
    refusal('resource_unknown', {
      clientId,
      detail: uris.length === 0 ? 'no such resource' : `known are: ${uris.slice(0, 20).join(', ')}`,
    })

  /** The resources that a request names, in the form of the list. */
  async function named(sent: string | undefined, context: ResourceContext): Promise<readonly Resource[]> {
    const clientId = context.client.client_id
    try {
      const asked = parseResourceParameter(sent, clientId)
      const found = await findAll(asked, context)
      if (found.length < new Set(asked.map(keyOf)).size) throw unknown(clientId)
      return found
    } catch (error) {
      if (isLenient && isInvalidTarget(error)) return []
      throw error
    }
  }

  async function defaultResources(context: ResourceContext): Promise<readonly Resource[]> {
    if (defaults.length > 0) return findAll(defaults, context)
    if (!isRequired) return []
    throw refusal('resource_malformed', {
      clientId: context.client.client_id,
      description: 'The parameter resource is missing.',
      detail: 'the option required of createResources is set, and there is no default',
    })
  }

  function targetFor(resources: readonly Resource[], scope: string, clientId: string): TokenTarget {
    const audiences = [...new Set(resources.map(audienceOf))]
    const [first] = audiences
    if (audiences.length > 1 && several === 'refuse') {
      throw refusal('resource_exceeded', {
        clientId,
        description: 'The token request must name one resource.',
        detail: `a token is for one resource, but this one would be for ${audiences.length}`,
      })
    }
    return {
      audience: audiences.length > 1 ? audiences : first,
      scope: limitScope(scope, resources, clientId),
    }
  }

  /** Those of `allowed` that the request names; all of them if it names none. */
  async function within(
    allowed: readonly Resource[],
    sent: string | undefined,
    context: ResourceContext,
  ): Promise<readonly Resource[]> {
    const asked = await named(sent, context)
    if (asked.length === 0) return allowed
    const keys = new Set(allowed.map(({ uri }) => keyOf(uri)))
    if (asked.every(({ uri }) => keys.has(keyOf(uri)))) return asked
    if (isLenient) return allowed
    const detail = keys.size === 0 ? 'the grant has no resources, and cannot get any later' : 'not granted'
    throw refusal('resource_exceeded', { clientId: context.client.client_id, detail })
  }

  async function registered(client: Client): Promise<readonly Resource[] | undefined> {
    const { resources } = client as { readonly resources?: unknown }
    if (isAbsent(resources)) return undefined
    if (areResourceIndicators(resources)) return findAll(resources, { client, subject: client.client_id })
    const detail = 'the member resources of the client record is not an array of absolute URIs'
    throw refusal('misconfigured', { clientId: client.client_id, detail })
  }

  return {
    uris,
    async request(sent, scope, context) {
      const asked = await named(sent, context)
      const resources = asked.length > 0 ? asked : await defaultResources(context)
      limitScope(scope, resources, context.client.client_id)
      return resources.map(({ uri }) => uri)
    },
    async confirm(all, context) {
      if ((await findAll(all, context)).length < all.length) throw unknown(context.client.client_id)
    },
    async target(granted, sent, scope, context) {
      const clientId = context.client.client_id
      const left = granted === undefined ? [] : await findAll(granted, context)
      if (granted !== undefined && left.length === 0) throw unknown(clientId)
      return targetFor(await within(left, sent, context), scope, clientId)
    },
    async targetOfClient(sent, scope, client) {
      const context = { client, subject: client.client_id }
      const own = await registered(client)
      if (own !== undefined && own.length === 0) throw unknown(client.client_id)
      const resources = own === undefined ? await named(sent, context) : await within(own, sent, context)
      const all = resources.length > 0 ? resources : await defaultResources(context)
      return targetFor(all, scope, client.client_id)
    },
    async isForClient(client, aud) {
      const own = await registered(client)
      if (own === undefined) return true
      const audiences = new Set(own.map(audienceOf))
      return (Array.isArray(aud) ? aud : [aud]).some((each) => audiences.has(each))
    },
  }
}

const isInvalidTarget = (error: unknown): boolean => Object(error).code === 'invalid_target'

/** The resources by the form in which URIs are compared. Throws a `TypeError` for what is not a list of resources. */
function knownResources(list: unknown, keyOf: (uri: string) => string): ReadonlyMap<string, Resource> {
  if (!Array.isArray(list) || list.length === 0)
    throw badOption('list', 'a non-empty array of resources, or a function', list)
  const known = new Map<string, Resource>()
  for (const [at, each] of list.entries()) {
    const name = `list[${at}]`
    const resource = checkResource(name, each)
    checkOptions(`createResources: ${name}`, each, RESOURCE)
    if (known.has(keyOf(resource.uri))) throw badOption(`${name}.uri`, 'different from the others', resource.uri)
    known.set(keyOf(resource.uri), resource)
  }
  return known
}

function defaultsOf(
  given: unknown,
  uris: readonly string[],
  isKnown: ((uri: string) => boolean) | undefined,
): readonly string[] {
  if (given === undefined) return uris.length === 1 ? uris : []
  const defaults: readonly unknown[] = Array.isArray(given) ? given : [given]
  for (const each of defaults) {
    if (!isResourceIndicator(each)) throw badOption('default', 'the URI of a resource, or an array of them', each)
    if (isKnown?.(each) === false) throw badOption('default', 'the URI of one of the resources', each)
  }
  return defaults as readonly string[]
}

/** What the function of the application returned. */
function judged(found: unknown): Resource {
  try {
    return checkResource('resource', found)
  } catch (cause) {
    throw refusal('misconfigured', { cause, detail: 'the function of createResources returned no resource' })
  }
}
